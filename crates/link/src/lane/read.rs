//! Bytes in, messages out.
//!
//! The data of a message is read straight into the one allocation it will live in, so a message that a cache keeps
//! does not hold a shared read buffer alive; only what arrived together with its header is copied once more.

use super::End;
use crate::frame::{Control, HEADER, Header, START, Start};
use crate::{Class, Message};
use bytes::{Buf, BufMut, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Read at once when looking for a header, bytes. One TLS record.
const READ_BYTES: usize = 16 * 1024;

/// A whole message.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) start: Start,
    pub(crate) message: Message,
}

/// What was read.
#[derive(Debug)]
pub(crate) enum Event {
    Message(Received),
    Control(Control),
}

/// A message that has not arrived completely.
struct Partial {
    start: Start,
    data: BytesMut,
}

/// Reads frames and joins them to messages.
pub(super) struct Reader<R> {
    io: R,
    buffer: BytesMut,
    interactive: Option<Partial>,
    bulk: Option<Partial>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn new(io: R) -> Reader<R> {
        Reader { io, buffer: BytesMut::with_capacity(READ_BYTES), interactive: None, bulk: None }
    }

    /// The next whole message or control frame.
    pub(super) async fn next(&mut self) -> Result<Event, End> {
        loop {
            self.fill(HEADER).await?;
            let mut header = [0; HEADER];
            self.buffer.copy_to_slice(&mut header);
            let (class, data) = match Header::decode(header).map_err(End::Protocol)? {
                Header::Control { kind, length } => {
                    self.fill(length).await?;
                    let payload = self.buffer.split_to(length);
                    return Ok(Event::Control(Control::decode(kind, &payload).map_err(End::Protocol)?));
                }
                Header::Start { class, data } => {
                    self.begin(class).await?;
                    (class, data)
                }
                Header::More { class, data } => (class, data),
            };
            if let Some(received) = self.extend(class, data).await? {
                return Ok(Event::Message(received));
            }
        }
    }

    fn partial(&mut self, class: Class) -> &mut Option<Partial> {
        match class {
            Class::Interactive => &mut self.interactive,
            Class::Bulk => &mut self.bulk,
        }
    }

    async fn begin(&mut self, class: Class) -> Result<(), End> {
        self.fill(START).await?;
        let fixed = self.buffer.split_to(START);
        let start = Start::decode(class, &fixed).map_err(End::Protocol)?;
        let data = BytesMut::with_capacity(start.total());
        if self.partial(class).replace(Partial { start, data }).is_some() {
            return Err(End::Protocol("a message begins before the last one ended".into()));
        }
        Ok(())
    }

    /// Reads `more` bytes of the message begun; the message when these were its last.
    async fn extend(&mut self, class: Class, more: usize) -> Result<Option<Received>, End> {
        let Reader { io, buffer, interactive, bulk } = self;
        let slot = match class {
            Class::Interactive => interactive,
            Class::Bulk => bulk,
        };
        let Some(partial) = slot else {
            return Err(End::Protocol("a message goes on that was not begun".into()));
        };
        let end = partial.data.len() + more;
        if end > partial.start.total() {
            return Err(End::Protocol("a message is longer than announced".into()));
        }
        let ready = buffer.len().min(more);
        partial.data.put_slice(&buffer[..ready]);
        buffer.advance(ready);
        while partial.data.len() < end {
            let left = end - partial.data.len();
            let read = io.read_buf(&mut (&mut partial.data).limit(left)).await;
            ended(read)?;
        }
        if end < partial.start.total() {
            return Ok(None);
        }
        Ok(slot.take().map(|Partial { start, mut data }| {
            let head = data.split_to(start.head_len).freeze();
            Received { start, message: Message { head, body: data.freeze() } }
        }))
    }

    /// Reads until the buffer has `bytes`.
    async fn fill(&mut self, bytes: usize) -> Result<(), End> {
        while self.buffer.len() < bytes {
            self.buffer.reserve(READ_BYTES);
            ended(self.io.read_buf(&mut self.buffer).await)?;
        }
        Ok(())
    }
}

fn ended(read: io::Result<usize>) -> Result<(), End> {
    match read {
        Ok(0) => Err(End::Lost("closed by the other side".into())),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(End::Lost("closed by the other side".into()))
        }
        Err(error) => Err(End::Lost(error.to_string())),
    }
}
