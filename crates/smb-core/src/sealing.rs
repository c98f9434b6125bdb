//! Encrypted SMB3 messages: the transform header and what follows it (MS-SMB2 2.2.41, 3.1.4.3, 3.3.5.2.1).
//!
//! A [`Sealer`] encrypts the responses of one session, an [`Opener`] decrypts its requests. All channels of a
//! session share one `Sealer`: it owns the nonce counter, and a nonce used twice under one key would give the
//! key stream away. The counter never wraps; when it is used up, sealing fails and the session must end.
//!
//! The transform header from its nonce on is authenticated as additional data, so neither session id, size
//! nor flags can be edited. What the plain message says about itself (its own session id, no nested
//! transform) is for the caller to check.

use std::sync::atomic::{AtomicU64, Ordering};

use aes::{Aes128, Aes256};
use aws_lc_rs::aead;
use ccm::aead::{AeadInOut, KeyInit};
use ccm::consts::{U11, U16};
use gcm::{Gcm, NONCE_LEN};

use crate::algorithm::Cipher;

pub use smb_wire::transform::TRANSFORM_HEADER_LEN;

/// The transform header's protocol id.
const TRANSFORM_PROTOCOL_ID: [u8; 4] = *b"\xfdSMB";

const SIGNATURE: std::ops::Range<usize> = 4..20;
const NONCE: std::ops::Range<usize> = 20..36;
const ORIGINAL_MESSAGE_SIZE: std::ops::Range<usize> = 36..40;
const FLAGS: std::ops::Range<usize> = 42..44;
const SESSION_ID: std::ops::Range<usize> = 44..52;
/// Additional authenticated data: all of the header after the signature.
const AUTHENTICATED: std::ops::Range<usize> = 20..52;
/// `Flags` in 3.1.1 and `EncryptionAlgorithm` in 3.0 share one value for "encrypted".
const ENCRYPTED: u16 = 0x0001;
const TAG_LEN: usize = 16;

type Aes128Ccm = ccm::Ccm<Aes128, U16, U11>;
type Aes256Ccm = ccm::Ccm<Aes256, U16, U11>;

/// Why a message was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealError {
    /// Every nonce of this key has been used; the session must end.
    NoncesExhausted,
    /// Longer than a 32-bit size can say, or shorter than the transform header's room.
    Length,
    /// The provider refused.
    Provider,
}

impl std::fmt::Display for SealError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoncesExhausted => "all nonces of the session's key are used up",
            Self::Length => "message has a length that cannot be sealed",
            Self::Provider => "the cryptographic provider refused to seal",
        })
    }
}

impl std::error::Error for SealError {}

/// Why a message was not opened. In every case the connection must be dropped (MS-SMB2 3.3.5.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// Not a transform header, or its size field does not fit the message.
    Malformed,
    /// Of another session than this key's.
    Session,
    /// The tag does not fit: forged, damaged, or sealed with another key.
    Forged,
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed transform header",
            Self::Session => "transform header names another session",
            Self::Forged => "encrypted message fails authentication",
        })
    }
}

impl std::error::Error for OpenError {}

enum Key {
    Gcm(aead::LessSafeKey),
    Ccm128(Box<Aes128Ccm>),
    Ccm256(Box<Aes256Ccm>),
}

impl Key {
    fn new(cipher: Cipher, key: &[u8]) -> Option<Self> {
        let gcm = |algorithm| {
            aead::UnboundKey::new(algorithm, key).ok().map(|key| Self::Gcm(aead::LessSafeKey::new(key)))
        };
        match cipher {
            Cipher::Aes128Gcm => gcm(&aead::AES_128_GCM),
            Cipher::Aes256Gcm => gcm(&aead::AES_256_GCM),
            Cipher::Aes128Ccm => Aes128Ccm::new_from_slice(key).ok().map(|key| Self::Ccm128(Box::new(key))),
            Cipher::Aes256Ccm => Aes256Ccm::new_from_slice(key).ok().map(|key| Self::Ccm256(Box::new(key))),
        }
    }

    /// Encrypts `text` and gives its tag.
    fn seal(&self, nonce: &[u8; 16], authenticated: &[u8], text: &mut [u8]) -> Option<[u8; TAG_LEN]> {
        let mut tag = [0; TAG_LEN];
        match self {
            Self::Gcm(key) => {
                let sealed =
                    key.seal_in_place_separate_tag(gcm_nonce(nonce), aead::Aad::from(authenticated), text);
                tag.copy_from_slice(sealed.ok()?.as_ref());
            }
            Self::Ccm128(key) => {
                let sealed = key.encrypt_inout_detached(&ccm_nonce(nonce), authenticated, text.into());
                tag.copy_from_slice(&sealed.ok()?);
            }
            Self::Ccm256(key) => {
                let sealed = key.encrypt_inout_detached(&ccm_nonce(nonce), authenticated, text.into());
                tag.copy_from_slice(&sealed.ok()?);
            }
        }
        Some(tag)
    }

