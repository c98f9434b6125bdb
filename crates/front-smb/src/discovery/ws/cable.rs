//! One interface: its sockets, what comes in by them, and what goes out and when.
//!
//! UDP loses datagrams, so each message goes several times, with gaps that double (SOAP over UDP, Appendix I), and the
//! answer to a probe waits for a random moment, so that a client is not answered by everybody at once. What is on its
//! way is bounded, and so is how much is begun in a second.

use super::envelope::{self, Asked, MESSAGE_MAX_BYTES, What};
use super::replies::Device;
use super::{METADATA_PORT, PORT, is_near, metadata};
use crate::interfaces::Reached;
use crate::limits;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

const GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 0xC);
/// Times that a message is sent, to all and to one.
const REPEAT_TO_ALL: u32 = 4;
const REPEAT_TO_ONE: u32 = 2;
/// The gap after the first time is a random one of these; it doubles, up to the last.
const GAP_MIN: Duration = Duration::from_millis(50);
const GAP_MAX: Duration = Duration::from_millis(250);
const GAP_LAST: Duration = Duration::from_millis(500);
/// APP_MAX_DELAY: a Hello and the answer to a probe wait for less.
const DELAY_MAX: Duration = Duration::from_millis(500);

/// An interface and one address of each family at which we are there.
#[derive(Clone, Debug)]
pub(super) struct Cable {
    name: String,
    index: u32,
    addresses: Vec<IpAddr>,
}

impl Cable {
    pub(super) fn new(reached: &Reached) -> Cable {
        let v4 = reached.addresses.iter().find(|address| address.is_ipv4());
        // Clients talk to link-local addresses by IPv6, and are told of such a one where there is any.
        let is_local = |address: &&IpAddr| matches!(address, IpAddr::V6(one) if one.is_unicast_link_local());
        let v6 = reached.addresses.iter().find(is_local);
        let v6 = v6.or_else(|| reached.addresses.iter().find(|address| address.is_ipv6()));
        let addresses = [v4, v6].into_iter().flatten().copied().collect();
        Cable { name: reached.name.clone(), index: reached.index, addresses }
    }

    /// A socket that hears this interface and no other.
    fn socket(&self, at: IpAddr, kind: Type, port: u16) -> io::Result<Socket> {
        let (domain, any) = match at {
            IpAddr::V4(_) => (Domain::IPV4, IpAddr::from(Ipv4Addr::UNSPECIFIED)),
            IpAddr::V6(_) => (Domain::IPV6, IpAddr::from(Ipv6Addr::UNSPECIFIED)),
        };
        let protocol = if kind == Type::DGRAM { Protocol::UDP } else { Protocol::TCP };
        let socket = Socket::new(domain, kind, Some(protocol))?;
        if domain == Domain::IPV6 {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        socket.bind_device(Some(self.name.as_bytes()))?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::new(any, port).into())?;
        Ok(socket)
    }

    fn datagrams(&self, at: IpAddr) -> io::Result<UdpSocket> {
        let socket = self.socket(at, Type::DGRAM, PORT)?;
        match at {
            IpAddr::V4(at) => {
                socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(self.index))?;
                socket.set_multicast_if_v4(&at)?;
                socket.set_multicast_ttl_v4(1)?;
                socket.set_multicast_loop_v4(false)?;
            }
            IpAddr::V6(_) => {
                socket.join_multicast_v6(&GROUP_V6, self.index)?;
                socket.set_multicast_if_v6(self.index)?;
                socket.set_multicast_hops_v6(1)?;
                socket.set_multicast_loop_v6(false)?;
            }
        }
        UdpSocket::from_std(socket.into())
    }

    fn connections(&self, at: IpAddr) -> io::Result<TcpListener> {
        let socket = self.socket(at, Type::STREAM, METADATA_PORT)?;
        socket.listen(limits::WS_CONNECTIONS_MAX as i32)?;
        TcpListener::from_std(socket.into())
    }

    fn group(&self, at: IpAddr) -> SocketAddr {
        match at {
            IpAddr::V4(_) => SocketAddr::from((GROUP_V4, PORT)),
            IpAddr::V6(_) => std::net::SocketAddrV6::new(GROUP_V6, PORT, 0, self.index).into(),
        }
    }
}

/// Announces the device on an interface, until the sender of `ended` is gone.
pub(super) async fn serve(device: Arc<Device>, cable: Cable, ended: watch::Receiver<()>) {
    let mut families = JoinSet::new();
    for at in cable.addresses.clone() {
        let opened = cable.datagrams(at).and_then(|datagrams| Ok((datagrams, cable.connections(at)?)));
        match opened {
            Ok((datagrams, connections)) => {
                tracing::info!(interface = cable.name, address = %at, "announced by WS-Discovery");
                let group = cable.group(at);
                let responder =
                    Responder { device: Arc::clone(&device), socket: Arc::new(datagrams), at, group };
                families.spawn(responder.run(connections, ended.clone()));
            }
            Err(error) => {
                tracing::error!(interface = cable.name, address = %at, %error, "not announced by WS-Discovery");
            }
        }
    }
    while families.join_next().await.is_some() {}
}

