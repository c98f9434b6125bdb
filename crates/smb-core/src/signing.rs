//! Signatures of SMB2 messages (MS-SMB2 3.1.4.1).
//!
//! A signature covers the whole message with its signature field taken as zero. [`Signer`] holds one expanded
//! key and works on a message in pieces, so a response's header and its payload need not be joined.
//!
//! AES-GMAC takes its nonce from the header: the message id, then one bit for the sender's role and one for
//! CANCEL. The role makes the two directions differ; [`Signer::verify`] therefore refuses a message that claims
//! to come from its own side, so a reflected response never passes as a request.
//!
//! That nonce is unique only if one key signs one message of each id. An interim response (`STATUS_PENDING`) has the
//! id of the final one, so it must go out unsigned. Two messages of one nonce tell whoever sees them the key of the
//! hash, and with it he forges signatures of other messages of a nonce that was used.
//!
//! The key of a session signs on its own connection, and answers to the legs of bindings on others, whose ids begin
//! anew on each. [`Signer::foreign`] is for these: by AES-GMAC it lets out one answer to each request, or the same one
//! again, and leaves any other unsigned. What a client signs it cannot help: one that binds two connections uses ids of
//! its legs twice itself, for the protocol wants it so. Two requests of one id have told all already that two answers
//! could tell.
//!
//! GMAC is AES-GCM over additional data only (`gcm`).

use aws_lc_rs::{cmac, constant_time, hmac};
use gcm::{Gcm, NONCE_LEN};
use smb_wire::header::{Command, Flags, HEADER_LEN};

use crate::algorithm::SigningAlgorithm;
use crate::kdf::KEY_LEN;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Most requests whose answers are remembered which the key of a session signs on other connections, by AES-GMAC.
pub const MAX_FOREIGN_ANSWERS: usize = 4096;

/// Where the header's signature field lies.
const SIGNATURE: std::ops::Range<usize> = 48..64;
const COMMAND: std::ops::Range<usize> = 12..14;
/// The lowest byte of the flags, which holds both flags that count here.
const FLAGS: usize = 16;
const MESSAGE_ID: std::ops::Range<usize> = 24..32;
const FLAG_RESPONSE: u8 = Flags::RESPONSE.bits() as u8;
const FLAG_SIGNED: u8 = Flags::SIGNED.bits() as u8;

/// Which side of the connection a [`Signer`] speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Signs responses, verifies requests.
    Server,
    /// Signs requests, verifies responses.
    Client,
}

/// The message is shorter than an SMB2 header, or the provider refused; nothing was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignError;

impl std::fmt::Display for SignError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("message cannot be signed")
    }
}

impl std::error::Error for SignError {}

/// One signing key, expanded once. Cheap to share between tasks behind an `Arc`.
pub struct Signer {
    key: Key,
    role: Role,
    /// Set where it must see to it that no nonce is used for two messages.
    foreign: Option<Foreign>,
}

/// Signatures of answers, by the message id and the signature of the request.
#[derive(Default)]
pub struct ForeignAnswers(Mutex<HashMap<(u64, Signature), Signature>>);

/// What stands in a header's signature field.
pub type Signature = [u8; 16];

/// For an answer on another connection than the key's own.
pub struct Foreign {
    /// The id of the answer that ended the session's log-in: the first with the key on its own connection, to a request
    /// without a signature. Later requests there are the client's, who signs them.
    pub own_id: u64,
    /// The signature of the request.
    pub request: Signature,
    /// What the key has signed on other connections.
    pub answers: Arc<ForeignAnswers>,
}

impl Foreign {
    /// Whether this signature may be seen. Two answers with one id have different ones.
    fn may_give(&self, id: u64, signature: Signature) -> bool {
        let Ok(mut answers) = self.answers.0.lock() else { return false };
        if let Some(earlier) = answers.get(&(id, self.request)) {
            return *earlier == signature;
        }
        let fits = id != self.own_id && answers.len() < MAX_FOREIGN_ANSWERS;
        if fits {
            answers.insert((id, self.request), signature);
        }
        fits
    }
}

enum Key {
    Hmac(Box<hmac::Key>),
    Cmac(cmac::Key),
    Gmac(Gcm),
}

