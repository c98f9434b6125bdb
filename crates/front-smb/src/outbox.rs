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
use volume::Pages;

/// Slices handed to one `writev`.
const SLICES_MAX: usize = 32;

/// One frame, ready to be sent.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// Frame header, SMB2 header and body.
    pub(crate) head: Vec<u8>,
    /// What follows it.
    pub(crate) payload: Bytes,
    /// And in place of that.
    pub(crate) pages: Option<Pages>,
    /// Room that its content takes up; given back when it is sent and dropped.
    pub(crate) _room: Vec<OwnedSemaphorePermit>,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<Outgoing>,
    /// What nobody asked for: goes out after the answers that were ready with it.
    notices: Vec<Outgoing>,
    /// Bytes of the first frame that are sent already, without its pages: they know that themselves.
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

impl Outgoing {
    /// Bytes that can be gathered.
    fn gathered_len(&self) -> usize {
        self.head.len() + self.payload.len()
    }

    fn len(&self) -> usize {
        self.gathered_len() + self.pages.as_ref().map_or(0, Pages::len)
    }
}

/// What is handed to the transport at once.
pub(crate) enum Piece<'a> {
    Slices {
        slices: &'a [IoSlice<'a>],
        /// Pages come behind them.
        more: bool,
    },
    Pages(&'a mut Pages),
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
        queue.bytes += frame.len();
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
        queue.bytes += frame.len();
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

    /// Writes with `write`, which does not block, until all is sent or it would.
    pub(crate) fn flush(
        &self,
        mut write: impl FnMut(Piece<'_>) -> std::io::Result<usize>,
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
            match queue.write(&mut write) {
                Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
                Ok(written) => queue.advance(written),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Queue {
    /// Writes what comes next, as much as goes at once.
    fn write(
        &mut self,
        write: &mut impl FnMut(Piece<'_>) -> std::io::Result<usize>,
    ) -> std::io::Result<usize> {
        if let Some(first) = self.frames.front_mut()
            && first.gathered_len() <= self.sent
            && let Some(pages) = &mut first.pages
        {
            return write(Piece::Pages(pages));
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let (used, more) = gather(&self.frames, self.sent, &mut slices);
        let written = write(Piece::Slices { slices: &slices[..used], more })?;
        self.sent += written;
        Ok(written)
    }

    fn advance(&mut self, written: usize) {
        self.bytes -= written;
        self.written += written as u64;
        while let Some(first) = self.frames.front() {
            if self.sent < first.gathered_len() || first.pages.as_ref().is_some_and(|pages| !pages.is_empty())
            {
                break;
            }
            self.sent -= first.gathered_len();
            self.frames.pop_front();
        }
    }
}

/// Fills `slices` with what is not sent yet up to the next pages; returns how many, and whether pages come behind.
fn gather<'a>(
    frames: &'a VecDeque<Outgoing>,
    sent: usize,
    slices: &mut [IoSlice<'a>; SLICES_MAX],
) -> (usize, bool) {
    let mut skip = sent;
    let mut used = 0;
    for frame in frames {
        for part in [frame.head.as_slice(), &frame.payload] {
            let skipped = skip.min(part.len());
            skip -= skipped;
            if skipped == part.len() {
                continue;
            }
            if used == SLICES_MAX {
                return (used, false);
            }
            slices[used] = IoSlice::new(&part[skipped..]);
            used += 1;
        }
        if frame.pages.is_some() {
            return (used, true);
        }
    }
    (used, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::FileExt;
    use std::os::unix::net::UnixStream;

    fn all(piece: Piece<'_>) -> std::io::Result<usize> {
        match piece {
            Piece::Slices { slices, .. } => Ok(slices.iter().map(|slice| slice.len()).sum()),
            Piece::Pages(_) => unreachable!("there are none"),
        }
    }

    #[test]
    fn what_was_flushed_wakes_nobody() {
        let outbox = Outbox::default();
        let push = || outbox.push(Outgoing { head: b"head".to_vec(), ..Outgoing::default() });
        push();
        outbox.flush(all).unwrap();
        assert_eq!(outbox.pushed().now_or_never(), None);
        push();
        assert_eq!(outbox.pushed().now_or_never(), Some(()));
    }

    #[test]
    fn any_split_of_writes_sends_the_same_bytes() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"pages", 0).unwrap();
        let bytes = |head: &str, payload: &'static str| Outgoing {
            head: head.into(),
            payload: Bytes::from_static(payload.as_bytes()),
            ..Outgoing::default()
        };
        for step in 1..12 {
            let outbox = Outbox::default();
            outbox.push(bytes("head1", "payload1"));
            outbox.push(bytes("h2", ""));
            outbox.push(Outgoing { pages: Pages::of(&file, 0, 5).unwrap(), ..bytes("h3", "") });
            outbox.push(bytes("h4", "p4"));
            assert_eq!(outbox.waiting_bytes(), 26);
            let (mut socket, client) = UnixStream::pair().unwrap();
            while outbox.waiting_bytes() > 0 {
                let mut calls = 0;
                let write = |piece: Piece<'_>| {
                    calls += 1;
                    if calls > 1 {
                        return Err(std::io::ErrorKind::WouldBlock.into());
                    }
                    match piece {
                        Piece::Slices { slices, more } => {
                            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
                            assert_eq!(more, all.ends_with(b"3"), "pages come behind");
                            socket.write(&all[..step.min(all.len())])
                        }
                        Piece::Pages(pages) => pages.send(&socket),
                    }
                };
                outbox.flush(write).unwrap();
            }
            assert_eq!(outbox.written_bytes(), 26);
            drop(socket);
            assert_eq!(
                std::io::read_to_string(client).unwrap(),
                "head1payload1h2h3pagesh4p4",
                "in steps of {step}"
            );
        }
    }

    #[test]
    fn where_notices_end_is_known_when_they_have_their_place() {
        let outbox = Outbox::default();
        let frame = |head: &str| Outgoing { head: head.into(), ..Outgoing::default() };
        assert_eq!(outbox.notices(), (0, 0));
        outbox.push(frame("answer"));
        assert_eq!(outbox.push_notice(frame("notice")), Some(1));
        outbox.push(frame("another"));
        assert_eq!(outbox.notices(), (1, u64::MAX));
        outbox.flush(all).unwrap();
        outbox.push(frame("later"));
        outbox.flush(all).unwrap();
        assert_eq!((outbox.notices(), outbox.written_bytes()), ((1, 19), 24));
        outbox.close();
        assert_eq!(outbox.push_notice(frame("notice")), None);
    }
}
