//! All mirrors of one volume: the log they share, who sends to each, and the chores of every second.
//!
//! Every second: files that stay open are cut, so that what is appended to a log arrives; the log is brought to the medium; what all
//! mirrors have is given up. When the log has grown over its limit, what a mirror still lacks is given up, too: that one is compared whole
//! when it comes back, and says so.

use crate::core::{Core, blocking};
use crate::log::Log;
use crate::record::{Record, Stamp};
use crate::recover;
use crate::sender::compare::Comparison;
use crate::sender::depth::Depth;
use crate::sender::progress::{Ledger, Positions, Progress};
use crate::sender::remote::Remote;
use crate::sender::{Order, Pauses, Sender};
use crate::status::{MirrorStatus, Shared, State};
use crate::volume::Recorded;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use store::{Ended, StoreError};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use volume::{Author, Cx, Error, ErrorKind, Notice, Priority, Result, VPath, Volume, Watch};

/// How often the chores are done.
const CHORES_EVERY: Duration = Duration::from_secs(1);
/// A file that is open is cut when nothing has come for so long, or after so long in any case.
const CUT_AFTER_QUIET: Duration = Duration::from_secs(1);
const CUT_AFTER: Duration = Duration::from_secs(10);
/// How long one waits for a change of it that is under way.
const CUT_PATIENCE: Duration = Duration::from_millis(500);

/// How long a verification waits for what is on its way.
const ARRIVAL_PATIENCE: Duration = Duration::from_secs(60);

/// How a volume is mirrored.
#[derive(Clone, Debug)]
pub struct MirrorConfig {
    /// Where the log and what is remembered of each mirror are.
    pub dir: PathBuf,
    /// Longest log, bytes.
    pub log_max_bytes: u64,
}

/// A mirror to be.
pub struct Target {
    /// Its name here: letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// Where it is, for those who look.
    pub to: String,
    pub way: Arc<dyn Reach>,
    /// Whether its calls take effect in the order in which they are first polled.
    pub in_order: bool,
}

/// The way to a mirror.
#[async_trait]
pub trait Reach: Send + Sync + 'static {
    /// One attempt. What the volume can do is known when it succeeds. It is asked again after anything has gone wrong. A volume whose
    /// calls take effect in order never goes by another connection by itself: what was lost with one would be overtaken.
    async fn reach(&self) -> Result<Arc<dyn Volume>>;
}

/// A volume that needs no way.
pub struct Here(pub Arc<dyn Volume>);

#[async_trait]
impl Reach for Here {
    async fn reach(&self) -> Result<Arc<dyn Volume>> {
        Ok(self.0.clone())
    }
}

pub struct Mirrors {
    core: Arc<Core>,
    config: MirrorConfig,
    senders: Mutex<BTreeMap<String, Running>>,
    stop: watch::Sender<bool>,
    chores: Mutex<JoinSet<()>>,
}

