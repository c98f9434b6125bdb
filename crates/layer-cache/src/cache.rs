//! What the volume, its files and its tasks share.

use crate::ahead::siblings::Siblings;
use crate::ahead::walk::Walk;
use crate::blocks::{Blocks, Content};
use crate::meta::tree::{Lookup, Promise, Stamp, Tree};
use crate::notices::Upward;
use crate::origin::Origin;
use crate::stats::Counters;
use crate::{CacheConfig, WINDOW_CEILING_MIN_BYTES};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;
use volume::{Attr, Freshness, Result, Space, Time, VPath, Volume};

/// The state behind a cache. Locks: the tree, the siblings and the walk are each held for moments, never
/// together and never over a wait.
pub(crate) struct Cache {
    pub config: CacheConfig,
    pub origin: Arc<Origin>,
    pub blocks: Arc<Blocks>,
    pub counters: Arc<Counters>,
    pub tree: Mutex<Tree>,
    /// Listings being fetched: one request for each directory.
    pub listing: Mutex<HashMap<VPath, Arc<tokio::sync::Mutex<()>>>>,
    pub siblings: Mutex<Siblings>,
    pub walk: Mutex<Walk>,
    /// Room at the origin as it said last; clients ask for it with every listing, also while it is away.
    pub space: Mutex<Option<Space>>,
    /// What this cache promises; the watch and the state of the link make it.
    pub promise: watch::Sender<Freshness>,
    pub upward: Upward,
    started: Instant,
}

impl Cache {
    pub(crate) async fn open(inner: Arc<dyn Volume>, config: CacheConfig) -> Result<Arc<Cache>> {
        let origin = Arc::new(Origin::new(inner, config.patience));
        let counters = Arc::new(Counters::default());
        let case_sensitive = origin.inner().caps().case_sensitive;
        let tree = Tree::new(config.meta_entries_max, config.meta_bytes_max, case_sensitive);
        let blocks = Blocks::open(&config, origin.clone(), counters.clone(), tree.clock().clone()).await?;
        Ok(Arc::new(Cache {
            promise: watch::channel(Freshness::Polled { every: config.poll_every }).0,
            config,
            origin,
            blocks,
            counters,
            tree: Mutex::new(tree),
            listing: Mutex::default(),
            siblings: Mutex::new(Siblings::new()),
            walk: Mutex::default(),
            space: Mutex::default(),
            upward: Upward::default(),
            started: Instant::now(),
        }))
    }

    /// Milliseconds since the cache was opened.
    pub(crate) fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// A request to the origin begins.
    pub(crate) fn ask(&self) -> Stamp {
        let now = self.now_ms();
        self.tree.lock().ask(now)
    }

    pub(crate) fn is_offline(&self) -> bool {
        self.origin.down_since().is_some()
    }

    /// How far knowledge goes now.
    pub(crate) fn promise(&self) -> Promise {
        match *self.promise.borrow() {
            // Offline, everything is served; doubt that was cast before stays visible.
            Freshness::Notified | Freshness::Leased | Freshness::Offline { .. } => Promise::Notices,
            Freshness::Polled { every } => Promise::For(every.as_millis() as u64),
            Freshness::Direct => Promise::For(0),
        }
    }

    pub(crate) fn lookup(&self, path: &VPath) -> Lookup {
        let (promise, now) = (self.promise(), self.now_ms());
        self.tree.lock().lookup(path, promise, now)
    }

    /// The origin told attributes of a name.
    pub(crate) fn learn(&self, path: &VPath, attr: Attr, asked: Stamp) {
        self.tree.lock().learn(path, attr, asked);
        if attr.is_file() {
            self.blocks.observe(&attr, asked.clock);
        }
    }

    /// The origin told attributes of an open file, which may have lost its name meanwhile.
    pub(crate) fn learn_of_open(&self, content: &Content, attr: Attr, asked: Stamp) {
        let path = content.place.path();
        let mut tree = self.tree.lock();
        if attr.links > 0 && tree.peek(&path).is_some_and(|known| known.id == attr.id) {
            tree.learn(&path, attr, asked);
        }
        drop(tree);
        self.blocks.observe(&attr, asked.clock);
    }

    /// When the content was last written, if it is what the origin has, by a promise of notices: the ground for
    /// keeping it over a change of our own.
    pub(crate) fn known_since(&self, content: &Content) -> Option<Time> {
        let (path, version) = (content.place.path(), content.state.lock().version);
        let notified = matches!(*self.promise.borrow(), Freshness::Notified | Freshness::Leased);
        let same = |attr: Attr| attr.id == content.id && attr.version == version;
        match self.lookup(&path) {
            Lookup::Believed(attr) if notified && same(attr) => Some(attr.mtime),
            Lookup::Believed(_) | Lookup::Doubtful(_) | Lookup::Absent | Lookup::Unknown => None,
        }
    }

    /// Largest read-ahead window now: enough to keep the link busy, with room for what is not measured well.
    pub(crate) fn window_ceiling(&self) -> u64 {
        let most = self.config.read_ahead_max;
        let measured = self.blocks.pace.lock().on_the_way();
        measured.map_or(most, |bytes| (4 * bytes).max(WINDOW_CEILING_MIN_BYTES).min(most))
    }

    /// Nothing learnt so far is believed without asking.
    pub(crate) fn doubt_everything(&self) {
        self.tree.lock().doubt_everything();
        self.blocks.doubt_all();
    }
}
