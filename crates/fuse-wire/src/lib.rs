//! Bytes to values and back, for the protocol that the Linux kernel speaks over `/dev/fuse`. No I/O, no
//! state, no policy.
//!
//! The source of truth is `include/uapi/linux/fuse.h`, here of Linux 6.18 (7.45); structures and flags are
//! cited by their names there. What is older than 7.31 (Linux 5.4) is not read.
//!
//! Conventions:
//!
//! * Integers have the byte order of the machine, because both sides run on it.
//! * [`Request::decode`] takes one whole message, as one `read` gives it. Names and data are slices of the
//!   message, not copies. A name is any bytes without NUL; what the kernel calls one component of a path is
//!   neither empty nor does it hold a slash.
//! * What answers is an array or a `Vec` without its head; [`answer::head`] makes the 16 bytes that
//!   `writev` sends before it.
//! * A decoder leaves padding, unknown bits and bytes after the last field alone, because the kernel grows
//!   its structures that way. It refuses what cannot be read, with a [`WireError`]. It never panics, and
//!   what it allocates is bounded by the length of its input.
//! * Flags keep unknown bits. Values that belong to the platform's C library (`O_*`, `S_IF*`,
//!   `FALLOC_FL_*`, errno) stay plain integers.

pub mod answer;
pub mod attributes;
pub mod backing;
pub mod device;
pub mod dirents;
pub mod error;
pub mod extensions;
mod fields;
pub mod flags;
pub mod header;
pub mod init;
pub mod lock;
pub mod notify;
pub mod opcode;
pub mod request;
pub mod statx;
pub mod time;

pub use attributes::{Attributes, Entry};
pub use device::Device;
pub use dirents::{DirentKind, Dirents};
pub use error::WireError;
pub use extensions::Extensions;
pub use flags::InitFlags;
pub use header::Header;
pub use lock::{FileLock, LockKind};
pub use opcode::Opcode;
pub use request::{Operation, Request};
pub use time::Time;

/// The major version spoken (`FUSE_KERNEL_VERSION`).
pub const MAJOR: u32 = 7;
/// The newest minor version whose structures are known here (`FUSE_KERNEL_MINOR_VERSION`).
pub const MINOR: u32 = 45;
/// The oldest minor version whose structures are read here: Linux 5.4.
pub const MINOR_MIN: u32 = 31;
/// The node that is the root of the mount (`FUSE_ROOT_ID`).
pub const ROOT_ID: u64 = 1;
/// The owner in a header whose user or group an idmapped mount cannot express (`FUSE_INVALID_UIDGID`).
pub const INVALID_ID: u32 = u32::MAX;
/// The kernel refuses to read into a buffer smaller than this, in bytes (`FUSE_MIN_READ_BUFFER`).
pub const READ_BUFFER_MIN_LEN: usize = 8192;

/// How long in bytes the buffer must be that a request is read into, when one WRITE brings `max_write`
/// bytes at most.
pub const fn read_buffer_len(max_write: u32) -> usize {
    let longest = header::HEADER_LEN + request::WRITE_LEN + max_write as usize;
    if longest > READ_BUFFER_MIN_LEN { longest } else { READ_BUFFER_MIN_LEN }
}
