//! The header of every request (`struct fuse_in_header`).

use crate::{error::WireError, fields::Fixed, opcode::Opcode};

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 40;

/// Bit of [`Header::unique`]: the request was sent before, to a process that is gone or asked for it again
/// (`FUSE_UNIQUE_RESEND`).
pub const UNIQUE_RESEND: u64 = 1 << 63;

/// Who asks what of which node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What is asked.
    pub opcode: Opcode,
    /// Names the request; its answer and its INTERRUPT repeat it, [`UNIQUE_RESEND`] included.
    pub unique: u64,
    /// The node it is about; of a request with a name, the directory.
    pub nodeid: u64,
    /// The file system user of the caller, or [`crate::INVALID_ID`].
    pub uid: u32,
    /// The file system group of the caller, or [`crate::INVALID_ID`].
    pub gid: u32,
    /// The process of the caller; 0 is the kernel, or one that our namespace does not show.
    pub pid: u32,
}

impl Header {
    /// Reads the header of a message, whatever follows. It fails only where nobody could be answered.
    pub fn decode(message: &[u8]) -> Result<Self, WireError> {
        Ok(Self::of(&Self::fixed(message)?))
    }

    /// Whether the request was sent before.
    pub const fn is_resent(&self) -> bool {
        self.unique & UNIQUE_RESEND != 0
    }

    /// The header, and how many bytes at the end of the message are extensions.
    pub(crate) fn decode_whole(message: &[u8]) -> Result<(Self, usize), WireError> {
        let fixed = Self::fixed(message)?;
        let said = fixed.u32(0);
        if said as usize != message.len() {
            return Err(WireError::BadLength { said, have: message.len() });
        }
        Ok((Self::of(&fixed), 8 * usize::from(fixed.u16(36))))
    }

    fn fixed(message: &[u8]) -> Result<Fixed<'_, HEADER_LEN>, WireError> {
        Fixed::new(message, "fuse_in_header")
    }

    fn of(fixed: &Fixed<'_, HEADER_LEN>) -> Self {
        Self {
            opcode: Opcode(fixed.u32(4)),
            unique: fixed.u64(8),
            nodeid: fixed.u64(16),
            uid: fixed.u32(24),
            gid: fixed.u32(28),
            pid: fixed.u32(32),
        }
    }
}
