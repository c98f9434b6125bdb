//! Where leases are, by their name: found from what a client says when it acknowledges. What a lease allows stands with
//! the other caching rights of its file ([`crate::caching`]). Plain state of the registry.

use crate::caching::{CachingTable, LeaseId};
use crate::registry::Record;
use crate::{Error, Result};
use std::collections::HashMap;
use volume::FileId;

#[derive(Debug, Default)]
pub(crate) struct Leases {
    files: HashMap<LeaseId, FileId>,
}

impl Leases {
    pub(crate) fn file(&self, lease: LeaseId) -> Option<FileId> {
        self.files.get(&lease).copied()
    }

    /// A lease belongs to one file (MS-SMB2 3.3.5.9.8).
    pub(crate) fn check(&self, lease: Option<LeaseId>, file: FileId) -> Result<()> {
        match lease.and_then(|lease| self.file(lease)) {
            Some(other) if other != file => Err(Error::InvalidArgument("the lease is of another file")),
            _ => Ok(()),
        }
    }

    pub(crate) fn opened(&mut self, record: &Record, file: FileId) {
        if let Some(lease) = record.lease {
            self.files.insert(lease, file);
        }
    }

    /// An open has left a file, of whose rights `left` are there.
    pub(crate) fn left(&mut self, record: &Record, left: &CachingTable) {
        if let Some(lease) = record.lease.filter(|lease| !left.has_lease(*lease)) {
            self.files.remove(&lease);
        }
    }
}
