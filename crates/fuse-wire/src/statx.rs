//! STATX (since 7.39): what GETATTR cannot say, above all the time of birth.

use crate::{
    device::Device,
    error::WireError,
    fields::{Body, Filled},
    time::Time,
};
use bitflags::bitflags;
use std::time::Duration;

bitflags! {
    /// Which fields are asked for or filled in (`STATX_*` of statx(2)).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct StatxMask: u32 {
        /// Type in `mode`.
        const TYPE = 0x0001;
        /// Permissions in `mode`.
        const MODE = 0x0002;
        /// `nlink`.
        const NLINK = 0x0004;
        /// `uid`.
        const UID = 0x0008;
        /// `gid`.
        const GID = 0x0010;
        /// `atime`.
        const ATIME = 0x0020;
        /// `mtime`.
        const MTIME = 0x0040;
        /// `ctime`.
        const CTIME = 0x0080;
        /// `ino`.
        const INO = 0x0100;
        /// `size`.
        const SIZE = 0x0200;
        /// `blocks`.
        const BLOCKS = 0x0400;
        /// All that stat(2) has.
        const BASIC_STATS = 0x07ff;
        /// `btime`.
        const BTIME = 0x0800;
        const _ = !0;
    }
}

/// The request (`struct fuse_statx_in`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatxRequest {
    /// The open file, if the caller has one.
    pub fh: Option<u64>,
    /// `AT_STATX_*` of the caller.
    pub flags: u32,
    /// What is asked for.
    pub mask: StatxMask,
}

impl StatxRequest {
    pub(crate) fn decode(body: &mut Body) -> Result<Self, WireError> {
        body.fixed::<24, _>(|fixed| Self {
            fh: (fixed.u32(0) & crate::request::GETATTR_FH != 0).then(|| fixed.u64(8)),
            flags: fixed.u32(16),
            mask: StatxMask::from_bits_retain(fixed.u32(20)),
        })
    }
}

/// What a node is (`struct fuse_statx`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statx {
    /// Which fields are filled in.
    pub mask: StatxMask,
    /// Preferred length of reads and writes, in bytes.
    pub block_size: u32,
    /// `STATX_ATTR_*`.
    pub attributes: u64,
    /// How many names it has.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Type and permissions.
    pub mode: u16,
    /// The inode number.
    pub ino: u64,
    /// Length in bytes.
    pub size: u64,
    /// Space in blocks of 512 bytes.
    pub blocks: u64,
    /// Which of `attributes` are known.
    pub attributes_mask: u64,
    /// Last access.
    pub atime: Time,
    /// Birth.
    pub btime: Time,
    /// Last change of the inode.
    pub ctime: Time,
    /// Last change of the content.
    pub mtime: Time,
    /// Of a device node, which device.
    pub rdev: Device,
    /// The device it lies on; the kernel shows its own.
    pub dev: Device,
}

impl Statx {
    /// `struct fuse_statx`.
    fn encode(&self) -> [u8; 256] {
        Filled::new()
            .u32(0, self.mask.bits())
            .u32(4, self.block_size)
            .u64(8, self.attributes)
            .u32(16, self.nlink)
            .u32(20, self.uid)
            .u32(24, self.gid)
            .u16(28, self.mode)
            .u64(32, self.ino)
            .u64(40, self.size)
            .u64(48, self.blocks)
            .u64(56, self.attributes_mask)
            .time(64, 72, self.atime)
            .time(80, 88, self.btime)
            .time(96, 104, self.ctime)
            .time(112, 120, self.mtime)
            .u32(128, self.rdev.major())
            .u32(132, self.rdev.minor())
            .u32(136, self.dev.major())
            .u32(140, self.dev.minor())
            .done()
    }

    /// The payload of the answer: valid for this long (`struct fuse_statx_out`).
    pub fn answer(&self, valid: Duration) -> [u8; 288] {
        Filled::new().duration(0, 8, valid).bytes(32, &self.encode()).done()
    }
}
