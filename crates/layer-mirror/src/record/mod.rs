//! What is written down of a change, before it is made: `docs/formats/mirror-records.md`.
//!
//! A record of the journal is an [`Entry`]: one [`Record`] of what is about to happen, and before it the [`Outcome`]s of earlier
//! ones, which have come to an end meanwhile. So each change costs one write.

mod codec;

use bytes::Bytes;
use volume::{Attr, Change, FileId, Kind, SetAttr, Time, VPath};

/// What is about to happen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// A change by name. Its maker is left out: whose the object is then, stands in the outcome.
    Change(Change),
    /// A file is made, if there is none.
    Create { path: VPath },
    /// Bytes of a file, by a handle that was opened under what is `path` now.
    Write { path: VPath, offset: u64, data: Bytes },
    /// A range of it reads as zeros from now on.
    Zero { path: VPath, offset: u64, length: u64 },
    /// Attributes of it, the size among them.
    SetAttr { path: VPath, set: SetAttr },
    /// A file is complete for now: it was closed by one who has changed it, or synced, or nothing has come for a while. It is
    /// `stamp` then, if that is known. Nothing happens, so it has no outcome.
    Cut { path: VPath, stamp: Option<Stamp> },
    /// Something below may have changed without having been seen. No outcome, either.
    Unknown { below: VPath },
    /// The process has begun anew: no file is open. No outcome.
    Restart,
}

/// What an object is after a change, as far as a mirror is to have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    pub id: FileId,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub links: u32,
    pub size: u64,
    pub mtime: Time,
    pub atime: Time,
}

/// What came of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It happened; what the object is then, where the volume has told.
    Done(Option<Stamp>),
    /// Nothing has changed: it was refused, or there was nothing to do.
    Nothing,
    /// It may have happened, in part: the process has ended, or the volume does not know.
    Doubt,
}

/// A record of the journal.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Entry {
    /// Outcomes of records before this one, by number.
    pub outcomes: Vec<(u64, Outcome)>,
    /// The lowest number that had no outcome when this was written.
    pub open_from: u64,
    pub record: Option<Record>,
    /// When it was written.
    pub at: Time,
}

impl Record {
    /// Whether it has an outcome of its own.
    pub fn settles(&self) -> bool {
        !matches!(self, Record::Cut { .. } | Record::Unknown { .. } | Record::Restart)
    }

    /// Bytes of content in it.
    pub fn data_len(&self) -> usize {
        match self {
            Record::Write { data, .. } => data.len(),
            Record::Change(_)
            | Record::Create { .. }
            | Record::Zero { .. }
            | Record::SetAttr { .. }
            | Record::Cut { .. }
            | Record::Unknown { .. }
            | Record::Restart => 0,
        }
    }

    /// The names that it is about.
    pub fn paths(&self) -> Vec<&VPath> {
        match self {
            Record::Change(change) => change.paths().collect(),
            Record::Create { path }
            | Record::Write { path, .. }
            | Record::Zero { path, .. }
            | Record::SetAttr { path, .. }
            | Record::Cut { path, .. }
            | Record::Unknown { below: path } => vec![path],
            Record::Restart => Vec::new(),
        }
    }
}

impl Stamp {
    pub fn of(attr: &Attr) -> Stamp {
        let Attr { id, mode, uid, gid, links, size, mtime, atime, .. } = *attr;
        Stamp { id, mode, uid, gid, links, size, mtime, atime }
    }

    /// What of it changes with the content: the times, and bits that a write takes away.
    pub fn of_content(&self) -> SetAttr {
        let (mode, mtime, atime) = (Some(self.mode), Some(self.mtime), Some(self.atime));
        SetAttr { mode, mtime, atime, ..SetAttr::default() }
    }

    /// What of it is set on another volume; a symlink has no mode of its own.
    pub fn attributes(&self, kind: Kind) -> SetAttr {
        SetAttr {
            mode: (kind != Kind::Symlink).then_some(self.mode),
            uid: Some(self.uid),
            gid: Some(self.gid),
            mtime: Some(self.mtime),
            atime: Some(self.atime),
            ..SetAttr::default()
        }
    }
}

#[cfg(test)]
mod tests;
