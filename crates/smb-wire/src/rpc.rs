//! The RPC services that clients ask on `IPC$` to browse a server, `srvsvc` (MS-SRVS) and `wkssvc` (MS-WKST), and to
//! show names for SIDs, `lsarpc` (MS-LSAT, MS-LSAD, MS-DSSP) and `samr` (MS-SAMR), over DCE/RPC (C706, MS-RPCE).
//!
//! A [`Conversation`] goes from one PDU to those of its answer. Nothing is remembered between calls but which contexts
//! were bound to the second interface of a pipe: otherwise the pipe says the interface, and a context handle says by
//! itself what it is of. Within a call the fragments are kept until it is whole (`fragments`). A bind with
//! authentication is refused; the SMB session has authenticated the user already.

pub mod accounts;
pub mod dssetup;
mod fragments;
mod handle;
pub mod lsarpc;
pub mod ndr;
pub mod pdu;
pub mod samr;
pub mod srvsvc;
pub mod wkssvc;

pub use accounts::{Account, AccountFacts, Accounts};

use fragments::Fragments;
use ndr::{NdrReader, NdrWriter};
use pdu::{Bind, Fault, PacketHeader, PacketType, PresentationContext, Request};
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

    /// Another interface on the same pipe.
    fn second_interface(self) -> Option<pdu::Syntax> {
        match self {
            Self::Lsarpc => Some(dssetup::INTERFACE),
            Self::Srvsvc | Self::Wkssvc | Self::Samr => None,
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
    /// The shares that this user may hear of.
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
    /// Left out of lists, and told of to who asks for it by its name.
    pub hidden: bool,
}

/// Longest fragment that is sent, and that clients are told to send, in bytes: what Windows uses.
pub const MAX_FRAGMENT_LEN: usize = 4280;

/// Longest arguments of a request in several fragments, in bytes: a lookup of some 7,000 SIDs, more than an access list
/// holds.
pub const MAX_REQUEST_LEN: usize = 256 * 1024;

/// Most contexts of one pipe that are bound to its second interface: a client needs one.
pub const MAX_SECOND_CONTEXTS: usize = 16;

/// One client's calls over one pipe.
#[derive(Debug)]
pub struct Conversation {
    service: Service,
    /// The client's numbers for the second interface; all others are of the first.
    second: Vec<u16>,
    fragments: Fragments,
}

impl Conversation {
    /// With the service that is behind the pipe.
    pub fn new(service: Service) -> Self {
        Self { service, second: Vec::new(), fragments: Fragments::default() }
    }

    /// Answers one PDU that was written to the pipe; `facts` are asked for where a call is whole. The answer may be
    /// several PDUs, each of at most [`MAX_FRAGMENT_LEN`] bytes, or none.
    pub fn answer(&mut self, pdu: &[u8], facts: impl FnOnce() -> ServerFacts) -> Vec<Vec<u8>> {
        let Ok((header, body)) = PacketHeader::decode(pdu) else {
            return vec![Fault::PROTOCOL_ERROR.encode(0, 0)];
        };
        match header.packet_type {
            PacketType::BIND | PacketType::ALTER_CONTEXT => vec![self.answer_bind(&header, body)],
            PacketType::REQUEST => self.answer_request(&header, body, facts),
            PacketType::ORPHANED => {
                self.fragments.give_up(header.call_id);
                Vec::new()
            }
            PacketType::AUTH3 | PacketType::CANCEL => Vec::new(),
            _ => vec![Fault::PROTOCOL_ERROR.encode(header.call_id, 0)],
        }
    }

    /// Bytes that are kept of a request which is not whole.
    pub fn kept(&self) -> usize {
        self.fragments.kept()
    }

    /// Lets go of it; what follows of that request gets no answer.
    pub fn refuse(&mut self) {
        self.fragments.refuse();
    }

    fn answer_request(
        &mut self,
        header: &PacketHeader,
        body: &[u8],
        facts: impl FnOnce() -> ServerFacts,
    ) -> Vec<Vec<u8>> {
        let Ok(request) = Request::decode(header, body) else {
            return vec![Fault::PROTOCOL_ERROR.encode(header.call_id, 0)];
        };
        match self.fragments.join(header, &request) {
            Ok(None) => Vec::new(),
            Ok(Some(stub)) => match self.call(&request, &stub, &facts()) {
                Ok(result) => pdu::encode_response(header.call_id, request.context_id, &result),
                Err(fault) => vec![fault.encode(header.call_id, request.context_id)],
            },
            Err(fault) => vec![fault.encode(header.call_id, request.context_id)],
        }
    }

    fn answer_bind(&mut self, header: &PacketHeader, body: &[u8]) -> Vec<u8> {
        if header.auth_length != 0 {
            return pdu::encode_bind_nak(header.call_id, pdu::REJECT_AUTHENTICATION_TYPE);
        }
        match Bind::decode(body) {
            Ok(bind) => bind.encode_ack(header, self.service.pipe(), |context| self.accept(context)),
            Err(_) => pdu::encode_bind_nak(header.call_id, pdu::REJECT_UNSPECIFIED),
        }
    }

    /// Binds a context to an interface; the reason where it cannot be.
    fn accept(&mut self, context: &PresentationContext) -> Result<(), u16> {
        let is_second = self.service.second_interface() == Some(context.interface);
        if !is_second && context.interface != self.service.interface() {
            return Err(pdu::REASON_INTERFACE);
        }
        if !context.transfer_syntaxes.contains(&pdu::NDR) {
            return Err(pdu::REASON_TRANSFER_SYNTAX);
        }
        self.second.retain(|known| *known != context.context_id);
        if is_second {
            if self.second.len() >= MAX_SECOND_CONTEXTS {
                return Err(pdu::REASON_LIMIT);
            }
            self.second.push(context.context_id);
        }
        Ok(())
    }

    /// Calls an operation with these arguments; gives its result.
    fn call(&self, request: &Request<'_>, stub: &[u8], facts: &ServerFacts) -> Result<Vec<u8>, Fault> {
        let mut arguments = NdrReader::new(stub);
        let mut result = NdrWriter::new();
        let opnum = request.opnum;
        match self.service {
            _ if self.second.contains(&request.context_id) => {
                dssetup::call(opnum, &mut arguments, facts, &mut result)
            }
            Service::Srvsvc => srvsvc::call(opnum, &mut arguments, facts, &mut result),
            Service::Wkssvc => wkssvc::call(opnum, &mut arguments, facts, &mut result),
            Service::Lsarpc => lsarpc::call(opnum, &mut arguments, facts, &mut result),
            Service::Samr => samr::call(opnum, &mut arguments, facts, &mut result),
        }?;
        Ok(result.finish())
    }
}

#[cfg(test)]
mod tests;
