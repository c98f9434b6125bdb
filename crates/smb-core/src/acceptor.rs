//! A log-in as SESSION_SETUP carries it: tokens in, tokens out, a session key at the end.
//!
//! The first token decides the framing: it is either a bare NTLM message (as the Linux kernel client sends) or
//! SPNEGO around whatever the client likes best. Then:
//!
//! ```text
//! Fresh ── NTLM NEGOTIATE ──────────────────► Challenged ── AUTHENTICATE ──► Over (done or refused)
//!   ├───── ticket ──────────────────────────► Over
//!   └───── SPNEGO without a token for us ───► Selected ── NTLM NEGOTIATE ──► Challenged
//!                                                └─────── ticket ──────────► Confirming ── signature ──► Over
//! ```
//!
//! A SPNEGO client may sign the list of mechanisms it offered. That signature is verified whenever it is there,
//! and answered with ours. A client whose first choice was a mechanism that is not offered here ought to send one
//! (RFC 4178, section 5). Of a ticket it is asked for. Of NTLM it is not: not every client sends one, and an edited
//! list could only lead where a client is led by an edited list of the server's, which the client alone can refuse.

use zeroize::Zeroizing;

use smb_wire::status::NtStatus;
use smb_wire::time::FileTime;

use crate::kerberos::{self, Membership, MicSigner, Tickets};
use crate::ntlm::{self, Exchange, Identity, MessageSigner, NtHash, Strangers, TargetNames};
use crate::spnego::{self, ClientToken, Mechanism, NegState, NegTokenInit, Offer};

/// Longest token accepted, in bytes: what SESSION_SETUP's 16-bit length can say.
pub const MAX_TOKEN_LEN: usize = 65535;

/// What became of a token.
pub enum Step {
    /// Send this token with `STATUS_MORE_PROCESSING_REQUIRED` and wait for the next one.
    Continue(Vec<u8>),
    /// The client is who it says, or one of the strangers that are let in.
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
    /// The session key, as long as the mechanism made it.
    pub session_key: Zeroizing<Vec<u8>>,
    /// What the user's ticket says, after a log-in by ticket.
    pub ticket: Option<Ticket>,
    /// Nobody has logged in: the identity names no user, and the session key is no secret.
    pub anonymous: bool,
    /// A guest has logged in: the identity names no user of ours, and the session key is none.
    pub guest: bool,
}

impl Established {
    /// Whether the client has proved to be who it says.
    pub fn is_proved(&self) -> bool {
        !self.anonymous && !self.guest
    }
}

/// What a ticket says besides who the user is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The user's name in Kerberos.
    pub principal: kerberos::Principal,
    /// When it ends, and what was begun with it.
    pub ends: FileTime,
    /// The user and the user's groups by SID, if the realm says.
    pub membership: Option<Membership>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The token is neither NTLM nor SPNEGO, too long, or does not belong here in the exchange.
    BadToken,
    /// The client offers nothing that is offered here.
    NoCommonMechanism,
    /// The client would log in by NTLM, which is switched off.
    NtlmBlocked,
    /// NTLM refused.
    Ntlm(ntlm::Refusal),
    /// Kerberos refused.
    Kerberos(kerberos::Refusal),
    /// The signature of the mechanism list is wrong or missing: the list was edited on the way.
    BadMechanismList,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BadToken => f.write_str("unexpected or malformed security token"),
            Self::NoCommonMechanism => f.write_str("client offers no mechanism that is offered here"),
            Self::NtlmBlocked => f.write_str("client offers NTLM, which is switched off"),
            Self::Ntlm(refusal) => refusal.fmt(f),
            Self::Kerberos(refusal) => refusal.fmt(f),
            Self::BadMechanismList => f.write_str("SPNEGO mechanism list was altered on the way"),
        }
    }
}

