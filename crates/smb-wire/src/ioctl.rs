//! IOCTL (MS-SMB2 2.2.31, 2.2.32). Inputs and outputs of single codes live in the modules below.

pub mod control;
pub mod copy_chunk;
pub mod fsctl;
pub mod integrity;
pub mod negotiate_info;
pub mod network_interface;
pub mod offload;
pub mod read_hash;
pub mod regions;
pub mod snapshot;
pub mod sparse;
pub mod volume_info;

pub use fsctl::Fsctl;

use crate::{
    HEADER_LEN,
    cursor::{Fixed, Put, buffer},
    error::WireError,
    ids::FileId,
};
use bytes::Bytes;

/// Flag of a request: the code is an FSCTL. Anything else is NOT_SUPPORTED.
pub const IOCTL_IS_FSCTL: u32 = 0x0000_0001;

/// SMB2 IOCTL request (MS-SMB2 2.2.31).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IoctlRequest {
    /// What is asked for.
    pub ctl_code: Fsctl,
    /// The open; all ones for codes that need none.
    pub file_id: FileId,
    /// Most bytes of input that the client takes back.
    pub max_input_response: u32,
    /// Most bytes of output that the client takes.
    pub max_output_response: u32,
    /// [`IOCTL_IS_FSCTL`]
    pub flags: u32,
    /// The input buffer.
    pub input: Bytes,
}

impl IoctlRequest {
    const FIXED: usize = 56;

    /// Reads the request out of its whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let what = "IOCTL request";
        let fixed = Fixed::<{ Self::FIXED }>::body(message, what, 57)?;
        let earliest = HEADER_LEN + Self::FIXED;
        Ok(Self {
            ctl_code: Fsctl(fixed.u32(4)),
            file_id: fixed.file_id(8),
            input: buffer(message, earliest, fixed.size32(24), fixed.size32(28), what)?,
            max_input_response: fixed.u32(32),
            max_output_response: fixed.u32(44),
            flags: fixed.u32(48),
        })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        let offset = if self.input.is_empty() { 0 } else { HEADER_LEN + Self::FIXED };
        body.u16(57);
        body.u16(0);
        body.u32(self.ctl_code.0);
        self.file_id.encode(body);
        body.size32(offset);
        body.size32(self.input.len());
        body.u32(self.max_input_response);
        body.size32(offset);
        body.u32(0);
        body.u32(self.max_output_response);
        body.u32(self.flags);
        body.u32(0);
        body.bytes(&self.input);
    }
}

/// SMB2 IOCTL response (MS-SMB2 2.2.32).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IoctlResponse {
    /// As in the request.
    pub ctl_code: Fsctl,
    /// As in the request.
    pub file_id: FileId,
    /// The output buffer. No input is sent back.
    pub output: Bytes,
}

impl IoctlResponse {
    const FIXED: usize = 48;

    /// Reads the response out of its whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let what = "IOCTL response";
        let fixed = Fixed::<{ Self::FIXED }>::body(message, what, 49)?;
        let earliest = HEADER_LEN + Self::FIXED;
        Ok(Self {
            ctl_code: Fsctl(fixed.u32(4)),
            file_id: fixed.file_id(8),
            output: buffer(message, earliest, fixed.size32(32), fixed.size32(36), what)?,
        })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        body.u16(49);
        body.u16(0);
        body.u32(self.ctl_code.0);
        self.file_id.encode(body);
        body.size32(HEADER_LEN + Self::FIXED);
        body.u32(0);
        body.size32(HEADER_LEN + Self::FIXED);
        body.size32(self.output.len());
        body.u64(0);
        body.bytes(&self.output);
    }
}
