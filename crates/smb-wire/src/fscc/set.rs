//! What is set on a file (MS-FSCC 2.4), by SET_INFO.

use super::{
    ea::{ExtendedAttribute, decode_full_ea_list},
    file::{BasicInformation, FileClass},
};
use crate::{
    cursor::{Fixed, Put, Reader},
    error::WireError,
    name,
};
use bitflags::bitflags;
use bytes::Bytes;

bitflags! {
    /// Flags of FileRenameInformationEx and FileLinkInformationEx (MS-FSCC 2.4.43, 2.4.28).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct RenameFlags: u32 {
        /// Replace what has the new name.
        const REPLACE_IF_EXISTS = 0x0000_0001;
        /// Replace it even while it is open.
        const POSIX_SEMANTICS = 0x0000_0002;
        /// Do not mark the file for pinning again.
        const SUPPRESS_PIN_STATE_INHERITANCE = 0x0000_0004;
        /// Replace it even when it is read-only.
        const IGNORE_READONLY_ATTRIBUTE = 0x0000_0040;
        const _ = !0;
    }
}

/// FileRenameInformation, FileLinkInformation and their extended forms (MS-FSCC 2.4.42, 2.4.27).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenameInformation {
    /// The plain form has only [`RenameFlags::REPLACE_IF_EXISTS`].
    pub flags: RenameFlags,
    /// Must be 0 over the network.
    pub root_directory: u64,
    /// Path from the root of the share; for a stream its new name, `:name`.
    pub name: String,
}

impl RenameInformation {
    const FIXED: usize = 20;

    fn decode(data: &[u8], extended: bool) -> Result<Self, WireError> {
        let what = "rename or link information";
        let fixed = Fixed::<{ Self::FIXED }>::new(data, what)?;
        let flags = if extended {
            RenameFlags::from_bits_retain(fixed.u32(0))
        } else if fixed.u8(0) != 0 {
            RenameFlags::REPLACE_IF_EXISTS
        } else {
            RenameFlags::empty()
        };
        let name = Reader::new(&data[Self::FIXED..], what).utf16(fixed.size32(16))?;
        Ok(Self { flags, root_directory: fixed.u64(8), name })
    }

    /// Appends the class, in its plain or extended form; the plain one keeps only the replace flag.
    pub fn encode(&self, extended: bool, out: &mut Vec<u8>) {
        if extended {
            out.u32(self.flags.bits());
        } else {
            out.u32(u32::from(self.flags.contains(RenameFlags::REPLACE_IF_EXISTS)));
        }
        out.u32(0);
        out.u64(self.root_directory);
        out.size32(name::encoded_len(&self.name));
        out.utf16(&self.name);
    }
}

bitflags! {
    /// Flags of FileDispositionInformationEx (MS-FSCC 2.4.12).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct DispositionFlags: u32 {
        /// Delete; without it: do not delete.
        const DELETE = 0x0000_0001;
        /// The name goes when this handle closes, not the last one.
        const POSIX_SEMANTICS = 0x0000_0002;
        /// Fail when the file is mapped.
        const FORCE_IMAGE_SECTION_CHECK = 0x0000_0004;
        /// The flag set at open is meant.
        const ON_CLOSE = 0x0000_0008;
        /// Delete even when it is read-only.
        const IGNORE_READONLY_ATTRIBUTE = 0x0000_0010;
        const _ = !0;
    }
}

/// A SET_INFO of [`crate::query_info::InfoType::FILE`], by class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetFileInformation {
    /// Class 4: times and attributes.
    Basic(BasicInformation),
    /// Classes 10 and 65.
    Rename(RenameInformation),
    /// Classes 11 and 72.
    Link(RenameInformation),
    /// Class 13: whether the file goes when the last handle closes.
    Disposition {
        /// Delete it.
        delete: bool,
    },
    /// Class 64.
    DispositionEx(DispositionFlags),
    /// Class 14.
    Position(u64),
    /// Class 15: extended attributes; an empty value removes one.
    ExtendedAttributes(Vec<ExtendedAttribute>),
    /// Class 16.
    Mode(u32),
    /// Class 19: space to keep, in bytes; below the length it truncates.
    AllocationSize(u64),
    /// Class 20: the new length in bytes.
    EndOfFile(u64),
    /// Class 39: bytes that are valid; the rest reads as zero.
    ValidDataLength(u64),
    /// Class 40: the 8.3 name.
    ShortName(String),
    /// A class that cannot be set, or that this crate does not know: `INVALID_INFO_CLASS`.
    Other(FileClass),
}

impl SetFileInformation {
    /// Reads the value of a class. An error means that `data` is too short (`INFO_LENGTH_MISMATCH`) or
    /// malformed.
    pub fn decode(class: FileClass, data: &Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(data, "SET_INFO value");
        Ok(match class {
            FileClass::BASIC => Self::Basic(BasicInformation::decode(data)?),
            FileClass::RENAME => Self::Rename(RenameInformation::decode(data, false)?),
            FileClass::RENAME_EX => Self::Rename(RenameInformation::decode(data, true)?),
            FileClass::LINK => Self::Link(RenameInformation::decode(data, false)?),
            FileClass::LINK_EX => Self::Link(RenameInformation::decode(data, true)?),
            FileClass::DISPOSITION => Self::Disposition { delete: reader.u8()? != 0 },
            FileClass::DISPOSITION_EX => {
                Self::DispositionEx(DispositionFlags::from_bits_retain(reader.u32()?))
            }
            FileClass::POSITION => Self::Position(reader.u64()?),
            FileClass::FULL_EA => Self::ExtendedAttributes(decode_full_ea_list(data)?),
            FileClass::MODE => Self::Mode(reader.u32()?),
            FileClass::ALLOCATION => Self::AllocationSize(reader.u64()?),
            FileClass::END_OF_FILE => Self::EndOfFile(reader.u64()?),
            FileClass::VALID_DATA_LENGTH => Self::ValidDataLength(reader.u64()?),
            FileClass::SHORT_NAME => {
                let length = reader.u32()? as usize;
                Self::ShortName(reader.utf16(length)?)
            }
            other => Self::Other(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rename_plain_and_extended() {
        let rename = RenameInformation {
            flags: RenameFlags::REPLACE_IF_EXISTS,
            root_directory: 0,
            name: "a\\b".into(),
        };
        for (class, extended) in [(FileClass::RENAME, false), (FileClass::RENAME_EX, true)] {
            let mut bytes = Vec::new();
            rename.encode(extended, &mut bytes);
            assert_eq!(
                SetFileInformation::decode(class, &bytes.clone().into()),
                Ok(SetFileInformation::Rename(rename.clone()))
            );
            bytes.pop();
            assert!(SetFileInformation::decode(class, &bytes.into()).is_err());
        }
    }

    #[test]
    fn short_values_are_refused_and_other_classes_named() {
        let short = Bytes::from_static(&[1, 2, 3]);
        assert!(SetFileInformation::decode(FileClass::END_OF_FILE, &short).is_err());
        assert_eq!(
            SetFileInformation::decode(FileClass::ALL, &short),
            Ok(SetFileInformation::Other(FileClass::ALL))
        );
        assert_eq!(
            SetFileInformation::decode(FileClass::DISPOSITION, &short),
            Ok(SetFileInformation::Disposition { delete: true })
        );
    }
}
