//! Direct TCP (MS-SMB2 2.1).

use super::{Arrived, Kind, Listener, Transport};
use crate::limits;
use bytes::BytesMut;
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll};
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use volume::Pages;

/// Connections that the kernel keeps for us before we take them.
const BACKLOG: u32 = 1024;

/// Listens on `address`; an error names it.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bound().map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
}

impl Listener for TcpListener {
    const KIND: Kind = Kind::Tcp;
    type Transport = TcpStream;

    async fn accept(&mut self) -> io::Result<Arrived<TcpStream>> {
        loop {
            let (transport, peer) = TcpListener::accept(self).await?;
            if let Err(error) = tend(&transport) {
                tracing::debug!(%peer, %error, "cannot set the socket's options");
            }
            // Without an address of ours the client is gone again.
            if let Ok(local) = transport.local_addr() {
                return Ok(Arrived { transport, peer, local });
            }
        }
    }

    fn close(self) -> impl Future<Output = ()> + Send {
        drop(self);
        std::future::ready(())
    }
}

/// No delay for small answers; and a client that lost its power is noticed, so that its opens and locks do not
/// stand in the way of others for ever.
fn tend(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keep_alive = TcpKeepalive::new()
        .with_time(limits::KEEP_ALIVE_AFTER)
        .with_interval(limits::KEEP_ALIVE_EVERY)
        .with_retries(limits::KEEP_ALIVE_MISSES);
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&keep_alive)?;
    socket.set_tcp_user_timeout(Some(limits::SEND_PATIENCE))
}

impl Transport for TcpStream {
    fn poll_ready(&mut self, cx: &mut Context<'_>, reading: bool, writing: bool) -> Poll<io::Result<bool>> {
        let readable = reading && self.poll_read_ready(cx)?.is_ready();
        let writable = writing && self.poll_write_ready(cx)?.is_ready();
        if readable || writable { Poll::Ready(Ok(readable)) } else { Poll::Pending }
    }

    /// The kernel bounds what all its sockets hold together.
    fn let_in(&mut self) {}

    fn try_read(&mut self, into: &mut BytesMut) -> io::Result<usize> {
        self.try_read_buf(into)
    }

    fn try_write(&mut self, slices: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
        if !more {
            return self.try_write_vectored(slices);
        }
        let flags = libc::MSG_MORE | libc::MSG_NOSIGNAL;
        self.try_io(Interest::WRITABLE, || SockRef::from(&*self).send_vectored_with_flags(slices, flags))
    }

    fn try_send(&mut self, pages: &mut Pages) -> io::Result<usize> {
        self.try_io(Interest::WRITABLE, || pages.send(&*self))
    }

    fn unacknowledged_bytes(&self) -> Option<u64> {
        let mut bytes: libc::c_int = 0;
        // SAFETY: the descriptor is open as long as `self`, and TIOCOUTQ writes one int.
        let asked = unsafe { libc::ioctl(self.as_raw_fd(), libc::TIOCOUTQ, &mut bytes) };
        if asked == 0 { u64::try_from(bytes).ok() } else { None }
    }

    /// The kernel sends what is written.
    async fn end(self) {}
}
