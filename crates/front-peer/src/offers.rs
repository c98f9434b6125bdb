//! What is offered to whom. Replaceable while it is served: volumes come when their origin was reached for the
//! first time, and rights change with the configuration.

use crate::feed::Feed;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use volume::{Error, ErrorKind, Result, Volume};

/// A volume, and the sites that may use it.
#[derive(Clone)]
pub struct Offered {
    /// `None` as long as its origin was never reached: calls answer `Offline`, so that nobody takes the volume
    /// for one that does not exist.
    pub volume: Option<Arc<dyn Volume>>,
    /// Names of sites, as certified.
    pub allow: Vec<String>,
}

/// A volume with its feed, as it is served.
pub(crate) struct Served {
    pub volume: Arc<dyn Volume>,
    pub feed: Arc<Feed>,
}

struct Offer {
    served: Option<Arc<Served>>,
    allow: Vec<String>,
}

/// The table of offers, by name of the volume.
#[derive(Default)]
pub(crate) struct Offers {
    table: RwLock<HashMap<String, Offer>>,
}

impl Offer {
    fn allows(&self, site: &str) -> bool {
        self.allow.iter().any(|allowed| allowed == site)
    }
}

impl Offers {
    /// Takes the place of all offers before. A volume that stays keeps its feed.
    pub fn replace(&self, offered: HashMap<String, Offered>) {
        let mut table = self.table.write();
        let mut known: HashMap<String, Arc<Served>> =
            table.drain().filter_map(|(name, offer)| Some((name, offer.served?))).collect();
        for (name, Offered { volume, allow }) in offered {
            let before = known.remove(&name);
            let served = volume.map(|volume| match before {
                Some(same) if Arc::ptr_eq(&same.volume, &volume) => same,
                _ => Arc::new(Served { feed: Feed::new(volume.clone()), volume }),
            });
            table.insert(name, Offer { served, allow });
        }
    }

    /// Whether `site` may use the volume.
    pub fn allows(&self, site: &str, name: &str) -> bool {
        self.table.read().get(name).is_some_and(|offer| offer.allows(site))
    }

    /// A volume that is offered to `site`. One that is not looks like one that does not exist.
    ///
    /// # Errors
    /// `NotFound`; `Offline` for one whose origin was never reached.
    pub fn of(&self, op: &'static str, site: &str, name: &str) -> Result<Arc<Served>> {
        let table = self.table.read();
        let Some(offer) = table.get(name).filter(|offer| offer.allows(site)) else {
            return Err(Error::new(ErrorKind::NotFound, op, format!("volume {name}")));
        };
        offer.served.clone().ok_or_else(|| {
            Error::new(ErrorKind::Offline, op, format!("volume {name}"))
                .because("its origin was not reached since the gateway was started")
        })
    }
}
