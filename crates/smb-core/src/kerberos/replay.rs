//! Which authenticators were seen: none is taken twice (RFC 4120 3.2.3).
//!
//! An authenticator is good for [`super::CLOCK_SKEW`] before and after its time, so for twice as long at most after
//! it arrived. One is known by a hash of its encrypted form, which nobody without the key can alter.
//!
//! Only who has a ticket gets anything in, and each user has a share of the table, small enough that all accounts that
//! one person can make in a domain do not fill it. Where a share or the table is full, log-ins wait for its oldest to go;
//! to forget early would be to let a replay in.

use super::CLOCK_SKEW;
use crate::names::folded_user;
use aws_lc_rs::digest;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// Most authenticators kept: 400 log-ins in each second of ten minutes, about 30 MB.
pub const MAX_REPLAYS: usize = 240_000;
/// Most of one user's: a thousand machines with four channels each that start at once.
pub const MAX_REPLAYS_PER_USER: usize = 4000;
/// How long one is kept.
const KEPT: Duration = CLOCK_SKEW.saturating_mul(2);

/// What an authenticator is known by, and whose it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Fingerprint {
    authenticator: [u8; 16],
    user: [u8; 8],
}

impl Fingerprint {
    /// Of a user by the name here: there is no further share under another spelling.
    pub(super) fn of(user: &str, authenticator: &[u8]) -> Fingerprint {
        Fingerprint { authenticator: hash(authenticator), user: hash(folded_user(user).as_bytes()) }
    }
}

fn hash<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut hash = [0; N];
    hash.copy_from_slice(&digest::digest(&digest::SHA256, bytes).as_ref()[..N]);
    hash
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
    /// The user's share of it is.
    ShareFull,
}

/// The authenticators that were seen.
pub struct ReplayCache {
    seen: HashSet<[u8; 16]>,
    /// How many each user has.
    of_users: HashMap<[u8; 8], usize>,
    by_age: VecDeque<(Instant, Fingerprint)>,
    capacity: usize,
    /// Most of one user's.
    share: usize,
}

impl ReplayCache {
    /// An empty table for so many, `share` of each user.
    pub fn new(capacity: usize, share: usize) -> ReplayCache {
        let (seen, of_users, by_age) = Default::default();
        ReplayCache { seen, of_users, by_age, capacity, share }
    }

    /// Enters an authenticator that arrives now.
    pub fn enter(&mut self, now: Instant, print: Fingerprint) -> Novelty {
        while let Some((arrived, oldest)) = self.by_age.front().copied()
            && now.saturating_duration_since(arrived) > KEPT
        {
            self.by_age.pop_front();
            self.forget(oldest);
        }
        if self.seen.contains(&print.authenticator) {
            return Novelty::Seen;
        }
        let share = self.of_users.get(&print.user).copied().unwrap_or_default();
        if share >= self.share {
            return Novelty::ShareFull;
        }
        if self.seen.len() >= self.capacity {
            return Novelty::Full;
        }
        self.seen.insert(print.authenticator);
        self.of_users.insert(print.user, share + 1);
        self.by_age.push_back((now, print));
        Novelty::New
    }

    fn forget(&mut self, print: Fingerprint) {
        self.seen.remove(&print.authenticator);
        if let Some(share) = self.of_users.get_mut(&print.user) {
            *share -= 1;
            if *share == 0 {
                self.of_users.remove(&print.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_known_until_nobody_would_take_it() {
        let (start, mut cache) = (Instant::now(), ReplayCache::new(2, 2));
        let [a, b, c] = [b"a", b"b", b"c"].map(|bytes| Fingerprint::of("alice", bytes));
        assert_eq!(cache.enter(start, a), Novelty::New);
        assert_eq!(cache.enter(start + KEPT, a), Novelty::Seen);
        assert_eq!(cache.enter(start + Duration::from_secs(1), b), Novelty::New);
        let bobs = Fingerprint::of("bob", b"c");
        assert_eq!(cache.enter(start + KEPT, bobs), Novelty::Full, "nothing is forgotten early");
        let later = start + KEPT + Duration::from_millis(1);
        assert_eq!(cache.enter(later, c), Novelty::New, "a has run out");
        assert_eq!(cache.enter(later, b), Novelty::Seen);
    }

    #[test]
    fn nobody_takes_the_room_of_others() {
        let (start, mut cache) = (Instant::now(), ReplayCache::new(100, 3));
        let mut enter = |now, user, bytes: u8| cache.enter(now, Fingerprint::of(user, &[bytes]));
        for (nth, spelling) in ["mallory", "Mallory", "MALLORY"].into_iter().enumerate() {
            assert_eq!(enter(start, spelling, nth as u8), Novelty::New);
        }
        assert_eq!(enter(start, "mALLORY", 3), Novelty::ShareFull);
        assert_eq!(enter(start, "mallory", 0), Novelty::Seen);
        assert_eq!(enter(start, "alice", 4), Novelty::New);
        assert_eq!(enter(start, "alice", 0), Novelty::Seen, "whoever says so");
        let later = start + KEPT + Duration::from_millis(1);
        assert_eq!(enter(later, "mallory", 3), Novelty::New);
        assert_eq!(cache.of_users.len(), 1, "who has none is not counted");
    }
}
