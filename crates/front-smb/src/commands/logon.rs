//! SESSION_SETUP and LOGOFF: logging in, proving oneself again, binding a further connection
//! (MS-SMB2 3.3.5.5, 3.3.5.6).
//!
//! A log-in takes two or three legs. Between them it lives in the connection as a [`Logon`]; what it is for is
//! decided at its first leg:
//!
//! ```text
//! SessionId 0                      -> New:    a session of its own
//! a session of this connection     -> Again:  the user proves himself again, or to be nobody; keys stay
//! any session, with BINDING        -> Bind:   this connection becomes a further channel of it
//! ```

use crate::commands::file_info;
use crate::config::Encryption;
use crate::connection::{Connection, Disconnect};
use crate::negotiate;
use crate::reply::Answer;
use crate::request::Request;
use crate::server::{Ending, State};
use crate::session::{Bindings, Channel, NewSession, Sealing, Session, Terms};
use crate::turns::Turn;
use bytes::Bytes;
use smb_core::acceptor::{Acceptor, Established, Judges, Lookup, Refusal, Step};
use smb_core::access::Token;
use smb_core::algorithm::SigningAlgorithm;
use smb_core::kdf::{self, SessionKeys};
use smb_core::kerberos::Tickets;
use smb_core::negotiate::Agreement;
use smb_core::ntlm::{Identity, Strangers, TargetNames};
use smb_core::preauth::PreauthHash;
use smb_core::sealing::{Opener, Sealer};
use smb_core::signing::{Role, Signer};
use smb_wire::negotiate::{Capabilities, Dialect, SecurityMode};
use smb_wire::rpc::accounts::GUEST;
use smb_wire::session_setup::{
    LogoffRequest, LogoffResponse, SessionFlags, SessionSetupFlags, SessionSetupRequest, SessionSetupResponse,
};
use smb_wire::time::FileTime;
use smb_wire::{Command, Flags, Header, NtStatus};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use volume::Time;

/// A log-in under way.
pub(crate) struct Logon {
    acceptor: Acceptor,
    /// Hash over NEGOTIATE and all legs so far (3.1.1).
    pub(crate) preauth: PreauthHash,
    purpose: Purpose,
    pub(crate) begun: Instant,
}

/// Stands for every user in the table of failures by place.
const ANYBODY: &str = "";

enum Purpose {
    New,
    Again(Channel),
    Bind(Arc<Session>),
}

/// One leg of a log-in. An `Err` outside drops the connection.
pub(super) async fn session_setup(request: &Request) -> Result<Result<Answer, NtStatus>, Disconnect> {
    let decoded = match SessionSetupRequest::decode(&request.message) {
        Ok(decoded) => decoded,
        Err(error) => return Ok(Err(error.status())),
    };
    let connection = &request.connection;
    let agreement = connection.negotiated.get().ok_or("SESSION_SETUP before NEGOTIATE")?;
    let _leg = connection.logons.begin_leg();
    let (id, mut logon) = match resume_or_begin(request, &decoded, agreement)? {
        Ok(logon) => logon,
        Err(refused) => return Ok(Ok(*refused)),
    };
    logon.preauth.update(&[&request.message]);
    let turn = take_turn(connection).await;
    let step = judge(&connection.server, &mut logon.acceptor, &decoded.security_buffer);
    drop(turn);
    match step {
        Step::Continue(token) => {
            let sign_with = logon.signs_interim(request);
            connection.logons.keep(id, logon);
            let mut answer = answer(id, NtStatus::MORE_PROCESSING_REQUIRED, SessionFlags::empty(), token);
            answer.channel = sign_with;
            Ok(Ok(answer))
        }
        Step::Refused(refusal) => {
            let status = refused(connection, &logon, refusal).await;
            Ok(Ok(Answer { channel: logon.signs_interim(request), ..Answer::error(status) }))
        }
        Step::Done(mut established) => {
            if established.guest {
                // A key that nobody has: nothing is signed with it.
                getrandom::fill(&mut established.session_key)?;
            }
            let by_password = established.ticket.is_none() && established.is_proved();
            if by_password {
                wait_out_earlier_failures(connection, &established.identity).await;
            }
            let known = logon.signs_interim(request);
            let outcome = establish(request, &decoded, agreement, id, logon, established).await;
            Ok(Ok(outcome.unwrap_or_else(|status| Answer { channel: known, ..Answer::error(status) })))
        }
    }
}

