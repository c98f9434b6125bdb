//! PDUs of connection-oriented DCE/RPC (C706 chapter 12, MS-RPCE 2.2.2), server side.

use super::MAX_FRAGMENT_LEN;
use crate::{
    cursor::{Fixed, Put, Reader},
    error::WireError,
    ids::Guid,
};

/// Kind of a PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PacketType(pub u8);

impl PacketType {
    /// Calls an operation.
    pub const REQUEST: Self = Self(0);
    /// Its result.
    pub const RESPONSE: Self = Self(2);
    /// The operation could not be called.
    pub const FAULT: Self = Self(3);
    /// Chooses an interface.
    pub const BIND: Self = Self(11);
    /// Answers a bind.
    pub const BIND_ACK: Self = Self(12);
    /// Refuses a bind.
    pub const BIND_NAK: Self = Self(13);
    /// Chooses a further interface.
    pub const ALTER_CONTEXT: Self = Self(14);
    /// Answers it.
    pub const ALTER_CONTEXT_RESPONSE: Self = Self(15);
    /// Third leg of an authentication; has no answer.
    pub const AUTH3: Self = Self(16);
    /// Cancels a call; has no answer.
    pub const CANCEL: Self = Self(18);
    /// Gives a call up; has no answer.
    pub const ORPHANED: Self = Self(19);
}

const FLAG_FIRST: u8 = 0x01;
const FLAG_LAST: u8 = 0x02;
const FLAG_OBJECT: u8 = 0x80;

/// Integers little-endian, characters ASCII, floats IEEE.
const DATA_REPRESENTATION: [u8; 4] = [0x10, 0, 0, 0];
const HEADER_LEN: usize = 16;
/// Header and fixed part of a request or response.
const CALL_HEAD_LEN: usize = 24;

/// The head of every PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketHeader {
    /// Kind.
    pub packet_type: PacketType,
    /// First and last fragment, object id.
    pub flags: u8,
    /// Length in bytes of the authentication verifier.
    pub auth_length: u16,
    /// Number of the call.
    pub call_id: u32,
}

impl PacketHeader {
    /// Reads the head of a PDU; gives the rest of the PDU too. Bytes after it are ignored.
    pub fn decode(pdu: &[u8]) -> Result<(Self, &[u8]), WireError> {
        let what = "RPC PDU";
        let fixed = Fixed::<HEADER_LEN>::new(pdu, what)?;
        if fixed.u8(0) != 5 || fixed.u8(4) & 0xF0 != DATA_REPRESENTATION[0] {
            return Err(WireError::BadValue { what, value: u64::from(fixed.u8(0)) });
        }
        let length = fixed.size16(8);
        let body =
            pdu.get(HEADER_LEN..length).ok_or(WireError::Short { what, need: length, have: pdu.len() })?;
        let header = Self {
            packet_type: PacketType(fixed.u8(2)),
            flags: fixed.u8(3),
            auth_length: fixed.u16(10),
            call_id: fixed.u32(12),
        };
        Ok((header, body))
    }

    /// Whether a call begins here.
    pub fn is_first(&self) -> bool {
        self.flags & FLAG_FIRST != 0
    }

    /// Whether it ends here.
    pub fn is_last(&self) -> bool {
        self.flags & FLAG_LAST != 0
    }
}

/// Begins a PDU; [`end`] sets its length.
fn begin(packet_type: PacketType, flags: u8, call_id: u32, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.u8(5);
    out.u8(0);
    out.u8(packet_type.0);
    out.u8(flags);
    out.bytes(&DATA_REPRESENTATION);
    out.u32(0);
    out.u32(call_id);
    start
}

fn end(start: usize, out: &mut Vec<u8>) {
    let length = out.len() - start;
    out.set_size16(start + 8, length);
}

/// An interface or a transfer syntax, and its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Syntax {
    /// Id.
    pub uuid: Guid,
    /// Version: major in the lower half.
    pub version: u32,
}

/// NDR, version 2: the only transfer syntax spoken here.
pub const NDR: Syntax = Syntax {
    uuid: [0x04, 0x5D, 0x88, 0x8A, 0xEB, 0x1C, 0xC9, 0x11, 0x9F, 0xE8, 0x08, 0x00, 0x2B, 0x10, 0x48, 0x60],
    version: 2,
};

impl Syntax {
    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { uuid: reader.array()?, version: reader.u32()? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.bytes(&self.uuid);
        out.u32(self.version);
    }
}

/// One interface that a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentationContext {
    /// The client's number for it.
    pub context_id: u16,
    /// The interface.
    pub interface: Syntax,
    /// How data may be represented.
    pub transfer_syntaxes: Vec<Syntax>,
}

/// A bind or alter_context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// Longest fragment that the client sends, in bytes.
    pub max_transmit: u16,
    /// Longest fragment that the client takes, in bytes.
    pub max_receive: u16,
    /// 0 asks for a new group.
    pub association_group: u32,
    /// The interfaces.
    pub contexts: Vec<PresentationContext>,
}

const ACCEPTANCE: u16 = 0;
const PROVIDER_REJECTION: u16 = 2;
/// Why an interface is rejected: it is not here.
pub const REASON_INTERFACE: u16 = 1;
/// The client speaks no [`NDR`].
pub const REASON_TRANSFER_SYNTAX: u16 = 2;
/// There are too many.
pub const REASON_LIMIT: u16 = 3;

/// Any group will do, as long as it is not 0: associations share nothing here.
const ASSOCIATION_GROUP: u32 = 0x0000_53F0;

