//! The server: who is let in, what all connections share, and the orderly end.
//!
//! Whatever outlives a connection is in [`State`]: shares, sessions, the table of failed log-ins, counters.

mod counts;
mod sessions;
mod shares;

use crate::accounts::Accounts;
use crate::change_times::ChangeTimes;
use crate::client::Clients;
use crate::commands::create::replay::Creates;
use crate::config::{Encryption, Group, ServerConfig, Signing};
use crate::connection::{self, Connection};
use crate::crowd::Crowd;
use crate::instances::Instances;
use crate::interfaces::Interfaces;
use crate::kept::Kept;
use crate::leases::Leases;
use crate::limits;
use crate::open;
use crate::persistent::Restorations;
use crate::returns::Returns;
use crate::session::ConnectionId;
use crate::tickets::TicketDesk;
use crate::transport::quic::{Certificate, Identity, Quic};
use crate::transport::{Arrived, Kind, Listener, Transport, quic, tcp};
use crate::turns::Turns;
use parking_lot::{Mutex, RwLock};
use smb_core::compression::Compression;
use smb_core::kerberos::Keytab;
use smb_core::negotiate::{EncryptionPolicy, Policy};
use smb_core::throttle::{Throttle, ThrottlePolicy};
use smb_wire::negotiate::{Capabilities, Dialect};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(crate) use crate::config::Share;
use counts::Counters;
pub use counts::{ServerStatus, SessionStatus};
use sessions::Sessions;

/// Pause after the system has refused to give another socket.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How a session ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    /// Its client may come back for what is durable: the last channel is gone, or a new session takes its place.
    Lost,
    /// It was logged off, or ended by us.
    Over,
}

/// What all connections share.
pub(crate) struct State {
    pub(crate) config: ServerConfig,
    pub(crate) accounts: Accounts,
    tcp_policy: Policy,
    /// QUIC carries the newest dialect alone (MS-SMB2 2.1).
    quic_policy: Policy,
    bound: Bound,
    pub(crate) interfaces: Interfaces,
    shares: RwLock<HashMap<String, Arc<Share>>>,
    sessions: RwLock<Sessions>,
    pub(crate) clients: Clients,
    pub(crate) kept: Arc<Kept>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) restorations: Restorations,
    pub(crate) returns: Returns,
    pub(crate) creates: Creates,
    pub(crate) change_times: Arc<ChangeTimes>,
    pub(crate) instances: Instances,
    /// Failed log-ins by user and place.
    pub(crate) throttle: Mutex<Throttle>,
    /// Failed log-ins by place, whoever the user was said to be.
    pub(crate) throttle_of_places: Mutex<Throttle>,
    pub(crate) turns: Turns,
    /// Log-in by Kerberos, if it is offered.
    pub(crate) tickets: Option<TicketDesk>,
    pub(crate) crowd: Crowd,
    pub(crate) counters: Counters,
    last_open: AtomicU64,
    pub(crate) started: Instant,
}

/// Where the server listens, in the order of the configuration.
#[derive(Default)]
struct Bound {
    tcp: Vec<SocketAddr>,
    quic: Vec<SocketAddr>,
}

/// A running SMB server.
pub struct Server {
    state: Arc<State>,
    /// Towards QUIC clients.
    identity: Option<Arc<Identity>>,
    stop: watch::Sender<bool>,
    tasks: tokio::sync::Mutex<JoinSet<()>>,
}

