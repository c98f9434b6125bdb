//! OPLOCK_BREAK (MS-SMB2 2.2.23, 2.2.24, 2.2.25).
//!
//! One command carries two protocols, told apart by StructureSize: oplocks (24 bytes in every direction)
//! and leases (44 bytes to the client, 36 bytes back and in the answer).

use crate::{
    HEADER_LEN,
    create::{LeaseKey, LeaseState, OplockLevel},
    cursor::{Fixed, Put},
    error::WireError,
    ids::FileId,
};
use bytes::Bytes;

/// SMB2 OPLOCK_BREAK notification, acknowledgement and response: one layout (MS-SMB2 2.2.23.1, 2.2.24.1,
/// 2.2.25.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OplockBreak {
    /// The level that is left.
    pub oplock_level: OplockLevel,
    /// The open.
    pub file_id: FileId,
}

impl OplockBreak {
    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        body.u16(24);
        body.u8(self.oplock_level.0);
        body.zeros(5);
        self.file_id.encode(body);
    }
}

/// Flag of a lease break notification: the client must acknowledge.
pub const LEASE_BREAK_ACK_REQUIRED: u32 = 0x0000_0001;

/// SMB2 lease break notification (MS-SMB2 2.2.23.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseBreakNotification {
    /// The epoch after this break; 0 for a lease of version 1.
    pub new_epoch: u16,
    /// The client must acknowledge.
    pub ack_required: bool,
    /// The lease.
    pub lease_key: LeaseKey,
    /// The state that it had.
    pub current_state: LeaseState,
    /// The state that is left.
    pub new_state: LeaseState,
}

impl LeaseBreakNotification {
    /// Reads the notification out of its whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let fixed = Fixed::<44>::body(message, "lease break notification", 44)?;
        Ok(Self {
            new_epoch: fixed.u16(2),
            ack_required: fixed.u32(4) & LEASE_BREAK_ACK_REQUIRED != 0,
            lease_key: LeaseKey(fixed.array(8)),
            current_state: LeaseState::from_bits_retain(fixed.u32(24)),
            new_state: LeaseState::from_bits_retain(fixed.u32(28)),
        })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        body.u16(44);
        body.u16(self.new_epoch);
        body.u32(if self.ack_required { LEASE_BREAK_ACK_REQUIRED } else { 0 });
        body.bytes(&self.lease_key.0);
        body.u32(self.current_state.bits());
        body.u32(self.new_state.bits());
        body.zeros(12);
    }
}

/// SMB2 lease break acknowledgement and response: one layout (MS-SMB2 2.2.24.2, 2.2.25.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseBreak {
    /// The lease.
    pub lease_key: LeaseKey,
    /// The state that is left.
    pub state: LeaseState,
}

impl LeaseBreak {
    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        body.u16(36);
        body.zeros(6);
        body.bytes(&self.lease_key.0);
        body.u32(self.state.bits());
        body.u64(0);
    }
}

/// What a client sends as OPLOCK_BREAK, and a server answers: of an oplock or of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakAcknowledgement {
    /// Of an oplock.
    Oplock(OplockBreak),
    /// Of a lease.
    Lease(LeaseBreak),
}

impl BreakAcknowledgement {
    /// Reads the acknowledgement out of its whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let what = "OPLOCK_BREAK acknowledgement";
        let body = message.get(HEADER_LEN..).unwrap_or_default();
        match Fixed::<2>::new(body, what)?.u16(0) {
            24 => {
                let fixed = Fixed::<24>::new(body, what)?;
                let oplock_level = OplockLevel(fixed.u8(2));
                Ok(Self::Oplock(OplockBreak { oplock_level, file_id: fixed.file_id(8) }))
            }
            36 => {
                let fixed = Fixed::<36>::new(body, what)?;
                let state = LeaseState::from_bits_retain(fixed.u32(24));
                Ok(Self::Lease(LeaseBreak { lease_key: LeaseKey(fixed.array(8)), state }))
            }
            other => Err(WireError::BadValue { what, value: u64::from(other) }),
        }
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        match self {
            Self::Oplock(oplock) => oplock.encode(body),
            Self::Lease(lease) => lease.encode(body),
        }
    }
}
