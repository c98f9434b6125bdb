//! WRITE (MS-SMB2 2.2.21, 2.2.22).

use crate::{
    HEADER_LEN,
    cursor::{Fixed, Put, buffer},
    error::WireError,
    ids::FileId,
};
use bitflags::bitflags;
use bytes::Bytes;

bitflags! {
    /// Flags of a WRITE request.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct WriteFlags: u32 {
        /// Reaches stable storage before it is answered (2.1 and later).
        const WRITE_THROUGH = 0x0000_0001;
        /// Does not use the server's cache (3.0.2 and later).
        const UNBUFFERED = 0x0000_0002;
        const _ = !0;
    }
}

/// SMB2 WRITE request (MS-SMB2 2.2.21). Channel and RemainingBytes are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteRequest {
    /// Where to write.
    pub offset: u64,
    /// The open.
    pub file_id: FileId,
    /// How to write.
    pub flags: WriteFlags,
    /// What to write: a slice of the message.
    pub data: Bytes,
}

impl WriteRequest {
    const FIXED: usize = 48;

    /// Reads the request out of its whole message, without copying the data.
    #[inline]
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let what = "WRITE request";
        let fixed = Fixed::<{ Self::FIXED }>::body(message, what, 49)?;
        let earliest = HEADER_LEN + Self::FIXED;
        Ok(Self {
            offset: fixed.u64(8),
            file_id: fixed.file_id(16),
            flags: WriteFlags::from_bits_retain(fixed.u32(44)),
            data: buffer(message, earliest, fixed.size16(2), fixed.size32(4), what)?,
        })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        body.u16(49);
        body.size16(HEADER_LEN + Self::FIXED);
        body.size32(self.data.len());
        body.u64(self.offset);
        self.file_id.encode(body);
        body.zeros(12);
        body.u32(self.flags.bits());
        body.bytes(&self.data);
    }
}

/// SMB2 WRITE response (MS-SMB2 2.2.22).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteResponse {
    /// Bytes written.
    pub count: u32,
}

impl WriteResponse {
    /// Reads the response out of its whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let fixed = Fixed::<16>::body(message, "WRITE response", 17)?;
        Ok(Self { count: fixed.u32(4) })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        body.u16(17);
        body.u16(0);
        body.u32(self.count);
        body.zeros(8);
    }
}
