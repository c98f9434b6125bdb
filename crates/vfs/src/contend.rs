//! Caching rights in the registry: which opens an operation contends with, and waiting for them.
//!
//! Breaks are decided under the registry's mutex and told after it ([`Core::decide`]).

use crate::caching::{AckRefused, BreakListener, Caching, Contest, Granted, Holder, LeaseId, Told};
use crate::core::Core;
use crate::registry::{Ask, Coming, Node, Record, Registry, Slot};
use crate::{Access, Error, OpenId, Result, share};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::Instant;
use volume::{Cx, ErrorKind, FileId, Freshness, VPath};

/// An operation that waits for holders of caching rights: they were told, and have not answered.
pub struct Breaking {
    core: Arc<Core>,
    node: Arc<Node>,
    file: FileId,
}

impl Breaking {
    pub(crate) fn new(core: &Arc<Core>, node: Arc<Node>, file: FileId) -> Breaking {
        Breaking { core: core.clone(), node, file }
    }

    /// Returns when all have answered, gone, or let [`crate::BREAK_TIMEOUT`] pass: time to try again.
    ///
    /// # Errors
    /// `TimedOut` at the deadline of `cx`.
    pub async fn settled(self, cx: &Cx) -> Result<()> {
        let deadline = Instant::from(cx.deadline);
        loop {
            let mut settled = std::pin::pin!(self.node.settled.notified());
            settled.as_mut().enable();
            let now = Instant::now();
            let until = self.core.registry.lock().breaking_until(self.file, now);
            let Some(until) = until else { return Ok(()) };
            if now >= deadline {
                let path = VPath::root();
                return Err(Error::Volume(volume::Error::new(ErrorKind::TimedOut, "wait for", path)));
            }
            tokio::select! {
                () = settled => {}
                () = tokio::time::sleep_until(until.min(deadline)) => {}
            }
        }
    }
}

impl std::fmt::Debug for Breaking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Breaking").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Core {
    /// Decides something in the registry, then tells of the breaks that came of it.
    pub(crate) fn decide<T>(&self, f: impl FnOnce(&mut Registry, &mut Vec<Told>) -> T) -> T {
        let mut told = Vec::new();
        let answer = f(&mut self.registry.lock(), &mut told);
        told.into_iter().for_each(Told::tell);
        answer
    }

    /// The most that may be cached by clients now.
    pub(crate) fn cacheable(&self) -> Caching {
        cacheable_under(self.freshness.lock().as_ref().map(|freshness| *freshness.borrow()))
    }

    /// Content changes, or a range is about to be locked: whoever caches reads is told. One atomic load where nobody
    /// does.
    pub(crate) fn content_changes(&self, node: &Node, file: FileId, by: OpenId) {
        if node.readers.load(Ordering::Acquire) > 0 {
            self.decide(|registry, told| registry.contend(file, Some(by), Contest::Change, told));
        }
    }

    /// A range is locked: who has begun to cache reads just before is told. Asked under the registry's mutex, so that who
    /// comes to cache either is found here, or finds the lock.
    pub(crate) fn range_is_locked(&self, node: &Node, file: FileId, by: OpenId) {
        self.decide(|registry, told| {
            if node.readers.load(Ordering::Acquire) > 0 {
                // Nobody waits for who only reads from a cache.
                drop(registry.contend(file, Some(by), Contest::Change, told));
            }
        });
    }
}

/// The most that may be cached by clients under a promise on freshness. Who caches must be told of what others
/// do at the origin: a client asks nothing while it has its own copy, so a copy that nothing breaks is older
/// than any bound that the volume keeps to.
fn cacheable_under(promise: Option<Freshness>) -> Caching {
    match promise {
        Some(Freshness::Leased | Freshness::Notified) => Caching::all(),
        Some(Freshness::Polled { .. } | Freshness::Direct | Freshness::Offline { .. }) | None => {
            Caching::empty()
        }
    }
}

