//! An open file.
//!
//! *For reading*: nothing was opened at the origin. The first missing block does that, in the round trip that
//! brings it; a file that is all here never does. *For writing*: the origin opened it, and every write goes
//! there first (write-through).
//!
//! Before a read the handle makes sure that its content is still the file's: a notice, a look at the origin
//! by somebody else, or age (where the origin is polled) sends it back to ask. What is old by less than twice
//! the polling interval is asked for in the background.
//!
//! Zeroing and copying happen at the origin, for copies from the file that is open there; the blocks that they change go.
//!
//! **Write-back** will take its place here: `write_at` is the only way bytes get from a client to the origin,
//! and `OwnChange` the only way they get into the blocks. A journal that acknowledges from local disk goes
//! between the two: it begins the change, notes it, lets `wrote` run, and sends to `inner` later; contents with
//! such changes are exempt in `blocks/room.rs`, where pins are.

mod ranges;

use crate::ahead::stream::Stream;
use crate::blocks::{Content, OwnChange, Sets, Source};
use crate::cache::Cache;
use crate::meta::tree::{Lookup, Promise, Stamp};
use crate::origin::is_out_of_reach;
use crate::ticket;
use crate::{FIRST_FETCH_BYTES, SMALL_FILE_BYTES};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::Arc;
use volume::{
    Access, Attr, Change, Close, Copying, Cx, Error, ErrorKind, File, FileId, Fresh, Pages, Priority, Result,
    SetAttr, SyncKind, Ticket, Time, VPath,
};

pub(crate) struct CachedFile {
    cache: Arc<Cache>,
    id: FileId,
    access: Access,
    /// The file at the origin, when it was opened for writing.
    inner: Option<Arc<dyn File>>,
    now: Mutex<Now>,
    stream: Mutex<Stream>,
}

/// What the handle stands on at present.
struct Now {
    content: Arc<Content>,
    source: Arc<Source>,
    attr: Attr,
    /// When the content was last known to be the file's, milliseconds since the cache was opened.
    checked_ms: u64,
    /// We wrote since `attr` was told.
    wrote: bool,
    /// A small file was read for the first time: its siblings were looked at.
    read: bool,
}

impl CachedFile {
    /// A handle on `content`, which was acquired for it.
    pub(crate) fn new(
        cache: Arc<Cache>,
        access: Access,
        attr: Attr,
        content: Arc<Content>,
        inner: Option<Arc<dyn File>>,
    ) -> CachedFile {
        let source = match &inner {
            Some(file) if access.contains(Access::READ) => {
                Arc::new(Source::of(cache.origin.clone(), file.clone()))
            }
            Some(_) | None => content.place.source(&cache.origin),
        };
        let checked_ms = cache.now_ms();
        cache.counters.open_files.add(1);
        let now = Now { content, source, attr, checked_ms, wrote: false, read: false };
        CachedFile { cache, id: attr.id, access, inner, now: Mutex::new(now), stream: Mutex::default() }
    }

    fn path(&self) -> VPath {
        self.content().place.path()
    }

    /// What the handle stands on, or has to stand on since others have asked.
    fn content(&self) -> Arc<Content> {
        let content = self.now.lock().content.clone();
        let Some(present) = self.cache.blocks.acquire_successor(&content) else { return content };
        let old = std::mem::replace(&mut self.now.lock().content, present.clone());
        self.cache.blocks.release(&old);
        present
    }

    fn denied(&self, op: &'static str) -> Error {
        Error::new(ErrorKind::PermissionDenied, op, format_args!("{} was not opened for that", self.path()))
    }

