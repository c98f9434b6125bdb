//! What is not watched: as long as there is any of it, changes may go unnoticed, and nothing is promised.

use super::dirs::{Dirs, Wd};
use super::pending::Key;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// How often what could not be watched is tried again, where no event tells when it can be.
const TRY_AGAIN: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Gaps {
    /// There are more directories than can be watched, or the root is gone: until all is looked at anew.
    pub(super) lasting: bool,
    /// Something is mounted whose changes are not all noticed.
    pub(super) mounted: bool,
    /// Names that are a directory or may be one; `None` is the root.
    closed: HashMap<Option<Key>, Mend>,
    /// Directories that are watched and let us not pass, with something new in them or below. No gaps: nobody comes there
    /// through us. When they are opened, which an event tells, they are looked through.
    pub(super) shut: HashSet<Wd>,
    tried: Option<Instant>,
    /// Whether the log has them.
    pub(super) are_known: bool,
}

/// What may end a gap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mend {
    /// An event: of the directory's permissions, or of its end.
    Event,
    /// Another attempt.
    Attempt,
}

impl Gaps {
    pub(super) fn are_none(&self) -> bool {
        !self.lasting && !self.mounted && self.closed.is_empty()
    }

    pub(super) fn add(&mut self, key: Option<Key>, mend: Mend) {
        self.closed.insert(key, mend);
    }

    /// A name is watched now, or is none of a directory.
    pub(super) fn remove(&mut self, key: &Key) {
        if !self.closed.is_empty() {
            self.closed.remove(&Some(key.clone()));
        }
    }

    /// What was in directories that are not known any more is none of ours.
    pub(super) fn keep_known(&mut self, dirs: &Dirs) {
        self.closed.retain(|key, _| key.as_ref().is_none_or(|key| dirs.id(key.0).is_some()));
        self.shut.retain(|wd| dirs.id(*wd).is_some());
    }

    /// All is looked at anew; what is mounted stays so.
    pub(super) fn forget_all(&mut self) {
        self.lasting = false;
        self.closed.clear();
        self.shut.clear();
    }

    /// What is to be tried again now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Option<Key>> {
        if self.closed.is_empty() {
            return Vec::new();
        }
        if now < *self.tried.get_or_insert(now) + TRY_AGAIN {
            return Vec::new();
        }
        self.tried = Some(now);
        let again = self.closed.iter().filter(|(_, mend)| **mend == Mend::Attempt);
        again.map(|(key, _)| key.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use volume::FileId;

    #[test]
    fn gaps_end_with_their_directory_and_are_tried_again_after_a_while() {
        let (mut gaps, mut dirs, start) = (Gaps::default(), Dirs::default(), Instant::now());
        dirs.add(1, FileId { hi: 0, lo: 1 }, None);
        dirs.add(2, FileId { hi: 0, lo: 2 }, Some((1, b"d")));
        let key = |wd, name: &[u8]| (wd, Box::from(name));
        gaps.add(Some(key(1, b"a")), Mend::Attempt);
        gaps.add(Some(key(1, b"b")), Mend::Event);
        gaps.add(Some(key(2, b"c")), Mend::Attempt);
        assert_eq!(gaps.due(start), []);
        dirs.remove(2);
        gaps.keep_known(&dirs);
        assert_eq!(gaps.due(start + TRY_AGAIN), [Some(key(1, b"a"))]);
        assert_eq!(gaps.due(start + TRY_AGAIN), [], "it is being tried");
        gaps.remove(&key(1, b"a"));
        assert!(!gaps.are_none());
        gaps.remove(&key(1, b"b"));
        assert!(gaps.are_none());
        (gaps.lasting, gaps.mounted) = (true, true);
        gaps.forget_all();
        assert!(!gaps.are_none(), "what is mounted stays mounted");
        gaps.mounted = false;
        assert!(gaps.are_none());
    }
}
