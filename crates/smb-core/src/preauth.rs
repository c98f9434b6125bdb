//! The preauthentication integrity hash of SMB 3.1.1 (MS-SMB2 3.1.4.4.1 and 3.3.5.4, 3.3.5.5).
//!
//! A chain `H(n) = SHA-512(H(n-1) || message)`, begun at zero. A connection hashes its NEGOTIATE request and
//! response; each authentication then clones that value and goes on with its SESSION_SETUP requests and
//! responses, except the last (successful) response. The value is the context of every derived key, so whoever
//! edits one of these messages on the way gets a session whose signatures do not fit.

use aws_lc_rs::digest;

/// Length of the hash in bytes (SHA-512).
pub const PREAUTH_HASH_LEN: usize = 64;

/// The running hash. Clone it to branch a session off a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PreauthHash([u8; PREAUTH_HASH_LEN]);

impl PreauthHash {
    /// The value before any message: 64 zero bytes.
    pub const fn new() -> Self {
        Self([0; PREAUTH_HASH_LEN])
    }

    /// Adds one whole SMB2 message, given in pieces: from its header on, without the transport's length prefix.
    pub fn update(&mut self, message_parts: &[&[u8]]) {
        let mut context = digest::Context::new(&digest::SHA512);
        context.update(&self.0);
        for part in message_parts {
            context.update(part);
        }
        self.0.copy_from_slice(context.finish().as_ref());
    }

    /// The value so far.
    pub const fn value(&self) -> &[u8; PREAUTH_HASH_LEN] {
        &self.0
    }
}

impl From<[u8; PREAUTH_HASH_LEN]> for PreauthHash {
    fn from(value: [u8; PREAUTH_HASH_LEN]) -> Self {
        Self(value)
    }
}

impl Default for PreauthHash {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for PreauthHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PreauthHash({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}
