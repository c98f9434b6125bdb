//! The same client as over TCP, carried by QUIC.

use crate::durable::{available_with, hello_for_good, kept, log_in_for_good};
use crate::leases::{R, RH, RWH, granted, key, leased};
use crate::persistent::{KEY, answer, back, begin, waits, with_lease};
use crate::site::{ALICE, BOB, Site, User};
use crate::{Client, One, volume};
use async_trait::async_trait;
use front_smb::{Certificate, QuicConfig, Server, ServerConfig, Share, limits};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ConnectionError, Endpoint, RecvStream, SendStream};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use smb_raw::requests;
use smb_wire::create::{CreateRequest, CreateResponse};
use smb_wire::{FileId, NtStatus};
use smb2::client::{Connection, Session};
use smb2::transport::{TransportReceive, TransportSend};
use smb2::types::Dialect;
use smb2::{Error, Tree};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::Mutex;

pub const NAME: &str = "files.example";

/// A server on TCP and QUIC, and the certificate that it shows.
async fn serve() -> (Server, CertificateDer<'static>) {
    let (shown, certificate) = certificate();
    let loopback: Vec<SocketAddr> = vec![([127, 0, 0, 1], 0).into()];
    let quic = Some(QuicConfig { listen: loopback.clone(), certificate });
    let config = ServerConfig { quic, ..ServerConfig::new(loopback, Arc::new(One)) };
    let server = Server::start(config, vec![Share::new("share", volume().await)]).await.unwrap();
    (server, shown)
}

pub fn certificate() -> (CertificateDer<'static>, Certificate) {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    (made.cert.der().clone(), Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap())
}

/// A QUIC client that believes `root` and says that it speaks `protocol`, or nothing when that is empty.
fn endpoint(root: &CertificateDer<'static>, protocol: &[u8]) -> Endpoint {
    let mut endpoint = Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
    endpoint.set_default_client_config(client_config(root, protocol));
    endpoint
}

pub fn client_config(root: &CertificateDer<'static>, protocol: &[u8]) -> quinn::ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider);
    let tls = tls.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
    let mut tls = tls.with_root_certificates(roots).with_no_client_auth();
    tls.alpn_protocols = [protocol.to_vec()].into_iter().filter(|protocol| !protocol.is_empty()).collect();
    let crypto = QuicClientConfig::try_from(tls).unwrap();
    quinn::ClientConfig::new(Arc::new(crypto))
}

struct Sending(Mutex<SendStream>);
struct Receiving {
    stream: Mutex<RecvStream>,
    /// These end with the client, not before.
    _kept: (quinn::Connection, Endpoint),
}

fn lost(_: impl std::fmt::Debug) -> Error {
    Error::Disconnected
}

#[async_trait]
impl TransportSend for Sending {
    async fn send(&self, data: &[u8]) -> smb2::Result<()> {
        let mut stream = self.0.lock().await;
        let length = u32::try_from(data.len()).unwrap();
        stream.write_all(&length.to_be_bytes()).await.map_err(lost)?;
        stream.write_all(data).await.map_err(lost)
    }
}

#[async_trait]
impl TransportReceive for Receiving {
    async fn receive(&self) -> smb2::Result<Vec<u8>> {
        let mut stream = self.stream.lock().await;
        let mut length = [0; 4];
        stream.read_exact(&mut length).await.map_err(lost)?;
        let mut data = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut data).await.map_err(lost)?;
        Ok(data)
    }
}

/// A connection of the SMB client over QUIC, before NEGOTIATE.
async fn connect(server: &Server, root: &CertificateDer<'static>) -> Connection {
    let endpoint = endpoint(root, b"smb");
    let quic = endpoint.connect(server.quic_addrs()[0], NAME).unwrap().await.unwrap();
    let (send, receive) = quic.open_bi().await.unwrap();
    let receiving = Receiving { stream: Mutex::new(receive), _kept: (quic, endpoint) };
    Connection::from_transport(Box::new(Sending(Mutex::new(send))), Box::new(receiving), NAME)
}

