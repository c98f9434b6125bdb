//! What one volume tells by itself, for all peers that watch it.
//!
//! A [`Feed`] subscribes to its volume once, with the first subscriber, and ends its subscription some time
//! after the last one left. Its pump gathers notices into batches and hands them to all subscribers. When the
//! volume ends its watch, the pump says that all is unknown and subscribes again.

use parking_lot::Mutex as SyncMutex;
use peer_wire::Event;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{Mutex, broadcast};
use tokio::time::{Instant, timeout_at};
use volume::{Cx, Freshness, Notice, Priority, Result, VPath, Volume, Watch};

/// Notices that one push carries at most.
pub const BATCH_NOTICES: usize = 256;
/// How long a notice waits for others to travel along.
pub const BATCH_TIME: Duration = Duration::from_millis(20);
/// Events that may wait for a slow subscriber; it is told `Unknown` instead of those it missed.
const EVENTS_WAITING: usize = 1024;
/// How often an unused feed is looked for, and a failed watch is tried again.
const ROUND: Duration = Duration::from_secs(1);

pub(crate) struct Feed {
    volume: Arc<dyn Volume>,
    /// Where the pump sends, while it runs.
    pump: Mutex<Option<Tap>>,
}

/// The pump's outlet.
#[derive(Clone)]
struct Tap {
    events: broadcast::Sender<Arc<Event>>,
    freshness: Arc<SyncMutex<Freshness>>,
}

/// One subscriber's end.
pub(crate) struct FeedReceiver {
    events: broadcast::Receiver<Arc<Event>>,
    freshness: Arc<SyncMutex<Freshness>>,
}

impl FeedReceiver {
    /// The promise at present.
    pub fn freshness(&self) -> Arc<SyncMutex<Freshness>> {
        self.freshness.clone()
    }

    /// The next event; `None` when the feed has ended.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        match self.events.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Arc::new(all_unknown())),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

fn all_unknown() -> Event {
    Event::Notices(vec![Notice::Unknown { below: VPath::root() }])
}

impl Feed {
    pub fn new(volume: Arc<dyn Volume>) -> Arc<Feed> {
        Arc::new(Feed { volume, pump: Mutex::new(None) })
    }

    /// Everything that happens from now on.
    pub async fn subscribe(self: &Arc<Feed>, cx: &Cx) -> Result<FeedReceiver> {
        let mut pump = self.pump.lock().await;
        let tap = match &*pump {
            Some(tap) => tap.clone(),
            None => {
                let watch = self.volume.watch(cx).await?;
                let freshness = Arc::new(SyncMutex::new(*watch.freshness.borrow()));
                let tap = Tap { events: broadcast::channel(EVENTS_WAITING).0, freshness };
                tokio::spawn(self.clone().run(tap.clone(), watch));
                pump.insert(tap).clone()
            }
        };
        Ok(FeedReceiver { events: tap.events.subscribe(), freshness: tap.freshness })
    }

    async fn run(self: Arc<Feed>, tap: Tap, mut watch: Watch) {
        while !self.pump_until_lost(&tap, &mut watch).await {
            tap.promise(Freshness::Offline { since: SystemTime::now() });
            watch = loop {
                tokio::time::sleep(ROUND).await;
                if self.is_over(&tap).await {
                    return;
                }
                match self.volume.watch(&Cx::system(Priority::Interactive)).await {
                    Ok(watch) => break watch,
                    Err(why) => tracing::debug!(%why, "cannot watch the volume again yet"),
                }
            };
            tap.send(all_unknown());
            let freshness = *watch.freshness.borrow_and_update();
            tap.promise(freshness);
        }
    }

    /// Ends the feed if nobody listens any more.
    async fn is_over(&self, tap: &Tap) -> bool {
        // Under this lock nobody can join meanwhile.
        let mut pump = self.pump.lock().await;
        let over = tap.events.receiver_count() == 0;
        if over {
            *pump = None;
        }
        over
    }

    /// Pumps until the feed is over (`true`), or the volume has ended its watch (`false`).
    async fn pump_until_lost(&self, tap: &Tap, watch: &mut Watch) -> bool {
        let mut round = tokio::time::interval(ROUND);
        loop {
            tokio::select! {
                biased;
                notice = watch.notices.recv() => {
                    let Some(first) = notice else { return false };
                    tap.send(Event::Notices(batch(first, watch).await));
                }
                changed = watch.freshness.changed() => {
                    if changed.is_err() {
                        return false;
                    }
                    let freshness = *watch.freshness.borrow_and_update();
                    tap.promise(freshness);
                }
                _ = round.tick() => {
                    if self.is_over(tap).await {
                        return true;
                    }
                }
            }
        }
    }
}

impl Tap {
    fn send(&self, event: Event) {
        // That nobody listens is no error: the next round ends the feed.
        let _ = self.events.send(Arc::new(event));
    }

    fn promise(&self, freshness: Freshness) {
        *self.freshness.lock() = freshness;
        self.send(Event::Freshness(freshness));
    }
}

/// The notice and those that follow it soon.
async fn batch(first: Notice, watch: &mut Watch) -> Vec<Notice> {
    let until = Instant::now() + BATCH_TIME;
    let mut notices = vec![first];
    while notices.len() < BATCH_NOTICES {
        match timeout_at(until, watch.notices.recv()).await {
            Ok(Some(notice)) => notices.push(notice),
            // No more for now, or at all: the next look tells which.
            Ok(None) | Err(_) => break,
        }
    }
    notices
}
