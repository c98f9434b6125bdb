//! The state of one served volume; by what guards operations mark what they work on is in `guards`.
//!
//! Every mutex here is a leaf: held for a few instructions, never two at once, never across an await.

mod guards;

use crate::caching::LeaseId;
use crate::case::Case;
use crate::descriptors::Descriptors;
use crate::echo::Echoes;
use crate::index::DirIndexes;
use crate::name_lock::{NameGuard, NameLocks};
use crate::notify::{Filter, Hub, NotifyAction};
use crate::open::OpenKey;
use crate::reading::Readings;
use crate::registry::Registry;
use crate::vfs::VfsConfig;
use crate::{Error, OpenId, Result};
pub(crate) use guards::{Changing, Clearing, Entered, HeldPlace, Sealed};
use parking_lot::Mutex;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use volume::{Attr, Caps, Cx, ErrorKind, FileId, Freshness, VPath, Volume};

/// How long a directory index is believed where the volume does not tell of changes.
pub(crate) const INDEX_TRUST: Duration = Duration::from_secs(2);
/// How long where it does.
const INDEX_TRUST_NOTIFIED: Duration = Duration::from_secs(3600);

pub(crate) struct Core {
    pub volume: Arc<dyn Volume>,
    /// Of the volume, `read_only` by configuration included.
    pub caps: Caps,
    pub config: VfsConfig,
    pub registry: Mutex<Registry>,
    /// Told whenever somebody has left a path, a seal is gone or a doomed name removed.
    pub settled: Notify,
    pub names: Arc<NameLocks>,
    pub indexes: Mutex<DirIndexes>,
    pub readings: Readings,
    pub descriptors: Mutex<Descriptors>,
    pub echoes: Mutex<Echoes>,
    pub hub: Hub,
    pub freshness: Mutex<Option<watch::Receiver<Freshness>>>,
    /// Whether the volume tells who made each change.
    pub authors: Mutex<Option<watch::Receiver<bool>>>,
    pub watching: OnceLock<AbortHandle>,
    next_id: AtomicU64,
}

impl Core {
    pub(crate) fn new(volume: Arc<dyn Volume>, config: VfsConfig) -> Core {
        let mut caps = volume.caps();
        caps.read_only |= config.read_only;
        let (limits, case) = (&config.limits, Case::of(caps.case_sensitive));
        Core {
            caps,
            registry: Mutex::new(Registry::new(limits, case)),
            settled: Notify::new(),
            names: Arc::default(),
            indexes: Mutex::new(DirIndexes::new(limits.index_names, case)),
            readings: Readings::new(limits, case),
            descriptors: Mutex::new(Descriptors::new(case)),
            echoes: Mutex::new(Echoes::new(case)),
            hub: Hub::new(case),
            freshness: Mutex::new(None),
            authors: Mutex::new(None),
            watching: OnceLock::new(),
            next_id: AtomicU64::new(1),
            volume,
            config,
        }
    }

    /// A number never given before.
    pub(crate) fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// How long a directory index is to be believed now.
    pub(crate) fn trust(&self) -> Duration {
        match self.freshness.lock().as_ref().map(|freshness| *freshness.borrow()) {
            Some(Freshness::Leased | Freshness::Notified) => INDEX_TRUST_NOTIFIED,
            Some(Freshness::Polled { every }) => every,
            Some(Freshness::Direct | Freshness::Offline { .. }) | None => INDEX_TRUST,
        }
    }

    /// Whether each change is told with its author, so that none of others is taken for one of ours.
    pub(crate) fn knows_authors(&self) -> bool {
        self.authors.lock().as_ref().is_some_and(|authors| *authors.borrow())
    }

    /// Begins work on a path; waits while it is sealed, or a directory above.
    pub(crate) async fn enter(self: &Arc<Self>, cx: &Cx, path: &VPath) -> volume::Result<Entered> {
        let enter = |registry: &mut Registry| registry.enter(path);
        let entry = self.when(cx, path, enter).await?;
        Ok(Entered { core: self.clone(), entry })
    }

    /// The same for an open on this account, which is counted from here on.
    pub(crate) async fn enter_to_open(
        self: &Arc<Self>,
        cx: &Cx,
        path: &VPath,
        account: Option<&Arc<str>>,
    ) -> Result<Entered> {
        let enter = |registry: &mut Registry| registry.enter_to_open(path, account).transpose();
        let entry = self.when(cx, path, enter).await??;
        Ok(Entered { core: self.clone(), entry })
    }

