//! The cache over a volume in memory whose calls are counted, held up and made to fail.

mod contract;
mod disk;
mod late;
mod meeting;
mod metadata;
mod offline;
mod prefetch;
mod rate;
mod reading;
mod writing;

use layer_cache::{BLOCK_BYTES, CacheConfig, CacheVolume};
use std::sync::Arc;
use std::time::Duration;
use testkit::{FaultVolume, MemConfig, MemVolume, Op};
use volume::{File, Notice, OpenHow, Volume};

pub const BLOCK: usize = BLOCK_BYTES as usize;

/// An origin, a cache in front of it, and the directory that the cache lives in.
pub struct Site {
    pub origin: Arc<MemVolume>,
    pub far: Arc<FaultVolume>,
    pub cache: Arc<CacheVolume>,
    pub dir: tempfile::TempDir,
}

pub fn config(dir: &tempfile::TempDir) -> CacheConfig {
    CacheConfig { patience: Duration::from_millis(500), ..CacheConfig::new(dir.path().join("cache"), "mem") }
}

impl Site {
    pub async fn new() -> Site {
        Site::with(MemConfig::default(), |_| {}).await
    }

    /// An origin that tells of no changes.
    pub async fn polled(every: Duration) -> Site {
        let mut mem = MemConfig::default();
        mem.caps.watch = false;
        Site::with(mem, |config| config.poll_every = every).await
    }

    pub async fn with(mem: MemConfig, set: impl FnOnce(&mut CacheConfig)) -> Site {
        let origin = MemVolume::with(mem);
        let far = FaultVolume::new(origin.clone());
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(&dir);
        set(&mut config);
        let cache = CacheVolume::open(far.clone(), config).await.unwrap();
        far.counts().reset();
        Site { origin, far, cache, dir }
    }

    /// Waits until the cache has heard of everything that was done at the origin so far.
    pub async fn heard(&self) {
        let mut watch = self.cache.watch(&testkit::ease::cx()).await.unwrap();
        testkit::ease::put(&*self.origin, "marker", b"").await;
        testkit::ease::remove(&*self.origin, "marker").await;
        let gone = |notice: &Notice| matches!(notice, Notice::Changed { attr: None, .. });
        testkit::ease::notice(&mut watch, "the marker", gone).await;
    }

    /// Stops the cache in good order and opens it again.
    pub async fn restart(&mut self) {
        self.cache.shut_down().await.unwrap();
        self.reopen().await;
    }

    /// Opens the cache again, after whatever happened to the last one.
    pub async fn reopen(&mut self) {
        // The directory is locked until the last reference is gone.
        let placeholder = tempfile::tempdir().unwrap();
        let nothing = CacheVolume::open(self.far.clone(), config(&placeholder)).await.unwrap();
        let last = std::mem::replace(&mut self.cache, nothing);
        drop(last);
        self.cache = until("the directory is free", || async {
            CacheVolume::open(self.far.clone(), config(&self.dir)).await.ok()
        })
        .await;
        self.far.counts().reset();
    }

    pub fn calls(&self, op: Op) -> u64 {
        self.far.counts().of(op)
    }

    /// Bytes that came from the origin, those sent along with an open among them.
    pub fn fetched(&self) -> u64 {
        self.cache.stats().fetched_bytes
    }
}

/// Bytes that differ from block to block and from file to file.
pub fn content(length: usize, seed: u64) -> Vec<u8> {
    testkit::Rng::new(seed).bytes(length)
}

pub async fn open(volume: &dyn Volume, path: &str) -> Arc<dyn File> {
    volume.open(&testkit::ease::cx(), &testkit::ease::p(path), OpenHow::read()).await.unwrap().file
}

pub async fn read(file: &dyn File, offset: usize, length: usize) -> Vec<u8> {
    file.read_at(&testkit::ease::cx(), offset as u64, length as u32).await.unwrap().to_vec()
}

/// Waits for something that comes by itself.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let seen = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    testkit::ease::within(Duration::from_secs(20), what, seen).await
}

/// Waits until a condition holds.
pub async fn wait_for(what: &str, holds: impl Fn() -> bool) {
    until(what, || std::future::ready(holds().then_some(()))).await;
}
