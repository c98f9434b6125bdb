//! Locks of byte ranges and of whole files (GETLK, SETLK, SETLKW).

use crate::{
    error::WireError,
    fields::{Body, Filled},
    flags::LockFlags,
};

/// What a lock is (`F_RDLCK`, `F_WRLCK`, `F_UNLCK`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LockKind {
    /// Shared.
    Read,
    /// Exclusive.
    Write,
    /// None: to take away; in the answer to GETLK, nothing is in the way.
    Unlock,
}

impl LockKind {
    fn from_wire(value: u32, what: &'static str) -> Result<Self, WireError> {
        match value {
            0 => Ok(Self::Read),
            1 => Ok(Self::Write),
            2 => Ok(Self::Unlock),
            _ => Err(WireError::BadValue { what, value: u64::from(value) }),
        }
    }

    fn to_wire(self) -> u32 {
        match self {
            Self::Read => 0,
            Self::Write => 1,
            Self::Unlock => 2,
        }
    }
}

/// A lock of a range (`struct fuse_file_lock`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileLock {
    /// First byte.
    pub start: u64,
    /// Last byte; [`FileLock::TO_THE_END`] is all that ever will be.
    pub end: u64,
    /// What it is.
    pub kind: LockKind,
    /// The process that holds or wants it.
    pub pid: u32,
}

impl FileLock {
    /// The last byte of a range without an end (`OFFSET_MAX`).
    pub const TO_THE_END: u64 = i64::MAX as u64;

    /// The answer to GETLK: the lock in the way, or one of kind [`LockKind::Unlock`]
    /// (`struct fuse_lk_out`).
    pub fn encode(&self) -> [u8; 24] {
        Filled::new()
            .u64(0, self.start)
            .u64(8, self.end)
            .u32(16, self.kind.to_wire())
            .u32(20, self.pid)
            .done()
    }
}

/// A request about a lock (`struct fuse_lk_in`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LockRequest {
    /// The open file.
    pub fh: u64,
    /// Whose it is: a number that the kernel made for a table of files or one open.
    pub owner: u64,
    /// Which.
    pub lock: FileLock,
    /// Which sort.
    pub flags: LockFlags,
}

impl LockRequest {
    pub(crate) fn decode(body: &mut Body) -> Result<Self, WireError> {
        let what = body.what();
        body.fixed::<48, _>(|fixed| {
            Ok(Self {
                fh: fixed.u64(0),
                owner: fixed.u64(8),
                lock: FileLock {
                    start: fixed.u64(16),
                    end: fixed.u64(24),
                    kind: LockKind::from_wire(fixed.u32(32), what)?,
                    pid: fixed.u32(36),
                },
                flags: LockFlags::from_bits_retain(fixed.u32(40)),
            })
        })?
    }
}
