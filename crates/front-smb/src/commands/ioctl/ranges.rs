//! Ranges of a file: holes, and where data is (MS-FSCC 2.3.67 to 2.3.76, MS-FSA 2.1.5.10).
//!
//! Whether a file is sparse is an attribute that clients set. Zeros make room free in any file, but only of a sparse one
//! is told where its holes are: programs take another file as whole.

use super::Output;
use crate::commands::io::check_range;
use crate::open::FileOpen;
use crate::request::Request;
use crate::status::failed;
use smb_wire::ioctl::IoctlRequest;
use smb_wire::ioctl::regions::{FileRegion, RegionUsage, RegionsRequest, encode_regions};
use smb_wire::ioctl::sparse::{
    FileRange, decode_allocated_ranges_query, decode_set_sparse, decode_trim, decode_zero_data,
    encode_allocated_ranges, encode_trim_output,
};
use smb_wire::{AccessMask, NtStatus};
use std::sync::Arc;
use volume::{Attr, Cx, DosAttributes, SetAttr};

/// Ranges that one trim looks at; clients ask for the rest again.
const TRIM_RANGES_MAX: usize = 256;
const RANGE_BYTES: usize = 16;

/// The file that is meant; directories have no ranges.
fn file_of(request: &Request, decoded: &IoctlRequest, needs: AccessMask) -> Result<Arc<FileOpen>, NtStatus> {
    let open = request.open(decoded.file_id)?;
    let file = open.file()?;
    open.needs_any(needs)?;
    if file.vfs.is_dir() {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    Ok(Arc::clone(file))
}

pub(super) async fn set_sparse(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    let needs = AccessMask::WRITE_DATA | AccessMask::APPEND_DATA | AccessMask::WRITE_ATTRIBUTES;
    let file = file_of(request, decoded, needs)?;
    let cx = request.cx();
    let sparse = Some(decode_set_sparse(&decoded.input));
    file.vfs.set_attr(&cx, &SetAttr { sparse, ..SetAttr::default() }).await.map_err(failed)?;
    Output::empty()
}

/// Zeros a range, never beyond the end of the file (MS-FSCC 2.3.75).
pub(super) async fn zero(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    let range = decode_zero_data(&decoded.input).map_err(|error| error.status())?;
    let file = file_of(request, decoded, AccessMask::WRITE_DATA)?;
    check_range(range.offset, range.length)?;
    file.vfs.zero(&request.cx(), range.offset, range.length).await.map_err(failed)?;
    Output::empty()
}

/// What is in these ranges is not needed any more: where there are holes it reads as zeros, and the room is free. It is
/// a hint (MS-FSCC 2.3.73), for which no zeros are written.
pub(super) async fn trim(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    let ranges = decode_trim(&decoded.input).map_err(|error| error.status())?;
    let file = file_of(request, decoded, AccessMask::WRITE_DATA)?;
    if ranges.is_empty() {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    ranges.iter().try_for_each(|range| check_range(range.offset, range.length))?;
    let cx = request.cx();
    let looked_at = ranges.len().min(TRIM_RANGES_MAX);
    if request.disk()?.vfs.caps().holes {
        for range in &ranges[..looked_at] {
            file.vfs.zero(&cx, range.offset, range.length).await.map_err(failed)?;
        }
    }
    let mut output = Vec::new();
    if decoded.max_output_response >= 4 {
        encode_trim_output(looked_at, &mut output);
    }
    Output::of(output)
}

/// Where data is. What does not fit is BUFFER_OVERFLOW, and the client goes on behind the last range it got.
pub(super) async fn allocated(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    let asked = decode_allocated_ranges_query(&decoded.input).map_err(|error| error.status())?;
    let file = file_of(request, decoded, AccessMask::READ_DATA)?;
    let cx = request.cx();
    let attr = file.vfs.attr(&cx).await.map_err(failed)?;
    let room = decoded.max_output_response as usize;
    // One more than fits shows that there are more.
    let ranges = data_in(&cx, &file, &attr, asked, room / RANGE_BYTES + 1).await?;
    let mut bytes = Vec::new();
    let status = match encode_allocated_ranges(&ranges, room, &mut bytes) {
        true => NtStatus::SUCCESS,
        false if bytes.is_empty() => return Err(NtStatus::BUFFER_TOO_SMALL),
        false => NtStatus::BUFFER_OVERFLOW,
    };
    Ok(Output { status, bytes })
}

/// Up to `most` ranges with data.
async fn data_in(
    cx: &Cx,
    file: &FileOpen,
    attr: &Attr,
    asked: FileRange,
    most: usize,
) -> Result<Vec<FileRange>, NtStatus> {
    let end = asked.offset.saturating_add(asked.length).min(attr.size);
    let mut ranges = Vec::new();
    let mut at = asked.offset;
    if !attr.dos.contains(DosAttributes::SPARSE) && at < end {
        return Ok(vec![FileRange { offset: at, length: end - at }]);
    }
    while at < end && ranges.len() < most {
        let found = file.vfs.ranges(cx, at, end - at).await.map_err(failed)?;
        let whole = found.len() < volume::RANGES_MAX;
        at = found.last().map_or(end, |last| last.end);
        let range =
            |range: std::ops::Range<u64>| FileRange { offset: range.start, length: range.end - range.start };
        ranges.extend(found.into_iter().map(range));
        if whole {
            break;
        }
    }
    ranges.truncate(most);
    Ok(ranges)
}

/// Which part of a file is valid: all up to its end, and nothing behind (MS-FSCC 2.3.55).
pub(super) async fn regions(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    let asked = RegionsRequest::decode(&decoded.input).map_err(|error| error.status())?;
    let file = file_of(request, decoded, AccessMask::READ_DATA | AccessMask::READ_ATTRIBUTES)?;
    let FileRange { offset, length } = asked.range;
    check_range(offset, length)?;
    let usage = asked.usage & (RegionUsage::VALID_CACHED_DATA | RegionUsage::VALID_NONCACHED_DATA);
    if usage.is_empty() {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let size = file.vfs.attr(&request.cx()).await.map_err(failed)?.size;
    let end = (offset + length).min(size);
    let mut valid = Vec::new();
    if offset < end {
        valid.push(FileRegion { range: FileRange { offset, length: end - offset }, usage });
    }
    let mut bytes = Vec::new();
    let status = match encode_regions(&valid, decoded.max_output_response as usize, &mut bytes) {
        true => NtStatus::SUCCESS,
        false if bytes.is_empty() => return Err(NtStatus::BUFFER_TOO_SMALL),
        false => NtStatus::BUFFER_OVERFLOW,
    };
    Ok(Output { status, bytes })
}
