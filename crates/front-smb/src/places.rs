//! How many of something there are from each place: connections on which no user has logged in, sessions of guests.

use crate::tally::Tally;
use crate::turns::place_of;
use std::net::IpAddr;

pub(crate) struct Places(Tally<IpAddr>);

impl Places {
    /// At most so many from each.
    pub(crate) fn new(most: usize) -> Places {
        Places(Tally::new(most))
    }

    /// One more from there; false where there are as many as may be.
    pub(crate) fn enter(&self, address: IpAddr) -> bool {
        self.0.enter(place_of(address))
    }

    /// One that entered is there no more.
    pub(crate) fn leave(&self, address: IpAddr) {
        self.0.leave(&place_of(address));
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
        assert!(places.0.is_empty());
    }
}
