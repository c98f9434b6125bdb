//! The clients of a program, and what they hold true of the server.
//!
//! With every reply: it answers a request that was sent on its connection and was not answered finally before; its
//! command is that of the request; a success in a session is signed or sealed as the request was; credits stay
//! within what a connection may have. A request that was sent after LOGOFF was answered fails, and so does one
//! that names an open of another session or tree connect. The server ends a connection only where the protocol
//! tells it to, or nobody is logged in.

use super::asks;
use super::program::{Ask, Step, What};
use super::{USERS, user};
use smb_raw::{Client, Fault, Guard, Logon, Message, Proof, Reply, Session, chain, compressed, offer};
use smb_wire::create::CreateResponse;
use smb_wire::negotiate::{Dialect, NegotiateContext, compression};
use smb_wire::{Command, FileId, NtStatus, Request};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

const SLOTS: usize = 4;
const SESSIONS_MAX: usize = 12;
/// Credits that a connection may have at most (MS-SMB2 3.3.1.2).
const CREDITS_MAX: i64 = 8192;
const DIALECTS: [Dialect; 6] = [
    Dialect::SMB_3_1_1,
    Dialect::SMB_3_1_1,
    Dialect::SMB_3_0_2,
    Dialect::SMB_3_0,
    Dialect::SMB_2_1,
    Dialect::SMB_2_0_2,
];

/// A session as its client knows it.
struct Known {
    user: usize,
    /// It has ended, and the client was told so.
    ended: bool,
    trees: Vec<u32>,
}

/// An open that a reply has told of.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Opened {
    session: usize,
    tree: u32,
    id: FileId,
}

/// A request that is not answered finally.
struct Sent {
    command: Command,
    what: Option<What>,
    session: Option<usize>,
    tree: u32,
    open: FileId,
    /// It must not succeed.
    must_fail: Option<&'static str>,
    protected: Option<Proof>,
    interim: Option<u64>,
}

struct Channel {
    client: Client<TcpStream>,
    /// The keys of the sessions that this connection has.
    sessions: HashMap<usize, Session>,
    sent: HashMap<u64, Sent>,
    /// Something was sent for which the server may hang up.
    may_end: bool,
}

pub struct World {
    address: SocketAddr,
    channels: [Option<Channel>; SLOTS],
    sessions: Vec<Known>,
    opens: Vec<Opened>,
}

impl World {
    pub fn new(address: SocketAddr) -> World {
        World { address, channels: Default::default(), sessions: Vec::new(), opens: Vec::new() }
    }

    pub async fn step(&mut self, step: &Step) {
        match *step {
            Step::Connect { slot, dialect } => self.connect(place(slot), dialect).await,
            Step::LogIn { slot, user, previous } => self.log_in(place(slot), user, previous).await,
            Step::Bind { slot, session, user } => self.bind(place(slot), session, user).await,
            Step::Again { slot, session, right } => self.again(place(slot), session, right).await,
            Step::Send { slot, ref asks } => self.send(place(slot), asks).await,
            Step::Cancel { slot, which, by_async_id } => self.cancel(place(slot), which, by_async_id).await,
            Step::Disconnect { slot, orderly } => self.disconnect(place(slot), orderly),
            Step::Wait { seconds } => tokio::time::sleep(Duration::from_secs(seconds.into())).await,
            Step::Raw { slot, session, command, ref body } => {
                self.raw(place(slot), session, command, body).await;
            }
        }
        self.settle_all().await;
    }

    async fn connect(&mut self, slot: usize, dialect: u8) {
        if self.channels[slot].is_some() {
            return;
        }
        let Ok(stream) = TcpStream::connect(self.address).await else { return };
        stream.set_nodelay(true).expect("an option of every TCP socket");
        let mut client = Client::new(stream);
        let mut offered = offer(&[DIALECTS[usize::from(dialect) % DIALECTS.len()]]);
        offered.client_guid[0] = dialect >> 7;
        if offered.dialects.contains(&Dialect::SMB_3_1_1) {
            let algorithms = vec![compression::PATTERN_V1, compression::LZ77];
            offered
                .contexts
                .push(NegotiateContext::Compression { flags: u32::from(dialect & 1), algorithms });
        }
        if client.negotiate(offered).await.is_ok() {
            let (sessions, sent) = Default::default();
            self.channels[slot] = Some(Channel { client, sessions, sent, may_end: false });
        }
    }

