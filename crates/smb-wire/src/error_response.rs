//! The ERROR response (MS-SMB2 2.2.2), which stands in place of any command's response.

use crate::{
    HEADER_LEN,
    cursor::{Fixed, Put, Reader, slice},
    error::WireError,
    fscc::reparse::Symlink,
};
use bytes::Bytes;

/// Error id of a context without another one.
pub const ERROR_ID_DEFAULT: u32 = 0x0000_0000;
/// Error id of a share redirect.
pub const ERROR_ID_SHARE_REDIRECT: u32 = 0x7264_5253;

/// What an ERROR response carries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErrorResponse {
    /// Data of dialects before 3.1.1 (see [`ErrorResponse::buffer_too_small`]), or empty.
    pub data: Bytes,
    /// Contexts of dialect 3.1.1. When there are any, `data` is not sent.
    pub contexts: Vec<ErrorContext>,
}

/// SMB2 ERROR Context (MS-SMB2 2.2.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorContext {
    /// [`ERROR_ID_DEFAULT`] or [`ERROR_ID_SHARE_REDIRECT`].
    pub error_id: u32,
    /// The data.
    pub data: Bytes,
}

impl ErrorResponse {
    const FIXED: usize = 8;

    /// An error with data in the layout of the dialect: plain before 3.1.1, in one context from there on.
    pub fn with_data(data: impl Into<Bytes>, in_context: bool) -> Self {
        let data = data.into();
        if in_context {
            let context = ErrorContext { error_id: ERROR_ID_DEFAULT, data };
            return Self { data: Bytes::new(), contexts: vec![context] };
        }
        Self { data, contexts: Vec::new() }
    }

    /// For `BUFFER_TOO_SMALL`: the length in bytes that would do (MS-SMB2 2.2.2.2).
    pub fn buffer_too_small(needed: u32, in_context: bool) -> Self {
        Self::with_data(needed.to_le_bytes().to_vec(), in_context)
    }

    /// For `STOPPED_ON_SYMLINK`: the link in the way, and how many bytes at the end of the path come after it
    /// (MS-SMB2 2.2.2.2.1).
    pub fn stopped_on_symlink(link: &Symlink, unparsed_path_length: u16, in_context: bool) -> Self {
        Self::with_data(link.encode_error(unparsed_path_length), in_context)
    }

    /// Reads the response out of its whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let what = "ERROR response";
        let fixed = Fixed::<{ Self::FIXED }>::body(message, what, 9)?;
        let data = slice(message, HEADER_LEN + Self::FIXED, fixed.size32(4), what)?;
        let mut contexts = Vec::new();
        let mut reader = Reader::new(&data, what);
        for index in 0..fixed.u8(2) {
            if index > 0 {
                reader.align(8)?;
            }
            let (length, error_id) = (reader.u32()? as usize, reader.u32()?);
            let at = reader.position();
            reader.skip(length)?;
            contexts.push(ErrorContext { error_id, data: data.slice(at..at + length) });
        }
        Ok(Self { data: if contexts.is_empty() { data } else { Bytes::new() }, contexts })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        body.u16(9);
        body.u8(self.contexts.len() as u8);
        body.u8(0);
        let length_at = body.len();
        body.u32(0);
        let start = body.len();
        for context in &self.contexts {
            body.align(start, 8);
            body.size32(context.data.len());
            body.u32(context.error_id);
            body.bytes(&context.data);
        }
        if self.contexts.is_empty() {
            body.bytes(&self.data);
        }
        let length = body.len() - start;
        body.set_size32(length_at, length);
        if length == 0 {
            body.u8(0);
        }
    }
}