fn now() -> FileTime {
    file_info::file_time(Time::now())
}

/// Judges a token by passwords and by tickets, as far as they are offered.
fn judge(server: &State, acceptor: &mut Acceptor, token: &[u8]) -> Step {
    let now = now();
    let users = &server.config.users;
    let mut lookup = |identity: &Identity| users.nt_hash(&identity.user, &identity.domain);
    let mut judge = |tickets: Option<Tickets<'_>>| {
        let passwords: Option<&mut Lookup<'_>> = if server.config.ntlm { Some(&mut lookup) } else { None };
        let guests = server.admits_guests();
        let anonymous = guests || server.config.admits_nobody();
        // A name that is missing in half a list may be a user's.
        let strangers = Strangers { anonymous, guests: guests && users.are_known() };
        acceptor.step(token, now, &mut Judges { passwords, tickets, strangers })
    };
    match &server.tickets {
        Some(desk) => desk.judge(|tickets| judge(Some(tickets))),
        None => judge(None),
    }
}

fn answer(session_id: u64, status: NtStatus, session_flags: SessionFlags, token: Vec<u8>) -> Answer {
    let response = SessionSetupResponse { session_flags, security_buffer: Bytes::from(token) };
    Answer { session_id: Some(session_id), ..Answer::with(status, |body| response.encode(body)) }
}

/// Waits until this client's place may try: one at a time, and spaced after many wrong passwords.
async fn take_turn(connection: &Connection) -> Turn<'_> {
    let source = connection.peer.ip();
    let turn = connection.server.turns.take(source).await;
    let wait = connection.server.throttle_of_places.lock().delay(Instant::now(), ANYBODY, source);
    sleep(wait).await;
    turn
}

/// The log-in that this leg belongs to, under its session's id.
fn resume_or_begin(
    request: &Request,
    decoded: &SessionSetupRequest,
    agreement: &Agreement,
) -> Result<Result<(u64, Logon), Box<Answer>>, Disconnect> {
    let connection = &request.connection;
    let id = request.header.session_id;
    if let Some(logon) = connection.logons.resume(id) {
        return Ok(match logon.may_go_on(request) {
            Ok(()) => Ok((id, logon)),
            Err(status) => Err(Box::new(Answer::error(status))),
        });
    }
    let purpose = if decoded.flags.contains(SessionSetupFlags::BINDING) {
        match may_bind(request, agreement) {
            Ok(session) => Purpose::Bind(session),
            Err(refused) => return Ok(Err(refused)),
        }
    } else if id == 0 {
        Purpose::New
    } else {
        match &request.channel {
            Some(channel) => Purpose::Again(channel.clone()),
            None => return Ok(Err(Box::new(Answer::error(NtStatus::USER_SESSION_DELETED)))),
        }
    };
    if !connection.logons.have_room(connection.live_sessions(), connection.was_known()) {
        return Ok(Err(Box::new(Answer::error(NtStatus::INSUFFICIENT_RESOURCES))));
    }
    let acceptor = purpose.acceptor(TargetNames::standalone(&connection.server.config.server_name))?;
    let preauth = *connection.preauth.lock();
    let id = if id == 0 { connection.server.new_session_id()? } else { id };
    Ok(Ok((id, Logon { acceptor, preauth, purpose, begun: Instant::now() })))
}

