//! SFTP version 3 (draft-ietf-secsh-filexfer-02) and OpenSSH's extensions (its file PROTOCOL): bytes <-> values, no I/O.
//!
//! A packet is its length (32 bits, big-endian), a type, the number of the request (but for INIT and VERSION), and a body.
//! Names, targets and handles are strings of bytes in no encoding; here they are [`Bytes`], slices of the packet that they
//! came in. Nothing is reserved on the word of a server: an answer takes no more room than the packet has.

mod answer;
mod attrs;
mod cursor;
mod request;
mod version;

pub(crate) use answer::{Answer, NameEntry, ServerLimits, StatVfs, Status, StatusCode, split_frame};
pub(crate) use attrs::Attrs;
pub(crate) use request::{OpenFlags, Request};
pub(crate) use version::{Extensions, Greeting};

/// The version that is spoken.
pub(crate) const VERSION: u32 = 3;
/// Longest packet that is taken, bytes, without its length. OpenSSH sends and takes 256 KiB.
pub(crate) const PACKET_MAX_BYTES: usize = 320 * 1024;

/// Types of packets (section 3).
mod kind {
    pub(super) const INIT: u8 = 1;
    pub(super) const VERSION: u8 = 2;
    pub(super) const OPEN: u8 = 3;
    pub(super) const CLOSE: u8 = 4;
    pub(super) const READ: u8 = 5;
    pub(super) const WRITE: u8 = 6;
    pub(super) const LSTAT: u8 = 7;
    pub(super) const FSTAT: u8 = 8;
    pub(super) const SETSTAT: u8 = 9;
    pub(super) const FSETSTAT: u8 = 10;
    pub(super) const OPENDIR: u8 = 11;
    pub(super) const READDIR: u8 = 12;
    pub(super) const REMOVE: u8 = 13;
    pub(super) const MKDIR: u8 = 14;
    pub(super) const RMDIR: u8 = 15;
    pub(super) const STAT: u8 = 17;
    pub(super) const RENAME: u8 = 18;
    pub(super) const READLINK: u8 = 19;
    pub(super) const SYMLINK: u8 = 20;
    pub(super) const STATUS: u8 = 101;
    pub(super) const HANDLE: u8 = 102;
    pub(super) const DATA: u8 = 103;
    pub(super) const NAME: u8 = 104;
    pub(super) const ATTRS: u8 = 105;
    pub(super) const EXTENDED: u8 = 200;
    pub(super) const EXTENDED_REPLY: u8 = 201;
}

/// An answer that is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WireError {
    /// It ends before what it announces.
    Short,
    /// Longer than [`PACKET_MAX_BYTES`], or of no length at all.
    Length(u32),
    /// Of a type that answers nothing.
    Kind(u8),
    /// Of a version that is not spoken here.
    Version(u32),
}

impl std::fmt::Display for WireError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            WireError::Short => f.write_str("an SFTP packet ends too early"),
            WireError::Length(length) => write!(f, "an SFTP packet of {length} bytes"),
            WireError::Kind(kind) => write!(f, "an SFTP packet of type {kind} as an answer"),
            WireError::Version(version) => write!(f, "SFTP version {version}; {VERSION} is needed"),
        }
    }
}

impl std::error::Error for WireError {}
