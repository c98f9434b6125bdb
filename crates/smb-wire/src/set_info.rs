//! SET_INFO (MS-SMB2 2.2.39, 2.2.40). The values are in [`crate::fscc`] and
//! [`crate::security_descriptor`].

use crate::{
    HEADER_LEN,
    cursor::{Fixed, Put, buffer},
    error::WireError,
    ids::FileId,
    query_info::InfoType,
};
use bytes::Bytes;

/// SMB2 SET_INFO request (MS-SMB2 2.2.39).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetInfoRequest {
    /// What is set.
    pub info_type: InfoType,
    /// Information class within the type.
    pub information_class: u8,
    /// [`crate::query_info::SecurityInformation`] bits.
    pub additional_information: u32,
    /// The open.
    pub file_id: FileId,
    /// The new value.
    pub data: Bytes,
}

impl SetInfoRequest {
    const FIXED: usize = 32;

    /// Reads the request out of its whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let what = "SET_INFO request";
        let fixed = Fixed::<{ Self::FIXED }>::body(message, what, 33)?;
        let earliest = HEADER_LEN + Self::FIXED;
        Ok(Self {
            info_type: InfoType(fixed.u8(2)),
            information_class: fixed.u8(3),
            additional_information: fixed.u32(12),
            file_id: fixed.file_id(16),
            data: buffer(message, earliest, fixed.size16(8), fixed.size32(4), what)?,
        })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        body.u16(33);
        body.u8(self.info_type.0);
        body.u8(self.information_class);
        body.size32(self.data.len());
        body.size16(HEADER_LEN + Self::FIXED);
        body.u16(0);
        body.u32(self.additional_information);
        self.file_id.encode(body);
        body.bytes(&self.data);
    }
}

/// SMB2 SET_INFO response (MS-SMB2 2.2.40).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SetInfoResponse;

impl SetInfoResponse {
    /// Checks that the body is there.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        Fixed::<2>::body(message, "SET_INFO response", 2).map(|_| Self)
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        body.u16(2);
    }
}
