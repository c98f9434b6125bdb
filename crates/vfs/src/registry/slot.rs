//! What the registry knows of one open file: its slot, its opens, and what they share without the registry.

use crate::caching::{Caching, CachingTable, Granted, Holder, LeaseId};
use crate::case::Case;
use crate::content::Content;
use crate::lock_wait::RangeLocks;
use crate::write_time::WriteTime;
use crate::{Access, OpenId, OpenRequest, Owner, Share};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use tokio::sync::{Mutex as AsyncMutex, Notify};
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
    pub content: Mutex<Content>,
    pub write_time: WriteTime,
    /// Whether something was written through an open that is there or was.
    pub written: AtomicBool,
    /// Told whenever holders of caching rights have answered or are gone, so that others need not wait so long any more.
    pub settled: Notify,
}

impl Node {
    pub(super) fn new(locks_limit: usize) -> Node {
        Node {
            locks: RangeLocks::new(locks_limit),
            appending: Arc::default(),
            carrying: Arc::default(),
            readers: AtomicUsize::new(0),
            kept_back: AtomicBool::new(false),
            content: Mutex::default(),
            write_time: WriteTime::default(),
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
    /// Its end takes a name that is doomed along, whatever other opens there are ([`crate::DeleteHow::posix`]).
    pub unlinks: bool,
    /// Its name was taken from it so. `path` is where it was; another file may be there by now.
    pub unnamed: bool,
    /// It has the content open at the volume, which keeps the file there without a name.
    pub content: bool,
    /// The lease that it shares.
    pub lease: Option<LeaseId>,
    /// The lease that its client has on the directory: what the open does is no news to that one.
    pub parent_lease: Option<LeaseId>,
    /// It only holds the object for an open of one of its streams ([`crate::streams`]).
    pub for_stream: bool,
}

impl Record {
    /// Who holds what its client may cache.
    pub(crate) fn holder(&self) -> Holder {
        self.lease.map_or(Holder::Open(self.id), Holder::Lease)
    }

    /// Whether nothing at the volume is its any more: its file is gone, and another may have its number by now.
    pub(crate) fn is_left_behind(&self) -> bool {
        self.unnamed && !self.content
    }

    pub(super) fn stands_at(&self, path: &VPath, case: Case) -> bool {
        !self.unnamed && case.same(&self.path, path)
    }
}

/// A name that goes away with its last open.
#[derive(Clone, Debug)]
pub(super) struct Doomed {
    /// Who has doomed it: what it is found by, wherever it moves.
    pub by: OpenId,
    pub path: VPath,
    /// Of that open, see [`Record::parent_lease`].
    pub parent_lease: Option<LeaseId>,
    /// It is being removed just now.
    pub going: bool,
}

/// A name to be removed at the volume now: where it stands then ([`Registry::doomed_at`](super::Registry::doomed_at)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Removal {
    pub doomed_by: OpenId,
    pub parent_lease: Option<LeaseId>,
}

#[derive(Debug)]
pub(crate) struct Slot {
    pub node: Arc<Node>,
    pub records: Vec<Record>,
    pub caching: CachingTable,
    /// Until when somebody is being waited for, as far as was noted.
    pub waits_until: Option<tokio::time::Instant>,
    /// Names that go away with their last open.
    pub(super) doomed: Vec<Doomed>,
    /// Opens that were there since it was first opened, those that are closed too.
    pub(super) opened: usize,
}

impl Slot {
    /// Whether the account of a further open has less than so many opens here.
    pub(super) fn has_room_for(&self, further: &Record, limit: usize) -> bool {
        let Some(account) = &further.account else { return true };
        let of_account = |record: &&Record| record.account.as_ref() == Some(account);
        self.records.len() < limit || self.records.iter().filter(of_account).count() < limit
    }

    /// Whether an open of this name is left.
    pub(super) fn has_open_of(&self, path: &VPath, case: Case) -> bool {
        self.records.iter().any(|record| record.stands_at(path, case))
    }

    /// Whether a stream of what has this name is open.
    pub(super) fn has_stream_open_of(&self, path: &VPath, case: Case) -> bool {
        self.records.iter().any(|record| record.for_stream && record.stands_at(path, case))
    }

    /// Whether this name goes away with its last open.
    pub(super) fn is_doomed(&self, path: &VPath, case: Case) -> bool {
        self.doomed.iter().any(|doomed| case.same(&doomed.path, path))
    }

    /// Whether this name is being removed just now.
    pub(super) fn is_going(&self, path: &VPath, case: Case) -> bool {
        self.doomed.iter().any(|doomed| doomed.going && case.same(&doomed.path, path))
    }

    /// The mark of this name: of several the one that nobody acts on yet.
    pub(super) fn mark_of(&mut self, path: &VPath, case: Case) -> Option<&mut Doomed> {
        let marks = self.doomed.iter_mut().filter(|doomed| case.same(&doomed.path, path));
        marks.min_by_key(|doomed| doomed.going)
    }
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
