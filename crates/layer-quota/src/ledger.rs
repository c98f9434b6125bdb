//! Who has how much: plain books under one lock, in which nothing waits.
//!
//! What a file counts for is a [`Charge`]. Whoever changes a file, under its lock (`charged.rs`), turns its charge from
//! the one to the other; nobody adds or takes away anything else.
//!
//! **Counting.** While all is counted anew there are two columns: what users had by the last count, which goes on to be
//! told and to be held against limits, and what was counted since. Whoever comes first at a file, the walk or a change,
//! enters its whole charge into the second column and marks the file; from then on a change turns it there too. So at the
//! end the second column is right, whatever was changed meanwhile, and takes the place of the first. The first count
//! has no first column: what is counted so far is told.
//!
//! **Doubt.** What makes the books wrong, changes past us and answers that were lost, is noted as a doubt. A count
//! settles those that were there when it began.
//!
//! Where nothing is tracked there are no books, and turning does nothing. `epoch` tells one time of tracking from
//! the next: charges of an earlier one say nothing.

use crate::limits::{Limits, hexadecimal};
use crate::seen::Seen;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;
use volume::{
    Error, ErrorKind, FileId, QUOTA_USERS_MAX, QuotaFlags, QuotaRules, QuotasOf, Result, Time, UserQuota,
    check_quota_users,
};

/// What a file counts for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Charge {
    /// Nobody's files are not counted.
    pub(crate) owner: Option<Bytes>,
    pub(crate) size: u64,
}

pub(crate) struct Ledger {
    books: Mutex<Books>,
    /// 0 while nothing is tracked. Written under the lock.
    epoch: AtomicU64,
    /// Wakes all who wait for a count to begin or to end, or for a doubt.
    pub(crate) turned: Notify,
}

/// Bytes of each user. Wide enough for whatever clients make sizes of.
type Column = BTreeMap<Bytes, u128>;

#[derive(Default)]
struct Books {
    limits: Limits,
    /// By the last count; `None` before the first one's end.
    used: Option<Column>,
    count: Option<Count>,
    /// Counts and times of tracking so far.
    counts: u64,
    epochs: u64,
    /// Doubts so far, and those that are settled.
    doubts: u64,
    settled: u64,
}

/// A count that is under way.
struct Count {
    number: u64,
    anew: Column,
    seen: Seen,
    /// Doubts when it began.
    doubts: u64,
}

fn put(column: &mut Column, charge: &Charge) {
    if let Some(owner) = charge.owner.as_ref().filter(|_| charge.size > 0) {
        let used = column.entry(owner.clone()).or_default();
        *used += u128::from(charge.size);
    }
}

fn take(column: &mut Column, charge: &Charge) {
    let Some(owner) = &charge.owner else { return };
    if let Some(used) = column.get_mut(owner) {
        *used = used.saturating_sub(charge.size.into());
        if *used == 0 {
            column.remove(owner);
        }
    }
}

impl Books {
    /// What users are told to have.
    fn used(&self) -> Option<&Column> {
        self.used.as_ref().or(self.count.as_ref().map(|count| &count.anew))
    }

    fn tracks(&self) -> bool {
        self.limits.rules.flags.contains(QuotaFlags::TRACK)
    }

    fn begin(&mut self) {
        if self.count.is_none() && self.tracks() {
            self.counts += 1;
            self.count = Some(Count {
                number: self.counts,
                anew: Column::new(),
                seen: Seen::default(),
                doubts: self.doubts,
            });
        }
    }

    /// Whether the owner of `after` may not have so much more.
    fn exceeds(&self, id: FileId, before: &Charge, after: &Charge) -> Option<Bytes> {
        let owner = after.owner.as_ref()?;
        let present = if before.owner == after.owner { before.size } else { 0 };
        let entered = self.used.is_some() || self.count.as_ref().is_some_and(|count| count.seen.contains(id));
        let used = self.used().and_then(|used| used.get(owner)).copied().unwrap_or(0);
        let others = used.saturating_sub(if entered { present.into() } else { 0 });
        let limit = self.limits.limit_of(owner);
        let exceeds = self.limits.rules.flags.contains(QuotaFlags::ENFORCE)
            && limit != UserQuota::UNLIMITED
            && after.size > present
            && others + u128::from(after.size) > limit.into();
        exceeds.then(|| owner.clone())
    }

    fn turn(&mut self, id: FileId, before: Option<&Charge>, after: &Charge) {
        if let (Some(used), Some(before)) = (&mut self.used, before) {
            take(used, before);
            put(used, after);
        }
        if let Some(count) = &mut self.count {
            match (count.seen.insert(id), before) {
                (true, _) => put(&mut count.anew, after),
                (false, Some(before)) => {
                    take(&mut count.anew, before);
                    put(&mut count.anew, after);
                }
                (false, None) => {}
            }
        }
    }

    fn told(&self, user: &Bytes) -> Option<UserQuota> {
        let used = self.used().and_then(|used| used.get(user)).copied();
        let (changed, threshold, limit) = match self.limits.own.get(user) {
            Some(own) => (own.changed, own.threshold, own.limit),
            None => (Time(0), self.limits.rules.threshold, self.limits.rules.limit),
        };
        let known = used.is_some() || self.limits.own.contains_key(user);
        let used = u64::try_from(used.unwrap_or(0)).unwrap_or(u64::MAX);
        known.then(|| UserQuota { user: user.clone(), changed, used, threshold, limit })
    }
}

