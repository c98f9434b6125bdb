//! A volume on an SMB file server: the gateway's way to Samba and Windows.
//!
//! The crate `smb2` carries the messages: connection, NTLM, signing, encryption, credits. What is asked and
//! what the answers mean is written here, with the codec of `smb-wire`.
//!
//! * A [`Lane`](lane::Lane) is one place for a connection. It dials when somebody needs it, again after a loss,
//!   with growing pauses. Names, listings and the watch have a lane of their own, so that nobody who looks at a
//!   name waits behind bulk data; files are spread over the others.
//! * A [`Session`](session::Session) is one connection with its logon and its share. It is never revived: a
//!   handle belongs to one session for good, so no request can reach another file after a reconnect.
//! * A [`Handle`](handle::Handle) is one open at the server; dropping it closes it, also when the caller went
//!   away while it was being opened.
//!
//! **After a loss.** A file with nothing unsynced is opened again by its path, unseen, if the path still names
//! the same file (file id and creation time); else `Stale`. A file that was written since its last `sync` stays
//! lost: each call on it answers `Stale`. A change of the namespace that was under way answers `Offline`: it may
//! or may not have happened. Looking and reading are asked again once.
//!
//! **What SMB does not have and this crate makes up** (each with its price, in `change.rs` and `open.rs`):
//! removing or replacing a file that this volume holds open (its name is moved out of the way first), and
//! writing to a file marked READONLY (the mark is lifted for the moment of opening).
//!
//! Wire references are to MS-SMB2 and MS-FSCC.

mod attr;
mod carrier;
mod change;
mod config;
mod core;
mod error;
mod file;
mod handle;
mod lane;
mod listing;
mod names;
mod open;
mod session;
mod ticket;
mod volume;
mod watch;

pub use self::volume::SmbVolume;
pub use config::{Password, SmbConfig, SmbLimits, Watching};
