//! A race for whoever must stay beneath a directory: a name in it is now a directory, now a way out.

use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// Fewer swaps are hardly a race.
const SWAPS_MIN: u64 = 1000;
/// One thread never finds the name between the two.
const THREADS: usize = 2;

/// Threads that swap the directory `d` for a symbolic link to the outside and back, each swap in one step.
pub struct Swaps {
    done: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Swaps {
    /// Begins with `root/d`, a directory, and links beside it that lead to `outside`.
    pub fn begin(root: &Path, outside: &Path) -> Swaps {
        let (done, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let threads = (0..THREADS)
            .map(|number| {
                let (link, dir) = (root.join(format!("link{number}")), root.join("d"));
                symlink(outside, &link).unwrap();
                let (done, count) = (done.clone(), count.clone());
                std::thread::spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        if renameat_with(CWD, &link, CWD, &dir, RenameFlags::EXCHANGE).is_ok() {
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        Swaps { done, count, threads }
    }

    /// Whether there were enough of them to speak of a race.
    pub fn enough(&self) -> bool {
        self.count.load(Ordering::Relaxed) > SWAPS_MIN
    }

    /// Ends them; panics when there were not enough.
    pub fn end(self) {
        self.done.store(true, Ordering::Relaxed);
        let enough = self.enough();
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(enough, "hardly a race: {} swaps", self.count.load(Ordering::Relaxed));
    }
}
