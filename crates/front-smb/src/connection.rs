//! One connection: its state, and its end. The loop that serves it is in `serving`.
//!
//! Ends when the client goes, breaks the protocol, never logs in, or the server stops. Then the connection
//! leaves its sessions, and a session that has no other channel is closed with all its opens. Where one has, what
//! is under way goes on to its end, so that the client, which asks again on another channel, finds it done or at
//! work, and never done twice.

mod serving;

use crate::breaks;
use crate::client::Client;
use crate::delivery::{Delivery, Found};
use crate::limits;
use crate::logons::Logons;
use crate::outbox::Outbox;
use crate::rooms::Rooms;
use crate::server::{Ending, State};
use crate::session::{Channel, ConnectionId, Session};
use crate::transport::{Kind, Transport};
use crate::waiting::Waiting;
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use parking_lot::{Mutex, RwLock};
use smb_core::compression::CompressionAgreement;
use smb_core::credits::CreditWindow;
use smb_core::negotiate::{Agreement, Policy};
use smb_core::preauth::PreauthHash;
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Why a connection is closed by us.
#[derive(Debug)]
pub(crate) struct Disconnect(pub(crate) String);

impl<E: fmt::Display> From<E> for Disconnect {
    fn from(why: E) -> Disconnect {
        Disconnect(why.to_string())
    }
}

/// What all requests of one connection share.
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) server: Arc<State>,
    pub(crate) kind: Kind,
    pub(crate) peer: SocketAddr,
    /// The address of ours that the client came to.
    pub(crate) local: SocketAddr,
    pub(crate) outbox: Outbox,
    pub(crate) negotiated: OnceLock<Agreement>,
    /// Whom it belongs to, from NEGOTIATE on.
    client: OnceLock<Arc<Client>>,
    /// Hash of the NEGOTIATE exchange; each log-in continues a copy of it (3.1.1).
    pub(crate) preauth: Mutex<PreauthHash>,
    pub(crate) credits: Mutex<CreditWindow>,
    pub(crate) logons: Logons,
    /// The sessions of this connection. One that has ended stays: its keys still sign the answer that it is
    /// gone.
    pub(crate) channels: RwLock<HashMap<u64, Channel>>,
    pub(crate) waiting: Waiting,
    /// Of breaks.
    pub(crate) delivery: Delivery,
    pub(crate) rooms: Rooms,
    /// Of its first user, see [`Session::account`].
    pub(crate) account: OnceLock<Arc<str>>,
    /// A user has logged in.
    known: AtomicBool,
    /// A user or a guest has logged in.
    may_open_files: AtomicBool,
    /// For tests alone: bytes before the data of a READ.
    pub(crate) read_padding: AtomicU8,
}

