//! The files that something is done with just now, each with its lock and what it counts for.
//!
//! A [`Charged`] lives while a handle or a call holds it. What changes the size, the owner or the existence of a file
//! holds its lock for writing, from the look at what the file counts for until it is known what came of the change; a
//! write within the size holds it for reading, and touches no books.
//!
//! **What it counts for** is looked for once, by who first holds the lock for writing with a name of the file in hand.
//! It is not known when the file has moved before that, as it may have before a `reopen`: then the file is left out of the
//! books, which is a doubt, until a count comes by.
//!
//! **The end of a file.** Who takes the last name says so ([`Locked::unlinked`]); what the file counts for goes when the
//! last holder does. A file system may give its number to another file then: who comes upon one that has a name begins
//! anew.
//!
//! **Lock order**: files in the order of their ids, names (`names.rs`), then one of: table, ledger, places of the count
//! (`count.rs`), directories of late. Nothing waits while it holds one of the last four; from the table one may go to the ledger.

use crate::ledger::{Charge, Ledger};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock, RwLockReadGuard};
use volume::{Cx, Error, ErrorKind, FileId, Result};

pub(crate) struct Table {
    pub(crate) ledger: Arc<Ledger>,
    files: Mutex<HashMap<FileId, Weak<Charged>>>,
}

pub(crate) struct Charged {
    pub(crate) id: FileId,
    state: Arc<RwLock<State>>,
    table: Arc<Table>,
}

/// What is known of a file, under its lock.
#[derive(Default)]
pub(crate) struct State {
    known: Option<Known>,
    /// It has no name any more.
    unlinked: bool,
}

struct Known {
    /// The time of tracking of which this is.
    epoch: u64,
    charge: Charge,
}

/// A file that is locked for writing.
pub(crate) struct Locked {
    // In this order: the lock is given back before the last holder of a file cleans up.
    state: OwnedRwLockWriteGuard<State>,
    charged: Arc<Charged>,
}

impl Table {
    pub(crate) fn new(ledger: Arc<Ledger>) -> Arc<Table> {
        Arc::new(Table { ledger, files: Mutex::default() })
    }

    pub(crate) fn acquire(self: &Arc<Table>, id: FileId) -> Arc<Charged> {
        let mut files = self.files.lock();
        if let Some(charged) = files.get(&id).and_then(Weak::upgrade) {
            return charged;
        }
        let charged = Arc::new(Charged { id, state: Arc::default(), table: self.clone() });
        files.insert(id, Arc::downgrade(&charged));
        charged
    }

    /// All that somebody holds.
    pub(crate) fn held(&self) -> Vec<Arc<Charged>> {
        self.files.lock().values().filter_map(Weak::upgrade).collect()
    }
}

impl Charged {
    pub(crate) async fn read(&self, cx: &Cx, op: &'static str) -> Result<RwLockReadGuard<'_, State>> {
        // Nobody is in the way nearly always.
        match self.state.try_read() {
            Ok(state) => Ok(state),
            Err(_) => patiently(cx, op, self.state.read()).await,
        }
    }

    pub(crate) async fn lock(self: Arc<Charged>, cx: &Cx, op: &'static str) -> Result<Locked> {
        let state = patiently(cx, op, self.state.clone().write_owned()).await?;
        Ok(Locked { state, charged: self })
    }

    /// Without a deadline.
    pub(crate) async fn lock_in_background(self: Arc<Charged>) -> Locked {
        Locked { state: self.state.clone().write_owned().await, charged: self }
    }
}

/// A lock that the caller waits for until his deadline.
pub(crate) async fn patiently<T>(cx: &Cx, op: &'static str, lock: impl Future<Output = T>) -> Result<T> {
    let late = |_| Error::new(ErrorKind::TimedOut, op, "somebody else changes what has this name");
    tokio::time::timeout_at(cx.deadline.into(), lock).await.map_err(late)
}

impl State {
    /// Whether it is known what the file counts for, and that it is no other's.
    pub(crate) fn is_met(&self, epoch: u64) -> bool {
        epoch == 0 || (self.charge(epoch).is_some() && !self.unlinked)
    }

    /// Whether a write that ends here needs nothing but the origin.
    pub(crate) fn covers(&self, end: u64, epoch: u64) -> bool {
        epoch == 0 || self.charge(epoch).is_some_and(|charge| end <= charge.size)
    }

    fn charge(&self, epoch: u64) -> Option<&Charge> {
        self.known.as_ref().filter(|known| known.epoch == epoch && epoch != 0).map(|known| &known.charge)
    }
}

impl Locked {
    pub(crate) fn id(&self) -> FileId {
        self.charged.id
    }

    fn ledger(&self) -> &Ledger {
        &self.charged.table.ledger
    }

    pub(crate) fn is_met(&self) -> bool {
        self.state.is_met(self.ledger().epoch())
    }

