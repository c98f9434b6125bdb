//! One connection to a peer: what waits to be written, how it is doing, and how it ends.
//!
//! A lane is shared: callers push messages, the connection's task ([`run`]) writes them, reads, probes. Whoever
//! wants it gone calls [`Lane::close`]; the task ends and the peer's state forgets the lane.
//!
//! Lock order: the peer's state, then a lane's state. Nothing is awaited under either.

mod read;
mod run;

pub(crate) use read::{Event, Received};
pub(crate) use run::{LinkStream, run};

use crate::Class;
use crate::certs::PeerCertificate;
use crate::frame::{Control, What};
use crate::hello::LaneKind;
use crate::meter::Meter;
use crate::pool::Pool;
use crate::queue::{Outgoing, SendQueue};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// Unanswered probes remembered.
const MAX_UNANSWERED: usize = 64;
/// Control frames waiting to be written; a peer that causes more does not read and is cut off.
const MAX_QUEUED_CONTROL: usize = 4 * crate::config::MAX_PENDING_CALLS;

static NEXT_LANE: AtomicU64 = AtomicU64::new(1);

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// In good order: one of the nodes stops.
    ShutDown,
    /// For a reason of the network or of one of the nodes.
    Lost(String),
    /// The other side broke the rules.
    Protocol(String),
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            End::ShutDown => f.write_str("shut down"),
            End::Lost(why) => f.write_str(why),
            End::Protocol(what) => write!(f, "link protocol broken: {what}"),
        }
    }
}

/// One connection to a peer.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Unique in this process.
    pub(crate) id: u64,
    pub(crate) kind: LaneKind,
    /// We dialed it.
    pub(crate) dialed: bool,
    /// Congestion control in use.
    pub(crate) congestion: String,
    /// What the peer proved to be with.
    pub(crate) certificate: PeerCertificate,
    pub(crate) meter: Arc<Meter>,
    state: Mutex<State>,
    /// Something was pushed here or to the pool.
    pushed: Arc<Notify>,
    end: watch::Sender<Option<End>>,
    draining: AtomicBool,
    /// Bulk messages of the peer, pulled from here when this lane carries bulk.
    pool: Arc<Pool>,
    carries_bulk: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    queue: SendQueue,
    /// Notifications pushed here so far.
    notices: u64,
    /// Of these, known to have arrived.
    notices_arrived: u64,
    /// Probes made so far; the number of the latest.
    probes: u64,
    /// Unanswered ones, oldest first.
    unanswered: VecDeque<Probe>,
    finishing: bool,
    /// Forgotten by the peer's state: takes nothing more from the pool.
    retired: bool,
}

#[derive(Debug, Clone, Copy)]
struct Probe {
    token: u64,
    sent: Instant,
    /// Notifications written before it.
    notices: u64,
}

impl Lane {
    pub(crate) fn new(
        kind: LaneKind,
        dialed: bool,
        congestion: String,
        certificate: PeerCertificate,
        meter: Arc<Meter>,
        pool: Arc<Pool>,
    ) -> Lane {
        Lane {
            id: NEXT_LANE.fetch_add(1, Ordering::Relaxed),
            kind,
            dialed,
            congestion,
            certificate,
            meter,
            state: Mutex::default(),
            pushed: Arc::default(),
            end: watch::Sender::new(None),
            draining: AtomicBool::new(false),
            pool,
            carries_bulk: AtomicBool::new(kind.class == Class::Bulk),
        }
    }

    /// Queues a message for this very lane.
    pub(crate) fn push(&self, message: Outgoing) {
        message.taken_by(self.id);
        let mut state = self.state.lock();
        state.notices += u64::from(message.start.what == What::Notice);
        state.queue.push(message);
        drop(state);
        self.pushed.notify_one();
    }

    /// Queues a control frame, ahead of all messages.
    pub(crate) fn push_control(&self, control: &Control) {
        let mut state = self.state.lock();
        if state.queue.controls() >= MAX_QUEUED_CONTROL {
            drop(state);
            return self.close(End::Protocol("the peer asks faster than it reads".into()));
        }
        state.queue.push_control(control.encode());
        drop(state);
        self.pushed.notify_one();
    }

    /// Bytes of messages queued.
    pub(crate) fn queued(&self, class: Class) -> usize {
        self.state.lock().queue.bytes(class)
    }

    /// Whether this lane takes messages from the pool.
    pub(crate) fn carry_bulk(&self, carries: bool) {
        let _no_pull = self.state.lock();
        if self.carries_bulk.swap(carries, Ordering::Relaxed) == carries {
            return;
        }
        if carries {
            self.pushed.notify_one();
        } else {
            self.pool.forget(self.id);
        }
    }

