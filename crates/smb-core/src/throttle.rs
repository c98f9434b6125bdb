//! Slows down password guessing: a bounded table of failed log-ins by user and source address.
//!
//! After a few free failures each further one doubles the time until the next attempt of that user from that
//! source is let through, up to a cap; a success or a quiet while clears the record. A user is never locked
//! out from other sources. IPv6 sources count by their /64, since one client owns all of it.
//!
//! The table keeps the most recently failing keys; a flood of made-up names pushes out the oldest record.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lru::LruCache;

/// Most characters of a user name that tell two records apart.
const MAX_NAME_CHARS: usize = 64;

/// The figures of a [`Throttle`].
#[derive(Clone, Copy, Debug)]
pub struct ThrottlePolicy {
    /// Failures without any delay (typing errors).
    pub free_failures: u32,
    /// Delay after the first failure that is not free; doubles with each one.
    pub first_delay: Duration,
    /// The longest delay.
    pub max_delay: Duration,
    /// A record without failures for this long is forgotten.
    pub forget_after: Duration,
    /// Most records kept.
    pub capacity: NonZeroUsize,
}

impl Default for ThrottlePolicy {
    fn default() -> Self {
        Self {
            free_failures: 3,
            first_delay: Duration::from_millis(250),
            max_delay: Duration::from_secs(30),
            forget_after: Duration::from_secs(15 * 60),
            capacity: NonZeroUsize::new(4096).expect("4096 is not zero"),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    user: String,
    source: IpAddr,
}

struct Record {
    failures: u32,
    last_failure: Instant,
}

/// Failed log-ins and the delays that follow from them.
pub struct Throttle {
    policy: ThrottlePolicy,
    records: LruCache<Key, Record>,
}

impl Throttle {
    /// An empty table.
    pub fn new(policy: ThrottlePolicy) -> Self {
        Self { policy, records: LruCache::new(policy.capacity) }
    }

    /// How long the next attempt of `user` (any case) from `source` must still wait; zero if not at all.
    pub fn delay(&self, now: Instant, user: &str, source: IpAddr) -> Duration {
        let Some(record) = self.records.peek(&key(user, source)) else { return Duration::ZERO };
        let passed = now.saturating_duration_since(record.last_failure);
        if passed >= self.policy.forget_after {
            return Duration::ZERO;
        }
        self.delay_after(record.failures).saturating_sub(passed)
    }

    /// Notes a failed attempt and says how long the next one must wait.
    pub fn failed(&mut self, now: Instant, user: &str, source: IpAddr) -> Duration {
        let forget_after = self.policy.forget_after;
        let key = key(user, source);
        let failures = match self.records.get_mut(&key) {
            Some(record) => {
                let forgotten = now.saturating_duration_since(record.last_failure) >= forget_after;
                record.failures = if forgotten { 1 } else { record.failures.saturating_add(1) };
                record.last_failure = now;
                record.failures
            }
            None => {
                self.records.put(key, Record { failures: 1, last_failure: now });
                1
            }
        };
        self.delay_after(failures)
    }

    /// Notes a success: the record is cleared.
    pub fn succeeded(&mut self, user: &str, source: IpAddr) {
        self.records.pop(&key(user, source));
    }

    fn delay_after(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(self.policy.free_failures + 1) else {
            return Duration::ZERO;
        };
        let factor = 2u32.saturating_pow(doublings);
        self.policy.first_delay.saturating_mul(factor).min(self.policy.max_delay)
    }
}

fn key(user: &str, source: IpAddr) -> Key {
    let user = user.chars().take(MAX_NAME_CHARS).flat_map(char::to_lowercase).collect();
    let source = match source.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        v4 => v4,
    };
    Key { user, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn fail_times(throttle: &mut Throttle, now: Instant, user: &str, times: u32) -> Duration {
        (0..times).map(|_| throttle.failed(now, user, SOURCE)).last().unwrap_or_default()
    }

    #[test]
    fn delays_double_up_to_the_cap_and_run_out() {
        let mut throttle = Throttle::new(ThrottlePolicy::default());
        let now = Instant::now();
        assert_eq!(fail_times(&mut throttle, now, "alice", 3), Duration::ZERO);
        assert_eq!(throttle.failed(now, "ALICE", SOURCE), Duration::from_millis(250));
        assert_eq!(throttle.failed(now, "alice", SOURCE), Duration::from_millis(500));
        assert_eq!(
            throttle.delay(now + Duration::from_millis(200), "Alice", SOURCE),
            Duration::from_millis(300)
        );
        assert_eq!(throttle.delay(now + Duration::from_millis(500), "alice", SOURCE), Duration::ZERO);
        assert_eq!(fail_times(&mut throttle, now, "alice", 100), Duration::from_secs(30));
        let later = now + Duration::from_secs(15 * 60);
        assert_eq!(throttle.delay(later, "alice", SOURCE), Duration::ZERO);
        assert_eq!(throttle.failed(later, "alice", SOURCE), Duration::ZERO);
    }

    #[test]
    fn success_clears_and_other_users_and_sources_are_free() {
        let mut throttle = Throttle::new(ThrottlePolicy::default());
        let now = Instant::now();
        fail_times(&mut throttle, now, "alice", 10);
        assert_eq!(throttle.delay(now, "bob", SOURCE), Duration::ZERO);
        assert_eq!(throttle.delay(now, "alice", "198.51.100.7".parse().unwrap()), Duration::ZERO);
        throttle.succeeded("Alice", SOURCE);
        assert_eq!(throttle.delay(now, "alice", SOURCE), Duration::ZERO);
    }

    #[test]
    fn mapped_addresses_and_neighbours_in_a_64_are_one_source() {
        let mut throttle = Throttle::new(ThrottlePolicy::default());
        let now = Instant::now();
        fail_times(&mut throttle, now, "alice", 10);
        assert_ne!(throttle.delay(now, "alice", "::ffff:192.0.2.1".parse().unwrap()), Duration::ZERO);
        for _ in 0..10 {
            throttle.failed(now, "bob", "2001:db8::1".parse().unwrap());
        }
        assert_ne!(throttle.delay(now, "bob", "2001:db8::ffff:2".parse().unwrap()), Duration::ZERO);
        assert_eq!(throttle.delay(now, "bob", "2001:db8:0:1::1".parse().unwrap()), Duration::ZERO);
    }

    #[test]
    fn memory_is_bounded() {
        let capacity = NonZeroUsize::new(8).unwrap();
        let mut throttle = Throttle::new(ThrottlePolicy { capacity, ..ThrottlePolicy::default() });
        let now = Instant::now();
        for n in 0..100 {
            throttle.failed(now, &format!("{n}{}", "x".repeat(10_000)), SOURCE);
        }
        assert_eq!(throttle.records.len(), 8);
        assert!(throttle.records.iter().all(|(key, _)| key.user.len() <= MAX_NAME_CHARS));
    }
}
