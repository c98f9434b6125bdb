//! The content of a stream that is open, as a [`volume::File`] that all its opens share.
//!
//! The volume keeps a stream as one value ([`volume::Named::Stream`]). It is read whole with the first look at it and
//! written whole with each change; what a write answers has reached the origin. So nothing here is ever ahead of the
//! volume, and what is kept is forgotten freely: when others change the object, and before each look where the volume
//! does not tell of that.
//!
//! Times, attributes and owner are those of the object that carries the stream.
//!
//! Lock order: `content` is held while the volume works, after [`crate::registry::Node::carrying`] of the object and
//! before nothing: who waits for a move of a directory meanwhile ([`Core::enter`]) waits for one that has begun, which
//! waits for nobody.

use crate::attributes::where_it_stands;
use crate::core::Core;
use crate::notify::{Filter, NotifyAction};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::sync::Mutex as AsyncMutex;
use volume::{
    Access, Attr, Change, Close, Copying, Cx, DosAttributes, Error, ErrorKind, File, FileId, Fresh, Kind,
    Named, OpenHow, Pages, Result, SetAttr, SyncKind, Ticket, VPath,
};

pub(crate) struct StreamFile {
    core: Arc<Core>,
    /// What carries the stream.
    base: FileId,
    /// Of its slot in the registry, which knows its name and its path.
    id: FileId,
    /// `None`: to be asked for.
    content: AsyncMutex<Option<Bytes>>,
    /// Others may have changed it.
    doubted: AtomicBool,
}

impl StreamFile {
    pub(crate) fn new(core: Arc<Core>, base: FileId, id: FileId) -> StreamFile {
        StreamFile { core, base, id, content: AsyncMutex::default(), doubted: AtomicBool::new(false) }
    }

    /// What is kept is asked for again.
    pub(crate) fn doubt(&self) {
        self.doubted.store(true, Ordering::Release);
    }

    /// Makes the stream, empty.
    pub(crate) async fn make(&self, cx: &Cx) -> Result<()> {
        let mut content = self.content.lock().await;
        let made = (NotifyAction::AddedStream, Filter::STREAM_NAME);
        self.store(cx, &mut content, Bytes::new(), made).await
    }

    /// Empties it; again when it is not there any more.
    pub(crate) async fn empty(&self, cx: &Cx) -> Result<()> {
        let mut content = self.content.lock().await;
        self.replace(cx, &mut content, Bytes::new()).await
    }

    /// Gives it another name, under which nothing is. A crash in between leaves it under both.
    pub(crate) async fn rename(&self, cx: &Cx, to: &Arc<str>) -> Result<()> {
        let mut content = self.content.lock().await;
        let value = self.current(cx, &mut content).await?;
        let from = self.name()?;
        self.set(cx, to, Some(value), (NotifyAction::AddedStream, Filter::STREAM_NAME)).await?;
        self.core.registry.lock().streams.renamed(self.id, to);
        self.set(cx, &from, None, (NotifyAction::RemovedStream, Filter::STREAM_NAME)).await
    }

    /// The content now.
    async fn current(&self, cx: &Cx, content: &mut Option<Bytes>) -> Result<Bytes> {
        if self.doubted.swap(false, Ordering::AcqRel) || self.core.cacheable().is_empty() {
            *content = None;
        }
        if let Some(value) = &*content {
            return Ok(value.clone());
        }
        let name = &Named::Stream(self.name()?);
        let ask = |path: VPath| async move { self.core.volume.named(cx, &path, Some(self.base), name).await };
        match self.at(cx, ask).await? {
            Some(value) => Ok(content.insert(value).clone()),
            None => Err(self.gone()),
        }
    }

    /// Makes `value` the content.
    async fn replace(&self, cx: &Cx, content: &mut Option<Bytes>, value: Bytes) -> Result<()> {
        let size = content.as_ref().map(Bytes::len);
        let mut what = Filter::STREAM_WRITE;
        what.set(Filter::STREAM_SIZE, size != Some(value.len()));
        self.store(cx, content, value, (NotifyAction::ModifiedStream, what)).await
    }

