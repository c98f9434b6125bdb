//! What the SMB3 POSIX extensions add at level 100: of a file, of an entry in a listing, of the file system.
//!
//! A client that negotiated them (context 0x0100) and opened with the POSIX create context may ask. The structures
//! are those of the SMB3 POSIX extensions' drafts, as Samba and the Linux client have them.

use super::{FileAttributes, directory::LinkedEntries, file::BasicInformation};
use crate::{
    cursor::{Fixed, Put, Reader},
    error::WireError,
    name,
    sid::Sid,
    time::FileTime,
};

/// Number of the level, in QUERY_INFO for files and file systems and in QUERY_DIRECTORY.
pub const POSIX_LEVEL: u8 = 100;

/// `S_IFMT` values by their number on the wire: file, directory, link, character and block device, pipe, socket.
const FILE_TYPES: [u32; 7] = [0o100_000, 0o040_000, 0o120_000, 0o020_000, 0o060_000, 0o010_000, 0o140_000];
const TYPE_SHIFT: u32 = 12;
const TYPE_MASK: u32 = 0o170_000;
const PERMISSION_MASK: u32 = 0o7777;

/// Type and permissions of a file as they are sent: the twelve permission bits of `st_mode`, and a number for the
/// type in place of `S_IFMT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PosixMode(pub u32);

impl PosixMode {
    /// From `st_mode`; a type that is not known counts as a file.
    pub fn from_st_mode(st_mode: u32) -> Self {
        let number = FILE_TYPES.iter().position(|of_type| *of_type == st_mode & TYPE_MASK).unwrap_or(0);
        Self(st_mode & PERMISSION_MASK | (number as u32) << TYPE_SHIFT)
    }

    /// To `st_mode`; `None` when the type is not known.
    pub fn to_st_mode(self) -> Option<u32> {
        let of_type = FILE_TYPES.get((self.0 >> TYPE_SHIFT) as usize)?;
        Some(self.0 & PERMISSION_MASK | of_type)
    }
}

/// FILE_POSIX_INFORMATION: everything about a file that `stat` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PosixInformation {
    /// Times and attributes.
    pub basic: BasicInformation,
    /// Length in bytes.
    pub end_of_file: u64,
    /// Space that it takes, in bytes.
    pub allocation_size: u64,
    /// Number of the file on its device.
    pub inode: u64,
    /// Number of the device.
    pub device: u32,
    /// Hard links.
    pub link_count: u32,
    /// Reparse tag, 0 for none.
    pub reparse_tag: u32,
    /// Type and permissions.
    pub mode: PosixMode,
    /// Owner.
    pub owner: Sid,
    /// Group.
    pub group: Sid,
}

impl PosixInformation {
    /// Length in bytes without the two SIDs.
    pub const FIXED_LEN: usize = 80;

    /// Reads the level; gives how many bytes it took, too.
    pub fn decode(data: &[u8]) -> Result<(Self, usize), WireError> {
        let what = "FILE_POSIX_INFORMATION";
        let fixed = Fixed::<{ Self::FIXED_LEN }>::new(data, what)?;
        let mut sids = Reader::new(&data[Self::FIXED_LEN..], what);
        let information = Self {
            basic: BasicInformation {
                creation_time: FileTime(fixed.u64(0)),
                last_access_time: FileTime(fixed.u64(8)),
                last_write_time: FileTime(fixed.u64(16)),
                change_time: FileTime(fixed.u64(24)),
                file_attributes: FileAttributes::from_bits_retain(fixed.u32(48)),
            },
            end_of_file: fixed.u64(32),
            allocation_size: fixed.u64(40),
            inode: fixed.u64(52),
            device: fixed.u32(60),
            link_count: fixed.u32(68),
            reparse_tag: fixed.u32(72),
            mode: PosixMode(fixed.u32(76)),
            owner: Sid::read(&mut sids)?,
            group: Sid::read(&mut sids)?,
        };
        Ok((information, Self::FIXED_LEN + sids.position()))
    }

    /// Appends the level.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let basic = &self.basic;
        for time in [basic.creation_time, basic.last_access_time, basic.last_write_time, basic.change_time] {
            out.u64(time.0);
        }
        out.u64(self.end_of_file);
        out.u64(self.allocation_size);
        out.u32(basic.file_attributes.bits());
        out.u64(self.inode);
        out.u32(self.device);
        out.u32(0);
        out.u32(self.link_count);
        out.u32(self.reparse_tag);
        out.u32(self.mode.0);
        self.owner.encode(out);
        self.group.encode(out);
    }

    /// Length in bytes.
    pub fn encoded_len(&self) -> usize {
        Self::FIXED_LEN + self.owner.encoded_len() + self.group.encoded_len()
    }
}

/// The answer to one QUERY_DIRECTORY at this level: like [`super::directory::DirectoryPage`].
#[derive(Debug, Clone)]
pub struct PosixDirectoryPage {
    entries: LinkedEntries,
}

impl PosixDirectoryPage {
    /// An empty page of at most `max_length` bytes.
    pub fn new(max_length: usize) -> Self {
        Self { entries: LinkedEntries::new(max_length) }
    }

