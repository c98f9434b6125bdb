//! Attributes: `statx`, and the one extended attribute that holds what POSIX has no place for.
//!
//! The format of `user.farshare.attr` is described in `docs/formats/local-attributes.md`.

use crate::beneath::ProcPath;
use crate::compression;
use crate::error::{Failure, Outcome};
use crate::sys;
use bytes::{Buf, BufMut};
use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, FileType, Mode, Statx, StatxAttributes, StatxFlags, StatxTimestamp, Timespec, Timestamps,
    UTIME_OMIT, XattrFlags, chmod, chownat, fgetxattr, getxattr, lgetxattr, removexattr, setxattr, statx,
    utimensat,
};
use rustix::io::Errno;
use rustix::path::Arg;
use rustix::process::{Gid, Uid};
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};
use volume::{
    Attr, Carries, Device, DosAttributes, ErrorKind, FileId, Kind, Maker, SetAttr, Special, Time, Version,
    Who,
};

const NAME: &CStr = c"user.farshare.attr";
const FORMAT: u8 = 1;
const LENGTH: usize = 16;
const HAS_BTIME: u8 = 1;
/// The creation time is by [`LATER_NS`] later than its field says: after the year 2262.
const LATER_BTIME: u8 = 0x10;
const LATER_NS: i128 = 1 << 64;
/// Where the bits of [`Carries`] stand among the flags.
const CARRIES_SHIFT: u8 = 1;
/// What callers may say of a mode: setuid, setgid and sticky stay with the administrator of this machine.
const PERMISSIONS: u32 = 0o777;
/// The same where they may say all ([`crate::LocalConfig::posix`]).
const ALL_BITS: u32 = 0o7777;
/// `st_blocks` counts in these, whatever the file system's block is.
pub(crate) const BLOCK_BYTES: u64 = 512;

/// What the file system keeps of a file beyond POSIX.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Keeps {
    /// Extended attributes of users.
    pub(crate) extras: bool,
    /// What one of them says beyond POSIX, see [`Extra`].
    pub(crate) dos: bool,
    /// Compressed content.
    pub(crate) compression: bool,
    /// What callers say of owners and of all bits of a mode.
    pub(crate) posix: bool,
}

impl Keeps {
    /// What the kernel knows is all.
    pub(crate) const NOTHING: Keeps = Keeps { extras: false, dos: false, compression: false, posix: false };

    /// The same for this caller: what POSIX keeps is kept for those whom the kernel of this machine has judged alone.
    pub(crate) fn asked_by(self, who: &Who) -> Keeps {
        match who {
            Who::System => self,
            Who::User(_) | Who::Site(_) => Keeps { posix: false, ..self },
        }
    }

    /// Whose is what is made.
    pub(crate) fn maker(self, maker: Option<Maker>) -> Option<Maker> {
        maker.filter(|_| self.posix)
    }

    /// What of a mode that a caller says is meant.
    pub(crate) fn mode(self, mode: u32) -> Mode {
        Mode::from_bits_truncate(mode & if self.posix { ALL_BITS } else { PERMISSIONS })
    }
}

/// What the extended attribute says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Extra {
    pub(crate) dos: DosAttributes,
    pub(crate) btime: Option<Time>,
    /// Kinds of values that the object may carry besides.
    pub(crate) carries: Carries,
}

impl Extra {
    fn encode(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        let mut rest = &mut bytes[..];
        rest.put_u8(FORMAT);
        let nanos = self.btime.unwrap_or_default().unix_nanos();
        let has_btime = if self.btime.is_some() { HAS_BTIME } else { 0 };
        let later = if nanos > i128::from(i64::MAX) { LATER_BTIME } else { 0 };
        rest.put_u8(has_btime | later | self.carries.bits() << CARRIES_SHIFT);
        rest.put_u16_le(0);
        rest.put_u32_le(self.dos.bits());
        rest.put_i64_le(nanos as i64);
        bytes
    }

    /// `None` for a format we do not know.
    fn decode(mut bytes: &[u8]) -> Option<Extra> {
        if bytes.len() != LENGTH || bytes.get_u8() != FORMAT {
            return None;
        }
        let flags = bytes.get_u8();
        bytes.advance(2);
        let dos = DosAttributes::from_bits_truncate(bytes.get_u32_le()) - DosAttributes::COMPRESSED;
        let later = if flags & LATER_BTIME != 0 { LATER_NS } else { 0 };
        let nanos = i128::from(bytes.get_i64_le()) + later;
        let btime =
            Time::from_parts(nanos.div_euclid(1_000_000_000) as i64, nanos.rem_euclid(1_000_000_000) as u32);
        let carries = Carries::from_bits_truncate(flags >> CARRIES_SHIFT);
        Some(Extra { dos, btime: (flags & HAS_BTIME != 0).then_some(btime), carries })
    }

