//! One file of a journal: a head that says which records begin here, then frames.

use crate::{Result, StoreError};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

const MAGIC: [u8; 8] = *b"fsJournl";
const VERSION: u32 = 1;
pub(super) const HEAD: u64 = 48;
/// Length and checksum.
pub(super) const FRAME_HEAD: usize = 8;
const SUFFIX: &str = ".segment";
/// In the place of a length: the journal was closed here.
const CLOSED: u32 = u32::MAX;

pub(super) struct Segment {
    /// Number of its first record.
    pub(super) first: u64,
    /// Which start of the machine wrote it.
    pub(super) boot: [u8; 16],
    pub(super) file: Arc<File>,
    /// Where the next frame goes, bytes.
    pub(super) end: u64,
}

/// Where a segment ends.
pub(super) struct End {
    /// One behind its last record.
    pub(super) next: u64,
    pub(super) closed: bool,
    /// Something stands behind that is no whole record.
    pub(super) torn: bool,
}

/// What stands at a place in a segment.
pub(super) enum Frame {
    /// A record, and the length of its frame.
    Record(Vec<u8>, u64),
    Closed,
    /// Nothing, or something that was written in part.
    Nothing,
}

impl Segment {
    pub(super) fn create(dir: &Path, first: u64, boot: [u8; 16]) -> Result<Segment> {
        let path = path(dir, first);
        let io = |source| StoreError::Io { path: path.clone(), source };
        let mut how = OpenOptions::new();
        let file =
            how.read(true).write(true).create(true).truncate(true).mode(0o600).open(&path).map_err(io)?;
        let mut head = Vec::with_capacity(HEAD as usize);
        head.extend(MAGIC);
        head.extend(VERSION.to_le_bytes());
        head.extend([0; 4]);
        head.extend(first.to_le_bytes());
        head.extend(boot);
        head.extend(xxh3_64(&head).to_le_bytes());
        file.write_all_at(&head, 0).map_err(io)?;
        Ok(Segment { first, boot, file: Arc::new(file), end: HEAD })
    }

    /// Opens one; `None` when its head was not written whole, so that it holds nothing.
    fn open(path: &Path) -> Result<Option<Segment>> {
        let io = |source| StoreError::Io { path: path.to_owned(), source };
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(io)?;
        let mut head = [0; HEAD as usize];
        match file.read_exact_at(&mut head, 0) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read.map_err(io)?,
        }
        let word = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
        if xxh3_64(&head[..40]) != word(40) {
            return Ok(None);
        }
        let version = u32::from_le_bytes(head[8..12].try_into().expect("four bytes"));
        if head[..8] != MAGIC {
            return Err(StoreError::NotOurs { path: path.to_owned() });
        }
        if version != VERSION {
            return Err(StoreError::TooNew { path: path.to_owned(), found: version, known: VERSION });
        }
        let boot = head[24..40].try_into().expect("sixteen bytes");
        let end = file.metadata().map_err(io)?.len();
        Ok(Some(Segment { first: word(16), boot, file: Arc::new(file), end }))
    }

    /// Reads it to the end of what was written whole.
    pub(super) fn find_end(&mut self) -> Result<End> {
        let (mut at, mut next) = (HEAD, self.first);
        loop {
            let frame = read_frame(&self.file, at, next);
            let frame = frame
                .map_err(|source| StoreError::Io { path: format!("{:x}", self.first).into(), source })?;
            match frame {
                Frame::Record(_, length) => {
                    at += length;
                    next += 1;
                }
                Frame::Closed => return Ok(End { next, closed: true, torn: false }),
                Frame::Nothing => return Ok(End { next, closed: false, torn: self.end > at }),
            }
        }
    }

    /// Writes all of `slices` at the end.
    pub(super) fn append(&mut self, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        let mut at = self.end;
        while !slices.is_empty() {
            match rustix::io::pwritev(&*self.file, slices, at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    at += written as u64;
                    IoSlice::advance_slices(&mut slices, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        self.end = at;
        Ok(())
    }
}

pub(super) fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:016x}{SUFFIX}"))
}

/// All segments, oldest first.
pub(super) fn list(dir: &Path) -> Result<VecDeque<Segment>> {
    let io = |source| StoreError::Io { path: dir.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.to_str().is_some_and(|path| path.ends_with(SUFFIX)) {
            paths.push(path);
        }
    }
    paths.sort();
    let mut segments = VecDeque::new();
    for (index, path) in paths.iter().enumerate() {
        match Segment::open(path)? {
            Some(segment) => segments.push_back(segment),
            // The machine went down before the head was on the medium, and what should follow it.
            None if index + 1 == paths.len() => std::fs::remove_file(path).map_err(io)?,
            None => {
                return Err(StoreError::Damaged { path: path.clone(), what: "its head is damaged".into() });
            }
        }
    }
    Ok(segments)
}

/// The head of a record's frame.
pub(super) fn frame_head(number: u64, parts: &[&[u8]]) -> [u8; FRAME_HEAD] {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    assert!(length <= super::RECORD_MAX_BYTES, "a record of {length} bytes");
    let mut sum = Xxh3::new();
    sum.update(&number.to_le_bytes());
    parts.iter().for_each(|part| sum.update(part));
    let mut head = [0; FRAME_HEAD];
    head[..4].copy_from_slice(&(length as u32).to_le_bytes());
    head[4..].copy_from_slice(&(sum.digest() as u32).to_le_bytes());
    head
}

pub(super) fn closing_mark() -> [u8; FRAME_HEAD] {
    let mut mark = [0; FRAME_HEAD];
    mark[..4].copy_from_slice(&CLOSED.to_le_bytes());
    mark[4..].copy_from_slice(&(xxh3_64(&MAGIC) as u32).to_le_bytes());
    mark
}

/// What stands at `at`, where record `number` should.
pub(super) fn read_frame(file: &File, at: u64, number: u64) -> io::Result<Frame> {
    let mut head = [0; FRAME_HEAD];
    match file.read_exact_at(&mut head, at) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(Frame::Nothing),
        read => read?,
    }
    if head == closing_mark() {
        return Ok(Frame::Closed);
    }
    let length = u32::from_le_bytes(head[..4].try_into().expect("four bytes")) as usize;
    if length > super::RECORD_MAX_BYTES {
        return Ok(Frame::Nothing);
    }
    let mut record = vec![0; length];
    match file.read_exact_at(&mut record, at + FRAME_HEAD as u64) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(Frame::Nothing),
        read => read?,
    }
    // A hole that a power loss has left reads as zeros: an empty record has a checksum, too.
    match frame_head(number, &[&record]) == head {
        true => Ok(Frame::Record(record, (FRAME_HEAD + length) as u64)),
        false => Ok(Frame::Nothing),
    }
}

/// Which start of the machine this is (`random(4)`, boot_id).
pub(super) fn boot_id() -> io::Result<[u8; 16]> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let number = u128::from_str_radix(&digits, 16);
    number.map(u128::to_be_bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}
