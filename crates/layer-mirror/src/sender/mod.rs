//! One mirror: reads the log, sends, remembers how far it is.
//!
//! ```text
//! log -> Interpreter -> steps in order -> on their way -> confirmed
//!            |                                ^
//!            +-> files in the making ---------+  appear when they are whole
//! ```
//!
//! States: *away* (the mirror is not reached; asked again with growing pauses), *catching up* (trees are compared and made equal, `catch_up.rs`), *live*,
//! *full* (no room there), *paused*. Whatever happens, the positions on disk (`progress.rs`) say
//! where to go on: what was begun and not confirmed is asked of the mirror by names (`resume`).
//!
//! An error that concerns one name parks that name: nothing is done to it until somebody asks for it, then it is compared. Where the
//! mirror is not as it was taken to be, somebody else writes there: it catches up at once.

mod catch_up;
pub mod compare;
pub mod depth;
pub mod interpret;
pub mod making;
pub mod progress;
pub mod remote;
mod session;
pub mod step;
mod trouble;

use crate::log::Log;
use crate::mirrors::Reach;
use crate::status::{Shared, State};
use depth::Depth;
use futures_util::future::FutureExt;
use futures_util::stream::StreamExt;
use progress::{Parked, Positions, Progress};
use remote::Remote;
use session::Session;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use step::{Doing, Step};
use store::StoreError;
use tokio::sync::{RwLock, mpsc, watch};
use trouble::Trouble;
use volume::{Change, Error, ErrorKind, SetAttr, VPath, Volume};

type Result<T, E = Error> = std::result::Result<T, E>;

/// Steps that wait to be begun.
const STEPS_MAX: usize = 1024;
/// Steps that are on their way.
const FLYING_MAX: usize = 256;
/// Files that wait to appear, besides those that are still being written here.
const MAKINGS_MAX: usize = 64;
/// Content in memory, bytes.
const BUDGET_BYTES: usize = 32 << 20;
/// Records that are read in one go, bytes.
const FEED_BYTES: usize = 4 << 20;
/// Pauses before a mirror that is away is asked again: the first, and the longest.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// So many pauses are of the first length.
const SHORT_PAUSES: u32 = 30;
/// How long a mirror that was up to date waits after news, so that what belongs together is seen together.
const GATHER: Duration = Duration::from_millis(3);
/// How long nothing must happen before directories get their times.
const QUIET: Duration = Duration::from_millis(100);
/// Names that are parked; with more the whole tree is compared later.
const PARKED_MAX: usize = 1000;

/// What somebody asks of a mirror.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    Pause,
    Resume,
    /// Parked names are tried again.
    Retry,
    /// The whole tree is compared, with contents or without.
    Resync {
        contents: bool,
    },
}

pub struct Sender {
    pub name: String,
    pub here: Arc<dyn Volume>,
    pub log: Arc<Log>,
    /// Held by who changes something; alone, nobody does.
    pub gate: Arc<RwLock<()>>,
    /// The way to it, by which each session goes anew.
    pub way: Arc<dyn Reach>,
    pub remote: Arc<Remote>,
    /// It was reached just now.
    pub is_fresh: bool,
    pub progress: Progress,
    pub shared: Arc<Shared>,
    pub orders: mpsc::UnboundedReceiver<Order>,
    pub stop: watch::Receiver<bool>,
}

/// Why a session with the mirror has ended.
enum Ended {
    /// It goes on later.
    Later(Error),
    /// What is on our own disk.
    Ours(String),
    /// The log cannot be read where the mirror is.
    Damaged(String),
    Stopped,
    /// Begin anew at once: an order changes what is to be done.
    Anew,
}

impl From<Error> for Ended {
    fn from(error: Error) -> Ended {
        Ended::Later(error)
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Ended {
        Ended::Ours(format!("what is remembered of the mirror: {error}"))
    }
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Ended {
        match error.is_damaged() {
            true => Ended::Damaged(error.to_string()),
            false => Ended::Ours(error.to_string()),
        }
    }
}

impl Sender {
    /// Serves the mirror until it is told to stop.
    pub async fn run(mut self) {
        let mut pauses = Pauses::default();
        loop {
            if self.progress.ledger().paused {
                self.shared.set(State::Paused);
                match self.wait(None).await {
                    true => continue,
                    false => return,
                }
            }
            let began = tokio::time::Instant::now();
            let ended = self.session().await;
            match ended {
                Ok(never) => match never {},
                Err(Ended::Stopped) => return,
                Err(Ended::Anew) => continue,
                Err(Ended::Later(error)) => {
                    let full = matches!(error.kind, ErrorKind::NoSpace | ErrorKind::QuotaExceeded);
                    tracing::warn!(mirror = self.name, %error, "the mirror waits");
                    self.shared.set_error(if full { State::Full } else { State::Away }, error.to_string());
                }
                Err(Ended::Damaged(why)) => match self.overtake(Depth::Contents) {
                    Ok(()) => {
                        tracing::error!(
                            mirror = self.name,
                            why,
                            "the log is damaged: the whole tree is compared"
                        );
                        continue;
                    }
                    Err(cause) => self.shared.set_error(State::Failed, format!("{why}; {cause}")),
                },
                Err(Ended::Ours(why)) => {
                    tracing::error!(mirror = self.name, why, "the mirror waits");
                    self.shared.set_error(State::Failed, why);
                }
            }
            if began.elapsed() > PAUSE_MAX {
                pauses = Pauses::default();
            }
            let pause = pauses.next(self.shared.jitter());
            if !self.wait(Some(pause)).await {
                return;
            }
        }
    }

