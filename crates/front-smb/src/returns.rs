//! Clients that are back before the news that their former connection is gone: what they come for is in the session of
//! that one until then.
//!
//! Each waits for the one open that it wants. It looks when it comes, and again when that open has left its session, or a
//! session of the client has ended: not from time to time, as thousands may come at once.

use crate::limits;
use parking_lot::Mutex;
use smb_wire::ids::Guid;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;
use tokio::time::timeout;

#[derive(Default)]
pub(crate) struct Returns {
    waiting: Mutex<Waiting>,
    /// How many wait. With none nobody who leaves looks further.
    count: AtomicUsize,
}

#[derive(Default)]
struct Waiting {
    /// By the persistent half of the open's id, and a number.
    all: BTreeMap<(u64, u64), Waiter>,
    last: u64,
}

struct Waiter {
    /// ClientGuid.
    client: Guid,
    wake: Arc<Notify>,
}

impl Returns {
    /// Waits until an open of the client with this persistent half of its id is not elsewhere any more, as `is_elsewhere`
    /// tells; [`limits::RETURN_PATIENCE`] at most.
    pub(crate) async fn until_left(&self, client: Guid, id: u64, is_elsewhere: impl Fn() -> bool) {
        if !is_elsewhere() {
            return;
        }
        let entry = self.enter(client, id);
        let left = async {
            // After it is known that somebody waits: who leaves from now on wakes it.
            while is_elsewhere() {
                entry.wake.notified().await;
            }
        };
        // Who comes for an open that stays where it is hears so.
        let _left = timeout(limits::RETURN_PATIENCE, left).await;
    }

    fn enter(&self, client: Guid, id: u64) -> Entry<'_> {
        let wake = Arc::new(Notify::new());
        let mut waiting = self.waiting.lock();
        waiting.last += 1;
        let key = (id, waiting.last);
        waiting.all.insert(key, Waiter { client, wake: Arc::clone(&wake) });
        self.count.store(waiting.all.len(), Ordering::Release);
        Entry { returns: self, key, wake }
    }

    /// An open with this persistent half of its id has left its session.
    pub(crate) fn left(&self, id: u64) {
        // Who has looked before it left has been counted before: both look at the session's opens under their lock.
        if self.count.load(Ordering::Acquire) > 0 {
            let waiting = self.waiting.lock();
            waiting.all.range((id, 0)..=(id, u64::MAX)).for_each(|(_, waiter)| waiter.wake.notify_one());
        }
    }

    /// A session of the client has ended.
    pub(crate) fn ended(&self, client: Guid) {
        if self.count.load(Ordering::Acquire) > 0 {
            let waiting = self.waiting.lock();
            let its = waiting.all.values().filter(|waiter| waiter.client == client);
            its.for_each(|waiter| waiter.wake.notify_one());
        }
    }
}

/// One who waits, as long as this is held.
struct Entry<'a> {
    returns: &'a Returns,
    key: (u64, u64),
    wake: Arc<Notify>,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let mut waiting = self.returns.waiting.lock();
        waiting.all.remove(&self.key);
        self.returns.count.store(waiting.all.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::cell::Cell;
    use std::pin::pin;

    const CLIENT: Guid = [1; 16];
    const OTHER: Guid = [2; 16];

    #[tokio::test(start_paused = true)]
    async fn who_waits_looks_again_when_its_own_open_may_have_left_and_not_before() {
        let (returns, looks, elsewhere) = (Returns::default(), Cell::new(0), Cell::new(true));
        let look = || {
            looks.set(looks.get() + 1);
            elsewhere.get()
        };
        let mut waits = pin!(returns.until_left(CLIENT, 5, look));
        assert_eq!((waits.as_mut().now_or_never(), looks.get()), (None, 2));
        tokio::time::advance(limits::RETURN_PATIENCE / 2).await;
        returns.left(4);
        returns.ended(OTHER);
        assert_eq!((waits.as_mut().now_or_never(), looks.get()), (None, 2));
        returns.ended(CLIENT);
        assert_eq!((waits.as_mut().now_or_never(), looks.get()), (None, 3));
        elsewhere.set(false);
        returns.left(5);
        assert_eq!((waits.now_or_never(), looks.get()), (Some(()), 4));
        assert!(returns.waiting.lock().all.is_empty() && returns.count.load(Ordering::Relaxed) == 0);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let returns = Returns::default();
        let begun = tokio::time::Instant::now();
        returns.until_left(CLIENT, 5, || true).await;
        assert_eq!(begun.elapsed(), limits::RETURN_PATIENCE);
        assert!(returns.waiting.lock().all.is_empty());
    }
}
