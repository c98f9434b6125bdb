//! The way up: what an origin notices by itself, and how far its word on freshness can be trusted.

use crate::{Attr, VPath};
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, watch};

/// Notices that may wait for a slow reader; at this many the source sends [`Notice::Unknown`] instead.
pub const NOTICES_MAX: usize = 16 * 1024;

/// Something changed at the origin, by whomever. Our own changes may be reported too: the author, else the version in
/// `attr`, tells whether it is news.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// The object under this name is now `attr`, or gone. For a directory: also its listing may differ.
    Changed { path: VPath, attr: Option<Attr>, by: Author },
    /// Everything below `from` is now below `to`.
    Moved { from: VPath, to: VPath, attr: Option<Attr>, by: Author },
    /// Anything below this path may have changed: the source lost events, or was away. At the root: forget
    /// everything.
    Unknown { below: VPath },
}

/// Who made a change. Where several are told as one, it is the greatest of theirs (`docs/adr/0015-who-made-a-change.md`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Author {
    /// The one user of the volume, through it: he knows already.
    Us,
    /// It cannot be told.
    Unknown,
    /// Somebody else, certainly.
    Others,
}

/// How fresh what a volume tells is: the promise that `status` states.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freshness {
    /// Asked anew each time.
    Direct,
    /// Told before it changes.
    Leased,
    /// Told after it changed.
    Notified,
    /// Believed for so long, then asked again.
    Polled { every: Duration },
    /// The origin is out of reach since then; what is served may be as old as that.
    Offline { since: SystemTime },
}

/// A subscription. Dropping it ends it.
#[derive(Debug)]
pub struct Watch {
    /// In the order in which they happened.
    pub notices: mpsc::Receiver<Notice>,
    /// The present promise; `Notified` or `Leased` only while no notice can be missed.
    pub freshness: watch::Receiver<Freshness>,
    /// Whether all that changes while something is promised is told with its author, but for what was found in a
    /// directory when that came to be watched.
    pub authors: watch::Receiver<bool>,
}

impl Watch {
    /// Of a source that cannot tell who made a change.
    pub fn without_authors(notices: mpsc::Receiver<Notice>, freshness: watch::Receiver<Freshness>) -> Watch {
        Watch { notices, freshness, authors: watch::channel(false).1 }
    }
}
