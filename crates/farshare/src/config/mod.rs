//! The configuration: one TOML file, read whole and checked before anything starts.
//!
//! `raw.rs` is what may be written, `settle.rs` what it means together; the types here are the outcome. They hold
//! no secrets, only the files in which those lie, so they can be compared (reload) and printed.

mod account;
mod alert;
mod algorithm;
mod alone;
mod error;
mod fuse;
mod interface;
mod kerberos;
mod mirror;
mod origin;
mod raw;
mod secret;
mod settle;
mod share;
#[cfg(test)]
mod tests;
mod value;

pub use account::check_account_name;
pub use alert::AlertSettings;
pub use error::ConfigError;
pub use fuse::MountSettings;
pub use kerberos::{KerberosSettings, Pac};
pub use mirror::{MirrorSettings, MirrorTo, MirrorsSettings};
pub use origin::Origin;
pub use secret::{SecretFile, read_private, read_secret};
pub use value::{Dial, NodeName, Size};

use serde::Deserialize;
use smb_core::algorithm::{Cipher, SigningAlgorithm};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

/// Where the configuration is looked for.
pub const DEFAULT_FILE: &str = "/etc/farshare/farshare.toml";
/// The cache's size when the file names none.
pub const CACHE_SIZE_DEFAULT: Size = Size(10 << 30);
/// Smallest cache that makes sense: a few files being read at once must fit.
pub const CACHE_SIZE_MIN: Size = Size(64 << 20);
/// What is read of a file with certificates, bytes.
const CERTIFICATE_MAX_BYTES: u64 = 256 * 1024;
/// Largest configuration file, bytes.
const FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// A node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    pub name: NodeName,
    /// Users, admin socket and whatever else must outlive the process.
    pub state: PathBuf,
    pub link: Option<LinkSettings>,
    pub volumes: Vec<VolumeSettings>,
    pub smb: Option<SmbSettings>,
    pub mounts: Vec<MountSettings>,
    pub admin: AdminSettings,
    /// Who is told of serious errors.
    pub alerts: Option<AlertSettings>,
}

/// `[link]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkSettings {
    pub listen: Option<SocketAddr>,
    pub dial: Vec<Dial>,
    pub certs: PathBuf,
    /// Bulk connections per dialed peer; 0 leaves it to the link.
    pub connections: usize,
    pub bbr: bool,
}

/// `[volume.NAME]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VolumeSettings {
    pub name: String,
    pub origin: Origin,
    /// For `smb://`.
    pub login: Option<Login>,
    /// How far an `smb://` server's notices are believed.
    pub watch: Watch,
    /// At `file://`: each change of a name is on the medium before it is acknowledged.
    pub sync_changes: bool,
    /// At `file://`: quotas of users are kept (`quota = { users = true }`).
    pub user_quotas: bool,
    /// At `file://`: this node changes what is below the root in no other way, as far as paths tell.
    pub alone: bool,
    /// This node mounts it.
    pub mounted: bool,
    /// Nodes that may use this volume over the link.
    pub allow: Vec<NodeName>,
    pub cache: Option<CacheSettings>,
    /// At `file://`: where its changes go.
    pub mirrors: Option<MirrorsSettings>,
}

/// `[volume.NAME] watch`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Watch {
    #[default]
    Hints,
    Trusted,
    Off,
}

/// Who we are at an origin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Login {
    pub user: String,
    pub domain: String,
    pub password: SecretFile,
}

/// `cache = { ... }`, unless `write = "off"`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CacheSettings {
    /// This volume's own directory: `path` and below it the volume's name.
    pub directory: PathBuf,
    pub size: Size,
    /// How long names are believed where the origin does not tell of changes.
    pub poll: Duration,
    /// How long a call waits for an origin that does not answer.
    pub patience: Duration,
    /// Largest read-ahead of one reader.
    pub read_ahead: Size,
}

/// `[smb]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SmbSettings {
    pub listen: Vec<SocketAddr>,
    pub server_name: String,
    pub signing: Signing,
    pub encryption: Encryption,
    /// For 3.1.1, preferred ones first.
    pub signing_algorithms: Vec<SigningAlgorithm>,
    /// For 3.1.1, preferred ones first; 3.0 and 3.0.2 have AES-128-CCM, if it is among them.
    pub ciphers: Vec<Cipher>,
    pub min_dialect: Dialect,
    pub max_dialect: Dialect,
    /// Whether one session may have several connections.
    pub multichannel: bool,
    /// FSCTLs of Samba's test suite are served, which people's servers have no use for.
    pub protocol_tests: bool,
    /// The interfaces told to clients for these; `None`: all that lead to other machines.
    pub interfaces: Option<Vec<front_smb::InterfaceChoice>>,
    /// Whether messages may be compressed.
    pub compression: bool,
    pub quic: Option<QuicSettings>,
    /// Log-in by password.
    pub ntlm: bool,
    /// Log-in without a name.
    pub anonymous: bool,
    /// Log-in by ticket.
    pub kerberos: Option<KerberosSettings>,
    /// Whether the server is announced by multicast DNS.
    pub mdns: bool,
    /// Whether it is announced by WS-Discovery.
    pub ws_discovery: bool,
    /// The domain of the users' security identifiers; `None`: made of the server's GUID.
    pub sid: Option<smb_wire::Sid>,
    /// Users who may take ownership of anything and open anything for backup, by name or SID.
    pub administrators: Vec<String>,
    /// `[groups]`
    pub groups: Vec<front_smb::Group>,
    pub shares: Vec<ShareSettings>,
}

