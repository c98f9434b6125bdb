//! FSCTL_VALIDATE_NEGOTIATE_INFO (MS-SMB2 2.2.31.4, 2.2.32.6): proof that nobody changed the negotiation.

use crate::{
    cursor::{Fixed, Put, Reader},
    error::WireError,
    ids::Guid,
    negotiate::{Capabilities, Dialect, MAX_DIALECTS, SecurityMode},
};

/// What the client says that it sent in NEGOTIATE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidateNegotiateRequest {
    /// Capabilities.
    pub capabilities: Capabilities,
    /// ClientGuid.
    pub client_guid: Guid,
    /// SecurityMode.
    pub security_mode: SecurityMode,
    /// Dialects, in order.
    pub dialects: Vec<Dialect>,
}

impl ValidateNegotiateRequest {
    const FIXED: usize = 24;

    /// Reads the input buffer.
    pub fn decode(input: &[u8]) -> Result<Self, WireError> {
        let what = "VALIDATE_NEGOTIATE_INFO request";
        let fixed = Fixed::<{ Self::FIXED }>::new(input, what)?;
        let count = fixed.size16(22);
        if count > MAX_DIALECTS {
            return Err(WireError::BadValue { what, value: count as u64 });
        }
        let mut reader = Reader::new(&input[Self::FIXED..], what);
        Ok(Self {
            capabilities: Capabilities::from_bits_retain(fixed.u32(0)),
            client_guid: fixed.array(4),
            security_mode: SecurityMode::from_bits_retain(fixed.u16(20)),
            dialects: (0..count).map(|_| reader.u16().map(Dialect)).collect::<Result<_, _>>()?,
        })
    }

    /// Appends the input buffer.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u32(self.capabilities.bits());
        out.bytes(&self.client_guid);
        out.u16(self.security_mode.bits());
        out.size16(self.dialects.len());
        for dialect in &self.dialects {
            out.u16(dialect.0);
        }
    }
}

/// What the server says that it answered to NEGOTIATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidateNegotiateResponse {
    /// Capabilities.
    pub capabilities: Capabilities,
    /// ServerGuid.
    pub server_guid: Guid,
    /// SecurityMode.
    pub security_mode: SecurityMode,
    /// The dialect chosen.
    pub dialect: Dialect,
}

impl ValidateNegotiateResponse {
    /// Reads the output buffer.
    pub fn decode(output: &[u8]) -> Result<Self, WireError> {
        let fixed = Fixed::<24>::new(output, "VALIDATE_NEGOTIATE_INFO response")?;
        Ok(Self {
            capabilities: Capabilities::from_bits_retain(fixed.u32(0)),
            server_guid: fixed.array(4),
            security_mode: SecurityMode::from_bits_retain(fixed.u16(20)),
            dialect: Dialect(fixed.u16(22)),
        })
    }

    /// Appends the output buffer.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u32(self.capabilities.bits());
        out.bytes(&self.server_guid);
        out.u16(self.security_mode.bits());
        out.u16(self.dialect.0);
    }
}