impl Connection {
    pub(crate) fn new(
        id: ConnectionId,
        server: Arc<State>,
        kind: Kind,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> Arc<Connection> {
        Arc::new(Connection {
            id,
            server,
            kind,
            peer,
            local,
            outbox: Outbox::default(),
            negotiated: OnceLock::new(),
            client: OnceLock::new(),
            preauth: Mutex::new(PreauthHash::new()),
            credits: Mutex::new(CreditWindow::new(limits::ANONYMOUS_CREDITS_MAX)),
            logons: Logons::default(),
            channels: RwLock::default(),
            waiting: Waiting::default(),
            delivery: Delivery::default(),
            rooms: Rooms::default(),
            account: OnceLock::new(),
            known: AtomicBool::new(false),
            may_open_files: AtomicBool::new(false),
            read_padding: AtomicU8::new(0),
        })
    }

    /// Keeps what was agreed on; false when there was an agreement before.
    pub(crate) fn agree(self: &Arc<Self>, agreement: Agreement) -> bool {
        let client = self.server.clients.enter(agreement.client_guid, self);
        let first = self.negotiated.set(agreement).is_ok();
        first && self.client.set(client).is_ok()
    }

    pub(crate) fn client(&self) -> Option<Arc<Client>> {
        self.client.get().cloned()
    }

    /// How messages may be compressed here, if they may.
    pub(crate) fn compression(&self) -> Option<&CompressionAgreement> {
        self.negotiated.get()?.compression.as_ref()
    }

    /// What may be agreed on here.
    pub(crate) fn policy(&self) -> &Policy {
        self.server.policy(self.kind)
    }

    pub(crate) fn channel(&self, session_id: u64) -> Option<Channel> {
        self.channels.read().get(&session_id).cloned()
    }

    /// Breaks that have not reached the client by now are told on other channels.
    fn look_after_breaks(&self, transport: &impl Transport) -> Result<(), Disconnect> {
        let unacknowledged = transport.unacknowledged_bytes();
        let acknowledged = unacknowledged.map(|bytes| self.outbox.written_bytes().saturating_sub(bytes));
        match self.delivery.look(acknowledged, self.outbox.notices(), std::time::Instant::now()) {
            Found::Arrived => Ok(()),
            Found::Away => Err(Disconnect("the client does not take a break".to_owned())),
            Found::Stuck => {
                breaks::tell_again(self);
                Ok(())
            }
        }
    }

    /// The sessions that live here.
    pub(crate) fn sessions(&self) -> Vec<Arc<Session>> {
        let channels = self.channels.read();
        let sessions = channels.values().map(|channel| &channel.session);
        sessions.filter(|session| !session.is_gone()).cloned().collect()
    }

    /// Whether a user has ever logged in here.
    pub(crate) fn was_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    /// Takes a session in. Once a user has logged in the limits for strangers end. A guest needs as much for a request as a
    /// user; he is counted as a stranger on.
    pub(crate) fn enter_session(&self, channel: Channel) {
        let is_known = !channel.session.nobodys;
        let may_open_files = !channel.session.is_anonymous();
        let mut channels = self.channels.write();
        if channels.len() >= limits::SESSIONS_PER_CONNECTION_MAX {
            channels.retain(|_, channel| !channel.session.is_gone());
        }
        channels.insert(channel.session.id, channel);
        drop(channels);
        if may_open_files && !self.may_open_files.swap(true, Ordering::Relaxed) {
            self.credits.lock().set_limit(limits::CREDITS_MAX);
            self.rooms.let_in();
        }
        if is_known && !self.known.swap(true, Ordering::Relaxed) {
            self.server.crowd.make_known(self.peer.ip());
        }
    }

    /// The longest message that a compressed one may become, bytes.
    pub(crate) fn restored_limit(&self) -> usize {
        let payload_max = self.negotiated.get().map_or(0, |agreement| agreement.max_transfer_bytes as usize);
        self.message_limit().min(payload_max + limits::RESTORED_OVERHEAD_MAX_BYTES)
    }

    /// Sessions that have not ended.
    pub(crate) fn live_sessions(&self) -> usize {
        self.channels.read().values().filter(|channel| !channel.session.is_gone()).count()
    }

    /// Whether a user or a guest has logged in.
    fn is_let_in(&self) -> bool {
        self.may_open_files.load(Ordering::Relaxed)
    }

    fn message_limit(&self) -> usize {
        match self.is_let_in() {
            true => limits::PAYLOAD_MAX_BYTES as usize + limits::MESSAGE_OVERHEAD_MAX_BYTES,
            false => limits::ANONYMOUS_MESSAGE_MAX_BYTES,
        }
    }

    /// How much may wait to be sent while requests are read.
    fn outbox_limit(&self) -> usize {
        if self.is_let_in() { limits::OUTBOX_HIGH_BYTES } else { limits::ANONYMOUS_OUTBOX_HIGH_BYTES }
    }

    /// How many bytes of requests may be under way.
    fn at_work_limit(&self) -> usize {
        if self.is_let_in() { limits::AT_WORK_MAX_BYTES } else { limits::ANONYMOUS_AT_WORK_MAX_BYTES }
    }

    /// How many requests may wait with an interim response.
    pub(crate) fn async_limit(&self) -> usize {
        if self.is_let_in() { limits::ASYNC_MAX } else { limits::ANONYMOUS_ASYNC_MAX }
    }

    /// Takes the connection out of its sessions.
    fn leave_sessions(&self) -> Left {
        let mut left = Left::default();
        let channels: Vec<Channel> = self.channels.write().drain().map(|(_, channel)| channel).collect();
        for channel in channels {
            if channel.session.leave(self.id) {
                left.ended.push(channel.session);
            } else {
                left.others_go_on = true;
            }
        }
        breaks::tell_again(self);
        left
    }

    /// Ends what hangs on the connection, which nobody reads any more.
    async fn leave(&self, mut work: Work) {
        let mut others_go_on = false;
        loop {
            let left = self.leave_sessions();
            others_go_on |= left.others_go_on;
            if others_go_on {
                // What only waits ends; what changes something is done once, whoever hears of it.
                self.waiting.cancel_all();
            } else {
                work.clear();
            }
            // Together: an open ends after what it still has on its way, and a request may carry that.
            let end = async {
                for session in &left.ended {
                    self.contain(self.server.end_session(session, Ending::Lost)).await;
                }
            };
            // One that panics is taken out: the others go on.
            let finish = async { while !matches!(self.contain(work.next()).await, Some(None)) {} };
            tokio::join!(end, finish);
            // One of them may have logged in.
            if self.channels.read().is_empty() {
                return;
            }
        }
    }

    /// What panics ends by itself: the connection's end takes what is left along all the same.
    async fn contain<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let outcome = AssertUnwindSafe(work).catch_unwind().await;
        if outcome.is_err() {
            tracing::error!(peer = %self.peer, "at the end of a connection: a fault in this program, see the panic above");
        }
        outcome.ok()
    }
}

/// The sessions that a connection was a channel of.
#[derive(Default)]
struct Left {
    /// It was their last.
    ended: Vec<Arc<Session>>,
    others_go_on: bool,
}

/// Serves a connection to its end.
pub(crate) async fn serve<T: Transport>(
    connection: Arc<Connection>,
    mut transport: T,
    stop: watch::Receiver<bool>,
) {
    let peer = connection.peer;
    // A handler that panics ends its connection, and nothing of it is left behind.
    let mut work = Work::new();
    let ended =
        AssertUnwindSafe(serving::run(&connection, &mut transport, &mut work, stop)).catch_unwind().await;
    connection.outbox.close();
    let is_orderly = matches!(ended, Ok(Ok(())));
    match ended {
        Ok(Ok(())) => tracing::debug!(%peer, "connection closed"),
        Ok(Err(Disconnect(why))) => tracing::warn!(%peer, why, "connection dropped"),
        Err(_) => {
            tracing::error!(%peer, "connection dropped: a fault in this program, see the panic above");
            // The request that panicked must not be polled again.
            work.clear();
        }
    }
    let say_so = async {
        match is_orderly {
            true => transport.end().await,
            false => drop(transport),
        }
    };
    // Together: the client may take its time for what was written, and what is under way goes on meanwhile.
    tokio::join!(say_so, connection.leave(work));
}

/// The requests under way.
type Work = FuturesUnordered<Pin<Box<dyn Future<Output = Result<usize, Disconnect>> + Send>>>;

/// Waits for connections to end, at most `patience`; false when some did not.
pub(crate) async fn drained(all: &mut tokio::task::JoinSet<()>, patience: Duration) -> bool {
    timeout(patience, async { while all.join_next().await.is_some() {} }).await.is_ok()
}
