//! Threads that may wait.
//!
//! A call that must wait for a disk is handed to a thread that may, which costs more than most such calls take. Some front
//! ends read requests on threads of their own, of which each may wait for what it has read: then an origin needs no other.
//! That is a fact about a thread, not about a call: one that goes on elsewhere must not wait there.

use std::cell::Cell;

thread_local!(static MAY_WAIT: Cell<bool> = const { Cell::new(false) });

/// Does `work` on this thread, which may wait as long as a local disk takes, and is not one of the runtime's.
pub fn waiting_here<T>(work: impl FnOnce() -> T) -> T {
    /// Puts back what was, also where `work` panics.
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            MAY_WAIT.set(self.0);
        }
    }
    let _before = Before(MAY_WAIT.replace(true));
    work()
}

/// Whether this thread may wait for a local disk just now.
pub fn may_wait_here() -> bool {
    MAY_WAIT.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_inside_and_only_here() {
        assert!(!may_wait_here());
        waiting_here(|| {
            assert!(may_wait_here());
            assert!(!std::thread::spawn(may_wait_here).join().unwrap());
        });
        assert!(std::panic::catch_unwind(|| waiting_here(|| panic!("on purpose"))).is_err());
        assert!(!may_wait_here());
    }
}
