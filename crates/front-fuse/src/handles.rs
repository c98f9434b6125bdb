//! What the kernel has open, by numbers that are never used twice.

use crate::serve::Walk;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use vfs::Open;

#[derive(Clone)]
pub(crate) enum Handle {
    File(Arc<Open>),
    Dir(Arc<Walk>),
}

#[derive(Default)]
pub(crate) struct Handles {
    all: RwLock<HashMap<u64, Handle>>,
    last: AtomicU64,
}

impl Handles {
    pub(crate) fn add(&self, handle: Handle) -> u64 {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.all.write().insert(number, handle);
        number
    }

    pub(crate) fn file(&self, number: u64) -> Option<Arc<Open>> {
        match self.all.read().get(&number)? {
            Handle::File(open) => Some(open.clone()),
            Handle::Dir(_) => None,
        }
    }

    pub(crate) fn dir(&self, number: u64) -> Option<Arc<Walk>> {
        match self.all.read().get(&number)? {
            Handle::Dir(walk) => Some(walk.clone()),
            Handle::File(_) => None,
        }
    }

    pub(crate) fn remove(&self, number: u64) -> Option<Handle> {
        self.all.write().remove(&number)
    }
}
