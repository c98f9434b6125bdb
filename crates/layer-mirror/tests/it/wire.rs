//! A mirror at the end of a wire that breaks: calls take effect one after the other in the order in which they were first polled, as at
//! an SFTP server. When the wire breaks, what was under way may have happened, up to some call, and nobody hears of it; files that were
//! open are lost. Behind a loss everything is refused until a session begins anew, by making the private directory.
//!
//! After each call it is noted what a reader of the mirror sees.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use layer_mirror::PRIVATE_DIR;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use testkit::{MemVolume, Rng};
use tokio::sync::{Notify, oneshot};
use volume::{
    Applied, Attr, Caps, Change, Close, Copying, Cx, Error, ErrorKind, File, FileId, Fresh, ListHow, Listing,
    Named, NamedEntry, OpenHow, Opened, Pages, QuotaChange, QuotaRules, QuotasOf, Result, SetAttr, Space,
    SyncKind, Ticket, UserQuota, VPath, Volume, Watch,
};

/// What comes of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    /// It is done, and the answer is lost.
    Unheard,
    Lost,
}

type Job = Box<dyn FnOnce(Fate) + Send>;
type Seen = Box<dyn Fn(&str) + Send + Sync>;

/// One call in so many breaks the wire; 0 for none.
#[derive(Clone, Copy)]
pub struct Breaking(pub u64);

pub struct Wire {
    inner: Arc<MemVolume>,
    state: Arc<State>,
}

struct State {
    queue: Mutex<VecDeque<(String, Job)>>,
    stirred: Notify,
    /// Nothing is taken until a session begins anew.
    lost: AtomicBool,
    connection: AtomicU64,
    breaking: AtomicU64,
    rng: Mutex<Rng>,
    seen: Seen,
}

impl Wire {
    /// Ends with the runtime in which it is made.
    pub fn new(inner: Arc<MemVolume>, seed: u64, Breaking(breaking): Breaking, seen: Seen) -> Arc<Wire> {
        let state = Arc::new(State {
            queue: Mutex::default(),
            stirred: Notify::new(),
            lost: AtomicBool::new(false),
            connection: AtomicU64::new(0),
            breaking: AtomicU64::new(breaking),
            rng: Mutex::new(Rng::new(seed)),
            seen,
        });
        tokio::spawn(serve(state.clone()));
        Arc::new(Wire { inner, state })
    }

    /// From now on it holds.
    pub fn mend(&self) {
        self.state.breaking.store(0, Ordering::Relaxed);
    }

    /// The other side is gone: what it has sent may still be done.
    pub fn cut(&self) {
        self.state.cut();
    }
}

async fn serve(state: Arc<State>) {
    loop {
        let job = state.queue.lock().pop_front();
        let Some((what, job)) = job else {
            state.stirred.notified().await;
            continue;
        };
        let (lingers, breaks) = {
            let breaking = state.breaking.load(Ordering::Relaxed);
            let mut rng = state.rng.lock();
            (rng.below(4), breaking > 0 && rng.one_in(breaking))
        };
        if breaks {
            state.queue.lock().push_front((what, job));
            state.cut();
        } else {
            job(Fate::Answered);
            (state.seen)(&what);
        }
        for _ in 0..lingers {
            tokio::task::yield_now().await;
        }
    }
}

impl State {
    fn cut(&self) {
        self.lost.store(true, Ordering::Relaxed);
        self.connection.fetch_add(1, Ordering::Relaxed);
        let jobs = std::mem::take(&mut *self.queue.lock());
        let mut left = self.rng.lock().below(jobs.len() as u64 + 1);
        for (what, job) in jobs {
            let fate = if left > 0 { Fate::Unheard } else { Fate::Lost };
            left = left.saturating_sub(1);
            job(fate);
            if fate == Fate::Unheard {
                (self.seen)(&format!("{what} (unheard)"));
            }
        }
        (self.seen)("-- the wire is cut");
    }

