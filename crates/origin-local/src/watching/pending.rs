//! Names that changed and are not told yet, in the order in which they first changed, and by whom.

use super::dirs::Wd;
use super::{COALESCE_AT_MOST, COALESCE_QUIET};
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;
use volume::Author;

/// Names that wait at a time; with more, all are told at once.
const NAMES_MAX: usize = 4096;

/// A directory and a name in it; the empty name is the directory itself.
pub(super) type Key = (Wd, Box<[u8]>);

#[derive(Default)]
pub(super) struct Pending {
    order: BTreeMap<u64, Key>,
    places: HashMap<Key, (u64, Author)>,
    next: u64,
    /// When the oldest of them changed first, and the youngest last.
    times: Option<(Instant, Instant)>,
}

impl Pending {
    pub(super) fn add(&mut self, key: Key, by: Author, now: Instant) {
        let first = self.times.map_or(now, |(first, _)| first);
        self.times = Some((first, now));
        if let Some((_, before)) = self.places.get_mut(&key) {
            *before = by.max(*before);
            return;
        }
        self.places.insert(key.clone(), (self.next, by));
        self.order.insert(self.next, key);
        self.next += 1;
    }

    /// Who has changed it, if it waited.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Author> {
        let (place, by) = self.places.remove(key)?;
        self.order.remove(&place);
        if self.order.is_empty() {
            self.times = None;
        }
        Some(by)
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
    pub(super) fn take_those(&mut self, wanted: impl Fn(&Key) -> bool) -> Vec<(Key, Author)> {
        let keys: Vec<Key> = self.order.values().filter(|key| wanted(key)).cloned().collect();
        keys.into_iter().filter_map(|key| self.remove(&key).map(|by| (key, by))).collect()
    }

    /// Takes all out, in order.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (Key, Author)> + use<> {
        let mut places = std::mem::take(&mut self.places);
        self.times = None;
        let order = std::mem::take(&mut self.order).into_values();
        order.filter_map(move |key| places.remove(&key).map(|(_, by)| (key, by)))
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
        pending.add(key(b"a"), Author::Us, start);
        assert_eq!(pending.due(), Some(start + COALESCE_QUIET));
        for step in 1..20 {
            pending.add(key(b"a"), Author::Us, start + Duration::from_millis(10 * step));
        }
        assert_eq!(pending.due(), Some(start + COALESCE_AT_MOST));
        pending.add(key(b"b"), Author::Others, start);
        pending.add(key(b"c"), Author::Unknown, start);
        assert_eq!(pending.remove(&key(b"b")), Some(Author::Others));
        assert_eq!(pending.take_those(|other| *other == key(b"c")), [(key(b"c"), Author::Unknown)]);
        assert_eq!(pending.since(), Some(start), "what is left waits no longer for it");
        assert_eq!(pending.take().collect::<Vec<_>>(), [(key(b"a"), Author::Us)]);
        assert_eq!(pending.due(), None);
    }

    #[test]
    fn of_several_who_have_changed_a_name_the_one_that_matters_most_is_kept() {
        let (mut pending, now) = (Pending::default(), Instant::now());
        let key = || (1, Box::from(&b"a"[..]));
        for (by, all) in [
            (Author::Us, Author::Us),
            (Author::Unknown, Author::Unknown),
            (Author::Us, Author::Unknown),
            (Author::Others, Author::Others),
            (Author::Unknown, Author::Others),
        ] {
            pending.add(key(), by, now);
            assert_eq!(pending.places[&key()].1, all);
        }
    }
}
