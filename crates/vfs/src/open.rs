//! An open: what a front end holds, and the reading and writing through it.
//!
//! Reads and writes go to the volume's file at once. They look at the file's byte-range locks (one atomic load
//! while there are none) and at nothing that opens of other files share.
//!
//! States: open, closed. [`Open::close`] or dropping moves from one to the other once; calls after that answer
//! `Closed`, calls under way end as the volume lets them. What changes the file is carried to its end, also when
//! nobody waits for it any more, and the open ends after it (`landing`).

mod caching;
mod locking;
mod naming;
mod showing;

use crate::Carry;
use crate::accounts::Account;
use crate::attributes;
use crate::close;
use crate::core::Core;
use crate::landing::{Landing, Landings};
use crate::notify::{Filter, Watcher};
use crate::own_writes::OwnWrite;
use crate::place::Place;
use crate::range_lock::Range;
use crate::registry::Node;
use crate::streams::{self, StreamPart};
use crate::write_time::Keeping;
use crate::{Access, Error, OpenId, OpenRequest, Owner, Result, Rights};
use bytes::Bytes;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::OwnedMutexGuard;
use volume::{Attr, Cx, ErrorKind, File, FileId, Fresh, Kind, Pages, SetAttr, SyncKind, Ticket, Time, VPath};

/// An open file or directory. Dropping it without [`Open::close`] closes it in the background, and an error of
/// that is only logged.
pub struct Open {
    pub(crate) core: Arc<Core>,
    pub(crate) node: Arc<Node>,
    pub(crate) key: OpenKey,
    /// From which it takes what it keeps besides.
    pub(crate) account: Arc<Account>,
    owner: Owner,
    access: Access,
    file: Option<Arc<dyn volume::File>>,
    /// Of a named stream.
    pub(crate) stream: Option<StreamPart>,
    /// By what it was judged: what it does to names is judged too.
    rights: Option<Arc<dyn Rights>>,
    /// To its client `A` and `a` are two names, see [`OpenRequest::case_sensitive`]: in renaming, linking and listing too.
    pub(crate) case_sensitive: bool,
    closed: AtomicBool,
    /// Whether something was written that watchers were not told of.
    written: AtomicBool,
    landings: Arc<Landings>,
    keeping: Arc<Keeping>,
    watcher: Mutex<Option<Arc<Watcher>>>,
}

/// By what the registry finds an open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenKey {
    pub file: FileId,
    pub id: OpenId,
    pub kind: Kind,
}

impl OpenKey {
    pub(crate) fn is_dir(self) -> bool {
        self.kind == Kind::Dir
    }
}

impl Open {
    pub(crate) fn new(
        place: &Place,
        request: &OpenRequest,
        kind: Kind,
        file: Option<Arc<dyn volume::File>>,
    ) -> Open {
        Open {
            core: place.core.clone(),
            node: place.node.clone(),
            key: OpenKey { file: place.file, id: place.id, kind },
            account: place.account.clone(),
            owner: request.owner,
            access: request.access,
            file,
            stream: None,
            rights: request.rights.clone().map(Rights::after_opening),
            case_sensitive: request.case_sensitive,
            closed: AtomicBool::new(false),
            written: AtomicBool::new(false),
            landings: Arc::default(),
            keeping: Keeping::new(&place.node),
            watcher: Mutex::new(None),
        }
    }

    pub fn id(&self) -> OpenId {
        self.key.id
    }

    /// Which file this is, for a stream which one carries it; the same through renames.
    pub fn file_id(&self) -> FileId {
        self.carrier().key.file
    }

    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// What this open may do.
    pub fn access(&self) -> Access {
        self.access
    }

    pub fn kind(&self) -> Kind {
        self.key.kind
    }

    pub fn is_dir(&self) -> bool {
        self.key.is_dir()
    }

    /// Where the object is now, in the origin's spelling; follows renames through this `Vfs`. Where it was last, when its
    /// name has gone before it ([`crate::DeleteHow::posix`]). `Closed` when it is.
    pub fn path(&self) -> Result<VPath> {
        let registry = self.core.registry.lock();
        Ok(registry.record(self.key.file, self.key.id).ok_or(Error::Closed)?.path.clone())
    }

    /// The same, for doing something by the name; `DeletePending` when that has gone.
    pub(crate) fn named_path(&self) -> Result<VPath> {
        self.core.path_of(self.key.file, self.key.id)
    }

