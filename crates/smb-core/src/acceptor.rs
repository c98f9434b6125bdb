//! A log-in as SESSION_SETUP carries it: tokens in, tokens out, a session key at the end.
//!
//! The first token decides the framing: it is either a bare NTLM message (as the Linux kernel client sends) or
//! SPNEGO around it (everyone else). Then:
//!
//! ```text
//! Fresh ── NTLM NEGOTIATE ──────────────────────► Challenged ── AUTHENTICATE ──► Over (done or refused)
//!   └──── SPNEGO preferring another mechanism ──► Selected ── NTLM NEGOTIATE ──► Challenged
//! ```
//!
//! A SPNEGO client may sign the list of mechanisms it offered. That signature is verified whenever it is there,
//! and answered with ours. A client whose first choice was another mechanism ought to send one (RFC 4178,
//! section 5); since NTLM is the only mechanism here, there is nothing that an edited list could be bent to,
//! and a client that sends none is let in.

use zeroize::Zeroizing;

use smb_wire::status::NtStatus;
use smb_wire::time::FileTime;

use crate::ntlm::{self, Exchange, Identity, MessageSigner, NtHash, SessionKey, TargetNames};
use crate::spnego::{self, ClientToken, NegState};

/// Longest token accepted, in bytes: what SESSION_SETUP's 16-bit length can say.
pub const MAX_TOKEN_LEN: usize = 65535;

/// What became of a token.
pub enum Step {
    /// Send this token with `STATUS_MORE_PROCESSING_REQUIRED` and wait for the next one.
    Continue(Vec<u8>),
    /// The client is who it says.
    Done(Established),
    /// The log-in failed and is over.
    Refused(Refusal),
}

/// A finished log-in.
pub struct Established {
    /// The last token for the client; may be empty.
    pub token: Vec<u8>,
    /// The user, in the client's spelling.
    pub identity: Identity,
    /// The session key.
    pub session_key: SessionKey,
}

/// A failed log-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why, for the log.
    pub reason: Reason,
    /// Whom the client claimed to be, if it came that far.
    pub identity: Option<Identity>,
}

/// Why a log-in failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The token is neither NTLM nor SPNEGO, too long, or does not belong here in the exchange.
    BadToken,
    /// The client offers no NTLM.
    NoCommonMechanism,
    /// NTLM refused.
    Ntlm(ntlm::Refusal),
    /// The signature of the mechanism list is wrong: the list was edited on the way.
    BadMechanismList,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BadToken => f.write_str("unexpected or malformed security token"),
            Self::NoCommonMechanism => f.write_str("client does not offer NTLM"),
            Self::Ntlm(refusal) => refusal.fmt(f),
            Self::BadMechanismList => f.write_str("SPNEGO mechanism list was altered on the way"),
        }
    }
}

impl Refusal {
    /// What the client is told: nothing about whether the user exists.
    pub fn status(&self) -> NtStatus {
        match self.reason {
            Reason::BadToken | Reason::Ntlm(ntlm::Refusal::Malformed) => NtStatus::INVALID_PARAMETER,
            Reason::NoCommonMechanism | Reason::Ntlm(_) | Reason::BadMechanismList => NtStatus::LOGON_FAILURE,
        }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reason, identity: None }
    }
}

enum Framing {
    Raw,
    /// The client's list of mechanisms as it encoded it: what the signatures cover.
    Spnego(Vec<u8>),
}

enum State {
    Fresh,
    Selected { mechanisms: Vec<u8> },
    Challenged { framing: Framing, exchange: Exchange },
    Over,
}

/// One log-in in progress. Make a new one for each, also for a re-authentication.
pub struct Acceptor {
    names: TargetNames,
    challenge: [u8; 8],
    state: State,
}

impl Acceptor {
    /// A log-in that has not begun. `challenge` is fresh random bytes, never used again.
    pub fn new(names: TargetNames, challenge: [u8; 8]) -> Self {
        Self { names, challenge, state: State::Fresh }
    }

