//! FSCTL_DUPLICATE_EXTENTS_TO_FILE: two files share blocks (MS-FSCC 2.3.7, 2.3.9, MS-FSA 2.1.5.10.4).
//!
//! Blocks are shared whole. The last one of a file may be named whole though the file ends in it; what of it both
//! files have is copied. No size changes: what would lie behind the end of the target goes nowhere. Byte-range
//! locks do not count, and neither of the two is refused by Windows, whatever its specification says.

use super::Output;
use crate::open::FileOpen;
use crate::request::Request;
use crate::status::failed;
use smb_wire::ioctl::copy_chunk::DuplicateExtents;
use smb_wire::ioctl::{Fsctl, IoctlRequest};
use smb_wire::{AccessMask, NtStatus};
use std::sync::Arc;
use volume::{Copying, Cx, DosAttributes, Space};

pub(super) async fn duplicate(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    let target = request.open(decoded.file_id)?;
    let target_file = target.file()?;
    let share = request.disk()?;
    if !share.vfs.caps().clones {
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    // All of it or nothing, which the extended form can ask for, is how it is always done.
    let asked = match decoded.ctl_code {
        Fsctl::DUPLICATE_EXTENTS_TO_FILE_EX => {
            DuplicateExtents::decode_extended(&decoded.input).map(|(asked, _)| asked)
        }
        _ => DuplicateExtents::decode(&decoded.input),
    };
    let asked = asked.map_err(|error| error.status())?;
    target.needs_any(AccessMask::WRITE_DATA)?;
    let source = request.session()?.open(asked.source).ok_or(NtStatus::INVALID_HANDLE)?;
    let source_file = source.file()?;
    source.needs_any(AccessMask::READ_DATA)?;
    if source_file.vfs.is_dir() || target_file.vfs.is_dir() {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let cx = request.cx();
    let space = share.vfs.space(&cx).await.map_err(failed)?;
    clone(&cx, source_file, target_file, &asked, &space).await?;
    Output::empty()
}

async fn clone(
    cx: &Cx,
    source: &Arc<FileOpen>,
    target: &Arc<FileOpen>,
    asked: &DuplicateExtents,
    space: &Space,
) -> Result<(), NtStatus> {
    let from = source.vfs.attr(cx).await.map_err(failed)?;
    let to = target.vfs.attr(cx).await.map_err(failed)?;
    if from.dos.contains(DosAttributes::SPARSE) && !to.dos.contains(DosAttributes::SPARSE) {
        return Err(NtStatus::NOT_SUPPORTED);
    }
    let sizes = Sizes { source: from.size, target: to.size, block: u64::from(space.unit.max(1)) };
    let within_one = source.vfs.file_id() == target.vfs.file_id();
    let Parts { shared, copied } = sizes.parts(asked, within_one)?;
    let (to, from) = (asked.target_offset, asked.source_offset);
    for (done, length, how) in [(0, shared, Copying::Clone), (shared, copied, Copying::Any)] {
        let made = target.vfs.copy_from(cx, &source.vfs, to + done, from + done, length, how);
        if made.await.map_err(failed)? < length {
            // The source became shorter meanwhile.
            return Err(NtStatus::NOT_SUPPORTED);
        }
    }
    Ok(())
}

/// What limits a clone, bytes.
struct Sizes {
    source: u64,
    target: u64,
    block: u64,
}

/// How a range is done, bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Parts {
    /// Whole blocks.
    shared: u64,
    /// The part of a block behind them.
    copied: u64,
}

impl Sizes {
    fn parts(&self, asked: &DuplicateExtents, within_one: bool) -> Result<Parts, NtStatus> {
        let DuplicateExtents { source_offset, target_offset, byte_count, .. } = *asked;
        let whole =
            |bytes: u64| bytes.checked_next_multiple_of(self.block).ok_or(NtStatus::INVALID_PARAMETER);
        let source_end = source_offset.checked_add(byte_count).ok_or(NtStatus::INVALID_PARAMETER)?;
        target_offset.checked_add(byte_count).ok_or(NtStatus::INVALID_PARAMETER)?;
        let aligned = [source_offset, target_offset].iter().all(|offset| offset.is_multiple_of(self.block))
            && (byte_count.is_multiple_of(self.block) || source_end == self.source);
        if !aligned {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        if source_end > whole(self.source)? && byte_count > 0 {
            return Err(NtStatus::NOT_SUPPORTED);
        }
        if within_one && source_offset.abs_diff(target_offset) < byte_count {
            return Err(NtStatus::NOT_SUPPORTED);
        }
        let of_source = self.source.saturating_sub(source_offset);
        let of_target = self.target.saturating_sub(target_offset);
        let length = byte_count.min(of_source).min(of_target);
        let copied = length % self.block;
        Ok(Parts { shared: length - copied, copied })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smb_wire::FileId;

    fn check(
        sizes: (u64, u64),
        asked: (u64, u64, u64),
        within_one: bool,
        expect: Result<(u64, u64), NtStatus>,
    ) {
        let sizes = Sizes { source: sizes.0, target: sizes.1, block: 4096 };
        let (source_offset, target_offset, byte_count) = asked;
        let asked = DuplicateExtents { source: FileId::default(), source_offset, target_offset, byte_count };
        let expect = expect.map(|(shared, copied)| Parts { shared, copied });
        assert_eq!(sizes.parts(&asked, within_one), expect, "{asked:?}");
    }

    #[test]
    fn a_clone_ends_with_the_shorter_file() {
        check((8192, 8192), (0, 0, 8192), false, Ok((8192, 0)));
        check((8192, 8192), (0, 0, 0), false, Ok((0, 0)));
        check((5000, 5000), (0, 0, 8192), false, Ok((4096, 904)));
        check((5000, 8192), (4096, 4096, 4096), false, Ok((0, 904)));
        check((5000, 8192), (0, 0, 5000), false, Ok((4096, 904)));
        check((8192, 4096), (0, 0, 8192), false, Ok((4096, 0)));
        check((8192, 5000), (0, 0, 8192), false, Ok((4096, 904)));
        check((8192, 0), (0, 0, 8192), false, Ok((0, 0)));
        check((32768, 32768), (0, 16384, 16384), true, Ok((16384, 0)));
    }

    #[test]
    fn a_clone_is_of_whole_blocks_that_are_there() {
        check((4096, 8192), (0, 0, 8192), false, Err(NtStatus::NOT_SUPPORTED));
        check((32768, 32768), (0, 8192, 16384), true, Err(NtStatus::NOT_SUPPORTED));
        check((8192, 8192), (0, 0, 5000), false, Err(NtStatus::INVALID_PARAMETER));
        check((8192, 8192), (512, 0, 4096), false, Err(NtStatus::INVALID_PARAMETER));
        check((4096, 4096), (0, u64::MAX - 4095, 4096), false, Err(NtStatus::INVALID_PARAMETER));
    }
}