struct Running {
    shared: Arc<Shared>,
    /// Once it was reached.
    remote: Arc<OnceLock<Arc<Remote>>>,
    orders: mpsc::UnboundedSender<Order>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Mirrors {
    /// Opens the log of `inner` and begins to send to `targets`. The volume that is returned is the one to be used from now on.
    pub async fn open(
        inner: Arc<dyn Volume>,
        config: MirrorConfig,
        targets: Vec<Target>,
    ) -> Result<(Arc<dyn Volume>, Arc<Mirrors>)> {
        let dir = config.dir.join("log");
        let opened = blocking(move || Log::open(&dir)).await.map_err(failed)?;
        let ended = opened.ended;
        let core = Arc::new(Core::new(inner, Arc::new(opened.log)));
        recover::settle(&core, opened.open).await?;
        core.log.begin(Record::Restart).map_err(failed)?;
        if ended == Ended::WithTheMachine {
            tracing::warn!(
                "the machine went down, or the log is damaged at its end: mirrors are compared, as the last changes may not \
                 be in the log"
            );
        }
        let (stop, stopped) = watch::channel(false);
        let (senders, chores) = Default::default();
        let mirrors = Arc::new(Mirrors { core: core.clone(), config, senders, stop, chores });
        for target in targets {
            mirrors.add(target)?;
        }
        let mut chores = JoinSet::new();
        chores.spawn(chores_until(mirrors.clone(), stopped.clone()));
        if core.inner.caps().watch {
            let watch = core.inner.watch(&Cx::system(Priority::Interactive)).await?;
            chores.spawn(note_others_until(core.clone(), watch, stopped));
        }
        *mirrors.chores.lock() = chores;
        Ok((Arc::new(Recorded::new(core)), mirrors))
    }

    /// Begins to send to `target`: from where it was, or after a comparison of the whole tree.
    pub fn add(&self, target: Target) -> Result<()> {
        let progress = self.progress(&target.name).map_err(|cause| failed_io(&target.name, cause))?;
        let shared = Arc::new(Shared::new(&target.name, &target.to, &progress));
        let (orders, taken) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let (here, log, gate) = (self.core.inner.clone(), self.core.log.clone(), self.core.gate.clone());
        let (name, told) = (target.name.clone(), shared.clone());
        let remote: Arc<OnceLock<Arc<Remote>>> = Arc::default();
        let reached = remote.clone();
        let serve = async move {
            let Some(volume) = reach(&target, &told, stopped.clone()).await else { return };
            let remote = reached.get_or_init(|| Arc::new(Remote::new(volume, target.in_order))).clone();
            let (name, way, shared, orders, stop) = (target.name, target.way, told, taken, stopped);
            let is_fresh = true;
            Sender { name, here, log, gate, way, remote, is_fresh, progress, shared, orders, stop }
                .run()
                .await;
        };
        let mut senders = self.senders.lock();
        if senders.contains_key(&name) {
            return Err(Error::new(ErrorKind::AlreadyExists, "add mirror", &name));
        }
        let task = tokio::spawn(serve);
        senders.insert(name, Running { shared, remote, orders, stop, task });
        Ok(())
    }

    fn progress(&self, name: &str) -> io::Result<Progress> {
        if let Some(mut known) = Progress::open(&self.config.dir, name)? {
            known.not_beyond(self.core.log.began())?;
            return Ok(known);
        }
        let next = self.core.log.settled();
        let positions = Positions { read: next, confirmed: next, issued: next };
        let mut ledger = Ledger::default();
        ledger.add(&VPath::root(), Depth::Metadata);
        Progress::create(&self.config.dir, name, positions, ledger)
    }

    /// Stops sending to `name`, and forgets how far it was unless that is to be remembered.
    pub async fn remove(&self, name: &str, remember: bool) -> Result<()> {
        let running = self.senders.lock().remove(name);
        let running = running.ok_or_else(|| Error::new(ErrorKind::NotFound, "remove mirror", name))?;
        running.end().await;
        if remember {
            return Ok(());
        }
        Progress::remove(&self.config.dir, name).map_err(|cause| failed_io(name, cause))
    }

    /// Asks something of mirror `name`.
    pub fn order(&self, name: &str, order: Order) -> Result<()> {
        let senders = self.senders.lock();
        let running = senders.get(name).ok_or_else(|| Error::new(ErrorKind::NotFound, "mirror", name))?;
        running.orders.send(order).map_err(|_| Error::new(ErrorKind::Stale, "mirror", name))
    }

    /// Compares mirror `name` with what is here, and tells what differs, up to a limit. What was on its way is looked at once more when
    /// it has arrived. Nothing is changed.
    pub async fn verify(&self, name: &str, contents: bool) -> Result<Vec<(VPath, &'static str)>> {
        let (shared, remote) = {
            let senders = self.senders.lock();
            let running = senders.get(name).ok_or_else(|| Error::new(ErrorKind::NotFound, "mirror", name))?;
            (running.shared.clone(), running.remote.get().cloned())
        };
        let remote = remote.ok_or_else(|| Error::new(ErrorKind::Offline, "verify", name))?;
        let depth = if contents { Depth::Contents } else { Depth::Metadata };
        let first = self.differences(&remote, depth, &VPath::root()).await?;
        if first.is_empty() {
            return Ok(first);
        }
        let (settled, began) = (self.core.log.settled(), Instant::now());
        while !shared.is_done_with(settled) && began.elapsed() < ARRIVAL_PATIENCE {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut left = Vec::new();
        for (path, _) in first {
            left.extend(self.differences(&remote, Depth::Itself.max(depth), &path).await?);
        }
        left.sort();
        left.dedup();
        Ok(left)
    }

    async fn differences(
        &self,
        remote: &Arc<Remote>,
        depth: Depth,
        below: &VPath,
    ) -> Result<Vec<(VPath, &'static str)>> {
        let mut comparison = Comparison::new(self.core.inner.clone(), remote.clone(), depth);
        comparison.dry = true;
        let comparison = Arc::new(comparison);
        comparison.run(below).await?;
        let mut differences = std::mem::take(&mut *comparison.differences.lock());
        let refused = std::mem::take(&mut *comparison.refused.lock());
        differences.extend(refused.into_iter().map(|(path, _)| (path, "cannot be compared")));
        Ok(differences)
    }

    pub fn status(&self) -> Vec<MirrorStatus> {
        let settled = self.core.log.settled();
        self.senders.lock().values().map(|running| running.shared.status(settled)).collect()
    }

    /// Room that the log takes, bytes.
    pub fn log_bytes(&self) -> u64 {
        self.core.log.size()
    }

    /// Whether each mirror has all changes that were made before, or is out of reach.
    pub fn is_sent(&self) -> bool {
        let settled = self.core.log.settled();
        self.senders.lock().values().all(|running| running.shared.is_done_with(settled))
    }

    /// Sends what there is to send, for `patience` at most, and ends. Nothing may use the volume any more.
    pub async fn shut_down(&self, patience: Duration) {
        let until = Instant::now() + patience;
        self.cut(|_, _| true).await;
        while !self.is_sent() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.stop.send_replace(true);
        let mut chores = std::mem::take(&mut *self.chores.lock());
        while let Some(ended) = chores.join_next().await {
            if let Err(cause) = ended {
                tracing::error!(%cause, "the chores of the mirrors");
            }
        }
        let senders = std::mem::take(&mut *self.senders.lock());
        for running in senders.into_values() {
            running.end().await;
        }
        let log = self.core.log.clone();
        if let Err(cause) = blocking(move || log.close()).await {
            tracing::error!(%cause, "the log of changes was not closed; nothing in it is lost");
        }
    }

    async fn chores(&self) {
        let now = Instant::now();
        self.cut(|first, last| now - last >= CUT_AFTER_QUIET || now - first >= CUT_AFTER).await;
        let needed = self.senders.lock().values().map(|running| running.shared.needs()).min();
        let (log, max) = (self.core.log.clone(), self.config.log_max_bytes);
        let done = blocking(move || {
            log.sync()?;
            log.trim(needed.unwrap_or(log.settled()))?;
            if log.size() > max {
                tracing::warn!(
                    "the log of changes is over its limit: mirrors that lack what it held are compared whole"
                );
                log.trim(log.settled())?;
            }
            Ok(())
        });
        if let Err(cause) = done.await {
            tracing::error!(%cause, "the log of changes");
        }
    }

    async fn cut(&self, ripe: impl Fn(Instant, Instant) -> bool) {
        let kept = self.core.opens.take_kept();
        for file in self.core.opens.changed(ripe) {
            // One whose change hangs must not hold up the others.
            let Ok(_order) = tokio::time::timeout(CUT_PATIENCE, file.order()).await else {
                self.core.opens.keep(file);
                continue;
            };
            let Some(path) = file.path() else { continue };
            let cx = Cx::system(Priority::Background);
            let attr = self.core.inner.stat(&cx, &path).await.ok().filter(|attr| attr.id == file.id);
            if let Err(cause) = self.core.cut("cut", &file, attr.as_ref().map(Stamp::of)).await {
                tracing::error!(%cause, "the state of a file was not written down");
            }
        }
        kept.into_iter().filter(|file| file.is_changed()).for_each(|file| self.core.opens.keep(file));
    }
}

/// Tries until the mirror is reached. `None` when it is not to be any more.
async fn reach(
    target: &Target,
    shared: &Shared,
    mut stopped: watch::Receiver<bool>,
) -> Option<Arc<dyn Volume>> {
    let mut pauses = Pauses::default();
    loop {
        match target.way.reach().await {
            Ok(volume) => return Some(volume),
            Err(error) => {
                tracing::warn!(mirror = target.name, %error, "not reached so far");
                shared.set_error(State::Away, error.to_string());
            }
        }
        let pause = pauses.next(shared.jitter());
        if tokio::time::timeout(pause, stopped.wait_for(|stop| *stop)).await.is_ok() {
            return None;
        }
    }
}

async fn chores_until(mirrors: Arc<Mirrors>, mut stopped: watch::Receiver<bool>) {
    while tokio::time::timeout(CHORES_EVERY, stopped.wait_for(|stop| *stop)).await.is_err() {
        mirrors.chores().await;
    }
}

/// What others change in the tree itself goes unseen but for what the volume tells: that is compared. Where it cannot tell
/// who it was, what we do ourselves would be compared as well; then it is found by `verify` alone.
async fn note_others_until(core: Arc<Core>, mut watch: Watch, mut stopped: watch::Receiver<bool>) {
    loop {
        let notice = tokio::select! {
            notice = watch.notices.recv() => notice,
            _ = stopped.wait_for(|stop| *stop) => None,
        };
        let Some(notice) = notice else { return };
        let told = *watch.authors.borrow();
        let changed = match notice {
            Notice::Changed { path, by: Author::Others, .. } if told => vec![path],
            Notice::Moved { from, to, by: Author::Others, .. } if told => vec![from, to],
            Notice::Changed { .. } | Notice::Moved { .. } => Vec::new(),
            Notice::Unknown { below } => vec![below],
        };
        for below in changed {
            if let Err(cause) = core.begin("watch", Record::Unknown { below }).await {
                tracing::error!(%cause, "a change by others was not written down");
            }
        }
    }
}

impl Running {
    async fn end(self) {
        self.stop.send_replace(true);
        drop(self.orders);
        if let Err(cause) = self.task.await {
            tracing::error!(%cause, "a mirror's sender");
        }
    }
}

fn failed(cause: StoreError) -> Error {
    Error::new(ErrorKind::Io, "open", "the log of changes").because(cause)
}

fn failed_io(name: &str, cause: io::Error) -> Error {
    Error::new(ErrorKind::Io, "open", format_args!("what is remembered of mirror {name}")).because(cause)
}