/// `[smb.quic]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuicSettings {
    pub listen: Vec<SocketAddr>,
    /// PEM files: the chain, and the key of its first certificate.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// `[smb.share.NAME]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShareSettings {
    pub name: String,
    pub volume: String,
    pub comment: String,
    pub read_only: bool,
    pub hidden: bool,
    /// Listings leave out what the user may not read.
    pub hide_unreadable: bool,
    /// Opens survive a restart of the node, where clients ask for that.
    pub continuously_available: bool,
    pub symlinks: front_smb::Symlinks,
    /// Where previous versions lie.
    pub snapshots: Option<front_smb::SnapshotPattern>,
    /// Who may connect, by name or SID, members of `groups` among them; empty: whoever can log in.
    pub users: Vec<String>,
    /// Whether guests may connect besides.
    pub guests: bool,
    pub encrypt: ShareEncryption,
    /// Clients are told to have data compressed.
    pub compress: bool,
    /// Macs are told that they may back up there.
    pub time_machine: bool,
    /// Patterns of names that are not there.
    pub veto: Vec<String>,
}

/// `[admin]`
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AdminSettings {
    pub listen: Option<SocketAddr>,
    pub token: Option<SecretFile>,
}

/// `[smb] signing`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signing {
    Enabled,
    Required,
}

/// `[smb] encryption`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    Accepted,
    Desired,
    Required,
}

/// `[smb.share.NAME] encrypt`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShareEncryption {
    /// As the session does.
    #[default]
    Accepted,
    /// Whoever cannot is refused.
    Required,
}

/// `[smb] min_dialect`, `max_dialect`
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
pub enum Dialect {
    #[serde(rename = "2.0.2")]
    Smb202,
    #[serde(rename = "2.1")]
    Smb210,
    #[serde(rename = "3.0")]
    Smb300,
    #[serde(rename = "3.0.2")]
    Smb302,
    #[serde(rename = "3.1.1")]
    Smb311,
}

impl Config {
    /// Reads and checks a file. The error is the first thing that is wrong.
    pub fn load(file: &Path) -> Result<Config, ConfigError> {
        let text = read(file)?;
        Config::parse(file, &text)
    }

    /// As [`Config::load`], for a text that is said to come from `file`.
    pub fn parse(file: &Path, text: &str) -> Result<Config, ConfigError> {
        let raw: raw::File =
            toml::from_str(text).map_err(|cause| ConfigError::from_toml(file, text, &cause))?;
        settle::settle(file, text, raw)
    }

    /// Only `[node] state`, for commands that talk to a running node: they need no secret and must not fail
    /// because the rest of the file is being edited.
    pub fn state_of(file: &Path) -> Result<PathBuf, ConfigError> {
        let state = path_in(file, "node", "state")?;
        state.ok_or_else(|| ConfigError::whole(file, "[node] state is missing"))
    }

    /// Only `[link] certs`, if there is one: certificates are made before a node can be complete.
    pub fn certs_of(file: &Path) -> Result<Option<PathBuf>, ConfigError> {
        path_in(file, "link", "certs")
    }

    pub fn volume(&self, name: &str) -> Option<&VolumeSettings> {
        self.volumes.iter().find(|volume| volume.name == name)
    }
}

impl VolumeSettings {
    /// A volume over `origin` and nothing else.
    pub fn plain(name: impl Into<String>, origin: Origin) -> VolumeSettings {
        VolumeSettings {
            name: name.into(),
            origin,
            login: None,
            watch: Watch::default(),
            sync_changes: false,
            user_quotas: false,
            alone: false,
            mounted: false,
            allow: Vec::new(),
            cache: None,
            mirrors: None,
        }
    }

    /// Whether another node has it.
    pub fn is_remote(&self) -> bool {
        matches!(self.origin, Origin::Peer { .. })
    }

    /// Whether it needs the link: it, or a mirror of it, lies at another node.
    pub fn needs_link(&self) -> bool {
        self.is_remote() || self.mirror_peers().next().is_some()
    }