impl Server {
    /// Binds the addresses and begins to serve `shares`.
    ///
    /// # Errors
    /// An address that cannot be bound, with its name.
    pub async fn start(config: ServerConfig, shares: Vec<Share>) -> io::Result<Server> {
        let tcp = config.listen.iter().map(|address| tcp::bind(*address)).collect::<io::Result<Vec<_>>>()?;
        let identity = config.quic.as_ref().map(|quic| Identity::new(quic.certificate.clone()));
        let quic = match (&config.quic, &identity) {
            (Some(settings), Some(identity)) => {
                let each = settings.listen.iter().map(|address| quic::bind(*address, Arc::clone(identity)));
                each.collect::<io::Result<Vec<_>>>()?
            }
            _ => Vec::new(),
        };
        let bound = Bound {
            tcp: tcp.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?,
            quic: quic.iter().map(Quic::local_addr).collect::<io::Result<_>>()?,
        };
        // Ids of opens outlive the process at their clients: those of two starts are far apart.
        let first_open = getrandom::u64().map_err(io::Error::other)? >> 1;
        let leases = Leases::new(getrandom::u64().map_err(io::Error::other)?);
        let state = Arc::new_cyclic(|state| {
            State::new(config, bound, first_open, leases, Kept::new(Weak::clone(state)))
        });
        state.set_shares(shares);
        if let Some(records) = &state.config.records {
            state.restorations.forget_others(&state, records);
        }
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for listener in tcp {
            tasks.spawn(accept(listener, Arc::clone(&state), stopped.clone()));
        }
        for listener in quic {
            tasks.spawn(accept(listener, Arc::clone(&state), stopped.clone()));
        }
        Ok(Server { state, identity, stop, tasks: tokio::sync::Mutex::new(tasks) })
    }

    /// The TCP addresses bound, in the order of the configuration.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        self.state.bound_to(Kind::Tcp)
    }

    /// The UDP addresses bound for QUIC.
    pub fn quic_addrs(&self) -> &[SocketAddr] {
        self.state.bound_to(Kind::Quic)
    }

    /// Shows another certificate to QUIC clients that come from now on; of no effect without QUIC.
    pub fn renew_certificate(&self, certificate: Certificate) {
        if let Some(identity) = &self.identity {
            identity.renew(certificate);
        }
    }

    /// Takes tickets by other keys from now on; of no effect where there were none.
    pub fn renew_keytab(&self, keytab: Keytab) {
        if let Some(tickets) = &self.state.tickets {
            tickets.renew(keytab);
        }
    }

    /// Replaces the list of shares. Who is connected to one that is gone keeps it until he disconnects.
    pub fn set_shares(&self, shares: Vec<Share>) {
        self.state.set_shares(shares);
    }

    /// Replaces the groups that descriptors may name; in force for who logs in from now on.
    pub fn set_groups(&self, groups: Vec<Group>) {
        self.state.accounts.set_groups(groups);
    }

    pub fn status(&self) -> ServerStatus {
        self.state.status()
    }

    /// Stops: no new connections and requests; those under way end first, for at most
    /// [`limits::STOP_PATIENCE`]. Returns whether all did.
    pub async fn shutdown(&self) -> bool {
        // Without receivers nobody is left to be told.
        let _told = self.stop.send(true);
        let drained = connection::drained(&mut *self.tasks.lock().await, limits::STOP_PATIENCE).await;
        // What belongs to connections that did not end in time is closed here.
        let left = self.state.all_sessions();
        self.state.restorations.stop();
        // What is persistent is kept for a moment, and left to the next start.
        let opens =
            left.iter().flat_map(|session| self.state.dismiss(session, Ending::Lost).closing).collect();
        let kept = self.state.kept.close_all();
        let ended = async {
            open::close_all(&self.state, opens).await;
            kept.await;
        };
        tokio::time::timeout(limits::DRAIN_PATIENCE, ended).await.is_ok() && drained
    }
}

/// Takes connections until told to stop, then waits for them.
async fn accept<L: Listener>(mut listener: L, state: Arc<State>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    while !*stop.borrow() {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(client) => admit(client, L::KIND, &state, &stop, &mut connections),
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            changed = stop.changed() => if changed.is_err() { break },
        }
    }
    let closed = listener.close();
    if !connection::drained(&mut connections, limits::DRAIN_PATIENCE).await {
        tracing::warn!(left = connections.len(), "stopped with requests under way");
    }
    closed.await;
}