impl Refusal {
    /// What the client is told: nothing about whether the user exists.
    pub fn status(&self) -> NtStatus {
        match &self.reason {
            Reason::BadToken
            | Reason::Ntlm(ntlm::Refusal::Malformed)
            | Reason::Kerberos(kerberos::Refusal::Malformed) => NtStatus::INVALID_PARAMETER,
            Reason::NtlmBlocked => NtStatus::NTLM_BLOCKED,
            Reason::Kerberos(kerberos::Refusal::Unsupported(_)) => NtStatus::NOT_SUPPORTED,
            Reason::Kerberos(kerberos::Refusal::Clock(_)) => NtStatus::TIME_DIFFERENCE_AT_DC,
            Reason::Kerberos(
                kerberos::Refusal::TooManyLogons
                | kerberos::Refusal::TooManyLogonsOf(_)
                | kerberos::Refusal::NoRandomNumbers,
            ) => NtStatus::INSUFFICIENT_RESOURCES,
            Reason::NoCommonMechanism | Reason::Ntlm(_) | Reason::Kerberos(_) | Reason::BadMechanismList => {
                NtStatus::LOGON_FAILURE
            }
        }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reason, identity: None }
    }
}

/// Gives the NT hash of a user, without regard to case.
pub type Lookup<'a> = dyn FnMut(&Identity) -> Option<NtHash> + 'a;

/// What log-ins are judged by. What is missing is not offered.
pub struct Judges<'p, 't> {
    /// NTLM.
    pub passwords: Option<&'p mut Lookup<'p>>,
    /// Kerberos.
    pub tickets: Option<Tickets<'t>>,
    /// Whom NTLM lets in besides users; of no effect without passwords.
    pub strangers: Strangers,
}

impl Judges<'_, '_> {
    fn offer(&self) -> Offer {
        Offer { kerberos: self.tickets.is_some(), ntlm: self.passwords.is_some() }
    }
}

enum Framing {
    Raw,
    /// The client's list of mechanisms as it encoded it: what the signatures cover.
    Spnego(Vec<u8>),
}

enum State {
    Fresh,
    Selected {
        mechanism: Mechanism,
        mechanisms: Vec<u8>,
        /// It was not the client's first choice.
        asks_signature: bool,
    },
    Challenged {
        framing: Framing,
        exchange: Exchange,
    },
    /// Done but for the client's signature of its list.
    Confirming {
        established: Box<Established>,
        mechanisms: Vec<u8>,
        signer: Signer,
    },
    Over,
}

/// Who signs lists of mechanisms.
enum Signer {
    Ntlm(MessageSigner),
    Kerberos(MicSigner),
}

/// One log-in in progress. Make a new one for each, also for a re-authentication.
pub struct Acceptor {
    names: TargetNames,
    challenge: [u8; 8],
    /// The time that the challenge says; `None`: when it is made.
    dated: Option<FileTime>,
    state: State,
}

impl Acceptor {
    /// A log-in that has not begun. `challenge` is fresh random bytes, never used again.
    pub fn new(names: TargetNames, challenge: [u8; 8]) -> Self {
        Self { names, challenge, dated: None, state: State::Fresh }
    }

    /// Whether the next token answers something that was sent, a challenge, and is not the first of its mechanism.
    pub fn awaits_answer(&self) -> bool {
        matches!(self.state, State::Challenged { .. } | State::Confirming { .. })
    }

    /// One whose challenge is used again and says this time: the same first token gets the same answer. The caller sees
    /// to it that nobody's answer to a challenge counts twice.
    pub fn with_known_challenge(names: TargetNames, challenge: [u8; 8], dated: FileTime) -> Self {
        Self { dated: Some(dated), ..Self::new(names, challenge) }
    }

    /// Takes the client's next token.
    pub fn step(&mut self, token: &[u8], now: FileTime, judges: &mut Judges<'_, '_>) -> Step {
        if token.len() > MAX_TOKEN_LEN {
            self.state = State::Over;
            return Step::Refused(Reason::BadToken.into());
        }
        let step = match std::mem::replace(&mut self.state, State::Over) {
            State::Fresh => self.first_token(token, now, judges),
            State::Selected { mechanism, mechanisms, asks_signature } => {
                let selected = Selected { mechanism, mechanisms, asks_signature, is_named: true };
                self.selected_token(token, selected, now, judges)
            }
            State::Challenged { framing, exchange } => finish(token, framing, exchange, judges),
            State::Confirming { established, mechanisms, signer } => {
                confirm(token, *established, &mechanisms, &signer).map_err(Refusal::from)
            }
            State::Over => Err(Reason::BadToken.into()),
        };
        step.unwrap_or_else(Step::Refused)
    }