impl Signer {
    /// Expands `key` for `algorithm`.
    pub fn new(algorithm: SigningAlgorithm, key: &[u8; KEY_LEN], role: Role) -> Self {
        let key = match algorithm {
            SigningAlgorithm::HmacSha256 => Key::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, key))),
            SigningAlgorithm::AesCmac => {
                Key::Cmac(cmac::Key::new(cmac::AES_128, key).expect("a 16-byte key fits AES-128"))
            }
            SigningAlgorithm::AesGmac => Key::Gmac(Gcm::new(key).expect("a 16-byte key fits AES-128")),
        };
        Self { key, role, foreign: None }
    }

    /// The same key for an answer on a connection that is not its own. By AES-GMAC one request gets no two answers
    /// signed.
    pub fn foreign(algorithm: SigningAlgorithm, key: &[u8; KEY_LEN], role: Role, foreign: Foreign) -> Self {
        let foreign = (algorithm == SigningAlgorithm::AesGmac).then_some(foreign);
        Self { foreign, ..Self::new(algorithm, key, role) }
    }

    /// Signs one message in place: sets `SMB2_FLAGS_SIGNED` and fills the signature field. Where that would use a nonce
    /// for a second message it is left unsigned.
    ///
    /// `header` begins with the 64-byte SMB2 header and may go on with more of the message; `parts` are the
    /// rest of it, padding inside a compound included.
    pub fn sign(&self, header: &mut [u8], parts: &[&[u8]]) -> Result<(), SignError> {
        if header.len() < HEADER_LEN {
            return Err(SignError);
        }
        header[FLAGS] |= FLAG_SIGNED;
        header[SIGNATURE].fill(0);
        let signature = self.signature(header, parts)?;
        let foreign = self.foreign.as_ref();
        if foreign.is_none_or(|foreign| foreign.may_give(message_id(header), signature)) {
            header[SIGNATURE].copy_from_slice(&signature);
        } else {
            header[FLAGS] &= !FLAG_SIGNED;
        }
        Ok(())
    }

    /// Whether one whole message carries the right signature of the other side. Compares in constant time.
    pub fn verify(&self, message: &[u8]) -> bool {
        let Some((header, body)) = message.split_at_checked(HEADER_LEN) else { return false };
        let from_server = header[FLAGS] & FLAG_RESPONSE != 0;
        if from_server != (self.role == Role::Client) {
            return false;
        }
        let mut unsigned = [0; HEADER_LEN];
        unsigned[..SIGNATURE.start].copy_from_slice(&header[..SIGNATURE.start]);
        match self.signature(&unsigned, &[body]) {
            Ok(expected) => constant_time::verify_slices_are_equal(&expected, &header[SIGNATURE]).is_ok(),
            Err(SignError) => false,
        }
    }

    /// The signature over `header` (signature field already zero) and `parts`.
    fn signature(&self, header: &[u8], parts: &[&[u8]]) -> Result<[u8; 16], SignError> {
        let mut signature = [0; 16];
        match &self.key {
            Key::Hmac(key) => {
                let mut context = hmac::Context::with_key(key);
                context.update(header);
                parts.iter().for_each(|part| context.update(part));
                signature.copy_from_slice(&context.sign().as_ref()[..16]);
            }
            Key::Cmac(key) => {
                let mut context = cmac::Context::with_key(key);
                context.update(header).map_err(|_| SignError)?;
                for part in parts {
                    context.update(part).map_err(|_| SignError)?;
                }
                signature.copy_from_slice(context.sign().map_err(|_| SignError)?.as_ref());
            }
            Key::Gmac(key) => {
                let [first, second] = match parts {
                    [] => [header, &[][..]],
                    [only] => [header, *only],
                    _ => return self.signature(header, &[&parts.concat()]),
                };
                let tag = key.seal(&gmac_nonce(header), &[first, second], &mut []);
                signature = tag.ok_or(SignError)?;
            }
        }
        Ok(signature)
    }
}

fn message_id(header: &[u8]) -> u64 {
    header[MESSAGE_ID].iter().rev().fold(0, |id, byte| id << 8 | u64::from(*byte))
}

/// Message id, role bit, CANCEL bit (MS-SMB2 3.1.4.1).
fn gmac_nonce(header: &[u8]) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(&header[MESSAGE_ID]);
    let role = header[FLAGS] & FLAG_RESPONSE;
    let cancel = u8::from(header[COMMAND] == Command::Cancel.code().to_le_bytes()) << 1;
    nonce[8] = role | cancel;
    nonce
}