async fn log_in(mut connection: Connection) -> (Connection, Tree) {
    connection.negotiate().await.unwrap();
    Session::setup(&mut connection, "user", "pass", "").await.unwrap();
    let tree = Tree::connect(&mut connection, "share").await.unwrap();
    (connection, tree)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_written_read_and_listed_over_quic() {
    let (server, root) = serve().await;
    let (mut over_quic, tree) = log_in(connect(&server, &root).await).await;
    assert_eq!(over_quic.params().unwrap().dialect, Dialect::Smb3_1_1);
    // More than the windows hold at once, in both directions.
    let data: Vec<u8> = (0..40_000_000u32).map(|i| (i ^ (i >> 9)) as u8).collect();
    tree.write_file_pipelined(&mut over_quic, "a.bin", &data).await.unwrap();
    assert!(tree.read_file_pipelined(&mut over_quic, "a.bin").await.unwrap() == data);
    let listed = tree.list_directory(&mut over_quic, "").await.unwrap();
    assert!(listed.iter().any(|entry| entry.name == "a.bin"));
    let over_tcp = Client::new(&server.local_addrs()[0].to_string()).await;
    let Client { mut smb, tree: other } = over_tcp;
    assert!(
        other.read_file_pipelined(smb.connection_mut(), "a.bin").await.unwrap() == data,
        "one volume, two ways"
    );
    assert_eq!(server.status().sessions, 2);
    drop(over_quic);
    drop(smb);
    assert!(server.shutdown().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_gone_takes_its_session_along() {
    let (server, root) = serve().await;
    let (connection, tree) = log_in(connect(&server, &root).await).await;
    assert_eq!((server.status().sessions, server.status().connections), (1, 1));
    drop((connection, tree));
    while server.status().sessions + server.status().connections > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_protocols_and_other_servers_end_in_the_handshake() {
    let (server, root) = serve().await;
    let address = server.quic_addrs()[0];
    for protocol in [&b"h3"[..], b""] {
        let end = endpoint(&root, protocol).connect(address, NAME).unwrap().await;
        assert!(matches!(end, Err(ConnectionError::ConnectionClosed(_))), "{protocol:?}: {end:?}");
    }
    let stranger = certificate().0;
    assert!(endpoint(&stranger, b"smb").connect(address, NAME).unwrap().await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_shown_to_those_who_come_next() {
    let (server, old) = serve().await;
    let (before, _) = log_in(connect(&server, &old).await).await;
    let (new, certificate) = certificate();
    server.renew_certificate(certificate);
    assert!(endpoint(&old, b"smb").connect(server.quic_addrs()[0], NAME).unwrap().await.is_err());
    log_in(connect(&server, &new).await).await;
    let mut before = before;
    Tree::connect(&mut before, "share").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_server_tells_its_clients() {
    let (server, root) = serve().await;
    let quic = endpoint(&root, b"smb");
    let connection = quic.connect(server.quic_addrs()[0], NAME).unwrap().await.unwrap();
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(&[0]).await.unwrap();
    while server.status().connections == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(server.shutdown().await);
    let end = tokio::time::timeout(Duration::from_secs(5), connection.closed()).await.unwrap();
    assert!(matches!(end, ConnectionError::ApplicationClosed(_)), "{end}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_lead_nowhere_take_only_so_many_places() {
    let (server, root) = serve().await;
    let endpoint = endpoint(&root, b"smb");
    let connect = || endpoint.connect(server.quic_addrs()[0], NAME).unwrap();
    let mut idle = Vec::new();
    for _ in 0..front_smb::limits::QUIC_HANDSHAKES_PER_ADDRESS_MAX {
        idle.push(connect().await.unwrap());
    }
    assert!(matches!(connect().await, Err(ConnectionError::ConnectionClosed(_))));
    let (mut send, _receive) = idle[0].open_bi().await.unwrap();
    send.write_all(&[0]).await.unwrap();
    while server.status().connections == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    connect().await.expect("whoever has opened a stream shakes hands no more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_newest_dialect_goes_over_quic() {
    use smb_wire::ids::Guid;
    use smb_wire::negotiate::{Capabilities, Dialect, NegotiateRequest, SecurityMode};
    let (server, root) = serve().await;
    let endpoint = endpoint(&root, b"smb");
    let quic = endpoint.connect(server.quic_addrs()[0], NAME).unwrap().await.unwrap();
    let (mut send, mut receive) = quic.open_bi().await.unwrap();
    let mut message = Vec::new();
    smb_wire::Header::request(smb_wire::Command::Negotiate, 0).encode_into(&mut message);
    let request = NegotiateRequest {
        security_mode: SecurityMode::SIGNING_ENABLED,
        capabilities: Capabilities::empty(),
        client_guid: Guid::default(),
        dialects: vec![Dialect::SMB_2_1, Dialect::SMB_3_0_2],
        contexts: Vec::new(),
    };
    request.encode(&mut message);
    send.write_all(&u32::try_from(message.len()).unwrap().to_be_bytes()).await.unwrap();
    send.write_all(&message).await.unwrap();
    let mut answer = [0; 4 + 64];
    receive.read_exact(&mut answer).await.unwrap();
    let status = u32::from_le_bytes(answer[12..16].try_into().unwrap());
    assert_eq!(status, smb_wire::NtStatus::NOT_SUPPORTED.0);
}

/// Opens, ends the stream, and takes in nothing from then on for as long as a connection may take to end.
fn open_and_fall_silent(
    server: SocketAddr,
    root: &CertificateDer<'static>,
    request: CreateRequest,
) -> FileId {
    let (tell, told) = std::sync::mpsc::channel();
    let root = root.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let endpoint = endpoint(&root, b"smb");
            let quic = endpoint.connect(server, NAME).unwrap().await.unwrap();
            let (send, receive) = quic.open_bi().await.unwrap();
            let mut client = smb_raw::Client::new(tokio::io::join(receive, send));
            client.negotiate(hello_for_good()).await.unwrap();
            let session = client.log_in(&ALICE).await.unwrap();
            let tree = client.call(&session, 0, &requests::tree_connect("share")).await.unwrap();
            let create = smb_wire::Request::Create(request);
            let reply = client.call(&session, tree.header.tree_id, &create).await.unwrap();
            let (_receive, mut send) = client.stream.into_inner();
            send.finish().unwrap();
            // The end goes out, and nothing comes in after it: this thread does nothing else meanwhile.
            tokio::task::yield_now().await;
            tell.send(granted(&reply).0).unwrap();
            std::thread::sleep(limits::QUIC_END_PATIENCE);
        });
    });
    told.recv().unwrap()
}

/// Its last channel takes nothing more, and is not at its end yet: its session does not wait for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wants_a_persistent_open_whose_connection_is_ending_waits_for_its_client() {
    for is_kept in [false, true] {
        let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (root, certificate) = certificate();
        let listen = vec![([127, 0, 0, 1], 0).into()];
        let quic = |config: &mut ServerConfig| config.quic = Some(QuicConfig { listen, certificate });
        let site = available_with(dir.path(), state.path(), |_| {}, quic).await;
        let mut bob = site.log_in(&BOB).await;
        let over_quic = site.server.quic_addrs()[0];
        let id = match is_kept {
            false => open_and_fall_silent(over_quic, &root, with_lease(RWH)),
            true => {
                let mut alice = log_in_for_good(&site).await;
                let (id, _) = alice.lease(with_lease(RWH)).await;
                drop(alice);
                kept(&site, 1).await;
                open_and_fall_silent(over_quic, &root, leased("file", KEY, RWH, None));
                id
            }
        };
        tokio::time::sleep(limits::QUIC_END_PATIENCE / 4).await;
        assert_eq!(site.server.status().kept_opens, 1);
        let opens = begin(&mut bob, &requests::open("file")).await;
        waits(&mut bob).await;
        let mut alice = log_in_for_good(&site).await;
        back(&mut alice, id).await;
        assert_eq!(alice.told().await.expect("she keeps writes back").new_state, RH);
        assert_eq!(alice.acknowledge(KEY, RH).await, NtStatus::SUCCESS);
        assert_eq!(answer(&mut bob, opens).await.status(), NtStatus::SUCCESS);
    }
}

/// A way to the server on which from some time on nothing comes back any more. What is lost on it QUIC sends again.
async fn one_that_breaks(server: SocketAddr) -> (SocketAddr, Arc<AtomicBool>) {
    let front = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let back = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    back.connect(server).await.unwrap();
    let (address, broken) = (front.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
    let is_broken = Arc::clone(&broken);
    tokio::spawn(async move {
        let (mut up, mut down, mut client) = (vec![0; 65_536], vec![0; 65_536], None);
        loop {
            tokio::select! {
                Ok((length, from)) = front.recv_from(&mut up) => {
                    client = Some(from);
                    let _lost = back.send(&up[..length]).await;
                }
                Ok(length) = back.recv(&mut down) => {
                    if let Some(client) = client.filter(|_| !is_broken.load(Ordering::Relaxed)) {
                        let _lost = front.send_to(&down[..length], client).await;
                    }
                }
            }
        }
    });
    (address, broken)
}

/// QUIC does not say what has arrived: a break may be told twice, and is never taken for heard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_break_that_goes_by_quic_is_told_on_another_channel_too() {
    let (root, certificate) = certificate();
    let listen = vec![([127, 0, 0, 1], 0).into()];
    let site = Site::with(|config| config.quic = Some(QuicConfig { listen, certificate })).await;
    for held in [R, RWH] {
        let (address, broken) = one_that_breaks(site.server.quic_addrs()[0]).await;
        let endpoint = endpoint(&root, b"smb");
        let quic = endpoint.connect(address, NAME).unwrap().await.unwrap();
        let (send, receive) = quic.open_bi().await.unwrap();
        let mut first = smb_raw::Client::new(tokio::io::join(receive, send));
        first.negotiate(hello_for_good()).await.unwrap();
        let session = first.log_in(&ALICE).await.unwrap();
        let tree = first.call(&session, 0, &requests::tree_connect("share")).await.unwrap().header.tree_id;
        let mut client = site.greet(hello_for_good()).await;
        let bound = client.bind(&ALICE, &session).await.unwrap();
        let mut second = User { client, session: bound, tree };
        let create = smb_wire::Request::Create(leased("file", key(1), held, None));
        assert_eq!(granted(&first.call(&session, tree, &create).await.unwrap()).1.state, held);
        broken.store(true, Ordering::Relaxed);
        let mut bob = site.log_in(&BOB).await;
        let opens = begin(&mut bob, &requests::open("file")).await;
        match held {
            R => {
                let opened = CreateResponse::decode(&answer(&mut bob, opens).await.message).unwrap();
                let write = requests::write(opened.file_id, 0, b"new");
                assert_eq!(bob.status(&write).await, NtStatus::SUCCESS);
            }
            _ => waits(&mut bob).await,
        }
        tokio::time::sleep(limits::BREAK_DELIVERY).await;
        let told = second.told().await.expect("it does not come by the first");
        assert_eq!((told.current_state, told.ack_required), (held, held == RWH));
        assert_eq!(second.told().await, None, "once");
        if held == RWH {
            assert_eq!(second.acknowledge(key(1), RH).await, NtStatus::SUCCESS);
            assert_eq!(answer(&mut bob, opens).await.status(), NtStatus::SUCCESS);
        }
        quic.close(quinn::VarInt::from_u32(0), b"");
        drop((second, bob));
        site.emptied().await;
    }
}
