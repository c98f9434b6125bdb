//! LOCK (MS-SMB2 2.2.26, 2.2.27).

use crate::{
    HEADER_LEN,
    cursor::{Fixed, Put, Reader},
    empty::empty_body,
    error::WireError,
    ids::FileId,
};
use bitflags::bitflags;
use bytes::Bytes;

bitflags! {
    /// What to do with a range. Bits without a name are kept: a server refuses them.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct LockFlags: u32 {
        /// Lock; others may read.
        const SHARED = 0x0000_0001;
        /// Lock; others may not touch it.
        const EXCLUSIVE = 0x0000_0002;
        /// Unlock.
        const UNLOCK = 0x0000_0004;
        /// Do not wait.
        const FAIL_IMMEDIATELY = 0x0000_0010;
        const _ = !0;
    }
}

/// SMB2_LOCK_ELEMENT (MS-SMB2 2.2.26.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockElement {
    /// First byte.
    pub offset: u64,
    /// Length in bytes; may be 0.
    pub length: u64,
    /// What to do.
    pub flags: LockFlags,
}

const ELEMENT_LEN: usize = 24;

/// SMB2 LOCK request (MS-SMB2 2.2.26).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockRequest {
    /// Bucket for replay, 1 to 64; 0 when replay is not asked for. 28 bits on the wire.
    pub sequence_index: u32,
    /// Number in the bucket, 4 bits.
    pub sequence_number: u8,
    /// The open.
    pub file_id: FileId,
    /// At least one.
    pub locks: Vec<LockElement>,
}

impl LockRequest {
    const FIXED: usize = 24;

    /// Reads the request out of its whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let what = "LOCK request";
        let fixed = Fixed::<{ Self::FIXED }>::body(message, what, 48)?;
        let count = fixed.size16(2);
        if count == 0 {
            return Err(WireError::BadValue { what: "LOCK LockCount", value: 0 });
        }
        let mut reader = Reader::new(&message[HEADER_LEN + Self::FIXED..], what);
        let (elements, _) = reader.take(count * ELEMENT_LEN)?.as_chunks::<ELEMENT_LEN>();
        let locks = elements.iter().map(|element| {
            let fixed = Fixed::<ELEMENT_LEN>::new(element, what)?;
            let flags = LockFlags::from_bits_retain(fixed.u32(16));
            Ok(LockElement { offset: fixed.u64(0), length: fixed.u64(8), flags })
        });
        let sequence = fixed.u32(4);
        Ok(Self {
            sequence_index: sequence >> 4,
            sequence_number: (sequence & 0xF) as u8,
            file_id: fixed.file_id(8),
            locks: locks.collect::<Result<_, WireError>>()?,
        })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        body.u16(48);
        body.size16(self.locks.len());
        body.u32(self.sequence_index << 4 | u32::from(self.sequence_number & 0xF));
        self.file_id.encode(body);
        for lock in &self.locks {
            body.u64(lock.offset);
            body.u64(lock.length);
            body.u32(lock.flags.bits());
            body.u32(0);
        }
    }
}

empty_body!(LockResponse, "SMB2 LOCK response (MS-SMB2 2.2.27).", "LOCK response");
