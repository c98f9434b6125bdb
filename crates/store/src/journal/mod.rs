//! A journal: records appended in order, read again from any number, and given up from the front. Its format is
//! `docs/formats/journal.md`.
//!
//! A record has a number, one more than the one before, for ever. [`Journal::append`] writes it into the kernel's cache and
//! returns: it survives the end of the process from then on, and power loss once [`Journal::sync`] has returned. That is why
//! this is no database: an append costs one write and no wake-up, so that each change of a file system can wait for its own.
//!
//! Records lie in segments, files of some MiB. Each start begins a new one, so what a crash has left half-written is never
//! written behind. [`Journal::trim`] removes whole segments.
//!
//! After a failed write the file is cut back to what it was, and the next may succeed (a disk that was full). After a failed
//! sync nothing is known of what is on the medium: all later appends and syncs fail.
//!
//! Lock order: `syncing`, `written`, `unsynced`; the last two are never held while something is brought to the medium.

mod reader;
mod segment;

pub use reader::Reader;

use crate::{Result, StoreError};
use parking_lot::Mutex;
use rustix::fs::FlockOperation;
use segment::Segment;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Longest record, bytes.
pub const RECORD_MAX_BYTES: usize = 16 << 20;
/// A segment that is at least so long is followed by another, bytes.
const SEGMENT_BYTES: u64 = 64 << 20;

/// How the process ended that had the journal before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// There was none.
    New,
    /// It closed the journal.
    Cleanly,
    /// It was killed: what was appended is there.
    Killed,
    /// So was the machine, or something stands behind the last whole record: what was appended after the last sync may be
    /// missing.
    WithTheMachine,
}

/// A journal, open for one process.
pub struct Journal {
    dir: PathBuf,
    segment_bytes: u64,
    written: Mutex<Written>,
    unsynced: Mutex<Unsynced>,
    syncing: Mutex<()>,
    _lock: File,
}

struct Written {
    /// In order; the last is the one that is written.
    segments: VecDeque<Segment>,
    /// The number that the next record gets.
    next: u64,
    /// A write failed and could not be undone, or a sync failed.
    failed: bool,
}

/// What is to be brought to the medium: older segments, and the directory if it has names that are not.
struct Unsynced {
    files: Vec<Arc<File>>,
    names: bool,
    /// All records below are on the medium.
    synced: u64,
}

impl Journal {
    /// Opens the journal in `dir`, which is made if need be, for this process alone. Blocks on the disk: the last segment is
    /// read. `Damaged` where something is missing before its end, and nothing is changed then.
    pub fn open(dir: &Path) -> Result<(Journal, Ended)> {
        Journal::with_segments(dir, SEGMENT_BYTES)
    }

