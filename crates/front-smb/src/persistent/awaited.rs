//! What of persistent opens is still to come back after a start, and who waits for that.
//!
//! ```text
//!             read              back or given up, one after the other
//! unknown ------------> these ---------------------------------------> none
//!    |                                                                  ^
//!    '----> lost: not read as long as any client might have come -------'  removed
//! ```
//!
//! Until all are there nobody else opens anything in the share, but not for ever: after a while (`restore_patience`) the
//! others go on. What is still missing then keeps its name: nobody opens that in this share until the open is back or
//! given up. By another name of the file, or by another share over the volume, one may come before it.
//!
//! What is not known yet may be of any file. So names that change are written down then, and while the others wait all
//! names are kept; when they go on, none is, and no open is persistent.

use super::OpenRecords;
use super::record::Record;
use super::restore::restore;
use crate::config::Share;
use crate::limits;
use crate::server::State;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::sleep;
use vfs::names::fold;
use volume::VPath;

/// The shares whose opens come back or are back, by folded name.
#[derive(Default)]
pub(crate) struct Restorations {
    all: Mutex<HashMap<String, Begun>>,
    /// Those that have not come to their end. With none nobody looks further.
    under_way: AtomicUsize,
    /// Waits until nobody can come for what no share brings back.
    forgetting: Mutex<Option<AbortHandle>>,
}

/// A share whose opens come back or are back.
struct Begun {
    /// There as long as it comes to no end, whatever share has its name by then.
    share: Weak<Share>,
    restoration: Arc<Restoration>,
    task: AbortHandle,
}

impl Restorations {
    /// Begins with a share, once.
    pub(crate) fn begin(&self, state: &Arc<State>, records: &OpenRecords, share: Arc<Share>) {
        let mut all = self.all.lock();
        all.entry(share.name.to_lowercase()).or_insert_with(|| {
            self.under_way.fetch_add(1, Ordering::AcqRel);
            let restoration = Arc::<Restoration>::default();
            let (state, records, of_task) = (Arc::clone(state), records.clone(), Arc::clone(&restoration));
            let begun = Arc::downgrade(&share);
            let task = tokio::spawn(async move {
                restore(&state, &records, &share, &of_task).await;
                of_task.let_in();
                state.restorations.under_way.fetch_sub(1, Ordering::AcqRel);
            });
            Begun { share: begun, restoration, task: task.abort_handle() }
        });
    }

    /// Forgets what was open in shares that do not bring it back, as they are not continuously available any more, or
    /// not there: when no client can come for it, should one of them be so again.
    pub(crate) fn forget_others(&self, state: &Arc<State>, records: &OpenRecords) {
        let (state, records) = (Arc::downgrade(state), records.clone());
        let task = tokio::spawn(async move {
            sleep(limits::DURABLE_TIMEOUT_MAX).await;
            let Some(state) = state.upgrade() else { return };
            let begun = state.restorations.all.lock().keys().cloned().collect();
            match records.clear_others(begun).await {
                Ok(0) => {}
                Ok(opens) => tracing::warn!(opens, "persistent opens of shares that have none are forgotten"),
                Err(error) => tracing::warn!(%error, "forgetting persistent opens of shares that have none"),
            }
        });
        *self.forgetting.lock() = Some(task.abort_handle());
    }

    /// The one of a share, unless all have come to their end.
    fn of(&self, share: &Share) -> Option<Arc<Restoration>> {
        if self.under_way.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.all.lock().get(&share.name.to_lowercase()).map(|begun| Arc::clone(&begun.restoration))
    }

    /// Returns when others may open files in the share.
    pub(crate) async fn let_in(&self, share: &Share) {
        if let Some(restoration) = self.of(share) {
            let mut lets_in = restoration.lets_in.subscribe();
            // It ends with its sender alone, which is here.
            let _in = lets_in.wait_for(|lets_in| *lets_in).await;
        }
    }

    /// Whether an open of the share is still to come back.
    pub(crate) fn await_one(&self, share: &Share, id: u64) -> bool {
        self.of(share).is_some_and(|restoration| restoration.awaits(id))
    }

