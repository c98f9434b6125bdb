//! What one holder has of a file: it grows, is asked back in steps, and runs out. How the holders of a file stand against each
//! other says [`super::CachingTable`].

use super::tally::Counted;
use super::{AckRefused, BREAK_TIMEOUT, Break, BreakListener, Caching, Contest, Granted, Holder, Told, Wish};
use tokio::time::Instant;

pub(super) struct Grant {
    pub(super) holder: Holder,
    pub(super) held: Caching,
    pub(super) breaking: Option<Breaking>,
    /// How many opens share it; a lease stays as long.
    pub(super) opens: usize,
    /// Counts the states of a lease, where its client does.
    pub(super) epoch: Option<u16>,
    /// `None` until the front end has answered its client that the file is open.
    pub(super) listener: Option<BreakListener>,
    /// So many opens of it are being taken up: nothing is told until their clients have their answers ([`away`]).
    pub(super) returning: usize,
    /// What is to be told then.
    pub(super) untold: Option<Break>,
    /// Held before the process ended ([`away`]).
    pub(super) former: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Breaking {
    /// What the holder was told it keeps.
    pub(super) to: Caching,
    /// What is left of that by now.
    pub(super) then: Caching,
    pub(super) until: Instant,
    /// Its holder was away meanwhile, and was given all its time when it came back.
    pub(super) anew: bool,
}

impl Breaking {
    pub(super) fn new(to: Caching, then: Caching, now: Instant) -> Breaking {
        Breaking { to, then, until: now + BREAK_TIMEOUT, anew: false }
    }
}

impl Grant {
    pub(super) fn new(wish: Wish, held: Caching) -> Grant {
        Grant {
            holder: wish.holder,
            held,
            breaking: None,
            opens: 1,
            // The first state counts, where it is one.
            epoch: wish.epoch.map(|epoch| epoch.wrapping_add(u16::from(!held.is_empty()))),
            listener: None,
            returning: 0,
            untold: None,
            former: false,
        }
    }

    /// Whether anything is left of it. A lease stays as long as its opens; an oplock without rights only while its break is yet
    /// to be told.
    pub(super) fn is_kept(&self) -> bool {
        self.opens > 0 && (self.holder.is_lease() || !self.held.is_empty() || self.untold.is_some())
    }

    pub(super) fn counted(&self) -> Counted {
        let until = self.breaking.map(|breaking| breaking.until);
        Counted { holder: self.holder, held: self.held, until }
    }

    pub(super) fn granted(&self) -> Granted {
        Granted { caching: self.held, breaking: self.breaking.is_some(), epoch: self.epoch }
    }

    pub(super) fn count_state(&mut self) {
        self.epoch = self.epoch.map(|epoch| epoch.wrapping_add(1));
    }

    pub(super) fn tell(&mut self, left: Caching, acknowledge: bool, told: &mut Vec<Told>) {
        let epoch = self.epoch.unwrap_or_default();
        self.untold = Some(Break { held: self.held, left, acknowledge, epoch });
        self.tell_untold(told);
    }

    /// Tells what is to be told, if it can be by now.
    pub(super) fn tell_untold(&mut self, told: &mut Vec<Told>) {
        let Some(listener) = self.listener.as_ref().filter(|_| self.returning == 0) else { return };
        told.extend(self.untold.take().map(|what| Told { listener: listener.clone(), what }));
    }

    pub(super) fn expire(&mut self, now: Instant) {
        if self.breaking.is_some_and(|breaking| breaking.until <= now) {
            self.breaking = None;
            self.held = Caching::empty();
        }
    }

    /// A further open of a lease: it grows when all that is asked for can be had.
    pub(super) fn share(&mut self, wanted: Caching, can_be: Caching, now: Instant) -> Granted {
        self.opens += 1;
        if self.former {
            return self.take_up(now);
        }
        let grows = can_be == wanted && wanted.contains(self.held) && wanted != self.held;
        if grows && self.breaking.is_none() {
            self.held = wanted;
            self.count_state();
        }
        self.granted()
    }

    /// Breaks down to `left`.
    pub(super) fn break_to(&mut self, left: Caching, now: Instant, told: &mut Vec<Told>) {
        if let Some(breaking) = &mut self.breaking {
            breaking.then &= left;
            return;
        }
        let acknowledge = self.held.is_answered();
        self.count_state();
        self.tell(left, acknowledge, told);
        if acknowledge {
            self.breaking = Some(Breaking::new(left, left, now));
        } else {
            self.held = left;
        }
    }

    /// What the holder still has to be told after it gave back all but `keeps`.
    pub(super) fn go_on(&mut self, keeps: Caching, then: Caching, now: Instant, told: &mut Vec<Told>) {
        self.held = keeps;
        let left = keeps & then;
        if left == keeps {
            return;
        }
        if self.holder.is_lease() && keeps.is_answered() {
            let to = left | (keeps & Caching::READ);
            self.tell(to, true, told);
            self.breaking = Some(Breaking::new(to, then, now));
        } else {
            self.tell(left, false, told);
            self.held = left;
        }
    }

    pub(super) fn contend(
        &mut self,
        contest: Contest,
        now: Instant,
        told: &mut Vec<Told>,
    ) -> Option<Instant> {
        self.expire(now);
        let left = contest.leaves(self.holder, self.held);
        if left == self.held {
            return None;
        }
        let waits = self.held.intersects(contest.waits_for());
        self.break_to(left, now, told);
        self.breaking.filter(|_| waits).map(|breaking| breaking.until)
    }

    pub(super) fn acknowledge(
        &mut self,
        keeps: Caching,
        now: Instant,
        told: &mut Vec<Told>,
    ) -> Result<Caching, AckRefused> {
        let Some(breaking) = self.breaking else {
            let too_much = keeps.is_answered() || (self.held == Caching::READ && !keeps.is_empty());
            return Err(match self.holder {
                Holder::Open(_) if too_much => AckRefused::TooMuch,
                Holder::Open(_) | Holder::Lease(_) => AckRefused::NotBreaking,
            });
        };
        if !breaking.to.contains(keeps) {
            if !self.holder.is_lease() {
                (self.breaking, self.held) = (None, Caching::empty());
            }
            return Err(AckRefused::TooMuch);
        }
        self.breaking = None;
        self.go_on(keeps, breaking.then, now, told);
        Ok(keeps)
    }
}