    /// Ends a log-in's step: a connection that is gone has lost its slot.
    fn check_end<T>(&mut self, slot: usize, outcome: Result<T, Fault>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(Fault::Refused(_)) => None,
            Err(Fault::Gone) => {
                self.ended(slot);
                None
            }
            Err(fault) => panic!("a log-in came to {fault:?}"),
        }
    }

    async fn log_in(&mut self, slot: usize, who: u8, previous: Option<u8>) {
        let who = usize::from(who) % USERS.len();
        let earlier = previous.and_then(|which| self.any_session(which));
        let previous = earlier.and_then(|session| self.id_of(session)).unwrap_or(0);
        let Some(channel) = &mut self.channels[slot] else { return };
        if self.sessions.len() == SESSIONS_MAX || channel.client.credits < 4 {
            return;
        }
        let name = user(USERS[who], USERS[who]);
        let mut logon = Logon { previous, ..Logon::new(&name) };
        let outcome = match channel.client.challenge(&mut logon).await {
            Ok(challenge) => channel.client.answer(logon, &challenge).await,
            Err(fault) => Err(fault),
        };
        if let Some(session) = self.check_end(slot, outcome) {
            let number = self.sessions.len();
            self.sessions.push(Known { user: who, ended: false, trees: Vec::new() });
            if let Some(earlier) = earlier.filter(|earlier| self.sessions[*earlier].user == who) {
                self.sessions[earlier].ended = true;
            }
            self.enter(slot, number, session);
        }
    }

    fn enter(&mut self, slot: usize, number: usize, session: Session) {
        if let Some(channel) = &mut self.channels[slot] {
            channel.client.knows(&session);
            channel.sessions.insert(number, session);
        }
    }

    async fn bind(&mut self, slot: usize, session: u8, who: u8) {
        let Some(number) = self.any_session(session) else { return };
        let whose = self.sessions[number].user;
        // Now and then somebody else.
        let who = if who > 220 { 1 - whose } else { whose };
        let target =
            self.channels.iter().flatten().find_map(|channel| channel.sessions.get(&number)).cloned();
        let (Some(target), Some(channel)) = (target, &mut self.channels[slot]) else { return };
        if channel.client.credits < 4 {
            return;
        }
        let name = user(USERS[who], USERS[who]);
        let mut logon = Logon::binding(&name, &target);
        let outcome = match channel.client.challenge(&mut logon).await {
            Ok(challenge) => channel.client.answer(logon, &challenge).await,
            Err(fault) => Err(fault),
        };
        let ended = self.sessions[number].ended;
        if let Some(bound) = self.check_end(slot, outcome) {
            assert_eq!(who, whose, "bound as another user");
            assert!(!ended, "bound to a session that has ended");
            self.enter(slot, number, target.channel(bound));
        }
    }

    async fn again(&mut self, slot: usize, session: u8, right: bool) {
        let Some(number) = self.any_session(session) else { return };
        let Known { user: who, ended, .. } = self.sessions[number];
        let Some(channel) = &mut self.channels[slot] else { return };
        let Some(known) = channel.sessions.get(&number).filter(|_| channel.client.credits >= 4).cloned()
        else {
            return;
        };
        let name = user(USERS[who], if right { USERS[who] } else { "wrong" });
        let mut logon = Logon::again(&name, &known);
        channel.client.careless = true;
        let outcome = match channel.client.challenge(&mut logon).await {
            Ok(challenge) => channel.client.answer(logon, &challenge).await,
            Err(fault) => Err(fault),
        };
        channel.client.careless = false;
        if matches!(outcome, Err(Fault::Refused(NtStatus::LOGON_FAILURE))) {
            self.sessions[number].ended = true;
        }
        if self.check_end(slot, outcome).is_some() {
            assert!(right && !ended, "proved again in a session that has ended, or with a wrong password");
        }
    }

    /// Any session that was ever made.
    fn any_session(&self, which: u8) -> Option<usize> {
        usize::from(which).checked_rem(self.sessions.len())
    }

    fn id_of(&self, session: usize) -> Option<u64> {
        self.channels
            .iter()
            .flatten()
            .find_map(|channel| channel.sessions.get(&session))
            .map(|known| known.id)
    }

    /// One of the sessions that this connection has; mostly one that lives.
    fn session_of(&self, channel: &Channel, which: u8) -> Option<usize> {
        let mut all: Vec<usize> = channel.sessions.keys().copied().collect();
        if which < 230 && all.iter().any(|number| !self.sessions[*number].ended) {
            all.retain(|number| !self.sessions[*number].ended);
        }
        all.sort_unstable();
        usize::from(which).checked_rem(all.len()).map(|at| all[at])
    }

    async fn send(&mut self, slot: usize, asks: &[(Ask, bool)]) {
        let Some(mut channel) = self.channels[slot].take() else { return };
        // All of one frame are protected by the keys of the first one's session.
        let first = asks.first().and_then(|(ask, _)| self.session_of(&channel, ask.session));
        let Some(first) = first.filter(|_| channel.client.credits >= asks.len() as i64) else {
            self.channels[slot] = Some(channel);
            return;
        };
        let keys = channel.sessions[&first].clone();
        let mut messages = Vec::new();
        for (index, (ask, related)) in asks.iter().enumerate() {
            let related = *related && index > 0;
            let (mut message, sent) = self.message(&channel, first, &keys, ask, related);
            channel.client.number(&mut message);
            channel.sent.insert(message.header.message_id, sent);
            messages.push(message);
        }
        // Whoever may, compresses what becomes smaller by it.
        let agreed = channel.client.compression.as_ref();
        let smaller = agreed.and_then(|agreed| compressed(&messages, keys.guard(), agreed));
        let frame = smaller.unwrap_or_else(|| chain(&messages, keys.guard()));
        if channel.client.send_frame(&frame).await.is_err() {
            channel.may_end |= self.nobody_is_logged_in(&channel);
        }
        self.channels[slot] = Some(channel);
    }

    fn message(
        &self,
        channel: &Channel,
        session: usize,
        keys: &Session,
        ask: &Ask,
        related: bool,
    ) -> (Message, Sent) {
        let known = &self.sessions[session];
        // Mostly the first: opens on it can be named together.
        let which = usize::from(ask.tree.saturating_sub(200));
        let tree = which.checked_rem(known.trees.len()).map_or(0x7777, |at| known.trees[at]);
        let opened = self.choose_open(session, tree, ask.open);
        let open = opened.map_or(FileId { persistent: 1, volatile: 0x7777_7777 }, |opened| opened.id);
        let kept = self.any_open(ask.open).map_or(open, |opened| opened.id);
        let names = if related { FileId::RELATED } else { open };
        let request = asks::request(&ask.what, names, kept);
        let mut message = Message::of(&request).session(keys.id).tree(tree);
        if related {
            message = message.related();
        }
        message.header.credits = 4;
        let foreign = opened.is_none_or(|opened| (opened.session, opened.tree) != (session, tree));
        let must_fail = if known.ended {
            Some("sent after the session's end")
        } else if names_an_open(&request) && foreign && !related {
            Some("names an open of another session or tree")
        } else {
            None
        };
        let protected = Some(if keys.sealed { Proof::Sealed } else { Proof::Signed });
        debug_assert!(channel.sessions.contains_key(&session));
        let command = request.command();
        let what = Some(ask.what.clone());
        (
            message,
            Sent { command, what, session: Some(session), tree, open, must_fail, protected, interim: None },
        )
    }

    /// Mostly an open that may be named here; sometimes any.
    fn choose_open(&self, session: usize, tree: u32, which: u8) -> Option<Opened> {
        if which > 230 {
            return self.any_open(which);
        }
        let own: Vec<_> =
            self.opens.iter().filter(|open| (open.session, open.tree) == (session, tree)).collect();
        usize::from(which).checked_rem(own.len()).map(|at| *own[own.len() - 1 - at])
    }

    fn any_open(&self, which: u8) -> Option<Opened> {
        usize::from(which).checked_rem(self.opens.len()).map(|at| self.opens[at])
    }

    async fn cancel(&mut self, slot: usize, which: u8, by_async_id: bool) {
        let Some(channel) = &mut self.channels[slot] else { return };
        let mut waiting: Vec<_> = channel.sent.iter().map(|(id, sent)| (*id, sent)).collect();
        waiting.sort_unstable_by_key(|(id, _)| *id);
        let Some(at) = usize::from(which).checked_rem(waiting.len()) else { return };
        let (id, sent) = waiting[at];
        let Some(keys) = sent.session.and_then(|session| channel.sessions.get(&session)).cloned() else {
            return;
        };
        let mut message = Message::new(Command::Cancel, vec![4, 0, 0, 0]).session(keys.id).id(id);
        message.header.async_id = sent.interim.filter(|_| by_async_id);
        let _gone = channel.client.send(&[message], keys.guard()).await;
    }

    fn disconnect(&mut self, slot: usize, orderly: bool) {
        if let Some(channel) = self.channels[slot].take() {
            if !orderly {
                channel.client.stream.set_zero_linger().expect("an option of every TCP socket");
            }
            self.forget(&channel);
        }
    }

    /// A connection is gone: a session without another channel is gone with it.
    fn forget(&mut self, channel: &Channel) {
        for number in channel.sessions.keys() {
            let elsewhere = self.channels.iter().flatten().any(|other| other.sessions.contains_key(number));
            self.sessions[*number].ended |= !elsewhere;
        }
    }

    async fn raw(&mut self, slot: usize, session: u8, command: u8, body: &[u8]) {
        let Some(channel) = &self.channels[slot] else { return };
        let number = self.session_of(channel, session);
        let Some(channel) = &mut self.channels[slot] else { return };
        if channel.client.credits < 1 {
            return;
        }
        if command >= 200 {
            // No message at all, said to be a compressed one.
            channel.may_end = true;
            let _gone = channel.client.send_frame(&[b"\xFCSMB", body].concat()).await;
            return;
        }
        let command = Command::from_code(u16::from(command % 21));
        // These have tests of their own: one is never answered, the other ends the connection.
        if matches!(command, Command::Cancel | Command::Negotiate) {
            return;
        }
        let keys = number.and_then(|number| channel.sessions.get(&number)).cloned();
        let id = keys.as_ref().map_or(0, |keys| keys.id);
        let mut message = Message::new(command, body.to_vec()).session(id).tree(1);
        channel.client.number(&mut message);
        channel.may_end = true;
        let ended = number.is_some_and(|number| self.sessions[number].ended);
        let must_fail = ended.then_some("sent after the session's end");
        let (what, open) = (None, FileId::RELATED);
        let sent =
            Sent { command, what, session: number, tree: 1, open, must_fail, protected: None, interim: None };
        channel.sent.insert(message.header.message_id, sent);
        let guard = keys.as_ref().map_or(Guard::Plain, Session::guard);
        let _gone = channel.client.send(&[message], guard).await;
    }

    /// Looks at all that the server has to say, on every connection, until it says nothing more.
    pub async fn settle_all(&mut self) {
        for slot in 0..SLOTS {
            while let Some(mut channel) = self.channels[slot].take() {
                // Time stands still until everybody waits: then there is nothing more to come.
                let said = timeout(Duration::from_millis(1), channel.client.replies()).await;
                let mut replies: Vec<Reply> = channel.client.others.drain(..).collect();
                let more = match said {
                    Ok(Ok(said)) => {
                        replies.extend(said);
                        true
                    }
                    Ok(Err(Fault::Gone)) => {
                        replies.into_iter().for_each(|reply| self.judge(&mut channel, reply));
                        let may_end = channel.may_end || self.nobody_is_logged_in(&channel);
                        assert!(may_end, "the server has ended a connection without a reason");
                        self.forget(&channel);
                        break;
                    }
                    Ok(Err(fault)) => panic!("the server's messages come to {fault:?}"),
                    Err(_) => false,
                };
                replies.into_iter().for_each(|reply| self.judge(&mut channel, reply));
                let credits = channel.client.credits;
                assert!((0..=CREDITS_MAX).contains(&credits), "{credits} credits");
                self.channels[slot] = Some(channel);
                if !more {
                    break;
                }
            }
        }
    }

    fn nobody_is_logged_in(&self, channel: &Channel) -> bool {
        channel.sessions.keys().all(|number| self.sessions[*number].ended)
    }

    fn ended(&mut self, slot: usize) {
        if let Some(channel) = self.channels[slot].take() {
            let may_end = channel.may_end || self.nobody_is_logged_in(&channel);
            assert!(may_end, "the server has ended a connection without a reason");
            self.forget(&channel);
        }
    }

    fn judge(&mut self, channel: &mut Channel, reply: Reply) {
        let header = &reply.header;
        if header.message_id == u64::MAX {
            assert_eq!(header.command, Command::OplockBreak, "nobody asked for it");
            return;
        }
        let sent = channel.sent.get_mut(&header.message_id);
        let sent = sent.unwrap_or_else(|| panic!("no request, or answered already: {header:?}"));
        assert_eq!(header.command, sent.command, "the reply's command");
        if header.status == NtStatus::PENDING {
            assert!(sent.interim.is_none(), "a second interim response: {header:?}");
            assert!(header.async_id.is_some(), "an interim response without an AsyncId");
            sent.interim = header.async_id;
            return;
        }
        let sent = channel.sent.remove(&header.message_id).expect("looked up above");
        assert!(sent.interim == header.async_id, "another AsyncId than told: {header:?}");
        if header.status.is_error() {
            return;
        }
        if let Some(why) = sent.must_fail {
            panic!("{:?} {:?} came to {}, though it {why}", sent.command, sent.what, header.status);
        }
        if let Some(protection) = sent.protected {
            assert_eq!(reply.proof, protection, "{:?}: {header:?}", sent.what);
        }
        self.succeeded(&sent, &reply);
    }

    /// What follows from a success.
    fn succeeded(&mut self, sent: &Sent, reply: &Reply) {
        let Some(session) = sent.session else { return };
        let tree = if reply.header.async_id.is_some() { sent.tree } else { reply.header.tree_id };
        match sent.command {
            Command::Logoff => {
                self.sessions[session].ended = true;
                self.opens.retain(|open| open.session != session);
            }
            Command::TreeConnect => self.sessions[session].trees.push(tree),
            Command::TreeDisconnect => {
                self.sessions[session].trees.retain(|known| *known != tree);
                self.opens.retain(|open| (open.session, open.tree) != (session, tree));
            }
            Command::Create => {
                if let Ok(response) = CreateResponse::decode(&reply.message) {
                    self.opens.push(Opened { session, tree, id: response.file_id });
                }
            }
            Command::Close => {
                self.opens.retain(|open| (open.session, open.id) != (session, sent.open));
            }
            _ => {}
        }
    }
}

fn place(slot: u8) -> usize {
    usize::from(slot) % SLOTS
}

fn names_an_open(request: &Request) -> bool {
    match request {
        Request::Close(_)
        | Request::Flush(_)
        | Request::Read(_)
        | Request::Write(_)
        | Request::Lock(_)
        | Request::QueryDirectory(_)
        | Request::ChangeNotify(_)
        | Request::QueryInfo(_)
        | Request::SetInfo(_) => true,
        Request::OplockBreak(acknowledgement) => {
            matches!(acknowledgement, smb_wire::oplock_break::BreakAcknowledgement::Oplock(_))
        }
        // Some controls are about no open.
        _ => false,
    }
}
