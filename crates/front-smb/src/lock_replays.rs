//! LOCK requests that were done, by their place in the client's own numbering: one that is sent again because its
//! channel died is not done twice (MS-SMB2 3.3.5.14).
//!
//! A request that waits for its locks, or has them and is being written down, is under way: one that says the same waits
//! for what becomes of it, else it would find the range locked, by itself.

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Buckets of one open (MS-SMB2 2.2.26).
const BUCKETS: u32 = 64;

/// What a request calls itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LockName {
    pub(crate) bucket: u32,
    pub(crate) number: u8,
}

/// Those of one open.
#[derive(Default)]
pub(crate) struct LockReplays {
    known: Mutex<Vec<Known>>,
    /// Told when one is not under way any more.
    settled: Notify,
}

struct Known {
    name: LockName,
    done: bool,
}

impl LockReplays {
    /// Whether this very request was done; if not, its bucket is empty now.
    pub(crate) async fn was_done(&self, name: LockName) -> bool {
        loop {
            let settled = self.settled.notified();
            {
                let mut all = self.known.lock();
                match all.iter().find(|known| known.name == name) {
                    Some(known) if known.done => return true,
                    Some(_) => {}
                    None => {
                        all.retain(|known| known.name.bucket != name.bucket);
                        return false;
                    }
                }
            }
            settled.await;
        }
    }

    /// It is being carried out.
    pub(crate) fn begin(&self, name: LockName) {
        if (1..=BUCKETS).contains(&name.bucket) {
            self.known.lock().push(Known { name, done: false });
        }
    }

    /// It was carried out; or refused, taken back or given up.
    pub(crate) fn end(&self, name: LockName, done: bool) {
        let mut all = self.known.lock();
        all.retain(|known| known.name != name || done);
        all.iter_mut().filter(|known| known.name == name).for_each(|known| known.done = done);
        drop(all);
        self.settled.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn was_done(replays: &LockReplays, bucket: u32, number: u8) -> Option<bool> {
        replays.was_done(LockName { bucket, number }).now_or_never()
    }

    fn carry_out(replays: &LockReplays, bucket: u32, number: u8) {
        let name = LockName { bucket, number };
        replays.begin(name);
        replays.end(name, true);
    }

    #[test]
    fn a_request_sent_again_is_known_until_its_bucket_is_used_anew() {
        let replays = LockReplays::default();
        assert_eq!(was_done(&replays, 1, 5), Some(false));
        carry_out(&replays, 1, 5);
        carry_out(&replays, 2, 5);
        assert_eq!(was_done(&replays, 1, 5), Some(true));
        assert_eq!(was_done(&replays, 1, 6), Some(false));
        assert_eq!(was_done(&replays, 1, 5), Some(false), "the bucket was emptied");
        assert_eq!(was_done(&replays, 2, 5), Some(true));
        carry_out(&replays, 0, 1);
        carry_out(&replays, 65, 1);
        assert_eq!((was_done(&replays, 0, 1), was_done(&replays, 65, 1)), (Some(false), Some(false)));
    }

    #[test]
    fn one_that_is_under_way_is_waited_for() {
        let (replays, name) = (LockReplays::default(), LockName { bucket: 1, number: 5 });
        for done in [false, true] {
            replays.begin(name);
            let mut again = Box::pin(replays.was_done(name));
            assert_eq!((&mut again).now_or_never(), None);
            replays.end(name, done);
            assert_eq!(again.now_or_never(), Some(done));
        }
    }
}