impl Registry {
    /// Breaks what stands against an open that is about to be admitted; true when it must wait.
    pub(crate) fn contend_open(
        slot: &mut Slot,
        new: &Record,
        ask: Ask,
        told: &mut Vec<Told>,
    ) -> Result<bool> {
        let excludes =
            |record: &Record| share::conflict((record.access, record.share), (ask.needs, new.share));
        let now = Instant::now();
        let mut wait = None;
        let mut refused = false;
        let own = new.holder();
        // Beside what was cached before the process ended it was then.
        let comes_back = ask.coming == Coming::Returns;
        for record in slot.records.iter().filter(|record| !record.is_left_behind() && excludes(record)) {
            refused = true;
            if !slot.caching.keeps_handles() {
                break;
            }
            if record.holder() != own && !(comes_back && slot.caching.is_former(record.holder())) {
                wait = wait.max(slot.caching.contend_with(record.holder(), Contest::Handle, now, told));
            }
        }
        let empties = ask.coming == Coming::Empties;
        if !refused && (empties || ask.needs.is_more_than_attributes()) {
            let looks = !ask.needs.is_more_than_looks();
            let contest = if empties { Contest::Empty } else { Contest::Open { looks } };
            wait = match comes_back {
                true => slot.caching.contend_newer(own, contest, now, told),
                false => slot.caching.contend(Some(own), contest, now, told),
            };
        }
        slot.note_caching();
        match (wait, refused) {
            (Some(_), _) => Ok(true),
            (None, true) => Err(Error::SharingViolation),
            (None, false) => Ok(false),
        }
    }

    /// Breaks what stands against something done to a file; its node when one must wait.
    pub(crate) fn contend(
        &mut self,
        file: FileId,
        by: Option<OpenId>,
        contest: Contest,
        told: &mut Vec<Told>,
    ) -> Option<Arc<Node>> {
        let by = by.and_then(|open| self.record(file, open)).map(Record::holder);
        let slot = self.slots.get_mut(&file)?;
        let wait = slot.caching.contend(by, contest, Instant::now(), told);
        slot.note_caching();
        wait.map(|_| slot.node.clone())
    }

    /// A file was emptied for an open, which has had what stood against that broken before: again, for who came in
    /// meanwhile.
    pub(crate) fn contend_emptied(&mut self, file: FileId, by: OpenId, told: &mut Vec<Told>) {
        let own = self.record(file, by).map(Record::holder);
        if let (Some(own), Some(slot)) = (own, self.slots.get_mut(&file)) {
            // Nobody waits: it has happened.
            let _until = slot.caching.contend_newer(own, Contest::Empty, Instant::now(), told);
            slot.note_caching();
        }
    }

    /// Somebody may have changed a file at the origin while we did.
    pub(crate) fn doubt(&mut self, file: FileId, told: &mut Vec<Told>) {
        let Some(slot) = self.slots.get_mut(&file) else { return };
        let writing = slot.records.iter().filter(|record| record.access.intersects(Access::WRITING));
        let writers: HashSet<Holder> = writing.map(Record::holder).collect();
        slot.caching.doubt(&writers, Instant::now(), told);
        slot.note_caching();
    }

    /// Who only keeps a file open that is to go away may close it. Nobody waits: the name goes with the last open,
    /// whenever that is.
    pub(crate) fn contend_doom(&mut self, file: FileId, by: OpenId, told: &mut Vec<Told>) {
        drop(self.contend(file, Some(by), Contest::Handle, told));
    }

    /// Whether opens of the directory at `path` exclude one with this access and share mode; who only keeps it open for
    /// a cache is asked to close it, and must be waited for.
    pub(crate) fn contend_dir(
        &mut self,
        path: &VPath,
        access: Access,
        share: crate::Share,
        told: &mut Vec<Told>,
    ) -> Result<Option<(FileId, Arc<Node>)>> {
        let (case, now) = (self.case, Instant::now());
        let mut refused = false;
        let stands = |record: &Record| {
            case.same(&record.path, path) && share::conflict((record.access, record.share), (access, share))
        };
        for file in self.dirs_at(path) {
            let Some(slot) = self.slots.get_mut(&file) else { continue };
            match slot.contend_holders(stands, now, told) {
                Against::Nobody => {}
                Against::Waits => return Ok(Some((file, slot.node.clone()))),
                Against::Stands => refused = true,
            }
        }
        if refused { Err(Error::SharingViolation) } else { Ok(None) }
    }

    /// The listing of the directory of `path` changes: who caches it is told, but for the lease `by`.
    pub(crate) fn contend_listing(&mut self, path: &VPath, by: Option<LeaseId>, told: &mut Vec<Told>) {
        let Some(dir) = path.parent() else { return };
        for dir in self.dirs_at(&dir) {
            if let Some(slot) = self.slots.get_mut(&dir).filter(|slot| !slot.caching.is_empty()) {
                slot.caching.contend_but(by, Contest::Change, Instant::now(), told);
                slot.note_caching();
            }
        }
    }