    pub(crate) fn with_segments(dir: &Path, segment_bytes: u64) -> Result<(Journal, Ended)> {
        let io = |source| StoreError::Io { path: dir.to_owned(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io)?;
        let lock = lock(dir)?;
        let mut segments = segment::list(dir)?;
        let boot = segment::boot_id().map_err(io)?;
        let told = |last: &mut Segment| -> Result<(u64, Ended)> {
            let end = last.find_end()?;
            let ended = match (end.closed, last.boot == boot && !end.torn) {
                (true, _) => Ended::Cleanly,
                (false, true) => Ended::Killed,
                (false, false) => Ended::WithTheMachine,
            };
            Ok((end.next, ended))
        };
        let (next, mut ended) = segments.back_mut().map_or(Ok((1, Ended::New)), told)?;
        // One that holds nothing would have the name of the next.
        if let Some(empty) = segments.pop_back_if(|last| last.first == next) {
            std::fs::remove_file(segment::path(dir, empty.first)).map_err(io)?;
            // Who made it may have been killed before he could act on how the one before him had ended.
            if let Some(before) = segments.back_mut().filter(|_| ended == Ended::Killed) {
                ended = told(before)?.1;
            }
        }
        segments.push_back(Segment::create(dir, next, boot)?);
        let written = Mutex::new(Written { segments, next, failed: false });
        let unsynced = Mutex::new(Unsynced { files: Vec::new(), names: true, synced: next });
        let journal = Journal {
            dir: dir.to_owned(),
            segment_bytes,
            written,
            unsynced,
            syncing: Mutex::new(()),
            _lock: lock,
        };
        journal.sync()?;
        Ok((journal, ended))
    }

    /// Appends records, each given in parts, and returns the number of the first. All or none of them. When it returns they
    /// survive the end of the process.
    pub fn append(&self, records: &[&[&[u8]]]) -> Result<u64> {
        let mut written = self.written.lock();
        if written.failed {
            return Err(self.failed());
        }
        let first = written.next;
        if written.segments.back().is_none_or(|last| last.end >= self.segment_bytes) {
            self.next_segment(&mut written)?;
        }
        let heads: Vec<[u8; segment::FRAME_HEAD]> =
            (first..).zip(records).map(|(number, parts)| segment::frame_head(number, parts)).collect();
        let slices = heads.iter().zip(records).flat_map(|(head, parts)| {
            std::iter::once(IoSlice::new(head)).chain(parts.iter().map(|part| IoSlice::new(part)))
        });
        let mut slices: Vec<IoSlice<'_>> = slices.filter(|slice| !slice.is_empty()).collect();
        let last = written.segments.back_mut().expect("one is always written");
        let appended = last.append(&mut slices);
        match appended {
            Ok(()) => {
                written.next += records.len() as u64;
                Ok(first)
            }
            Err(source) => {
                let undone = last.file.set_len(last.end);
                let path = segment::path(&self.dir, last.first);
                written.failed = undone.is_err();
                Err(StoreError::Io { path, source })
            }
        }
    }

    fn next_segment(&self, written: &mut Written) -> Result<()> {
        let boot = segment::boot_id().map_err(|source| self.io(source))?;
        let new = Segment::create(&self.dir, written.next, boot)?;
        let mut unsynced = self.unsynced.lock();
        unsynced.names = true;
        unsynced.files.extend(written.segments.back().map(|last| last.file.clone()));
        written.segments.push_back(new);
        Ok(())
    }

    /// Returns when all that was appended before is on the medium. Callers at the same time share one sync.
    pub fn sync(&self) -> Result<()> {
        let wanted = self.next();
        let _turn = self.syncing.lock();
        let (files, names, next) = {
            let written = self.written.lock();
            if written.failed {
                return Err(self.failed());
            }
            let mut unsynced = self.unsynced.lock();
            if unsynced.synced >= wanted && !unsynced.names {
                return Ok(());
            }
            let mut files = std::mem::take(&mut unsynced.files);
            files.extend(written.segments.back().map(|last| last.file.clone()));
            (files, std::mem::take(&mut unsynced.names), written.next)
        };
        let outcome = files.iter().try_for_each(|file| file.sync_data());
        let outcome = outcome.and_then(|()| if names { File::open(&self.dir)?.sync_all() } else { Ok(()) });
        match outcome {
            Ok(()) => {
                self.unsynced.lock().synced = next;
                Ok(())
            }
            Err(source) => {
                self.written.lock().failed = true;
                Err(self.io(source))
            }
        }
    }

    /// The oldest record that is there; `next` when there is none.
    pub fn first(&self) -> u64 {
        let written = self.written.lock();
        written.segments.front().map_or(written.next, |oldest| oldest.first)
    }

    /// The number that the next record gets.
    pub fn next(&self) -> u64 {
        self.written.lock().next
    }

    /// All records below this are on the medium.
    pub fn synced(&self) -> u64 {
        self.unsynced.lock().synced
    }

    /// Room that it takes, bytes.
    pub fn size(&self) -> u64 {
        self.written.lock().segments.iter().map(|segment| segment.end).sum()
    }

    /// Gives up records below `number`, as far as whole segments have none above, and what follows them is on the medium: else
    /// a start after a power loss would not know which numbers there were.
    pub fn trim(&self, number: u64) -> Result<()> {
        let mut written = self.written.lock();
        let synced = self.unsynced.lock().synced;
        let goes = |second: &Segment| second.first <= number && second.first < synced;
        while written.segments.get(1).is_some_and(goes) {
            let oldest = written.segments.pop_front().expect("there are two");
            std::fs::remove_file(segment::path(&self.dir, oldest.first)).map_err(|source| self.io(source))?;
        }
        Ok(())
    }

    /// Reads from record `from` on; `None` when that was given up. Blocks on the disk at each step.
    pub fn reader(self: &Arc<Self>, from: u64) -> Option<Reader> {
        (self.first() <= from && from <= self.next()).then(|| Reader::new(self.clone(), from))
    }

    /// The segment that holds record `number`: its first one, its file, and the first record of the next.
    fn holder(&self, number: u64) -> Option<(u64, Arc<File>, u64)> {
        let written = self.written.lock();
        let after = written.segments.partition_point(|segment| segment.first <= number);
        let segment = written.segments.get(after.checked_sub(1)?)?;
        let until = written.segments.get(after).map_or(written.next, |next| next.first);
        Some((segment.first, segment.file.clone(), until))
    }

    /// Ends the work: the next start knows that nothing is missing.
    pub fn close(&self) -> Result<()> {
        self.sync()?;
        let mut written = self.written.lock();
        // Nothing comes behind the mark.
        written.failed = true;
        let last = written.segments.back_mut().expect("one is always written");
        let mark = segment::closing_mark();
        last.append(&mut [IoSlice::new(&mark)])
            .and_then(|()| last.file.sync_data())
            .map_err(|source| self.io(source))
    }

    fn io(&self, source: io::Error) -> StoreError {
        StoreError::Io { path: self.dir.clone(), source }
    }

    fn failed(&self) -> StoreError {
        StoreError::Damaged {
            path: self.dir.clone(),
            what: "writing it failed before, or it was closed".into(),
        }
    }
}

fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let io = |source| StoreError::Io { path: path.clone(), source };
    let mut how = std::fs::OpenOptions::new();
    let file = how.write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(io)?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| io(errno.into()))?;
    Ok(file)
}

#[cfg(test)]
mod tests;
