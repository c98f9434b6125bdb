//! Byte-range locks: who may lock, read and write where. Plain state; [`crate::lock_wait`] lets tasks wait on it.
//!
//! Locks are mandatory, as on Windows: a read or write that meets another open's lock is refused. Requests
//! that wait are served in the order of asking: one is granted when no held lock is in its way and none of
//! those that wait longer wants what it wants. A request that does not wait looks at held locks alone.

mod held;
mod interval_tree;

use crate::{Error, OpenId, Result};
use held::Held;
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

    /// One past the last byte, which may be that at 2^64 - 1; an empty range ends where it starts.
    fn end(self) -> u128 {
        u128::from(self.offset) + u128::from(self.length)
    }

    fn overlaps(self, other: Range) -> bool {
        u128::from(self.offset) < other.end() && u128::from(other.offset) < self.end()
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

/// Most requests of one open that wait for locks of one file.
pub const WAITING_LOCKS_PER_OPEN_MAX: usize = 64;
/// Most requests of all opens together that wait for locks of one file.
pub const WAITING_LOCKS_PER_FILE_MAX: usize = 512;

/// A request, waiting or granted.
pub(crate) type Ticket = u64;

/// The locks of one file, and who waits.
///
/// Each waiting request knows one other that is in its way: a held lock, or a request that waits longer. While
/// that one is there the request cannot be granted, so it is looked at again only when that one goes. Being
/// granted takes nobody out of another's way.
#[derive(Debug, Default)]
pub(crate) struct LockTable {
    held: Held,
    /// In the order of asking.
    waiting: VecDeque<Waiting>,
    last_ticket: Ticket,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    ticket: Ticket,
    lock: RangeLock,
    behind: Ticket,
}

/// What came of the end of an open.
#[derive(PartialEq, Eq, Debug)]
#[must_use]
pub(crate) struct Released {
    /// Its waiting requests, which are over.
    pub ended: Vec<Ticket>,
    /// Requests of others, granted now.
    pub granted: Vec<Ticket>,
}

impl LockTable {
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// What an open holds, in an order in which it could take them again.
    pub(crate) fn of(&self, owner: OpenId) -> impl Iterator<Item = RangeLock> {
        self.held.of(owner).map(|(_, lock)| lock)
    }

    /// Held and waited for.
    pub(crate) fn len(&self) -> usize {
        self.held.len() + self.waiting.len()
    }

    /// Whether reading or writing there is refused to `owner`: another's exclusive lock refuses both, any
    /// shared lock refuses writing, one's own too (MS-FSA 2.1.4.10).
    pub(crate) fn refuses_io(&self, owner: OpenId, range: Range, write: bool) -> bool {
        self.held.refuses_io(owner, range, write)
    }

    /// Locks now or not at all.
    pub(crate) fn try_lock(&mut self, lock: RangeLock) -> Result<()> {
        if self.held.excludes(&lock).is_some() {
            return Err(Error::LockNotGranted);
        }
        let ticket = self.next_ticket();
        self.held.insert(ticket, lock);
        Ok(())
    }

    /// Locks now (`None`), or stands in line. `LimitReached` where too many do.
    pub(crate) fn lock_or_wait(&mut self, lock: RangeLock) -> Result<Option<Ticket>> {
        let Some(behind) = self.in_the_way(self.waiting.len(), &lock) else {
            let ticket = self.next_ticket();
            self.held.insert(ticket, lock);
            return Ok(None);
        };
        if self.waiting.len() >= WAITING_LOCKS_PER_FILE_MAX {
            return Err(Error::LimitReached("requests that wait for locks of one file"));
        }
        let mine = self.waiting.iter().filter(|waiting| waiting.lock.owner == lock.owner).count();
        if mine >= WAITING_LOCKS_PER_OPEN_MAX {
            return Err(Error::LimitReached("requests of one open that wait for locks"));
        }
        let ticket = self.next_ticket();
        self.waiting.push_back(Waiting { ticket, lock, behind });
        Ok(Some(ticket))
    }

    /// Takes a request out of the line; returns which are granted by that. `None` when it is not there any
    /// more: granted, or ended.
    pub(crate) fn withdraw(&mut self, ticket: Ticket) -> Option<Vec<Ticket>> {
        let at = self.waiting.iter().position(|waiting| waiting.ticket == ticket)?;
        self.waiting.remove(at);
        Some(self.gone(&[ticket]))
    }

    /// Unlocks one lock of exactly this range: an exclusive one if there is, else the last shared one
    /// (MS-FSA 2.1.5.9). Returns which requests are granted by that.
    pub(crate) fn unlock(&mut self, owner: OpenId, range: Range) -> Result<Vec<Ticket>> {
        let like_it = |exclusive| RangeLock { owner, range, exclusive };
        let exclusive = self.held.remove_one(&like_it(true));
        let ticket = exclusive.or_else(|| self.held.remove_one(&like_it(false)));
        Ok(self.gone(&[ticket.ok_or(Error::RangeNotLocked)?]))
    }

    /// Takes back a lock that nobody was told of; returns which requests are granted by that.
    #[must_use]
    pub(crate) fn revoke(&mut self, lock: RangeLock) -> Vec<Ticket> {
        self.held.remove_one(&lock).map_or_else(Vec::new, |ticket| self.gone(&[ticket]))
    }

    /// Drops all locks and requests of `owner`.
    pub(crate) fn release(&mut self, owner: OpenId) -> Released {
        let mut gone = self.held.remove_all(owner);
        let his = |waiting: &&Waiting| waiting.lock.owner == owner;
        let ended: Vec<Ticket> = self.waiting.iter().filter(his).map(|waiting| waiting.ticket).collect();
        self.waiting.retain(|waiting| waiting.lock.owner != owner);
        gone.extend(&ended);
        gone.sort_unstable();
        Released { ended, granted: self.gone(&gone) }
    }

    fn next_ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        self.last_ticket
    }

    /// One that keeps `lock` from being granted to somebody with `ahead` requests before him.
    fn in_the_way(&self, ahead: usize, lock: &RangeLock) -> Option<Ticket> {
        let mut waiting = self.waiting.iter().take(ahead);
        let waits = waiting.find(|waiting| waiting.lock.excludes(lock)).map(|waiting| waiting.ticket);
        waits.or_else(|| self.held.excludes(lock))
    }

    /// Grants what has become possible since these (sorted) are not there any more.
    fn gone(&mut self, tickets: &[Ticket]) -> Vec<Ticket> {
        let mut granted = Vec::new();
        let mut at = 0;
        while let Some(&Waiting { ticket, lock, behind }) = self.waiting.get(at) {
            if tickets.binary_search(&behind).is_err() {
                at += 1;
            } else if let Some(other) = self.in_the_way(at, &lock) {
                self.waiting[at].behind = other;
                at += 1;
            } else {
                self.waiting.remove(at);
                self.held.insert(ticket, lock);
                granted.push(ticket);
            }
        }
        granted
    }
}

#[cfg(test)]
mod tests;
