//! Long writes of one open file, one after another.
//!
//! The kernel lets one write into a file at a time. Threads that meet there do not sleep but spin for each other: with
//! four writes under way on one file that was a fifth of what writing costs. So they queue here, and one blocking
//! thread does what has come until there is nothing more, which saves hand-overs as well.

use crate::error::Outcome;
use crate::pool::{Lies, Pool};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use volume::{Cx, Error, ErrorKind, Result};

#[derive(Default)]
pub(crate) struct Turns {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// A thread is on its way to them, or at work.
    served: bool,
}

struct Waiting {
    offset: u64,
    data: Bytes,
    done: oneshot::Sender<Outcome<()>>,
}

impl Turns {
    /// Has `write` done for `data` on a blocking thread, after those that came before. A caller that stops waiting, or
    /// whose deadline passes, may leave it to be done or not.
    pub(crate) async fn take(
        self: &Arc<Self>,
        (pool, lies): (&Pool, Lies),
        cx: &Cx,
        (offset, data): (u64, Bytes),
        write: impl Fn(&[u8], u64) -> Outcome<()> + Send + 'static,
    ) -> Result<Outcome<()>> {
        let (done, told) = oneshot::channel();
        let begins = {
            let mut queue = self.queue.lock();
            queue.waiting.push_back(Waiting { offset, data, done });
            !std::mem::replace(&mut queue.served, true)
        };
        if begins {
            let turns = self.clone();
            pool.start(lies, move || turns.serve(write));
        }
        match timeout_at(Instant::from_std(cx.deadline), told).await {
            Ok(Ok(written)) => Ok(written),
            Ok(Err(_)) => Err(Error::new(ErrorKind::Io, "write", "the runtime shuts down")),
            Err(_) => Err(Error::new(ErrorKind::TimedOut, "write", "a blocking call")),
        }
    }

    fn serve(&self, write: impl Fn(&[u8], u64) -> Outcome<()>) {
        while let Some(next) = self.next() {
            // Nobody waits for it any more, and was told so before it began.
            if !next.done.is_closed() {
                let _given_up = next.done.send(write(&next.data, next.offset));
            }
        }
    }

    fn next(&self) -> Option<Waiting> {
        let mut queue = self.queue.lock();
        let next = queue.waiting.pop_front();
        queue.served = next.is_some();
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;
    use futures_util::stream::FuturesOrdered;
    use std::sync::mpsc;
    use std::time::Duration;
    use volume::Priority;

    fn one() -> (Arc<Turns>, Pool, Cx) {
        (Arc::default(), Pool::new(true), Cx::system(Priority::Interactive))
    }

    #[tokio::test]
    async fn all_are_done_in_their_order_and_each_is_told_its_own_result() {
        let (turns, pool, cx) = one();
        let done = Arc::new(Mutex::new(Vec::new()));
        let all = (0..8).map(|number: u8| {
            let done = done.clone();
            let write = move |data: &[u8], offset: u64| {
                done.lock().push((data.to_vec(), offset));
                if offset == 3 { Err(ErrorKind::NoSpace.into()) } else { Ok(()) }
            };
            turns.take((&pool, Lies::Here), &cx, (number.into(), Bytes::from(vec![number])), write)
        });
        let results: Vec<_> = all.collect::<FuturesOrdered<_>>().collect().await;
        for (number, result) in results.into_iter().enumerate() {
            let kind = result.unwrap().err().map(|failure| failure.kind());
            assert_eq!(kind, (number == 3).then_some(ErrorKind::NoSpace));
        }
        let expected: Vec<_> = (0..8).map(|number: u8| (vec![number], u64::from(number))).collect();
        assert_eq!(*done.lock(), expected);
    }

    #[tokio::test]
    async fn who_gives_up_before_his_turn_has_nothing_written_and_holds_up_nobody() {
        let (turns, pool, cx) = one();
        let (go, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let held = move |_: &[u8], offset: u64| {
            assert_ne!(offset, 1, "nobody waits for it");
            gate.lock().recv().map_err(|_| ErrorKind::Io.into())
        };
        let first = turns.take((&pool, Lies::Here), &cx, (0, Bytes::new()), held);
        let hurried = Cx { deadline: std::time::Instant::now() + Duration::from_millis(20), ..cx.clone() };
        let never = |_: &[u8], _| unreachable!("the first one's thread serves all");
        let second = async {
            let late = turns.take((&pool, Lies::Here), &hurried, (1, Bytes::new()), never).await;
            assert_eq!(late.unwrap_err().kind, ErrorKind::TimedOut);
            let third = turns.take((&pool, Lies::Here), &cx, (2, Bytes::new()), never);
            let release = async { [(); 2].map(|()| go.send(()).unwrap()) };
            tokio::join!(third, release).0
        };
        let (first, third) = tokio::join!(first, second);
        assert!(first.unwrap().is_ok() && third.unwrap().is_ok());
        // The thread tells first, and then looks for more.
        let ended = async {
            while turns.queue.lock().served {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), ended).await.expect("its thread ends");
    }
}
