//! The shell: what callers see. First form: every call passes through.

use crate::{CacheConfig, CacheStats, stats::Counters};
use async_trait::async_trait;
use std::sync::Arc;
use volume::*;

/// A cache in front of a volume that is far away.
pub struct CacheVolume {
    inner: Arc<dyn Volume>,
    config: CacheConfig,
    counters: Counters,
}

/// What [`CacheVolume::warm`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Warmed {
    pub files: u64,
    /// Bytes that are in the cache now, those that were there before included.
    pub bytes: u64,
}

impl CacheVolume {
    /// Opens the cache in `config.directory`, making it when it is not there.
    pub async fn open(inner: Arc<dyn Volume>, config: CacheConfig) -> Result<Arc<CacheVolume>> {
        Ok(Arc::new(CacheVolume { inner, config, counters: Counters::default() }))
    }

    /// What is in the cache and what it did so far.
    pub fn stats(&self) -> CacheStats {
        let c = &self.counters;
        CacheStats {
            size: 0,
            limit: self.config.size,
            files: 0,
            hit_bytes: c.hit_bytes.get(),
            miss_bytes: c.miss_bytes.get(),
            fetched_bytes: c.fetched_bytes.get(),
            prefetched_bytes: c.prefetched_bytes.get(),
            prefetched_unused_bytes: c.prefetched_bytes.get() - c.prefetched_used_bytes.get(),
            evicted_bytes: c.evicted_bytes.get(),
            corrupt_blocks: c.corrupt_blocks.get(),
            in_flight_bytes: c.in_flight_bytes.get(),
            degraded: None,
            freshness: self.freshness(),
            directories: 0,
            entries: 0,
            meta_bytes: 0,
            meta_hits: c.meta_hits.get(),
            meta_misses: c.meta_misses.get(),
            open_files: c.open_files.get(),
            pins: self.pins(),
        }
    }

    /// The present promise on how old an answer can be.
    pub fn freshness(&self) -> Freshness {
        Freshness::Direct
    }

    /// Keeps what is cached at and below `path` from eviction; remembered over restarts. Fetches nothing:
    /// see [`CacheVolume::warm`].
    pub async fn pin(&self, path: &VPath) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "pin", path))
    }

    /// Ends a pin. `NotFound` when exactly this path is not pinned.
    pub async fn unpin(&self, path: &VPath) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "unpin", path))
    }

    pub fn pins(&self) -> Vec<VPath> {
        Vec::new()
    }

    /// Drops all cached content and metadata, pinned or not; returns the bytes freed.
    pub async fn flush(&self) -> Result<u64> {
        Ok(0)
    }

    /// Evicts least recently used content until `bytes` are free'd or nothing but pins is left; returns the
    /// bytes freed.
    pub async fn evict(&self, bytes: u64) -> Result<u64> {
        let _ = bytes;
        Ok(0)
    }

    /// Fetches a file, or all files at and below a directory, at background priority.
    pub async fn warm(&self, path: &VPath) -> Result<Warmed> {
        Err(Error::new(ErrorKind::Unsupported, "warm", path))
    }

    /// Writes the index and stops the cache's tasks. Without it a restart fetches again what was cached in
    /// the last second or so.
    pub async fn shut_down(&self) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl Volume for CacheVolume {
    fn caps(&self) -> Caps {
        self.inner.caps()
    }
    async fn stat(&self, cx: &Cx, path: &VPath) -> Result<Attr> {
        self.inner.stat(cx, path).await
    }
    async fn list(&self, cx: &Cx, dir: &VPath, how: ListHow) -> Result<Listing> {
        self.inner.list(cx, dir, how).await
    }
    async fn open(&self, cx: &Cx, path: &VPath, how: OpenHow) -> Result<Opened> {
        self.inner.open(cx, path, how).await
    }
    async fn reopen(&self, cx: &Cx, ticket: &Ticket) -> Result<Opened> {
        self.inner.reopen(cx, ticket).await
    }
    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Applied> {
        self.inner.apply(cx, change).await
    }
    async fn read_link(&self, cx: &Cx, path: &VPath) -> Result<String> {
        self.inner.read_link(cx, path).await
    }
    async fn space(&self, cx: &Cx, path: &VPath) -> Result<Space> {
        self.inner.space(cx, path).await
    }
    async fn watch(&self, cx: &Cx) -> Result<Watch> {
        self.inner.watch(cx).await
    }
}
