//! SMB over QUIC (MS-SMB2 2.1, 3.3.1): UDP 443, TLS 1.3, ALPN `smb`, one bidirectional stream for each connection,
//! on it the frames of direct TCP.
//!
//! A client goes through these states before it counts as one: *initial packet* (refused when too many shake
//! hands, sent away to prove its address when many do), *handshake*, *stream* (the client opens it with its first
//! bytes). All of it has to be done within [`limits::QUIC_HANDSHAKE_PATIENCE`]. 0-RTT is off: what a stranger
//! replays must not be a request. And until somebody has logged in little may be on its way: a client that leaves a
//! gap in its stream has what follows kept for it.

use super::{Arrived, Kind, Listener, Transport};
use crate::limits;
use crate::turns::place_of;
use bytes::{Buf, Bytes, BytesMut};
use parking_lot::RwLock;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, ConnectionError, Endpoint, EndpointConfig, Incoming, ReadError, RecvStream, SendStream,
};
use quinn::{TokioRuntime, TransportConfig, VarInt};
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;
use tokio::time::timeout;
use volume::Pages;

/// The protocol's name in the handshake.
const ALPN: &[u8] = b"smb";
/// Most bytes taken from a stream at a time before the message's own buffer is filled.
const FIRST_CHUNK_BYTES: usize = 64 * 1024;

/// Who the server is towards QUIC clients: a chain of certificates and the key of the first.
#[derive(Clone)]
pub struct Certificate(Arc<CertifiedKey>);

impl Certificate {
    /// From PEM.
    ///
    /// # Errors
    /// What is missing, or does not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Certificate, String> {
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| format!("the certificate: {error}"))?;
        if chain.is_empty() {
            return Err("the certificate: no CERTIFICATE in it".to_owned());
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("the key: {error}"))?;
        match CertifiedKey::from_der(chain, key, &provider()) {
            Ok(certified) => Ok(Certificate(Arc::new(certified))),
            Err(rustls::Error::InconsistentKeys(_)) => Err("the key is not the certificate's".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate")
    }
}

/// The certificate in force: it can be renewed while the server runs.
#[derive(Debug)]
pub(crate) struct Identity(RwLock<Certificate>);

impl Identity {
    pub(crate) fn new(certificate: Certificate) -> Arc<Identity> {
        Arc::new(Identity(RwLock::new(certificate)))
    }

    /// For handshakes from now on.
    pub(crate) fn renew(&self, certificate: Certificate) {
        *self.0.write() = certificate;
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().0))
    }
}

fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

/// Listens on `address`; an error names it.
pub(crate) fn bind(address: SocketAddr, identity: Arc<Identity>) -> io::Result<Quic> {
    let bound = || {
        let config = server_config(identity).map_err(io::Error::other)?;
        let socket = std::net::UdpSocket::bind(address)?;
        let options = socket2::SockRef::from(&socket);
        // The system gives what it allows; less costs speed, nothing else.
        let given = options.set_recv_buffer_size(limits::QUIC_SOCKET_BYTES);
        if let Err(error) = given.and_then(|()| options.set_send_buffer_size(limits::QUIC_SOCKET_BYTES)) {
            tracing::debug!(%address, %error, "QUIC: the system's own buffers stay");
        }
        Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime))
    };
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot listen on {address} for QUIC: {error}"))
    };
    Ok(Quic { endpoint: bound().map_err(named)?, handshakes: JoinSet::new(), at_places: HashMap::new() })
}

fn server_config(identity: Arc<Identity>) -> Result<quinn::ServerConfig, String> {
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_cert_resolver(identity);
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls.max_early_data_size = 0;
    let crypto = QuicServerConfig::try_from(tls).map_err(|error| error.to_string())?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    config.max_incoming(limits::QUIC_HANDSHAKES_MAX);
    let idle = limits::QUIC_IDLE_MAX.try_into().map_err(|_| "the idle time is too long".to_owned())?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        // There is one stream: what holds it and cannot be changed later is the connection's window.
        .stream_receive_window(VarInt::from_u32(limits::QUIC_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(limits::ANONYMOUS_QUIC_WINDOW_BYTES))
        .send_window(u64::from(limits::ANONYMOUS_QUIC_WINDOW_BYTES))
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(limits::QUIC_KEEP_ALIVE));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// A UDP address that clients come to.
pub(crate) struct Quic {
    endpoint: Endpoint,
    /// Each ends with the place that it was counted for.
    handshakes: JoinSet<(IpAddr, Result<Arrived<QuicStream>, String>)>,
    /// Handshakes under way.
    at_places: HashMap<IpAddr, usize>,
}

/// What becomes of a client's first packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Admission {
    ShakeHands,
    /// It must show that it receives what is sent to its address.
    ProveAddress,
    Refuse,
}

