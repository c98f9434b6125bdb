//! Fetching before anybody asks: the next small files of a directory, the next directories of a walk.
//! When and what is decided in `ahead/`; here it is done, in tasks nobody waits for.

use crate::cache::Cache;
use crate::{SIBLINGS_AHEAD_MAX, SMALL_FILE_BYTES};
use std::sync::Arc;
use std::time::Instant;
use volume::{Cx, Entry, Priority, VPath};

/// Siblings looked at for the next ones that are worth fetching, entries.
const LOOK_AHEAD: usize = 4 * SIBLINGS_AHEAD_MAX;
/// Directories listed ahead of a walk at a time. Each costs a round trip: at 100 ms a client walks through some 300
/// in a second.
const WALKERS_MAX: usize = 32;
/// Following siblings of a directory that are looked at for one without listing.
const WALK_LOOK_AHEAD: usize = 256;

impl Cache {
    /// A client begins to read the small file at `path`.
    pub(crate) fn small_file_read(self: &Arc<Self>, path: &VPath) {
        let Some(dir) = path.parent() else { return };
        let window = self.window_ceiling();
        let wanted = self.siblings.lock().on_read(&dir, path.name(), window, Instant::now());
        let Some(wanted) = wanted else { return };
        if self.is_offline() {
            return;
        }
        let (promise, now) = (self.promise(), self.now_ms());
        let next = {
            let tree = self.tree.lock();
            tree.has_listing(&dir, promise, now).then(|| tree.following(&dir, &wanted.after, LOOK_AHEAD))
        };
        let Some(next) = next else {
            let cache = self.clone();
            tokio::spawn(async move {
                if let Err(e) = cache.have_listing(&Cx::system(Priority::Bulk), &dir).await {
                    tracing::debug!("listing {dir} to read ahead: {e}");
                }
            });
            return;
        };
        let (mut files, mut bytes) = (wanted.files, wanted.bytes);
        for entry in next {
            if files == 0 || bytes == 0 {
                break;
            }
            let fetch = self.is_worth_fetching(&entry) && entry.attr.size <= bytes;
            self.siblings.lock().passed(&dir, &entry.name, fetch.then_some(entry.attr.size));
            if let (true, Ok(path)) = (fetch, dir.join(&entry.name)) {
                (files, bytes) = (files - 1, bytes - entry.attr.size);
                self.fetch_small(path, entry);
            }
        }
    }

    fn is_worth_fetching(&self, entry: &Entry) -> bool {
        let attr = &entry.attr;
        let cached = || {
            self.blocks.find(attr.id).is_some_and(|content| {
                let state = content.state.lock();
                state.version == attr.version && (state.bytes > 0 || !state.flights.is_empty())
            })
        };
        attr.is_file() && (1..=SMALL_FILE_BYTES).contains(&attr.size) && !cached()
    }

    /// Fetches a whole small file; its opening and its bytes cost one round trip together.
    fn fetch_small(self: &Arc<Self>, path: VPath, entry: Entry) {
        let cache = self.clone();
        tokio::spawn(async move {
            let known = cache.tree.lock().peek_when(&path);
            let Some((attr, told)) = known.filter(|(attr, _)| attr.id == entry.attr.id) else { return };
            let content = cache.blocks.acquire(&path, &attr, told);
            let source = content.place.source(&cache.origin);
            // Registers the requests; who reads the file joins them.
            cache.blocks.read_ahead(&content, &source, 0..attr.size, Priority::Bulk).await;
            cache.blocks.release(&content);
        });
    }

    /// A walk listed `dir`: lists ahead what comes next, its own directories and those behind it.
    pub(crate) fn list_further(self: &Arc<Self>, dir: &VPath) {
        if self.is_offline() {
            return;
        }
        let (promise, now) = (self.promise(), self.now_ms());
        let mut next = Vec::new();
        {
            let tree = self.tree.lock();
            let mut look = |parent: &VPath, after: &str| {
                for entry in tree.following(parent, after, WALK_LOOK_AHEAD) {
                    let Ok(path) = parent.join(&entry.name) else { continue };
                    if entry.attr.is_dir()
                        && next.len() < WALKERS_MAX
                        && !tree.has_listing(&path, promise, now)
                    {
                        next.push(path);
                    }
                }
            };
            look(dir, "");
            if let Some(parent) = dir.parent() {
                look(&parent, dir.name());
            }
        }
        next.retain(|path| !self.listing.lock().contains_key(path));
        let free = WALKERS_MAX.saturating_sub(self.listing.lock().len());
        for path in next.into_iter().take(free) {
            let cache = self.clone();
            tokio::spawn(async move {
                if let Err(e) = cache.have_listing(&Cx::system(Priority::Bulk), &path).await {
                    tracing::debug!("listing {path} ahead of a walk: {e}");
                }
            });
        }
    }
}
