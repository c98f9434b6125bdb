//! A bounded number of blocking calls at a time.
//!
//! The hand-over to tokio's blocking threads costs about 13 us of CPU; what runs there may wait for a disk
//! as long as it takes. The bound keeps one slow disk from taking all threads of the process. A caller that
//! stops waiting, or whose deadline passes, leaves its call running; it holds its permit until it is done.

use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use volume::{Cx, Error, ErrorKind, Result};

/// Blocking calls at a time, for each volume; more wait for their turn until their deadline.
pub const BLOCKING_CALLS_MAX: usize = 64;

pub(crate) struct Pool {
    permits: Arc<Semaphore>,
}

impl Pool {
    pub(crate) fn new() -> Pool {
        Pool { permits: Arc::new(Semaphore::new(BLOCKING_CALLS_MAX)) }
    }

    /// Has `work` done on a blocking thread, whoever waits for it.
    pub(crate) fn start(&self, work: impl FnOnce() + Send + 'static) {
        let permits = self.permits.clone();
        let begin = |permit| {
            tokio::task::spawn_blocking(move || {
                work();
                drop(permit);
            });
        };
        match permits.clone().try_acquire_owned() {
            Ok(permit) => begin(Ok(permit)),
            Err(_) => drop(tokio::spawn(async move { begin(permits.acquire_owned().await) })),
        }
    }

    /// Runs `work` on a blocking thread.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        cx: &Cx,
        op: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let permits = self.permits.clone();
        let called = async {
            let permit = permits.acquire_owned().await;
            let task = tokio::task::spawn_blocking(move || {
                let result = work();
                drop(permit);
                result
            });
            task.await
        };
        match timeout_at(Instant::from_std(cx.deadline), called).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(failure)) => match failure.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(failure) => Err(Error::new(ErrorKind::Io, op, "the runtime shuts down").because(failure)),
            },
            Err(_) => Err(Error::new(ErrorKind::TimedOut, op, "a blocking call")),
        }
    }
}
