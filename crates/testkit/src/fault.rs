//! A volume around any volume that makes calls fail, wait, or find the origin offline.
//!
//! Order in a call: it is counted; offline is answered; the delay passes; the gate holds it; a fault due
//! *before* is answered; the inner call runs; a fault due *after* takes its answer away; the answer's delay passes; the
//! gate for answers holds it. Waiting before the inner call ends with `TimedOut` at the deadline of the call. Delays and
//! deadlines run on tokio's clock, so tests can pause it.

mod jitter;
mod notices;

use crate::counts::{Counts, Op};
use async_trait::async_trait;
use bytes::Bytes;
use jitter::Jitter;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, watch};
use volume::{
    Applied, Attr, Caps, Change, Close, Copying, Cx, Error, ErrorKind, File, FileId, Fresh, ListHow, Listing,
    NOTICES_MAX, Named, NamedEntry, OpenHow, Opened, Pages, QuotaChange, QuotaRules, QuotasOf, Result,
    SetAttr, Space, SyncKind, Ticket, UserQuota, VPath, Volume, Watch,
};

/// A volume with faults to order.
pub struct FaultVolume {
    inner: Arc<dyn Volume>,
    faults: Arc<Faults>,
}

/// Holds calls of one operation, or their answers, until it is released or dropped.
pub struct Gate {
    faults: Arc<Faults>,
    at: (Op, When),
    state: Held,
}

type Held = Arc<watch::Sender<GateState>>;

#[derive(Clone, Copy, Default)]
struct GateState {
    /// Calls that came to the gate.
    arrived: u64,
    /// Calls that may pass: the first so many.
    may_pass: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum When {
    Before,
    After,
}

struct Fault {
    op: Op,
    /// Calls still to let through; 0 fails this one.
    after_calls: u64,
    always: bool,
    when: When,
    kind: ErrorKind,
}

struct Faults {
    counts: Counts,
    orders: Mutex<Vec<Fault>>,
    delays: Mutex<HashMap<Op, Duration>>,
    answer_delays: Mutex<HashMap<Op, Duration>>,
    gates: Mutex<HashMap<(Op, When), Held>>,
    jitter: Arc<Jitter>,
    offline: watch::Sender<Option<SystemTime>>,
}

impl FaultVolume {
    /// Passes everything through until a fault is ordered.
    pub fn new(inner: Arc<dyn Volume>) -> Arc<FaultVolume> {
        let faults = Faults {
            counts: Counts::default(),
            orders: Mutex::default(),
            delays: Mutex::default(),
            answer_delays: Mutex::default(),
            gates: Mutex::default(),
            jitter: Arc::default(),
            offline: watch::channel(None).0,
        };
        Arc::new(FaultVolume { inner, faults: Arc::new(faults) })
    }

    /// Calls so far, failed ones among them.
    pub fn counts(&self) -> &Counts {
        &self.faults.counts
    }

    /// The `nth` call of `op` from now (1 is the next) fails without any effect.
    pub fn fail(&self, op: Op, nth: u64, kind: ErrorKind) {
        self.order(op, nth, When::Before, kind, false);
    }

    /// The `nth` call of `op` from now has its effect, and then its answer is lost.
    pub fn lose_answer(&self, op: Op, nth: u64, kind: ErrorKind) {
        self.order(op, nth, When::After, kind, false);
    }

    /// Every call of `op` fails without any effect, until [`FaultVolume::heal`].
    pub fn fail_always(&self, op: Op, kind: ErrorKind) {
        self.order(op, 1, When::Before, kind, true);
    }

    fn order(&self, op: Op, nth: u64, when: When, kind: ErrorKind, always: bool) {
        assert!(nth > 0, "the first call is number 1");
        self.faults.orders.lock().push(Fault { op, after_calls: nth - 1, always, when, kind });
    }

    /// Forgets all ordered faults and delays of `op`.
    pub fn heal(&self, op: Op) {
        self.faults.orders.lock().retain(|fault| fault.op != op);
        self.faults.delays.lock().remove(&op);
        self.faults.answer_delays.lock().remove(&op);
    }

