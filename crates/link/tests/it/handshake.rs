//! Who gets in: certificates, names, versions, and what happens to bytes that are not ours.

use crate::support::*;
use link::{LinkConfig, LinkState, Node, certs};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls;

async fn gateway(dir: &TempDir) -> (Node, Arc<Counting>) {
    let service = Counting::new();
    let node = Node::start(identity(dir, "dc1"), listening(), service.clone()).await.expect("start");
    (node, service)
}

/// Dials `dc1` at the gateway's address as `site`; why it does not work.
async fn refusal(dir: &TempDir, site: &str, gateway: &Node, reason: &str) -> String {
    let config = dialing("dc1", gateway.local_addr().expect("listening"));
    let node = Node::start(identity(dir, site), config, Counting::new()).await.expect("start");
    let why = until_down(&node.link("dc1"), reason).await;
    node.shutdown().await;
    why
}

/// A TLS client of its own, with or without the certificate of `site`.
async fn tls(
    dir: &TempDir,
    site: Option<&str>,
    address: SocketAddr,
) -> std::io::Result<TlsStream<TcpStream>> {
    let file = |name: String| dir.path().join(name);
    let cert = |name: &str| CertificateDer::from_pem_file(file(format!("{name}.crt"))).expect("certificate");
    let mut roots = RootCertStore::empty();
    roots.add(cert("ca")).expect("root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match site {
        None => builder.with_no_client_auth(),
        Some(site) => {
            let key = PrivateKeyDer::from_pem_file(file(format!("{site}.key"))).expect("key");
            builder.with_client_auth_cert(vec![cert(site)], key).expect("client certificate")
        }
    };
    config.alpn_protocols = vec![b"farshare-link".to_vec()];
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from("dc1").expect("a name");
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await
}

/// Everything until the other side closes.
async fn rest(stream: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(SOON, stream.read_to_end(&mut bytes)).await;
    // A reset is a close, too.
    drop(read.expect("closed in time"));
    bytes
}

fn hello(versions: (u16, u16), site: &str) -> Vec<u8> {
    let mut fields = vec![1];
    fields.extend(versions.0.to_le_bytes());
    fields.extend(versions.1.to_le_bytes());
    fields.extend([0, 0]); // interactive lane 0
    fields.extend(77_u64.to_le_bytes());
    fields.extend(0_u64.to_le_bytes());
    fields.extend(1_u64.to_le_bytes());
    for text in [site, "a test"] {
        fields.push(text.len() as u8);
        fields.extend(text.as_bytes());
    }
    let mut bytes = b"farlink\n".to_vec();
    bytes.extend((fields.len() as u16).to_le_bytes());
    bytes.extend(fields);
    bytes
}

#[tokio::test]
async fn a_site_of_another_authority_is_refused() {
    let (ours, theirs) = (authority(), authority());
    let (gateway, _) = gateway(&ours).await;
    refusal(&theirs, "dc2", &gateway, "certificate is refused").await;
    // The same seen from the other side: it trusts us, we do not trust it.
    std::fs::copy(ours.path().join("ca.crt"), theirs.path().join("ca.crt")).expect("copy");
    assert!(certs::load_site(theirs.path(), "dc2").expect_err("mixed").to_string().contains("not issued by"));
    let mut stream = tls(&theirs, Some("dc2"), gateway.local_addr().expect("listening")).await;
    if let Ok(stream) = &mut stream {
        assert_eq!(rest(stream).await, b"");
    }
    assert!(!gateway.link("dc2").state().borrow().is_up());
}

#[tokio::test]
async fn a_site_that_is_not_the_one_dialed_is_refused() {
    let dir = authority();
    let config = LinkConfig { ..listening() };
    let other = Node::start(identity(&dir, "dc3"), config, Counting::new()).await.expect("start");
    let why = refusal(&dir, "dc2", &other, "certificate is refused").await;
    assert!(why.contains("dc1"), "{why}");
    assert!(!other.link("dc2").state().borrow().is_up());
}

