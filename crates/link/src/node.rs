//! A site's end of all its links: the listener, the dialers, the shutdown.

use crate::half_open::HalfOpen;
use crate::remote::Remote;
use crate::{Identity, Link, LinkConfig, LinkError, Service, accept, dial, socket};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// How often a shutdown looks whether everything is done.
const DRAIN_POLL: Duration = Duration::from_millis(10);
/// How long a shutdown waits for the peers to close their ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// A running node: listens, dials, serves. Cheap to clone; runs until [`Node::shutdown`], even when all handles
/// are dropped.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
}

/// What the tasks of a node share.
pub(crate) struct Shared {
    identity: Mutex<Identity>,
    pub(crate) config: Arc<LinkConfig>,
    service: Arc<dyn Service>,
    /// Random number of this process, never 0.
    pub(crate) boot: u64,
    /// We send with BBR.
    pub(crate) bbr: bool,
    remotes: Mutex<HashMap<String, Arc<Remote>>>,
    local_addr: Option<SocketAddr>,
    /// Connections in their handshake.
    pub(crate) half_open: Arc<HalfOpen>,
    stop: watch::Sender<bool>,
    /// Each task holds a clone; gone when the shutdown begins.
    alive: Mutex<Option<mpsc::Sender<()>>>,
    /// Ends when the last task has.
    ended: Mutex<Option<mpsc::Receiver<()>>>,
}

impl Shared {
    /// The identity for a new connection.
    pub(crate) fn identity(&self) -> Identity {
        self.identity.lock().clone()
    }

    pub(crate) fn remote(&self, site: &str) -> Arc<Remote> {
        let mut remotes = self.remotes.lock();
        if let Some(remote) = remotes.get(site) {
            return remote.clone();
        }
        let remote = Remote::new(site, self.config.clone(), self.service.clone());
        if *self.stop.borrow() {
            remote.begin_close();
        }
        remotes.insert(site.to_owned(), remote.clone());
        remote
    }

    fn remotes(&self) -> Vec<Arc<Remote>> {
        self.remotes.lock().values().cloned().collect()
    }

    /// Resolves when the node is to stop.
    pub(crate) async fn stopped(&self) {
        // The sender lives in `self`: only the wanted value ends the wait.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    /// Runs a task that a shutdown waits for.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let Some(alive) = self.alive.lock().clone() else { return };
        tokio::spawn(async move {
            task.await;
            drop(alive);
        });
    }
}

impl Node {
    /// Binds the listener and begins to dial. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// `Config` for settings that cannot work or an address that cannot be bound.
    pub async fn start(
        identity: Identity,
        config: LinkConfig,
        service: Arc<dyn Service>,
    ) -> Result<Node, LinkError> {
        config.check(identity.site())?;
        let listener = match config.listen {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let local_addr = listener.as_ref().map(|(_, address)| *address);
        let (alive, ended) = mpsc::channel(1);
        let mut boot = [0; 8];
        getrandom::fill(&mut boot).map_err(|error| LinkError::Config(error.to_string()))?;
        let shared = Arc::new(Shared {
            identity: Mutex::new(identity),
            bbr: config.bbr && socket::bbr_available(),
            config: Arc::new(config),
            service,
            boot: u64::from_le_bytes(boot) | 1,
            remotes: Mutex::default(),
            local_addr,
            half_open: Arc::default(),
            stop: watch::Sender::new(false),
            alive: Mutex::new(Some(alive)),
            ended: Mutex::new(Some(ended)),
        });
        if let Some((listener, _)) = listener {
            shared.spawn(accept::listen(shared.clone(), listener));
        }
        dial::start(&shared);
        Ok(Node { shared })
    }

    /// The link to a site. Exists whether the site is up, down or unheard of.
    pub fn link(&self, site: &str) -> Link {
        Link::new(self.shared.remote(site))
    }

    /// Where the node listens, if it does.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.shared.local_addr
    }

    /// Uses another identity for connections made from now on (after `certs renew`). Connections that exist stay, except
    /// those of peers whose certificates are not good any more: of another authority, ended, or revoked.
    ///
    /// # Errors
    /// `Certificate` when it names another site.
    pub fn reload(&self, identity: Identity) -> Result<(), LinkError> {
        let mut current = self.shared.identity.lock();
        if identity.site() != current.site() {
            let (new, old) = (identity.site(), current.site());
            return Err(LinkError::Certificate(format!("is of site {new}; this node is {old}")));
        }
        *current = identity.clone();
        drop(current);
        self.shared.remotes().iter().for_each(|remote| remote.recheck(&identity));
        Ok(())
    }

    /// Stops dialing and accepting, tells the peers, lets calls in progress finish within `drain_timeout` and
    /// closes all connections. Calls made afterwards fail with `Closed`.
    pub async fn shutdown(&self) {
        let shared = &self.shared;
        shared.stop.send_replace(true);
        drop(shared.alive.lock().take());
        let remotes = shared.remotes();
        remotes.iter().for_each(|remote| remote.begin_close());
        let give_up = Instant::now() + shared.config.drain_timeout;
        while Instant::now() < give_up && !remotes.iter().all(|remote| remote.is_drained()) {
            tokio::time::sleep(DRAIN_POLL).await;
        }
        remotes.iter().for_each(|remote| remote.finish());
        let ended = shared.ended.lock().take();
        if let Some(mut ended) = ended {
            // Peers that do not close their ends in time are cut off.
            let _ = tokio::time::timeout(FAREWELL, ended.recv()).await;
            remotes.iter().for_each(|remote| remote.close());
            let _ = ended.recv().await;
        }
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), LinkError> {
    let failed = |error| LinkError::Config(format!("listen = {address}: {error}"));
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}