    /// What was read of the attribute, `NODATA` for none.
    fn read(came: Result<usize, Errno>, buffer: &[u8]) -> Outcome<Extra> {
        let extra = match came {
            Ok(length) => Extra::decode(&buffer[..length]),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Some(Extra::default()),
            // Longer than ours: of another format.
            Err(Errno::RANGE) => None,
            // Links, devices, or files that we may not read: they cannot have it.
            Err(Errno::PERM | Errno::ACCESS) => Some(Extra::default()),
            Err(errno) => return Err(errno.into()),
        };
        if extra.is_none() {
            tracing::warn!(xattr = ?NAME, "a file has attributes in a format of another version: not used");
        }
        Ok(extra.unwrap_or_default())
    }

    /// Of the object behind a mere handle.
    fn of_handle(handle: &OwnedFd) -> Outcome<Extra> {
        let mut buffer = [0; LENGTH];
        let came = getxattr(ProcPath::of(handle).bytes(), NAME, &mut buffer);
        Extra::read(came, &buffer)
    }

    /// Of the object behind a descriptor of any kind.
    pub(crate) fn of(fd: &OwnedFd) -> Outcome<Extra> {
        let mut buffer = [0; LENGTH];
        let came = get(fd, &mut buffer);
        Extra::read(came, &buffer)
    }

    /// Of `dir/name`.
    pub(crate) fn of_entry(dir: &OwnedFd, name: &CStr) -> Outcome<Extra> {
        let mut buffer = [0; LENGTH];
        let came = get_at(dir, name, &mut buffer);
        Extra::read(came, &buffer)
    }

    /// Stores `new` in place of this, where they differ.
    pub(crate) fn storing(self, fd: &OwnedFd, new: Extra) -> Outcome<()> {
        if new == self { Ok(()) } else { new.store(fd) }
    }

    fn store(self, fd: &OwnedFd) -> Outcome<()> {
        let path = ProcPath::of(fd);
        if self == Extra::default() {
            return match removexattr(path.bytes(), NAME) {
                Ok(()) | Err(Errno::NODATA) => Ok(()),
                Err(errno) => Err(errno.into()),
            };
        }
        Ok(setxattr(path.bytes(), NAME, &self.encode(), XattrFlags::empty())?)
    }
}

fn get(fd: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    match fgetxattr(fd, NAME, &mut *buffer) {
        // A mere handle.
        Err(Errno::BADF) => getxattr(ProcPath::of(fd).bytes(), NAME, buffer),
        result => result,
    }
}

/// By `getxattrat`, or by a path through `/proc` where the kernel, or a filter of system calls, does not know it.
fn get_at(dir: &OwnedFd, name: &CStr, buffer: &mut [u8]) -> Result<usize, Errno> {
    static UNKNOWN: AtomicBool = AtomicBool::new(false);
    if !UNKNOWN.load(Ordering::Relaxed) {
        match sys::xattr_at(dir, name, NAME, buffer) {
            Err(Errno::NOSYS) => UNKNOWN.store(true, Ordering::Relaxed),
            Err(Errno::PERM) => {}
            result => return result,
        }
    }
    get_by_path(dir, name, buffer)
}

fn get_by_path(dir: &OwnedFd, name: &CStr, buffer: &mut [u8]) -> Result<usize, Errno> {
    lgetxattr([ProcPath::of(dir).bytes(), b"/", name.to_bytes()].concat(), NAME, buffer)
}

/// Whether the file system of this directory has extended attributes of users.
pub(crate) fn can_extra(dir: &OwnedFd) -> Outcome<bool> {
    match get(dir, &mut [0; LENGTH]) {
        Ok(_) | Err(Errno::NODATA | Errno::RANGE | Errno::ACCESS | Errno::PERM) => Ok(true),
        Err(Errno::OPNOTSUPP) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn mask() -> StatxFlags {
    StatxFlags::BASIC_STATS | StatxFlags::BTIME
}

/// Looks at an object by its descriptor.
pub(crate) fn look(fd: &OwnedFd) -> Result<Statx, Errno> {
    statx(fd, c"", AtFlags::EMPTY_PATH, mask())
}

/// Looks at a name in a directory, a symlink as itself.
pub(crate) fn look_at(dir: &OwnedFd, name: &[u8]) -> Result<Statx, Errno> {
    statx(dir, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, mask())
}

/// The same, of what is mounted there only what the kernel remembers without asking it.
pub(crate) fn recall_at(dir: &OwnedFd, name: impl Arg) -> Result<Statx, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
    statx(dir, name, flags, mask())
}

/// Whether something is mounted over the name that was looked at.
pub(crate) fn is_mounted(stat: &Statx) -> bool {
    stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
}

pub(crate) fn kind(fd: &OwnedFd) -> Result<Kind, Errno> {
    look(fd).map(|stat| kind_of(&stat))
}

pub(crate) fn kind_of(stat: &Statx) -> Kind {
    match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Dir,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Special(Special::Fifo),
        FileType::CharacterDevice => Kind::Special(Special::CharDevice(device_of(stat))),
        FileType::BlockDevice => Kind::Special(Special::BlockDevice(device_of(stat))),
        // Linux has no further one.
        FileType::Socket | FileType::Unknown => Kind::Special(Special::Socket),
    }
}

