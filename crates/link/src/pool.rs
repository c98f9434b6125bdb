//! The bulk messages of one peer that no connection has begun to write. No I/O here.
//!
//! Connections pull a message when their socket has taken the last one, so a connection slowed by losses holds up one
//! message and not its share of all, and those that do well carry more.

use crate::frame::What;
use crate::queue::Outgoing;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::Notify;

/// The shared queue, in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Outgoing>,
    /// Lanes that found nothing to pull.
    idle: Vec<(u64, Arc<Notify>)>,
}

impl State {
    fn wake_one(&mut self) {
        if let Some((_, lane)) = self.idle.pop() {
            lane.notify_one();
        }
    }
}

impl Pool {
    /// Adds a message and wakes an idle lane for it.
    pub(crate) fn push(&self, message: Outgoing) {
        let mut state = self.state.lock();
        state.messages.push_back(message);
        state.wake_one();
    }

    /// Takes the next message; a lane that finds none is woken through `wake` when there is one.
    pub(crate) fn pull(&self, lane: u64, wake: &Arc<Notify>) -> Option<Outgoing> {
        let mut state = self.state.lock();
        let message = state.messages.pop_front();
        let listed = state.idle.iter().position(|(idle, _)| *idle == lane);
        match (&message, listed) {
            (Some(_), Some(at)) => drop(state.idle.swap_remove(at)),
            (None, None) => state.idle.push((lane, wake.clone())),
            _ => {}
        }
        message
    }

    /// A lane has ended. If it was woken and did not pull, another one takes over.
    pub(crate) fn forget(&self, lane: u64) {
        let mut state = self.state.lock();
        state.idle.retain(|(idle, _)| *idle != lane);
        if !state.messages.is_empty() {
            state.wake_one();
        }
    }

    /// Drops the request of a call that was given up, if nobody has pulled it.
    pub(crate) fn abandon(&self, call: u64) {
        let request = |message: &Outgoing| message.start.what == What::Request && message.start.id == call;
        self.state.lock().messages.retain(|message| !request(message));
    }

    /// Drops all requests: they can not be sent to this peer process now.
    pub(crate) fn drop_requests(&self) {
        self.drop_if(|message| message.start.what == What::Request);
    }

    /// Drops everything: no connection is left.
    pub(crate) fn clear(&self) {
        self.drop_if(|_| true);
    }

    fn drop_if(&self, condition: impl Fn(&Outgoing) -> bool) {
        self.state.lock().messages.retain(|message| {
            let dropped = condition(message);
            if dropped {
                message.drop_unsent();
            }
            !dropped
        });
    }

    /// Bytes waiting.
    pub(crate) fn bytes(&self) -> usize {
        self.state.lock().messages.iter().map(Outgoing::left).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state.lock().messages.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Start;
    use crate::queue::Carrier;
    use crate::{Class, Mode};
    use bytes::Bytes;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    fn request(id: u64) -> (Outgoing, Arc<Carrier>) {
        let carrier = Arc::new(Carrier::default());
        let (what, mode, class) = (What::Request, Mode::Once, Class::Bulk);
        let start = Start { what, mode, class, id, floor: 0, head_len: 0, body_len: 0 };
        let (head, body) = (Bytes::new(), Bytes::new());
        (Outgoing { start, head, body, space: None, carrier: Some(carrier.clone()) }, carrier)
    }

    fn woken(lane: &Notify) -> bool {
        pin!(lane.notified()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn an_idle_lane_is_woken_and_if_it_ends_another_one() {
        let (pool, first, second) = (Pool::default(), Arc::default(), Arc::default());
        assert!(pool.pull(1, &first).is_none());
        assert!(pool.pull(2, &second).is_none());
        pool.push(request(1).0);
        assert_eq!((woken(&first), woken(&second)), (false, true));
        pool.forget(2);
        assert!(woken(&first));
        assert_eq!(pool.pull(1, &first).map(|message| message.start.id), Some(1));
    }

    #[test]
    fn a_dropped_request_tells_its_caller_and_an_abandoned_one_nobody() {
        let pool = Pool::default();
        let ((kept, carrier), (abandoned, forgotten)) = (request(1), request(2));
        pool.push(kept);
        pool.push(abandoned);
        pool.abandon(2);
        pool.drop_requests();
        assert!(pool.is_empty());
        assert!(carrier.lane().is_some() && forgotten.lane().is_none());
    }
}
