//! All mirrors of one volume: the log they share, who sends to each, and the chores of every second.
//!
//! Every second: files that stay open are cut, so that what is appended to a log arrives; the log is brought to the medium; what all
//! mirrors have is given up. When the log has grown over its limit, what a mirror still lacks is given up, too: that one is compared whole
//! when it comes back, and says so.

use crate::core::{Core, blocking};
use crate::log::Log;
use crate::record::{Record, Stamp};
use crate::sender::compare::Depth;
use crate::sender::progress::{Ledger, Positions, Progress};
use crate::sender::remote::Remote;
use crate::sender::{Order, Sender};
use crate::status::{MirrorStatus, Shared};
use crate::volume::Recorded;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Ended, StoreError};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use volume::{Cx, Error, ErrorKind, Priority, Result, VPath, Volume};

/// How often the chores are done.
const CHORES_EVERY: Duration = Duration::from_secs(1);
/// A file that is open is cut when nothing has come for so long, or after so long in any case.
const CUT_AFTER_QUIET: Duration = Duration::from_secs(1);
const CUT_AFTER: Duration = Duration::from_secs(10);
/// How long one waits for a change of it that is under way.
const CUT_PATIENCE: Duration = Duration::from_millis(500);

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
    pub volume: Arc<dyn Volume>,
    /// Whether its calls take effect in the order in which they are first polled.
    pub in_order: bool,
}

pub struct Mirrors {
    core: Arc<Core>,
    config: MirrorConfig,
    senders: Mutex<BTreeMap<String, Running>>,
    stop: watch::Sender<bool>,
    chores: Mutex<Option<JoinHandle<()>>>,
}

struct Running {
    shared: Arc<Shared>,
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
        let (log, ended) = blocking(move || Log::open(&dir)).await.map_err(failed)?;
        let core = Arc::new(Core::new(inner, Arc::new(log)));
        core.log.begin(Record::Restart).map_err(failed)?;
        if ended == Ended::WithTheMachine {
            tracing::warn!(
                "the machine went down: mirrors are compared, as the last changes may not be in the log"
            );
        }
        let (stop, stopped) = watch::channel(false);
        let (senders, chores) = Default::default();
        let mirrors = Arc::new(Mirrors { core: core.clone(), config, senders, stop, chores });
        for target in targets {
            mirrors.add(target)?;
        }
        let chores = tokio::spawn(chores_until(mirrors.clone(), stopped));
        *mirrors.chores.lock() = Some(chores);
        Ok((Arc::new(Recorded::new(core)), mirrors))
    }

    /// Begins to send to `target`: from where it was, or after a comparison of the whole tree.
    pub fn add(&self, target: Target) -> Result<()> {
        let progress = self.progress(&target.name).map_err(|cause| failed_io(&target.name, cause))?;
        let shared = Arc::new(Shared::new(&target.name, &target.to, &progress));
        let (orders, taken) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let sender = Sender {
            name: target.name.clone(),
            here: self.core.inner.clone(),
            log: self.core.log.clone(),
            gate: self.core.gate.clone(),
            remote: Arc::new(Remote::new(target.volume, target.in_order)),
            progress,
            shared: shared.clone(),
            orders: taken,
            stop: stopped,
        };
        let mut senders = self.senders.lock();
        if senders.contains_key(&target.name) {
            return Err(Error::new(ErrorKind::AlreadyExists, "add mirror", &target.name));
        }
        let task = tokio::spawn(sender.run());
        senders.insert(target.name, Running { shared, orders, stop, task });
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

    /// Stops sending to `name` and forgets how far it was.
    pub async fn remove(&self, name: &str) -> Result<()> {
        let running = self.senders.lock().remove(name);
        let running = running.ok_or_else(|| Error::new(ErrorKind::NotFound, "remove mirror", name))?;
        running.end().await;
        Progress::remove(&self.config.dir, name).map_err(|cause| failed_io(name, cause))
    }

    /// Asks something of mirror `name`.
    pub fn order(&self, name: &str, order: Order) -> Result<()> {
        let senders = self.senders.lock();
        let running = senders.get(name).ok_or_else(|| Error::new(ErrorKind::NotFound, "mirror", name))?;
        running.orders.send(order).map_err(|_| Error::new(ErrorKind::Stale, "mirror", name))
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
        let chores = self.chores.lock().take();
        if let Some(chores) = chores
            && let Err(cause) = chores.await
        {
            tracing::error!(%cause, "the chores of the mirrors");
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

async fn chores_until(mirrors: Arc<Mirrors>, mut stopped: watch::Receiver<bool>) {
    while tokio::time::timeout(CHORES_EVERY, stopped.wait_for(|stop| *stop)).await.is_err() {
        mirrors.chores().await;
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
