//! The order of layers: the one place that knows it.
//!
//! ```text
//! front ends        SMB and mounts through one Vfs; peers through PeerServer
//!   cache           nearest to the readers: what is here already asks nobody
//!     mirrors       at file:// alone: what was refused below goes nowhere
//!       quota       of users, at file:// alone: beside the origin, so that all ways to it count
//!         origin    file://, smb://, peer://
//! ```
//!
//! Peers are served the top of the same stack, so that they and the SMB clients of this node see one state.

use crate::acquainted::{Acquainted, Memory, ToFileServer, ToPeer};
use crate::config::{
    CacheSettings, Dialect, Encryption, KerberosSettings, MirrorsSettings, Origin, QuicSettings, Signing,
    SmbSettings, VolumeSettings, Watch,
};
use crate::failure::Failure;
use crate::users::UserTable;
use layer_cache::{CacheConfig, CacheVolume};
use layer_mirror::{MirrorConfig, Mirrors};
use layer_quota::{QuotaConfig, QuotaVolume};
use origin_local::{LocalConfig, LocalVolume};
use origin_peer::{Inbox, PeerVolume};
use origin_smb::{SmbConfig, Watching};
use std::fmt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use volume::{ErrorKind, Volume};

/// A volume with all its layers.
pub struct Stack {
    /// What front ends use.
    pub top: Arc<dyn Volume>,
    pub cache: Option<Arc<CacheVolume>>,
    /// Who has how much, where that is counted here.
    pub quotas: Option<Arc<QuotaVolume>>,
    /// Where its changes go.
    pub mirrors: Option<Arc<Mirrors>>,
    /// The origin, at `file://`.
    local: Option<Arc<LocalVolume>>,
}

impl Stack {
    /// What peers are served. From now on what this process changes may be their doing.
    pub fn for_peers(&self) -> Arc<dyn Volume> {
        self.local.iter().for_each(|local| local.share());
        self.top.clone()
    }
}

/// The way to volumes of other nodes.
#[derive(Clone)]
pub struct Peers {
    pub node: link::Node,
    /// The service of `node`.
    pub inbox: Arc<Inbox>,
}

/// Why a volume cannot be served.
#[derive(Debug)]
pub enum Trouble {
    /// Its origin lies elsewhere and was not reached, or refuses us. That may change without us.
    Unreached(volume::Error),
    /// Waiting mends nothing.
    Wrong(volume::Error),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Unreached(cause) | Trouble::Wrong(cause) => cause.fmt(f),
        }
    }
}

impl std::error::Error for Trouble {}

impl Trouble {
    /// Of a volume, as the end of the program.
    pub fn of(self, settings: &VolumeSettings) -> Failure {
        Failure::failed(format_args!("volume {} ({}): {self}", settings.name, settings.origin))
    }
}

/// Builds a volume. `peers` is needed for `peer://`. `state` is the directory of what the node remembers.
pub async fn build(settings: &VolumeSettings, peers: Option<&Peers>, state: &Path) -> Result<Stack, Trouble> {
    let local = match &settings.origin {
        Origin::File { root } => Some(local(settings, root)?),
        Origin::Peer { .. } | Origin::Smb { .. } => None,
    };
    let quotas = match &local {
        Some(local) if settings.user_quotas => Some(counted(local.clone(), settings, state).await?),
        Some(_) | None => None,
    };
    let origin: Arc<dyn Volume> = match (&quotas, &local) {
        (Some(counted), _) => counted.clone(),
        (None, Some(local)) => local.clone(),
        (None, None) => origin(settings, peers, Some(state)).await?,
    };
    let (origin, mirrors) = match &settings.mirrors {
        Some(wanted) => {
            let (recorded, mirrors) = mirrored(origin, settings, wanted, peers, state).await?;
            (recorded, Some(mirrors))
        }
        None => (origin, None),
    };
    let Some(cache) = &settings.cache else {
        return Ok(Stack { top: origin, cache: None, quotas, mirrors, local });
    };
    let config = cache_config(cache, &settings.origin);
    let cache = CacheVolume::open(origin, config).await.map_err(Trouble::Wrong)?;
    Ok(Stack { top: cache.clone(), cache: Some(cache), quotas, mirrors, local })
}

fn local(settings: &VolumeSettings, root: &Path) -> Result<Arc<LocalVolume>, Trouble> {
    let (sync_changes, sole) = (settings.sync_changes, settings.alone);
    // What a mirror is to have, it must see.
    let posix = settings.mounted || settings.mirrors.is_some();
    LocalVolume::open(root, LocalConfig { sync_changes, sole, posix, ..LocalConfig::default() })
        .map_err(Trouble::Wrong)
}

/// A volume whose changes go to mirrors. The log of changes lies in `state`.
async fn mirrored(
    origin: Arc<dyn Volume>,
    settings: &VolumeSettings,
    wanted: &MirrorsSettings,
    peers: Option<&Peers>,
    state: &Path,
) -> Result<(Arc<dyn Volume>, Arc<Mirrors>), Trouble> {
    let targets: volume::Result<_> =
        wanted.mirrors.iter().map(|mirror| crate::mirrors::target(mirror, peers)).collect();
    let config =
        MirrorConfig { dir: state.join("mirrors").join(&settings.name), log_max_bytes: wanted.log.0 };
    let targets = targets.map_err(Trouble::Wrong)?;
    Mirrors::open(origin, config, targets).await.map_err(Trouble::Wrong)
}

