//! Counters of calls, so that a test can say "one open, no reads".

use std::sync::atomic::{AtomicU64, Ordering};

/// The operations of `Volume` and `File`, one for each method that may reach an origin.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Op {
    Stat,
    List,
    Open,
    Reopen,
    Apply,
    ReadLink,
    Named,
    ListNamed,
    SyncDir,
    Space,
    QuotaRules,
    Quotas,
    SetQuotas,
    Watch,
    Attr,
    SetAttr,
    Read,
    Write,
    Ranges,
    Zero,
    Copy,
    Allocate,
    Sync,
    Close,
}

impl Op {
    pub const ALL: [Op; 24] = [
        Op::Stat,
        Op::List,
        Op::Open,
        Op::Reopen,
        Op::Apply,
        Op::ReadLink,
        Op::Named,
        Op::ListNamed,
        Op::SyncDir,
        Op::Space,
        Op::QuotaRules,
        Op::Quotas,
        Op::SetQuotas,
        Op::Watch,
        Op::Attr,
        Op::SetAttr,
        Op::Read,
        Op::Write,
        Op::Ranges,
        Op::Zero,
        Op::Copy,
        Op::Allocate,
        Op::Sync,
        Op::Close,
    ];

    /// The word that errors carry as their `op`.
    pub fn name(self) -> &'static str {
        match self {
            Op::Stat => "stat",
            Op::List => "list",
            Op::Open => "open",
            Op::Reopen => "reopen",
            Op::Apply => "apply",
            Op::ReadLink => "read_link",
            Op::Named => "named",
            Op::ListNamed => "list_named",
            Op::SyncDir => "sync_dir",
            Op::Space => "space",
            Op::QuotaRules => "quota_rules",
            Op::Quotas => "quotas",
            Op::SetQuotas => "set_quotas",
            Op::Watch => "watch",
            Op::Attr => "attr",
            Op::SetAttr => "set_attr",
            Op::Read => "read",
            Op::Write => "write",
            Op::Ranges => "ranges",
            Op::Zero => "zero",
            Op::Copy => "copy",
            Op::Allocate => "allocate",
            Op::Sync => "sync",
            Op::Close => "close",
        }
    }
}

/// How often each operation was called, and how many bytes passed.
#[derive(Default)]
pub struct Counts {
    calls: [AtomicU64; Op::ALL.len()],
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
}

impl Counts {
    /// Calls of `op` since the start or the last [`Counts::reset`], failed ones among them.
    pub fn of(&self, op: Op) -> u64 {
        self.calls[op as usize].load(Ordering::Relaxed)
    }

    /// Calls of any operation.
    pub fn total(&self) -> u64 {
        Op::ALL.iter().map(|&op| self.of(op)).sum()
    }

    /// Bytes that reads returned.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Bytes that writes were given.
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written.load(Ordering::Relaxed)
    }

    pub fn reset(&self) {
        for counter in self.calls.iter().chain([&self.bytes_read, &self.bytes_written]) {
            counter.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn called(&self, op: Op) {
        self.calls[op as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, bytes: usize) {
        self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn written(&self, bytes: usize) {
        self.bytes_written.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// The operations that were called, for messages of failed assertions.
impl std::fmt::Debug for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let called = Op::ALL.iter().filter(|&&op| self.of(op) > 0);
        f.debug_map().entries(called.map(|&op| (op, self.of(op)))).finish()
    }
}
