//! Requests that wait: each can be cancelled, by the client's CANCEL or because the server stops
//! (MS-SMB2 3.3.5.16).
//!
//! A request enters when it is not done at its first poll. It gets an AsyncId when its interim response is
//! sent; CANCEL names it by that, or by its MessageId before.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct Waiting {
    /// By MessageId, with the session that asked.
    requests: Mutex<HashMap<u64, (u64, Arc<Cancel>)>>,
    /// AsyncId to MessageId.
    interim: Mutex<HashMap<u64, u64>>,
    last_async_id: AtomicU64,
    /// Whoever comes is cancelled at once.
    stopping: AtomicBool,
}

/// A request's place among the waiting; leaves when dropped.
pub(crate) struct Place<'a> {
    waiting: &'a Waiting,
    message_id: u64,
    async_id: Option<u64>,
    cancel: Arc<Cancel>,
}

/// Who wants an end of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CancelledBy {
    Client,
    /// The connection or the server ends, and not by its client's wish.
    End,
}

#[derive(Default)]
struct Cancel {
    told: Notify,
    by_client: AtomicBool,
}

impl Waiting {
    pub(crate) fn enter(&self, session_id: u64, message_id: u64) -> Place<'_> {
        let cancel = Arc::new(Cancel::default());
        if self.stopping.load(Ordering::Relaxed) {
            cancel.told.notify_one();
        }
        self.requests.lock().insert(message_id, (session_id, Arc::clone(&cancel)));
        Place { waiting: self, message_id, async_id: None, cancel }
    }

    /// CANCEL: by AsyncId where the client knows it, and only of the session's own. One that is not here any more is
    /// done, which is fine.
    pub(crate) fn cancel(&self, session_id: u64, message_id: u64, async_id: Option<u64>) {
        let message_id = match async_id {
            None => message_id,
            Some(async_id) => match self.interim.lock().get(&async_id) {
                Some(message_id) => *message_id,
                None => return,
            },
        };
        if let Some((asked_by, cancel)) = self.requests.lock().get(&message_id)
            && *asked_by == session_id
        {
            cancel.by_client.store(true, Ordering::Relaxed);
            cancel.told.notify_one();
        }
    }

    /// Cancels all that wait, now and later.
    pub(crate) fn cancel_all(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.requests.lock().values().for_each(|(_, cancel)| cancel.told.notify_one());
    }
}

impl Place<'_> {
    /// An AsyncId for the interim response; `None` when `most` wait already.
    pub(crate) fn go_async(&mut self, most: usize) -> Option<u64> {
        let mut interim = self.waiting.interim.lock();
        if interim.len() >= most {
            return None;
        }
        let async_id = self.waiting.last_async_id.fetch_add(1, Ordering::Relaxed) + 1;
        interim.insert(async_id, self.message_id);
        self.async_id = Some(async_id);
        self.async_id
    }

    pub(crate) async fn cancelled(&self) -> CancelledBy {
        self.cancel.told.notified().await;
        match self.cancel.by_client.load(Ordering::Relaxed) {
            true => CancelledBy::Client,
            false => CancelledBy::End,
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.requests.lock().remove(&self.message_id);
        if let Some(async_id) = self.async_id {
            self.waiting.interim.lock().remove(&async_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn all_are_cancelled_at_the_end_and_not_by_their_client() {
        let waiting = Waiting::default();
        let before = waiting.enter(1, 7);
        waiting.cancel_all();
        let after = waiting.enter(1, 8);
        for place in [before, after] {
            assert_eq!(place.cancelled().now_or_never(), Some(CancelledBy::End));
        }
    }

    #[test]
    fn cancel_reaches_by_either_id_and_only_once_here() {
        let waiting = Waiting::default();
        let mut place = waiting.enter(1, 7);
        let async_id = place.go_async(1).unwrap();
        waiting.cancel(2, 7, None);
        assert!(place.cancelled().now_or_never().is_none(), "another session's");
        waiting.cancel(1, 99, Some(async_id));
        assert_eq!(place.cancelled().now_or_never(), Some(CancelledBy::Client));
        waiting.cancel(1, 8, None);
        assert!(place.cancelled().now_or_never().is_none());
        waiting.cancel(1, 7, None);
        assert!(place.cancelled().now_or_never().is_some());
        drop(place);
        waiting.cancel(1, 7, Some(async_id));
        assert!(waiting.requests.lock().is_empty() && waiting.interim.lock().is_empty());
    }

    #[test]
    fn only_so_many_wait() {
        let waiting = Waiting::default();
        let mut places: Vec<_> = (0..10).map(|id| waiting.enter(1, id)).collect();
        let granted = places.iter_mut().filter_map(|place| place.go_async(9)).count();
        assert_eq!(granted, 9);
    }
}
