//! Answering the peer's calls.

use super::{Inner, Remote, roams};
use crate::frame::{Control, START, Start, What};
use crate::lane::{Lane, Received};
use crate::queue::Outgoing;
use crate::served::{Admission, Outcome, Served};
use crate::{Class, Message, Peer};
use parking_lot::Mutex;
use std::sync::Arc;

/// A call being executed. Whatever becomes of the service, the table learns of the end.
struct Execution {
    remote: Arc<Remote>,
    table: Arc<Mutex<Served>>,
    id: u64,
    class: Class,
    roams: bool,
    finished: bool,
}

/// Where an outcome goes: over any lane if it roams, else over the one that the request came over last, because its
/// caller sends again only when that one ends.
#[derive(Debug, Clone, Copy)]
struct Destination {
    lane: u64,
    class: Class,
    roams: bool,
    id: u64,
}

impl Drop for Execution {
    fn drop(&mut self) {
        if !self.finished {
            let reason = "the service broke off".to_owned();
            if let Some(to) = self.finish(&Err(reason.clone())) {
                self.remote.deliver_failure(&self.table, to, reason);
            }
        }
    }
}

impl Execution {
    /// Where the outcome goes, if the caller still wants it.
    fn finish(&mut self, outcome: &Outcome) -> Option<Destination> {
        self.finished = true;
        let lane = self.table.lock().finish(self.id, outcome)?;
        Some(Destination { lane, class: self.class, roams: self.roams, id: self.id })
    }

    async fn run(mut self, peer: Arc<Peer>, message: Message) {
        let remote = self.remote.clone();
        // Only a closed node closes the semaphore; then nobody is left to answer.
        let Ok(_turn) = remote.slots.running(self.class).acquire().await else { return };
        let answer = remote.service.call(&peer, self.class, message).await;
        let outcome = answer.check().map(|()| answer).map_err(|error| error.to_string());
        if let Some(to) = self.finish(&outcome) {
            remote.deliver(&self.table, to, outcome).await;
        }
    }
}

impl Inner {
    /// The lane for an outcome: the one its caller watches, or any when that one has ended here.
    fn answer_lane(&self, to: Destination) -> Option<&Arc<Lane>> {
        self.lane(to.lane).or_else(|| self.lane_for(to.class)).or(self.lanes.first())
    }
}

impl Remote {
    /// A request has arrived.
    pub(super) fn serve(&self, lane: &Lane, received: Received) {
        let Some(remote) = self.this.upgrade() else { return };
        let Received { start: Start { id, class, mode, floor, .. }, message } = received;
        let (table, peer) = {
            let inner = self.inner.lock();
            (inner.served.clone(), inner.peer.clone())
        };
        let roams = roams(class, message.len());
        let admission = {
            let mut served = table.lock();
            served.raise_floor(floor);
            served.admit(id, mode, message.len(), lane.id)
        };
        match admission {
            Admission::Run => {
                let execution = Execution { remote, table, id, class, roams, finished: false };
                tokio::spawn(execution.run(peer, message));
            }
            Admission::Answered(outcome) => {
                let to = Destination { lane: lane.id, class, roams, id };
                tokio::spawn(async move { remote.deliver(&table, to, outcome).await });
            }
            Admission::Refuse(reason) => {
                lane.push_control(&Control::Refuse { id, reason: reason.to_owned() });
            }
            Admission::Joined | Admission::Stale => {}
        }
    }

    /// Queues an outcome. Without a connection it is dropped: the caller asks again when there is one.
    async fn deliver(&self, table: &Arc<Mutex<Served>>, to: Destination, outcome: Outcome) {
        let message = match outcome {
            Ok(message) => message,
            Err(reason) => return self.deliver_failure(table, to, reason),
        };
        let cost = (message.len() + START) as u32;
        let Ok(space) = self.slots.queue(to.class).clone().acquire_many_owned(cost).await else { return };
        let inner = self.inner.lock();
        let Some(lane) = inner.answer_lane(to).filter(|_| Arc::ptr_eq(&inner.served, table)) else { return };
        let start = Start {
            what: What::Answer,
            mode: crate::Mode::Repeatable,
            class: to.class,
            id: to.id,
            floor: 0,
            head_len: message.head.len(),
            body_len: message.body.len(),
        };
        let Message { head, body } = message;
        let answer = Outgoing { start, head, body, space: Some(space), carrier: None };
        if to.roams && inner.is_up() {
            inner.pool.push(answer);
        } else {
            lane.push(answer);
        }
    }

    fn deliver_failure(&self, table: &Arc<Mutex<Served>>, to: Destination, reason: String) {
        let inner = self.inner.lock();
        if let Some(lane) = inner.answer_lane(to).filter(|_| Arc::ptr_eq(&inner.served, table)) {
            lane.push_control(&Control::Failed { id: to.id, reason });
        }
    }

    /// The caller gave a call up.
    pub(super) fn cancelled(&self, id: u64) {
        let table = self.inner.lock().served.clone();
        table.lock().cancel(id);
    }

    /// The peer's older `Once` calls are done.
    pub(super) fn raise_floor(&self, floor: u64) {
        let table = self.inner.lock().served.clone();
        table.lock().raise_floor(floor);
    }
}
