//! Entries of a directory listing (MS-FSCC 2.4) and the page that they are packed into.

use super::FileAttributes;
use crate::{cursor::Put, name, time::FileTime};

/// Class of a listing: which fields an entry has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DirectoryClass {
    /// FileDirectoryInformation (2.4.10).
    Directory = 1,
    /// FileFullDirectoryInformation (2.4.17): and the size of extended attributes.
    FullDirectory = 2,
    /// FileBothDirectoryInformation (2.4.8): and the 8.3 name.
    BothDirectory = 3,
    /// FileNamesInformation (2.4.32): names alone.
    Names = 12,
    /// FileIdBothDirectoryInformation (2.4.20): and the file's number.
    IdBothDirectory = 37,
    /// FileIdFullDirectoryInformation (2.4.21).
    IdFullDirectory = 38,
    /// FileIdExtdDirectoryInformation (2.4.19): 128-bit number and reparse tag.
    IdExtdDirectory = 60,
}

impl DirectoryClass {
    /// The class with this number; `None` is `INVALID_INFO_CLASS`.
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Directory,
            2 => Self::FullDirectory,
            3 => Self::BothDirectory,
            12 => Self::Names,
            37 => Self::IdBothDirectory,
            38 => Self::IdFullDirectory,
            60 => Self::IdExtdDirectory,
            _ => return None,
        })
    }

    /// Length in bytes of an entry without its name.
    pub fn fixed_len(self) -> usize {
        match self {
            Self::Directory => 64,
            Self::FullDirectory => 68,
            Self::BothDirectory => 94,
            Self::Names => 12,
            Self::IdBothDirectory => 104,
            Self::IdFullDirectory => 80,
            Self::IdExtdDirectory => 88,
        }
    }
}

/// What Apple's clients find in an entry of [`DirectoryClass::IdBothDirectory`] after they negotiated
/// "readdirattr" in the `AAPL` create context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AppleAttributes {
    /// Rights of the user on the file, expanded; in place of the size of extended attributes.
    pub maximal_access: u32,
    /// Length of the resource fork in bytes; in place of the short name, with `finder_info`.
    pub resource_fork_size: u64,
    /// The compressed Finder information.
    pub finder_info: [u8; 16],
    /// `st_mode`; in place of a reserved word.
    pub unix_mode: u16,
}

/// One file of a listing, with what any class needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DirectoryEntry<'a> {
    /// The name.
    pub name: &'a str,
    /// The 8.3 name of at most 12 characters, or empty.
    pub short_name: &'a str,
    /// Position in the directory; 0 when it has no meaning.
    pub file_index: u32,
    /// When the file was made.
    pub creation_time: FileTime,
    /// When it was last read.
    pub last_access_time: FileTime,
    /// When its data last changed.
    pub last_write_time: FileTime,
    /// When anything about it last changed.
    pub change_time: FileTime,
    /// Its length in bytes.
    pub end_of_file: u64,
    /// Space that it takes, in bytes.
    pub allocation_size: u64,
    /// Its attributes.
    pub file_attributes: FileAttributes,
    /// Bytes that its extended attributes take.
    pub ea_size: u32,
    /// Its reparse tag when it has the attribute [`FileAttributes::REPARSE_POINT`].
    pub reparse_tag: u32,
    /// Its number on the volume; classes with 64 bits get the lower half.
    pub file_id: u128,
    /// For Apple's clients.
    pub apple: Option<AppleAttributes>,
}

const SHORT_NAME_LEN: usize = 24;