impl Bind {
    /// Reads what follows the head of the PDU.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body, "RPC bind");
        let (max_transmit, max_receive, association_group) = (reader.u16()?, reader.u16()?, reader.u32()?);
        let count = reader.u8()?;
        reader.skip(3)?;
        let mut contexts = Vec::new();
        for _ in 0..count {
            let (context_id, syntaxes, _reserved) = (reader.u16()?, reader.u8()?, reader.u8()?);
            let interface = Syntax::read(&mut reader)?;
            let transfer_syntaxes =
                (0..syntaxes).map(|_| Syntax::read(&mut reader)).collect::<Result<_, _>>()?;
            contexts.push(PresentationContext { context_id, interface, transfer_syntaxes });
        }
        Ok(Self { max_transmit, max_receive, association_group, contexts })
    }

    /// The bind_ack (or alter_context_resp): what `accept` takes is accepted over NDR, all else rejected for its reason.
    pub fn encode_ack(
        &self,
        header: &PacketHeader,
        pipe: &str,
        mut accept: impl FnMut(&PresentationContext) -> Result<(), u16>,
    ) -> Vec<u8> {
        let is_alter = header.packet_type == PacketType::ALTER_CONTEXT;
        let packet_type = if is_alter { PacketType::ALTER_CONTEXT_RESPONSE } else { PacketType::BIND_ACK };
        let mut out = Vec::new();
        let start = begin(packet_type, FLAG_FIRST | FLAG_LAST, header.call_id, &mut out);
        out.size16(MAX_FRAGMENT_LEN);
        out.size16(MAX_FRAGMENT_LEN);
        out.u32(if self.association_group == 0 { ASSOCIATION_GROUP } else { self.association_group });
        if is_alter {
            out.u16(0);
        } else {
            let address = format!("\\PIPE\\{pipe}\0");
            out.size16(address.len());
            out.bytes(address.as_bytes());
        }
        out.align(start, 4);
        out.u8(self.contexts.len() as u8);
        out.zeros(3);
        for context in &self.contexts {
            let (result, reason, syntax) = match accept(context) {
                Ok(()) => (ACCEPTANCE, 0, NDR),
                Err(reason) => (PROVIDER_REJECTION, reason, Syntax { uuid: [0; 16], version: 0 }),
            };
            out.u16(result);
            out.u16(reason);
            syntax.encode(&mut out);
        }
        end(start, &mut out);
        out
    }
}

/// Reason of a bind_nak: none given.
pub const REJECT_UNSPECIFIED: u16 = 0;
/// Reason of a bind_nak: the authentication is not known here.
pub const REJECT_AUTHENTICATION_TYPE: u16 = 8;

/// Refuses a bind as a whole.
pub fn encode_bind_nak(call_id: u32, reason: u16) -> Vec<u8> {
    let mut out = Vec::new();
    let start = begin(PacketType::BIND_NAK, FLAG_FIRST | FLAG_LAST, call_id, &mut out);
    out.u16(reason);
    // One protocol version is supported: 5.0.
    out.bytes(&[1, 5, 0]);
    end(start, &mut out);
    out
}

/// A call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// Which interface, by the number given in the bind.
    pub context_id: u16,
    /// Which operation.
    pub opnum: u16,
    /// The arguments.
    pub stub: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads what follows the head of the PDU.
    pub fn decode(header: &PacketHeader, body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body, "RPC request");
        let (_alloc_hint, context_id, opnum) = (reader.u32()?, reader.u16()?, reader.u16()?);
        if header.flags & FLAG_OBJECT != 0 {
            reader.skip(16)?;
        }
        Ok(Self { context_id, opnum, stub: reader.rest() })
    }
}

/// The result of a call, in as many fragments as it takes.
pub fn encode_response(call_id: u32, context_id: u16, stub: &[u8]) -> Vec<Vec<u8>> {
    const CHUNK: usize = MAX_FRAGMENT_LEN - CALL_HEAD_LEN;
    let mut fragments = Vec::with_capacity(stub.len() / CHUNK + 1);
    let mut at = 0;
    loop {
        let chunk = &stub[at..stub.len().min(at + CHUNK)];
        let is_last = at + chunk.len() == stub.len();
        let flags = if at == 0 { FLAG_FIRST } else { 0 } | if is_last { FLAG_LAST } else { 0 };
        let mut out = Vec::with_capacity(CALL_HEAD_LEN + chunk.len());
        let start = begin(PacketType::RESPONSE, flags, call_id, &mut out);
        out.size32(stub.len() - at);
        out.u16(context_id);
        out.u16(0);
        out.bytes(chunk);
        end(start, &mut out);
        fragments.push(out);
        at += chunk.len();
        if is_last {
            return fragments;
        }
    }
}

/// Why an operation could not be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault(pub u32);

impl Fault {
    /// `nca_s_op_rng_error`: no such operation.
    pub const NO_SUCH_OPERATION: Self = Self(0x1C01_0002);
    /// `nca_s_proto_error`: the PDU breaks the protocol.
    pub const PROTOCOL_ERROR: Self = Self(0x1C01_000B);
    /// `nca_s_fault_remote_no_memory`: there is no room for the call.
    pub const NO_MEMORY: Self = Self(0x1C00_001B);
    /// `RPC_X_BAD_STUB_DATA`: the arguments cannot be read.
    pub const BAD_ARGUMENTS: Self = Self(0x0000_06F7);

    /// The PDU.
    pub fn encode(self, call_id: u32, context_id: u16) -> Vec<u8> {
        let mut out = Vec::new();
        let start = begin(PacketType::FAULT, FLAG_FIRST | FLAG_LAST, call_id, &mut out);
        out.u32(0);
        out.u16(context_id);
        out.u16(0);
        out.u32(self.0);
        out.u32(0);
        end(start, &mut out);
        out
    }
}

impl From<WireError> for Fault {
    fn from(_: WireError) -> Self {
        Self::BAD_ARGUMENTS
    }
}
