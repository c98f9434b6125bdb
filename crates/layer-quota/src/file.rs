//! An open file.
//!
//! Only a write beyond the end, a new size, a copy and a reservation of room touch the books: what the file may become is
//! reserved there, then the origin does it, and what came of it is settled, all under the file's lock and though the caller
//! goes away. What ends within the size goes straight to the origin, many at a time.

use crate::TICKET;
use crate::charged::{Charged, Locked};
use crate::core::{Core, carried, in_time, is_elsewhere, is_open, patient};
use async_trait::async_trait;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use volume::{
    Attr, Close, Copying, Cx, File, FileId, Fresh, Pages, Result, SetAttr, SyncKind, Ticket, VPath,
};

pub(crate) struct QuotaFile {
    // Before `inner`: the number of a file goes to no other while that holds it.
    charged: Arc<Charged>,
    inner: Arc<dyn File>,
    core: Arc<Core>,
    /// Where it was opened: whose it is, is looked for there. `None` where that is not known.
    path: Option<VPath>,
}

/// What size a file has after a call.
enum Left {
    /// The one that was reserved.
    Reserved,
    Size(u64),
    /// One to be looked for.
    Unknown,
}

impl QuotaFile {
    pub(crate) fn new(core: Arc<Core>, inner: Arc<dyn File>, path: Option<VPath>) -> QuotaFile {
        QuotaFile { charged: core.table.acquire(inner.id()), inner, core, path }
    }

    /// Finds out whose the file is. `false` where its name stands for another by now.
    pub(crate) async fn meet(&self, cx: &Cx) -> Result<bool> {
        let epoch = self.core.ledger.epoch();
        if self.charged.read(cx, "open").await?.is_met(epoch) {
            return Ok(true);
        }
        let mut locked = self.charged.clone().lock(cx, "open").await?;
        match meet(&self.core, cx, &mut locked, &*self.inner, self.path.as_ref()).await {
            Err(e) if is_elsewhere(&e) => Ok(false),
            met => met.map(|()| true),
        }
    }

    /// Does `work`, which may make the file as long as `end`, or leave it.
    async fn grow<T: Send + 'static, F: Future<Output = Result<(T, Left)>> + Send + 'static>(
        &self,
        cx: &Cx,
        op: &'static str,
        end: u64,
        work: impl FnOnce(Arc<dyn File>, Cx) -> F + Send + 'static,
    ) -> Result<T> {
        let locked = self.charged.clone().lock(cx, op).await?;
        let (core, file, path) = (self.core.clone(), self.inner.clone(), self.path.clone());
        let caller = cx.clone();
        carried(cx, op, async move {
            // In this order, so that they go the other way round: see `QuotaFile`.
            let (inner, mut locked) = (file, locked);
            if let Err(e) = meet(&core, &caller, &mut locked, &*inner, path.as_ref()).await {
                tracing::debug!("whose file {} is: {e}", locked.id());
                core.ledger.doubt();
            }
            in_time(&caller, op)?;
            let size = locked.charge().map_or(0, |charge| charge.size);
            locked.reserve_size(size.max(end))?;
            let done = work(inner.clone(), caller.clone()).await;
            let left = match &done {
                Ok((_, left)) => left,
                Err(e) => {
                    if is_open(e) {
                        core.ledger.doubt();
                    }
                    &Left::Unknown
                }
            };
            match left {
                Left::Reserved => {}
                Left::Size(size) => locked.settle_size(Some(*size)),
                Left::Unknown => {
                    let attr = inner.attr(&patient(&caller), Fresh::Now).await;
                    locked.settle_size(attr.ok().map(|attr| attr.size));
                }
            }
            done.map(|(answer, _)| answer)
        })
        .await
    }
}

async fn meet(
    core: &Core,
    cx: &Cx,
    locked: &mut Locked,
    file: &dyn File,
    path: Option<&VPath>,
) -> Result<()> {
    if locked.is_met() {
        return Ok(());
    }
    let attr = file.attr(cx, Fresh::Now).await?;
    core.meet(cx, locked, path, &attr).await
}

