//! What changed lately, so that an answer that was on its way meanwhile is not believed. Pure.
//!
//! An answer may be cached as trusted only when nothing about its path changed since it was asked for. Each
//! change (a notice, one of our own) leaves a touch with the time on the tree's clock; a request remembers the
//! clock at its start and looks for later touches at its end.

use std::collections::VecDeque;
use volume::VPath;

/// Touches that are remembered. A request that is older than the oldest counts as touched.
const TOUCHES_MAX: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct Touches {
    last: VecDeque<(u64, VPath)>,
    /// Clock of the newest touch that was forgotten.
    forgotten: u64,
}

impl Touches {
    /// `path`, and what is below it, changed.
    pub(crate) fn add(&mut self, clock: u64, path: VPath) {
        self.last.push_back((clock, path));
        if self.last.len() > TOUCHES_MAX
            && let Some((clock, _)) = self.last.pop_front()
        {
            self.forgotten = clock;
        }
    }

    fn since(&self, asked: u64) -> impl Iterator<Item = &VPath> {
        self.last.iter().rev().take_while(move |(clock, _)| *clock > asked).map(|(_, path)| path)
    }

    /// Whether attributes of `path`, asked for at `asked`, may be old.
    pub(crate) fn about(&self, path: &VPath, asked: u64) -> bool {
        // A change of a name changes the times of its directory.
        let touched = |touch: &VPath| path.is_within(touch) || touch.parent().as_ref() == Some(path);
        self.forgotten > asked || self.since(asked).any(touched)
    }

    /// Whether a listing of `dir`, asked for at `asked`, may be old: something about the directory, one of
    /// its entries or the times of one that is a directory.
    pub(crate) fn about_listing(&self, dir: &VPath, asked: u64) -> bool {
        let touched = |touch: &VPath| {
            let parent = touch.parent();
            dir.is_within(touch)
                || parent.as_ref() == Some(dir)
                || parent.and_then(|parent| parent.parent()).as_ref() == Some(dir)
        };
        self.forgotten > asked || self.since(asked).any(touched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(text: &str) -> VPath {
        VPath::parse(text).unwrap()
    }

    #[test]
    fn a_touch_concerns_what_it_can_change() {
        let mut touches = Touches::default();
        touches.add(10, p("a/b"));
        let about = |path: &str| touches.about(&p(path), 9);
        assert!(about("a/b") && about("a/b/c") && about("a"), "itself, below, its directory's times");
        assert!(!about("a/c") && !about("") && !about("ab"));
        let listing = |path: &str| touches.about_listing(&p(path), 9);
        assert!(listing("a/b") && listing("a/b/c") && listing("a") && listing(""), "the root lists `a`");
        assert!(!listing("c"));
        assert!(!touches.about(&p("a/b"), 10), "asked for afterwards");
    }

    #[test]
    fn a_request_older_than_memory_counts_as_touched() {
        let mut touches = Touches::default();
        for clock in 1..=TOUCHES_MAX as u64 + 1 {
            touches.add(clock, p("x"));
        }
        assert!(touches.about(&p("y"), 0) && !touches.about(&p("y"), 1));
    }
}
