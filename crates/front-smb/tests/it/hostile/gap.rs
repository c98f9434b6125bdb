//! A client over QUIC that leaves a gap in its stream: what follows the gap cannot be read, and lies with the server
//! until the gap is filled, which is never.

use crate::quic::{NAME, certificate, client_config};
use crate::site::{ALICE, BOB, Site};
use front_smb::{QuicConfig, limits};
use quinn::congestion::NewRenoConfig;
use quinn::{Endpoint, RecvStream, SendStream, TransportConfig};
use smb_raw::{Client, offer};
use smb_wire::negotiate::Dialect;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Longer than any datagram.
const DATAGRAM_MAX_BYTES: usize = 64 * 1024;
/// Acknowledgements alone are shorter.
const DATA_MIN_BYTES: usize = 1000;

/// Passes the datagrams of one client on. Once the gap is open it swallows the first one with data, and all that the
/// server says: so the client goes on as far as the server's last word lets it.
#[derive(Default)]
struct Gap {
    open: AtomicBool,
    swallowed: AtomicBool,
    /// Bytes that went to the server past the gap.
    passed: AtomicUsize,
}

impl Gap {
    /// Stands before `server`; the client comes to the address returned.
    async fn before(server: SocketAddr) -> (Arc<Gap>, SocketAddr) {
        let gap = Arc::new(Gap::default());
        let outside = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let inside = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        inside.connect(server).await.unwrap();
        let address = outside.local_addr().unwrap();
        tokio::spawn(Arc::clone(&gap).pass(outside, inside));
        (gap, address)
    }

    async fn pass(self: Arc<Gap>, outside: Arc<UdpSocket>, inside: Arc<UdpSocket>) {
        let (mut asked, mut answered) = (vec![0; DATAGRAM_MAX_BYTES], vec![0; DATAGRAM_MAX_BYTES]);
        let mut client = None;
        loop {
            tokio::select! {
                Ok((length, from)) = outside.recv_from(&mut asked) => {
                    client = Some(from);
                    if self.lets_through(length) {
                        inside.send(&asked[..length]).await.unwrap();
                    }
                }
                Ok(length) = inside.recv(&mut answered) => {
                    if let Some(client) = client && !self.open.load(Ordering::Relaxed) {
                        outside.send_to(&answered[..length], client).await.unwrap();
                    }
                }
                else => return,
            }
        }
    }

    fn lets_through(&self, length: usize) -> bool {
        if !self.open.load(Ordering::Relaxed) {
            return true;
        }
        if length >= DATA_MIN_BYTES && !self.swallowed.swap(true, Ordering::Relaxed) {
            return false;
        }
        self.passed.fetch_add(length, Ordering::Relaxed);
        true
    }

    /// Opens the gap and sends as much after it as the server takes; returns how much that was.
    async fn fill_behind(&self, send: &mut SendStream) -> usize {
        self.open.store(true, Ordering::Relaxed);
        let zeros = vec![0; DATAGRAM_MAX_BYTES];
        let mut sent = 0;
        while let Ok(written) = timeout(Duration::from_secs(1), send.write(&zeros)).await {
            sent += written.unwrap();
        }
        sent
    }
}

/// A server on QUIC too, and a client of it, with a gap between them that is not open yet.
async fn meet() -> (Site, Arc<Gap>, quinn::Connection, (SendStream, RecvStream)) {
    let (root, certificate) = certificate();
    let listen = vec![([127, 0, 0, 1], 0).into()];
    let site = Site::with(|config| config.quic = Some(QuicConfig { listen, certificate })).await;
    let (gap, address) = Gap::before(site.server.quic_addrs()[0]).await;
    // It sends all that it may at once, and asks nobody how fast.
    let mut reckless = NewRenoConfig::default();
    reckless.initial_window(64 << 20);
    let mut transport = TransportConfig::default();
    transport.congestion_controller_factory(Arc::new(reckless)).send_window(64 << 20);
    let mut config = client_config(&root, b"smb");
    config.transport_config(Arc::new(transport));
    let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
    let connection = endpoint.connect_with(config, address, NAME).unwrap().await.unwrap();
    let stream = connection.open_bi().await.unwrap();
    (site, gap, connection, stream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_leaves_little_behind_a_gap() {
    let (site, gap, _connection, (mut send, _receive)) = meet().await;
    send.write_all(&[0]).await.unwrap();
    while site.server.status().connections == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let sent = gap.fill_behind(&mut send).await;
    assert!(sent <= limits::ANONYMOUS_QUIC_WINDOW_BYTES as usize, "{sent} bytes for a stranger");
    let passed = gap.passed.load(Ordering::Relaxed);
    assert!(passed > sent / 2, "{passed} of {sent} bytes came past the gap: nothing was tried");
    site.log_in(&ALICE).await.is_well().await;
}

/// Who has logged in is trusted with the whole window: without it a distant client would be slow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_has_the_whole_window() {
    let (_site, gap, connection, (send, receive)) = meet().await;
    let mut client = Client::new(tokio::io::join(receive, send));
    client.negotiate(offer(&[Dialect::SMB_3_1_1])).await.unwrap();
    client.log_in(&BOB).await.unwrap();
    // Hardly anything was sent, so this is no room given back.
    let widened = async {
        while connection.stats().frame_rx.max_data == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), widened).await.expect("more room for a user");
    let sent = gap.fill_behind(client.stream.writer_mut()).await;
    let window = limits::QUIC_WINDOW_BYTES as usize;
    assert!((window / 2..=window).contains(&sent), "{sent} bytes for a user");
}
