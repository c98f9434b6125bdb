//! Whether a break that was sent on a connection has reached the client's machine. MS-SMB2 3.3.4.6 and 3.3.4.7 leave
//! open how a server knows that; here it is by what the transport has acknowledged.
//!
//! Bytes that are not there after [`limits::BREAK_DELIVERY`] make the connection stuck: what was told on it is told on
//! another channel, and others are preferred until the client is heard of. Where one of them is to be answered, and the
//! client acknowledges nothing more for [`limits::BREAK_PATIENCE`], the connection leads to nobody, and ends: who waits for
//! the answer need not wait longer for a client that is away than for one whose connection was seen to die, and an
//! outage that is over sooner costs nobody anything. What nobody waits for ends no connection: that is left to the
//! transport ([`limits::SEND_PATIENCE`]).
//!
//! A transport that cannot tell (QUIC) leaves it open for ever: nothing counts as arrived, so that a break may be told twice
//! and none is lost; and nothing says that the client is away, but the end of the connection.

use crate::limits;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant as MachineInstant;
use tokio::time::Instant;

#[derive(Default)]
pub(crate) struct Delivery {
    /// As long as there is a break to look after.
    watch: Mutex<Option<Watch>>,
    stuck: AtomicBool,
    /// A break was sent here, some time.
    was_used: AtomicBool,
    /// Notices up to this one have arrived.
    arrived: AtomicU64,
    /// Nothing counts as acknowledged any more, for tests of what follows from that.
    nothing_arrives: AtomicBool,
}

struct Watch {
    look_at: Instant,
    /// One of them is to be answered.
    is_awaited: bool,
    acknowledged_bytes: u64,
    /// When that grew; acknowledgements come by the machine's clock, which may stand still for the runtime's.
    since: MachineInstant,
}

/// What a look has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Arrived,
    /// To be told on another channel.
    Stuck,
    Away,
}

impl Delivery {
    /// A break was sent: it is looked after from now on. `is_awaited`: it is to be answered.
    pub(crate) fn sent(&self, now: Instant, is_awaited: bool) {
        self.was_used.store(true, Ordering::Relaxed);
        let mut watch = self.watch.lock();
        let watch = watch.get_or_insert(Watch {
            look_at: now + limits::BREAK_DELIVERY,
            is_awaited,
            acknowledged_bytes: 0,
            since: MachineInstant::now(),
        });
        watch.is_awaited |= is_awaited;
    }

    /// Whether a break was ever sent here.
    pub(crate) fn was_used(&self) -> bool {
        self.was_used.load(Ordering::Relaxed)
    }

    /// When to look.
    pub(crate) fn look_at(&self) -> Option<Instant> {
        self.watch.lock().as_ref().map(|watch| watch.look_at)
    }

    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// Whether the notice of this number is known to have reached the client.
    pub(crate) fn has_arrived(&self, notice: u64) -> bool {
        notice <= self.arrived.load(Ordering::Relaxed)
    }

    /// Something came from the client.
    pub(crate) fn heard(&self) {
        if self.is_stuck() && !self.nothing_arrives.load(Ordering::Relaxed) {
            self.is_well(&mut self.watch.lock());
        }
    }

    /// From now on nothing counts as acknowledged.
    pub(crate) fn let_nothing_arrive(&self) {
        self.nothing_arrives.store(true, Ordering::Relaxed);
    }

    /// `acknowledged_bytes`: of all that was ever sent, where the transport can tell; `notices`: the last one's number, and
    /// as many bytes are acknowledged when it has arrived.
    pub(crate) fn look(
        &self,
        acknowledged_bytes: Option<u64>,
        notices: (u64, u64),
        now: MachineInstant,
    ) -> Found {
        let (last, end_bytes) = notices;
        let mut watch = self.watch.lock();
        let forced = self.nothing_arrives.load(Ordering::Relaxed);
        let arrived = acknowledged_bytes.is_some_and(|bytes| bytes >= end_bytes);
        let Some(told) = watch.as_mut().filter(|_| forced || !arrived) else {
            self.arrived.store(last, Ordering::Relaxed);
            self.is_well(&mut watch);
            return Found::Arrived;
        };
        match acknowledged_bytes {
            Some(bytes) if !forced && bytes > told.acknowledged_bytes => {
                told.acknowledged_bytes = bytes;
                told.since = now;
            }
            None if !forced => told.since = now,
            Some(_) | None => {}
        }
        told.look_at += limits::BREAK_DELIVERY;
        self.stuck.store(true, Ordering::Relaxed);
        let is_silent = now >= told.since + limits::BREAK_PATIENCE;
        if told.is_awaited && is_silent { Found::Away } else { Found::Stuck }
    }