    /// Decrypts `text`; its content is unspecified when the tag does not fit.
    fn open(&self, nonce: &[u8; 16], authenticated: &[u8], tag: &[u8; TAG_LEN], text: &mut [u8]) -> bool {
        match self {
            Self::Gcm(key) => {
                let aad = aead::Aad::from(authenticated);
                key.open_in_place_separate_tag(gcm_nonce(nonce), aad, tag, text).is_ok()
            }
            Self::Ccm128(key) => key
                .decrypt_inout_detached(&ccm_nonce(nonce), authenticated, text.into(), &(*tag).into())
                .is_ok(),
            Self::Ccm256(key) => key
                .decrypt_inout_detached(&ccm_nonce(nonce), authenticated, text.into(), &(*tag).into())
                .is_ok(),
        }
    }
}

fn gcm_nonce(field: &[u8; 16]) -> aead::Nonce {
    aead::Nonce::assume_unique_for_key(gcm_nonce_bytes(field))
}

fn gcm_nonce_bytes(field: &[u8; 16]) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce.copy_from_slice(&field[..NONCE_LEN]);
    nonce
}

fn ccm_nonce(field: &[u8; 16]) -> ccm::Nonce<U11> {
    let mut nonce = [0; 11];
    nonce.copy_from_slice(&field[..11]);
    nonce.into()
}

/// Encrypts what this side sends in one session. Share it, never copy it: it owns the nonce counter.
pub struct Sealer {
    key: Key,
    /// The same key for messages in pieces; `None` where the cipher takes none (CCM).
    pieces: Option<Gcm>,
    session_id: u64,
    next_nonce: AtomicU64,
}

impl Sealer {
    /// A sealer with a fresh key; `None` if `key` has not the cipher's key length.
    pub fn new(cipher: Cipher, key: &[u8], session_id: u64) -> Option<Self> {
        let pieces = match cipher {
            Cipher::Aes128Gcm | Cipher::Aes256Gcm => Some(Gcm::new(key)?),
            Cipher::Aes128Ccm | Cipher::Aes256Ccm => None,
        };
        Key::new(cipher, key).map(|key| Self { key, pieces, session_id, next_nonce: AtomicU64::new(0) })
    }

    /// Whether [`Sealer::seal_apart`] can be used.
    pub fn seals_apart(&self) -> bool {
        self.pieces.is_some()
    }

    /// Appends to `out` the sealed form of the message made of `parts`: transform header, then ciphertext.
    ///
    /// On error `out` is as it was.
    pub fn seal_into(&self, parts: &[&[u8]], out: &mut Vec<u8>) -> Result<(), SealError> {
        let start = out.len();
        let message_len: usize = parts.iter().map(|part| part.len()).sum();
        out.reserve(TRANSFORM_HEADER_LEN + message_len);
        out.resize(start + TRANSFORM_HEADER_LEN, 0);
        parts.iter().for_each(|part| out.extend_from_slice(part));
        let sealed = self.seal_in_place(&mut out[start..]);
        if sealed.is_err() {
            out.truncate(start);
        }
        sealed
    }

    /// Seals a message that leaves room for the transform header: `frame` is 52 bytes of any content, then
    /// the plain message, which is encrypted where it stands.
    pub fn seal_in_place(&self, frame: &mut [u8]) -> Result<(), SealError> {
        let Some((header, text)) = frame.split_at_mut_checked(TRANSFORM_HEADER_LEN) else {
            return Err(SealError::Length);
        };
        let nonce = self.begin(header, text.len())?;
        let tag = self.key.seal(&nonce, &header[AUTHENTICATED], text).ok_or(SealError::Provider)?;
        header[SIGNATURE].copy_from_slice(&tag);
        Ok(())
    }

    /// The same for a message whose last part, its payload, lies elsewhere: encrypted where it stands, too.
    ///
    /// # Errors
    /// `Provider` where the cipher takes no pieces.
    pub fn seal_apart(&self, frame: &mut [u8], payload: &mut [u8]) -> Result<(), SealError> {
        let pieces = self.pieces.as_ref().ok_or(SealError::Provider)?;
        let Some((header, text)) = frame.split_at_mut_checked(TRANSFORM_HEADER_LEN) else {
            return Err(SealError::Length);
        };
        let nonce = self.begin(header, text.len() + payload.len())?;
        let (nonce, authenticated) = (gcm_nonce_bytes(&nonce), &header[AUTHENTICATED]);
        let tag = pieces.seal(&nonce, &[authenticated], &mut [text, payload]).ok_or(SealError::Provider)?;
        header[SIGNATURE].copy_from_slice(&tag);
        Ok(())
    }