/// Whether a connection may become a channel of the session that the request names (MS-SMB2 3.3.5.5, step 4).
/// What is refused to somebody who has proved to know the session's key is answered with a signature of it, as far as
/// [`Bindings`] allows.
fn may_bind(request: &Request, agreement: &Agreement) -> Result<Arc<Session>, Box<Answer>> {
    let refuse = |status| Box::new(Answer::error(status));
    let session = request.connection.server.session(request.header.session_id);
    let session = session.ok_or_else(|| refuse(NtStatus::USER_SESSION_DELETED))?;
    if let Some(status) = unlike_signing(session.terms.signing, agreement.signing) {
        return Err(refuse(status));
    }
    let signed = request.header.flags.contains(Flags::SIGNED);
    let proved = signed && session.signer.verify(&request.message);
    let refuse = |status| {
        let channel = binding_to(&session, request);
        Box::new(Answer { channel: proved.then_some(channel), ..Answer::error(status) })
    };
    if agreement.dialect < Dialect::SMB_3_0 || !agreement.capabilities.contains(Capabilities::MULTI_CHANNEL) {
        return Err(refuse(NtStatus::REQUEST_NOT_ACCEPTED));
    }
    if !signed {
        return Err(refuse(NtStatus::INVALID_PARAMETER));
    }
    if !proved {
        return Err(refuse(NtStatus::ACCESS_DENIED));
    }
    if session.is_strangers() {
        return Err(refuse(NtStatus::NOT_SUPPORTED));
    }
    if session.terms.dialect != agreement.dialect || session.terms.cipher != agreement.cipher {
        return Err(refuse(NtStatus::INVALID_PARAMETER));
    }
    if session.terms.client != agreement.client_guid {
        return Err(refuse(NtStatus::USER_SESSION_DELETED));
    }
    if request.connection.channel(session.id).is_some() {
        return Err(refuse(NtStatus::REQUEST_NOT_ACCEPTED));
    }
    Ok(session)
}

/// A session as a connection sees it that is not bound to it yet, for the answer to this leg.
fn binding_to(session: &Arc<Session>, leg: &Request) -> Channel {
    Channel { session: Arc::clone(session), signer: session.bindings.signer(&leg.message) }
}

/// AES-GMAC does not go with another algorithm in one session: one key would be used for both, and with AES-GMAC it
/// must not sign by a nonce twice. The codes are those of Windows.
fn unlike_signing(session: SigningAlgorithm, connection: SigningAlgorithm) -> Option<NtStatus> {
    match (session, connection) {
        (SigningAlgorithm::AesGmac, SigningAlgorithm::AesGmac) => None,
        (SigningAlgorithm::AesGmac, _) => Some(NtStatus::REQUEST_OUT_OF_SEQUENCE),
        (_, SigningAlgorithm::AesGmac) => Some(NtStatus::NOT_SUPPORTED),
        _ => None,
    }
}

/// A log-in that did not succeed: counted, slowed, and told nothing.
async fn refused(connection: &Connection, logon: &Logon, refusal: Refusal) -> NtStatus {
    connection.server.counters.logon_failures.fetch_add(1, Ordering::Relaxed);
    let user = refusal.identity.as_ref().map_or("", |identity| &identity.user);
    tracing::warn!(peer = %connection.peer, user, reason = %refusal.reason, "log-in refused");
    let wait = {
        let mut throttle = connection.server.throttle.lock();
        let source = connection.peer.ip();
        connection.server.throttle_of_places.lock().failed(Instant::now(), ANYBODY, source);
        throttle.delay(Instant::now(), user, source).max(throttle.failed(Instant::now(), user, source))
    };
    sleep(wait).await;
    if let Purpose::Again(channel) = &logon.purpose {
        // Who cannot prove himself again has no session any more (MS-SMB2 3.3.5.5.3).
        connection.server.end_session(&channel.session, Ending::Over).await;
    }
    refusal.status()
}

/// Somebody guessed at this name from there: the right password waits like a wrong one, so that waiting tells
/// nothing.
async fn wait_out_earlier_failures(connection: &Connection, identity: &Identity) {
    let source = connection.peer.ip();
    let wait = connection.server.throttle.lock().delay(Instant::now(), &identity.user, source);
    sleep(wait).await;
    connection.server.throttle.lock().succeeded(&identity.user, source);
}