    /// Waits until nobody works below a directory. Who waits holds nothing: they may wait for that in their turn.
    pub(crate) async fn nobody_below(&self, cx: &Cx, dir: &VPath) -> Result<()> {
        self.quiet_below(cx, dir, Registry::is_removing_below).await
    }

    /// The same, and until no name there is to go away any more.
    pub(crate) async fn nothing_goes_below(&self, cx: &Cx, dir: &VPath) -> Result<()> {
        self.quiet_below(cx, dir, Registry::is_going_below).await
    }

    async fn quiet_below(&self, cx: &Cx, dir: &VPath, stirs: fn(&Registry, &VPath) -> bool) -> Result<()> {
        let quiet = |registry: &mut Registry| {
            (!registry.is_entered_below(dir, None) && !stirs(registry, dir)).then_some(())
        };
        Ok(self.when(cx, dir, quiet).await?)
    }

    /// Whether the object at this path, or a directory above, is on the move just now.
    pub(crate) fn is_sealed(&self, path: &VPath) -> bool {
        self.registry.lock().is_sealed(path)
    }

    /// Waits until the registry has an answer. It is asked again with each [`Core::settled`].
    async fn when<T>(
        &self,
        cx: &Cx,
        path: &VPath,
        ask: impl Fn(&mut Registry) -> Option<T>,
    ) -> volume::Result<T> {
        let waiting = async {
            loop {
                let settled = self.settled.notified();
                if let Some(answer) = ask(&mut self.registry.lock()) {
                    return answer;
                }
                settled.await;
            }
        };
        in_time(cx, path, waiting).await
    }

    /// Takes a name, alone or beside plain opens of it.
    pub(crate) async fn hold(&self, cx: &Cx, path: &VPath, alone: bool) -> volume::Result<NameGuard> {
        match alone {
            true => in_time(cx, path, self.names.alone(path)).await,
            false => in_time(cx, path, self.names.shared(path)).await,
        }
    }

    pub(crate) async fn hold_both(
        &self,
        cx: &Cx,
        a: &VPath,
        b: &VPath,
    ) -> volume::Result<(NameGuard, Option<NameGuard>)> {
        in_time(cx, a, self.names.both(a, b)).await
    }

    /// Holds the name of an open, alone or beside plain opens of it, and the way to it: neither is moved meanwhile.
    pub(crate) async fn hold_place(
        self: &Arc<Self>,
        cx: &Cx,
        key: OpenKey,
        alone: bool,
    ) -> Result<HeldPlace> {
        loop {
            let (path, parent_lease) = self.place_of(key.file, key.id)?;
            let entered = self.enter(cx, &path).await?;
            let name = self.hold(cx, &path, alone).await?;
            // Somebody may have renamed it while we waited.
            if self.path_of(key.file, key.id)? == path {
                return Ok(HeldPlace { path, parent_lease, entered, _name: name });
            }
        }
    }

    /// Marks names that we are about to change, so that their echo is known as such.
    pub(crate) fn changing(self: &Arc<Self>, paths: &[&VPath]) -> Changing {
        let paths: Vec<VPath> = paths.iter().map(|path| (*path).clone()).collect();
        let mut echoes = self.echoes.lock();
        paths.iter().for_each(|path| echoes.begin(path));
        Changing { core: self.clone(), paths, began: Instant::now() }
    }

    /// Where an open stands now; `DeletePending` for one that has no name any more.
    pub(crate) fn path_of(&self, file: FileId, open: OpenId) -> Result<VPath> {
        self.place_of(file, open).map(|(path, _)| path)
    }

    /// The same, and its client's lease on the directory.
    pub(crate) fn place_of(&self, file: FileId, open: OpenId) -> Result<(VPath, Option<LeaseId>)> {
        let registry = self.registry.lock();
        let record = registry.record(file, open).ok_or(Error::Closed)?;
        if record.unnamed {
            Err(Error::DeletePending)
        } else {
            Ok((record.path.clone(), record.parent_lease))
        }
    }

    /// The same; `None` for one that has no name any more: what is done through it is no news of any.
    pub(crate) fn place_if_named(&self, key: OpenKey) -> Result<Option<(VPath, Option<LeaseId>)>> {
        match self.place_of(key.file, key.id) {
            Err(Error::DeletePending) => Ok(None),
            place => place.map(Some),
        }
    }

    /// The listing of the directory of `path` changes: who caches it is told, but for the lease `by`.
    fn listing_changes(&self, path: &VPath, by: Option<LeaseId>) {
        self.decide(|registry, told| registry.contend_listing(path, by, told));
    }