fn device_of(stat: &Statx) -> Device {
    Device { major: stat.stx_rdev_major, minor: stat.stx_rdev_minor }
}

pub(crate) fn id_of(stat: &Statx) -> FileId {
    let device = u64::from(stat.stx_dev_major) << 32 | u64::from(stat.stx_dev_minor);
    FileId { hi: device, lo: stat.stx_ino }
}

fn time(stamp: StatxTimestamp) -> Time {
    Time::from_parts(stamp.tv_sec, stamp.tv_nsec)
}

/// Files and directories can have extra attributes; links and devices cannot.
pub(crate) fn can_have_extra(kind: Kind) -> bool {
    matches!(kind, Kind::File | Kind::Dir)
}

pub(crate) fn attr(stat: &Statx, extra: Extra, keeps: Keeps) -> Attr {
    let (mtime, ctime) = (time(stat.stx_mtime), time(stat.stx_ctime));
    let kernel_btime = match StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME) {
        true => time(stat.stx_btime),
        // A file system without creation times: it was there by the earlier of the two.
        false => mtime.min(ctime),
    };
    let mut dos = extra.dos;
    dos.set(DosAttributes::COMPRESSED, keeps.compression && compression::is_told(stat));
    Attr {
        id: id_of(stat),
        version: Version { hi: ctime.0, lo: mtime.0.rotate_left(20) ^ stat.stx_size },
        kind: kind_of(stat),
        size: stat.stx_size,
        allocated: stat.stx_blocks.saturating_mul(BLOCK_BYTES),
        mtime,
        ctime,
        atime: time(stat.stx_atime),
        btime: extra.btime.unwrap_or(kernel_btime),
        mode: u32::from(stat.stx_mode) & 0o7777,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        links: stat.stx_nlink,
        dos,
        carries: extra.carries,
    }
}

/// All that is to be known of the object behind a descriptor.
pub(crate) fn attr_of(fd: &OwnedFd, keeps: Keeps) -> Outcome<Attr> {
    let stat = look(fd)?;
    attr_with(&stat, keeps, || Extra::of(fd))
}

/// The same of a mere handle.
pub(crate) fn attr_of_handle(handle: &OwnedFd, keeps: Keeps) -> Outcome<Attr> {
    let stat = look(handle)?;
    attr_with(&stat, keeps, || Extra::of_handle(handle))
}

/// The same of what was looked at, with what is read of it besides, where it can have that.
pub(crate) fn attr_with(stat: &Statx, keeps: Keeps, read: impl FnOnce() -> Outcome<Extra>) -> Outcome<Attr> {
    let extra = match keeps.dos && can_have_extra(kind_of(stat)) {
        true => read()?,
        false => Extra::default(),
    };
    Ok(attr(stat, extra, keeps))
}

/// Of a regular file that was just made: it carries nothing.
pub(crate) fn attr_of_new(file: &OwnedFd, keeps: Keeps) -> Outcome<Attr> {
    Ok(attr(&look(file)?, Extra::default(), keeps))
}

