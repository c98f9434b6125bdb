//! Live mirrors: a [`Volume`] around a volume, whose changes go live and in order to other volumes. The decisions behind it are
//! `docs/adr/0021-mirrors-are-volumes.md` and `docs/adr/0022-a-journal-of-our-own.md`.
//!
//! ```text
//!            Recorded (volume.rs, file.rs)                 one Sender for each mirror (sender/)
//! change ->  record it, make it, say what came of it  ->  log (log.rs) -> steps -> the mirror's volume
//! ```
//!
//! **Promise.** A change is in the log before it is made, and so before its caller is answered; it reaches each mirror that there is
//! or that comes back, whenever a process ends. While a mirror is *live*, each state that it shows was a state here: changes become
//! visible there one after the other in the order in which they were made here, and a file that is written anew appears whole, as it was when it was closed
//! or synced. After a comparison, at the first time or when something went unseen, it is *catching up*, and says so.
//!
//! **What a mirror is.** Any [`Volume`] that makes, renames and removes. Nothing but its names is used, so a plain SFTP server
//! will do. Where it has no room for something (owners, attributes) that is left out and told.
//!
//! **Left to others.** Which targets there are and how they are reached (`farshare`'s `stack.rs`); alerts; the console.

mod core;
mod file;
mod log;
mod mirrors;
mod names;
mod opens;
mod record;
mod recover;
mod sender;
mod status;
mod volume;

pub use log::Log;
pub use mirrors::{Here, MirrorConfig, Mirrors, Reach, Target};
pub use sender::Order;
pub use sender::remote::PRIVATE_DIR;
pub use status::{Comparing, MirrorStatus, State};

#[cfg(doc)]
use ::volume::Volume;

/// Of the tickets of this layer.
const TICKET: u8 = b'M';
