//! Reading: from disk where a block is here and right, from a transfer that is under way, or by a new one.
//!
//! A block read from disk is checked against its sum. If it does not match, it is read a second time with the
//! content's turn held, when no write can be between the bytes and the claim; only then it counts as corrupt,
//! is dropped and fetched again.

use super::content::{Piece, Plan};
use super::disk::{mismatches, part_of, sums_of};
use super::flight::Flight;
use super::{Blocks, Content, Source};
use crate::origin::is_out_of_reach;
use crate::{FETCH_BYTES, FIRST_FETCH_BYTES};
use bytes::{Bytes, BytesMut};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;
use volume::{Cx, Error, ErrorKind, Priority, Result};

/// How often a read starts over because a block was bad or another's request failed.
const TRIES: usize = 3;
/// Pause before a request that was refused as offline is sent again, when nobody knows of a loss.
const AGAIN_AFTER: Duration = Duration::from_millis(200);
/// How long one request for data may take.
const FETCH_PATIENCE: Duration = Duration::from_secs(30);
/// Reads up to this size are tried on the asynchronous thread when the page cache has them, bytes.
const INLINE_READ_BYTES: u64 = 1 << 20;
/// Part of the budget that read-ahead leaves to those who wait.
const RESERVE: u64 = 4;

/// Bytes that are in flight, until this is dropped.
struct InFlight {
    blocks: Arc<Blocks>,
    bytes: u64,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.blocks.counters.in_flight_bytes.sub(self.bytes);
    }
}

impl Blocks {
    /// Reads `bytes`, cut at the end of the file. `sequential` lets the first request be large at once.
    pub(crate) async fn read(
        self: &Arc<Self>,
        cx: &Cx,
        content: &Arc<Content>,
        source: &Arc<Source>,
        bytes: Range<u64>,
        sequential: bool,
    ) -> Result<Bytes> {
        let first = if sequential { FETCH_BYTES } else { FIRST_FETCH_BYTES };
        for attempt in 1.. {
            self.load(content).await;
            if self.health.is_degraded() && !self.is_here(content, &bytes) {
                return self.pass_through(cx, content, source, bytes).await;
            }
            let plan = content.state.lock().plan(bytes.clone(), first, FETCH_BYTES);
            self.count(&plan);
            for (n, flight) in plan.new.iter().enumerate() {
                let priority = if n == 0 { cx.priority } else { cx.priority.min(Priority::Bulk) };
                self.start(content, source, flight, cx.at(priority), None);
            }
            match self.gather(cx, content, &plan, &bytes).await {
                Ok(Some(read)) => return Ok(read),
                Ok(None) if attempt < TRIES => {}
                Ok(None) => break,
                // Somebody else's request failed, perhaps with his handle: make our own.
                Err(e) if plan.new.is_empty() && attempt < TRIES && !is_out_of_reach(&e) => {}
                Err(e) => return Err(e),
            }
        }
        self.pass_through(cx, content, source, bytes).await
    }

    /// Has `bytes` fetched without waiting, as far as the budget goes. Returns whether anything was started.
    pub(crate) async fn read_ahead(
        self: &Arc<Self>,
        content: &Arc<Content>,
        source: &Arc<Source>,
        bytes: Range<u64>,
        priority: Priority,
    ) -> bool {
        if bytes.is_empty() || self.health.is_degraded() || self.origin.down_since().is_some() {
            return false;
        }
        self.load(content).await;
        let free = self.budget.available_permits() as u64;
        let budget = free.saturating_sub(self.budget_bytes / RESERVE);
        let new = content.state.lock().plan_ahead(bytes, FETCH_BYTES, budget);
        for flight in &new {
            self.counters.prefetched_bytes.add(flight.length());
            let permit = self.budget.clone().try_acquire_many_owned(flight.length() as u32).ok();
            self.start(content, source, flight, Cx::system(priority), permit);
        }
        !new.is_empty()
    }

    fn count(&self, plan: &Plan) {
        self.counters.hit_bytes.add(plan.hit_bytes);
        self.counters.miss_bytes.add(plan.miss_bytes);
        self.counters.prefetched_used_bytes.add(plan.used_bytes);
    }

    /// Whether all of `bytes` is on disk.
    pub(crate) async fn has(&self, content: &Arc<Content>, bytes: Range<u64>) -> bool {
        self.load(content).await;
        self.is_here(content, &bytes)
    }

    fn is_here(&self, content: &Content, bytes: &Range<u64>) -> bool {
        let state = content.state.lock();
        let end = bytes.end.min(state.size);
        bytes.start >= end || super::map::blocks_of(bytes.start..end).all(|block| state.has(block))
    }

