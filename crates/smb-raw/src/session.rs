//! The keys of a session as one channel has them.

use bytes::{Buf, Bytes, BytesMut};
use smb_core::algorithm::{Cipher, SigningAlgorithm};
use smb_core::kdf;
use smb_core::preauth::PreauthHash;
use smb_core::sealing::{Opener, Sealer, TRANSFORM_HEADER_LEN};
use smb_core::signing::{Role, Signer};
use smb_wire::negotiate::Dialect;
use std::sync::Arc;

/// What a connection has agreed on, as far as keys need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    pub dialect: Dialect,
    pub cipher: Option<Cipher>,
    pub signing: SigningAlgorithm,
}

/// A session on one channel.
#[derive(Clone)]
pub struct Session {
    pub id: u64,
    pub agreed: Agreed,
    /// Signs on this channel.
    pub signer: Arc<Signer>,
    /// Signs for the session: the key of its first channel.
    pub main: Arc<Signer>,
    sealing: Option<Arc<(Opener, Sealer)>>,
    /// Requests of [`crate::Client::call`] go sealed.
    pub sealed: bool,
    /// They go as they are: the session is a guest's, who has no key.
    pub plain: bool,
    /// The server has proved to know the key: its last answer to the log-in was signed with it.
    pub proven: bool,
}

impl Session {
    /// The session that a log-in gave.
    pub fn new(id: u64, agreed: Agreed, key: &[u8], preauth: &PreauthHash) -> Session {
        let keys = kdf::derive(key, agreed.dialect, agreed.cipher, preauth);
        let signer = Arc::new(Signer::new(agreed.signing, &keys.signing, Role::Client));
        let sealing = match (agreed.cipher, &keys.server_to_client, &keys.client_to_server) {
            (Some(cipher), Some(incoming), Some(outgoing)) => {
                Opener::new(cipher, incoming, id).zip(Sealer::new(cipher, outgoing, id)).map(Arc::new)
            }
            _ => None,
        };
        Session {
            id,
            agreed,
            main: Arc::clone(&signer),
            signer,
            sealing,
            sealed: false,
            plain: false,
            proven: false,
        }
    }

    /// The same session on a further channel, whose log-in gave `bound`.
    pub fn channel(&self, bound: Session) -> Session {
        Session { signer: bound.signer, agreed: bound.agreed, ..self.clone() }
    }

    /// From now on [`crate::Client::call`] seals.
    pub fn sealing(mut self) -> Session {
        assert!(self.sealing.is_some(), "no cipher was agreed");
        self.sealed = true;
        self
    }

    /// A message inside a transform header.
    ///
    /// # Panics
    /// When no cipher was agreed.
    pub fn seal(&self, message: &[u8]) -> Vec<u8> {
        self.seal_parts(&[message])
    }

    /// The same for a message in parts.
    pub fn seal_parts(&self, parts: &[&[u8]]) -> Vec<u8> {
        let (_, sealer) = self.sealing.as_deref().expect("a cipher was agreed");
        let mut out = Vec::new();
        sealer.seal_into(parts, &mut out).expect("a message can be sealed");
        out
    }

    /// The message inside a transform header of this session; `None` when it is not authentic.
    pub fn open(&self, message: &[u8]) -> Option<Vec<u8>> {
        let (opener, _) = self.sealing.as_deref()?;
        let mut message = message.to_vec();
        opener.open(&mut message).ok().map(|plain| plain.to_vec())
    }
    /// The same without a copy, where nobody else holds the message.
    pub fn open_in_place(&self, message: Bytes) -> Option<Bytes> {
        let (opener, _) = self.sealing.as_deref()?;
        let mut message = BytesMut::from(message);
        opener.open(&mut message).ok()?;
        message.advance(TRANSFORM_HEADER_LEN);
        Some(message.freeze())
    }
}
