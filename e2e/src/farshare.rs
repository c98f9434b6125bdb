//! farshare itself: one process with `try`, or two nodes with a link between them.

use crate::Outcome;
use crate::process::{Net, Running, Scratch, free_port, output, wait_until};
use crate::samba::listens;
use crate::smbclient::SmbClient;
use crate::wan::{Side, Wan};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const START_PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const USER: &str = "rig";
pub(crate) const PASSWORD: &str = "rig-password";

/// The program under test: `FARSHARE_BIN`, or the one built beside this one.
pub fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("FARSHARE_BIN") {
        return named.into();
    }
    let here = std::env::current_exe().expect("a running program has a path");
    let built = here.ancestors().find(|dir| dir.join("farshare").is_file());
    built.map(|dir| dir.join("farshare")).unwrap_or_else(|| "farshare".into())
}

/// `farshare try DIR`.
pub struct Farshare {
    pub running: Running,
    pub address: SocketAddr,
    pub share: String,
    pub user: String,
    pub password: String,
    pub admin: String,
    scratch: Scratch,
}

impl Farshare {
    /// Starts it over `dir` with further `words` and waits until it is ready.
    pub fn try_dir(dir: &Path, words: &[&str]) -> Outcome<Farshare> {
        Farshare::try_in(&Net::Host, "127.0.0.1:0", dir, words)
    }

    /// The same inside `net`, serving SMB at `smb`.
    pub fn try_in(net: &Net, smb: &str, dir: &Path, words: &[&str]) -> Outcome<Farshare> {
        let scratch = Scratch::new()?;
        let mut command = net.command(program());
        command
            .arg("try")
            .arg(dir)
            .args(["--json", "--smb", smb, "--admin", "127.0.0.1:0", "--state"])
            .arg(scratch.path().join("state"))
            .args(words);
        let mut running = Running::start("farshare try", command, &scratch.path().join("log"))?;
        let mut line = String::new();
        BufReader::new(running.take_output()?)
            .read_line(&mut line)
            .map_err(|error| format!("farshare try: {error}"))?;
        let ready: serde_json::Value = serde_json::from_str(&line)
            .map_err(|error| format!("farshare try said {line:?}: {error}\n{}", running.log()))?;
        let word = |name: &str| {
            ready[name]
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| format!("farshare try: no {name} in {line:?}"))
        };
        let address = word("smb")?.parse().map_err(|error| format!("farshare try: {error}"))?;
        Ok(Farshare {
            running,
            address,
            share: word("share")?,
            user: word("user")?,
            password: word("password")?,
            admin: word("admin")?,
            scratch,
        })
    }

    /// Its state directory.
    pub fn state(&self) -> PathBuf {
        self.scratch.path().join("state")
    }

    pub fn client(&self) -> SmbClient {
        SmbClient {
            net: Net::Host,
            address: self.address,
            share: self.share.clone(),
            user: self.user.clone(),
            password: self.password.clone(),
            options: Vec::new(),
        }
    }
}

/// A `farshare serve` process, and how to talk to it.
pub struct Node {
    pub running: Running,
    config: PathBuf,
    net: Net,
    log: PathBuf,
}

impl Node {
    pub(crate) fn start(config: &Path, net: &Net, log: &Path) -> Outcome<Node> {
        let mut command = net.command(program());
        command.args(["serve", "--config"]).arg(config);
        let running = Running::start("farshare serve", command, log)?;
        Ok(Node { running, config: config.to_path_buf(), net: net.clone(), log: log.to_path_buf() })
    }

    /// What `farshare status --json` says.
    pub fn status(&self) -> Outcome<serde_json::Value> {
        let mut command = Command::new(program());
        command.args(["status", "--json", "--config"]).arg(&self.config);
        let text = output(command)?;
        serde_json::from_str(&text).map_err(|error| format!("status said {text:?}: {error}"))
    }

    /// Starts it again after it ended or was killed.
    pub fn restart(&mut self) -> Outcome {
        self.running.end();
        let again = Node::start(&self.config, &self.net, &self.log)?;
        *self = again;
        Ok(())
    }
}

/// What differs from the usual pair of nodes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Lines of the gateway's `[volume.data]`, at least `origin = "..."`.
    pub origin: String,
    /// Where the entrypoint's cache lies, if not in the rig's own directory.
    pub cache_dir: Option<PathBuf>,
    /// Room for the cache.
    pub cache_size: String,
    /// How long a call waits for a gateway that does not answer.
    pub patience: String,
    /// Further sections of the gateway's configuration.
    pub gateway_more: String,
    /// Further sections of the entrypoint's configuration.
    pub entrypoint_more: String,
}

impl Plan {
    pub fn new(origin: &str) -> Plan {
        Plan {
            origin: origin.to_owned(),
            cache_dir: None,
            cache_size: "20GiB".to_owned(),
            patience: "5s".to_owned(),
            gateway_more: String::new(),
            entrypoint_more: String::new(),
        }
    }
}

