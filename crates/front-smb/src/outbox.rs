//! Replies become bytes on the socket: a queue of gathered writes.
//!
//! Any task may push; only the connection's own loop writes. The payload of a READ travels as the slice that
//! `vfs` returned, never copied into the reply.

use bytes::Bytes;
use futures_util::FutureExt;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io::IoSlice;
use tokio::sync::{Notify, OwnedSemaphorePermit};

/// Slices handed to one `writev`.
const SLICES_MAX: usize = 32;

/// One frame, ready to be sent.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// Frame header, SMB2 header and body.
    pub(crate) head: Vec<u8>,
    /// What follows it.
    pub(crate) payload: Bytes,
    /// Room that its content takes up; given back when it is sent and dropped.
    pub(crate) _room: Vec<OwnedSemaphorePermit>,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<Outgoing>,
    /// What nobody asked for: goes out after the answers that were ready with it.
    notices: Vec<Outgoing>,
    /// Bytes of the first frame that are sent already.
    sent: usize,
    bytes: usize,
    /// Bytes that were ever handed to the transport.
    written: u64,
    /// As many will have been when the last of the notices in `frames` is.
    notices_end: u64,
    /// Notices that were ever pushed.
    notices_pushed: u64,
    /// The transport is gone: what comes is dropped.
    closed: bool,
}

/// The connection's frames on their way out.
#[derive(Default)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    pushed: Notify,
}

impl Outbox {
    pub(crate) fn push(&self, frame: Outgoing) {
        let mut queue = self.queue.lock();
        if queue.closed {
            return;
        }
        queue.bytes += frame.head.len() + frame.payload.len();
        queue.frames.push_back(frame);
        drop(queue);
        self.pushed.notify_one();
    }

    /// The transport is gone.
    pub(crate) fn close(&self) {
        *self.queue.lock() = Queue { closed: true, ..Queue::default() };
    }

    /// The same for what nobody asked for. It comes after the answer of a request on this connection that caused it.
    /// Its number among its like; `None` when the transport is gone.
    pub(crate) fn push_notice(&self, frame: Outgoing) -> Option<u64> {
        let mut queue = self.queue.lock();
        if queue.closed {
            return None;
        }
        queue.notices_pushed += 1;
        let number = queue.notices_pushed;
        queue.bytes += frame.head.len() + frame.payload.len();
        queue.notices.push(frame);
        drop(queue);
        self.pushed.notify_one();
        Some(number)
    }

    /// Bytes that wait.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.queue.lock().bytes
    }

    /// Bytes that were ever handed to the transport.
    pub(crate) fn written_bytes(&self) -> u64 {
        self.queue.lock().written
    }

    /// What nobody asked for: the number of the last, and how many bytes will have been handed to the transport when all is
    /// sent.
    pub(crate) fn notices(&self) -> (u64, u64) {
        let queue = self.queue.lock();
        (queue.notices_pushed, if queue.notices.is_empty() { queue.notices_end } else { u64::MAX })
    }

    /// Returns when something was pushed since the last call, or the last [`Outbox::flush`].
    pub(crate) async fn pushed(&self) {
        self.pushed.notified().await;
    }

    /// Writes with `write` (a non-blocking `writev`) until all is sent or it would block.
    pub(crate) fn flush(
        &self,
        mut write: impl FnMut(&[IoSlice<'_>]) -> std::io::Result<usize>,
    ) -> std::io::Result<()> {
        // What was pushed up to here goes now: the connection's loop need not turn for it once more.
        let _pushed = self.pushed.notified().now_or_never();
        let mut queue = self.queue.lock();
        if !queue.notices.is_empty() {
            let notices = std::mem::take(&mut queue.notices);
            queue.frames.extend(notices);
            queue.notices_end = queue.written + queue.bytes as u64;
        }
        while !queue.frames.is_empty() {
            let written = {
                let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                let used = gather(&queue.frames, queue.sent, &mut slices);
                match write(&slices[..used]) {
                    Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
                    Ok(written) => written,
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error),
                }
            };
            queue.advance(written);
        }
        Ok(())
    }
}

impl Queue {
    fn advance(&mut self, written: usize) {
        self.bytes -= written;
        self.written += written as u64;
        self.sent += written;
        while let Some(first) = self.frames.front() {
            let length = first.head.len() + first.payload.len();
            if self.sent < length {
                break;
            }
            self.sent -= length;
            self.frames.pop_front();
        }
    }
}

/// Fills `slices` with what is not sent yet; returns how many.
fn gather<'a>(frames: &'a VecDeque<Outgoing>, sent: usize, slices: &mut [IoSlice<'a>; SLICES_MAX]) -> usize {
    let mut skip = sent;
    let mut used = 0;
    for part in frames.iter().flat_map(|frame| [frame.head.as_slice(), &frame.payload]) {
        let skipped = skip.min(part.len());
        skip -= skipped;
        if skipped == part.len() {
            continue;
        }
        if used == SLICES_MAX {
            break;
        }
        slices[used] = IoSlice::new(&part[skipped..]);
        used += 1;
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_flushed_wakes_nobody() {
        let outbox = Outbox::default();
        let push = || outbox.push(Outgoing { head: b"head".to_vec(), ..Outgoing::default() });
        push();
        outbox.flush(|slices| Ok(slices.iter().map(|slice| slice.len()).sum())).unwrap();
        assert_eq!(outbox.pushed().now_or_never(), None);
        push();
        assert_eq!(outbox.pushed().now_or_never(), Some(()));
    }

    #[test]
    fn any_split_of_writes_sends_the_same_bytes() {
        for step in 1..12 {
            let outbox = Outbox::default();
            outbox.push(Outgoing {
                head: b"head1".to_vec(),
                payload: Bytes::from_static(b"payload1"),
                _room: Vec::new(),
            });
            outbox.push(Outgoing { head: b"h2".to_vec(), ..Outgoing::default() });
            outbox.push(Outgoing {
                head: b"h3".to_vec(),
                payload: Bytes::from_static(b"p3"),
                _room: Vec::new(),
            });
            assert_eq!(outbox.waiting_bytes(), 19);
            let mut sent = Vec::new();
            while outbox.waiting_bytes() > 0 {
                let mut calls = 0;
                outbox
                    .flush(|slices| {
                        calls += 1;
                        if calls > 1 {
                            return Err(std::io::ErrorKind::WouldBlock.into());
                        }
                        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
                        let taken = step.min(all.len());
                        sent.extend_from_slice(&all[..taken]);
                        Ok(taken)
                    })
                    .unwrap();
            }
            assert_eq!(outbox.written_bytes(), 19);
            assert_eq!(sent, b"head1payload1h2h3p3", "in steps of {step}");
        }
    }

    #[test]
    fn where_notices_end_is_known_when_they_have_their_place() {
        let outbox = Outbox::default();
        let frame = |head: &str| Outgoing { head: head.into(), ..Outgoing::default() };
        let write = |slices: &[IoSlice<'_>]| Ok(slices.iter().map(|slice| slice.len()).sum());
        assert_eq!(outbox.notices(), (0, 0));
        outbox.push(frame("answer"));
        assert_eq!(outbox.push_notice(frame("notice")), Some(1));
        outbox.push(frame("another"));
        assert_eq!(outbox.notices(), (1, u64::MAX));
        outbox.flush(write).unwrap();
        outbox.push(frame("later"));
        outbox.flush(write).unwrap();
        assert_eq!((outbox.notices(), outbox.written_bytes()), ((1, 19), 24));
        outbox.close();
        assert_eq!(outbox.push_notice(frame("notice")), None);
    }
}
