//! The cache: a [`Volume`](volume::Volume) around one that is far away, 100 to 200 ms and 100 to 200 Mb/s.
//!
//! What it promises. Opening waits for no data; a read is answered as soon as its own blocks are here; what
//! was read once is read again from local disk, also after a restart, as long as the origin says that the file
//! is the same. Metadata is believed as long as the origin promises to tell of changes, for a stated time
//! where it does not, and [`CacheVolume::freshness`] says which. While the origin is out of reach, what is cached
//! goes on being served. Writes go through: when a write returns, the origin has it.
//!
//! The parts:
//!
//! * `volume`, `file`, `ticket`, `names`, `admin`: what callers see;
//! * `blocks/`: content on disk, by file and version, in blocks of 64 KiB with checksums, and the requests
//!   that bring them; the format is described in `docs/formats/cache.md`;
//! * `meta/`: attributes and listings in memory, and when to believe them (pure);
//! * `ahead/`: what to fetch before anybody asks (pure); `prefetch` does it;
//! * `evict`: what goes when the disk budget is used up (pure); `blocks/room` does it;
//! * `origin`: calls to the volume behind, and whether it can be reached; `notices`: what it tells, applied
//!   here and then passed up.
//!
//! Who may read what is decided above and at the origin: cached bytes are given to whoever opens the file here.

mod admin;
mod ahead;
mod blocks;
mod cache;
mod config;
mod evict;
mod file;
mod meta;
mod names;
mod notices;
mod origin;
mod prefetch;
mod stats;
mod ticket;
mod volume;

pub use crate::volume::CacheVolume;
pub use admin::Warmed;
pub use config::*;
pub use stats::CacheStats;