/// `all` and `here` are the handshakes under way, everywhere and from the client's place.
fn admission(all: usize, here: usize, proved: bool) -> Admission {
    if all >= limits::QUIC_HANDSHAKES_MAX {
        return Admission::Refuse;
    }
    let crowded = all >= limits::QUIC_HANDSHAKES_UNPROVED_MAX;
    match here >= limits::QUIC_HANDSHAKES_PER_ADDRESS_MAX {
        // Whoever can write any address on a packet must not shut out the one that has it.
        true if !proved => Admission::ProveAddress,
        true => Admission::Refuse,
        false if crowded && !proved => Admission::ProveAddress,
        false => Admission::ShakeHands,
    }
}

impl Quic {
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    fn begin(&mut self, incoming: Incoming) {
        let peer = incoming.remote_address();
        let place = place_of(peer.ip());
        let here = self.at_places.get(&place).copied().unwrap_or_default();
        match admission(self.handshakes.len(), here, incoming.remote_address_validated()) {
            Admission::ShakeHands => {
                *self.at_places.entry(place).or_default() += 1;
                let bound = self.endpoint.local_addr();
                self.handshakes.spawn(async move { (place, shake_hands(incoming, bound).await) });
            }
            Admission::ProveAddress => {
                if let Err(error) = incoming.retry() {
                    tracing::debug!(%peer, %error, "QUIC: refused, it was asked for its address already");
                }
            }
            Admission::Refuse => {
                tracing::warn!(%peer, "QUIC: too many handshakes");
                incoming.refuse();
            }
        }
    }

    fn count_off(&mut self, place: IpAddr) {
        if let Some(count) = self.at_places.get_mut(&place) {
            *count -= 1;
            if *count == 0 {
                self.at_places.remove(&place);
            }
        }
    }
}

async fn shake_hands(
    incoming: Incoming,
    bound: io::Result<SocketAddr>,
) -> Result<Arrived<QuicStream>, String> {
    let peer = incoming.remote_address();
    let arrived = async {
        let connection = incoming.await?;
        let (send, receive) = connection.accept_bi().await?;
        Ok::<_, ConnectionError>((connection, send, receive))
    };
    let arrived = timeout(limits::QUIC_HANDSHAKE_PATIENCE, arrived).await;
    let arrived = arrived.map_err(|_| format!("{peer}: no stream in time"))?;
    let (connection, send, receive) = arrived.map_err(|error| format!("{peer}: {error}"))?;
    let mut local = bound.map_err(|error| format!("{peer}: {error}"))?;
    if let Some(address) = connection.local_ip() {
        local.set_ip(address);
    }
    Ok(Arrived {
        transport: QuicStream { connection, send, receive, arrived: None, let_in: false },
        peer,
        local,
    })
}

impl Listener for Quic {
    const KIND: Kind = Kind::Quic;
    type Transport = QuicStream;

    async fn accept(&mut self) -> io::Result<Arrived<QuicStream>> {
        loop {
            tokio::select! {
                incoming = self.endpoint.accept() => match incoming {
                    Some(incoming) => self.begin(incoming),
                    None => return Err(io::Error::new(io::ErrorKind::NotConnected, "QUIC: the socket is gone")),
                },
                Some(done) = self.handshakes.join_next(), if !self.handshakes.is_empty() => {
                    let (place, arrived) = done.map_err(io::Error::other)?;
                    self.count_off(place);
                    match arrived {
                        Ok(arrived) => return Ok(arrived),
                        Err(why) => tracing::debug!(why, "QUIC: no connection"),
                    }
                }
            }
        }
    }

    fn close(mut self) -> impl Future<Output = ()> + Send {
        self.endpoint.set_server_config(None);
        self.handshakes.abort_all();
        async move {
            // Who does not hear of it runs into its own idle time.
            let _heard = timeout(limits::QUIC_END_PATIENCE, self.endpoint.wait_idle()).await;
        }
    }
}

/// A client's stream.
pub(crate) struct QuicStream {
    connection: Connection,
    send: SendStream,
    receive: RecvStream,
    /// What was taken off the stream to know that something is there; empty at its end.
    arrived: Option<Bytes>,
    /// Somebody has logged in.
    let_in: bool,
}

impl QuicStream {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.arrived.is_some() {
            return Poll::Ready(Ok(()));
        }
        let chunk = match pin!(self.receive.read_chunk(FIRST_CHUNK_BYTES, true)).poll(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(chunk)) => chunk.map(|chunk| chunk.bytes).unwrap_or_default(),
            Poll::Ready(Err(ReadError::ConnectionLost(error))) if is_farewell(&error) => Bytes::new(),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
        };
        self.arrived = Some(chunk);
        Poll::Ready(Ok(()))
    }

    /// A write of nothing is done when something could be written.
    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(self.send.write(&[])).poll(cx).map(|done| done.map(drop).map_err(io::Error::from))
    }
}

