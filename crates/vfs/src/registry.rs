//! The one registry of opens for all front ends. Plain state behind one mutex; no reading or writing of files
//! passes here.
//!
//! A file that is open has a slot, found by its [`FileId`]: its opens, and the names of it that are to go
//! away, and what clients cache of it ([`crate::caching`]). A slot lives until its last open has left and its
//! doomed names are removed.
//!
//! Moving a directory and opening something below it exclude each other: an operation *enters* its path
//! before it asks the volume, and waits while a directory above is moved; a move is refused while somebody
//! has entered below. So no open ever comes to stand under a path that is not its own.

use crate::accounts::Accounts;
use crate::caching::{Beside, Caching, CachingTable, Granted, Holder, LeaseId, Told, Wish};
use crate::content::Content;
use crate::leases::Leases;
use crate::lock_wait::RangeLocks;
use crate::own_writes::OwnWrites;
use crate::streams::slots::Streams;
use crate::{Access, Error, Limits, OpenId, OpenInfo, OpenRequest, Owner, Result, Share, names};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::time::Instant;
use volume::{FileId, VPath};

/// What the opens of one file share, reachable without the registry.
#[derive(Debug)]
pub(crate) struct Node {
    pub locks: RangeLocks,
    /// Held from finding the end of the file to having written there.
    pub appending: Arc<AsyncMutex<()>>,
    /// Held while a value that the file carries is set.
    pub carrying: Arc<AsyncMutex<()>>,
    /// Clients that cache reads alone; lets content change without the registry while zero.
    pub readers: AtomicUsize,
    /// Whether somebody keeps writes back.
    pub kept_back: AtomicBool,
    pub own_writes: Mutex<OwnWrites>,
    pub content: Mutex<Content>,
    /// Whether something was written through an open that is there or was.
    pub written: AtomicBool,
    /// Told whenever a holder of a caching right has answered a break or is gone.
    pub settled: Notify,
}

impl Node {
    fn new(locks_limit: usize) -> Node {
        Node {
            locks: RangeLocks::new(locks_limit),
            appending: Arc::default(),
            carrying: Arc::default(),
            readers: AtomicUsize::new(0),
            kept_back: AtomicBool::new(false),
            own_writes: Mutex::default(),
            content: Mutex::default(),
            written: AtomicBool::new(false),
            settled: Notify::new(),
        }
    }
}

/// One open, as the registry knows it.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub id: OpenId,
    pub owner: Owner,
    /// See [`OpenRequest::account`].
    pub account: Option<Arc<str>>,
    pub access: Access,
    pub share: Share,
    pub path: VPath,
    pub delete_on_close: bool,
    /// The lease that it shares.
    pub lease: Option<LeaseId>,
    /// Key of the lease that its client has on the directory: what the open does is no news to that one.
    pub parent_lease: Option<u128>,
    /// It only holds the object for an open of one of its streams ([`crate::streams`]).
    pub for_stream: bool,
}

impl Record {
    /// Who holds what its client may cache.
    pub(crate) fn holder(&self) -> Holder {
        self.lease.map_or(Holder::Open(self.id), Holder::Lease)
    }
}

/// A name that goes away with its last open.
#[derive(Clone, Debug)]
struct Doomed {
    path: VPath,
    /// Of the open that doomed it, see [`Record::parent_lease`].
    parent_lease: Option<u128>,
}

/// A name to be removed at the volume now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Removal {
    pub path: VPath,
    pub parent_lease: Option<u128>,
}

#[derive(Debug)]
pub(crate) struct Slot {
    pub node: Arc<Node>,
    pub records: Vec<Record>,
    pub caching: CachingTable,
    /// Names that go away with their last open.
    doomed: Vec<Doomed>,
}

/// How an open comes in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Coming {
    Opens,
    /// It empties the file.
    Empties,
    /// It was there before the process ended: that its name is to go away does not keep it out.
    Returns,
}

impl Coming {
    pub(crate) fn of(request: &OpenRequest) -> Coming {
        if request.disposition.empties() { Coming::Empties } else { Coming::Opens }
    }
}

/// What an open asks of the registry besides its record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    /// The access that share modes are checked with: more than the open keeps when it empties the file.
    pub needs: Access,
    pub coming: Coming,
    /// What it would like to cache, and the epoch of its lease.
    pub caching: Caching,
    pub epoch: Option<u16>,
}

/// Whether an open has come in.
#[derive(Debug)]
pub(crate) enum Admission {
    /// With what it may cache.
    In(Arc<Node>, Granted),
    /// Somebody caches what stands against it, and was told: of this file, or of a stream of it.
    Wait(FileId, Arc<Node>),
}

