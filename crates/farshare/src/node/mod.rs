//! A running node: volumes, link, SMB server. What is started when, and what is stopped when.
//!
//! Start: volumes that need no link; the link, which offers them to peers; volumes that lie at peers; the SMB
//! server last, so that no client sees half of it. Stop: the SMB server drains first, then the caches write their
//! index, then the link ends. A step that fails undoes nothing by itself: the process ends.

mod control;
mod status;

use crate::config::{Config, ShareSettings, VolumeSettings};
use crate::failure::Failure;
use crate::stack::{self, Peers, Stack};
use crate::users::UserTable;
use front_peer::{Offered, PeerLimits, PeerServer};
use link::{LinkConfig, certs};
use origin_peer::Inbox;
use rustix::fs::FlockOperation;
use std::collections::{BTreeSet, HashMap};
use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use vfs::{Vfs, VfsConfig};
use volume::{Cx, Priority, VPath};

/// How long a volume may take to answer at the start before the node starts without it.
const FIRST_LOOK_PATIENCE: Duration = Duration::from_secs(5);

/// A running node.
pub struct Node {
    /// Where the configuration came from; `None` for `farshare try`.
    file: Option<PathBuf>,
    /// In force now.
    config: Mutex<Config>,
    started: Instant,
    volumes: Vec<Served>,
    link: Option<link::Node>,
    smb: Option<front_smb::Server>,
    stop: watch::Sender<bool>,
    /// Held as long as the node lives: one process per state directory.
    _lock: File,
}

/// A volume with its layers.
struct Served {
    settings: VolumeSettings,
    stack: Stack,
    vfs: Vfs,
}

impl Served {
    fn new(settings: &VolumeSettings, stack: Stack) -> Served {
        let list_ahead = if stack.cache.is_some() { layer_cache::LIST_AHEAD_ENTRIES } else { 0 };
        let config = VfsConfig { list_ahead, ..VfsConfig::default() };
        Served { settings: settings.clone(), vfs: Vfs::new(stack.top.clone(), config), stack }
    }
}

impl Node {
    /// Starts everything that `config` names. `file` is read again by [`Node::reload`].
    pub async fn start(config: Config, file: Option<PathBuf>) -> Result<Arc<Node>, Failure> {
        let lock = lock_state(&config.state)?;
        let users = UserTable::open(&config.state).map_err(Failure::usage)?;
        let mut volumes = Vec::with_capacity(config.volumes.len());
        for settings in config.volumes.iter().filter(|volume| !volume.is_remote()) {
            volumes.push(Served::new(settings, stack::build(settings, None).await?));
        }
        let peers = start_link(&config, &volumes).await?;
        for settings in config.volumes.iter().filter(|volume| volume.is_remote()) {
            volumes.push(Served::new(settings, stack::build(settings, peers.as_ref()).await?));
        }
        let link = peers.map(|peers| peers.node);
        first_look(&volumes).await;
        let mut smb = None;
        if let Some(settings) = &config.smb {
            let server = stack::smb_config(settings, server_guid(&config.state)?, Arc::new(users));
            let shares = shares(&volumes, &settings.shares);
            smb = Some(
                front_smb::Server::start(server, shares)
                    .await
                    .map_err(|cause| Failure::failed(format_args!("SMB: {cause}")))?,
            );
        }
        let config = Mutex::new(config);
        let (stop, _) = watch::channel(false);
        let started = Instant::now();
        Ok(Arc::new(Node { file, config, started, volumes, link, smb, stop, _lock: lock }))
    }

    /// Where SMB is served, with the ports that were given for port 0.
    pub fn smb_addresses(&self) -> Vec<SocketAddr> {
        self.smb.iter().flat_map(|smb| smb.local_addrs().to_vec()).collect()
    }

    /// Where peers dial in.
    pub fn link_address(&self) -> Option<SocketAddr> {
        self.link.as_ref().and_then(link::Node::local_addr)
    }

    /// Waits until `peer` is connected, at most `patience`; says why it is not.
    pub async fn wait_for_peer(&self, peer: &str, patience: Duration) -> Result<(), String> {
        let Some(node) = &self.link else { return Err("this node has no link".into()) };
        let mut state = node.link(peer).state();
        let up = tokio::time::timeout(patience, state.wait_for(link::LinkState::is_up)).await.is_ok();
        match (up, &*state.borrow()) {
            (false, link::LinkState::Down { why, .. }) => Err(why.clone()),
            _ => Ok(()),
        }
    }

