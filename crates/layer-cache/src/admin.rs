//! What operators ask of a cache: figures, pins, dropping, filling.

use crate::cache::Cache;
use crate::{CacheStats, CacheVolume};
use std::sync::Arc;
use std::time::Duration;
use volume::{Attr, Cx, Error, ErrorKind, Freshness, Kind, ListHow, Priority, Result, VPath, Volume};

/// How long one step of warming up may take.
const WARM_PATIENCE: Duration = Duration::from_secs(300);
/// What is asked for at a time while warming up, bytes.
const WARM_BYTES: u64 = 4 << 20;

/// What [`CacheVolume::warm`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Warmed {
    pub files: u64,
    /// Bytes of these files, those that were in the cache before included.
    pub bytes: u64,
}

impl CacheVolume {
    /// What is in the cache and what it did so far.
    pub fn stats(&self) -> CacheStats {
        let cache = &self.cache;
        let c = &cache.counters;
        let (size, files, degraded) = cache.blocks.extent();
        let (directories, entries, meta_bytes) = cache.tree.lock().extent();
        CacheStats {
            size,
            limit: cache.config.size,
            files,
            hit_bytes: c.hit_bytes.get(),
            miss_bytes: c.miss_bytes.get(),
            fetched_bytes: c.fetched_bytes.get(),
            prefetched_bytes: c.prefetched_bytes.get(),
            prefetched_unused_bytes: c.prefetched_bytes.get().saturating_sub(c.prefetched_used_bytes.get()),
            evicted_bytes: c.evicted_bytes.get(),
            corrupt_blocks: c.corrupt_blocks.get(),
            in_flight_bytes: c.in_flight_bytes.get(),
            degraded,
            freshness: self.freshness(),
            directories: directories as u64,
            entries: entries as u64,
            meta_bytes: meta_bytes as u64,
            meta_hits: c.meta_hits.get(),
            meta_misses: c.meta_misses.get(),
            open_files: c.open_files.get(),
            pins: self.pins(),
        }
    }

    /// The present promise on how old an answer can be.
    pub fn freshness(&self) -> Freshness {
        *self.cache.promise.borrow()
    }

    /// Keeps what is cached at and below `path` from eviction; remembered over restarts. Fetches nothing:
    /// see [`CacheVolume::warm`].
    pub async fn pin(&self, path: &VPath) -> Result<()> {
        self.cache.blocks.set_pin(path, true).await.map(|_| ())
    }

    /// Ends a pin. `NotFound` when exactly this path is not pinned.
    pub async fn unpin(&self, path: &VPath) -> Result<()> {
        match self.cache.blocks.set_pin(path, false).await? {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::NotFound, "unpin", format_args!("{path} is not pinned"))),
        }
    }

    pub fn pins(&self) -> Vec<VPath> {
        self.cache.blocks.pins()
    }

    /// Drops all cached content, pinned or not, and doubts all metadata; returns the bytes freed.
    pub async fn flush(&self) -> Result<u64> {
        self.cache.tree.lock().doubt_everything();
        Ok(self.cache.blocks.flush().await)
    }

    /// Evicts least recently used content until `bytes` are free or nothing but pins is left; returns the
    /// bytes freed.
    pub async fn evict(&self, bytes: u64) -> Result<u64> {
        Ok(self.cache.blocks.evict(bytes, 0).await)
    }

    /// Fetches a file, or all files at and below a directory, at background priority. Stops at the first
    /// error, and when the cache is full of pins.
    pub async fn warm(&self, path: &VPath) -> Result<Warmed> {
        let mut warmed = Warmed::default();
        let mut next = vec![path.clone()];
        let cx = || Cx::system(Priority::Background).within(WARM_PATIENCE);
        while let Some(path) = next.pop() {
            let (attr, told) = self.cache.attr_and_when(&cx(), &path).await?;
            match attr.kind {
                Kind::File => {
                    warm_file(&self.cache, &cx(), &path, attr, told).await?;
                    (warmed.files, warmed.bytes) = (warmed.files + 1, warmed.bytes + attr.size);
                }
                Kind::Dir => next.extend(self.children(&cx(), &path).await?),
                Kind::Symlink | Kind::Special(_) => {}
            }
        }
        Ok(warmed)
    }

    async fn children(&self, cx: &Cx, dir: &VPath) -> Result<Vec<VPath>> {
        let (mut paths, mut how) = (Vec::new(), ListHow::default());
        loop {
            let page = self.list(cx, dir, how).await?;
            paths.extend(page.entries.iter().filter_map(|entry| dir.join(&entry.name).ok()));
            match page.next {
                Some(next) => how = ListHow { cursor: Some(next), ahead: 0 },
                None => return Ok(paths),
            }
        }
    }

    /// Writes the index and stops the cache's tasks. Without it a restart fetches again what was cached in
    /// the last second or so.
    pub async fn shut_down(&self) -> Result<()> {
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        tasks.shutdown().await;
        self.cache.blocks.write_index().await
    }
}

async fn warm_file(cache: &Arc<Cache>, cx: &Cx, path: &VPath, attr: Attr, told: u64) -> Result<()> {
    let content = cache.blocks.acquire(path, &attr, told);
    let source = content.place.source(&cache.origin);
    let mut read = Ok(());
    let mut at = 0;
    while at < attr.size && read.is_ok() {
        let end = (at + WARM_BYTES).min(attr.size);
        if !cache.blocks.has(&content, at..end).await {
            read = cache.blocks.read(cx, &content, &source, at..end, true).await.map(|_| ());
        }
        at = end;
    }
    cache.blocks.release(&content);
    read
}
