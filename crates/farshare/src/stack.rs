//! The order of layers: the one place that knows it.
//!
//! ```text
//! front ends        SMB through a Vfs; peers through PeerServer
//!   cache           nearest to the readers: what is here already asks nobody
//!     origin        file://, smb://, peer://
//! ```
//!
//! Peers are served the top of the same stack, so that they and the SMB clients of this node see one state.

use crate::acquainted::Acquainted;
use crate::config::{CacheSettings, Dialect, Encryption, Origin, Signing, SmbSettings, VolumeSettings};
use crate::failure::Failure;
use crate::users::UserTable;
use layer_cache::{CacheConfig, CacheVolume};
use origin_local::{LocalConfig, LocalVolume};
use origin_peer::{Inbox, PeerVolume};
use origin_smb::{Password, SmbConfig, SmbVolume};
use std::path::PathBuf;
use std::sync::Arc;
use volume::Volume;

/// A volume with all its layers.
pub struct Stack {
    /// What front ends use.
    pub top: Arc<dyn Volume>,
    pub cache: Option<Arc<CacheVolume>>,
}

/// The way to volumes of other nodes.
#[derive(Clone)]
pub struct Peers {
    pub node: link::Node,
    /// The service of `node`.
    pub inbox: Arc<Inbox>,
    /// The state directory, where what peers can do is remembered; `None` remembers nothing.
    pub state: Option<PathBuf>,
}

/// Builds a volume. `peers` is needed for `peer://`.
pub async fn build(settings: &VolumeSettings, peers: Option<&Peers>) -> Result<Stack, Failure> {
    let named = |cause: &dyn std::fmt::Display| {
        Failure::failed(format_args!("volume {} ({}): {cause}", settings.name, settings.origin))
    };
    let origin = origin(settings, peers).await.map_err(|cause| named(&cause))?;
    let Some(cache) = &settings.cache else { return Ok(Stack { top: origin, cache: None }) };
    let config = cache_config(cache, &settings.origin);
    let cache = CacheVolume::open(origin, config).await.map_err(|cause| named(&cause))?;
    Ok(Stack { top: cache.clone(), cache: Some(cache) })
}

/// The origin alone.
pub async fn origin(
    settings: &VolumeSettings,
    peers: Option<&Peers>,
) -> Result<Arc<dyn Volume>, Box<dyn std::error::Error + Send + Sync>> {
    match &settings.origin {
        Origin::File { root } => Ok(LocalVolume::open(root, LocalConfig::default())?),
        Origin::Peer { peer, volume } => {
            let peers = peers.ok_or("a peer:// origin needs a [link] section")?;
            let inner = PeerVolume::new(peers.node.link(&peer.0), volume, peers.inbox.clone())?;
            let origin = settings.origin.to_string();
            match &peers.state {
                Some(state) => Ok(Acquainted::remembered(inner, state, &settings.name, &origin).await?),
                None => Ok(Acquainted::new(inner).await?),
            }
        }
        Origin::Smb { host, port, share, below } => {
            let login = settings.login.as_ref().ok_or("an smb:// origin needs `user` and `password`")?;
            let password = Password::from(login.password.read()?.as_str());
            let config = SmbConfig {
                domain: login.domain.clone(),
                subdir: (!below.is_empty()).then(|| below.clone()),
                ..SmbConfig::new(format!("{host}:{port}"), share, &login.user, password)
            };
            Ok(SmbVolume::connect(config).await?)
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
) -> front_smb::ServerConfig {
    front_smb::ServerConfig {
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
        ..front_smb::ServerConfig::new(settings.listen.clone(), users)
    }
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