    async fn call<T: Send + 'static>(
        &self,
        of: Option<u64>,
        what: String,
        work: impl FnOnce() -> BoxFuture<'static, Result<T>> + Send + 'static,
    ) -> Result<T> {
        let offline = || Error::new(ErrorKind::Offline, "call", "the wire");
        let connection = self.connection.load(Ordering::Relaxed);
        if self.lost.load(Ordering::Relaxed) || of.is_some_and(|of| of != connection) {
            return Err(offline());
        }
        let (reply, answer) = oneshot::channel();
        let job = move |fate| {
            let answer = match fate {
                Fate::Lost => Err(offline()),
                Fate::Unheard => work().now_or_never().expect("in memory").and(Err(offline())),
                Fate::Answered => work().now_or_never().expect("in memory"),
            };
            drop(reply.send(answer));
        };
        self.queue.lock().push_back((what, Box::new(job)));
        self.stirred.notify_one();
        answer.await.unwrap_or_else(|_| Err(offline()))
    }
}

macro_rules! by_wire {
    ($self:ident, $cx:ident, $what:expr, |$inner:ident, $cx_there:ident| $work:expr) => {{
        let ($inner, $cx_there) = ($self.inner.clone(), $cx.clone());
        $self.state.call($self.of(), $what, move || async move { $work.await }.boxed()).await
    }};
}

impl Wire {
    fn of(&self) -> Option<u64> {
        None
    }
}

#[async_trait]
impl Volume for Wire {
    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    async fn stat(&self, cx: &Cx, path: &VPath) -> Result<Attr> {
        let path = path.clone();
        by_wire!(self, cx, format!("stat {path}"), |inner, cx| inner.stat(&cx, &path))
    }

    async fn list(&self, cx: &Cx, dir: &VPath, how: ListHow) -> Result<Listing> {
        let dir = dir.clone();
        by_wire!(self, cx, format!("list {dir}"), |inner, cx| inner.list(&cx, &dir, how))
    }

    async fn open(&self, cx: &Cx, path: &VPath, how: OpenHow) -> Result<Opened> {
        let (path, state) = (path.clone(), self.state.clone());
        let what = format!("open {path} {:?}", how.create);
        by_wire!(self, cx, what, |inner, cx| async move {
            let of = state.connection.load(Ordering::Relaxed);
            let opened = inner.open(&cx, &path, how).await?;
            let file = WireFile { inner: opened.file, state, of, path };
            Ok(Opened { file: Arc::new(file), ..opened })
        })
    }

    async fn reopen(&self, _cx: &Cx, _ticket: &Ticket) -> Result<Opened> {
        Err(Error::new(ErrorKind::Unsupported, "reopen", "the wire"))
    }

    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Applied> {
        let change = change.clone();
        if matches!(&change, Change::MakeDir { path, .. } if path.as_str() == PRIVATE_DIR) {
            self.state.lost.store(false, Ordering::Relaxed);
        }
        let paths: Vec<String> = change.paths().map(|path| path.to_string()).collect();
        by_wire!(self, cx, format!("{} {paths:?}", change.name()), |inner, cx| inner.apply(&cx, &change))
    }

    async fn read_link(&self, cx: &Cx, path: &VPath) -> Result<String> {
        let path = path.clone();
        by_wire!(self, cx, format!("read_link {path}"), |inner, cx| inner.read_link(&cx, &path))
    }

    async fn named(
        &self,
        cx: &Cx,
        path: &VPath,
        expect: Option<FileId>,
        name: &Named,
    ) -> Result<Option<Bytes>> {
        let (path, name) = (path.clone(), name.clone());
        by_wire!(self, cx, "named".to_owned(), |inner, cx| inner.named(&cx, &path, expect, &name))
    }

    async fn list_named(&self, cx: &Cx, path: &VPath, expect: Option<FileId>) -> Result<Vec<NamedEntry>> {
        let path = path.clone();
        by_wire!(self, cx, "list_named".to_owned(), |inner, cx| inner.list_named(&cx, &path, expect))
    }

