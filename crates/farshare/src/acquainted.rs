//! A far volume whose abilities are known, from the origin or from the last time.
//!
//! `Caps` are constant while a volume is served, and layers ask for them when they are stacked. A peer or a file
//! server may be out of reach at that moment, and the node must start all the same, to serve as soon as it is back.
//! So the abilities are written to `<state>/volumes/NAME.json` whenever the origin tells them, and taken from there
//! when it cannot. Until it is reached the volume answers `Offline`.
//!
//! A volume that was never reached cannot be served: nobody knows what it can do. The node starts without it and
//! takes it up when it comes (`node/places.rs`).

use crate::config::Login;
use async_trait::async_trait;
use bytes::Bytes;
use origin_peer::PeerVolume;
use origin_smb::{Password, SmbConfig, SmbVolume};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, watch};
use volume::{
    Applied, Attr, Caps, Change, Cx, Error, ErrorKind, FileId, Freshness, ListHow, Listing, Named,
    NamedEntry, Namespace, OpenHow, Opened, Priority, QuotaChange, QuotaRules, QuotasOf, Result, Space,
    Ticket, UserQuota, VPath, Volume, Watch,
};

/// How long an origin has for its first answer: dialing and a handshake over a slow link.
const FIRST_ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// Pauses between attempts to reach an origin; the first doubles up to the last.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Pause after a refused log-in: trying a wrong password again and again locks accounts.
const PAUSE_REFUSED: Duration = Duration::from_secs(60);

/// A way to a far volume.
#[async_trait]
pub trait Way: Send + Sync + 'static {
    /// One attempt. The volume's abilities are known when it succeeds.
    async fn reach(&self) -> Result<Arc<dyn Volume>>;

    /// The volume as it may be used before it was reached, if it can be.
    fn at_once(&self) -> Option<Arc<dyn Volume>>;
}

/// To a volume of another node. It finds its own way there, however long that takes.
pub struct ToPeer(pub Arc<PeerVolume>);

#[async_trait]
impl Way for ToPeer {
    async fn reach(&self) -> Result<Arc<dyn Volume>> {
        self.0.known(&Cx::system(Priority::Interactive).within(FIRST_ANSWER_PATIENCE)).await?;
        Ok(self.0.clone())
    }

    fn at_once(&self) -> Option<Arc<dyn Volume>> {
        Some(self.0.clone())
    }
}

/// To a file server, with a log-in whose password is read anew for each attempt. Once it was reached, its
/// connections come and go by themselves.
pub struct ToFileServer {
    /// Without the password.
    pub config: SmbConfig,
    pub login: Login,
}

#[async_trait]
impl Way for ToFileServer {
    async fn reach(&self) -> Result<Arc<dyn Volume>> {
        let label = || format!("smb://{}/{}", self.config.server, self.config.share);
        let password = self.login.password.read().map_err(|why| {
            Error::new(ErrorKind::PermissionDenied, "connect", label()).because(why.to_string())
        })?;
        let config = SmbConfig { password: Password::from(password.as_str()), ..self.config.clone() };
        match tokio::time::timeout(FIRST_ANSWER_PATIENCE, Box::pin(SmbVolume::connect(config))).await {
            Ok(connected) => Ok(connected?),
            Err(_) => {
                let what = format!("no answer within {} s", FIRST_ANSWER_PATIENCE.as_secs());
                Err(Error::new(ErrorKind::Offline, "connect", label()).because(what))
            }
        }
    }

    fn at_once(&self) -> Option<Arc<dyn Volume>> {
        None
    }
}

/// Pauses between attempts to reach an origin.
#[derive(Default)]
pub struct Pauses(Option<Duration>);

impl Pauses {
    /// How long to wait after this failure.
    pub fn after(&mut self, why: &Error) -> Duration {
        if why.kind == ErrorKind::PermissionDenied {
            return PAUSE_REFUSED;
        }
        let pause = self.0.map_or(PAUSE_MIN, |before| PAUSE_MAX.min(before * 2));
        self.0 = Some(pause);
        pause
    }
}

/// Where abilities are remembered.
pub struct Memory {
    file: PathBuf,
    /// For another origin the file says nothing.
    origin: String,
}

impl Memory {
    pub fn of(state: &Path, volume: &str, origin: &str) -> Memory {
        let file = state.join("volumes").join(format!("{volume}.json"));
        Memory { file, origin: origin.to_owned() }
    }

    fn keep(&self, caps: Caps) {
        if let Err(cause) = write(&self.file, &Kept::new(&self.origin, caps)) {
            let file = self.file.display();
            tracing::warn!(%file, %cause, "not remembered for a start without the origin");
        }
    }

