//! From an address to an SFTP channel: dialing, the host's key, the user's key, the subsystem, the versions.
//!
//! All of it happens within [`crate::SftpConfig::connect_timeout`], and ends in a [`Link`] or in one [`Loss`] with a story
//! for people: `Offline` where dialing again may help, `PermissionDenied` where somebody must do something first.

use crate::banner::{Heard, Overhearing};
use crate::config::SftpConfig;
use crate::error::{Loss, Outcome};
use crate::frames::Frames;
use crate::known_hosts::{Known, refusal};
use crate::session::Facts;
use crate::wire::{Answer, Extensions, Greeting, Request, ServerLimits};
use bytes::BytesMut;
use russh::client::{self, AuthResult, Handle, Msg};
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{ChannelWriteHalf, Preferred, cipher};
use std::borrow::Cow;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Largest packet on the channel that is taken, bytes (RFC 4254, section 5.1): the most that `russh` allows.
const CHANNEL_PACKET_BYTES: u32 = 65_535;
/// Messages of the channel between `russh` and us.
const CHANNEL_BUFFER: usize = 256;
/// What every server takes in a READ or WRITE, bytes, when it does not say more (draft, section 3).
const IO_SIZE_UNTOLD: u32 = 32 * 1024;

/// A connection that is ready for requests.
pub(crate) struct Link {
    pub(crate) ssh: Handle<Gate>,
    pub(crate) write: ChannelWriteHalf<Msg>,
    pub(crate) frames: Frames,
    pub(crate) facts: Facts,
    pub(crate) server: Server,
}

/// What a server tells of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// Its software, as it introduces itself: `OpenSSH_9.2p1 Debian-2`.
    pub banner: String,
    /// The extensions of SFTP that it announces, with their versions.
    pub extensions: Vec<(String, String)>,
    /// Whether it does requests in the order in which they come; otherwise it gets one at a time.
    pub in_order: bool,
    /// Largest READ and WRITE, bytes.
    pub read_max: u32,
    pub write_max: u32,
}

/// Judges the host's key.
pub(crate) struct Gate {
    config: Arc<SftpConfig>,
    known: Arc<Known>,
}

/// Why `russh` gave up.
#[derive(Debug)]
pub(crate) enum GaveUp {
    Ssh(russh::Error),
    HostKey(String),
}

impl From<russh::Error> for GaveUp {
    fn from(error: russh::Error) -> GaveUp {
        GaveUp::Ssh(error)
    }
}

impl From<GaveUp> for Loss {
    fn from(why: GaveUp) -> Loss {
        match why {
            GaveUp::Ssh(why) => Loss::offline(format_args!("SSH: {why}")),
            GaveUp::HostKey(story) => Loss::refused(story),
        }
    }
}

impl client::Handler for Gate {
    type Error = GaveUp;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, GaveUp> {
        let SftpConfig { host, port, known_hosts, .. } = &*self.config;
        let key = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.clone(),
            // None is asked for.
            PublicKeyOrCertificate::Certificate(shown) => PublicKey::new(shown.public_key().clone(), ""),
        };
        match refusal(&self.known.judge(&key), &key, host, *port, known_hosts) {
            None => Ok(true),
            Some(story) => Err(GaveUp::HostKey(story)),
        }
    }
}

/// Reaches the server.
pub(crate) async fn log_on(config: &Arc<SftpConfig>) -> Result<Link, Loss> {
    let (known, key) = read_files(config.clone()).await?;
    let (mut ssh, heard) = shake_hands(config, known).await?;
    authenticate(config, &mut ssh, key).await?;
    let lost = |why: russh::Error| Loss::offline(format_args!("the SFTP channel: {why}"));
    let channel = ssh.channel_open_session().await.map_err(lost)?;
    let (read, write) = channel.split();
    write.request_subsystem(true, "sftp").await.map_err(lost)?;
    let mut frames = Frames::new(read);
    let (facts, greeting) = greet(config, &write, &mut frames).await?;
    let server = Server {
        banner: heard.banner(),
        extensions: greeting.announced,
        in_order: facts.in_order(),
        read_max: facts.read_max,
        write_max: facts.write_max,
    };
    Ok(Link { ssh, write, frames, facts, server })
}

/// What is needed from files here. They may lie on a disk that makes one wait.
async fn read_files(config: Arc<SftpConfig>) -> Result<(Known, Option<PrivateKey>), Loss> {
    let read = move || {
        let hosts = match std::fs::read(&config.known_hosts) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(why) => return Err(Loss::refused(format_args!("{}: {why}", config.known_hosts.display()))),
        };
        let key = config.key.as_ref().map(|file| {
            russh::keys::load_secret_key(file, None).map_err(|why| {
                let file = file.display();
                Loss::refused(format_args!(
                    "the key {file}: {why}. It must be a private key without a passphrase; for one with a passphrase use \
                     an agent (`ssh-add {file}`)"
                ))
            })
        });
        Ok((Known::read(&hosts, &config.host, config.port), key.transpose()?))
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|why| Err(Loss::offline(why)))
}

async fn shake_hands(config: &Arc<SftpConfig>, known: Known) -> Result<(Handle<Gate>, Heard), Loss> {
    let dialed = TcpStream::connect((config.host.as_str(), config.port)).await;
    let stream = dialed.map_err(|why| Loss::offline(format_args!("dialing {}: {why}", config.address())))?;
    // A request that waits for the acknowledgement of the one before waits for a whole round trip.
    stream.set_nodelay(true).map_err(Loss::offline)?;
    let (stream, heard) = Overhearing::new(stream);
    let gate = Gate { config: config.clone(), known: Arc::new(known) };
    let ssh = client::connect_stream(Arc::new(ssh_config(config, &gate.known)), stream, gate).await?;
    Ok((ssh, heard))
}

