//! Zeros and copies, made at the origin: the blocks that they change go, and nothing of them comes here.

use super::CachedFile;
use std::sync::Arc;
use volume::{Access, Copying, Cx, Error, ErrorKind, File, Result};

impl CachedFile {
    /// The file as it is open at the origin; one that was only read here is opened there now.
    pub(super) async fn at_origin(&self, cx: &Cx) -> Result<Arc<dyn File>> {
        if let Some(inner) = &self.inner {
            return Ok(inner.clone());
        }
        match self.hold(cx).await {
            // The file has another version now: once more, with that.
            Err(e) if e.kind == ErrorKind::Stale => {
                self.content().state.lock().recheck = true;
                self.hold(cx).await
            }
            held => held,
        }
    }

    async fn hold(&self, cx: &Cx) -> Result<Arc<dyn File>> {
        let (content, source) = self.current(cx).await?;
        self.cache.hold(cx, &content.place, &source).await?;
        // A read that failed meanwhile lets go of it.
        let lost = || Error::new(ErrorKind::Stale, "open", format_args!("{} at the origin", self.path()));
        source.opened().await.ok_or_else(lost)
    }

    pub(super) async fn zero_there(&self, cx: &Cx, offset: u64, length: u64) -> Result<()> {
        let inner = self.writable("zero")?;
        let content = self.content();
        let written = self.cache.known_since(&content);
        let end = offset.saturating_add(length).min(content.state.lock().size);
        let own = self.cache.blocks.begin_change(&content, offset.min(end)..end, written);
        self.cache.origin.transfer(inner.zero(cx, offset, length)).await?;
        own.replaced(0).await;
        self.note_own_write(&content);
        Ok(())
    }

    pub(super) async fn copy_there(
        &self,
        cx: &Cx,
        offset: u64,
        source: &dyn File,
        source_offset: u64,
        length: u64,
        how: Copying,
    ) -> Result<u64> {
        let inner = self.writable("copy")?;
        let own = source.as_own::<CachedFile>().filter(|own| Arc::ptr_eq(&own.cache, &self.cache));
        let own =
            own.ok_or_else(|| Error::new(ErrorKind::Unsupported, "copy", "a file of another volume"))?;
        if !own.access.contains(Access::READ) {
            return Err(own.denied("copy"));
        }
        let source = own.at_origin(cx).await?;
        let content = self.content();
        let written = self.cache.known_since(&content);
        let change = self.cache.blocks.begin_change(&content, offset..offset.saturating_add(length), written);
        let copied = inner.copy_from(cx, offset, &source, source_offset, length, how);
        let copied = self.cache.origin.transfer(copied).await?;
        match copied {
            0 => change.unchanged(false),
            _ => {
                change.replaced(offset.saturating_add(copied)).await;
                self.note_own_write(&content);
            }
        }
        Ok(copied)
    }
}
