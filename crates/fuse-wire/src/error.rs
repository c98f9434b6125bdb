//! What can be wrong with a message of the kernel.
//!
//! Every decoder answers with a [`WireError`], which says what was being read and what was wrong with it:
//! enough for one log line. Whoever sent the request still waits for an answer: its `unique` is in
//! [`crate::Header::decode`], which fails only where nobody could be answered.

use std::fmt;

/// Why bytes could not be turned into a value. `what` names the request or structure being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireError {
    /// Fewer bytes than the structure needs.
    Short { what: &'static str, need: usize, have: usize },
    /// The header speaks of another length than the message has.
    BadLength { said: u32, have: usize },
    /// A field holds a value that the protocol does not know.
    BadValue { what: &'static str, value: u64 },
    /// A name without its terminating NUL, an empty one, or a component of a path with a slash.
    BadName { what: &'static str },
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { what, need, have } => write!(f, "{what}: needs {need} bytes, has {have}"),
            Self::BadLength { said, have } => {
                write!(f, "fuse_in_header: says {said} bytes, the message has {have}")
            }
            Self::BadValue { what, value } => write!(f, "{what}: value {value:#x} is not allowed"),
            Self::BadName { what } => write!(f, "{what}: not a valid name"),
        }
    }
}

impl std::error::Error for WireError {}
