//! FSCTL_QUERY_FILE_REGIONS: which parts of a file hold valid data (MS-FSCC 2.3.55, 2.3.56).

use super::sparse::FileRange;
use crate::{
    cursor::{Fixed, Put},
    error::WireError,
};
use bitflags::bitflags;

bitflags! {
    /// What a region is valid for.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct RegionUsage: u32 {
        /// For reading through a cache.
        const VALID_CACHED_DATA = 0x0000_0001;
        /// For reading past it.
        const VALID_NONCACHED_DATA = 0x0000_0002;
        const _ = !0;
    }
}

/// Input of FSCTL_QUERY_FILE_REGIONS. Without input the whole file is meant, for reading through a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegionsRequest {
    /// Where to look.
    pub range: FileRange,
    /// For what.
    pub usage: RegionUsage,
}

impl RegionsRequest {
    /// Reads the input buffer.
    pub fn decode(input: &[u8]) -> Result<Self, WireError> {
        if input.is_empty() {
            let range = FileRange { offset: 0, length: i64::MAX as u64 };
            return Ok(Self { range, usage: RegionUsage::VALID_CACHED_DATA });
        }
        let fixed = Fixed::<24>::new(input, "FILE_REGION_INPUT")?;
        let range = FileRange { offset: fixed.u64(0), length: fixed.u64(8) };
        Ok(Self { range, usage: RegionUsage::from_bits_retain(fixed.u32(16)) })
    }
}

/// A region of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileRegion {
    /// Where it is.
    pub range: FileRange,
    /// What it is valid for.
    pub usage: RegionUsage,
}

const HEAD_LEN: usize = 16;
const REGION_LEN: usize = 24;

/// Appends the output of FSCTL_QUERY_FILE_REGIONS: as many regions as fit into `max_length` bytes, and how many
/// there are. Gives false when some did not fit (`BUFFER_OVERFLOW`); with no room for the head nothing is
/// appended (`BUFFER_TOO_SMALL`).
pub fn encode_regions(regions: &[FileRegion], max_length: usize, out: &mut Vec<u8>) -> bool {
    let Some(room) = max_length.checked_sub(HEAD_LEN) else { return false };
    let fitting = regions.len().min(room / REGION_LEN);
    out.u32(0);
    out.size32(regions.len());
    out.size32(fitting);
    out.u32(0);
    for region in &regions[..fitting] {
        out.u64(region.range.offset);
        out.u64(region.range.length);
        out.u32(region.usage.bits());
        out.u32(0);
    }
    fitting == regions.len()
}
