//! All that a node knows about one peer site, reachable or not.
//!
//! States: *down* (no usable connection) and *up*. A *session* is an unbroken acquaintance with one peer process:
//! it ends when the peer greets with another boot number, or when notifications of the peer were lost, which the
//! numbers on them show.
//!
//! Lock order: `events`, then `inner`, then a lane or the table of served calls. `events` is held while the state is
//! published and the service is told of peers and notifications, so that both hear them one at a time and in order.
//! Nothing is published under `inner`: a watcher may look at the state and use the link at once.

mod call;
mod pending;
mod rival;
mod serve;
mod session;

use self::pending::Pending;
use self::session::Tell;
use crate::config::*;
use crate::frame::{Control, FRAME_DATA, What};
use crate::hello::{FEATURE_BBR, Greeting, LaneKind};
use crate::lane::{End, Event, Lane};
use crate::pool::Pool;
use crate::served::Served;
use crate::{Class, Link, LinkConfig, LinkError, LinkState, LinkStats, Peer, Service};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, Semaphore, watch};

/// One peer site.
pub(crate) struct Remote {
    /// For the handles given to the service.
    this: Weak<Remote>,
    site: Arc<str>,
    config: Arc<LinkConfig>,
    service: Arc<dyn Service>,
    events: Mutex<()>,
    inner: Mutex<Inner>,
    state: watch::Sender<LinkState>,
    /// A connection came up: the link is back, dial the others now.
    up: Notify,
    slots: Limits,
    counters: Counters,
    /// The process that was refused last because another one is this site; 0 is none.
    last_rival: AtomicU64,
}

/// Everything that makes senders wait.
struct Limits {
    pending_calls: Semaphore,
    pending_bytes: Semaphore,
    queue_interactive: Arc<Semaphore>,
    queue_bulk: Arc<Semaphore>,
    queue_notices: Arc<Semaphore>,
    running_interactive: Semaphore,
    running_bulk: Semaphore,
}

#[derive(Default)]
struct Counters {
    calls: AtomicU64,
    retries: AtomicU64,
    reconnects: AtomicU64,
    /// Of connections that have ended.
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

struct Inner {
    lanes: Vec<Arc<Lane>>,
    /// Lanes there have been, ours (`true`) and the peer's.
    known: HashSet<(bool, LaneKind)>,
    /// The peer process; 0 before the first.
    boot: u64,
    features: u64,
    /// Site and session.
    peer: Arc<Peer>,
    pending: Pending,
    /// Lanes that have ended, so far.
    deaths: u64,
    /// Bulk messages that wait for a lane.
    pool: Arc<Pool>,
    served: Arc<Mutex<Served>>,
    /// Number of the next notification from the peer.
    expected_notice: u64,
    /// Number of our next notification.
    next_notice: u64,
    /// The lane that carries our notifications.
    notice_lane: Option<u64>,
    closing: bool,
}

/// Whether the answer to a request of `bytes` may come over any lane: bulk answers to small requests, which are cheap
/// to send again when any lane ends. Other answers come over the lane of their request, so that a large request is
/// sent again only when its own lane ends.
fn roams(class: Class, bytes: usize) -> bool {
    class == Class::Bulk && bytes <= FRAME_DATA
}

impl Limits {
    fn queue(&self, class: Class) -> &Arc<Semaphore> {
        match class {
            Class::Interactive => &self.queue_interactive,
            Class::Bulk => &self.queue_bulk,
        }
    }

    fn running(&self, class: Class) -> &Semaphore {
        match class {
            Class::Interactive => &self.running_interactive,
            Class::Bulk => &self.running_bulk,
        }
    }

    fn close(&self) {
        for semaphore in
            [&self.pending_calls, &self.pending_bytes, &self.running_interactive, &self.running_bulk]
        {
            semaphore.close();
        }
        for queue in [&self.queue_interactive, &self.queue_bulk, &self.queue_notices] {
            queue.close();
        }
    }
}

impl Inner {
    /// Lanes that take new messages.
    fn usable(&self) -> impl Iterator<Item = &Arc<Lane>> {
        self.lanes.iter().filter(|lane| !lane.is_draining())
    }

    fn is_up(&self) -> bool {
        self.usable().next().is_some()
    }

    /// The lane for a message: of its class if there is one, and then the one with the least to do.
    fn lane_for(&self, class: Class) -> Option<&Arc<Lane>> {
        self.usable().min_by_key(|lane| (lane.kind.class != class, lane.queued(class)))
    }

