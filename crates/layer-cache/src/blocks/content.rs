//! The content of one file in one version: which blocks are here, what is on its way, what we change.
//!
//! Locks: `turn` is held over every write to the data file, so that writes and the claims about them stay in
//! step; `state` is held for moments only, never over I/O. Order: turn, state.
//!
//! A content is *retired* when its version is not current any more: it leaves the table, its data file is
//! unlinked, and who still holds it asks the origin what to use instead.

use super::disk::{DataFile, length_of};
use super::flight::Flight;
use super::index::Record;
use super::map::{BlockMap, block_of, blocks_of};
use super::own::{OwnChanges, Told};
use super::table::Place;
use crate::BLOCK_BYTES;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use volume::{Attr, FileId, Time, Version};

pub(crate) struct Content {
    /// Names the data file and the rows of the index.
    pub number: u64,
    pub id: FileId,
    pub place: Arc<Place>,
    pub turn: tokio::sync::Mutex<()>,
    pub state: Mutex<State>,
}

pub(crate) struct State {
    pub version: Version,
    pub size: u64,
    /// Last use, seconds since 1970.
    pub used: u64,
    /// Handles that use it.
    pub opens: u32,
    /// Bytes on disk, as counted in the table.
    pub bytes: u64,
    pub retired: bool,
    /// Something hints at another version: ask before the next read.
    pub recheck: bool,
    /// Until then a notice that names the version which is known already is taken for one that the answer has
    /// overtaken, or for an echo of our own opening for writing.
    pub echo_until: Option<Instant>,
    /// `None` while it is only in the index.
    pub map: Option<BlockMap>,
    /// Under way, by first block. They never overlap.
    pub flights: BTreeMap<u64, Arc<Flight>>,
    /// Own changes since the version was last settled.
    pub own: Option<Box<OwnChanges>>,
    /// Own writes under way: their bytes, and whether another overlaps.
    pub writes: Vec<(u64, Range<u64>, bool)>,
    /// Blocks fetched ahead that nobody read yet.
    pub unread: HashSet<u64>,
    pub file: Option<Arc<DataFile>>,
}

/// A stretch of a read.
pub(crate) enum Piece {
    /// On disk, to be checked against these sums.
    Disk(Range<u64>, Vec<u64>),
    /// On its way.
    Flight(Arc<Flight>),
}

/// What a read consists of.
pub(crate) struct Plan {
    pub pieces: Vec<Piece>,
    /// Flights that this plan made: to be started by the caller.
    pub new: Vec<Arc<Flight>>,
    pub size: u64,
    pub hit_bytes: u64,
    pub miss_bytes: u64,
    /// Bytes fetched ahead that are read now for the first time.
    pub used_bytes: u64,
}

impl Content {
    pub(crate) fn new(number: u64, version: Version, size: u64, place: Arc<Place>) -> Content {
        let state = State {
            version,
            size,
            used: 0,
            opens: 0,
            bytes: 0,
            retired: false,
            recheck: false,
            echo_until: Some(Instant::now() + crate::LATE_NOTICE),
            map: Some(BlockMap::default()),
            flights: BTreeMap::new(),
            own: None,
            writes: Vec::new(),
            unread: HashSet::new(),
            file: None,
        };
        Content { number, id: place.id, place, turn: tokio::sync::Mutex::default(), state: Mutex::new(state) }
    }

    pub(super) fn from_record(record: Record) -> Content {
        let place = Place::new(record.id, record.path);
        let content = Content::new(record.number, record.version, record.size, place);
        let mut state = content.state.lock();
        (state.used, state.bytes, state.map) = (record.used, record.bytes, None);
        drop(state);
        content
    }

    /// Whether our own changes gave it a version that is not known yet.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.state.lock().own.as_ref().is_some_and(|own| !own.is_settled())
    }

    /// Whether what it is now is our own doing, as far as is known, and no answer of the origin has said so yet.
    pub(crate) fn is_ours(&self) -> bool {
        let state = self.state.lock();
        let own = state.own.as_ref().is_some_and(|own| !own.is_settled() && !own.is_in_doubt());
        own && !state.retired
    }

    /// The data file, opened when it is not. Blocks for a moment.
    pub(crate) fn file(&self, root: &Path) -> io::Result<Arc<DataFile>> {
        if let Some(file) = &self.state.lock().file {
            return Ok(file.clone());
        }
        let file = Arc::new(DataFile::open(root, self.number)?);
        Ok(self.state.lock().file.get_or_insert(file).clone())
    }
}

impl State {
    /// Forgets what can be had from the index again.
    pub(super) fn unload(&mut self) {
        let idle =
            self.opens == 0 && self.flights.is_empty() && self.own.as_ref().is_none_or(|o| o.is_settled());
        if idle && !self.map.as_ref().is_some_and(BlockMap::is_dirty) {
            (self.map, self.file, self.own) = (None, None, None);
            self.unread = Default::default();
        }
    }

    /// The record of own changes, begun anew after the last ones were settled.
    pub(super) fn own_changes(&mut self, written: Option<Time>) -> &mut OwnChanges {
        if let Some(own) = self.own.take_if(|own| own.is_settled()) {
            self.own = Some(Box::new(own.next(written)));
        }
        self.own.get_or_insert_with(|| Box::new(OwnChanges::new(written)))
    }

    /// What the origin told, beside what is here.
    pub(super) fn beside(&self, attr: &Attr) -> Told {
        let Attr { version, size, mtime, .. } = *attr;
        Told { version, is_same: version == self.version, size_fits: size == self.size, written: mtime }
    }

