//! What a request is answered with, and how answers become one frame.
//!
//! A chain of requests is answered by a chain of answers, each padded to eight bytes and signed by itself
//! (MS-SMB2 3.3.4.1.3), then compressed where its client would like that, and sealed as a whole where the request
//! came sealed. The payload of a READ at its end stays apart from the head up to the socket; it is signed, and
//! encrypted, where it stands.

use crate::breaks::Announcement;
use crate::outbox::Outgoing;
use crate::session::{Channel, Sealing, Session};
use bytes::{Bytes, BytesMut};
use smb_core::compression::{CompressionAgreement, compress, compress_behind};
use smb_core::sealing::{SealError, Sealer};
use smb_core::signing::Signer;
use smb_wire::frame::{FRAME_HEADER_LEN, Frame};
use smb_wire::{HEADER_LEN, Header, NtStatus};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use volume::Pages;

/// Shorter payloads are joined to their head before they are encrypted: a copy costs less than another piece, bytes.
const SEALED_APART_MIN_BYTES: usize = 16 * 1024;

/// A handler's answer: the body after the SMB2 header, and a payload that follows it.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) status: NtStatus,
    pub(crate) body: Vec<u8>,
    pub(crate) payload: Bytes,
    /// In place of it: copied here only where the answer is worked on, or does not end its frame.
    pub(crate) pages: Option<Pages>,
    /// Room that it takes up until it is sent.
    pub(crate) room: Option<OwnedSemaphorePermit>,
    /// The client would like it compressed.
    pub(crate) compress: bool,
    /// Set where the answer gives the client a session or a tree connect.
    pub(crate) session_id: Option<u64>,
    pub(crate) tree_id: Option<u32>,
    /// Signs this answer instead of the request's own channel: the end of a log-in.
    pub(crate) channel: Option<Channel>,
    /// An open with caching rights: once the client knows of it, it can be told of breaks.
    pub(crate) announce: Option<Announcement>,
}

impl Answer {
    pub(crate) fn payload_len(&self) -> usize {
        self.pages.as_ref().map_or(self.payload.len(), Pages::len)
    }

    /// Success with the body that `encode` writes.
    pub(crate) fn ok(encode: impl FnOnce(&mut Vec<u8>)) -> Answer {
        Answer::with(NtStatus::SUCCESS, encode)
    }

    /// A body with a status that is not success: warnings carry data.
    pub(crate) fn with(status: NtStatus, encode: impl FnOnce(&mut Vec<u8>)) -> Answer {
        let mut body = Vec::with_capacity(128);
        encode(&mut body);
        Answer { status, body, ..Answer::default() }
    }

    /// An error response (MS-SMB2 2.2.2) without further data.
    pub(crate) fn error(status: NtStatus) -> Answer {
        // StructureSize 9, no contexts, ByteCount 0, one byte of ErrorData.
        Answer { status, body: vec![9, 0, 0, 0, 0, 0, 0, 0, 0], ..Answer::default() }
    }
}

/// One answer with its header.
pub(crate) struct Reply {
    pub(crate) header: Header,
    pub(crate) answer: Answer,
    /// Who signs it, when it is not sealed.
    pub(crate) signer: Option<Arc<Signer>>,
}

/// Makes one frame of a chain of replies, compressed as `compress` says where that makes it smaller, sealed by `seal`
/// where that is given.
pub(crate) fn frame(
    replies: Vec<Reply>,
    seal: Option<&Session>,
    compress: Option<&CompressionAgreement>,
) -> Result<Outgoing, String> {
    let sealing = match seal {
        Some(session) => {
            Some(session.sealing.as_ref().ok_or("a sealed reply needs a session with a cipher")?)
        }
        None => None,
    };
    let room = if sealing.is_some() { smb_core::sealing::TRANSFORM_HEADER_LEN } else { 0 };
    let start = FRAME_HEADER_LEN + room;
    let mut head = vec![0; start];
    let mut payload = Payload::None;
    let mut pages = None;
    let mut room = Vec::new();
    let last = replies.len() - 1;
    let padding = if last > 0 { 8 } else { 1 };
    for (index, mut reply) in replies.into_iter().enumerate() {
        let begin = head.len();
        room.extend(reply.answer.room.take());
        let length = HEADER_LEN + reply.answer.body.len() + reply.answer.payload_len();
        let padded = length.next_multiple_of(padding);
        reply.header.next_command = if index == last { 0 } else { padded as u32 };
        let ends = index == last && padded == length;
        let as_it_is = ends && sealing.is_none() && reply.signer.is_none() && compress.is_none();
        pages = pages_of(&mut reply.answer, as_it_is)?;
        let joined;
        (payload, joined) = match ends {
            true => Payload::apart(reply.answer.payload, sealing),
            false => (Payload::None, reply.answer.payload),
        };
        let apart = payload.len() + pages.as_ref().map_or(0, Pages::len);
        head.reserve(padded - apart);
        reply.header.encode_into(&mut head);
        head.extend_from_slice(&reply.answer.body);
        head.extend_from_slice(&joined);
        head.resize(begin + padded - apart, 0);
        if let Some(signer) = reply.signer.filter(|_| sealing.is_none()) {
            signer.sign(&mut head[begin..], &[payload.bytes()]).map_err(|error| error.to_string())?;
        }
    }
    if let Some(smaller) = compress.and_then(|agreed| compressed(&head[start..], payload.bytes(), agreed)) {
        head.truncate(start);
        head.extend(smaller);
        payload = Payload::None;
    }
    if let Some(sealing) = sealing {
        payload.seal(&sealing.sealer, &mut head[FRAME_HEADER_LEN..]).map_err(|error| error.to_string())?;
    }
    let length = head.len() - FRAME_HEADER_LEN + payload.len() + pages.as_ref().map_or(0, Pages::len);
    head[..FRAME_HEADER_LEN]
        .copy_from_slice(&Frame::message_header(length).map_err(|error| error.to_string())?);
    Ok(Outgoing { head, payload: payload.freeze(), pages, _room: room })
}

