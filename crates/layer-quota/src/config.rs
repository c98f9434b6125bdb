//! What an operator sets, and the limits that are fixed here.

use std::path::PathBuf;
use std::time::Duration;

/// Directories that a count looks into at a time.
pub const COUNTING_AT_ONCE: usize = 4;
/// Times that a count asks for something before it goes on without it, and the pause between.
pub const COUNTING_TRIES: usize = 3;
pub const COUNTING_PAUSE: Duration = Duration::from_secs(1);
/// Times that a change by name is begun anew because the name stands for another object by then.
pub const TURNS_MAX: usize = 16;
/// How long it is looked what came of a change whose caller has gone, or was told that it takes too long; the file is
/// locked so long. After that nobody knows, and all is counted anew.
pub const SETTLING_PATIENCE: Duration = Duration::from_secs(60);
/// Directories that are known to have been made or moved here lately, and how long that is.
pub const LATELY_MAX: usize = 4096;
pub const LATELY: Duration = Duration::from_secs(10);
/// Largest file of limits that is read, bytes: 100,000 users have less.
pub const LIMITS_MAX_BYTES: u64 = 64 << 20;

/// How quotas are kept.
#[derive(Clone, Debug)]
pub struct QuotaConfig {
    /// The file of rules and limits (`docs/formats/quota-limits.md`), made when something is set, in a directory that is
    /// there.
    pub limits: PathBuf,
    /// How long after a count all is counted anew at the earliest, when others changed the tree. Default 10 min.
    pub recount_after: Duration,
    /// How often all is counted anew where it is not told what others change. Default 1 day.
    pub recount_every: Duration,
}

impl QuotaConfig {
    /// The defaults, with limits in this file.
    pub fn new(limits: impl Into<PathBuf>) -> QuotaConfig {
        QuotaConfig {
            limits: limits.into(),
            recount_after: Duration::from_secs(600),
            recount_every: Duration::from_secs(24 * 3600),
        }
    }
}