    /// What the file counts for; `None` where that is not known, or where nothing is tracked.
    pub(crate) fn charge(&self) -> Option<&Charge> {
        self.state.charge(self.ledger().epoch())
    }

    fn know(&mut self, charge: Charge) {
        let epoch = self.ledger().epoch();
        self.state.known = Some(Known { epoch, charge }).filter(|known| known.epoch != 0);
    }

    /// The file is this now.
    pub(crate) fn settle(&mut self, now: Charge) {
        self.ledger().turn(self.id(), self.charge(), &now);
        self.know(now);
    }

    /// It has this size now, or a size nobody has told.
    pub(crate) fn settle_size(&mut self, size: Option<u64>) {
        match (size, self.charge()) {
            (Some(size), Some(charge)) if charge.size != size => {
                let owner = charge.owner.clone();
                self.settle(Charge { owner, size });
            }
            (Some(_), _) => {}
            (None, _) => self.ledger().doubt(),
        }
    }

    /// Makes the books say what the file is about to be, where it is known what it was; `QuotaExceeded` where that may
    /// not be.
    pub(crate) fn reserve(&mut self, owner: Option<Bytes>, size: u64) -> Result<()> {
        let after = Charge { owner, size };
        let Some(before) = self.charge() else { return Ok(()) };
        self.ledger().reserve(self.id(), before, &after)?;
        self.know(after);
        Ok(())
    }

    /// The same for another size alone.
    pub(crate) fn reserve_size(&mut self, size: u64) -> Result<()> {
        match self.charge() {
            Some(charge) if charge.size != size => self.reserve(charge.owner.clone(), size),
            Some(_) | None => Ok(()),
        }
    }

    /// The file has just lost its last name. It counts on until its last holder goes.
    pub(crate) fn unlinked(&mut self) {
        self.state.unlinked = true;
        self.count_unlinked();
    }

    /// A count finds no file without a name: whoever knows of one shows it.
    pub(crate) fn count_unlinked(&mut self) {
        if self.state.unlinked
            && let Some(charge) = self.charge().cloned()
        {
            self.settle(charge);
        }
    }

    /// A file with a name was found under this id: what is known of one without is of another, which is gone.
    pub(crate) fn begins_anew(&mut self) {
        if std::mem::take(&mut self.state.unlinked) {
            if self.charge().is_some() {
                self.settle(Charge::default());
            }
            self.state.known = None;
        }
    }
}

impl Drop for Charged {
    fn drop(&mut self) {
        let mut files = self.table.files.lock();
        // Nobody else has the state: its guards live no longer than who holds this.
        if let Ok(state) = self.state.try_read()
            && state.unlinked
            && let Some(charge) = state.charge(self.table.ledger.epoch())
        {
            self.table.ledger.turn(self.id, Some(charge), &Charge::default());
        }
        if files.get(&self.id).is_some_and(|held| held.strong_count() == 0) {
            files.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use volume::QuotasOf;

    fn used(table: &Table) -> Vec<(Bytes, u64)> {
        let told = table.ledger.quotas(&QuotasOf::All { after: None }).unwrap();
        told.into_iter().map(|told| (told.user, told.used)).collect()
    }

    fn charge(owner: &'static str, size: u64) -> Charge {
        Charge { owner: Some(owner.into()), size }
    }

    #[tokio::test]
    async fn a_file_without_a_name_counts_until_its_last_holder_goes() {
        let table = Table::new(Arc::new(Ledger::new(Limits::default())));
        let id = FileId { hi: 1, lo: 2 };
        let held = table.acquire(id);
        let mut locked = table.acquire(id).lock_in_background().await;
        locked.settle(charge("alice", 5));
        locked.unlinked();
        drop(locked);
        assert_eq!(used(&table), [("alice".into(), 5)]);
        drop(held);
        assert_eq!((used(&table), table.files.lock().len()), (Vec::new(), 0));
    }

    #[tokio::test]
    async fn a_number_that_went_to_another_file_begins_anew() {
        for counted in [false, true] {
            let table = Table::new(Arc::new(Ledger::new(Limits::default())));
            if counted {
                table.ledger.end(1);
            }
            let charged = table.acquire(FileId { hi: 1, lo: 2 });
            let mut locked = charged.clone().lock_in_background().await;
            locked.begins_anew();
            locked.settle(charge("alice", 5));
            if counted {
                // It was there before.
                table.ledger.begin();
                locked.settle(charge("alice", 5));
                table.ledger.end(2);
            }
            assert_eq!(used(&table), [("alice".into(), 5)]);
            locked.begins_anew();
            assert!(locked.charge().is_some(), "it has its name");
            locked.unlinked();
            assert!(!locked.is_met());
            locked.begins_anew();
            assert!(locked.charge().is_none() && used(&table).is_empty());
            drop((locked, charged));
            assert!(used(&table).is_empty());
        }
    }
}