    /// Attributes now, within the volume's promise on freshness. An open without content that was replaced
    /// at the origin answers `Stale`.
    pub async fn attr(&self, cx: &Cx) -> Result<Attr> {
        self.check(Access::empty())?;
        if let Some(file) = &self.file {
            return Ok(file.attr(cx, Fresh::Cached).await?);
        }
        attributes::of_name(&self.core, cx, self.key).await
    }

    /// Sets attributes; returns them as they are then. A size needs `WRITE_DATA`; the right to the others is
    /// the front end's to check. The time of birth is left out where the volume keeps no attributes to note it
    /// in: clients set all four times at once, and three of them can be set. Who sets the time of the last write keeps it
    /// ([`Open::keep_write_time`]).
    pub async fn set_attr(&self, cx: &Cx, set: &SetAttr) -> Result<Attr> {
        let set = &SetAttr { btime: set.btime.filter(|_| self.core.caps.dos_attributes), ..*set };
        self.check(if set.size.is_some() { Access::WRITE_DATA } else { Access::empty() })?;
        if set.is_empty() {
            return self.attr(cx).await;
        }
        if self.core.caps.read_only {
            return Err(Error::ReadOnly);
        }
        if set.size.is_some() {
            self.before_writing(cx).await?;
        }
        let mut landing = self.landing(set.size.is_some())?;
        if let Some(part) = &self.stream {
            let (part, cx, set) = (part.clone(), cx.clone(), *set);
            return Carry::new(async move {
                let _landing = landing;
                streams::set_attr(&part, &cx, &set).await
            })
            .await;
        }
        let looks = set.mtime.is_some() && self.may_have_missed_others();
        let (core, node, cx, key) = (self.core.clone(), self.node.clone(), cx.clone(), self.key);
        let (file, set, keeping) = (self.file.clone(), *set, self.keeping.clone());
        Carry::new(async move {
            if looks {
                attributes::look_before_dating(&core, &cx, &node, key, file.as_ref()).await?;
            }
            let kept = set.mtime.map(|_| keeping.set(true));
            let outcome = attributes::set(core, cx, key, file, set).await;
            if let (Err(_), Some(before)) = (&outcome, kept) {
                keeping.set(before);
            }
            let attr = outcome?;
            set.mtime.into_iter().for_each(|time| keeping.has_set(time));
            landing.has_led_to(&attr);
            Ok(attr)
        })
        .await
    }

    /// From now on what this open writes does not move the time of the last write, or does.
    pub fn keep_write_time(&self, keep: bool) {
        if self.stream.is_none() {
            self.keeping.set(keep);
        }
    }

    /// The time of the last write as it is to be shown, where what is kept of it is not yet at the volume.
    pub fn write_time(&self) -> Option<Time> {
        self.carrier().node.write_time.kept()
    }

    /// Something of the attributes is shown differently from now on, though the volume keeps it as it was: who
    /// watches or caches the listing is told.
    pub fn shown_differently(&self, what: Filter) -> Result<()> {
        if let Some((path, parent_lease)) = self.core.place_if_named(self.key)? {
            self.core.shown_differently(&path, what, parent_lease);
        }
        Ok(())
    }

    /// Sets the length of the file, bytes.
    pub async fn set_size(&self, cx: &Cx, size: u64) -> Result<Attr> {
        self.set_attr(cx, &SetAttr::size(size)).await
    }

    /// Sets the room taken, bytes: less than the size cuts the file, more is reserved where the volume can, and a hint
    /// elsewhere (MS-FSA 2.1.5.15.1). Needs `WRITE_DATA`.
    pub async fn set_allocation(&self, cx: &Cx, bytes: u64) -> Result<Attr> {
        self.check(Access::WRITE_DATA)?;
        self.core.content_changes(&self.node, self.key.file, self.key.id);
        let attr = self.attr(cx).await?;
        match bytes {
            less if less < attr.size => self.set_size(cx, bytes).await,
            more if self.core.caps.holes && more > attr.allocated => self.reserve(cx, bytes).await,
            _ => Ok(attr),
        }
    }

    /// Reads up to `length` bytes; shorter only at the end of the file, empty at or behind it. Needs
    /// `READ_DATA` or `EXECUTE`.
    pub async fn read(&self, cx: &Cx, offset: u64, length: u32) -> Result<Bytes> {
        let file = self.reading(offset, length)?;
        Ok(file.read_at(cx, offset, length).await?)
    }

