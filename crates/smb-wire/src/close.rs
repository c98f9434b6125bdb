//! CLOSE (MS-SMB2 2.2.15, 2.2.16).

use crate::{
    cursor::{Fixed, Put},
    error::WireError,
    fscc::FileAttributes,
    ids::FileId,
    time::FileTime,
};
use bytes::Bytes;

/// Flag of both directions: the response carries the file's attributes.
pub const CLOSE_POSTQUERY_ATTRIB: u16 = 0x0001;

/// SMB2 CLOSE request (MS-SMB2 2.2.15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseRequest {
    /// The client wants [`CloseAttributes`] back.
    pub post_query_attributes: bool,
    /// The open.
    pub file_id: FileId,
}

impl CloseRequest {
    /// Reads the request out of its whole message. Unknown flags are ignored.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let fixed = Fixed::<24>::body(message, "CLOSE request", 24)?;
        Ok(Self {
            post_query_attributes: fixed.u16(2) & CLOSE_POSTQUERY_ATTRIB != 0,
            file_id: fixed.file_id(8),
        })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        body.u16(24);
        body.u16(u16::from(self.post_query_attributes));
        body.u32(0);
        self.file_id.encode(body);
    }
}

/// What a CLOSE response says about the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CloseAttributes {
    /// When the file was made.
    pub creation_time: FileTime,
    /// When it was last read.
    pub last_access_time: FileTime,
    /// When its data last changed.
    pub last_write_time: FileTime,
    /// When anything about it last changed.
    pub change_time: FileTime,
    /// Space that it takes, in bytes.
    pub allocation_size: u64,
    /// Its length in bytes.
    pub end_of_file: u64,
    /// Its attributes.
    pub file_attributes: FileAttributes,
}

/// SMB2 CLOSE response (MS-SMB2 2.2.16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseResponse {
    /// Given when the client asked for it.
    pub attributes: Option<CloseAttributes>,
}

impl CloseResponse {
    /// Reads the response out of its whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let fixed = Fixed::<60>::body(message, "CLOSE response", 60)?;
        let given = fixed.u16(2) & CLOSE_POSTQUERY_ATTRIB != 0;
        Ok(Self {
            attributes: given.then(|| CloseAttributes {
                creation_time: FileTime(fixed.u64(8)),
                last_access_time: FileTime(fixed.u64(16)),
                last_write_time: FileTime(fixed.u64(24)),
                change_time: FileTime(fixed.u64(32)),
                allocation_size: fixed.u64(40),
                end_of_file: fixed.u64(48),
                file_attributes: FileAttributes::from_bits_retain(fixed.u32(56)),
            }),
        })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        let given = self.attributes.unwrap_or_default();
        body.u16(60);
        body.u16(u16::from(self.attributes.is_some()));
        body.u32(0);
        for time in [given.creation_time, given.last_access_time, given.last_write_time, given.change_time] {
            body.u64(time.0);
        }
        body.u64(given.allocation_size);
        body.u64(given.end_of_file);
        body.u32(given.file_attributes.bits());
    }
}
