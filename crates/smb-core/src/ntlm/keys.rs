//! Hashes and keys of NTLMv2 (MS-NLMP 3.3.2, 3.4).

use aws_lc_rs::constant_time;
use hmac::{Hmac, KeyInit, Mac};
use md4::Md4;
use md5::{Digest, Md5};
use rc4::{Rc4, StreamCipher};
use zeroize::Zeroizing;

use super::messages::NegotiateFlags;
use crate::names::upcase_unit;

/// A session key: 16 bytes, wiped when dropped.
pub type SessionKey = Zeroizing<[u8; 16]>;

/// The NT hash of a password: as good as the password itself. Wiped when dropped.
#[derive(Clone)]
pub struct NtHash(Zeroizing<[u8; 16]>);

impl NtHash {
    /// The bytes, to be stored as carefully as a password.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for NtHash {
    fn from(hash: [u8; 16]) -> Self {
        Self(Zeroizing::new(hash))
    }
}

impl std::fmt::Debug for NtHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NtHash(..)")
    }
}

/// The NT hash of a password: MD4 over its UTF-16LE form (MS-NLMP 3.3.1, `NTOWFv1`).
pub fn nt_hash(password: &str) -> NtHash {
    let mut hash = Md4::new();
    for unit in password.encode_utf16() {
        hash.update(unit.to_le_bytes());
    }
    NtHash(Zeroizing::new(hash.finalize().into()))
}

pub(super) fn hmac_md5(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 16]> {
    let mut mac = Hmac::<Md5>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// `NTOWFv2`: the response key of a user; names in UTF-16 units as the client sent them.
pub(super) fn response_key(hash: &NtHash, user: &[u16], domain: &[u16]) -> Zeroizing<[u8; 16]> {
    let upper_user = user.iter().map(|unit| upcase_unit(*unit));
    let identity: Vec<u8> = upper_user.chain(domain.iter().copied()).flat_map(u16::to_le_bytes).collect();
    hmac_md5(&hash.0[..], &[&identity])
}

/// RC4 of `text` under `key`, in place. Keys here are never empty.
pub(super) fn rc4(key: &[u8], text: &mut [u8]) {
    Rc4::new_from_slice(key).expect("keys of 1 to 256 bytes fit RC4").apply_keystream(text);
}

const CLIENT_SIGNING: &[u8] = b"session key to client-to-server signing key magic constant\0";
const SERVER_SIGNING: &[u8] = b"session key to server-to-client signing key magic constant\0";
const CLIENT_SEALING: &[u8] = b"session key to client-to-server sealing key magic constant\0";
const SERVER_SEALING: &[u8] = b"session key to server-to-client sealing key magic constant\0";

/// Signs and verifies the one message each way that SMB uses NTLM signatures for: SPNEGO's mechanism list.
///
/// Extended session security only (MS-NLMP 3.4.4.2); both signatures have sequence number 0.
pub struct MessageSigner {
    from_client: DirectionKeys,
    from_server: DirectionKeys,
}

struct DirectionKeys {
    signing: Zeroizing<[u8; 16]>,
    /// Encrypts the checksum; only after a key exchange.
    sealing: Option<Zeroizing<[u8; 16]>>,
}

impl MessageSigner {
    /// The keys that follow from the exported session key; `None` without extended session security.
    pub(super) fn new(session_key: &SessionKey, flags: NegotiateFlags) -> Option<Self> {
        if !flags.contains(NegotiateFlags::EXTENDED_SESSION_SECURITY) {
            return None;
        }
        let weakened = if flags.contains(NegotiateFlags::KEY_128) {
            &session_key[..]
        } else if flags.contains(NegotiateFlags::KEY_56) {
            &session_key[..7]
        } else {
            &session_key[..5]
        };
        let direction = |signing: &[u8], sealing: &[u8]| DirectionKeys {
            signing: md5(&[&session_key[..], signing]),
            sealing: flags.contains(NegotiateFlags::KEY_EXCHANGE).then(|| md5(&[weakened, sealing])),
        };
        Some(Self {
            from_client: direction(CLIENT_SIGNING, CLIENT_SEALING),
            from_server: direction(SERVER_SIGNING, SERVER_SEALING),
        })
    }

    /// Whether `signature` is the client's first signature over `message`.
    pub fn verify_from_client(&self, message: &[u8], signature: &[u8]) -> bool {
        let expected = self.from_client.first_signature(message);
        constant_time::verify_slices_are_equal(&expected, signature).is_ok()
    }

    /// The server's first signature over `message`.
    pub fn sign_from_server(&self, message: &[u8]) -> [u8; 16] {
        self.from_server.first_signature(message)
    }
}

impl DirectionKeys {
    /// `NTLMSSP_MESSAGE_SIGNATURE`: version 1, checksum, sequence number 0 (MS-NLMP 2.2.2.9.2).
    fn first_signature(&self, message: &[u8]) -> [u8; 16] {
        let sequence_number = [0; 4];
        let mac = hmac_md5(&self.signing[..], &[&sequence_number, message]);
        let mut signature = [0; 16];
        signature[0] = 1;
        signature[4..12].copy_from_slice(&mac[..8]);
        if let Some(key) = &self.sealing {
            rc4(&key[..], &mut signature[4..12]);
        }
        signature
    }
}

fn md5(parts: &[&[u8]]) -> Zeroizing<[u8; 16]> {
    let mut hash = Md5::new();
    parts.iter().for_each(|part| hash.update(part));
    Zeroizing::new(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MS-NLMP 4.2.4.4.
    #[test]
    fn message_keys_of_the_example() {
        let flags = NegotiateFlags(0xe288_8235);
        let signer = MessageSigner::new(&Zeroizing::new([0x55; 16]), flags).unwrap();
        let signing = 0x4788_dc86_1b47_82f3_5d43_fd98_fe1a_2d39_u128.to_be_bytes();
        let sealing = 0x59f6_0097_3cc4_960a_2548_0a7c_196e_4c58_u128.to_be_bytes();
        assert_eq!(*signer.from_client.signing, signing);
        assert_eq!(signer.from_client.sealing.as_deref(), Some(&sealing));
    }
}