    fn first_token(
        &mut self,
        token: &[u8],
        now: FileTime,
        judges: &mut Judges<'_, '_>,
    ) -> Result<Step, Refusal> {
        if token.starts_with(&ntlm::SIGNATURE) {
            return match judges.passwords {
                Some(_) => self.challenge_client(token, Framing::Raw, None, now),
                None => Err(Reason::NtlmBlocked.into()),
            };
        }
        let Some(ClientToken::Init(init)) = spnego::decode(token) else {
            return Err(Reason::BadToken.into());
        };
        let (place, mechanism) = choose(&init, judges.offer())?;
        let mechanisms = init.mechanisms.to_vec();
        let asks_signature = place > 0;
        match init.token {
            Some(token) if place == 0 => {
                let selected = Selected { mechanism, mechanisms, asks_signature, is_named: false };
                self.mechanism_token(token, None, selected, now, judges)
            }
            _ => {
                let state = if place == 0 { NegState::AcceptIncomplete } else { NegState::RequestMic };
                self.state = State::Selected { mechanism, mechanisms, asks_signature };
                Ok(Step::Continue(spnego::response(state, Some(mechanism), None, None)))
            }
        }
    }

    /// The first message of a client that was told what to use.
    fn selected_token(
        &mut self,
        token: &[u8],
        selected: Selected,
        now: FileTime,
        judges: &mut Judges<'_, '_>,
    ) -> Result<Step, Refusal> {
        match spnego::decode(token) {
            Some(ClientToken::Response(response)) => {
                let message = response.token.ok_or(Reason::BadToken)?;
                self.mechanism_token(message, response.mic, selected, now, judges)
            }
            _ => Err(Reason::BadToken.into()),
        }
    }

    /// The first message of a mechanism, inside SPNEGO.
    fn mechanism_token(
        &mut self,
        message: &[u8],
        mic: Option<&[u8]>,
        selected: Selected,
        now: FileTime,
        judges: &mut Judges<'_, '_>,
    ) -> Result<Step, Refusal> {
        match selected.mechanism {
            Mechanism::Ntlm => {
                let framing = Framing::Spnego(selected.mechanisms);
                self.challenge_client(message, framing, Some(Mechanism::Ntlm), now)
            }
            Mechanism::Kerberos | Mechanism::MsKerberos => {
                let tickets = judges.tickets.as_mut().ok_or(Reason::NoCommonMechanism)?;
                let accepted = kerberos::accept(message, tickets, now).map_err(Reason::Kerberos)?;
                Ok(self.ticket_taken(accepted, mic, selected)?)
            }
        }
    }

    fn challenge_client(
        &mut self,
        message: &[u8],
        framing: Framing,
        names: Option<Mechanism>,
        now: FileTime,
    ) -> Result<Step, Refusal> {
        let (exchange, challenge) =
            Exchange::begin(message, &self.names, self.challenge, self.dated.unwrap_or(now))
                .map_err(Reason::Ntlm)?;
        let token = match framing {
            Framing::Raw => challenge,
            Framing::Spnego(_) => spnego::response(NegState::AcceptIncomplete, names, Some(&challenge), None),
        };
        self.state = State::Challenged { framing, exchange };
        Ok(Step::Continue(token))
    }

    /// Somebody has shown a good ticket: that is all, unless a signature is asked for that is not there yet. The
    /// client cannot make it before it has our reply.
    fn ticket_taken(
        &mut self,
        accepted: kerberos::Accepted,
        mic: Option<&[u8]>,
        selected: Selected,
    ) -> Result<Step, Reason> {
        let Selected { mechanism, mechanisms, asks_signature, is_named } = selected;
        let names = (!is_named).then_some(mechanism);
        let signer = Signer::Kerberos(accepted.signer);
        let reply = accepted.reply.as_deref();
        let mut established = Established {
            token: Vec::new(),
            identity: Identity {
                user: accepted.user,
                domain: accepted.principal.realm().to_owned(),
                workstation: String::new(),
            },
            session_key: Zeroizing::new(accepted.session_key.as_bytes().to_vec()),
            ticket: Some(Ticket {
                principal: accepted.principal,
                ends: accepted.ends,
                membership: accepted.membership,
            }),
            anonymous: false,
            guest: false,
        };
        if asks_signature && mic.is_none() {
            let token = spnego::response(NegState::AcceptIncomplete, names, reply, None);
            self.state = State::Confirming { established: Box::new(established), mechanisms, signer };
            return Ok(Step::Continue(token));
        }
        let answer = check_mechanisms(&mechanisms, mic, Some(&signer))?;
        established.token = spnego::response(NegState::AcceptCompleted, names, reply, answer.as_deref());
        Ok(Step::Done(established))
    }
}

