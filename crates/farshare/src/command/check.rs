//! `farshare check`: would this node serve? A table, and an exit status: 0 yes, 1 something is wrong, 2 the
//! configuration cannot be used at all.
//!
//! Nothing is changed and nothing listens. Peers are dialed only while the node itself is not running: the same
//! name twice on a link would throw the running node out.

use crate::command::certs::left;
use crate::command::control::SOCKET;
use crate::config::{AlertSettings, Config, KerberosSettings, LinkSettings, Size, VolumeSettings};
use crate::failure::Failure;
use crate::stack::{self, Peers};
use crate::users::UserFile;
use front_admin::{Client, Status};
use link::{LinkConfig, LinkState, certs};
use origin_peer::Inbox;
use rustix::fs::Access;
use std::fmt::Display;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::time::Duration;
use volume::{Cx, ListHow, Priority, VPath};

/// By which processes serve file systems.
const FUSE_DEVICE: &str = "/dev/fuse";
/// How long a peer or an origin may take to answer.
const PATIENCE: Duration = Duration::from_secs(8);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warning,
    Wrong,
}

#[derive(Default)]
struct Table {
    rows: Vec<(Verdict, String, String)>,
}

impl Table {
    fn ok(&mut self, what: impl Display, detail: impl Display) {
        self.rows.push((Verdict::Ok, what.to_string(), detail.to_string()));
    }

    fn warn(&mut self, what: impl Display, detail: impl Display) {
        self.rows.push((Verdict::Warning, what.to_string(), detail.to_string()));
    }

    fn wrong(&mut self, what: impl Display, detail: impl Display) {
        self.rows.push((Verdict::Wrong, what.to_string(), detail.to_string()));
    }

    fn print(&self) {
        let width = self.rows.iter().map(|(_, what, _)| what.chars().count()).max().unwrap_or(0);
        for (verdict, what, detail) in &self.rows {
            let word = match verdict {
                Verdict::Ok => "ok",
                Verdict::Warning => "warning",
                Verdict::Wrong => "WRONG",
            };
            println!("{word:<8} {what:<width$}  {detail}");
        }
    }

    fn verdict(&self) -> Result<(), Failure> {
        match self.rows.iter().any(|(verdict, ..)| *verdict == Verdict::Wrong) {
            true => Err(Failure::silent(1)),
            false => Ok(()),
        }
    }
}

pub async fn run(file: &Path) -> Result<(), Failure> {
    let config = Config::load(file)?;
    let mut table = Table::default();
    table.ok("configuration", file.display());
    let running = Client::new(config.state.join(SOCKET)).status().await.ok();
    match &running {
        Some(status) => table.ok("node", format_args!("runs, pid {}", status.pid)),
        None => table.ok("node", "does not run"),
    }
    check_directory(&mut table, "state", &config.state);
    let mut peers = None;
    if let Some(link) = &config.link {
        let good = check_certificates(&mut table, &config, link);
        match &running {
            Some(status) => running_peers(&mut table, status),
            None if good => peers = dial(&mut table, &config, link).await,
            None => {}
        }
    }
    for volume in &config.volumes {
        check_volume(&mut table, volume, peers.as_ref(), running.as_ref()).await;
    }
    check_mounts(&mut table, &config, running.as_ref());
    check_smb(&mut table, &config, running.is_some());
    check_alerts(&mut table, config.alerts.as_ref(), running.as_ref());
    if let Some(peers) = peers {
        peers.node.shutdown().await;
    }
    table.print();
    table.verdict()
}

/// The directory, or the nearest one above it in which it can be made.
fn check_directory(table: &mut Table, what: &str, directory: &Path) {
    let present = directory.ancestors().find(|above| above.exists()).unwrap_or(Path::new("/"));
    if !present.is_dir() {
        return table.wrong(what, format_args!("{}: not a directory", present.display()));
    }
    match rustix::fs::access(present, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) if present == directory => table.ok(what, directory.display()),
        Ok(()) => table.ok(what, format_args!("{}, made at the start", directory.display())),
        Err(cause) => table.wrong(what, format_args!("{}: {cause} for this user", present.display())),
    }
}

fn check_certificates(table: &mut Table, config: &Config, link: &LinkSettings) -> bool {
    for cert in certs::show(&link.certs).unwrap_or_default() {
        let what = format!("certificate {}", cert.name);
        let remaining = cert.not_after.duration_since(std::time::SystemTime::now()).unwrap_or_default();
        match remaining {
            _ if cert.revoked && cert.name == config.name.0 => {
                table.wrong(what, "is revoked; farshare certs issue, after removing it and its key");
            }
            _ if cert.revoked => table.ok(what, "is revoked"),
            _ if remaining.is_zero() => table.wrong(what, "has ended; farshare certs renew"),
            _ if remaining < certs::WARN_BEFORE_END => {
                table.warn(what, format_args!("good for {} only; farshare certs renew", left(&cert)));
            }
            _ => table.ok(what, format_args!("good for {}", left(&cert))),
        }
    }
    match certs::load_site(&link.certs, &config.name.0) {
        Ok(_) => {
            table.ok("identity", &config.name.0);
            true
        }
        Err(error) => {
            table.wrong("identity", error);
            false
        }
    }
}

