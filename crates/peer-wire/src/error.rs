//! Why bytes are not a message.

use std::fmt;
use volume::PathError;

/// Why bytes are not a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WireError {
    /// Written by another version of the protocol.
    Version(u8),
    /// A kind of message that this version does not know.
    UnknownKind(u8),
    /// It ends too early.
    Truncated,
    /// Bytes are left over.
    Trailing,
    /// A number over 64 bits, or over the width of its field.
    Overflow,
    /// Text that is not UTF-8.
    NotText,
    /// A path that is none.
    Path(PathError),
    /// A value outside its range; the word says of what.
    Value(&'static str),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Version(version) => {
                write!(f, "peer protocol version {version}, this side speaks {}", crate::VERSION)
            }
            WireError::UnknownKind(kind) => write!(f, "unknown kind of message {kind}"),
            WireError::Truncated => f.write_str("a message that ends too early"),
            WireError::Trailing => f.write_str("bytes after the end of a message"),
            WireError::Overflow => f.write_str("a number too large for its field"),
            WireError::NotText => f.write_str("text that is not UTF-8"),
            WireError::Path(why) => write!(f, "not a path: {why}"),
            WireError::Value(what) => write!(f, "{what} out of range"),
        }
    }
}

impl std::error::Error for WireError {}

impl From<PathError> for WireError {
    fn from(why: PathError) -> WireError {
        WireError::Path(why)
    }
}
