//! What is known of a mirror, for those who look.

use crate::sender::compare::Tally;
use crate::sender::progress::{Ledger, Positions, Progress};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;
use volume::{Time, VPath};

/// What a mirror is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Connecting,
    /// It is not reached.
    Away,
    /// There is no room at it.
    Full,
    /// Something here is broken: its log or what is remembered of it.
    Failed,
    Paused,
    /// Trees are compared and made equal: states may be seen that never were here.
    CatchingUp,
    /// Each state that it shows was one here.
    Live,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Connecting => "connecting",
            State::Away => "away",
            State::Full => "full",
            State::Failed => "failed",
            State::Paused => "paused",
            State::CatchingUp => "catching up",
            State::Live => "live",
        }
    }
}

/// A look at a mirror.
#[derive(Clone, Debug)]
pub struct MirrorStatus {
    pub name: String,
    pub to: String,
    pub state: State,
    /// Why it is away, full or failed.
    pub error: Option<String>,
    /// Changes that it lacks.
    pub behind: u64,
    /// When the oldest of them was made.
    pub behind_since: Option<Time>,
    /// Steps that were done there since the start.
    pub sent: u64,
    /// Names that are given up until somebody asks for them, with their errors.
    pub parked: Vec<(String, String)>,
    /// What it cannot hold.
    pub lacks: Vec<&'static str>,
    /// How often it was found changed by somebody else.
    pub diverged: u64,
    /// The tree that is compared, and how far that is.
    pub comparing: Option<Comparing>,
}

#[derive(Clone, Debug)]
pub struct Comparing {
    pub below: String,
    pub looked_at: u64,
    pub sent: u64,
    pub bytes: u64,
    pub removed: u64,
    pub seconds: u64,
}

/// What a sender tells.
pub struct Shared {
    name: String,
    to: String,
    inner: Mutex<Inner>,
    sent: AtomicU64,
    diverged: AtomicU64,
    jitter: AtomicU32,
}

struct Inner {
    state: State,
    error: Option<String>,
    positions: Positions,
    oldest: Option<Time>,
    ledger: Ledger,
    lacks: Vec<&'static str>,
    comparing: Option<(VPath, Instant, Arc<Tally>)>,
}

impl Shared {
    pub fn new(name: &str, to: &str, progress: &Progress) -> Shared {
        let inner = Inner {
            state: State::Connecting,
            error: None,
            positions: progress.positions(),
            oldest: None,
            ledger: progress.ledger().clone(),
            lacks: Vec::new(),
            comparing: None,
        };
        let (name, to, inner) = (name.to_owned(), to.to_owned(), Mutex::new(inner));
        let jitter = AtomicU32::new(std::process::id());
        Shared { name, to, inner, sent: AtomicU64::new(0), diverged: AtomicU64::new(0), jitter }
    }

    pub fn set(&self, state: State) {
        let mut inner = self.inner.lock();
        inner.state = state;
        inner.comparing = None;
    }

    pub fn set_error(&self, state: State, error: String) {
        self.set(state);
        self.inner.lock().error = Some(error);
    }

    pub fn comparing(&self, below: &VPath, tally: Arc<Tally>) {
        let mut inner = self.inner.lock();
        inner.state = State::CatchingUp;
        inner.error = None;
        inner.comparing = Some((below.clone(), Instant::now(), tally));
    }

    pub fn note(&self, state: State, progress: &Progress, oldest: Option<Time>) {
        let mut inner = self.inner.lock();
        inner.state = state;
        inner.error = None;
        inner.comparing = None;
        inner.positions = progress.positions();
        inner.oldest = oldest;
        if inner.ledger != *progress.ledger() {
            inner.ledger = progress.ledger().clone();
        }
    }

    pub fn lacks(&self, lacks: Vec<&'static str>) {
        self.inner.lock().lacks = lacks;
    }

    pub fn sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub fn diverged(&self) {
        self.diverged.fetch_add(1, Ordering::Relaxed);
    }

    /// Another number each time, for pauses.
    pub fn jitter(&self) -> u32 {
        let last = self.jitter.load(Ordering::Relaxed);
        let next = last.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.jitter.store(next, Ordering::Relaxed);
        next >> 8
    }

    /// The first record that it still needs.
    pub fn needs(&self) -> u64 {
        self.inner.lock().positions.read
    }

    /// Whether it has all below `settled`, or cannot get it now.
    pub fn is_done_with(&self, settled: u64) -> bool {
        let inner = self.inner.lock();
        match inner.state {
            State::Live | State::Connecting | State::CatchingUp => inner.positions.confirmed >= settled,
            State::Away | State::Full | State::Failed | State::Paused => true,
        }
    }

    pub fn status(&self, settled: u64) -> MirrorStatus {
        let inner = self.inner.lock();
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let behind = settled.saturating_sub(inner.positions.confirmed);
        let parked = inner.ledger.parked.iter();
        MirrorStatus {
            name: self.name.clone(),
            to: self.to.clone(),
            state: inner.state,
            error: inner.error.clone(),
            behind,
            behind_since: inner.oldest.filter(|_| behind > 0),
            sent: count(&self.sent),
            parked: parked.map(|(path, parked)| (path.clone(), parked.error.clone())).collect(),
            lacks: inner.lacks.clone(),
            diverged: count(&self.diverged),
            comparing: inner.comparing.as_ref().map(|(below, since, tally)| Comparing {
                below: below.to_string(),
                looked_at: count(&tally.looked_at),
                sent: count(&tally.sent),
                bytes: count(&tally.bytes),
                removed: count(&tally.removed),
                seconds: since.elapsed().as_secs(),
            }),
        }
    }
}
