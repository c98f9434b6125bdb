//! Holders whose client was away: it had lost its connections, or the process has ended since.
//!
//! A client that is away cannot be told of breaks. What it held stands against others as before, and what is asked
//! back meanwhile it hears when it is back, after the answer that gives it its open again ([`Grant::take_up`]), and it has
//! all the time for that then. Who else has opens of its lease goes on being told when that answer is out, or lost
//! ([`Answering`]).
//!
//! What was held before the process ended is *former*: nobody has written down what became of it until then, and the
//! client's copy may be older than what others have read and written. It only keeps others out until the client has
//! written back, and is asked back as soon as that is there.

use super::grant::{Breaking, Grant};
use super::{BREAK_TIMEOUT, Beside, Caching, CachingTable, Contest, Granted, Holder, Told, Wish};
use crate::core::Core;
use std::sync::Arc;
use tokio::time::Instant;
use volume::FileId;

impl Grant {
    fn former(wish: Wish, held: Caching) -> Grant {
        Grant { former: true, epoch: wish.epoch, ..Grant::new(wish, held) }
    }

    /// The client is back, and about to be told of what it has. Until then it can be told of nothing else.
    pub(super) fn take_up(&mut self, now: Instant) -> Granted {
        self.expire(now);
        if std::mem::take(&mut self.former) {
            let nothing = Caching::empty();
            match self.held.is_answered() {
                true => self.breaking = Some(Breaking::new(nothing, nothing, now)),
                false => self.held = nothing,
            }
        }
        // No break is under way to it yet, and it must not take one for that: Linux would hold on to what it caches and
        // drop the byte-range locks that it has kept to itself.
        let granted = Granted { breaking: false, ..self.granted() };
        if let Some(breaking) = &mut self.breaking {
            // Once: who comes and goes does not hold others up for ever.
            if !std::mem::replace(&mut breaking.anew, true) {
                breaking.until = now + BREAK_TIMEOUT;
            }
            let to = breaking.to;
            // Counted once more: a client passes over a break that is no newer than that answer.
            self.count_state();
            self.tell(to, true, &mut Vec::new());
        }
        granted
    }
}

impl CachingTable {
    /// An open that was there before the process ended, with what it may have cached: it holds others off as far as
    /// others leave room for that.
    pub(crate) fn come_back(&mut self, wish: Wish, beside: Beside) -> Granted {
        let can_be = self.can_be(wish, beside);
        let further = self.change(wish.holder, |grant| {
            grant.opens += 1;
            if grant.former && grant.breaking.is_none() {
                grant.held |= can_be;
            }
        });
        if further.is_none() {
            self.add(Grant::former(wish, can_be));
        }
        self.granted(wish.holder)
    }

    pub(crate) fn is_former(&self, holder: Holder) -> bool {
        self.find(holder).is_some_and(|grant| grant.former)
    }

    /// Breaks what stands against an open that comes back and others have got since the process began, perhaps by a name
    /// that was not kept for it. Until when to wait, if for anybody.
    pub(crate) fn contend_newer(
        &mut self,
        own: Holder,
        contest: Contest,
        now: Instant,
        told: &mut Vec<Told>,
    ) -> Option<Instant> {
        self.contend_those(|grant| !grant.former && grant.holder != own, contest, now, told)
    }

    /// The client of an open is back: what it has, as it is to be told. What it is asked back of that, and what comes to
    /// stand against it, it is told when that is out ([`CachingTable::returned`]).
    pub(crate) fn take_up(&mut self, holder: Holder, now: Instant) -> Granted {
        let take_up = |grant: &mut Grant| {
            grant.returning += 1;
            grant.take_up(now)
        };
        self.change(holder, take_up).unwrap_or_default()
    }

    /// The client has been told of the open that it took up, or will not be.
    pub(crate) fn returned(&mut self, holder: Holder, told: &mut Vec<Told>) {
        self.change(holder, |grant| {
            // It may be another one, when the first has ended meanwhile.
            grant.returning = grant.returning.saturating_sub(1);
            grant.tell_untold(told);
        });
    }
}

/// A client is about to be told of an open that it took up. As long as this is held, nobody is told of breaks of what that
/// open caches.
#[must_use]
pub struct Answering {
    pub(crate) core: Arc<Core>,
    pub(crate) file: FileId,
    pub(crate) holder: Option<Holder>,
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(holder) = self.holder {
            self.core.decide(|registry, told| registry.returned(self.file, holder, told));
        }
    }
}