/// The right to work on a path, until [`Registry::exit`].
pub(crate) type Entry = u64;

#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) slots: HashMap<FileId, Slot>,
    /// Those of directories.
    dirs: HashSet<FileId>,
    pub(crate) leases: Leases,
    pub(crate) streams: Streams,
    /// Folded paths being worked on, and on whose account something is to be opened there.
    entered: HashMap<Entry, (String, Option<Arc<str>>)>,
    last_entry: Entry,
    /// Folded paths of directories being moved.
    moving: Vec<String>,
    opens: usize,
    /// Opens by account, those that are being made among them.
    accounts: Accounts,
    /// Names that are to go away, over all slots.
    doomed: usize,
    opens_limit: usize,
    locks_limit: usize,
}

impl Registry {
    pub(crate) fn new(limits: &Limits) -> Registry {
        Registry {
            slots: HashMap::new(),
            dirs: HashSet::new(),
            leases: Leases::default(),
            streams: Streams::default(),
            entered: HashMap::new(),
            last_entry: 0,
            moving: Vec::new(),
            opens: 0,
            accounts: Accounts::new(limits.opens_per_account),
            doomed: 0,
            opens_limit: limits.opens,
            locks_limit: limits.locks_per_file,
        }
    }

    /// Begins work on a path, and keeps room for an open, on this account where there is one. `None`: a directory above
    /// is being moved, wait.
    pub(crate) fn enter(&mut self, path: &VPath, account: Option<&Arc<str>>) -> Result<Option<Entry>> {
        let folded = names::fold(path.as_str()).into_owned();
        if self.moving.iter().any(|moving| is_within(&folded, moving)) {
            return Ok(None);
        }
        if self.opens + self.entered.len() >= self.opens_limit {
            return Err(Error::LimitReached("opens"));
        }
        if account.is_some_and(|account| !self.accounts.has_room(account)) {
            return Err(Error::LimitReached("opens of one account"));
        }
        account.into_iter().for_each(|account| self.accounts.add(account));
        self.last_entry += 1;
        self.entered.insert(self.last_entry, (folded, account.cloned()));
        Ok(Some(self.last_entry))
    }