#[tokio::test]
async fn without_a_certificate_nobody_gets_past_tls() {
    let dir = authority();
    let (gateway, _) = gateway(&dir).await;
    let address = gateway.local_addr().expect("listening");
    if let Ok(mut stream) = tls(&dir, None, address).await {
        drop(stream.write_all(&hello((1, 1), "dc2")).await);
        assert_eq!(rest(&mut stream).await, b"");
    }
    assert!(!gateway.link("dc2").state().borrow().is_up());
}

#[tokio::test]
async fn versions_that_do_not_meet_are_refused_with_words() {
    let dir = authority();
    let (gateway, _) = gateway(&dir).await;
    let config = LinkConfig { versions: (7, 9), ..dialing("dc1", gateway.local_addr().expect("listening")) };
    let node = Node::start(identity(&dir, "dc2"), config, Counting::new()).await.expect("start");
    let why = until_down(&node.link("dc1"), "refused by dc1").await;
    assert!(why.contains("no common link protocol version: 1..=1 here, 7..=9 there"), "{why}");
}

#[tokio::test]
async fn a_greeting_under_a_false_name_is_refused() {
    let dir = authority();
    let (gateway, _) = gateway(&dir).await;
    let mut stream = tls(&dir, Some("dc2"), gateway.local_addr().expect("listening")).await.expect("TLS");
    stream.write_all(&hello((1, 1), "dc3")).await.expect("sent");
    let answer = String::from_utf8_lossy(&rest(&mut stream).await).into_owned();
    assert!(answer.contains("the certificate is of site dc2, the greeting of dc3"), "{answer}");
}

#[tokio::test]
async fn garbage_closes_the_connection() {
    let dir = authority();
    let (gateway, service) = gateway(&dir).await;
    let address = gateway.local_addr().expect("listening");
    // Before TLS.
    let mut tcp = TcpStream::connect(address).await.expect("connect");
    tcp.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("sent");
    let mut answer = Vec::new();
    drop(tokio::time::timeout(SOON, tcp.read_to_end(&mut answer)).await.expect("closed"));
    // Instead of a greeting.
    let mut stream = tls(&dir, Some("dc2"), address).await.expect("TLS");
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("sent");
    assert_eq!(rest(&mut stream).await, b"");
    assert!(!gateway.link("dc2").state().borrow().is_up());
    // After it.
    let mut stream = tls(&dir, Some("dc2"), address).await.expect("TLS");
    stream.write_all(&hello((1, 1), "dc2")).await.expect("sent");
    until_state(&gateway.link("dc2"), "up", LinkState::is_up).await;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("sent");
    until_down(&gateway.link("dc2"), "link protocol broken").await;
    rest(&mut stream).await;
    assert_eq!(*service.heard.lock(), [Heard::Up(1), Heard::Down(1)]);
}

#[tokio::test]
async fn who_says_nothing_is_shown_the_door() {
    let dir = authority();
    let config = LinkConfig { handshake_timeout: Duration::from_millis(50), ..listening() };
    let gateway = Node::start(identity(&dir, "dc1"), config, Counting::new()).await.expect("start");
    let mut tcp = TcpStream::connect(gateway.local_addr().expect("listening")).await.expect("connect");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(SOON, tcp.read_to_end(&mut answer)).await.expect("closed in time");
    assert!(read.is_ok() && answer.is_empty());
}

#[tokio::test]
async fn who_does_not_begin_tls_is_shown_the_door_sooner() {
    let dir = authority();
    let config =
        LinkConfig { hello_timeout: Duration::from_millis(50), handshake_timeout: 2 * SOON, ..listening() };
    let gateway = Node::start(identity(&dir, "dc1"), config, Counting::new()).await.expect("start");
    let mut tcp = TcpStream::connect(gateway.local_addr().expect("listening")).await.expect("connect");
    // Half a record.
    tcp.write_all(&[22, 3, 1, 2]).await.expect("sent");
    drop(tokio::time::timeout(SOON, tcp.read_to_end(&mut Vec::new())).await.expect("closed in time"));
}

