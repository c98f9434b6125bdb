//! Making room: eviction, and dropping everything on request. Which file goes is decided in `crate::evict`.

use super::map::block_of;
use super::{Blocks, Content};
use crate::evict::{Candidate, Take, choose};
use crate::{BLOCK_BYTES, CACHED_FILES_MAX};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

/// Eviction goes on until this part of the limit is used, percent.
const LOW_WATER: u64 = 90;
/// The same for the limit on files. All are looked at each time, so many go at once.
const FILES_LOW_WATER: usize = 95;
/// What may be stored beyond the limit while eviction is under way, part of the limit.
const SLACK: u64 = 16;

impl Blocks {
    /// Whether more may be stored: while pins take all there is, the rest passes through.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        let slack = (self.limit / SLACK).max(crate::FETCH_BYTES * 4);
        let fits = self.used.load(SeqCst) + bytes <= self.limit + slack;
        if !fits {
            self.full.notify_one();
        }
        fits
    }

    /// Evicts whenever more is on disk than the limit; for a task of its own.
    pub(crate) async fn keep_room(self: Arc<Self>) {
        loop {
            self.full.notified().await;
            let files = self.table.lock().by_id.len();
            let used = self.used.load(SeqCst);
            let (bytes, files) = (bytes_over(used, self.limit), files_over(files, CACHED_FILES_MAX));
            if bytes > 0 || files > 0 {
                self.evict(bytes, files).await;
            }
        }
    }

    /// Frees at least `bytes` and forgets `files` files, as far as pins allow; returns the bytes freed.
    pub(crate) async fn evict(&self, bytes: u64, files: usize) -> u64 {
        let contents: Vec<Arc<Content>> = self.table.lock().by_id.values().cloned().collect();
        let candidates =
            contents.iter().enumerate().map(|(key, content)| self.candidate(key, content)).collect();
        let mut freed = 0;
        for (key, take) in choose(candidates, bytes, files) {
            let content = &contents[key];
            freed += match take {
                Take::All => self.forget(content),
                Take::Start(bytes) => self.cut_start(content, bytes).await,
            };
        }
        self.counters.evicted_bytes.add(freed);
        freed
    }

    /// Drops all content, pinned or not; returns the bytes freed.
    pub(crate) async fn flush(&self) -> u64 {
        let contents: Vec<Arc<Content>> = self.table.lock().by_id.values().cloned().collect();
        let mut freed = 0;
        for content in contents {
            freed += match self.forget(&content) {
                0 => self.cut_start(&content, u64::MAX).await,
                bytes => bytes,
            };
        }
        freed
    }

    fn candidate(&self, key: usize, content: &Content) -> Candidate<usize> {
        let state = content.state.lock();
        let open = state.opens > 0 || !state.flights.is_empty();
        let pinned = self.pins.read().iter().any(|pin| content.place.is_within(pin));
        Candidate { key, bytes: state.bytes, used: state.used, open, pinned }
    }

    /// Takes a content that nobody uses out of the cache; returns its bytes, 0 when somebody does.
    fn forget(&self, content: &Arc<Content>) -> u64 {
        let mut table = self.table.lock();
        let state = content.state.lock();
        if state.opens > 0 || !state.flights.is_empty() || state.retired {
            return 0;
        }
        let bytes = state.bytes;
        drop(state);
        table.by_id.remove(&content.id);
        self.retire(&mut table, content);
        bytes
    }

    /// Drops blocks from the start of a file until `bytes` are free; returns the bytes freed. Readers who are
    /// about to read them look a second time and find them missing.
    async fn cut_start(&self, content: &Arc<Content>, bytes: u64) -> u64 {
        self.load(content).await;
        let _turn = content.turn.lock().await;
        let (freed, range) = {
            let mut state = content.state.lock();
            let before = state.bytes;
            let end = block_of(state.size) + 1;
            let Some(map) = &mut state.map else { return 0 };
            let gone: Vec<u64> = map.present(0..end).take(bytes.div_ceil(BLOCK_BYTES) as usize).collect();
            let (Some(first), Some(last)) = (gone.first(), gone.last()) else { return 0 };
            let range = *first..last + 1;
            map.clear_all(range.clone());
            self.account(&mut state);
            (before - state.bytes, range)
        };
        self.note_change(content);
        let (found, root) = (content.clone(), self.root.clone());
        let punched = tokio::task::spawn_blocking(move || found.file(&root)?.punch(&range)).await;
        if let Err(e) = punched.unwrap_or_else(|e| Err(std::io::Error::other(e))) {
            self.health.failed("freeing blocks", &e);
        }
        freed
    }
}

/// What has to go when `used` bytes are stored.
fn bytes_over(used: u64, limit: u64) -> u64 {
    if used > limit { used - limit / 100 * LOW_WATER } else { 0 }
}

/// How many of `files` have to go.
fn files_over(files: usize, limit: usize) -> usize {
    if files > limit { files - limit / 100 * FILES_LOW_WATER } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_within_the_limits_and_much_at_once_beyond() {
        assert_eq!((bytes_over(1000, 1000), files_over(1000, 1000)), (0, 0));
        assert_eq!((bytes_over(1001, 1000), files_over(1001, 1000)), (101, 51));
        let room = CACHED_FILES_MAX + 1 - files_over(CACHED_FILES_MAX + 1, CACHED_FILES_MAX);
        assert_eq!(room, CACHED_FILES_MAX / 20 * 19);
    }
}
