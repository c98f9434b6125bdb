//! What the client of an open may cache, and giving it back.

use super::{Open, OpenKey};
use crate::caching::{AckRefused, Answering, BreakListener, Caching, Granted};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// So long after writing itself an open that sets the time of the last write does not look for what others have written.
const JUST_WRITTEN: Duration = Duration::from_secs(1);

impl Open {
    /// From now on `listener` is told when what the client caches is to be given back; what had to be told
    /// before is told at once. For when the client knows of the open.
    pub fn listen(&self, listener: BreakListener) {
        let OpenKey { file, id, .. } = self.key;
        self.core.decide(|registry, told| registry.listen(file, id, listener, told));
    }

    /// The client has given back all but `keeps`, as it was told to. Answers what it keeps.
    ///
    /// # Errors
    /// [`AckRefused`]; when it wanted too much the client has lost all.
    pub fn acknowledge(&self, keeps: Caching) -> Result<Caching, AckRefused> {
        let OpenKey { file, id, .. } = self.key;
        self.core.decide(|registry, told| registry.acknowledge(file, id, keeps, told))
    }

    /// Tells what was asked back and not answered once more: the first message may not have come through.
    pub fn break_again(&self) {
        let OpenKey { file, id, .. } = self.key;
        self.core.decide(|registry, told| registry.break_again(file, id, told));
    }

    /// Asks the client for all that it caches by this open, where it may keep it open for that alone: it closes it then.
    /// Nobody waits. False where it may not, or is asked already.
    pub fn ask_for_handle(&self) -> bool {
        let OpenKey { file, id, .. } = self.key;
        self.core.decide(|registry, told| registry.ask_for_handle(file, id, told))
    }

    /// What the client may cache now, with a lease perhaps by other opens of it.
    pub fn caching(&self) -> Caching {
        self.granted().caching
    }

    /// The same, with the state of the lease.
    pub fn granted(&self) -> Granted {
        self.core.registry.lock().granted(self.key.file, self.key.id)
    }

    /// Whether it caches, and others may have written something without its being told yet. Not so right after it has
    /// written itself: that is looked at anyhow, and who writes and sets the time does not look twice.
    pub(super) fn may_have_missed_others(&self) -> bool {
        if self.core.knows_authors() {
            return false;
        }
        let is_cached =
            self.node.readers.load(Ordering::Acquire) > 0 || self.node.kept_back.load(Ordering::Acquire);
        let has_just_written = || {
            let content = self.node.content.lock();
            self.written.load(Ordering::Acquire) && content.changed_within(JUST_WRITTEN, Instant::now())
        };
        is_cached && self.caching().contains(Caching::READ) && !has_just_written()
    }

    /// The client was away and is back: what it may cache, as it is about to be told. What it is to give back of that it
    /// is told when it has heard so, or never will: when what is answered here besides is dropped.
    pub fn take_up(&self) -> (Granted, Answering) {
        let OpenKey { file, id, .. } = self.key;
        let (granted, holder) = self.core.registry.lock().take_up(file, id).unzip();
        (granted.unwrap_or_default(), Answering { core: Arc::clone(&self.core), file, holder })
    }

    /// The client cannot be told any more: what it cached is gone, and nobody waits for it.
    pub fn give_up_caching(&self) {
        self.core.registry.lock().give_up_caching(self.key.file, self.key.id);
    }
}
