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
    /// Directories on which somebody has one, by folded path.
    dirs: HashMap<String, FileId>,
}

impl Leases {
    pub(crate) fn file(&self, lease: LeaseId) -> Option<FileId> {
        self.files.get(&lease).copied()
    }

    /// The directory at `path`, if it is leased.
    pub(crate) fn dir(&self, path: &VPath) -> Option<FileId> {
        if self.dirs.is_empty() {
            return None;
        }
        self.dirs.get(&*names::fold(path.as_str())).copied()
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
            self.dirs.insert(names::fold(record.path.as_str()).into_owned(), file);
        }
    }

    /// An open has left a file, of whose rights `left` are there.
    pub(crate) fn left(&mut self, record: &Record, left: &CachingTable) {
        let Some(lease) = record.lease else { return };
        if !left.has_lease(lease) {
            self.files.remove(&lease);
        }
        if !left.is_leased() && !self.dirs.is_empty() {
            self.dirs.remove(&*names::fold(record.path.as_str()));
        }
    }

    /// A directory was moved, and those below it with it.
    pub(crate) fn moved(&mut self, from: &VPath, to: &VPath) {
        let (from, to) = (names::fold(from.as_str()), names::fold(to.as_str()));
        let below =
            |dir: &str| dir.strip_prefix(&*from).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let moved: Vec<String> = self.dirs.keys().filter(|dir| below(dir)).cloned().collect();
        for old in moved {
            if let Some(file) = self.dirs.remove(&old) {
                self.dirs.insert(format!("{to}{}", &old[from.len()..]), file);
            }
        }
    }
}
