//! QUERY_DIRECTORY (MS-SMB2 2.2.33, 2.2.34). The entries are in [`crate::fscc::directory`].

use crate::{
    HEADER_LEN,
    cursor::{Fixed, Put, buffer},
    error::WireError,
    ids::FileId,
    name,
    payload::payload_response,
};
use bitflags::bitflags;
use bytes::Bytes;

bitflags! {
    /// Flags of a QUERY_DIRECTORY request.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct QueryDirectoryFlags: u8 {
        /// Begin again.
        const RESTART_SCANS = 0x01;
        /// One entry only.
        const RETURN_SINGLE_ENTRY = 0x02;
        /// Begin after FileIndex.
        const INDEX_SPECIFIED = 0x04;
        /// Begin again with a new pattern.
        const REOPEN = 0x10;
        const _ = !0;
    }
}

/// SMB2 QUERY_DIRECTORY request (MS-SMB2 2.2.33).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryDirectoryRequest {
    /// Which entries, see [`crate::fscc::directory::DirectoryClass`].
    pub information_class: u8,
    /// Where to begin and how many.
    pub flags: QueryDirectoryFlags,
    /// Only with [`QueryDirectoryFlags::INDEX_SPECIFIED`].
    pub file_index: u32,
    /// The open.
    pub file_id: FileId,
    /// Most bytes that the client takes.
    pub output_buffer_length: u32,
    /// Which names; empty goes on with the one before.
    pub pattern: String,
}

impl QueryDirectoryRequest {
    const FIXED: usize = 32;

    /// Reads the request out of its whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let what = "QUERY_DIRECTORY request";
        let fixed = Fixed::<{ Self::FIXED }>::body(message, what, 33)?;
        let earliest = HEADER_LEN + Self::FIXED;
        let pattern = buffer(message, earliest, fixed.size16(24), fixed.size16(26), what)?;
        Ok(Self {
            information_class: fixed.u8(2),
            flags: QueryDirectoryFlags::from_bits_retain(fixed.u8(3)),
            file_index: fixed.u32(4),
            file_id: fixed.file_id(8),
            output_buffer_length: fixed.u32(28),
            pattern: name::decode(&pattern, "QUERY_DIRECTORY pattern")?,
        })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        body.u16(33);
        body.u8(self.information_class);
        body.u8(self.flags.bits());
        body.u32(self.file_index);
        self.file_id.encode(body);
        body.size16(HEADER_LEN + Self::FIXED);
        body.size16(name::encoded_len(&self.pattern));
        body.u32(self.output_buffer_length);
        body.utf16(&self.pattern);
    }
}

payload_response!(
    QueryDirectoryResponse,
    "SMB2 QUERY_DIRECTORY response (MS-SMB2 2.2.34).",
    "QUERY_DIRECTORY response"
);
