//! A line to people: one channel, what waits for it, and trying again.
//!
//! Messages go in order, one at a time. One that fails is tried again after a pause that grows, and given up after a day. A queue that is
//! full loses its oldest. At the end each message is tried once more, without pauses.

use crate::SEND_PATIENCE;
use crate::message::Message;
use crate::status::ChannelStatus;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Messages that wait for a channel.
pub const WAITING_MAX: usize = 64;
/// The first pause, and the longest.
const PAUSE_FIRST: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(15 * 60);
/// A message that could not be sent for so long is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);

/// How messages leave.
#[async_trait]
pub trait Channel: Send + Sync {
    /// For people; no secret is in it.
    fn name(&self) -> String;
    /// One attempt.
    async fn send(&self, message: &Message) -> Result<(), Failure>;
}

/// Why an attempt failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    pub why: String,
    /// The other side said no, and will not soon say yes.
    pub refused: bool,
}

impl Failure {
    pub fn new(why: impl ToString) -> Failure {
        Failure { why: why.to_string(), refused: false }
    }

    pub fn refused(why: impl ToString) -> Failure {
        Failure { why: why.to_string(), refused: true }
    }
}

pub struct Line {
    channel: Arc<dyn Channel>,
    inner: Mutex<Inner>,
    pushed: Notify,
    ended: watch::Sender<bool>,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<(Arc<Message>, Instant)>,
    sending: bool,
    failing: bool,
    last_sent: Option<SystemTime>,
    last_error: Option<(SystemTime, String)>,
    lost: u64,
}

impl Line {
    pub fn new(channel: Arc<dyn Channel>) -> Line {
        let (inner, pushed) = Default::default();
        Line { channel, inner, pushed, ended: watch::channel(false).0 }
    }

    pub fn name(&self) -> String {
        self.channel.name()
    }

    pub fn push(&self, message: Arc<Message>) {
        let full = {
            let mut inner = self.inner.lock();
            inner.waiting.push_back((message, Instant::now()));
            let full = inner.waiting.len() > WAITING_MAX;
            if full {
                inner.waiting.pop_front();
                inner.lost += 1;
            }
            full
        };
        if full {
            tracing::error!(channel = self.name(), "too many alerts wait: the oldest message is lost");
        }
        self.pushed.notify_one();
    }

    pub fn status(&self) -> ChannelStatus {
        let inner = self.inner.lock();
        ChannelStatus {
            name: self.channel.name(),
            failing: inner.failing,
            waiting: inner.waiting.len() + usize::from(inner.sending),
            last_sent: inner.last_sent,
            last_error: inner.last_error.clone(),
            lost: inner.lost,
        }
    }

    /// Sends what comes. Once told to stop, what waits is tried and nothing is waited for.
    pub async fn run(self: Arc<Line>, mut stop: watch::Receiver<bool>) {
        loop {
            match self.take() {
                Some((message, queued)) => self.deliver(&message, queued, &mut stop).await,
                None if *stop.borrow_and_update() => break,
                None => tokio::select! {
                    () = self.pushed.notified() => {}
                    changed = stop.changed() => if changed.is_err() { break },
                },
            }
        }
        self.ended.send_replace(true);
    }

    /// Resolves when nothing more will be sent.
    pub async fn ended(&self) {
        // The sender lives in this line.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// Tries once. What the channel does, panics included, is its own affair.
    pub async fn attempt(&self, message: &Arc<Message>) -> Result<(), Failure> {
        let (channel, message) = (self.channel.clone(), message.clone());
        // Dropped, the set ends what is in it.
        let mut task = JoinSet::new();
        task.spawn(async move { channel.send(&message).await });
        let outcome = match tokio::time::timeout(SEND_PATIENCE, task.join_next()).await {
            Ok(Some(Ok(outcome))) => outcome,
            Ok(Some(Err(panic))) => Err(Failure::new(format_args!("a bug: {panic}"))),
            Ok(None) => Err(Failure::new("the task is lost")),
            Err(_) => Err(Failure::new(format_args!("no answer within {} s", SEND_PATIENCE.as_secs()))),
        };
        self.note(&outcome);
        outcome
    }

    fn take(&self) -> Option<(Arc<Message>, Instant)> {
        let mut inner = self.inner.lock();
        let taken = inner.waiting.pop_front();
        inner.sending = taken.is_some();
        taken
    }

    async fn deliver(&self, message: &Arc<Message>, queued: Instant, stop: &mut watch::Receiver<bool>) {
        for tries in 0.. {
            let Err(failure) = self.attempt(message).await else { return };
            if *stop.borrow_and_update() || queued.elapsed() >= GIVE_UP_AFTER {
                self.inner.lock().lost += 1;
                tracing::error!(
                    channel = self.name(),
                    why = failure.why,
                    "a message with alerts is given up"
                );
                return;
            }
            // An end, also one of who could tell of it, is a reason to try at once.
            let _ = tokio::time::timeout(pause(tries, failure.refused), stop.changed()).await;
        }
    }

    /// Each change for the better or the worse is told once.
    fn note(&self, outcome: &Result<(), Failure>) {
        let at = SystemTime::now();
        let mut inner = self.inner.lock();
        let before = std::mem::replace(&mut inner.failing, outcome.is_err());
        match outcome {
            Ok(()) => inner.last_sent = Some(at),
            Err(failure) => inner.last_error = Some((at, failure.why.clone())),
        }
        drop(inner);
        match outcome {
            Ok(()) if before => tracing::info!(channel = self.name(), "alerts are delivered again"),
            Err(failure) if !before => {
                tracing::error!(channel = self.name(), why = failure.why, "alerts are not delivered");
            }
            _ => {}
        }
    }
}

/// How long to wait after so many tries that failed before.
fn pause(tries: u32, refused: bool) -> Duration {
    if refused {
        return PAUSE_MAX;
    }
    PAUSE_FIRST.saturating_mul(1_u32.checked_shl(tries).unwrap_or(u32::MAX)).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow() {
        let seconds = |tries| pause(tries, false).as_secs();
        assert_eq!([0, 1, 2, 7, 8, 31, 32, 1000].map(seconds), [5, 10, 20, 640, 900, 900, 900, 900]);
        assert_eq!(pause(0, true), PAUSE_MAX);
    }
}
