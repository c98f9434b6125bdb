//! What is asked about a file (MS-FSCC 2.4).
//!
//! A server fills the structure of the class, encodes it, and cuts the bytes at the client's limit. The
//! fixed part of a class is its `FIXED_LEN`: a limit below it is `INFO_LENGTH_MISMATCH`, a limit that cuts
//! a name is `BUFFER_OVERFLOW`.

use super::FileAttributes;
use crate::{
    access::AccessMask,
    cursor::{Fixed, Put},
    error::WireError,
    name,
    time::FileTime,
};

/// Numbers of the classes, in QUERY_INFO and SET_INFO (MS-FSCC 2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileClass(pub u8);

macro_rules! classes {
    ($($name:ident = $value:literal,)*) => {
        impl FileClass {
            $(#[doc = concat!("Class ", stringify!($value), ".")] pub const $name: Self = Self($value);)*
        }
    };
}

classes! {
    BASIC = 4,
    STANDARD = 5,
    INTERNAL = 6,
    EA = 7,
    ACCESS = 8,
    NAME = 9,
    RENAME = 10,
    LINK = 11,
    DISPOSITION = 13,
    POSITION = 14,
    FULL_EA = 15,
    MODE = 16,
    ALIGNMENT = 17,
    ALL = 18,
    ALLOCATION = 19,
    END_OF_FILE = 20,
    ALTERNATE_NAME = 21,
    STREAM = 22,
    PIPE = 23,
    PIPE_LOCAL = 24,
    COMPRESSION = 28,
    NETWORK_OPEN = 34,
    ATTRIBUTE_TAG = 35,
    VALID_DATA_LENGTH = 39,
    SHORT_NAME = 40,
    NORMALIZED_NAME = 48,
    ID = 59,
    DISPOSITION_EX = 64,
    RENAME_EX = 65,
    LINK_EX = 72,
    POSIX = 100,
}

/// FileBasicInformation (MS-FSCC 2.4.7), asked and set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BasicInformation {
    /// When the file was made.
    pub creation_time: FileTime,
    /// When it was last read.
    pub last_access_time: FileTime,
    /// When its data last changed.
    pub last_write_time: FileTime,
    /// When anything about it last changed.
    pub change_time: FileTime,
    /// Its attributes; none when setting leaves them as they are.
    pub file_attributes: FileAttributes,
}

impl BasicInformation {
    /// Length in bytes.
    pub const FIXED_LEN: usize = 40;

    /// Reads the class. The last four bytes are reserved and may be absent.
    pub fn decode(data: &[u8]) -> Result<Self, WireError> {
        let fixed = Fixed::<36>::new(data, "FileBasicInformation")?;
        Ok(Self {
            creation_time: FileTime(fixed.u64(0)),
            last_access_time: FileTime(fixed.u64(8)),
            last_write_time: FileTime(fixed.u64(16)),
            change_time: FileTime(fixed.u64(24)),
            file_attributes: FileAttributes::from_bits_retain(fixed.u32(32)),
        })
    }

    /// Appends the class.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_times(self, out);
        out.u32(self.file_attributes.bits());
        out.u32(0);
    }
}

fn put_times(basic: &BasicInformation, out: &mut Vec<u8>) {
    for time in [basic.creation_time, basic.last_access_time, basic.last_write_time, basic.change_time] {
        out.u64(time.0);
    }
}

/// FileStandardInformation (MS-FSCC 2.4.46).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StandardInformation {
    /// Space that the file takes, in bytes.
    pub allocation_size: u64,
    /// Its length in bytes.
    pub end_of_file: u64,
    /// Names that it has.
    pub link_count: u32,
    /// It goes when the last handle closes.
    pub delete_pending: bool,
    /// It is a directory.
    pub directory: bool,
}

impl StandardInformation {
    /// Length in bytes.
    pub const FIXED_LEN: usize = 24;

    /// Reads the class.
    pub fn decode(data: &[u8]) -> Result<Self, WireError> {
        let fixed = Fixed::<22>::new(data, "FileStandardInformation")?;
        Ok(Self {
            allocation_size: fixed.u64(0),
            end_of_file: fixed.u64(8),
            link_count: fixed.u32(16),
            delete_pending: fixed.u8(20) != 0,
            directory: fixed.u8(21) != 0,
        })
    }

