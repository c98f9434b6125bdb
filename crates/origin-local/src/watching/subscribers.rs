//! Those who are told. Lock: taken for a moment only, never while waiting.

use crate::error::Outcome;
use parking_lot::Mutex;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::OwnedFd;
use tokio::sync::{mpsc, watch};
use volume::{Freshness, NOTICES_MAX, Notice, VPath, Watch};

pub(super) struct Subscribers {
    list: Mutex<List>,
    freshness: watch::Sender<Freshness>,
    authors: watch::Sender<bool>,
    /// Can be read once the volume is gone, so that a thread that waits for events hears of it.
    ended: OwnedFd,
}

#[derive(Default)]
struct List {
    notices: Vec<mpsc::Sender<Notice>>,
    /// Whether a thread works for them.
    served: bool,
    /// The volume is gone: nobody comes any more.
    over: bool,
}

impl Subscribers {
    pub(super) fn new() -> Outcome<Subscribers> {
        let ended = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Subscribers {
            list: Mutex::default(),
            freshness: watch::channel(Freshness::Direct).0,
            authors: watch::channel(false).0,
            ended,
        })
    }

    pub(super) fn ended(&self) -> &OwnedFd {
        &self.ended
    }

    /// A new subscription, and whether a thread must be started for it.
    pub(super) fn add(&self) -> (Watch, bool) {
        let (sender, notices) = mpsc::channel(NOTICES_MAX);
        let mut list = self.list.lock();
        list.notices.push(sender);
        let first = !std::mem::replace(&mut list.served, true);
        if first {
            self.freshness.send_replace(Freshness::Direct);
        }
        (Watch { notices, freshness: self.freshness.subscribe(), authors: self.authors.subscribe() }, first)
    }

    /// Ends all subscriptions.
    pub(super) fn end(&self) {
        let mut list = self.list.lock();
        list.notices.clear();
        list.served = false;
    }

    /// The volume is gone: ends all subscriptions, and the thread without delay.
    pub(super) fn end_for_good(&self) {
        self.end();
        self.list.lock().over = true;
        // It can only fail when it was written to 2^64 - 1 times.
        let _ = rustix::io::write(&self.ended, &1u64.to_ne_bytes());
    }

    /// Whether the volume is gone.
    pub(super) fn is_over(&self) -> bool {
        self.list.lock().over
    }

    /// Whether the thread may stop; if so, the next subscriber starts another.
    pub(super) fn all_gone(&self) -> bool {
        let mut list = self.list.lock();
        list.notices.retain(|sender| !sender.is_closed());
        if list.notices.is_empty() {
            list.served = false;
        }
        list.notices.is_empty()
    }

    pub(super) fn promise(&self, freshness: Freshness) {
        self.freshness.send_if_modified(|present| std::mem::replace(present, freshness) != freshness);
    }

    /// Whether the author of each change is told from now on. It is asked while nobody else says so.
    pub(super) fn tells_authors(&self, tells: impl FnOnce() -> bool) {
        self.authors.send_modify(|present| *present = tells());
    }

    /// Tells all. A slow one gets `Unknown` in its last free place; what is dropped after that is covered by
    /// it, because it still waits there to be read.
    pub(super) fn tell(&self, notice: &Notice) {
        self.list.lock().notices.retain(|sender| {
            let sent = match sender.capacity() {
                0 => Ok(()),
                1 => sender.try_send(Notice::Unknown { below: VPath::root() }),
                _ => sender.try_send(notice.clone()),
            };
            sent.is_ok()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use volume::Author;

    #[test]
    fn a_slow_subscriber_learns_that_it_missed_something() {
        let subscribers = Subscribers::new().unwrap();
        let (mut slow, first) = subscribers.add();
        assert!(first);
        let notice = Notice::Changed { path: VPath::parse("f").unwrap(), attr: None, by: Author::Unknown };
        (0..NOTICES_MAX * 2).for_each(|_| subscribers.tell(&notice));
        let mut last = None;
        for _ in 0..NOTICES_MAX {
            last = slow.notices.try_recv().ok();
        }
        assert_eq!(last, Some(Notice::Unknown { below: VPath::root() }));
        assert!(slow.notices.try_recv().is_err());
        subscribers.tell(&notice);
        assert_eq!(slow.notices.try_recv(), Ok(notice));
        drop(slow);
        assert!(subscribers.all_gone());
        assert!(subscribers.add().1, "the next one starts a thread again");
    }
}
