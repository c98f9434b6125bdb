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

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z; years 1678 to 2262.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub struct Time(pub i64);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    File,
    Dir,
    Symlink,
    /// Devices, sockets and FIFOs: listed, never opened.
    Other,
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
    /// The clock of this machine.
    pub fn now() -> Time {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Time(since.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)))
    }

    pub fn from_parts(seconds: i64, nanoseconds: u32) -> Time {
        Time(seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(nanoseconds)))
    }

    /// Whole seconds (rounded down) and nanoseconds, as `timespec` wants them.
    pub fn to_parts(self) -> (i64, u32) {
        (self.0.div_euclid(1_000_000_000), self.0.rem_euclid(1_000_000_000) as u32)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_parts_round_down_before_the_epoch() {
        assert_eq!(Time(-1).to_parts(), (-1, 999_999_999));
        assert_eq!(Time::from_parts(-1, 999_999_999), Time(-1));
    }
}
