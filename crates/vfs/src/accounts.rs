//! How many opens there are, over a volume and of each account, those that are being made among them: none may have so
//! many that nothing is left for others. Plain state.

use crate::{Error, Limits, Result};
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Accounts {
    all: usize,
    counts: HashMap<Arc<str>, usize>,
    most_of_all: usize,
    /// Each account may have so many.
    most: usize,
}

impl Accounts {
    pub(crate) fn new(limits: &Limits) -> Accounts {
        let (most_of_all, most) = (limits.opens, limits.opens_per_account);
        Accounts { all: 0, counts: HashMap::new(), most_of_all, most }
    }

    /// Whether there is room for one more, on this account where there is one.
    pub(crate) fn check(&self, account: Option<&Arc<str>>) -> Result<()> {
        if self.all >= self.most_of_all {
            return Err(Error::LimitReached("opens"));
        }
        let has = account.and_then(|account| self.counts.get(account));
        match has.is_none_or(|count| *count < self.most) {
            true => Ok(()),
            false => Err(Error::LimitReached("opens of one account")),
        }
    }

    pub(crate) fn add(&mut self, account: Option<&Arc<str>>) {
        self.all += 1;
        if let Some(account) = account {
            *self.counts.entry(account.clone()).or_default() += 1;
        }
    }

    pub(crate) fn remove(&mut self, account: Option<&Arc<str>>) {
        self.all -= 1;
        let Some(account) = account else { return };
        if let Some(count) = self.counts.get_mut(account) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(account);
            }
        }
    }
}