/// What client and server have settled on.
struct Selected {
    mechanism: Mechanism,
    mechanisms: Vec<u8>,
    asks_signature: bool,
    /// The client was told.
    is_named: bool,
}

/// The first of the client's choices that is offered here, and its place.
fn choose(init: &NegTokenInit<'_>, offer: Offer) -> Result<(usize, Mechanism), Reason> {
    let offered = |choice: &Option<Mechanism>| choice.filter(|mechanism| offer.has(*mechanism));
    let found = init.choices.iter().enumerate().find_map(|(place, choice)| Some((place, offered(choice)?)));
    found.ok_or_else(|| match init.choices.contains(&Some(Mechanism::Ntlm)) {
        true => Reason::NtlmBlocked,
        false => Reason::NoCommonMechanism,
    })
}

fn finish(
    token: &[u8],
    framing: Framing,
    exchange: Exchange,
    judges: &mut Judges<'_, '_>,
) -> Result<Step, Refusal> {
    let (message, mic) = match &framing {
        Framing::Raw => (token, None),
        Framing::Spnego(_) => match spnego::decode(token) {
            Some(ClientToken::Response(response)) => (response.token.ok_or(Reason::BadToken)?, response.mic),
            _ => return Err(Reason::BadToken.into()),
        },
    };
    let lookup = judges.passwords.as_mut().ok_or(Reason::NtlmBlocked)?;
    let (identity, login) = exchange.finish(message, lookup, judges.strangers);
    let refuse = |reason| Refusal { reason, identity: identity.clone() };
    let login = login.map_err(|refusal| refuse(Reason::Ntlm(refusal)))?;
    let token = match &framing {
        Framing::Raw => Vec::new(),
        Framing::Spnego(mechanisms) => {
            let signer = login.signer.map(Signer::Ntlm);
            // A guest signs by a key that is not known here.
            let mic = mic.filter(|_| !login.guest);
            let answer = check_mechanisms(mechanisms, mic, signer.as_ref()).map_err(refuse)?;
            spnego::response(NegState::AcceptCompleted, None, None, answer.as_deref())
        }
    };
    let session_key = Zeroizing::new(login.session_key.to_vec());
    let identity = identity.unwrap_or_default();
    let (anonymous, guest) = (login.anonymous, login.guest);
    Ok(Step::Done(Established { token, identity, session_key, ticket: None, anonymous, guest }))
}

/// The last leg of a client that was asked for its signature.
fn confirm(
    token: &[u8],
    mut established: Established,
    mechanisms: &[u8],
    signer: &Signer,
) -> Result<Step, Reason> {
    let Some(ClientToken::Response(response)) = spnego::decode(token) else { return Err(Reason::BadToken) };
    let mic = response.mic.ok_or(Reason::BadMechanismList)?;
    let answer = check_mechanisms(mechanisms, Some(mic), Some(signer))?;
    established.token = spnego::response(NegState::AcceptCompleted, None, None, answer.as_deref());
    Ok(Step::Done(established))
}

/// Verifies the client's signature of its mechanism list, if there is one, and gives ours in return.
fn check_mechanisms(
    mechanisms: &[u8],
    mic: Option<&[u8]>,
    signer: Option<&Signer>,
) -> Result<Option<Vec<u8>>, Reason> {
    let Some(mic) = mic else { return Ok(None) };
    let (verified, ours) = match signer.ok_or(Reason::BadMechanismList)? {
        Signer::Ntlm(signer) => {
            (signer.verify_from_client(mechanisms, mic), signer.sign_from_server(mechanisms).to_vec())
        }
        Signer::Kerberos(signer) => {
            (signer.verify_from_client(mechanisms, mic), signer.sign_from_server(mechanisms))
        }
    };
    if verified { Ok(Some(ours)) } else { Err(Reason::BadMechanismList) }
}