    /// The content and the way to its origin, checked as the promise demands.
    async fn current(&self, cx: &Cx) -> Result<(Arc<Content>, Arc<Source>)> {
        let (content, checked_ms) = (self.content(), self.now.lock().checked_ms);
        let doubted = {
            let state = content.state.lock();
            state.retired || state.recheck
        };
        let age = self.cache.now_ms().saturating_sub(checked_ms);
        let limit = match self.cache.promise() {
            Promise::Notices => u64::MAX,
            Promise::For(ms) => ms,
        };
        if !self.cache.is_offline() {
            if doubted || age > limit.saturating_mul(2) {
                match self.ask(cx).await {
                    Ok(_) => {}
                    Err(e) if is_out_of_reach(&e) => {}
                    Err(e) => return Err(e),
                }
            } else if age > limit {
                self.ask_in_background();
            }
        }
        let now = self.now.lock();
        Ok((now.content.clone(), now.source.clone()))
    }

    /// Asks the origin for the attributes and takes the content that goes with them.
    async fn ask(&self, cx: &Cx) -> Result<Attr> {
        let (content, source) = {
            let now = self.now.lock();
            (now.content.clone(), now.source.clone())
        };
        let (asked, patient) = (self.cache.ask(), self.cache.origin.patient(cx));
        let opened = match &self.inner {
            Some(file) => Some(file.clone()),
            None => source.opened().await,
        };
        let attr = match opened {
            Some(file) => {
                let attr = self.cache.origin.call(&patient, "attr", file.attr(&patient, Fresh::Now)).await?;
                self.cache.learn_of_open(&content, attr, asked);
                attr
            }
            None => {
                let path = self.path();
                let attr = self.cache.ask_attr(cx, &path, asked).await?;
                if attr.id != self.id {
                    return Err(Error::new(
                        ErrorKind::Stale,
                        "attr",
                        format_args!("{path} is another file now"),
                    ));
                }
                attr
            }
        };
        self.stand_on(attr, asked.clock);
        Ok(attr)
    }

    /// Takes the content that goes with `attr`.
    fn stand_on(&self, attr: Attr, asked: u64) {
        let place = self.content().place.clone();
        let content = self.cache.blocks.acquire_at(|| place, &attr, asked);
        let mut now = self.now.lock();
        (now.attr, now.checked_ms, now.wrote) = (attr, self.cache.now_ms(), false);
        let old = std::mem::replace(&mut now.content, content);
        drop(now);
        self.cache.blocks.release(&old);
    }

    fn ask_in_background(&self) {
        self.now.lock().checked_ms = self.cache.now_ms();
        let (cache, path) = (self.cache.clone(), self.path());
        tokio::spawn(async move {
            // The answer finds the content by its file: another version retires it.
            let asked = cache.ask();
            if let Err(e) = cache.ask_attr(&Cx::system(Priority::Interactive), &path, asked).await {
                tracing::debug!("looking whether {path} changed: {e}");
            }
        });
    }

    /// What is known without asking: the origin's last word, with our own changes on top.
    fn own_view(&self) -> Attr {
        let (content, path) = (self.content(), self.path());
        let told = self.cache.tree.lock().peek(&path).filter(|known| known.id == self.id).copied();
        let now = self.now.lock();
        if !(now.wrote && content.is_ours()) {
            return told.unwrap_or(now.attr);
        }
        // What the file carries is set by its name.
        let carries = told.map_or(now.attr.carries, |told| told.carries | now.attr.carries);
        Attr { size: content.state.lock().size, carries, ..now.attr }
    }

    /// Whether the file is what our own writes have made of it, which the origin need not be asked for.
    fn is_ours(&self) -> bool {
        let content = self.content();
        self.now.lock().wrote && content.is_ours()
    }

