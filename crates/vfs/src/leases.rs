//! Where leases are: by their name, and those of directories by path. Plain state of the registry.
//!
//! What a lease allows stands with the other caching rights of its file ([`crate::caching`]); here it is found from
//! what a client says when it acknowledges, and from the name in a directory that somebody changes.

use crate::caching::{CachingTable, LeaseId};
use crate::registry::Record;
use crate::{Error, Result, names};
use std::collections::HashMap;
use volume::{FileId, VPath};

#[derive(Debug, Default)]
pub(crate) struct Leases {
    files: HashMap<LeaseId, FileId>,
    /// Directories that are leased, by folded path: several where one was put in place of another at the origin, or
    /// names differ by case alone.
    dirs: HashMap<String, Vec<LeasedDir>>,
}

/// A directory with leases, at one path.
#[derive(Debug)]
struct LeasedDir {
    dir: FileId,
    /// How many opens of it there have one.
    opens: usize,
}

impl Leases {
    pub(crate) fn file(&self, lease: LeaseId) -> Option<FileId> {
        self.files.get(&lease).copied()
    }

    /// The directories at `path` that are leased.
    pub(crate) fn dirs_at(&self, path: &VPath) -> impl Iterator<Item = FileId> {
        let folded = (!self.dirs.is_empty()).then(|| names::fold(path.as_str()));
        let there = folded.and_then(|folded| self.dirs.get(&*folded));
        there.into_iter().flatten().map(|leased| leased.dir)
    }

    /// A lease belongs to one file (MS-SMB2 3.3.5.9.8).
    pub(crate) fn check(&self, lease: Option<LeaseId>, file: FileId) -> Result<()> {
        match lease.and_then(|lease| self.file(lease)) {
            Some(other) if other != file => Err(Error::InvalidArgument("the lease is of another file")),
            _ => Ok(()),
        }
    }

    pub(crate) fn opened(&mut self, record: &Record, file: FileId, dir: bool) {
        let Some(lease) = record.lease else { return };
        self.files.insert(lease, file);
        if dir {
            self.enter(file, &record.path);
        }
    }

    /// An open has left `file`, of whose rights `left` are there.
    pub(crate) fn left(&mut self, record: &Record, file: FileId, left: &CachingTable) {
        let Some(lease) = record.lease else { return };
        if !left.has_lease(lease) {
            self.files.remove(&lease);
        }
        self.leave(file, &record.path);
    }

    /// An open of a directory that shares a lease was moved with it, or with one above.
    pub(crate) fn moved(&mut self, dir: FileId, from: &VPath, to: &VPath) {
        self.leave(dir, from);
        self.enter(dir, to);
    }

    fn enter(&mut self, dir: FileId, path: &VPath) {
        let there = self.dirs.entry(names::fold(path.as_str()).into_owned()).or_default();
        match there.iter_mut().find(|leased| leased.dir == dir) {
            Some(leased) => leased.opens += 1,
            None => there.push(LeasedDir { dir, opens: 1 }),
        }
    }

    /// Of what is no directory nothing is there.
    fn leave(&mut self, dir: FileId, path: &VPath) {
        if self.dirs.is_empty() {
            return;
        }
        let path = names::fold(path.as_str());
        let Some(there) = self.dirs.get_mut(&*path) else { return };
        there.iter_mut().filter(|leased| leased.dir == dir).for_each(|leased| leased.opens -= 1);
        there.retain(|leased| leased.opens > 0);
        if there.is_empty() {
            self.dirs.remove(&*path);
        }
    }
}
