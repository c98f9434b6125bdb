//! Places for connections in their handshake: who is not known yet may not use up the room of all.

use crate::config::{MAX_HALF_OPEN, MAX_HALF_OPEN_PER_ADDRESS};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// The places of a node.
#[derive(Default)]
pub(crate) struct HalfOpen {
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A place; free again when dropped.
pub(crate) struct Place {
    places: Arc<HalfOpen>,
    address: IpAddr,
}

/// One subscriber of a network: an IPv4 address, or the 64 bits that are given to an IPv6 site at least
/// (RFC 6177 section 2).
fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 => v4,
    }
}

impl HalfOpen {
    /// A place for a connection from `address`; `None` when there is none, or it has its share.
    pub(crate) fn enter(self: &Arc<HalfOpen>, address: IpAddr) -> Option<Place> {
        let address = subscriber(address);
        let mut taken = self.taken.lock();
        let own = taken.by_address.get(&address).copied().unwrap_or(0);
        if taken.all >= MAX_HALF_OPEN || own >= MAX_HALF_OPEN_PER_ADDRESS {
            return None;
        }
        taken.all += 1;
        taken.by_address.insert(address, own + 1);
        Some(Place { places: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        taken.all -= 1;
        if let Entry::Occupied(mut own) = taken.by_address.entry(self.address) {
            *own.get_mut() -= 1;
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_more_than_his_share_and_places_come_back() {
        let places = Arc::new(HalfOpen::default());
        let enter = |address: &str| places.enter(address.parse().expect("an address"));
        let mut held: Vec<_> =
            (0..MAX_HALF_OPEN_PER_ADDRESS).map(|_| enter("192.0.2.1").expect("free")).collect();
        assert!(enter("192.0.2.1").is_none());
        assert!(enter("::ffff:192.0.2.1").is_none(), "the same by another name");
        held.push(enter("192.0.2.2").expect("another address"));
        for host in 0..MAX_HALF_OPEN_PER_ADDRESS {
            held.push(enter(&format!("2001:db8::{host:x}")).expect("free"));
        }
        assert!(enter("2001:db8::ffff:ffff:ffff:ffff").is_none(), "the same /64");
        held.push(enter("2001:db8:0:1::1").expect("another /64"));
        for number in held.len()..MAX_HALF_OPEN {
            held.push(enter(&format!("10.0.{}.{}", number / 256, number % 256)).expect("free"));
        }
        assert!(enter("192.0.2.3").is_none(), "full");
        drop(held);
        assert!(enter("192.0.2.1").is_some());
        assert!(places.taken.lock().by_address.is_empty());
    }
}