/// One family of addresses on an interface.
struct Responder {
    device: Arc<Device>,
    socket: Arc<UdpSocket>,
    at: IpAddr,
    group: SocketAddr,
}

impl Responder {
    async fn run(self, connections: TcpListener, mut ended: watch::Receiver<()>) {
        let told = self.device.hello(self.at);
        let mut sending = JoinSet::new();
        sending.spawn(send(Arc::clone(&self.socket), told, self.group, random(DELAY_MAX), REPEAT_TO_ALL));
        let metadata = tokio::spawn(metadata::serve(connections, Arc::clone(&self.device)));
        let mut gate = Gate::new(Instant::now());
        // One more byte than fits: what fills it is too long.
        let mut message = [0; MESSAGE_MAX_BYTES + 1];
        loop {
            tokio::select! {
                received = self.socket.recv_from(&mut message) => match received {
                    Ok((length, from)) => self.take(&message[..length], from, &mut gate, &mut sending),
                    Err(error) => {
                        // An interface that goes down; it is looked at again soon.
                        tracing::debug!(%error, "WS-Discovery: nothing can be received");
                        tokio::time::sleep(DELAY_MAX).await;
                    }
                },
                Some(_) = sending.join_next(), if !sending.is_empty() => {}
                // Nothing is ever sent: it resolves when the sender is gone.
                _over = ended.changed() => break,
            }
        }
        metadata.abort();
        let _aborted = metadata.await;
        sending.shutdown().await;
        send(self.socket, self.device.bye(), self.group, Duration::ZERO, REPEAT_TO_ONE).await;
    }

    /// Answers a message, if it is to be answered.
    fn take(&self, message: &[u8], from: SocketAddr, gate: &mut Gate, sending: &mut JoinSet<()>) {
        if !is_near(from.ip()) || sending.len() >= limits::WS_ANSWERS_AT_ONCE {
            return;
        }
        let Some(Asked { message_id, what }) = envelope::read(message) else { return };
        let (answer, delay) = match what {
            What::Probe { types } if self.device.is_of(&types) => {
                (self.device.probe_matches(self.at, &message_id), random(DELAY_MAX))
            }
            What::Resolve { endpoint } if endpoint == self.device.endpoint => {
                (self.device.resolve_matches(self.at, &message_id), Duration::ZERO)
            }
            What::Probe { .. } | What::Resolve { .. } | What::Get { .. } => return,
        };
        if gate.lets(&message_id, Instant::now()) {
            sending.spawn(send(Arc::clone(&self.socket), answer, from, delay, REPEAT_TO_ONE));
        }
    }
}

/// Which messages are answered: each once, and so many in a second. Plain state, `now` is an argument.
struct Gate {
    answered: VecDeque<String>,
    left: u32,
    since: Instant,
}

impl Gate {
    fn new(now: Instant) -> Gate {
        Gate { answered: VecDeque::new(), left: limits::WS_ANSWERS_PER_SECOND, since: now }
    }

    fn lets(&mut self, message_id: &str, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            (self.left, self.since) = (limits::WS_ANSWERS_PER_SECOND, now);
        }
        if self.left == 0 || self.answered.iter().any(|answered| answered == message_id) {
            return false;
        }
        self.left -= 1;
        if self.answered.len() == limits::WS_MESSAGES_KNOWN {
            self.answered.pop_front();
        }
        self.answered.push_back(message_id.to_owned());
        true
    }
}

/// Sends a message `times` times, after `delay`.
async fn send(socket: Arc<UdpSocket>, message: String, to: SocketAddr, delay: Duration, times: u32) {
    tokio::time::sleep(delay).await;
    let mut gap = GAP_MIN + random(GAP_MAX - GAP_MIN);
    for left in (0..times).rev() {
        if let Err(error) = socket.send_to(message.as_bytes(), to).await {
            // The interface or the client is gone; who is still there asks again.
            tracing::debug!(%error, %to, "WS-Discovery: not sent");
        }
        if left > 0 {
            tokio::time::sleep(gap).await;
            gap = (gap * 2).min(GAP_LAST);
        }
    }
}

/// A random time below `most`; `most` where there are no random numbers.
fn random(most: Duration) -> Duration {
    getrandom::u32().map_or(most, |random| most.mul_f64(f64::from(random) / (f64::from(u32::MAX) + 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_answered_once_and_not_more_than_so_many_in_a_second() {
        let start = Instant::now();
        let mut gate = Gate::new(start);
        assert!(gate.lets("a", start));
        assert!(!gate.lets("a", start), "sent again, as UDP wants it");
        let begun = (0..1000).filter(|nth| gate.lets(&format!("m{nth}"), start)).count();
        assert_eq!(begun as u32, limits::WS_ANSWERS_PER_SECOND - 1);
        assert!(gate.lets("b", start + Duration::from_secs(1)));
        assert!(gate.answered.len() <= limits::WS_MESSAGES_KNOWN);
    }

    #[test]
    fn random_times_stay_below_the_most() {
        assert!((0..100).all(|_| random(DELAY_MAX) < DELAY_MAX));
    }
}
