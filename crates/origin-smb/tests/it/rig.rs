//! A Samba server with a share of its own, and volumes on it.

use e2e::{Net, Samba, SmbClient, free_port, wait_until};
use origin_smb::{SmbConfig, SmbVolume, Watching};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;

pub struct Rig {
    data: TempDir,
    address: SocketAddr,
    samba: Option<Samba>,
    fresh: AtomicUsize,
    settings: &'static str,
}

impl Rig {
    pub fn start() -> Rig {
        Rig::with("default")
    }

    /// `settings`: what smb.conf says of `server signing`; further lines are further settings, in which `DIR`
    /// stands for the directory of the share.
    pub fn with(settings: &'static str) -> Rig {
        let data = tempfile::tempdir().expect("a directory");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut rig = Rig { data, address, samba: None, fresh: AtomicUsize::new(0), settings };
        rig.start_server();
        rig
    }

    /// Starts the server on the same share and port.
    pub fn start_server(&mut self) {
        let settings = self.settings.replace("DIR", &self.data.path().display().to_string());
        let samba = Samba::start(self.data.path(), &Net::Host, self.address, &settings);
        self.samba = Some(samba.expect("smbd"));
    }

    /// Ends the server with all its connections, as a crash would.
    pub fn stop_server(&mut self) {
        let mut samba = self.samba.take().expect("a running smbd");
        for pid in children(samba.running.pid()) {
            kill(pid);
        }
        samba.running.kill();
    }

    /// Cuts the connections; the server stays.
    pub fn cut_connections(&self) {
        let parent = self.samba().running.pid();
        children(parent).into_iter().filter(|pid| serves_a_client(*pid, self.address.port())).for_each(kill);
    }

    fn samba(&self) -> &Samba {
        self.samba.as_ref().expect("a running smbd")
    }

    /// Trusts the server's notices, so that a live watch shows in its promise.
    pub fn config(&self) -> SmbConfig {
        let samba = self.samba();
        SmbConfig {
            watch: Watching::Trusted,
            ..SmbConfig::new(self.address.to_string(), &samba.share, &samba.user, samba.password.as_str())
        }
    }

    /// The whole share.
    pub async fn volume(&self) -> Arc<SmbVolume> {
        SmbVolume::connect(self.config()).await.unwrap_or_else(|why| panic!("{why}"))
    }

    /// A new and empty directory of the share.
    pub async fn fresh(&self) -> Arc<SmbVolume> {
        let name = format!("fresh {}", self.fresh.fetch_add(1, Ordering::Relaxed));
        std::fs::create_dir(self.data.path().join(&name)).expect("a directory in the share");
        let config = SmbConfig { subdir: Some(name), ..self.config() };
        SmbVolume::connect(config).await.unwrap_or_else(|why| panic!("{why}"))
    }

    pub fn smbclient(&self) -> SmbClient {
        let samba = self.samba();
        SmbClient {
            net: Net::Host,
            address: self.address,
            share: samba.share.clone(),
            user: samba.user.clone(),
            password: samba.password.clone(),
            options: Vec::new(),
        }
    }

    pub fn path(&self) -> &std::path::Path {
        self.data.path()
    }

    /// The names in the share's root, as the file system has them.
    pub fn on_disk(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.data.path()).expect("the share");
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
    }

    /// Waits until no process of the server has a file of the share open.
    pub fn until_nothing_is_open(&self) {
        let open = || {
            let pids = children(self.samba().running.pid());
            let mut links =
                pids.iter().flat_map(|pid| std::fs::read_dir(format!("/proc/{pid}/fd"))).flatten();
            links.any(|link| {
                let Ok(target) = link.and_then(|link| std::fs::read_link(link.path())) else { return false };
                target.starts_with(self.data.path()) && target.is_file()
            })
        };
        assert!(wait_until(Duration::from_secs(10), || !open()), "a file stays open at the server");
    }
}

fn children(pid: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// Whether a process of smbd holds an accepted connection, and so is no helper.
fn serves_a_client(pid: u32, port: u16) -> bool {
    let mut command = Command::new("ss");
    command.args(["-Htnp", "state", "established", "sport", "=", &format!(":{port}")]);
    let said = e2e::output(command).expect("ss runs");
    said.contains(&format!("pid={pid},"))
}

/// Ends a process at once; one that has ended by itself is just as well.
fn kill(pid: u32) {
    Command::new("kill").args(["-KILL", &pid.to_string()]).output().expect("kill runs");
}
