//! The content of files: the table of what is cached, by file, and what keeps it in step with the index.
//!
//! `content.rs` is one file's state, `table.rs` what is shared by all of a file's, `read.rs` and `write.rs` are the ways
//! through it, `room.rs` makes room, `keep.rs` writes down in the index what became of it.
//! Locks: the table, then a content's state, then a file's place; nothing waits while it holds one.

mod content;
mod disk;
mod flight;
mod health;
mod index;
mod keep;
mod map;
mod own;
mod read;
mod room;
mod source;
mod table;
mod write;

pub(crate) use content::Content;
pub(crate) use source::Source;
pub(crate) use table::Place;
pub(crate) use write::{OwnChange, Sets};

use crate::CacheConfig;
use crate::ahead::pace::Pace;
use crate::origin::Origin;
use crate::stats::Counters;
use content::State;
use health::Health;
use index::Opened;
use map::BlockMap;
use own::Verdict;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use store::Store;
use table::Table;
use tokio::sync::{Notify, Semaphore};
use volume::{Attr, Error, ErrorKind, FileId, Result, VPath};

/// The cached content of a volume.
pub(crate) struct Blocks {
    root: PathBuf,
    limit: u64,
    index: Arc<Store>,
    counters: Arc<Counters>,
    origin: Arc<Origin>,
    /// The clock of the metadata tree.
    clock: Arc<AtomicU64>,
    table: Mutex<Table>,
    /// Bytes on disk.
    used: AtomicU64,
    /// Contents that differ from the index, by number.
    changed: Mutex<HashMap<u64, Arc<Content>>>,
    /// One writes the index at a time.
    index_turn: tokio::sync::Mutex<()>,
    pins: RwLock<Vec<VPath>>,
    health: Health,
    /// Bytes that may be in flight.
    budget: Arc<Semaphore>,
    budget_bytes: u64,
    pub(crate) pace: Mutex<Pace>,
    /// More is on disk than the limit.
    full: Notify,
    /// Held for the life of the cache: one cache per directory.
    _lock: std::fs::File,
}