    /// Waits for an order, or so long. `false` when it is told to stop.
    async fn wait(&mut self, pause: Option<Duration>) -> bool {
        let long = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = long => true,
            order = self.orders.recv() => match order {
                Some(order) => match self.obey(order) {
                    Ok(()) => true,
                    Err(why) => {
                        tracing::error!(mirror = self.name, %why, "an order was not written down");
                        true
                    }
                },
                None => false,
            },
            () = stopped(&mut self.stop) => false,
        }
    }

    fn obey(&mut self, order: Order) -> io::Result<()> {
        self.progress.change(|ledger| match order {
            Order::Pause => ledger.paused = true,
            Order::Resume => ledger.paused = false,
            Order::Retry => {
                let parked: Vec<VPath> = ledger.parked_paths().collect();
                ledger.parked.clear();
                parked.iter().for_each(|path| ledger.add(path, Depth::Contents));
            }
            Order::Resync { contents: true } => ledger.add(&VPath::root(), Depth::Contents),
            Order::Resync { contents: false } => ledger.add(&VPath::root(), Depth::Metadata),
        })
    }

    async fn session(&mut self) -> Result<std::convert::Infallible, Ended> {
        self.shared.set(State::Connecting);
        if !std::mem::take(&mut self.is_fresh) {
            self.remote.renew(self.way.reach().await?);
        }
        self.remote.prepare().await?;
        self.overtaken()?;
        if self.progress.ledger().catching_up || !self.progress.ledger().compare.is_empty() {
            self.catch_up().await?;
        }
        let mut session = self.resume().await?;
        loop {
            self.interpret(&mut session)?;
            while self.issue(&mut session).await? {}
            self.note(&mut session)?;
            if session.lost && session.flying.is_empty() {
                return Err(Ended::Anew);
            }
            let idle = session.is_idle();
            tokio::select! {
                biased;
                () = stopped(&mut self.stop) => return Err(Ended::Stopped),
                Some((step, done)) = session.flying.next() => {
                    self.landed(&mut session, step, done).await?;
                    while let Some(Some((step, done))) = session.flying.next().now_or_never() {
                        self.landed(&mut session, step, done).await?;
                    }
                }
                () = session.interpreter.budget.clone().freed(), if !idle => {}
                order = self.orders.recv() => {
                    let order = order.ok_or(Ended::Stopped)?;
                    self.obey(order)?;
                    return Err(Ended::Anew);
                }
                changed = session.settled.changed(), if session.wants_more() => {
                    changed.map_err(|_| Ended::Stopped)?;
                    if idle {
                        tokio::time::sleep(GATHER).await;
                    }
                }
                () = tokio::time::sleep(QUIET), if idle && !session.dirs.is_empty() => {
                    self.dress_dirs(&mut session).await?;
                }
            }
        }
    }

    /// The log was cut short of what the mirror has: all is compared, and what is there of the log comes behind.
    fn overtaken(&mut self) -> Result<(), Ended> {
        let positions = self.progress.positions();
        let first = self.log.first();
        if positions.read >= first {
            return Ok(());
        }
        tracing::warn!(
            mirror = self.name,
            "the log has given up what the mirror lacks: the whole tree is compared"
        );
        Ok(self.overtake(Depth::Metadata)?)
    }

    /// What the log holds so far is not read: the whole tree is compared instead.
    fn overtake(&mut self, depth: Depth) -> io::Result<()> {
        self.progress.change(|ledger| ledger.add(&VPath::root(), depth))?;
        let next = self.log.settled();
        self.progress.set(Positions { read: next, confirmed: next, issued: next })
    }

