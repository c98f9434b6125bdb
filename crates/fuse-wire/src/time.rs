//! A point in time, as inodes have it.

/// A point in time since the epoch. Seconds before it are negative, as in the kernel's `timespec64`; the
/// wire's unsigned field holds the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// Nanoseconds after them, less than 10^9.
    pub nanoseconds: u32,
}
