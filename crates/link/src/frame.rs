//! Frames: what the two sides exchange after the greeting. No I/O here.
//!
//! A frame is an 8-byte header and a payload. A message (request, answer, notification) is one Start frame and, when
//! it is long, More frames of the same class; frames of the two classes may alternate, two messages of one class
//! may not. All numbers are little-endian. Layout: `docs/formats/link.md`.

use crate::{Class, MAX_BODY_BYTES, MAX_HEAD_BYTES, Mode};
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes of message data in one frame, at most.
pub(crate) const FRAME_DATA: usize = 64 * 1024;
/// Header of each frame, bytes.
pub(crate) const HEADER: usize = 8;
/// Fixed part of a Start frame after the header, bytes.
pub(crate) const START: usize = 32;
/// Longest payload of a frame that carries no message data, bytes.
pub(crate) const MAX_CONTROL: usize = 1024;

const KIND_START: u8 = 1;
const KIND_MORE: u8 = 2;
const KIND_PING: u8 = 3;
const KIND_PONG: u8 = 4;
const KIND_REFUSE: u8 = 5;
const KIND_FAILED: u8 = 6;
const KIND_CANCEL: u8 = 7;
const KIND_GOODBYE: u8 = 8;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Request,
    Answer,
    Notice,
    /// Empty: notifications go on over this connection, beginning with number `id`.
    NoticesFrom,
}

/// The fixed part of a Start frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) what: What,
    pub(crate) mode: Mode,
    pub(crate) class: Class,
    /// Call id, or number of the notification.
    pub(crate) id: u64,
    /// The sender's oldest unanswered `Once` call (requests; else 0): older answers need not be kept.
    pub(crate) floor: u64,
    pub(crate) head_len: usize,
    pub(crate) body_len: usize,
}

/// A frame without message data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Control {
    /// `floor` as in [`Start::floor`].
    Ping {
        token: u64,
        floor: u64,
    },
    Pong {
        token: u64,
    },
    /// The call was not executed.
    Refuse {
        id: u64,
        reason: String,
    },
    /// The call was executed and has no answer.
    Failed {
        id: u64,
        reason: String,
    },
    /// The caller gave the call up; the answer need not be sent.
    Cancel {
        id: u64,
    },
    /// The sender is shutting down; no new requests, please.
    Goodbye,
}

/// A decoded frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    /// [`START`] bytes and then `data` bytes of the message follow.
    Start { class: Class, data: usize },
    /// `data` bytes of the message of this class follow.
    More { class: Class, data: usize },
    /// `length` bytes for [`Control::decode`] follow.
    Control { kind: u8, length: usize },
}

fn put_header(out: &mut BytesMut, kind: u8, class: Class, length: usize) {
    out.put_u8(kind);
    out.put_u8(match class {
        Class::Interactive => 0,
        Class::Bulk => 1,
    });
    out.put_u16_le(0);
    out.put_u32_le(length as u32);
}

impl Header {
    pub(crate) fn decode(mut bytes: [u8; HEADER]) -> Result<Header, String> {
        let bytes = &mut &mut bytes[..];
        let kind = bytes[0];
        let class = match bytes[1] {
            0 => Class::Interactive,
            1 => Class::Bulk,
            other => return Err(format!("class {other} in a frame")),
        };
        let length = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize;
        match kind {
            KIND_START if (START..=START + FRAME_DATA).contains(&length) => {
                Ok(Header::Start { class, data: length - START })
            }
            KIND_MORE if (1..=FRAME_DATA).contains(&length) => Ok(Header::More { class, data: length }),
            KIND_PING..=KIND_GOODBYE if length <= MAX_CONTROL => Ok(Header::Control { kind, length }),
            _ => Err(format!("frame of kind {kind} with {length} bytes")),
        }
    }
}

impl Start {
    /// Appends header and fixed part of a frame that carries the first `data` bytes.
    pub(crate) fn encode(&self, data: usize, out: &mut BytesMut) {
        put_header(out, KIND_START, self.class, START + data);
        out.put_u8(match self.what {
            What::Request => 1,
            What::Answer => 2,
            What::Notice => 3,
            What::NoticesFrom => 4,
        });
        out.put_u8(match self.mode {
            Mode::Repeatable => 0,
            Mode::Once => 1,
        });
        out.put_u16_le(0);
        out.put_u32_le(self.head_len as u32);
        out.put_u32_le(self.body_len as u32);
        out.put_u32_le(0);
        out.put_u64_le(self.id);
        out.put_u64_le(self.floor);
    }

    pub(crate) fn decode(class: Class, mut bytes: &[u8]) -> Result<Start, String> {
        let what = match bytes.get_u8() {
            1 => What::Request,
            2 => What::Answer,
            3 => What::Notice,
            4 => What::NoticesFrom,
            other => return Err(format!("message of kind {other}")),
        };
        let mode = match bytes.get_u8() {
            0 => Mode::Repeatable,
            1 => Mode::Once,
            other => return Err(format!("call of mode {other}")),
        };
        bytes.advance(2);
        let head_len = bytes.get_u32_le() as usize;
        let body_len = bytes.get_u32_le() as usize;
        bytes.advance(4);
        if head_len > MAX_HEAD_BYTES || body_len > MAX_BODY_BYTES {
            return Err(format!("message with a head of {head_len} and a body of {body_len} bytes"));
        }
        Ok(Start { what, mode, class, id: bytes.get_u64_le(), floor: bytes.get_u64_le(), head_len, body_len })
    }