    async fn sync_dir(&self, _cx: &Cx, _path: &VPath, _expect: Option<FileId>) -> Result<()> {
        Ok(())
    }

    async fn space(&self, cx: &Cx, path: &VPath) -> Result<Space> {
        self.inner.space(cx, path).await
    }

    async fn quota_rules(&self, cx: &Cx) -> Result<QuotaRules> {
        self.inner.quota_rules(cx).await
    }

    async fn quotas(&self, cx: &Cx, of: &QuotasOf) -> Result<Vec<UserQuota>> {
        self.inner.quotas(cx, of).await
    }

    async fn set_quotas(&self, cx: &Cx, change: &QuotaChange) -> Result<()> {
        self.inner.set_quotas(cx, change).await
    }

    async fn watch(&self, cx: &Cx) -> Result<Watch> {
        self.inner.watch(cx).await
    }
}

struct WireFile {
    inner: Arc<dyn File>,
    state: Arc<State>,
    /// The connection it belongs to.
    of: u64,
    path: VPath,
}

impl WireFile {
    fn of(&self) -> Option<u64> {
        Some(self.of)
    }
}

#[async_trait]
impl File for WireFile {
    fn id(&self) -> FileId {
        self.inner.id()
    }

    async fn attr(&self, cx: &Cx, fresh: Fresh) -> Result<Attr> {
        by_wire!(self, cx, "attr".to_owned(), |inner, cx| inner.attr(&cx, fresh))
    }

    async fn set_attr(&self, cx: &Cx, set: &SetAttr) -> Result<Attr> {
        let set = *set;
        by_wire!(self, cx, format!("set_attr of {}", self.path), |inner, cx| inner.set_attr(&cx, &set))
    }

    async fn read_at(&self, cx: &Cx, offset: u64, length: u32) -> Result<Bytes> {
        by_wire!(self, cx, "read".to_owned(), |inner, cx| inner.read_at(&cx, offset, length))
    }

    async fn pages(&self, _cx: &Cx, _offset: u64, _length: u32) -> Result<Option<Pages>> {
        Ok(None)
    }

    async fn write_at(&self, cx: &Cx, offset: u64, data: Bytes) -> Result<()> {
        by_wire!(self, cx, format!("write {}", self.path), |inner, cx| inner.write_at(&cx, offset, data))
    }

    async fn ranges(&self, cx: &Cx, offset: u64, length: u64) -> Result<Vec<Range<u64>>> {
        by_wire!(self, cx, "ranges".to_owned(), |inner, cx| inner.ranges(&cx, offset, length))
    }

    async fn zero(&self, cx: &Cx, offset: u64, length: u64) -> Result<()> {
        by_wire!(self, cx, format!("zero {}", self.path), |inner, cx| inner.zero(&cx, offset, length))
    }

    async fn copy_from(
        &self,
        _cx: &Cx,
        _offset: u64,
        _source: &Arc<dyn File>,
        _source_offset: u64,
        _length: u64,
        _how: Copying,
    ) -> Result<u64> {
        Err(Error::new(ErrorKind::Unsupported, "copy", "the wire"))
    }

    async fn allocate(&self, cx: &Cx, size: u64) -> Result<Attr> {
        by_wire!(self, cx, "allocate".to_owned(), |inner, cx| inner.allocate(&cx, size))
    }

    async fn sync(&self, cx: &Cx, kind: SyncKind) -> Result<()> {
        by_wire!(self, cx, "sync".to_owned(), |inner, cx| inner.sync(&cx, kind))
    }

    async fn close(&self, cx: &Cx, how: Close) -> Result<Attr> {
        by_wire!(self, cx, format!("close {}", self.path), |inner, cx| inner.close(&cx, how))
    }

    fn ticket(&self) -> Option<Ticket> {
        None
    }
}
