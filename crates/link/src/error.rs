//! What can go wrong on the link, in words the caller can act on.

use std::fmt;
use std::time::Instant;

/// Why a call, a notification, a certificate or a node failed.
///
/// After `Down`, `Deadline`, `Closed` and `Restarted` a call may or may not have been executed by the peer
/// (at most once when it was [`Mode::Once`](crate::Mode::Once)); after `Failed` it was, at least in part; after
/// `Refused` and `TooLarge` it was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkError {
    /// No connection to the site, for longer than a call may wait for one.
    Down {
        /// When the last connection was lost, or the node was started.
        since: Instant,
        /// The latest reason, for people.
        why: String,
    },
    /// The caller's deadline passed before the answer came.
    Deadline,
    /// The peer process was replaced by a new one after this `Once` call had been sent to the old one.
    Restarted,
    /// The peer, or a full queue, turned the request away without executing it. The text says why.
    Refused(String),
    /// The peer's service broke off, or its answer exceeds a limit of the link.
    Failed(String),
    /// A message exceeds a limit of the link.
    TooLarge {
        /// Which limit.
        what: &'static str,
        /// Bytes given.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The node was shut down.
    Closed,
    /// The other side broke the rules of the link protocol.
    Protocol(String),
    /// A certificate or key is missing, unreadable, not ours or not the right one. The text names the file and
    /// the mend.
    Certificate(String),
    /// A setting of [`LinkConfig`](crate::LinkConfig) that cannot work, or an address that cannot be bound.
    Config(String),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Down { since, why } => {
                write!(f, "the link is down since {} s: {why}", since.elapsed().as_secs())
            }
            LinkError::Deadline => f.write_str("no answer before the deadline"),
            LinkError::Restarted => {
                f.write_str("the peer was restarted; the call may or may not have been executed")
            }
            LinkError::Refused(why) => write!(f, "refused: {why}"),
            LinkError::Failed(why) => write!(f, "failed at the peer: {why}"),
            LinkError::TooLarge { what, bytes, limit } => {
                write!(f, "{what} of {bytes} bytes exceeds the limit of {limit}")
            }
            LinkError::Closed => f.write_str("the node is shut down"),
            LinkError::Protocol(what) => write!(f, "link protocol broken: {what}"),
            LinkError::Certificate(what) => write!(f, "certificate: {what}"),
            LinkError::Config(what) => write!(f, "link configuration: {what}"),
        }
    }
}

impl std::error::Error for LinkError {}
