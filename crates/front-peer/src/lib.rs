//! Serves volumes to other sites over the link: the gateway's side of `peer://`.
//!
//! A [`PeerServer`] is the [`link::Service`] of a node. It offers named volumes, each to the sites it names;
//! to all others they do not exist. What is offered, and to whom, can be replaced while it is served
//! ([`PeerServer::offer`]). Requests are turned into calls of the waist one to one; `peer-wire` has
//! refused by then whatever could leave a volume's root.
//!
//! State per peer, in `session.rs`: open handles (numbers that the peer chose) and subscriptions. It survives
//! the loss of connections. It ends when the peer's process is replaced, and when the peer was away for
//! [`PeerLimits::session_grace`]; files are then closed with `Close::Abort`.
//!
//! Left to others: who may connect at all (`link`), and caching (the peer's own).

mod ahead;
mod calls;
mod feed;
mod handles;
mod offers;
mod server;
mod session;

pub use ahead::{AHEAD_ENTRIES_MAX, AHEAD_TIME, LISTING_BYTES};
pub use feed::{BATCH_NOTICES, BATCH_TIME};
pub use offers::Offered;
pub use server::{PeerServer, PeerStatus};
pub use session::PeerLimits;
