//! A running node: volumes, link, mounts, SMB server. What is started when, and what is stopped when.
//!
//! Start: volumes that need no link; the link, which offers them to peers; volumes that lie at peers; mounts
//! (`mounts.rs`); the SMB server last, so that no client sees half of it. A volume whose origin was never reached comes later
//! (`places.rs`), and is mounted then. Stop: what is mounted is unmounted, the SMB server drains, then the caches write their index, then the link ends; alerts go
//! last, those that are not sent yet. A step
//! that fails undoes nothing by itself: the process ends.

mod alarms;
mod control;
mod mounts;
mod places;
mod status;

use crate::config::{Config, ShareEncryption, ShareSettings, VolumeSettings};
use crate::failure::Failure;
use crate::stack::{self, Peers};
use crate::users::UserTable;
use front_peer::{PeerLimits, PeerServer};
use link::{LinkConfig, certs};
use origin_peer::Inbox;
use places::Place;
use rustix::fs::FlockOperation;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use volume::{Cx, Priority, VPath};

/// How long a volume may take to answer at the start before the node starts without it.
const FIRST_LOOK_PATIENCE: Duration = Duration::from_secs(5);
/// How long alerts that are not sent yet have at the end.
const LAST_ALERTS_PATIENCE: Duration = Duration::from_secs(5);

/// How long the end of the node waits for mirrors to get what they lack. It is in the log, and goes there after the next start.
const MIRRORS_PATIENCE: Duration = Duration::from_secs(10);

/// A running node.
pub struct Node {
    /// Where the configuration came from; `None` for `farshare try`.
    file: Option<PathBuf>,
    /// In force now.
    config: Mutex<Config>,
    started: Instant,
    volumes: Vec<Arc<Place>>,
    link: Option<Linked>,
    mounts: Vec<Arc<mounts::MountPlace>>,
    smb: Option<front_smb::Server>,
    /// That there is an SMB server here.
    announcement: Mutex<Option<front_smb::Announcement>>,
    /// Those who wait for an origin that was never reached.
    late: Mutex<JoinSet<()>>,
    /// Tells people of serious errors.
    alerts: Option<Arc<alerts::Alerts>>,
    stop: watch::Sender<bool>,
    /// Held as long as the node lives: one process per state directory.
    _lock: File,
}

/// The link, and what is offered over it.
struct Linked {
    peers: Peers,
    server: Arc<PeerServer>,
}

/// In the state directory: opens that survive a restart.
const OPENS: &str = "smb-opens.db";

impl Node {
    /// Starts everything that `config` names. `file` is read again by [`Node::reload`].
    pub async fn start(config: Config, file: Option<PathBuf>) -> Result<Arc<Node>, Failure> {
        let lock = lock_state(&config.state)?;
        let users = UserTable::open(&config.state).map_err(Failure::usage)?;
        let alerts = config.alerts.as_ref().map(|alerts| Arc::new(alerts.start(&config.name)));
        let mounts = mounts::planned(&config.mounts)?;
        let here = config.volumes.iter().filter(|volume| !volume.needs_link());
        let mut volumes = places::fill(here, None, &config.state).await?;
        let link = start_link(&config, &volumes).await?;
        let peers = link.as_ref().map(|link| &link.peers);
        let elsewhere = config.volumes.iter().filter(|volume| volume.needs_link());
        volumes.extend(places::fill(elsewhere, peers, &config.state).await?);
        volumes.sort_by(|a, b| a.name().cmp(b.name()));
        if let Some(link) = &link {
            link.server.offer(places::offers(&config, &volumes));
        }
        first_look(&volumes).await;
        mounts::mount(&mounts, &volumes).await?;
        let (mut smb, mut announcement) = (None, None);
        if let Some(settings) = &config.smb {
            let mut server = stack::smb_config(settings, server_guid(&config.state)?, Arc::new(users))?;
            if settings.shares.iter().any(|share| share.continuously_available) {
                let records = front_smb::OpenRecords::open(&config.state.join(OPENS));
                server.records = Some(records.map_err(Failure::failed)?);
            }
            let shares = shares(&volumes, &settings.shares);
            let disks = settings.shares.iter().filter(|share| share.time_machine);
            let announced = front_smb::Announced {
                server_name: server.server_name.clone(),
                server_guid: server.server_guid,
                mdns: settings.mdns,
                ws: settings.ws_discovery,
                disks: disks.map(|share| share.name.clone()).collect(),
            };
            let server = front_smb::Server::start(server, shares)
                .await
                .map_err(|cause| Failure::failed(format_args!("SMB: {cause}")))?;
            announcement = Some(front_smb::Announcement::start(&announced, server.local_addrs()));
            smb = Some(server);
        }
        let announcement = Mutex::new(announcement);
        let config = Mutex::new(config);
        let (stop, _) = watch::channel(false);
        let started = Instant::now();
        let late = Mutex::default();
        let node = Arc::new(Node {
            file,
            config,
            started,
            volumes,
            link,
            mounts,
            smb,
            announcement,
            late,
            alerts,
            stop,
            _lock: lock,
        });
        node.wait_for_origins();
        let looking = alarms::look_at_mirrors(Arc::downgrade(&node));
        node.late.lock().unwrap_or_else(PoisonError::into_inner).spawn(looking);
        Ok(node)
    }

