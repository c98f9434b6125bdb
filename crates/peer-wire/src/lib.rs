//! What two farshare nodes say to each other about volumes, as bytes and as values. No I/O, no clock.
//!
//! A message is a [`Frame`]: a small head and a body that holds the payload alone (file content, a listing),
//! so that payloads are never copied. There are three kinds:
//!
//! * a [`Request`] mirrors one call of the waist (`Volume`, `File`); the link carries it and its answer;
//! * an [`Answer`] to it, self-describing;
//! * a [`Push`], one way, from the node that has a volume to the one that watches it.
//!
//! Promises: decoding never panics, never allocates more than a small multiple of what came in, and takes
//! nothing that the waist would not take (a path is a [`volume::VPath`] or the message is refused).
//! The bytes are described in `docs/formats/peer.md`.

mod answer;
mod attr;
mod change;
mod cursor;
mod error;
mod failure;
mod listing;
mod named;
mod push;
mod quota;
mod ranges;
mod request;

pub use answer::Answer;
pub use error::WireError;
pub use failure::{Failure, TEXT_MAX_BYTES};
pub use listing::{AHEAD_PATHS_MAX_BYTES, Below, DirListing, entry_size_bytes};
pub use push::{Event, Push};
pub use request::{Ask, PATIENCE_MAX, Request};

use bytes::Bytes;

/// The version of everything in this crate; the first byte of each head.
pub const VERSION: u8 = 8;

/// Longest name of a volume, bytes.
pub const VOLUME_NAME_MAX_BYTES: usize = 255;

/// Longest range of one `Read`, `Write` or `OpenHow::first`, bytes. It is what one message of the link holds.
pub const IO_MAX_BYTES: u32 = 4 * 1024 * 1024;

/// One message: what the link carries.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Frame {
    /// Everything but the payload.
    pub head: Bytes,
    /// The payload as it is: file content, or a listing.
    pub body: Bytes,
}
