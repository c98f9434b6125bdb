//! What the server tells of a file, as attributes of the waist.
//!
//! The id is the server's 64-bit file id (FileInternalInformation; MS-FSCC 2.4.27). Where the file system has
//! none (it tells 0), the id is a hash of the path and the volume says `stable_ids: false`. The version is made
//! of last write time, change time, size and id. Times come in steps of 100 ns. SMB knows no POSIX modes and
//! owners: they are told as constants.

use crate::error::Outcome;
use crate::session::Step;
use bytes::Bytes;
use smb_wire::close::CloseAttributes;
use smb_wire::cursor::Fixed;
use smb_wire::fscc::file::{BasicInformation, FileClass, StandardInformation};
use smb_wire::fscc::{FileAttributes, reparse::tag};
use smb_wire::{FileId as OpenId, FileTime};
use volume::{Attr, Carries, DosAttributes, FileId, Kind, SetAttr, Time, VPath, Version};
use xxhash_rust::xxh3::xxh3_128;

/// FileAllInformation up to the name (MS-FSCC 2.4.2).
const ALL_FIXED_BYTES: usize = 100;
/// Room for the name that FileAllInformation ends with; what does not fit is cut, and nobody reads it.
const ALL_BYTES: u32 = 1024;
/// POSIX permissions as told for everything on an SMB server.
const MODE_DIR: u32 = 0o755;
const MODE_FILE: u32 = 0o644;
/// Attributes that FileBasicInformation sets (MS-FSA 2.1.5.15.2). The others are the server's own business.
const SETTABLE: DosAttributes = DosAttributes::all().difference(DosAttributes::ONLY_TOLD);

/// Where ids come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ids {
    Server,
    /// The file system has none.
    Paths,
}

/// One look at a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) basic: BasicInformation,
    pub(crate) size: u64,
    pub(crate) allocated: u64,
    pub(crate) links: u32,
    /// The server's file id; 0 where there is none.
    pub(crate) index: u64,
    /// What a reparse point is, when the server tells.
    pub(crate) reparse_tag: u32,
}

impl Look {
    /// Asks for it.
    pub(crate) fn step(file_id: OpenId) -> Step {
        Step::query(file_id, FileClass::ALL, ALL_BYTES)
    }

    /// FileAllInformation (MS-FSCC 2.4.2).
    pub(crate) fn of_all(data: &Bytes) -> Outcome<Look> {
        let fixed = Fixed::<ALL_FIXED_BYTES>::new(data, "FileAllInformation")?;
        let standard = StandardInformation::decode(&data[40..64])?;
        Ok(Look {
            basic: BasicInformation::decode(&data[..40])?,
            size: standard.end_of_file,
            allocated: standard.allocation_size,
            links: standard.link_count.max(1),
            index: fixed.u64(64),
            reparse_tag: 0,
        })
    }

    /// As it was left when a handle closed.
    pub(crate) fn closed_as(&self, told: &CloseAttributes) -> Look {
        Look {
            basic: BasicInformation {
                creation_time: told.creation_time,
                last_access_time: told.last_access_time,
                last_write_time: told.last_write_time,
                change_time: told.change_time,
                file_attributes: told.file_attributes,
            },
            size: told.end_of_file,
            allocated: told.allocation_size,
            ..*self
        }
    }

    pub(crate) fn is_dir(&self) -> bool {
        self.basic.file_attributes.contains(FileAttributes::DIRECTORY)
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.basic.file_attributes.contains(FileAttributes::READONLY)
    }

    pub(crate) fn is_reparse_point(&self) -> bool {
        self.basic.file_attributes.contains(FileAttributes::REPARSE_POINT)
    }

    pub(crate) fn id(&self, ids: Ids, path: &VPath) -> FileId {
        match ids {
            Ids::Server => FileId { hi: 0, lo: self.index },
            Ids::Paths => {
                let hash = xxh3_128(path.as_str().to_lowercase().as_bytes());
                FileId { hi: (hash >> 64) as u64, lo: hash as u64 }
            }
        }
    }

