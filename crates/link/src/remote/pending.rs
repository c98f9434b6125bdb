//! The caller's memory: calls that wait for their answers.

use crate::{LinkError, Message, Mode};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::Notify;

/// One waiting call.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: u64,
    pub(super) answer: Mutex<Option<Result<Message, LinkError>>>,
    /// The answer is there, or a connection ended.
    pub(super) wake: Notify,
}

/// The waiting calls to one peer. Ids are never used twice in a process.
#[derive(Debug, Default)]
pub(super) struct Pending {
    calls: HashMap<u64, Arc<Waiting>>,
    once: BTreeSet<u64>,
    last: u64,
}

impl Pending {
    pub(super) fn register(&mut self, mode: Mode) -> Arc<Waiting> {
        self.last += 1;
        let id = self.last;
        if mode == Mode::Once {
            self.once.insert(id);
        }
        let call = Arc::new(Waiting { id, answer: Mutex::new(None), wake: Notify::new() });
        self.calls.insert(id, call.clone());
        call
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.once.remove(&id);
        self.calls.remove(&id);
    }

    pub(super) fn get(&self, id: u64) -> Option<&Arc<Waiting>> {
        self.calls.get(&id)
    }

    /// The oldest unanswered `Once` call, or the next id when there is none: no older answer is needed.
    pub(super) fn floor(&self) -> u64 {
        self.once.first().copied().unwrap_or(self.last + 1)
    }

    pub(super) fn wake_all(&self) {
        self.calls.values().for_each(|call| call.wake.notify_one());
    }

    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_the_oldest_once_call() {
        let mut pending = Pending::default();
        assert_eq!(pending.floor(), 1);
        pending.register(Mode::Repeatable);
        let first = pending.register(Mode::Once).id;
        let second = pending.register(Mode::Once).id;
        assert_eq!(pending.floor(), first);
        pending.remove(first);
        assert_eq!(pending.floor(), second);
        pending.remove(second);
        assert_eq!((pending.floor(), pending.len()), (second + 1, 1));
    }
}
