//! Responses that are one buffer behind a StructureSize of 9: QUERY_DIRECTORY, CHANGE_NOTIFY, QUERY_INFO.

macro_rules! payload_response {
    ($name:ident, $doc:literal, $what:literal) => {
        #[doc = $doc]
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            /// The output buffer.
            pub data: ::bytes::Bytes,
        }

        impl $name {
            /// Reads the response out of its whole message.
            pub fn decode(message: &::bytes::Bytes) -> Result<Self, $crate::error::WireError> {
                $crate::payload::decode(message, $what).map(|data| Self { data })
            }

            /// Appends the body.
            pub fn encode(&self, body: &mut Vec<u8>) {
                $crate::payload::encode(&self.data, body);
            }
        }
    };
}

pub(crate) use payload_response;

use crate::{
    HEADER_LEN,
    cursor::{Fixed, Put, buffer},
    error::WireError,
};
use bytes::Bytes;

const FIXED: usize = 8;

pub(crate) fn decode(message: &Bytes, what: &'static str) -> Result<Bytes, WireError> {
    let fixed = Fixed::<FIXED>::body(message, what, 9)?;
    buffer(message, HEADER_LEN + FIXED, fixed.size16(2), fixed.size32(4), what)
}

pub(crate) fn encode(data: &[u8], body: &mut Vec<u8>) {
    body.u16(9);
    body.size16(if data.is_empty() { 0 } else { HEADER_LEN + FIXED });
    body.size32(data.len());
    body.bytes(data);
}
