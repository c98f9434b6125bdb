//! GETATTR and SETATTR.

use super::GETATTR_FH;
use crate::{error::WireError, fields::Body, flags::SetattrFlags, time::Time};

/// `struct fuse_getattr_in`: the handle, if there is one.
pub(super) fn getattr(body: &mut Body) -> Result<Option<u64>, WireError> {
    body.fixed::<16, _>(|fixed| (fixed.u32(0) & GETATTR_FH != 0).then(|| fixed.u64(8)))
}

/// What a time is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetTime {
    /// The server's now. The owner may, and whoever may write.
    Now,
    /// This. Only the owner may.
    To(Time),
}

/// Changes of attributes (`struct fuse_setattr_in`): what is `None` stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Setattr {
    /// The flags as sent, [`SetattrFlags::KILL_SUIDGID`] among them; those of the fields below are the
    /// fields' `Some`.
    pub valid: SetattrFlags,
    /// The open file that the change goes through.
    pub fh: Option<u64>,
    /// New length in bytes.
    pub size: Option<u64>,
    /// Whose POSIX locks do not hinder a truncation.
    pub lock_owner: Option<u64>,
    /// Last access.
    pub atime: Option<SetTime>,
    /// Last change of the content.
    pub mtime: Option<SetTime>,
    /// Last change of the inode; only where the kernel writes back later.
    pub ctime: Option<Time>,
    /// Permissions; with the type, which stays.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
}

impl Setattr {
    pub(super) fn decode(body: &mut Body) -> Result<Self, WireError> {
        use SetattrFlags as Valid;
        body.fixed::<88, _>(|fixed| {
            let valid = Valid::from_bits_retain(fixed.u32(0));
            let time = |flag, now, value| match valid {
                valid if !valid.contains(flag) => None,
                valid if valid.contains(now) => Some(SetTime::Now),
                _ => Some(SetTime::To(value)),
            };
            Self {
                valid,
                fh: valid.contains(Valid::FH).then(|| fixed.u64(8)),
                size: valid.contains(Valid::SIZE).then(|| fixed.u64(16)),
                lock_owner: valid.contains(Valid::LOCKOWNER).then(|| fixed.u64(24)),
                atime: time(Valid::ATIME, Valid::ATIME_NOW, fixed.time(32, 56)),
                mtime: time(Valid::MTIME, Valid::MTIME_NOW, fixed.time(40, 60)),
                ctime: valid.contains(Valid::CTIME).then(|| fixed.time(48, 64)),
                mode: valid.contains(Valid::MODE).then(|| fixed.u32(68)),
                uid: valid.contains(Valid::UID).then(|| fixed.u32(76)),
                gid: valid.contains(Valid::GID).then(|| fixed.u32(80)),
            }
        })
    }
}