    fn recall(&self) -> Option<Caps> {
        read(&self.file).filter(|kept| kept.origin == self.origin).map(|kept| kept.caps())
    }
}

/// A far volume with constant abilities.
pub struct Acquainted {
    /// Empty until it can be used.
    inner: OnceLock<Arc<dyn Volume>>,
    caps: Caps,
    /// Why it was not reached the last time.
    why: Mutex<String>,
    /// When this was made; nobody is reached since then, until `met` is true.
    away: SystemTime,
    met: watch::Sender<bool>,
}

/// What is kept in the file.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Kept {
    /// For another origin the file says nothing.
    origin: String,
    keys: bool,
    stable_ids: bool,
    atomic_rename: bool,
    random_write: bool,
    hard_links: bool,
    symlinks: bool,
    set_times: bool,
    dos_attributes: bool,
    case_sensitive: bool,
    watch: bool,
    read_only: bool,
    io_size: u32,
    /// Older releases did not know of these, nor could the origin use them.
    #[serde(default)]
    named: bool,
    #[serde(default)]
    named_max: u32,
    #[serde(default)]
    holes: bool,
    #[serde(default)]
    copies: bool,
    #[serde(default)]
    clones: bool,
    #[serde(default)]
    compression: bool,
    #[serde(default)]
    quotas: bool,
    #[serde(default)]
    posix: bool,
}

impl Acquainted {
    /// Asks the origin, or `memory`, which learns from the answer. With the memory's word the origin is reached later,
    /// by a task that ends with the volume. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// Why the origin was not reached when there is no memory of it, and whatever it refuses.
    pub async fn meet(way: impl Way, memory: Option<Memory>) -> Result<Arc<Acquainted>> {
        let error = match way.reach().await {
            Ok(volume) => {
                let caps = volume.caps();
                memory.iter().for_each(|memory| memory.keep(caps));
                return Ok(Arc::new(Acquainted::of(OnceLock::from(volume), caps, String::new())));
            }
            Err(error) => error,
        };
        let away = matches!(error.kind, ErrorKind::Offline | ErrorKind::TimedOut);
        let (Some(memory), true) = (memory, away) else { return Err(error) };
        let Some(caps) = memory.recall() else { return Err(error) };
        let origin = &memory.origin;
        tracing::warn!(origin, why = %error, "out of reach; starting with what it could do the last time");
        let inner = way.at_once().map(OnceLock::from).unwrap_or_default();
        let volume = Arc::new(Acquainted::of(inner, caps, error.to_string()));
        tokio::spawn(meet_later(Arc::downgrade(&volume), way, memory));
        Ok(volume)
    }

    fn of(inner: OnceLock<Arc<dyn Volume>>, caps: Caps, why: String) -> Acquainted {
        let met = watch::Sender::new(inner.get().is_some());
        Acquainted { inner, caps, why: Mutex::new(why), away: SystemTime::now(), met }
    }

    /// A watch that says `Offline` and ends when the origin was reached.
    fn watch_nothing(&self) -> Watch {
        let (told, notices) = mpsc::channel(1);
        let (promise, freshness) = watch::channel(Freshness::Offline { since: self.away });
        let mut met = self.met.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                // Ends as well when the volume is dropped.
                _ = met.wait_for(|met| *met) => {}
                () = told.closed() => {}
            }
            drop((told, promise));
        });
        Watch::without_authors(notices, freshness)
    }

    fn inner(&self, op: &'static str, what: impl std::fmt::Display) -> Result<&Arc<dyn Volume>> {
        self.inner.get().ok_or_else(|| {
            let why = self.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Error::new(ErrorKind::Offline, op, what.to_string()).because(why)
        })
    }
}

async fn meet_later(volume: Weak<Acquainted>, way: impl Way, memory: Memory) {
    let mut pauses = Pauses::default();
    let mut pause = PAUSE_MIN;
    loop {
        tokio::time::sleep(pause).await;
        if volume.strong_count() == 0 {
            return;
        }
        let reached = way.reach().await;
        let Some(volume) = volume.upgrade() else { return };
        match reached {
            Ok(reached) => {
                let caps = reached.caps();
                if caps != volume.caps {
                    tracing::warn!(
                        origin = memory.origin,
                        ?caps,
                        "it can do other things now; restart to use them"
                    );
                }
                memory.keep(caps);
                // A peer's volume was put there before.
                volume.inner.get_or_init(|| reached);
                volume.met.send_replace(true);
                tracing::info!(origin = memory.origin, "reached");
                return;
            }
            Err(error) => {
                tracing::debug!(origin = memory.origin, why = %error, "not reached yet");
                pause = pauses.after(&error);
                *volume.why.lock().unwrap_or_else(PoisonError::into_inner) = error.to_string();
            }
        }
    }
}