    /// Splits a read into what is on disk, what is on its way and what has to be fetched, for which it makes
    /// flights of at most `first`, then `most` bytes. The map must be loaded.
    pub(crate) fn plan(&mut self, bytes: Range<u64>, first: u64, most: u64) -> Plan {
        let bytes = bytes.start.min(self.size)..bytes.end.min(self.size);
        let mut plan = Plan {
            pieces: Vec::new(),
            new: Vec::new(),
            size: self.size,
            hit_bytes: 0,
            miss_bytes: 0,
            used_bytes: 0,
        };
        let blocks = if bytes.is_empty() { 0..0 } else { blocks_of(bytes.clone()) };
        let mut next = blocks.start;
        while next < blocks.end {
            let from = next;
            if let Some(flight) = self.flight_at(next) {
                next = flight.blocks.end;
                plan.pieces.push(Piece::Flight(flight));
            } else if let Some(run) = self.run_on_disk(next..blocks.end) {
                next = run.0.end;
                plan.pieces.push(Piece::Disk(run.0, run.1));
            } else {
                let limit = if plan.new.is_empty() { first } else { most };
                let flight = self.new_flight(next..blocks.end, limit, false);
                next = flight.blocks.end;
                plan.miss_bytes += flight.length();
                plan.new.push(flight.clone());
                plan.pieces.push(Piece::Flight(flight));
            }
            for block in from..next {
                plan.used_bytes += if self.unread.remove(&block) { length_of(block, self.size) } else { 0 };
            }
        }
        plan.hit_bytes = (bytes.end - bytes.start).saturating_sub(plan.miss_bytes);
        plan
    }

    /// Flights for what is missing in `bytes`, up to `budget` bytes in all.
    pub(crate) fn plan_ahead(&mut self, bytes: Range<u64>, most: u64, mut budget: u64) -> Vec<Arc<Flight>> {
        let bytes = bytes.start.min(self.size)..bytes.end.min(self.size);
        let mut new = Vec::new();
        let blocks = if bytes.is_empty() { 0..0 } else { blocks_of(bytes) };
        let mut next = blocks.start;
        while next < blocks.end && budget >= BLOCK_BYTES {
            if let Some(flight) = self.flight_at(next) {
                next = flight.blocks.end;
            } else if self.has(next) {
                next += 1;
            } else {
                let flight = self.new_flight(next..blocks.end, most.min(budget), true);
                next = flight.blocks.end;
                budget = budget.saturating_sub(flight.length());
                new.push(flight);
            }
        }
        new
    }

    /// Makes a flight for the missing blocks at the start of `blocks`.
    fn new_flight(&mut self, blocks: Range<u64>, most: u64, ahead: bool) -> Arc<Flight> {
        let most = (most / BLOCK_BYTES).max(1);
        let end = (blocks.start + 1..blocks.end.min(blocks.start + most))
            .find(|&block| self.has(block) || self.flights.contains_key(&block))
            .unwrap_or(blocks.end.min(blocks.start + most));
        let flight = Arc::new(Flight::new(blocks.start..end, self.size, ahead));
        self.flights.insert(flight.blocks.start, flight.clone());
        if ahead {
            self.unread.extend(flight.blocks.clone());
        }
        flight
    }

    pub(crate) fn has(&self, block: u64) -> bool {
        self.map.as_ref().is_some_and(|map| map.get(block).is_some())
    }

    fn flight_at(&self, block: u64) -> Option<Arc<Flight>> {
        let (_, flight) = self.flights.range(..=block).next_back()?;
        flight.blocks.contains(&block).then(|| flight.clone())
    }

    fn run_on_disk(&self, blocks: Range<u64>) -> Option<(Range<u64>, Vec<u64>)> {
        let map = self.map.as_ref()?;
        let next_flight = self.flights.range(blocks.start..).next().map_or(blocks.end, |(first, _)| *first);
        let sums: Vec<u64> = (blocks.start..blocks.end.min(next_flight)).map_while(|b| map.get(b)).collect();
        (!sums.is_empty()).then(|| (blocks.start..blocks.start + sums.len() as u64, sums))
    }

    /// Takes a flight that has ended out of the table, unless another took its place.
    pub(crate) fn remove_flight(&mut self, flight: &Arc<Flight>) {
        let first = flight.blocks.start;
        if self.flights.get(&first).is_some_and(|present| Arc::ptr_eq(present, flight)) {
            self.flights.remove(&first);
        }
    }

    /// Takes back that blocks were fetched ahead: their flight failed. Returns their bytes.
    pub(crate) fn forget_unread(&mut self, flight: &Flight) -> u64 {
        let unread = &mut self.unread;
        let forgotten = flight.blocks.clone().filter(|block| unread.remove(block));
        forgotten.map(|block| length_of(block, self.size)).sum()
    }

    /// Nobody may join what is on its way for these bytes, and it is not stored.
    pub(crate) fn spoil(&mut self, bytes: &Range<u64>) {
        let blocks = block_of(bytes.start)..bytes.end.div_ceil(BLOCK_BYTES);
        self.flights.retain(|_, flight| {
            let overlaps = flight.blocks.start < blocks.end && blocks.start < flight.blocks.end;
            if overlaps {
                flight.spoil();
            }
            !overlaps
        });
    }

    /// The blocks are not believed any more.
    pub(crate) fn clear(&mut self, blocks: Range<u64>) {
        if let Some(map) = &mut self.map {
            map.clear_all(blocks);
        }
    }

    /// Bytes on disk by the map, when it is loaded.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.map.as_ref().map_or(self.bytes, |map| map.disk_bytes(self.size))
    }
}
