//! Names that changed and are not told yet, in the order in which they first changed.

use super::dirs::Wd;
use super::{COALESCE_AT_MOST, COALESCE_QUIET};
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

/// Names that wait at a time; with more, all are told at once.
const NAMES_MAX: usize = 4096;

/// A directory and a name in it; the empty name is the directory itself.
pub(super) type Key = (Wd, Box<[u8]>);

#[derive(Default)]
pub(super) struct Pending {
    order: BTreeMap<u64, Key>,
    places: HashMap<Key, u64>,
    next: u64,
    /// When the oldest of them changed first, and the youngest last.
    times: Option<(Instant, Instant)>,
}

impl Pending {
    pub(super) fn add(&mut self, key: Key, now: Instant) {
        let first = self.times.map_or(now, |(first, _)| first);
        self.times = Some((first, now));
        if !self.places.contains_key(&key) {
            self.places.insert(key.clone(), self.next);
            self.order.insert(self.next, key);
            self.next += 1;
        }
    }

    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(place) = self.places.remove(key) {
            self.order.remove(&place);
        }
        if self.order.is_empty() {
            self.times = None;
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.order.len() >= NAMES_MAX
    }

    /// When they are to be told; `None` when there are none.
    pub(super) fn due(&self) -> Option<Instant> {
        let (first, last) = self.times?;
        match self.is_full() {
            true => Some(last),
            false => Some((last + COALESCE_QUIET).min(first + COALESCE_AT_MOST)),
        }
    }

    /// When the oldest of them came; `None` when there are none.
    pub(super) fn since(&self) -> Option<Instant> {
        self.times.map(|(first, _)| first)
    }

    /// Takes out those that are `wanted`, in order; the others go on waiting as long as they would have.
    pub(super) fn take_those(&mut self, wanted: impl Fn(&Key) -> bool) -> Vec<Key> {
        let keys: Vec<Key> = self.order.values().filter(|key| wanted(key)).cloned().collect();
        keys.iter().for_each(|key| self.remove(key));
        keys
    }

    /// Takes all out, in order.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Key> + use<> {
        self.places.clear();
        self.times = None;
        std::mem::take(&mut self.order).into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn quiet_or_at_most() {
        let (mut pending, start) = (Pending::default(), Instant::now());
        let key = |name: &[u8]| (1, Box::from(name));
        assert_eq!(pending.due(), None);
        pending.add(key(b"a"), start);
        assert_eq!(pending.due(), Some(start + COALESCE_QUIET));
        for step in 1..20 {
            pending.add(key(b"a"), start + Duration::from_millis(10 * step));
        }
        assert_eq!(pending.due(), Some(start + COALESCE_AT_MOST));
        pending.add(key(b"b"), start);
        pending.add(key(b"c"), start);
        pending.remove(&key(b"b"));
        assert_eq!(pending.take_those(|other| *other == key(b"c")), [key(b"c")]);
        assert_eq!(pending.since(), Some(start), "what is left waits no longer for it");
        assert_eq!(pending.take().collect::<Vec<_>>(), [key(b"a")]);
        assert_eq!(pending.due(), None);
    }
}