impl Kept {
    fn new(origin: &str, caps: Caps) -> Kept {
        Kept {
            origin: origin.to_owned(),
            keys: caps.namespace == Namespace::Keys,
            stable_ids: caps.stable_ids,
            atomic_rename: caps.atomic_rename,
            random_write: caps.random_write,
            hard_links: caps.hard_links,
            symlinks: caps.symlinks,
            set_times: caps.set_times,
            dos_attributes: caps.dos_attributes,
            case_sensitive: caps.case_sensitive,
            watch: caps.watch,
            read_only: caps.read_only,
            io_size: caps.io_size,
            named: caps.named,
            named_max: caps.named_max,
            holes: caps.holes,
            copies: caps.copies,
            clones: caps.clones,
            compression: caps.compression,
            quotas: caps.quotas,
            posix: caps.posix,
        }
    }

    fn caps(&self) -> Caps {
        Caps {
            namespace: if self.keys { Namespace::Keys } else { Namespace::Tree },
            stable_ids: self.stable_ids,
            atomic_rename: self.atomic_rename,
            random_write: self.random_write,
            hard_links: self.hard_links,
            symlinks: self.symlinks,
            set_times: self.set_times,
            dos_attributes: self.dos_attributes,
            case_sensitive: self.case_sensitive,
            watch: self.watch,
            read_only: self.read_only,
            io_size: self.io_size,
            named: self.named,
            named_max: self.named_max,
            holes: self.holes,
            copies: self.copies,
            clones: self.clones,
            compression: self.compression,
            quotas: self.quotas,
            posix: self.posix,
        }
    }
}

fn write(file: &Path, kept: &Kept) -> io::Result<()> {
    let dir = file.parent().unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let mut new = tempfile::NamedTempFile::new_in(dir)?;
    new.write_all(&serde_json::to_vec_pretty(kept)?)?;
    new.as_file().sync_all()?;
    new.persist(file).map_err(|failed| failed.error)?;
    Ok(())
}

/// `None` for a file that is missing or that nobody can make sense of: it is written anew at the next meeting.
fn read(file: &Path) -> Option<Kept> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

#[async_trait]
impl Volume for Acquainted {
    fn caps(&self) -> Caps {
        self.caps
    }

    async fn stat(&self, cx: &Cx, path: &VPath) -> Result<Attr> {
        self.inner("stat", path)?.stat(cx, path).await
    }

    async fn list(&self, cx: &Cx, dir: &VPath, how: ListHow) -> Result<Listing> {
        self.inner("list", dir)?.list(cx, dir, how).await
    }

    async fn open(&self, cx: &Cx, path: &VPath, how: OpenHow) -> Result<Opened> {
        self.inner("open", path)?.open(cx, path, how).await
    }

    async fn reopen(&self, cx: &Cx, ticket: &Ticket) -> Result<Opened> {
        self.inner("reopen", "a ticket")?.reopen(cx, ticket).await
    }

    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Applied> {
        self.inner(change.name(), "the volume")?.apply(cx, change).await
    }

    async fn read_link(&self, cx: &Cx, path: &VPath) -> Result<String> {
        self.inner("readlink", path)?.read_link(cx, path).await
    }

    async fn named(
        &self,
        cx: &Cx,
        path: &VPath,
        expect: Option<FileId>,
        name: &Named,
    ) -> Result<Option<Bytes>> {
        self.inner("named", path)?.named(cx, path, expect, name).await
    }

    async fn list_named(&self, cx: &Cx, path: &VPath, expect: Option<FileId>) -> Result<Vec<NamedEntry>> {
        self.inner("list_named", path)?.list_named(cx, path, expect).await
    }

    async fn sync_dir(&self, cx: &Cx, path: &VPath, expect: Option<FileId>) -> Result<()> {
        self.inner("sync_dir", path)?.sync_dir(cx, path, expect).await
    }

    async fn space(&self, cx: &Cx, path: &VPath) -> Result<Space> {
        self.inner("space", path)?.space(cx, path).await
    }

    async fn quota_rules(&self, cx: &Cx) -> Result<QuotaRules> {
        self.inner("quota_rules", "the volume")?.quota_rules(cx).await
    }

    async fn quotas(&self, cx: &Cx, of: &QuotasOf) -> Result<Vec<UserQuota>> {
        self.inner("quotas", "the volume")?.quotas(cx, of).await
    }