    /// Goes on where the last session ended: what it had begun is done or not, as the names at the mirror tell.
    async fn resume(&mut self) -> Result<Session, Ended> {
        let positions = self.progress.positions();
        let feed = self.log.feed(positions.read).ok_or_else(|| Ended::Ours("the log was cut".into()))?;
        let mut session = Session::new(&self.log, feed);
        // What has changed nothing is confirmed without having been begun.
        let last = positions.issued.max(positions.confirmed.saturating_sub(1));
        while session.feed.next() <= last && !session.feed.is_empty() {
            session.records.extend(session.feed.take(FEED_BYTES)?);
        }
        // What is confirmed counts for files in the making alone. Whether a file was to appear by its rename was decided when
        // the steps were begun: never across `confirmed`, nor across `issued`.
        while session.next_number() < positions.confirmed && !session.records.is_empty() {
            session.interpret_one(positions.confirmed - 1);
            session.steps.clear();
        }
        session.leave(|_| false);
        while session.next_number() <= positions.issued && !session.records.is_empty() {
            session.interpret_one(positions.issued);
        }
        let mut last_done = None;
        while let Some(step) = session.steps.front()
            && step.mark.number <= positions.issued
        {
            // What may be done twice is done again, if nothing behind it was done.
            let telling = session.steps.iter().take_while(|step| step.mark.number <= positions.issued);
            let Some(telling) = telling.into_iter().position(Step::is_telling) else { break };
            if !session.steps[telling].is_done(&self.remote).await? {
                break;
            }
            last_done = session.steps.drain(..=telling).next_back();
        }
        if let Some(step) = last_done {
            // It is there; whether it was dressed is not known.
            match step.dress(&self.remote).await {
                Err(e) if Trouble::of(e.kind) == Trouble::OfAll => return Err(e.into()),
                _ => {}
            }
        }
        session.reopen();
        // Before what told it goes: nothing is on its way now.
        let now = session.positions();
        self.progress.set(Positions { issued: now.confirmed.saturating_sub(1), ..now })?;
        // Files that a comparison was sending stay: they are gone on with.
        self.sweep(|name| !name.starts_with(compare::TEMP)).await?;
        Ok(session)
    }

    /// Removes what nobody will finish.
    async fn sweep(&self, is_left: impl Fn(&str) -> bool) -> Result<(), Ended> {
        let dir = remote::private_dir();
        let listed = self.remote.volume().list(&self.remote.cx(), &dir, Default::default()).await?;
        for entry in listed.entries.iter().filter(|entry| is_left(&entry.name)) {
            let remove = Change::Remove { path: remote::private(&entry.name), dir: false, expect: None };
            self.remote.volume().apply(&self.remote.cx(), &remove).await?;
        }
        Ok(())
    }

    /// Whether there is a record to interpret.
    fn read(&mut self, session: &mut Session) -> Result<bool, Ended> {
        if session.records.is_empty() {
            session.records.extend(session.feed.take(FEED_BYTES)?);
        }
        Ok(!session.records.is_empty())
    }

    fn interpret(&mut self, session: &mut Session) -> Result<(), Ended> {
        while session.wants_more() && self.read(session)? {
            session.interpret_one(u64::MAX);
        }
        let budget = session.budget();
        session.interpreter.makings_mut().for_each(|making| making.begin(&self.remote, &budget));
        for step in &mut session.steps {
            if let Doing::Publish { making, .. } = &mut step.doing {
                making.begin(&self.remote, &budget);
            }
        }
        Ok(())
    }

    /// Begins what can be begun. Whether something was done at once, so that more may be possible.
    async fn issue(&mut self, session: &mut Session) -> Result<bool, Ended> {
        let mut landed = false;
        let mut begun = Vec::new();
        while let Some(step) = session.steps.front()
            && !session.lost
        {
            let is_passed = !self.progress.ledger().parked.is_empty() && self.passes_over(step)?;
            // What has failed before it could be seen goes alone: it was never on its way.
            let has_failed = !is_passed && step.has_failed();
            if !is_passed
                && (!session.may_begin(step, &self.remote, !begun.is_empty())
                    || (has_failed && !begun.is_empty()))
            {
                break;
            }
            let Some(mut step) = session.steps.pop_front() else { break };
            if is_passed {
                step.give_up();
                continue;
            }
            if let Some(failure) = step.failure() {
                self.failed(session, &step, failure)?;
                return Ok(true);
            }
            session.takes_off(&step);
            session.flying_slow = step.is_slow(&self.remote).then_some(step.mark.number);
            begun.push(step);
            if session.flying_slow.is_some() || begun.last().is_some_and(Step::is_alone) {
                break;
            }
        }
        let Some(last) = begun.last() else { return Ok(false) };
        // Together: what is on its way never concerns a name twice, also by what is on disk.
        let issued = self.progress.positions().issued.max(last.mark.number);
        self.progress.set(Positions { issued, ..session.positions() })?;
        for step in begun {
            if let Doing::CatchUp { below, depth } = &step.doing {
                self.progress.change(|ledger| ledger.add(below, *depth))?;
                session.lost = true;
                continue;
            }
            let mut work = step.run(self.here.clone(), self.remote.clone());
            // Its first request is on its way before that of the next.
            match futures_util::poll!(&mut work) {
                std::task::Poll::Ready((step, done)) => {
                    self.landed(session, step, done).await?;
                    landed = true;
                }
                std::task::Poll::Pending => session.flying.push(work),
            }
        }
        Ok(landed)
    }

