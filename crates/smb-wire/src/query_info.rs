//! QUERY_INFO (MS-SMB2 2.2.37, 2.2.38). The answers are in [`crate::fscc`] and
//! [`crate::security_descriptor`].

use crate::{
    HEADER_LEN,
    cursor::{Fixed, Put, buffer},
    error::WireError,
    ids::FileId,
    payload::payload_response,
};
use bitflags::bitflags;
use bytes::Bytes;

/// What is asked about or set. Numbers without a name are kept: a server refuses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InfoType(pub u8);

impl InfoType {
    /// The file (MS-FSCC 2.4).
    pub const FILE: Self = Self(1);
    /// The file system (MS-FSCC 2.5).
    pub const FILE_SYSTEM: Self = Self(2);
    /// The security descriptor (MS-DTYP 2.4.6).
    pub const SECURITY: Self = Self(3);
    /// Quotas.
    pub const QUOTA: Self = Self(4);
}

bitflags! {
    /// AdditionalInformation with [`InfoType::SECURITY`]: which parts of the descriptor.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct SecurityInformation: u32 {
        /// Owner.
        const OWNER = 0x0000_0001;
        /// Group.
        const GROUP = 0x0000_0002;
        /// Discretionary list.
        const DACL = 0x0000_0004;
        /// System list: auditing.
        const SACL = 0x0000_0008;
        /// Mandatory label.
        const LABEL = 0x0000_0010;
        /// Resource attributes.
        const ATTRIBUTE = 0x0000_0020;
        /// Central policy.
        const SCOPE = 0x0000_0040;
        /// All of it, for backup.
        const BACKUP = 0x0001_0000;
        /// Set: the SACL inherits.
        const UNPROTECTED_SACL = 0x1000_0000;
        /// Set: the DACL inherits.
        const UNPROTECTED_DACL = 0x2000_0000;
        /// Set: the SACL does not inherit.
        const PROTECTED_SACL = 0x4000_0000;
        /// Set: the DACL does not inherit.
        const PROTECTED_DACL = 0x8000_0000;
        const _ = !0;
    }
}

bitflags! {
    /// Flags of a QUERY_INFO request for extended attributes.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct QueryInfoFlags: u32 {
        /// Begin again.
        const RESTART_SCAN = 0x0000_0001;
        /// One entry only.
        const RETURN_SINGLE_ENTRY = 0x0000_0002;
        /// Begin at an index.
        const INDEX_SPECIFIED = 0x0000_0004;
        const _ = !0;
    }
}

/// SMB2 QUERY_INFO request (MS-SMB2 2.2.37).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryInfoRequest {
    /// What is asked about.
    pub info_type: InfoType,
    /// Information class within the type.
    pub information_class: u8,
    /// Most bytes that the client takes.
    pub output_buffer_length: u32,
    /// [`SecurityInformation`] bits, or the index of an extended attribute.
    pub additional_information: u32,
    /// For extended attributes.
    pub flags: QueryInfoFlags,
    /// The open.
    pub file_id: FileId,
    /// Names of extended attributes or owners of quotas.
    pub input: Bytes,
}

impl QueryInfoRequest {
    const FIXED: usize = 40;

    /// Reads the request out of its whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let what = "QUERY_INFO request";
        let fixed = Fixed::<{ Self::FIXED }>::body(message, what, 41)?;
        let earliest = HEADER_LEN + Self::FIXED;
        Ok(Self {
            info_type: InfoType(fixed.u8(2)),
            information_class: fixed.u8(3),
            output_buffer_length: fixed.u32(4),
            additional_information: fixed.u32(16),
            flags: QueryInfoFlags::from_bits_retain(fixed.u32(20)),
            file_id: fixed.file_id(24),
            input: buffer(message, earliest, fixed.size16(8), fixed.size32(12), what)?,
        })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        body.u16(41);
        body.u8(self.info_type.0);
        body.u8(self.information_class);
        body.u32(self.output_buffer_length);
        body.size16(if self.input.is_empty() { 0 } else { HEADER_LEN + Self::FIXED });
        body.u16(0);
        body.size32(self.input.len());
        body.u32(self.additional_information);
        body.u32(self.flags.bits());
        self.file_id.encode(body);
        body.bytes(&self.input);
    }
}

payload_response!(QueryInfoResponse, "SMB2 QUERY_INFO response (MS-SMB2 2.2.38).", "QUERY_INFO response");