    pub(crate) fn attr(&self, ids: Ids, path: &VPath) -> Attr {
        let basic = &self.basic;
        let symlink = self.is_reparse_point() && self.reparse_tag == tag::SYMLINK;
        let kind = match (symlink, self.is_dir()) {
            (true, _) => Kind::Symlink,
            (false, true) => Kind::Dir,
            (false, false) => Kind::File,
        };
        Attr {
            id: self.id(ids, path),
            version: self.version(),
            kind,
            size: if kind == Kind::Dir { 0 } else { self.size },
            allocated: self.allocated,
            mtime: time(basic.last_write_time),
            ctime: time(basic.change_time),
            atime: time(basic.last_access_time),
            btime: time(basic.creation_time),
            mode: if kind == Kind::Dir { MODE_DIR } else { MODE_FILE },
            uid: 0,
            gid: 0,
            links: self.links,
            dos: DosAttributes::from_bits_truncate(basic.file_attributes.bits()),
            carries: Carries::empty(),
        }
    }

    fn version(&self) -> Version {
        let words = [self.basic.last_write_time.0, self.basic.change_time.0, self.size, self.index];
        let mut bytes = [0; 32];
        for (at, word) in words.iter().enumerate() {
            bytes[at * 8..][..8].copy_from_slice(&word.to_le_bytes());
        }
        let hash = xxh3_128(&bytes);
        Version { hi: (hash >> 64) as u64, lo: hash as u64 }
    }
}

pub(crate) fn time(told: FileTime) -> Time {
    told.given_unix()
        .map_or(Time::UNIX_EPOCH, |(seconds, nanoseconds)| Time::from_parts(seconds, nanoseconds))
}

/// Attributes for a new object.
pub(crate) fn new_attributes(dos: DosAttributes) -> FileAttributes {
    match dos & SETTABLE {
        none if none.is_empty() => FileAttributes::NORMAL,
        some => FileAttributes::from_bits_retain(some.bits()),
    }
}

/// What is to be set besides the size; `None` when nothing is.
pub(crate) fn basic_of(set: &SetAttr) -> Option<BasicInformation> {
    if set.mtime.is_none() && set.atime.is_none() && set.btime.is_none() && set.dos.is_none() {
        return None;
    }
    let time = |time: Option<Time>| {
        time.map(Time::to_parts)
            .map_or(FileTime::NONE, |(seconds, nanoseconds)| FileTime::from_unix(seconds, nanoseconds))
    };
    Some(BasicInformation {
        creation_time: time(set.btime),
        last_access_time: time(set.atime),
        last_write_time: time(set.mtime),
        change_time: FileTime::NONE,
        file_attributes: set.dos.map_or(FileAttributes::empty(), new_attributes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look() -> Look {
        let basic = BasicInformation { last_write_time: FileTime(5), ..Default::default() };
        Look { basic, size: 3, allocated: 4096, links: 1, index: 7, reparse_tag: 0 }
    }

    #[test]
    fn a_version_follows_time_size_and_file() {
        let version = |look: Look| look.attr(Ids::Server, &VPath::root()).version;
        let before = version(look());
        assert_eq!(before, version(Look { allocated: 8192, links: 2, ..look() }));
        let later = BasicInformation { change_time: FileTime(9), ..look().basic };
        for other in
            [Look { size: 4, ..look() }, Look { index: 8, ..look() }, Look { basic: later, ..look() }]
        {
            assert_ne!(before, version(other));
        }
    }

    #[test]
    fn ids_without_file_ids_follow_the_name() {
        let id = |path: &str| look().id(Ids::Paths, &VPath::parse(path).unwrap());
        assert_eq!(id("a/B"), id("A/b"));
        assert_ne!(id("a"), id("b"));
        assert_eq!(look().id(Ids::Server, &VPath::root()), FileId { hi: 0, lo: 7 });
    }

    #[test]
    fn clearing_all_attributes_is_said_as_normal() {
        let set =
            SetAttr { dos: Some(DosAttributes::SPARSE | DosAttributes::COMPRESSED), ..SetAttr::default() };
        assert_eq!(basic_of(&set).unwrap().file_attributes, FileAttributes::NORMAL);
        assert_eq!(basic_of(&SetAttr::size(4)), None);
    }
}