    /// What a range may be read from.
    fn reading(&self, offset: u64, length: u32) -> Result<&Arc<dyn File>> {
        self.check(Access::READING)?;
        let file = self.content()?;
        let range = Range::new(offset, u64::from(length));
        self.node.locks.check_io(self.key.id, range, false)?;
        Ok(file)
    }

    /// The same for bytes that only go to a socket; `None` where they have to be read. See [`volume::File::pages`].
    pub async fn pages(&self, cx: &Cx, offset: u64, length: u32) -> Result<Option<Pages>> {
        let file = self.reading(offset, length)?;
        Ok(file.pages(cx, offset, length).await?)
    }

    /// Writes all of `data`. Needs `WRITE_DATA` or `APPEND_DATA`; that an open with only the latter writes
    /// at the end alone is the front end's to check. Once begun it runs to its end, also when the future is
    /// dropped.
    pub async fn write(&self, cx: &Cx, offset: u64, data: Bytes) -> Result<()> {
        self.write_holding(cx, offset, data, None).await
    }

    async fn write_holding(
        &self,
        cx: &Cx,
        offset: u64,
        data: Bytes,
        appending: Option<OwnedMutexGuard<()>>,
    ) -> Result<()> {
        self.check(Access::WRITING)?;
        let (file, cx) = (self.content()?.clone(), cx.clone());
        let range = Range::new(offset, data.len() as u64);
        if range.check().is_err() {
            return Err(Error::InvalidArgument("a write beyond 2^64"));
        }
        if data.is_empty() {
            return Ok(());
        }
        let changing = self.changing_content(&cx, range).await?;
        Carry::new(async move {
            let _held = (changing, appending);
            Ok(file.write_at(&cx, offset, data).await?)
        })
        .await
    }

    /// Before the volume moves the time of the last write.
    pub(crate) async fn before_writing(&self, cx: &Cx) -> Result<()> {
        match &self.file {
            Some(file) => self.keeping.before_writing(cx, &**file).await,
            None => Ok(()),
        }
    }

    /// Begins a change of content; what it answers is held until the volume has made it.
    pub(crate) async fn changing_content(&self, cx: &Cx, range: Range) -> Result<Landing> {
        self.before_writing(cx).await?;
        self.node.locks.check_io(self.key.id, range, true)?;
        self.written.store(true, Ordering::Release);
        self.node.written.store(true, Ordering::Release);
        self.landing(true)
    }

    pub(crate) fn rights(&self) -> Option<&Arc<dyn Rights>> {
        self.rights.as_ref()
    }

    /// The volume's file. What is done with its content by this is looked at by nobody: byte-range locks and what clients
    /// cache do not count, nobody is told.
    pub fn on_volume(&self) -> Option<&dyn volume::File> {
        self.file.as_deref()
    }

    pub(crate) fn file(&self) -> Option<&Arc<dyn volume::File>> {
        self.file.as_ref()
    }

    /// Begins a change of the file. `Closed` when the open is: looked at when the change is counted, so that
    /// the end of the open either waits for it or keeps it from beginning.
    pub(crate) fn landing(&self, content: bool) -> Result<Landing> {
        let writing = content.then(|| OwnWrite::begin(&self.node, self.file.as_ref()));
        let landing =
            Landing::begin(&self.core, &self.node, self.key, writing, &self.landings, &self.keeping);
        self.check(Access::empty())?;
        Ok(landing)
    }

    /// The volume's name for the open file, that outlives the process; `None` where it has none, or no content is open.
    pub fn ticket(&self) -> Option<Ticket> {
        self.file.as_ref().and_then(|file| file.ticket())
    }

    /// Whether content is open: not so for directories, and opens that only look at attributes.
    pub fn has_content(&self) -> bool {
        self.file.is_some()
    }

    /// The open ends for the end of the process, and is to come back: its name stays, even one that was to go away with
    /// the last open.
    pub fn spare_name(&self) -> Result<()> {
        let OpenKey { file, id, .. } = self.key;
        let mut registry = self.core.registry.lock();
        registry.spare(file, id);
        match registry.set_doomed(file, id, false) {
            // Another open has taken it along.
            Err(Error::DeletePending) => Ok(()),
            spared => spared,
        }
    }