    async fn set_quotas(&self, cx: &Cx, change: &QuotaChange) -> Result<()> {
        self.inner("set_quotas", "the volume")?.set_quotas(cx, change).await
    }

    async fn watch(&self, cx: &Cx) -> Result<Watch> {
        match self.inner.get() {
            Some(inner) => inner.watch(cx).await,
            None => Ok(self.watch_nothing()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use origin_local::{LocalConfig, LocalVolume};
    use std::sync::atomic::{AtomicBool, Ordering};

    const CAPS: Caps = Caps {
        namespace: Namespace::Tree,
        stable_ids: true,
        atomic_rename: false,
        random_write: true,
        hard_links: false,
        symlinks: true,
        set_times: false,
        dos_attributes: true,
        case_sensitive: false,
        watch: true,
        read_only: false,
        io_size: 4096,
        named: true,
        named_max: 1000,
        holes: true,
        copies: false,
        clones: true,
        compression: true,
        quotas: true,
        posix: false,
    };

    /// A way that ends at a directory once `open` is set.
    struct Gate {
        open: Arc<AtomicBool>,
        dir: PathBuf,
        refusal: ErrorKind,
    }

    #[async_trait]
    impl Way for Gate {
        async fn reach(&self) -> Result<Arc<dyn Volume>> {
            match self.open.load(Ordering::SeqCst) {
                true => Ok(LocalVolume::open(&self.dir, LocalConfig::default())?),
                false => Err(Error::new(self.refusal, "connect", "the gate")),
            }
        }

        fn at_once(&self) -> Option<Arc<dyn Volume>> {
            None
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_met_once_is_served_before_it_is_reached_again() {
        let dir = tempfile::tempdir().unwrap();
        let open = Arc::new(AtomicBool::new(false));
        let gate = |refusal| Gate { open: open.clone(), dir: dir.path().to_owned(), refusal };
        let memory = |origin| Some(Memory::of(dir.path(), "v", origin));
        let meet = |origin, refusal| Acquainted::meet(gate(refusal), memory(origin));
        let kind = |met: Result<Arc<Acquainted>>| met.err().map(|error| error.kind);
        assert_eq!(kind(meet("smb://a/b", ErrorKind::Offline).await), Some(ErrorKind::Offline), "a stranger");
        open.store(true, Ordering::SeqCst);
        let caps = meet("smb://a/b", ErrorKind::Offline).await.unwrap().caps();
        open.store(false, Ordering::SeqCst);
        assert_eq!(
            kind(meet("smb://a/c", ErrorKind::Offline).await),
            Some(ErrorKind::Offline),
            "another one"
        );
        let refused = kind(meet("smb://a/b", ErrorKind::PermissionDenied).await);
        assert_eq!(refused, Some(ErrorKind::PermissionDenied), "it is there and does not want us");

        let volume = meet("smb://a/b", ErrorKind::Offline).await.unwrap();
        assert_eq!(volume.caps(), caps);
        let cx = Cx::system(Priority::Interactive);
        let root = VPath::root();
        let stat = || volume.stat(&cx, &root);
        assert_eq!(stat().await.map_err(|error| error.kind), Err(ErrorKind::Offline));
        let mut watch = volume.watch(&cx).await.unwrap();
        assert!(matches!(*watch.freshness.borrow(), Freshness::Offline { .. }));
        open.store(true, Ordering::SeqCst);
        assert_eq!(watch.notices.recv().await, None, "it ends, to be begun anew");
        assert!(stat().await.is_ok());
    }

    #[test]
    fn a_refused_log_in_is_not_repeated_soon() {
        let mut pauses = Pauses::default();
        let mut after = |kind| pauses.after(&Error::new(kind, "connect", "x"));
        assert_eq!(after(ErrorKind::Offline), PAUSE_MIN);
        assert_eq!(after(ErrorKind::Offline), PAUSE_MIN * 2);
        assert_eq!(after(ErrorKind::PermissionDenied), PAUSE_REFUSED);
        for _ in 0..10 {
            after(ErrorKind::TimedOut);
        }
        assert_eq!(after(ErrorKind::Offline), PAUSE_MAX);
    }

    #[test]
    fn what_is_written_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("volumes/v.json");
        assert_eq!(read(&file), None);
        write(&file, &Kept::new("peer://dc1/v", CAPS)).unwrap();
        assert_eq!(read(&file).map(|kept| kept.caps()), Some(CAPS));
        std::fs::write(&file, "{}").unwrap();
        assert_eq!(read(&file), None);
    }
}
