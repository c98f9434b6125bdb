//! Requests as bytes: one by one or in chains, protected as asked.

use crate::session::Session;
use smb_core::compression::{CompressionAgreement, compress};
use smb_core::signing::Signer;
use smb_wire::{Command, Flags, Header, Request};

/// One request, sent as it stands.
#[derive(Clone, Debug)]
pub struct Message {
    pub header: Header,
    pub body: Vec<u8>,
}

/// How a frame is protected.
#[derive(Clone, Copy)]
pub enum Guard<'a> {
    /// Not at all.
    Plain,
    /// Each request signed with this key.
    Sign(&'a Signer),
    /// Sealed as a whole with the session's key.
    Seal(&'a Session),
}

impl Message {
    /// A request of `command` with this body.
    pub fn new(command: Command, body: Vec<u8>) -> Message {
        let mut header = Header::request(command, 0);
        header.credits = 1;
        header.credit_charge = 1;
        Message { header, body }
    }

    /// A well-formed request.
    pub fn of(request: &Request) -> Message {
        let mut body = Vec::new();
        request.encode(&mut body);
        Message::new(request.command(), body)
    }

    pub fn session(mut self, id: u64) -> Message {
        self.header.session_id = id;
        self
    }

    pub fn tree(mut self, id: u32) -> Message {
        self.header.tree_id = id;
        self
    }

    pub fn id(mut self, id: u64) -> Message {
        self.header.message_id = id;
        self
    }

    /// Costs so many credits, and asks for as many.
    pub fn charge(mut self, credits: u16) -> Message {
        self.header.credit_charge = credits;
        self.header.credits = credits.max(1);
        self
    }

    /// Goes on with session, tree and file of the request before.
    pub fn related(mut self) -> Message {
        self.header.flags |= Flags::RELATED;
        self
    }

    /// Header and body.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.header.encode_into(&mut out);
        out.extend_from_slice(&self.body);
        out
    }
}

/// A chain that goes compressed: signed inside, or sealed around. `None` where it would not become smaller.
pub fn compressed(messages: &[Message], guard: Guard<'_>, agreed: &CompressionAgreement) -> Option<Vec<u8>> {
    match guard {
        Guard::Plain | Guard::Sign(_) => compress(&chain(messages, guard), agreed),
        Guard::Seal(session) => {
            compress(&chain(messages, Guard::Plain), agreed).map(|smaller| session.seal(&smaller))
        }
    }
}

/// The bytes of a chain, without the frame header: each but the last padded to eight bytes and linked.
pub fn chain(messages: &[Message], guard: Guard<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let mut bytes = message.bytes();
        if index + 1 < messages.len() {
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            let next = bytes.len() as u32;
            bytes[20..24].copy_from_slice(&next.to_le_bytes());
        }
        if let Guard::Sign(signer) = guard {
            signer.sign(&mut bytes, &[]).expect("a message has a header");
        }
        out.extend(bytes);
    }
    match guard {
        Guard::Seal(session) => session.seal(&out),
        Guard::Plain | Guard::Sign(_) => out,
    }
}
