//! SESSION_SETUP (MS-SMB2 2.2.5, 2.2.6) and LOGOFF (2.2.7, 2.2.8).

use crate::{
    HEADER_LEN,
    cursor::{Fixed, Put, buffer},
    empty::empty_body,
    error::WireError,
};
use bitflags::bitflags;
use bytes::Bytes;

bitflags! {
    /// Flags of a SESSION_SETUP request.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct SessionSetupFlags: u8 {
        /// Bind this connection to an existing session as a channel (3.x).
        const BINDING = 0x01;
        const _ = !0;
    }
}

/// SMB2 SESSION_SETUP request (MS-SMB2 2.2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSetupRequest {
    /// Whether a channel is bound.
    pub flags: SessionSetupFlags,
    /// The low byte of [`crate::negotiate::SecurityMode`].
    pub security_mode: u8,
    /// Only the DFS bit has a meaning.
    pub capabilities: u32,
    /// A session of the same client that this one replaces, or 0.
    pub previous_session_id: u64,
    /// The authentication token.
    pub security_buffer: Bytes,
}

impl SessionSetupRequest {
    const FIXED: usize = 24;

    /// Reads the request out of its whole message. Channel is ignored.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let what = "SESSION_SETUP request";
        let fixed = Fixed::<{ Self::FIXED }>::body(message, what, 25)?;
        let earliest = HEADER_LEN + Self::FIXED;
        Ok(Self {
            flags: SessionSetupFlags::from_bits_retain(fixed.u8(2)),
            security_mode: fixed.u8(3),
            capabilities: fixed.u32(4),
            previous_session_id: fixed.u64(16),
            security_buffer: buffer(message, earliest, fixed.size16(12), fixed.size16(14), what)?,
        })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        body.u16(25);
        body.u8(self.flags.bits());
        body.u8(self.security_mode);
        body.u32(self.capabilities);
        body.u32(0);
        body.size16(HEADER_LEN + Self::FIXED);
        body.size16(self.security_buffer.len());
        body.u64(self.previous_session_id);
        body.bytes(&self.security_buffer);
    }
}

bitflags! {
    /// SessionFlags of a SESSION_SETUP response.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct SessionFlags: u16 {
        /// The user became guest.
        const IS_GUEST = 0x0001;
        /// An anonymous session.
        const IS_NULL = 0x0002;
        /// Everything in the session must be encrypted (3.x).
        const ENCRYPT_DATA = 0x0004;
        const _ = !0;
    }
}

/// SMB2 SESSION_SETUP response (MS-SMB2 2.2.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSetupResponse {
    /// What became of the user.
    pub session_flags: SessionFlags,
    /// The authentication token that answers, or empty.
    pub security_buffer: Bytes,
}

impl SessionSetupResponse {
    const FIXED: usize = 8;

    /// Reads the response out of its whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let what = "SESSION_SETUP response";
        let fixed = Fixed::<{ Self::FIXED }>::body(message, what, 9)?;
        let earliest = HEADER_LEN + Self::FIXED;
        Ok(Self {
            session_flags: SessionFlags::from_bits_retain(fixed.u16(2)),
            security_buffer: buffer(message, earliest, fixed.size16(4), fixed.size16(6), what)?,
        })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        body.u16(9);
        body.u16(self.session_flags.bits());
        body.size16(HEADER_LEN + Self::FIXED);
        body.size16(self.security_buffer.len());
        body.bytes(&self.security_buffer);
    }
}

empty_body!(LogoffRequest, "SMB2 LOGOFF request (MS-SMB2 2.2.7).", "LOGOFF request");
empty_body!(LogoffResponse, "SMB2 LOGOFF response (MS-SMB2 2.2.8).", "LOGOFF response");
