//! Bytes of a file that go to a socket and need not come here: pages of the kernel's cache, held by a pipe.
//!
//! Reading and sending copy each byte twice. `splice` moves references to the pages instead: out of the file into a
//! pipe, which says how many bytes there are (or that they cannot be read) before anything is promised to the
//! client, and out of the pipe into the socket. What is written to the file before the kernel has sent a page may be
//! in it: newer bytes than at the time of the read, as with `sendfile`, never older ones.
//!
//! Pipes are kept for the next. There are few: beyond [`PAGE_PIPES_MAX`] one reads as usual.

use bytes::Bytes;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, read};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice};
use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, PoisonError};

/// Pipes of the process, in use and kept. Without privileges one user may have 64 of this size; behind that even the pipes of
/// his other programs become small.
pub const PAGE_PIPES_MAX: usize = 48;
/// What one pipe holds, bytes: the most without privileges.
const PIPE_BYTES: usize = 1 << 20;

static PIPES: Mutex<Pipes> = Mutex::new(Pipes { kept: Vec::new(), in_use: 0 });

struct Pipes {
    kept: Vec<Ends>,
    in_use: usize,
}

#[derive(Debug)]
struct Ends {
    out: OwnedFd,
    into: OwnedFd,
}

fn pipes() -> std::sync::MutexGuard<'static, Pipes> {
    PIPES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One pipe and what it holds.
#[derive(Debug)]
struct Pipe {
    ends: Option<Ends>,
    holds: usize,
}

impl Pipe {
    /// An empty one; `None` when there are no more.
    fn take() -> Option<Pipe> {
        let kept = {
            let mut pipes = pipes();
            let kept = pipes.kept.pop();
            if kept.is_none() && pipes.in_use == PAGE_PIPES_MAX {
                return None;
            }
            pipes.in_use += 1;
            kept
        };
        // Counts itself off when it fails.
        let mut pipe = Pipe { ends: kept, holds: 0 };
        if pipe.ends.is_none() {
            pipe.ends = Ends::new().ok();
        }
        pipe.ends.is_some().then_some(pipe)
    }

    fn ends(&self) -> &Ends {
        self.ends.as_ref().expect("it has them until it is dropped")
    }

    /// Takes what fits of `length` bytes of `file` from `offset` on; 0 at its end, or when it is full.
    fn fill(&mut self, file: impl AsFd, offset: u64, length: usize) -> rustix::io::Result<usize> {
        let mut at = offset;
        let came = splice(file, Some(&mut at), &self.ends().into, None, length, SpliceFlags::NONBLOCK);
        match came {
            Ok(came) => {
                self.holds += came;
                Ok(came)
            }
            Err(Errno::AGAIN) if self.holds > 0 => Ok(0),
            Err(errno) => Err(errno),
        }
    }
}

