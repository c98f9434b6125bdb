//! Compressed messages of dialect 3.1.1 (MS-SMB2 2.2.42): the header before one compressed part, or the chain of
//! payloads, each compressed in its own way. What is inside the parts is for `smb-core` to restore.

use crate::{
    cursor::{Fixed, Put, slice},
    error::WireError,
    negotiate::compression,
};
use bytes::Bytes;

/// Length in bytes of the header of an unchained message.
pub const UNCHAINED_HEADER_LEN: usize = 16;

/// Most payloads of a chain; a longer one is refused. Windows makes up to five.
pub const MAX_CHAINED_PAYLOADS: usize = 64;

const PROTOCOL_ID: [u8; 4] = *b"\xFCSMB";
const CHAIN_HEAD_LEN: usize = 8;
const PAYLOAD_HEAD_LEN: usize = 8;
const FLAG_CHAINED: u16 = 0x0001;

/// A compressed message, taken apart. Payloads are slices of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompressedMessage {
    /// Some plain bytes, then one compressed part (2.2.42.1).
    Unchained {
        /// The bytes before.
        plain: Bytes,
        /// See [`crate::negotiate::compression`].
        algorithm: u16,
        /// Length in bytes of the compressed part once it is restored, the plain bytes not included.
        original_size: u32,
        /// The compressed part.
        data: Bytes,
    },
    /// A chain of parts (2.2.42.2).
    Chained {
        /// Length in bytes of the whole message once it is restored.
        original_size: u32,
        /// The parts.
        payloads: Vec<ChainedPayload>,
    },
}

/// A part of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainedPayload {
    /// Not compressed.
    Plain(Bytes),
    /// A run of one byte (Pattern_V1, 2.2.42.2.2).
    Pattern {
        /// The byte.
        byte: u8,
        /// How often.
        repetitions: u32,
    },
    /// Compressed.
    Compressed {
        /// See [`crate::negotiate::compression`].
        algorithm: u16,
        /// Length in bytes once it is restored.
        original_size: u32,
        /// The compressed bytes.
        data: Bytes,
    },
}

impl ChainedPayload {
    /// Length in bytes once it is restored.
    pub fn original_len(&self) -> usize {
        match self {
            Self::Plain(data) => data.len(),
            Self::Pattern { repetitions: size, .. } | Self::Compressed { original_size: size, .. } => {
                *size as usize
            }
        }
    }

    fn decode(algorithm: u16, data: Bytes) -> Result<Self, WireError> {
        let what = "compressed payload";
        match algorithm {
            compression::NONE => Ok(Self::Plain(data)),
            compression::PATTERN_V1 => {
                let fixed = Fixed::<8>::new(&data, what)?;
                Ok(Self::Pattern { byte: fixed.u8(0), repetitions: fixed.u32(4) })
            }
            algorithm => {
                let original_size = Fixed::<4>::new(&data, what)?.u32(0);
                Ok(Self::Compressed { algorithm, original_size, data: data.slice(4..) })
            }
        }
    }

    fn encode(&self, is_first: bool, out: &mut Vec<u8>) {
        out.u16(match self {
            Self::Plain(_) => compression::NONE,
            Self::Pattern { .. } => compression::PATTERN_V1,
            Self::Compressed { algorithm, .. } => *algorithm,
        });
        out.u16(if is_first { FLAG_CHAINED } else { 0 });
        let length_at = out.len();
        out.u32(0);
        match self {
            Self::Plain(data) => out.bytes(data),
            Self::Pattern { byte, repetitions } => {
                out.u8(*byte);
                out.zeros(3);
                out.u32(*repetitions);
            }
            Self::Compressed { original_size, data, .. } => {
                out.u32(*original_size);
                out.bytes(data);
            }
        }
        let length = out.len() - length_at - 4;
        out.set_size32(length_at, length);
    }
}