    async fn read(&self, cx: &Cx, offset: u64, length: u32) -> Result<Bytes> {
        let (content, source) = self.current(cx).await?;
        let size = content.state.lock().size;
        let end = offset.saturating_add(u64::from(length)).min(size);
        if offset >= end {
            return Ok(Bytes::new());
        }
        let blocks = &self.cache.blocks;
        if size <= SMALL_FILE_BYTES {
            self.note_small_read();
            if !blocks.has(&content, offset..end).await {
                let whole = blocks.read(cx, &content, &source, 0..size, true).await?;
                let end = (end as usize).min(whole.len());
                return Ok(whole.slice((offset as usize).min(end)..end));
            }
            return blocks.read(cx, &content, &source, offset..end, false).await;
        }
        let (ahead, sequential) = {
            let mut stream = self.stream.lock();
            let ahead = stream.on_read(offset..end, self.cache.window_ceiling());
            (ahead, stream.is_sequential())
        };
        let urgent = if end - offset > FIRST_FETCH_BYTES {
            cx.at(cx.priority.min(Priority::Bulk))
        } else {
            cx.clone()
        };
        let cx = if sequential { &urgent } else { cx };
        // The first asks for what is wanted now before the second asks for more.
        let (read, _) = tokio::join!(
            blocks.read(cx, &content, &source, offset..end, sequential),
            blocks.read_ahead(&content, &source, ahead, Priority::Bulk)
        );
        read
    }

    fn note_small_read(&self) {
        let first = !std::mem::replace(&mut self.now.lock().read, true);
        if first {
            self.cache.small_file_read(&self.path());
        }
    }

    /// The file at the origin, opened for writing.
    fn writable(&self, op: &'static str) -> Result<&Arc<dyn File>> {
        match &self.inner {
            Some(inner) if self.access.contains(Access::WRITE) => Ok(inner),
            Some(_) | None => Err(self.denied(op)),
        }
    }

    /// A change of attributes at the origin.
    async fn change_attributes(
        &self,
        sets: Sets,
        change: impl Future<Output = Result<Attr>>,
    ) -> Result<Attr> {
        let content = self.content();
        let own = self.cache.begin_own_change(&content, sets.size);
        let asked = self.cache.ask();
        let attr = self.cache.origin.transfer(change).await?;
        self.learn_own(attr, asked);
        self.cache.end_change_of(own, &content, sets, &attr).await;
        Ok(attr)
    }

    /// The origin has other content of ours now; what it makes of it is not known yet.
    fn note_own_write(&self, content: &Content) {
        let path = content.place.path();
        {
            let mut now = self.now.lock();
            now.wrote = true;
            now.attr.mtime = Time::now();
        }
        let now_ms = self.cache.now_ms();
        let mut tree = self.cache.tree.lock();
        if tree.peek(&path).is_some_and(|known| known.id == self.id) {
            // Looked at here: of two writes that end at once the last to tell must not tell less.
            let size = content.state.lock().size;
            tree.own_write(&path, size, now_ms);
        }
    }

    /// Takes a version that the origin told after our changes.
    fn learn_own(&self, attr: Attr, asked: Stamp) {
        let path = self.path();
        let mut tree = self.cache.tree.lock();
        if attr.links > 0 && tree.peek(&path).is_some_and(|known| known.id == attr.id) {
            tree.own_file(&path, attr, asked);
        }
        drop(tree);
        let mut now = self.now.lock();
        (now.attr, now.wrote) = (attr, false);
    }
}

#[async_trait]
impl File for CachedFile {
    fn id(&self) -> FileId {
        self.id
    }

    async fn attr(&self, cx: &Cx, fresh: Fresh) -> Result<Attr> {
        if fresh == Fresh::Cached {
            if self.is_ours() {
                return Ok(self.own_view());
            }
            match self.cache.lookup(&self.path()) {
                Lookup::Believed(attr) if attr.id == self.id => return Ok(attr),
                Lookup::Doubtful(attr) if attr.id == self.id && self.cache.is_offline() => return Ok(attr),
                Lookup::Believed(_) | Lookup::Doubtful(_) | Lookup::Absent | Lookup::Unknown => {}
            }
        }
        match self.ask(cx).await {
            Err(e) if fresh == Fresh::Cached && is_out_of_reach(&e) => Ok(self.own_view()),
            answer => answer,
        }
    }

    async fn set_attr(&self, cx: &Cx, set: &SetAttr) -> Result<Attr> {
        let Some(inner) = &self.inner else {
            if set.size.is_some() {
                return Err(self.denied("set_attr"));
            }
            let change = Change::SetAttr { path: self.path(), set: *set, expect: Some(self.id) };
            let applied = self.cache.apply(cx, &change).await?;
            let gone = || Error::new(ErrorKind::Stale, "set_attr", self.path());
            let attr = applied.attr.ok_or_else(gone)?;
            self.now.lock().attr = attr;
            return Ok(attr);
        };
        self.change_attributes(Sets::of(set), inner.set_attr(cx, set)).await
    }

