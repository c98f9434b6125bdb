//! From a frame to its answers: unsealing, the chain, and the checks that come before every command
//! (MS-SMB2 3.3.5.2).
//!
//! An [`Exchange`] is one frame being answered. Its requests run one after the other; what they answer goes
//! out as one frame, unless one of them has to wait: then what is done so far is sent, and an interim response
//! with it.

use crate::commands;
use crate::compression::{self, Restored};
use crate::connection::{Connection, Disconnect};
use crate::limits;
use crate::negotiate;
use crate::reply::{self, Answer, Reply};
use crate::request::{Chain, Request};
use crate::session::Channel;
use crate::waiting::{self, CancelledBy};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::FutureExt;
use smb_core::algorithm::SigningAlgorithm;
use smb_wire::frame::{FRAME_HEADER_LEN, Protocol};
use smb_wire::negotiate::Dialect;
use smb_wire::transform::{TRANSFORM_HEADER_LEN, TransformHeader};
use smb_wire::{Command, Flags, Header, NtStatus, split_compound};
use std::pin::pin;
use std::sync::Arc;

/// Answers one frame.
pub(crate) async fn frame(connection: Arc<Connection>, message: BytesMut) -> Result<(), Disconnect> {
    let (message, sealed) = match Protocol::of(&message)? {
        Protocol::Smb1 => return negotiate::multi_protocol(&connection, &message),
        Protocol::Smb2 | Protocol::Compressed => (message.freeze(), None),
        Protocol::Encrypted => {
            let (message, channel) = unseal(&connection, message)?;
            (message, Some(channel))
        }
    };
    let (message, _room) = match Protocol::of(&message)? {
        Protocol::Smb2 => (message, None),
        Protocol::Compressed => {
            let Restored { message, room } = compression::restore(&connection, &message).await?;
            (message, Some(room))
        }
        Protocol::Smb1 | Protocol::Encrypted => {
            return Err(Disconnect("no SMB2 message inside an encrypted one".to_owned()));
        }
    };
    let mut exchange = Exchange {
        connection: &connection,
        sealed,
        chain: Chain::default(),
        replies: Vec::new(),
        signs: None,
    };
    let mut parts = split_compound(message).enumerate().peekable();
    while let Some((index, part)) = parts.next() {
        if index >= limits::COMPOUND_MAX {
            return Err(Disconnect(format!("a chain of more than {} requests", limits::COMPOUND_MAX)));
        }
        let (header, message) = part?;
        let place = Place { follows: index > 0, last: parts.peek().is_none() };
        exchange.answer(header, message, place).await?;
    }
    exchange.send().await
}

/// Before somebody has logged in there is no key that is a secret (MS-SMB2 3.3.1.7, ConstrainedConnection).
fn unseal(connection: &Connection, mut message: BytesMut) -> Result<(Bytes, Channel), Disconnect> {
    if !connection.was_known() {
        return Err("an encrypted message before anybody has logged in".into());
    }
    let session_id = TransformHeader::decode(&message)?.session_id;
    let channel =
        connection.channel(session_id).ok_or("an encrypted message for a session that is not here")?;
    let sealing = channel.session.sealing.as_ref().ok_or("an encrypted message, and no cipher was agreed")?;
    sealing.opener.open(&mut message)?;
    message.advance(TRANSFORM_HEADER_LEN);
    Ok((message.freeze(), channel))
}

/// Where a request stands in its chain.
#[derive(Clone, Copy)]
struct Place {
    follows: bool,
    last: bool,
}

/// One frame being answered.
struct Exchange<'a> {
    connection: &'a Arc<Connection>,
    /// The channel whose session sealed the frame.
    sealed: Option<Channel>,
    chain: Chain,
    replies: Vec<Reply>,
    /// Who signs what is not sealed.
    signs: Option<Channel>,
}

