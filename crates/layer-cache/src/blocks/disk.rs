//! The data files: one sparse file per content, block n at offset n x 64 KiB, names are numbers that are never
//! used twice. What is on disk is not believed by itself: see `map.rs`.

use super::map::{block_of, bytes_of, sum_of};
use crate::BLOCK_BYTES;
use bytes::Bytes;
use rustix::fs::FallocateFlags;
use rustix::io::{Errno, ReadWriteFlags};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where the data file of a content is, below the cache's directory.
pub(crate) fn data_path(root: &Path, number: u64) -> PathBuf {
    root.join("data").join(format!("{:02x}", number & 0xff)).join(format!("{number:016x}"))
}

/// Makes a directory with mode 0700, and those above it.
pub(crate) fn make_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Removes data files that `known` does not know: leftovers of a crash. Returns how many.
pub(crate) fn sweep(root: &Path, known: impl Fn(u64) -> bool) -> io::Result<u64> {
    let mut removed = 0;
    for dir in std::fs::read_dir(root.join("data"))? {
        for file in std::fs::read_dir(dir?.path())? {
            let file = file?;
            let number = file.file_name().to_str().and_then(|name| u64::from_str_radix(name, 16).ok());
            if !number.is_some_and(&known) {
                std::fs::remove_file(file.path())?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// An open data file.
#[derive(Debug)]
pub(crate) struct DataFile(File);

impl DataFile {
    pub(crate) fn open(root: &Path, number: u64) -> io::Result<DataFile> {
        let path = data_path(root, number);
        let open =
            || OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = match (open(), path.parent()) {
            (Err(e), Some(dir)) if e.kind() == io::ErrorKind::NotFound => {
                make_private_dir(dir)?;
                open()
            }
            (file, _) => file,
        }?;
        Ok(DataFile(file))
    }

    /// Reads what the page cache holds: `None` when the disk is needed, or when this file system cannot say.
    pub(crate) fn read_cached(&self, bytes: &Range<u64>) -> Option<Vec<u8>> {
        let mut buffer = vec![0; (bytes.end - bytes.start) as usize];
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let read = rustix::io::preadv2(&self.0, &mut parts, bytes.start, ReadWriteFlags::NOWAIT);
        read.is_ok_and(|read| read == buffer.len()).then_some(buffer)
    }

    /// Reads from the disk; what lies behind the end of the file is missing from the result.
    pub(crate) fn read(&self, bytes: &Range<u64>) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; (bytes.end - bytes.start) as usize];
        let mut done = 0;
        while done < buffer.len() {
            match self.0.read_at(&mut buffer[done..], bytes.start + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        buffer.truncate(done);
        Ok(buffer)
    }

    pub(crate) fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    /// Gives the space of whole blocks back. A file system that cannot keeps it until the file goes.
    pub(crate) fn punch(&self, blocks: &Range<u64>) -> io::Result<()> {
        let (start, end) = (blocks.start * BLOCK_BYTES, blocks.end * BLOCK_BYTES);
        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.0, how, start, end - start) {
            Ok(()) | Err(Errno::OPNOTSUPP) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    pub(crate) fn cut(&self, length: u64) -> io::Result<()> {
        if self.0.metadata()?.len() > length { self.0.set_len(length) } else { Ok(()) }
    }
}

/// The sums of the blocks in `data`, which starts at block `first` of a file of `size` bytes.
pub(crate) fn sums_of(data: &[u8], first: u64, size: u64) -> Vec<(u64, u64)> {
    let numbered = data.chunks(BLOCK_BYTES as usize).zip(first..);
    let whole = |(part, block): &(&[u8], u64)| part.len() as u64 == length_of(*block, size);
    numbered.filter(whole).map(|(part, block)| (block, sum_of(part))).collect()
}

/// Bytes in a block of a file of `size` bytes.
pub(crate) fn length_of(block: u64, size: u64) -> u64 {
    let bytes = bytes_of(&(block..block + 1), size);
    bytes.end - bytes.start
}

/// The blocks of `data`, read from the start of a block, that do not match their sums.
pub(crate) fn mismatches(data: &[u8], start: u64, sums: &[u64], size: u64) -> Vec<u64> {
    let first = block_of(start);
    let mut bad = Vec::new();
    for (at, sum) in sums.iter().enumerate() {
        let block = first + at as u64;
        let from = (at * BLOCK_BYTES as usize).min(data.len());
        let to = (from + length_of(block, size) as usize).min(data.len());
        if sum_of(&data[from..to]) != *sum || (to - from) as u64 != length_of(block, size) {
            bad.push(block);
        }
    }
    bad
}

/// A part of bytes that start at `start` in the file.
pub(crate) fn part_of(data: &Bytes, start: u64, wanted: &Range<u64>) -> Bytes {
    let end = start + data.len() as u64;
    let from = (wanted.start.clamp(start, end) - start) as usize;
    let to = (wanted.end.clamp(start, end) - start) as usize;
    data.slice(from..to.max(from))
}