async fn sleep(wait: Duration) {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

impl Purpose {
    /// Judges its tokens.
    fn acceptor(&self, names: TargetNames) -> Result<Acceptor, getrandom::Error> {
        if let Purpose::Bind(session) = self
            && let Some(acceptor) = session.bindings.acceptor(&names)
        {
            return Ok(acceptor);
        }
        let mut challenge = [0; 8];
        getrandom::fill(&mut challenge)?;
        Ok(Acceptor::new(names, challenge))
    }
}

impl Logon {
    /// Whether this leg proves to come from the session's client, and now: every leg of a binding is signed with the
    /// key of the session that it binds to, and one that answers a challenge counts once.
    fn may_go_on(&self, request: &Request) -> Result<(), NtStatus> {
        match &self.purpose {
            Purpose::New | Purpose::Again(_) => Ok(()),
            Purpose::Bind(session) => {
                let signed = request.header.flags.contains(Flags::SIGNED);
                if !signed || !session.signer.verify(&request.message) {
                    return Err(NtStatus::ACCESS_DENIED);
                }
                // Another leg is the same on each connection, and so is its answer.
                if self.acceptor.awaits_answer() {
                    session.bindings.take_leg(&request.message)?;
                }
                Ok(())
            }
        }
    }

    /// Who signs the answers before the last: of a binding the session that is bound to.
    fn signs_interim(&self, leg: &Request) -> Option<Channel> {
        match &self.purpose {
            Purpose::New => None,
            Purpose::Again(channel) => Some(channel.clone()),
            Purpose::Bind(session) => Some(binding_to(session, leg)),
        }
    }
}

async fn establish(
    request: &Request,
    decoded: &SessionSetupRequest,
    agreement: &Agreement,
    id: u64,
    logon: Logon,
    established: Established,
) -> Result<Answer, NtStatus> {
    let connection = &request.connection;
    let cipher = agreement.cipher;
    let keys = kdf::derive(&established.session_key[..], agreement.dialect, cipher, &logon.preauth);
    let signer = Arc::new(Signer::new(agreement.signing, &keys.signing, Role::Server));
    let user = &established.identity.user;
    let channel = match logon.purpose {
        Purpose::New => {
            let session = new_session(request, decoded, agreement, id, &established, keys, &signer)?;
            connection.server.add_session(&session, connection)?;
            let guest = session.is_guest();
            tracing::info!(peer = %connection.peer, user, guest, dialect = %agreement.dialect, "logged in");
            Channel { session, signer }
        }
        Purpose::Again(channel) => {
            prove_again(&channel.session, &established)?;
            channel
        }
        Purpose::Bind(session) => {
            if !established.is_proved() || session.is_strangers() || !session.is_by(&established) {
                return Err(NtStatus::ACCESS_DENIED);
            }
            connection.server.crowd.join(&session, connection)?;
            session.join(connection.id, Arc::downgrade(connection))?;
            tracing::info!(peer = %connection.peer, user, "a further channel");
            Channel { session, signer }
        }
    };
    connection.enter_session(channel.clone());
    connection.server.counters.logons.fetch_add(1, Ordering::Relaxed);
    if established.is_proved() {
        replace_previous(request, decoded, &channel.session).await;
    }
    let flags = match (established.anonymous, established.guest) {
        (true, _) => SessionFlags::IS_NULL,
        (false, true) => SessionFlags::IS_GUEST,
        (false, false) if channel.session.encrypts() => SessionFlags::ENCRYPT_DATA,
        (false, false) => SessionFlags::empty(),
    };
    let mut answer = answer(id, NtStatus::SUCCESS, flags, established.token);
    // A signature of nobody's would prove nothing.
    answer.channel = (!channel.session.nobodys).then_some(channel);
    Ok(answer)
}

/// A session goes on with its user, or is left to nobody until he is back. It never becomes somebody else's, and one
/// that was made by nobody never somebody's: others know its keys. A guest stays one.
fn prove_again(session: &Session, established: &Established) -> Result<(), NtStatus> {
    match (established.is_proved(), session.nobodys) {
        (true, false) if session.is_by(established) => {
            session.renew(established.ticket.as_ref().map(|ticket| ticket.ends));
        }
        (false, false) if established.anonymous => session.leave_to_nobody(),
        (false, true) => {}
        (true, _) | (false, false) => return Err(NtStatus::ACCESS_DENIED),
    }
    Ok(())
}

fn new_session(
    request: &Request,
    decoded: &SessionSetupRequest,
    agreement: &Agreement,
    id: u64,
    established: &Established,
    keys: SessionKeys,
    signer: &Arc<Signer>,
) -> Result<Arc<Session>, NtStatus> {
    let connection = &request.connection;
    let guest = established.guest || (established.anonymous && connection.server.admits_guests());
    let cipher = agreement.cipher.filter(|_| !guest);
    let sealing = match (cipher, &keys.client_to_server, &keys.server_to_client) {
        (Some(cipher), Some(incoming), Some(outgoing)) => {
            let opener = Opener::new(cipher, incoming, id).ok_or(NtStatus::INSUFFICIENT_RESOURCES)?;
            let sealer = Sealer::new(cipher, outgoing, id).ok_or(NtStatus::INSUFFICIENT_RESOURCES)?;
            Some(Sealing { opener, sealer })
        }
        _ => None,
    };
    let config = &connection.server.config;
    let user = if guest { GUEST } else { &established.identity.user };
    let nobodys = !established.is_proved();
    let token = match (nobodys, guest) {
        (false, _) => connection.server.accounts.token(user, established.ticket.as_ref()),
        (true, true) => Some(connection.server.accounts.guest()),
        (true, false) => Some(Token::anonymous()),
    };
    // Removed since the password was looked up.
    let token = token.ok_or(NtStatus::LOGON_FAILURE)?;
    let asked = SecurityMode::from_bits_retain(u16::from(decoded.security_mode));
    let must_sign = agreement.signing_required || asked.contains(SecurityMode::SIGNING_REQUIRED);
    let encrypt = config.encryption != Encryption::Accepted && sealing.is_some();
    // From this answer on the connection signs by itself.
    let bindings = Bindings::new(agreement.signing, &keys.signing, request.header.message_id, now())
        .map_err(|_| NtStatus::INSUFFICIENT_RESOURCES)?;
    Ok(Session::new(NewSession {
        id,
        user: Arc::from(user),
        token,
        principal: established.ticket.as_ref().map(|ticket| ticket.principal.to_string().into()),
        nobodys,
        guest_from: guest.then(|| connection.peer.ip()),
        terms: Terms {
            dialect: agreement.dialect,
            cipher: agreement.cipher,
            signing: agreement.signing,
            client: agreement.client_guid,
        },
        // By keys that everybody or nobody knows both would be for show (MS-SMB2 3.3.5.5.3).
        signing_required: must_sign && !nobodys,
        encrypt: encrypt && !nobodys,
        signer: Arc::clone(signer),
        bindings,
        sealing,
        connection: Arc::clone(connection),
        expires: established.ticket.as_ref().map(|ticket| ticket.ends),
    }))
}

/// A client that comes back names the session it had: that one ends (MS-SMB2 3.3.5.5.3).
async fn replace_previous(request: &Request, decoded: &SessionSetupRequest, session: &Session) {
    if decoded.previous_session_id == 0 || decoded.previous_session_id == session.id {
        return;
    }
    let server = &request.connection.server;
    if let Some(previous) = server.session(decoded.previous_session_id)
        && previous.is_of(&session.token.user)
    {
        server.end_session(&previous, Ending::Lost).await;
    }
}

pub(super) async fn logoff(request: &Request) -> Result<Answer, NtStatus> {
    LogoffRequest::decode(&request.message).map_err(|error| error.status())?;
    // As with Windows and Samba its durable opens stay: the user may log in again for them.
    request.connection.server.log_off(request.session()?).await;
    Ok(Answer::ok(|body| LogoffResponse.encode(body)))
}

/// The answer to NEGOTIATE, or to a leg of a log-in that goes on, goes into the hash of 3.1.1. A NEGOTIATE that was
/// refused has agreed on nothing: neither it nor its answer counts.
pub(crate) fn hash_response(connection: &Connection, header: &Header, message: &[u8]) {
    if header.command == Command::Negotiate {
        if header.status == NtStatus::SUCCESS {
            negotiate::hash_response(connection, message);
        }
    } else {
        connection.logons.answered(header.session_id, message);
    }
}