    /// Every call of `op` waits this long first, on tokio's clock.
    pub fn delay(&self, op: Op, delay: Duration) {
        self.faults.delays.lock().insert(op, delay);
    }

    /// Every call of `op` is answered this long after it has had its effect, on tokio's clock.
    pub fn delay_answer(&self, op: Op, delay: Duration) {
        self.faults.answer_delays.lock().insert(op, delay);
    }

    /// Every call waits this long first: a round trip.
    pub fn delay_all(&self, delay: Duration) {
        Op::ALL.iter().for_each(|&op| self.delay(op, delay));
    }

    /// From now on each call and each answer is on its way for up to `calls`, notices for up to `notices`, on tokio's
    /// clock. Calls and answers overtake each other; notices keep their order.
    pub fn jitter(&self, seed: u64, calls: Duration, notices: Duration) {
        self.faults.jitter.begin(seed, calls, notices);
    }

    /// Holds all calls of `op` that come from now on.
    pub fn gate(&self, op: Op) -> Gate {
        self.gate_at((op, When::Before))
    }

    /// Holds the answers of all calls of `op` that end from now on: they have had their effect.
    pub fn gate_answers(&self, op: Op) -> Gate {
        self.gate_at((op, When::After))
    }

    fn gate_at(&self, at: (Op, When)) -> Gate {
        let state = Arc::new(watch::channel(GateState::default()).0);
        self.faults.gates.lock().insert(at, state.clone());
        Gate { faults: self.faults.clone(), at, state }
    }

    /// From now on every call answers `Offline`; subscribers see `Freshness::Offline` and hear nothing.
    pub fn go_offline(&self) {
        self.faults.offline.send_replace(Some(SystemTime::now()));
    }

    /// The origin is back; subscribers are told `Unknown` for the whole volume.
    pub fn go_online(&self) {
        self.faults.offline.send_replace(None);
    }
}

impl Gate {
    /// Waits until `calls` calls have come to the gate.
    pub async fn arrived(&self, calls: u64) {
        let mut state = self.state.subscribe();
        // The sender lives in `self`, so the channel cannot end here.
        let _ = state.wait_for(|state| state.arrived >= calls).await;
    }

    /// Calls that wait here now; those that were cancelled meanwhile count until they would have passed.
    pub fn waiting(&self) -> u64 {
        let state = self.state.borrow();
        state.arrived.saturating_sub(state.may_pass)
    }

    /// Lets the next `calls` pass, in the order in which they came.
    pub fn let_pass(&self, calls: u64) {
        self.state.send_modify(|state| state.may_pass = state.may_pass.saturating_add(calls));
    }

    /// Lets all pass and takes the gate away.
    pub fn release(self) {}
}

impl Drop for Gate {
    fn drop(&mut self) {
        let mut gates = self.faults.gates.lock();
        if gates.get(&self.at).is_some_and(|state| Arc::ptr_eq(state, &self.state)) {
            gates.remove(&self.at);
        }
        self.state.send_modify(|state| state.may_pass = u64::MAX);
    }
}

impl Faults {
    /// The fault that is due for this call. Takes each one-time fault out as it comes due.
    fn due(&self, op: Op) -> Option<(When, ErrorKind)> {
        let mut due = None;
        self.orders.lock().retain_mut(|fault| {
            if fault.op != op {
                return true;
            }
            if fault.after_calls > 0 {
                fault.after_calls -= 1;
                return true;
            }
            due = due.or(Some((fault.when, fault.kind)));
            fault.always
        });
        due
    }

    async fn wait(&self, op: Op) {
        let delay = self.delays.lock().get(&op).copied();
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        self.jitter.linger_call().await;
        self.hold(op, When::Before).await;
    }

