//! What a node is, and how long the kernel may believe it: the answers to LOOKUP and its like, and to
//! GETATTR and SETATTR.

use crate::{device::Device, fields::Filled, flags::AttributeFlags, time::Time};
use std::time::Duration;

/// Length in bytes of `struct fuse_attr`.
const ATTRIBUTES_LEN: usize = 88;

/// What a node is (`struct fuse_attr`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    /// The inode number that stat shows; it need not be the node's id.
    pub ino: u64,
    /// Length in bytes; more than `i64::MAX` the kernel refuses.
    pub size: u64,
    /// Space in blocks of 512 bytes.
    pub blocks: u64,
    /// Last access.
    pub atime: Time,
    /// Last change of the content.
    pub mtime: Time,
    /// Last change of the inode.
    pub ctime: Time,
    /// Type and permissions, `S_IF*` included. The type of a node never changes.
    pub mode: u32,
    /// How many names it has.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Of a device node, which device.
    pub rdev: Device,
    /// Preferred length of reads and writes, in bytes; 0 leaves it to the kernel.
    pub block_size: u32,
    /// What else.
    pub flags: AttributeFlags,
}

impl Attributes {
    /// `struct fuse_attr`.
    pub fn encode(&self) -> [u8; ATTRIBUTES_LEN] {
        Filled::new()
            .u64(0, self.ino)
            .u64(8, self.size)
            .u64(16, self.blocks)
            .time(24, 48, self.atime)
            .time(32, 52, self.mtime)
            .time(40, 56, self.ctime)
            .u32(60, self.mode)
            .u32(64, self.nlink)
            .u32(68, self.uid)
            .u32(72, self.gid)
            .u32(76, self.rdev.to_wire())
            .u32(80, self.block_size)
            .u32(84, self.flags.bits())
            .done()
    }

    /// The answer to GETATTR and SETATTR: valid for this long (`struct fuse_attr_out`).
    pub fn answer(&self, valid: Duration) -> [u8; 104] {
        Filled::new().duration(0, 8, valid).bytes(16, &self.encode()).done()
    }
}

/// Which node a name is: the answer to LOOKUP, MKNOD, MKDIR, SYMLINK and LINK (`struct fuse_entry_out`).
///
/// Each one that reaches the kernel counts as one lookup of the node, which a FORGET takes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entry {
    /// The node, or 0: there is none of this name (see [`Entry::absent`]).
    pub nodeid: u64,
    /// Tells nodes apart that had the same id one after the other.
    pub generation: u64,
    /// How long the name is valid.
    pub name_valid: Duration,
    /// How long the attributes are valid.
    pub attributes_valid: Duration,
    /// What it is.
    pub attributes: Attributes,
}

impl Entry {
    /// Length in bytes of `struct fuse_entry_out`.
    pub const LEN: usize = 40 + ATTRIBUTES_LEN;

    /// There is no such name, which the kernel may believe for so long. (ENOENT says it too, for no time.)
    pub fn absent(name_valid: Duration) -> Self {
        Self { name_valid, ..Self::default() }
    }

    /// The payload of the answer.
    pub fn encode(&self) -> [u8; Self::LEN] {
        Filled::new()
            .u64(0, self.nodeid)
            .u64(8, self.generation)
            .duration(16, 32, self.name_valid)
            .duration(24, 36, self.attributes_valid)
            .bytes(40, &self.attributes.encode())
            .done()
    }
}
