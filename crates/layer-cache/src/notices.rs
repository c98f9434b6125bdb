//! The way up: what the origin tells is applied here first, then told to those above.
//!
//! States of the subscription: *none* (the origin cannot, or does not answer: asked again), *followed*. Each
//! time one begins, everything known before is doubted: nobody knows what was missed. The promise of this
//! cache is made of the origin's own word and of whether it can be reached.

use crate::PROBE_EVERY;
use crate::cache::Cache;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::mpsc;
use volume::{Cx, ErrorKind, Freshness, NOTICES_MAX, Notice, Priority, VPath, Watch};

/// Those above who want to know.
#[derive(Default)]
pub(crate) struct Upward(Mutex<Vec<mpsc::Sender<Notice>>>);

impl Upward {
    pub(crate) fn subscribe(&self) -> mpsc::Receiver<Notice> {
        let (sender, receiver) = mpsc::channel(NOTICES_MAX);
        self.0.lock().push(sender);
        receiver
    }

    /// Tells everybody. Who is too slow finds `Unknown` for everything in his last free place, which covers
    /// all that does not fit behind it.
    pub(crate) fn tell(&self, notice: &Notice) {
        self.0.lock().retain(|above| {
            let told = match above.capacity() {
                0 => return !above.is_closed(),
                1 => above.try_send(Notice::Unknown { below: VPath::root() }),
                _ => above.try_send(notice.clone()),
            };
            told.is_ok()
        });
    }
}

/// Follows the origin for the life of the cache; for a task of its own.
pub(crate) async fn follow(cache: Arc<Cache>, first: Option<Watch>) {
    let mut watch = first;
    loop {
        match watch.take() {
            Some(watch) => follow_one(&cache, watch).await,
            None if !cache.origin.inner().caps().watch => return follow_link(&cache).await,
            None => tokio::time::sleep(PROBE_EVERY).await,
        }
        publish(&cache, None);
        watch = subscribe(&cache).await;
    }
}

/// Asks for a subscription. `None` when there is none now.
pub(crate) async fn subscribe(cache: &Cache) -> Option<Watch> {
    if !cache.origin.inner().caps().watch {
        return None;
    }
    let cx = cache.origin.patient(&Cx::system(Priority::Interactive));
    match cache.origin.call(&cx, "watch", cache.origin.inner().watch(&cx)).await {
        Ok(watch) => {
            begin(cache, &watch);
            Some(watch)
        }
        Err(e) => {
            if e.kind != ErrorKind::Offline {
                tracing::warn!("the origin does not tell of changes, it is polled instead: {e}");
            }
            None
        }
    }
}

fn begin(cache: &Cache, watch: &Watch) {
    cache.doubt_everything();
    let word = *watch.freshness.borrow();
    take_word(cache, word);
}

async fn follow_one(cache: &Arc<Cache>, mut watch: Watch) {
    let mut link = cache.origin.subscribe();
    link.mark_unchanged();
    let mut was_down = link.borrow_and_update().is_some();
    loop {
        tokio::select! {
            biased;
            changed = watch.freshness.changed() => {
                if changed.is_err() {
                    return;
                }
                let word = *watch.freshness.borrow_and_update();
                take_word(cache, word);
            }
            _ = link.changed() => {
                let down = link.borrow_and_update().is_some();
                if was_down && !down {
                    back(cache);
                }
                was_down = down;
                let word = *watch.freshness.borrow();
                publish(cache, Some(word));
            }
            notice = watch.notices.recv() => match notice {
                Some(notice) => take_in(cache, &notice),
                None => return,
            },
        }
    }
}

/// Without a subscription there is only the state of the link to follow.
async fn follow_link(cache: &Cache) {
    let mut link = cache.origin.subscribe();
    publish(cache, None);
    let mut was_down = link.borrow_and_update().is_some();
    while link.changed().await.is_ok() {
        let down = link.borrow_and_update().is_some();
        if was_down && !down {
            back(cache);
        }
        was_down = down;
        publish(cache, None);
    }
}

/// The origin says how fresh it is.
fn take_word(cache: &Cache, word: Freshness) {
    match word {
        Freshness::Offline { since } => cache.origin.mark_down(since),
        Freshness::Direct | Freshness::Leased | Freshness::Notified | Freshness::Polled { .. } => {
            cache.origin.mark_up();
        }
    }
    publish(cache, Some(word));
}

/// The origin can be reached again: what happened meanwhile is not known.
fn back(cache: &Cache) {
    cache.doubt_everything();
    cache.upward.tell(&Notice::Unknown { below: VPath::root() });
}

fn publish(cache: &Cache, word: Option<Freshness>) {
    let polled = Freshness::Polled { every: cache.config.poll_every };
    let new = match (cache.origin.down_since(), word) {
        (Some(since), _) => Freshness::Offline { since },
        (None, Some(Freshness::Notified)) => Freshness::Notified,
        (None, Some(Freshness::Leased)) => Freshness::Leased,
        // The origin polls what lies behind it: both delays add up.
        (None, Some(Freshness::Polled { every })) => {
            Freshness::Polled { every: every + cache.config.poll_every }
        }
        (None, Some(Freshness::Direct) | None) => polled,
        (None, Some(Freshness::Offline { since })) => Freshness::Offline { since },
    };
    let told = |promise: Freshness| matches!(promise, Freshness::Notified | Freshness::Leased);
    if told(new) && !told(*cache.promise.borrow()) {
        // What was learnt while no notice was promised may have changed unseen.
        cache.doubt_everything();
    }
    cache.promise.send_if_modified(|promise| std::mem::replace(promise, new) != new);
}

fn take_in(cache: &Cache, notice: &Notice) {
    let now = cache.now_ms();
    let (clock, news) = {
        let mut tree = cache.tree.lock();
        // No later than what the tree learns of it.
        (tree.ask(now).clock, tree.notice(notice, now))
    };
    match notice {
        Notice::Changed { attr: Some(attr), .. } if attr.is_file() => cache.blocks.noticed(attr, clock),
        Notice::Changed { .. } => {}
        Notice::Moved { from, to, attr, .. } => {
            // The echo of our own rename comes late: something else may have the old name by now.
            if news {
                cache.blocks.renamed(from, to, attr.as_ref());
            }
            if let Some(attr) = attr.filter(|attr| attr.is_file()) {
                cache.blocks.noticed(&attr, clock);
            }
        }
        Notice::Unknown { .. } => cache.blocks.doubt_all(),
    }
    cache.upward.tell(notice);
}

/// While the origin is out of reach, finds out when it is back; for a task of its own.
pub(crate) async fn probe(cache: Arc<Cache>) {
    let mut link = cache.origin.subscribe();
    while link.wait_for(Option::is_some).await.is_ok() {
        tokio::time::sleep(PROBE_EVERY).await;
        let cx = Cx::system(Priority::Interactive).within(cache.config.patience);
        let root = VPath::root();
        let answer = tokio::time::timeout_at(cx.deadline.into(), cache.origin.inner().stat(&cx, &root)).await;
        match answer {
            Ok(Ok(_)) => cache.origin.mark_up(),
            Ok(Err(e)) if !crate::origin::is_out_of_reach(&e) => cache.origin.mark_up(),
            Ok(Err(_)) | Err(_) => {
                tracing::debug!(since = ?cache.origin.down_since().unwrap_or(SystemTime::UNIX_EPOCH), "still offline");
            }
        }
    }
}