impl Exchange<'_> {
    /// Answers one request of the chain.
    async fn answer(&mut self, header: Header, message: Bytes, place: Place) -> Result<(), Disconnect> {
        if header.is_response() {
            return Err(Disconnect("a response where a request belongs".to_owned()));
        }
        if header.command == Command::Cancel {
            let request = Request::new(self.connection, header, message);
            self.cancel(&request);
            return Ok(());
        }
        let negotiated = self.connection.negotiated.get().is_some();
        if negotiated && header.command == Command::Negotiate {
            // It comes once (MS-SMB2 3.3.5.4).
            return Err(Disconnect("a second NEGOTIATE".to_owned()));
        }
        let charge = match self.connection.negotiated.get() {
            Some(agreement) if agreement.dialect > Dialect::SMB_2_0_2 => header.credit_charge,
            _ => 1,
        };
        self.connection.credits.lock().charge(header.message_id, charge)?;
        let request = Request::new(self.connection, header, message);
        let mut answer = match self.admit(request, place.follows) {
            Ok(mut request) => {
                self.check_tree_connect(&request)?;
                request.ends_plain = place.last && self.sealed.is_none() && !request.sign;
                self.run(request, place.last).await?
            }
            Err(refused) => {
                self.chain.refuse();
                Answered { answer: Answer::error(refused.status), async_id: None, sign: refused.sign }
            }
        };
        if let Some(channel) = answer.answer.channel.take() {
            self.signs = Some(channel);
            answer.sign = true;
        }
        let credits = match answer.async_id {
            // The interim response has granted them.
            Some(_) => 0,
            None => self.connection.credits.lock().grant(header.credits),
        };
        let mut reply_header = header.reply(answer.answer.status, credits);
        reply_header.async_id = answer.async_id;
        reply_header.session_id = answer.answer.session_id.unwrap_or(self.chain.session_id_or(&header));
        reply_header.tree_id = answer.answer.tree_id.unwrap_or(self.chain.tree_id_or(&header));
        if !answer.sign && header.flags.contains(Flags::SIGNED) && says_no_key(answer.answer.status) {
            reply_header.flags |= Flags::SIGNED;
        }
        let signer = self.signs.as_ref().filter(|_| answer.sign).map(|channel| Arc::clone(&channel.signer));
        self.replies.push(Reply { header: reply_header, answer: answer.answer, signer });
        // Even with the longest answer behind it that fits into one frame.
        if !place.last && self.held_bytes() >= limits::CHAIN_TOGETHER_BYTES {
            self.send_replies().await?;
        }
        Ok(())
    }

    /// How long the answers are that are not sent yet.
    fn held_bytes(&self) -> usize {
        self.replies.iter().map(|reply| reply.answer.body.len() + reply.answer.payload.len()).sum()
    }

    /// A CANCEL is never answered; one that is not protected as its session demands is passed over
    /// (MS-SMB2 3.3.5.16).
    fn cancel(&self, request: &Request) {
        let Header { session_id, message_id, async_id, .. } = request.header;
        let Some(channel) = self.connection.channel(session_id) else { return };
        if self.check_protection(request, &channel).is_ok() {
            self.connection.waiting.cancel(session_id, message_id, async_id);
        }
    }

    /// The checks before a command: its session, its signature, its place in the chain, its tree connect. What
    /// is refused after the signature was found right is answered signed.
    fn admit(&mut self, mut request: Request, follows: bool) -> Result<Request, Refused> {
        let related = request.header.flags.contains(Flags::RELATED);
        let command = request.header.command;
        if related && follows {
            self.chain.relate(&mut request);
        } else {
            self.chain = Chain::default();
        }
        self.chain.session_id = Some(request.header.session_id);
        self.chain.tree_id = Some(request.header.tree_id);
        let negotiated = self.connection.negotiated.get().is_some();
        if !negotiated && command != Command::Negotiate {
            // Before NEGOTIATE nothing else may come (MS-SMB2 3.3.5.4).
            return Err(NtStatus::INVALID_PARAMETER.into());
        }
        if matches!(command, Command::Negotiate | Command::SessionSetup) {
            return self.check_logon_signature(request);
        }
        let channel = self.connection.channel(request.header.session_id);
        self.signs = channel.clone();
        request.sign = match &channel {
            Some(channel) => self.check_protection(&request, channel)?,
            None => false,
        };
        let sign = request.sign;
        let refuse = |status| Err(Refused { status, sign });
        let is_expired = channel.as_ref().is_some_and(|channel| channel.session.is_expired());
        if is_expired && (!goes_on_expired(command) || related && self.chain.is_refused()) {
            return refuse(NtStatus::NETWORK_SESSION_EXPIRED);
        }
        if related && (!follows || self.chain.is_refused()) {
            return refuse(NtStatus::INVALID_PARAMETER);
        }
        let Some(channel) = channel.filter(|channel| !channel.session.is_gone()) else {
            // An echo asks for the connection, not for a session.
            if command == Command::Echo && request.header.session_id == 0 {
                return Ok(request);
            }
            if command == Command::Ioctl
                && request.header.session_id == 0
                && commands::ioctl::torture::is_for_connection(&request)
            {
                return Ok(request);
            }
            return refuse(NtStatus::USER_SESSION_DELETED);
        };
        let session = Arc::clone(&channel.session);
        request.channel = Some(channel);
        if !matches!(command, Command::Echo | Command::Logoff | Command::TreeConnect) {
            request.tree = session.tree(request.header.tree_id);
            if request.tree.is_none() {
                return refuse(NtStatus::NETWORK_NAME_DELETED);
            }
            let share = request.tree.as_ref().and_then(|tree| tree.share());
            if self.sealed.is_none() && share.is_some_and(|share| share.encrypt) {
                return refuse(NtStatus::ACCESS_DENIED);
            }
        }
        Ok(request)
    }

    /// Whether the request is signed or sealed as its session demands. Returns whether its answer is signed.
    fn check_protection(&self, request: &Request, channel: &Channel) -> Result<bool, Refused> {
        let session = &channel.session;
        if let Some(sealed) = &self.sealed {
            if sealed.session.id != session.id {
                return Err(NtStatus::ACCESS_DENIED.into());
            }
            return Ok(false);
        }
        if session.encrypts() {
            return Err(NtStatus::ACCESS_DENIED.into());
        }
        let signed = request.header.flags.contains(Flags::SIGNED);
        if signed && !channel.signer.verify(&request.message) {
            tracing::warn!(peer = %self.connection.peer, command = ?request.header.command, "bad signature");
            // With a key that is a secret nothing is signed for who does not know it, and a guest has none.
            let sign = session.nobodys && !session.is_guest();
            return Err(Refused { status: NtStatus::ACCESS_DENIED, sign });
        }
        if !signed && session.signing_required {
            return Err(NtStatus::ACCESS_DENIED.into());
        }
        Ok(signed)
    }

    /// By 3.1.1 a client proves with its TREE_CONNECT that it has the keys of a NEGOTIATE and a log-in which nobody has
    /// edited: one that could and does not is cut off (MS-SMB2 3.3.5.7).
    fn check_tree_connect(&self, request: &Request) -> Result<(), Disconnect> {
        let could = request.dialect() == Dialect::SMB_3_1_1
            && request.channel.as_ref().is_some_and(|channel| !channel.session.is_strangers());
        let does = request.sign || self.sealed.is_some();
        match request.header.command == Command::TreeConnect && could && !does {
            true => Err(Disconnect("a TREE_CONNECT that is neither signed nor encrypted".to_owned())),
            false => Ok(()),
        }
    }

    /// A log-in that names a session of this connection is signed with that session's key, when it is signed.
    fn check_logon_signature(&mut self, mut request: Request) -> Result<Request, Refused> {
        let named = request.header.session_id;
        if self.sealed.as_ref().is_some_and(|sealed| named != 0 && sealed.session.id != named) {
            return Err(NtStatus::ACCESS_DENIED.into());
        }
        let channel = self.connection.channel(request.header.session_id);
        if let Some(channel) = channel.filter(|channel| !channel.session.is_gone()) {
            if self.sealed.is_none() && request.header.flags.contains(Flags::SIGNED) {
                if !channel.signer.verify(&request.message) {
                    return Err(self.refuse_signature(&request, &channel));
                }
                request.sign = true;
            }
            if self.sealed.is_none() && !request.sign && channel.session.signing_required {
                return Err(NtStatus::ACCESS_DENIED.into());
            }
            self.signs = Some(channel.clone());
            request.channel = Some(channel);
        }
        Ok(request)
    }

    /// Somebody who knows the session's key, but not this channel's, is refused with a signature that he can
    /// check; not by AES-GMAC, for the session's own connection may have answered this very request, with this id.
    fn refuse_signature(&mut self, request: &Request, channel: &Channel) -> Refused {
        let session = &channel.session;
        let sign =
            session.terms.signing != SigningAlgorithm::AesGmac && session.signer.verify(&request.message);
        if sign {
            let signer = Arc::clone(&session.signer);
            self.signs = Some(Channel { session: Arc::clone(session), signer });
        }
        Refused { status: NtStatus::ACCESS_DENIED, sign }
    }

    /// Runs a command to its end; sends an interim response when it takes long, but for a rename.
    async fn run(&mut self, request: Request, last: bool) -> Result<Answered, Disconnect> {
        let header = request.header;
        let sign = request.sign;
        let answered = |answer, async_id| Answered { answer, async_id, sign };
        let connection = Arc::clone(self.connection);
        let mut work = pin!(commands::run(&request));
        if let Some(answer) = work.as_mut().now_or_never() {
            let answer = answer?;
            self.chain.note(&request, &answer);
            return Ok(answered(answer, None));
        }
        if request.only_waits() && !last {
            // Only a request at the end of its chain may wait (MS-SMB2 3.3.5.2.7).
            return Ok(answered(Answer::error(NtStatus::INTERNAL_ERROR), None));
        }
        if request.wants_room() && self.replies.iter().any(|reply| reply.answer.room.is_some()) {
            self.send_replies().await?;
        }
        let mut place = connection.waiting.enter(request.header.session_id, header.message_id);
        if !request.only_waits() {
            tokio::select! {
                answer = &mut work => {
                    let answer = answer?;
                    self.chain.note(&request, &answer);
                    return Ok(answered(answer, None));
                }
                () = request.waits_for_others() => {}
                () = tokio::time::sleep(limits::INTERIM_AFTER), if !commands::set_info::is_rename(&request) => {}
            }
        }
        let async_id = place.go_async(connection.async_limit());
        match async_id {
            Some(async_id) => self.send_interim(&header, async_id).await?,
            // Too many wait. What only waits is refused; what has begun to work goes on, unannounced.
            None if request.only_waits() => {
                return Ok(answered(Answer::error(NtStatus::INSUFFICIENT_RESOURCES), None));
            }
            None => {}
        }
        let answer = tokio::select! {
            answer = &mut work => answer?,
            () = cancelled(&place, &request) => Answer::error(NtStatus::CANCELLED),
        };
        self.chain.note(&request, &answer);
        Ok(answered(answer, async_id))
    }

    /// Sends what is answered so far, and STATUS_PENDING for the request under way. Interim responses are not
    /// signed: with AES-GMAC they would use the final response's nonce.
    async fn send_interim(&mut self, header: &Header, async_id: u64) -> Result<(), Disconnect> {
        let credits = self.connection.credits.lock().grant(header.credits);
        let mut interim = header.reply(NtStatus::PENDING, credits);
        interim.async_id = Some(async_id);
        interim.session_id = self.chain.session_id_or(header);
        interim.flags.remove(Flags::RELATED);
        if !self.replies.is_empty() {
            self.send_replies().await?;
        }
        self.replies.push(Reply { header: interim, answer: Answer::error(NtStatus::PENDING), signer: None });
        self.send_replies().await
    }

    async fn send(mut self) -> Result<(), Disconnect> {
        if self.replies.is_empty() { Ok(()) } else { self.send_replies().await }
    }

    async fn send_replies(&mut self) -> Result<(), Disconnect> {
        let mut replies = std::mem::take(&mut self.replies);
        let known: Vec<_> = replies.iter_mut().filter_map(|reply| reply.answer.announce.take()).collect();
        let first = replies[0].header;
        let seal = self.sealed.as_ref().map(|channel| &channel.session);
        let outgoing = match replies.iter().any(|reply| reply.answer.compress) {
            true => compression::frame(self.connection, replies, seal.cloned()).await?,
            false => reply::frame(replies, seal.map(|session| &**session), None)?,
        };
        if matches!(first.command, Command::Negotiate | Command::SessionSetup) && seal.is_none() {
            commands::logon::hash_response(self.connection, &first, &outgoing.head[FRAME_HEADER_LEN..]);
        }
        self.connection.outbox.push(outgoing);
        known.into_iter().for_each(|announcement| announcement.made(self.connection, seal.is_some()));
        Ok(())
    }
}