/// Sets everything but the size. Without `Keeps::posix` an owner cannot be set, and a directory keeps its setgid and sticky bits. The caller holds the lock that keeps two changes of extras apart.
pub(crate) fn set(fd: &OwnedFd, set: &SetAttr, keeps: Keeps) -> Outcome<()> {
    if set.uid.is_some() || set.gid.is_some() {
        if !keeps.posix {
            return Err(Failure::Kind(ErrorKind::Unsupported));
        }
        let (uid, gid) = (set.uid.map(Uid::from_raw), set.gid.map(Gid::from_raw));
        chownat(fd, c"", uid, gid, AtFlags::EMPTY_PATH)?;
    }
    // After the owner, which takes setuid and setgid away.
    if let Some(mode) = set.mode {
        let kept = match keeps.posix {
            true => Mode::empty(),
            false => kept_bits(fd)?,
        };
        chmod(ProcPath::of(fd).bytes(), kept | keeps.mode(mode))?;
    }
    if set.dos.is_some() || set.btime.is_some() || set.sparse.is_some() {
        if !keeps.dos || !can_have_extra(kind(fd)?) {
            return Err(Failure::Kind(ErrorKind::Unsupported));
        }
        let present = Extra::of(fd)?;
        let told = present.dos & DosAttributes::ONLY_TOLD;
        let mut dos = set.dos.map_or(present.dos, |dos| (dos - DosAttributes::ONLY_TOLD) | told);
        set.sparse.into_iter().for_each(|sparse| dos.set(DosAttributes::SPARSE, sparse));
        present.storing(fd, Extra { dos, btime: set.btime.or(present.btime), ..present })?;
    }
    if let Some(compressed) = set.compressed {
        if !keeps.compression || !can_have_extra(kind(fd)?) {
            return Err(Failure::Kind(ErrorKind::Unsupported));
        }
        compression::set(fd, compressed)?;
    }
    if set.mtime.is_some() || set.atime.is_some() {
        let stamp = |time: Option<Time>| match time.map(Time::to_parts) {
            Some((tv_sec, nanoseconds)) => Timespec { tv_sec, tv_nsec: nanoseconds.into() },
            None => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        };
        let times = Timestamps { last_access: stamp(set.atime), last_modification: stamp(set.mtime) };
        utimensat(fd, c"", &times, AtFlags::EMPTY_PATH)?;
    }
    Ok(())
}

/// The setgid and sticky bits of a directory, and setuid with them.
fn kept_bits(fd: &OwnedFd) -> Result<Mode, Errno> {
    let stat = look(fd)?;
    let kept = if kind_of(&stat) == Kind::Dir { u32::from(stat.stx_mode) & 0o7000 } else { 0 };
    Ok(Mode::from_bits_truncate(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extras_come_back() {
        let time = |seconds| Some(Time::from_parts(seconds, 123_456_789));
        for btime in [None, time(-5), time(1_700_000_000), time(9_223_372_036), time(15_032_385_535)] {
            for carries in [Carries::empty(), Carries::STREAMS, Carries::all()] {
                let extra = Extra { dos: DosAttributes::HIDDEN | DosAttributes::OFFLINE, btime, carries };
                assert_eq!(Extra::decode(&extra.encode()), Some(extra));
            }
        }
    }

    #[test]
    fn bytes_as_documented() {
        let dos = DosAttributes::HIDDEN | DosAttributes::ARCHIVE;
        let extra = Extra { dos, btime: Some(Time::from_parts(0, 1)), carries: Carries::empty() };
        assert_eq!(extra.encode(), [1, 1, 0, 0, 0x22, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        let late = Extra { btime: Some(Time::from_parts(9_223_372_037, 0)), ..Extra::default() };
        let after = i64::MIN + (1_000_000_000 - 854_775_808);
        assert_eq!(late.encode()[..8], [1, 0x11, 0, 0, 0, 0, 0, 0]);
        assert_eq!(late.encode()[8..], after.to_le_bytes());
        for (carries, flags) in [(Carries::EXTENDED, 2), (Carries::STREAMS, 4), (Carries::DESCRIPTOR, 8)] {
            let extra = Extra { carries, ..Extra::default() };
            assert_eq!(extra.encode(), [1, flags, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
    }

    #[test]
    fn both_ways_to_an_entry_lead_to_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let value = Extra { dos: DosAttributes::SYSTEM, ..Extra::default() }.encode();
        std::fs::write(dir.path().join("with"), "").unwrap();
        std::fs::write(dir.path().join("without"), "").unwrap();
        setxattr(dir.path().join("with"), NAME, &value, XattrFlags::empty()).unwrap();
        std::os::unix::fs::symlink("with", dir.path().join("link")).unwrap();
        let fd = OwnedFd::from(std::fs::File::open(dir.path()).unwrap());
        let (mut one, mut two) = ([0; LENGTH], [0; LENGTH]);
        for name in [c"with", c"without", c"link", c"none"] {
            assert_eq!(get_at(&fd, name, &mut one), get_by_path(&fd, name, &mut two), "{name:?}");
            assert_eq!(one, two, "{name:?}");
        }
        assert_eq!(get_at(&fd, c"with", &mut one), Ok(LENGTH));
        assert_eq!(one, value);
    }

    #[test]
    fn other_formats_are_not_guessed_at() {
        assert_eq!(Extra::decode(&[2; LENGTH]), None);
        assert_eq!(Extra::decode(&[1; 4]), None);
        assert_eq!(Extra::decode(&[]), None);
    }
}
