//! Caching rights: what a client may keep to itself of a file, and what takes that from it. Plain state.
//!
//! A right is a set of read, handle and write caching, held by a holder. An oplock is the form of it that SMB2
//! has had from the start (MS-SMB2 3.3.5.9, MS-FSA 2.1.4.12): held by one open, always one of four sets.
//!
//! | oplock | set | the client may |
//! |---|---|---|
//! | level II | read | answer reads from its cache |
//! | exclusive | read, write | keep writes back too |
//! | batch | read, write, handle | keep the file open after its program closed it |
//!
//! A right that somebody's doing stands against is *broken*: the holder is told what is left. One that only
//! read is gone with the telling. One that kept writes or the handle stays until the holder acknowledges, having
//! written back, or closes, or [`BREAK_TIMEOUT`] has passed; who stands against it waits so long.
//!
//! ```text
//!              contend                  acknowledge, close
//! held R,W,H ----------> breaking to R ------------------> held R
//!      |                      | timeout                      | contend
//!      |                      v                              v
//!      +-- contend (foreign change, emptying) --> ... --> nothing
//! ```

use crate::OpenId;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
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

    /// Whether losing it takes an acknowledgement: there may be writes to bring back, or an open to close.
    fn is_answered(self) -> bool {
        self.intersects(Caching::HANDLE | Caching::WRITE)
    }
}

/// What a holder is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Break {
    /// What it keeps.
    pub left: Caching,
    /// Whether others wait for its [`crate::Open::acknowledge`].
    pub acknowledge: bool,
}

/// Tells a holder of breaks: called with no lock held, must not block.
pub type BreakListener = Arc<dyn Fn(Break) + Send + Sync>;

/// Why an acknowledgement is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AckRefused {
    /// The open is closed.
    Closed,
    /// Nothing was asked back: `STATUS_INVALID_DEVICE_STATE`.
    NotBreaking,
    /// It wants to keep what it was told to give back, and has lost all by that; or it held nothing any more:
    /// `STATUS_INVALID_OPLOCK_PROTOCOL`.
    TooMuch,
}

/// Who holds a right. A lease will be a further kind, by the client and its key, shared by several opens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Holder {
    /// An oplock.
    Open(OpenId),
}

/// What somebody does, or is about to do, that rights of others stand against.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Contest {
    /// Opening for more than attributes: nobody may keep writes back.
    Open,
    /// The same, and the content goes away.
    Empty,
    /// An open that is there does not share, or the name is to move: it may be kept open only by a cache.
    Handle,
    /// Content changes, or a range is locked.
    Change,
    /// Somebody changed it at the origin.
    Foreign,
    /// Somebody may have, while we wrote: who keeps writes back has most likely heard of his own.
    Doubtful,
}

impl Contest {
    /// What an oplock keeps.
    fn leaves(self, held: Caching) -> Caching {
        match self {
            Contest::Open if held.contains(Caching::WRITE) => Caching::READ,
            Contest::Handle if held.contains(Caching::HANDLE) => Caching::READ,
            Contest::Doubtful if held.contains(Caching::WRITE) => held,
            Contest::Open | Contest::Handle => held,
            Contest::Empty | Contest::Change | Contest::Foreign | Contest::Doubtful => Caching::empty(),
        }
    }
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

struct Grant {
    holder: Holder,
    held: Caching,
    breaking: Option<Breaking>,
    /// `None` until the front end has answered its client that the file is open.
    listener: Option<BreakListener>,
    /// What is to be told then.
    untold: Option<Break>,
}

#[derive(Clone, Copy, Debug)]
struct Breaking {
    /// What the holder was told it keeps.
    to: Caching,
    /// What is left of that by now.
    then: Caching,
    until: Instant,
}

impl Grant {
    fn tell(&mut self, what: Break, told: &mut Vec<Told>) {
        match &self.listener {
            Some(listener) => told.push(Told { listener: listener.clone(), what }),
            None => self.untold = Some(what),
        }
    }

    fn expire(&mut self, now: Instant) {
        if self.breaking.is_some_and(|breaking| breaking.until <= now) {
            self.breaking = None;
            self.held = Caching::empty();
        }
    }

    /// Breaks down to `left`; until when to wait for it, if at all.
    fn break_to(&mut self, left: Caching, now: Instant, told: &mut Vec<Told>) -> Option<Instant> {
        if let Some(breaking) = &mut self.breaking {
            breaking.then &= left;
            return Some(breaking.until);
        }
        let acknowledge = self.held.is_answered();
        self.tell(Break { left, acknowledge }, told);
        if !acknowledge {
            self.held = left;
            return None;
        }
        let until = now + BREAK_TIMEOUT;
        self.breaking = Some(Breaking { to: left, then: left, until });
        Some(until)
    }
}

/// The rights held on one file.
#[derive(Default)]
pub(crate) struct CachingTable {
    grants: Vec<Grant>,
}

impl CachingTable {
    pub(crate) fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }

    /// How many hold read caching alone: whom a change concerns.
    pub(crate) fn readers(&self) -> usize {
        self.grants.iter().filter(|grant| grant.held == Caching::READ).count()
    }

    pub(crate) fn keeps_writes_back(&self) -> bool {
        self.grants.iter().any(|grant| grant.held.contains(Caching::WRITE))
    }

    pub(crate) fn held(&self, holder: Holder) -> Caching {
        self.find(holder).map_or(Caching::empty(), |grant| grant.held)
    }

    fn find(&self, holder: Holder) -> Option<&Grant> {
        self.grants.iter().find(|grant| grant.holder == holder)
    }

    /// Gives a new open an oplock, as much of `wanted` as can be: beside `others` that have the file open
    /// for more than attributes only reading is cached, and nothing where ranges are `locked` then, or
    /// where somebody keeps writes back.
    pub(crate) fn grant(&mut self, holder: Holder, wanted: Caching, others: bool, locked: bool) -> Caching {
        let beside = others || !self.grants.is_empty();
        let mut held = wanted.as_oplock();
        if beside {
            held &= Caching::READ;
        }
        if self.keeps_writes_back() || (locked && held == Caching::READ) || held.is_empty() {
            return Caching::empty();
        }
        self.grants.push(Grant { holder, held, breaking: None, listener: None, untold: None });
        held
    }

    /// Breaks what stands against `contest`. An open's own right to keep writes does not; its own level II
    /// does, when it changes content (MS-FSA 2.1.4.12). Until when to wait, if for anybody.
    pub(crate) fn contend(
        &mut self,
        by: Option<Holder>,
        contest: Contest,
        now: Instant,
        told: &mut Vec<Told>,
    ) -> Option<Instant> {
        let mut wait = None;
        for grant in &mut self.grants {
            grant.expire(now);
            if by == Some(grant.holder) && grant.held.contains(Caching::WRITE) {
                continue;
            }
            let left = contest.leaves(grant.held);
            if left != grant.held {
                wait = wait.max(grant.break_to(left, now, told));
            }
        }
        self.forget_empty();
        wait
    }

    /// The same for one holder.
    pub(crate) fn contend_with(
        &mut self,
        holder: Holder,
        contest: Contest,
        now: Instant,
        told: &mut Vec<Told>,
    ) -> Option<Instant> {
        let grant = self.grants.iter_mut().find(|grant| grant.holder == holder)?;
        grant.expire(now);
        let left = contest.leaves(grant.held);
        let wait = if left == grant.held { None } else { grant.break_to(left, now, told) };
        self.forget_empty();
        wait
    }

    /// Until when somebody is being waited for.
    pub(crate) fn breaking_until(&mut self, now: Instant) -> Option<Instant> {
        self.grants.iter_mut().for_each(|grant| grant.expire(now));
        self.forget_empty();
        self.grants.iter().filter_map(|grant| grant.breaking.map(|breaking| breaking.until)).max()
    }

    /// From now on the holder can be told of breaks.
    pub(crate) fn listen(&mut self, holder: Holder, listener: BreakListener, told: &mut Vec<Told>) {
        if let Some(grant) = self.grants.iter_mut().find(|grant| grant.holder == holder) {
            grant.listener = Some(listener);
            if let Some(what) = grant.untold.take() {
                grant.tell(what, told);
            }
        }
        self.forget_empty();
    }

    /// The holder gives back all but `keeps`. Answers what it keeps.
    pub(crate) fn acknowledge(
        &mut self,
        holder: Holder,
        keeps: Caching,
        told: &mut Vec<Told>,
    ) -> Result<Caching, AckRefused> {
        let grant = self.grants.iter_mut().find(|grant| grant.holder == holder);
        let outcome = match grant {
            None => Err(AckRefused::TooMuch),
            Some(grant) => match grant.breaking.take() {
                None if keeps.is_answered() || (grant.held == Caching::READ && !keeps.is_empty()) => {
                    Err(AckRefused::TooMuch)
                }
                None => Err(AckRefused::NotBreaking),
                Some(breaking) if !breaking.to.contains(keeps) => {
                    grant.held = Caching::empty();
                    Err(AckRefused::TooMuch)
                }
                Some(breaking) => {
                    grant.held = keeps & breaking.then;
                    if grant.held != keeps {
                        grant.tell(Break { left: grant.held, acknowledge: false }, told);
                    }
                    Ok(keeps)
                }
            },
        };
        self.forget_empty();
        outcome
    }

    pub(crate) fn release(&mut self, holder: Holder) {
        self.grants.retain(|grant| grant.holder != holder);
    }

    /// A grant without rights stays only while its break is yet to be told.
    fn forget_empty(&mut self) {
        self.grants.retain(|grant| !grant.held.is_empty() || grant.untold.is_some());
    }
}

impl fmt::Debug for CachingTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grants = self.grants.iter().map(|grant| (grant.holder, grant.held, grant.breaking));
        f.debug_list().entries(grants).finish()
    }
}

#[cfg(test)]
mod tests;
