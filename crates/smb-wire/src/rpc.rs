//! The RPC services that clients ask on `IPC$` to browse a server, `srvsvc` (MS-SRVS) and `wkssvc` (MS-WKST), and to
//! show names for SIDs, `lsarpc` (MS-LSAT, MS-LSAD) and `samr` (MS-SAMR), over DCE/RPC (C706, MS-RPCE).
//!
//! [`answer`] is a pure function from one request PDU to the bytes of its answer. Nothing is remembered
//! between calls: the pipe says the interface, and a context handle says by itself what it is of.
//! A bind with authentication is refused; the SMB session has authenticated the user already. Requests in
//! several fragments are refused too: no request of these services is that long.

pub mod accounts;
mod handle;
pub mod lsarpc;
pub mod ndr;
pub mod pdu;
pub mod samr;
pub mod srvsvc;
pub mod wkssvc;

pub use accounts::{Account, AccountFacts, Accounts};

use ndr::{NdrReader, NdrWriter};
use pdu::{Bind, Fault, PacketHeader, PacketType, Request};
use std::sync::Arc;

/// A service, by the name of its pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// `srvsvc`: shares and the server.
    Srvsvc,
    /// `wkssvc`: the workstation.
    Wkssvc,
    /// `lsarpc`: names for SIDs and back.
    Lsarpc,
    /// `samr`: users and their groups.
    Samr,
}

impl Service {
    /// The service behind a pipe (name without `\pipe\`, in any case).
    pub fn of_pipe(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| name.eq_ignore_ascii_case(service.pipe()))
    }

    /// Every service.
    pub const ALL: [Self; 4] = [Self::Srvsvc, Self::Wkssvc, Self::Lsarpc, Self::Samr];

    /// The name of the pipe.
    pub fn pipe(self) -> &'static str {
        match self {
            Self::Srvsvc => "srvsvc",
            Self::Wkssvc => "wkssvc",
            Self::Lsarpc => "lsarpc",
            Self::Samr => "samr",
        }
    }

    fn interface(self) -> pdu::Syntax {
        match self {
            Self::Srvsvc => srvsvc::INTERFACE,
            Self::Wkssvc => wkssvc::INTERFACE,
            Self::Lsarpc => lsarpc::INTERFACE,
            Self::Samr => samr::INTERFACE,
        }
    }
}

/// What the services know about the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// Name without leading backslashes.
    pub name: String,
    /// Text beside the name in listings.
    pub comment: String,
    /// Workgroup or domain.
    pub domain: String,
    /// Version of the operating system to claim: Windows' numbers, for example 10.0.
    pub version: (u32, u32),
    /// SV_TYPE_* bits (MS-SRVS 2.2.2.7).
    pub server_type: u32,
    /// Sessions that are open.
    pub users: u32,
    /// Milliseconds since 1970, UTC.
    pub now_unix_ms: i64,
    /// Minutes west of UTC.
    pub timezone_minutes_west: i32,
    /// Milliseconds since the start.
    pub uptime_ms: u64,
    /// The shares that this user may see.
    pub shares: Vec<ShareFacts>,
    /// Who is known here: looked up at every call, and seldom another.
    pub accounts: Arc<AccountFacts>,
    /// Name of the user who asks.
    pub caller: String,
}

/// What the services know about a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareFacts {
    /// Name.
    pub name: String,
    /// Text beside the name in listings.
    pub comment: String,
    /// STYPE_* value (MS-SRVS 2.2.2.4), for example [`srvsvc::STYPE_DISKTREE`].
    pub share_type: u32,
    /// Path on the server, in Windows' form.
    pub path: String,
    /// Most users at a time; `u32::MAX` for no limit.
    pub max_users: u32,
    /// Users now.
    pub current_users: u32,
    /// SHI1005_FLAGS_* bits (MS-SRVS 2.2.4.29).
    pub flags: u32,
}

/// Longest fragment that is sent or taken, in bytes: what Windows uses.
pub const MAX_FRAGMENT_LEN: usize = 4280;

/// Answers one PDU that was written to the pipe of `service`. The answer may be several PDUs, one after the
/// other, each of at most [`MAX_FRAGMENT_LEN`] bytes; it is empty when the PDU has no answer.
pub fn answer(service: Service, pdu: &[u8], facts: &ServerFacts) -> Vec<u8> {
    let Ok((header, body)) = PacketHeader::decode(pdu) else {
        return Fault::PROTOCOL_ERROR.encode(0, 0);
    };
    match header.packet_type {
        PacketType::BIND | PacketType::ALTER_CONTEXT => answer_bind(service, &header, body),
        PacketType::REQUEST => answer_request(service, &header, body, facts),
        PacketType::AUTH3 | PacketType::CANCEL | PacketType::ORPHANED => Vec::new(),
        _ => Fault::PROTOCOL_ERROR.encode(header.call_id, 0),
    }
}

fn answer_bind(service: Service, header: &PacketHeader, body: &[u8]) -> Vec<u8> {
    if header.auth_length != 0 {
        return pdu::encode_bind_nak(header.call_id, pdu::REJECT_AUTHENTICATION_TYPE);
    }
    match Bind::decode(body) {
        Ok(bind) => bind.encode_ack(header, &service.interface(), service.pipe()),
        Err(_) => pdu::encode_bind_nak(header.call_id, pdu::REJECT_UNSPECIFIED),
    }
}

fn answer_request(service: Service, header: &PacketHeader, body: &[u8], facts: &ServerFacts) -> Vec<u8> {
    let Ok(request) = Request::decode(header, body) else {
        return Fault::PROTOCOL_ERROR.encode(header.call_id, 0);
    };
    if !header.is_whole() || header.auth_length != 0 {
        return Fault::PROTOCOL_ERROR.encode(header.call_id, request.context_id);
    }
    let mut arguments = NdrReader::new(request.stub);
    let mut result = NdrWriter::new();
    let outcome = match service {
        Service::Srvsvc => srvsvc::call(request.opnum, &mut arguments, facts, &mut result),
        Service::Wkssvc => wkssvc::call(request.opnum, &mut arguments, facts, &mut result),
        Service::Lsarpc => lsarpc::call(request.opnum, &mut arguments, facts, &mut result),
        Service::Samr => samr::call(request.opnum, &mut arguments, facts, &mut result),
    };
    match outcome {
        Ok(()) => pdu::encode_response(header.call_id, request.context_id, &result.finish()),
        Err(fault) => fault.encode(header.call_id, request.context_id),
    }
}

#[cfg(test)]
mod tests;
