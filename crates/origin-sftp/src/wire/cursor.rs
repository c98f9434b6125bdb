//! Reading and writing the types of SSH (RFC 4251, section 5).

use super::WireError;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// What is left of a packet.
#[derive(Debug)]
pub(super) struct Cursor(Bytes);

impl Cursor {
    pub(super) fn new(packet: Bytes) -> Cursor {
        Cursor(packet)
    }

    pub(super) fn left(&self) -> usize {
        self.0.len()
    }

    pub(super) fn u8(&mut self) -> Result<u8, WireError> {
        self.0.try_get_u8().map_err(|_| WireError::Short)
    }

    pub(super) fn u32(&mut self) -> Result<u32, WireError> {
        self.0.try_get_u32().map_err(|_| WireError::Short)
    }

    pub(super) fn u64(&mut self) -> Result<u64, WireError> {
        self.0.try_get_u64().map_err(|_| WireError::Short)
    }

    /// A string: a slice of the packet.
    pub(super) fn string(&mut self) -> Result<Bytes, WireError> {
        let length = usize::try_from(self.u32()?).map_err(|_| WireError::Short)?;
        match length <= self.0.len() {
            true => Ok(self.0.split_to(length)),
            false => Err(WireError::Short),
        }
    }

    pub(super) fn rest(self) -> Bytes {
        self.0
    }
}

/// Writes one packet at the end of `out`: its length is filled in when the body is there.
pub(super) fn packet(out: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u32(0);
    body(out);
    let length =
        u32::try_from(out.len() - start - 4).expect("a request is bounded by PATH_MAX_BYTES and io_size");
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

pub(super) fn put_string(out: &mut BytesMut, string: &[u8]) {
    out.put_u32(u32::try_from(string.len()).expect("a string is bounded by PATH_MAX_BYTES and io_size"));
    out.extend_from_slice(string);
}
