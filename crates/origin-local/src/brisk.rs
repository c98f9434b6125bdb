//! Whether a write, or another change of a few blocks, may be done on the spot.
//!
//! Into memory, 4 KiB take about 2 us and the hand-over to another thread ten times that. But a write can
//! also meet too much dirty memory or a full journal, wait for the disk, and hold up every task of its thread.
//! No flag tells before (ext4 refuses `RWF_NOWAIT`), so: one write at a time is done on the spot, and after
//! one that was slow, none for a while. At worst one thread in [`PENANCE`] is held up by one write.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// A write that took longer met something other than memory.
const SLOW: Duration = Duration::from_millis(3);
/// After a slow write, all go to blocking threads for so long.
const PENANCE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct Brisk {
    /// Held by the one write on the spot. Before this time, there is none.
    not_before: Mutex<Option<Instant>>,
}

impl Brisk {
    /// Does `work` on the spot, or not at all.
    pub(crate) fn attempt<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let mut not_before = self.not_before.try_lock()?;
        let start = Instant::now();
        if not_before.is_some_and(|time| start < time) {
            return None;
        }
        let result = work();
        let end = Instant::now();
        *not_before = (end - start > SLOW).then(|| end + PENANCE);
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_none_after_a_slow_one() {
        let brisk = Brisk::default();
        let inner = brisk.attempt(|| brisk.attempt(|| ()));
        assert_eq!(inner, Some(None));
        assert_eq!(brisk.attempt(|| 1), Some(1));
        brisk.attempt(|| std::thread::sleep(SLOW * 2));
        assert_eq!(brisk.attempt(|| 1), None);
    }
}