/// A local tree with quotas of users, whose limits lie in `state`.
async fn counted(
    local: Arc<LocalVolume>,
    settings: &VolumeSettings,
    state: &Path,
) -> Result<Arc<QuotaVolume>, Trouble> {
    let dir = state.join("quotas");
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    made.map_err(|cause| {
        Trouble::Wrong(volume::Error::new(ErrorKind::Io, "make", dir.display()).because(cause))
    })?;
    let config = QuotaConfig::new(dir.join(format!("{}.json", settings.name)));
    QuotaVolume::open(local, config).await.map_err(Trouble::Wrong)
}

/// The origin alone. `state` is the directory where abilities of far volumes are remembered; without it nothing is.
pub async fn origin(
    settings: &VolumeSettings,
    peers: Option<&Peers>,
    state: Option<&Path>,
) -> Result<Arc<dyn Volume>, Trouble> {
    let missing = |what| Trouble::Wrong(volume::Error::new(ErrorKind::InvalidArgument, "configure", what));
    let memory = || state.map(|state| Memory::of(state, &settings.name, &settings.origin.to_string()));
    match &settings.origin {
        Origin::File { root } => Ok(local(settings, root)?),
        Origin::Peer { peer, volume } => {
            let peers = peers.ok_or_else(|| missing("a peer:// origin needs a [link] section"))?;
            let inner = PeerVolume::new(peers.node.link(&peer.0), volume, peers.inbox.clone());
            let way = ToPeer(inner.map_err(Trouble::Wrong)?);
            Ok(Acquainted::meet(way, memory()).await.map_err(Trouble::Unreached)?)
        }
        Origin::Smb { host, port, share, below } => {
            let login = settings.login.as_ref();
            let login = login.ok_or_else(|| missing("an smb:// origin needs `user` and `password`"))?.clone();
            let config = SmbConfig {
                domain: login.domain.clone(),
                watch: match settings.watch {
                    Watch::Hints => Watching::Hints,
                    Watch::Trusted => Watching::Trusted,
                    Watch::Off => Watching::Off,
                },
                subdir: (!below.is_empty()).then(|| below.clone()),
                ..SmbConfig::new(format!("{host}:{port}"), share, &login.user, "")
            };
            let way = ToFileServer { config, login };
            Ok(Acquainted::meet(way, memory()).await.map_err(Trouble::Unreached)?)
        }
    }
}

fn cache_config(settings: &CacheSettings, origin: &Origin) -> CacheConfig {
    CacheConfig {
        size: settings.size.0,
        poll_every: settings.poll,
        patience: settings.patience,
        read_ahead_max: settings.read_ahead.0,
        ..CacheConfig::new(settings.directory.clone(), origin.to_string())
    }
}

/// The SMB server's settings.
pub fn smb_config(
    settings: &SmbSettings,
    server_guid: [u8; 16],
    users: Arc<UserTable>,
) -> Result<front_smb::ServerConfig, Failure> {
    let quic = |quic: &QuicSettings| {
        let certificate = quic.load().map_err(Failure::usage)?;
        Ok::<_, Failure>(front_smb::QuicConfig { listen: quic.listen.clone(), certificate })
    };
    let kerberos = |kerberos: &KerberosSettings| {
        let keytab = kerberos.load().map_err(Failure::usage)?;
        Ok::<_, Failure>(front_smb::KerberosConfig { keytab, realms: kerberos.realms.clone() })
    };
    Ok(front_smb::ServerConfig {
        quic: settings.quic.as_ref().map(quic).transpose()?,
        server_name: settings.server_name.clone(),
        server_guid,
        min_dialect: dialect(settings.min_dialect),
        max_dialect: dialect(settings.max_dialect),
        signing: match settings.signing {
            Signing::Enabled => front_smb::Signing::Enabled,
            Signing::Required => front_smb::Signing::Required,
        },
        encryption: match settings.encryption {
            Encryption::Accepted => front_smb::Encryption::Accepted,
            Encryption::Desired => front_smb::Encryption::Desired,
            Encryption::Required => front_smb::Encryption::Required,
        },
        signing_algorithms: settings.signing_algorithms.clone(),
        ciphers: settings.ciphers.clone(),
        multichannel: settings.multichannel,
        compression: settings.compression,
        protocol_tests: settings.protocol_tests,
        interfaces: settings.interfaces.clone(),
        sid: settings.sid.clone(),
        administrators: front_smb::People::new(&settings.administrators),
        ntlm: settings.ntlm,
        anonymous: settings.anonymous,
        kerberos: settings.kerberos.as_ref().map(kerberos).transpose()?,
        groups: settings.groups.clone(),
        ..front_smb::ServerConfig::new(settings.listen.clone(), users)
    })
}

fn dialect(dialect: Dialect) -> smb_wire::negotiate::Dialect {
    use smb_wire::negotiate::Dialect as Wire;
    match dialect {
        Dialect::Smb202 => Wire::SMB_2_0_2,
        Dialect::Smb210 => Wire::SMB_2_1,
        Dialect::Smb300 => Wire::SMB_3_0,
        Dialect::Smb302 => Wire::SMB_3_0_2,
        Dialect::Smb311 => Wire::SMB_3_1_1,
    }
}
