//! Waiting for byte-range locks: the table of a file behind a mutex, and a wake-up for each who waits.
//!
//! A lock, held or waited for, is taken from the account of its open (`accounts`), and given back when it is not there
//! any more, however it went.
//!
//! The mutex is a leaf: nothing else is locked and nothing awaited while it is held. Reads and writes of
//! files on which nobody holds a lock do not touch it.

use crate::accounts::{Account, What};
use crate::range_lock::{LockTable, Range, RangeLock, Ticket};
use crate::{Error, OpenId, Result};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::oneshot;

#[derive(Debug)]
pub(crate) struct RangeLocks {
    inner: Mutex<Inner>,
    /// Held locks; lets I/O pass without the mutex while zero.
    held: AtomicUsize,
    limit: usize,
}

#[derive(Debug, Default)]
struct Inner {
    table: LockTable,
    wake: HashMap<Ticket, oneshot::Sender<Result<()>>>,
}

impl RangeLocks {
    pub(crate) fn new(limit: usize) -> RangeLocks {
        RangeLocks { inner: Mutex::default(), held: AtomicUsize::new(0), limit }
    }

    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    pub(crate) fn held_by(&self, owner: OpenId) -> bool {
        self.held() > 0 && self.inner.lock().table.of(owner).next().is_some()
    }

    pub(crate) fn of(&self, owner: OpenId) -> Vec<(Range, bool)> {
        if self.held() == 0 {
            return Vec::new();
        }
        self.inner.lock().table.of(owner).map(|lock| (lock.range, lock.exclusive)).collect()
    }

    /// `LockConflict` when a lock forbids this read or write; one of no bytes meets none.
    pub(crate) fn check_io(&self, owner: OpenId, range: Range, write: bool) -> Result<()> {
        if self.held() > 0 && range.length > 0 && self.inner.lock().table.refuses_io(owner, range, write) {
            return Err(Error::LockConflict);
        }
        Ok(())
    }

    pub(crate) fn try_lock(&self, account: &Account, closed: &AtomicBool, lock: RangeLock) -> Result<()> {
        lock.range.check()?;
        account.take(What::Locks, 1)?;
        self.change(account, 1, |inner| {
            self.admit(inner, closed)?;
            inner.table.try_lock(lock)
        })
    }

    /// Waits for the lock. Dropping the future takes the request back, and the lock if it was just granted.
    pub(crate) async fn lock(&self, account: &Account, closed: &AtomicBool, lock: RangeLock) -> Result<()> {
        lock.range.check()?;
        account.take(What::Locks, 1)?;
        let asked = self.change(account, 1, |inner| {
            self.admit(inner, closed)?;
            Ok::<_, Error>(inner.table.lock_or_wait(lock)?.map(|ticket| {
                let (wake, woken) = oneshot::channel();
                inner.wake.insert(ticket, wake);
                (ticket, woken)
            }))
        })?;
        let Some((ticket, woken)) = asked else {
            return Ok(());
        };
        let mut request = Request { locks: self, account, ticket, lock, told: false };
        let answer = woken.await;
        request.told = true;
        answer.unwrap_or(Err(Error::Closed))
    }

    pub(crate) fn unlock(&self, account: &Account, owner: OpenId, range: Range) -> Result<()> {
        range.check()?;
        self.change(account, 0, |inner| {
            let granted = inner.table.unlock(owner, range)?;
            inner.tell_all(granted, || Ok(()));
            Ok(())
        })
    }

    /// Unlocks what nobody was told of; the lock taken last is found first.
    pub(crate) fn revoke(&self, account: &Account, lock: RangeLock) {
        self.change(account, 0, |inner| inner.revoke(lock));
    }

    /// Ends everything of an open; its waiting requests answer `Closed`.
    pub(crate) fn release(&self, account: &Account, owner: OpenId) {
        self.change(account, 0, |inner| {
            let released = inner.table.release(owner);
            inner.tell_all(released.ended, || Err(Error::Closed));
            inner.tell_all(released.granted, || Ok(()));
        });
    }

    /// The open is looked at under the mutex, so that its `release` comes either before and is seen here,
    /// or after and finds the request.
    fn admit(&self, inner: &Inner, closed: &AtomicBool) -> Result<()> {
        if closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        match inner.table.len() < self.limit {
            true => Ok(()),
            false => Err(Error::LimitReached("locks of one file")),
        }
    }

    /// Changes what the open of one account has in the table, which has `taken` so many for that. What it has less then
    /// goes back to the account; others' locks that are granted by it were there before, waiting.
    fn change<T>(&self, account: &Account, taken: usize, f: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.inner.lock();
        let before = inner.table.len();
        let answer = f(&mut inner);
        self.held.store(inner.table.held(), Ordering::Release);
        account.give_back(What::Locks, before + taken - inner.table.len());
        answer
    }
}

impl Inner {
    fn revoke(&mut self, lock: RangeLock) {
        let granted = self.table.revoke(lock);
        self.tell_all(granted, || Ok(()));
    }

    fn tell_all(&mut self, tickets: Vec<Ticket>, answer: impl Fn() -> Result<()>) {
        for wake in tickets.iter().filter_map(|ticket| self.wake.remove(ticket)) {
            // Nobody listens when the request is being dropped just now; its `Drop` takes the lock back.
            let _ = wake.send(answer());
        }
    }
}

/// A request in line. Dropped before its answer was heard, it leaves no trace.
struct Request<'a> {
    locks: &'a RangeLocks,
    account: &'a Account,
    ticket: Ticket,
    lock: RangeLock,
    told: bool,
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        if self.told {
            return;
        }
        self.locks.change(self.account, 0, |inner| {
            inner.wake.remove(&self.ticket);
            let withdrawn = inner.table.withdraw(self.ticket);
            match withdrawn {
                Some(granted) => inner.tell_all(granted, || Ok(())),
                None => inner.revoke(self.lock),
            }
        });
    }
}