impl DirectoryEntry<'_> {
    fn encode(&self, class: DirectoryClass, name_length: usize, out: &mut Vec<u8>) {
        out.u32(0);
        out.u32(self.file_index);
        if class == DirectoryClass::Names {
            out.size32(name_length);
        } else {
            self.encode_attributes(name_length, out);
        }
        match class {
            DirectoryClass::Directory | DirectoryClass::Names => {}
            DirectoryClass::FullDirectory => out.u32(self.ea_size_or_tag()),
            DirectoryClass::BothDirectory => {
                out.u32(self.ea_size_or_tag());
                self.encode_short_name(out);
            }
            DirectoryClass::IdBothDirectory => {
                self.encode_id_both(out);
                out.u64(self.file_id as u64);
            }
            DirectoryClass::IdFullDirectory => {
                out.u32(self.ea_size_or_tag());
                out.u32(0);
                out.u64(self.file_id as u64);
            }
            DirectoryClass::IdExtdDirectory => {
                out.u32(self.ea_size);
                out.u32(self.reparse_tag);
                out.bytes(&self.file_id.to_le_bytes());
            }
        }
        out.utf16(self.name);
    }

    fn encode_attributes(&self, name_length: usize, out: &mut Vec<u8>) {
        for time in [self.creation_time, self.last_access_time, self.last_write_time, self.change_time] {
            out.u64(time.0);
        }
        out.u64(self.end_of_file);
        out.u64(self.allocation_size);
        out.u32(self.file_attributes.bits());
        out.size32(name_length);
    }

    /// The field EaSize, which holds the reparse tag of a reparse point.
    fn ea_size_or_tag(&self) -> u32 {
        if self.file_attributes.contains(FileAttributes::REPARSE_POINT) {
            self.reparse_tag
        } else {
            self.ea_size
        }
    }

    /// EaSize, short name and reserved word of [`DirectoryClass::IdBothDirectory`].
    fn encode_id_both(&self, out: &mut Vec<u8>) {
        match &self.apple {
            None => {
                out.u32(self.ea_size_or_tag());
                self.encode_short_name(out);
                out.u16(0);
            }
            Some(apple) => {
                out.u32(apple.maximal_access);
                out.u16(0);
                out.u64(apple.resource_fork_size);
                out.bytes(&apple.finder_info);
                out.u16(apple.unix_mode);
            }
        }
    }

    fn encode_short_name(&self, out: &mut Vec<u8>) {
        let mut units: Vec<u8> = Vec::with_capacity(SHORT_NAME_LEN);
        units.utf16(self.short_name);
        units.truncate(SHORT_NAME_LEN);
        out.u8(units.len() as u8);
        out.u8(0);
        units.resize(SHORT_NAME_LEN, 0);
        out.bytes(&units);
    }
}

/// The answer to one QUERY_DIRECTORY: entries at multiples of 8 bytes, linked, within a limit.
#[derive(Debug, Clone)]
pub struct DirectoryPage {
    class: DirectoryClass,
    entries: LinkedEntries,
}

impl DirectoryPage {
    /// An empty page of at most `max_length` bytes.
    pub fn new(class: DirectoryClass, max_length: usize) -> Self {
        Self { class, entries: LinkedEntries::new(max_length) }
    }

