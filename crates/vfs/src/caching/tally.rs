//! What is asked of all who hold rights on a file together, counted along with each change of one of them: so it is answered
//! however many they are. How the holders stand against each other says [`super::CachingTable`].

use super::{Caching, Holder};
use std::collections::BTreeSet;
use tokio::time::Instant;

/// What of one holder is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Counted {
    pub(super) holder: Holder,
    pub(super) held: Caching,
    /// By when he is to have answered, if he is asked back something.
    pub(super) until: Option<Instant>,
}

#[derive(PartialEq, Eq, Debug, Default)]
pub(super) struct Tally {
    pub(super) held: Held,
    /// Who are asked back something, by when they are to have answered.
    breaking: BTreeSet<(Instant, Holder)>,
}

impl Tally {
    pub(super) fn add(&mut self, one: Counted) {
        self.held.count(one, |count| *count += 1);
        self.breaking.extend(one.until.map(|until| (until, one.holder)));
    }

    pub(super) fn remove(&mut self, one: Counted) {
        self.held.count(one, |count| *count -= 1);
        if let Some(until) = one.until {
            self.breaking.remove(&(until, one.holder));
        }
    }

    /// One who was to have answered by now.
    pub(super) fn late(&self, now: Instant) -> Option<Holder> {
        let (until, holder) = *self.breaking.first()?;
        (until <= now).then_some(holder)
    }

    /// By when all are to have answered.
    pub(super) fn last(&self) -> Option<Instant> {
        self.breaking.last().map(|(until, _)| *until)
    }
}

/// How many hold what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Held {
    pub(super) all: usize,
    /// Who may cache something, and keep no writes back.
    pub(super) readers: usize,
    pub(super) writers: usize,
    pub(super) handles: usize,
    pub(super) leased_handles: usize,
    pub(super) oplocks: usize,
}

impl Held {
    fn count(&mut self, one: Counted, step: impl Fn(&mut usize)) {
        let (held, leased) = (one.held, one.holder.is_lease());
        let (writes, handle) = (held.contains(Caching::WRITE), held.contains(Caching::HANDLE));
        for (is_such, count) in [
            (true, &mut self.all),
            (!held.is_empty() && !writes, &mut self.readers),
            (writes, &mut self.writers),
            (handle, &mut self.handles),
            (handle && leased, &mut self.leased_handles),
            (!leased, &mut self.oplocks),
        ] {
            if is_such {
                step(count);
            }
        }
    }

    /// Those but one.
    pub(super) fn without(mut self, one: Option<Counted>) -> Held {
        if let Some(one) = one {
            self.count(one, |count| *count -= 1);
        }
        self
    }

    /// Whether anybody holds one of these rights.
    pub(super) fn any(&self, rights: Caching) -> bool {
        match rights {
            Caching::WRITE => self.writers > 0,
            Caching::HANDLE => self.handles > 0,
            _ => self.readers + self.writers > 0,
        }
    }
}