/// What the running node knows of its peers.
fn running_peers(table: &mut Table, status: &Status) {
    for peer in status.link.iter().flat_map(|link| &link.peers) {
        let what = format!("peer {}", peer.name);
        match (peer.up, peer.rtt_micros) {
            (true, Some(micros)) => {
                table.ok(what, format_args!("connected, rtt {:.1} ms", micros as f64 / 1e3))
            }
            (true, None) => table.ok(what, "connected"),
            (false, _) => table.wrong(what, peer.why.as_deref().unwrap_or("not connected")),
        }
    }
}

/// Dials the peers; those that dial themselves cannot be looked at while this node does not listen.
async fn dial(table: &mut Table, config: &Config, link: &LinkSettings) -> Option<Peers> {
    let identity = certs::load_site(&link.certs, &config.name.0).ok()?;
    let dial = link.dial.iter().map(|dial| (dial.peer.0.clone(), dial.address.clone())).collect();
    let settings = LinkConfig { listen: None, dial, connections: 1, ..LinkConfig::default() };
    let inbox = Inbox::new();
    let node = match link::Node::start(identity, settings, inbox.clone()).await {
        Ok(node) => node,
        Err(error) => {
            table.wrong("link", error);
            return None;
        }
    };
    for dialed in &link.dial {
        let what = format!("peer {}", dialed.peer.0);
        let mut state = node.link(&dialed.peer.0).state();
        let up = tokio::time::timeout(PATIENCE, state.wait_for(LinkState::is_up)).await.is_ok();
        match &*state.borrow() {
            LinkState::Down { why, .. } => table.wrong(what, why),
            LinkState::Up { rtt, .. } if up && !rtt.is_zero() => {
                table.ok(what, format_args!("{}, rtt {:.1} ms", dialed.address, rtt.as_secs_f64() * 1e3));
            }
            LinkState::Up { .. } => table.ok(what, &dialed.address),
        }
    }
    let undialed = config.volumes.iter().flat_map(VolumeSettings::peers);
    for peer in undialed.filter(|peer| !link.dial.iter().any(|dial| dial.peer.0 == *peer)) {
        table.warn(format_args!("peer {peer}"), "dials this node; not known while the node does not run");
    }
    Some(Peers { node, inbox })
}

async fn check_volume(
    table: &mut Table,
    settings: &VolumeSettings,
    peers: Option<&Peers>,
    running: Option<&Status>,
) {
    let what = format!("volume {}", settings.name);
    let status = running.and_then(|node| node.volumes.iter().find(|volume| volume.name == settings.name));
    match (settings.is_remote(), peers, status) {
        (true, None, Some(status)) if status.freshness.word != "offline" => {
            table.ok(what, format_args!("{}, in use by the running node", settings.origin));
        }
        (true, None, _) => table.wrong(what, format_args!("{}: its node was not reached", settings.origin)),
        _ => match look(settings, peers).await {
            Ok(detail) => table.ok(what, format_args!("{}, {detail}", settings.origin)),
            Err(cause) => table.wrong(what, format_args!("{}: {cause}", settings.origin)),
        },
    }
    if let Some(cache) = &settings.cache {
        let what = format!("cache of {}", settings.name);
        check_directory(table, &what, &cache.directory);
        check_room(table, &what, &cache.directory, cache.size);
    }
}

/// Reaches the origin with the credentials configured, reads its root and says what may be done there.
async fn look(
    settings: &VolumeSettings,
    peers: Option<&Peers>,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let cx = Cx::system(Priority::Interactive).within(PATIENCE);
    let origin = stack::origin(settings, peers, None).await?;
    origin.stat(&cx, &VPath::root()).await?;
    origin.list(&cx, &VPath::root(), ListHow::default()).await?;
    let space = origin.space(&cx, &VPath::root()).await?;
    let writable = match &settings.origin {
        crate::config::Origin::File { root } => rustix::fs::access(root, Access::WRITE_OK).is_ok(),
        _ => !origin.caps().read_only,
    };
    let rights = if writable { "readable and writable" } else { "readable, not writable" };
    Ok(format!("{rights}, {} free", Size(space.available)))
}

/// Mountpoints; that they can be there was looked at with the configuration.
fn check_mounts(table: &mut Table, config: &Config, running: Option<&Status>) {
    if config.mounts.is_empty() {
        return;
    }
    if !Path::new(FUSE_DEVICE).exists() {
        table.wrong("FUSE", format_args!("no {FUSE_DEVICE}; modprobe fuse"));
    }
    if !rustix::process::geteuid().is_root() {
        table.warn("FUSE", "mounting is for root, and this user is not; a node must be started by root");
    }
    for mount in &config.mounts {
        let what = format!("mount {}", mount.name);
        let detail = format!("volume {} at {}", mount.volume, mount.at.display());
        let status = running.and_then(|node| node.mounts.iter().find(|known| known.name == mount.name));
        match status {
            Some(known) if known.state != "mounted" => {
                let why = known.why.as_deref().unwrap_or("by somebody else");
                table.wrong(what, format_args!("{detail}, {}: {why}", known.state));
            }
            Some(_) => table.ok(what, format_args!("{detail}, mounted")),
            None => table.ok(what, detail),
        }
    }
}

