//! NEGOTIATE (MS-SMB2 2.2.3, 2.2.4). Its contexts live in [`context`].

pub mod context;

pub use context::{NegotiateContext, cipher, compression, hash, signing};

use crate::{
    HEADER_LEN,
    cursor::{Fixed, Put, Reader, buffer},
    error::WireError,
    ids::Guid,
    time::FileTime,
};
use bitflags::bitflags;
use bytes::Bytes;
use std::fmt;

/// A dialect revision number. Numbers without a name are kept: a server passes over them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dialect(pub u16);

impl Dialect {
    /// SMB 2.0.2
    pub const SMB_2_0_2: Self = Self(0x0202);
    /// SMB 2.1
    pub const SMB_2_1: Self = Self(0x0210);
    /// SMB 3.0
    pub const SMB_3_0: Self = Self(0x0300);
    /// SMB 3.0.2
    pub const SMB_3_0_2: Self = Self(0x0302);
    /// SMB 3.1.1
    pub const SMB_3_1_1: Self = Self(0x0311);
    /// The answer to an SMB1 NEGOTIATE that offers "SMB 2.???".
    pub const WILDCARD: Self = Self(0x02FF);
}

impl fmt::Debug for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SMB_2_0_2 => f.write_str("2.0.2"),
            Self::SMB_2_1 => f.write_str("2.1"),
            Self::SMB_3_0 => f.write_str("3.0"),
            Self::SMB_3_0_2 => f.write_str("3.0.2"),
            Self::SMB_3_1_1 => f.write_str("3.1.1"),
            Self::WILDCARD => f.write_str("2.???"),
            Self(other) => write!(f, "{other:#06x}"),
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

bitflags! {
    /// SecurityMode of NEGOTIATE and SESSION_SETUP.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct SecurityMode: u16 {
        /// Can sign.
        const SIGNING_ENABLED = 0x0001;
        /// Wants everything signed.
        const SIGNING_REQUIRED = 0x0002;
        const _ = !0;
    }
}

bitflags! {
    /// SMB2_GLOBAL_CAP_* bits.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Capabilities: u32 {
        /// Distributed file system.
        const DFS = 0x0000_0001;
        /// Leases (2.1 and later).
        const LEASING = 0x0000_0002;
        /// Messages of several credits (2.1 and later).
        const LARGE_MTU = 0x0000_0004;
        /// Several channels for one session (3.0 and later).
        const MULTI_CHANNEL = 0x0000_0008;
        /// Persistent handles (3.0 and later).
        const PERSISTENT_HANDLES = 0x0000_0010;
        /// Leases on directories (3.0 and later).
        const DIRECTORY_LEASING = 0x0000_0020;
        /// Encryption (3.0 and 3.0.2; 3.1.1 uses a context).
        const ENCRYPTION = 0x0000_0040;
        /// Server-to-client notifications (3.1.1).
        const NOTIFICATIONS = 0x0000_0080;
        const _ = !0;
    }
}

/// Most dialects that a request may list; a longer list is refused before anything is kept.
pub const MAX_DIALECTS: usize = 64;

/// SMB2 NEGOTIATE request (MS-SMB2 2.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiateRequest {
    /// What the client says about signing.
    pub security_mode: SecurityMode,
    /// What the client can do; zero from clients that know only 2.x.
    pub capabilities: Capabilities,
    /// Id of the client, the same on all its connections.
    pub client_guid: Guid,
    /// In the client's order.
    pub dialects: Vec<Dialect>,
    /// Only with dialect 3.1.1 in the list.
    pub contexts: Vec<NegotiateContext>,
}

impl NegotiateRequest {
    const FIXED: usize = 36;

