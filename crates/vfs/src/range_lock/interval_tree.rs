//! Locks of a file by where they lie: what meets a range is found without a walk over all of them.
//!
//! A treap: a search tree by offset and ticket, and a heap by weights that are drawn in secret, so that nobody can ask
//! for locks in an order that makes it deep. Each node knows how far the ranges under it reach, and whose they are if
//! they are of one owner: what lies under it is passed over where none of it can be in the way.

use super::{Range, RangeLock, Ticket};
use crate::OpenId;

#[derive(Debug, Default)]
pub(super) struct IntervalTree(Option<Box<Node>>);

#[derive(Debug)]
struct Node {
    ticket: Ticket,
    lock: RangeLock,
    weight: u64,
    /// The furthest end of a range here and under it.
    reach: u128,
    /// Who alone has all locks here and under it.
    sole_owner: Option<OpenId>,
    before: IntervalTree,
    after: IntervalTree,
}

impl IntervalTree {
    /// `weight` is to be random, and not to be guessed.
    pub(super) fn insert(&mut self, ticket: Ticket, lock: RangeLock, weight: u64) {
        match &mut self.0 {
            Some(node) if node.weight > weight => {
                let side =
                    if node.key() < (lock.range.offset, ticket) { &mut node.after } else { &mut node.before };
                side.insert(ticket, lock, weight);
                node.sum_up();
            }
            _ => {
                let (before, after) = std::mem::take(self).split((lock.range.offset, ticket));
                let (reach, sole_owner) = (lock.range.end(), Some(lock.owner));
                let mut node = Node { ticket, lock, weight, reach, sole_owner, before, after };
                node.sum_up();
                self.0 = Some(Box::new(node));
            }
        }
    }

    pub(super) fn remove(&mut self, ticket: Ticket, lock: &RangeLock) {
        let Some(node) = &mut self.0 else { return };
        let key = (lock.range.offset, ticket);
        if node.key() == key {
            let (before, after) = (std::mem::take(&mut node.before), std::mem::take(&mut node.after));
            *self = before.join(after);
        } else {
            let side = if node.key() < key { &mut node.after } else { &mut node.before };
            side.remove(ticket, lock);
            node.sum_up();
        }
    }

    /// One that meets the range and is of another owner than `but`.
    pub(super) fn meets(&self, range: Range, but: Option<OpenId>) -> Option<Ticket> {
        let node = self.0.as_deref()?;
        if node.reach <= u128::from(range.offset) || (but.is_some() && node.sole_owner == but) {
            return None;
        }
        node.before.meets(range, but).or_else(|| {
            if u128::from(node.lock.range.offset) >= range.end() {
                return None;
            }
            let itself = node.lock.range.overlaps(range) && Some(node.lock.owner) != but;
            if itself { Some(node.ticket) } else { node.after.meets(range, but) }
        })
    }

    /// What comes before this key, and what comes after.
    fn split(self, key: (u64, Ticket)) -> (IntervalTree, IntervalTree) {
        let Some(mut node) = self.0 else { return Default::default() };
        if node.key() < key {
            let (before, after) = std::mem::take(&mut node.after).split(key);
            node.after = before;
            node.sum_up();
            (IntervalTree(Some(node)), after)
        } else {
            let (before, after) = std::mem::take(&mut node.before).split(key);
            node.before = after;
            node.sum_up();
            (before, IntervalTree(Some(node)))
        }
    }

    /// Of two trees, of which the other comes after this.
    fn join(self, other: IntervalTree) -> IntervalTree {
        match (self.0, other.0) {
            (Some(mut first), Some(second)) if first.weight > second.weight => {
                first.after = std::mem::take(&mut first.after).join(IntervalTree(Some(second)));
                first.sum_up();
                IntervalTree(Some(first))
            }
            (Some(first), Some(mut second)) => {
                second.before = IntervalTree(Some(first)).join(std::mem::take(&mut second.before));
                second.sum_up();
                IntervalTree(Some(second))
            }
            (first, second) => IntervalTree(first.or(second)),
        }
    }
}

impl Node {
    fn key(&self) -> (u64, Ticket) {
        (self.lock.range.offset, self.ticket)
    }

    fn sum_up(&mut self) {
        let mut reach = self.lock.range.end();
        let mut sole_owner = Some(self.lock.owner);
        for under in [&self.before, &self.after].into_iter().filter_map(|tree| tree.0.as_deref()) {
            reach = reach.max(under.reach);
            sole_owner = sole_owner.filter(|owner| under.sole_owner == Some(*owner));
        }
        (self.reach, self.sole_owner) = (reach, sole_owner);
    }
}
