//! What can be wrong with bytes from the other side.
//!
//! Every decoder answers with a [`WireError`], which says what was being read and what was wrong with
//! it: enough for one log line. A server turns all of them into one status ([`WireError::status`]).

use crate::status::NtStatus;
use std::fmt;

/// Why bytes could not be turned into a value. `what` names the structure and field being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireError {
    /// Fewer bytes than the structure needs.
    Short { what: &'static str, need: usize, have: usize },
    /// A field holds a value that the specification does not allow.
    BadValue { what: &'static str, value: u64 },
    /// An offset and length that point outside the bytes that hold them, or that are not aligned.
    BadRange { what: &'static str, offset: usize, length: usize },
    /// A string that is not a whole number of UTF-16 code units, or is not terminated.
    BadName { what: &'static str },
}

impl WireError {
    /// The status that a server answers with: `STATUS_INVALID_PARAMETER` for every malformed request
    /// (MS-SMB2 3.3.5).
    pub fn status(&self) -> NtStatus {
        NtStatus::INVALID_PARAMETER
    }

    /// The structure and field that was being read.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Short { what, .. }
            | Self::BadValue { what, .. }
            | Self::BadRange { what, .. }
            | Self::BadName { what } => what,
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { what, need, have } => write!(f, "{what}: needs {need} bytes, has {have}"),
            Self::BadValue { what, value } => write!(f, "{what}: value {value:#x} is not allowed"),
            Self::BadRange { what, offset, length } => {
                write!(f, "{what}: offset {offset} with length {length} is outside or misaligned")
            }
            Self::BadName { what } => write!(f, "{what}: not a valid string"),
        }
    }
}

impl std::error::Error for WireError {}
