//! Telling what others change from the echo of what we change.
//!
//! A volume may report our own changes back, some of them when we are already further. A watcher must hear of
//! each once, and what is known of names must not go back to a state in between. So a name is marked while we
//! change it, and what came of each change is kept: a notice for a marked name, or with exactly such an
//! outcome, is ours. Being gone has no state of its own: each removal of ours explains one notice. That of something
//! later shows that it was not told, but not at once: a notice tells how a name is when it is looked up, which may be
//! further than the change that it is about. Plain state, `now` is an argument.

use crate::names;
use lru::LruCache;
use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};
use volume::{Attr, FileId, Time, VPath, Version};

/// Outcomes remembered; the oldest go first.
const OUTCOMES_MAX: NonZeroUsize = NonZeroUsize::new(8192).expect("not zero");

/// Removals of one name that wait to be told.
const GONE_MAX: usize = 64;

/// So long a removal may be told after what followed it.
const GONE_PATIENCE: Duration = Duration::from_secs(10);

/// What a name stood for after a change of ours. A file never is in the same state twice.
type State = (FileId, Version, Time);

#[derive(Debug)]
pub(crate) struct Echoes {
    changing: HashMap<String, usize>,
    /// With the number of the change.
    outcomes: LruCache<(String, State), u64>,
    /// When a name came to be by us, at the origin's clock: what is older is of what stood there before.
    made: LruCache<String, Time>,
    /// What we put under a name, as long as nobody is known to have taken it away. A directory is in another state
    /// with each name in it, and is there all the same.
    placed: LruCache<String, FileId>,
    /// Numbers of the changes by which a name was gone, and that were not told yet; and when that was.
    gone: LruCache<String, VecDeque<(u64, Instant)>>,
    changes: u64,
}

impl Echoes {
    pub(crate) fn new() -> Echoes {
        Echoes {
            changing: HashMap::new(),
            outcomes: LruCache::new(OUTCOMES_MAX),
            made: LruCache::new(OUTCOMES_MAX),
            placed: LruCache::new(OUTCOMES_MAX),
            gone: LruCache::new(OUTCOMES_MAX),
            changes: 0,
        }
    }

    /// We begin to change this name.
    pub(crate) fn begin(&mut self, path: &VPath) {
        *self.changing.entry(key(path)).or_default() += 1;
    }

    /// We have changed it, or failed to.
    pub(crate) fn end(&mut self, path: &VPath) {
        let key = key(path);
        if let Some(count) = self.changing.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.changing.remove(&key);
            }
        }
    }

    /// We made the name.
    pub(crate) fn made(&mut self, path: &VPath, attr: &Attr) {
        self.made.put(key(path), attr.ctime);
        self.placed(path, attr);
    }

    /// We put something under the name.
    pub(crate) fn placed(&mut self, path: &VPath, attr: &Attr) {
        self.placed.put(key(path), attr.id);
        self.outcome(path, attr);
    }

    /// Somebody else took the name away.
    pub(crate) fn taken(&mut self, path: &VPath) {
        self.placed.pop(&key(path));
    }

    /// Whether we put this under the name, which is known since then.
    pub(crate) fn is_placed(&self, path: &VPath, attr: &Attr) -> bool {
        self.placed.peek(&key(path)) == Some(&attr.id)
    }

    /// What we put under the name and have not taken away, as long as we do not change it just now.
    pub(crate) fn resting(&self, path: &VPath) -> Option<FileId> {
        let key = key(path);
        self.placed.peek(&key).copied().filter(|_| !self.changing.contains_key(&key))
    }

    /// What came of it.
    pub(crate) fn outcome(&mut self, path: &VPath, attr: &Attr) {
        self.changes += 1;
        self.outcomes.put((key(path), state(attr)), self.changes);
    }

    /// We took the name away.
    pub(crate) fn gone(&mut self, path: &VPath, now: Instant) {
        self.changes += 1;
        self.placed.pop(&key(path));
        let gone = self.gone.get_or_insert_mut(key(path), VecDeque::new);
        if gone.len() == GONE_MAX {
            gone.pop_front();
        }
        gone.push_back((self.changes, now));
    }

    /// Whether a notice about this name tells nothing new.
    pub(crate) fn is_ours(&mut self, path: &VPath, attr: Option<&Attr>, now: Instant) -> bool {
        let key = key(path);
        if self.changing.contains_key(&key) {
            return true;
        }
        let Some(attr) = attr else {
            return self.gone.get_mut(&key).and_then(VecDeque::pop_front).is_some();
        };
        if self.made.peek(&key).is_some_and(|made| attr.ctime < *made) {
            return true;
        }
        let known = (key, state(attr));
        let ours = self.outcomes.peek(&known).copied();
        // Notices come in order: what was gone before this is told, is about to be, or never will be.
        let told = ours.unwrap_or(u64::MAX);
        if let Some(gone) = self.gone.peek_mut(&known.0) {
            gone.retain(|(change, at)| *change > told || now < *at + GONE_PATIENCE);
        }
        ours.is_some()
    }
}

