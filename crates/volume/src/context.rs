//! The context of a call: who asks, until when, how urgent. An argument, never a global.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// On whose behalf.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// farshare itself: prefetch, eviction, checks. And who calls from this machine, whom its kernel has judged.
    System,
    /// A user who logged in at a front end.
    User(Arc<str>),
    /// Another site, for one of its users.
    Site(Arc<str>),
}

/// What waits for the answer. A far origin sends what people wait for ahead of what machines want.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Priority {
    /// Nobody waits yet: prefetch, warm-up, scrub.
    Background,
    /// Somebody waits for much data.
    Bulk,
    /// Somebody waits for this one answer.
    Interactive,
}

/// The context of one call.
#[derive(Clone, Debug)]
pub struct Cx {
    pub who: Who,
    pub priority: Priority,
    /// When the caller stops waiting; a call answers `TimedOut` by then.
    pub deadline: Instant,
}

impl Cx {
    /// Time a call gets when its caller names none.
    pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(30);

    pub fn new(who: Who, priority: Priority) -> Cx {
        Cx { who, priority, deadline: Instant::now() + Cx::DEFAULT_PATIENCE }
    }

    /// For farshare's own work.
    pub fn system(priority: Priority) -> Cx {
        Cx::new(Who::System, priority)
    }

    /// The same caller with another urgency.
    pub fn at(&self, priority: Priority) -> Cx {
        Cx { priority, ..self.clone() }
    }

    /// The same call with `patience` from now.
    pub fn within(&self, patience: Duration) -> Cx {
        Cx { deadline: Instant::now() + patience, ..self.clone() }
    }
}
