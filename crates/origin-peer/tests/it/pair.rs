//! Two nodes on loopback: a gateway `dc1` that serves volumes, and an entrypoint `dc2` that uses them. Between
//! them a wire that can be cut.

use async_trait::async_trait;
use front_peer::{Offered, PeerLimits, PeerServer};
use link::{Class, Identity, Link, LinkConfig, Message, Node, Peer, Service, certs};
use origin_peer::{Inbox, PeerVolume};
use parking_lot::Mutex;
use peer_wire::Push;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use testkit::ease::{cx, within};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use volume::Volume;

pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Pair {
    pub wire: Wire,
    pub gateway: Node,
    pub server: Arc<PeerServer>,
    pub entrypoint: Node,
    pub inbox: Arc<Inbox>,
    pub ear: Arc<Ear>,
    limits: PeerLimits,
    offered: HashMap<String, Offered>,
}

impl Pair {
    /// Serves `volume` under the name `projects`.
    pub async fn serving(volume: Arc<dyn Volume>) -> Pair {
        Pair::with(volume, PeerLimits::default()).await
    }

    /// The same over a link that takes a busy machine for no cut, where none is part of the test.
    pub async fn patient(volume: Arc<dyn Volume>) -> Pair {
        let times = LinkConfig::default();
        let (probe_interval, idle_interval) = (times.probe_interval, times.idle_interval);
        let config = LinkConfig { probe_interval, idle_interval, probes_missed: 10, ..quick() };
        Pair::over(volume, PeerLimits::default(), config).await
    }

    pub async fn with(volume: Arc<dyn Volume>, limits: PeerLimits) -> Pair {
        Pair::over(volume, limits, quick()).await
    }

    async fn over(volume: Arc<dyn Volume>, limits: PeerLimits, config: LinkConfig) -> Pair {
        let offer = |allow: &str| Offered { volume: Some(volume.clone()), allow: vec![allow.to_owned()] };
        let offered =
            HashMap::from([("projects".to_owned(), offer("dc2")), ("secret".to_owned(), offer("dc3"))]);
        let server = PeerServer::new(offered.clone(), limits);
        let gateway = gateway(&server, &config).await;
        let wire = Wire::to(gateway.local_addr().unwrap()).await;
        let inbox = Inbox::new();
        let dials = LinkConfig { dial: vec![("dc1".into(), wire.address.to_string())], ..config.clone() };
        let ear = Arc::new(Ear { inbox: inbox.clone(), deaf: false.into(), heard: Mutex::default() });
        let entrypoint = Node::start(identity("dc2"), dials, ear.clone()).await.unwrap();
        Pair { wire, gateway, server, entrypoint, inbox, ear, limits, offered }
    }

    /// The volume at the entrypoint, as soon as its abilities are known.
    pub async fn volume(&self) -> Arc<PeerVolume> {
        let volume = self.named("projects");
        volume.known(&cx()).await.unwrap();
        volume
    }

    pub fn named(&self, name: &str) -> Arc<PeerVolume> {
        PeerVolume::new(self.entrypoint.link("dc1"), name, self.inbox.clone()).unwrap()
    }

    /// Replaces the gateway's process: nothing but the volumes stays.
    pub async fn restart_gateway(&mut self) {
        let before = self.entrypoint.link("dc1").state().borrow().session();
        self.gateway.shutdown().await;
        self.server = PeerServer::new(self.offered.clone(), self.limits);
        self.gateway = gateway(&self.server, &quick()).await;
        self.wire.lead_to(self.gateway.local_addr().unwrap());
        let mut state = self.entrypoint.link("dc1").state();
        let again = state.wait_for(|state| state.is_up() && state.session() != before);
        within(PATIENCE, "the link to the new gateway", again).await.unwrap();
    }

    pub async fn until_down(&self) {
        let mut state = self.entrypoint.link("dc1").state();
        within(PATIENCE, "the link goes down", state.wait_for(|state| !state.is_up())).await.unwrap();
    }

