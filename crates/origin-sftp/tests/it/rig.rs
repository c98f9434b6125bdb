//! A real sshd of the test's own: a port, a host key, users' keys, a directory, all of which go with it.

use origin_sftp::{SftpConfig, SftpVolume};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SSHD: &str = "/usr/sbin/sshd";
/// Where sshd wants to live, at Debian's.
const PRIVILEGE_SEPARATION_DIR: &str = "/run/sshd";
const START_PATIENCE: Duration = Duration::from_secs(10);

pub struct Rig {
    home: TempDir,
    port: u16,
    daemon: Child,
}

impl Rig {
    /// `None`, said aloud, where there is no sshd.
    pub fn start() -> Option<Rig> {
        Rig::start_with("internal-sftp")
    }

    /// With another SFTP server, or words for it.
    pub fn start_with(subsystem: &str) -> Option<Rig> {
        if !Path::new(SSHD).exists() {
            eprintln!("skipped: there is no {SSHD}; `cargo xtask test` installs openssh-server");
            return None;
        }
        let home = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| home.path().join(name);
        for name in ["host", "user"] {
            keygen(&at(name), "ed25519");
        }
        fs::create_dir(at("data")).unwrap();
        let public = |name: &str| fs::read_to_string(at(&format!("{name}.pub"))).unwrap();
        fs::write(at("authorized_keys"), public("user")).unwrap();
        let _there_already = fs::create_dir(PRIVILEGE_SEPARATION_DIR);
        let port = free_port();
        let show = |name: &str| at(name).display().to_string();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nPermitRootLogin yes\nMaxStartups 100\nSubsystem sftp {subsystem}\n",
            show("host"),
            show("authorized_keys"),
        );
        fs::write(at("sshd_config"), config).unwrap();
        let key = public("host");
        fs::write(at("known_hosts"), format!("[127.0.0.1]:{port} {key}")).unwrap();
        let log = fs::File::create(at("log")).unwrap();
        let daemon = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(at("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect(SSHD);
        let rig = Rig { home, port, daemon };
        rig.wait_until_it_listens();
        Some(rig)
    }

    /// For the user who may log on, with a key that is known.
    pub fn config(&self) -> SftpConfig {
        let root = self.data().display().to_string();
        let mut config = SftpConfig::new("127.0.0.1", user(), root, self.at("known_hosts"));
        config.port = self.port;
        config.key = Some(self.at("user"));
        config
    }

    /// Another key, not known to anybody.
    pub fn key(&self, name: &str, kind: &str) -> PathBuf {
        keygen(&self.at(name), kind);
        self.at(name)
    }

    /// Lets the user log on with this key too.
    pub fn authorize(&self, name: &str) {
        let mut keys = fs::OpenOptions::new().append(true).open(self.at("authorized_keys")).unwrap();
        keys.write_all(&fs::read(self.at(&format!("{name}.pub"))).unwrap()).unwrap();
    }

    pub fn volume(&self) -> SftpVolume {
        SftpVolume::new(self.config())
    }

    /// A volume of a directory that is empty.
    pub fn fresh(&self) -> Arc<SftpVolume> {
        let dir = tempfile::tempdir_in(self.data()).expect("a temporary directory").keep();
        let root = dir.display().to_string();
        Arc::new(SftpVolume::new(SftpConfig { root, ..self.config() }))
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The directory that is the root of [`Rig::volume`].
    pub fn data(&self) -> PathBuf {
        self.at("data")
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills the processes that serve connections; the daemon stays.
    pub fn cut(&self) {
        let sessions = children(self.daemon.id());
        assert!(!sessions.is_empty(), "nobody is connected");
        sessions.into_iter().for_each(|pid| signal_tree(pid, Signal::KILL));
    }

    /// Stops these processes: what is asked from now on is not answered.
    pub fn pause(&self) {
        children(self.daemon.id()).into_iter().for_each(|pid| signal_tree(pid, Signal::STOP));
    }

    fn wait_until_it_listens(&self) {
        let since = Instant::now();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            let log = fs::read_to_string(self.at("log")).unwrap_or_default();
            assert!(since.elapsed() < START_PATIENCE, "sshd does not listen: {log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        children(self.daemon.id()).into_iter().for_each(|pid| signal_tree(pid, Signal::KILL));
        let _gone = self.daemon.kill();
        let _reaped = self.daemon.wait();
    }
}

fn keygen(file: &Path, kind: &str) {
    let made = Command::new("ssh-keygen").args(["-q", "-N", "", "-t", kind, "-f"]).arg(file).status();
    assert!(made.expect("ssh-keygen").success());
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).unwrap().port()
}

fn user() -> String {
    let told = Command::new("id").arg("-un").output().expect("id");
    String::from_utf8(told.stdout).expect("a name").trim().to_owned()
}

fn children(pid: u32) -> Vec<u32> {
    let told = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    told.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn signal_tree(pid: u32, signal: Signal) {
    children(pid).into_iter().for_each(|child| signal_tree(child, signal));
    if let Some(pid) = Pid::from_raw(pid as i32) {
        let _gone = kill_process(pid, signal);
    }
}
