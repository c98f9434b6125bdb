//! Bytes from the socket become frames (MS-SMB2 2.1, direct TCP).
//!
//! One growing buffer. A long message is split off it without a copy, so that the payload of a WRITE is a slice of what the
//! kernel handed over; it keeps that buffer as long as it lives. A short one, which may wait for a change or a lock for ever,
//! is copied and keeps nothing else.

use bytes::{Buf, BytesMut};
use smb_wire::WireError;
use smb_wire::frame::{FRAME_HEADER_LEN, Frame};

/// Room asked for when the size of what comes next is not known, bytes.
const READ_AHEAD_BYTES: usize = 64 * 1024;

/// The longest message that is copied: a WRITE of one page is short too, bytes.
const SHORT_MAX_BYTES: usize = 8 * 1024;

pub(crate) struct Inbox {
    buffer: BytesMut,
    /// Longest message that this connection may send now, bytes.
    limit: usize,
}

/// What the buffer holds.
#[derive(Debug)]
pub(crate) enum Next {
    Message(BytesMut),
    /// Not whole yet.
    More,
    TooLong(usize),
    /// NetBIOS session request: clients on port 139 send it first; answered, then SMB follows.
    SessionRequest,
}

impl Inbox {
    pub(crate) fn new(limit: usize) -> Inbox {
        Inbox { buffer: BytesMut::new(), limit }
    }

    /// Gives the buffer back when there is nothing in it: a silent client holds no memory.
    pub(crate) fn rest(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The buffer to read into; has room for the rest of the message under way.
    pub(crate) fn space(&mut self) -> &mut BytesMut {
        let missing = match self.announced() {
            Some(length) if length <= self.limit => {
                (FRAME_HEADER_LEN + length).saturating_sub(self.buffer.len())
            }
            _ => 0,
        };
        if self.buffer.capacity() - self.buffer.len() < missing.max(READ_AHEAD_BYTES / 16) {
            self.buffer.reserve(missing.max(READ_AHEAD_BYTES));
        }
        &mut self.buffer
    }

    fn announced(&self) -> Option<usize> {
        let header = self.buffer.get(..FRAME_HEADER_LEN)?.try_into().ok()?;
        match Frame::decode(header) {
            Ok(Frame::Message(length) | Frame::SessionRequest(length)) => Some(length),
            Ok(Frame::KeepAlive) | Err(_) => None,
        }
    }

    /// Takes the next whole message.
    pub(crate) fn next(&mut self) -> Result<Next, WireError> {
        loop {
            let Some(header) = self.buffer.get(..FRAME_HEADER_LEN) else { return Ok(Next::More) };
            let header = header.try_into().expect("four bytes were asked for");
            let (length, session_request) = match Frame::decode(header)? {
                Frame::Message(length) => (length, false),
                Frame::SessionRequest(length) => (length, true),
                Frame::KeepAlive => {
                    self.buffer.advance(FRAME_HEADER_LEN);
                    continue;
                }
            };
            if length > self.limit {
                return Ok(Next::TooLong(length));
            }
            if self.buffer.len() < FRAME_HEADER_LEN + length {
                return Ok(Next::More);
            }
            self.buffer.advance(FRAME_HEADER_LEN);
            let message = self.take(length);
            return Ok(if session_request { Next::SessionRequest } else { Next::Message(message) });
        }
    }

    fn take(&mut self, length: usize) -> BytesMut {
        if length > SHORT_MAX_BYTES {
            return self.buffer.split_to(length);
        }
        let message = BytesMut::from(&self.buffer[..length]);
        self.buffer.advance(length);
        message
    }
}

/// How much memory a message of this length keeps from others.
pub(crate) fn kept_bytes(length: usize) -> usize {
    if length > SHORT_MAX_BYTES { length.max(READ_AHEAD_BYTES) } else { length }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    fn fed(bytes: &[u8]) -> Inbox {
        let mut inbox = Inbox::new(100);
        inbox.space().extend_from_slice(bytes);
        inbox
    }

    #[test]
    fn messages_come_out_whole_and_in_order() {
        let mut inbox = fed(&[0, 0, 0, 2, b'a', b'b', 0x85, 0, 0, 0, 0, 0, 0, 1, b'c', 0, 0]);
        assert!(matches!(inbox.next(), Ok(Next::Message(m)) if m == "ab"));
        assert!(matches!(inbox.next(), Ok(Next::Message(m)) if m == "c"));
        assert!(matches!(inbox.next(), Ok(Next::More)));
        inbox.space().extend_from_slice(&[0, 1, b'd']);
        assert!(matches!(inbox.next(), Ok(Next::Message(m)) if m == "d"));
    }

    #[test]
    fn nothing_is_held_between_messages() {
        let mut inbox = fed(&[0, 0, 0, 2, b'a', b'b', 0, 0]);
        assert!(matches!(inbox.next(), Ok(Next::Message(m)) if m == "ab"));
        inbox.rest();
        inbox.space().extend_from_slice(&[0, 1, b'c']);
        assert!(matches!(inbox.next(), Ok(Next::Message(m)) if m == "c"), "half a frame is kept");
        inbox.rest();
        assert_eq!(inbox.buffer.capacity(), 0);
    }

    #[test]
    fn a_short_message_keeps_its_own_bytes_alone_and_a_long_one_is_not_copied() {
        let mut inbox = Inbox::new(limits::PAYLOAD_MAX_BYTES as usize);
        let frame = |length: usize| [&(length as u32).to_be_bytes()[..], &vec![7; length]].concat();
        for (length, copied) in [(100, true), (SHORT_MAX_BYTES, true), (SHORT_MAX_BYTES + 1, false)] {
            inbox.space().extend_from_slice(&frame(length));
            let came_to = inbox.buffer[FRAME_HEADER_LEN..].as_ptr();
            let Ok(Next::Message(message)) = inbox.next() else { panic!("{length}") };
            assert_eq!(message, vec![7; length]);
            assert_eq!(message.as_ptr() != came_to, copied, "{length}");
            assert_eq!(kept_bytes(length), if copied { length } else { READ_AHEAD_BYTES });
        }
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_is_stored() {
        let mut inbox = fed(&[0, 0, 0, 101]);
        assert!(inbox.space().capacity() < 2 * READ_AHEAD_BYTES);
        assert!(matches!(inbox.next(), Ok(Next::TooLong(101))));
        assert!(fed(b"GET / HTTP/1.1").next().is_err());
    }
}
