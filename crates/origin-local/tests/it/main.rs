//! `LocalVolume` on a real directory: the contract, the model, and what only a disk can do.

mod carried;
mod disk;
mod escape;
mod handles;
mod mirror;
mod ranges;
mod watch;

use origin_local::{LocalConfig, LocalVolume};
use std::sync::Arc;
use tempfile::TempDir;

/// A fresh directory, and a volume over it.
fn fresh() -> (TempDir, Arc<LocalVolume>) {
    fresh_with(LocalConfig::default())
}

fn fresh_with(config: LocalConfig) -> (TempDir, Arc<LocalVolume>) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let volume = LocalVolume::open(dir.path(), config).expect("a volume");
    (dir, volume)
}
