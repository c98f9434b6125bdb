//! An open file of the layer: what changes its content or its attributes is written down before, in the file's order.

use crate::TICKET;
use crate::core::Core;
use crate::opens::OpenFile;
use crate::record::{Outcome, Record, Stamp};
use async_trait::async_trait;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use volume::{
    Attr, Carry, Close, Copying, Cx, File, FileId, Fresh, Pages, Result, SetAttr, SyncKind, Ticket,
};

/// Longest content of one record, bytes.
pub(crate) const RECORD_DATA_MAX: usize = 1 << 20;

pub(crate) struct MirrorFile {
    core: Arc<Core>,
    inner: Arc<dyn File>,
    file: Arc<OpenFile>,
    writes: bool,
    closed: AtomicBool,
}

impl MirrorFile {
    pub(crate) fn new(
        core: Arc<Core>,
        inner: Arc<dyn File>,
        file: Arc<OpenFile>,
        writes: bool,
    ) -> MirrorFile {
        MirrorFile { core, inner, file, writes, closed: AtomicBool::new(false) }
    }

    /// Does `work` in the file's order, with a record before it while the file has a name.
    async fn recorded<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
        &self,
        op: &'static str,
        record: impl FnOnce(volume::VPath) -> Record + Send + 'static,
        work: impl FnOnce(Arc<dyn File>) -> F + Send + 'static,
        outcome: impl FnOnce(&T) -> Outcome + Send + 'static,
    ) -> Result<T> {
        let (core, inner, file) = (self.core.clone(), self.inner.clone(), self.file.clone());
        Carry::new(async move {
            let _order = file.order().await;
            let Some(path) = file.path() else { return work(inner).await };
            let done = core.recorded(op, record(path), work(inner), outcome).await;
            file.note_changed();
            done
        })
        .await
    }

    pub(crate) async fn change_attr(&self, cx: &Cx, set: &SetAttr) -> Result<Attr> {
        let (set, cx) = (*set, cx.clone());
        self.recorded(
            "setattr",
            move |path| Record::SetAttr { path, set },
            move |file| async move { file.set_attr(&cx, &set).await },
            |attr| Outcome::Done(Some(Stamp::of(attr))),
        )
        .await
    }

    async fn write_piece(&self, cx: &Cx, offset: u64, data: Bytes) -> Result<()> {
        let (cx, recorded) = (cx.clone(), data.clone());
        self.recorded(
            "write",
            move |path| Record::Write { path, offset, data: recorded },
            move |file| async move { file.write_at(&cx, offset, data).await },
            |()| Outcome::Done(None),
        )
        .await
    }

    /// Writes down what stands in a range now, and would be lost with the process: what was copied there by the volume itself.
    async fn record_range(&self, cx: &Cx, offset: u64, length: u64) -> Result<()> {
        let end = offset.saturating_add(length);
        let mut at = offset;
        while at < end {
            let piece = (end - at).min(RECORD_DATA_MAX as u64) as u32;
            let data = self.inner.read_at(cx, at, piece).await?;
            let Some(path) = self.file.path().filter(|_| !data.is_empty()) else { return Ok(()) };
            let read = data.len() as u64;
            let number = self.core.begin("copy", Record::Write { path, offset: at, data }).await?;
            self.core.log.settle(number, Outcome::Done(None));
            at += read;
        }
        Ok(())
    }
}

impl Drop for MirrorFile {
    /// A handle that nobody has closed: its process is gone, say.
    fn drop(&mut self) {
        if !self.writes || self.closed.load(Ordering::Relaxed) || !self.file.take_changed() {
            return;
        }
        let Some(path) = self.file.path() else { return };
        if let Err(cause) = self.core.log.begin(Record::Cut { path, stamp: None }) {
            tracing::warn!(%cause, "the end of a file was not written down");
        }
    }
}

#[async_trait]
impl File for MirrorFile {
    fn id(&self) -> FileId {
        self.inner.id()
    }

    async fn attr(&self, cx: &Cx, fresh: Fresh) -> Result<Attr> {
        self.inner.attr(cx, fresh).await
    }

