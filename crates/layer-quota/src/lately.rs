//! Directories that were made or moved by way of this volume just now. What an origin finds in such before it watches them
//! it tells as anybody's doing: it is ours, or was counted where it came from.

use crate::config::{LATELY, LATELY_MAX};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use tokio::time::Instant;
use volume::VPath;

#[derive(Default)]
pub(crate) struct Lately(Mutex<Dirs>);

#[derive(Default)]
struct Dirs {
    in_order: VecDeque<(Instant, VPath)>,
    /// How often each stands there.
    times: HashMap<VPath, usize>,
}

impl Dirs {
    fn forget(&mut self, now: Instant) {
        let is_over = |dirs: &Dirs| {
            let oldest = dirs.in_order.front();
            dirs.in_order.len() > LATELY_MAX || oldest.is_some_and(|(at, _)| now.duration_since(*at) > LATELY)
        };
        while is_over(self) {
            let Some((_, dir)) = self.in_order.pop_front() else { return };
            if let Some(times) = self.times.get_mut(&dir) {
                *times -= 1;
                if *times == 0 {
                    self.times.remove(&dir);
                }
            }
        }
    }
}

impl Lately {
    pub(crate) fn note(&self, dir: &VPath) {
        let (now, mut dirs) = (Instant::now(), self.0.lock());
        dirs.in_order.push_back((now, dir.clone()));
        *dirs.times.entry(dir.clone()).or_default() += 1;
        dirs.forget(now);
    }

    /// Whether it is one of them, or lies below.
    pub(crate) fn has(&self, path: &VPath) -> bool {
        let mut dirs = self.0.lock();
        dirs.forget(Instant::now());
        std::iter::successors(Some(path.clone()), VPath::parent).any(|dir| dirs.times.contains_key(&dir))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn path(text: &str) -> VPath {
        VPath::parse(text).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_lies_below_is_ours_for_a_while() {
        let lately = Lately::default();
        lately.note(&path("a/b"));
        assert!(lately.has(&path("a/b")) && lately.has(&path("a/b/c/d")));
        assert!(!lately.has(&path("a")) && !lately.has(&path("a/bc")) && !lately.has(&path("")));
        tokio::time::advance(LATELY / 2).await;
        lately.note(&path("a/b"));
        tokio::time::advance(LATELY / 2 + Duration::from_millis(1)).await;
        assert!(lately.has(&path("a/b/c")), "it was noted once more");
        tokio::time::advance(LATELY / 2).await;
        assert!(!lately.has(&path("a/b/c")));
        assert!(lately.0.lock().times.is_empty());
        for number in 0..=LATELY_MAX {
            lately.note(&path(&number.to_string()));
        }
        assert!(!lately.has(&path("0")) && lately.has(&path("1")));
    }
}
