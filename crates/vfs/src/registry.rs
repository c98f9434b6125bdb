//! The one registry of opens for all front ends. Plain state behind one mutex; no reading or writing of files
//! passes here.
//!
//! A file that is open has a slot, found by its [`FileId`]: its opens, and the names of it that are to go
//! away, and what clients cache of it ([`crate::caching`]). A slot lives until its last open has left and its
//! doomed names are removed.
//!
//! Moving a directory and working below it exclude each other: an operation *enters* its path before it asks the
//! volume, and waits while that or a directory above is *sealed*; who moves a directory seals it, which he cannot while
//! somebody else has entered below, and waits for nobody from then on. So no open ever comes to stand under a path that
//! is not its own. Who dooms a directory seals it too, where others leave him a moment for that: it stays empty then. A file
//! that moves is sealed for those who ask for something by its name alone, and find nothing.

mod doomed;
mod entries;
mod places;
mod slot;

use crate::accounts::{Account, Accounts};
use crate::caching::{Beside, CachingTable, LeaseId, Told, Wish};
use crate::case::Case;
use crate::leases::Leases;
use crate::streams::slots::Streams;
use crate::{Access, Error, Limits, OpenId, OpenInfo, Result};
use entries::Entries;
pub(crate) use entries::Entry;
use places::Places;
use slot::Doomed;
pub(crate) use slot::{Admission, Ask, Coming, Node, Record, Removal, Slot};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::Instant;
use volume::{FileId, VPath};

#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) case: Case,
    pub(crate) slots: HashMap<FileId, Slot>,
    /// Where each open stands in its slot: there may be very many of one directory, and whatever is done by an open asks for
    /// its own.
    stands_at: HashMap<OpenId, usize>,
    /// Those of directories.
    dirs: HashSet<FileId>,
    pub(crate) leases: Leases,
    pub(crate) streams: Streams,
    pub(crate) places: Places,
    entries: Entries,
    accounts: Accounts,
    locks_limit: usize,
    opens_of_file_limit: usize,
}

impl Registry {
    pub(crate) fn new(limits: &Limits, case: Case) -> Registry {
        Registry {
            case,
            slots: HashMap::new(),
            stands_at: HashMap::new(),
            dirs: HashSet::new(),
            leases: Leases::default(),
            streams: Streams::default(),
            places: Places::default(),
            entries: Entries::default(),
            accounts: Accounts::new(limits),
            locks_limit: limits.locks_per_file,
            opens_of_file_limit: limits.opens_of_file_per_account,
        }
    }

    /// Adds an open of `file` if the opens that are there allow it, or will when they have answered.
    pub(crate) fn admit(
        &mut self,
        file: FileId,
        dir: bool,
        record: Record,
        ask: Ask,
        told: &mut Vec<Told>,
    ) -> Result<Admission> {
        let (locks_limit, case) = (self.locks_limit, self.case);
        self.leases.check(record.lease, file)?;
        if let Some(slot) = self.slots.get_mut(&file) {
            if slot.is_doomed(&record.path, case) && ask.coming != Coming::Returns {
                return Err(Error::DeletePending);
            }
            if ask.coming != Coming::Returns && !slot.has_room_for(&record, self.opens_of_file_limit) {
                return Err(Error::LimitReached("opens of one file by one account"));
            }
            if Registry::contend_open(slot, &record, ask, told)? {
                return Ok(Admission::Wait(file, slot.node.clone()));
            }
        }
        if (ask.coming == Coming::Empties || ask.needs.contains(Access::DELETE))
            && let Some((stream, node)) = self.contend_taking_streams(file, told)?
        {
            return Ok(Admission::Wait(stream, node));
        }
        if dir {
            self.dirs.insert(file);
        }
        let slot = self.slots.entry(file).or_insert_with(|| Slot {
            node: Arc::new(Node::new(locks_limit)),
            records: Vec::new(),
            caching: CachingTable::default(),
            waits_until: None,
            doomed: Vec::new(),
            opened: 0,
        });
        let other = |there: &Record| record.lease.is_none() || there.lease != record.lease;
        let is_beside = |there: &Record| !there.is_left_behind() && there.access.is_more_than_attributes();
        let others = slot.records.iter().any(|there| other(there) && is_beside(there));
        let locked = slot.node.locks.held() > 0 && ask.coming != Coming::Empties;
        let wish = Wish { holder: record.holder(), wanted: ask.caching, epoch: ask.epoch };
        let beside = Beside { others, locked, dir };
        let granted = match ask.coming {
            Coming::Returns => slot.caching.come_back(wish, beside),
            Coming::Opens | Coming::Empties => slot.caching.grant(wish, beside, Instant::now()),
        };
        slot.note_caching();
        self.leases.opened(&record, file);
        self.places.enter(&record.path, file);
        self.accounts.add(record.account.as_ref());
        self.stands_at.insert(record.id, slot.records.len());
        slot.records.push(record);
        slot.opened += 1;
        Ok(Admission::In(slot.node.clone(), granted))
    }

