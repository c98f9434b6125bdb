//! Keys of an SMB3 session, derived from its session key (MS-SMB2 3.1.4.2).
//!
//! NIST SP 800-108 in counter mode with HMAC-SHA256 and a 32-bit counter: one block,
//! `HMAC(key, 1 || label || 0 || context || bits)`, is enough for both key lengths. Label and context include
//! their terminating zero byte. The session key is the first 16 bytes of what the authentication gave, padded
//! with zeros; only the keys of AES-256 ciphers are derived from all of its bytes.

use aws_lc_rs::hmac;
use smb_wire::negotiate::Dialect;
use zeroize::Zeroizing;

use crate::algorithm::{Cipher, is_smb3};
use crate::preauth::PreauthHash;

/// Length in bytes of signing keys.
pub const KEY_LEN: usize = 16;

/// The keys of one session, or of one channel of it. Wiped from memory when dropped.
#[derive(Clone)]
pub struct SessionKeys {
    /// Signs and verifies messages. Each channel has its own.
    pub signing: Zeroizing<[u8; KEY_LEN]>,
    /// Opens requests; `None` where the connection has no cipher. Of the first channel only.
    pub client_to_server: Option<Zeroizing<Vec<u8>>>,
    /// Seals responses; `None` where the connection has no cipher. Of the first channel only.
    pub server_to_client: Option<Zeroizing<Vec<u8>>>,
}

/// Derives the keys of a session.
///
/// `session_key` is what the authentication gave, of any length. `preauth` counts for 3.1.1 only. In 2.x every
/// key is the session key itself and there is no encryption. `cipher` is the connection's; pass `AES-128-CCM`
/// for an encrypting 3.0 or 3.0.2 connection.
pub fn derive(
    session_key: &[u8],
    dialect: Dialect,
    cipher: Option<Cipher>,
    preauth: &PreauthHash,
) -> SessionKeys {
    let base = truncated(session_key);
    if !is_smb3(dialect) {
        return SessionKeys { signing: base, client_to_server: None, server_to_client: None };
    }
    let purposes = if dialect == Dialect::SMB_3_1_1 { Purposes::smb311(preauth) } else { Purposes::SMB300 };
    let seal = |cipher: Cipher, purpose: &Purpose<'_>| {
        let input: &[u8] = if cipher.key_len() == 32 { session_key } else { base.as_slice() };
        let mut key = Zeroizing::new(vec![0; cipher.key_len()]);
        counter_mode(input, purpose, &mut key);
        key
    };
    SessionKeys {
        signing: key_of(&base, &purposes.signing),
        client_to_server: cipher.map(|cipher| seal(cipher, &purposes.client_to_server)),
        server_to_client: cipher.map(|cipher| seal(cipher, &purposes.server_to_client)),
    }
}

/// Label and context of one key.
struct Purpose<'a> {
    label: &'static [u8],
    context: &'a [u8],
}

struct Purposes<'a> {
    signing: Purpose<'a>,
    client_to_server: Purpose<'a>,
    server_to_client: Purpose<'a>,
}

impl Purposes<'static> {
    const SMB300: Self = Self {
        signing: Purpose { label: b"SMB2AESCMAC\0", context: b"SmbSign\0" },
        client_to_server: Purpose { label: b"SMB2AESCCM\0", context: b"ServerIn \0" },
        server_to_client: Purpose { label: b"SMB2AESCCM\0", context: b"ServerOut\0" },
    };
}

impl<'a> Purposes<'a> {
    fn smb311(preauth: &'a PreauthHash) -> Self {
        let purpose = |label| Purpose { label, context: preauth.value() };
        Self {
            signing: purpose(b"SMBSigningKey\0"),
            client_to_server: purpose(b"SMBC2SCipherKey\0"),
            server_to_client: purpose(b"SMBS2CCipherKey\0"),
        }
    }
}

fn truncated(session_key: &[u8]) -> Zeroizing<[u8; KEY_LEN]> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    let len = session_key.len().min(KEY_LEN);
    key[..len].copy_from_slice(&session_key[..len]);
    key
}

fn key_of(base: &[u8; KEY_LEN], purpose: &Purpose<'_>) -> Zeroizing<[u8; KEY_LEN]> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    counter_mode(base, purpose, key.as_mut_slice());
    key
}

/// Fills `out`, at most 32 bytes: one block of HMAC-SHA256.
fn counter_mode(input: &[u8], purpose: &Purpose<'_>, out: &mut [u8]) {
    let bits: u32 = if out.len() == KEY_LEN { 128 } else { 256 };
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, input));
    context.update(&1u32.to_be_bytes());
    context.update(purpose.label);
    context.update(&[0]);
    context.update(purpose.context);
    context.update(&bits.to_be_bytes());
    out.copy_from_slice(&context.sign().as_ref()[..out.len()]);
}