    pub(crate) fn exit(&mut self, entry: Entry) {
        if let Some((_, Some(account))) = self.entered.remove(&entry) {
            self.accounts.remove(&account);
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
        let locks_limit = self.locks_limit;
        self.leases.check(record.lease, file)?;
        if let Some(slot) = self.slots.get_mut(&file) {
            let doomed = slot.doomed.iter().any(|doomed| same(&doomed.path, &record.path));
            if doomed && ask.coming != Coming::Returns {
                return Err(Error::DeletePending);
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
            doomed: Vec::new(),
        });
        let other = |there: &Record| record.lease.is_none() || there.lease != record.lease;
        let others = slot.records.iter().any(|there| other(there) && there.access.is_more_than_attributes());
        let locked = slot.node.locks.held() > 0 && ask.coming != Coming::Empties;
        let wish = Wish { holder: record.holder(), wanted: ask.caching, epoch: ask.epoch };
        let beside = Beside { others, locked, dir };
        let granted = match ask.coming {
            Coming::Returns => slot.caching.come_back(wish, beside),
            Coming::Opens | Coming::Empties => slot.caching.grant(wish, beside, Instant::now()),
        };
        slot.note_caching();
        self.leases.opened(&record, file, dir);
        record.account.iter().for_each(|account| self.accounts.add(account));
        slot.records.push(record);
        self.opens += 1;
        Ok(Admission::In(slot.node.clone(), granted))
    }

    /// Takes an open away. The answer is a name to be removed at the volume now, after which
    /// [`Registry::removed`] must be called; until then new opens of it answer `DeletePending`.
    pub(crate) fn leave(&mut self, file: FileId, open: OpenId) -> Option<Removal> {
        let slot = self.slots.get_mut(&file)?;
        let at = slot.records.iter().position(|record| record.id == open)?;
        let record = slot.records.swap_remove(at);
        self.opens -= 1;
        record.account.iter().for_each(|account| self.accounts.remove(account));
        slot.caching.release(record.holder());
        slot.settled();
        self.leases.left(&record, file, &slot.caching);
        let is_doomed = slot.doomed.iter().any(|doomed| same(&doomed.path, &record.path));
        if record.delete_on_close && !is_doomed {
            slot.doomed.push(Doomed { path: record.path.clone(), parent_lease: record.parent_lease });
            self.doomed += 1;
        }
        let last = !slot.records.iter().any(|other| same(&other.path, &record.path));
        let doomed = slot.doomed.iter().find(|doomed| same(&doomed.path, &record.path));
        if let Some(doomed) = doomed.filter(|_| last) {
            // Only where who doomed it and who leaves last speak for the same client does that one know of it.
            let parent_lease = doomed.parent_lease.filter(|key| record.parent_lease == Some(*key));
            return Some(Removal { path: record.path, parent_lease });
        }
        self.drop_if_empty(file);
        None
    }

    /// The name was removed at the volume, or cannot be.
    pub(crate) fn removed(&mut self, file: FileId, path: &VPath) {
        self.spare_name(file, path);
        self.drop_if_empty(file);
    }

    fn spare_name(&mut self, file: FileId, path: &VPath) {
        if let Some(slot) = self.slots.get_mut(&file) {
            let before = slot.doomed.len();
            slot.doomed.retain(|doomed| !same(&doomed.path, path));
            self.doomed -= before - slot.doomed.len();
        }
    }

    fn drop_if_empty(&mut self, file: FileId) {
        if self.slots.get(&file).is_some_and(|slot| slot.records.is_empty() && slot.doomed.is_empty()) {
            self.slots.remove(&file);
            self.dirs.remove(&file);
            self.streams.forget(file);
        }
    }

    pub(crate) fn record(&self, file: FileId, open: OpenId) -> Option<&Record> {
        self.slots.get(&file)?.records.iter().find(|record| record.id == open)
    }

    /// Gives an open that did not happen its old flag back: a withdrawn open dooms nothing.
    pub(crate) fn spare(&mut self, file: FileId, open: OpenId) {
        let slot = self.slots.get_mut(&file);
        if let Some(record) = slot.and_then(|slot| slot.records.iter_mut().find(|record| record.id == open)) {
            record.delete_on_close = false;
        }
    }

    /// Marks the name of an open to go away with its last open, or takes that back.
    pub(crate) fn set_doomed(&mut self, file: FileId, open: OpenId, on: bool) -> Result<()> {
        let record = self.record(file, open).ok_or(Error::Closed)?;
        let doomed = Doomed { path: record.path.clone(), parent_lease: record.parent_lease };
        self.spare_name(file, &doomed.path);
        if on && let Some(slot) = self.slots.get_mut(&file) {
            slot.doomed.push(doomed);
            self.doomed += 1;
        }
        Ok(())
    }

    pub(crate) fn is_doomed(&self, file: FileId, path: &VPath) -> bool {
        self.slots.get(&file).is_some_and(|slot| slot.doomed.iter().any(|doomed| same(&doomed.path, path)))
    }

    /// Whether anything is to go away under this very name.
    pub(crate) fn is_path_doomed(&self, path: &VPath) -> bool {
        let is_doomed = |slot: &Slot| slot.doomed.iter().any(|doomed| same(&doomed.path, path));
        let itself = |(id, slot): (&FileId, &Slot)| is_doomed(slot) && !self.streams.is_stream(*id);
        self.doomed > 0 && self.slots.iter().any(itself)
    }

    /// The key of the lease on the directory that all who have a file open name.
    pub(crate) fn parent_lease_of_all(&self, file: FileId) -> Option<u128> {
        let mut keys = self.slots.get(&file)?.records.iter().map(|record| record.parent_lease);
        let first = keys.next()?;
        first.filter(|_| keys.all(|key| key == first))
    }

    /// What the opens of a file share, if there are any.
    pub(crate) fn node(&self, file: FileId) -> Option<Arc<Node>> {
        self.slots.get(&file).map(|slot| slot.node.clone())
    }

    pub(crate) fn is_open(&self, file: FileId) -> bool {
        self.slots.get(&file).is_some_and(|slot| !slot.records.is_empty())
    }

    /// Whether a file is open under this very name.
    pub(crate) fn is_open_at(&self, file: FileId, path: &VPath) -> bool {
        self.slots.get(&file).is_some_and(|slot| slot.records.iter().any(|record| record.path == *path))
    }

    /// The node of a file, if an open that is there may have written, and something was written.
    pub(crate) fn being_written(&self, file: FileId) -> Option<Arc<Node>> {
        let slot = self.slots.get(&file)?;
        let written = slot.node.written.load(Ordering::Acquire)
            && slot.records.iter().any(|record| record.access.intersects(Access::WRITING));
        written.then(|| slot.node.clone())
    }

    /// The open directories at `path`: one, unless it was replaced at the origin.
    pub(crate) fn dirs_at(&self, path: &VPath) -> Vec<FileId> {
        let is_there = |slot: &Slot| slot.records.iter().any(|record| same(&record.path, path));
        self.dirs.iter().filter(|dir| self.slots.get(dir).is_some_and(is_there)).copied().collect()
    }

    /// Whether something below this directory is open.
    pub(crate) fn has_open_below(&self, dir: &VPath) -> bool {
        let mut records = self.slots.values().flat_map(|slot| &slot.records);
        records.any(|record| lies_below(record.path.as_str(), dir.as_str()))
    }

    /// Begins to move a directory. False: somebody works below it just now.
    pub(crate) fn begin_move(&mut self, dir: &VPath) -> bool {
        let dir = names::fold(dir.as_str()).into_owned();
        if self.entered.values().any(|(path, _)| is_below(path, &dir)) {
            return false;
        }
        self.moving.push(dir);
        true
    }

    pub(crate) fn end_move(&mut self, dir: &VPath) {
        let dir = names::fold(dir.as_str());
        if let Some(at) = self.moving.iter().position(|moving| *moving == dir) {
            self.moving.swap_remove(at);
        }
    }

    /// A name moved: the opens of it, and those below it, follow. `file` is what moved, where it is known not to be a
    /// directory.
    pub(crate) fn moved(&mut self, file: Option<FileId>, from: &VPath, to: &VPath) {
        let follow = |path: &mut VPath| {
            if let Some(new) = path.rebase(from, to) {
                *path = new;
            } else if same(path, from) {
                *path = to.clone();
            }
        };
        let follows = |slot: &mut Slot| {
            slot.records.iter_mut().for_each(|record| follow(&mut record.path));
            slot.doomed.iter_mut().for_each(|doomed| follow(&mut doomed.path));
        };
        let Some(file) = file else {
            for (id, slot) in &mut self.slots {
                let is_dir = self.dirs.contains(id);
                for record in slot.records.iter().filter(|record| is_dir && record.lease.is_some()) {
                    let mut path = record.path.clone();
                    follow(&mut path);
                    self.leases.moved(*id, &record.path, &path);
                }
                follows(slot);
            }
            return;
        };
        self.slots.get_mut(&file).map(follows);
        for stream in self.streams.of(file) {
            self.slots.get_mut(&stream.id).map(follows);
        }
    }

    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let locks = self.slots.values().map(|slot| slot.node.locks.held()).sum();
        (self.opens, self.slots.len(), locks)
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
                delete_pending: slot.doomed.iter().any(|doomed| same(&doomed.path, &record.path)),
            })
            .collect()
    }
}