/// The client has ended the connection, and said so.
fn is_farewell(error: &ConnectionError) -> bool {
    matches!(error, ConnectionError::ApplicationClosed(_) | ConnectionError::ConnectionClosed(_))
}

impl Transport for QuicStream {
    fn poll_ready(&mut self, cx: &mut Context<'_>, reading: bool, writing: bool) -> Poll<io::Result<bool>> {
        let readable = reading && self.poll_readable(cx)?.is_ready();
        let writable = writing && self.poll_writable(cx)?.is_ready();
        if readable || writable { Poll::Ready(Ok(readable)) } else { Poll::Pending }
    }

    fn let_in(&mut self) {
        if !std::mem::replace(&mut self.let_in, true) {
            self.connection.set_receive_window(VarInt::from_u32(limits::QUIC_WINDOW_BYTES));
            self.connection.set_send_window(u64::from(limits::QUIC_WINDOW_BYTES));
        }
    }

    fn try_read(&mut self, into: &mut BytesMut) -> io::Result<usize> {
        let Some(first) = self.arrived.as_mut() else { return Err(io::ErrorKind::WouldBlock.into()) };
        if first.is_empty() {
            return Ok(0);
        }
        let room = into.capacity() - into.len();
        let taken = room.min(first.len());
        into.extend_from_slice(&first[..taken]);
        first.advance(taken);
        if !first.is_empty() {
            return Ok(taken);
        }
        self.arrived = None;
        // Packets are small and often come in flocks: the rest of this one is taken as well. Whoever waits does so
        // in `poll_ready`, hence no waker; and an error or the end shows there again.
        let mut cx = Context::from_waker(Waker::noop());
        let mut more = 0;
        while into.len() < into.capacity() {
            match pin!(self.receive.read_buf(into)).poll(&mut cx) {
                Poll::Ready(Ok(read)) if read > 0 => more += read,
                Poll::Ready(_) | Poll::Pending => break,
            }
        }
        Ok(taken + more)
    }

    /// What is written it keeps until the client has it, and does not say how much that is.
    fn unacknowledged_bytes(&self) -> Option<u64> {
        None
    }

    fn try_write(&mut self, slices: &[IoSlice<'_>], _more: bool) -> io::Result<usize> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut written = 0;
        for slice in slices {
            match pin!(self.send.write(slice)).poll(&mut cx) {
                Poll::Ready(Ok(part)) => {
                    written += part;
                    if part < slice.len() {
                        break;
                    }
                }
                Poll::Ready(Err(error)) if written == 0 => return Err(error.into()),
                Poll::Pending if written == 0 => return Err(io::ErrorKind::WouldBlock.into()),
                // An error shows again with the next write.
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        Ok(written)
    }

    /// They are encrypted on the way.
    fn try_send(&mut self, _pages: &mut Pages) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn end(mut self) {
        // Ended already is as good.
        if self.send.finish().is_ok() {
            // A client that does not take the rest in time has lost it.
            let _taken = timeout(limits::QUIC_END_PATIENCE, self.send.stopped()).await;
        }
        self.connection.close(VarInt::from_u32(0), b"");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_packets_are_let_in_asked_or_refused() {
        let (few, many) = (limits::QUIC_HANDSHAKES_UNPROVED_MAX - 1, limits::QUIC_HANDSHAKES_UNPROVED_MAX);
        let (some, full) =
            (limits::QUIC_HANDSHAKES_PER_ADDRESS_MAX - 1, limits::QUIC_HANDSHAKES_PER_ADDRESS_MAX);
        assert_eq!(admission(few, some, false), Admission::ShakeHands);
        assert_eq!(admission(many, some, false), Admission::ProveAddress);
        assert_eq!(admission(many, some, true), Admission::ShakeHands);
        assert_eq!(admission(few, full, false), Admission::ProveAddress, "its address may be a lie");
        assert_eq!(admission(few, full, true), Admission::Refuse);
        assert_eq!(admission(limits::QUIC_HANDSHAKES_MAX, 0, true), Admission::Refuse);
    }

    #[test]
    fn a_certificate_needs_its_key() {
        let named = || rcgen::generate_simple_self_signed(["files.example".to_owned()]).unwrap();
        let (one, other) = (named(), named());
        let chain = one.cert.pem();
        let key = one.signing_key.serialize_pem();
        assert!(Certificate::from_pem(chain.as_bytes(), key.as_bytes()).is_ok());
        let foreign = other.signing_key.serialize_pem();
        let check = |chain: &str, key: &str, expect: &str| {
            let why = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err();
            assert!(why.contains(expect), "{why}");
        };
        check(&chain, &foreign, "not the certificate's");
        check(&key, &key, "no CERTIFICATE");
        check(&chain, &chain, "the key");
        check("", "", "no CERTIFICATE");
    }
}
