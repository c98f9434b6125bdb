//! Byte-range locks: who may lock, read and write where. Plain state; [`crate::lock_wait`] lets tasks wait on it.
//!
//! Locks are mandatory, as on Windows: a read or write that meets another open's lock is refused. Requests
//! that wait are served in the order of asking: one is granted when no held lock is in its way and none of
//! those that wait longer wants what it wants. A request that does not wait looks at held locks alone.

use crate::{Error, OpenId, Result};
use std::collections::VecDeque;

/// A range of a file: offset and length in bytes. A length of zero is legal: the range lies between two
/// bytes and meets what spans that point; at offset zero it meets nothing (MS-FSA 2.1.4.10).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Range {
    pub offset: u64,
    pub length: u64,
}

impl Range {
    pub fn new(offset: u64, length: u64) -> Range {
        Range { offset, length }
    }

    /// `RangeInvalid` when the last byte would lie beyond 2^64 (MS-FSA 2.1.5.8).
    pub(crate) fn check(self) -> Result<Range> {
        let fits = self.length == 0 || self.offset.checked_add(self.length - 1).is_some();
        if fits { Ok(self) } else { Err(Error::RangeInvalid) }
    }

    fn overlaps(self, other: Range) -> bool {
        // One past 64 bits: a range may end with the byte at 2^64 - 1, and an empty one ends before it starts.
        let end = |range: Range| u128::from(range.offset) + u128::from(range.length);
        let nowhere = Range { offset: 0, length: 0 };
        self != nowhere
            && other != nowhere
            && u128::from(self.offset) < end(other)
            && u128::from(other.offset) < end(self)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RangeLock {
    pub owner: OpenId,
    pub range: Range,
    pub exclusive: bool,
}

impl RangeLock {
    /// Whether this one, held, keeps `new` from being taken. Of one open too, but that it may take a shared
    /// lock besides its exclusive one (MS-FSA 2.1.5.8).
    fn excludes(&self, new: &RangeLock) -> bool {
        let stacks = self.exclusive && !new.exclusive && self.owner == new.owner;
        (self.exclusive || new.exclusive) && !stacks && self.range.overlaps(new.range)
    }
}

/// A waiting request.
pub(crate) type Ticket = u64;

/// The locks of one file, and who waits.
#[derive(Debug, Default)]
pub(crate) struct LockTable {
    held: Vec<RangeLock>,
    waiting: VecDeque<(Ticket, RangeLock)>,
    last_ticket: Ticket,
}

impl LockTable {
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether reading or writing there is refused to `owner`: another's exclusive lock refuses both, any
    /// shared lock refuses writing, one's own too (MS-FSA 2.1.4.10).
    pub(crate) fn refuses_io(&self, owner: OpenId, range: Range, write: bool) -> bool {
        let meets = |lock: &&RangeLock| lock.range.overlaps(range);
        self.held.iter().filter(meets).any(|lock| match lock.exclusive {
            true => lock.owner != owner,
            false => write,
        })
    }

    /// Locks now or not at all.
    pub(crate) fn try_lock(&mut self, lock: RangeLock) -> Result<()> {
        if self.held.iter().any(|held| held.excludes(&lock)) {
            return Err(Error::LockNotGranted);
        }
        self.held.push(lock);
        Ok(())
    }

    /// Locks now (`None`), or stands in line.
    pub(crate) fn lock_or_wait(&mut self, lock: RangeLock) -> Option<Ticket> {
        let queued = self.waiting.iter().any(|(_, other)| other.excludes(&lock));
        if !queued && self.try_lock(lock).is_ok() {
            return None;
        }
        self.last_ticket += 1;
        self.waiting.push_back((self.last_ticket, lock));
        Some(self.last_ticket)
    }

    /// Takes a request out of the line. False when it is not there any more: granted, or ended.
    pub(crate) fn withdraw(&mut self, ticket: Ticket) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|(waiting, _)| *waiting != ticket);
        self.waiting.len() < before
    }

    /// Unlocks one lock of exactly this range: an exclusive one if there is, else the last shared one
    /// (MS-FSA 2.1.5.9).
    pub(crate) fn unlock(&mut self, owner: OpenId, range: Range) -> Result<()> {
        let mine = |lock: &RangeLock| lock.owner == owner && lock.range == range;
        let exclusive = self.held.iter().position(|lock| mine(lock) && lock.exclusive);
        let at = exclusive.or_else(|| self.held.iter().rposition(mine)).ok_or(Error::RangeNotLocked)?;
        self.held.remove(at);
        Ok(())
    }

    /// Takes back a lock that nobody was told of.
    pub(crate) fn revoke(&mut self, lock: RangeLock) {
        if let Some(at) = self.held.iter().rposition(|held| *held == lock) {
            self.held.remove(at);
        }
    }

    /// Drops all locks of `owner`; returns its waiting requests, which are over.
    pub(crate) fn release(&mut self, owner: OpenId) -> Vec<Ticket> {
        self.held.retain(|lock| lock.owner != owner);
        let ended = self.waiting.iter().filter(|(_, lock)| lock.owner == owner).map(|(t, _)| *t).collect();
        self.waiting.retain(|(_, lock)| lock.owner != owner);
        ended
    }

