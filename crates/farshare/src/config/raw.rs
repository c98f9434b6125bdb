//! The configuration as it stands in the file: what may be written, with the places for complaints. What it means
//! together is settled in `settle.rs`.

use super::algorithm::{CipherName, SigningName};
use super::interface::Interface;
use super::mirror::MirrorTo;
use super::origin::Origin;
use super::secret::SecretFile;
use super::value::{Dial, Listen, NodeName, Size, Span};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub node: Node,
    pub link: Option<Spanned<Link>>,
    #[serde(default)]
    pub volume: BTreeMap<Spanned<String>, Volume>,
    #[serde(default)]
    pub groups: BTreeMap<Spanned<String>, Spanned<Vec<Spanned<String>>>>,
    pub smb: Option<Spanned<Smb>>,
    #[serde(default)]
    pub fuse: BTreeMap<Spanned<String>, Mount>,
    pub admin: Option<Admin>,
    pub alerts: Option<Spanned<super::alert::Raw>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    pub name: NodeName,
    pub state: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    pub listen: Option<SocketAddrText>,
    #[serde(default)]
    pub dial: Vec<Spanned<Dial>>,
    pub certs: PathBuf,
    #[serde(default)]
    pub connections: Option<Spanned<usize>>,
    pub bbr: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    pub origin: Spanned<Origin>,
    pub user: Option<Spanned<String>>,
    pub domain: Option<Spanned<String>>,
    pub password: Option<Spanned<SecretFile>>,
    pub watch: Option<Spanned<super::Watch>>,
    pub sync_changes: Option<Spanned<bool>>,
    pub quota: Option<Spanned<Quota>>,
    #[serde(default)]
    pub allow: Vec<Spanned<NodeName>>,
    pub cache: Option<Cache>,
    pub mirror_log: Option<Spanned<Size>>,
    #[serde(default)]
    pub mirror: Vec<Spanned<Mirror>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    pub name: Option<Spanned<String>>,
    pub to: Spanned<MirrorTo>,
    pub key: Option<PathBuf>,
    #[serde(default)]
    pub agent: bool,
    pub known_hosts: Option<PathBuf>,
    pub password: Option<Spanned<SecretFile>>,
    pub user: Option<String>,
    pub domain: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    pub users: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    pub path: PathBuf,
    pub size: Option<Spanned<Size>>,
    pub write: Option<Spanned<Write>>,
    pub poll: Option<Spanned<Span>>,
    pub patience: Option<Spanned<Span>>,
    pub read_ahead: Option<Size>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Write {
    Through,
    Back,
    Off,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smb {
    pub listen: Option<Listen>,
    pub server_name: Option<Spanned<String>>,
    pub signing: Option<super::Signing>,
    pub encryption: Option<super::Encryption>,
    pub signing_algorithms: Option<Spanned<Vec<SigningName>>>,
    pub ciphers: Option<Spanned<Vec<CipherName>>>,
    pub min_dialect: Option<super::Dialect>,
    pub max_dialect: Option<Spanned<super::Dialect>>,
    pub multichannel: Option<bool>,
    pub interfaces: Option<Spanned<Vec<Interface>>>,
    pub compression: Option<Spanned<bool>>,
    pub quic: Option<Spanned<Quic>>,
    pub ntlm: Option<Spanned<bool>>,
    pub anonymous: Option<Spanned<bool>>,
    pub kerberos: Option<Kerberos>,
    pub discovery: Option<Discovery>,
    pub sid: Option<Spanned<String>>,
    #[serde(default)]
    pub administrators: Vec<Spanned<String>>,
    #[serde(default)]
    pub protocol_tests: bool,
    #[serde(default)]
    pub share: BTreeMap<Spanned<String>, Share>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quic {
    pub listen: Option<Listen>,
    pub certificate: Spanned<PathBuf>,
    pub key: Spanned<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kerberos {
    pub keytab: Spanned<PathBuf>,
    pub realm: Spanned<String>,
    #[serde(default)]
    pub trust: Vec<Spanned<String>>,
    #[serde(default)]
    pub pac: super::Pac,
    #[serde(default)]
    pub local_names: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discovery {
    #[serde(default)]
    pub mdns: bool,
    #[serde(default)]
    pub ws: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    pub volume: Spanned<String>,
    #[serde(default)]
    pub comment: String,
    #[serde(default)]
    pub read_only: bool,
    #[serde(default)]
    pub hidden: bool,
    #[serde(default)]
    pub hide_unreadable: bool,
    #[serde(default)]
    pub continuously_available: bool,
    #[serde(default)]
    pub symlinks: Symlinks,
    pub snapshots: Option<Snapshots>,
    pub users: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    pub groups: Vec<Spanned<String>>,
    pub guests: Option<Spanned<bool>>,
    pub encrypt: Option<Spanned<super::ShareEncryption>>,
    pub compress: Option<Spanned<bool>>,
    pub time_machine: Option<Spanned<bool>>,
    #[serde(default)]
    pub veto: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshots {
    pub pattern: Spanned<String>,
}

/// Who follows them.
#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "lowercase")]
pub enum Symlinks {
    #[default]
    Server,
    Client,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    pub volume: Spanned<String>,
    pub at: Spanned<PathBuf>,
    #[serde(default)]
    pub read_only: bool,
    #[serde(default)]
    pub private: bool,
    #[serde(default)]
    pub suid_and_dev: bool,
    pub valid: Option<Span>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    pub listen: Option<Spanned<SocketAddrText>>,
    pub token: Option<Spanned<SecretFile>>,
}

/// Exactly one address.
#[derive(Clone, Copy)]
pub struct SocketAddrText(pub SocketAddr);

impl<'de> Deserialize<'de> for SocketAddrText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<SocketAddrText, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::value::address(&text).map(SocketAddrText).map_err(serde::de::Error::custom)
    }
}
