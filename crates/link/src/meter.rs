//! A stream that counts what passes and remembers when it last heard something.
//!
//! It stands under TLS, so that a record still incomplete is a sign of life already. It also reads ahead: rustls asks
//! for 4 KiB at a time, which would cost a system call each.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes read ahead, at most.
const READ_AHEAD: usize = 128 * 1024;

/// Counters of one connection.
#[derive(Debug)]
pub(crate) struct Meter {
    opened: Instant,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    /// Microseconds after `opened`.
    heard: AtomicU64,
}

impl Meter {
    pub(crate) fn new() -> Meter {
        Meter {
            opened: Instant::now(),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            heard: AtomicU64::new(0),
        }
    }

    pub(crate) fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }

    /// When the last bytes arrived, or the connection was opened.
    pub(crate) fn heard(&self) -> Instant {
        self.opened + Duration::from_micros(self.heard.load(Ordering::Relaxed))
    }

    fn hear(&self, bytes: usize) {
        if bytes == 0 {
            // The end is no sign of life.
            return;
        }
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
        self.heard.store(self.opened.elapsed().as_micros() as u64, Ordering::Relaxed);
    }
}

/// The stream around `io`.
pub(crate) struct Metered<T> {
    io: T,
    meter: std::sync::Arc<Meter>,
    ahead: Box<[u8]>,
    start: usize,
    end: usize,
}

impl<T> Metered<T> {
    pub(crate) fn new(io: T, meter: std::sync::Arc<Meter>) -> Metered<T> {
        Metered { io, meter, ahead: vec![0; READ_AHEAD].into_boxed_slice(), start: 0, end: 0 }
    }

    pub(crate) fn get_ref(&self) -> &T {
        &self.io
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Metered<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.start == this.end {
            let mut ahead = ReadBuf::new(&mut this.ahead);
            ready!(Pin::new(&mut this.io).poll_read(cx, &mut ahead))?;
            (this.start, this.end) = (0, ahead.filled().len());
            if this.end > 0 {
                this.meter.hear(this.end);
            }
        }
        let bytes = out.remaining().min(this.end - this.start);
        out.put_slice(&this.ahead[this.start..this.start + bytes]);
        this.start += bytes;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Metered<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
        self.meter.bytes_out.fetch_add(written as u64, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, slices))?;
        self.meter.bytes_out.fetch_add(written as u64, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
