//! What waits to be written to one connection, and in which order it goes out. No I/O here.
//!
//! Order: control frames, then interactive messages, then bulk. A bulk message is cut into frames of at most
//! [`FRAME_DATA`] bytes and an interactive message that arrives meanwhile goes between them.

use crate::Class;
use crate::frame::{self, FRAME_DATA, HEADER, START, Start};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::OwnedSemaphorePermit;

/// Bytes handed to TLS at once: what an interactive message may have to wait for in this process.
const BATCH_BYTES: usize = FRAME_DATA;

/// A message on its way out.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) start: Start,
    pub(crate) head: Bytes,
    pub(crate) body: Bytes,
    /// Its share of the queue's limit, given back when the message is written or dropped.
    #[allow(dead_code, reason = "held only to be dropped")]
    pub(crate) space: Option<OwnedSemaphorePermit>,
    /// Tells the caller which lane took its request.
    pub(crate) carrier: Option<Arc<Carrier>>,
}

/// The lane that a request went over, as far as it is known.
#[derive(Debug, Default)]
pub(crate) struct Carrier(AtomicU64);

impl Carrier {
    /// Stands for a request that was dropped before any lane took it.
    const DROPPED: u64 = u64::MAX;

    /// The lane's id once one has taken the request; the id of no lane when it was dropped.
    pub(crate) fn lane(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Acquire)).filter(|lane| *lane != 0)
    }
}

impl Outgoing {
    /// Bytes of data not yet taken.
    pub(crate) fn left(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Tells the caller that `lane` takes the message.
    pub(crate) fn taken_by(&self, lane: u64) {
        if let Some(carrier) = &self.carrier {
            carrier.0.store(lane, Ordering::Release);
        }
    }

    /// Tells the caller that no lane will take it.
    pub(crate) fn drop_unsent(&self) {
        self.taken_by(Carrier::DROPPED);
    }
}

/// The messages of one connection that are not yet written.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    control: VecDeque<Bytes>,
    interactive: ClassQueue,
    bulk: ClassQueue,
}

#[derive(Debug, Default)]
struct ClassQueue {
    messages: VecDeque<Outgoing>,
    /// Data of `messages` not yet taken.
    bytes: usize,
    /// The first message has been begun.
    begun: bool,
}

impl SendQueue {
    pub(crate) fn push(&mut self, message: Outgoing) {
        let queue = self.class(message.start.class);
        queue.bytes += message.left();
        queue.messages.push_back(message);
    }

    /// Queues a frame made by [`frame::Control::encode`].
    pub(crate) fn push_control(&mut self, frame: Bytes) {
        self.control.push_back(frame);
    }

    pub(crate) fn controls(&self) -> usize {
        self.control.len()
    }

    pub(crate) fn bytes(&self, class: Class) -> usize {
        match class {
            Class::Interactive => self.interactive.bytes,
            Class::Bulk => self.bulk.bytes,
        }
    }

    pub(crate) fn has(&self, class: Class) -> bool {
        match class {
            Class::Interactive => !self.interactive.messages.is_empty(),
            Class::Bulk => !self.bulk.messages.is_empty(),
        }
    }

    /// Whether there is room in the next batch for another bulk message.
    pub(crate) fn pulls_more(&self) -> bool {
        let data = self.bulk.bytes + self.bulk.messages.len() * (HEADER + START);
        data < BATCH_BYTES
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.control.is_empty() && !self.has(Class::Interactive) && !self.has(Class::Bulk)
    }

    fn class(&mut self, class: Class) -> &mut ClassQueue {
        match class {
            Class::Interactive => &mut self.interactive,
            Class::Bulk => &mut self.bulk,
        }
    }

    /// Appends to `batch` what is to be written next: about [`BATCH_BYTES`], nothing when the queue is empty.
    pub(crate) fn next_batch(&mut self, batch: &mut VecDeque<Bytes>) {
        let mut taken = 0;
        while taken < BATCH_BYTES
            && let Some(frame) = self.control.pop_front()
        {
            taken += frame.len();
            batch.push_back(frame);
        }
        // One allocation for all headers of the batch.
        let mut headers = BytesMut::new();
        for class in [Class::Interactive, Class::Bulk] {
            while taken < BATCH_BYTES
                && let Some(bytes) = self.class(class).next_frame(batch, &mut headers)
            {
                taken += bytes;
            }
        }
    }
}

impl ClassQueue {
    /// Appends one frame to `batch`; its bytes, or `None` when the queue is empty.
    fn next_frame(&mut self, batch: &mut VecDeque<Bytes>, headers: &mut BytesMut) -> Option<usize> {
        let message = self.messages.front_mut()?;
        let data = message.left().min(FRAME_DATA);
        headers.reserve(HEADER + START);
        if self.begun {
            frame::encode_more(message.start.class, data, headers);
        } else {
            message.start.encode(data, headers);
        }
        let header = headers.split().freeze();
        let bytes = header.len() + data;
        batch.push_back(header);
        let head = message.head.split_to(message.head.len().min(data));
        let body = message.body.split_to(data - head.len());
        batch.extend([head, body].into_iter().filter(|part| !part.is_empty()));
        self.bytes -= data;
        self.begun = message.left() > 0;
        if !self.begun {
            self.messages.pop_front();
        }
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mode;
    use crate::frame::{Control, Header, What};

    fn message(class: Class, id: u64, bytes: usize) -> Outgoing {
        let body = Bytes::from(vec![id as u8; bytes]);
        let start = Start {
            what: What::Request,
            mode: Mode::Repeatable,
            class,
            id,
            floor: 0,
            head_len: 0,
            body_len: bytes,
        };
        Outgoing { start, head: Bytes::new(), body, space: None, carrier: None }
    }

    /// Classes of the frames of the next batch, `None` for control.
    fn next(queue: &mut SendQueue) -> Vec<Option<Class>> {
        let mut batch = VecDeque::new();
        queue.next_batch(&mut batch);
        let bytes: Vec<u8> = batch.iter().flat_map(|part| part.to_vec()).collect();
        let mut rest = &bytes[..];
        let mut frames = Vec::new();
        while let Some((header, after)) = rest.split_first_chunk::<HEADER>() {
            let (class, length) = match Header::decode(*header).expect("our own header") {
                Header::Start { class, data } => (Some(class), START + data),
                Header::More { class, data } => (Some(class), data),
                Header::Control { length, .. } => (None, length),
            };
            frames.push(class);
            rest = &after[length..];
        }
        frames
    }

    #[test]
    fn urgent_frames_go_between_those_of_a_bulk_message() {
        let mut queue = SendQueue::default();
        queue.push(message(Class::Bulk, 1, 3 * FRAME_DATA));
        assert_eq!(next(&mut queue), [Some(Class::Bulk)]);
        queue.push(message(Class::Interactive, 2, 10));
        queue.push_control(Control::Pong { token: 1 }.encode());
        assert_eq!(next(&mut queue), [None, Some(Class::Interactive), Some(Class::Bulk)]);
        assert_eq!(next(&mut queue), [Some(Class::Bulk)]);
        assert!(queue.is_empty());
        assert_eq!(queue.bytes(Class::Bulk), 0);
        assert_eq!(next(&mut queue), []);
    }

    #[test]
    fn small_messages_share_a_batch_and_empty_ones_are_sent() {
        let mut queue = SendQueue::default();
        (0..3).for_each(|id| queue.push(message(Class::Bulk, id, 0)));
        assert!(queue.has(Class::Bulk));
        assert_eq!(next(&mut queue).len(), 3);
        assert!(queue.is_empty());
    }
}
