//! The device's ioctls: further descriptors of one connection, and backing files for passthrough.
//!
//! The numbers are those of machines with the generic layout of ioctl numbers (x86, ARM, RISC-V, S/390).

use crate::fields::Filled;

/// `FUSE_DEV_IOC_CLONE`: makes a freshly opened `/dev/fuse` one more of the connection whose descriptor
/// the argument points to, a `u32`.
pub const DEV_IOC_CLONE: u32 = 0x8004_e500;
/// `FUSE_DEV_IOC_BACKING_OPEN`: registers the file of a [`BackingMap`]; what it returns is its backing id.
pub const DEV_IOC_BACKING_OPEN: u32 = 0x4010_e501;
/// `FUSE_DEV_IOC_BACKING_CLOSE`: takes back the backing id that the argument points to, a `u32`.
pub const DEV_IOC_BACKING_CLOSE: u32 = 0x4004_e502;

/// Which file is to back opens (`struct fuse_backing_map`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackingMap {
    /// Its descriptor, which may be closed afterwards.
    pub fd: i32,
}

impl BackingMap {
    /// What the argument of [`DEV_IOC_BACKING_OPEN`] points to.
    pub fn encode(&self) -> [u8; 16] {
        Filled::new().u32(0, self.fd as u32).done()
    }
}
