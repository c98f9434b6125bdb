//! Sessions, and the notifications that hold them together.
//!
//! Notifications are numbered and go over one lane at a time. Each greeting and each change of that lane says which
//! number comes next, so the receiver sees any loss, even of the last one. A loss ends the session: the service is
//! told `peer_down` and `peer_up` and asks anew. A notification that cannot be queued uses up its number and so is a
//! loss as well.

use super::{Inner, Remote};
use crate::config::MAX_BULK_CONNECTIONS;
use crate::frame::{START, Start, What};
use crate::hello::Greeting;
use crate::lane::{End, Lane};
use crate::queue::Outgoing;
use crate::served::Served;
use crate::{Class, Identity, LinkError, LinkState, Message, Mode, Peer};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Instant;

/// Connections to one peer, dialed by either side.
const MAX_LANES: usize = 2 * (MAX_BULK_CONNECTIONS + 1);

/// What a change means for the published state and for the service.
pub(super) struct Tell {
    pub(super) session: u64,
    pub(super) connections: usize,
    /// Why the link is down, if it is.
    pub(super) why: String,
    /// Because one of the nodes stops, and said so.
    pub(super) orderly: bool,
    pub(super) down: Option<Arc<Peer>>,
    pub(super) up: Option<Arc<Peer>>,
}

impl Inner {
    /// The change from `before` (up, as which peer) to now.
    fn tell(&self, before: (bool, Arc<Peer>), why: &str, orderly: bool) -> Tell {
        let (was_up, was) = before;
        let is_up = self.is_up();
        let renewed = was.session != self.peer.session;
        Tell {
            session: self.peer.session,
            connections: self.usable().count(),
            why: why.to_owned(),
            orderly,
            down: (was_up && (!is_up || renewed)).then_some(was),
            up: (is_up && (!was_up || renewed)).then(|| self.peer.clone()),
        }
    }

    fn before(&self) -> (bool, Arc<Peer>) {
        (self.is_up(), self.peer.clone())
    }

    fn new_session(&mut self, expected_notice: u64) {
        self.expected_notice = expected_notice;
        self.peer = Arc::new(Peer { site: self.peer.site.clone(), session: self.peer.session + 1 });
    }

    /// Takes a lane in; whether there was one in its place before.
    pub(super) fn attach(&mut self, lane: &Arc<Lane>, greeting: &Greeting) -> Result<(Tell, bool), String> {
        if self.closing {
            return Err("this node is shutting down".into());
        }
        let before = self.before();
        if self.boot != greeting.boot {
            self.meet(greeting);
        } else if !before.0 && self.expected_notice != greeting.next_notice {
            self.new_session(greeting.next_notice);
        }
        self.features = greeting.features;
        let same_place = |old: &Arc<Lane>| old.kind == lane.kind && old.dialed == lane.dialed;
        if let Some(at) = self.lanes.iter().position(same_place) {
            self.remove(at).close(End::Lost("replaced by a newer connection".into()));
        }
        if self.lanes.len() >= MAX_LANES {
            return Err(format!("more than {MAX_LANES} connections"));
        }
        self.lanes.push(lane.clone());
        self.arrange();
        let again = !self.known.insert((lane.dialed, lane.kind));
        Ok((self.tell(before, "", false), again))
    }

    /// Begins with a peer process not met before: nothing said to an earlier one counts.
    fn meet(&mut self, greeting: &Greeting) {
        while !self.lanes.is_empty() {
            self.remove(0).close(End::Lost("the other node was restarted".into()));
        }
        self.served = Arc::new(Mutex::new(Served::default()));
        self.boot = greeting.boot;
        self.new_session(greeting.next_notice);
    }

    /// Takes a lane out that has ended; `None` when it was not in.
    pub(super) fn detach(&mut self, lane: &Lane, end: &End) -> Option<Tell> {
        let at = self.lanes.iter().position(|known| known.id == lane.id)?;
        let before = self.before();
        self.remove(at);
        self.arrange();
        Some(self.tell(before, &end.to_string(), matches!(end, End::ShutDown)))
    }

    /// Sends nothing new over this lane.
    pub(super) fn drain(&mut self, lane: &Lane) -> Tell {
        let before = self.before();
        lane.drain();
        self.arrange();
        self.tell(before, "the other node is shutting down", true)
    }

    /// Forgets a lane; the calls that depended on it see that and are sent again.
    fn remove(&mut self, at: usize) -> Arc<Lane> {
        let lane = self.lanes.swap_remove(at);
        lane.retire();
        self.deaths += 1;
        if self.lanes.is_empty() {
            self.pool.clear();
        }
        self.pending.wake_all();
        lane
    }