    fn lane(&self, id: u64) -> Option<&Arc<Lane>> {
        self.lanes.iter().find(|lane| lane.id == id)
    }
}

impl Remote {
    pub(crate) fn new(site: &str, config: Arc<LinkConfig>, service: Arc<dyn Service>) -> Arc<Remote> {
        let why = "not connected yet".to_owned();
        let limits = Limits {
            pending_calls: Semaphore::new(MAX_PENDING_CALLS),
            pending_bytes: Semaphore::new(MAX_PENDING_BYTES),
            queue_interactive: Arc::new(Semaphore::new(MAX_QUEUED_BYTES)),
            queue_bulk: Arc::new(Semaphore::new(MAX_QUEUED_BYTES)),
            queue_notices: Arc::new(Semaphore::new(MAX_QUEUED_NOTICE_BYTES)),
            running_interactive: Semaphore::new(MAX_RUNNING_INTERACTIVE),
            running_bulk: Semaphore::new(MAX_RUNNING_BULK),
        };
        let inner = Inner {
            lanes: Vec::new(),
            known: HashSet::new(),
            boot: 0,
            features: 0,
            peer: Arc::new(Peer { site: site.to_owned(), session: 0 }),
            pending: Pending::default(),
            deaths: 0,
            pool: Arc::default(),
            served: Arc::default(),
            expected_notice: 0,
            next_notice: 1,
            notice_lane: None,
            closing: false,
        };
        Arc::new_cyclic(|this| Remote {
            this: this.clone(),
            site: site.into(),
            config,
            service,
            events: Mutex::new(()),
            inner: Mutex::new(inner),
            state: watch::Sender::new(LinkState::Down { since: Instant::now(), why }),
            up: Notify::new(),
            slots: limits,
            counters: Counters::default(),
            last_rival: AtomicU64::new(0),
        })
    }

    pub(crate) fn site(&self) -> &str {
        &self.site
    }

    pub(crate) fn config(&self) -> &LinkConfig {
        &self.config
    }

    pub(crate) fn state(&self) -> &watch::Sender<LinkState> {
        &self.state
    }

    /// Resolves when a connection comes up after this call.
    pub(crate) fn comes_up(&self) -> Notified<'_> {
        self.up.notified()
    }

    /// Whether the peer said it sends with BBR; `None` before the first greeting.
    pub(crate) fn has_bbr(&self) -> Option<bool> {
        let inner = self.inner.lock();
        (inner.boot != 0).then_some(inner.features & FEATURE_BBR != 0)
    }

    /// Where the peer's lanes find bulk messages.
    pub(crate) fn pool(&self) -> Arc<Pool> {
        self.inner.lock().pool.clone()
    }

    /// Number for our next greeting.
    pub(crate) fn next_notice(&self) -> u64 {
        self.inner.lock().next_notice
    }

    pub(crate) fn has_pending(&self) -> bool {
        !self.inner.lock().pending.is_empty()
    }

    pub(crate) fn floor(&self) -> u64 {
        self.inner.lock().pending.floor()
    }

    /// Notes why a connection could not be made; true when that is news.
    pub(crate) fn dial_failed(&self, reason: &str) -> bool {
        self.state.send_if_modified(|state| match state {
            LinkState::Down { why, .. } if why != reason => {
                reason.clone_into(why);
                true
            }
            _ => false,
        })
    }

    /// Takes a greeted connection into use; the reason when it cannot be.
    pub(crate) fn attach(&self, lane: &Arc<Lane>, greeting: &Greeting) -> Result<(), String> {
        let _in_order = self.events.lock();
        let (tell, again) = self.inner.lock().attach(lane, greeting)?;
        self.counters.reconnects.fetch_add(u64::from(again), Ordering::Relaxed);
        self.tell(tell);
        self.up.notify_waiters();
        Ok(())
    }

    /// Forgets a connection that has ended. Its calls go to others.
    pub(crate) fn detach(&self, lane: &Lane, end: &End) {
        self.counters.bytes_in.fetch_add(lane.meter.bytes_in(), Ordering::Relaxed);
        self.counters.bytes_out.fetch_add(lane.meter.bytes_out(), Ordering::Relaxed);
        match end {
            End::Protocol(_) => tracing::warn!(site = %self.site, "connection closed: {end}"),
            End::Lost(_) | End::ShutDown => {
                tracing::debug!(site = %self.site, kind = ?lane.kind, "connection closed: {end}")
            }
        }
        let _in_order = self.events.lock();
        let tell = self.inner.lock().detach(lane, end);
        tell.into_iter().for_each(|tell| self.tell(tell));
    }

    /// Dispatches what a connection received; the rule broken when it makes no sense. Never waits.
    pub(crate) fn receive(&self, lane: &Lane, event: Event) -> Result<(), String> {
        match event {
            Event::Message(received) => match received.start.what {
                What::Request => self.serve(lane, received),
                What::Answer => self.answered(received.start.id, Ok(received.message)),
                What::Notice => self.noticed(received.start.id, received.message),
                What::NoticesFrom => self.notices_from(received.start.id),
            },
            Event::Control(Control::Ping { token, floor }) => {
                self.raise_floor(floor);
                lane.push_control(&Control::Pong { token });
            }
            Event::Control(Control::Pong { token }) => {
                if let Some(rtt) = lane.pong(token)? {
                    self.publish_rtt(lane, rtt);
                }
            }
            Event::Control(Control::Refuse { id, reason }) => {
                self.answered(id, Err(LinkError::Refused(reason)));
            }
            Event::Control(Control::Failed { id, reason }) => {
                self.answered(id, Err(LinkError::Failed(reason)));
            }
            Event::Control(Control::Cancel { id }) => self.cancelled(id),
            Event::Control(Control::Goodbye) => self.goodbye(lane),
        }
        Ok(())
    }