    /// Adds an entry and gives true, or leaves the page as it is and gives false when the entry does not
    /// fit any more. A first entry that does not fit is `BUFFER_OVERFLOW` or `INFO_LENGTH_MISMATCH`.
    #[must_use]
    pub fn push(&mut self, entry: &DirectoryEntry<'_>) -> bool {
        let name_length = name::encoded_len(entry.name);
        let length = self.class.fixed_len() + name_length;
        self.entries.push(length, |out| entry.encode(self.class, name_length, out))
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

/// Entries at multiples of 8 bytes, each beginning with the offset of the next one, within a limit.
#[derive(Debug, Clone)]
pub(super) struct LinkedEntries {
    max_length: usize,
    pub(super) bytes: Vec<u8>,
    last: Option<usize>,
}

impl LinkedEntries {
    pub(super) fn new(max_length: usize) -> Self {
        Self { max_length, bytes: Vec::new(), last: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// Adds an entry of `length` bytes, or leaves the bytes as they are and gives false.
    pub(super) fn push(&mut self, length: usize, encode: impl FnOnce(&mut Vec<u8>)) -> bool {
        let start = self.bytes.len().next_multiple_of(8);
        let end = start + length;
        if end > self.max_length {
            return false;
        }
        self.bytes.reserve(end - self.bytes.len());
        self.bytes.align(0, 8);
        if let Some(last) = self.last.replace(start) {
            self.bytes.set_size32(last, start - last);
        }
        encode(&mut self.bytes);
        debug_assert_eq!(self.bytes.len(), end);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [DirectoryClass; 7] = [
        DirectoryClass::Directory,
        DirectoryClass::FullDirectory,
        DirectoryClass::BothDirectory,
        DirectoryClass::Names,
        DirectoryClass::IdBothDirectory,
        DirectoryClass::IdFullDirectory,
        DirectoryClass::IdExtdDirectory,
    ];

    fn entry(name: &str) -> DirectoryEntry<'_> {
        DirectoryEntry { name, short_name: "LONGNA~1.TXT", file_id: 7, ..DirectoryEntry::default() }
    }

    #[test]
    fn every_class_has_its_length_and_links() {
        for class in CLASSES {
            assert_eq!(DirectoryClass::from_code(class as u8), Some(class));
            let mut page = DirectoryPage::new(class, 4096);
            assert!(page.push(&entry("abc")) && page.push(&entry("d")));
            let bytes = page.finish();
            let next = (class.fixed_len() + 6).next_multiple_of(8);
            assert_eq!(bytes[..4], (next as u32).to_le_bytes(), "{class:?}");
            assert_eq!(bytes[next..next + 4], [0; 4], "{class:?}");
            assert_eq!(bytes.len(), next + class.fixed_len() + 2, "{class:?}");
            assert!(bytes.ends_with(b"d\0"), "{class:?}");
        }
    }

    #[test]
    fn a_full_page_stays_as_it_is() {
        for class in CLASSES {
            let exact = class.fixed_len() + 6;
            let mut page = DirectoryPage::new(class, exact);
            assert!(page.push(&entry("abc")));
            assert!(!page.push(&entry("d")));
            assert_eq!(page.finish().len(), exact);
            let mut small = DirectoryPage::new(class, exact - 1);
            assert!(!small.push(&entry("abc")) && small.is_empty());
        }
    }

    /// After "readdirattr" rights, resource fork, Finder information and mode stand where the size of extended
    /// attributes, the short name and a reserved word were.
    #[test]
    fn apple_entries_have_their_own_fields() {
        let apple = AppleAttributes {
            maximal_access: 0x001F_01FF,
            resource_fork_size: 0x0102_0304_0506_0708,
            finder_info: *b"TEXTttxt--------",
            unix_mode: 0o100_644,
        };
        let mut page = DirectoryPage::new(DirectoryClass::IdBothDirectory, 4096);
        assert!(page.push(&DirectoryEntry { apple: Some(apple), ..entry("a") }));
        let bytes = page.finish();
        assert_eq!(bytes[64..68], [0xFF, 0x01, 0x1F, 0x00]);
        assert_eq!(bytes[68..70], [0, 0], "no short name");
        assert_eq!(bytes[70..78], [8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(bytes[78..94], *b"TEXTttxt--------");
        assert_eq!(bytes[94..96], [0xA4, 0x81]);
        assert_eq!(bytes[96..104], [7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[104..], *b"a\0");
    }

    #[test]
    fn reparse_points_show_their_tag() {
        let mut page = DirectoryPage::new(DirectoryClass::FullDirectory, 4096);
        let attributes = FileAttributes::REPARSE_POINT;
        assert!(page.push(&DirectoryEntry {
            file_attributes: attributes,
            reparse_tag: 0xA000_000C,
            ..entry("l")
        }));
        assert_eq!(page.finish()[64..68], 0xA000_000Cu32.to_le_bytes());
    }
}
