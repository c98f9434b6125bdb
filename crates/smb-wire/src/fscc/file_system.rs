//! What is asked about the file system (MS-FSCC 2.5), and what can be set there.

use crate::{
    cursor::{Fixed, Put},
    error::WireError,
    ids::Guid,
    name,
    time::FileTime,
};
use bitflags::bitflags;

/// Numbers of the classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileSystemClass(pub u8);

impl FileSystemClass {
    /// FileFsVolumeInformation
    pub const VOLUME: Self = Self(1);
    /// FileFsLabelInformation
    pub const LABEL: Self = Self(2);
    /// FileFsSizeInformation
    pub const SIZE: Self = Self(3);
    /// FileFsDeviceInformation
    pub const DEVICE: Self = Self(4);
    /// FileFsAttributeInformation
    pub const ATTRIBUTE: Self = Self(5);
    /// FileFsControlInformation
    pub const CONTROL: Self = Self(6);
    /// FileFsFullSizeInformation
    pub const FULL_SIZE: Self = Self(7);
    /// FileFsObjectIdInformation
    pub const OBJECT_ID: Self = Self(8);
    /// FileFsSectorSizeInformation
    pub const SECTOR_SIZE: Self = Self(11);
    /// SMB3 POSIX extensions: like `statvfs`.
    pub const POSIX: Self = Self(100);
}

/// FileFsVolumeInformation (MS-FSCC 2.5.9).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VolumeInformation {
    /// When the volume was made.
    pub creation_time: FileTime,
    /// Its serial number.
    pub serial_number: u32,
    /// Its label.
    pub label: String,
}

impl VolumeInformation {
    /// Length in bytes without the label.
    pub const FIXED_LEN: usize = 18;

    /// Appends the class; object ids are not supported.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u64(self.creation_time.0);
        out.u32(self.serial_number);
        out.size32(name::encoded_len(&self.label));
        out.u16(0);
        out.utf16(&self.label);
    }
}

/// Space in allocation units, for FileFsSizeInformation and FileFsFullSizeInformation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SizeInformation {
    /// All units.
    pub total_units: u64,
    /// Units that this user may still take (quota counted).
    pub caller_available_units: u64,
    /// Units that are free.
    pub actual_available_units: u64,
    /// Sectors in a unit.
    pub sectors_per_unit: u32,
    /// Bytes in a sector.
    pub bytes_per_sector: u32,
}

impl SizeInformation {
    /// Length in bytes of FileFsSizeInformation.
    pub const SIZE_LEN: usize = 24;
    /// Length in bytes of FileFsFullSizeInformation.
    pub const FULL_SIZE_LEN: usize = 32;

    /// Appends FileFsSizeInformation (MS-FSCC 2.5.8).
    pub fn encode_size(&self, out: &mut Vec<u8>) {
        out.u64(self.total_units);
        out.u64(self.caller_available_units);
        out.u32(self.sectors_per_unit);
        out.u32(self.bytes_per_sector);
    }

    /// Appends FileFsFullSizeInformation (MS-FSCC 2.5.4).
    pub fn encode_full_size(&self, out: &mut Vec<u8>) {
        out.u64(self.total_units);
        out.u64(self.caller_available_units);
        out.u64(self.actual_available_units);
        out.u32(self.sectors_per_unit);
        out.u32(self.bytes_per_sector);
    }
}

/// FileFsDeviceInformation (MS-FSCC 2.5.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceInformation {
    /// Kind of device.
    pub device_type: u32,
    /// Its characteristics.
    pub characteristics: u32,
}

impl DeviceInformation {
    /// Length in bytes.
    pub const FIXED_LEN: usize = 8;
    /// A mounted disk, as a file share shows it.
    pub const DISK: Self = Self { device_type: 0x07, characteristics: 0x20 };
    /// A named pipe.
    pub const NAMED_PIPE: Self = Self { device_type: 0x11, characteristics: 0 };

    /// Appends the class.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u32(self.device_type);
        out.u32(self.characteristics);
    }
}

bitflags! {
    /// What the file system can do (MS-FSCC 2.5.1).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct FileSystemAttributes: u32 {
        /// Names may differ in case alone.
        const CASE_SENSITIVE_SEARCH = 0x0000_0001;
        /// The case of names is kept.
        const CASE_PRESERVED_NAMES = 0x0000_0002;
        /// Names are Unicode.
        const UNICODE_ON_DISK = 0x0000_0004;
        /// Access lists are kept and enforced.
        const PERSISTENT_ACLS = 0x0000_0008;
        /// Files can be compressed.
        const FILE_COMPRESSION = 0x0000_0010;
        /// Quotas.
        const VOLUME_QUOTAS = 0x0000_0020;
        /// Files can have holes.
        const SUPPORTS_SPARSE_FILES = 0x0000_0040;
        /// Reparse points.
        const SUPPORTS_REPARSE_POINTS = 0x0000_0080;
        /// Remote storage.
        const SUPPORTS_REMOTE_STORAGE = 0x0000_0100;
        /// Compressed as a whole.
        const VOLUME_IS_COMPRESSED = 0x0000_8000;
        /// Object ids.
        const SUPPORTS_OBJECT_IDS = 0x0001_0000;
        /// Encryption on disk.
        const SUPPORTS_ENCRYPTION = 0x0002_0000;
        /// Named streams.
        const NAMED_STREAMS = 0x0004_0000;
        /// Read-only.
        const READ_ONLY_VOLUME = 0x0008_0000;
        /// Written once in sequence.
        const SEQUENTIAL_WRITE_ONCE = 0x0010_0000;
        /// Transactions.
        const SUPPORTS_TRANSACTIONS = 0x0020_0000;
        /// Several names for a file.
        const SUPPORTS_HARD_LINKS = 0x0040_0000;
        /// Extended attributes.
        const SUPPORTS_EXTENDED_ATTRIBUTES = 0x0080_0000;
        /// Open by file id.
        const SUPPORTS_OPEN_BY_FILE_ID = 0x0100_0000;
        /// Change journal.
        const SUPPORTS_USN_JOURNAL = 0x0200_0000;
        /// Integrity streams.
        const SUPPORTS_INTEGRITY_STREAMS = 0x0400_0000;
        /// Extents can be shared between files.
        const SUPPORTS_BLOCK_REFCOUNTING = 0x0800_0000;
        /// Valid data length is kept per extent.
        const SUPPORTS_SPARSE_VDL = 0x1000_0000;
        const _ = !0;
    }
}

