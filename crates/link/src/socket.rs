//! TCP socket options for a far, lossy link.
//!
//! Buffer sizes are left to the kernel: a fixed SO_RCVBUF or SO_SNDBUF switches autotuning off and is capped by
//! `rmem_max` and `wmem_max` (212 KiB on stock systems), while autotuning reaches 6 MiB (`tcp_rmem`) and 4 MiB
//! (`tcp_wmem`) for each of our connections.

use socket2::{Domain, SockRef, Socket, Type};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use tokio::net::TcpStream;

const BBR: &[u8] = b"bbr";
/// Unsent bytes the kernel takes before a connection counts as full: what an urgent frame waits for.
const UNSENT_LIMIT: u32 = 128 * 1024;
/// The kernel gives up a connection whose data stays unacknowledged this long. Only a backstop for our own probes.
const USER_TIMEOUT: Duration = Duration::from_secs(20);

/// Whether this process may use BBR.
pub(crate) fn bbr_available() -> bool {
    let probe = Socket::new(Domain::IPV4, Type::STREAM, None);
    probe.and_then(|socket| socket.set_tcp_congestion(BBR)).is_ok()
}

/// Prepares a connected socket. Options that a kernel lacks are left out: the link works without them, only slower.
/// Returns the congestion control in use.
pub(crate) fn prepare(stream: &TcpStream, bbr: bool) -> String {
    let socket = SockRef::from(stream);
    let optional = |what: &str, result: io::Result<()>| {
        if let Err(error) = result {
            tracing::debug!(option = what, %error, "socket option not available");
        }
    };
    optional("TCP_NODELAY", socket.set_tcp_nodelay(true));
    optional("TCP_NOTSENT_LOWAT", socket.set_tcp_notsent_lowat(UNSENT_LIMIT));
    optional("TCP_USER_TIMEOUT", socket.set_tcp_user_timeout(Some(USER_TIMEOUT)));
    if bbr {
        optional("TCP_CONGESTION", socket.set_tcp_congestion(BBR));
    }
    let name = socket.tcp_congestion().unwrap_or_default();
    String::from_utf8_lossy(name.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

/// A second handle on the socket, for asking about it while others read and write.
pub(crate) fn handle(stream: &TcpStream) -> io::Result<OwnedFd> {
    use std::os::fd::AsFd;
    stream.as_fd().try_clone_to_owned()
}

/// Bytes written to the socket and not acknowledged by the other kernel (SIOCOUTQ, tcp(7)); 0 when unknown.
pub(crate) fn backlog(socket: BorrowedFd<'_>) -> usize {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is borrowed and open; TIOCOUTQ (= SIOCOUTQ) writes one int to the pointer given.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result == 0 { usize::try_from(bytes).unwrap_or(0) } else { 0 }
}
