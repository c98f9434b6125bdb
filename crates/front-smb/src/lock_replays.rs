//! LOCK requests that were done, by their place in the client's own numbering: one that is sent again because its
//! channel died, or the server, is not done twice (MS-SMB2 3.3.5.14).
//!
//! ```text
//! under way --it has its locks--> made --written down, where the open is persistent--> done
//!     |                             |
//!     '--refused, given up----------'--> not known
//! ```
//!
//! One that says the same as one which is not done yet waits for what becomes of that, else it would find the range
//! locked, by itself. Names of what is made are written down with the locks (`persistent`).

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
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    UnderWay,
    Made,
    Done,
}

/// What is to become of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Begun {
    /// This very one was done.
    Again,
    /// It is carried out; its bucket is its own now, and may have held others, which are not known any more.
    First { forgets: bool },
}

impl LockName {
    /// Whether it is told from others.
    fn counts(self) -> bool {
        (1..=BUCKETS).contains(&self.bucket)
    }
}

impl LockReplays {
    /// What was made of an open before the server was started again.
    pub(crate) fn of(made: impl IntoIterator<Item = LockName>) -> LockReplays {
        let made = made.into_iter().filter(|name| name.counts());
        let known = made.map(|name| Known { name, stage: Stage::Done }).collect();
        LockReplays { known: Mutex::new(known), settled: Notify::new() }
    }

    /// Begins a request, unless this very one was done; waits for what becomes of one that says the same.
    pub(crate) async fn begin(&self, name: LockName) -> Begun {
        if !name.counts() {
            return Begun::First { forgets: false };
        }
        loop {
            let settled = self.settled.notified();
            {
                let mut all = self.known.lock();
                match all.iter().find(|known| known.name == name) {
                    Some(known) if known.stage == Stage::Done => return Begun::Again,
                    Some(_) => {}
                    None => {
                        let before = all.len();
                        all.retain(|known| known.name.bucket != name.bucket);
                        let forgets = all.len() < before;
                        all.push(Known { name, stage: Stage::UnderWay });
                        return Begun::First { forgets };
                    }
                }
            }
            settled.await;
        }
    }

    /// The locks are as it wants them, or not any more.
    pub(crate) fn made(&self, name: LockName, made: bool) {
        self.move_to(name, if made { Stage::Made } else { Stage::UnderWay });
    }

    /// It was carried out; or refused, taken back or given up.
    pub(crate) fn end(&self, name: LockName, done: bool) {
        match done {
            true => self.move_to(name, Stage::Done),
            false => self.known.lock().retain(|known| known.name != name),
        }
        self.settled.notify_waiters();
    }

    /// What is to be known after a start of the server.
    pub(crate) fn all_made(&self) -> Vec<LockName> {
        let all = self.known.lock();
        all.iter().filter(|known| known.stage != Stage::UnderWay).map(|known| known.name).collect()
    }

    fn move_to(&self, name: LockName, stage: Stage) {
        let mut all = self.known.lock();
        all.iter_mut().filter(|known| known.name == name).for_each(|known| known.stage = stage);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const FIRST: Begun = Begun::First { forgets: false };

    fn name(bucket: u32, number: u8) -> LockName {
        LockName { bucket, number }
    }

    /// Begins a request; carries it out where it is the first.
    fn ask(replays: &LockReplays, name: LockName) -> Begun {
        let begun = replays.begin(name).now_or_never().expect("it waits for another");
        if begun != Begun::Again {
            replays.made(name, true);
            replays.end(name, true);
        }
        begun
    }

    #[test]
    fn a_request_sent_again_is_known_until_its_bucket_is_used_anew() {
        let replays = LockReplays::default();
        assert_eq!(ask(&replays, name(1, 5)), FIRST);
        assert_eq!(ask(&replays, name(2, 5)), FIRST);
        assert_eq!(ask(&replays, name(1, 5)), Begun::Again);
        assert_eq!(ask(&replays, name(1, 6)), Begun::First { forgets: true });
        assert_eq!(ask(&replays, name(1, 5)), Begun::First { forgets: true }, "the bucket was used");
        assert_eq!(ask(&replays, name(2, 5)), Begun::Again);
        for outside in [name(0, 1), name(65, 1)] {
            assert_eq!((ask(&replays, outside), ask(&replays, outside)), (FIRST, FIRST));
        }
        let again = LockReplays::of(replays.all_made().into_iter().chain([name(0, 1), name(65, 1)]));
        assert_eq!(again.all_made(), [name(2, 5), name(1, 5)]);
        assert_eq!(ask(&again, name(1, 5)), Begun::Again);
    }

    #[test]
    fn one_that_is_not_done_yet_is_waited_for() {
        let (replays, name) = (LockReplays::default(), name(1, 5));
        assert_eq!(replays.begin(name).now_or_never(), Some(FIRST));
        let mut second = Box::pin(replays.begin(name));
        assert_eq!((&mut second).now_or_never(), None);
        replays.end(name, false);
        assert_eq!(second.now_or_never(), Some(FIRST), "the first was refused");
        let mut third = Box::pin(replays.begin(name));
        assert_eq!(((&mut third).now_or_never(), replays.all_made()), (None, vec![]));
        replays.made(name, true);
        assert_eq!(((&mut third).now_or_never(), replays.all_made()), (None, vec![name]));
        replays.end(name, true);
        assert_eq!(third.now_or_never(), Some(Begun::Again));
    }
}
