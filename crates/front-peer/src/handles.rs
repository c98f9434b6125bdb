//! The open files of one peer, by the numbers that the peer chose.
//!
//! Calls overtake each other on the way, so a handle may be used before its `Open` has arrived or finished:
//! [`Handles::get`] waits a little. An `Open` may come twice (its answer was lost): the later file takes the
//! place of the earlier one.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use volume::File;

pub(crate) struct Handles {
    table: Mutex<Table>,
    /// A slot got its file or went away.
    changed: Notify,
    limit: usize,
}

#[derive(Default)]
struct Table {
    slots: HashMap<u64, Slot>,
    /// The session is over: nothing comes in any more.
    ended: bool,
}

/// A handle: never without both a file and an open under way.
#[derive(Default)]
struct Slot {
    file: Option<Arc<dyn File>>,
    /// `Open` calls for this handle that are under way.
    opening: usize,
}

/// What a look into the table shows.
enum Look {
    Found(Arc<dyn File>),
    Opening,
    Absent,
    Ended,
}

impl Table {
    fn absent(&self) -> Look {
        if self.ended { Look::Ended } else { Look::Absent }
    }
}

/// Why a handle cannot be opened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    TooMany { limit: usize },
    Ended,
}

/// An open under way: the place for its file. Dropped without [`Opening::done`] the place is free again.
pub(crate) struct Opening<'a> {
    handles: &'a Handles,
    handle: u64,
}

impl Handles {
    pub fn new(limit: usize) -> Handles {
        Handles { table: Mutex::default(), changed: Notify::new(), limit }
    }

    /// Handles open or being opened.
    pub fn count(&self) -> usize {
        self.table.lock().slots.len()
    }

    /// Takes a place for a file that is about to be opened.
    pub fn begin(&self, handle: u64) -> Result<Opening<'_>, Refused> {
        let mut table = self.table.lock();
        if table.ended {
            return Err(Refused::Ended);
        }
        let full = table.slots.len() >= self.limit;
        match table.slots.entry(handle) {
            Entry::Vacant(_) if full => return Err(Refused::TooMany { limit: self.limit }),
            entry => entry.or_default().opening += 1,
        }
        Ok(Opening { handles: self, handle })
    }

    /// The file under a handle; `None` when there is still none after `patience`, or after an open under way
    /// has failed.
    pub async fn get(&self, handle: u64, patience: Duration) -> Option<Arc<dyn File>> {
        self.wait(patience, |table| match table.slots.get(&handle) {
            Some(slot) => slot.file.clone().map_or(Look::Opening, Look::Found),
            None => table.absent(),
        })
        .await
    }

    /// Takes the file out, to close it. An open of the same handle that is still under way finds its place gone
    /// when it is done, and closes its file.
    pub async fn take(&self, handle: u64, patience: Duration) -> Option<Arc<dyn File>> {
        self.wait(patience, |table| match table.slots.entry(handle) {
            Entry::Occupied(slot) if slot.get().file.is_none() => Look::Opening,
            Entry::Occupied(slot) => slot.remove().file.map_or(Look::Opening, Look::Found),
            Entry::Vacant(_) => table.absent(),
        })
        .await
    }

    async fn wait(&self, patience: Duration, look: impl Fn(&mut Table) -> Look) -> Option<Arc<dyn File>> {
        let until = Instant::now() + patience;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let found = look(&mut self.table.lock());
            match found {
                Look::Found(file) => return Some(file),
                Look::Ended => return None,
                // The open ends by its own deadline, and its end is told.
                Look::Opening => changed.await,
                Look::Absent => timeout_at(until, changed).await.ok()?,
            }
        }
    }

    /// Ends the session: returns all files, to close them.
    pub fn end(&self) -> Vec<Arc<dyn File>> {
        let slots = {
            let mut table = self.table.lock();
            table.ended = true;
            std::mem::take(&mut table.slots)
        };
        self.changed.notify_waiters();
        slots.into_values().filter_map(|slot| slot.file).collect()
    }
}

impl Opening<'_> {
    /// Puts the file into its place. Returns a file that is to be closed: the one that was there before, or
    /// this one when the handle was closed meanwhile.
    pub fn done(self, file: Arc<dyn File>) -> Option<Arc<dyn File>> {
        match self.handles.table.lock().slots.get_mut(&self.handle) {
            Some(slot) => slot.file.replace(file),
            None => Some(file),
        }
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if let Entry::Occupied(mut slot) = self.handles.table.lock().slots.entry(self.handle) {
            slot.get_mut().opening = slot.get().opening.saturating_sub(1);
            if slot.get().opening == 0 && slot.get().file.is_none() {
                slot.remove();
            }
        }
        self.handles.changed.notify_waiters();
    }
}
