//! Both doors for real: a unix socket in a temporary directory, and TCP on loopback.

use async_trait::async_trait;
use front_admin::{
    CacheAction, CacheRequest, Client, ClientError, Control, Done, MirrorAction, MirrorRequest, Refused,
    Reloaded, Server, ServerConfig, Status, Token, VolumeStatus,
};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A node that only remembers whether it was told to stop.
#[derive(Default)]
struct Node {
    stopped: AtomicBool,
    offline: AtomicBool,
}

#[async_trait]
impl Control for Node {
    async fn status(&self) -> Status {
        let mut volume = VolumeStatus { name: "v".into(), ..VolumeStatus::default() };
        volume.freshness.word =
            if self.offline.load(Ordering::SeqCst) { "offline" } else { "notified" }.into();
        Status { node: "dc2".into(), volumes: vec![volume], ..Status::default() }
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    async fn reload(&self) -> Result<Reloaded, Refused> {
        Ok(Reloaded { applied: vec!["users".into()], needs_restart: vec![] })
    }

    async fn cache(&self, action: CacheAction, request: CacheRequest) -> Result<Done, Refused> {
        if request.volume != "v" {
            return Err(Refused::NotFound(format!("no volume {:?}", request.volume)));
        }
        Ok(Done { message: format!("{} {}", action.name(), request.path) })
    }

    async fn mirror(&self, action: MirrorAction, request: MirrorRequest) -> Result<Done, Refused> {
        Ok(Done { message: format!("{} {}/{}", action.name(), request.volume, request.mirror) })
    }
}

async fn tcp(server: &Server, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(server.local_addr().unwrap()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_client_speaks_to_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("admin.sock");
    let node = Arc::new(Node::default());
    let config = ServerConfig { socket: Some(socket.clone()), ..ServerConfig::default() };
    let server = Server::start(config, node.clone()).await.unwrap();
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);

    let client = Client::new(&socket);
    assert_eq!(client.status().await.unwrap().node, "dc2");
    assert_eq!(client.reload().await.unwrap().applied, ["users"]);
    let request = CacheRequest { volume: "v".into(), path: "a/b".into(), bytes: 0 };
    assert_eq!(client.cache(CacheAction::Pin, &request).await.unwrap().message, "pin a/b");
    let request = MirrorRequest { volume: "v".into(), mirror: "m".into(), contents: false };
    assert_eq!(client.mirror(MirrorAction::Retry, &request).await.unwrap().message, "retry v/m");
    let request = CacheRequest { volume: "w".into(), ..CacheRequest::default() };
    let refused = client.cache(CacheAction::Flush, &request).await.unwrap_err();
    assert!(matches!(&refused, ClientError::Refused(why) if why == "no volume \"w\""), "{refused}");
    client.stop().await.unwrap();
    assert!(node.stopped.load(Ordering::SeqCst));

    // A second node in the same state directory must not take the socket away.
    let config = ServerConfig { socket: Some(socket.clone()), ..ServerConfig::default() };
    let second = Server::start(config, node.clone()).await;
    assert_eq!(second.err().unwrap().kind(), std::io::ErrorKind::AddrInUse);

    server.shutdown().await;
    assert!(!socket.exists());
    assert!(matches!(client.status().await, Err(ClientError::Unreachable { .. })));
}

#[tokio::test]
async fn a_socket_that_a_crash_left_behind_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("admin.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    let config = ServerConfig { socket: Some(socket.clone()), ..ServerConfig::default() };
    let _server = Server::start(config, Arc::new(Node::default())).await.unwrap();
    assert_eq!(Client::new(&socket).status().await.unwrap().node, "dc2");
}

#[tokio::test]
async fn tcp_serves_reading_and_keeps_changes_behind_the_token() {
    let node = Arc::new(Node::default());
    let token = Token::new(b"0123456789abcdef".to_vec()).unwrap();
    let config = ServerConfig { tcp: Some("127.0.0.1:0".parse().unwrap()), token: Some(token), socket: None };
    let server = Server::start(config, node.clone()).await.unwrap();

    let answer = tcp(&server, "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("{\"ok\":true}"), "{answer}");
    node.offline.store(true, Ordering::SeqCst);
    let answer = tcp(&server, "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let answer = tcp(&server, "GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await;
    assert!(answer.contains("farshare_volume_online{volume=\"v\"} 0\n"), "{answer}");

    let answer = tcp(&server, "POST /stop HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(!node.stopped.load(Ordering::SeqCst));
    let request = "POST /stop HTTP/1.1\r\nhost: x\r\nauthorization: Bearer 0123456789abcdef\r\n\
                   content-length: 0\r\n\r\n";
    assert!(tcp(&server, request).await.starts_with("HTTP/1.1 202"));
    assert!(node.stopped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn too_much_body_and_strange_pages_get_answers() {
    let config = ServerConfig { tcp: Some("127.0.0.1:0".parse().unwrap()), ..ServerConfig::default() };
    let server = Server::start(config, Arc::new(Node::default())).await.unwrap();
    let answer = tcp(&server, "GET /nothing HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    let request = "POST /cache/pin HTTP/1.1\r\nhost: localhost\r\ncontent-length: 70000\r\n\r\n";
    let answer = tcp(&server, &format!("{request}{}", "x".repeat(70_000))).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn an_open_address_without_a_token_is_refused() {
    let config = ServerConfig { tcp: Some("0.0.0.0:0".parse().unwrap()), ..ServerConfig::default() };
    let refused = Server::start(config, Arc::new(Node::default())).await.err().unwrap();
    assert!(refused.to_string().contains("[admin] token"), "{refused}");
    assert!(Token::new(b"short".to_vec()).is_err());
}

#[tokio::test]
async fn a_full_tcp_door_leaves_the_socket_free() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("admin.sock");
    let tcp = Some(([127, 0, 0, 1], 0).into());
    let config = ServerConfig { socket: Some(socket.clone()), tcp, token: None };
    let server = Server::start(config, Arc::new(Node::default())).await.unwrap();
    let mut silent = Vec::new();
    // One more than are served: the last waits, and so all others have been accepted.
    for _ in 0..=front_admin::ADMIN_CONNECTIONS_MAX {
        silent.push(tokio::net::TcpStream::connect(server.local_addr().unwrap()).await.unwrap());
        tokio::task::yield_now().await;
    }
    for _ in 0..3 {
        let client = Client::new(&socket);
        let asked = tokio::time::timeout(front_admin::REQUEST_PATIENCE / 2, client.status()).await;
        assert_eq!(asked.expect("not kept waiting").unwrap().node, "dc2");
    }
}