    /// Takes the client's next token.
    ///
    /// `lookup` gives the NT hash of a user, without regard to case.
    pub fn step(
        &mut self,
        token: &[u8],
        now: FileTime,
        lookup: &mut dyn FnMut(&Identity) -> Option<NtHash>,
    ) -> Step {
        if token.len() > MAX_TOKEN_LEN {
            self.state = State::Over;
            return Step::Refused(Reason::BadToken.into());
        }
        let step = match std::mem::replace(&mut self.state, State::Over) {
            State::Fresh => self.first_token(token, now),
            State::Selected { mechanisms } => self.selected_token(token, mechanisms, now),
            State::Challenged { framing, exchange } => finish(token, framing, exchange, lookup),
            State::Over => Err(Reason::BadToken.into()),
        };
        step.unwrap_or_else(Step::Refused)
    }

    fn first_token(&mut self, token: &[u8], now: FileTime) -> Result<Step, Refusal> {
        if token.starts_with(&ntlm::SIGNATURE) {
            return self.challenge_client(token, Framing::Raw, now);
        }
        let Some(ClientToken::Init(init)) = spnego::decode(token) else {
            return Err(Reason::BadToken.into());
        };
        let Some(place) = init.ntlm_place else { return Err(Reason::NoCommonMechanism.into()) };
        let mechanisms = init.mechanisms.to_vec();
        match init.token {
            Some(token) if place == 0 => self.challenge_client(token, Framing::Spnego(mechanisms), now),
            _ => {
                let state = if place == 0 { NegState::AcceptIncomplete } else { NegState::RequestMic };
                self.state = State::Selected { mechanisms };
                Ok(Step::Continue(spnego::response(state, true, None, None)))
            }
        }
    }

    /// The first NTLM message of a client that was told to use NTLM.
    fn selected_token(&mut self, token: &[u8], mechanisms: Vec<u8>, now: FileTime) -> Result<Step, Refusal> {
        let message = match spnego::decode(token) {
            Some(ClientToken::Response(response)) => response.token,
            _ => None,
        };
        self.challenge_client(message.ok_or(Reason::BadToken)?, Framing::Spnego(mechanisms), now)
    }

    fn challenge_client(&mut self, message: &[u8], framing: Framing, now: FileTime) -> Result<Step, Refusal> {
        let (exchange, challenge) =
            Exchange::begin(message, &self.names, self.challenge, now).map_err(Reason::Ntlm)?;
        let token = match framing {
            Framing::Raw => challenge,
            Framing::Spnego(_) => spnego::response(NegState::AcceptIncomplete, true, Some(&challenge), None),
        };
        self.state = State::Challenged { framing, exchange };
        Ok(Step::Continue(token))
    }
}

fn finish(
    token: &[u8],
    framing: Framing,
    exchange: Exchange,
    lookup: &mut dyn FnMut(&Identity) -> Option<NtHash>,
) -> Result<Step, Refusal> {
    let (message, mic) = match &framing {
        Framing::Raw => (token, None),
        Framing::Spnego(_) => match spnego::decode(token) {
            Some(ClientToken::Response(response)) => (response.token.ok_or(Reason::BadToken)?, response.mic),
            _ => return Err(Reason::BadToken.into()),
        },
    };
    let (identity, login) = exchange.finish(message, lookup);
    let refuse = |reason| Refusal { reason, identity: identity.clone() };
    let login = login.map_err(|refusal| refuse(Reason::Ntlm(refusal)))?;
    let token = match &framing {
        Framing::Raw => Vec::new(),
        Framing::Spnego(mechanisms) => {
            let answer = check_mechanisms(mechanisms, mic, login.signer.as_ref()).map_err(refuse)?;
            spnego::response(NegState::AcceptCompleted, false, None, answer.as_ref().map(|mic| &mic[..]))
        }
    };
    let session_key: SessionKey = Zeroizing::new(*login.session_key);
    let identity = identity.unwrap_or_default();
    Ok(Step::Done(Established { token, identity, session_key }))
}

/// Verifies the client's signature of its mechanism list, if there is one, and gives ours in return.
fn check_mechanisms(
    mechanisms: &[u8],
    mic: Option<&[u8]>,
    signer: Option<&MessageSigner>,
) -> Result<Option<[u8; 16]>, Reason> {
    let Some(mic) = mic else { return Ok(None) };
    let signer = signer.ok_or(Reason::BadMechanismList)?;
    if !signer.verify_from_client(mechanisms, mic) {
        return Err(Reason::BadMechanismList);
    }
    Ok(Some(signer.sign_from_server(mechanisms)))
}