/// Seconds since 1970.
fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Blocks {
    /// Opens what is in the cache's directory and removes what a crash left over.
    pub(crate) async fn open(
        config: &CacheConfig,
        origin: Arc<Origin>,
        counters: Arc<Counters>,
        clock: Arc<AtomicU64>,
    ) -> Result<Arc<Blocks>> {
        let (root, identity) = (config.directory.clone(), config.identity.clone());
        let opened = tokio::task::spawn_blocking(move || open_directory(&root, &identity)).await;
        let (lock, Opened { index, records, pins }) = opened.unwrap_or_else(|e| Err(failed(e)))?;
        index::claim(&index, config.identity.clone()).await.map_err(failed)?;
        let used = records.iter().map(|r| r.bytes).sum();
        let contents = records.into_iter().map(|record| Arc::new(Content::from_record(record))).collect();
        Ok(Arc::new(Blocks {
            root: config.directory.clone(),
            limit: config.size,
            index: Arc::new(index),
            counters,
            origin,
            clock,
            table: Mutex::new(Table::new(contents)),
            used: AtomicU64::new(used),
            changed: Mutex::default(),
            index_turn: Default::default(),
            pins: RwLock::new(pins),
            health: Health::default(),
            budget: Arc::new(Semaphore::new(config.buffer_max as usize)),
            budget_bytes: config.buffer_max,
            pace: Mutex::default(),
            full: Notify::new(),
            _lock: lock,
        }))
    }

    /// The content that goes with `attr`, which was asked for or told at `asked` (the tree's clock). Counts as one more
    /// open: give it back with [`Blocks::release`].
    pub(crate) fn acquire(&self, path: &VPath, attr: &Attr, asked: u64) -> Arc<Content> {
        let content = self.acquire_at(|| Place::new(attr.id, path.clone()), attr, asked);
        content.place.put(path);
        content
    }

    /// The same for who has the file open already, by whatever name, or else as it is at a new place.
    pub(crate) fn acquire_at(
        &self,
        new: impl FnOnce() -> Arc<Place>,
        attr: &Attr,
        asked: u64,
    ) -> Arc<Content> {
        let mut table = self.table.lock();
        let present = table.by_id.get(&attr.id).cloned();
        let content = match present.filter(|content| self.agrees(content, attr, asked)) {
            Some(content) => content,
            None => {
                let number = table.next_number;
                table.next_number += 1;
                let place = table.place(attr.id).cloned().unwrap_or_else(new);
                let new = Arc::new(Content::new(number, attr.version, attr.size, place));
                // Who reads it asks once more, when the answer may be old already.
                new.state.lock().recheck = new.place.knows_better(asked) || new.place.doubts(asked);
                new.place.is_known(asked);
                if let Some(old) = table.by_id.insert(attr.id, new.clone()) {
                    self.retire(&mut table, &old);
                }
                if table.by_id.len() > crate::CACHED_FILES_MAX {
                    self.full.notify_one();
                }
                new
            }
        };
        let mut state = content.state.lock();
        state.opens += 1;
        state.used = now_seconds();
        drop(state);
        content
    }

    /// What has taken the place of a content; one more open of that.
    pub(crate) fn acquire_successor(&self, content: &Content) -> Option<Arc<Content>> {
        if !content.state.lock().retired {
            return None;
        }
        // Held, or the successor might go before it is opened.
        let table = self.table.lock();
        let present = table.by_id.get(&content.id)?;
        let mut state = present.state.lock();
        (state.opens, state.used) = (state.opens + 1, now_seconds());
        Some(present.clone())
    }

    pub(crate) fn release(&self, content: &Arc<Content>) {
        let mut state = content.state.lock();
        state.opens -= 1;
        state.used = now_seconds();
        let (worth_noting, has_ended) =
            (state.bytes > 0 && !state.retired, state.opens == 0 && state.retired);
        drop(state);
        if worth_noting {
            self.note_change(content);
        }
        if has_ended {
            self.table.lock().has_ended(content.id);
        }
    }

    /// The origin told attributes: a content of another version goes, own changes are settled.
    pub(crate) fn observe(&self, attr: &Attr, asked: u64) {
        let mut table = self.table.lock();
        if let Some(content) = table.by_id.get(&attr.id).cloned()
            && !self.agrees(&content, attr, asked)
        {
            table.by_id.remove(&attr.id);
            self.retire(&mut table, &content);
        }
    }

    /// A notice named a version. It may be news, the echo of an own change, or older than what the content was
    /// made from: who has it open asks before the next read.
    ///
    /// One that names the very version we hold, and is no echo of ours nor of what was just fetched, makes the
    /// content go: writes through a memory map are told when the file is closed, and may leave no other trace.
    ///
    /// `clock`: when it came, on the tree's clock.
    pub(crate) fn noticed(&self, attr: &Attr, clock: u64) {
        let mut table = self.table.lock();
        if let Some(place) = table.place(attr.id) {
            place.is_doubted(clock);
        }
        let Some(content) = table.by_id.get(&attr.id).cloned() else { return };
        let mut state = content.state.lock();
        let same = state.version == attr.version && state.size == attr.size;
        let now = Instant::now();
        let echo = state.own.is_some() || state.echo_until.is_some_and(|until| now < until);
        let settled = match &mut state.own {
            // The version before our changes may be named late; it says nothing about what came between.
            Some(own) => (same || own.named(attr.version)) && own.is_settled(),
            None => true,
        };
        if same && settled && echo {
            return;
        }
        state.recheck = true;
        drop(state);
        if same && !echo {
            table.by_id.remove(&attr.id);
            self.retire(&mut table, &content);
        }
    }

    /// The file is opened for writing here, or such an open ends: the origin will tell of it.
    pub(crate) fn expect_echo(&self, content: &Content) {
        content.state.lock().echo_until = Some(Instant::now() + crate::OWN_ECHO);
    }

    /// Anything may have changed: every open content is asked for again before its next read.
    pub(crate) fn doubt_all(&self) {
        let (table, clock) = (self.table.lock(), self.tick());
        table.places().for_each(|place| place.is_doubted(clock));
        for content in table.by_id.values() {
            let mut state = content.state.lock();
            state.recheck |= state.opens > 0;
            if let Some(own) = &mut state.own {
                own.doubt();
            }
        }
    }

    /// Whether `content` is the content that `attr` describes, or will be by own changes under way.
    fn agrees(&self, content: &Arc<Content>, attr: &Attr, asked: u64) -> bool {
        let mut state = content.state.lock();
        let told = state.beside(attr);
        let same = told.is_same && told.size_fits;
        let verdict = match &mut state.own {
            Some(own) if !own.is_settled() => own.settle(asked, told),
            Some(own) if own.is_in_doubt() => Verdict::Drop,
            Some(_) | None if same => {
                // An answer asked for before the doubt arose takes nothing of it back.
                state.recheck &= content.place.doubts(asked);
                content.place.is_known(asked);
                return true;
            }
            // It was overtaken by what we have done, or asked for, since.
            Some(_) | None if content.place.knows_better(asked) => Verdict::Later,
            Some(_) | None => Verdict::Drop,
        };
        self.judge(content, &mut state, attr, verdict)
    }

    fn judge(&self, content: &Arc<Content>, state: &mut State, attr: &Attr, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Keep => {
                tracing::trace!(number = content.number, "our changes made {:?}", attr.version);
                (state.version, state.recheck) = (attr.version, false);
                if let Some(own) = &state.own {
                    content.place.is_known(own.last());
                }
                self.keep_own_blocks(state);
                self.note_change(content);
                true
            }
            Verdict::Later => true,
            Verdict::Drop => false,
        }
    }

    /// After own writes: what is not wholly ours may be older than the version that is adopted.
    fn keep_own_blocks(&self, state: &mut State) {
        let Some(own) = state.own.take_if(|own| own.is_of_content()) else { return };
        state.spoil(&(0..u64::MAX - crate::BLOCK_BYTES));
        let size = state.size;
        if let Some(map) = &mut state.map {
            let all = 0..size.div_ceil(crate::BLOCK_BYTES);
            let others: Vec<u64> =
                map.present(all).filter(|block| !own.keeps(*block, disk::length_of(*block, size))).collect();
            for block in others {
                map.clear(block);
            }
        }
        state.own = Some(own);
        self.account(state);
    }

    /// Takes a content out of use. The caller took it out of the table.
    fn retire(&self, table: &mut Table, content: &Arc<Content>) {
        let mut state = content.state.lock();
        state.retired = true;
        if state.opens > 0 {
            table.outlives(content);
        }
        self.used.fetch_sub(std::mem::take(&mut state.bytes), SeqCst);
        drop(state);
        self.note_change(content);
    }

    /// The content of a file, if there is one.
    pub(crate) fn find(&self, id: FileId) -> Option<Arc<Content>> {
        self.table.lock().by_id.get(&id).cloned()
    }

    /// A file or directory has another name now; `attr` is what it is.
    pub(crate) fn renamed(&self, from: &VPath, to: &VPath, attr: Option<&Attr>) {
        let places: Vec<Arc<Place>> = match attr.filter(|attr| !attr.is_dir()) {
            Some(attr) => self.table.lock().place(attr.id).cloned().into_iter().collect(),
            None => self.table.lock().places().cloned().collect(),
        };
        for place in places {
            if place.follow(from, to)
                && let Some(content) = self.find(place.id)
            {
                self.note_change(&content);
            }
        }
    }

    /// Where a file is, and the way to its origin, if somebody has it open who may need that when it loses its name. Though
    /// all of it is here, he may have to ask for what others have made of it.
    pub(crate) fn needs_origin(&self, id: FileId) -> Option<(Arc<Place>, Arc<Source>)> {
        let table = self.table.lock();
        let place = table.place(id)?;
        Some((place.clone(), place.source_in_use()?))
    }

    /// Counts again what a content takes on disk.
    fn account(&self, state: &mut State) {
        let bytes = if state.retired { 0 } else { state.disk_bytes() };
        let before = std::mem::replace(&mut state.bytes, bytes);
        self.used.fetch_add(bytes, SeqCst);
        self.used.fetch_sub(before, SeqCst);
    }

    fn note_change(&self, content: &Arc<Content>) {
        self.changed.lock().insert(content.number, content.clone());
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, SeqCst) + 1
    }

    /// Makes the claims about a content's blocks available.
    async fn load(&self, content: &Arc<Content>) {
        if content.state.lock().map.is_some() {
            return;
        }
        let number = content.number;
        let rows = self.index.read(move |db| index::claims(db, number)).await.unwrap_or_else(|e| {
            tracing::warn!("cache index: {e}; the file counts as not cached");
            Vec::new()
        });
        let mut state = content.state.lock();
        if state.map.is_none() {
            let mut map = BlockMap::default();
            for (group, row) in rows {
                if !map.load(group, &row) {
                    tracing::warn!(number, group, "cache index: a row makes no sense; it is ignored");
                }
            }
            map.clear_from(state.size.div_ceil(crate::BLOCK_BYTES));
            state.map = Some(map);
            self.account(&mut state);
        }
    }

    pub(crate) fn pins(&self) -> Vec<VPath> {
        self.pins.read().clone()
    }

    /// Pins or unpins; `false` when an unpinned path was not pinned.
    pub(crate) async fn set_pin(&self, path: &VPath, pinned: bool) -> Result<bool> {
        let there = self.pins.read().contains(path);
        if there == pinned {
            return Ok(pinned);
        }
        let row = path.clone();
        self.index.write(move |db| index::set_pin(db, &row, pinned)).await.map_err(failed)?;
        let mut pins = self.pins.write();
        pins.retain(|pin| pin != path);
        if pinned {
            pins.push(path.clone());
        }
        Ok(true)
    }

    /// Bytes on disk, files with blocks, and why nothing is stored, if so.
    pub(crate) fn extent(&self) -> (u64, u64, Option<String>) {
        let contents = self.table.lock();
        let files = contents.by_id.values().filter(|content| content.state.lock().bytes > 0).count();
        (self.used.load(SeqCst), files as u64, self.health.reason())
    }
}

fn open_directory(root: &std::path::Path, identity: &str) -> Result<(std::fs::File, Opened)> {
    disk::make_private_dir(&root.join("data")).map_err(failed)?;
    let lock = std::fs::File::create(root.join("lock")).map_err(failed)?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|e| {
        let story = format!("{}: another process uses this cache", root.display());
        Error::new(ErrorKind::Busy, "open cache", story).because(e)
    })?;
    let opened = index::open(root, identity)?;
    let known: std::collections::HashSet<u64> = opened.records.iter().map(|r| r.number).collect();
    let removed = disk::sweep(root, |number| known.contains(&number)).map_err(failed)?;
    if removed > 0 {
        tracing::info!(removed, "removed data files that the index does not know");
    }
    Ok((lock, opened))
}

fn failed(e: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Io, "cache", "the cache's directory").because(e)
}
