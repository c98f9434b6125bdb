//! How much there may be of what costs memory, over a volume and of each account: none may have so much that nothing is
//! left for others. Of opens that is half, since programs that serve many hold very many; of all else an eighth, so that
//! nor do a few together.
//!
//! | what is counted | where there is no room for more |
//! |---|---|
//! | opens, those that are being made among them | a further one is refused |
//! | byte-range locks, those that are waited for among them | a further one is refused |
//! | changes that watchers have not fetched, bytes | they are lost: who should hear of them lists again (`notify`) |
//! | entries that listings keep between two answers | they are read again for the next (`cursor`) |
//!
//! Opens are counted where the registry is locked; an open takes the rest from its [`Account`], which it has at hand.

use crate::{Error, Limits, Result};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    Opens,
    Locks,
    ChangeBytes,
    ListedEntries,
}

const WHATS: usize = 4;

impl What {
    /// As limits are named: of a volume, of an account.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            What::Opens => ("opens", "opens of one account"),
            What::Locks => ("locks", "locks of one account"),
            What::ChangeBytes => ("changes to tell", "changes to tell to one account"),
            What::ListedEntries => ("listings under way", "listings of one account under way"),
        }
    }
}

/// How much of each there is, and may be.
#[derive(Debug)]
struct Counts([Count; WHATS]);

#[derive(Debug)]
struct Count {
    there: AtomicUsize,
    most: usize,
}

impl Counts {
    fn new(most: [usize; WHATS]) -> Counts {
        Counts(most.map(|most| Count { there: AtomicUsize::new(0), most }))
    }

    fn has_room(&self, what: What) -> bool {
        let count = &self.0[what as usize];
        count.there.load(Ordering::Relaxed) < count.most
    }

    fn is_empty(&self, what: What) -> bool {
        self.0[what as usize].there.load(Ordering::Relaxed) == 0
    }

    /// Whatever is there.
    fn add(&self, what: What, amount: usize) {
        self.0[what as usize].there.fetch_add(amount, Ordering::Relaxed);
    }

    /// Where it fits in.
    fn take(&self, what: What, amount: usize) -> bool {
        let Count { there, most } = &self.0[what as usize];
        let more = |there: usize| there.checked_add(amount).filter(|sum| sum <= most);
        there.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn give_back(&self, what: What, amount: usize) {
        let before = self.0[what as usize].there.fetch_sub(amount, Ordering::Relaxed);
        debug_assert!(before >= amount, "more is given back than was taken");
    }
}

/// One account, and the volume behind it.
#[derive(Debug)]
pub(crate) struct Account {
    volume: Arc<Counts>,
    own: Counts,
}

impl Account {
    fn check(&self, what: What) -> Result<()> {
        let (of_volume, of_account) = what.names();
        if !self.volume.has_room(what) {
            return Err(Error::LimitReached(of_volume));
        }
        if self.own.has_room(what) { Ok(()) } else { Err(Error::LimitReached(of_account)) }
    }

    fn add(&self, what: What, amount: usize) {
        self.volume.add(what, amount);
        self.own.add(what, amount);
    }

    /// Takes so much, where that leaves room for others; to be given back.
    pub(crate) fn take(&self, what: What, amount: usize) -> Result<()> {
        let (of_volume, of_account) = what.names();
        if !self.own.take(what, amount) {
            return Err(Error::LimitReached(of_account));
        }
        if !self.volume.take(what, amount) {
            self.own.give_back(what, amount);
            return Err(Error::LimitReached(of_volume));
        }
        Ok(())
    }

    pub(crate) fn give_back(&self, what: What, amount: usize) {
        if amount == 0 {
            return;
        }
        self.own.give_back(what, amount);
        self.volume.give_back(what, amount);
    }

    /// The same as [`Account::take`], until it is dropped.
    pub(crate) fn room(self: &Arc<Self>, what: What, amount: usize) -> Result<Room> {
        self.take(what, amount)?;
        Ok(Room { account: self.clone(), what, amount })
    }
}

/// What was taken from an account.
#[derive(Debug)]
pub(crate) struct Room {
    account: Arc<Account>,
    what: What,
    amount: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.account.give_back(self.what, self.amount);
    }
}

/// Those that have opens.
#[derive(Debug)]
pub(crate) struct Accounts {
    by_name: HashMap<Arc<str>, Arc<Account>>,
    /// Of opens without one: only the volume bounds it.
    nobodys: Arc<Account>,
    /// How much each may have.
    most: [usize; WHATS],
}

impl Accounts {
    pub(crate) fn new(limits: &Limits) -> Accounts {
        let of_volume = [limits.opens, limits.locks, limits.notify_bytes, limits.listed_entries];
        let volume = Arc::new(Counts::new(of_volume));
        let nobodys = Arc::new(Account { volume, own: Counts::new([usize::MAX; WHATS]) });
        let most = [
            limits.opens_per_account,
            limits.locks_per_account,
            limits.notify_bytes_per_account,
            limits.listed_entries_per_account,
        ];
        Accounts { by_name: HashMap::new(), nobodys, most }
    }

    /// Whether there is room for one more open, on this account where there is one.
    pub(crate) fn check(&self, name: Option<&Arc<str>>) -> Result<()> {
        let account = name.and_then(|name| self.by_name.get(name));
        account.unwrap_or(&self.nobodys).check(What::Opens)
    }

    pub(crate) fn add(&mut self, name: Option<&Arc<str>>) {
        let account = match name {
            None => &self.nobodys,
            Some(name) => self.by_name.entry(name.clone()).or_insert_with(|| {
                let volume = self.nobodys.volume.clone();
                Arc::new(Account { volume, own: Counts::new(self.most) })
            }),
        };
        account.add(What::Opens, 1);
    }

    pub(crate) fn remove(&mut self, name: Option<&Arc<str>>) {
        let account = self.of(name);
        account.give_back(What::Opens, 1);
        // What is left of it goes with the opens that are ending.
        if let Some(name) = name
            && account.own.is_empty(What::Opens)
        {
            self.by_name.remove(name);
        }
    }

    /// Of an open that is there.
    pub(crate) fn of(&self, name: Option<&Arc<str>>) -> Arc<Account> {
        name.and_then(|name| self.by_name.get(name)).unwrap_or(&self.nobodys).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a volume is served where nothing else is said.
    #[test]
    fn seven_who_take_all_that_they_can_leave_room_for_others() {
        let mut accounts = Accounts::new(&Limits::default());
        let mut account = |name: &str| {
            let name: Arc<str> = name.into();
            accounts.add(Some(&name));
            accounts.of(Some(&name))
        };
        for what in [What::Locks, What::ChangeBytes, What::ListedEntries] {
            for greedy in ["a", "b", "c", "d", "e", "f", "g"] {
                let greedy = account(greedy);
                let most = greedy.own.0[what as usize].most;
                greedy.take(what, most).unwrap();
                assert!(greedy.take(what, 1).is_err());
            }
            account("other").take(what, 1000).unwrap();
        }
    }
}
