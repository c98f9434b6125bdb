//! A volume that another site serves, reached over the link: the entrypoint's side of `peer://`.
//!
//! A [`PeerVolume`] turns each call of the waist into one request and waits for its answer: one round trip an
//! operation. Reads and writes longer than a message are cut and go side by side. What a caller waits for goes
//! ahead of what machines want ([`link::Class`]); changes are executed at most once, whatever dies on the way
//! ([`link::Mode`]).
//!
//! When the gateway was restarted its handles are gone. A file that was opened for reading is then opened again
//! unseen, by its path and only as the same file; a file that was opened for writing answers `Stale`, because
//! what was written and not yet synced may be lost.
//!
//! What the gateway tells by itself comes in through the node's [`Inbox`]; `follow.rs` makes a
//! `Watch` of it that never claims more than it knows.

mod error;
mod file;
mod follow;
mod inbox;
mod peer;
mod volume;

pub use self::volume::PeerVolume;
pub use follow::CHECK_INTERVAL;
pub use inbox::Inbox;