fn admit<T: Transport + 'static>(
    client: Arrived<T>,
    kind: Kind,
    state: &Arc<State>,
    stop: &watch::Receiver<bool>,
    connections: &mut JoinSet<()>,
) {
    let Arrived { transport, peer, local } = client;
    if connections.len() >= limits::CONNECTIONS_MAX || !state.crowd.arrive(peer.ip()) {
        tracing::warn!(%peer, "too many connections");
        return;
    }
    let id = ConnectionId(state.counters.connections_ever.fetch_add(1, Ordering::Relaxed));
    let connection = Connection::new(id, Arc::clone(state), kind, peer, local);
    let state = Arc::clone(state);
    let stop = stop.clone();
    connections.spawn(async move {
        state.counters.connections.fetch_add(1, Ordering::Relaxed);
        connection::serve(Arc::clone(&connection), transport, stop).await;
        state.counters.connections.fetch_sub(1, Ordering::Relaxed);
        state.crowd.depart(&connection);
    });
}

impl State {
    fn new(
        config: ServerConfig,
        bound: Bound,
        first_open: u64,
        leases: Arc<Leases>,
        kept: Arc<Kept>,
    ) -> State {
        let mut capabilities =
            Capabilities::LARGE_MTU | Capabilities::LEASING | Capabilities::DIRECTORY_LEASING;
        capabilities.set(Capabilities::MULTI_CHANNEL, config.multichannel);
        capabilities.set(Capabilities::PERSISTENT_HANDLES, config.records.is_some());
        let policy = Policy {
            min_dialect: config.min_dialect,
            max_dialect: config.max_dialect,
            signing_required: config.signing == Signing::Required,
            encryption: match config.encryption {
                Encryption::Accepted | Encryption::Desired => EncryptionPolicy::Desired,
                Encryption::Required => EncryptionPolicy::Required,
            },
            ciphers: config.ciphers.clone(),
            signing_algorithms: config.signing_algorithms.clone(),
            capabilities,
            compression: if config.compression { Compression::PREFERENCE.to_vec() } else { Vec::new() },
            max_transfer_bytes: limits::PAYLOAD_MAX_BYTES,
            posix_extensions: true,
        };
        State {
            accounts: Accounts::new(&config),
            tickets: config.kerberos.as_ref().map(TicketDesk::new),
            crowd: Crowd::new(config.per_user),
            config,
            quic_policy: Policy { min_dialect: Dialect::SMB_3_1_1, ..policy.clone() },
            tcp_policy: policy,
            bound,
            interfaces: Interfaces::default(),
            shares: RwLock::default(),
            sessions: RwLock::default(),
            clients: Clients::default(),
            kept,
            leases,
            restorations: Restorations::default(),
            returns: Returns::default(),
            creates: Creates::default(),
            change_times: Arc::default(),
            instances: Instances::default(),
            throttle: Mutex::new(Throttle::new(ThrottlePolicy {
                max_delay: limits::LOGON_DELAY_MAX,
                ..ThrottlePolicy::default()
            })),
            throttle_of_places: Mutex::new(Throttle::new(ThrottlePolicy {
                free_failures: limits::FREE_FAILURES_PER_PLACE,
                first_delay: limits::GUESS_SPACING,
                max_delay: limits::GUESS_SPACING,
                ..ThrottlePolicy::default()
            })),
            turns: Turns::default(),
            counters: Counters::default(),
            last_open: AtomicU64::new(first_open),
            started: Instant::now(),
        }
    }

    /// What a connection over such a transport may agree on.
    pub(crate) fn policy(&self, kind: Kind) -> &Policy {
        match kind {
            Kind::Tcp => &self.tcp_policy,
            Kind::Quic => &self.quic_policy,
        }
    }

    /// Where clients of such a transport are taken.
    pub(crate) fn bound_to(&self, kind: Kind) -> &[SocketAddr] {
        match kind {
            Kind::Tcp => &self.bound.tcp,
            Kind::Quic => &self.bound.quic,
        }
    }

    /// An id for a new open, never used twice in the life of this process.
    pub(crate) fn next_open_id(&self) -> u64 {
        self.last_open.fetch_add(1, Ordering::Relaxed) + 1
    }
}
