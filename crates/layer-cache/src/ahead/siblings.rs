//! Small files read one after another: which siblings come next. Pure.
//!
//! Copying a directory, building, opening a project: a client reads many small files of one directory, and
//! each costs a round trip when it is asked for alone. After [`RUN_READS`] of them the next siblings in listing
//! order are fetched whole. How far this runs ahead of the client is bounded by files and by bytes that were
//! fetched and not read yet: when the client stops, so does this.

use crate::SIBLINGS_AHEAD_MAX;
use lru::LruCache;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use volume::VPath;

/// Different small files of one directory that make a run.
const RUN_READS: usize = 2;
/// A run ends when nothing was read for so long; what was fetched and not read is no longer counted then.
const RUN_PAUSE: Duration = Duration::from_secs(10);
/// Directories that are watched at the same time.
const RUNS_MAX: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");

/// The runs of a volume.
#[derive(Debug)]
pub(crate) struct Siblings {
    runs: LruCache<VPath, Run>,
}

#[derive(Debug)]
struct Run {
    /// Different files read in a row.
    reads: usize,
    last_read: Instant,
    last_name: Arc<str>,
    /// Fetched ahead, not read yet, with their sizes.
    ahead: HashMap<Arc<str>, u64>,
    ahead_bytes: u64,
    /// Where fetching ahead goes on: behind this name.
    frontier: Arc<str>,
}

/// What may be fetched now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Siblings behind this name, in listing order.
    pub after: Arc<str>,
    pub files: usize,
    pub bytes: u64,
}

impl Siblings {
    pub(crate) fn new() -> Siblings {
        Siblings { runs: LruCache::new(RUNS_MAX) }
    }

    /// Somebody reads the small file `name` of `dir`; `window` is how many bytes may be ahead.
    pub(crate) fn on_read(&mut self, dir: &VPath, name: &str, window: u64, now: Instant) -> Option<Wanted> {
        let name: Arc<str> = name.into();
        let new = || Run {
            reads: 0,
            last_read: now,
            last_name: "".into(),
            ahead: HashMap::new(),
            ahead_bytes: 0,
            frontier: name.clone(),
        };
        let run = self.runs.get_or_insert_mut(dir.clone(), new);
        if now - run.last_read > RUN_PAUSE {
            *run = new();
        }
        run.last_read = now;
        if run.last_name != name {
            run.reads += 1;
            run.last_name = name.clone();
        }
        match run.ahead.remove(&name) {
            Some(bytes) => run.ahead_bytes -= bytes,
            // Not foreseen: the client is somewhere else, ahead of us or in another order.
            None => run.frontier = name,
        }
        let files = SIBLINGS_AHEAD_MAX.saturating_sub(run.ahead.len());
        let bytes = window.saturating_sub(run.ahead_bytes);
        (run.reads >= RUN_READS && files > 0 && bytes > 0).then(|| Wanted {
            after: run.frontier.clone(),
            files,
            bytes,
        })
    }

    /// The caller looked at `name` as a next sibling: `Some(size)` when it fetches it.
    pub(crate) fn passed(&mut self, dir: &VPath, name: &Arc<str>, fetched: Option<u64>) {
        let Some(run) = self.runs.peek_mut(dir) else { return };
        run.frontier = name.clone();
        if let Some(bytes) = fetched {
            let before = run.ahead.insert(name.clone(), bytes).unwrap_or(0);
            run.ahead_bytes = run.ahead_bytes + bytes - before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = 4 << 20;

    fn p(text: &str) -> VPath {
        VPath::parse(text).unwrap()
    }

    fn name(n: usize) -> Arc<str> {
        format!("f{n:04}").into()
    }

    /// Reads files in `order`, fetching what is wanted from a directory of 1000 files of 64 KiB; returns how
    /// many were there already when they were read, and how many were fetched for nothing.
    fn play(order: impl Iterator<Item = usize>) -> (usize, usize) {
        let (mut siblings, now, dir) = (Siblings::new(), Instant::now(), p("d"));
        let (mut here, mut hits) = (std::collections::BTreeSet::new(), 0);
        for n in order {
            hits += usize::from(here.remove(&n));
            let Some(wanted) = siblings.on_read(&dir, &name(n), WINDOW, now) else { continue };
            let first: usize = wanted.after[1..].parse().unwrap();
            let count = wanted.files.min((wanted.bytes / 65536) as usize);
            for next in (first + 1..1000).take(count) {
                siblings.passed(&dir, &name(next), Some(65536));
                here.insert(next);
                assert!(here.len() <= SIBLINGS_AHEAD_MAX, "bounded");
            }
        }
        (hits, here.len())
    }

    #[test]
    fn files_in_order_are_foreseen_from_the_third_on() {
        assert_eq!(play(0..1000), (998, 0));
    }

    #[test]
    fn two_steps_at_a_time_are_foreseen_as_well() {
        let (hits, unused) = play((0..1000).step_by(2));
        assert!(hits > 30 && unused <= SIBLINGS_AHEAD_MAX, "{hits} {unused}");
    }

    #[test]
    fn one_file_read_again_and_again_is_no_run() {
        let (mut siblings, now) = (Siblings::new(), Instant::now());
        for _ in 0..10 {
            assert_eq!(siblings.on_read(&p("d"), "one", WINDOW, now), None);
        }
    }

    #[test]
    fn a_pause_ends_the_run() {
        let (mut siblings, now) = (Siblings::new(), Instant::now());
        siblings.on_read(&p("d"), "a", WINDOW, now);
        assert_eq!(siblings.on_read(&p("d"), "b", WINDOW, now + RUN_PAUSE * 2), None);
        assert!(siblings.on_read(&p("d"), "c", WINDOW, now + RUN_PAUSE * 2).is_some());
    }
}
