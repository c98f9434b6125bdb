//! Where opens stand: found at a path and below it, and following a move.

use super::{Record, Registry};
use crate::names;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included, Unbounded};
use volume::{FileId, VPath};

/// Before and after the ids of all files.
const FIRST: FileId = FileId { hi: 0, lo: 0 };
const LAST: FileId = FileId { hi: u64::MAX, lo: u64::MAX };

/// Which files, streams too, are open at a path or have a name there that is to go away. Paths are folded: what is found
/// may stand at a name of other case.
#[derive(Debug, Default)]
pub(crate) struct Places(BTreeMap<(Box<str>, FileId), usize>);

impl Places {
    /// An open, or a name that is to go away, has come to be.
    pub(super) fn enter(&mut self, path: &VPath, file: FileId) {
        *self.0.entry((folded(path), file)).or_default() += 1;
    }

    /// It is gone.
    pub(super) fn leave(&mut self, path: &VPath, file: FileId) {
        let place = (folded(path), file);
        if let Some(count) = self.0.get_mut(&place) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&place);
            }
        }
    }

    pub(crate) fn at(&self, path: &VPath) -> impl Iterator<Item = FileId> {
        let path = folded(path);
        let there = self.0.range((path.clone(), FIRST)..=(path, LAST));
        there.map(|((_, file), _)| *file)
    }

    /// One that has several names is there several times.
    pub(crate) fn below(&self, dir: &VPath) -> impl Iterator<Item = FileId> {
        let dir = folded(dir);
        let bounds = match dir.is_empty() {
            true => (Excluded((dir, LAST)), Unbounded),
            // In the order of paths what begins with `dir/` stands together, and the next letter is 0.
            false => (
                Included((format!("{dir}/").into_boxed_str(), FIRST)),
                Excluded((format!("{dir}0").into_boxed_str(), FIRST)),
            ),
        };
        self.0.range(bounds).map(|((_, file), _)| *file)
    }

    pub(crate) fn at_and_below(&self, path: &VPath) -> BTreeSet<FileId> {
        self.at(path).chain(self.below(path)).collect()
    }
}

fn folded(path: &VPath) -> Box<str> {
    names::fold(path.as_str()).into()
}

impl Registry {
    /// The open directories at `path`: one, unless it was replaced at the origin.
    pub(crate) fn dirs_at(&self, path: &VPath) -> Vec<FileId> {
        if self.dirs.is_empty() {
            return Vec::new();
        }
        self.places.at(path).filter(|file| self.dirs.contains(file)).collect()
    }

    /// Whether something below this directory is open.
    pub(crate) fn has_open_below(&self, dir: &VPath) -> bool {
        let is_below = |record: &Record| !record.unnamed && self.case.is_below(&record.path, dir);
        let slots = self.places.below(dir).filter_map(|file| self.slots.get(&file));
        slots.flat_map(|slot| &slot.records).any(is_below)
    }

    /// A name moved: the opens of it, and those below it, follow. `file` is what moved, where it is known not to be a
    /// directory.
    pub(crate) fn moved(&mut self, file: Option<FileId>, from: &VPath, to: &VPath) {
        let follow: Vec<FileId> = match file {
            Some(file) => self.streams.of(file).iter().map(|stream| stream.id).chain([file]).collect(),
            None => self.places.at_and_below(from).into_iter().collect(),
        };
        for file in follow {
            let Some(slot) = self.slots.get_mut(&file) else { continue };
            let named = slot.records.iter_mut().filter(|record| !record.unnamed);
            let opens = named.map(|record| &mut record.path);
            let doomed = slot.doomed.iter_mut().map(|doomed| &mut doomed.path);
            for path in opens.chain(doomed) {
                if let Some(to) = self.case.rebase(path, from, to) {
                    self.places.leave(path, file);
                    self.places.enter(&to, file);
                    *path = to;
                }
            }
        }
    }
}
