//! What a session keeps for the connections that bind to it (MS-SMB2 3.3.5.5, step 4).
//!
//! The legs of a binding, and the answers to all but the last, are signed with the key of the session, under message ids
//! that begin anew on each connection. Whoever sees a leg can send it again from a connection of his own, as often as
//! he likes: nothing in a first leg is of one connection. By AES-GMAC, whose nonce is the message id, two different
//! answers would give the key away (`smb_core::signing`). So of a session that signs by it:
//!
//! * all bindings get one challenge, and the same first leg the same answer. It cannot be refused instead: by NTLM an
//!   honest client's first leg is the same on each connection;
//! * therefore a leg that answers the challenge counts once: a session remembers their signatures;
//! * an answer to the same leg that would be another, a refusal mostly, goes out unsigned, and so does one with the id
//!   of the answer that ended the session's log-in: the [`Signer`] sees to that.

use crate::limits;
use parking_lot::Mutex;
use smb_core::acceptor::Acceptor;
use smb_core::algorithm::SigningAlgorithm;
use smb_core::kdf::KEY_LEN;
use smb_core::ntlm::TargetNames;
use smb_core::signing::{Foreign, ForeignAnswers, Role, Signer};
use smb_wire::{FileTime, NtStatus};
use std::collections::HashSet;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Where a message's id and signature lie.
const MESSAGE_ID: std::ops::Range<usize> = 24..32;
const SIGNATURE: std::ops::Range<usize> = 48..64;

pub(crate) struct Bindings {
    algorithm: SigningAlgorithm,
    key: Zeroizing<[u8; KEY_LEN]>,
    /// The id of the answer that ended the session's log-in.
    own_id: u64,
    answers: Arc<ForeignAnswers>,
    /// The one challenge, where there must be only one.
    challenge: Option<([u8; 8], FileTime)>,
    /// Message id and signature of each later leg.
    legs: Mutex<HashSet<[u8; 24]>>,
}

impl Bindings {
    /// Of a session whose own connection signs with this key, since the answer with the message id `own_id`.
    pub(crate) fn new(
        algorithm: SigningAlgorithm,
        key: &[u8; KEY_LEN],
        own_id: u64,
        now: FileTime,
    ) -> Result<Bindings, getrandom::Error> {
        let challenge = match algorithm {
            SigningAlgorithm::AesGmac => {
                let mut challenge = [0; 8];
                getrandom::fill(&mut challenge)?;
                Some((challenge, now))
            }
            SigningAlgorithm::AesCmac | SigningAlgorithm::HmacSha256 => None,
        };
        let key = Zeroizing::new(*key);
        let (answers, legs) = (Arc::default(), Mutex::default());
        Ok(Bindings { algorithm, key, own_id, answers, challenge, legs })
    }

    /// Signs the answer to this leg for the session, on a connection that is not bound yet.
    pub(crate) fn signer(&self, leg: &[u8]) -> Arc<Signer> {
        let mut request = [0; 16];
        request.copy_from_slice(leg.get(SIGNATURE).unwrap_or(&[0; 16]));
        let foreign = Foreign { own_id: self.own_id, request, answers: Arc::clone(&self.answers) };
        Arc::new(Signer::foreign(self.algorithm, &self.key, Role::Server, foreign))
    }

    /// A log-in that binds; `None` where it is one like any other.
    pub(crate) fn acceptor(&self, names: &TargetNames) -> Option<Acceptor> {
        let (challenge, dated) = self.challenge?;
        Some(Acceptor::with_known_challenge(names.clone(), challenge, dated))
    }

    /// Takes a leg that answers the challenge, and is signed as it must be.
    ///
    /// # Errors
    /// ACCESS_DENIED for one that was here before; INSUFFICIENT_RESOURCES when no more can be remembered.
    pub(crate) fn take_leg(&self, message: &[u8]) -> Result<(), NtStatus> {
        if self.challenge.is_none() {
            return Ok(());
        }
        let (Some(id), Some(signature)) = (message.get(MESSAGE_ID), message.get(SIGNATURE)) else {
            return Err(NtStatus::INVALID_PARAMETER);
        };
        let mut leg = [0; 24];
        leg[..8].copy_from_slice(id);
        leg[8..].copy_from_slice(signature);
        let mut legs = self.legs.lock();
        if legs.contains(&leg) {
            return Err(NtStatus::ACCESS_DENIED);
        }
        if legs.len() >= limits::BINDING_LEGS_PER_SESSION_MAX {
            return Err(NtStatus::INSUFFICIENT_RESOURCES);
        }
        legs.insert(leg);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_leg_counts_once_and_only_so_many_are_remembered() {
        let bindings = |algorithm| Bindings::new(algorithm, &[3; 16], 2, FileTime(1)).unwrap();
        let leg = |count: usize| {
            let mut message = [0; 64];
            message[SIGNATURE.start..][..8].copy_from_slice(&count.to_le_bytes());
            message
        };
        let gmac = bindings(SigningAlgorithm::AesGmac);
        for count in 0..limits::BINDING_LEGS_PER_SESSION_MAX {
            assert_eq!(gmac.take_leg(&leg(count)), Ok(()));
            assert_eq!(gmac.take_leg(&leg(count)), Err(NtStatus::ACCESS_DENIED));
        }
        assert_eq!(gmac.take_leg(&leg(usize::MAX)), Err(NtStatus::INSUFFICIENT_RESOURCES));
        // Its challenges are fresh, and its signatures have no nonces.
        let cmac = bindings(SigningAlgorithm::AesCmac);
        assert_eq!([cmac.take_leg(&leg(0)), cmac.take_leg(&leg(0))], [Ok(()); 2]);
    }
}