impl Ledger {
    /// With these limits; a count is due where something is tracked.
    pub(crate) fn new(limits: Limits) -> Ledger {
        let books = Mutex::new(Books::default());
        let ledger = Ledger { books, epoch: AtomicU64::new(0), turned: Notify::new() };
        ledger.books.lock().limits.rules.flags = QuotaFlags::empty();
        ledger.set(limits);
        ledger
    }

    /// Which time of tracking it is; 0 for none.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub(crate) fn limits(&self) -> Limits {
        self.books.lock().limits.clone()
    }

    /// From now on these hold.
    pub(crate) fn set(&self, limits: Limits) {
        let mut books = self.books.lock();
        let tracked = books.tracks();
        books.limits = limits;
        match (tracked, books.tracks()) {
            (false, true) => {
                books.epochs += 1;
                books.begin();
                self.epoch.store(books.epochs, Ordering::Release);
            }
            (true, false) => {
                (books.used, books.count, books.settled) = (None, None, books.doubts);
                self.epoch.store(0, Ordering::Release);
            }
            (true, true) | (false, false) => {}
        }
        drop(books);
        self.turned.notify_waiters();
    }

    pub(crate) fn rules(&self) -> QuotaRules {
        let books = self.books.lock();
        let mut rules = books.limits.rules;
        rules.flags.set(QuotaFlags::REBUILDING, books.count.is_some());
        rules.flags.set(QuotaFlags::INCOMPLETE, books.doubts > books.settled);
        rules
    }

    pub(crate) fn quotas(&self, of: &QuotasOf) -> Result<Vec<UserQuota>> {
        let books = self.books.lock();
        match of {
            QuotasOf::All { after } => {
                let used = books.used().into_iter().flat_map(Column::keys);
                let mut users: Vec<&Bytes> = books.limits.own.keys().chain(used).collect();
                users.sort_unstable();
                users.dedup();
                let behind = |user: &&Bytes| after.as_ref().is_none_or(|after| *user > after);
                let told = users.into_iter().filter(behind).filter_map(|user| books.told(user));
                Ok(told.take(QUOTA_USERS_MAX).collect())
            }
            QuotasOf::Users(users) => {
                check_quota_users("quotas", users.iter())?;
                let unknown = |user: &Bytes| UserQuota::unknown(user.clone());
                Ok(users.iter().map(|user| books.told(user).unwrap_or_else(|| unknown(user))).collect())
            }
        }
    }

    /// A file counts for `after` instead of `before`. Where it is not known what it counted for, it is entered where a
    /// count has yet to come to it, and stays elsewhere what it was.
    pub(crate) fn turn(&self, id: FileId, before: Option<&Charge>, after: &Charge) {
        self.books.lock().turn(id, before, after);
    }

    /// The same, if its owner may have so much.
    pub(crate) fn reserve(&self, id: FileId, before: &Charge, after: &Charge) -> Result<()> {
        let mut books = self.books.lock();
        if let Some(owner) = books.exceeds(id, before, after) {
            let whose = format_args!("file {id} of {}", hexadecimal(&owner));
            return Err(Error::new(ErrorKind::QuotaExceeded, "charge", whose));
        }
        books.turn(id, Some(before), after);
        Ok(())
    }

    /// What is known may not be right any more.
    pub(crate) fn doubt(&self) {
        let mut books = self.books.lock();
        books.doubts += u64::from(books.tracks());
        drop(books);
        self.turned.notify_waiters();
    }

    pub(crate) fn is_doubtful(&self) -> bool {
        let books = self.books.lock();
        books.doubts > books.settled
    }

    /// Begins to count anew, where that is not under way and something is tracked.
    pub(crate) fn begin(&self) {
        self.books.lock().begin();
        self.turned.notify_waiters();
    }

    /// The count that is under way.
    pub(crate) fn counting(&self) -> Option<u64> {
        self.books.lock().count.as_ref().map(|count| count.number)
    }

    /// Whether a count that is under way has yet to come to this file.
    pub(crate) fn is_to_count(&self, id: FileId) -> bool {
        self.books.lock().count.as_ref().is_some_and(|count| !count.seen.contains(id))
    }

    /// All was counted.
    pub(crate) fn end(&self, number: u64) {
        let mut books = self.books.lock();
        if let Some(count) = books.count.take_if(|count| count.number == number) {
            books.used = Some(count.anew);
            books.settled = count.doubts;
        }
        drop(books);
        self.turned.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use volume::QuotaChange;

    #[test]
    fn who_has_no_limit_has_none_however_much_he_has() {
        let unlimited = UserQuota::UNLIMITED;
        let rules = QuotaRules { flags: QuotaFlags::ENFORCE, threshold: unlimited, limit: unlimited };
        let ledger = Ledger::new(Limits::default().with(&QuotaChange::Rules(rules)).unwrap());
        ledger.end(ledger.counting().unwrap());
        let charge = Charge { owner: Some(Bytes::from_static(b"\x01")), size: i64::MAX as u64 };
        for lo in 0..3 {
            ledger.reserve(FileId { hi: 0, lo }, &Charge::default(), &charge).unwrap();
        }
    }
}