    /// We made a name. `by`, here and below: the lease on the directory whose client knows of it already.
    pub(crate) fn made(&self, path: &VPath, attr: &Attr, by: Option<LeaseId>) {
        self.listing_changes(path, by);
        self.indexes.lock().added(path);
        self.echoes.lock().made(path, attr, Instant::now());
        self.hub.event(NotifyAction::Added, name_filter(attr.is_dir()), path);
    }

    /// We removed a name.
    pub(crate) fn gone(&self, path: &VPath, dir: bool, by: Option<LeaseId>) {
        self.listing_changes(path, by);
        let mut indexes = self.indexes.lock();
        indexes.removed(path);
        if dir {
            indexes.forget_below(path);
        }
        drop(indexes);
        if dir {
            self.descriptors.lock().forget_below(path);
        }
        self.echoes.lock().gone(path, Instant::now());
        self.hub.event(NotifyAction::Removed, name_filter(dir), path);
    }

    /// A change of ours has led to this. Where others are told as such, that tells nothing of who made the name.
    pub(crate) fn came_of_ours(&self, path: &VPath, attr: &Attr) {
        let knows_authors = self.knows_authors();
        let mut echoes = self.echoes.lock();
        match knows_authors {
            true => echoes.changed(path, attr),
            false => echoes.outcome(path, attr, Instant::now()),
        }
    }

    /// We changed what a name stands for, as was `asked` for then; `dated` by whom, where that has set the time of its
    /// last write.
    pub(crate) fn modified(
        &self,
        asked: Instant,
        path: &VPath,
        attr: &Attr,
        what: Filter,
        dated: Option<OpenId>,
        by: Option<LeaseId>,
    ) {
        self.listing_changes(path, by);
        self.came_of_ours(path, attr);
        self.meets(asked, path, attr, dated);
        self.hub.event(NotifyAction::Modified, what, path);
    }

    /// Something of what a name stands for is shown differently, and the volume has it as it was.
    pub(crate) fn shown_differently(&self, path: &VPath, what: Filter, by: Option<LeaseId>) {
        self.listing_changes(path, by);
        self.hub.event(NotifyAction::Modified, what, path);
    }

    /// We made, removed or changed a stream of an object.
    pub(crate) fn stream_changed(
        &self,
        asked: Instant,
        path: &VPath,
        attr: &Attr,
        (action, what): (NotifyAction, Filter),
        stream: &str,
        by: Option<LeaseId>,
    ) {
        self.listing_changes(path, by);
        self.came_of_ours(path, attr);
        self.meets_beside_streams(asked, path, attr, None);
        self.hub.stream_event(action, what, path, stream);
    }

    /// We moved a name, as was `asked` for then.
    pub(crate) fn renamed(
        &self,
        asked: Instant,
        (from, to): (&VPath, &VPath),
        attr: Option<&Attr>,
        dir: bool,
        by: Option<LeaseId>,
    ) {
        self.listing_changes(from, by);
        if from.parent() != to.parent() {
            self.listing_changes(to, by);
        }
        self.index_move(from, to, dir);
        let mut echoes = self.echoes.lock();
        echoes.gone(from, Instant::now());
        if let Some(attr) = attr {
            echoes.made(to, attr, Instant::now());
        }
        drop(echoes);
        if let Some(attr) = attr {
            self.meets(asked, to, attr, None);
        }
        self.hub.renamed(from, to, dir);
    }

    pub(crate) fn index_move(&self, from: &VPath, to: &VPath, dir: bool) {
        let mut indexes = self.indexes.lock();
        indexes.removed(from);
        indexes.added(to);
        if dir {
            indexes.forget_below(from);
            indexes.forget_below(to);
            drop(indexes);
            let mut descriptors = self.descriptors.lock();
            descriptors.forget_below(from);
            descriptors.forget_below(to);
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if let Some(task) = self.watching.get() {
            task.abort();
        }
    }
}

pub(crate) fn name_filter(dir: bool) -> Filter {
    if dir { Filter::DIR_NAME } else { Filter::FILE_NAME }
}

/// Waits no longer than the caller does.
pub(crate) async fn in_time<T>(cx: &Cx, path: &VPath, waiting: impl Future<Output = T>) -> volume::Result<T> {
    tokio::time::timeout_at(cx.deadline.into(), waiting)
        .await
        .map_err(|_| volume::Error::new(ErrorKind::TimedOut, "wait for", path))
}
