//! Which authenticators were seen: none is taken twice (RFC 4120 3.2.3).
//!
//! An authenticator is good for [`super::CLOCK_SKEW`] before and after its time, so for twice as long at most after
//! it arrived. One is known by a hash of its encrypted form, which nobody without the key can alter.
//!
//! Only who has a ticket gets anything in. When the table is full of such, log-ins wait for its oldest to go; to
//! forget early would be to let a replay in.

use super::CLOCK_SKEW;
use aws_lc_rs::digest;
use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

/// Most authenticators kept: 400 log-ins in each second of ten minutes, about 20 MB.
pub const MAX_REPLAYS: usize = 240_000;
/// How long one is kept.
const KEPT: Duration = CLOCK_SKEW.saturating_mul(2);

/// What an authenticator is known by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    pub(super) fn of(authenticator: &[u8]) -> Fingerprint {
        let mut print = [0; 16];
        print.copy_from_slice(&digest::digest(&digest::SHA256, authenticator).as_ref()[..16]);
        Fingerprint(print)
    }
}

/// Whether an authenticator may be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Novelty {
    /// It was not seen before; it is now.
    New,
    /// It was.
    Seen,
    /// The table is full.
    Full,
}

/// The authenticators that were seen.
pub struct ReplayCache {
    seen: HashSet<Fingerprint>,
    by_age: VecDeque<(Instant, Fingerprint)>,
    capacity: usize,
}

impl ReplayCache {
    /// An empty table for so many.
    pub fn new(capacity: usize) -> ReplayCache {
        ReplayCache { seen: HashSet::new(), by_age: VecDeque::new(), capacity }
    }

    /// Enters an authenticator that arrives now.
    pub fn enter(&mut self, now: Instant, print: Fingerprint) -> Novelty {
        while let Some((arrived, oldest)) = self.by_age.front()
            && now.saturating_duration_since(*arrived) > KEPT
        {
            self.seen.remove(oldest);
            self.by_age.pop_front();
        }
        if self.seen.contains(&print) {
            return Novelty::Seen;
        }
        if self.seen.len() >= self.capacity {
            return Novelty::Full;
        }
        self.seen.insert(print);
        self.by_age.push_back((now, print));
        Novelty::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_known_until_nobody_would_take_it() {
        let (start, mut cache) = (Instant::now(), ReplayCache::new(2));
        let [a, b, c] = [b"a", b"b", b"c"].map(|bytes| Fingerprint::of(bytes));
        assert_eq!(cache.enter(start, a), Novelty::New);
        assert_eq!(cache.enter(start + KEPT, a), Novelty::Seen);
        assert_eq!(cache.enter(start + Duration::from_secs(1), b), Novelty::New);
        assert_eq!(cache.enter(start + KEPT, c), Novelty::Full, "nothing is forgotten early");
        let later = start + KEPT + Duration::from_millis(1);
        assert_eq!(cache.enter(later, c), Novelty::New, "a has run out");
        assert_eq!(cache.enter(later, b), Novelty::Seen);
    }
}