    /// Whether nothing is done, as a name is parked; a new name of what is parked is parked, too.
    fn passes_over(&mut self, step: &Step) -> Result<bool, Ended> {
        let ledger = self.progress.ledger();
        let concerned = step.concerned();
        let parked = concerned.iter().any(|path| ledger.is_parked(path));
        if let Doing::Change { change: Change::Rename { from, to, .. }, .. } = &step.doing {
            let (from, to) = (from.clone(), to.clone());
            self.progress.change(|ledger| ledger.renamed(&from, &to))?;
        }
        // Neither is at the mirror what it is here.
        for path in concerned.iter().filter(|_| parked) {
            if !self.progress.ledger().is_parked(path) {
                let error = Error::new(ErrorKind::Stale, "change", "it depends on what was given up");
                self.park(path, &error)?;
            }
        }
        Ok(parked)
    }

    async fn landed(&mut self, session: &mut Session, step: Step, done: Result<()>) -> Result<(), Ended> {
        session.lands(&step);
        match done {
            Ok(()) => {
                self.shared.sent();
                Ok(())
            }
            Err(error) => self.failed(session, &step, error),
        }
    }

    fn failed(&mut self, session: &mut Session, step: &Step, error: Error) -> Result<(), Ended> {
        match Trouble::of(error.kind) {
            Trouble::OfAll => return Err(Ended::Later(error)),
            Trouble::Diverged => {
                tracing::warn!(mirror = self.name, %error, "the mirror is not as it was left: it is compared");
                self.shared.diverged();
                let concerned = step.concerned();
                self.progress.change(|ledger| {
                    concerned.iter().for_each(|path| ledger.add(path, Depth::Contents));
                })?;
                session.lost = true;
            }
            Trouble::OfOne => {
                for path in step.concerned() {
                    session.lost |= !self.park(&path, &error)?;
                }
            }
        }
        Ok(())
    }

    /// Whether there was room for it; else the whole tree is to be compared.
    fn park(&mut self, path: &VPath, error: &Error) -> Result<bool, Ended> {
        tracing::error!(mirror = self.name, %path, %error, "given up until `farshare retry`");
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let since = since.map_or(0, |since| since.as_secs());
        let parked = Parked { error: error.to_string(), since };
        let has_room = self.progress.change(|ledger| {
            let has_room = ledger.parked.len() < PARKED_MAX;
            if has_room {
                ledger.parked.insert(path.as_str().to_owned(), parked);
            } else {
                ledger.add(&VPath::root(), Depth::Metadata);
            }
            has_room
        })?;
        Ok(has_room)
    }

    /// Writes down how far it is, and tells.
    fn note(&mut self, session: &mut Session) -> Result<(), Ended> {
        let issued = self.progress.positions().issued;
        let positions = Positions { issued, ..session.positions() };
        self.progress.set(positions)?;
        self.shared.note(State::Live, &self.progress, session.oldest());
        self.shared.lacks(self.remote.lacks());
        Ok(())
    }

    /// Directories get the times that they have here, once nothing happens.
    async fn dress_dirs(&mut self, session: &mut Session) -> Result<(), Ended> {
        let dirs = std::mem::take(&mut session.dirs);
        let (here, remote) = (&self.here, &self.remote);
        let dress = async |dir: &VPath| {
            let Ok(attr) = here.stat(&remote.cx(), dir).await else { return Ok(()) };
            let set = SetAttr { mtime: Some(attr.mtime), atime: Some(attr.atime), ..SetAttr::default() };
            match remote.set_attr(dir, set).await {
                Err(e) if Trouble::of(e.kind) != Trouble::OfAll => Ok(()),
                dressed => dressed,
            }
        };
        let mut dressing = futures_util::stream::iter(dirs.iter().map(dress)).buffered(64);
        while let Some(dressed) = dressing.next().await {
            dressed?;
        }
        Ok(())
    }
}

/// Pauses between attempts: short ones for who is back soon, then each twice as long as the one before, up to a limit.
#[derive(Default)]
pub struct Pauses(u32);

impl Pauses {
    /// Mirrors that went away together do not all come back at the same moment: `jitter` is another number for each.
    pub fn next(&mut self, jitter: u32) -> Duration {
        let doubled = self.0.saturating_sub(SHORT_PAUSES).min(16);
        self.0 = self.0.saturating_add(1);
        (PAUSE_MIN * (1 << doubled)).min(PAUSE_MAX) + Duration::from_millis(u64::from(jitter) % 250)
    }
}

/// Returns when the sender is to stop, or nobody is left to tell it.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}