    async fn hold(&self, op: Op, when: When) {
        let gate = self.gates.lock().get(&(op, when)).cloned();
        if let Some(gate) = gate {
            let mut place = 0;
            gate.send_modify(|state| {
                place = state.arrived;
                state.arrived += 1;
            });
            let mut state = gate.subscribe();
            // The sender is held above, so the channel cannot end here.
            let _ = state.wait_for(|state| state.may_pass > place).await;
        }
    }

    async fn call<T>(&self, cx: &Cx, op: Op, inner: impl Future<Output = Result<T>>) -> Result<T> {
        let error = |kind| Error::new(kind, op.name(), "ordered fault");
        self.counts.called(op);
        let offline = || self.offline.borrow().is_some();
        if offline() {
            return Err(error(ErrorKind::Offline));
        }
        let due = self.due(op);
        let deadline = tokio::time::Instant::from_std(cx.deadline);
        let waited = tokio::time::timeout_at(deadline, self.wait(op)).await;
        waited.map_err(|_| error(ErrorKind::TimedOut))?;
        if offline() {
            return Err(error(ErrorKind::Offline));
        }
        let answer = match due {
            Some((When::Before, kind)) => return Err(error(kind)),
            Some((When::After, kind)) => inner.await.and(Err(error(kind))),
            None => inner.await,
        };
        let delay = self.answer_delays.lock().get(&op).copied();
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        self.hold(op, When::After).await;
        self.jitter.linger_call().await;
        answer
    }
}

impl FaultVolume {
    fn wrap(&self, opened: Result<Opened>) -> Result<Opened> {
        let opened = opened?;
        let file = FaultFile { inner: opened.file, faults: self.faults.clone() };
        Ok(Opened { file: Arc::new(file), ..opened })
    }
}

#[async_trait]
impl Volume for FaultVolume {
    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    async fn stat(&self, cx: &Cx, path: &VPath) -> Result<Attr> {
        self.faults.call(cx, Op::Stat, self.inner.stat(cx, path)).await
    }

    async fn list(&self, cx: &Cx, dir: &VPath, how: ListHow) -> Result<Listing> {
        self.faults.call(cx, Op::List, self.inner.list(cx, dir, how)).await
    }

    async fn open(&self, cx: &Cx, path: &VPath, how: OpenHow) -> Result<Opened> {
        self.wrap(self.faults.call(cx, Op::Open, self.inner.open(cx, path, how)).await)
    }

    async fn reopen(&self, cx: &Cx, ticket: &Ticket) -> Result<Opened> {
        self.wrap(self.faults.call(cx, Op::Reopen, self.inner.reopen(cx, ticket)).await)
    }

    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Applied> {
        self.faults.call(cx, Op::Apply, self.inner.apply(cx, change)).await
    }

    async fn read_link(&self, cx: &Cx, path: &VPath) -> Result<String> {
        self.faults.call(cx, Op::ReadLink, self.inner.read_link(cx, path)).await
    }

    async fn named(
        &self,
        cx: &Cx,
        path: &VPath,
        expect: Option<FileId>,
        name: &Named,
    ) -> Result<Option<Bytes>> {
        self.faults.call(cx, Op::Named, self.inner.named(cx, path, expect, name)).await
    }

    async fn list_named(&self, cx: &Cx, path: &VPath, expect: Option<FileId>) -> Result<Vec<NamedEntry>> {
        self.faults.call(cx, Op::ListNamed, self.inner.list_named(cx, path, expect)).await
    }

    async fn sync_dir(&self, cx: &Cx, path: &VPath, expect: Option<FileId>) -> Result<()> {
        self.faults.call(cx, Op::SyncDir, self.inner.sync_dir(cx, path, expect)).await
    }

    async fn space(&self, cx: &Cx, path: &VPath) -> Result<Space> {
        self.faults.call(cx, Op::Space, self.inner.space(cx, path)).await
    }

    async fn quota_rules(&self, cx: &Cx) -> Result<QuotaRules> {
        self.faults.call(cx, Op::QuotaRules, self.inner.quota_rules(cx)).await
    }

    async fn quotas(&self, cx: &Cx, of: &QuotasOf) -> Result<Vec<UserQuota>> {
        self.faults.call(cx, Op::Quotas, self.inner.quotas(cx, of)).await
    }