    pub async fn until_up(&self) {
        let mut state = self.entrypoint.link("dc1").state();
        within(PATIENCE, "the link comes up", state.wait_for(|state| state.is_up())).await.unwrap();
    }

    /// Waits until the gateway has so many handles open for the entrypoint.
    pub async fn until_handles(&self, count: usize) {
        let open = || self.server.peers().first().map_or(0, |peer| peer.handles);
        let reached = async {
            while open() != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        within(PATIENCE, &format!("{count} handles"), reached).await;
    }
}

fn quick() -> LinkConfig {
    LinkConfig {
        connections: 2,
        bbr: false,
        probe_interval: Duration::from_millis(200),
        idle_interval: Duration::from_millis(500),
        backoff_min: Duration::from_millis(20),
        backoff_max: Duration::from_millis(100),
        down_grace: Duration::from_secs(1),
        drain_timeout: Duration::from_secs(1),
        ..LinkConfig::default()
    }
}

async fn gateway(server: &Arc<PeerServer>, config: &LinkConfig) -> Node {
    let config = LinkConfig { listen: Some("127.0.0.1:0".parse().unwrap()), ..config.clone() };
    Node::start(identity("dc1"), config, server.clone()).await.unwrap()
}

/// One certificate authority for all tests of this process.
fn identity(site: &str) -> Identity {
    static CERTS: OnceLock<tempfile::TempDir> = OnceLock::new();
    let dir = CERTS.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        certs::init(dir.path()).unwrap();
        for site in ["dc1", "dc2"] {
            certs::issue(dir.path(), site).unwrap();
        }
        dir
    });
    certs::load_site(dir.path(), site).unwrap()
}

/// Between the link and the inbox: hears every push, and can lose some.
pub struct Ear {
    inbox: Arc<Inbox>,
    pub deaf: AtomicBool,
    heard: Mutex<Vec<Push>>,
}

impl Ear {
    /// Waits for so many pushes, lost ones among them.
    pub async fn heard(&self, count: usize) -> Vec<Push> {
        let reached = async {
            while self.heard.lock().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        within(PATIENCE, &format!("{count} pushes"), reached).await;
        self.heard.lock().clone()
    }
}

#[async_trait]
impl Service for Ear {
    async fn call(&self, from: &Peer, class: Class, message: Message) -> Message {
        self.inbox.call(from, class, message).await
    }

    fn notice(&self, from: &Peer, message: Message) {
        let push = Push::decode(&message.head, &message.body).unwrap();
        self.heard.lock().push(push);
        if !self.deaf.load(Ordering::Relaxed) {
            self.inbox.notice(from, message);
        }
    }

    fn peer_up(&self, peer: &Peer, link: Link) {
        self.inbox.peer_up(peer, link);
    }

    fn peer_down(&self, peer: &Peer) {
        self.inbox.peer_down(peer);
    }
}

/// Forwards TCP connections, as long as it is not cut.
pub struct Wire {
    pub address: SocketAddr,
    /// Where it leads; `None` while it is cut.
    target: watch::Sender<Option<SocketAddr>>,
    last: SocketAddr,
}

impl Wire {
    async fn to(address: SocketAddr) -> Wire {
        let target = watch::Sender::new(Some(address));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Wire { address: listener.local_addr().unwrap(), target: target.clone(), last: address };
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(forward(near, target.subscribe()));
            }
        });
        wire
    }

    /// Cuts all connections and takes no new ones.
    pub fn cut(&self) {
        self.target.send_replace(None);
    }

    pub fn mend(&self) {
        self.target.send_replace(Some(self.last));
    }

    fn lead_to(&mut self, address: SocketAddr) {
        self.last = address;
        self.mend();
    }
}

async fn forward(mut near: TcpStream, mut target: watch::Receiver<Option<SocketAddr>>) {
    let Some(address) = *target.borrow_and_update() else { return };
    let Ok(mut far) = TcpStream::connect(address).await else { return };
    for end in [&near, &far] {
        end.set_nodelay(true).unwrap();
    }
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = target.changed() => {}
    }
}
