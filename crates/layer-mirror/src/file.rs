//! An open file of the layer: what changes its content or its attributes is written down before, in the file's order.

use crate::TICKET;
use crate::core::Core;
use crate::opens::OpenFile;
use crate::record::{Outcome, Record, Stamp};
use async_trait::async_trait;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use volume::{
    Attr, Carry, Close, Copying, Cx, File, FileId, Fresh, Pages, Result, SetAttr, SyncKind, Ticket,
};

/// Longest content of one record, bytes.
pub(crate) const RECORD_DATA_MAX: usize = 1 << 20;

pub(crate) struct MirrorFile(Arc<Handle>);

/// What a change that is under way holds, too: the end of the file is written down behind it.
struct Handle {
    core: Arc<Core>,
    inner: Arc<dyn File>,
    file: Arc<OpenFile>,
    writes: bool,
}

impl MirrorFile {
    pub(crate) fn new(
        core: Arc<Core>,
        inner: Arc<dyn File>,
        file: Arc<OpenFile>,
        writes: bool,
    ) -> MirrorFile {
        MirrorFile(Arc::new(Handle { core, inner, file, writes }))
    }

    /// Does `work` in the file's order, with a record before it while the file has a name.
    async fn recorded<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
        &self,
        op: &'static str,
        record: impl FnOnce(volume::VPath) -> Record + Send + 'static,
        work: impl FnOnce(Arc<dyn File>) -> F + Send + 'static,
        outcome: impl FnOnce(&T) -> Outcome + Send + 'static,
    ) -> Result<T> {
        let handle = self.0.clone();
        Carry::new(async move {
            let _order = handle.file.order().await;
            let inner = handle.inner.clone();
            let Some(path) = handle.file.path() else { return work(inner).await };
            let done = handle.core.recorded(op, record(path), work(inner), outcome).await;
            handle.file.note_changed();
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
}

impl Handle {
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

impl Drop for Handle {
    /// A handle that nobody has closed: its process is gone, say.
    fn drop(&mut self) {
        // Also one that was closed, where a change has come to its end later.
        if self.writes
            && let Err(cause) = self.core.cut_now(&self.file, None)
        {
            tracing::warn!(%cause, "the end of a file was not written down");
        }
    }
}

#[async_trait]
impl File for MirrorFile {
    fn id(&self) -> FileId {
        self.0.inner.id()
    }

    async fn attr(&self, cx: &Cx, fresh: Fresh) -> Result<Attr> {
        self.0.inner.attr(cx, fresh).await
    }

    async fn set_attr(&self, cx: &Cx, set: &SetAttr) -> Result<Attr> {
        self.change_attr(cx, set).await
    }

    async fn read_at(&self, cx: &Cx, offset: u64, length: u32) -> Result<Bytes> {
        self.0.inner.read_at(cx, offset, length).await
    }

    async fn pages(&self, cx: &Cx, offset: u64, length: u32) -> Result<Option<Pages>> {
        self.0.inner.pages(cx, offset, length).await
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
        self.0.inner.ranges(cx, offset, length).await
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
        let source = source.as_own::<MirrorFile>().map_or(source, |own| &own.0.inner).clone();
        let (this, cx) = (self.0.clone(), cx.clone());
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
        self.0.inner.allocate(cx, size).await
    }

    async fn sync(&self, cx: &Cx, kind: SyncKind) -> Result<()> {
        self.0.inner.sync(cx, kind).await?;
        if self.0.writes {
            let _order = self.0.file.order().await;
            let stamp = self.0.inner.attr(cx, Fresh::Now).await.ok();
            self.0.core.cut("sync", &self.0.file, stamp.as_ref().map(Stamp::of)).await?;
        }
        self.0.core.sync("sync").await
    }

    async fn close(&self, cx: &Cx, how: Close) -> Result<Attr> {
        if !self.0.writes {
            return self.0.inner.close(cx, how).await;
        }
        let (this, cx) = (self.0.clone(), cx.clone());
        Carry::new(async move {
            let _order = this.file.order().await;
            // What was written is at the mirror's, too, where the end of it has failed.
            let closed = this.inner.close(&cx, how).await;
            this.core.cut("close", &this.file, closed.as_ref().ok().map(Stamp::of)).await?;
            closed
        })
        .await
    }

    fn ticket(&self) -> Option<Ticket> {
        let inner = self.0.inner.ticket()?;
        Some(match self.0.file.path() {
            Some(path) => Ticket::at(TICKET, &path, &inner),
            None => inner,
        })
    }
}