impl CompressedMessage {
    /// Reads a whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let what = "compression header";
        let fixed = Fixed::<UNCHAINED_HEADER_LEN>::new(message, what)?;
        if fixed.array(0) != PROTOCOL_ID {
            return Err(WireError::BadValue { what, value: u64::from(fixed.u32(0)) });
        }
        let original_size = fixed.u32(4);
        if fixed.u16(10) == FLAG_CHAINED {
            return Self::decode_chain(message, original_size);
        }
        let data_at = UNCHAINED_HEADER_LEN.saturating_add(fixed.size32(12));
        if data_at > message.len() {
            return Err(WireError::BadRange { what, offset: data_at, length: message.len() });
        }
        Ok(Self::Unchained {
            plain: message.slice(UNCHAINED_HEADER_LEN..data_at),
            algorithm: fixed.u16(8),
            original_size,
            data: message.slice(data_at..),
        })
    }

    fn decode_chain(message: &Bytes, original_size: u32) -> Result<Self, WireError> {
        let what = "compressed payload";
        let mut payloads = Vec::new();
        let mut at = CHAIN_HEAD_LEN;
        while at < message.len() {
            if payloads.len() == MAX_CHAINED_PAYLOADS {
                return Err(WireError::BadValue {
                    what: "compressed payload count",
                    value: payloads.len() as u64,
                });
            }
            let head = Fixed::<PAYLOAD_HEAD_LEN>::new(&message[at..], what)?;
            let length = head.size32(4);
            let data = slice(message, at + PAYLOAD_HEAD_LEN, length, what)?;
            payloads.push(ChainedPayload::decode(head.u16(0), data)?);
            at += PAYLOAD_HEAD_LEN + length;
        }
        Ok(Self::Chained { original_size, payloads })
    }

    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.bytes(&PROTOCOL_ID);
        match self {
            Self::Unchained { plain, algorithm, original_size, data } => {
                out.u32(*original_size);
                out.u16(*algorithm);
                out.u16(0);
                out.size32(plain.len());
                out.bytes(plain);
                out.bytes(data);
            }
            Self::Chained { original_size, payloads } => {
                out.u32(*original_size);
                for (index, payload) in payloads.iter().enumerate() {
                    payload.encode(index == 0, out);
                }
            }
        }
    }

    /// Length in bytes of the whole message once it is restored, as it is announced.
    pub fn announced_len(&self) -> u64 {
        match self {
            Self::Unchained { plain, original_size, .. } => plain.len() as u64 + u64::from(*original_size),
            Self::Chained { original_size, .. } => u64::from(*original_size),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(message: &CompressedMessage, expect: &[u8]) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        assert_eq!(bytes, expect);
        assert_eq!(CompressedMessage::decode(&bytes.into()).as_ref(), Ok(message));
    }

    #[test]
    fn unchained_layout() {
        let message = CompressedMessage::Unchained {
            plain: Bytes::from_static(b"head"),
            algorithm: compression::LZ77,
            original_size: 0x1000,
            data: Bytes::from_static(b"packed"),
        };
        check(&message, b"\xFCSMB\x00\x10\x00\x00\x02\x00\x00\x00\x04\x00\x00\x00headpacked");
        assert_eq!(message.announced_len(), 0x1004);
    }

    #[test]
    fn chained_layout() {
        let message = CompressedMessage::Chained {
            original_size: 4 + 0x100 + 0x1000,
            payloads: vec![
                ChainedPayload::Plain(Bytes::from_static(b"head")),
                ChainedPayload::Pattern { byte: 0x41, repetitions: 0x100 },
                ChainedPayload::Compressed {
                    algorithm: compression::LZ77_HUFFMAN,
                    original_size: 0x1000,
                    data: Bytes::from_static(b"packed"),
                },
            ],
        };
        let mut expect = b"\xFCSMB\x04\x11\x00\x00".to_vec();
        expect.extend_from_slice(b"\x00\x00\x01\x00\x04\x00\x00\x00head");
        expect.extend_from_slice(b"\x04\x00\x00\x00\x08\x00\x00\x00\x41\x00\x00\x00\x00\x01\x00\x00");
        expect.extend_from_slice(b"\x03\x00\x00\x00\x0A\x00\x00\x00\x00\x10\x00\x00packed");
        check(&message, &expect);
        let sizes = match &message {
            CompressedMessage::Chained { payloads, .. } => {
                payloads.iter().map(ChainedPayload::original_len).sum()
            }
            CompressedMessage::Unchained { .. } => 0,
        };
        assert_eq!(sizes as u64, message.announced_len());
    }

    #[test]
    fn what_points_outside_is_refused() {
        let refused = |bytes: &[u8]| CompressedMessage::decode(&Bytes::copy_from_slice(bytes)).is_err();
        assert!(refused(b"\xFCSMB\x00\x10\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00"), "offset");
        assert!(refused(b"\xFCSMB\x00\x10\x00\x00\x02\x00\x00\x00\xFF\xFF\xFF\xFF"), "offset");
        assert!(refused(b"\xFCSMB\x00\x10\x00\x00\x00\x00\x01\x00\x01\x00\x00\x00"), "length of a payload");
        assert!(refused(b"\xFCSMB\x00\x10\x00\x00\x00\x00\x01\x00\xFF\xFF\xFF\xFFx"), "length of a payload");
        assert!(refused(b"\xFCSMB\x00\x10\x00\x00\x04\x00\x01\x00\x04\x00\x00\x00abcd"), "short pattern");
        assert!(refused(b"\xFCSMB\x00\x10\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00abcd"), "short head");
        assert!(refused(b"\xFESMB\x00\x10\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00"), "protocol");
        let empty = b"\x00\x00\x01\x00\x00\x00\x00\x00".repeat(MAX_CHAINED_PAYLOADS + 1);
        assert!(refused(&[b"\xFCSMB\x00\x00\x00\x00", &empty[..]].concat()), "too many payloads");
        assert!(!refused(&[b"\xFCSMB\x00\x00\x00\x00", &empty[8..]].concat()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            chained in any::<bool>(),
            algorithm in 0u8..7,
            bytes in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..80),
        ) {
            let head = [0xFC, b'S', b'M', b'B', 0, 1, 0, 0, algorithm, 0, u8::from(chained), 0];
            let message = Bytes::from([&head[..], &bytes].concat());
            if let Ok(decoded) = CompressedMessage::decode(&message) {
                let mut again = Vec::new();
                decoded.encode(&mut again);
                prop_assert_eq!(CompressedMessage::decode(&again.into()), Ok(decoded));
            }
        }
    }
}