/// The main job: a gateway at one side of a WAN, an entrypoint with cache at the other.
pub struct Sites {
    pub gateway: Node,
    pub entrypoint: Node,
    /// Where the entrypoint serves SMB, as seen at its own side.
    pub address: SocketAddr,
    /// Where the gateway takes links.
    pub link: SocketAddr,
    net: Net,
    cache: PathBuf,
    scratch: Scratch,
}

impl Sites {
    /// Both nodes across `wan`. `origin`: lines of the gateway's `[volume.data]`, at least `origin = "..."`.
    pub fn across(wan: &Wan, origin: &str) -> Outcome<Sites> {
        Sites::planned(wan, &Plan::new(origin))
    }

    /// Both nodes across `wan`, as `plan` says.
    pub fn planned(wan: &Wan, plan: &Plan) -> Outcome<Sites> {
        let scratch = Scratch::new()?;
        let link = SocketAddr::from((wan.address(Side::A)?, 7440));
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let certs = scratch.path().join("certs");
        run(&["certs", "init", "--dir"], &certs)?;
        for name in ["dc1", "dc2"] {
            run(&["certs", "issue", name, "--dir"], &certs)?;
        }
        let cache = plan.cache_dir.clone().unwrap_or_else(|| scratch.path().join("cache"));
        let at_a = scratch.file("dc1.toml", &gateway_config(&scratch, link, plan))?;
        let at_b = scratch.file("dc2.toml", &entrypoint_config(&scratch, &cache, link, address, plan))?;
        add_user(USER, &scratch, &at_b)?;
        let (net_a, net_b) = (wan.net(Side::A), wan.net(Side::B));
        let gateway = Node::start(&at_a, &net_a, &scratch.path().join("dc1.log"))?;
        let entrypoint = Node::start(&at_b, &net_b, &scratch.path().join("dc2.log"))?;
        let mut sites = Sites { gateway, entrypoint, address, link, net: net_b, cache, scratch };
        sites.wait_for_share()?;
        Ok(sites)
    }

    /// Returns when a client can list the share.
    pub fn wait_for_share(&mut self) -> Outcome {
        let (net, address, client) = (self.net.clone(), self.address, self.client());
        let entrypoint = &mut self.entrypoint.running;
        let up = wait_until(START_PATIENCE, || !entrypoint.is_running() || listens(&net, address));
        if up && entrypoint.is_running() && wait_until(START_PATIENCE, || client.run("ls").is_ok()) {
            return Ok(());
        }
        Err(format!(
            "the share is not there:\n{}\n{}",
            self.gateway.running.log(),
            self.entrypoint.running.log()
        ))
    }

    /// A client at the users' side.
    pub fn client(&self) -> SmbClient {
        SmbClient {
            net: self.net.clone(),
            address: self.address,
            share: "data".to_owned(),
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
            options: Vec::new(),
        }
    }

    /// The directory of the entrypoint's caches.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Where both nodes keep state (`dc1`, `dc2`), certificates (`certs`) and configurations.
    pub fn files(&self) -> &Path {
        self.scratch.path()
    }
}

pub(crate) fn run(words: &[&str], path: &Path) -> Outcome {
    let mut command = Command::new(program());
    command.args(words).arg(path);
    output(command).map(drop)
}

/// Adds a user with the rigs' password to the node of a configuration.
pub(crate) fn add_user(name: &str, scratch: &Scratch, config: &Path) -> Outcome {
    let password = scratch.file("password", PASSWORD)?;
    fs::set_permissions(&password, Permissions::from_mode(0o600))
        .map_err(|error| format!("{}: {error}", password.display()))?;
    let mut command = Command::new(program());
    command.args(["user", "add", name, "--password-file"]).arg(&password).arg("--config").arg(config);
    output(command).map(drop)
}

fn gateway_config(scratch: &Scratch, listen: SocketAddr, plan: &Plan) -> String {
    format!(
        "[node]\nname = \"dc1\"\nstate = \"{files}/dc1\"\n\
         [link]\nlisten = \"{listen}\"\ncerts = \"{files}/certs\"\n\
         [volume.data]\n{origin}\nallow = [\"dc2\"]\n{more}",
        files = scratch.path().display(),
        origin = plan.origin,
        more = plan.gateway_more,
    )
}

fn entrypoint_config(
    scratch: &Scratch,
    cache: &Path,
    gateway: SocketAddr,
    smb: SocketAddr,
    plan: &Plan,
) -> String {
    format!(
        "[node]\nname = \"dc2\"\nstate = \"{files}/dc2\"\n\
         [link]\ndial = [\"dc1={gateway}\"]\ncerts = \"{files}/certs\"\n\
         [volume.data]\norigin = \"peer://dc1/data\"\n\
         cache = {{ path = \"{cache}\", size = \"{size}\", patience = \"{patience}\" }}\n\
         [smb]\nlisten = \"{smb}\"\n[smb.share.data]\nvolume = \"data\"\n{more}",
        files = scratch.path().display(),
        cache = cache.display(),
        size = plan.cache_size,
        patience = plan.patience,
        more = plan.entrypoint_more,
    )
}
