//! What surrounds a message on a TCP connection: the four-byte frame header (MS-SMB2 2.1, RFC 1002 4.3)
//! and the protocol ids that tell plain, encrypted, compressed and SMB1 messages apart.

use crate::error::WireError;

/// Length of the frame header in bytes.
pub const FRAME_HEADER_LEN: usize = 4;

/// Longest message that a direct-TCP frame can announce, in bytes (24 bits).
pub const MAX_FRAME_LEN: usize = 0x00FF_FFFF;

/// What a frame header announces. Lengths are the bytes that follow the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// An SMB message of this length.
    Message(usize),
    /// A NetBIOS session request of this length (port 139 only).
    SessionRequest(usize),
    /// A NetBIOS keep-alive; nothing follows.
    KeepAlive,
}

impl Frame {
    /// Reads a frame header.
    pub fn decode(header: [u8; FRAME_HEADER_LEN]) -> Result<Self, WireError> {
        let [kind, length @ ..] = header;
        let length = u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize;
        match kind {
            0x00 => Ok(Self::Message(length)),
            0x81 => Ok(Self::SessionRequest(length)),
            0x85 => Ok(Self::KeepAlive),
            _ => Err(WireError::BadValue { what: "frame type", value: u64::from(kind) }),
        }
    }

    /// The frame header of a message of `length` bytes; fails above [`MAX_FRAME_LEN`].
    pub fn message_header(length: usize) -> Result<[u8; FRAME_HEADER_LEN], WireError> {
        if length > MAX_FRAME_LEN {
            return Err(WireError::BadValue { what: "frame length", value: length as u64 });
        }
        Ok((length as u32).to_be_bytes())
    }
}

/// The kind of a message, by its first four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// SMB1: only its NEGOTIATE is understood ([`crate::smb1`]).
    Smb1,
    /// A plain SMB2 message or chain.
    Smb2,
    /// An encrypted message ([`crate::transform::TransformHeader`]).
    Encrypted,
    /// A compressed message ([`crate::compression_transform`]).
    Compressed,
}

impl Protocol {
    /// The kind of `message`.
    pub fn of(message: &[u8]) -> Result<Self, WireError> {
        match message {
            [0xFF, b'S', b'M', b'B', ..] => Ok(Self::Smb1),
            [0xFE, b'S', b'M', b'B', ..] => Ok(Self::Smb2),
            [0xFD, b'S', b'M', b'B', ..] => Ok(Self::Encrypted),
            [0xFC, b'S', b'M', b'B', ..] => Ok(Self::Compressed),
            [a, b, c, d, ..] => Err(WireError::BadValue {
                what: "ProtocolId",
                value: u64::from(u32::from_le_bytes([*a, *b, *c, *d])),
            }),
            _ => Err(WireError::Short { what: "ProtocolId", need: 4, have: message.len() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames() {
        assert_eq!(Frame::decode([0, 1, 2, 3]), Ok(Frame::Message(0x010203)));
        assert_eq!(Frame::decode([0x85, 0, 0, 0]), Ok(Frame::KeepAlive));
        assert!(Frame::decode([b'G', b'E', b'T', b' ']).is_err());
        assert_eq!(Frame::message_header(0x010203), Ok([0, 1, 2, 3]));
        assert!(Frame::message_header(MAX_FRAME_LEN + 1).is_err());
    }

    #[test]
    fn protocols() {
        assert_eq!(Protocol::of(b"\xFFSMBr"), Ok(Protocol::Smb1));
        assert_eq!(Protocol::of(b"\xFDSMB"), Ok(Protocol::Encrypted));
        assert!(Protocol::of(b"HTTP").is_err());
        assert!(Protocol::of(b"\xFES").is_err());
    }
}
