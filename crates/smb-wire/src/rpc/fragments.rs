//! A request in several PDUs (C706 12.6.2.2, MS-RPCE 2.2.2.13): clients cut one that is longer than the longest fragment
//! they were told of. Every fragment bears the head of the call and a part of its arguments.
//!
//! *Nothing* -> first fragment -> *joining* -> last fragment -> the call. A fragment that is out of place or too much is
//! answered with a fault, and the rest of its call with nothing: *refused*. A client has one call under way on a pipe, so
//! another that begins takes the place of one that was refused, and is out of place while one is joined.

use super::{
    MAX_REQUEST_LEN,
    pdu::{Fault, PacketHeader, Request},
};
use std::borrow::Cow;

/// What is here of a request that is not whole.
#[derive(Debug, Default)]
pub(super) enum Fragments {
    #[default]
    Nothing,
    Joining {
        call_id: u32,
        context_id: u16,
        opnum: u16,
        stub: Vec<u8>,
    },
    Refused {
        call_id: u32,
    },
}

impl Fragments {
    /// Takes a PDU of a request; gives the arguments when they are whole.
    pub(super) fn join<'a>(
        &mut self,
        header: &PacketHeader,
        request: &Request<'a>,
    ) -> Result<Option<Cow<'a, [u8]>>, Fault> {
        let call_id = header.call_id;
        let before = std::mem::take(self);
        let is_refused = matches!(before, Self::Refused { call_id: refused } if refused == call_id);
        if is_refused && !header.is_first() {
            if !header.is_last() {
                *self = before;
            }
            return Ok(None);
        }
        match before.with(header, request) {
            Ok(stub) if header.is_last() => Ok(Some(stub)),
            Ok(stub) => {
                let Request { context_id, opnum, .. } = *request;
                *self = Self::Joining { call_id, context_id, opnum, stub: stub.into_owned() };
                Ok(None)
            }
            Err(fault) => {
                if !header.is_last() {
                    *self = Self::Refused { call_id };
                }
                Err(fault)
            }
        }
    }

    /// The arguments, with those of one more fragment.
    fn with<'a>(self, header: &PacketHeader, request: &Request<'a>) -> Result<Cow<'a, [u8]>, Fault> {
        if header.auth_length != 0 {
            return Err(Fault::PROTOCOL_ERROR);
        }
        match self {
            Self::Nothing | Self::Refused { .. } if header.is_first() => Ok(Cow::Borrowed(request.stub)),
            Self::Joining { call_id, context_id, opnum, mut stub }
                if !header.is_first()
                    && (call_id, context_id, opnum)
                        == (header.call_id, request.context_id, request.opnum) =>
            {
                if stub.len() + request.stub.len() > MAX_REQUEST_LEN {
                    return Err(Fault::NO_MEMORY);
                }
                stub.extend_from_slice(request.stub);
                Ok(Cow::Owned(stub))
            }
            _ => Err(Fault::PROTOCOL_ERROR),
        }
    }

    /// The client has given this call up.
    pub(super) fn give_up(&mut self, given_up: u32) {
        if matches!(self, Self::Joining { call_id, .. } if *call_id == given_up) {
            *self = Self::Nothing;
        }
    }

    /// Lets go of what was joined: what follows of it gets no answer.
    pub(super) fn refuse(&mut self) {
        if let Self::Joining { call_id, .. } = *self {
            *self = Self::Refused { call_id };
        }
    }

    /// Bytes that are kept.
    pub(super) fn kept(&self) -> usize {
        match self {
            Self::Joining { stub, .. } => stub.capacity(),
            Self::Nothing | Self::Refused { .. } => 0,
        }
    }
}
