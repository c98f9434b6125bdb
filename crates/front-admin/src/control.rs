//! What the node behind this interface must be able to do.

use crate::Status;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// The node, as seen from here.
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// A look at everything; quick, asks nobody far away.
    async fn status(&self) -> Status;

    /// Starts draining and returns at once.
    fn stop(&self);

    /// Reads the configuration again and applies what can be applied while running.
    async fn reload(&self) -> Result<Reloaded, Refused>;

    /// Does something with one volume's cache.
    async fn cache(&self, action: CacheAction, request: CacheRequest) -> Result<Done, Refused>;

    /// Tells one mirror of a volume, or all of them, something.
    async fn mirror(&self, action: MirrorAction, request: MirrorRequest) -> Result<Done, Refused>;
}

/// What `farshare mirror` and `farshare retry` can ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MirrorAction {
    /// Nothing is sent until further notice; the log grows.
    Pause,
    Resume,
    /// What was given up is tried again.
    Retry,
    /// The mirror is made equal to the volume.
    Resync,
    /// The mirror is compared, and what differs is told.
    Verify,
}

/// Which mirror.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorRequest {
    pub volume: String,
    /// Empty: all mirrors of the volume.
    #[serde(default)]
    pub mirror: String,
    /// With resync and verify: contents are read and compared, too.
    #[serde(default)]
    pub contents: bool,
}

impl MirrorAction {
    /// The word in the URL and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            MirrorAction::Pause => "pause",
            MirrorAction::Resume => "resume",
            MirrorAction::Retry => "retry",
            MirrorAction::Resync => "resync",
            MirrorAction::Verify => "verify",
        }
    }

    /// All of them.
    pub const ALL: [MirrorAction; 5] = [
        MirrorAction::Pause,
        MirrorAction::Resume,
        MirrorAction::Retry,
        MirrorAction::Resync,
        MirrorAction::Verify,
    ];

    pub(crate) fn parse(word: &str) -> Option<MirrorAction> {
        MirrorAction::ALL.into_iter().find(|action| action.name() == word)
    }
}

/// What `farshare cache` can ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CacheAction {
    /// What is kept of the volume.
    Stat,
    /// Keep everything below a path from eviction.
    Pin,
    Unpin,
    /// Fetch everything below a path.
    Warm,
    /// Make room: drop the least recently used.
    Evict,
    /// Forget everything that is kept; nothing that is unsent is dropped.
    Flush,
}

/// On what.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheRequest {
    pub volume: String,
    /// Inside the volume, `/` between names; empty is its root.
    #[serde(default)]
    pub path: String,
    /// With evict: how much room to make, bytes.
    #[serde(default)]
    pub bytes: u64,
}

/// What came of it, one line for people.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Done {
    pub message: String,
}

/// What a reload did.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Reloaded {
    /// In force now.
    pub applied: Vec<String>,
    /// Differs in the file, in force after a restart.
    pub needs_restart: Vec<String>,
}

/// Why not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// No such volume, path, cache: 404.
    NotFound(String),
    /// The request or the configuration makes no sense: 400.
    Invalid(String),
    /// It was tried and failed: 500.
    Failed(String),
}

impl CacheAction {
    /// The word in the URL and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            CacheAction::Stat => "stat",
            CacheAction::Pin => "pin",
            CacheAction::Unpin => "unpin",
            CacheAction::Warm => "warm",
            CacheAction::Evict => "evict",
            CacheAction::Flush => "flush",
        }
    }

    /// All of them.
    pub const ALL: [CacheAction; 6] = [
        CacheAction::Stat,
        CacheAction::Pin,
        CacheAction::Unpin,
        CacheAction::Warm,
        CacheAction::Evict,
        CacheAction::Flush,
    ];

    pub(crate) fn parse(word: &str) -> Option<CacheAction> {
        CacheAction::ALL.into_iter().find(|action| action.name() == word)
    }
}