/// What a user may do who has to prove himself again: end things, and ask for the connection. Of LOCK this is to
/// unlock, which its own file sees to.
fn goes_on_expired(command: Command) -> bool {
    matches!(command, Command::Logoff | Command::Close | Command::Lock | Command::Echo)
}

/// Statuses that say that there is no key to sign with. As with Windows such an answer to a signed request
/// bears the flag and no signature; clients that insist on signed answers take it so.
fn says_no_key(status: NtStatus) -> bool {
    matches!(
        status,
        NtStatus::USER_SESSION_DELETED
            | NtStatus::REQUEST_OUT_OF_SEQUENCE
            | NtStatus::NOT_SUPPORTED
            | NtStatus::INVALID_PARAMETER
    )
}

async fn cancelled(place: &waiting::Place<'_>, request: &Request) {
    let by = place.cancelled().await;
    request.want_end();
    match by {
        _ if request.only_waits() => {}
        // It ends when it waits next and nothing has happened, if it ever does.
        CancelledBy::Client => request.holds_back().await,
        // What changes files runs to its end, or that of a step: its client learns what became of it.
        CancelledBy::End => std::future::pending().await,
    }
}

/// Why a request does not run.
struct Refused {
    status: NtStatus,
    sign: bool,
}

impl From<NtStatus> for Refused {
    fn from(status: NtStatus) -> Refused {
        Refused { status, sign: false }
    }
}

/// A request's answer, and how it goes out.
struct Answered {
    answer: Answer,
    async_id: Option<u64>,
    sign: bool,
}
