//! Attributes, times and kinds, both ways.

use fuse_wire::{Attributes, Device, Time};
use volume::{Attr, FileId, Kind, Special};

/// `S_IFMT` and what it may be (stat(2), inode(7)).
pub(crate) const TYPE_MASK: u32 = 0o170_000;
const SOCKET: u32 = 0o140_000;
const SYMLINK: u32 = 0o120_000;
pub(crate) const REGULAR: u32 = 0o100_000;
const BLOCK_DEVICE: u32 = 0o060_000;
const DIRECTORY: u32 = 0o040_000;
const CHAR_DEVICE: u32 = 0o020_000;
const FIFO: u32 = 0o010_000;
/// What chmod(2) sets.
pub(crate) const MODE_BITS: u32 = 0o7777;
/// Setuid and setgid.
const PRIVILEGES: u32 = 0o6000;
/// `st_blocks` counts in these, bytes.
const BLOCK_BYTES: u64 = 512;

pub(crate) fn attributes(attr: &Attr, ino: u64) -> Attributes {
    Attributes {
        ino,
        size: attr.size,
        blocks: attr.allocated.div_ceil(BLOCK_BYTES),
        atime: time(attr.atime),
        mtime: time(attr.mtime),
        ctime: time(attr.ctime),
        mode: mode(attr),
        nlink: attr.links,
        uid: attr.uid,
        gid: attr.gid,
        rdev: device(attr.kind),
        ..Attributes::default()
    }
}

/// The same where the volume keeps no owners: all is the mounter's. Setuid bits, which are those of an owner elsewhere, would
/// be his too, and are not told.
pub(crate) fn attributes_of(mounter: (u32, u32), attr: &Attr, ino: u64) -> Attributes {
    let told = attributes(attr, ino);
    Attributes { uid: mounter.0, gid: mounter.1, mode: told.mode & !PRIVILEGES, ..told }
}

/// Type and permissions.
pub(crate) fn mode(attr: &Attr) -> u32 {
    let kind = match attr.kind {
        Kind::File => REGULAR,
        Kind::Dir => DIRECTORY,
        Kind::Symlink => SYMLINK,
        Kind::Special(Special::Fifo) => FIFO,
        Kind::Special(Special::Socket) => SOCKET,
        Kind::Special(Special::CharDevice(_)) => CHAR_DEVICE,
        Kind::Special(Special::BlockDevice(_)) => BLOCK_DEVICE,
    };
    kind | attr.mode & MODE_BITS
}

/// What mknod(2) is to make; `None` for a regular file and what it does not make.
pub(crate) fn special(mode: u32, rdev: Device) -> Option<Special> {
    let device = volume::Device { major: rdev.major(), minor: rdev.minor() };
    match mode & TYPE_MASK {
        FIFO => Some(Special::Fifo),
        SOCKET => Some(Special::Socket),
        CHAR_DEVICE => Some(Special::CharDevice(device)),
        BLOCK_DEVICE => Some(Special::BlockDevice(device)),
        _ => None,
    }
}

fn device(kind: Kind) -> Device {
    match kind {
        Kind::Special(Special::CharDevice(device) | Special::BlockDevice(device)) => {
            Device::new(device.major, device.minor).unwrap_or_default()
        }
        Kind::File | Kind::Dir | Kind::Symlink | Kind::Special(Special::Fifo | Special::Socket) => {
            Device::default()
        }
    }
}

pub(crate) fn time(time: volume::Time) -> Time {
    let (seconds, nanoseconds) = time.to_parts();
    Time { seconds, nanoseconds }
}

pub(crate) fn volume_time(time: Time) -> volume::Time {
    volume::Time::from_parts(time.seconds, time.nanoseconds)
}

/// The inode number that callers see: the origin's own in the file system of the root, else one made of both its words.
pub(crate) fn ino(id: FileId, root: FileId) -> u64 {
    if id.hi == root.hi {
        return id.lo;
    }
    // The finalizer of MurmurHash3: neighbours come to lie far apart.
    let mut hash = id.lo ^ id.hi.rotate_left(32);
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ hash >> 33).wrapping_mul(factor);
    }
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_by_its_mode_has_that_mode() {
        let blank = testkit::ease::blank(Kind::File);
        for kind in [FIFO, SOCKET, CHAR_DEVICE, BLOCK_DEVICE] {
            let special = special(kind | 0o644, Device::new(7, 300).unwrap()).unwrap();
            let attr = Attr { kind: Kind::Special(special), mode: 0o644, ..blank };
            assert_eq!(mode(&attr), kind | 0o644);
            let rdev = attributes(&attr, 1).rdev;
            let expect = if matches!(kind, FIFO | SOCKET) { (0, 0) } else { (7, 300) };
            assert_eq!((rdev.major(), rdev.minor()), expect);
        }
        assert_eq!(special(REGULAR, Device::default()), None);
    }

    #[test]
    fn what_is_shown_as_the_mounters_gives_nobody_his_rights() {
        let attr = Attr { mode: 0o6755, uid: 1000, gid: 1000, ..testkit::ease::blank(Kind::File) };
        let told = attributes_of((0, 7), &attr, 1);
        assert_eq!((told.uid, told.gid, told.mode), (0, 7, REGULAR | 0o755));
        assert_eq!(attributes(&attr, 1).mode, REGULAR | 0o6755);
    }

    #[test]
    fn inode_numbers_of_other_file_systems_differ_from_those_of_the_root() {
        let root = FileId { hi: 1, lo: 2 };
        assert_eq!(ino(FileId { hi: 1, lo: 77 }, root), 77);
        let (one, other) = (ino(FileId { hi: 2, lo: 77 }, root), ino(FileId { hi: 3, lo: 77 }, root));
        assert!(one != 77 && other != 77 && one != other);
    }
}