    /// Fills a transform header, but for its signature, with a nonce that is used up by that.
    fn begin(&self, header: &mut [u8], text_len: usize) -> Result<[u8; 16], SealError> {
        let size = u32::try_from(text_len).map_err(|_| SealError::Length)?;
        let nonce = self.take_nonce()?;
        header.fill(0);
        header[..4].copy_from_slice(&TRANSFORM_PROTOCOL_ID);
        header[NONCE].copy_from_slice(&nonce);
        header[ORIGINAL_MESSAGE_SIZE].copy_from_slice(&size.to_le_bytes());
        header[FLAGS].copy_from_slice(&ENCRYPTED.to_le_bytes());
        header[SESSION_ID].copy_from_slice(&self.session_id.to_le_bytes());
        Ok(nonce)
    }

    /// The next nonce, as it fills the header's field: a counter, zero bytes after it.
    fn take_nonce(&self) -> Result<[u8; 16], SealError> {
        let counter = self
            .next_nonce
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |counter| counter.checked_add(1))
            .map_err(|_| SealError::NoncesExhausted)?;
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&counter.to_le_bytes());
        Ok(nonce)
    }
}

/// Decrypts what the other side sends in one session.
pub struct Opener {
    key: Key,
    session_id: u64,
}

impl Opener {
    /// An opener; `None` if `key` has not the cipher's key length.
    pub fn new(cipher: Cipher, key: &[u8], session_id: u64) -> Option<Self> {
        Key::new(cipher, key).map(|key| Self { key, session_id })
    }

    /// Decrypts a message in place and gives the plain part, which is everything after the first 52 bytes.
    ///
    /// `message` is one whole transform message. On error its content is unspecified.
    pub fn open<'m>(&self, message: &'m mut [u8]) -> Result<&'m mut [u8], OpenError> {
        let Some((header, text)) = message.split_at_mut_checked(TRANSFORM_HEADER_LEN) else {
            return Err(OpenError::Malformed);
        };
        let size = u32::try_from(text.len()).map_err(|_| OpenError::Malformed)?;
        if header[..4] != TRANSFORM_PROTOCOL_ID
            || header[FLAGS] != ENCRYPTED.to_le_bytes()
            || header[ORIGINAL_MESSAGE_SIZE] != size.to_le_bytes()
        {
            return Err(OpenError::Malformed);
        }
        if header[SESSION_ID] != self.session_id.to_le_bytes() {
            return Err(OpenError::Session);
        }
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&header[SIGNATURE]);
        let mut nonce = [0; 16];
        nonce.copy_from_slice(&header[NONCE]);
        if self.key.open(&nonce, &header[AUTHENTICATED], &tag, text) {
            Ok(text)
        } else {
            Err(OpenError::Forged)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_apart_is_sealed_as_part_of_the_message() {
        for cipher in [Cipher::Aes128Gcm, Cipher::Aes256Gcm] {
            let key = vec![7; if cipher == Cipher::Aes128Gcm { 16 } else { 32 }];
            let sealer = Sealer::new(cipher, &key, 5).unwrap();
            for (head, payload) in [(0, 0), (80, 0), (80, 1), (81, 70_000), (0, 100)] {
                let mut frame = vec![0; TRANSFORM_HEADER_LEN];
                frame.extend((0..head).map(|number| number as u8));
                let mut payload: Vec<u8> = (0..payload).map(|number| (number * 3) as u8).collect();
                let plain = [&frame[TRANSFORM_HEADER_LEN..], &payload].concat();
                sealer.seal_apart(&mut frame, &mut payload).unwrap();
                let mut sent = [frame, payload].concat();
                let opened = Opener::new(cipher, &key, 5).unwrap().open(&mut sent).map(|text| text.to_vec());
                assert_eq!(opened, Ok(plain));
            }
        }
        let ccm = Sealer::new(Cipher::Aes128Ccm, &[7; 16], 5).unwrap();
        assert!(!ccm.seals_apart());
        assert_eq!(ccm.seal_apart(&mut [0; 60], &mut [0; 4]), Err(SealError::Provider));
    }

    #[test]
    fn used_up_nonces_end_the_session() {
        let sealer = Sealer::new(Cipher::Aes128Gcm, &[1; 16], 1).unwrap();
        sealer.next_nonce.store(u64::MAX - 1, Ordering::Relaxed);
        let mut out = b"kept".to_vec();
        assert_eq!(sealer.seal_into(&[b"last"], &mut out), Ok(()));
        out.truncate(4);
        for _ in 0..3 {
            assert_eq!(sealer.seal_into(&[b"none"], &mut out), Err(SealError::NoncesExhausted));
            assert_eq!(out, b"kept");
        }
    }
}