    /// The account with this name, of an open that is there.
    pub(crate) fn account(&self, name: Option<&Arc<str>>) -> Arc<Account> {
        self.accounts.of(name)
    }

    /// Takes an open away. The answer is a name to be removed at the volume now, after which
    /// [`Registry::removed`] must be called; until then new opens of it answer `DeletePending`.
    pub(crate) fn leave(&mut self, file: FileId, open: OpenId) -> Option<Removal> {
        let case = self.case;
        let slot = self.slots.get_mut(&file)?;
        let at = self.stands_at.remove(&open)?;
        let record = slot.records.swap_remove(at);
        debug_assert_eq!(record.id, open, "of another file");
        if let Some(moved) = slot.records.get(at) {
            self.stands_at.insert(moved.id, at);
        }
        self.accounts.remove(record.account.as_ref());
        slot.caching.release(record.holder());
        slot.note_caching();
        self.leases.left(&record, &slot.caching);
        if !record.unnamed {
            self.places.leave(&record.path, file);
        }
        if record.delete_on_close && slot.mark_of(&record.path, case).is_none_or(|mark| mark.going) {
            slot.doomed.push(Doomed::by(&record));
            self.places.enter(&record.path, file);
        }
        // A stream would not go on without what carries it.
        let unlinks = record.unlinks && !slot.has_stream_open_of(&record.path, case);
        let goes = unlinks || !slot.has_open_of(&record.path, case);
        if let Some(doomed) = slot.mark_of(&record.path, case).filter(|_| goes) {
            doomed.going = true;
            // Only where who doomed it and who leaves last speak for the same client does that one know of it.
            let parent_lease = doomed.parent_lease.filter(|lease| record.parent_lease == Some(*lease));
            return Some(Removal { doomed_by: doomed.by, parent_lease });
        }
        self.drop_if_empty(file);
        None
    }

    fn drop_if_empty(&mut self, file: FileId) {
        if self.slots.get(&file).is_some_and(|slot| slot.records.is_empty() && slot.doomed.is_empty()) {
            self.slots.remove(&file);
            self.dirs.remove(&file);
            self.streams.forget(file);
        }
    }

    pub(crate) fn record(&self, file: FileId, open: OpenId) -> Option<&Record> {
        let record = self.slots.get(&file)?.records.get(*self.stands_at.get(&open)?);
        record.filter(|record| record.id == open)
    }

    /// The lease on the directory that all who have a file open name.
    pub(crate) fn parent_lease_of_all(&self, file: FileId) -> Option<LeaseId> {
        let mut leases = self.slots.get(&file)?.records.iter().map(|record| record.parent_lease);
        let first = leases.next()?;
        first.filter(|_| leases.all(|lease| lease == first))
    }

    /// What the opens of a file share, if there are any.
    pub(crate) fn node(&self, file: FileId) -> Option<Arc<Node>> {
        self.slots.get(&file).map(|slot| slot.node.clone())
    }

    pub(crate) fn is_open(&self, file: FileId) -> bool {
        let is_there = |record: &Record| !record.is_left_behind();
        self.slots.get(&file).is_some_and(|slot| slot.records.iter().any(is_there))
    }

    /// Whether nobody has anything to do with a file: neither opens of it or of its streams, nor names that are to go away.
    pub(crate) fn is_untouched(&self, file: FileId) -> bool {
        !self.slots.contains_key(&file) && self.streams.of(file).is_empty()
    }

    /// Whether a file is open under this name of the volume.
    pub(crate) fn is_open_at(&self, file: FileId, path: &VPath) -> bool {
        self.slots.get(&file).is_some_and(|slot| slot.has_open_of(path, self.case))
    }

    /// The node of a file, if an open that is there may have written, and something was written.
    pub(crate) fn being_written(&self, file: FileId) -> Option<Arc<Node>> {
        let slot = self.slots.get(&file)?;
        let written = slot.node.written.load(Ordering::Acquire)
            && slot.records.iter().any(|record| record.access.intersects(Access::WRITING));
        written.then(|| slot.node.clone())
    }

    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let opens = self.slots.values().map(|slot| slot.records.len()).sum();
        let locks = self.slots.values().map(|slot| slot.node.locks.held()).sum();
        (opens, self.slots.len(), locks)
    }

    pub(crate) fn list(&self, most: usize) -> Vec<OpenInfo> {
        let all = self.slots.values().flat_map(|slot| slot.records.iter().map(move |r| (slot, r)));
        all.filter(|(_, record)| !record.for_stream)
            .take(most)
            .map(|(slot, record)| OpenInfo {
                id: record.id,
                owner: record.owner,
                path: record.path.clone(),
                access: record.access,
                share: record.share,
                caching: slot.caching.held(record.holder()),
                delete_pending: record.unnamed || slot.is_doomed(&record.path, self.case),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
