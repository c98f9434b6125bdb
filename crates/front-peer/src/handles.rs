//! The open files of one peer, by the numbers that the peer chose.
//!
//! Calls overtake each other on the way, so a handle may be used before its `Open` has arrived or finished:
//! [`Handles::get`] waits a little. An `Open` may come twice (its answer was lost): the later file takes the
//! place of the earlier one. A `Close` may even give up waiting before its `Open` arrives (the caller went away, and
//! the two took different connections): that `Open` is refused when it comes, or nobody would ever close its file.

use parking_lot::Mutex;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use volume::File;

/// Handles remembered as closed before they were opened; an older one is forgotten, and its file then stays open
/// until the session ends.
const CLOSED_EARLY_MAX: usize = 4096;

pub(crate) struct Handles {
    table: Mutex<Table>,
    /// A slot got its file or went away.
    changed: Notify,
    limit: usize,
}

#[derive(Default)]
struct Table {
    slots: HashMap<u64, Slot>,
    /// Closed before they were opened, oldest first; at most [`CLOSED_EARLY_MAX`].
    closed_early: VecDeque<u64>,
    /// The session is over: nothing comes in any more.
    ended: bool,
}

/// A handle: never without both a file and an open under way.
struct Slot {
    /// The volume that the file is of.
    volume: Box<str>,
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
    fn remember_closed(&mut self, handle: u64) {
        if self.closed_early.len() == CLOSED_EARLY_MAX {
            self.closed_early.pop_front();
        }
        self.closed_early.push_back(handle);
    }

    /// Whether the handle was closed early. Each is asked for once.
    fn was_closed(&mut self, handle: u64) -> bool {
        let at = self.closed_early.iter().position(|closed| *closed == handle);
        at.and_then(|at| self.closed_early.remove(at)).is_some()
    }

    fn absent(&self) -> Look {
        if self.ended { Look::Ended } else { Look::Absent }
    }
}

/// Why a handle cannot be opened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    TooMany { limit: usize },
    Closed,
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

    /// Takes a place for a file of `volume` that is about to be opened.
    pub fn begin(&self, handle: u64, volume: &str) -> Result<Opening<'_>, Refused> {
        let mut table = self.table.lock();
        if table.ended {
            return Err(Refused::Ended);
        }
        if table.was_closed(handle) {
            return Err(Refused::Closed);
        }
        let full = table.slots.len() >= self.limit;
        match table.slots.entry(handle) {
            Entry::Vacant(_) if full => return Err(Refused::TooMany { limit: self.limit }),
            entry => {
                entry.or_insert_with(|| Slot { volume: volume.into(), file: None, opening: 0 }).opening += 1;
            }
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
        let look = |table: &mut Table| match table.slots.entry(handle) {
            Entry::Occupied(slot) if slot.get().file.is_none() => Look::Opening,
            Entry::Occupied(slot) => slot.remove().file.map_or(Look::Opening, Look::Found),
            Entry::Vacant(_) => table.absent(),
        };
        let found = self.wait(patience, look).await;
        match found {
            Some(file) => Some(file),
            None => self.close_early(handle),
        }
    }

    /// The open has not come in time: its file, if it came just now, else a note for when it comes.
    fn close_early(&self, handle: u64) -> Option<Arc<dyn File>> {
        let mut table = self.table.lock();
        match table.slots.remove(&handle) {
            Some(slot) => slot.file,
            None => {
                table.remember_closed(handle);
                None
            }
        }
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

    /// Gives up the handles of volumes other than those that `may` stay: returns their files, to close them.
    pub fn keep_only(&self, may: impl Fn(&str) -> bool) -> Vec<Arc<dyn File>> {
        let gone: Vec<Slot> = {
            let mut table = self.table.lock();
            table.slots.extract_if(|_, slot| !may(&slot.volume)).map(|(_, slot)| slot).collect()
        };
        self.changed.notify_waiters();
        gone.into_iter().filter_map(|slot| slot.file).collect()
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
