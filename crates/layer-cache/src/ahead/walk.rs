//! Directories listed one after another (`ls -lR`, a backup, an indexer): whether it is a walk. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};
use volume::VPath;

/// Listings in a row, each of a directory related to one before, that make a walk.
const WALK_LISTINGS: usize = 3;
/// Listings that are remembered.
const MEMORY: usize = 16;
/// Listings further apart are no walk.
const PAUSE: Duration = Duration::from_secs(3);

/// The last listings that clients asked for.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    last: VecDeque<VPath>,
    run: usize,
    at: Option<Instant>,
}

impl Walk {
    /// A client lists `dir`; says whether it is walking.
    pub(crate) fn on_list(&mut self, dir: &VPath, now: Instant) -> bool {
        if self.at.is_some_and(|at| now - at > PAUSE) {
            *self = Walk::default();
        }
        self.at = Some(now);
        let parent = dir.parent();
        let related = |seen: &VPath| {
            seen != dir && parent.as_ref().is_some_and(|p| p == seen || seen.parent().as_ref() == Some(p))
        };
        if self.last.contains(dir) {
            return self.run >= WALK_LISTINGS;
        }
        self.run = if self.last.is_empty() || self.last.iter().any(related) { self.run + 1 } else { 1 };
        self.last.push_back(dir.clone());
        if self.last.len() > MEMORY {
            self.last.pop_front();
        }
        self.run >= WALK_LISTINGS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dirs: &[&str], walks: bool) {
        let (mut walk, now) = (Walk::default(), Instant::now());
        let mut last = false;
        for dir in dirs {
            last = walk.on_list(&VPath::parse(dir).unwrap(), now);
        }
        assert_eq!(last, walks, "{dirs:?}");
    }

    #[test]
    fn children_and_siblings_make_a_walk() {
        check(&["", "a", "a/b"], true);
        check(&["d", "d/1", "d/2"], true);
        check(&["d", "d/1", "d/1/x", "d/2"], true);
    }

    #[test]
    fn the_same_or_unrelated_directories_do_not() {
        check(&["a", "a", "a", "a"], false);
        check(&["a/b", "c/d", "e/f"], false);
    }
}