    /// Appends the class.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u64(self.allocation_size);
        out.u64(self.end_of_file);
        out.u32(self.link_count);
        out.u8(u8::from(self.delete_pending));
        out.u8(u8::from(self.directory));
        out.u16(0);
    }
}

/// FileNetworkOpenInformation (MS-FSCC 2.4.33).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NetworkOpenInformation {
    /// Times and attributes.
    pub basic: BasicInformation,
    /// Space that the file takes, in bytes.
    pub allocation_size: u64,
    /// Its length in bytes.
    pub end_of_file: u64,
}

impl NetworkOpenInformation {
    /// Length in bytes.
    pub const FIXED_LEN: usize = 56;

    /// Appends the class.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_times(&self.basic, out);
        out.u64(self.allocation_size);
        out.u64(self.end_of_file);
        out.u32(self.basic.file_attributes.bits());
        out.u32(0);
    }
}

/// FileAttributeTagInformation (MS-FSCC 2.4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AttributeTagInformation {
    /// Attributes.
    pub file_attributes: FileAttributes,
    /// Reparse tag, 0 for none.
    pub reparse_tag: u32,
}

impl AttributeTagInformation {
    /// Length in bytes.
    pub const FIXED_LEN: usize = 8;

    /// Appends the class.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u32(self.file_attributes.bits());
        out.u32(self.reparse_tag);
    }
}

/// FileCompressionInformation (MS-FSCC 2.4.9): the length in bytes, and whether it is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CompressionInformation {
    /// Length of the stored data in bytes.
    pub compressed_file_size: u64,
    /// Told as LZNT1, in units of 64 KiB.
    pub compressed: bool,
}

impl CompressionInformation {
    /// Length in bytes.
    pub const FIXED_LEN: usize = 16;

    /// Appends the class.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u64(self.compressed_file_size);
        if self.compressed {
            // Format; log2 of the bytes of a unit, a chunk, a cluster.
            out.extend_from_slice(&[2, 0, 16, 12, 12, 0, 0, 0]);
        } else {
            out.zeros(8);
        }
    }
}

/// FileIdInformation (MS-FSCC 2.4.22).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IdInformation {
    /// Number of the volume.
    pub volume_serial_number: u64,
    /// Number of the file on its volume.
    pub file_id: u128,
}

impl IdInformation {
    /// Length in bytes.
    pub const FIXED_LEN: usize = 24;

    /// Appends the class.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u64(self.volume_serial_number);
        out.bytes(&self.file_id.to_le_bytes());
    }
}

/// FileNameInformation, FileAlternateNameInformation, FileNormalizedNameInformation: a length and a name
/// (MS-FSCC 2.1.7).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NameInformation {
    /// The name.
    pub name: String,
}

impl NameInformation {
    /// Length in bytes without the name.
    pub const FIXED_LEN: usize = 4;

    /// Appends the class.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.size32(name::encoded_len(&self.name));
        out.utf16(&self.name);
    }
}

macro_rules! scalar {
    ($name:ident, $field:ident: $type:ty, $length:literal, $put:expr, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name {
            /// The value.
            pub $field: $type,
        }

        impl $name {
            /// Length in bytes.
            pub const FIXED_LEN: usize = $length;

            /// Appends the class.
            pub fn encode(&self, out: &mut Vec<u8>) {
                let put: fn(&mut Vec<u8>, $type) = $put;
                put(out, self.$field);
            }
        }
    };
}

scalar!(
    InternalInformation,
    index_number: u64,
    8,
    Put::u64,
    "FileInternalInformation (MS-FSCC 2.4.25): the number of the file on its volume."
);
scalar!(
    EaInformation,
    ea_size: u32,
    4,
    Put::u32,
    "FileEaInformation (MS-FSCC 2.4.13): bytes that the extended attributes take."
);
scalar!(
    AccessInformation,
    access: AccessMask,
    4,
    |out, access| out.u32(access.bits()),
    "FileAccessInformation (MS-FSCC 2.4.1): the rights of the open."
);
scalar!(
    PositionInformation,
    offset: u64,
    8,
    Put::u64,
    "FilePositionInformation (MS-FSCC 2.4.40): kept per open, otherwise without effect."
);
scalar!(
    ModeInformation,
    mode: u32,
    4,
    Put::u32,
    "FileModeInformation (MS-FSCC 2.4.31): options that the file was opened with."
);
scalar!(
    AlignmentInformation,
    alignment: u32,
    4,
    Put::u32,
    "FileAlignmentInformation (MS-FSCC 2.4.3): alignment of buffers, minus one."
);