    async fn store(
        &self,
        cx: &Cx,
        content: &mut Option<Bytes>,
        value: Bytes,
        news: (NotifyAction, Filter),
    ) -> Result<()> {
        // When it fails nobody knows which of the two is there.
        *content = None;
        self.set(cx, &self.name()?, Some(value.clone()), news).await?;
        *content = Some(value);
        Ok(())
    }

    async fn set(
        &self,
        cx: &Cx,
        name: &Arc<str>,
        value: Option<Bytes>,
        news: (NotifyAction, Filter),
    ) -> Result<()> {
        let change = |path| {
            let (name, value) = (Named::Stream(name.clone()), value.clone());
            Change::SetNamed { path, name, value, expect: Some(self.base) }
        };
        let (asked, path, attr) = self.at(cx, |path| self.apply(cx, change(path.clone()), path)).await?;
        let by = self.core.registry.lock().parent_lease_of_all(self.id);
        self.core.stream_changed(asked, &path, &attr, news, name, by);
        Ok(())
    }

    async fn apply(&self, cx: &Cx, change: Change, path: VPath) -> Result<(Instant, VPath, Attr)> {
        let changing = self.core.changing(&[&path]);
        let attr = match self.core.volume.apply(cx, &change).await?.attr {
            Some(attr) => attr,
            None => self.core.volume.stat(cx, &path).await?,
        };
        self.core.echoes.lock().outcome(&path, &attr, Instant::now());
        Ok((changing.began, path, attr))
    }

    /// Does something by the name of the object, which may be on the move.
    async fn at<T, F: Future<Output = Result<T>>>(&self, cx: &Cx, ask: impl Fn(VPath) -> F) -> Result<T> {
        where_it_stands(&self.core, cx, || self.path(), is_missing, ask).await
    }

    async fn stat(&self, cx: &Cx, path: VPath) -> Result<Attr> {
        match self.core.volume.stat(cx, &path).await? {
            attr if attr.id == self.base => Ok(attr),
            _ => Err(Error::new(ErrorKind::Stale, "stat", path)),
        }
    }

    fn path(&self) -> Result<VPath> {
        let registry = self.core.registry.lock();
        let record = registry.slots.get(&self.id).and_then(|slot| slot.records.first());
        record.map(|record| record.path.clone()).ok_or_else(|| self.gone())
    }

    fn name(&self) -> Result<Arc<str>> {
        let registry = self.core.registry.lock();
        registry.streams.get(self.id).map(|stream| stream.name.clone()).ok_or_else(|| self.gone())
    }

    fn gone(&self) -> Error {
        Error::new(ErrorKind::Stale, "open stream", VPath::root())
    }

    fn too_large(&self, op: &'static str) -> Error {
        Error::new(ErrorKind::NoSpace, op, self.path().unwrap_or_else(|_| VPath::root()))
    }

    /// A length that a stream can have.
    fn checked(&self, op: &'static str, size: Option<u64>) -> Result<usize> {
        let most = u64::from(self.core.caps.named_max);
        size.filter(|size| *size <= most).map(|size| size as usize).ok_or_else(|| self.too_large(op))
    }

    async fn resize(&self, cx: &Cx, size: u64) -> Result<()> {
        let size = self.checked("resize", Some(size))?;
        let mut content = self.content.lock().await;
        let current = self.current(cx, &mut content).await?;
        if current.len() == size {
            return Ok(());
        }
        let mut value = BytesMut::from(&*current);
        value.resize(size, 0);
        self.replace(cx, &mut content, value.freeze()).await
    }
}

fn is_missing(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::Stale)
}

/// The attributes of a stream: those of what carries it, with the size of its own.
fn shaped(base: Attr, size: u64) -> Attr {
    let dos = base.dos - DosAttributes::ONLY_TOLD;
    Attr { kind: Kind::File, size, allocated: size, dos, ..base }
}

#[async_trait]
impl File for StreamFile {
    fn id(&self) -> FileId {
        self.id
    }

    async fn attr(&self, cx: &Cx, _fresh: Fresh) -> Result<Attr> {
        let size = self.current(cx, &mut *self.content.lock().await).await?.len() as u64;
        let base = self.at(cx, |path| self.stat(cx, path)).await?;
        Ok(shaped(base, size))
    }

