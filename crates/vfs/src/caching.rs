//! Caching rights: what a client may keep to itself of a file, and what takes that from it. Plain state.
//!
//! A right is a set of read, handle and write caching, held by a holder. It has two forms.
//!
//! An *oplock* (MS-SMB2 3.3.5.9, MS-FSA 2.1.4.12) is held by one open and is always one of these sets:
//!
//! | oplock | set | the client may |
//! |---|---|---|
//! | level II | read | answer reads from its cache |
//! | exclusive | read, write | keep writes back too |
//! | batch | read, write, handle | keep the file open after its program closed it |
//!
//! A *lease* (MS-SMB2 3.3.1.12) is held by all opens that a client made with one key, is any set with reading in
//! it, can grow with a further open, and stays while one of them does, though nothing be left of it. On a
//! directory (never with writing) it covers the listing and the attributes that stand in it.
//!
//! A right that somebody's doing stands against is *broken*: the holder is told what is left. One that only
//! read is gone with the telling. One that kept writes or the handle stays until the holder acknowledges, having
//! written back, or closes, or [`BREAK_TIMEOUT`] has passed. Who stands against it waits so long, if it is the very
//! right that is in the way: an open waits for writes that are kept back, not for a handle.
//!
//! ```text
//!              contend                  acknowledge, close
//! held R,W,H ----------> breaking to R ------------------> held R
//!      |                      | timeout                      | contend
//!      |                      v                              v
//!      +-- contend (foreign change, emptying) --> ... --> nothing
//! ```
//!
//! What comes to stand against a right that is breaking already is told after the answer. A lease then goes down in
//! steps, as with Windows: handle and writes first, reading last.

mod away;
mod contest;
mod grant;
mod tally;

use crate::OpenId;
pub use away::Answering;
pub(crate) use contest::Contest;
use grant::Grant;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tally::Tally;
use tokio::time::Instant;

/// How long a holder may take to acknowledge before its right is gone without (MS-SMB2 3.3.2.1).
pub const BREAK_TIMEOUT: Duration = Duration::from_secs(35);

bitflags::bitflags! {
    /// What a client caches; the bits are those of a lease state (MS-SMB2 2.2.13.2.8).
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct Caching: u8 {
        const READ = 1;
        const HANDLE = 2;
        const WRITE = 4;
    }
}

impl Caching {
    /// What of a set an oplock can be; the largest that it contains.
    fn as_oplock(self) -> Caching {
        let exclusive = Caching::READ | Caching::WRITE;
        [Caching::all(), exclusive, Caching::READ]
            .into_iter()
            .find(|form| self.contains(*form))
            .unwrap_or_default()
    }

    /// What of a set a lease can be: nothing without reading.
    fn as_lease(self) -> Caching {
        if self.contains(Caching::READ) { self } else { Caching::empty() }
    }

    /// Whether losing it takes an acknowledgement: there may be writes to bring back, or an open to close.
    fn is_answered(self) -> bool {
        self.intersects(Caching::HANDLE | Caching::WRITE)
    }
}

/// A client's name for a lease. No two files of a volume have one with the same name at a time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LeaseId {
    /// Which client, over all its connections (ClientGuid).
    pub client: u128,
    /// The key that it chose.
    pub key: u128,
}

/// What a holder is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Break {
    /// What it has.
    pub held: Caching,
    /// What it keeps.
    pub left: Caching,
    /// Whether it is to acknowledge.
    pub acknowledge: bool,
    /// Counts the states of a lease; zero for an oplock.
    pub epoch: u16,
}

/// Tells a holder of breaks: called with no lock held, must not block.
pub type BreakListener = Arc<dyn Fn(Break) + Send + Sync>;

/// Why an acknowledgement is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AckRefused {
    /// The open is closed, or there is no such lease.
    Closed,
    /// Nothing was asked back: `STATUS_INVALID_DEVICE_STATE`, of a lease `STATUS_UNSUCCESSFUL`.
    NotBreaking,
    /// It wants to keep what it was told to give back, and an oplock is lost by that; or it held nothing any
    /// more: `STATUS_INVALID_OPLOCK_PROTOCOL`, of a lease `STATUS_REQUEST_NOT_ACCEPTED`.
    TooMuch,
}

/// Who holds a right.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Holder {
    /// An oplock.
    Open(OpenId),
    Lease(LeaseId),
}

impl Holder {
    fn is_lease(self) -> bool {
        matches!(self, Holder::Lease(_))
    }
}

/// What an open would like to cache, and in which form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wish {
    pub holder: Holder,
    pub wanted: Caching,
    /// The epoch that a client which counts a lease's states has seen last.
    pub epoch: Option<u16>,
}

/// Beside what an open comes in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Beside {
    /// Others have it open for more than attributes; opens of the same lease are no others.
    pub others: bool,
    /// Ranges are locked.
    pub locked: bool,
    /// It is a directory.
    pub dir: bool,
}