fn ssh_config(config: &SftpConfig, known: &Known) -> client::Config {
    let mut preferred = Preferred::default();
    // A server that has several keys is to show one that is known.
    if !known.is_empty() {
        let keys: Vec<Algorithm> = preferred.key.iter().filter(|kind| known.has(kind)).cloned().collect();
        preferred.key = Cow::Owned(keys);
    }
    // AES is in the processor, ChaCha20 is not.
    preferred.cipher = Cow::Borrowed(&[
        cipher::AES_256_GCM,
        cipher::CHACHA20_POLY1305,
        cipher::AES_256_CTR,
        cipher::AES_192_CTR,
        cipher::AES_128_CTR,
    ]);
    client::Config {
        window_size: config.limits.window_bytes,
        maximum_packet_size: CHANNEL_PACKET_BYTES,
        channel_buffer_size: CHANNEL_BUFFER,
        preferred,
        keepalive_interval: Some(config.keep_alive),
        ..client::Config::default()
    }
}

/// The key of the file, those of the agent, the password: the first that the server takes.
async fn authenticate(
    config: &SftpConfig,
    ssh: &mut Handle<Gate>,
    key: Option<PrivateKey>,
) -> Result<(), Loss> {
    let mut tried = Vec::new();
    let failed = |why: russh::Error| Loss::offline(format_args!("logging on: {why}"));
    if let Some(key) = key {
        let hash = hash_for(ssh, &key.algorithm()).await;
        let print = key.fingerprint(HashAlg::Sha256);
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        if took(ssh.authenticate_publickey(&config.user, key).await.map_err(failed)?) {
            return Ok(());
        }
        tried.push(format!("the key {print}"));
    }
    if config.agent {
        match by_agent(config, ssh).await {
            Ok(true) => return Ok(()),
            Ok(false) => tried.push("the keys of the agent".to_owned()),
            Err(why) => tried.push(format!("the agent ({why})")),
        }
    }
    if let Some(password) = &config.password {
        let answer = ssh.authenticate_password(&config.user, password.reveal()).await;
        if took(answer.map_err(failed)?) {
            return Ok(());
        }
        tried.push("the password".to_owned());
    }
    let tried = if tried.is_empty() { "nothing to log on with".to_owned() } else { tried.join(", ") };
    Err(Loss::refused(format_args!("{} does not let {} in; tried: {tried}", config.address(), config.user)))
}

async fn by_agent(config: &SftpConfig, ssh: &mut Handle<Gate>) -> Result<bool, String> {
    let mut agent = AgentClient::connect_env().await.map_err(|why| why.to_string())?;
    let identities = agent.request_identities().await.map_err(|why| why.to_string())?;
    for identity in identities {
        let key = identity.public_key().into_owned();
        let hash = hash_for(ssh, &key.algorithm()).await;
        match ssh.authenticate_publickey_with(&config.user, key, hash, &mut agent).await {
            Ok(answer) if took(answer.clone()) => return Ok(true),
            Ok(_) => {}
            Err(why) => tracing::debug!("the agent does not sign: {why}"),
        }
    }
    Ok(false)
}

fn took(answer: AuthResult) -> bool {
    matches!(answer, AuthResult::Success)
}

/// An RSA key signs with SHA-2, never with SHA-1; other keys have their own hash.
async fn hash_for(ssh: &Handle<Gate>, algorithm: &Algorithm) -> Option<HashAlg> {
    if !matches!(algorithm, Algorithm::Rsa { .. }) {
        return None;
    }
    let best = ssh.best_supported_rsa_hash().await.ok().flatten().flatten();
    Some(best.unwrap_or(HashAlg::Sha512))
}

/// INIT and VERSION, and what the server takes at once.
async fn greet(
    config: &SftpConfig,
    write: &ChannelWriteHalf<Msg>,
    frames: &mut Frames,
) -> Result<(Facts, Greeting), Loss> {
    let lost = |why: russh::Error| Loss::offline(format_args!("the SFTP channel: {why}"));
    write.data_bytes(Greeting::init()).await.map_err(lost)?;
    let broken = |why| Loss { kind: volume::ErrorKind::Corrupt, story: format!("the SFTP server: {why}") };
    let greeting = Greeting::read(frames.next().await?).map_err(broken)?;
    let extensions = greeting.extensions;
    let mut told = ServerLimits { read: 0, write: 0 };
    if extensions.contains(Extensions::LIMITS) {
        let mut out = BytesMut::new();
        Request::Limits.write(0, extensions, &mut out);
        write.data_bytes(out.freeze()).await.map_err(lost)?;
        let (_, answer) = Answer::read(frames.next().await?).map_err(broken)?;
        told = limits_of(answer).unwrap_or(told);
    }
    let bounded = |told: u64| {
        let told = u32::try_from(told).unwrap_or(u32::MAX);
        let allowed = if told == 0 { IO_SIZE_UNTOLD } else { told };
        allowed.min(config.limits.io_size).clamp(1, crate::IO_SIZE_MAX_BYTES)
    };
    Ok((Facts { extensions, read_max: bounded(told.read), write_max: bounded(told.write) }, greeting))
}

fn limits_of(answer: Answer) -> Outcome<ServerLimits> {
    Ok(ServerLimits::read(answer.extended()?)?)
}
