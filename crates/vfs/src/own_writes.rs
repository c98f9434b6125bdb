//! Which notices about a file are explained by our own writing.
//!
//! A write answers no attributes, so the states that it leads to are not known when their notices come. While a
//! write is on its way, and until the state after the last one was looked at, a notice *may* tell of it; after that
//! one of an older state may, and one of a newer state does not. The origin's clock alone is asked: no two clocks
//! are compared.
//!
//! A look is a question to the origin. It is asked when writing has ended, if somebody keeps writes back (who is
//! not to lose that by the echo of his own), else when the first notice comes; one at a time for a file.

use crate::carry::Carry;
use crate::core::Core;
use crate::registry::Node;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use volume::{Attr, Cx, Fresh, Priority, Time, Version};

/// Whose change a notice tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Whose {
    Ours,
    /// Ours, or one that somebody else made while we wrote.
    Doubtful,
    Foreign,
}

/// The writing to one file. Plain state.
#[derive(Debug, Default)]
pub(crate) struct OwnWrites {
    on_their_way: usize,
    /// Writes begun so far: a look that one has overtaken is not believed.
    begun: u64,
    /// Something was written since the state was seen.
    unseen: bool,
    looking: bool,
    seen: Option<(Time, Version)>,
    /// Of the last who wrote; for looking.
    file: Option<Weak<dyn volume::File>>,
}

impl OwnWrites {
    fn begin(&mut self, file: Option<Weak<dyn volume::File>>) {
        self.on_their_way += 1;
        self.begun += 1;
        self.unseen = true;
        self.file = file;
    }

    fn end(&mut self) {
        self.on_their_way -= 1;
    }

    /// `None` when there is nothing to look at, or somebody does.
    fn begin_look(&mut self) -> Option<(u64, Option<Arc<dyn volume::File>>)> {
        if self.looking || !self.unseen || self.on_their_way > 0 {
            return None;
        }
        self.looking = true;
        Some((self.begun, self.file.as_ref().and_then(Weak::upgrade)))
    }

    /// `at` is of [`OwnWrites::begin_look`]. Where nothing was seen, what is newer than before counts as foreign.
    fn end_look(&mut self, at: u64, seen: Option<(Time, Version)>) {
        self.looking = false;
        if self.begun == at {
            self.unseen = false;
            self.seen = seen.or(self.seen);
        }
    }

    pub(crate) fn judge(&self, changed: Time, version: Version) -> Whose {
        match self.seen {
            _ if self.unseen => Whose::Doubtful,
            Some(seen) if seen == (changed, version) => Whose::Ours,
            Some((at, _)) if changed < at => Whose::Doubtful,
            Some(_) | None => Whose::Foreign,
        }
    }
}

/// A write on its way; moves into the work that is carried.
pub(crate) struct OwnWrite(Arc<Node>);

impl OwnWrite {
    /// `None` where the volume tells nothing.
    pub(crate) fn begin(core: &Core, node: &Arc<Node>, file: &Arc<dyn volume::File>) -> Option<OwnWrite> {
        if !core.caps.watch {
            return None;
        }
        node.own_writes.lock().begin(Some(Arc::downgrade(file)));
        Some(OwnWrite(node.clone()))
    }
}

impl Drop for OwnWrite {
    fn drop(&mut self) {
        self.0.own_writes.lock().end();
        if self.0.kept_back.load(Ordering::Acquire) {
            look_later(&self.0);
        }
    }
}

/// Looks at the state after our writes, in the background.
pub(crate) fn look_later(node: &Arc<Node>) {
    let first = node.own_writes.lock().begin_look();
    if let Some(first) = first {
        drop(Carry::new(look(node.clone(), first)));
    }
}

async fn look(node: Arc<Node>, first: (u64, Option<Arc<dyn volume::File>>)) {
    let mut next = Some(first);
    while let Some((at, file)) = next {
        let began = node.content.lock().begin_look();
        let seen = match &file {
            Some(file) => attr(&**file).await,
            None => None,
        };
        if let Some(attr) = &seen {
            node.content.lock().looked(began, attr);
        }
        let seen = seen.map(|Attr { ctime, version, .. }| (ctime, version));
        let mut own_writes = node.own_writes.lock();
        own_writes.end_look(at, seen);
        next = own_writes.begin_look();
    }
}

async fn attr(file: &dyn volume::File) -> Option<Attr> {
    match file.attr(&Cx::system(Priority::Background), Fresh::Now).await {
        Ok(attr) => Some(attr),
        Err(error) => {
            tracing::debug!(%error, "looking at a file after writing");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u64) -> (Time, Version) {
        (Time(number), Version { hi: 0, lo: number })
    }

    fn judge(own: &OwnWrites, number: u64) -> Whose {
        let (changed, version) = at(number);
        own.judge(changed, version)
    }

    #[test]
    fn what_is_older_than_the_state_after_writing_may_be_ours_and_what_is_newer_is_not() {
        let mut own = OwnWrites::default();
        assert_eq!(judge(&own, 1), Whose::Foreign);
        own.begin(None);
        assert_eq!(judge(&own, 9), Whose::Doubtful, "a write is on its way");
        assert!(own.begin_look().is_none());
        own.end();
        assert_eq!(judge(&own, 9), Whose::Doubtful, "nobody has looked");
        let (look, _) = own.begin_look().unwrap();
        assert!(own.begin_look().is_none(), "one at a time");
        own.end_look(look, Some(at(5)));
        assert_eq!([4, 5, 6].map(|n| judge(&own, n)), [Whose::Doubtful, Whose::Ours, Whose::Foreign]);
        let (changed, _) = at(5);
        assert_eq!(own.judge(changed, at(7).1), Whose::Foreign, "at the same tick of the clock");
    }

    #[test]
    fn a_look_that_a_write_has_overtaken_or_that_failed_proves_nothing() {
        let mut own = OwnWrites::default();
        own.begin(None);
        own.end();
        let (look, _) = own.begin_look().unwrap();
        own.begin(None);
        own.end_look(look, Some(at(5)));
        own.end();
        assert_eq!(judge(&own, 9), Whose::Doubtful);
        let (look, _) = own.begin_look().unwrap();
        own.end_look(look, None);
        assert_eq!(judge(&own, 9), Whose::Foreign);
    }
}
