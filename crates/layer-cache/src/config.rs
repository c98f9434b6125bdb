//! What an operator sets, and the limits that are fixed here. Each limit has a name and a unit.

use std::path::PathBuf;
use std::time::Duration;

/// Unit of caching on disk, of single flight and of checksums, bytes.
pub const BLOCK_BYTES: u64 = 64 * 1024;
/// Largest first request of a stream that is not known yet, bytes: answers come in whole, so a small first
/// one gives a quick first byte.
pub const FIRST_FETCH_BYTES: u64 = 256 * 1024;
/// Largest single request to the origin, bytes.
pub const FETCH_BYTES: u64 = 512 * 1024;
/// A file up to this size is fetched whole, and makes its siblings candidates for being fetched ahead, bytes.
pub const SMALL_FILE_BYTES: u64 = 256 * 1024;
/// Where the read-ahead window of a stream starts, bytes.
pub const WINDOW_START_BYTES: u64 = 256 * 1024;
/// What a window may grow to on any link, bytes; beyond it the measured rate x round trip decides.
pub const WINDOW_CEILING_MIN_BYTES: u64 = 2 << 20;
/// Files that may be fetched ahead of a client that reads one small file after another.
pub const SIBLINGS_AHEAD_MAX: usize = 64;
/// Entries asked for along with a listing, from the directories below.
pub const LIST_AHEAD_ENTRIES: u32 = 10_000;
/// Largest directory that is kept in memory, entries; a larger one is passed through page by page.
pub const DIRECTORY_ENTRIES_MAX: usize = 200_000;
/// Entries in one page of a listing served from memory.
pub const LIST_PAGE_ENTRIES: usize = 16 * 1024;
/// Files that the cache holds blocks of, at most; the least recently used go first.
pub const CACHED_FILES_MAX: usize = 250_000;
/// How long after one of our own changes a notice that contradicts it is taken as its echo and checked at the
/// origin instead of being believed.
pub const OWN_ECHO: Duration = Duration::from_secs(5);
/// How long the origin may have been away until reads of content fail: a shorter cut costs a wait and no error.
pub const CUT_PATIENCE: Duration = Duration::from_secs(15);
/// How long after a content was begun a notice that names its version is taken for one that was overtaken.
pub const LATE_NOTICE: Duration = Duration::from_secs(2);
/// How often an origin that cannot be reached is tried.
pub const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How often what changed in memory is written to the index.
pub const INDEX_EVERY: Duration = Duration::from_secs(1);
/// How long the cache disk is left alone after it failed or was full.
pub const DEGRADED_RETRY: Duration = Duration::from_secs(5);

/// How a cache is set up.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// Where the cache lives; made with mode 0700. One cache per directory.
    pub directory: PathBuf,
    /// What is cached here (the origin's address): a directory that belongs to another origin is refused.
    pub identity: String,
    /// Most bytes of file content on disk. Default 10 GiB.
    pub size: u64,
    /// How long metadata is believed where the origin does not tell of changes. Default 2 s.
    pub poll_every: Duration,
    /// How long a call waits for an origin that does not answer, if its deadline is not earlier. Default 5 s.
    pub patience: Duration,
    /// Largest read-ahead window of one stream, bytes. Default 16 MiB; it should reach twice rate x round trip.
    pub read_ahead_max: u64,
    /// Most bytes being fetched or waiting to be stored, for the whole volume. Default 64 MiB.
    pub buffer_max: u64,
    /// Most directory entries held in memory. Default 400,000.
    pub meta_entries_max: usize,
    /// Most memory for metadata, bytes (estimated). Default 96 MiB.
    pub meta_bytes_max: usize,
}

impl CacheConfig {
    /// The defaults, for a cache of `identity` in `directory`.
    pub fn new(directory: impl Into<PathBuf>, identity: impl Into<String>) -> CacheConfig {
        CacheConfig {
            directory: directory.into(),
            identity: identity.into(),
            size: 10 << 30,
            poll_every: Duration::from_secs(2),
            patience: Duration::from_secs(5),
            read_ahead_max: 16 << 20,
            buffer_max: 64 << 20,
            meta_entries_max: 400_000,
            meta_bytes_max: 96 << 20,
        }
    }
}
