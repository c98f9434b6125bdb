//! Holes in files: FSCTL_SET_SPARSE, FSCTL_SET_ZERO_DATA, FSCTL_QUERY_ALLOCATED_RANGES, FSCTL_FILE_LEVEL_TRIM
//! (MS-FSCC 2.3.68, 2.3.75, 2.3.51, 2.3.73).

use crate::{
    cursor::{Fixed, Put, Reader},
    error::WireError,
};

/// A range of a file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileRange {
    /// First byte.
    pub offset: u64,
    /// Length.
    pub length: u64,
}

const RANGE_LEN: usize = 16;

/// Input of FSCTL_SET_SPARSE: whether the file may have holes. No input means yes.
pub fn decode_set_sparse(input: &[u8]) -> bool {
    input.first().is_none_or(|flag| *flag != 0)
}

/// Input of FSCTL_SET_ZERO_DATA: the range to clear. An end before the start is an error.
pub fn decode_zero_data(input: &[u8]) -> Result<FileRange, WireError> {
    let what = "FILE_ZERO_DATA_INFORMATION";
    let fixed = Fixed::<16>::new(input, what)?;
    let (start, end) = (fixed.u64(0), fixed.u64(8));
    let length = end.checked_sub(start).ok_or(WireError::BadValue { what, value: end })?;
    Ok(FileRange { offset: start, length })
}

/// Input of FSCTL_QUERY_ALLOCATED_RANGES: where to look. An offset or length above `i64::MAX`, or an end
/// beyond it, is an error.
pub fn decode_allocated_ranges_query(input: &[u8]) -> Result<FileRange, WireError> {
    let what = "FILE_ALLOCATED_RANGE_BUFFER";
    let fixed = Fixed::<RANGE_LEN>::new(input, what)?;
    let range = FileRange { offset: fixed.u64(0), length: fixed.u64(8) };
    match range.offset.checked_add(range.length) {
        Some(end) if end <= i64::MAX as u64 => Ok(range),
        _ => Err(WireError::BadValue { what, value: range.offset }),
    }
}

/// Appends the output of FSCTL_QUERY_ALLOCATED_RANGES: as many ranges as fit into `max_length` bytes. Gives
/// false when some did not fit (`BUFFER_OVERFLOW`, or `BUFFER_TOO_SMALL` when none did).
pub fn encode_allocated_ranges(ranges: &[FileRange], max_length: usize, out: &mut Vec<u8>) -> bool {
    let fitting = ranges.len().min(max_length / RANGE_LEN);
    for range in &ranges[..fitting] {
        out.u64(range.offset);
        out.u64(range.length);
    }
    fitting == ranges.len()
}

/// Input of FSCTL_FILE_LEVEL_TRIM: ranges whose data is not needed any more.
pub fn decode_trim(input: &[u8]) -> Result<Vec<FileRange>, WireError> {
    let what = "FILE_LEVEL_TRIM";
    let fixed = Fixed::<8>::new(input, what)?;
    let count = fixed.size32(4);
    let length = count.checked_mul(RANGE_LEN).ok_or(WireError::BadValue { what, value: count as u64 })?;
    let (ranges, _) = Reader::new(&input[8..], what).take(length)?.as_chunks::<RANGE_LEN>();
    let ranges = ranges.iter().map(|range| {
        let fixed = Fixed::<RANGE_LEN>::new(range, what)?;
        Ok(FileRange { offset: fixed.u64(0), length: fixed.u64(8) })
    });
    ranges.collect()
}

/// Appends the output of FSCTL_FILE_LEVEL_TRIM (MS-FSCC 2.3.74): how many ranges were looked at. Clients that
/// leave no room for it get none.
pub fn encode_trim_output(ranges_processed: usize, out: &mut Vec<u8>) {
    out.size32(ranges_processed);
}