/// FileFsAttributeInformation (MS-FSCC 2.5.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttributeInformation {
    /// What it can do.
    pub attributes: FileSystemAttributes,
    /// Most characters in one component of a path.
    pub max_component_length: u32,
    /// Its name; clients know "NTFS".
    pub name: String,
}

impl AttributeInformation {
    /// Length in bytes without the name.
    pub const FIXED_LEN: usize = 12;

    /// Appends the class.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u32(self.attributes.bits());
        out.u32(self.max_component_length);
        out.size32(name::encoded_len(&self.name));
        out.utf16(&self.name);
    }
}

/// FileFsControlInformation (MS-FSCC 2.5.2), asked and set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ControlInformation {
    /// Default quota at which a user is warned, in bytes; all ones for none.
    pub default_quota_threshold: u64,
    /// Default quota in bytes; all ones for none.
    pub default_quota_limit: u64,
    /// How quotas are kept.
    pub flags: u32,
}

impl ControlInformation {
    /// Length in bytes.
    pub const FIXED_LEN: usize = 48;

    /// Reads the class; the content indexer's thresholds are ignored.
    pub fn decode(data: &[u8]) -> Result<Self, WireError> {
        let fixed = Fixed::<44>::new(data, "FileFsControlInformation")?;
        Ok(Self {
            default_quota_threshold: fixed.u64(24),
            default_quota_limit: fixed.u64(32),
            flags: fixed.u32(40),
        })
    }

    /// Appends the class.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.zeros(24);
        out.u64(self.default_quota_threshold);
        out.u64(self.default_quota_limit);
        out.u32(self.flags);
        out.u32(0);
    }
}

/// FileFsObjectIdInformation (MS-FSCC 2.5.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ObjectIdInformation {
    /// The volume.
    pub object_id: Guid,
}

impl ObjectIdInformation {
    /// Length in bytes.
    pub const FIXED_LEN: usize = 64;

    /// Appends the class without extended information.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.bytes(&self.object_id);
        out.zeros(48);
    }
}

/// FileFsSectorSizeInformation (MS-FSCC 2.5.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SectorSizeInformation {
    /// Bytes in a logical sector.
    pub logical_bytes: u32,
    /// Bytes in a physical sector: written whole, and best for speed.
    pub physical_bytes: u32,
    /// Bit 0: aligned device, bit 1: aligned partition, bit 2: no seek penalty, bit 3: trim.
    pub flags: u32,
}

impl SectorSizeInformation {
    /// Length in bytes.
    pub const FIXED_LEN: usize = 28;

    /// Appends the class.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u32(self.logical_bytes);
        out.u32(self.physical_bytes);
        out.u32(self.physical_bytes);
        out.u32(self.physical_bytes);
        out.u32(self.flags);
        out.u64(0);
    }
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
        assert_eq!(length(|out| VolumeInformation::default().encode(out)), VolumeInformation::FIXED_LEN);
        assert_eq!(length(|out| SizeInformation::default().encode_size(out)), SizeInformation::SIZE_LEN);
        assert_eq!(
            length(|out| SizeInformation::default().encode_full_size(out)),
            SizeInformation::FULL_SIZE_LEN
        );
        assert_eq!(length(|out| DeviceInformation::DISK.encode(out)), DeviceInformation::FIXED_LEN);
        assert_eq!(
            length(|out| AttributeInformation::default().encode(out)),
            AttributeInformation::FIXED_LEN
        );
        assert_eq!(length(|out| ControlInformation::default().encode(out)), ControlInformation::FIXED_LEN);
        assert_eq!(length(|out| ObjectIdInformation::default().encode(out)), ObjectIdInformation::FIXED_LEN);
        assert_eq!(
            length(|out| SectorSizeInformation::default().encode(out)),
            SectorSizeInformation::FIXED_LEN
        );
    }

    #[test]
    fn control_survives() {
        let control = ControlInformation { default_quota_threshold: 1, default_quota_limit: 2, flags: 3 };
        let mut out = Vec::new();
        control.encode(&mut out);
        assert_eq!(ControlInformation::decode(&out), Ok(control));
    }
}
