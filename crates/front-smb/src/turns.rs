//! One log-in at a time from each place, so that guesses sent side by side are slowed like guesses sent one
//! after the other.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Where clients are told apart: an IPv4 address, or the /64 network that one host has in IPv6.
pub(crate) fn place_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        v4 => v4,
    }
}

#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<IpAddr, Arc<AsyncMutex<()>>>>);

/// A place's turn; the next waits until it is dropped.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    place: IpAddr,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for the turn of `address`'s place, in the order of asking.
    pub(crate) async fn take(&self, address: IpAddr) -> Turn<'_> {
        let place = place_of(address);
        let next = Arc::clone(self.0.lock().entry(place).or_default());
        // There before it waits: given up, it leaves nothing behind.
        let mut turn = Turn { turns: self, place, guard: None };
        turn.guard = Some(next.lock_owned().await);
        turn
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.guard = None;
        let mut all = self.turns.0.lock();
        // Whoever waits holds a second count.
        if all.get(&self.place).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            all.remove(&self.place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn one_at_a_time_from_each_place() {
        let turns = Turns::default();
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = turns.take(at("2001:db8::1")).now_or_never().unwrap();
        assert!(turns.take(at("2001:db8::2")).now_or_never().is_none(), "the same /64");
        assert!(turns.take(at("192.0.2.1")).now_or_never().is_some());
        drop(first);
        assert!(turns.take(at("2001:db8::2")).now_or_never().is_some());
        assert!(turns.0.lock().is_empty());
    }

    #[test]
    fn who_gives_up_waiting_leaves_nothing_behind() {
        let turns = Turns::default();
        let at = "192.0.2.1".parse().unwrap();
        let first = turns.take(at).now_or_never().unwrap();
        let mut second = Box::pin(turns.take(at));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        drop(second);
        assert!(turns.0.lock().is_empty());
    }
}