fn key(path: &VPath) -> String {
    names::fold(path.as_str()).into_owned()
}

fn state(attr: &Attr) -> (FileId, Version, Time) {
    (attr.id, attr.version, attr.ctime)
}

#[cfg(test)]
mod tests {
    use super::*;
    use volume::{DosAttributes, Kind};

    fn attr(version: u64) -> Attr {
        let at = Time(version);
        Attr {
            id: FileId { hi: 0, lo: 1 },
            version: Version { hi: 0, lo: version },
            kind: Kind::File,
            size: 0,
            allocated: 0,
            mtime: at,
            ctime: at,
            atime: at,
            btime: at,
            mode: 0,
            uid: 0,
            gid: 0,
            links: 1,
            dos: DosAttributes::empty(),
            carries: volume::Carries::empty(),
        }
    }

    #[test]
    fn late_echoes_of_each_step_are_ours_and_nothing_else_is() {
        let (mut echoes, path, now) = (Echoes::new(), VPath::parse("a").unwrap(), Instant::now());
        echoes.outcome(&path, &attr(1));
        echoes.gone(&path, now);
        assert!(echoes.is_ours(&path, Some(&attr(1)), now));
        assert!(!echoes.is_ours(&path, Some(&attr(2)), now + GONE_PATIENCE), "somebody made it anew");
        assert!(!echoes.is_ours(&path, None, now), "and removed it");
        echoes.gone(&path, now);
        assert!(echoes.is_ours(&path, None, now) && !echoes.is_ours(&path, None, now));
    }

    #[test]
    fn each_removal_explains_one_notice_and_none_that_comes_long_after_what_followed_it() {
        let (mut echoes, path, now) = (Echoes::new(), VPath::parse("a").unwrap(), Instant::now());
        echoes.gone(&path, now);
        echoes.gone(&path, now);
        echoes.outcome(&path, &attr(3));
        echoes.gone(&path, now);
        assert!(echoes.is_ours(&path, None, now) && echoes.is_ours(&path, None, now));
        assert!(echoes.is_ours(&path, Some(&attr(3)), now));
        assert!(echoes.is_ours(&path, None, now) && !echoes.is_ours(&path, None, now));
        echoes.gone(&path, now);
        echoes.outcome(&path, &attr(4));
        let later = now + GONE_PATIENCE;
        assert!(echoes.is_ours(&path, Some(&attr(4)), later));
        assert!(
            !echoes.is_ours(&path, None, later),
            "the removal before was never told: this is somebody else's"
        );
    }

    #[test]
    fn a_notice_may_tell_of_a_later_state_than_its_own() {
        let (mut echoes, path, now) = (Echoes::new(), VPath::parse("a").unwrap(), Instant::now());
        echoes.made(&path, &attr(1));
        echoes.gone(&path, now);
        echoes.made(&path, &attr(2));
        // The first was looked up when the second was there already.
        assert!(echoes.is_ours(&path, Some(&attr(2)), now));
        assert!(echoes.is_ours(&path, None, now) && !echoes.is_ours(&path, None, now));
    }

    #[test]
    fn what_is_older_than_what_we_made_is_of_what_stood_there_before() {
        let (mut echoes, path, now) = (Echoes::new(), VPath::parse("a").unwrap(), Instant::now());
        echoes.made(&path, &attr(5));
        assert!(echoes.is_ours(&path, Some(&attr(4)), now) && echoes.is_ours(&path, Some(&attr(5)), now));
        assert!(!echoes.is_ours(&path, Some(&attr(6)), now));
    }

    #[test]
    fn what_we_put_there_is_known_in_every_state_until_it_is_taken_away() {
        let (mut echoes, path, now) = (Echoes::new(), VPath::parse("a").unwrap(), Instant::now());
        echoes.made(&path, &attr(1));
        assert!(echoes.is_placed(&path, &attr(2)));
        echoes.taken(&path);
        assert!(!echoes.is_placed(&path, &attr(2)));
        echoes.placed(&path, &attr(3));
        echoes.gone(&path, now);
        assert!(!echoes.is_placed(&path, &attr(3)));
    }

    #[test]
    fn while_we_change_a_name_its_notices_are_ours() {
        let (mut echoes, path, now) = (Echoes::new(), VPath::parse("a").unwrap(), Instant::now());
        echoes.begin(&path);
        echoes.begin(&VPath::parse("A").unwrap());
        echoes.end(&path);
        assert!(echoes.is_ours(&path, Some(&attr(1)), now));
        echoes.end(&path);
        assert!(!echoes.is_ours(&path, Some(&attr(1)), now));
    }
}