    /// The folded names of the shares over the volume of `open` some of whose opens are.
    pub(super) fn awaited_over(&self, open: &vfs::Open) -> Vec<String> {
        if self.under_way.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let all = self.all.lock();
        let is_over = |begun: &Begun| begun.share.upgrade().is_some_and(|share| share.vfs.has(open));
        let awaited = all.iter().filter(|(_, begun)| begun.restoration.awaits_some() && is_over(begun));
        awaited.map(|(name, _)| name.clone()).collect()
    }

    /// Whether one of a file of this name is.
    pub(crate) fn await_one_at(&self, share: &Share, path: &VPath) -> bool {
        self.of(share).is_some_and(|restoration| restoration.awaits_at(path))
    }

    /// Whether it is known what was open in the share: before, nothing is written down beside it.
    pub(crate) fn know(&self, share: &Share) -> bool {
        self.of(share).is_none_or(|restoration| restoration.is_known())
    }

    /// None begins as long as this is held.
    #[cfg(test)]
    pub(crate) fn held_up(&self) -> impl Drop + '_ {
        self.all.lock()
    }

    /// The server ends. What is not back stays written down.
    pub(crate) fn stop(&self) {
        self.all.lock().values().for_each(|begun| begun.task.abort());
        self.forgetting.lock().iter().for_each(AbortHandle::abort);
    }
}

/// Of one share.
#[derive(Default)]
pub(super) struct Restoration {
    /// Whether others open files.
    lets_in: watch::Sender<bool>,
    awaited: Mutex<Awaited>,
}

/// What is still to come back.
#[derive(Default)]
enum Awaited {
    #[default]
    Unknown,
    /// These opens, with the folded names of their files.
    These(HashMap<u64, String>),
    Lost,
}

impl Restoration {
    pub(super) fn let_in(&self) {
        self.lets_in.send_replace(true);
    }

    fn is_known(&self) -> bool {
        matches!(*self.awaited.lock(), Awaited::These(_))
    }

    pub(super) fn awaits(&self, id: u64) -> bool {
        match &*self.awaited.lock() {
            Awaited::Unknown => true,
            Awaited::These(missing) => missing.contains_key(&id),
            Awaited::Lost => false,
        }
    }

    pub(super) fn awaits_some(&self) -> bool {
        match &*self.awaited.lock() {
            Awaited::Unknown => true,
            Awaited::These(missing) => !missing.is_empty(),
            Awaited::Lost => false,
        }
    }

    fn awaits_at(&self, path: &VPath) -> bool {
        match &*self.awaited.lock() {
            Awaited::Unknown => !*self.lets_in.borrow(),
            Awaited::These(missing) if missing.is_empty() => false,
            Awaited::These(missing) => {
                let named = fold(path.as_str());
                missing.values().any(|name| *name == *named)
            }
            Awaited::Lost => false,
        }
    }

    /// How many are missing, where that is known.
    pub(super) fn missing(&self) -> Option<usize> {
        match &*self.awaited.lock() {
            Awaited::These(missing) => Some(missing.len()),
            Awaited::Unknown | Awaited::Lost => None,
        }
    }

    /// These are missing, and no others.
    pub(super) fn expect(&self, records: &[Record]) {
        let name = |record: &Record| fold(record.former.request.path.as_str()).into_owned();
        *self.awaited.lock() =
            Awaited::These(records.iter().map(|record| (record.id, name(record))).collect());
    }

    /// It is back, or given up.
    pub(super) fn settle(&self, id: u64) {
        if let Awaited::These(missing) = &mut *self.awaited.lock() {
            missing.remove(&id);
        }
    }

    pub(super) fn lose(&self) {
        *self.awaited.lock() = Awaited::Lost;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_may_be_anything_until_it_is_lost() {
        let restoration = Restoration::default();
        let path = VPath::parse("file").unwrap();
        // Whether one is awaited, any, one of that name.
        let awaits = || (restoration.awaits(5), restoration.awaits_some(), restoration.awaits_at(&path));
        assert_eq!(awaits(), (true, true, true));
        restoration.let_in();
        assert_eq!(awaits(), (true, true, false), "no name is kept for ever");
        restoration.lose();
        assert_eq!((awaits(), restoration.is_known()), ((false, false, false), false));
        restoration.expect(&[]);
        assert_eq!((awaits(), restoration.is_known()), ((false, false, false), true));
    }
}