    /// Reads the request out of its whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let what = "NEGOTIATE request";
        let fixed = Fixed::<{ Self::FIXED }>::body(message, what, 36)?;
        let count = fixed.size16(2);
        if count > MAX_DIALECTS {
            return Err(WireError::BadValue { what: "NEGOTIATE DialectCount", value: count as u64 });
        }
        let mut reader = Reader::new(&message[HEADER_LEN + Self::FIXED..], what);
        let dialects: Vec<_> = (0..count).map(|_| reader.u16().map(Dialect)).collect::<Result<_, _>>()?;
        let contexts = if dialects.contains(&Dialect::SMB_3_1_1) {
            context::decode_list(message, fixed.size32(28), fixed.size16(32))?
        } else {
            Vec::new()
        };
        Ok(Self {
            security_mode: SecurityMode::from_bits_retain(fixed.u16(4)),
            capabilities: Capabilities::from_bits_retain(fixed.u32(8)),
            client_guid: fixed.array(12),
            dialects,
            contexts,
        })
    }

    /// Appends the body; the contexts only when dialect 3.1.1 is listed.
    pub fn encode(&self, body: &mut Vec<u8>) {
        let start = body.len();
        body.u16(36);
        body.size16(self.dialects.len());
        body.u16(self.security_mode.bits());
        body.u16(0);
        body.u32(self.capabilities.bits());
        body.bytes(&self.client_guid);
        body.zeros(8);
        for dialect in &self.dialects {
            body.u16(dialect.0);
        }
        if self.dialects.contains(&Dialect::SMB_3_1_1) {
            body.align(start, 8);
            let offset = HEADER_LEN + body.len() - start;
            body.set_size32(start + 28, offset);
            body.set_size16(start + 32, self.contexts.len());
            context::encode_list(&self.contexts, body);
        }
    }
}

/// SMB2 NEGOTIATE response (MS-SMB2 2.2.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiateResponse {
    /// What the server says about signing.
    pub security_mode: SecurityMode,
    /// The dialect chosen.
    pub dialect: Dialect,
    /// Id of the server.
    pub server_guid: Guid,
    /// What the server can do in this dialect.
    pub capabilities: Capabilities,
    /// Largest buffer of QUERY_INFO, QUERY_DIRECTORY, SET_INFO, CHANGE_NOTIFY and IOCTL, in bytes.
    pub max_transact_size: u32,
    /// Largest READ, in bytes.
    pub max_read_size: u32,
    /// Largest WRITE, in bytes.
    pub max_write_size: u32,
    /// The server's clock.
    pub system_time: FileTime,
    /// First token of the authentication (SPNEGO NegTokenInit2), or empty.
    pub security_buffer: Bytes,
    /// Only on the wire with dialect 3.1.1.
    pub contexts: Vec<NegotiateContext>,
}

impl NegotiateResponse {
    const FIXED: usize = 64;

    /// Reads the response out of its whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let what = "NEGOTIATE response";
        let fixed = Fixed::<{ Self::FIXED }>::body(message, what, 65)?;
        let dialect = Dialect(fixed.u16(4));
        let earliest = HEADER_LEN + Self::FIXED;
        let contexts = if dialect == Dialect::SMB_3_1_1 {
            context::decode_list(message, fixed.size32(60), fixed.size16(6))?
        } else {
            Vec::new()
        };
        Ok(Self {
            security_mode: SecurityMode::from_bits_retain(fixed.u16(2)),
            dialect,
            server_guid: fixed.array(8),
            capabilities: Capabilities::from_bits_retain(fixed.u32(24)),
            max_transact_size: fixed.u32(28),
            max_read_size: fixed.u32(32),
            max_write_size: fixed.u32(36),
            system_time: FileTime(fixed.u64(40)),
            security_buffer: buffer(message, earliest, fixed.size16(56), fixed.size16(58), what)?,
            contexts,
        })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        let start = body.len();
        let has_contexts = self.dialect == Dialect::SMB_3_1_1;
        body.u16(65);
        body.u16(self.security_mode.bits());
        body.u16(self.dialect.0);
        body.size16(if has_contexts { self.contexts.len() } else { 0 });
        body.bytes(&self.server_guid);
        body.u32(self.capabilities.bits());
        body.u32(self.max_transact_size);
        body.u32(self.max_read_size);
        body.u32(self.max_write_size);
        body.u64(self.system_time.0);
        body.u64(0);
        body.size16(HEADER_LEN + Self::FIXED);
        body.size16(self.security_buffer.len());
        body.u32(0);
        body.bytes(&self.security_buffer);
        if has_contexts {
            body.align(start, 8);
            let offset = HEADER_LEN + body.len() - start;
            body.set_size32(start + 60, offset);
            context::encode_list(&self.contexts, body);
        }
    }
}
