//! Overhears the line by which a server introduces itself (RFC 4253, section 4.2): `russh` does not pass it on.

use parking_lot::Mutex;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What a server may say before it must have introduced itself, bytes; more is not kept.
const HEARD_MAX_BYTES: usize = 8 * 1024;

/// A stream that keeps the first bytes that come.
pub(crate) struct Overhearing {
    stream: TcpStream,
    heard: Heard,
    /// The line was heard, or is not worth waiting for.
    done: bool,
}

/// The first bytes of a server.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<u8>>>);

impl Overhearing {
    pub(crate) fn new(stream: TcpStream) -> (Overhearing, Heard) {
        let heard = Heard::default();
        (Overhearing { stream, heard: heard.clone(), done: false }, heard)
    }
}

impl Heard {
    /// The server's line, without what `SSH-2.0-` says of the protocol; empty when there was none.
    pub(crate) fn banner(&self) -> String {
        let heard = self.0.lock();
        let line = heard.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"SSH-2.0-"));
        String::from_utf8_lossy(line.unwrap_or_default()).trim_end().to_owned()
    }

    /// Keeps more of it; says whether that was all.
    fn hear(&self, bytes: &[u8]) -> bool {
        let mut heard = self.0.lock();
        let room = HEARD_MAX_BYTES.saturating_sub(heard.len());
        heard.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let mut lines = heard.split_inclusive(|byte| *byte == b'\n');
        heard.len() >= HEARD_MAX_BYTES || lines.any(|line| line.starts_with(b"SSH-") && line.ends_with(b"\n"))
    }
}

impl AsyncRead for Overhearing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if !self.done {
            self.done = self.heard.hear(&buffer.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Overhearing {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_found_behind_others_and_in_pieces() {
        let heard = Heard::default();
        assert!(!heard.hear(b"welcome\r\nSSH-2.0-Open"));
        assert!(heard.hear(b"SSH_9.2p1 Debian\r\n\0\0\x01"));
        assert_eq!(heard.banner(), "OpenSSH_9.2p1 Debian");
        assert!(Heard::default().hear(&[b'x'; HEARD_MAX_BYTES]));
        assert_eq!(Heard::default().banner(), "");
    }
}