    /// The peer's state has forgotten this lane. Calls taken before see that; no others are taken.
    pub(crate) fn retire(&self) {
        self.state.lock().retired = true;
        self.pool.forget(self.id);
    }

    /// Whether everything pushed was taken for writing.
    pub(crate) fn is_flushed(&self) -> bool {
        self.state.lock().queue.is_empty()
    }

    /// Whether notifications pushed here may still be on their way.
    pub(crate) fn has_unconfirmed_notices(&self) -> bool {
        let state = self.state.lock();
        state.notices != state.notices_arrived
    }

    /// The peer takes no new requests here.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Ends the connection now. The first reason counts.
    pub(crate) fn close(&self, end: End) {
        self.end.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(end);
            }
            first
        });
    }

    /// Ends the connection when everything pushed is written.
    pub(crate) fn finish(&self) {
        self.state.lock().finishing = true;
        self.pushed.notify_one();
    }

    /// Whether the connection is over; its task may not have noticed yet.
    pub(crate) fn has_ended(&self) -> bool {
        self.end.borrow().is_some()
    }

    /// Queues a probe.
    pub(crate) fn probe(&self, floor: u64) {
        let mut state = self.state.lock();
        state.probes += 1;
        let token = state.probes;
        // Probes overtake what is queued, so they prove only the arrival of what has left the queue.
        let notices = if state.queue.has(Class::Interactive) { state.notices_arrived } else { state.notices };
        if state.unanswered.len() == MAX_UNANSWERED {
            state.unanswered.pop_front();
        }
        state.unanswered.push_back(Probe { token, sent: Instant::now(), notices });
        state.queue.push_control(Control::Ping { token, floor }.encode());
        drop(state);
        self.pushed.notify_one();
    }

    /// Takes the answer to a probe; the round trip, unless it is too old to be known. Answers may be slower than
    /// probes follow each other.
    pub(crate) fn pong(&self, token: u64) -> Result<Option<Duration>, String> {
        let mut state = self.state.lock();
        if token > state.probes {
            return Err("answer to a probe that was not made".into());
        }
        while let Some(probe) = state.unanswered.pop_front_if(|probe| probe.token <= token) {
            state.notices_arrived = state.notices_arrived.max(probe.notices);
            if probe.token == token {
                return Ok(Some(probe.sent.elapsed()));
            }
        }
        Ok(None)
    }

    fn next_batch(&self, batch: &mut VecDeque<Bytes>) -> Batch {
        let mut state = self.state.lock();
        if self.carries_bulk.load(Ordering::Relaxed) && !state.retired {
            while state.queue.pulls_more()
                && let Some(message) = self.pool.pull(self.id, &self.pushed)
            {
                message.taken_by(self.id);
                state.queue.push(message);
            }
        }
        state.queue.next_batch(batch);
        match (batch.is_empty(), state.finishing) {
            (false, _) => Batch::Write,
            (true, false) => Batch::Wait,
            (true, true) => Batch::Finish,
        }
    }
}

/// What the writer does next.
enum Batch {
    Write,
    Wait,
    Finish,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mode;
    use crate::frame::Start;

    fn lane() -> Lane {
        let kind = LaneKind { class: Class::Interactive, index: 0 };
        Lane::new(kind, true, "cubic".into(), PeerCertificate::none(), Arc::new(Meter::new()), Arc::default())
    }

    fn notice() -> Outgoing {
        let start = Start {
            what: What::Notice,
            mode: Mode::Repeatable,
            class: Class::Interactive,
            id: 1,
            floor: 0,
            head_len: 0,
            body_len: 0,
        };
        Outgoing { start, head: Bytes::new(), body: Bytes::new(), space: None, carrier: None }
    }

    #[test]
    fn answers_slower_than_the_probes_are_fine_and_invented_ones_are_not() {
        let lane = lane();
        lane.probe(0);
        lane.probe(0);
        lane.probe(0);
        assert!(lane.pong(1).expect("the first").is_some());
        assert!(lane.pong(3).expect("the third, the second skipped").is_some());
        assert_eq!(lane.pong(2), Ok(None));
        assert!(lane.pong(4).is_err());
    }

    #[test]
    fn a_probe_confirms_only_the_notifications_written_before_it() {
        let lane = lane();
        lane.push(notice());
        lane.probe(0);
        assert!(lane.pong(1).is_ok() && lane.has_unconfirmed_notices());
        lane.next_batch(&mut VecDeque::new());
        lane.probe(0);
        assert!(lane.pong(2).is_ok() && !lane.has_unconfirmed_notices());
    }
}
