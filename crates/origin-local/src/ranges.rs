//! Ranges of an open file: where its data is, holes, copies between files, room.
//!
//! All of it is the kernel's work: `SEEK_DATA`, `fallocate`, `copy_file_range`, `FICLONERANGE`. One copying call moves
//! [`COPY_MAX_BYTES`] at most, so that its caller hears from it in time; sharing blocks takes no time and is
//! done at once. What the root's file system can is tried on unnamed files when the volume is opened; where
//! none can be made there, it counts as unable. A directory below may be on another file system: then a call says so.

use crate::attributes::{self, BLOCK_BYTES};
use crate::descriptor::Descriptor;
use crate::error::{Failure, Outcome};
use crate::file::LocalFile;
use crate::pool::Lies;
use crate::sys;
use rustix::fd::OwnedFd;
use rustix::fs::{
    FallocateFlags, Mode, OFlags, SeekFrom, copy_file_range, fallocate, fstatvfs, ioctl_ficlone, openat, seek,
};
use rustix::io::Errno;
use std::ops::Range;
use std::sync::Arc;
use volume::{Access, Attr, Copying, ErrorKind, File, RANGES_MAX};

/// What one copying call moves at most, bytes: a disk of 100 MB/s takes 0.3 s for it.
pub const COPY_MAX_BYTES: u64 = 32 << 20;
/// Length of the hole that is tried in an unnamed file, bytes.
const PROBE_BYTES: u64 = 4096;

/// What a file system can do with ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Abilities {
    pub(crate) holes: bool,
    pub(crate) clones: bool,
}

impl Abilities {
    /// Of the file system of this directory.
    pub(crate) fn of(dir: &OwnedFd) -> Abilities {
        let unnamed = || {
            let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
            openat(dir, c".", flags, Mode::RUSR | Mode::WUSR)
        };
        let (Ok(one), Ok(two)) = (unnamed(), unnamed()) else {
            return Abilities { holes: false, clones: false };
        };
        let hole = fallocate(&one, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 0, PROBE_BYTES);
        Abilities { holes: hole.is_ok(), clones: ioctl_ficlone(&one, &two).is_ok() }
    }
}

/// The part of a range that lies in a file of `size` bytes.
fn within(size: u64, offset: u64, length: u64) -> Range<u64> {
    offset.min(size)..offset.saturating_add(length).min(size)
}

fn size_of(fd: &OwnedFd) -> Result<u64, Errno> {
    attributes::look(fd).map(|stat| stat.stx_size)
}

fn data_in(fd: &OwnedFd, offset: u64, length: u64) -> Outcome<Vec<Range<u64>>> {
    let asked = within(size_of(fd)?, offset, length);
    let (mut ranges, mut at) = (Vec::new(), asked.start);
    while at < asked.end && ranges.len() < RANGES_MAX {
        let data = match seek(fd, SeekFrom::Data(at)) {
            // None behind it, or the file became shorter.
            Err(Errno::NXIO) => break,
            result => result?,
        };
        if data >= asked.end {
            break;
        }
        let hole = match seek(fd, SeekFrom::Hole(data)) {
            Err(Errno::NXIO) => break,
            result => result?.min(asked.end),
        };
        if hole <= data {
            break;
        }
        ranges.push(data..hole);
        at = hole;
    }
    Ok(ranges)
}

fn punch(fd: &OwnedFd, offset: u64, length: u64) -> Outcome<()> {
    let range = within(size_of(fd)?, offset, length);
    if range.is_empty() {
        return Ok(());
    }
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    retried(|| fallocate(fd, flags, range.start, range.end - range.start))
}