    async fn read_at(&self, cx: &Cx, offset: u64, length: u32) -> Result<Bytes> {
        if !self.access.contains(Access::READ) {
            return Err(self.denied("read"));
        }
        match self.read(cx, offset, length).await {
            // The file has another version now: once more, with that.
            Err(e) if e.kind == ErrorKind::Stale => {
                self.content().state.lock().recheck = true;
                self.read(cx, offset, length).await
            }
            read => read,
        }
    }

    async fn pages(&self, _cx: &Cx, _offset: u64, _length: u32) -> Result<Option<Pages>> {
        Ok(None)
    }

    async fn write_at(&self, cx: &Cx, offset: u64, data: Bytes) -> Result<()> {
        let inner = self.writable("write")?;
        if data.is_empty() {
            return self.cache.origin.transfer(inner.write_at(cx, offset, data)).await;
        }
        let too_large = || Error::new(ErrorKind::FileTooLarge, "write", self.path());
        let end = offset.checked_add(data.len() as u64).ok_or_else(too_large)?;
        let content = self.content();
        let written = self.cache.known_since(&content);
        let own: OwnChange = self.cache.blocks.begin_change(&content, offset..end, written);
        self.cache.origin.transfer(inner.write_at(cx, offset, data.clone())).await?;
        own.wrote(data).await;
        self.note_own_write(&content);
        Ok(())
    }

    async fn ranges(&self, cx: &Cx, offset: u64, length: u64) -> Result<Vec<Range<u64>>> {
        let file = self.at_origin(cx).await?;
        self.cache.origin.transfer(file.ranges(cx, offset, length)).await
    }

    async fn zero(&self, cx: &Cx, offset: u64, length: u64) -> Result<()> {
        self.zero_there(cx, offset, length).await
    }

    async fn copy_from(
        &self,
        cx: &Cx,
        offset: u64,
        source: &Arc<dyn File>,
        source_offset: u64,
        length: u64,
        how: Copying,
    ) -> Result<u64> {
        self.copy_there(cx, offset, &**source, source_offset, length, how).await
    }

    async fn allocate(&self, cx: &Cx, size: u64) -> Result<Attr> {
        let inner = self.writable("allocate")?;
        // Reserving room counts as writing with some file systems.
        let sets = Sets { size: None, dated: true };
        self.change_attributes(sets, inner.allocate(cx, size)).await
    }

    async fn sync(&self, cx: &Cx, kind: SyncKind) -> Result<()> {
        match &self.inner {
            Some(inner) => self.cache.origin.transfer(inner.sync(cx, kind)).await,
            None => Ok(()),
        }
    }

    async fn close(&self, cx: &Cx, how: Close) -> Result<Attr> {
        let Some(inner) = &self.inner else { return Ok(self.own_view()) };
        if !self.access.contains(Access::WRITE) {
            // What comes of that may be as old as the opening: no news.
            self.cache.origin.transfer(inner.close(cx, how)).await?;
            return Ok(self.own_view());
        }
        self.cache.blocks.expect_echo(&self.content());
        let asked = self.cache.ask();
        let attr = self.cache.origin.transfer(inner.close(cx, how)).await?;
        self.cache.learn_of_open(&self.content(), attr, asked);
        let mut now = self.now.lock();
        (now.attr, now.wrote) = (attr, false);
        Ok(attr)
    }

    fn ticket(&self) -> Option<Ticket> {
        ticket::make(self.access, self.id, &self.path(), self.inner.as_deref())
    }
}

impl Drop for CachedFile {
    fn drop(&mut self) {
        self.cache.counters.open_files.sub(1);
        let now = self.now.get_mut();
        self.cache.blocks.release(&now.content);
    }
}
