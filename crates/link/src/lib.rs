//! The site link: calls and notifications between two sites over several TLS 1.3 connections.
//!
//! A [`Node`] is a site's end of all its links; a [`Link`] is the handle on one peer. Both ends present
//! certificates of the same CA ([`certs`]), so nobody else gets past TLS. Either side may dial: calls and
//! notifications then go both ways over the same connections.
//!
//! What the link promises:
//! - interactive calls overtake bulk: a connection of their own, and in each connection their frames go first;
//! - a dead connection is noticed within about three probe intervals while anything waits, its calls go to
//!   another one or to the next;
//! - a call sent [`Mode::Once`] is executed at most once by a peer process, whatever dies in between;
//! - notifications arrive in order, and if any is lost the receiver's session changes, so it can ask anew;
//! - every queue has a limit (see `config.rs`), and reaching it makes senders wait or fails clearly.
//!
//! The order between calls and notifications is not promised. The bytes on the wire are described in
//! `docs/formats/link.md`.

mod accept;
pub mod certs;
mod config;
mod dial;
mod error;
mod frame;
#[cfg(fuzzing)]
pub mod fuzzing;
mod greet;
mod half_open;
mod hello;
mod lane;
mod link;
mod liveness;
mod message;
mod meter;
mod node;
mod pool;
mod queue;
mod remote;
mod served;
mod socket;
mod status;

pub use certs::Identity;
pub use config::*;
pub use error::LinkError;
pub use hello::{VERSION_MAX, VERSION_MIN};
pub use link::Link;
pub use message::{Class, MAX_BODY_BYTES, MAX_HEAD_BYTES, Message, Mode, Peer, Service};
pub use node::Node;
pub use status::{LinkState, LinkStats};
