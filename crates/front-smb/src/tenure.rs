//! What the requests of an open change, as long as the open is in one session. Plain state.
//!
//! An open that outlives its session (`kept`) comes into another one. What the requests of the former session have begun
//! may take longer than it, and what its client does next must not be overtaken by that. So each request that may change
//! something is counted here until it is done; with the session the tenure is over: no request begins any more, those that
//! take several steps end with the one that they have begun, those that only wait end at once, and whoever takes the open
//! up waits for the others.

use parking_lot::Mutex;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::Notify;

/// The time of an open in one session.
#[derive(Default)]
pub(crate) struct Tenure(Arc<Count>);

#[derive(Default)]
struct Count {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    over: bool,
    under_way: usize,
}

/// A request that may change something, or what it has left to be carried to its end.
pub(crate) struct Doing(Arc<Count>);

/// What is still done of a tenure that is over.
#[derive(Clone, Default)]
pub(crate) struct Former(Arc<Count>);

impl Tenure {
    /// A request begins; `None` where it comes too late.
    pub(crate) fn begin(&self) -> Option<Doing> {
        let mut state = self.0.state.lock();
        if state.over {
            return None;
        }
        state.under_way += 1;
        Some(Doing(Arc::clone(&self.0)))
    }

    pub(crate) fn end(&self) -> Former {
        self.0.state.lock().over = true;
        self.0.changed.notify_waiters();
        self.former()
    }

    /// What is still done of it, when it is over.
    pub(crate) fn former(&self) -> Former {
        Former(Arc::clone(&self.0))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.state.lock().over
    }

    /// Returns when it is.
    pub(crate) async fn over(&self) {
        self.0.until(|state| state.over).await;
    }
}

impl Former {
    pub(crate) fn is_done(&self) -> bool {
        self.0.state.lock().under_way == 0
    }

    /// Returns when nothing is done any more.
    pub(crate) async fn done(&self) {
        self.0.until(|state| state.under_way == 0).await;
    }
}

impl Count {
    async fn until(&self, is_so: impl Fn(&State) -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if is_so(&self.state.lock()) {
                return;
            }
            changed.await;
        }
    }
}

impl Clone for Doing {
    fn clone(&self) -> Doing {
        self.0.state.lock().under_way += 1;
        Doing(Arc::clone(&self.0))
    }
}

impl Drop for Doing {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.under_way -= 1;
        let was_last = state.under_way == 0;
        drop(state);
        if was_last {
            self.0.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn who_takes_up_waits_for_what_was_begun_and_nothing_begins_after_the_end() {
        let tenure = Tenure::default();
        let (one, other) = (tenure.begin().unwrap(), tenure.begin().unwrap());
        let carried = one.clone();
        let mut over = pin!(tenure.over());
        assert!(over.as_mut().now_or_never().is_none() && !tenure.is_over());
        let former = tenure.end();
        assert!(over.now_or_never().is_some() && tenure.is_over() && tenure.begin().is_none());
        let mut done = pin!(former.done());
        for doing in [one, other, carried] {
            assert!(done.as_mut().now_or_never().is_none() && !former.is_done());
            drop(doing);
        }
        assert!(done.now_or_never().is_some() && former.is_done());
    }

    #[test]
    fn of_an_open_that_was_in_no_session_nothing_is_done() {
        assert!(Former::default().is_done());
    }
}
