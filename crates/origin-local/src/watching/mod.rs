//! The way up: what changes below the root, by whomever, as notices.
//!
//! One fanotify group, or one inotify instance where that does not work ([`source`]), on one thread serves all
//! subscribers. It starts with the first, watches each directory by itself, and ends when the last subscriber or the
//! volume is gone. The promise is `Freshness::Direct` while directories are still being added, and `Notified` from then
//! on; it falls back to `Direct` while the kernel has lost events, while there is a directory that cannot be watched
//! ([`gaps`]) or something mounted in which not everything is noticed ([`mounts`]), and for good when there are more
//! directories than can be watched.
//!
//! One notice is sent for each name that changed; that the times of its directory change with it goes without
//! saying. Changes of content and attributes wait until a name is quiet for [`COALESCE_QUIET`], at most for
//! [`COALESCE_AT_MOST`]; names that come, go and move are told in order with them, but
//! that what one process did to one name may come as one where the first of it was ([`fanotify`]). A file with several names
//! is told under the name through which it was changed; writes through `mmap` are told when it is closed.

mod dirs;
mod fanotify;
mod gaps;
mod inotify;
mod look;
mod mounted;
mod mounts;
mod pending;
mod source;
mod subscribers;
mod thread;
mod walk;

pub(crate) use mounted::is_of_this_machine;

use crate::error::{Failure, Outcome};
use crate::volume::Disk;
use std::sync::Arc;
use std::time::Duration;
use subscribers::Subscribers;
use volume::{ErrorKind, Notice, VPath, Watch};

/// A name that has not changed for so long is told.
pub const COALESCE_QUIET: Duration = Duration::from_millis(20);
/// A change is told after this time even if the name keeps changing.
pub const COALESCE_AT_MOST: Duration = Duration::from_millis(100);
/// Names below a directory that appears that are told one by one; with more, all below it is unknown.
pub const FOUND_MAX: usize = 1024;

/// Who watches a volume, and the thread that works for them.
pub(crate) struct Watching {
    disk: Arc<Disk>,
    subscribers: Arc<Subscribers>,
}

impl Watching {
    pub(crate) fn new(disk: Arc<Disk>) -> Outcome<Watching> {
        Ok(Watching { disk, subscribers: Arc::new(Subscribers::new()?) })
    }

    /// One more subscriber; the first starts the thread.
    pub(crate) fn subscribe(&self) -> Outcome<Watch> {
        let (watch, first) = self.subscribers.add();
        if first {
            self.start().inspect_err(|_| self.subscribers.end())?;
        }
        Ok(watch)
    }

    /// The volume has another user from now on. What was ours up to now may have hidden what is his from here.
    pub(crate) fn shared(&self) {
        self.subscribers.tells_authors(|| false);
        self.subscribers.tell(&Notice::Unknown { below: VPath::root() });
    }

    fn start(&self) -> Outcome<()> {
        let watcher = thread::Watcher::new(self.disk.clone(), self.subscribers.clone())?;
        let started = std::thread::Builder::new().name("farshare-watch".to_owned()).spawn(|| watcher.run());
        // Without threads there is no memory or a limit is reached: later it may work.
        started.map(drop).map_err(|_| Failure::from(ErrorKind::TooManyOpen))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.subscribers.end_for_good();
    }
}
