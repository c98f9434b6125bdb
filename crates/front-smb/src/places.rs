//! How many of something there are from each place: connections on which no user has logged in, sessions of guests.

use crate::turns::place_of;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;

pub(crate) struct Places {
    most: usize,
    counts: Mutex<HashMap<IpAddr, usize>>,
}

impl Places {
    /// At most so many from each.
    pub(crate) fn new(most: usize) -> Places {
        Places { most, counts: Mutex::default() }
    }

    /// One more from there; false where there are as many as may be.
    pub(crate) fn enter(&self, address: IpAddr) -> bool {
        let mut counts = self.counts.lock();
        let count = counts.entry(place_of(address)).or_default();
        if *count >= self.most {
            return false;
        }
        *count += 1;
        true
    }

    /// One that entered is there no more.
    pub(crate) fn leave(&self, address: IpAddr) {
        let mut counts = self.counts.lock();
        if let Some(count) = counts.get_mut(&place_of(address)) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&place_of(address));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_its_own_count() {
        let places = Places::new(2);
        let [one, neighbour, other] =
            ["2001:db8::1", "2001:db8::2", "192.0.2.1"].map(|it| it.parse().unwrap());
        assert!(places.enter(one) && places.enter(neighbour) && !places.enter(one) && places.enter(other));
        places.leave(neighbour);
        assert!(places.enter(one) && !places.enter(neighbour));
        [one, one, other].into_iter().for_each(|address| places.leave(address));
        assert!(places.counts.lock().is_empty());
    }
}
