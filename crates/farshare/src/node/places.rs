//! The volumes of a node, and those whose origin was never reached.
//!
//! States of a place: *waiting* (its origin was not reached since the start, and nobody remembers what it can do) and
//! *served*. There is no way back: a volume that was served once answers `Offline` by itself. While one waits, its
//! share is not there, peers that may use it are told `Offline`, and the status says why. All others are served.

use super::{Node, mounts};
use crate::acquainted::Pauses;
use crate::config::{Config, VolumeSettings};
use crate::failure::Failure;
use crate::stack::{self, Peers, Stack, Trouble};
use front_peer::Offered;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;
use vfs::{Vfs, VfsConfig};
use volume::Error;

/// A volume of the configuration.
pub(super) struct Place {
    /// As they were at the start; rights are those of the configuration in force.
    pub settings: VolumeSettings,
    /// Empty while it waits.
    pub served: OnceLock<Served>,
    waiting: Mutex<Option<Waiting>>,
}

/// Why a volume is not served yet.
#[derive(Clone)]
pub(super) struct Waiting {
    pub since: SystemTime,
    pub why: String,
    /// Before the next attempt.
    pause: Duration,
}

/// A volume with its layers.
pub(super) struct Served {
    pub stack: Stack,
    pub vfs: Vfs,
}

impl Served {
    fn new(stack: Stack) -> Served {
        let list_ahead = if stack.cache.is_some() { layer_cache::LIST_AHEAD_ENTRIES } else { 0 };
        let config = VfsConfig { list_ahead, ..VfsConfig::default() };
        Served { vfs: Vfs::new(stack.top.clone(), config), stack }
    }
}

impl Place {
    /// # Errors
    /// What waiting would not mend.
    async fn fill(settings: VolumeSettings, peers: Option<&Peers>, state: &Path) -> Result<Place, Failure> {
        let (served, waiting) = match stack::build(&settings, peers, state).await {
            Ok(stack) => (OnceLock::from(Served::new(stack)), None),
            Err(Trouble::Unreached(why)) => {
                let (volume, origin) = (&settings.name, settings.origin.to_string());
                tracing::error!(volume, origin, %why, "never reached so far; it is served when it is");
                let pause = Pauses::default().after(&why);
                let waiting = Waiting { since: SystemTime::now(), why: why.to_string(), pause };
                (OnceLock::new(), Some(waiting))
            }
            Err(trouble) => return Err(trouble.of(&settings)),
        };
        Ok(Place { settings, served, waiting: Mutex::new(waiting) })
    }

    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// `None` once it is served.
    pub fn waiting(&self) -> Option<Waiting> {
        if self.served.get().is_some() {
            return None;
        }
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn still_waiting(&self, why: &Error, pause: Duration) {
        if let Some(waiting) = &mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) {
            (waiting.why, waiting.pause) = (why.to_string(), pause);
        }
    }
}

/// Builds volumes side by side, so that none waits for the origin of another. In order of their names.
pub(super) async fn fill(
    volumes: impl Iterator<Item = &VolumeSettings>,
    peers: Option<&Peers>,
    state: &Path,
) -> Result<Vec<Arc<Place>>, Failure> {
    let mut filling = JoinSet::new();
    for settings in volumes {
        let (settings, peers, state) = (settings.clone(), peers.cloned(), state.to_owned());
        filling.spawn(async move { Place::fill(settings, peers.as_ref(), &state).await });
    }
    let mut places = Vec::with_capacity(filling.len());
    for filled in filling.join_all().await {
        places.push(Arc::new(filled?));
    }
    places.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(places)
}

/// What peers are offered.
pub(super) fn offers(config: &Config, places: &[Arc<Place>]) -> HashMap<String, Offered> {
    let offered = places.iter().filter_map(|place| {
        let allow: Vec<_> = config.volume(place.name())?.allow.iter().map(|peer| peer.0.clone()).collect();
        (!allow.is_empty()).then(|| {
            let volume = place.served.get().map(|served| served.stack.for_peers());
            (place.name().to_owned(), Offered { volume, allow })
        })
    });
    offered.collect()
}

impl Node {
    /// A task for each volume that waits, and for each that mounts wait for.
    pub(super) fn wait_for_origins(self: &Arc<Node>) {
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        for place in &self.volumes {
            let (node, place) = (Arc::downgrade(self), place.clone());
            match place.served.get() {
                Some(_) => late.spawn(mounts::mount_when_it_answers(node, place)),
                None => late.spawn(wait_for(node, place)),
            };
        }
    }

    /// Puts a volume that has come before clients and peers.
    fn take_up(&self, place: &Place) {
        tracing::info!(volume = place.name(), origin = %place.settings.origin, "reached; it is served now");
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(server), Some(settings)) = (&self.smb, &config.smb) {
            server.set_shares(super::shares(&self.volumes, &settings.shares));
        }
        if let Some(link) = &self.link {
            link.server.offer(offers(&config, &self.volumes));
        }
    }
}

/// Tries until the origin is reached.
async fn wait_for(node: Weak<Node>, place: Arc<Place>) {
    let mut pauses = Pauses::default();
    while let Some(waiting) = place.waiting() {
        tokio::time::sleep(waiting.pause).await;
        let Some((peers, state)) = node
            .upgrade()
            .map(|node| (node.link.as_ref().map(|link| link.peers.clone()), node.config().state))
        else {
            return;
        };
        match stack::build(&place.settings, peers.as_ref(), &state).await {
            Ok(stack) => {
                let served = place.served.set(Served::new(stack)).is_ok();
                assert!(served, "only this task fills the place");
                if let Some(node) = node.upgrade() {
                    node.take_up(&place);
                }
                return mounts::mount_when_it_answers(node, place).await;
            }
            Err(trouble) => {
                if let Trouble::Wrong(why) = &trouble {
                    tracing::error!(volume = place.name(), %why, "cannot be served");
                }
                let (Trouble::Unreached(why) | Trouble::Wrong(why)) = trouble;
                place.still_waiting(&why, pauses.after(&why));
            }
        }
    }
}
