//! Signatures of messages between client and service (RFC 4121 4.2.6.1). SMB uses one each way, for SPNEGO's list of
//! mechanisms.
//!
//! ```text
//! 04 04, flags u8, ff ff ff ff ff, sequence number u64, signature over the message and these sixteen bytes
//! ```

use super::encryption::{Key, Usage};

const HEADER_LEN: usize = 16;
const TOKEN: [u8; 2] = [4, 4];
const FILLER: [u8; 5] = [0xff; 5];
const FROM_ACCEPTOR: u8 = 1;
const SEALED: u8 = 2;
const ACCEPTOR_SUBKEY: u8 = 4;

/// Signs and verifies with the key that client and service have agreed on.
pub struct MicSigner {
    pub(super) key: Key,
    /// The key is ours, not the client's.
    pub(super) acceptor_subkey: bool,
    /// Our first sequence number.
    pub(super) sequence: u32,
}

impl MicSigner {
    /// Whether that is the client's signature of the message. Its sequence number is not looked at: the key is used
    /// for this one message.
    pub fn verify_from_client(&self, message: &[u8], token: &[u8]) -> bool {
        let Some((header, signature)) = token.split_at_checked(HEADER_LEN) else { return false };
        let flags = header[2];
        let expected = if self.acceptor_subkey { ACCEPTOR_SUBKEY } else { 0 };
        header[..2] == TOKEN
            && header[3..8] == FILLER
            && flags & (FROM_ACCEPTOR | SEALED | ACCEPTOR_SUBKEY) == expected
            && self.key.verify(Usage::InitiatorSign, &[message, header], signature)
    }

    /// Our signature of it.
    pub fn sign_from_server(&self, message: &[u8]) -> Vec<u8> {
        let mut token = Vec::with_capacity(HEADER_LEN + self.key.kind().checksum_len());
        token.extend_from_slice(&TOKEN);
        token.push(FROM_ACCEPTOR | if self.acceptor_subkey { ACCEPTOR_SUBKEY } else { 0 });
        token.extend_from_slice(&FILLER);
        token.extend_from_slice(&u64::from(self.sequence).to_be_bytes());
        let signature = self.key.checksum(Usage::AcceptorSign, &[message, &token]);
        token.extend(signature);
        token
    }
}
