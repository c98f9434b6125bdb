//! READ (MS-SMB2 2.2.19, 2.2.20).

use crate::{
    HEADER_LEN,
    cursor::{Fixed, Put, buffer},
    error::WireError,
    ids::FileId,
};
use bytes::Bytes;

/// Flag of a request: do not use the server's cache (3.0.2).
pub const READ_UNBUFFERED: u8 = 0x01;
/// Flag of a request: the response may be compressed (3.1.1).
pub const READ_REQUEST_COMPRESSED: u8 = 0x02;

/// SMB2 READ request (MS-SMB2 2.2.19). Channel and RemainingBytes are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadRequest {
    /// Where the client would like the data in the response, in bytes from the header; a server may
    /// ignore it.
    pub padding: u8,
    /// [`READ_UNBUFFERED`], [`READ_REQUEST_COMPRESSED`].
    pub flags: u8,
    /// Bytes to read.
    pub length: u32,
    /// First byte to read.
    pub offset: u64,
    /// The open.
    pub file_id: FileId,
    /// Fewer bytes than this are END_OF_FILE.
    pub minimum_count: u32,
}

impl ReadRequest {
    /// Reads the request out of its whole message.
    #[inline]
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let fixed = Fixed::<48>::body(message, "READ request", 49)?;
        Ok(Self {
            padding: fixed.u8(2),
            flags: fixed.u8(3),
            length: fixed.u32(4),
            offset: fixed.u64(8),
            file_id: fixed.file_id(16),
            minimum_count: fixed.u32(32),
        })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        body.u16(49);
        body.u8(self.padding);
        body.u8(self.flags);
        body.u32(self.length);
        body.u64(self.offset);
        self.file_id.encode(body);
        body.u32(self.minimum_count);
        body.zeros(13);
    }
}

/// Length in bytes of a READ response before its data.
pub const READ_RESPONSE_HEAD_LEN: usize = 16;

/// SMB2 READ response (MS-SMB2 2.2.20).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadResponse {
    /// What was read.
    pub data: Bytes,
}

impl ReadResponse {
    /// The part of the body before `length` bytes of data, to be sent ahead of them without copying.
    pub fn head(length: u32) -> [u8; READ_RESPONSE_HEAD_LEN] {
        let mut head = [0; READ_RESPONSE_HEAD_LEN];
        head[0] = 17;
        head[2] = (HEADER_LEN + READ_RESPONSE_HEAD_LEN) as u8;
        head[4..8].copy_from_slice(&length.to_le_bytes());
        head
    }

    /// Reads the response out of its whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let what = "READ response";
        let fixed = Fixed::<READ_RESPONSE_HEAD_LEN>::body(message, what, 17)?;
        let earliest = HEADER_LEN + READ_RESPONSE_HEAD_LEN;
        Ok(Self { data: buffer(message, earliest, usize::from(fixed.u8(2)), fixed.size32(4), what)? })
    }

    /// Appends the body with its data.
    pub fn encode(&self, body: &mut Vec<u8>) {
        body.bytes(&Self::head(self.data.len() as u32));
        body.bytes(&self.data);
    }
}
