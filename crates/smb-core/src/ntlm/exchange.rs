//! One NTLM log-in: from the client's NEGOTIATE to a session key or a refusal (MS-NLMP 3.2.5).

use aws_lc_rs::constant_time;
use smb_wire::time::FileTime;
use zeroize::Zeroizing;

use super::MAX_NEGOTIATE_LEN;
use super::av_pairs::{TargetNames, announces_mic};
use super::keys::{MessageSigner, NtHash, SessionKey, hmac_md5, rc4, response_key};
use super::messages::{Authenticate, MIC, NegotiateFlags, read_negotiate, write_challenge};

/// Length of the proof at the head of an NTLMv2 response.
const PROOF_LEN: usize = 16;
/// Length of an NTLMv2 response before its attribute-value pairs (MS-NLMP 2.2.2.7, 2.2.2.8).
const RESPONSE_HEAD_LEN: usize = PROOF_LEN + 28;
/// The session base key of an anonymous log-in (MS-NLMP 3.2.5.1.2): everybody knows it.
const ANONYMOUS_KEY: [u8; 16] = [0; 16];
/// Stands in for the key of a guest, who has none.
const NO_KEY: [u8; 16] = [0; 16];
/// Stands in for the hash of an unknown user, so that refusing it takes the same work.
const NOBODY: [u8; 16] = [0x5a; 16];

/// Why NTLM refused. The client is told less: see [`crate::acceptor::Refusal::status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A message is not what MS-NLMP says it must be.
    Malformed,
    /// An NTLMv1 or LM response: too weak.
    NotNtlmV2,
    /// A log-in without a user name or response.
    Anonymous,
    /// A log-in as `guest`.
    Guest,
    /// No such user, or the wrong password.
    BadCredentials,
    /// The message integrity code is announced but missing or wrong: a message was edited on the way.
    BadMic,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed NTLM message",
            Self::NotNtlmV2 => "NTLMv1 or LM response",
            Self::Anonymous => "anonymous log-in",
            Self::Guest => "guest log-in",
            Self::BadCredentials => "unknown user or wrong password",
            Self::BadMic => "NTLM messages were altered on the way",
        })
    }
}

impl std::error::Error for Refusal {}

/// Whom a client claims to be, in its own spelling.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Identity {
    /// User name; may have the form `user@domain` with an empty `domain`.
    pub user: String,
    /// Domain, workgroup or server name; may be empty.
    pub domain: String,
    /// Name of the client's machine, unverified; may be empty.
    pub workstation: String,
}

/// A finished log-in.
pub struct Login {
    /// The key that SMB derives all others from.
    pub session_key: SessionKey,
    /// For SPNEGO's mechanism list; `None` without extended session security.
    pub signer: Option<MessageSigner>,
    /// Nobody has logged in: no name was claimed, nothing was proved, and the key is no secret.
    pub anonymous: bool,
    /// A guest has logged in, under a name that is nobody's here: nothing was proved, and there is no key.
    pub guest: bool,
}

/// Who is let in besides users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Strangers {
    /// Who claims no name.
    pub anonymous: bool,
    /// Who claims a name that no user has.
    pub guests: bool,
}

/// A log-in that waits for the client's AUTHENTICATE.
pub struct Exchange {
    flags: NegotiateFlags,
    challenge: [u8; 8],
    negotiate_message: Vec<u8>,
    challenge_message: Vec<u8>,
}

impl Exchange {
    /// Takes a NEGOTIATE and gives the CHALLENGE to send.
    ///
    /// `challenge` is fresh random bytes.
    pub fn begin(
        negotiate_message: &[u8],
        names: &TargetNames,
        challenge: [u8; 8],
        now: FileTime,
    ) -> Result<(Self, Vec<u8>), Refusal> {
        if negotiate_message.len() > MAX_NEGOTIATE_LEN {
            return Err(Refusal::Malformed);
        }
        let flags = read_negotiate(negotiate_message).and_then(NegotiateFlags::answered);
        let flags = flags.ok_or(Refusal::Malformed)?;
        let challenge_message =
            write_challenge(flags, challenge, &names.netbios_computer, &names.target_info(now));
        let exchange = Self {
            flags,
            challenge,
            negotiate_message: negotiate_message.to_vec(),
            challenge_message: challenge_message.clone(),
        };
        Ok((exchange, challenge_message))
    }

    /// Judges an AUTHENTICATE. The identity is what the client claims; it is proven only if the login is `Ok`.
    ///
    /// `lookup` gives the NT hash of a user, by user name and domain as the client spells them; it should
    /// compare without regard to case. `strangers` says who besides users is let in.
    pub fn finish(
        self,
        message: &[u8],
        lookup: &mut dyn FnMut(&Identity) -> Option<NtHash>,
        strangers: Strangers,
    ) -> (Option<Identity>, Result<Login, Refusal>) {
        let Some(authenticate) = Authenticate::read(message) else { return (None, Err(Refusal::Malformed)) };
        let identity = Identity {
            user: authenticate.user.text.clone(),
            domain: authenticate.domain.text.clone(),
            workstation: authenticate.workstation.text.clone(),
        };
        let login = if strangers.anonymous && authenticate.is_anonymous() {
            self.login(&authenticate, &Zeroizing::new(ANONYMOUS_KEY), true)
        } else if strangers.guests && is_guest(&identity, lookup) {
            Ok(Login::guest())
        } else {
            self.judge(message, &authenticate, &identity, lookup)
        };
        (Some(identity), login)
    }

