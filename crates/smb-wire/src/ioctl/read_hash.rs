//! FSCTL_SRV_READ_HASH: hashes of content for branch caches (MS-SMB2 2.2.31.2). A server that keeps none reads the
//! request and answers `HASH_NOT_SUPPORTED` or `HASH_NOT_PRESENT`.

use crate::{cursor::Fixed, error::WireError};

/// The only type of hash there is: of Peer Content Caching and Retrieval.
pub const HASH_TYPE_PEER_DIST: u32 = 0x0000_0001;

/// How hashes are asked for. Numbers without a name are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HashRetrieval(pub u32);

impl HashRetrieval {
    /// By offset in the hashes' file.
    pub const HASH_BASED: Self = Self(0x0000_0001);
    /// By offset in the file.
    pub const FILE_BASED: Self = Self(0x0000_0002);
}

/// Input of FSCTL_SRV_READ_HASH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadHashRequest {
    /// [`HASH_TYPE_PEER_DIST`].
    pub hash_type: u32,
    /// 1 or 2.
    pub hash_version: u32,
    /// By which offset.
    pub retrieval: HashRetrieval,
    /// Most bytes of the answer, or of the file.
    pub length: u32,
    /// Where to begin.
    pub offset: u64,
}

impl ReadHashRequest {
    /// Reads the input buffer.
    pub fn decode(input: &[u8]) -> Result<Self, WireError> {
        let fixed = Fixed::<24>::new(input, "SRV_READ_HASH request")?;
        Ok(Self {
            hash_type: fixed.u32(0),
            hash_version: fixed.u32(4),
            retrieval: HashRetrieval(fixed.u32(8)),
            length: fixed.u32(12),
            offset: fixed.u64(16),
        })
    }
}