/// FileAllInformation (MS-FSCC 2.4.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllInformation {
    /// Class 4.
    pub basic: BasicInformation,
    /// Class 5.
    pub standard: StandardInformation,
    /// Class 6.
    pub internal: InternalInformation,
    /// Class 7.
    pub ea: EaInformation,
    /// Class 8.
    pub access: AccessInformation,
    /// Class 14.
    pub position: PositionInformation,
    /// Class 16.
    pub mode: ModeInformation,
    /// Class 17.
    pub alignment: AlignmentInformation,
    /// Class 9: the path from the root of the share, with a leading `\`.
    pub name: NameInformation,
}

impl AllInformation {
    /// Length in bytes without the name.
    pub const FIXED_LEN: usize = 100;

    /// Appends the class.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.basic.encode(out);
        self.standard.encode(out);
        self.internal.encode(out);
        self.ea.encode(out);
        self.access.encode(out);
        self.position.encode(out);
        self.mode.encode(out);
        self.alignment.encode(out);
        self.name.encode(out);
    }
}

/// One entry of FileStreamInformation (MS-FSCC 2.4.49).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEntry {
    /// With colons and type: `::$DATA` for the file's own data, `:name:$DATA` for the others.
    pub name: String,
    /// Length in bytes.
    pub size: u64,
    /// Space that it takes, in bytes.
    pub allocation_size: u64,
}

/// Appends FileStreamInformation: as many whole entries as fit into `max_length` bytes. Gives false when
/// some did not fit (`BUFFER_OVERFLOW`).
pub fn encode_streams(entries: &[StreamEntry], max_length: usize, out: &mut Vec<u8>) -> bool {
    const FIXED: usize = 24;
    let list = out.len();
    let mut previous = None;
    for entry in entries {
        let start = list + (out.len() - list).next_multiple_of(8);
        let name_length = name::encoded_len(&entry.name);
        if start - list + FIXED + name_length > max_length {
            return false;
        }
        out.align(list, 8);
        if let Some(previous) = previous.replace(start) {
            out.set_size32(previous, start - previous);
        }
        out.u32(0);
        out.size32(name_length);
        out.u64(entry.size);
        out.u64(entry.allocation_size);
        out.utf16(&entry.name);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(encode: impl Fn(&mut Vec<u8>)) -> usize {
        let mut out = Vec::new();
        encode(&mut out);
        out.len()
    }

    #[test]
    fn fixed_lengths_hold() {
        assert_eq!(length(|out| BasicInformation::default().encode(out)), BasicInformation::FIXED_LEN);
        assert_eq!(length(|out| StandardInformation::default().encode(out)), StandardInformation::FIXED_LEN);
        assert_eq!(
            length(|out| NetworkOpenInformation::default().encode(out)),
            NetworkOpenInformation::FIXED_LEN
        );
        assert_eq!(
            length(|out| AttributeTagInformation::default().encode(out)),
            AttributeTagInformation::FIXED_LEN
        );
        assert_eq!(
            length(|out| CompressionInformation::default().encode(out)),
            CompressionInformation::FIXED_LEN
        );
        assert_eq!(length(|out| IdInformation::default().encode(out)), IdInformation::FIXED_LEN);
        assert_eq!(length(|out| AllInformation::default().encode(out)), AllInformation::FIXED_LEN);
    }

    #[test]
    fn streams_stop_at_the_limit() {
        let entries = [
            StreamEntry { name: "::$DATA".into(), size: 5, allocation_size: 4096 },
            StreamEntry { name: ":a:$DATA".into(), size: 1, allocation_size: 4096 },
        ];
        let mut out = Vec::new();
        assert!(encode_streams(&entries, 80, &mut out));
        assert_eq!(out.len(), 80);
        assert_eq!(out[..4], [40, 0, 0, 0]);
        assert_eq!(out[40..44], [0, 0, 0, 0]);
        let mut cut = Vec::new();
        assert!(!encode_streams(&entries, 79, &mut cut));
        assert_eq!(cut.len(), 38);
        assert_eq!(cut[..4], [0, 0, 0, 0]);
    }
}