    /// Bytes of the whole message.
    pub(crate) fn total(&self) -> usize {
        self.head_len + self.body_len
    }
}

/// Appends the header of a More frame.
pub(crate) fn encode_more(class: Class, data: usize, out: &mut BytesMut) {
    put_header(out, KIND_MORE, class, data);
}

impl Control {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(HEADER + 16);
        let mut frame = |kind, numbers: &[u64], text: &str| {
            let end = text.floor_char_boundary(MAX_CONTROL - 16);
            put_header(&mut out, kind, Class::Interactive, 8 * numbers.len() + end);
            numbers.iter().for_each(|number| out.put_u64_le(*number));
            out.put_slice(&text.as_bytes()[..end]);
        };
        match self {
            Control::Ping { token, floor } => frame(KIND_PING, &[*token, *floor], ""),
            Control::Pong { token } => frame(KIND_PONG, &[*token], ""),
            Control::Refuse { id, reason } => frame(KIND_REFUSE, &[*id], reason),
            Control::Failed { id, reason } => frame(KIND_FAILED, &[*id], reason),
            Control::Cancel { id } => frame(KIND_CANCEL, &[*id], ""),
            Control::Goodbye => frame(KIND_GOODBYE, &[], ""),
        }
        out.freeze()
    }

    pub(crate) fn decode(kind: u8, mut payload: &[u8]) -> Result<Control, String> {
        let malformed = || format!("malformed frame of kind {kind}");
        let bytes = &mut payload;
        if kind == KIND_GOODBYE {
            return Ok(Control::Goodbye);
        }
        let id = bytes.try_get_u64_le().map_err(|_| malformed())?;
        let reason = |text: &[u8]| {
            let text = std::str::from_utf8(text).map_err(|_| malformed())?;
            Ok::<_, String>(text.chars().filter(|c| !c.is_control()).collect())
        };
        match kind {
            KIND_PING => {
                Ok(Control::Ping { token: id, floor: bytes.try_get_u64_le().map_err(|_| malformed())? })
            }
            KIND_PONG => Ok(Control::Pong { token: id }),
            KIND_REFUSE => Ok(Control::Refuse { id, reason: reason(bytes)? }),
            KIND_FAILED => Ok(Control::Failed { id, reason: reason(bytes)? }),
            KIND_CANCEL => Ok(Control::Cancel { id }),
            _ => Err(malformed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(bytes: &[u8]) -> Result<Header, String> {
        Header::decode(bytes[..HEADER].try_into().expect("a header's length"))
    }

    #[test]
    fn controls_survive_the_wire() {
        for control in [
            Control::Ping { token: 1, floor: u64::MAX },
            Control::Pong { token: 2 },
            Control::Refuse { id: 3, reason: "busy".into() },
            Control::Failed { id: 4, reason: "broke off".into() },
            Control::Cancel { id: 5 },
            Control::Goodbye,
        ] {
            let bytes = control.encode();
            let Ok(Header::Control { kind, length }) = header(&bytes) else { panic!("{control:?}") };
            assert_eq!(length, bytes.len() - HEADER);
            assert_eq!(Control::decode(kind, &bytes[HEADER..]), Ok(control));
        }
    }

    #[test]
    fn a_start_survives_the_wire() {
        let start = Start {
            what: What::Request,
            mode: Mode::Once,
            class: Class::Bulk,
            id: 77,
            floor: 70,
            head_len: 10,
            body_len: MAX_BODY_BYTES,
        };
        let mut bytes = BytesMut::new();
        start.encode(FRAME_DATA, &mut bytes);
        assert_eq!(header(&bytes), Ok(Header::Start { class: Class::Bulk, data: FRAME_DATA }));
        assert_eq!(Start::decode(Class::Bulk, &bytes[HEADER..]), Ok(start));
    }

    #[test]
    fn limits_are_kept_on_receipt() {
        let mut bytes = BytesMut::new();
        encode_more(Class::Bulk, FRAME_DATA + 1, &mut bytes);
        assert!(header(&bytes).is_err());
        let mut bytes = BytesMut::new();
        encode_more(Class::Bulk, 0, &mut bytes);
        assert!(header(&bytes).is_err());
        let large = Start {
            what: What::Answer,
            mode: Mode::Repeatable,
            class: Class::Bulk,
            id: 1,
            floor: 0,
            head_len: 0,
            body_len: MAX_BODY_BYTES + 1,
        };
        let mut bytes = BytesMut::new();
        large.encode(0, &mut bytes);
        assert!(Start::decode(Class::Bulk, &bytes[HEADER..]).is_err());
        assert!(header(b"GET / HTTP/1.1\r\n").is_err());
    }
}