    async fn pass_through(
        &self,
        cx: &Cx,
        content: &Content,
        source: &Source,
        bytes: Range<u64>,
    ) -> Result<Bytes> {
        let length = u32::try_from(bytes.end - bytes.start).unwrap_or(u32::MAX);
        let read = source.read(cx, content, bytes.start, length).await?;
        self.counters.miss_bytes.add(read.len() as u64);
        self.counters.fetched_bytes.add(read.len() as u64);
        Ok(read)
    }

    /// `None` when a block on disk was bad: plan again.
    async fn gather(
        &self,
        cx: &Cx,
        content: &Arc<Content>,
        plan: &Plan,
        bytes: &Range<u64>,
    ) -> Result<Option<Bytes>> {
        let bytes = bytes.start..bytes.end.min(plan.size);
        let mut parts = Vec::with_capacity(plan.pieces.len());
        for piece in &plan.pieces {
            let part = match piece {
                Piece::Flight(flight) => part_of(&flight.wait(cx).await?, flight.bytes.start, &bytes),
                Piece::Disk(blocks, sums) => {
                    let run = super::map::bytes_of(blocks, plan.size);
                    match self.read_disk(content, blocks, sums, plan.size).await {
                        Some(data) => part_of(&data, run.start, &bytes),
                        None => return Ok(None),
                    }
                }
            };
            parts.push(part);
        }
        if parts.len() == 1 {
            return Ok(parts.pop());
        }
        let mut whole = BytesMut::with_capacity((bytes.end.saturating_sub(bytes.start)) as usize);
        parts.iter().for_each(|part| whole.extend_from_slice(part));
        Ok(Some(whole.freeze()))
    }

    /// Reads blocks and checks them.
    async fn read_disk(
        &self,
        content: &Arc<Content>,
        blocks: &Range<u64>,
        sums: &[u64],
        size: u64,
    ) -> Option<Bytes> {
        let bytes = super::map::bytes_of(blocks, size);
        let open = content.state.lock().file.clone();
        if let Some(file) = open
            && bytes.end - bytes.start <= INLINE_READ_BYTES
            && let Some(data) = file.read_cached(&bytes)
            && mismatches(&data, bytes.start, sums, size).is_empty()
        {
            return Some(data.into());
        }
        let (found, root, same) = (content.clone(), self.root.clone(), bytes.clone());
        let first = tokio::task::spawn_blocking(move || found.file(&root)?.read(&same)).await;
        match first.unwrap_or_else(|e| Err(io::Error::other(e))) {
            Ok(data) if mismatches(&data, bytes.start, sums, size).is_empty() => Some(data.into()),
            Ok(_) => self.second_look(content, blocks).await,
            Err(e) => {
                self.health.failed("reading a data file", &e);
                self.drop_blocks(content, blocks.clone().collect());
                None
            }
        }
    }

    /// Reads again while nobody writes; what does not match then is corrupt and goes.
    async fn second_look(&self, content: &Arc<Content>, blocks: &Range<u64>) -> Option<Bytes> {
        let _turn = content.turn.lock().await;
        let (sums, size) = {
            let state = content.state.lock();
            let map = state.map.as_ref()?;
            (blocks.clone().map(|block| map.get(block)).collect::<Option<Vec<u64>>>()?, state.size)
        };
        let bytes = super::map::bytes_of(blocks, size);
        let (found, root, same) = (content.clone(), self.root.clone(), bytes.clone());
        let data = tokio::task::spawn_blocking(move || found.file(&root)?.read(&same)).await.ok()?.ok()?;
        let bad = mismatches(&data, bytes.start, &sums, size);
        if bad.is_empty() {
            return Some(data.into());
        }
        let path = content.place.path();
        tracing::warn!(%path, blocks = ?bad, "cached blocks do not match their checksums; fetching them again");
        self.counters.corrupt_blocks.add(bad.len() as u64);
        self.drop_blocks(content, bad);
        None
    }

    fn drop_blocks(&self, content: &Arc<Content>, blocks: Vec<u64>) {
        let mut state = content.state.lock();
        blocks.into_iter().for_each(|block| state.clear(block..block + 1));
        self.account(&mut state);
        drop(state);
        self.note_change(content);
    }

    /// Starts a request for the blocks of a flight.
    fn start(
        self: &Arc<Self>,
        content: &Arc<Content>,
        source: &Arc<Source>,
        flight: &Arc<Flight>,
        cx: Cx,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        let (blocks, content, source, flight) =
            (self.clone(), content.clone(), source.clone(), flight.clone());
        tokio::spawn(async move {
            blocks.fly(&content, source, &flight, cx, permit).await;
            content.state.lock().remove_flight(&flight);
        });
    }