fn reserve(fd: &OwnedFd, size: u64) -> Outcome<()> {
    if i64::try_from(size).is_err() {
        return Err(ErrorKind::FileTooLarge.into());
    }
    // Looked at first: ext4 takes all the room there is before it says that there is too little, and keeps it.
    let room = fstatvfs(fd)?;
    let taken = attributes::look(fd)?.stx_blocks.saturating_mul(BLOCK_BYTES);
    if size.saturating_sub(taken) > room.f_bavail.saturating_mul(room.f_frsize) {
        return Err(ErrorKind::NoSpace.into());
    }
    match size {
        0 => Ok(()),
        size => retried(|| fallocate(fd, FallocateFlags::KEEP_SIZE, 0, size)),
    }
}

/// `fallocate` is not taken up where a signal broke it off.
fn retried(call: impl Fn() -> Result<(), Errno>) -> Outcome<()> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

/// Two places, and how much is wanted from the one to the other.
struct Way {
    source: Arc<Descriptor>,
    from: u64,
    target: Arc<Descriptor>,
    to: u64,
    length: u64,
}

impl Way {
    fn go(&self, how: Copying) -> Outcome<u64> {
        let from = within(size_of(&self.source)?, self.from, self.length);
        let length = from.end - from.start;
        if length == 0 {
            return Ok(0);
        }
        if i64::try_from(self.to.saturating_add(length)).is_err() {
            return Err(ErrorKind::FileTooLarge.into());
        }
        let done = match how {
            Copying::Clone => {
                sys::clone_range(&**self.target, self.to, &**self.source, from).map(|()| length)
            }
            Copying::Any => self.copy(length.min(COPY_MAX_BYTES)),
        };
        done.map_err(|errno| match errno {
            // Two file systems, or one that has no such call for these files.
            Errno::XDEV => Failure::Kind(ErrorKind::Unsupported),
            errno => errno.into(),
        })
    }

    fn copy(&self, length: u64) -> Result<u64, Errno> {
        let (mut from, mut to) = (self.from, self.to);
        loop {
            let (source, target) = (&**self.source, &**self.target);
            match copy_file_range(source, Some(&mut from), target, Some(&mut to), length as usize) {
                Err(Errno::INTR) => {}
                result => return result.map(|copied| copied as u64),
            }
        }
    }
}

impl LocalFile {
    pub(crate) fn data_in(
        &self,
        offset: u64,
        length: u64,
    ) -> impl FnOnce() -> Outcome<Vec<Range<u64>>> + use<> {
        let (fd, holes) = (self.fd.clone(), self.disk.abilities.holes);
        move || {
            able(holes)?;
            data_in(&fd, offset, length)
        }
    }

    pub(crate) fn punch(&self, offset: u64, length: u64) -> impl FnOnce() -> Outcome<()> + use<> {
        let (fd, may, holes) = (self.fd.clone(), self.need(Access::WRITE), self.disk.abilities.holes);
        move || {
            may?;
            able(holes)?;
            punch(&fd, offset, length)
        }
    }

    pub(crate) fn reserve(&self, size: u64) -> impl FnOnce() -> Outcome<Attr> + use<> {
        let (fd, may, disk) = (self.fd.clone(), self.need(Access::WRITE), self.disk.clone());
        move || {
            may?;
            able(disk.abilities.holes)?;
            reserve(&fd, size)?;
            attributes::attr_of(&fd, disk.keeps)
        }
    }

    pub(crate) fn copy(
        &self,
        to: u64,
        source: &dyn File,
        from: u64,
        length: u64,
        how: Copying,
    ) -> Outcome<(Lies, impl FnOnce() -> Outcome<u64> + use<>)> {
        let source = source.as_own::<LocalFile>().ok_or(ErrorKind::Unsupported)?;
        able(Arc::ptr_eq(&source.disk, &self.disk))?;
        source.need(Access::READ)?;
        self.need(Access::WRITE)?;
        let way = Way { source: source.fd.clone(), from, target: self.fd.clone(), to, length };
        let lies = if source.fd.lies() == Lies::Beyond { Lies::Beyond } else { self.fd.lies() };
        Ok((lies, move || way.go(how)))
    }
}

fn able(ability: bool) -> Outcome<()> {
    if ability { Ok(()) } else { Err(ErrorKind::Unsupported.into()) }
}
