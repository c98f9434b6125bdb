//! An NTLMv2 client written apart from the acceptor, straight from MS-NLMP, with knobs for misbehaving.

use hmac::{Hmac, KeyInit, Mac};
use md4::{Digest, Md4};
use md5::Md5;
use rc4::{Rc4, StreamCipher};
use std::sync::atomic::{AtomicU64, Ordering};

pub const UNICODE: u32 = 0x1;
pub const OEM: u32 = 0x2;
pub const SIGN: u32 = 0x10;
pub const ANONYMOUS: u32 = 0x800;
pub const ESS: u32 = 0x8_0000;
pub const KEY_128: u32 = 0x2000_0000;
pub const KEY_EXCHANGE: u32 = 0x4000_0000;
pub const KEY_56: u32 = 0x8000_0000;
/// What current clients ask for.
pub const USUAL: u32 =
    UNICODE | 0x4 | SIGN | 0x20 | 0x200 | 0x8000 | ESS | 0x200_0000 | KEY_128 | KEY_EXCHANGE | KEY_56;

/// The session key that a client chooses unless told otherwise.
pub const SESSION_KEY: [u8; 16] = [0x55; 16];
/// The next challenge of a client: none comes twice, as if they were drawn.
static NEXT_CHALLENGE: AtomicU64 = AtomicU64::new(0xaaaa_aaaa_aaaa_0000);
/// The LM response beside an NTLMv2 one.
pub const NO_LM_RESPONSE: [u8; 24] = [0; 24];

/// An anonymous log-in.
pub const NOBODY: Client = Client {
    nt_response: Some(&[]),
    lm_response: &[0],
    flags: USUAL | ANONYMOUS,
    mic: Mic::None,
    ..Client::new("", "", "")
};

#[derive(Clone, Copy, PartialEq)]
pub enum Mic {
    Right,
    Wrong,
    /// Announced, but the message has no room for it.
    Missing,
    /// Neither announced nor sent.
    None,
}

pub struct Client {
    pub user: &'static str,
    pub domain: &'static str,
    pub password: &'static str,
    /// In place of the password's.
    pub nt_hash: Option<[u8; 16]>,
    /// In place of the right response.
    pub nt_response: Option<&'static [u8]>,
    pub lm_response: &'static [u8],
    pub flags: u32,
    pub mic: Mic,
    /// Chosen by the client, when a key exchange was agreed.
    pub session_key: [u8; 16],
}

