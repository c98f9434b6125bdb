//! The cache: a [`Volume`](volume::Volume) around one that is far away.
mod ahead;
mod blocks;
mod config;
mod evict;
mod meta;
mod origin;
mod stats;
mod volume_shell;

pub use config::*;
pub use stats::CacheStats;
pub use volume_shell::{CacheVolume, Warmed};
