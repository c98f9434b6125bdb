//! Telling what others change from the echo of what we change.
//!
//! A volume may report our own changes back. A watcher must hear of each once, and what is known of names must
//! not go back to a state in between. So a name is marked while we change it, and what came of it is kept:
//! a notice for a marked name, or with exactly that outcome, is ours. Plain state.

use crate::names;
use lru::LruCache;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use volume::{Attr, FileId, Time, VPath, Version};

/// Outcomes remembered; the oldest go first.
const OUTCOMES_MAX: NonZeroUsize = NonZeroUsize::new(8192).expect("not zero");

/// What a name stood for after our change.
type Outcome = Option<(FileId, Version, Time)>;

#[derive(Debug)]
pub(crate) struct Echoes {
    changing: HashMap<String, usize>,
    outcomes: LruCache<String, Outcome>,
}

impl Echoes {
    pub(crate) fn new() -> Echoes {
        Echoes { changing: HashMap::new(), outcomes: LruCache::new(OUTCOMES_MAX) }
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

    /// What came of it; `None` is gone.
    pub(crate) fn outcome(&mut self, path: &VPath, attr: Option<&Attr>) {
        self.outcomes.put(key(path), attr.map(state));
    }

    /// Whether a notice about this name tells nothing new.
    pub(crate) fn is_ours(&mut self, path: &VPath, attr: Option<&Attr>) -> bool {
        let key = key(path);
        self.changing.contains_key(&key) || self.outcomes.peek(&key) == Some(&attr.map(state))
    }
}

fn key(path: &VPath) -> String {
    names::fold(path.as_str()).into_owned()
}

fn state(attr: &Attr) -> (FileId, Version, Time) {
    (attr.id, attr.version, attr.ctime)
}