    fn judge(
        &self,
        message: &[u8],
        authenticate: &Authenticate<'_>,
        identity: &Identity,
        lookup: &mut dyn FnMut(&Identity) -> Option<NtHash>,
    ) -> Result<Login, Refusal> {
        let (proof, blob) = ntlm_v2_response(authenticate)?;
        if identity.user.eq_ignore_ascii_case("guest") {
            return Err(Refusal::Guest);
        }
        let pairs = &authenticate.nt_response[RESPONSE_HEAD_LEN..];
        let mic_announced = announces_mic(pairs).ok_or(Refusal::Malformed)?;

        let hash = lookup(identity);
        let known = hash.is_some();
        let hash = hash.unwrap_or(NtHash::from(NOBODY));
        let key = response_key(&hash, &authenticate.user.units, &authenticate.domain.units);
        let expected = hmac_md5(&key[..], &[&self.challenge, blob]);
        let proven = constant_time::verify_slices_are_equal(&expected[..], proof).is_ok();
        if !(proven & known) {
            return Err(Refusal::BadCredentials);
        }

        let login = self.login(authenticate, &hmac_md5(&key[..], &[proof]), false)?;
        if mic_announced {
            self.check_mic(message, authenticate, &login.session_key)?;
        }
        Ok(login)
    }

    /// What follows from the session base key.
    fn login(
        &self,
        authenticate: &Authenticate<'_>,
        base_key: &SessionKey,
        anonymous: bool,
    ) -> Result<Login, Refusal> {
        let flags = self.flags.and(authenticate.flags);
        let session_key = exported_session_key(flags, base_key, authenticate)?;
        let signer = MessageSigner::new(&session_key, flags);
        Ok(Login { session_key, signer, anonymous, guest: false })
    }

    /// The message integrity code covers all three messages, its own field taken as zero (MS-NLMP 3.1.5.1.2).
    fn check_mic(
        &self,
        message: &[u8],
        authenticate: &Authenticate<'_>,
        session_key: &SessionKey,
    ) -> Result<(), Refusal> {
        let mic = authenticate.mic.ok_or(Refusal::BadMic)?;
        let parts: [&[u8]; 5] = [
            &self.negotiate_message,
            &self.challenge_message,
            &message[..MIC.start],
            &[0; 16],
            &message[MIC.end..],
        ];
        let expected = hmac_md5(&session_key[..], &parts);
        constant_time::verify_slices_are_equal(&expected[..], mic).map_err(|_| Refusal::BadMic)
    }
}

impl Login {
    /// Whatever key the client has was made of a password that is not known here.
    fn guest() -> Self {
        Self { session_key: Zeroizing::new(NO_KEY), signer: None, anonymous: false, guest: true }
    }
}

/// Whether the name is no user's. There is nothing to judge a response by then, whatever its form.
fn is_guest(identity: &Identity, lookup: &mut dyn FnMut(&Identity) -> Option<NtHash>) -> bool {
    let name = &identity.user;
    !name.is_empty() && (name.eq_ignore_ascii_case("guest") || lookup(identity).is_none())
}

/// Cuts an NTLMv2 response into its proof and what the proof covers.
fn ntlm_v2_response<'m>(authenticate: &Authenticate<'m>) -> Result<(&'m [u8], &'m [u8]), Refusal> {
    let response = authenticate.nt_response;
    let nameless = authenticate.user.units.is_empty();
    let empty = response.is_empty() && authenticate.lm_response.len() <= 1;
    if nameless || empty || authenticate.flags.contains(NegotiateFlags::ANONYMOUS) {
        return Err(Refusal::Anonymous);
    }
    if response.len() <= RESPONSE_HEAD_LEN {
        return Err(Refusal::NotNtlmV2);
    }
    let (proof, blob) = response.split_at(PROOF_LEN);
    // Version and highest version understood: both 1 (MS-NLMP 2.2.2.7).
    if blob[..2] != [1, 1] {
        return Err(Refusal::Malformed);
    }
    Ok((proof, blob))
}

/// The session key: the client's own, decrypted, after a key exchange (MS-NLMP 3.2.5.1.2).
///
/// A client that agreed on a key exchange without signing or sealing may leave its key out.
fn exported_session_key(
    flags: NegotiateFlags,
    base_key: &SessionKey,
    authenticate: &Authenticate<'_>,
) -> Result<SessionKey, Refusal> {
    let encrypted = authenticate.encrypted_session_key;
    if !flags.contains(NegotiateFlags::KEY_EXCHANGE) || encrypted.is_empty() {
        return Ok(base_key.clone());
    }
    let mut session_key = Zeroizing::new(<[u8; 16]>::try_from(encrypted).map_err(|_| Refusal::Malformed)?);
    rc4(&base_key[..], &mut session_key[..]);
    Ok(session_key)
}
