//! The mirrors' servers: real OpenSSH on loopback, each with a host key of its own and our wire before it, and the one
//! key that opens all of them.

use crate::wire::{Far, Wire};
use crate::{Outcome, Running, free_port, output, wait_until};
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SSHD: &str = "/usr/sbin/sshd";
/// It insists on this directory, empty, and does not make it.
const SEPARATION: &str = "/run/sshd";
const START_PATIENCE: Duration = Duration::from_secs(10);

pub struct Servers {
    /// The private key that logs in as root.
    pub key: PathBuf,
    pub known_hosts: PathBuf,
    /// One for each mirror.
    pub wires: Vec<Wire>,
    _running: Vec<Running>,
}

impl Servers {
    /// Starts `count` of them, with what they need in `dir`.
    pub fn start(dir: &Path, count: usize, far: Option<Far>) -> Outcome<Servers> {
        fs::create_dir_all(SEPARATION).map_err(|error| format!("{SEPARATION}: {error}"))?;
        let key = new_key(dir, "id_ed25519")?;
        let known_hosts = dir.join("known_hosts");
        let (mut wires, mut running, mut known) = (Vec::new(), Vec::new(), String::new());
        for number in 1..=count {
            let host_key = new_key(dir, &format!("host{number}"))?;
            let port = free_port();
            running.push(start(dir, number, &host_key, port)?);
            let wire = Wire::start(port, far)?;
            known += &format!("[127.0.0.1]:{} {}", wire.port(), public(&host_key)?);
            wires.push(wire);
        }
        write(&known_hosts, &known)?;
        Ok(Servers { key, known_hosts, wires, _running: running })
    }

    /// What has passed to and from all mirrors.
    pub fn bytes(&self) -> u64 {
        self.wires.iter().map(Wire::bytes).sum()
    }

    /// Ends what tools left open.
    pub fn hang_up(&self) {
        for wire in &self.wires {
            wire.cut();
            wire.heal();
        }
    }
}

/// Options of OpenSSH's client that log in by this key and know these hosts, whatever the machine's own configuration says.
pub fn client_options(key: &Path, known_hosts: &Path) -> Vec<String> {
    let mut words = vec!["-F".to_owned(), "/dev/null".to_owned(), "-i".to_owned(), key.display().to_string()];
    let known_hosts = format!("UserKnownHostsFile={}", known_hosts.display());
    for option in [&known_hosts, "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "BatchMode=yes"] {
        words.extend(["-o".to_owned(), option.to_owned()]);
    }
    words
}

fn start(dir: &Path, number: usize, host_key: &Path, port: u16) -> Outcome<Running> {
    let config = dir.join(format!("sshd{number}.conf"));
    let text = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nPermitRootLogin yes\n\
         PasswordAuthentication no\nUsePAM no\nStrictModes no\nUseDNS no\nPrintMotd no\nMaxStartups 1000\n\
         MaxSessions 1000\nSubsystem sftp internal-sftp\n",
        host_key.display(),
        dir.join("id_ed25519.pub").display(),
    );
    write(&config, &text)?;
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", SSHD, "-D", "-e", "-f"]).arg(&config);
    // Newer ones punish who is cut off in the middle of a log-in; older ones do not know the word.
    let config = config.display().to_string();
    let mut knows = Command::new(SSHD);
    knows.args(["-t", "-f", &config, "-o", "PerSourcePenalties=no"]);
    if output(knows).is_ok() {
        command.args(["-o", "PerSourcePenalties=no"]);
    }
    let mut running = Running::start("sshd", command, &dir.join(format!("sshd{number}.log")))?;
    let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
    match wait_until(START_PATIENCE, || listens() || !running.is_running()) && running.is_running() {
        true => Ok(running),
        false => Err(format!("sshd does not listen:\n{}", running.log())),
    }
}

fn new_key(dir: &Path, name: &str) -> Outcome<PathBuf> {
    let key = dir.join(name);
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(&key);
    output(command)?;
    Ok(key)
}

fn public(key: &Path) -> Outcome<String> {
    let path = key.with_extension("pub");
    fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
