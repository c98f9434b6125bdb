//! Two nodes, made-up certificates, a service that counts, and a proxy that can cut and stall.

use async_trait::async_trait;
use bytes::Bytes;
use link::{
    Class, Identity, Link, LinkConfig, LinkError, LinkState, Message, Mode, Node, Peer, Service, certs,
};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, tcp};
use tokio::sync::{Semaphore, watch};

/// Long enough never to be reached in a test that passes.
pub const SOON: Duration = Duration::from_secs(20);

/// An authority with the sites dc1, dc2 and dc3.
pub fn authority() -> TempDir {
    let dir = tempfile::tempdir().expect("temporary directory");
    certs::init(dir.path()).expect("init");
    for site in ["dc1", "dc2", "dc3"] {
        certs::issue(dir.path(), site).expect("issue");
    }
    dir
}

pub fn identity(dir: &TempDir, site: &str) -> Identity {
    certs::load_site(dir.path(), site).expect("load")
}

/// Two bulk lanes and quick reconnects.
pub fn config() -> LinkConfig {
    LinkConfig {
        connections: 2,
        backoff_min: Duration::from_millis(10),
        backoff_max: Duration::from_millis(50),
        down_grace: SOON,
        ..LinkConfig::default()
    }
}

pub fn listening() -> LinkConfig {
    LinkConfig { listen: Some("127.0.0.1:0".parse().expect("an address")), ..config() }
}

pub fn dialing(site: &str, address: SocketAddr) -> LinkConfig {
    LinkConfig { dial: vec![(site.into(), address.to_string())], ..config() }
}

/// What a service was told, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Up(u64),
    Down(u64),
    Notice(u64, Bytes),
}

/// Answers `head` with the same head and the body asked for:
/// `echo` the body given, `gate` the same once the gate opens, `large N` a body of N bytes, `panic` never.
pub struct Counting {
    pub calls: AtomicU64,
    pub gate: Semaphore,
    pub heard: Mutex<Vec<Heard>>,
    pub changed: watch::Sender<u64>,
}

impl Counting {
    pub fn new() -> Arc<Counting> {
        Arc::new(Counting {
            calls: AtomicU64::new(0),
            gate: Semaphore::new(0),
            heard: Mutex::default(),
            changed: watch::Sender::new(0),
        })
    }

    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn hear(&self, heard: Heard) {
        self.heard.lock().push(heard);
        self.changed.send_modify(|count| *count += 1);
    }

    /// Waits until `enough` holds, looked at after each change.
    pub async fn until(&self, what: &str, enough: impl Fn(&Counting) -> bool) {
        let mut changed = self.changed.subscribe();
        let waited = tokio::time::timeout(SOON, changed.wait_for(|_| enough(self))).await;
        assert!(matches!(waited, Ok(Ok(_))), "{what}: {:?}, {} calls", self.heard.lock(), self.calls());
    }

    pub fn sessions(&self) -> Vec<u64> {
        let up = |heard: &Heard| match heard {
            Heard::Up(session) => Some(*session),
            _ => None,
        };
        self.heard.lock().iter().filter_map(up).collect()
    }
}

#[async_trait]
impl Service for Counting {
    async fn call(&self, _from: &Peer, _class: Class, message: Message) -> Message {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.changed.send_modify(|count| *count += 1);
        let head = std::str::from_utf8(&message.head).expect("text").to_owned();
        let mut words = head.split(' ');
        match words.next() {
            Some("gate") => self.gate.acquire().await.expect("open").forget(),
            Some("large") => {
                let bytes = words.next().expect("a size").parse().expect("a number");
                return Message::new(message.head, vec![7; bytes]);
            }
            Some("panic") => panic!("asked to"),
            _ => {}
        }
        message
    }

    fn notice(&self, from: &Peer, message: Message) {
        self.hear(Heard::Notice(from.session, message.head));
    }

    fn peer_up(&self, peer: &Peer, link: Link) {
        assert_eq!(link.site(), peer.site);
        self.hear(Heard::Up(peer.session));
    }

    fn peer_down(&self, peer: &Peer) {
        self.hear(Heard::Down(peer.session));
    }
}

/// dc1 listens, dc2 dials it through a proxy.
pub struct Pair {
    pub dir: TempDir,
    pub gateway: Node,
    pub at_gateway: Arc<Counting>,
    pub entrypoint: Node,
    pub at_entrypoint: Arc<Counting>,
    pub proxy: Proxy,
}

impl Pair {
    pub async fn start() -> Pair {
        Pair::with(|_| ()).await
    }

