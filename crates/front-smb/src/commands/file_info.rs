//! Attributes of the waist in the words of MS-FSCC, and back.

use smb_wire::NtStatus;
use smb_wire::create::CreateOptions;
use smb_wire::fscc::FileAttributes;
use smb_wire::fscc::file::BasicInformation;
use smb_wire::fscc::reparse::tag;
use smb_wire::time::FileTime;
use volume::{Attr, DosAttributes, FileId, Kind, SetAttr, Time};

/// Unit in which clients are told of space taken.
pub(super) const UNIT_BYTES: u64 = 4096;

pub(super) struct Times {
    pub(super) creation: FileTime,
    pub(super) last_access: FileTime,
    pub(super) last_write: FileTime,
    pub(super) change: FileTime,
}

pub(super) fn times(attr: &Attr) -> Times {
    Times {
        creation: file_time(attr.btime),
        last_access: file_time(attr.atime),
        last_write: file_time(attr.mtime),
        change: file_time(attr.ctime),
    }
}

pub(crate) fn file_time(time: Time) -> FileTime {
    let (seconds, nanoseconds) = time.to_parts();
    FileTime::from_unix(seconds, nanoseconds)
}

/// A time that a client sets; `None` for one that it leaves as it is.
pub(super) fn given(time: FileTime) -> Option<Time> {
    time.given_unix().map(|(seconds, nanoseconds)| Time::from_parts(seconds, nanoseconds))
}

/// What a mode becomes when a client sets it (MS-FSA 2.1.5.15.7); `None` where that cannot be.
pub(super) fn mode(now: CreateOptions, wanted: u32) -> Option<CreateOptions> {
    const SYNCHRONOUS: CreateOptions =
        CreateOptions::SYNCHRONOUS_IO_ALERT.union(CreateOptions::SYNCHRONOUS_IO_NONALERT);
    let mut settable = SYNCHRONOUS | CreateOptions::WRITE_THROUGH | CreateOptions::SEQUENTIAL_ONLY;
    let wanted = CreateOptions::from_bits_retain(wanted);
    let as_before = wanted.intersects(SYNCHRONOUS) == now.intersects(SYNCHRONOUS);
    if !settable.contains(wanted) || !as_before || wanted.contains(SYNCHRONOUS) {
        return None;
    }
    if now.contains(CreateOptions::NO_INTERMEDIATE_BUFFERING) {
        settable -= CreateOptions::WRITE_THROUGH;
    }
    Some((now - settable) | (wanted & settable))
}

/// The bits that clients see: the kind of the object, and NORMAL when nothing else is to be said.
pub(super) fn attributes(attr: &Attr) -> FileAttributes {
    let mut bits = FileAttributes::from_bits_retain(attr.dos.bits());
    match attr.kind {
        Kind::Dir => bits |= FileAttributes::DIRECTORY,
        Kind::Symlink => bits |= FileAttributes::REPARSE_POINT,
        Kind::File | Kind::Special(_) => {}
    }
    if bits.is_empty() { FileAttributes::NORMAL } else { bits }
}

/// The reparse tag that goes with the attributes; 0 for what is no reparse point.
pub(super) fn reparse_tag(attr: &Attr) -> u32 {
    if attr.kind == Kind::Symlink { tag::SYMLINK } else { 0 }
}

/// Object ids, made of what is known of a file anyway.
pub(super) fn object_id(id: FileId) -> [u8; 16] {
    (u128::from(id.hi) << 64 | u128::from(id.lo)).to_le_bytes()
}

pub(super) fn volume_object_id(id: FileId) -> [u8; 16] {
    u128::from(id.hi).to_le_bytes()
}

/// Attributes that a client may ask for, with NORMAL meaning none.
pub(super) fn dos(attributes: FileAttributes) -> DosAttributes {
    DosAttributes::from_bits_truncate(attributes.bits())
}

pub(super) fn end_of_file(attr: &Attr) -> u64 {
    if attr.is_dir() { 0 } else { attr.size }
}

/// Space taken, as clients expect it: never less than the content would take, in whole units; more where room
/// was kept.
pub(super) fn allocation(attr: &Attr) -> u64 {
    if attr.is_dir() {
        return 0;
    }
    if attr.dos.contains(DosAttributes::SPARSE) {
        return attr.allocated;
    }
    attr.size.max(attr.allocated).checked_next_multiple_of(UNIT_BYTES).unwrap_or(u64::MAX)
}

/// Whether a name is one of eight characters and three (MS-FSCC 2.1.5.2.1).
pub(super) fn is_short(name: &str) -> bool {
    const FORBIDDEN: &[u8] = b"\"*+,/:;<=>?[\\]| .";
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_graphic() && !FORBIDDEN.contains(&byte));
    let dotted = name.ends_with('.');
    (1..=8).contains(&base.len()) && extension.len() <= 3 && !dotted && plain(base) && plain(extension)
}

pub(super) fn basic(attr: &Attr) -> BasicInformation {
    let times = times(attr);
    BasicInformation {
        creation_time: times.creation,
        last_access_time: times.last_access,
        last_write_time: times.last_write,
        change_time: times.change,
        file_attributes: attributes(attr),
    }
}

/// What FileBasicInformation sets (MS-FSCC 2.4.7): zero times and zero attributes leave as it is.
pub(super) fn set_basic(basic: &BasicInformation, is_dir: bool) -> Result<SetAttr, NtStatus> {
    let asked = basic.file_attributes;
    if asked.contains(FileAttributes::DIRECTORY) && !is_dir {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    if asked.contains(FileAttributes::TEMPORARY) && is_dir {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    Ok(SetAttr {
        btime: given(basic.creation_time),
        atime: given(basic.last_access_time),
        mtime: given(basic.last_write_time),
        dos: (!asked.is_empty()).then(|| dos(asked)),
        ..SetAttr::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_short() {
        for short in ["a", "BUFSIZE.TXT", "bufsize.txt", "ABCDEFGH.XYZ", "a~1.b"] {
            assert!(is_short(short), "{short}");
        }
        for long in ["", ".", ".a", "a.", "a.b.c", "a b", "abcdefghi", "a.html", "größe", "a+b", "a:b"] {
            assert!(!is_short(long), "{long}");
        }
    }

    #[test]
    fn a_mode_is_set_where_it_can_be() {
        const UNBUFFERED: u32 = 0x8;
        for (now, wanted, becomes) in [
            (0, 0x2, Some(0x2)),
            (0x6, 0x4, Some(0x4)),
            (UNBUFFERED, 0x2, Some(UNBUFFERED)),
            (0x1020, 0x10, Some(0x1010)),
            (0x20, 0, None),
            (0, 0x10, None),
            (0x10, 0x30, None),
            (0, 0x1, None),
            (0, UNBUFFERED, None),
            (0, 0x1000, None),
        ] {
            let after = mode(CreateOptions::from_bits_retain(now), wanted);
            assert_eq!(after.map(|mode| mode.bits()), becomes, "{wanted:#x} over {now:#x}");
        }
    }

    #[test]
    fn zero_leaves_and_normal_clears() {
        let mut basic = BasicInformation::default();
        assert!(set_basic(&basic, false).unwrap().is_empty());
        basic.file_attributes = FileAttributes::NORMAL;
        assert_eq!(set_basic(&basic, false).unwrap().dos, Some(DosAttributes::empty()));
        basic.file_attributes = FileAttributes::DIRECTORY;
        assert_eq!(set_basic(&basic, false), Err(NtStatus::INVALID_PARAMETER));
        assert!(set_basic(&basic, true).is_ok());
    }
}
