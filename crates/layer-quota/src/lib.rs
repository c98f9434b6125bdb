//! Quotas of users: a [`Volume`](volume::Volume) around an origin, which knows how much each user has, and lets nobody
//! get beyond his limit. The decision behind it is `docs/adr/0017-quotas-of-users.md`.
//!
//! **What counts.** A regular file counts with its size, holes and all, for the owner that its security descriptor
//! names; one that has none is nobody's. A file with several names counts once. One without any counts until the last
//! handle is gone. Nothing else counts: directories, links, named streams, extended attributes, room that is reserved.
//!
//! **What is held to limits** is that a file becomes longer, and that it becomes somebody's: it is refused with
//! `QuotaExceeded` before anything is done. What a user has beyond a limit that was set later stays his, and may
//! become less or be written within its size. Administrators are held to limits like everybody.
//!
//! **Who knows.** Nothing of what users have is kept on disk: it is counted when the volume is opened, beside the work
//! (`REBUILDING`), and from then on each call that passes here keeps the books. Until a file was counted it is not held
//! against its owner. What others change in the tree past this volume makes the books doubtful (`INCOMPLETE`), and
//! they are counted anew. Limits are durable (`docs/formats/quota-limits.md`).
//!
//! **What it costs.** A write that makes a file longer takes the file's lock alone, and the ledger's for a moment; one
//! within the size takes a lock that it shares. Opening for writing asks for the descriptor where there is one and nobody
//! else has the file open for writing. Removing, replacing and giving away look at the file before.
//!
//! The parts:
//!
//! * `volume`, `file`, `names`: what callers see: handles, and changes by name;
//! * `charged`: the files in use, each with its lock; the order of all locks stands there;
//! * `ledger`, `seen`: the books (pure); `limits`: rules and limits, and their file;
//! * `count`: the walk that counts all; `recount`: when;
//! * `core`: what these share.
//!
//! **What it does not see.** A write within the size that its caller has given up, and that the origin is still busy
//! with while the file is made shorter, may make it longer again: the next count finds that.

mod charged;
mod config;
mod core;
mod count;
mod file;
mod lately;
mod ledger;
mod limits;
mod names;
mod recount;
mod seen;
mod volume;

pub use crate::volume::QuotaVolume;
pub use config::*;

/// Of the tickets of this layer.
const TICKET: u8 = b'Q';