    /// `adjust` changes the settings of both nodes.
    pub async fn with(adjust: impl Fn(&mut LinkConfig)) -> Pair {
        let dir = authority();
        let (at_gateway, at_entrypoint) = (Counting::new(), Counting::new());
        let mut config = listening();
        adjust(&mut config);
        let gateway = Node::start(identity(&dir, "dc1"), config, at_gateway.clone()).await.expect("gateway");
        let proxy = Proxy::start(gateway.local_addr().expect("listening")).await;
        let mut config = dialing("dc1", proxy.address);
        adjust(&mut config);
        let entrypoint =
            Node::start(identity(&dir, "dc2"), config, at_entrypoint.clone()).await.expect("entrypoint");
        let pair = Pair { dir, gateway, at_gateway, entrypoint, at_entrypoint, proxy };
        until_connections(&pair.entrypoint.link("dc1"), 3).await;
        until_connections(&pair.gateway.link("dc2"), 3).await;
        pair
    }

    /// Makes a call from the entrypoint.
    pub async fn call(&self, mode: Mode, head: &'static str) -> Result<Message, LinkError> {
        call(&self.entrypoint.link("dc1"), mode, head).await
    }

    /// Makes a call from the entrypoint in a task of its own.
    pub fn spawn_call(
        &self,
        mode: Mode,
        head: &'static str,
    ) -> tokio::task::JoinHandle<Result<Message, LinkError>> {
        let link = self.entrypoint.link("dc1");
        tokio::spawn(async move { call(&link, mode, head).await })
    }
}

pub async fn call(link: &Link, mode: Mode, head: &'static str) -> Result<Message, LinkError> {
    link.call(Class::Interactive, mode, Message::new(head, "body"), Instant::now() + SOON).await
}

pub async fn until_state(link: &Link, what: &str, enough: impl Fn(&LinkState) -> bool) -> LinkState {
    let mut state = link.state();
    let waited = tokio::time::timeout(SOON, state.wait_for(|state| enough(state))).await;
    match waited {
        Ok(Ok(state)) => state.clone(),
        _ => panic!("{what}: {:?}", link.state().borrow().clone()),
    }
}

pub async fn until_connections(link: &Link, count: usize) {
    let enough =
        |state: &LinkState| matches!(state, LinkState::Up { connections, .. } if *connections == count);
    until_state(link, "connections", enough).await;
}

/// Waits until the link is down; why.
pub async fn until_down(link: &Link, reason: &str) -> String {
    let enough = |state: &LinkState| matches!(state, LinkState::Down { why, .. } if why.contains(reason));
    match until_state(link, reason, enough).await {
        LinkState::Down { why, .. } => why,
        LinkState::Up { .. } => unreachable!("waited for down"),
    }
}

/// A TCP proxy on loopback. Bytes from the server can be held back, all connections cut, new ones refused.
pub struct Proxy {
    pub address: SocketAddr,
    control: watch::Sender<Control>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Control {
    /// Connections made before this generation are cut.
    generation: u64,
    refuse: bool,
    stall_up: bool,
    stall_down: bool,
    /// Bytes per second and direction of each connection; 0 is no limit.
    rate: usize,
}

impl Proxy {
    pub async fn start(target: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let control = watch::Sender::new(Control::default());
        let watched = control.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !watched.borrow().refuse {
                    tokio::spawn(forward(client, target, watched.clone()));
                }
            }
        });
        Proxy { address, control }
    }

    /// Cuts all connections; new ones are accepted.
    pub fn cut(&self) {
        self.control.send_modify(|control| control.generation += 1);
    }

    pub fn refuse(&self, refuse: bool) {
        self.control.send_modify(|control| control.refuse = refuse);
    }

    /// Holds bytes back: from the dialer, from the listener.
    pub fn stall(&self, up: bool, down: bool) {
        self.control.send_modify(|control| (control.stall_up, control.stall_down) = (up, down));
    }

    pub fn rate(&self, bytes_per_second: usize) {
        self.control.send_modify(|control| control.rate = bytes_per_second);
    }
}

async fn forward(client: TcpStream, target: SocketAddr, mut control: watch::Receiver<Control>) {
    let generation = control.borrow().generation;
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    let (up, down) = (control.clone(), control.clone());
    tokio::select! {
        // A cut comes before the end of a stall.
        biased;
        _ = control.wait_for(|control| control.generation != generation) => {}
        _ = pump(client_in, server_out, up, |control| control.stall_up) => {}
        _ = pump(server_in, client_out, down, |control| control.stall_down) => {}
    }
}

async fn pump(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    mut control: watch::Receiver<Control>,
    stalled: impl Fn(&Control) -> bool,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let bytes = from.read(&mut buffer).await?;
        if bytes == 0 {
            return Ok(());
        }
        let rate = match control.wait_for(|control| !stalled(control)).await {
            Ok(control) => control.rate,
            Err(_) => return Ok(()),
        };
        to.write_all(&buffer[..bytes]).await?;
        if rate > 0 {
            tokio::time::sleep(Duration::from_secs_f64(bytes as f64 / rate as f64)).await;
        }
    }
}
