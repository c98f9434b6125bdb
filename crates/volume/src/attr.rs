//! What is known of a file: its identity, the state of its content, its size, times and modes.

use crate::Carries;
use std::fmt;

/// Which file: stays the same through rename, never names two files of one volume at the same time.
/// Opaque: origins choose the two words (device and inode, a server's file id, a hash of a key).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct FileId {
    pub hi: u64,
    pub lo: u64,
}

/// Which state of the content: two equal versions of one `FileId` have the same bytes, as far as the origin
/// can tell. Opaque; there is no order among versions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Version {
    pub hi: u64,
    pub lo: u64,
}

/// A point in time: nanoseconds since 1901-12-13T20:45:52Z, which is 2^31 seconds before 1970, up to 2486-07-02. XFS
/// counts so and keeps as much; ext4 ends in 2446.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Time(pub u64);

/// From the first time that there is to 1970, seconds.
const BEFORE_UNIX_S: i64 = 1 << 31;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    File,
    Dir,
    Symlink,
    /// Listed, never opened.
    Special(Special),
}

/// What has a name and no content here: whoever opens it talks to something else on his own machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Special {
    Fifo,
    Socket,
    CharDevice(Device),
    BlockDevice(Device),
}

/// Which device (`st_rdev` of POSIX).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Device {
    pub major: u32,
    pub minor: u32,
}

bitflags::bitflags! {
    /// The attribute bits that SMB clients set and expect back (MS-FSCC 2.6). Which kind of object it is,
    /// is said by [`Kind`] alone.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct DosAttributes: u32 {
        const READONLY = 0x1;
        const HIDDEN = 0x2;
        const SYSTEM = 0x4;
        const ARCHIVE = 0x20;
        const TEMPORARY = 0x100;
        /// Clients are told where there are holes. Only told, like `COMPRESSED`: [`SetAttr::sparse`] sets it.
        const SPARSE = 0x200;
        /// The origin keeps the content compressed, or that of what is made in the directory. Only told: among bits
        /// to be set it is passed over, [`SetAttr::compressed`] sets it.
        const COMPRESSED = 0x800;
        const OFFLINE = 0x1000;
        const NOT_CONTENT_INDEXED = 0x2000;
    }
}

/// Everything that one look at a file tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attr {
    pub id: FileId,
    pub version: Version,
    pub kind: Kind,
    /// Length of the content, bytes.
    pub size: u64,
    /// Space taken at the origin, bytes.
    pub allocated: u64,
    /// Last write of content.
    pub mtime: Time,
    /// Last change of anything (POSIX ctime).
    pub ctime: Time,
    /// Last access.
    pub atime: Time,
    /// Creation.
    pub btime: Time,
    /// POSIX permission bits (`0o7777`).
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub links: u32,
    pub dos: DosAttributes,
    /// What else there is to ask for by `Volume::named`.
    pub carries: Carries,
}

/// What to set; `None` leaves as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SetAttr {
    pub size: Option<u64>,
    pub mtime: Option<Time>,
    pub atime: Option<Time>,
    pub btime: Option<Time>,
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub dos: Option<DosAttributes>,
    /// Whether what is written from now on is kept compressed. A directory keeps nothing itself: what is made in it
    /// begins as it is. `Unsupported` where `Caps::compression` is false.
    pub compressed: Option<bool>,
    /// Whether clients are told where a file has holes. `Unsupported` without `Caps::holes` and `Caps::dos_attributes`.
    pub sparse: Option<bool>,
}

impl DosAttributes {
    /// Bits that are passed over among those to be set: clients send back what they have read when they change another.
    pub const ONLY_TOLD: DosAttributes = DosAttributes::SPARSE.union(DosAttributes::COMPRESSED);
}

impl SetAttr {
    /// Whether there is nothing to set.
    pub fn is_empty(&self) -> bool {
        *self == SetAttr::default()
    }

    /// Only a new size.
    pub fn size(size: u64) -> SetAttr {
        SetAttr { size: Some(size), ..SetAttr::default() }
    }
}

/// Who makes an object, as POSIX has it: whose it is, but for the group where the directory gives its own, and the
/// permissions that it does not get, but where the directory passes on an access control list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Maker {
    pub uid: u32,
    pub gid: u32,
    pub umask: u32,
}

/// Room at the origin, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    pub total: u64,
    pub free: u64,
    /// What this caller may still use (quota, reserved blocks).
    pub available: u64,
    /// Allocation unit, bytes.
    pub unit: u32,
}

impl Time {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Time = Time(BEFORE_UNIX_S as u64 * NANOS_PER_SECOND);

    /// The clock of this machine.
    pub fn now() -> Time {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(Time::UNIX_EPOCH, |since| {
            Time::from_parts(i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
        })
    }

    /// From seconds since 1970 and nanoseconds; the first or the last time there is for one that is beyond.
    pub fn from_parts(seconds: i64, nanoseconds: u32) -> Time {
        match u64::try_from(seconds.saturating_add(BEFORE_UNIX_S)) {
            Ok(seconds) => {
                Time(seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(u64::from(nanoseconds)))
            }
            Err(_) => Time(0),
        }
    }

    /// Whole seconds since 1970 (rounded down) and nanoseconds, as `timespec` wants them.
    pub fn to_parts(self) -> (i64, u32) {
        let seconds = (self.0 / NANOS_PER_SECOND) as i64 - BEFORE_UNIX_S;
        (seconds, (self.0 % NANOS_PER_SECOND) as u32)
    }

    /// Nanoseconds since 1970, more than 64 bits hold for the last two centuries.
    pub fn unix_nanos(self) -> i128 {
        i128::from(self.0) - i128::from(Time::UNIX_EPOCH.0)
    }
}

impl Attr {
    pub fn is_dir(&self) -> bool {
        self.kind == Kind::Dir
    }

    pub fn is_file(&self) -> bool {
        self.kind == Kind::File
    }
}

impl fmt::Debug for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{:x}", self.hi, self.lo)
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{:x}.{:x}", self.hi, self.lo)
    }
}

impl Default for Time {
    fn default() -> Time {
        Time::UNIX_EPOCH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_from_the_first_to_the_last() {
        for (seconds, nanoseconds) in [(-(1 << 31), 0), (0, 1), (15_032_385_535, 999_999_999)] {
            assert_eq!(Time::from_parts(seconds, nanoseconds).to_parts(), (seconds, nanoseconds));
        }
        assert_eq!(Time::from_parts(0, 0), Time::UNIX_EPOCH);
        assert_eq!(Time::from_parts(i64::MIN, 5), Time(0));
        assert_eq!(Time::from_parts(-(1 << 31) - 1, 5), Time(0));
        assert_eq!(Time::from_parts(i64::MAX, 0), Time(u64::MAX));
        assert_eq!(Time(u64::MAX).to_parts().0, 16_299_260_425);
    }

    #[test]
    fn time_parts_round_down_before_the_epoch() {
        let before = Time(Time::UNIX_EPOCH.0 - 1);
        assert_eq!(before.to_parts(), (-1, 999_999_999));
        assert_eq!(Time::from_parts(-1, 999_999_999), before);
        assert_eq!(before.unix_nanos(), -1);
    }
}