    /// The peer is shutting down: what runs may finish, nothing new is sent here.
    fn goodbye(&self, lane: &Lane) {
        let _in_order = self.events.lock();
        let tell = self.inner.lock().drain(lane);
        self.tell(tell);
    }

    /// Publishes the state and tells the service. The caller holds `events` and nothing else.
    fn tell(&self, tell: Tell) {
        self.publish(&tell);
        if let Some(peer) = tell.down {
            self.service.peer_down(&peer);
        }
        if let (Some(peer), Some(this)) = (tell.up, self.this.upgrade()) {
            self.service.peer_up(&peer, Link::new(this));
        }
    }

    fn publish(&self, tell: &Tell) {
        let (session, connections) = (tell.session, tell.connections);
        self.state.send_if_modified(|state| {
            let now = Instant::now();
            let next = match (&*state, connections) {
                (LinkState::Down { .. }, 0) => return false,
                (LinkState::Up { .. }, 0) => {
                    match tell.orderly {
                        true => tracing::info!(site = %self.site, why = tell.why, "link is down"),
                        false => tracing::warn!(site = %self.site, why = tell.why, "link is down"),
                    }
                    LinkState::Down { since: now, why: tell.why.clone() }
                }
                (LinkState::Down { since, .. }, _) => {
                    let down_ms = now.duration_since(*since).as_millis() as u64;
                    tracing::info!(site = %self.site, session, down_ms, "link is up");
                    LinkState::Up { since: now, session, connections, rtt: Duration::ZERO }
                }
                (LinkState::Up { since, rtt, .. }, _) => {
                    LinkState::Up { since: *since, session, connections, rtt: *rtt }
                }
            };
            let changed = *state != next;
            *state = next;
            changed
        });
    }

    fn publish_rtt(&self, lane: &Lane, measured: Duration) {
        let best = lane.kind.class == Class::Interactive;
        self.state.send_if_modified(|state| match state {
            LinkState::Up { rtt, .. } if best || rtt.is_zero() => {
                *rtt = measured;
                true
            }
            _ => false,
        });
    }

    /// Begins a shutdown: no new calls, and the peer is told to send none.
    pub(crate) fn begin_close(&self) {
        let mut inner = self.inner.lock();
        inner.closing = true;
        inner.lanes.iter().for_each(|lane| lane.push_control(&Control::Goodbye));
    }

    /// Whether nothing is left to do for the peer or to hear from it.
    pub(crate) fn is_drained(&self) -> bool {
        let inner = self.inner.lock();
        let idle = inner.pending.is_empty() && inner.served.lock().running() == 0;
        idle && inner.pool.is_empty() && inner.lanes.iter().all(|lane| lane.is_flushed())
    }

    /// Closes all connections once their queues are written.
    pub(crate) fn finish(&self) {
        self.inner.lock().lanes.iter().for_each(|lane| lane.finish());
    }

    /// Closes all connections at once and fails what waits.
    pub(crate) fn close(&self) {
        let lanes = {
            let mut inner = self.inner.lock();
            inner.closing = true;
            inner.pool.clear();
            inner.pending.wake_all();
            inner.lanes.clone()
        };
        self.slots.close();
        lanes.iter().for_each(|lane| lane.close(End::ShutDown));
        self.state.send_modify(|_| ());
    }

    pub(crate) fn stats(&self) -> LinkStats {
        let rtt = match *self.state.borrow() {
            LinkState::Up { rtt, .. } => rtt,
            LinkState::Down { .. } => Duration::ZERO,
        };
        let inner = self.inner.lock();
        let sum = |of: &dyn Fn(&Lane) -> u64| inner.lanes.iter().map(|lane| of(lane)).sum::<u64>();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LinkStats {
            bytes_in: count(&self.counters.bytes_in) + sum(&|lane| lane.meter.bytes_in()),
            bytes_out: count(&self.counters.bytes_out) + sum(&|lane| lane.meter.bytes_out()),
            calls: count(&self.counters.calls),
            served: inner.served.lock().finished(),
            retries: count(&self.counters.retries),
            reconnects: count(&self.counters.reconnects),
            connections: inner.usable().count(),
            pending: inner.pending.len(),
            rtt,
            queued_interactive: sum(&|lane| lane.queued(Class::Interactive) as u64) as usize,
            queued_bulk: inner.pool.bytes() + sum(&|lane| lane.queued(Class::Bulk) as u64) as usize,
            congestion: inner.lanes.first().map(|lane| lane.congestion.clone()).unwrap_or_default(),
        }
    }
}