    /// Grants what has become possible; to be called after locks or requests went away.
    pub(crate) fn grant(&mut self) -> Vec<Ticket> {
        let mut granted = Vec::new();
        let mut still: VecDeque<(Ticket, RangeLock)> = VecDeque::with_capacity(self.waiting.len());
        for (ticket, lock) in std::mem::take(&mut self.waiting) {
            let behind = still.iter().any(|(_, other)| other.excludes(&lock));
            if !behind && self.try_lock(lock).is_ok() {
                granted.push(ticket);
            } else {
                still.push_back((ticket, lock));
            }
        }
        self.waiting = still;
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: OpenId = OpenId(1);
    const B: OpenId = OpenId(2);
    const C: OpenId = OpenId(3);

    fn lock(owner: OpenId, offset: u64, length: u64, exclusive: bool) -> RangeLock {
        RangeLock { owner, range: Range { offset, length }, exclusive }
    }

    #[test]
    fn ranges_that_meet() {
        let max = u64::MAX;
        for (a, b, meet) in [
            ((0, 10), (9, 1), true),
            ((0, 10), (10, 1), false),
            ((max, 1), (0, max), false),
            ((max, 1), (max - 1, 2), true),
            ((max, 1), (max, 1), true),
            ((10, 0), (5, 10), true),
            ((10, 0), (10, 10), false),
            ((10, 0), (5, 5), false),
            ((10, 0), (10, 0), false),
            ((0, 0), (0, 10), false),
            ((0, 0), (0, 0), false),
        ] {
            let (x, y) = (Range::new(a.0, a.1), Range::new(b.0, b.1));
            assert_eq!((x.overlaps(y), y.overlaps(x)), (meet, meet), "{a:?} and {b:?}");
        }
        assert!(Range::new(max, 1).check().is_ok() && Range::new(max, 0).check().is_ok());
        assert!(matches!(Range::new(max, 2).check(), Err(Error::RangeInvalid)));
        assert!(Range::new(1, max).check().is_ok());
    }

    #[test]
    fn which_locks_stand_together() {
        for (first, second, granted) in [
            (lock(A, 0, 10, true), lock(B, 5, 1, false), false),
            (lock(A, 0, 10, true), lock(A, 5, 1, false), true),
            (lock(A, 0, 10, true), lock(A, 0, 10, true), false),
            (lock(A, 0, 10, false), lock(B, 5, 10, false), true),
            (lock(A, 0, 10, false), lock(A, 0, 10, false), true),
            (lock(A, 0, 10, false), lock(A, 0, 10, true), false),
            (lock(A, 0, 10, true), lock(B, 10, 10, true), true),
        ] {
            let mut table = LockTable::default();
            table.try_lock(first).unwrap();
            assert_eq!(table.try_lock(second).is_ok(), granted, "{first:?}, {second:?}");
        }
    }

    #[test]
    fn reads_and_writes_that_meet_locks() {
        let mut table = LockTable::default();
        table.try_lock(lock(A, 0, 10, true)).unwrap();
        table.try_lock(lock(A, 20, 10, false)).unwrap();
        for (owner, offset, write, refused) in [
            (A, 5, false, false),
            (A, 5, true, false),
            (B, 5, false, true),
            (B, 5, true, true),
            (B, 10, true, false),
            (B, 25, false, false),
            (B, 25, true, true),
            (A, 25, true, true),
        ] {
            let got = table.refuses_io(owner, Range::new(offset, 1), write);
            assert_eq!(got, refused, "{owner:?} at {offset}, write {write}");
        }
    }

    #[test]
    fn unlocking_is_exact_and_takes_the_exclusive_one_first() {
        let mut table = LockTable::default();
        table.try_lock(lock(A, 5, 0, false)).unwrap();
        table.try_lock(lock(A, 5, 0, true)).unwrap();
        assert!(table.unlock(A, Range::new(5, 1)).is_err());
        assert!(table.unlock(B, Range::new(5, 0)).is_err());
        table.unlock(A, Range::new(5, 0)).unwrap();
        assert_eq!(table.held, [lock(A, 5, 0, false)]);
        table.unlock(A, Range::new(5, 0)).unwrap();
        assert!(matches!(table.unlock(A, Range::new(5, 0)), Err(Error::RangeNotLocked)));
    }

    #[test]
    fn those_who_wait_are_served_in_their_order() {
        let mut table = LockTable::default();
        table.try_lock(lock(A, 0, 10, false)).unwrap();
        let first = table.lock_or_wait(lock(B, 0, 10, true)).expect("must wait");
        // A shared lock would fit beside A's, but B asked before; elsewhere nobody is in the way.
        let second = table.lock_or_wait(lock(C, 0, 10, false)).expect("must wait behind B");
        assert!(table.lock_or_wait(lock(C, 50, 1, true)).is_none());
        assert!(table.grant().is_empty());
        table.unlock(A, Range::new(0, 10)).unwrap();
        assert_eq!(table.grant(), [first]);
        assert!(table.release(B).is_empty());
        assert_eq!(table.grant(), [second]);
    }

    #[test]
    fn who_withdraws_or_closes_lets_the_next_pass() {
        let mut table = LockTable::default();
        table.try_lock(lock(A, 0, 10, false)).unwrap();
        let writer = table.lock_or_wait(lock(B, 0, 10, true)).unwrap();
        let reader = table.lock_or_wait(lock(C, 0, 10, false)).unwrap();
        assert!(table.withdraw(writer));
        assert!(!table.withdraw(writer));
        assert_eq!(table.grant(), [reader]);
        let again = table.lock_or_wait(lock(B, 0, 10, true)).unwrap();
        assert_eq!(table.release(B), [again]);
        assert_eq!((table.held(), table.waiting()), (2, 0));
    }
}
