//! FLUSH (MS-SMB2 2.2.17, 2.2.18).

use crate::{
    cursor::{Fixed, Put},
    empty::empty_body,
    error::WireError,
    ids::FileId,
};
use bytes::Bytes;

/// SMB2 FLUSH request (MS-SMB2 2.2.17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlushRequest {
    /// Reserved; Apple's clients ask here for a full sync with 0xFFFF.
    pub reserved1: u16,
    /// The open.
    pub file_id: FileId,
}

impl FlushRequest {
    /// Reads the request out of its whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let fixed = Fixed::<24>::body(message, "FLUSH request", 24)?;
        Ok(Self { reserved1: fixed.u16(2), file_id: fixed.file_id(8) })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        body.u16(24);
        body.u16(self.reserved1);
        body.u32(0);
        self.file_id.encode(body);
    }
}

empty_body!(FlushResponse, "SMB2 FLUSH response (MS-SMB2 2.2.18).", "FLUSH response");
