//! `farshare try`: a gateway and an entrypoint in this process, joined by the real link over loopback, with
//! certificates and a user made for the occasion.

use crate::cli::TryArgs;
use crate::command::how_to_connect::{self, Access};
use crate::config::{
    AdminSettings, CacheSettings, Config, Dial, LinkSettings, NodeName, Origin, ShareSettings, SmbSettings,
    VolumeSettings, is_share_name, is_volume_name, read_secret,
};
use crate::failure::Failure;
use crate::node::Node;
use crate::process::Signals;
use crate::users::UserFile;
use crate::{supervise, terminal};
use link::certs;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Where SMB is served unless `--smb` says otherwise.
const SMB_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4450);
/// The two nodes have this long to find each other on loopback.
const LINK_PATIENCE: Duration = Duration::from_secs(15);
const GATEWAY: &str = "gateway";
const ENTRYPOINT: &str = "entrypoint";

/// A directory to share.
struct Shared {
    share: String,
    volume: String,
    dir: PathBuf,
}

pub async fn run(args: &TryArgs) -> Result<(), Failure> {
    let shared = directories(args)?;
    let mut signals = Signals::new().map_err(Failure::failed)?;
    let state = State::open(args.state.as_deref())?;
    let user = args.user.clone().unwrap_or_else(login_name);
    let password = password(args)?;
    let users = UserFile::in_state(state.path());
    for name in [Some(&user), args.second_user.as_ref()].into_iter().flatten() {
        users.put(name, &password).map_err(Failure::usage)?;
    }
    let start = start(args, state.path(), &shared);
    let nodes = supervise::unless_cut_off(&mut signals, start).await?;
    let node = &nodes[0];
    let admin_settings = admin(args);
    let admin = supervise::open_admin(node, state.path(), &admin_settings).await?;
    let smb = node.smb_addresses().first().copied();
    let access = Access {
        smb: smb.ok_or_else(|| Failure::failed("SMB is not served"))?,
        share: &shared[0].share,
        dir: &shared[0].dir,
        user: &user,
        password: &password,
        admin: admin.local_addr(),
        state: state.path(),
    };
    tell(args, &access)?;
    supervise::until_asked(node, &mut signals).await;
    let drained = supervise::drain(&nodes, &mut signals).await;
    admin.shutdown().await;
    drop(nodes);
    state.close()?;
    drained
}

/// The node that serves SMB, and after it the gateway, if there is one.
async fn start(args: &TryArgs, state: &Path, shared: &[Shared]) -> Result<Vec<Arc<Node>>, Failure> {
    if args.direct {
        return Ok(vec![Node::start(direct(args, state, shared)?, None).await?]);
    }
    let gateway = start_gateway(state, shared).await?;
    let address = gateway.link_address().ok_or_else(|| Failure::failed("the gateway does not listen"))?;
    let node = Node::start(entrypoint(args, state, shared, address)?, None).await?;
    let up = node.wait_for_peer(GATEWAY, LINK_PATIENCE).await;
    up.map_err(|why| Failure::failed(format_args!("the link over loopback does not come up: {why}")))?;
    Ok(vec![node, gateway])
}

fn tell(args: &TryArgs, access: &Access<'_>) -> Result<(), Failure> {
    let text = if args.json { how_to_connect::json(access) } else { how_to_connect::people(access) };
    let mut out = io::stdout().lock();
    let told = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    told.map_err(|cause| Failure::failed(format_args!("stdout: {cause}")))
}

/// A state directory that may be for this run only.
struct State {
    path: PathBuf,
    /// Removed when dropped, also on the way out of an error.
    temporary: Option<tempfile::TempDir>,
}

