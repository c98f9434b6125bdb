//! One async lock for each name that is being worked on, so that two who make the same name do not both
//! make it.
//!
//! Keys are folded paths: `A` and `a` are one name here. Plain opens share the lock, whatever makes, moves or
//! removes a name holds it alone. A lock lives as long as somebody holds it or waits for it. Two locks are
//! taken in the order of their keys ([`NameLocks::both`]).

use crate::names;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use volume::VPath;

/// Maps that the locks are spread over, to keep one from being fought for.
const SHARDS: usize = 16;

type Shard = Mutex<HashMap<String, Arc<RwLock<()>>>>;

#[derive(Debug, Default)]
pub(crate) struct NameLocks {
    shards: [Shard; SHARDS],
    hasher: RandomState,
}

/// Holds one name.
pub(crate) struct NameGuard {
    locks: Arc<NameLocks>,
    key: String,
    held: Option<Held>,
}

enum Held {
    Shared { _guard: OwnedRwLockReadGuard<()> },
    Alone { _guard: OwnedRwLockWriteGuard<()> },
}

impl NameLocks {
    fn shard(&self, key: &str) -> &Shard {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    fn guard(self: &Arc<Self>, key: String) -> (NameGuard, Arc<RwLock<()>>) {
        let lock = self.shard(&key).lock().entry(key.clone()).or_default().clone();
        // Made before waiting: a waiter that is dropped clears up too.
        (NameGuard { locks: self.clone(), key, held: None }, lock)
    }

    /// Beside other plain opens of the name.
    pub(crate) async fn shared(self: &Arc<Self>, path: &VPath) -> NameGuard {
        let (mut guard, lock) = self.guard(names::fold(path.as_str()).into_owned());
        guard.held = Some(Held::Shared { _guard: lock.read_owned().await });
        guard
    }

    /// The name alone.
    pub(crate) async fn alone(self: &Arc<Self>, path: &VPath) -> NameGuard {
        self.take(names::fold(path.as_str()).into_owned()).await
    }

    async fn take(self: &Arc<Self>, key: String) -> NameGuard {
        let (mut guard, lock) = self.guard(key);
        guard.held = Some(Held::Alone { _guard: lock.write_owned().await });
        guard
    }

    /// Two names alone, in the order that all take them; one guard when they are the same name.
    pub(crate) async fn both(self: &Arc<Self>, a: &VPath, b: &VPath) -> (NameGuard, Option<NameGuard>) {
        let (a, b) = (names::fold(a.as_str()).into_owned(), names::fold(b.as_str()).into_owned());
        match a.cmp(&b) {
            std::cmp::Ordering::Equal => (self.take(a).await, None),
            std::cmp::Ordering::Less => (self.take(a).await, Some(self.take(b).await)),
            std::cmp::Ordering::Greater => (self.take(b).await, Some(self.take(a).await)),
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}

impl Drop for NameGuard {
    fn drop(&mut self) {
        self.held = None;
        let mut shard = self.locks.shard(&self.key).lock();
        // Clones are made under this mutex only: a count of one is nobody but the map.
        if shard.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            shard.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    fn path(text: &str) -> VPath {
        VPath::parse(text).unwrap()
    }

    #[tokio::test]
    async fn one_name_in_two_spellings_is_one_lock_and_nothing_is_left_behind() {
        let locks = Arc::new(NameLocks::default());
        let alone = locks.alone(&path("a/File")).await;
        let (again, lower) = (path("A/fILE"), path("a/file"));
        let mut second = Box::pin(locks.alone(&again));
        let mut third = Box::pin(locks.shared(&lower));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        assert!(third.as_mut().poll(&mut cx).is_pending());
        drop(second);
        drop(alone);
        let Poll::Ready(held) = third.as_mut().poll(&mut cx) else { panic!("still held") };
        let beside = locks.shared(&lower).await;
        assert_eq!(locks.len(), 1);
        drop((held, beside, third));
        assert_eq!(locks.len(), 0);
    }

    #[tokio::test]
    async fn two_names_are_taken_in_one_order_whoever_asks() {
        let locks = Arc::new(NameLocks::default());
        let mut tasks = Vec::new();
        for i in 0..64 {
            let locks = locks.clone();
            tasks.push(tokio::spawn(async move {
                let (x, y) = if i % 2 == 0 { ("x", "y") } else { ("y", "x") };
                let _held = locks.both(&path(x), &path(y)).await;
                tokio::task::yield_now().await;
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let (_one, none) = locks.both(&path("same"), &path("SAME")).await;
        assert!(none.is_none());
    }
}