/// What an open got.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Granted {
    /// All that the holder may cache now; with a lease perhaps by earlier opens.
    pub caching: Caching,
    /// A break of the lease is under way.
    pub breaking: bool,
    /// Counts the states of a lease, where its client did so when it began.
    pub epoch: Option<u16>,
}

/// A break that is to be told, when no lock is held any more.
#[must_use]
pub(crate) struct Told {
    listener: BreakListener,
    what: Break,
}

impl Told {
    pub(crate) fn tell(self) {
        (self.listener)(self.what);
    }
}

/// The rights held on one file. There may be as many as opens of it, and all is done under the registry's mutex: what concerns
/// one holder looks at no other, and what is asked of all together is counted along.
#[derive(Default)]
pub(crate) struct CachingTable {
    grants: BTreeMap<Holder, Grant>,
    tally: Tally,
    /// Grants looked at to change them.
    #[cfg(test)]
    pub(crate) steps: usize,
}

impl CachingTable {
    pub(crate) fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }

    /// How many hold what a change concerns, and keep no writes back.
    pub(crate) fn readers(&self) -> usize {
        self.tally.held.readers
    }

    pub(crate) fn keeps_writes_back(&self) -> bool {
        self.tally.held.writers > 0
    }

    pub(crate) fn keeps_handles(&self) -> bool {
        self.tally.held.handles > 0
    }

    pub(crate) fn held(&self, holder: Holder) -> Caching {
        self.find(holder).map_or(Caching::empty(), |grant| grant.held)
    }

    pub(crate) fn granted(&self, holder: Holder) -> Granted {
        self.find(holder).map(Grant::granted).unwrap_or_default()
    }

    pub(crate) fn has_lease(&self, lease: LeaseId) -> bool {
        self.find(Holder::Lease(lease)).is_some()
    }

    fn find(&self, holder: Holder) -> Option<&Grant> {
        self.grants.get(&holder)
    }

    fn add(&mut self, grant: Grant) {
        if grant.is_kept() {
            self.tally.add(grant.counted());
            self.grants.insert(grant.holder, grant);
        }
    }

    /// Changes what a holder has, if it has anything. Like this or by [`CachingTable::change_all`] every grant is changed: it is
    /// counted as it is then, and forgotten when nothing is left of it.
    fn change<T>(&mut self, holder: Holder, change: impl FnOnce(&mut Grant) -> T) -> Option<T> {
        #[cfg(test)]
        {
            self.steps += 1;
        }
        let grant = self.grants.get_mut(&holder)?;
        let before = grant.counted();
        let outcome = change(grant);
        let (after, is_kept) = (grant.counted(), grant.is_kept());
        if before != after || !is_kept {
            self.tally.remove(before);
            match is_kept {
                true => self.tally.add(after),
                false => drop(self.grants.remove(&holder)),
            }
        }
        Some(outcome)
    }

    fn change_all(&mut self, mut change: impl FnMut(&mut Grant)) {
        #[cfg(test)]
        {
            self.steps += self.grants.len();
        }
        self.tally = Tally::default();
        self.grants.retain(|_, grant| {
            change(grant);
            let is_kept = grant.is_kept();
            if is_kept {
                self.tally.add(grant.counted());
            }
            is_kept
        });
    }

    /// Whoever had to answer until now has lost all.
    fn expire(&mut self, now: Instant) {
        while let Some(holder) = self.tally.late(now) {
            self.change(holder, |grant| grant.expire(now));
        }
    }

    /// Gives a new open as much as can be of what it wishes.
    ///
    /// Beside others nobody keeps writes back. Where ranges are locked nothing is cached, unless the open is alone
    /// and may keep writes too. An oplock is nothing beside a lease that keeps handles, and a lease keeps none beside an
    /// oplock (MS-FSA 2.1.5.18).
    pub(crate) fn grant(&mut self, wish: Wish, beside: Beside, now: Instant) -> Granted {
        let can_be = self.can_be(wish, beside);
        if let Some(granted) = self.change(wish.holder, |grant| grant.share(wish.wanted, can_be, now)) {
            return granted;
        }
        let grant = Grant::new(wish, can_be);
        let granted = grant.granted();
        self.add(grant);
        granted
    }

    fn can_be(&self, Wish { holder, wanted, .. }: Wish, beside: Beside) -> Caching {
        let others = self.tally.held.without(self.find(holder).map(Grant::counted));
        if others.writers > 0 {
            return Caching::empty();
        }
        let alone = !beside.others && others.all == 0;
        let mut can_be = match holder {
            Holder::Open(_) => wanted.as_oplock(),
            Holder::Lease(_) => wanted.as_lease(),
        };
        if !alone || beside.dir {
            can_be -= Caching::WRITE;
        }
        if beside.locked && !can_be.contains(Caching::WRITE) {
            can_be = Caching::empty();
        }
        match holder {
            Holder::Open(_) if others.leased_handles > 0 => Caching::empty(),
            Holder::Open(_) => can_be.as_oplock(),
            Holder::Lease(_) if others.oplocks > 0 => can_be - Caching::HANDLE,
            Holder::Lease(_) => can_be,
        }
    }

    /// Breaks what of these grants stands against `contest`. Until when to wait, if for anybody.
    fn contend_those(
        &mut self,
        which: impl Fn(&Grant) -> bool,
        contest: Contest,
        now: Instant,
        told: &mut Vec<Told>,
    ) -> Option<Instant> {
        self.expire(now);
        let mut wait = None;
        if self.tally.held.any(contest.concerns()) {
            self.change_all(|grant| {
                if which(grant) {
                    wait = wait.max(grant.contend(contest, now, told));
                }
            });
        }
        wait
    }

    /// Somebody may have changed it at the origin while `writers` may have written: what they keep stays, they have most
    /// likely heard of their own.
    pub(crate) fn doubt(&mut self, writers: &HashSet<Holder>, now: Instant, told: &mut Vec<Told>) {
        let keeps = |grant: &Grant| {
            (grant.holder.is_lease() || grant.held.contains(Caching::WRITE))
                && writers.contains(&grant.holder)
        };
        // Nobody waits: it has happened.
        let _until = self.contend_those(|grant| !keeps(grant), Contest::Foreign, now, told);
    }

    /// Breaks what stands against `contest`. One's own lease does not, nor does an open's own right to keep writes;
    /// its own level II does, when it changes content (MS-FSA 2.1.4.12). Until when to wait, if for anybody.
    pub(crate) fn contend(
        &mut self,
        by: Option<Holder>,
        contest: Contest,
        now: Instant,
        told: &mut Vec<Told>,
    ) -> Option<Instant> {
        let is_spared = |grant: &Grant| {
            by == Some(grant.holder) && (grant.holder.is_lease() || grant.held.contains(Caching::WRITE))
        };
        self.contend_those(|grant| !is_spared(grant), contest, now, told)
    }

    /// The same, but for the lease `by`.
    pub(crate) fn contend_but(
        &mut self,
        by: Option<LeaseId>,
        contest: Contest,
        now: Instant,
        told: &mut Vec<Told>,
    ) {
        let by = by.map(Holder::Lease);
        // Nobody waits for who caches a listing.
        let _until = self.contend_those(|grant| by != Some(grant.holder), contest, now, told);
    }

    /// The same for one holder.
    pub(crate) fn contend_with(
        &mut self,
        holder: Holder,
        contest: Contest,
        now: Instant,
        told: &mut Vec<Told>,
    ) -> Option<Instant> {
        self.change(holder, |grant| grant.contend(contest, now, told))?
    }

    /// Until when somebody is being waited for.
    pub(crate) fn breaking_until(&mut self, now: Instant) -> Option<Instant> {
        self.expire(now);
        self.waits_until()
    }

    /// The same, those who are late by now among them.
    pub(crate) fn waits_until(&self) -> Option<Instant> {
        self.tally.last()
    }

    /// Tells a break that is not answered once more.
    pub(crate) fn break_again(&mut self, holder: Holder, told: &mut Vec<Told>) {
        self.change(holder, |grant| {
            if let Some(breaking) = grant.breaking {
                grant.tell(breaking.to, true, told);
            }
        });
    }

    /// From now on the holder can be told of breaks.
    pub(crate) fn listen(&mut self, holder: Holder, listener: BreakListener, told: &mut Vec<Told>) {
        self.change(holder, |grant| {
            grant.listener = Some(listener);
            grant.tell_untold(told);
        });
    }

    /// The holder gives back all but `keeps`. Answers what it keeps.
    pub(crate) fn acknowledge(
        &mut self,
        holder: Holder,
        keeps: Caching,
        now: Instant,
        told: &mut Vec<Told>,
    ) -> Result<Caching, AckRefused> {
        let outcome = self.change(holder, |grant| {
            grant.expire(now);
            grant.acknowledge(keeps, now, told)
        });
        let of_nothing = if holder.is_lease() { AckRefused::Closed } else { AckRefused::TooMuch };
        outcome.unwrap_or(Err(of_nothing))
    }

    /// An open of the holder is gone.
    pub(crate) fn release(&mut self, holder: Holder) {
        self.change(holder, |grant| grant.opens -= 1);
    }

    /// The holder cannot be told any more: it has lost all.
    pub(crate) fn give_up(&mut self, holder: Holder) {
        self.change(holder, |grant| {
            (grant.held, grant.breaking, grant.untold) = (Caching::empty(), None, None);
        });
    }
}

impl fmt::Debug for CachingTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grants = self.grants.values().map(|grant| (grant.holder, grant.held, grant.breaking));
        f.debug_list().entries(grants).finish()
    }
}

#[cfg(test)]
mod tests;
