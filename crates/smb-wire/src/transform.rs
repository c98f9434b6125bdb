//! The header of encrypted messages (MS-SMB2 2.2.41).

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
}
