//! The ways to mirrors: what stands in the configuration, as `layer-mirror` wants it.

use crate::acquainted::{ToFileServer, ToPeer, Way};
use crate::config::{MirrorSettings, MirrorTo, Origin};
use crate::stack::Peers;
use async_trait::async_trait;
use layer_mirror::{Reach, Target};
use origin_local::{LocalConfig, LocalVolume};
use origin_peer::PeerVolume;
use origin_sftp::{SftpConfig, SftpVolume};
use origin_smb::{SmbConfig, Watching};
use std::path::PathBuf;
use std::sync::Arc;
use volume::{Error, ErrorKind, Result, Volume};

/// The target of a mirror. `peers` is needed for `peer://`.
pub fn target(settings: &MirrorSettings, peers: Option<&Peers>) -> Result<Target> {
    let way: Arc<dyn Reach> = match &settings.to {
        MirrorTo::Sftp { user, host, port, root } => {
            let config = SftpConfig {
                port: *port,
                key: settings.key.clone(),
                agent: settings.agent,
                redial: false,
                ..SftpConfig::new(host, user, root, &settings.known_hosts)
            };
            Arc::new(ToSftp { config, settings: settings.clone() })
        }
        MirrorTo::Volume(Origin::File { root }) => Arc::new(ToDisk(root.clone())),
        MirrorTo::Volume(Origin::Peer { peer, volume }) => {
            let peers = peers.ok_or_else(|| missing("a peer:// mirror needs a [link] section"))?;
            let inner = PeerVolume::new(peers.node.link(&peer.0), volume, peers.inbox.clone())?;
            Arc::new(By(ToPeer(inner)))
        }
        MirrorTo::Volume(Origin::Smb { host, port, share, below }) => {
            let login = settings.login.clone();
            let login = login.ok_or_else(|| missing("an smb:// mirror needs `user` and `password`"))?;
            let config = SmbConfig {
                domain: login.domain.clone(),
                watch: Watching::Off,
                subdir: (!below.is_empty()).then(|| below.clone()),
                ..SmbConfig::new(format!("{host}:{port}"), share, &login.user, "")
            };
            Arc::new(By(ToFileServer { config, login }))
        }
    };
    let in_order = matches!(settings.to, MirrorTo::Sftp { .. });
    Ok(Target { name: settings.name.clone(), to: settings.to.to_string(), way, in_order })
}

fn missing(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidArgument, "configure", what)
}

/// As an origin is reached; from then on it finds its own way there.
struct By<W>(W);

#[async_trait]
impl<W: Way> Reach for By<W> {
    async fn reach(&self) -> Result<Arc<dyn Volume>> {
        self.0.reach().await
    }
}

/// Another directory of this machine. A disk that is not mounted is no empty mirror.
struct ToDisk(PathBuf);

#[async_trait]
impl Reach for ToDisk {
    async fn reach(&self) -> Result<Arc<dyn Volume>> {
        let config = LocalConfig { posix: true, watch: false, ..LocalConfig::default() };
        let volume = LocalVolume::open(&self.0, config)?;
        Ok(volume)
    }
}

struct ToSftp {
    /// Without the password, which is read anew for each attempt.
    config: SftpConfig,
    settings: MirrorSettings,
}

#[async_trait]
impl Reach for ToSftp {
    async fn reach(&self) -> Result<Arc<dyn Volume>> {
        let mut config = self.config.clone();
        if let Some(secret) = &self.settings.password {
            let password = secret.read().map_err(|why| {
                Error::new(ErrorKind::PermissionDenied, "connect", &self.settings.to).because(why)
            })?;
            config.password = Some(origin_sftp::Password::from(password.to_string()));
        }
        let volume = SftpVolume::new(config);
        volume.connect().await?;
        Ok(Arc::new(volume))
    }
}
