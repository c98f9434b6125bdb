//! Ranges of a file as bytes: each by its distance from the end of the one before, and its length.

use crate::WireError;
use crate::cursor::{Reader, Writer};
use bytes::Bytes;
use std::ops::Range;
use volume::RANGES_MAX;

/// Least bytes that a range takes.
const RANGE_LEAST_BYTES: usize = 2;

/// `ranges` are in order and apart from each other.
pub(crate) fn encode_ranges(ranges: &[Range<u64>]) -> Bytes {
    let mut out = Writer::with_capacity(8 + ranges.len() * 8);
    out.number(ranges.len() as u64);
    let mut at = 0;
    for range in ranges {
        out.number(range.start.wrapping_sub(at));
        out.number(range.end.wrapping_sub(range.start));
        at = range.end;
    }
    out.finish()
}

pub(crate) fn decode_ranges(body: &[u8]) -> Result<Vec<Range<u64>>, WireError> {
    let mut input = Reader::new(body);
    let count = input.count(RANGE_LEAST_BYTES)?;
    if count > RANGES_MAX {
        return Err(WireError::Value("a count of ranges"));
    }
    let (mut ranges, mut at) = (Vec::with_capacity(count), 0u64);
    for _ in 0..count {
        let start = at.checked_add(input.number()?).ok_or(WireError::Overflow)?;
        at = start.checked_add(input.number()?).ok_or(WireError::Overflow)?;
        ranges.push(start..at);
    }
    input.end()?;
    Ok(ranges)
}
