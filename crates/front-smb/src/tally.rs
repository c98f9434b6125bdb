//! How many of something each has, and how many he may have.

use parking_lot::Mutex;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

pub(crate) struct Tally<K> {
    most: usize,
    counts: Mutex<HashMap<K, usize>>,
}

impl<K: Eq + Hash> Tally<K> {
    /// At most so many for each.
    pub(crate) fn new(most: usize) -> Tally<K> {
        Tally { most, counts: Mutex::default() }
    }

    /// One more for him; false where he has as many as may be.
    pub(crate) fn enter(&self, who: K) -> bool {
        let mut counts = self.counts.lock();
        let count = counts.entry(who).or_default();
        if *count >= self.most {
            return false;
        }
        *count += 1;
        true
    }

    /// One that entered is there no more.
    pub(crate) fn leave<Q: Eq + Hash + ?Sized>(&self, who: &Q)
    where
        K: Borrow<Q>,
    {
        let mut counts = self.counts.lock();
        if let Some(count) = counts.get_mut(who) {
            *count -= 1;
            if *count == 0 {
                counts.remove(who);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.counts.lock().is_empty()
    }
}