    async fn fly(
        self: &Arc<Self>,
        content: &Arc<Content>,
        source: Arc<Source>,
        flight: &Arc<Flight>,
        cx: Cx,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        let _in_flight = self.enter(flight.length(), permit).await;
        let began = Instant::now();
        self.pace.lock().begin(began);
        let patience = if self.origin.down_since().is_some() {
            self.origin.patient(&cx)
        } else {
            cx.within(FETCH_PATIENCE)
        };
        let read = self.read_over_cuts(&patience, content, &source, flight);
        let late = |_| Err(Error::new(ErrorKind::TimedOut, "read", "no answer from the origin"));
        let read = tokio::time::timeout_at(patience.deadline.into(), read).await.unwrap_or_else(late);
        // Storing needs the origin no more: who reads and closes then has closed.
        drop(source);
        let arrived = read.as_ref().ok().map(|data| data.len() as u64);
        self.pace.lock().end(began, Instant::now(), arrived);
        let short = arrived.is_some_and(|length| length < flight.length());
        match read {
            Ok(_) if short => {
                // The file is shorter than its attributes said: they are old.
                content.state.lock().recheck = true;
                self.fail(content, flight, Error::new(ErrorKind::Stale, "read", "the file became shorter"));
            }
            Ok(data) => {
                self.counters.fetched_bytes.add(data.len() as u64);
                let data = data.slice(..flight.length() as usize);
                flight.arrive(Ok(data.clone()));
                self.store(content, flight, data).await;
            }
            Err(e) => self.fail(content, flight, e),
        }
    }

    /// Reads from the origin, and again when it comes back in time: a short cut costs a wait and no error.
    async fn read_over_cuts(
        &self,
        cx: &Cx,
        content: &Content,
        source: &Source,
        flight: &Flight,
    ) -> Result<Bytes> {
        loop {
            let read = source.read(cx, content, flight.bytes.start, flight.length() as u32).await;
            let away = read.as_ref().is_err_and(|e| e.kind == ErrorKind::Offline);
            // An origin that refuses though it is not known to be away is asked again, but not at once or for ever.
            let noticed = self.origin.down_since().is_some();
            if !away || Instant::now() >= cx.deadline || !self.origin.comes_back().await {
                return read;
            }
            if !noticed {
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }

    fn fail(&self, content: &Content, flight: &Flight, e: Error) {
        if flight.ahead {
            let forgotten = content.state.lock().forget_unread(flight);
            self.counters.prefetched_bytes.sub(forgotten);
        }
        flight.arrive(Err(Arc::new(e)));
    }

    /// Waits for room among the bytes in flight.
    async fn enter(self: &Arc<Self>, bytes: u64, permit: Option<OwnedSemaphorePermit>) -> InFlight {
        let permit = match permit {
            Some(permit) => Some(permit),
            // A request larger than the whole budget passes alone; the semaphore is never closed.
            None => self.budget.clone().acquire_many_owned(bytes.min(self.budget_bytes) as u32).await.ok(),
        };
        self.counters.in_flight_bytes.add(bytes);
        InFlight { blocks: self.clone(), bytes, _permit: permit }
    }

    /// Bytes that came along with opening the file: whole blocks of them are stored.
    pub(crate) async fn deposit(self: &Arc<Self>, content: &Arc<Content>, offset: u64, data: Bytes) {
        self.load(content).await;
        let flights = content.state.lock().plan_ahead(offset..offset + data.len() as u64, u64::MAX, u64::MAX);
        self.counters.fetched_bytes.add(data.len() as u64);
        for flight in flights {
            let part = part_of(&data, offset, &flight.bytes);
            content.state.lock().forget_unread(&flight);
            if part.len() as u64 == flight.length() {
                flight.arrive(Ok(part.clone()));
                self.store(content, &flight, part).await;
            } else {
                flight.arrive(Err(Arc::new(Error::new(ErrorKind::Io, "read", "only a part came along"))));
            }
            content.state.lock().remove_flight(&flight);
        }
    }

    /// Puts fetched bytes on disk and claims them.
    async fn store(self: &Arc<Self>, content: &Arc<Content>, flight: &Arc<Flight>, data: Bytes) {
        if self.health.is_degraded() || !self.has_room(data.len() as u64) {
            return;
        }
        let _turn = content.turn.lock().await;
        let size = content.state.lock().size;
        if flight.is_spoiled() || content.state.lock().retired {
            return;
        }
        let (here, root, first, start) =
            (content.clone(), self.root.clone(), flight.blocks.start, flight.bytes.start);
        let written = tokio::task::spawn_blocking(move || {
            here.file(&root)?.write(start, &data)?;
            Ok(sums_of(&data, first, size))
        });
        match written.await.unwrap_or_else(|e| Err(io::Error::other(e))) {
            Ok(sums) => {
                let mut state = content.state.lock();
                if flight.is_spoiled() || state.retired {
                    return;
                }
                let Some(map) = &mut state.map else { return };
                sums.into_iter().for_each(|(block, sum)| map.set(block, sum));
                self.account(&mut state);
                drop(state);
                self.health.works();
                self.note_change(content);
            }
            Err(e) => self.health.failed("writing a data file", &e),
        }
        if self.used.load(SeqCst) > self.limit {
            self.full.notify_one();
        }
    }
}
