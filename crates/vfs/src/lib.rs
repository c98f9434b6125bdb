//! The one core between every front end and a [`volume::Volume`]: who has what open, who excludes whom, and what
//! a name means to a client that ignores case.
//!
//! A front end speaks a protocol and asks [`Vfs`]; it never sees the volume. One `Vfs` stands on the outermost
//! layer of a volume and serves all front ends at once, so an SMB open keeps a FUSE writer out and the other
//! way round.
//!
//! | module | what it decides |
//! |---|---|
//! | [`names`] | folding, reserved characters (plain functions) |
//! | `share` | share modes (plain functions) |
//! | `range_lock` | byte-range locks (plain state), `lock_wait` lets tasks wait |
//! | `caching`, `leases` | what clients may cache, and what breaks it (plain state), `contend` lets operations wait |
//! | `registry` | opens by file, doomed names, who works where (plain state) |
//! | `accounts` | how much of what costs memory there may be, over a volume and of each account |
//! | `index`, `echo` | names of directories; which notices are news (plain state) |
//! | `content` | which notices of content are news (plain state); foreign changes that one of ours has met before they were told |
//! | `notify` | what each watcher is told |
//! | `resolve`, `reading` | from a client's spelling to the origin's name; reading a directory for that, one for all who ask |
//! | `create`, `open`, `cursor`, `rename`, `close` | the operations, which apply these to the volume |
//! | `by_name` | removing and renaming where nobody has it open |
//! | `place` | what an open takes in the registry before the volume is asked, and gives back where it fails |
//! | `restore` | opens that come back after the process ended |
//! | `unlooked` | entries of listings that may not answer |
//! | `rights`, `descriptors` | who may open what; what objects carry to judge that by |
//! | `attributes` | looking at attributes and setting them |
//! | `extras` | what an open carries besides its content; holes, copies, reserved room |
//! | `links` | reading and making symbolic links |
//! | `nodes` | making what POSIX callers open nowhere |
//! | `streams` | named streams: opening, renaming, removing; their content |
//! | `write_time` | times of the last write that opens keep as they are |
//! | `landing`, `own_writes` | changes of an open that are on their way to the volume, and the look after them |
//! | `watch` | what the origin tells by itself |
//!
//! # Order of locks
//!
//! Async, held while the volume works, in this order: the entry to a path (`Core::enter`); the lock of a name, or of two
//! in the order of their keys (`NameLocks`); what an object carries, or the end of a file (`Node::carrying`,
//! `Node::appending`); the content of a stream (`StreamFile`); the reading of a directory's names (`Readings`). Nobody
//! waits for an earlier kind while holding a later one, but for one thing: whoever enters a path waits while a directory above it is sealed (`Sealed`), since it moves or is to
//! stay empty, whatever he holds. Therefore who has sealed one waits for the volume alone, and he does so only while
//! nobody else works below. Who finds somebody there lets go of all that he holds, waits (`Core::nobody_below`) and
//! starts anew (one who is to move it lets nobody begin to open anything below meanwhile: `Clearing`); the same where a
//! client must first give back what it caches (`Breaking`), and where links lead elsewhere
//! than to the path that he has entered: he enters, and holds, what they lead to. So all who come to a name hold
//! it alike, but where the origin has further ways to it that it does not tell of: links that it follows itself, short names.
//!
//! All other locks are leaves: a few instructions, never two, never across an await. Reading takes none
//! of them while nobody holds a byte-range lock on the file, and writing one of the file itself.
//!
//! # Cancelling
//!
//! Dropping the future of a read, a lock or a notify withdraws it. What changes something is carried to its end
//! (`volume::Carry`): writing, setting attributes, opening that makes a name or empties a file, closing, renaming and
//! linking. So registry and volume never differ, and an open ends after its last change has landed (`landing`).
//! An [`Open`] that is dropped is closed in the background.
//!
//! # What clients cache
//!
//! `registry::Registry::admit` is the only way in and `close::end` the only way out; there caching rights are
//! given and end. An operation that stands against one breaks it (`Registry::contend`): who only cached reads is
//! told, for the others the operation lets go of all it holds, waits ([`Breaking`]), and starts anew. What the
//! origin notices goes the same way (`watch`). Where a name comes, goes or changes (`Core::{made, gone, modified,
//! renamed}`), leases on its directory are broken.

pub mod names;

mod accounts;
mod attributes;
mod by_name;
mod caching;
mod case;
mod close;
mod contend;
mod content;
mod core;
mod create;
mod cursor;
mod descriptors;
mod echo;
mod error;
mod extras;
mod index;
mod landing;
mod leases;
mod links;
mod lock_wait;
mod name_lock;
mod nodes;
mod notify;
mod open;
mod own_writes;
mod place;
mod range_lock;
mod reading;
mod registry;
mod rename;
mod request;
mod resolve;
mod restore;
mod rights;
mod share;
mod streams;
mod unlooked;
mod vfs;
mod watch;
mod write_time;

pub use caching::{AckRefused, Answering, BREAK_TIMEOUT, Break, BreakListener, Caching, Granted, LeaseId};
pub use contend::Breaking;
pub use cursor::{Answer, DirCursor, DirEntry, Links};
pub use descriptors::NewDescriptor;
pub use error::{Error, Result};
pub use links::{Replacement, Stop};
pub use nodes::NewNode;
pub use notify::{Filter, NotifyAction, NotifyBatch, NotifyEvent};
pub use open::Open;
pub use range_lock::{Range, WAITING_LOCKS_PER_FILE_MAX, WAITING_LOCKS_PER_OPEN_MAX};
pub use rename::Renamed;
pub use request::{
    ALLOCATION_CHECKED_MIN, Access, Action, DeleteHow, Disposition, Lease, OpenId, OpenRequest, Opened,
    Owner, ReadonlyTarget, RenameHow, Share, Want,
};
pub use restore::Former;
pub use rights::{NewObject, Newborn, Rights};
pub use vfs::{Limits, OpenInfo, OpensSummary, SYMLINKS_MAX, Tried, Vfs, VfsConfig};
pub use volume::Carry;
