//! Holes, copies and room of files in memory. A hole is a block that holds nothing but zeros.

use super::tree::{BLOCK, FILE_MAX, Tree};
use std::ops::Range;
use volume::{Attr, Error, ErrorKind, RANGES_MAX, Result};

/// What one call copies at most, bytes: small, so that callers learn to ask for the rest.
pub const COPY_MAX_BYTES: u64 = 256 * 1024;

/// The part of a range that lies in a file of `size` bytes.
fn within(size: u64, offset: u64, length: u64) -> Range<u64> {
    offset.min(size)..offset.saturating_add(length).min(size)
}

/// Where `content` has data.
pub(super) fn of(content: &[u8], offset: u64, length: u64) -> Vec<Range<u64>> {
    let asked = within(content.len() as u64, offset, length);
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let mut at = asked.start;
    while at < asked.end && ranges.len() <= RANGES_MAX {
        let block = at / BLOCK * BLOCK;
        let next = (block + BLOCK).min(content.len() as u64);
        if content[block as usize..next as usize].iter().any(|&byte| byte != 0) {
            match ranges.last_mut().filter(|last| last.end == at) {
                Some(last) => last.end = next.min(asked.end),
                None => ranges.push(at..next.min(asked.end)),
            }
        }
        at = next;
    }
    ranges.truncate(RANGES_MAX);
    ranges
}

impl Tree {
    pub(super) fn zero(&mut self, id: u64, offset: u64, length: u64) {
        let range = within(self.content(id).map_or(0, |content| content.len() as u64), offset, length);
        if !range.is_empty() {
            self.change(id, |content| content[range.start as usize..range.end as usize].fill(0));
        }
    }

    /// Copies what the source has of the range, as `write` would.
    pub(super) fn copy(&mut self, target: (u64, u64), source: (u64, u64), length: u64) -> Result<u64> {
        let refuse = |kind| Err(Error::new(kind, "copy", format_args!("file {}", target.0)));
        let content = self.content(source.0).unwrap_or(&[]);
        let from = within(content.len() as u64, source.1, length);
        let length = from.end.saturating_sub(from.start);
        let to = target.1..target.1.saturating_add(length);
        if to.end > FILE_MAX {
            return refuse(ErrorKind::FileTooLarge);
        }
        if target.0 == source.0 && from.start < to.end && to.start < from.end {
            return refuse(ErrorKind::InvalidArgument);
        }
        let data = content[from.start as usize..from.end as usize].to_vec();
        self.write(target.0, to.start, &data)?;
        Ok(length)
    }

    pub(super) fn allocate(&mut self, id: u64, size: u64) -> Result<Attr> {
        let present = self.content(id).map_or(0, |content| content.len() as u64);
        let more = size.saturating_sub(present);
        if self.capacity != u64::MAX && self.used().saturating_add(more) > self.capacity {
            return Err(Error::new(ErrorKind::NoSpace, "allocate", size));
        }
        self.reserve(id, self.reserved(id).max(size));
        self.tell_changed(id);
        self.attr(id).ok_or_else(|| Error::new(ErrorKind::Stale, "allocate", id))
    }
}