    /// Adds an entry and gives true, or leaves the page as it is and gives false when it does not fit any more.
    #[must_use]
    pub fn push(&mut self, name: &str, information: &PosixInformation) -> bool {
        let name_length = name::encoded_len(name);
        self.entries.push(8 + information.encoded_len() + 4 + name_length, |out| {
            out.u64(0);
            information.encode(out);
            out.size32(name_length);
            out.utf16(name);
        })
    }

    /// Whether no entry was added.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The bytes of the page.
    pub fn finish(self) -> Vec<u8> {
        self.entries.bytes
    }
}

/// FILE_FS_POSIX_INFORMATION: what `statvfs` tells. All ones stand for "not known".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PosixFileSystemInformation {
    /// Best length of a transfer, in bytes.
    pub optimal_transfer_bytes: u32,
    /// Bytes in a block.
    pub block_bytes: u32,
    /// All blocks.
    pub total_blocks: u64,
    /// Blocks that are free.
    pub free_blocks: u64,
    /// Blocks that this user may still take.
    pub user_free_blocks: u64,
    /// All inodes.
    pub total_nodes: u64,
    /// Inodes that are free.
    pub free_nodes: u64,
    /// Number of the file system.
    pub identifier: u64,
}

impl PosixFileSystemInformation {
    /// Length in bytes.
    pub const FIXED_LEN: usize = 56;

    /// Appends the level.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u32(self.optimal_transfer_bytes);
        out.u32(self.block_bytes);
        let counts = [
            self.total_blocks,
            self.free_blocks,
            self.user_free_blocks,
            self.total_nodes,
            self.free_nodes,
            self.identifier,
        ];
        counts.into_iter().for_each(|count| out.u64(count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn information() -> PosixInformation {
        PosixInformation {
            basic: BasicInformation {
                creation_time: FileTime(1),
                last_access_time: FileTime(2),
                last_write_time: FileTime(3),
                change_time: FileTime(4),
                file_attributes: FileAttributes::ARCHIVE,
            },
            end_of_file: 5,
            allocation_size: 4096,
            inode: 0x0102_0304_0506_0708,
            device: 0x0A,
            link_count: 2,
            reparse_tag: 0,
            mode: PosixMode::from_st_mode(0o100_640),
            owner: Sid::unix_user(1000),
            group: Sid::unix_group(100),
        }
    }

    #[test]
    fn modes_have_numbers_for_types() {
        for (st_mode, wire) in [
            (0o100_644, 0o644),
            (0o040_755, 0o010_755),
            (0o120_777, 0o020_777),
            (0o020_600, 0o030_600),
            (0o060_600, 0o040_600),
            (0o010_600, 0o050_600),
            (0o140_600, 0o060_600),
            (0o041_777, 0o011_777),
        ] {
            assert_eq!(PosixMode::from_st_mode(st_mode), PosixMode(wire), "{st_mode:o}");
            assert_eq!(PosixMode(wire).to_st_mode(), Some(st_mode));
        }
        assert_eq!(PosixMode(0o070_000).to_st_mode(), None);
        assert_eq!(PosixMode(u32::MAX).to_st_mode(), None);
    }

    #[test]
    fn layout() {
        let mut bytes = Vec::new();
        information().encode(&mut bytes);
        assert_eq!(bytes.len(), information().encoded_len());
        assert_eq!(bytes[48..60], [0x20, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(bytes[60..80], [10, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0xA0, 0x01, 0, 0]);
        assert_eq!(bytes[80..96], [1, 2, 0, 0, 0, 0, 0, 22, 1, 0, 0, 0, 0xE8, 3, 0, 0]);
        bytes.push(9);
        assert_eq!(PosixInformation::decode(&bytes), Ok((information(), 112)));
        assert!(PosixInformation::decode(&bytes[..111]).is_err());
    }

    #[test]
    fn listings_are_linked_and_end_at_the_limit() {
        let length = 8 + 112 + 4;
        let mut page = PosixDirectoryPage::new(length + 6 + 6 + length + 2);
        assert!(page.is_empty());
        assert!(page.push("abc", &information()) && page.push("d", &information()));
        assert!(!page.push("e", &information()));
        let bytes = page.finish();
        assert_eq!(bytes[..8], [136, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[120..130], [6, 0, 0, 0, b'a', 0, b'b', 0, b'c', 0]);
        assert_eq!(bytes[136..140], [0; 4]);
        assert_eq!(PosixInformation::decode(&bytes[144..]), Ok((information(), 112)));
        assert!(bytes.ends_with(&[2, 0, 0, 0, b'd', 0]));
    }

    #[test]
    fn file_system_layout() {
        let information = PosixFileSystemInformation {
            optimal_transfer_bytes: 1,
            block_bytes: 2,
            total_blocks: 3,
            free_blocks: 4,
            user_free_blocks: 5,
            total_nodes: 6,
            free_nodes: u64::MAX,
            identifier: 8,
        };
        let mut bytes = Vec::new();
        information.encode(&mut bytes);
        assert_eq!(bytes.len(), PosixFileSystemInformation::FIXED_LEN);
        assert_eq!(bytes[..16], [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[40..48], [0xFF; 8]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = PosixInformation::decode(&bytes);
        }
    }
}
