//! Answers: a head of 16 bytes, then a payload.
//!
//! The payload is one of the arrays made here and in [`crate::attributes`], [`crate::init`],
//! [`crate::lock`], [`crate::statx`]; a page of [`crate::dirents`]; or bytes as they are: what was read, the
//! target of a symlink (without NUL), the value of an extended attribute or the list of their names (each
//! with its NUL). Requests that only want to hear that it is done get a head alone. The kernel refuses an
//! answer that is longer than what it asked for, and one that is shorter except for such bytes.

use crate::{attributes::Entry, fields::Filled, flags::OpenAnswerFlags};

/// Length in bytes of `struct fuse_out_header`.
pub const HEAD_LEN: usize = 16;

/// Errors from here on are the kernel's own; an answer with one is refused.
const ERRNO_END: i32 = 512;
const EIO: i32 = 5;

/// The head of a good answer to the request `unique` whose payload has `payload_len` bytes.
pub fn head(unique: u64, payload_len: usize) -> [u8; HEAD_LEN] {
    out_header(payload_len, 0, unique)
}

/// The whole answer to the request `unique` that failed with `errno`, a positive number as in errno(3). A
/// number that the kernel would refuse is EIO, because the caller would wait forever.
pub fn error(unique: u64, errno: i32) -> [u8; HEAD_LEN] {
    debug_assert!(0 < errno && errno < ERRNO_END, "{errno} is no errno");
    let errno = if 0 < errno && errno < ERRNO_END { errno } else { EIO };
    out_header(0, -errno, unique)
}

/// `struct fuse_out_header`.
pub(crate) fn out_header(payload_len: usize, error: i32, unique: u64) -> [u8; HEAD_LEN] {
    let len = HEAD_LEN + payload_len;
    debug_assert!(len <= u32::MAX as usize, "{len} does not fit an answer");
    Filled::new().u32(0, len as u32).u32(4, error as u32).u64(8, unique).done()
}

/// An opened file or directory: the answer to OPEN and OPENDIR (`struct fuse_open_out`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Opened {
    /// What the kernel calls it from now on.
    pub fh: u64,
    /// How the kernel treats it.
    pub flags: OpenAnswerFlags,
    /// The backing file, with [`OpenAnswerFlags::PASSTHROUGH`]; else 0.
    pub backing_id: i32,
}

impl Opened {
    /// Length in bytes of the payload.
    pub const LEN: usize = 16;

    /// The payload of the answer.
    pub fn encode(&self) -> [u8; Self::LEN] {
        Filled::new().u64(0, self.fh).u32(8, self.flags.bits()).u32(12, self.backing_id as u32).done()
    }
}

/// The answer to CREATE and TMPFILE: what was made, opened.
pub fn created(entry: &Entry, opened: &Opened) -> [u8; Entry::LEN + Opened::LEN] {
    Filled::new().bytes(0, &entry.encode()).bytes(Entry::LEN, &opened.encode()).done()
}

/// The answer to WRITE and COPY_FILE_RANGE: so many bytes (`struct fuse_write_out`).
pub fn written(size: u32) -> [u8; 8] {
    Filled::new().u32(0, size).done()
}

/// The answer to COPY_FILE_RANGE_64: so many bytes (`struct fuse_copy_file_range_out`).
pub fn copied(bytes: u64) -> [u8; 8] {
    bytes.to_ne_bytes()
}

/// The answer to GETXATTR and LISTXATTR with size 0: so many bytes there are (`struct fuse_getxattr_out`).
pub fn xattr_size(size: u32) -> [u8; 8] {
    Filled::new().u32(0, size).done()
}

/// The answer to LSEEK: there it is (`struct fuse_lseek_out`).
pub fn position(offset: u64) -> [u8; 8] {
    offset.to_ne_bytes()
}

/// How full a file system is: the answer to STATFS (`struct fuse_kstatfs`), fields as in statvfs(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statfs {
    /// All blocks, of `fragment_size`.
    pub blocks: u64,
    /// Free ones.
    pub blocks_free: u64,
    /// Free ones for whom they are not reserved from.
    pub blocks_available: u64,
    /// All inodes.
    pub files: u64,
    /// Free ones.
    pub files_free: u64,
    /// Preferred length of reads and writes, in bytes.
    pub block_size: u32,
    /// Longest name, in bytes.
    pub name_max: u32,
    /// Length of a block, in bytes.
    pub fragment_size: u32,
}

impl Statfs {
    /// The payload of the answer.
    pub fn encode(&self) -> [u8; 80] {
        Filled::new()
            .u64(0, self.blocks)
            .u64(8, self.blocks_free)
            .u64(16, self.blocks_available)
            .u64(24, self.files)
            .u64(32, self.files_free)
            .u32(40, self.block_size)
            .u32(44, self.name_max)
            .u32(48, self.fragment_size)
            .done()
    }
}
