//! Requests that open files and directories and work with what is open.

use crate::{
    error::WireError,
    fields::Body,
    flags::{IoctlFlags, OpenRequestFlags, PollFlags, ReadFlags, ReleaseFlags, WriteFlags},
};
use bytes::Bytes;

/// Length in bytes of `struct fuse_write_in`, between header and data.
pub const WRITE_LEN: usize = 40;
/// [`Lseek::whence`]: the next byte of data.
pub const SEEK_DATA: u32 = 3;
/// [`Lseek::whence`]: the next hole, or the end.
pub const SEEK_HOLE: u32 = 4;

/// To open (`struct fuse_open_in`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// `O_*` of the caller.
    pub flags: u32,
    /// What else.
    pub open_flags: OpenRequestFlags,
}

impl Open {
    pub(super) fn decode(body: &mut Body) -> Result<Self, WireError> {
        body.fixed::<8, _>(|fixed| Self {
            flags: fixed.u32(0),
            open_flags: OpenRequestFlags::from_bits_retain(fixed.u32(4)),
        })
    }
}

/// To read from a file or a directory (`struct fuse_read_in`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// The open.
    pub fh: u64,
    /// First byte; of a directory, what its last record said, 0 at first.
    pub offset: u64,
    /// Bytes to answer at most. Fewer are the end of a file.
    pub size: u32,
    /// Whose POSIX locks do not hinder it, if that is known.
    pub lock_owner: Option<u64>,
    /// `O_*` of the open as they are now.
    pub flags: u32,
}

impl Read {
    pub(super) fn decode(body: &mut Body) -> Result<Self, WireError> {
        body.fixed::<40, _>(|fixed| {
            let read_flags = ReadFlags::from_bits_retain(fixed.u32(20));
            Self {
                fh: fixed.u64(0),
                offset: fixed.u64(8),
                size: fixed.u32(16),
                lock_owner: read_flags.contains(ReadFlags::LOCKOWNER).then(|| fixed.u64(24)),
                flags: fixed.u32(32),
            }
        })
    }
}

/// To write (`struct fuse_write_in`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The open.
    pub fh: u64,
    /// First byte.
    pub offset: u64,
    /// How.
    pub write_flags: WriteFlags,
    /// Whose POSIX locks do not hinder it, if that is known.
    pub lock_owner: Option<u64>,
    /// `O_*` of the open as they are now.
    pub flags: u32,
    /// What.
    pub data: Bytes,
}

impl Write {
    pub(super) fn decode(body: &mut Body) -> Result<Self, WireError> {
        let (size, mut write) = body.fixed::<WRITE_LEN, _>(|fixed| {
            let write_flags = WriteFlags::from_bits_retain(fixed.u32(20));
            let lock_owner = write_flags.contains(WriteFlags::LOCKOWNER).then(|| fixed.u64(24));
            let (fh, offset, flags) = (fixed.u64(0), fixed.u64(8), fixed.u32(32));
            (fixed.u32(16), Self { fh, offset, write_flags, lock_owner, flags, data: Bytes::new() })
        })?;
        write.data = body.data(size as usize)?;
        Ok(write)
    }
}

/// To close (`struct fuse_release_in`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// The open.
    pub fh: u64,
    /// `O_*` of the open.
    pub flags: u32,
    /// What goes with it.
    pub release_flags: ReleaseFlags,
    /// Whose BSD lock goes, with [`ReleaseFlags::FLOCK_UNLOCK`].
    pub lock_owner: u64,
}

impl Release {
    pub(super) fn decode(body: &mut Body) -> Result<Self, WireError> {
        body.fixed::<24, _>(|fixed| Self {
            fh: fixed.u64(0),
            flags: fixed.u32(8),
            release_flags: ReleaseFlags::from_bits_retain(fixed.u32(12)),
            lock_owner: fixed.u64(16),
        })
    }
}

/// The head of an ioctl (`struct fuse_ioctl_in`); its input is left in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ioctl {
    /// The open.
    pub fh: u64,
    /// How.
    pub flags: IoctlFlags,
    /// The command.
    pub command: u32,
    /// Its argument, an address in the caller.
    pub argument: u64,
    /// Bytes of input.
    pub in_size: u32,
    /// Bytes of output at most.
    pub out_size: u32,
}

impl Ioctl {
    pub(super) fn decode(body: &mut Body) -> Result<Self, WireError> {
        body.fixed::<32, _>(|fixed| Self {
            fh: fixed.u64(0),
            flags: IoctlFlags::from_bits_retain(fixed.u32(8)),
            command: fixed.u32(12),
            argument: fixed.u64(16),
            in_size: fixed.u32(24),
            out_size: fixed.u32(28),
        })
    }
}

/// To ask whether a file is ready (`struct fuse_poll_in`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poll {
    /// The open.
    pub fh: u64,
    /// What a later notification would name.
    pub kh: u64,
    /// How.
    pub flags: PollFlags,
    /// `POLL*` that are asked for.
    pub events: u32,
}

impl Poll {
    pub(super) fn decode(body: &mut Body) -> Result<Self, WireError> {
        body.fixed::<24, _>(|fixed| Self {
            fh: fixed.u64(0),
            kh: fixed.u64(8),
            flags: PollFlags::from_bits_retain(fixed.u32(16)),
            events: fixed.u32(20),
        })
    }
}

/// To change what space a range has (`struct fuse_fallocate_in`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fallocate {
    /// The open.
    pub fh: u64,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// `FALLOC_FL_*`.
    pub mode: u32,
}

impl Fallocate {
    pub(super) fn decode(body: &mut Body) -> Result<Self, WireError> {
        body.fixed::<32, _>(|fixed| Self {
            fh: fixed.u64(0),
            offset: fixed.u64(8),
            length: fixed.u64(16),
            mode: fixed.u32(24),
        })
    }
}

/// To seek data or a hole (`struct fuse_lseek_in`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lseek {
    /// The open.
    pub fh: u64,
    /// From here on.
    pub offset: u64,
    /// [`SEEK_DATA`] or [`SEEK_HOLE`].
    pub whence: u32,
}

impl Lseek {
    pub(super) fn decode(body: &mut Body) -> Result<Self, WireError> {
        body.fixed::<24, _>(|fixed| Self { fh: fixed.u64(0), offset: fixed.u64(8), whence: fixed.u32(16) })
    }
}

/// To copy a range from the node of the header to another (`struct fuse_copy_file_range_in`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyFileRange {
    /// The open to read from.
    pub fh_in: u64,
    /// First byte there.
    pub offset_in: u64,
    /// The node to write to.
    pub nodeid_out: u64,
    /// Its open.
    pub fh_out: u64,
    /// First byte there.
    pub offset_out: u64,
    /// Bytes.
    pub length: u64,
    /// As in copy_file_range(2): 0.
    pub flags: u64,
}

impl CopyFileRange {
    pub(super) fn decode(body: &mut Body) -> Result<Self, WireError> {
        body.fixed::<56, _>(|fixed| Self {
            fh_in: fixed.u64(0),
            offset_in: fixed.u64(8),
            nodeid_out: fixed.u64(16),
            fh_out: fixed.u64(24),
            offset_out: fixed.u64(32),
            length: fixed.u64(40),
            flags: fixed.u64(48),
        })
    }
}
