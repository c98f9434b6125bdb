//! How much of all opens of a volume each account has: none may have so many that nothing is left for others. Plain state.

use std::collections::HashMap;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Accounts {
    counts: HashMap<Arc<str>, usize>,
    /// Each may have so many.
    most: usize,
}

impl Accounts {
    pub(crate) fn new(most: usize) -> Accounts {
        Accounts { counts: HashMap::new(), most }
    }

    pub(crate) fn has_room(&self, account: &str) -> bool {
        self.counts.get(account).is_none_or(|count| *count < self.most)
    }

    pub(crate) fn add(&mut self, account: &Arc<str>) {
        *self.counts.entry(account.clone()).or_default() += 1;
    }

    pub(crate) fn remove(&mut self, account: &str) {
        if let Some(count) = self.counts.get_mut(account) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(account);
            }
        }
    }
}
