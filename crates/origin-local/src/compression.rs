//! Files that the file system keeps compressed.
//!
//! A flag of the inode (`FS_COMPR_FL`) says that what is written from now on is compressed; what is there already stays
//! as it is. A directory with the flag gives it to what is made in it. On btrfs alone the flag means something:
//! ext4 takes it and compresses nothing.

use crate::beneath::reopen;
use crate::error::{Failure, Outcome};
use rustix::fd::OwnedFd;
use rustix::fs::{
    IFlags, Mode, OFlags, Statx, StatxAttributes, fstatfs, ioctl_getflags, ioctl_setflags, openat,
};
use rustix::io::Errno;
use volume::ErrorKind;

/// What `statfs` tells of btrfs.
const BTRFS_MAGIC: u64 = 0x9123_683e;
/// `FS_NOCOMP_FL`: never to be compressed; excludes the other.
const NOT_COMPRESSED: IFlags = IFlags::from_bits_retain(0x400);

/// Whether the file system of this directory compresses: tried on an unnamed file.
pub(crate) fn is_kept_in(dir: &OwnedFd) -> bool {
    if !fstatfs(dir).is_ok_and(|stat| stat.f_type as u64 == BTRFS_MAGIC) {
        return false;
    }
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    openat(dir, c".", flags, Mode::RUSR | Mode::WUSR).is_ok_and(|file| set_flag(&file, true).is_ok())
}

/// Whether an object that was looked at has the flag.
pub(crate) fn is_told(stat: &Statx) -> bool {
    stat.stx_attributes.contains(StatxAttributes::COMPRESSED)
}

/// Sets the flag of a file or directory, behind a descriptor of any kind.
pub(crate) fn set(fd: &OwnedFd, compressed: bool) -> Outcome<()> {
    let done = match set_flag(fd, compressed) {
        // A mere handle.
        Err(Errno::BADF) => set_flag(&reopen(fd, OFlags::RDONLY)?, compressed),
        result => result,
    };
    done.map_err(|errno| match errno {
        // Of another file system below the root, or a file that is never copied on write.
        Errno::INVAL | Errno::NOTTY | Errno::OPNOTSUPP => Failure::Kind(ErrorKind::Unsupported),
        errno => errno.into(),
    })
}

fn set_flag(fd: &OwnedFd, compressed: bool) -> Result<(), Errno> {
    let present = ioctl_getflags(fd)?;
    let mut flags = present;
    flags.set(IFlags::COMPRESSED, compressed);
    if compressed {
        flags.remove(NOT_COMPRESSED);
    }
    if flags == present { Ok(()) } else { ioctl_setflags(fd, flags) }
}