    async fn set_attr(&self, cx: &Cx, set: &SetAttr) -> Result<Attr> {
        self.change_attr(cx, set).await
    }

    async fn read_at(&self, cx: &Cx, offset: u64, length: u32) -> Result<Bytes> {
        self.inner.read_at(cx, offset, length).await
    }

    async fn pages(&self, cx: &Cx, offset: u64, length: u32) -> Result<Option<Pages>> {
        self.inner.pages(cx, offset, length).await
    }

    async fn write_at(&self, cx: &Cx, offset: u64, data: Bytes) -> Result<()> {
        if data.len() <= RECORD_DATA_MAX {
            return self.write_piece(cx, offset, data).await;
        }
        for at in (0..data.len()).step_by(RECORD_DATA_MAX) {
            let piece = data.slice(at..data.len().min(at + RECORD_DATA_MAX));
            self.write_piece(cx, offset + at as u64, piece).await?;
        }
        Ok(())
    }

    async fn ranges(&self, cx: &Cx, offset: u64, length: u64) -> Result<Vec<Range<u64>>> {
        self.inner.ranges(cx, offset, length).await
    }

    async fn zero(&self, cx: &Cx, offset: u64, length: u64) -> Result<()> {
        let cx = cx.clone();
        self.recorded(
            "zero",
            move |path| Record::Zero { path, offset, length },
            move |file| async move { file.zero(&cx, offset, length).await },
            |()| Outcome::Done(None),
        )
        .await
    }

    /// What was copied is read once more, for the log. Until then the file is in doubt.
    async fn copy_from(
        &self,
        cx: &Cx,
        offset: u64,
        source: &Arc<dyn File>,
        source_offset: u64,
        length: u64,
        how: Copying,
    ) -> Result<u64> {
        let source = source.as_own::<MirrorFile>().map_or(source, |own| &own.inner).clone();
        let this = MirrorFile::new(self.core.clone(), self.inner.clone(), self.file.clone(), false);
        let cx = cx.clone();
        Carry::new(async move {
            let _order = this.file.order().await;
            let Some(path) = this.file.path() else {
                return this.inner.copy_from(&cx, offset, &source, source_offset, length, how).await;
            };
            let _together = this.core.gate.read().await;
            // Of no effect: it stands for what comes while that is not written down.
            let number = this.core.begin("copy", Record::Zero { path, offset, length: 0 }).await?;
            let copied = this.inner.copy_from(&cx, offset, &source, source_offset, length, how).await;
            let recorded = match &copied {
                Ok(copied) => this.record_range(&cx, offset, *copied).await,
                Err(_) => Ok(()),
            };
            this.file.note_changed();
            let known = recorded.is_ok() && copied.is_ok();
            this.core.log.settle(number, if known { Outcome::Done(None) } else { Outcome::Doubt });
            copied
        })
        .await
    }

    async fn allocate(&self, cx: &Cx, size: u64) -> Result<Attr> {
        self.inner.allocate(cx, size).await
    }

    async fn sync(&self, cx: &Cx, kind: SyncKind) -> Result<()> {
        self.inner.sync(cx, kind).await?;
        if self.writes {
            let _order = self.file.order().await;
            let stamp = self.inner.attr(cx, Fresh::Now).await.ok();
            self.core.cut("sync", &self.file, stamp.as_ref().map(Stamp::of)).await?;
        }
        self.core.sync("sync").await
    }

    async fn close(&self, cx: &Cx, how: Close) -> Result<Attr> {
        self.closed.store(true, Ordering::Relaxed);
        if !self.writes {
            return self.inner.close(cx, how).await;
        }
        let (core, inner, file, cx) = (self.core.clone(), self.inner.clone(), self.file.clone(), cx.clone());
        Carry::new(async move {
            let _order = file.order().await;
            let attr = inner.close(&cx, how).await?;
            core.cut("close", &file, Some(Stamp::of(&attr))).await?;
            Ok(attr)
        })
        .await
    }

    fn ticket(&self) -> Option<Ticket> {
        let inner = self.inner.ticket()?;
        Some(match self.file.path() {
            Some(path) => Ticket::at(TICKET, &path, &inner),
            None => inner,
        })
    }
}