    /// Where SMB is served, with the ports that were given for port 0.
    pub fn smb_addresses(&self) -> Vec<SocketAddr> {
        self.smb.iter().flat_map(|smb| smb.local_addrs().to_vec()).collect()
    }

    /// Where peers dial in.
    pub fn link_address(&self) -> Option<SocketAddr> {
        self.link.as_ref().and_then(|link| link.peers.node.local_addr())
    }

    /// Waits until `peer` is connected, at most `patience`; says why it is not.
    pub async fn wait_for_peer(&self, peer: &str, patience: Duration) -> Result<(), String> {
        let Some(link) = &self.link else { return Err("this node has no link".into()) };
        let mut state = link.peers.node.link(peer).state();
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
        let mut late = std::mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner));
        late.shutdown().await;
        mounts::unmount(&self.mounts).await;
        let announcement = self.announcement.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(announcement) = announcement {
            announcement.end().await;
        }
        if let Some(smb) = &self.smb
            && !smb.shutdown().await
        {
            tracing::warn!("SMB: requests were cut off that did not end in time");
        }
        for volume in &self.volumes {
            if let Some(cache) = volume.served.get().and_then(|served| served.stack.cache.as_ref())
                && let Err(cause) = cache.shut_down().await
            {
                tracing::warn!(volume = volume.name(), %cause, "the cache's index is not up to date");
            }
        }
        let mirrors = self.volumes.iter().filter_map(|volume| volume.served.get()?.stack.mirrors.clone());
        let mut ending: JoinSet<()> = JoinSet::new();
        mirrors
            .for_each(|mirrors| drop(ending.spawn(async move { mirrors.shut_down(MIRRORS_PATIENCE).await })));
        ending.join_all().await;
        if let Some(link) = &self.link {
            link.peers.node.shutdown().await;
        }
        if let Some(alerts) = &self.alerts {
            alerts.shut_down(LAST_ALERTS_PATIENCE).await;
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
async fn start_link(config: &Config, volumes: &[Arc<Place>]) -> Result<Option<Linked>, Failure> {
    let Some(settings) = &config.link else { return Ok(None) };
    let identity = certs::load_site(&settings.certs, &config.name.0).map_err(Failure::usage)?;
    let server = PeerServer::new(places::offers(config, volumes), PeerLimits::default());
    let inbox = Inbox::around(server.clone());
    let link = LinkConfig {
        listen: settings.listen,
        dial: settings.dial.iter().map(|dial| (dial.peer.0.clone(), dial.address.clone())).collect(),
        connections: settings.connections,
        bbr: settings.bbr,
        ..LinkConfig::default()
    };
    let node = link::Node::start(identity, link, inbox.clone()).await.map_err(Failure::failed)?;
    Ok(Some(Linked { peers: Peers { node, inbox }, server }))
}

/// Asks each volume for its root, so that a log tells at the start what is out of reach. A far origin may be down
/// for now: that is no reason not to start.
async fn first_look(volumes: &[Arc<Place>]) {
    let mut looks = JoinSet::new();
    for volume in volumes {
        let Some(served) = volume.served.get() else { continue };
        let (top, name) = (served.stack.top.clone(), volume.name().to_owned());
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

/// The shares, each on the `Vfs` of its volume. One whose volume is not served yet is left out.
fn shares(volumes: &[Arc<Place>], settings: &[ShareSettings]) -> Vec<front_smb::Share> {
    let with_volume = settings.iter().filter_map(|share| {
        let place = volumes.iter().find(|place| place.name() == share.volume)?;
        Some((share, place.served.get()?))
    });
    let share = |(share, served): (&ShareSettings, &places::Served)| front_smb::Share {
        comment: share.comment.clone(),
        read_only: share.read_only,
        users: front_smb::People::new(&share.users),
        guests: share.guests,
        hidden: share.hidden,
        hide_unreadable: share.hide_unreadable,
        continuously_available: share.continuously_available,
        encrypt: share.encrypt == ShareEncryption::Required,
        compress: share.compress,
        veto: front_smb::Veto::new(share.veto.iter().map(String::as_str)),
        symlinks: share.symlinks,
        snapshots: share.snapshots.clone(),
        ..front_smb::Share::new(share.name.clone(), served.vfs.clone())
    };
    with_volume.map(share).collect()
}

impl front_smb::Users for UserTable {
    fn nt_hash(&self, user: &str, _domain: &str) -> Option<smb_core::ntlm::NtHash> {
        UserTable::nt_hash(self, user)
    }

    fn number(&self, user: &str) -> Option<u32> {
        UserTable::number(self, user)
    }

    fn are_known(&self) -> bool {
        UserTable::is_readable(self)
    }

    fn all(&self) -> Arc<[front_smb::KnownUser]> {
        UserTable::all(self)
    }
}
