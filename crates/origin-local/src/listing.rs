//! Listing a directory, a page at a time.
//!
//! The cursor is the file system's own position (`d_off`, as `telldir` gives it): ext4, XFS, btrfs and tmpfs
//! keep it valid while entries come and go, so a page may be asked for at any time later, by another open of
//! the directory, or after a restart. What is there all the time is listed exactly once.
//!
//! An entry that cannot be looked at is left out, and what is mounted over an entry is not asked: one that does not
//! answer must not take the names beside it along.
//!
//! Each entry costs one `statx` and, for files and directories, one `getxattrat` beside it; nothing cheaper
//! tells that the attribute is missing. The ways known before Linux 6.13, a path through `/proc/self/fd` and
//! opening each file, cost two to three times as much (`examples/measure.rs`).

use crate::attributes::{self, Extra, Keeps};
use crate::beneath::link_of;
use crate::error::{Failure, Outcome};
use crate::name;
use crate::pool::Lies;
use crate::volume::Disk;
use bytes::Bytes;
use parking_lot::Mutex;
use rustix::fd::OwnedFd;
use rustix::fs::{RawDir, SeekFrom, seek};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::CStr;
use std::sync::Arc;
use volume::{Carries, Entry, ErrorKind, FileId, Listing};

/// Entries on one page.
pub const PAGE_ENTRIES_MAX: usize = 4096;
/// Directories that are remembered for not being told of again; with more, all are told of once more.
const TOLD_OF_MAX: usize = 1024;
/// Room for one `getdents64`.
const BUFFER_BYTES: usize = 64 * 1024;

fn read_cursor(cursor: Option<&Bytes>) -> Outcome<Option<u64>> {
    let Some(bytes) = cursor else { return Ok(None) };
    let word = <[u8; 8]>::try_from(&bytes[..]).map_err(|_| ErrorKind::InvalidArgument)?;
    Ok(Some(u64::from_le_bytes(word)))
}

/// Entries of a page that could not be looked at. As with Samba they are not told, and do not hide the others.
#[derive(Default)]
struct LeftOut {
    number: usize,
    first: Option<(String, Failure)>,
}

impl LeftOut {
    /// One more; an error where that says nothing about this entry, but about all.
    fn count(&mut self, name: &CStr, failure: Failure) -> Outcome<()> {
        if !is_of_one_entry(failure) {
            return Err(failure);
        }
        self.number += 1;
        self.first.get_or_insert_with(|| (name::from_disk(name.to_bytes()).into_owned(), failure));
        Ok(())
    }

    fn tell(&self, dir: &OwnedFd, id: FileId, told_of: &ToldOf) {
        let Some((name, failure)) = &self.first else { return };
        if told_of.is_new(id) {
            let (number, dir) = (self.number, link_of(dir).unwrap_or_default());
            let story = "entries that cannot be looked at are left out of a listing";
            tracing::warn!(?dir, name, ?failure, number, "{story}");
        }
    }
}

/// Directories whose incomplete listings were told of: once is enough.
#[derive(Default)]
pub(crate) struct ToldOf {
    dirs: Mutex<HashSet<FileId>>,
}

impl ToldOf {
    fn is_new(&self, dir: FileId) -> bool {
        let mut dirs = self.dirs.lock();
        if dirs.len() == TOLD_OF_MAX {
            dirs.clear();
        }
        dirs.insert(dir)
    }
}

/// A mount whose server is gone, a damaged inode, a name that may not be passed.
fn is_of_one_entry(failure: Failure) -> bool {
    use ErrorKind::{Corrupt, Io, Loop, Offline, PermissionDenied, Stale, TimedOut};
    matches!(failure.kind(), PermissionDenied | Offline | TimedOut | Stale | Loop | Corrupt | Io)
}

/// One page of `dir`, which is open for reading and at its start.
pub(crate) fn page(disk: &Disk, dir: &OwnedFd, cursor: Option<&Bytes>, lies: Lies) -> Outcome<Listing> {
    let keeps = disk.keeps;
    if let Some(position) = read_cursor(cursor)? {
        seek(dir, SeekFrom::Start(position))?;
    }
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    let mut raw = RawDir::new(dir, buffer.spare_capacity_mut());
    let (mut entries, mut next) = (Vec::new(), None);
    let mut position = None;
    let mut left_out = LeftOut::default();
    while let Some(found) = raw.next() {
        let found = found?;
        if entries.len() == PAGE_ENTRIES_MAX {
            next = position;
            break;
        }
        position = Some(found.next_entry_cookie());
        let name = found.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        match entry(dir, name, keeps, lies) {
            Ok(entry) => entries.extend(entry),
            Err(failure) => left_out.count(name, failure)?,
        }
    }
    let attr = attributes::attr_of(dir, keeps)?;
    left_out.tell(dir, attr.id, &disk.told_of);
    let next = next.map(|position| Bytes::copy_from_slice(&position.to_le_bytes()));
    Ok(Listing { entries, next, dir: Some(attr), ahead: Vec::new() })
}

/// One entry; `None` when it went away since the directory was read.
fn entry(dir: &OwnedFd, name: &CStr, keeps: Keeps, lies: Lies) -> Outcome<Option<Entry>> {
    let looked_at = match lies {
        // What is mounted over a name may not answer: of that only what the kernel remembers is told.
        Lies::Here => attributes::recall_at(dir, name),
        Lies::Beyond => attributes::look_at(dir, name.to_bytes()),
    };
    let stat = match looked_at {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let is_mounted = lies == Lies::Here && attributes::is_mounted(&stat);
    let extra = match keeps.dos && attributes::can_have_extra(attributes::kind_of(&stat)) {
        // Not asked: it may carry everything.
        true if is_mounted => Extra { carries: Carries::all(), ..Extra::default() },
        true => match Extra::of_entry(dir, name) {
            Ok(extra) => extra,
            Err(failure) if failure.kind() == ErrorKind::NotFound => return Ok(None),
            Err(failure) => return Err(failure),
        },
        false => Extra::default(),
    };
    let name = Arc::from(name::from_disk(name.to_bytes()));
    Ok(Some(Entry { name, attr: attributes::attr(&stat, extra, keeps) }))
}