impl Ends {
    fn new() -> rustix::io::Result<Ends> {
        let (out, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        fcntl_setpipe_size(&into, PIPE_BYTES)?;
        match fcntl_getpipe_size(&into)? {
            size if size >= PIPE_BYTES => Ok(Ends { out, into }),
            _ => Err(Errno::NOBUFS),
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let mut pipes = pipes();
        pipes.in_use -= 1;
        // One that holds something still is closed.
        if self.holds == 0 {
            pipes.kept.extend(self.ends.take());
        }
    }
}

/// Bytes of a file on their way to a socket.
#[derive(Debug)]
pub struct Pages {
    pipes: VecDeque<Pipe>,
    length: usize,
}

impl Pages {
    /// Up to `length` bytes of `file` from `offset` on, fewer only at its end. Waits for what is not in memory.
    /// `None` where there are no pipes left, or the file system cannot do it: then they are read as usual.
    ///
    /// # Errors
    /// What reading them gives.
    pub fn of(file: impl AsFd, offset: u64, length: usize) -> io::Result<Option<Pages>> {
        let mut pages = Pages { pipes: VecDeque::new(), length: 0 };
        while pages.length < length {
            let Some(mut pipe) = Pipe::take() else { return Ok(None) };
            let before = pages.length;
            while pages.length < length {
                let at = offset + pages.length as u64;
                match pipe.fill(&file, at, length - pages.length) {
                    Ok(0) => break,
                    Ok(came) => pages.length += came,
                    Err(Errno::INTR) => {}
                    Err(Errno::INVAL) => return Ok(None),
                    Err(errno) => return Err(errno.into()),
                }
            }
            if pages.length == before {
                break;
            }
            pages.pipes.push_back(pipe);
        }
        Ok(Some(pages))
    }

    /// Bytes that are not sent yet.
    pub fn len(&self) -> usize {
        self.length
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Hands over to a socket that does not block what it takes now, and says how many bytes.
    ///
    /// # Errors
    /// `WouldBlock` when it takes nothing; what sending gives.
    pub fn send(&mut self, socket: impl AsFd) -> io::Result<usize> {
        let more = if self.pipes.len() > 1 { SpliceFlags::MORE } else { SpliceFlags::empty() };
        let Some(pipe) = self.pipes.front_mut() else { return Ok(0) };
        let sent = splice(&pipe.ends().out, None, socket, None, pipe.holds, SpliceFlags::NONBLOCK | more)?;
        pipe.holds -= sent;
        self.length -= sent;
        if pipe.holds == 0 {
            self.pipes.pop_front();
        }
        Ok(sent)
    }

    /// The bytes here, for who needs them after all.
    ///
    /// # Errors
    /// What reading from a pipe gives.
    pub fn into_bytes(mut self) -> io::Result<Bytes> {
        let mut bytes = Vec::with_capacity(self.length);
        for pipe in &mut self.pipes {
            while pipe.holds > 0 {
                let came = read(&pipe.ends().out, rustix::buffer::spare_capacity(&mut bytes))?;
                if came == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                pipe.holds -= came;
            }
        }
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::FileExt;
    use std::os::unix::net::UnixStream;

    /// A file of `length` bytes that differ.
    fn file(length: usize) -> (std::fs::File, Vec<u8>) {
        let content: Vec<u8> = (0..length).map(|at| (at / 7 + at / 4096) as u8).collect();
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&content, 0).unwrap();
        (file, content)
    }

    fn of(file: &std::fs::File, offset: u64, length: usize) -> Pages {
        Pages::of(file, offset, length).unwrap().expect("there are pipes")
    }

    #[test]
    fn they_are_what_is_in_the_file() {
        let (file, content) = file(3 * PIPE_BYTES + 5);
        let end = content.len();
        for (offset, length) in
            [(0, 10), (0, PIPE_BYTES), (1, PIPE_BYTES), (4097, 3 * PIPE_BYTES), (end - 5, 100)]
        {
            let pages = of(&file, offset as u64, length);
            let expected = &content[offset..end.min(offset + length)];
            assert_eq!(pages.len(), expected.len(), "{length} from {offset}");
            assert!(pages.into_bytes().unwrap() == expected, "{length} from {offset}");
        }
        assert!(
            of(&file, end as u64, 10).is_empty()
                && of(&file, 1 << 40, 10).is_empty()
                && of(&file, 0, 0).is_empty()
        );
    }

    #[test]
    fn a_socket_takes_them_as_it_has_room() {
        let (file, content) = file(2 * PIPE_BYTES + 100);
        let (socket, mut client) = UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut pages = of(&file, 0, content.len());
        let (mut came, mut refused) = (Vec::new(), 0);
        while !pages.is_empty() {
            match pages.send(&socket) {
                Ok(sent) => assert!(sent > 0),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    refused += 1;
                    let mut part = [0; 100_000];
                    let length = client.read(&mut part).unwrap();
                    came.extend_from_slice(&part[..length]);
                }
                Err(error) => panic!("{error}"),
            }
        }
        drop(socket);
        client.read_to_end(&mut came).unwrap();
        assert!(came == content && refused > 0);
    }

    #[test]
    fn pipes_are_bounded_and_one_that_still_holds_something_is_not_used_again() {
        let (file, content) = file(100);
        let all: Vec<Pages> = (0..PAGE_PIPES_MAX).map(|_| of(&file, 0, 50)).collect();
        assert!(Pages::of(&file, 0, 50).unwrap().is_none());
        drop(all);
        let all: Vec<Pages> = (0..PAGE_PIPES_MAX).map(|_| of(&file, 50, 50)).collect();
        for pages in all {
            assert!(pages.into_bytes().unwrap() == content[50..]);
        }
    }

    #[test]
    fn what_cannot_be_spliced_is_left_to_reading() {
        let (socket, _other) = UnixStream::pair().unwrap();
        assert!(Pages::of(&socket, 0, 10).is_err() || Pages::of(&socket, 0, 10).unwrap().is_none());
    }
}