impl State {
    fn open(wanted: Option<&Path>) -> Result<State, Failure> {
        if let Some(path) = wanted {
            let path = std::path::absolute(path).map_err(Failure::usage)?;
            return Ok(State { path, temporary: None });
        }
        let made = tempfile::Builder::new().prefix("farshare-try-").tempdir();
        let made = made.map_err(|cause| {
            Failure::failed(format_args!("no temporary directory ({cause}); --state DIR names a directory"))
        })?;
        Ok(State { path: made.path().to_owned(), temporary: Some(made) })
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn close(self) -> Result<(), Failure> {
        let Some(temporary) = self.temporary else { return Ok(()) };
        let shown = self.path.display();
        temporary.close().map_err(|cause| Failure::failed(format_args!("{shown} stays behind: {cause}")))
    }
}

fn directories(args: &TryArgs) -> Result<Vec<Shared>, Failure> {
    let absolute = |dir: &Path| {
        let whole = dir.canonicalize();
        let whole = whole.map_err(|cause| Failure::usage(format_args!("{}: {cause}", dir.display())))?;
        if !whole.is_dir() {
            return Err(Failure::usage(format_args!("{}: not a directory", dir.display())));
        }
        Ok(whole)
    };
    let dir = absolute(&args.dir)?;
    let own_name = dir.file_name().and_then(|name| name.to_str()).filter(|name| is_share_name(name));
    let share = args.share.clone().unwrap_or_else(|| own_name.unwrap_or("share").to_owned());
    let mut shared = vec![Shared { volume: "try".into(), share, dir }];
    for (nth, extra) in args.extra_share.iter().enumerate() {
        let (share, dir) = extra
            .split_once('=')
            .ok_or_else(|| Failure::usage(format_args!("--extra-share {extra:?}: write NAME=DIR")))?;
        let dir = absolute(Path::new(dir))?;
        shared.push(Shared { volume: format!("try-{}", nth + 1), share: share.to_owned(), dir });
    }
    for (nth, one) in shared.iter().enumerate() {
        debug_assert!(is_volume_name(&one.volume));
        let twice = shared[..nth].iter().any(|other| other.share.to_lowercase() == one.share.to_lowercase());
        if twice || !is_share_name(&one.share) {
            let why = if twice { "is there twice" } else { "is not a share's name" };
            return Err(Failure::usage(format_args!(
                "the share {:?} {why}; --share NAME names another",
                one.share
            )));
        }
    }
    Ok(shared)
}

fn password(args: &TryArgs) -> Result<Zeroizing<String>, Failure> {
    match &args.password_file {
        Some(file) => read_secret(file).map_err(Failure::usage),
        None => terminal::generate_password().map_err(Failure::failed),
    }
}

/// Who runs this, if that can be an SMB user.
fn login_name() -> String {
    let known = ["LOGNAME", "USER"].into_iter().find_map(|key| std::env::var(key).ok());
    known.filter(|name| crate::config::check_account_name(name).is_ok()).unwrap_or_else(|| "farshare".into())
}

fn named(name: &str) -> Result<NodeName, Failure> {
    NodeName::parse(name).map_err(Failure::failed)
}

/// The site that has the files: offers them over the link and serves nothing else.
async fn start_gateway(state: &Path, shared: &[Shared]) -> Result<Arc<Node>, Failure> {
    let certificates = state.join("certs");
    if !certificates.join("ca.crt").exists() {
        certs::init(&certificates).map_err(Failure::failed)?;
    }
    for name in [GATEWAY, ENTRYPOINT] {
        if !certificates.join(format!("{name}.crt")).exists() {
            certs::issue(&certificates, name).map_err(Failure::failed)?;
        }
    }
    let entrypoint = named(ENTRYPOINT)?;
    let volume = |one: &Shared| VolumeSettings {
        allow: vec![entrypoint.clone()],
        ..VolumeSettings::plain(one.volume.clone(), Origin::File { root: one.dir.clone() })
    };
    let link = LinkSettings { listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))), ..link(&certificates) };
    let config = Config {
        name: named(GATEWAY)?,
        state: state.join(GATEWAY),
        link: Some(link),
        volumes: shared.iter().map(volume).collect(),
        smb: None,
        mounts: Vec::new(),
        admin: AdminSettings::default(),
        alerts: None,
    };
    Node::start(config, None).await
}

/// The site where the files are used.
fn entrypoint(
    args: &TryArgs,
    state: &Path,
    shared: &[Shared],
    gateway: SocketAddr,
) -> Result<Config, Failure> {
    let peer = named(GATEWAY)?;
    let volume = |one: &Shared| {
        let origin = Origin::Peer { peer: peer.clone(), volume: one.volume.clone() };
        let directory = state.join("cache").join(&one.volume);
        let cache = (!args.no_cache).then(|| CacheSettings::new(directory, args.cache_size));
        VolumeSettings { cache, ..VolumeSettings::plain(one.volume.clone(), origin) }
    };
    let dial = vec![Dial { peer: peer.clone(), address: gateway.to_string() }];
    Ok(Config {
        name: named(ENTRYPOINT)?,
        state: state.to_owned(),
        link: Some(LinkSettings { dial, ..link(&state.join("certs")) }),
        volumes: shared.iter().map(volume).collect(),
        smb: Some(smb(args, shared)?),
        mounts: Vec::new(),
        admin: admin(args),
        alerts: None,
    })
}

/// Without a link: the directories themselves.
fn direct(args: &TryArgs, state: &Path, shared: &[Shared]) -> Result<Config, Failure> {
    let volume =
        |one: &Shared| VolumeSettings::plain(one.volume.clone(), Origin::File { root: one.dir.clone() });
    Ok(Config {
        name: named("direct")?,
        state: state.to_owned(),
        link: None,
        volumes: shared.iter().map(volume).collect(),
        smb: Some(smb(args, shared)?),
        mounts: Vec::new(),
        admin: admin(args),
        alerts: None,
    })
}

fn link(certificates: &Path) -> LinkSettings {
    let certs = certificates.to_owned();
    LinkSettings { listen: None, dial: Vec::new(), certs, connections: 0, bbr: true }
}

fn smb(args: &TryArgs, shared: &[Shared]) -> Result<SmbSettings, Failure> {
    let snapshots = args.snapshots.as_deref().map(front_smb::SnapshotPattern::parse).transpose();
    let snapshots = snapshots.map_err(|why| Failure::usage(format_args!("--snapshots: {why}")))?;
    let symlinks = match args.client_symlinks {
        true => front_smb::Symlinks::Client,
        false => front_smb::Symlinks::Server,
    };
    let share = |one: &Shared| ShareSettings {
        snapshots: snapshots.clone(),
        symlinks,
        comment: "farshare try".to_owned(),
        continuously_available: args.continuously_available,
        ..ShareSettings::new(one.share.clone(), one.volume.clone())
    };
    let address = args.smb.unwrap_or_else(|| {
        if TcpListener::bind(SMB_DEFAULT).is_ok() {
            return SMB_DEFAULT;
        }
        eprintln!("farshare: {SMB_DEFAULT} is taken, so a free port is used; --smb ADDR names another");
        SocketAddr::new(SMB_DEFAULT.ip(), 0)
    });
    Ok(SmbSettings {
        shares: shared.iter().map(share).collect(),
        protocol_tests: args.protocol_tests,
        ..SmbSettings::new(vec![address])
    })
}

/// On loopback, a free port, unless `--admin` says otherwise.
fn admin(args: &TryArgs) -> AdminSettings {
    let listen = args.admin.unwrap_or(SocketAddr::new(SMB_DEFAULT.ip(), 0));
    AdminSettings { listen: Some(listen), token: None }
}
