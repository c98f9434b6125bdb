//! The locks that are held on a file, found by who holds them and by where they lie.
//!
//! Exclusive and shared ones stand apart: of those that meet a range, all shared ones are in the way of what asks about
//! shared ones, and all exclusive ones but perhaps one owner's. So the first lock found answers, and none is looked at in vain.

use super::interval_tree::IntervalTree;
use super::{Range, RangeLock, Ticket};
use crate::OpenId;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};

#[derive(Debug, Default)]
pub(super) struct Held {
    by_owner: BTreeSet<Entry>,
    exclusive: IntervalTree,
    shared: IntervalTree,
    /// Draws the weights of the trees.
    weights: RandomState,
}

/// In the order of their fields: what one owner holds stands together, exclusive locks first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Entry {
    owner: OpenId,
    shared: bool,
    offset: u64,
    length: u64,
    ticket: Ticket,
}

impl Entry {
    fn new(ticket: Ticket, lock: &RangeLock) -> Entry {
        let Range { offset, length } = lock.range;
        Entry { owner: lock.owner, shared: !lock.exclusive, offset, length, ticket }
    }

    fn lock(&self) -> RangeLock {
        let range = Range { offset: self.offset, length: self.length };
        RangeLock { owner: self.owner, range, exclusive: !self.shared }
    }
}

impl Held {
    pub(super) fn len(&self) -> usize {
        self.by_owner.len()
    }

    /// What an open holds, exclusive locks first: in this order it could take them again.
    pub(super) fn of(&self, owner: OpenId) -> impl Iterator<Item = (Ticket, RangeLock)> {
        let first = Entry { owner, shared: false, offset: 0, length: 0, ticket: 0 };
        let of_him = self.by_owner.range(first..).take_while(move |entry| entry.owner == owner);
        of_him.map(|entry| (entry.ticket, entry.lock()))
    }

    /// Whether reading or writing there is refused to `owner` (MS-FSA 2.1.4.10).
    pub(super) fn refuses_io(&self, owner: OpenId, range: Range, write: bool) -> bool {
        self.exclusive.meets(range, Some(owner)).is_some()
            || (write && self.shared.meets(range, None).is_some())
    }

    /// One that keeps `new` from being taken.
    pub(super) fn excludes(&self, new: &RangeLock) -> Option<Ticket> {
        match new.exclusive {
            true => self.exclusive.meets(new.range, None).or_else(|| self.shared.meets(new.range, None)),
            false => self.exclusive.meets(new.range, Some(new.owner)),
        }
    }

    pub(super) fn insert(&mut self, ticket: Ticket, lock: RangeLock) {
        self.by_owner.insert(Entry::new(ticket, &lock));
        let weight = self.weights.hash_one(ticket);
        self.tree(&lock).insert(ticket, lock, weight);
    }

    /// Takes away the lock like this that was asked for last. Its ticket, if there is one.
    pub(super) fn remove_one(&mut self, lock: &RangeLock) -> Option<Ticket> {
        let like_it = Entry::new(0, lock)..=Entry::new(Ticket::MAX, lock);
        let ticket = self.by_owner.range(like_it).next_back()?.ticket;
        self.remove(ticket, lock);
        Some(ticket)
    }

    /// Takes all of an owner away; their tickets.
    pub(super) fn remove_all(&mut self, owner: OpenId) -> Vec<Ticket> {
        let all: Vec<_> = self.of(owner).collect();
        all.iter().for_each(|(ticket, lock)| self.remove(*ticket, lock));
        all.into_iter().map(|(ticket, _)| ticket).collect()
    }

    fn remove(&mut self, ticket: Ticket, lock: &RangeLock) {
        self.by_owner.remove(&Entry::new(ticket, lock));
        self.tree(lock).remove(ticket, lock);
    }

    fn tree(&mut self, lock: &RangeLock) -> &mut IntervalTree {
        if lock.exclusive { &mut self.exclusive } else { &mut self.shared }
    }
}