    /// Breaks what stands against moving a directory: handles kept open by caches below it, one after the other as
    /// Windows does. A file that must be waited for; `AccessDenied` when something is open that no cache keeps: at once
    /// where that was so when the move `began`, else when nothing is left to be waited for.
    pub(crate) fn contend_move(
        &mut self,
        dir: &VPath,
        began: OpenId,
        told: &mut Vec<Told>,
    ) -> Result<Option<(FileId, Arc<Node>)>> {
        let is_kept =
            |slot: &Slot, record: &Record| slot.caching.held(record.holder()).contains(Caching::HANDLE);
        let (mut stands, mut oldest) = (false, None);
        for file in self.places.below(dir) {
            let Some(slot) = self.slots.get(&file) else { continue };
            let is_below = |record: &&Record| !record.unnamed && self.case.is_below(&record.path, dir);
            for record in slot.records.iter().filter(is_below) {
                match is_kept(slot, record) {
                    true => oldest = oldest.into_iter().chain([(record.id, file)]).min(),
                    false if record.for_stream => {}
                    false if record.id < began => return Err(Error::AccessDenied),
                    false => stands = true,
                }
            }
        }
        let kept = oldest.and_then(|(_, file)| Some((file, self.slots.get_mut(&file)?)));
        let Some((file, slot)) = kept else {
            return if stands { Err(Error::AccessDenied) } else { Ok(None) };
        };
        let waits = slot.caching.contend(None, Contest::Handle, Instant::now(), told);
        slot.note_caching();
        Ok(waits.map(|_| (file, slot.node.clone())))
    }

    /// Breaks what stands against what became of everything at and below a path at the origin.
    pub(crate) fn contend_below(&mut self, path: &VPath, contest: Contest, told: &mut Vec<Told>) {
        for file in self.places.at_and_below(path) {
            // Nobody waits: it has happened.
            drop(self.contend(file, None, contest, told));
        }
    }

    /// Breaks what stands against another object having come to a path at the origin: what is cached there is of one that
    /// this name does not lead to any more.
    pub(crate) fn contend_replaced(&mut self, path: &VPath, by: FileId, told: &mut Vec<Told>) {
        let is_of_it = |file: FileId| file == by || self.streams.base_of(file) == Some(by);
        let is_replaced = |file: &FileId| !is_of_it(*file) && self.is_open_at(*file, path);
        let replaced: Vec<FileId> = self.places.at(path).filter(is_replaced).collect();
        for file in replaced {
            // Nobody waits: it has happened.
            drop(self.contend(file, None, Contest::Foreign, told));
        }
    }

    pub(crate) fn breaking_until(&mut self, file: FileId, now: Instant) -> Option<Instant> {
        let slot = self.slots.get_mut(&file)?;
        let until = slot.caching.breaking_until(now);
        slot.note_caching();
        until
    }

    pub(crate) fn listen(
        &mut self,
        file: FileId,
        open: OpenId,
        listener: BreakListener,
        told: &mut Vec<Told>,
    ) {
        let Some(holder) = self.record(file, open).map(Record::holder) else { return };
        if let Some(slot) = self.slots.get_mut(&file) {
            slot.caching.listen(holder, listener, told);
        }
    }

    /// What the client of an open is to be told that it has, and who holds that.
    pub(crate) fn take_up(&mut self, file: FileId, open: OpenId) -> Option<(Granted, Holder)> {
        let holder = self.record(file, open).map(Record::holder)?;
        let slot = self.slots.get_mut(&file)?;
        let granted = slot.caching.take_up(holder, Instant::now());
        slot.note_caching();
        Some((granted, holder))
    }

    pub(crate) fn returned(&mut self, file: FileId, holder: Holder, told: &mut Vec<Told>) {
        if let Some(slot) = self.slots.get_mut(&file) {
            slot.caching.returned(holder, told);
        }
    }

    pub(crate) fn acknowledge(
        &mut self,
        file: FileId,
        open: OpenId,
        keeps: Caching,
        told: &mut Vec<Told>,
    ) -> Result<Caching, AckRefused> {
        self.record(file, open).ok_or(AckRefused::Closed)?;
        self.acknowledged(file, Holder::Open(open), keeps, told)
    }

    pub(crate) fn acknowledge_lease(
        &mut self,
        lease: LeaseId,
        keeps: Caching,
        told: &mut Vec<Told>,
    ) -> Result<Caching, AckRefused> {
        let file = self.leases.file(lease).ok_or(AckRefused::Closed)?;
        self.acknowledged(file, Holder::Lease(lease), keeps, told)
    }