impl Client {
    /// An honest client.
    pub const fn new(user: &'static str, domain: &'static str, password: &'static str) -> Self {
        Self {
            user,
            domain,
            password,
            nt_hash: None,
            nt_response: None,
            lm_response: &NO_LM_RESPONSE,
            flags: USUAL,
            mic: Mic::Right,
            session_key: SESSION_KEY,
        }
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new("alice", "FAR", "correct horse")
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

pub fn hmac_md5(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mut mac = Hmac::<Md5>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn rc4(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    Rc4::new_from_slice(key).unwrap().apply_keystream(&mut data);
    data
}

/// The fields of a CHALLENGE that a client needs.
pub fn challenge_fields(message: &[u8]) -> ([u8; 8], Vec<u8>) {
    assert_eq!(&message[..12], b"NTLMSSP\0\x02\0\0\0");
    let len = usize::from(u16::from_le_bytes([message[40], message[41]]));
    let offset = u32::from_le_bytes(message[44..48].try_into().unwrap()) as usize;
    (message[24..32].try_into().unwrap(), message[offset..offset + len].to_vec())
}

pub struct Authenticated {
    pub message: Vec<u8>,
    pub session_key: [u8; 16],
}

impl Client {
    pub fn negotiate(&self) -> Vec<u8> {
        let mut out = b"NTLMSSP\0\x01\0\0\0".to_vec();
        out.extend(self.flags.to_le_bytes());
        out.extend([0; 16]);
        out.extend([10, 0, 0x63, 0x45, 0, 0, 0, 15]);
        out
    }

    fn text(&self, text: &str) -> Vec<u8> {
        if self.flags & UNICODE != 0 { utf16(text) } else { text.as_bytes().to_vec() }
    }

    /// The NTLMv2 response and the session base key.
    fn response(&self, challenge: &[u8]) -> (Vec<u8>, [u8; 16]) {
        let (server_challenge, mut pairs) = challenge_fields(challenge);
        if self.mic != Mic::None {
            pairs.truncate(pairs.len() - 4);
            pairs.extend([6, 0, 4, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
        }
        let mut blob = vec![1, 1, 0, 0, 0, 0, 0, 0];
        blob.extend([0x11; 8]);
        blob.extend(NEXT_CHALLENGE.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        blob.extend([0; 4]);
        blob.extend(pairs);
        blob.extend([0; 4]);
        let nt_hash = self.nt_hash.unwrap_or_else(|| Md4::digest(utf16(self.password)).into());
        let identity = utf16(&(self.user.to_uppercase() + self.domain));
        let key = hmac_md5(&nt_hash, &[&identity]);
        let proof = hmac_md5(&key, &[&server_challenge, &blob]);
        ([proof.to_vec(), blob].concat(), hmac_md5(&key, &[&proof]))
    }

    pub fn authenticate(&self, negotiate: &[u8], challenge: &[u8]) -> Authenticated {
        if let Some(response) = self.nt_response {
            return self.authenticate_with(negotiate, challenge, response, [0; 16]);
        }
        let (response, base_key) = self.response(challenge);
        self.authenticate_with(negotiate, challenge, &response, base_key)
    }

    /// Sends this NT response, whatever it is.
    pub fn authenticate_with(
        &self,
        negotiate: &[u8],
        challenge: &[u8],
        response: &[u8],
        base_key: [u8; 16],
    ) -> Authenticated {
        let exchange = self.flags & KEY_EXCHANGE != 0;
        let session_key = if exchange { self.session_key } else { base_key };
        let encrypted_key = if exchange { rc4(&base_key, &self.session_key) } else { Vec::new() };
        let mut message = b"NTLMSSP\0\x03\0\0\0".to_vec();
        let mut payload: Vec<u8> = Vec::new();
        let head_len = if matches!(self.mic, Mic::Right | Mic::Wrong) { 88 } else { 72 };
        let fields = [
            self.lm_response,
            response,
            &self.text(self.domain),
            &self.text(self.user),
            &self.text("BOX"),
            &encrypted_key,
        ];
        for field in fields {
            message.extend((field.len() as u16).to_le_bytes());
            message.extend((field.len() as u16).to_le_bytes());
            message.extend(((head_len + payload.len()) as u32).to_le_bytes());
            payload.extend(field);
        }
        message.extend(self.flags.to_le_bytes());
        message.extend([10, 0, 0x63, 0x45, 0, 0, 0, 15]);
        message.resize(head_len, 0);
        message.extend(payload);
        if head_len == 88 {
            let mut mic = hmac_md5(&session_key, &[negotiate, challenge, &message]);
            mic[3] ^= u8::from(self.mic == Mic::Wrong);
            message[72..88].copy_from_slice(&mic);
        }
        Authenticated { message, session_key }
    }

    /// The signature over a mechanism list, from `client` or server.
    pub fn mech_list_mic(&self, session_key: &[u8; 16], direction: &str, mechanisms: &[u8]) -> Vec<u8> {
        let key = |key: &[u8], purpose: &str| -> [u8; 16] {
            let constant = format!("session key to {direction} {purpose} key magic constant\0");
            Md5::digest([key, constant.as_bytes()].concat()).into()
        };
        let mac = hmac_md5(&key(session_key, "signing"), &[&[0; 4], mechanisms]);
        let weak_len = if self.flags & KEY_128 != 0 {
            16
        } else if self.flags & KEY_56 != 0 {
            7
        } else {
            5
        };
        let checksum = if self.flags & KEY_EXCHANGE != 0 {
            rc4(&key(&session_key[..weak_len], "sealing"), &mac[..8])
        } else {
            mac[..8].to_vec()
        };
        [&[1, 0, 0, 0], &checksum[..], &[0; 4]].concat()
    }
}
