//! FSCTL_GET_INTEGRITY_INFORMATION and FSCTL_SET_INTEGRITY_INFORMATION: checksums of a file's data (MS-FSCC 2.3.20,
//! 2.3.71).

use crate::{
    cursor::{Fixed, Put},
    error::WireError,
};

/// How data is checked. Numbers without a name are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChecksumAlgorithm(pub u16);

impl ChecksumAlgorithm {
    /// Not at all.
    pub const NONE: Self = Self(0x0000);
    /// CRC-32.
    pub const CRC32: Self = Self(0x0001);
    /// CRC-64.
    pub const CRC64: Self = Self(0x0002);
    /// Set: as before.
    pub const UNCHANGED: Self = Self(0xFFFF);
}

/// Flag: a wrong checksum does not fail the read.
pub const CHECKSUM_ENFORCEMENT_OFF: u32 = 0x0000_0001;

/// Output of FSCTL_GET_INTEGRITY_INFORMATION.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntegrityInformation {
    /// How data is checked.
    pub algorithm: ChecksumAlgorithm,
    /// 0 or [`CHECKSUM_ENFORCEMENT_OFF`].
    pub flags: u32,
    /// Bytes under one checksum.
    pub checksum_chunk_bytes: u32,
    /// Bytes in a cluster of the volume.
    pub cluster_bytes: u32,
}

impl IntegrityInformation {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// Appends the output buffer.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u16(self.algorithm.0);
        out.u16(0);
        out.u32(self.flags);
        out.u32(self.checksum_chunk_bytes);
        out.u32(self.cluster_bytes);
    }
}

/// Input of FSCTL_SET_INTEGRITY_INFORMATION.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetIntegrity {
    /// How data shall be checked.
    pub algorithm: ChecksumAlgorithm,
    /// 0 or [`CHECKSUM_ENFORCEMENT_OFF`].
    pub flags: u32,
}

impl SetIntegrity {
    /// Reads the input buffer.
    pub fn decode(input: &[u8]) -> Result<Self, WireError> {
        let fixed = Fixed::<8>::new(input, "FSCTL_SET_INTEGRITY_INFORMATION_BUFFER")?;
        Ok(Self { algorithm: ChecksumAlgorithm(fixed.u16(0)), flags: fixed.u32(4) })
    }
}
