//! Names that are being changed: what is written down of them must be in the order in which it happens.
//!
//! Whoever changes a name holds it alone, and the directories above it together with others. So two changes of one name, or of a
//! directory and of something in it, come one after the other; all else goes on at the same time.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Notify;
use volume::VPath;

#[derive(Default)]
pub struct Names {
    held: Mutex<HashMap<VPath, Held>>,
    released: Notify,
}

#[derive(Default, Clone, Copy)]
struct Held {
    alone: bool,
    /// How many changes are under way below.
    together: u32,
}

/// Names that are held; dropping it gives them back.
pub struct Holding {
    names: Arc<Names>,
    alone: Vec<VPath>,
    together: Vec<VPath>,
}

impl Names {
    /// Waits until nobody else is at `paths`, above or below them.
    pub async fn hold(self: &Arc<Names>, paths: &[&VPath]) -> Holding {
        let mut alone: Vec<VPath> = paths.iter().map(|path| (*path).clone()).collect();
        alone.sort();
        alone.dedup();
        let mut together: Vec<VPath> = alone.iter().flat_map(ancestors).collect();
        together.sort();
        together.dedup();
        // Where one is above the other, it is held alone.
        together.retain(|path| alone.binary_search(path).is_err());
        loop {
            let released = self.released.notified();
            tokio::pin!(released);
            released.as_mut().enable();
            if self.try_hold(&alone, &together) {
                return Holding { names: self.clone(), alone, together };
            }
            released.await;
        }
    }

    fn try_hold(&self, alone: &[VPath], together: &[VPath]) -> bool {
        let mut held = self.held.lock();
        let is_free = |path: &VPath| held.get(path).is_none_or(|held| !held.alone && held.together == 0);
        let is_shared = |path: &VPath| held.get(path).is_none_or(|held| !held.alone);
        if !alone.iter().all(is_free) || !together.iter().all(is_shared) {
            return false;
        }
        for path in alone {
            held.entry(path.clone()).or_default().alone = true;
        }
        for path in together {
            held.entry(path.clone()).or_default().together += 1;
        }
        true
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let mut held = self.names.held.lock();
        for path in &self.alone {
            held.remove(path);
        }
        for path in &self.together {
            let Some(one) = held.get_mut(path) else { continue };
            one.together -= 1;
            if one.together == 0 {
                held.remove(path);
            }
        }
        drop(held);
        self.names.released.notify_waiters();
    }
}

fn ancestors(path: &VPath) -> impl Iterator<Item = VPath> + use<> {
    std::iter::successors(path.parent(), VPath::parent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn path(text: &str) -> VPath {
        VPath::parse(text).unwrap()
    }

    /// Whether `second` may begin while `first` is held.
    fn check(first: &[&str], second: &[&str], expect: bool) {
        let names = Arc::new(Names::default());
        let hold = |paths: &[&str]| {
            let paths: Vec<VPath> = paths.iter().map(|text| path(text)).collect();
            names.hold(&paths.iter().collect::<Vec<_>>()).now_or_never()
        };
        let holding = hold(first).expect("nothing is held");
        assert_eq!(hold(second).is_some(), expect, "{first:?} then {second:?}");
        drop(holding);
        assert!(hold(second).is_some());
        assert!(names.held.lock().is_empty());
    }

    #[test]
    fn who_waits_for_whom() {
        check(&["a"], &["a"], false);
        check(&["a"], &["b"], true);
        check(&["a/b"], &["a/c"], true);
        check(&["a"], &["a/b/c"], false);
        check(&["a/b/c"], &["a"], false);
        check(&["a/b", "c/d"], &["c"], false);
        check(&["a", "a/b"], &["a/b"], false);
        check(&["a"], &["ab"], true);
    }

    #[tokio::test]
    async fn who_waits_comes_when_it_is_given_back() {
        let names = Arc::new(Names::default());
        let first = names.hold(&[&path("a")]).await;
        let second = tokio::spawn({
            let names = names.clone();
            async move { drop(names.hold(&[&path("a/b")]).await) }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        second.await.unwrap();
    }
}
