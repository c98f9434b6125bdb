//! The headers of encrypted (MS-SMB2 2.2.41) and compressed (2.2.42) messages.

use crate::{
    cursor::{Fixed, Put},
    error::WireError,
};

/// Length of [`TransformHeader`] in bytes.
pub const TRANSFORM_HEADER_LEN: usize = 52;

/// Where the additional authenticated data begins: everything after ProtocolId and Signature.
pub const TRANSFORM_AAD_START: usize = 20;

/// The header before an encrypted message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransformHeader {
    /// Authentication tag of the cipher.
    pub signature: [u8; 16],
    /// Nonce; AES-CCM uses the first 11 bytes, AES-GCM the first 12.
    pub nonce: [u8; 16],
    /// Length of the message in bytes, before and after encryption.
    pub original_message_size: u32,
    /// 1 for encrypted (3.1.1); in 3.0 and 3.0.2 the same field is the algorithm, 1 for AES-128-CCM.
    pub flags: u16,
    /// Session whose key is used.
    pub session_id: u64,
}

impl TransformHeader {
    /// Reads the header at the start of `message`.
    pub fn decode(message: &[u8]) -> Result<Self, WireError> {
        let fixed = Fixed::<TRANSFORM_HEADER_LEN>::new(message, "transform header")?;
        if fixed.array(0) != *b"\xFDSMB" {
            let value = u64::from(fixed.u32(0));
            return Err(WireError::BadValue { what: "transform header ProtocolId", value });
        }
        Ok(Self {
            signature: fixed.array(4),
            nonce: fixed.array(20),
            original_message_size: fixed.u32(36),
            flags: fixed.u16(42),
            session_id: fixed.u64(44),
        })
    }

    /// Appends the 52 bytes of the header. The signature is patched in after encryption at bytes 4..20.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.bytes(b"\xFDSMB");
        out.bytes(&self.signature);
        out.bytes(&self.nonce);
        out.u32(self.original_message_size);
        out.u16(0);
        out.u16(self.flags);
        out.u64(self.session_id);
    }
}

/// Length of [`CompressionHeader`] in bytes.
pub const COMPRESSION_HEADER_LEN: usize = 16;

/// The header before a compressed message (3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompressionHeader {
    /// Length in bytes of the compressed part once it is restored.
    pub original_segment_size: u32,
    /// Algorithm of the (first) part, see [`crate::negotiate::compression`].
    pub algorithm: u16,
    /// 1 for chained (2.2.42.2).
    pub flags: u16,
    /// Unchained: bytes of plain data before the compressed data. Chained: length of the first payload.
    pub offset_or_length: u32,
}

impl CompressionHeader {
    /// Reads the header at the start of `message`.
    pub fn decode(message: &[u8]) -> Result<Self, WireError> {
        let fixed = Fixed::<COMPRESSION_HEADER_LEN>::new(message, "compression header")?;
        if fixed.array(0) != *b"\xFCSMB" {
            let value = u64::from(fixed.u32(0));
            return Err(WireError::BadValue { what: "compression header ProtocolId", value });
        }
        Ok(Self {
            original_segment_size: fixed.u32(4),
            algorithm: fixed.u16(8),
            flags: fixed.u16(10),
            offset_or_length: fixed.u32(12),
        })
    }

    /// Appends the 16 bytes of the header.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.bytes(b"\xFCSMB");
        out.u32(self.original_segment_size);
        out.u16(self.algorithm);
        out.u16(self.flags);
        out.u32(self.offset_or_length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transform_header_layout() {
        let header = TransformHeader {
            signature: [1; 16],
            nonce: [2; 16],
            original_message_size: 0x0403_0201,
            flags: 1,
            session_id: 0x0807_0605_0403_0201,
        };
        let mut bytes = Vec::new();
        header.encode_into(&mut bytes);
        assert_eq!(bytes.len(), TRANSFORM_HEADER_LEN);
        assert_eq!(bytes[36..], [1, 2, 3, 4, 0, 0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(TransformHeader::decode(&bytes), Ok(header));
        assert!(TransformHeader::decode(&bytes[..51]).is_err());
    }

    #[test]
    fn compression_header_layout() {
        let header =
            CompressionHeader { original_segment_size: 4096, algorithm: 2, flags: 1, offset_or_length: 9 };
        let mut bytes = Vec::new();
        header.encode_into(&mut bytes);
        assert_eq!(bytes.len(), COMPRESSION_HEADER_LEN);
        assert_eq!(CompressionHeader::decode(&bytes), Ok(header));
    }
}