pub(crate) fn same(a: &VPath, b: &VPath) -> bool {
    names::same(a.as_str(), b.as_str())
}

/// Whether `path` is below `dir`, neither folded; without a copy where both are ASCII.
pub(crate) fn lies_below(path: &str, dir: &str) -> bool {
    if dir.is_empty() || !path.is_ascii() || !dir.is_ascii() {
        return is_below(&names::fold(path), &names::fold(dir));
    }
    path.as_bytes().get(dir.len()) == Some(&b'/') && path[..dir.len()].eq_ignore_ascii_case(dir)
}

/// Both folded.
fn is_within(path: &str, dir: &str) -> bool {
    path == dir || is_below(path, dir)
}

fn is_below(path: &str, dir: &str) -> bool {
    match path.strip_prefix(dir) {
        Some(rest) => rest.starts_with('/') || (dir.is_empty() && !rest.is_empty()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileId = FileId { hi: 0, lo: 7 };

    fn path(text: &str) -> VPath {
        VPath::parse(text).unwrap()
    }

    fn registry(opens: usize) -> Registry {
        Registry::new(&Limits { opens, ..Limits::default() })
    }

    fn record(id: u64, at: &str, access: Access, share: Share, delete_on_close: bool) -> Record {
        let owner = Owner(1);
        let (lease, parent_lease) = (None, None);
        let (id, path) = (OpenId(id), path(at));
        let (account, for_stream) = (None, false);
        Record { id, owner, account, access, share, path, delete_on_close, lease, parent_lease, for_stream }
    }

    fn admit(registry: &mut Registry, id: u64, at: &str, delete_on_close: bool) -> Result<()> {
        let record = record(id, at, Access::READ_DATA, Share::all(), delete_on_close);
        admit_as(registry, record, Coming::Opens)
    }

    fn admit_as(registry: &mut Registry, record: Record, coming: Coming) -> Result<()> {
        let ask = Ask { needs: Access::READ_DATA, coming, caching: Caching::empty(), epoch: None };
        registry.admit(FILE, false, record, ask, &mut Vec::new()).map(drop)
    }

    #[test]
    fn a_name_goes_with_its_last_open_and_not_with_that_of_another_name() {
        let mut registry = registry(10);
        admit(&mut registry, 1, "a", true).unwrap();
        admit(&mut registry, 2, "A", false).unwrap();
        admit(&mut registry, 3, "hard-link", false).unwrap();
        assert_eq!(registry.leave(FILE, OpenId(1)), None);
        assert!(registry.is_doomed(FILE, &path("a")) && registry.is_path_doomed(&path("a")));
        assert!(matches!(admit(&mut registry, 4, "a", false), Err(Error::DeletePending)));
        admit(&mut registry, 5, "hard-link", false).unwrap();
        assert_eq!(registry.leave(FILE, OpenId(2)).unwrap().path, path("A"));
        assert!(matches!(admit(&mut registry, 6, "a", false), Err(Error::DeletePending)));
        let former = record(7, "a", Access::READ_DATA, Share::all(), false);
        admit_as(&mut registry, former, Coming::Returns).unwrap();
        assert_eq!(registry.leave(FILE, OpenId(7)).unwrap().path, path("a"), "it was the last again");
        registry.removed(FILE, &path("A"));
        assert_eq!(registry.leave(FILE, OpenId(3)), None);
        assert_eq!(registry.leave(FILE, OpenId(5)), None);
        assert_eq!(registry.counts(), (0, 0, 0));
    }

    #[test]
    fn doom_is_taken_back_and_a_withdrawn_open_dooms_nothing() {
        let mut registry = registry(10);
        admit(&mut registry, 1, "a", false).unwrap();
        registry.set_doomed(FILE, OpenId(1), true).unwrap();
        registry.set_doomed(FILE, OpenId(1), false).unwrap();
        admit(&mut registry, 2, "a", true).unwrap();
        registry.spare(FILE, OpenId(2));
        assert_eq!(registry.leave(FILE, OpenId(2)), None);
        assert_eq!(registry.leave(FILE, OpenId(1)), None);
    }

    #[test]
    fn moving_a_directory_and_working_below_it_exclude_each_other() {
        let mut registry = registry(10);
        let below = registry.enter(&path("Dir/file"), None).unwrap().unwrap();
        let beside = registry.enter(&path("dir2/file"), None).unwrap();
        assert!(beside.is_some() && !registry.begin_move(&path("dir")));
        registry.exit(below);
        assert!(registry.begin_move(&path("dir")));
        assert!(registry.enter(&path("DIR/file"), None).unwrap().is_none());
        registry.end_move(&path("dir"));
        assert!(registry.enter(&path("DIR/file"), None).unwrap().is_some());
    }

    #[test]
    fn opens_follow_a_move_and_so_do_doomed_names() {
        let mut registry = registry(10);
        admit(&mut registry, 1, "a/b/c", true).unwrap();
        admit(&mut registry, 2, "a/b/c", false).unwrap();
        assert_eq!(registry.leave(FILE, OpenId(1)), None);
        assert!(registry.has_open_below(&path("A")) && !registry.has_open_below(&path("a/b/c")));
        registry.moved(None, &path("a"), &path("x/y"));
        assert_eq!(registry.leave(FILE, OpenId(2)).unwrap().path, path("x/y/b/c"));
    }

    #[test]
    fn an_open_directory_is_found_where_it_is() {
        let mut registry = registry(10);
        admit(&mut registry, 1, "a", false).unwrap();
        let dir = FileId { hi: 0, lo: 8 };
        let ask =
            Ask { needs: Access::READ_DATA, coming: Coming::Opens, caching: Caching::empty(), epoch: None };
        let open = record(2, "d", Access::READ_DATA, Share::all(), false);
        registry.admit(dir, true, open, ask, &mut Vec::new()).unwrap();
        assert_eq!((registry.dirs_at(&path("D")), registry.dirs_at(&path("a"))), (vec![dir], vec![]));
        registry.moved(None, &path("d"), &path("e"));
        assert_eq!((registry.dirs_at(&path("d")), registry.dirs_at(&path("e"))), (vec![], vec![dir]));
        registry.leave(dir, OpenId(2));
        assert_eq!(registry.dirs_at(&path("e")), []);
    }

    #[test]
    fn the_limit_counts_opens_and_those_on_their_way() {
        let mut registry = registry(2);
        admit(&mut registry, 1, "a", false).unwrap();
        let entry = registry.enter(&path("b"), None).unwrap().unwrap();
        assert!(matches!(registry.enter(&path("c"), None), Err(Error::LimitReached("opens"))));
        registry.exit(entry);
        assert!(registry.enter(&path("c"), None).is_ok());
    }
}
