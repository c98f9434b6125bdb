//! The greeting.

/// Lowest protocol version spoken.
pub const VERSION_MIN: u16 = 1;
/// Highest protocol version spoken.
pub const VERSION_MAX: u16 = 1;
