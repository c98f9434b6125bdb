//! One request to the origin for a run of blocks, and those who wait for it.

use super::map::bytes_of;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use tokio::sync::watch;
use volume::{Cx, Error, ErrorKind, Result};

/// The bytes of the run, or why they did not come.
type Outcome = std::result::Result<Bytes, Arc<Error>>;

/// A request that is under way, or whose bytes are not on disk yet.
#[derive(Debug)]
pub(crate) struct Flight {
    pub blocks: Range<u64>,
    /// The same in bytes, cut at the end of the file as it was when the request was made.
    pub bytes: Range<u64>,
    /// Nobody waited when it was made.
    pub ahead: bool,
    /// A change of ours overlapped it: its bytes go to those who wait already, and nowhere else.
    spoiled: AtomicBool,
    outcome: watch::Sender<Option<Outcome>>,
}

impl Flight {
    pub(crate) fn new(blocks: Range<u64>, size: u64, ahead: bool) -> Flight {
        let bytes = bytes_of(&blocks, size);
        Flight { blocks, bytes, ahead, spoiled: AtomicBool::new(false), outcome: watch::channel(None).0 }
    }

    pub(crate) fn length(&self) -> u64 {
        self.bytes.end - self.bytes.start
    }

    pub(crate) fn spoil(&self) {
        self.spoiled.store(true, SeqCst);
    }

    pub(crate) fn is_spoiled(&self) -> bool {
        self.spoiled.load(SeqCst)
    }

    pub(crate) fn arrive(&self, outcome: Outcome) {
        self.outcome.send_replace(Some(outcome));
    }

    /// The bytes of the whole run, by the deadline of `cx`.
    pub(crate) async fn wait(&self, cx: &Cx) -> Result<Bytes> {
        let mut outcome = self.outcome.subscribe();
        let arrived = outcome.wait_for(Option::is_some);
        let late = |_| Error::new(ErrorKind::TimedOut, "read", "waiting for the origin");
        let arrived = tokio::time::timeout_at(cx.deadline.into(), arrived).await.map_err(late)?;
        match arrived.as_deref() {
            Ok(Some(Ok(bytes))) => Ok(bytes.clone()),
            Ok(Some(Err(e))) => Err(again(e)),
            // `self` holds the sender.
            Ok(None) | Err(_) => Err(Error::new(ErrorKind::Io, "read", "the request went away")),
        }
    }
}

/// The same error for another caller.
fn again(e: &Arc<Error>) -> Error {
    let mut copy = Error::new(e.kind, e.op, &e.context);
    copy.retry = e.retry;
    copy.because(e.clone())
}