    /// Distributes the work after lanes came or went.
    fn arrange(&mut self) {
        let bulk = self.usable().any(|lane| lane.kind.class == Class::Bulk);
        for lane in self.usable().filter(|lane| lane.kind.class == Class::Interactive) {
            lane.carry_bulk(!bulk);
        }
        if !self.is_up() {
            self.pool.drop_requests();
            self.pending.wake_all();
        }
        self.choose_notice_lane();
    }

    /// Keeps the lane of our notifications while it can be used; goes back to an interactive one when none are under
    /// way, because a change of lane could look like a loss otherwise.
    fn choose_notice_lane(&mut self) {
        let current = self.usable().find(|lane| Some(lane.id) == self.notice_lane);
        let keep = current
            .is_some_and(|lane| lane.kind.class == Class::Interactive || lane.has_unconfirmed_notices());
        let Some(best) = (if keep { current } else { self.lane_for(Class::Interactive) }) else {
            self.notice_lane = None;
            return;
        };
        if self.notice_lane != Some(best.id) {
            best.push(outgoing(What::NoticesFrom, self.next_notice, Message::default()));
            self.notice_lane = Some(best.id);
        }
    }
}

fn outgoing(what: What, number: u64, message: Message) -> Outgoing {
    let start = Start {
        what,
        mode: Mode::Repeatable,
        class: Class::Interactive,
        id: number,
        floor: 0,
        head_len: message.head.len(),
        body_len: message.body.len(),
    };
    let Message { head, body } = message;
    Outgoing { start, head, body, space: None, carrier: None }
}

impl Remote {
    /// See [`Link::notify`](crate::Link::notify).
    pub(crate) fn notify(&self, message: Message) -> Result<(), LinkError> {
        message.check()?;
        {
            let mut inner = self.inner.lock();
            if inner.closing {
                return Err(LinkError::Closed);
            }
            let number = inner.next_notice;
            inner.next_notice += 1;
            inner.choose_notice_lane();
            if let Some(lane) = inner.usable().find(|lane| Some(lane.id) == inner.notice_lane) {
                let cost = (message.len() + START) as u32;
                let Ok(space) = self.slots.queue_notices.clone().try_acquire_many_owned(cost) else {
                    return Err(LinkError::Refused("the queue of notifications is full".into()));
                };
                lane.push(Outgoing { space: Some(space), ..outgoing(What::Notice, number, message) });
                return Ok(());
            }
        }
        Err(self.down_error())
    }

    /// Closes the connections whose certificate `identity` does not believe.
    pub(crate) fn recheck(&self, identity: &Identity) {
        let lanes = self.inner.lock().lanes.clone();
        for lane in lanes {
            if let Err(why) = identity.judge(&lane.certificate) {
                lane.close(End::Lost(why));
            }
        }
    }

    /// The error for "no connection".
    pub(super) fn down_error(&self) -> LinkError {
        match &*self.state.borrow() {
            LinkState::Down { since, why } => LinkError::Down { since: *since, why: why.clone() },
            LinkState::Up { .. } => LinkError::Down { since: Instant::now(), why: "connection lost".into() },
        }
    }

    /// A notification has arrived.
    pub(super) fn noticed(&self, number: u64, message: Message) {
        let _in_order = self.events.lock();
        let (tell, peer) = {
            let mut inner = self.inner.lock();
            if number < inner.expected_notice {
                tracing::debug!(site = %self.site, number, "notification of an ended session");
                return;
            }
            let tell = inner.expect_notice(number);
            inner.expected_notice = number + 1;
            (tell, inner.peer.clone())
        };
        tell.into_iter().for_each(|tell| self.tell(tell));
        self.service.notice(&peer, message);
    }

    /// The peer says which notification comes next.
    pub(super) fn notices_from(&self, number: u64) {
        let _in_order = self.events.lock();
        let tell = self.inner.lock().expect_notice(number);
        tell.into_iter().for_each(|tell| self.tell(tell));
    }
}

impl Inner {
    /// Ends the session when `number` shows that notifications before it were lost.
    fn expect_notice(&mut self, number: u64) -> Option<Tell> {
        if number <= self.expected_notice {
            return None;
        }
        tracing::warn!(
            site = self.peer.site,
            lost = number - self.expected_notice,
            "notifications were lost; a new session begins"
        );
        let before = self.before();
        self.new_session(number);
        Some(self.tell(before, "", false))
    }
}
