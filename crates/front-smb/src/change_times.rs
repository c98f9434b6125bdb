//! Change times that clients set (FileBasicInformation, MS-FSCC 2.4.7). No origin keeps them: the time is shown instead of the
//! origin's own until the file changes again, or the node ends.

use lru::LruCache;
use parking_lot::Mutex;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use volume::{Attr, FileId, Time};

/// Files whose change time is remembered; the one used least gives way.
const FILES_MAX: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// For each file the time that was set, and the one that it stands for.
pub(crate) struct ChangeTimes {
    set: Mutex<LruCache<FileId, (Time, Time)>>,
    /// Lets listings pass without the mutex while nobody has set one.
    count: AtomicUsize,
}

impl Default for ChangeTimes {
    fn default() -> ChangeTimes {
        ChangeTimes { set: Mutex::new(LruCache::new(FILES_MAX)), count: AtomicUsize::new(0) }
    }
}

impl ChangeTimes {
    /// Shows `time` for the file that is now `attr`.
    pub(crate) fn set(&self, attr: &Attr, time: Time) {
        let mut set = self.set.lock();
        set.put(attr.id, (time, attr.ctime));
        self.count.store(set.len(), Ordering::Relaxed);
    }

    /// The attributes as clients are to see them.
    pub(crate) fn show(&self, mut attr: Attr) -> Attr {
        if self.count.load(Ordering::Relaxed) == 0 {
            return attr;
        }
        let mut set = self.set.lock();
        match set.get(&attr.id).copied() {
            Some((time, instead_of)) if instead_of == attr.ctime => attr.ctime = time,
            // It has changed since; attributes from before the time was set tell nothing.
            Some((_, instead_of)) if instead_of < attr.ctime => {
                set.pop(&attr.id);
                self.count.store(set.len(), Ordering::Relaxed);
            }
            _ => {}
        }
        attr
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::MemVolume;
    use testkit::ease::{put, stat};

    #[tokio::test]
    async fn a_time_is_shown_until_the_file_changes() {
        let volume = MemVolume::new();
        put(&*volume, "file", "content").await;
        let attr = stat(&*volume, "file").await;
        let at = |seconds| Time::from_parts(seconds, 0);
        let seen_at = |seconds| Attr { ctime: at(seconds), ..attr };
        let times = ChangeTimes::default();
        times.set(&seen_at(100), at(7));
        for _ in 0..2 {
            assert_eq!(times.show(seen_at(100)).ctime, at(7));
            assert_eq!(times.show(seen_at(99)).ctime, at(99));
        }
        assert_eq!(times.show(seen_at(101)).ctime, at(101));
        assert_eq!(times.count.load(Ordering::Relaxed), 0);
    }
}
