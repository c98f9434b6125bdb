//! `LocalVolume` on a real directory: the contract, the model, and what only a disk can do.

mod callers;
mod carried;
mod disk;
mod escape;
mod handles;
mod mirror;
mod mounting;
mod mounts;
mod ranges;
mod watch;

use origin_local::{LocalConfig, LocalVolume};
use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
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

/// Runs a test as somebody to whom permissions matter, also where tests run as root.
fn as_nobody<T: Future<Output = ()>>(test: impl FnOnce() -> T + Send + 'static) {
    const NOBODY: u32 = 65534;
    let run = || {
        if rustix::process::geteuid().is_root() {
            let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
            set_thread_groups(&[]).unwrap();
            set_thread_res_gid(group, group, group).unwrap();
            // Of this thread alone, and of those that it starts.
            set_thread_res_uid(user, user, user).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}
