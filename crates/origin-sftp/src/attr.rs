//! Attributes of SFTP and of the waist.
//!
//! SFTP 3 tells neither inode nor links nor ctime, and times in whole seconds. So a `FileId` is made of the path, a
//! `Version` of time and size, there is one link, and ctime and btime are the time of the last write.

use crate::error::Outcome;
use crate::wire::Attrs;
use std::ops::RangeInclusive;
use volume::{
    Attr, Carries, Device, DosAttributes, ErrorKind, FileId, Kind, SetAttr, Special, Time, VPath, Version,
};
use xxhash_rust::xxh3::xxh3_128;

/// The part of `st_mode` that is the kind.
const KIND_MASK: u32 = 0o170_000;
pub(crate) const MODE_MASK: u32 = 0o7777;
const REGULAR: u32 = 0o100_000;
/// Seconds that 32 bits without a sign hold: 1970 to 2106.
const SECONDS: RangeInclusive<i64> = 0..=u32::MAX as i64;

/// Which file: the one of this name.
pub(crate) fn id(path: &VPath) -> FileId {
    let hash = xxh3_128(path.as_str().as_bytes());
    FileId { hi: (hash >> 64) as u64, lo: hash as u64 }
}

/// What the server told of a file.
pub(crate) fn told(id: FileId, attrs: &Attrs) -> Attr {
    let size = attrs.size.unwrap_or(0);
    let (atime, mtime) = attrs.times.unwrap_or((0, 0));
    let (uid, gid) = attrs.owner.unwrap_or((0, 0));
    let time = |seconds| Time::from_parts(i64::from(seconds), 0);
    Attr {
        id,
        version: Version { hi: u64::from(mtime), lo: size },
        kind: kind(attrs.mode),
        size,
        allocated: size,
        mtime: time(mtime),
        ctime: time(mtime),
        atime: time(atime),
        btime: time(mtime),
        mode: attrs.mode.unwrap_or(0) & MODE_MASK,
        uid,
        gid,
        links: 1,
        dos: DosAttributes::empty(),
        carries: Carries::empty(),
    }
}

/// What a file is that was made just now: empty, with this mode, and the time of this machine. Whose it is, was not told.
pub(crate) fn made(id: FileId, mode: u32) -> Attr {
    let now = seconds(Time::now());
    let attrs =
        Attrs { size: Some(0), mode: Some(REGULAR | mode), times: Some((now, now)), ..Attrs::default() };
    told(id, &attrs)
}

/// A server that tells no mode tells of files.
pub(crate) fn kind(mode: Option<u32>) -> Kind {
    let device = Device { major: 0, minor: 0 };
    match mode.unwrap_or(REGULAR) & KIND_MASK {
        0o040_000 => Kind::Dir,
        0o120_000 => Kind::Symlink,
        0o010_000 => Kind::Special(Special::Fifo),
        0o140_000 => Kind::Special(Special::Socket),
        0o020_000 => Kind::Special(Special::CharDevice(device)),
        0o060_000 => Kind::Special(Special::BlockDevice(device)),
        _ => Kind::File,
    }
}

/// A time in whole seconds, rounded down; the first or the last there is for one that is beyond.
fn seconds(time: Time) -> u32 {
    time.to_parts().0.clamp(*SECONDS.start(), *SECONDS.end()) as u32
}

/// Whether owner or times are set by half, so that the other half must be asked for first.
pub(crate) fn is_half(set: &SetAttr) -> bool {
    set.uid.is_some() != set.gid.is_some() || set.atime.is_some() != set.mtime.is_some()
}

/// What is to be set, in the order in which it must be: an owner takes setuid away, a size moves the times. `now` is what
/// is there, for what is set by half.
pub(crate) fn steps(set: &SetAttr, now: &Attrs) -> Outcome<Vec<Attrs>> {
    let SetAttr { size, mtime, atime, btime, mode, uid, gid, dos, compressed, sparse } = *set;
    if btime.is_some() || dos.is_some() || compressed.is_some() || sparse.is_some() {
        return Err(ErrorKind::Unsupported.into());
    }
    let (old_uid, old_gid) = now.owner.unwrap_or((0, 0));
    let (old_atime, old_mtime) = now.times.unwrap_or((0, 0));
    let owner = (uid.is_some() || gid.is_some()).then(|| (uid.unwrap_or(old_uid), gid.unwrap_or(old_gid)));
    let times = (atime.is_some() || mtime.is_some())
        .then(|| (atime.map_or(old_atime, seconds), mtime.map_or(old_mtime, seconds)));
    let steps = [
        Attrs { size, ..Attrs::default() },
        Attrs { owner, ..Attrs::default() },
        Attrs { mode: mode.map(|mode| mode & MODE_MASK), times, ..Attrs::default() },
    ];
    Ok(steps.into_iter().filter(|step| !step.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        for (mode, expect) in [
            (Some(0o40_755), Kind::Dir),
            (Some(0o120_777), Kind::Symlink),
            (Some(0o10_600), Kind::Special(Special::Fifo)),
            (Some(0o100_644), Kind::File),
            (Some(0o644), Kind::File),
            (None, Kind::File),
        ] {
            assert_eq!(kind(mode), expect, "{mode:?}");
        }
    }

    #[test]
    fn what_is_set_by_half_keeps_the_other_half() {
        let now = Attrs { owner: Some((1, 2)), times: Some((3, 4)), ..Attrs::default() };
        let set = SetAttr { gid: Some(7), mtime: Some(Time::from_parts(9, 999)), ..SetAttr::default() };
        assert!(is_half(&set));
        let owner = Attrs { owner: Some((1, 7)), ..Attrs::default() };
        let times = Attrs { times: Some((3, 9)), ..Attrs::default() };
        assert_eq!(steps(&set, &now).unwrap(), [owner, times]);
        assert_eq!(steps(&SetAttr::default(), &now).unwrap(), []);
        let dos = SetAttr { dos: Some(DosAttributes::empty()), ..SetAttr::default() };
        assert_eq!(steps(&dos, &now).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn times_beyond_the_protocol_are_the_nearest() {
        assert_eq!(seconds(Time::from_parts(-5, 0)), 0);
        assert_eq!(seconds(Time::from_parts(1 << 33, 0)), u32::MAX);
    }
}