    /// The size alone: all else is set on what carries the stream.
    async fn set_attr(&self, cx: &Cx, set: &SetAttr) -> Result<Attr> {
        if let Some(size) = set.size {
            self.resize(cx, size).await?;
        }
        self.attr(cx, Fresh::Cached).await
    }

    async fn read_at(&self, cx: &Cx, offset: u64, length: u32) -> Result<Bytes> {
        let current = self.current(cx, &mut *self.content.lock().await).await?;
        let begin = usize::try_from(offset).unwrap_or(usize::MAX).min(current.len());
        let end = begin.saturating_add(length as usize).min(current.len());
        Ok(current.slice(begin..end))
    }

    async fn pages(&self, _cx: &Cx, _offset: u64, _length: u32) -> Result<Option<Pages>> {
        Ok(None)
    }

    async fn write_at(&self, cx: &Cx, offset: u64, data: Bytes) -> Result<()> {
        let end = self.checked("write", offset.checked_add(data.len() as u64))?;
        let mut content = self.content.lock().await;
        let current = self.current(cx, &mut content).await?;
        let mut value = BytesMut::from(&*current);
        value.resize(end.max(current.len()), 0);
        value[end - data.len()..end].copy_from_slice(&data);
        self.replace(cx, &mut content, value.freeze()).await
    }

    /// A stream has no holes: all of it is data.
    async fn ranges(&self, cx: &Cx, offset: u64, length: u64) -> Result<Vec<Range<u64>>> {
        let size = self.current(cx, &mut *self.content.lock().await).await?.len() as u64;
        let data = offset.min(size)..offset.saturating_add(length).min(size);
        Ok(if data.is_empty() { Vec::new() } else { vec![data] })
    }

    async fn zero(&self, cx: &Cx, offset: u64, length: u64) -> Result<()> {
        let mut content = self.content.lock().await;
        let current = self.current(cx, &mut content).await?;
        let begin = usize::try_from(offset).unwrap_or(usize::MAX).min(current.len());
        let end = begin.saturating_add(usize::try_from(length).unwrap_or(usize::MAX)).min(current.len());
        if begin == end {
            return Ok(());
        }
        let mut value = BytesMut::from(&*current);
        value[begin..end].fill(0);
        self.replace(cx, &mut content, value.freeze()).await
    }

    /// Streams are copied by reading and writing.
    async fn copy_from(
        &self,
        _cx: &Cx,
        _offset: u64,
        _source: &Arc<dyn File>,
        _source_offset: u64,
        _length: u64,
        _how: Copying,
    ) -> Result<u64> {
        Err(Error::new(ErrorKind::Unsupported, "copy", VPath::root()))
    }

    /// Nothing is reserved; what can never fit is refused.
    async fn allocate(&self, cx: &Cx, size: u64) -> Result<Attr> {
        self.checked("allocate", Some(size))?;
        self.attr(cx, Fresh::Cached).await
    }

    /// What was written has reached the origin; it is brought to the medium with all that the file or directory has.
    async fn sync(&self, cx: &Cx, _kind: SyncKind) -> Result<()> {
        let how = &OpenHow { access: Access::WRITE, expect: Some(self.base), ..OpenHow::read() };
        let open = |path: VPath| async move { self.core.volume.open(cx, &path, how.clone()).await };
        let file = match self.at(cx, open).await {
            Ok(opened) => opened.file,
            Err(error) if error.kind == ErrorKind::IsADirectory => {
                let sync =
                    |path: VPath| async move { self.core.volume.sync_dir(cx, &path, Some(self.base)).await };
                return self.at(cx, sync).await;
            }
            Err(error) => return Err(error),
        };
        file.sync(cx, SyncKind::Full).await?;
        file.close(cx, Close::Commit).await.map(drop)
    }

    async fn close(&self, cx: &Cx, _how: Close) -> Result<Attr> {
        self.attr(cx, Fresh::Cached).await
    }

    fn ticket(&self) -> Option<Ticket> {
        None
    }
}

impl fmt::Debug for StreamFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamFile").field("base", &self.base).field("id", &self.id).finish_non_exhaustive()
    }
}