    fn is_well(&self, watch: &mut Option<Watch>) {
        *watch = None;
        self.stuck.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Looks whenever it is time, at what the transport has acknowledged then; what was found, and after how long.
    fn looks(
        delivery: &Delivery,
        is_awaited: bool,
        acknowledged_bytes: impl Fn(Duration) -> Option<u64>,
        end_bytes: u64,
    ) -> (Found, Duration) {
        let (begin, machine_begin) = (Instant::now(), MachineInstant::now());
        delivery.sent(begin, is_awaited);
        let mut found = Found::Stuck;
        let mut after = Duration::ZERO;
        while found == Found::Stuck && after < Duration::from_secs(60) {
            after = delivery.look_at().expect("a break is looked after") - begin;
            found = delivery.look(acknowledged_bytes(after), (1, end_bytes), machine_begin + after);
            assert_eq!(delivery.has_arrived(1), found == Found::Arrived);
            assert_eq!(delivery.is_stuck(), found != Found::Arrived);
        }
        (found, after)
    }

    #[test]
    fn a_break_that_arrives_is_forgotten() {
        let delivery = Delivery::default();
        assert!(!delivery.was_used());
        // What else is on its way does not matter.
        assert_eq!(looks(&delivery, true, |_| Some(100), 100), (Found::Arrived, limits::BREAK_DELIVERY));
        assert_eq!(delivery.look_at(), None);
        assert!(delivery.was_used());
    }

    #[test]
    fn a_client_that_takes_nothing_more_is_away() {
        let (found, after) = looks(&Delivery::default(), true, |_| Some(100), 172);
        assert_eq!(found, Found::Away);
        let outage = Duration::from_secs(30);
        assert!(after > outage, "after {after:?}");
        assert!(after < vfs::BREAK_TIMEOUT, "who waits finds its opens ended: after {after:?}");
    }

    #[test]
    fn nobody_is_away_for_what_is_not_to_be_answered() {
        assert_eq!(looks(&Delivery::default(), false, |_| Some(100), 172).0, Found::Stuck);
        let delivery = Delivery::default();
        delivery.sent(Instant::now(), true);
        assert_eq!(looks(&delivery, false, |_| Some(100), 172).0, Found::Away, "the other one is");
    }

    #[test]
    fn a_client_that_takes_slowly_is_not_away() {
        let slowly = |after: Duration| Some(after.as_secs());
        assert_eq!(looks(&Delivery::default(), true, slowly, 1000).0, Found::Stuck);
    }

    #[test]
    fn where_nobody_can_tell_nothing_has_arrived_and_nobody_is_away() {
        assert_eq!(looks(&Delivery::default(), true, |_| None, 100).0, Found::Stuck);
    }

    #[test]
    fn who_is_heard_of_is_not_stuck() {
        let delivery = Delivery::default();
        delivery.sent(Instant::now(), true);
        assert_eq!(delivery.look(Some(100), (1, 172), MachineInstant::now()), Found::Stuck);
        delivery.heard();
        assert!(
            !delivery.is_stuck() && !delivery.has_arrived(1),
            "that it was heard of says nothing of the break"
        );
        assert_eq!(delivery.look_at(), None);
    }

    #[test]
    fn nothing_arrives_where_a_test_wants_it() {
        let delivery = Delivery::default();
        delivery.let_nothing_arrive();
        assert_eq!(looks(&delivery, true, |after| Some(after.as_secs()), 0).0, Found::Away);
        delivery.heard();
        assert!(delivery.is_stuck());
    }
}
