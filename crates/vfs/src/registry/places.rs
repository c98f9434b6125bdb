//! Where opens stand: found at a path and below it, and following a move.

use super::{Registry, Slot};
use crate::names;
use volume::{FileId, VPath};

impl Registry {
    /// The open directories at `path`: one, unless it was replaced at the origin.
    pub(crate) fn dirs_at(&self, path: &VPath) -> Vec<FileId> {
        let is_there = |slot: &Slot| slot.records.iter().any(|record| same(&record.path, path));
        self.dirs.iter().filter(|dir| self.slots.get(dir).is_some_and(is_there)).copied().collect()
    }

    /// Whether something below this directory is open.
    pub(crate) fn has_open_below(&self, dir: &VPath) -> bool {
        let mut records = self.slots.values().flat_map(|slot| &slot.records);
        records.any(|record| lies_below(record.path.as_str(), dir.as_str()))
    }

    /// A name moved: the opens of it, and those below it, follow. `file` is what moved, where it is known not to be a
    /// directory.
    pub(crate) fn moved(&mut self, file: Option<FileId>, from: &VPath, to: &VPath) {
        let follow = |path: &mut VPath| {
            if let Some(new) = path.rebase(from, to) {
                *path = new;
            } else if same(path, from) {
                *path = to.clone();
            }
        };
        let follows = |slot: &mut Slot| {
            slot.records.iter_mut().for_each(|record| follow(&mut record.path));
            slot.doomed.iter_mut().for_each(|doomed| follow(&mut doomed.path));
        };
        let Some(file) = file else {
            for (id, slot) in &mut self.slots {
                let is_dir = self.dirs.contains(id);
                for record in slot.records.iter().filter(|record| is_dir && record.lease.is_some()) {
                    let mut path = record.path.clone();
                    follow(&mut path);
                    self.leases.moved(*id, &record.path, &path);
                }
                follows(slot);
            }
            return;
        };
        self.slots.get_mut(&file).map(follows);
        for stream in self.streams.of(file) {
            self.slots.get_mut(&stream.id).map(follows);
        }
    }
}

pub(crate) fn same(a: &VPath, b: &VPath) -> bool {
    names::same(a.as_str(), b.as_str())
}

/// Whether `path` is below `dir`, neither folded; without a copy where both are ASCII.
pub(crate) fn lies_below(path: &str, dir: &str) -> bool {
    if dir.is_empty() || !path.is_ascii() || !dir.is_ascii() {
        return is_below(&names::fold(path), &names::fold(dir));
    }
    path.as_bytes().get(dir.len()) == Some(&b'/') && path[..dir.len()].eq_ignore_ascii_case(dir)
}

/// Both folded.
pub(super) fn is_within(path: &str, dir: &str) -> bool {
    path == dir || is_below(path, dir)
}

/// Both folded.
pub(super) fn is_below(path: &str, dir: &str) -> bool {
    match path.strip_prefix(dir) {
        Some(rest) => rest.starts_with('/') || (dir.is_empty() && !rest.is_empty()),
        None => false,
    }
}
