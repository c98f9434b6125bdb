//! The two doors: a unix socket and, if wanted, a TCP address. One request per connection, a limit on
//! connections, and a limit on how long a caller may take to ask.

use crate::control::Control;
use crate::routes::{self, Door, Request};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

/// Connections that each of the two doors serves at the same time; further ones wait in the backlog. Each has its own,
/// so that nobody on the network keeps the administrator out of the unix socket.
pub const ADMIN_CONNECTIONS_MAX: usize = 64;
/// Time a caller has for sending its request.
pub const REQUEST_PATIENCE: Duration = Duration::from_secs(10);
/// Time one connection may take in all: flushing a large cache is the longest thing asked for.
const CONNECTION_PATIENCE: Duration = Duration::from_secs(300);
/// Largest request body, bytes.
const BODY_MAX: usize = 64 * 1024;
/// Largest request head, bytes.
const HEAD_MAX: usize = 16 * 1024;
/// Shortest token that is taken, bytes.
const TOKEN_MIN: usize = 16;

/// Where to listen.
#[derive(Default)]
pub struct ServerConfig {
    /// The unix socket; its directory must be there. An old socket that nobody listens on is replaced.
    pub socket: Option<PathBuf>,
    /// `[admin] listen`.
    pub tcp: Option<SocketAddr>,
    /// `[admin] token`. Without it an address other than loopback is refused.
    pub token: Option<Token>,
}

/// What a caller over TCP must show. Never printed, wiped when dropped.
pub struct Token(Zeroizing<Vec<u8>>);

impl Token {
    /// At least 16 bytes, else `InvalidInput`.
    pub fn new(secret: Vec<u8>) -> io::Result<Token> {
        let secret = Zeroizing::new(secret);
        if secret.len() < TOKEN_MIN {
            let why =
                format!("a token needs at least {TOKEN_MIN} characters; `openssl rand -hex 32` makes one");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Ok(Token(secret))
    }

    /// Takes the same time wherever the first difference is.
    pub(crate) fn matches(&self, shown: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, shown).is_ok()
    }
}

/// A listening admin interface. Dropping it closes the doors at once.
pub struct Server {
    tasks: JoinSet<()>,
    tcp: Option<SocketAddr>,
    socket: Option<PathBuf>,
}

/// What every connection needs.
#[derive(Clone)]
struct Shared {
    control: Arc<dyn Control>,
    token: Arc<Option<Token>>,
}

impl Server {
    /// Opens the doors. Errors: an address in use, another farshare on the socket, no token where one is needed.
    pub async fn start(config: ServerConfig, control: Arc<dyn Control>) -> io::Result<Server> {
        if let (Some(tcp), None) = (config.tcp, &config.token)
            && !tcp.ip().is_loopback()
        {
            let why = format!("{tcp} is not a loopback address: set [admin] token");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let shared = Shared { control, token: Arc::new(config.token) };
        let mut server = Server { tasks: JoinSet::new(), tcp: None, socket: None };
        if let Some(address) = config.tcp {
            let listener = TcpListener::bind(address).await?;
            server.tcp = Some(listener.local_addr()?);
            server.tasks.spawn(serve_tcp(listener, address.ip().is_loopback(), shared.clone()));
        }
        if let Some(path) = config.socket {
            let listener = bind_socket(&path).await?;
            server.socket = Some(path);
            server.tasks.spawn(serve_socket(listener, shared));
        }
        Ok(server)
    }

    /// The TCP address, with the port that was given for port 0.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.tcp
    }

    /// Closes the doors; answers under way are cut off.
    pub async fn shutdown(mut self) {
        self.tasks.shutdown().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(path) = self.socket.take()
            && let Err(cause) = std::fs::remove_file(&path)
            && cause.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %cause, "the admin socket stays behind");
        }
    }
}

/// Binds the socket with mode 0600. Whoever could connect between bind and chmod is still asked for its uid.
async fn bind_socket(path: &Path) -> io::Result<UnixListener> {
    let listener = match UnixListener::bind(path) {
        Err(cause) if cause.kind() == io::ErrorKind::AddrInUse => {
            if UnixStream::connect(path).await.is_ok() {
                let why = format!("another farshare answers on {}", path.display());
                return Err(io::Error::new(io::ErrorKind::AddrInUse, why));
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        other => other?,
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn serve_tcp(listener: TcpListener, loopback: bool, shared: Shared) {
    let slots = Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let slot = slots.clone().acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = shared.clone();
                connections.spawn(async move {
                    serve(stream, Door::Tcp { loopback }, &shared).await;
                    drop(slot);
                });
            }
            Err(cause) => accept_failed("tcp", &cause).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_socket(listener: UnixListener, shared: Shared) {
    let own = rustix::process::geteuid().as_raw();
    let slots = Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let slot = slots.clone().acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => match stream.peer_cred() {
                Ok(peer) if peer.uid() == own || peer.uid() == 0 => {
                    let shared = shared.clone();
                    connections.spawn(async move {
                        serve(stream, Door::Socket, &shared).await;
                        drop(slot);
                    });
                }
                Ok(peer) => tracing::warn!(uid = peer.uid(), "admin socket: refused another user"),
                Err(cause) => tracing::warn!(%cause, "admin socket: the caller's uid is unknown, refused"),
            },
            Err(cause) => accept_failed("unix socket", &cause).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Out of descriptors, most likely: trying again at once would only burn the processor.
async fn accept_failed(door: &str, cause: &io::Error) {
    tracing::warn!(door, %cause, "admin: accept failed");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, door: Door, shared: &Shared) {
    let service = service_fn(|request| handle(request, door, shared));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_PATIENCE)
        .max_buf_size(HEAD_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION_PATIENCE, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(cause)) => tracing::debug!(?door, %cause, "admin: connection ended early"),
        Err(_) => tracing::debug!(?door, "admin: connection took too long"),
    }
}

async fn handle(
    request: hyper::Request<Incoming>,
    door: Door,
    shared: &Shared,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = match tokio::time::timeout(REQUEST_PATIENCE, Limited::new(body, BODY_MAX).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(cause)) => return Ok(routes::error(StatusCode::PAYLOAD_TOO_LARGE, &cause.to_string())),
        Err(_) => return Ok(routes::error(StatusCode::REQUEST_TIMEOUT, "the request body took too long")),
    };
    let request =
        Request { method: head.method, path: head.uri.path().to_owned(), headers: head.headers, body };
    Ok(routes::answer(&*shared.control, shared.token.as_ref().as_ref(), door, request).await)
}
