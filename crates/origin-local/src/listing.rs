//! Listing a directory, a page at a time.
//!
//! The cursor is the file system's own position (`d_off`, as `telldir` gives it): ext4, XFS, btrfs and tmpfs
//! keep it valid while entries come and go, so a page may be asked for at any time later, by another open of
//! the directory, or after a restart. What is there all the time is listed exactly once.
//!
//! Each entry costs one `statx` and, for files and directories, one `getxattrat` beside it; nothing cheaper
//! tells that the attribute is missing. The ways known before Linux 6.13, a path through `/proc/self/fd` and
//! opening each file, cost two to three times as much (`examples/measure.rs`).

use crate::attributes::{self, Extra, Keeps};
use crate::error::Outcome;
use crate::name;
use bytes::Bytes;
use rustix::fd::OwnedFd;
use rustix::fs::{RawDir, SeekFrom, seek};
use rustix::io::Errno;
use std::ffi::CStr;
use std::sync::Arc;
use volume::{Entry, ErrorKind, Listing};

/// Entries on one page.
pub const PAGE_ENTRIES_MAX: usize = 4096;
/// Room for one `getdents64`.
const BUFFER_BYTES: usize = 64 * 1024;

fn read_cursor(cursor: Option<&Bytes>) -> Outcome<Option<u64>> {
    let Some(bytes) = cursor else { return Ok(None) };
    let word = <[u8; 8]>::try_from(&bytes[..]).map_err(|_| ErrorKind::InvalidArgument)?;
    Ok(Some(u64::from_le_bytes(word)))
}

/// One page of `dir`, which is open for reading and at its start.
pub(crate) fn page(dir: &OwnedFd, cursor: Option<&Bytes>, keeps: Keeps) -> Outcome<Listing> {
    if let Some(position) = read_cursor(cursor)? {
        seek(dir, SeekFrom::Start(position))?;
    }
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    let mut raw = RawDir::new(dir, buffer.spare_capacity_mut());
    let (mut entries, mut next) = (Vec::new(), None);
    let mut position = None;
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
        entries.extend(entry(dir, name, keeps)?);
    }
    let attr = attributes::attr_of(dir, keeps)?;
    let next = next.map(|position| Bytes::copy_from_slice(&position.to_le_bytes()));
    Ok(Listing { entries, next, dir: Some(attr), ahead: Vec::new() })
}

/// One entry; `None` when it went away since the directory was read.
fn entry(dir: &OwnedFd, name: &CStr, keeps: Keeps) -> Outcome<Option<Entry>> {
    let stat = match attributes::look_at(dir, name.to_bytes()) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let extra = match keeps.extras && attributes::can_have_extra(attributes::kind_of(&stat)) {
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