    fn acknowledged(
        &mut self,
        file: FileId,
        holder: Holder,
        keeps: Caching,
        told: &mut Vec<Told>,
    ) -> Result<Caching, AckRefused> {
        let slot = self.slots.get_mut(&file).ok_or(AckRefused::Closed)?;
        let outcome = slot.caching.acknowledge(holder, keeps, Instant::now(), told);
        slot.note_caching();
        outcome
    }

    pub(crate) fn break_again(&mut self, file: FileId, open: OpenId, told: &mut Vec<Told>) {
        let Some(holder) = self.record(file, open).map(Record::holder) else { return };
        if let Some(slot) = self.slots.get_mut(&file) {
            slot.caching.break_again(holder, told);
        }
    }

    pub(crate) fn ask_for_handle(&mut self, file: FileId, open: OpenId, told: &mut Vec<Told>) -> bool {
        let Granted { caching, breaking, .. } = self.granted(file, open);
        let holder = self.record(file, open).map(Record::holder);
        let (Some(holder), Some(slot)) = (holder, self.slots.get_mut(&file)) else { return false };
        let asks = caching.contains(Caching::HANDLE) && !breaking;
        if asks {
            let _until = slot.caching.contend_with(holder, Contest::Foreign, Instant::now(), told);
            slot.note_caching();
        }
        asks
    }

    pub(crate) fn granted(&self, file: FileId, open: OpenId) -> Granted {
        let holder = self.record(file, open).map(Record::holder);
        let slot = self.slots.get(&file);
        slot.zip(holder).map(|(slot, holder)| slot.caching.granted(holder)).unwrap_or_default()
    }

    /// The client of a lease cannot be told any more.
    pub(crate) fn give_up_lease(&mut self, lease: LeaseId) {
        let file = self.leases.file(lease);
        if let Some(slot) = file.and_then(|file| self.slots.get_mut(&file)) {
            slot.caching.give_up(Holder::Lease(lease));
            slot.note_caching();
        }
    }

    /// The open loses what it cached, with its lease all that share it, and nobody waits for it any more.
    pub(crate) fn give_up_caching(&mut self, file: FileId, open: OpenId) {
        let Some(holder) = self.record(file, open).map(Record::holder) else { return };
        if let Some(slot) = self.slots.get_mut(&file) {
            slot.caching.give_up(holder);
            slot.note_caching();
        }
    }
}

/// What became of the opens that stand against something.
pub(crate) enum Against {
    Nobody,
    /// Some were asked to close, and must be waited for.
    Waits,
    Stands,
}

impl Slot {
    /// Asks the opens that stand against something to be closed, where only a cache keeps them.
    pub(crate) fn contend_holders(
        &mut self,
        stands: impl Fn(&Record) -> bool,
        now: Instant,
        told: &mut Vec<Told>,
    ) -> Against {
        let mut against = Against::Nobody;
        for record in self.records.iter().filter(|record| !record.is_left_behind() && stands(record)) {
            let wait = self.caching.contend_with(record.holder(), Contest::Handle, now, told);
            match (wait, &against) {
                (Some(_), _) => against = Against::Waits,
                (None, Against::Nobody) => against = Against::Stands,
                (None, _) => {}
            }
            if !self.caching.keeps_handles() {
                break;
            }
        }
        self.note_caching();
        against
    }

    /// For the reading and writing that looks at the node alone.
    pub(crate) fn note_caching(&mut self) {
        self.node.readers.store(self.caching.readers(), Ordering::Release);
        self.node.kept_back.store(self.caching.keeps_writes_back(), Ordering::Release);
        let waits_until = self.caching.waits_until();
        // Not with each answer: very many may wait for very many.
        if waits_until < std::mem::replace(&mut self.waits_until, waits_until) {
            self.node.settled.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[test]
    fn clients_cache_only_where_changes_are_told() {
        for (promise, most) in [
            (Some(Freshness::Leased), Caching::all()),
            (Some(Freshness::Notified), Caching::all()),
            (Some(Freshness::Polled { every: Duration::from_secs(2) }), Caching::empty()),
            (Some(Freshness::Direct), Caching::empty()),
            (Some(Freshness::Offline { since: SystemTime::UNIX_EPOCH }), Caching::empty()),
            (None, Caching::empty()),
        ] {
            assert_eq!(cacheable_under(promise), most, "{promise:?}");
        }
    }
}