/// The pages of an answer that goes out `as_it_is`; of another they become its payload.
fn pages_of(answer: &mut Answer, as_it_is: bool) -> Result<Option<Pages>, String> {
    match answer.pages.take() {
        Some(pages) if !as_it_is => {
            answer.payload = pages.into_bytes().map_err(|error| error.to_string())?;
            Ok(None)
        }
        pages => Ok(pages),
    }
}

/// Replies made smaller, if that pays: the payload that stands apart, or all behind the first header.
fn compressed(head: &[u8], payload: &[u8], agreed: &CompressionAgreement) -> Option<Vec<u8>> {
    match payload.is_empty() {
        true => compress(head, agreed),
        false => compress_behind(head, payload, agreed),
    }
}

/// What follows the head of a frame without having been copied into it.
enum Payload {
    None,
    Shared(Bytes),
    /// Nobody else holds it: it can be encrypted where it stands.
    Own(BytesMut),
}

impl Payload {
    /// What of the last answer's payload stays apart, and what is to be joined to the head.
    fn apart(payload: Bytes, sealing: Option<&Sealing>) -> (Payload, Bytes) {
        let Some(sealing) = sealing else { return (Payload::Shared(payload), Bytes::new()) };
        if payload.len() < SEALED_APART_MIN_BYTES || !sealing.sealer.seals_apart() {
            return (Payload::None, payload);
        }
        match payload.try_into_mut() {
            Ok(own) => (Payload::Own(own), Bytes::new()),
            // A cache holds it, too.
            Err(shared) => (Payload::None, shared),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Payload::None => &[],
            Payload::Shared(bytes) => bytes,
            Payload::Own(bytes) => bytes,
        }
    }

    fn len(&self) -> usize {
        self.bytes().len()
    }

    fn seal(&mut self, sealer: &Sealer, frame: &mut [u8]) -> Result<(), SealError> {
        match self {
            Payload::None => sealer.seal_in_place(frame),
            Payload::Own(payload) => sealer.seal_apart(frame, payload),
            Payload::Shared(_) => Err(SealError::Provider),
        }
    }

    fn freeze(self) -> Bytes {
        match self {
            Payload::None => Bytes::new(),
            Payload::Shared(bytes) => bytes,
            Payload::Own(bytes) => bytes.freeze(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smb_wire::Command;
    use std::io::Write;

    fn reply(message_id: u64, body: usize) -> Reply {
        let header = Header::request(Command::Echo, message_id).reply(NtStatus::SUCCESS, 1);
        Reply { header, answer: Answer::ok(|out| out.resize(body, 7)), signer: None }
    }

    #[test]
    fn a_chain_is_padded_and_linked() {
        let out = frame(vec![reply(1, 5), reply(2, 16), reply(3, 3)], None, None).unwrap();
        let message = Bytes::from(out.head).slice(FRAME_HEADER_LEN..);
        assert_eq!(message.len(), 72 + 80 + 72);
        let parts: Vec<_> = smb_wire::split_compound(message).map(Result::unwrap).collect();
        assert_eq!(parts.iter().map(|(header, _)| header.message_id).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn pages_go_as_they_are_where_nobody_works_on_them() {
        let pages = || {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(b"of a file").unwrap();
            Pages::of(&file, 0, 100).unwrap()
        };
        let framed = |count: u64| {
            let mut replies: Vec<_> = (1..=count).map(|id| reply(id, 16)).collect();
            replies.last_mut().unwrap().answer.pages = pages();
            frame(replies, None, None).unwrap()
        };
        let alone = framed(1);
        assert_eq!(alone.head[..4], [0, 0, 0, 64 + 16 + 9]);
        assert_eq!(alone.head.len(), 4 + 64 + 16);
        assert_eq!(alone.pages.unwrap().into_bytes().unwrap(), "of a file");
        // Behind it there is padding.
        let second = framed(2);
        assert!(second.pages.is_none());
        assert!(second.head.ends_with(b"of a file\0\0\0\0\0\0\0"));
    }

    #[test]
    fn a_payload_stays_apart() {
        let mut one = reply(1, 16);
        one.answer.payload = Bytes::from_static(b"payload");
        let out = frame(vec![one], None, None).unwrap();
        assert_eq!(out.payload, "payload");
        assert_eq!(out.head[..4], [0, 0, 0, 64 + 16 + 7]);
    }
}