    /// Resolves once somebody asked for the end over the admin interface.
    pub async fn asked_to_stop(&self) {
        // The sender lives in this node, so waiting can only end well.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    /// Lets work under way end and stops. The node is of no use afterwards.
    pub async fn shutdown(&self) {
        if let Some(smb) = &self.smb
            && !smb.shutdown().await
        {
            tracing::warn!("SMB: requests were cut off that did not end in time");
        }
        for volume in &self.volumes {
            if let Some(cache) = &volume.stack.cache
                && let Err(cause) = cache.shut_down().await
            {
                tracing::warn!(volume = volume.settings.name, %cause, "the cache's index is not up to date");
            }
        }
        if let Some(link) = &self.link {
            link.shutdown().await;
        }
    }

    fn config(&self) -> Config {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The nodes that this one knows by name.
    fn peers(&self) -> BTreeSet<String> {
        let config = self.config();
        let dialed = config.link.iter().flat_map(|link| &link.dial).map(|dial| dial.peer.0.clone());
        let volumes = config.volumes.iter();
        dialed.chain(volumes.flat_map(VolumeSettings::peers)).collect()
    }
}

/// The state directory, made if need be, for this process alone.
fn lock_state(state: &Path) -> Result<File, Failure> {
    let failed = |cause: std::io::Error| Failure::failed(format_args!("{}: {cause}", state.display()));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state).map_err(failed)?;
    let mut how = OpenOptions::new();
    how.write(true).create(true).truncate(false).mode(0o600);
    let lock = how.open(state.join("lock")).map_err(failed)?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mend = "stop it, or give this node a state directory of its own";
            Err(Failure::failed(format_args!("{}: another farshare runs here; {mend}", state.display())))
        }
        Err(cause) => Err(failed(cause.into())),
    }
}

/// A number that clients know the server by, the same on every start (MS-SMB2 2.2.4, ServerGuid).
fn server_guid(state: &Path) -> Result<[u8; 16], Failure> {
    let path = state.join("server-guid");
    let failed = |cause: std::io::Error| Failure::failed(format_args!("{}: {cause}", path.display()));
    match std::fs::read(&path) {
        Ok(bytes) => bytes.try_into().map_err(|_| {
            Failure::failed(format_args!("{}: not 16 bytes; remove it to get a new one", path.display()))
        }),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            let mut guid = [0; 16];
            getrandom::fill(&mut guid).map_err(Failure::failed)?;
            let mut file = tempfile::NamedTempFile::new_in(state).map_err(failed)?;
            std::io::Write::write_all(&mut file, &guid).map_err(failed)?;
            file.as_file().sync_all().map_err(failed)?;
            file.persist(&path).map_err(|cause| failed(cause.error))?;
            Ok(guid)
        }
        Err(cause) => Err(failed(cause)),
    }
}

/// Certificates first: nothing listens before they are known to be good.
async fn start_link(config: &Config, volumes: &[Served]) -> Result<Option<Peers>, Failure> {
    let Some(settings) = &config.link else { return Ok(None) };
    let identity = certs::load_site(&settings.certs, &config.name.0).map_err(Failure::usage)?;
    let offered = volumes.iter().filter(|volume| !volume.settings.allow.is_empty()).map(|volume| {
        let allow = volume.settings.allow.iter().map(|peer| peer.0.clone()).collect();
        (volume.settings.name.clone(), Offered { volume: volume.stack.top.clone(), allow })
    });
    let server = PeerServer::new(offered.collect::<HashMap<_, _>>(), PeerLimits::default());
    let inbox = Inbox::around(server);
    let link = LinkConfig {
        listen: settings.listen,
        dial: settings.dial.iter().map(|dial| (dial.peer.0.clone(), dial.address.clone())).collect(),
        connections: settings.connections,
        bbr: settings.bbr,
        ..LinkConfig::default()
    };
    let node = link::Node::start(identity, link, inbox.clone()).await.map_err(Failure::failed)?;
    Ok(Some(Peers { node, inbox, state: Some(config.state.clone()) }))
}

/// Asks each volume for its root, so that a log tells at the start what is out of reach. A far origin may be down
/// for now: that is no reason not to start.
async fn first_look(volumes: &[Served]) {
    let mut looks = JoinSet::new();
    for volume in volumes {
        let (top, name) = (volume.stack.top.clone(), volume.settings.name.clone());
        let origin = volume.settings.origin.to_string();
        looks.spawn(async move {
            let cx = Cx::system(Priority::Interactive).within(FIRST_LOOK_PATIENCE);
            match top.stat(&cx, &VPath::root()).await {
                Ok(_) => tracing::info!(volume = name, origin, "ready"),
                Err(cause) => tracing::warn!(volume = name, origin, %cause, "out of reach for now"),
            }
        });
    }
    looks.join_all().await;
}

/// The shares, each on the `Vfs` of its volume.
fn shares(volumes: &[Served], settings: &[ShareSettings]) -> Vec<front_smb::Share> {
    let with_volume = settings.iter().filter_map(|share| {
        let served = volumes.iter().find(|served| served.settings.name == share.volume)?;
        Some((share, served))
    });
    let share = |(share, served): (&ShareSettings, &Served)| front_smb::Share {
        comment: share.comment.clone(),
        read_only: share.read_only,
        users: share.users.clone(),
        hidden: share.hidden,
        ..front_smb::Share::new(share.name.clone(), served.vfs.clone())
    };
    with_volume.map(share).collect()
}

impl front_smb::Users for UserTable {
    fn nt_hash(&self, user: &str, _domain: &str) -> Option<smb_core::ntlm::NtHash> {
        UserTable::nt_hash(self, user)
    }
}