#[async_trait]
impl File for QuotaFile {
    fn id(&self) -> FileId {
        self.inner.id()
    }

    async fn attr(&self, cx: &Cx, fresh: Fresh) -> Result<Attr> {
        self.inner.attr(cx, fresh).await
    }

    async fn set_attr(&self, cx: &Cx, set: &SetAttr) -> Result<Attr> {
        let Some(size) = set.size else { return self.inner.set_attr(cx, set).await };
        let set = *set;
        let work = move |file: Arc<dyn File>, cx: Cx| async move {
            let attr = file.set_attr(&cx, &set).await?;
            Ok((attr, Left::Size(attr.size)))
        };
        self.grow(cx, "set_attr", size, work).await
    }

    async fn read_at(&self, cx: &Cx, offset: u64, length: u32) -> Result<Bytes> {
        self.inner.read_at(cx, offset, length).await
    }

    async fn pages(&self, cx: &Cx, offset: u64, length: u32) -> Result<Option<Pages>> {
        self.inner.pages(cx, offset, length).await
    }

    async fn write_at(&self, cx: &Cx, offset: u64, data: Bytes) -> Result<()> {
        let end = offset.saturating_add(data.len() as u64);
        {
            let state = self.charged.read(cx, "write").await?;
            if data.is_empty() || state.covers(end, self.core.ledger.epoch()) {
                return self.inner.write_at(cx, offset, data).await;
            }
        }
        let work = move |file: Arc<dyn File>, cx: Cx| async move {
            file.write_at(&cx, offset, data).await?;
            Ok(((), Left::Reserved))
        };
        self.grow(cx, "write", end, work).await
    }

    async fn ranges(&self, cx: &Cx, offset: u64, length: u64) -> Result<Vec<Range<u64>>> {
        self.inner.ranges(cx, offset, length).await
    }

    async fn zero(&self, cx: &Cx, offset: u64, length: u64) -> Result<()> {
        self.inner.zero(cx, offset, length).await
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
        let source = source.as_own::<QuotaFile>().map_or(source, |own| &own.inner).clone();
        let there = source.attr(cx, Fresh::Now).await?.size.saturating_sub(source_offset);
        // The source may become longer meanwhile. A clone is cut by the origin alone, which knows its blocks.
        let (most, length) = match how {
            Copying::Any => (length.min(there), length.min(there)),
            Copying::Clone => (length.min(there), length),
        };
        let end = if most == 0 { 0 } else { offset.saturating_add(most) };
        if how == Copying::Any {
            let state = self.charged.read(cx, "copy").await?;
            if state.covers(end, self.core.ledger.epoch()) {
                return self.inner.copy_from(cx, offset, &source, source_offset, length, how).await;
            }
        }
        let work = move |file: Arc<dyn File>, cx: Cx| async move {
            let copied = file.copy_from(&cx, offset, &source, source_offset, length, how).await?;
            Ok((copied, Left::Unknown))
        };
        self.grow(cx, "copy", end, work).await
    }

    /// Room counts for nobody, but nobody reserves more than he may have.
    async fn allocate(&self, cx: &Cx, size: u64) -> Result<Attr> {
        let work = move |file: Arc<dyn File>, cx: Cx| async move {
            let attr = file.allocate(&cx, size).await?;
            Ok((attr, Left::Size(attr.size)))
        };
        self.grow(cx, "allocate", size, work).await
    }

    async fn sync(&self, cx: &Cx, kind: SyncKind) -> Result<()> {
        self.inner.sync(cx, kind).await
    }

    async fn close(&self, cx: &Cx, how: Close) -> Result<Attr> {
        self.inner.close(cx, how).await
    }

    fn ticket(&self) -> Option<Ticket> {
        let inner = self.inner.ticket()?;
        Some(match &self.path {
            Some(path) => Ticket::at(TICKET, path, &inner),
            None => inner,
        })
    }
}