#[tokio::test]
async fn one_address_does_not_keep_the_others_out() {
    let dir = authority();
    let (gateway, _) = gateway(&dir).await;
    let address = gateway.local_addr().expect("listening");
    let from = async |last| {
        let socket = tokio::net::TcpSocket::new_v4().expect("socket");
        socket.bind(([127, 0, 0, last], 0).into()).expect("bind");
        socket.connect(address).await.expect("connect")
    };
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(from(2).await);
    }
    let mut last = silent.pop().expect("one of them");
    drop(tokio::time::timeout(Duration::from_secs(1), last.read(&mut [0])).await.expect("closed at once"));
    assert!(tls(&dir, Some("dc2"), address).await.is_ok());
}

#[tokio::test]
async fn renewed_certificates_are_used_after_a_reload() {
    let pair = Pair::start().await;
    let address = pair.gateway.local_addr().expect("listening");
    let presented = async || {
        let stream = tls(&pair.dir, Some("dc3"), address).await.expect("TLS");
        stream.get_ref().1.peer_certificates().expect("certificates")[0].clone()
    };
    let file = pair.dir.path().join("dc1.crt");
    let on_disk = || CertificateDer::from_pem_file(&file).expect("certificate");
    let first = presented().await;
    assert_eq!(first, on_disk());
    certs::renew_all(pair.dir.path()).expect("renew");
    assert_ne!(first, on_disk());
    assert_eq!(presented().await, first, "not before the reload");
    pair.gateway.reload(identity(&pair.dir, "dc1")).expect("reload");
    pair.entrypoint.reload(identity(&pair.dir, "dc2")).expect("reload");
    assert!(pair.gateway.reload(identity(&pair.dir, "dc2")).is_err());
    assert_eq!(presented().await, on_disk());
    pair.proxy.cut();
    assert!(pair.call(link::Mode::Once, "echo").await.is_ok());
}

#[tokio::test]
async fn a_reload_closes_what_is_revoked_or_of_another_authority() {
    let pair = Pair::start().await;
    let link = pair.gateway.link("dc2");
    pair.gateway.reload(identity(&pair.dir, "dc1")).expect("nothing new");
    assert_eq!(link.stats().connections, 3);
    certs::revoke(pair.dir.path(), "dc2").expect("revoke");
    pair.gateway.reload(identity(&pair.dir, "dc1")).expect("reload");
    until_down(&link, "the certificate is revoked").await;
    until_down(&pair.entrypoint.link("dc1"), "refused by dc1: the certificate is revoked").await;

    std::fs::remove_file(pair.dir.path().join("revoked")).expect("remove");
    pair.gateway.reload(identity(&pair.dir, "dc1")).expect("reload");
    until_connections(&link, 3).await;
    pair.gateway.reload(identity(&authority(), "dc1")).expect("reload");
    until_down(&link, "the certificate is of another authority").await;
}

#[tokio::test]
async fn a_certificate_that_ends_takes_its_connections_along() {
    let dir = authority();
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).expect("read");
    let pem = |name: &str| rcgen::KeyPair::from_pem(&read(name)).expect("key");
    let issuer = rcgen::Issuer::from_ca_cert_pem(&read("ca.crt"), pem("ca.key")).expect("authority");
    let mut params = rcgen::CertificateParams::new(["dc2".to_owned()]).expect("parameters");
    params.not_after = (std::time::SystemTime::now() + Duration::from_secs(3)).into();
    let short = params.signed_by(&pem("dc2.key"), &issuer).expect("signed");
    std::fs::write(dir.path().join("dc2.crt"), short.pem()).expect("write");
    let (gateway, _) = gateway(&dir).await;
    let config = dialing("dc1", gateway.local_addr().expect("listening"));
    let entrypoint = Node::start(identity(&dir, "dc2"), config, Counting::new()).await.expect("start");
    until_connections(&gateway.link("dc2"), 3).await;
    until_down(&gateway.link("dc2"), "the certificate of the other side has ended").await;
    until_down(&entrypoint.link("dc1"), "refuse").await;
}