    /// Ends it so.
    pub async fn leave(&self, cx: &Cx) -> Result<()> {
        self.spare_name()?;
        self.close(cx).await.map(drop)
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Writes at the end of the file; returns the offset. Appends of all opens come one after another.
    pub async fn append(&self, cx: &Cx, data: Bytes) -> Result<u64> {
        self.check(Access::WRITING)?;
        let appending = self.node.appending.clone().lock_owned().await;
        let end = self.content()?.attr(cx, Fresh::Cached).await?.size;
        self.write_holding(cx, end, data, Some(appending)).await?;
        Ok(end)
    }

    /// Returns when everything written is durable, as the volume promises for `sync`; of a directory, when its names are
    /// and what it carries. Where the origin has no word for that nothing is done.
    pub async fn sync(&self, cx: &Cx, kind: SyncKind) -> Result<()> {
        self.check(Access::empty())?;
        if let Some(file) = &self.file {
            self.settle_write_time(cx).await;
            return Ok(file.sync(cx, kind).await?);
        }
        if !self.is_dir() {
            return Ok(());
        }
        let (core, key) = (&self.core, self.key);
        let sync = |path| async move { Ok(core.volume.sync_dir(cx, &path, Some(key.file)).await?) };
        match attributes::by_name(core, cx, key, sync).await {
            Err(Error::Volume(error)) if error.kind == ErrorKind::Unsupported => Ok(()),
            synced => synced,
        }
    }

    /// The time of the last write is to be as it was kept, as [`close`] has it too.
    async fn settle_write_time(&self, cx: &Cx) {
        let Some(due) = self.keeping.due() else { return };
        let keeps = self.keeping.keeps();
        let set = SetAttr { mtime: Some(due.time), ..SetAttr::default() };
        match self.set_attr(cx, &set).await {
            Ok(_) => self.keeping.has_settled(due),
            Err(error) => {
                tracing::warn!(open = self.key.id.0, %error, "a write time cannot be set to what it was to stay");
            }
        }
        self.keeping.set(keeps);
    }

    /// Returns when none of its changes is on its way to the volume any more. For one through which nobody begins any: what
    /// somebody has begun who is gone is over then.
    pub async fn landed(&self) {
        self.landings.all_landed().await;
    }

    /// Whether none is.
    pub fn has_landed(&self) -> bool {
        self.landings.has_landed()
    }

    /// Ends the open: releases its locks and share mode, removes the name if that was asked for. Returns
    /// the last attributes of a file that had content open and is still there. Once begun it runs to its
    /// end, also when the future is dropped.
    ///
    /// # Errors
    /// What the volume answers to closing or removing; the open is ended all the same.
    pub async fn close(&self, cx: &Cx) -> Result<Option<Attr>> {
        match self.end() {
            Some(ended) => Carry::new(close::end(ended, cx.clone())).await,
            None => Err(Error::Closed),
        }
    }

    /// Ends an open that has made what it is of and could not finish it: the name goes away again. False: somebody else has
    /// opened it meanwhile, and may have written to it, so that it stays.
    pub async fn take_back(&self, cx: &Cx) -> Result<bool> {
        let goes = self.core.registry.lock().doom_newborn(self.key.file, self.key.id);
        self.close(cx).await?;
        goes
    }

    /// Moves to closed, once.
    pub(crate) fn end(&self) -> Option<close::Ended> {
        if self.closed.swap(true, Ordering::SeqCst) {
            return None;
        }
        Some(close::Ended {
            core: self.core.clone(),
            node: self.node.clone(),
            key: self.key,
            account: self.account.clone(),
            file: self.file.clone(),
            watcher: self.watcher.lock().take(),
            written: self.written.load(Ordering::Acquire),
            writes: self.access.intersects(Access::WRITING),
            base: self.stream.as_ref().map(|part| part.base.clone()),
            landings: self.landings.clone(),
            keeping: self.keeping.clone(),
        })
    }

    /// `Closed`, or `AccessDenied` when the open has none of `needs`.
    pub(crate) fn check(&self, needs: Access) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::Closed);
        }
        if needs.is_empty() || self.access.intersects(needs) { Ok(()) } else { Err(Error::AccessDenied) }
    }

    pub(crate) fn content(&self) -> Result<&Arc<dyn File>> {
        match &self.file {
            Some(file) => Ok(file),
            None if self.is_dir() => Err(Error::IsADirectory),
            None => Err(Error::AccessDenied),
        }
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("key", &self.key).field("access", &self.access).finish_non_exhaustive()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(ended) = self.end() {
            close::end_later(ended);
        }
    }
}