    async fn set_quotas(&self, cx: &Cx, change: &QuotaChange) -> Result<()> {
        self.faults.call(cx, Op::SetQuotas, self.inner.set_quotas(cx, change)).await
    }

    async fn watch(&self, cx: &Cx) -> Result<Watch> {
        let inner = self.faults.call(cx, Op::Watch, self.inner.watch(cx)).await?;
        let (notices, receiver) = mpsc::channel(NOTICES_MAX);
        let (freshness, fresh) = watch::channel(*inner.freshness.borrow());
        let authors = inner.authors.clone();
        let (offline, jitter) = (self.faults.offline.subscribe(), self.faults.jitter.clone());
        tokio::spawn(notices::pass_up(inner, offline, jitter, notices, freshness));
        Ok(Watch { notices: receiver, freshness: fresh, authors })
    }
}

struct FaultFile {
    inner: Arc<dyn File>,
    faults: Arc<Faults>,
}

#[async_trait]
impl File for FaultFile {
    fn id(&self) -> FileId {
        self.inner.id()
    }

    async fn attr(&self, cx: &Cx, fresh: Fresh) -> Result<Attr> {
        self.faults.call(cx, Op::Attr, self.inner.attr(cx, fresh)).await
    }

    async fn set_attr(&self, cx: &Cx, set: &SetAttr) -> Result<Attr> {
        self.faults.call(cx, Op::SetAttr, self.inner.set_attr(cx, set)).await
    }

    async fn read_at(&self, cx: &Cx, offset: u64, length: u32) -> Result<Bytes> {
        let bytes = self.faults.call(cx, Op::Read, self.inner.read_at(cx, offset, length)).await?;
        self.faults.counts.read(bytes.len());
        Ok(bytes)
    }

    async fn pages(&self, cx: &Cx, offset: u64, length: u32) -> Result<Option<Pages>> {
        let pages = self.faults.call(cx, Op::Read, self.inner.pages(cx, offset, length)).await?;
        self.faults.counts.read(pages.as_ref().map_or(0, Pages::len));
        Ok(pages)
    }

    async fn write_at(&self, cx: &Cx, offset: u64, data: Bytes) -> Result<()> {
        self.faults.counts.written(data.len());
        self.faults.call(cx, Op::Write, self.inner.write_at(cx, offset, data)).await
    }

    async fn ranges(&self, cx: &Cx, offset: u64, length: u64) -> Result<Vec<Range<u64>>> {
        self.faults.call(cx, Op::Ranges, self.inner.ranges(cx, offset, length)).await
    }

    async fn zero(&self, cx: &Cx, offset: u64, length: u64) -> Result<()> {
        self.faults.call(cx, Op::Zero, self.inner.zero(cx, offset, length)).await
    }

    async fn copy_from(
        &self,
        cx: &Cx,
        offset: u64,
        source: &Arc<dyn File>,
        source_offset: u64,
        length: u64,
        how: Copying,
    ) -> Result<u64> {
        let Some(source) = source.as_own::<FaultFile>() else {
            return Err(Error::new(ErrorKind::Unsupported, Op::Copy.name(), "a file of another volume"));
        };
        let copied = self.inner.copy_from(cx, offset, &source.inner, source_offset, length, how);
        self.faults.call(cx, Op::Copy, copied).await
    }

    async fn allocate(&self, cx: &Cx, size: u64) -> Result<Attr> {
        self.faults.call(cx, Op::Allocate, self.inner.allocate(cx, size)).await
    }

    async fn sync(&self, cx: &Cx, kind: SyncKind) -> Result<()> {
        self.faults.call(cx, Op::Sync, self.inner.sync(cx, kind)).await
    }

    async fn close(&self, cx: &Cx, how: Close) -> Result<Attr> {
        self.faults.call(cx, Op::Close, self.inner.close(cx, how)).await
    }

    fn ticket(&self) -> Option<Ticket> {
        self.inner.ticket()
    }
}
