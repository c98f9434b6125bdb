//! What a link says about itself.

use std::time::{Duration, Instant};

/// Whether the peer can be reached now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// At least one connection is usable.
    Up {
        /// When the first of them came up.
        since: Instant,
        /// See [`Peer::session`](crate::Peer::session).
        session: u64,
        /// Connections in use.
        connections: usize,
        /// Latest round trip measured, zero before the first.
        rtt: Duration,
    },
    /// No connection.
    Down {
        /// When the last one was lost, or the node was started.
        since: Instant,
        /// The latest reason, for people.
        why: String,
    },
}

impl LinkState {
    /// The session when up.
    pub fn session(&self) -> Option<u64> {
        match self {
            LinkState::Up { session, .. } => Some(*session),
            LinkState::Down { .. } => None,
        }
    }

    /// Whether the peer can be reached.
    pub fn is_up(&self) -> bool {
        self.session().is_some()
    }
}

/// Counters of a link since the node was started, and its queues now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Bytes received on the wire, TLS included.
    pub bytes_in: u64,
    /// Bytes sent on the wire, TLS included.
    pub bytes_out: u64,
    /// Calls made.
    pub calls: u64,
    /// Calls answered for the peer.
    pub served: u64,
    /// Calls sent again after their connection died.
    pub retries: u64,
    /// Connections established after the first of each lane.
    pub reconnects: u64,
    /// Connections in use.
    pub connections: usize,
    /// Calls waiting for their answers.
    pub pending: usize,
    /// Latest round trip measured, zero before the first.
    pub rtt: Duration,
    /// Bytes waiting to be written in the interactive class, notifications included.
    pub queued_interactive: usize,
    /// Bytes waiting to be written in the bulk class.
    pub queued_bulk: usize,
    /// Congestion control of the connections ("bbr", "cubic", ...); empty while down.
    pub congestion: String,
}
