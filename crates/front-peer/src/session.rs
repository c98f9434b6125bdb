//! What one peer has here: handles and subscriptions, for the life of its process.

use crate::feed::{Feed, FeedReceiver};
use crate::handles::{Handles, Refused};
use link::{Link, Message};
use parking_lot::Mutex;
use peer_wire::{Answer, Frame, Push};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use volume::{Close, Cx, Error, ErrorKind, File, Freshness, Priority, Result};

/// Limits that a [`crate::PeerServer`] keeps, for each peer.
#[derive(Clone, Copy, Debug)]
pub struct PeerLimits {
    /// Handles open at once; further opens answer `TooManyOpen`. As many as a `Vfs` allows opens for a volume, so
    /// that one user of an entrypoint cannot use up the room of all. A handle takes about 200 bytes here, 50 MiB
    /// for the default, and what the origin keeps for an open file: at `file://` a descriptor, of which a process
    /// has `RLIMIT_NOFILE`.
    pub handles: usize,
    /// Subscriptions at once; further ones answer `TooManyOpen`.
    pub subscriptions: usize,
    /// How long a peer may be away before its handles are closed.
    pub session_grace: Duration,
    /// How long a call waits for the `Open` of its handle to arrive.
    pub handle_patience: Duration,
}

impl Default for PeerLimits {
    fn default() -> PeerLimits {
        PeerLimits {
            handles: 256 * 1024,
            subscriptions: 64,
            session_grace: Duration::from_secs(300),
            handle_patience: Duration::from_millis(500),
        }
    }
}

pub(crate) struct Session {
    pub site: Arc<str>,
    /// The link's number for this acquaintance.
    pub number: u64,
    pub handles: Handles,
    /// The way to the peer; `None` until it is known.
    link: watch::Sender<Option<Link>>,
    subscriptions: Mutex<Subscriptions>,
    limits: PeerLimits,
}

#[derive(Default)]
struct Subscriptions {
    running: HashMap<u64, Subscription>,
    ended: bool,
}

struct Subscription {
    volume: Box<str>,
    /// Pushes sent so far.
    sequence: Arc<AtomicU64>,
    freshness: Arc<Mutex<Freshness>>,
    task: JoinHandle<()>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Session {
    pub fn new(site: &str, number: u64, limits: PeerLimits) -> Arc<Session> {
        Arc::new(Session {
            site: site.into(),
            number,
            handles: Handles::new(limits.handles),
            link: watch::channel(None).0,
            subscriptions: Mutex::default(),
            limits,
        })
    }

    pub fn is_reachable_by(&self, link: Link) {
        self.link.send_replace(Some(link));
    }

    pub fn subscription_count(&self) -> usize {
        self.subscriptions.lock().running.len()
    }

    /// Takes an open file out of the table, or waits a little for it.
    pub async fn file(&self, handle: u64) -> Option<Arc<dyn File>> {
        self.handles.get(handle, self.limits.handle_patience).await
    }

    pub async fn take_file(&self, handle: u64) -> Option<Arc<dyn File>> {
        self.handles.take(handle, self.limits.handle_patience).await
    }

    /// Begins to push what `feed` tells. The same number again is the same subscription.
    pub async fn watch(&self, cx: &Cx, number: u64, volume: &str, feed: &Arc<Feed>) -> Result<Answer> {
        let known = self.check(number);
        if known.is_ok() {
            return known;
        }
        let receiver = feed.subscribe(cx).await?;
        let (sequence, freshness) = (Arc::new(AtomicU64::new(0)), receiver.freshness());
        let now = *freshness.lock();
        let mut subscriptions = self.subscriptions.lock();
        if subscriptions.ended {
            return Err(Refused::Ended.into_error("watch"));
        }
        if subscriptions.running.len() >= self.limits.subscriptions {
            return Err(Refused::TooMany { limit: self.limits.subscriptions }.into_error("watch"));
        }
        let task = tokio::spawn(push_all(number, receiver, sequence.clone(), self.link.subscribe()));
        subscriptions
            .running
            .insert(number, Subscription { volume: volume.into(), sequence, freshness, task });
        Ok(Answer::Watching { sequence: 0, freshness: now })
    }

    /// How far a subscription has come.
    pub fn check(&self, number: u64) -> Result<Answer> {
        match self.subscriptions.lock().running.get(&number) {
            Some(subscription) if !subscription.task.is_finished() => Ok(Answer::Watching {
                sequence: subscription.sequence.load(Ordering::Acquire),
                freshness: *subscription.freshness.lock(),
            }),
            _ => Err(Error::new(ErrorKind::NotFound, "check", format!("subscription {number:x}"))),
        }
    }

    pub fn unwatch(&self, number: u64) {
        self.subscriptions.lock().running.remove(&number);
    }

    /// Closes what belongs to volumes other than those that `may` stay.
    pub fn keep_only(&self, may: impl Fn(&str) -> bool) {
        self.subscriptions.lock().running.retain(|_, subscription| may(&subscription.volume));
        let files = self.handles.keep_only(&may);
        if !files.is_empty() {
            tracing::info!(site = %self.site, files = files.len(), "files of volumes that it may no longer use");
        }
        files.into_iter().for_each(close_unheard);
    }

    /// Closes everything. Calls under way finish; new ones find nothing.
    pub fn end(&self) {
        let subscriptions = {
            let mut subscriptions = self.subscriptions.lock();
            subscriptions.ended = true;
            std::mem::take(&mut subscriptions.running)
        };
        let files = self.handles.end();
        tracing::info!(
            site = %self.site, files = files.len(), subscriptions = subscriptions.len(),
            "a peer's session ends"
        );
        for file in files {
            close_unheard(file);
        }
    }
}

/// Closes a file whose user is gone. A writer that did not finish gives up.
pub(crate) fn close_unheard(file: Arc<dyn File>) {
    tokio::spawn(async move {
        let id = file.id();
        if let Err(why) = file.close(&Cx::system(Priority::Background), Close::Abort).await {
            tracing::warn!(%why, %id, "closing a file that a peer left open");
        }
    });
}

/// Pushes events in order, each with its number. One that cannot be sent leaves a gap in the numbers, and the
/// peer finds it.
async fn push_all(
    subscription: u64,
    mut receiver: FeedReceiver,
    sequence: Arc<AtomicU64>,
    mut link: watch::Receiver<Option<Link>>,
) {
    while let Some(event) = receiver.next().await {
        let Ok(link) = link.wait_for(Option::is_some).await.map(|link| link.clone()) else { return };
        let number = sequence.fetch_add(1, Ordering::AcqRel);
        let Frame { head, body } = Push { subscription, sequence: number, event: (*event).clone() }.encode();
        if let Some(Err(why)) = link.map(|link| link.notify(Message { head, body })) {
            tracing::debug!(%why, number, "a push is lost");
        }
    }
}

impl Refused {
    pub fn into_error(self, op: &'static str) -> Error {
        match self {
            Refused::TooMany { limit } => {
                Error::new(ErrorKind::TooManyOpen, op, format!("{limit} are open for this site"))
            }
            Refused::Closed => Error::new(ErrorKind::Stale, op, "the handle was closed before it was opened"),
            Refused::Ended => Error::new(ErrorKind::Stale, op, "the session of this site has ended"),
        }
    }
}
