//! Making a call: send, wait, send again when a connection ended meanwhile.

use super::pending::Waiting;
use super::{Remote, roams};
use crate::frame::{Control, START, Start, What};
use crate::queue::{Carrier, Outgoing};
use crate::{Class, LinkError, LinkState, Message, Mode};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::sync::AcquireError;

fn closed(_: AcquireError) -> LinkError {
    LinkError::Closed
}

/// A call under way. Dropping it forgets the call and tells the peer.
struct Call<'a> {
    remote: &'a Remote,
    waiting: Arc<Waiting>,
    class: Class,
    mode: Mode,
    /// The peer process it was sent to.
    sent_to: Option<u64>,
    carrier: Arc<Carrier>,
    /// Lanes that had ended when it was last sent.
    deaths: u64,
    answered: bool,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let id = self.waiting.id;
        let mut inner = self.remote.inner.lock();
        inner.pending.remove(id);
        if self.sent_to.is_some() && !self.answered {
            inner.pool.abandon(id);
            if let Some(lane) = inner.lane_for(Class::Interactive) {
                lane.push_control(&Control::Cancel { id });
            }
        }
    }
}

impl Remote {
    /// See [`Link::call`](crate::Link::call), which adds the deadline.
    pub(crate) async fn call(
        &self,
        class: Class,
        mode: Mode,
        message: Message,
    ) -> Result<Message, LinkError> {
        self.counters.calls.fetch_add(1, Ordering::Relaxed);
        let _slot = self.slots.pending_calls.acquire().await.map_err(closed)?;
        let _bytes = self.slots.pending_bytes.acquire_many(message.len() as u32).await.map_err(closed)?;
        let waiting = self.inner.lock().pending.register(mode);
        let mut call = Call {
            remote: self,
            waiting,
            class,
            mode,
            sent_to: None,
            carrier: Arc::default(),
            deaths: 0,
            answered: false,
        };
        loop {
            if !call.send(&message).await? {
                self.wait_until_up().await?;
                continue;
            }
            if let Some(answer) = call.answer(roams(class, message.len())).await {
                return answer;
            }
            self.counters.retries.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits for a connection, at most `down_grace` after the last one was lost.
    async fn wait_until_up(&self) -> Result<(), LinkError> {
        let mut state = self.state.subscribe();
        loop {
            let down_since = match &*state.borrow_and_update() {
                LinkState::Up { .. } => return Ok(()),
                LinkState::Down { since, .. } => *since,
            };
            if self.inner.lock().closing {
                return Err(LinkError::Closed);
            }
            let until = down_since + self.config.down_grace;
            if Instant::now() >= until {
                return Err(self.down_error());
            }
            // A timeout is judged in the next round; the sender lives in `self`.
            let _ = tokio::time::timeout_at(until.into(), state.changed()).await;
        }
    }

    /// An answer has arrived; nobody may want it any more.
    pub(super) fn answered(&self, id: u64, answer: Result<Message, LinkError>) {
        let waiting = self.inner.lock().pending.get(id).cloned();
        if let Some(waiting) = waiting {
            *waiting.answer.lock() = Some(answer);
            waiting.wake.notify_one();
        }
    }
}

impl Call<'_> {
    /// Queues the request; false without a connection.
    async fn send(&mut self, message: &Message) -> Result<bool, LinkError> {
        let cost = (message.len() + START) as u32;
        let queue = self.remote.slots.queue(self.class).clone();
        let space = queue.acquire_many_owned(cost).await.map_err(closed)?;
        let inner = self.remote.inner.lock();
        if inner.closing {
            return Err(LinkError::Closed);
        }
        self.carrier = Arc::default();
        self.deaths = inner.deaths;
        if self.mode == Mode::Once && self.sent_to.is_some_and(|boot| boot != inner.boot) {
            return Err(LinkError::Restarted);
        }
        let Some(lane) = inner.lane_for(self.class) else { return Ok(false) };
        self.sent_to = Some(inner.boot);
        let start = Start {
            what: What::Request,
            mode: self.mode,
            class: self.class,
            id: self.waiting.id,
            floor: inner.pending.floor(),
            head_len: message.head.len(),
            body_len: message.body.len(),
        };
        let Message { head, body } = message.clone();
        let request = Outgoing { start, head, body, space: Some(space), carrier: Some(self.carrier.clone()) };
        match self.class {
            Class::Interactive => lane.push(request),
            Class::Bulk => inner.pool.push(request),
        }
        Ok(true)
    }

    /// Waits for the answer; `None` when a lane has ended that the request went over or, when the answer `roams`, that
    /// the answer may have come over.
    async fn answer(&mut self, roams: bool) -> Option<Result<Message, LinkError>> {
        loop {
            if let Some(answer) = self.waiting.answer.lock().take() {
                self.answered = true;
                return Some(answer);
            }
            {
                let inner = self.remote.inner.lock();
                match self.carrier.lane() {
                    None => self.deaths = inner.deaths,
                    Some(lane) if inner.lane(lane).is_none() => return None,
                    Some(_) if roams && self.deaths != inner.deaths => return None,
                    Some(_) => {}
                }
            }
            self.waiting.wake.notified().await;
        }
    }
}
