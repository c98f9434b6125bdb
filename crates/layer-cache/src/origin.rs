//! Calls to the volume behind the cache, and whether it can be reached.
//!
//! States: *up*, or *down since*. A call that finds it offline, or that waits for all of the patience without
//! an answer, makes it down; so does the origin's own word. While it is down what is cached is served at once
//! and a look at the root each [`crate::PROBE_EVERY`] finds out when it is back. Then nothing that was learnt
//! before is believed until it was asked again.

use crate::config::CUT_PATIENCE;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;
use volume::{Cx, Error, ErrorKind, Result, Volume};

pub(crate) struct Origin {
    inner: Arc<dyn Volume>,
    patience: Duration,
    down: watch::Sender<Option<SystemTime>>,
}

impl Origin {
    pub(crate) fn new(inner: Arc<dyn Volume>, patience: Duration) -> Origin {
        Origin { inner, patience, down: watch::channel(None).0 }
    }

    pub(crate) fn inner(&self) -> &Arc<dyn Volume> {
        &self.inner
    }

    pub(crate) fn down_since(&self) -> Option<SystemTime> {
        *self.down.borrow()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<SystemTime>> {
        self.down.subscribe()
    }

    pub(crate) fn mark_down(&self, since: SystemTime) {
        self.down.send_if_modified(|down| {
            let news = down.is_none();
            if news {
                tracing::warn!("the origin is out of reach; what is cached goes on being served");
                *down = Some(since);
            }
            news
        });
    }

    pub(crate) fn mark_up(&self) {
        self.down.send_if_modified(|down| {
            let news = down.take().is_some();
            if news {
                tracing::info!("the origin is back");
            }
            news
        });
    }

    /// Waits for an origin that is out of reach: true when it is back before it was away for
    /// [`CUT_PATIENCE`], or for the patience where that is longer.
    pub(crate) async fn comes_back(&self) -> bool {
        let mut down = self.down.subscribe();
        let Some(since) = *down.borrow() else { return true };
        let left = self.patience.max(CUT_PATIENCE).saturating_sub(since.elapsed().unwrap_or_default());
        let up = tokio::time::timeout(left, down.wait_for(Option::is_none)).await;
        // The sender lives in `self`.
        up.is_ok_and(|up| up.is_ok())
    }

    /// The context for a call to the origin: no longer than the patience.
    pub(crate) fn patient(&self, cx: &Cx) -> Cx {
        let end = Instant::now() + self.patience;
        Cx { deadline: cx.deadline.min(end), ..cx.clone() }
    }

    /// A small call: answers by the deadline of `cx`, which [`Origin::patient`] made.
    pub(crate) async fn call<T>(
        &self,
        cx: &Cx,
        op: &'static str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let began = Instant::now();
        let late = || Error::new(ErrorKind::TimedOut, op, "no answer from the origin");
        let answer = tokio::time::timeout_at(cx.deadline.into(), call).await.unwrap_or_else(|_| Err(late()));
        let waited = began.elapsed() >= self.patience.mul_f32(0.9);
        match &answer {
            Err(e) if e.kind == ErrorKind::Offline || (e.kind == ErrorKind::TimedOut && waited) => {
                self.mark_down(SystemTime::now());
            }
            Err(_) | Ok(_) => {}
        }
        answer
    }

    /// A call that moves data: it may take long, so only the origin's word makes it down.
    pub(crate) async fn transfer<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let answer = call.await;
        if answer.as_ref().is_err_and(|e| e.kind == ErrorKind::Offline) {
            self.mark_down(SystemTime::now());
        }
        answer
    }
}

/// Whether an error says nothing about the file, only about the way to it.
pub(crate) fn is_out_of_reach(e: &Error) -> bool {
    matches!(e.kind, ErrorKind::Offline | ErrorKind::TimedOut)
}