fn check_room(table: &mut Table, what: &str, directory: &Path, wanted: Size) {
    let Some(present) = directory.ancestors().find(|above| above.exists()) else { return };
    match rustix::fs::statvfs(present) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            if free < wanted.0 {
                let detail = format!("{} free on its disk, {wanted} wanted in all", Size(free));
                table.warn(format_args!("{what}, room"), detail);
            }
        }
        Err(cause) => table.wrong(format_args!("{what}, room"), cause),
    }
}

fn check_smb(table: &mut Table, config: &Config, running: bool) {
    let Some(smb) = &config.smb else { return };
    for address in &smb.listen {
        let what = format!("SMB on {address}");
        match TcpListener::bind(address) {
            Ok(_) => table.ok(what, "can be listened on"),
            Err(_) if running => table.ok(what, "in use, the node runs"),
            Err(cause) => table.wrong(what, cause),
        }
    }
    for address in smb.quic.iter().flat_map(|quic| &quic.listen) {
        let what = format!("SMB over QUIC on {address}");
        match UdpSocket::bind(address) {
            Ok(_) => table.ok(what, "can be listened on"),
            Err(_) if running => table.ok(what, "in use, the node runs"),
            Err(cause) => table.wrong(what, cause),
        }
    }
    if let Some(kerberos) = &smb.kerberos {
        check_kerberos(table, kerberos);
    }
    if smb.anonymous {
        table.warn("anonymous log-in", "whoever reaches the server may ask for its name and its shares");
    }
    let open: Vec<_> = smb.shares.iter().filter(|share| share.guests).map(|share| &*share.name).collect();
    if !open.is_empty() {
        let what =
            "whoever reaches the server may connect, unsigned and unencrypted, and can tell who is a user";
        table.warn("guests", format!("{}: {what}", open.join(", ")));
    }
    match UserFile::in_state(&config.state).names() {
        Ok(names) if names.is_empty() && !smb.ntlm => table.ok("users", "none by password, NTLM is off"),
        Ok(names) if names.is_empty() => table.warn("users", "none yet; farshare user add NAME"),
        Ok(names) => table.ok("users", names.len()),
        Err(why) => table.wrong("users", why),
    }
}

/// Who is told of serious errors. Whether that arrives, `farshare alert test` tries.
fn check_alerts(table: &mut Table, settings: Option<&AlertSettings>, running: Option<&Status>) {
    let Some(settings) = settings else {
        return table.ok("alerts", "nobody is told of serious errors; [alerts] in docs/manual.md");
    };
    for (what, detail, risk) in settings.described() {
        match risk {
            Some(risk) => table.warn(what, format_args!("{detail}: {risk}")),
            None => table.ok(what, detail),
        }
    }
    let channels =
        running.and_then(|node| node.alerts.as_ref()).into_iter().flat_map(|alerts| &alerts.channels);
    for channel in channels.filter(|channel| channel.failing) {
        table.wrong(
            format_args!("alerts by {}", channel.name),
            channel.last_error.as_deref().unwrap_or("fails"),
        );
    }
}

/// Which keys the server has in Kerberos, and whether clients can ask the KDC for it: they do by the name
/// `cifs/HOST`.
fn check_kerberos(table: &mut Table, settings: &KerberosSettings) {
    let what = "keytab";
    let keytab = match settings.load() {
        Ok(keytab) => keytab,
        Err(why) => return table.wrong(what, why),
    };
    let mut names: Vec<String> = Vec::new();
    for entry in keytab.entries() {
        let name = format!("{} version {}", entry.principal, entry.version);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    table.ok(what, format_args!("{}: {}", settings.keytab.display(), names.join(", ")));
    if keytab.passed_over() > 0 {
        let many = keytab.passed_over();
        table.warn(
            what,
            format_args!("{many} keys are not AES and are passed over; tickets for them are refused"),
        );
    }
    let own = || keytab.entries().iter().map(|entry| &entry.principal);
    if !own().any(|principal| principal.realm() == settings.realms.own) {
        table.warn(what, format_args!("no key of the realm {}; realms differ by case", settings.realms.own));
    }
    let is_file_server = |part: &String| part.eq_ignore_ascii_case("cifs");
    if !own().any(|principal| principal.parts().len() == 2 && is_file_server(&principal.parts()[0])) {
        let mend = "clients ask for cifs/HOST with the name that they connect to; \
                    a domain may give them the key of the machine's account instead";
        table.warn(what, format_args!("no key of cifs/HOST; {mend}"));
    }
}
