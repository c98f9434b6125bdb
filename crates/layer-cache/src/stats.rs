//! What the cache counts, and how it is shown.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use volume::{Freshness, VPath};

/// A picture of the cache for `farshare cache stat` and `farshare status`. Bytes are bytes of file content
/// unless said otherwise; counters start with the process.
#[derive(Clone, PartialEq, Debug)]
pub struct CacheStats {
    /// Bytes on disk now.
    pub size: u64,
    /// The limit that `size` is held to.
    pub limit: u64,
    /// Files with blocks in the cache.
    pub files: u64,
    /// Bytes that readers got from disk or from a transfer that was under way.
    pub hit_bytes: u64,
    /// Bytes that readers had to ask the origin for.
    pub miss_bytes: u64,
    /// Bytes that came from the origin, read-ahead included.
    pub fetched_bytes: u64,
    /// Bytes that came before anybody asked.
    pub prefetched_bytes: u64,
    /// Of those, what nobody has read so far.
    pub prefetched_unused_bytes: u64,
    pub evicted_bytes: u64,
    /// Blocks whose bytes on disk did not match their checksum; each was fetched again.
    pub corrupt_blocks: u64,
    /// Bytes being fetched or waiting to be stored now.
    pub in_flight_bytes: u64,
    /// Why content passes through without being stored, while it does.
    pub degraded: Option<String>,
    /// The present promise on how old an answer can be.
    pub freshness: Freshness,
    /// Complete listings in memory.
    pub directories: u64,
    /// Attributes in memory.
    pub entries: u64,
    /// Memory for metadata, bytes (estimated).
    pub meta_bytes: u64,
    /// Lookups answered from memory, and those that asked the origin.
    pub meta_hits: u64,
    pub meta_misses: u64,
    /// Opens through this layer that are not closed.
    pub open_files: u64,
    pub pins: Vec<VPath>,
}

/// A number that many threads add to.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    pub(crate) fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The counters behind [`CacheStats`].
#[derive(Default)]
pub(crate) struct Counters {
    pub hit_bytes: Counter,
    pub miss_bytes: Counter,
    pub fetched_bytes: Counter,
    pub prefetched_bytes: Counter,
    pub prefetched_used_bytes: Counter,
    pub evicted_bytes: Counter,
    pub corrupt_blocks: Counter,
    pub in_flight_bytes: Counter,
    pub meta_hits: Counter,
    pub meta_misses: Counter,
    pub open_files: Counter,
}
