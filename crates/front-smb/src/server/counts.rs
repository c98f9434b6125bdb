//! What the server is doing: counts, and who is there.

use super::State;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What Windows calls nobody who has logged in (S-1-5-7).
const ANONYMOUS: &str = "ANONYMOUS LOGON";

/// Counts since the start.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicUsize,
    pub(crate) connections_ever: AtomicU64,
    pub(crate) logons: AtomicU64,
    pub(crate) logon_failures: AtomicU64,
    pub(crate) read_bytes: AtomicU64,
    pub(crate) written_bytes: AtomicU64,
}

/// What the server is doing, for `farshare status`.
#[derive(Clone, Debug, Default)]
pub struct ServerStatus {
    pub connections: usize,
    pub connections_ever: u64,
    pub sessions: usize,
    pub opens: usize,
    /// Durable opens whose client is away.
    pub kept_opens: usize,
    pub logons: u64,
    pub logon_failures: u64,
    pub read_bytes: u64,
    pub written_bytes: u64,
    pub shares: Vec<String>,
    /// User, dialect and opens of each session.
    pub users: Vec<SessionStatus>,
}

/// One session, for `farshare status`.
#[derive(Clone, Debug)]
pub struct SessionStatus {
    pub user: String,
    pub dialect: String,
    pub encrypted: bool,
    pub trees: usize,
    pub opens: usize,
}

impl State {
    pub(super) fn status(&self) -> ServerStatus {
        let sessions = self.all_sessions();
        let users: Vec<SessionStatus> = sessions
            .iter()
            .map(|session| SessionStatus {
                user: match session.nobodys && !session.is_guest() {
                    true => ANONYMOUS.into(),
                    false => session.user.to_string(),
                },
                dialect: session.terms.dialect.to_string(),
                encrypted: session.encrypts(),
                trees: session.trees(),
                opens: session.opens(),
            })
            .collect();
        ServerStatus {
            connections: self.counters.connections.load(Ordering::Relaxed),
            connections_ever: self.counters.connections_ever.load(Ordering::Relaxed),
            sessions: sessions.len(),
            opens: users.iter().map(|user| user.opens).sum(),
            kept_opens: self.kept.len(),
            logons: self.counters.logons.load(Ordering::Relaxed),
            logon_failures: self.counters.logon_failures.load(Ordering::Relaxed),
            read_bytes: self.counters.read_bytes.load(Ordering::Relaxed),
            written_bytes: self.counters.written_bytes.load(Ordering::Relaxed),
            shares: self.shares().iter().map(|share| share.name.clone()).collect(),
            users,
        }
    }
}