    fn mirror_peers(&self) -> impl Iterator<Item = &NodeName> {
        let mirrors = self.mirrors.iter().flat_map(|mirrors| &mirrors.mirrors);
        mirrors.filter_map(|mirror| match &mirror.to {
            MirrorTo::Volume(Origin::Peer { peer, .. }) => Some(peer),
            MirrorTo::Volume(Origin::File { .. } | Origin::Smb { .. }) | MirrorTo::Sftp { .. } => None,
        })
    }

    /// The nodes that have to do with it.
    pub fn peers(&self) -> Vec<String> {
        let origin = match &self.origin {
            Origin::Peer { peer, .. } => Some(peer),
            Origin::File { .. } | Origin::Smb { .. } => None,
        };
        origin.into_iter().chain(self.mirror_peers()).chain(&self.allow).map(|peer| peer.0.clone()).collect()
    }
}

impl CacheSettings {
    /// The defaults, in `directory`.
    pub fn new(directory: PathBuf, size: Size) -> CacheSettings {
        CacheSettings {
            directory,
            size,
            poll: Duration::from_secs(2),
            patience: Duration::from_secs(5),
            read_ahead: Size(16 << 20),
        }
    }
}

impl SmbSettings {
    /// The defaults, on `listen`.
    pub fn new(listen: Vec<SocketAddr>) -> SmbSettings {
        SmbSettings {
            listen,
            server_name: "FARSHARE".into(),
            signing: Signing::Required,
            encryption: Encryption::Accepted,
            signing_algorithms: SigningAlgorithm::PREFERENCE.to_vec(),
            ciphers: Cipher::PREFERENCE.to_vec(),
            min_dialect: Dialect::Smb202,
            max_dialect: Dialect::Smb311,
            multichannel: true,
            protocol_tests: false,
            interfaces: None,
            compression: false,
            quic: None,
            ntlm: true,
            anonymous: false,
            kerberos: None,
            mdns: false,
            ws_discovery: false,
            sid: None,
            administrators: Vec::new(),
            groups: Vec::new(),
            shares: Vec::new(),
        }
    }
}

impl QuicSettings {
    /// Reads certificate and key, as they are now.
    pub fn load(&self) -> Result<front_smb::Certificate, String> {
        let shown = self.certificate.display();
        let chain = std::fs::File::open(&self.certificate).and_then(|file| {
            use std::io::Read;
            let mut chain = Vec::new();
            file.take(CERTIFICATE_MAX_BYTES).read_to_end(&mut chain).map(|_| chain)
        });
        let chain = chain.map_err(|cause| format!("{shown}: {cause}"))?;
        let key = read_secret(&self.key)?;
        front_smb::Certificate::from_pem(&chain, key.as_bytes()).map_err(|why| format!("{shown}: {why}"))
    }
}

impl ShareSettings {
    pub fn new(name: impl Into<String>, volume: impl Into<String>) -> ShareSettings {
        ShareSettings {
            name: name.into(),
            volume: volume.into(),
            comment: String::new(),
            read_only: false,
            hidden: false,
            hide_unreadable: false,
            continuously_available: false,
            symlinks: front_smb::Symlinks::Server,
            snapshots: None,
            users: Vec::new(),
            guests: false,
            encrypt: ShareEncryption::default(),
            compress: false,
            time_machine: false,
            veto: Vec::new(),
        }
    }
}

/// A volume's name: 1 to 63 of letters, digits, `.`, `_`, `-`, not beginning with a dot. It names directories.
pub fn is_volume_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=63).contains(&name.len()) && !name.starts_with('.') && name.chars().all(fits)
}

/// A share's name, as Windows takes it: 1 to 80 characters, none of them reserved, and not `IPC$`.
pub fn is_share_name(name: &str) -> bool {
    let reserved = |c: char| c.is_control() || "\\/:*?\"<>|[]+;,=".contains(c);
    (1..=80).contains(&name.chars().count())
        && name.trim() == name
        && !name.contains(reserved)
        && !name.eq_ignore_ascii_case("IPC$")
}

fn path_in(file: &Path, section: &str, key: &str) -> Result<Option<PathBuf>, ConfigError> {
    let text = read(file)?;
    let table: toml::Table = toml::from_str(&text)
        .map_err(|cause: toml::de::Error| ConfigError::from_toml(file, &text, &cause))?;
    let path = table.get(section).and_then(|section| section.get(key)).and_then(|path| path.as_str());
    Ok(path.map(|path| settle::beside(file, Path::new(path))))
}

fn read(file: &Path) -> Result<String, ConfigError> {
    use std::io::Read;
    let mut text = String::new();
    let read = std::fs::File::open(file).and_then(|open| open.take(FILE_MAX_BYTES).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            Err(ConfigError::whole(file, "no such file; --config FILE names another one"))
        }
        Err(cause) => Err(ConfigError::whole(file, format!("cannot be read: {cause}"))),
    }
}
