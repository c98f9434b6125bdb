//! Samba 4.22 out of a chroot that `e2e/smbtorture/samba-4.22` makes: the peer with multichannel, leases and
//! durable handles, which the distribution's own Samba has in part only.

use crate::Outcome;
use crate::process::{Net, Running, Scratch, output, wait_until};
use crate::samba::listens;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const START_PATIENCE: Duration = Duration::from_secs(30);
/// Binds the served directory and the state into the chroot, for this process and its children alone.
const START: &str = "set -e\n\
    mount --bind \"$2\" \"$1/srv\"\n\
    mount --bind \"$3\" \"$1/mnt\"\n\
    chroot \"$1\" smbpasswd -c /mnt/smb.conf -s -a root < \"$3/password\" >&2\n\
    exec chroot \"$1\" smbd --foreground --no-process-group --configfile /mnt/smb.conf\n";

pub struct SambaNewest {
    pub running: Running,
    root: PathBuf,
    dir: PathBuf,
    net: Net,
    address: SocketAddr,
    scratch: Scratch,
}

impl SambaNewest {
    pub const SHARE: &'static str = "data";
    pub const USER: &'static str = "root";
    pub const PASSWORD: &'static str = "rig-password";

    /// Serves `dir` inside `net` at `address`, which may be every address. Makes the chroot where there is none.
    pub fn start(dir: &Path, net: &Net, address: SocketAddr) -> Outcome<SambaNewest> {
        SambaNewest::start_with(dir, net, address, "")
    }

    /// The same with further lines of `[global]`.
    pub fn start_with(dir: &Path, net: &Net, address: SocketAddr, more: &str) -> Outcome<SambaNewest> {
        let root = chroot()?;
        let scratch = Scratch::new()?;
        let state = scratch.dir("state")?;
        let failed = |error: std::io::Error| format!("{}: {error}", state.display());
        fs::write(state.join("smb.conf"), configuration(address, more)).map_err(failed)?;
        fs::write(state.join("password"), format!("{0}\n{0}\n", Self::PASSWORD)).map_err(failed)?;
        let running = launch(&root, dir, &scratch, net)?;
        let (dir, net) = (dir.to_path_buf(), net.clone());
        let mut samba = SambaNewest { running, root, dir, net, address, scratch };
        samba.wait_until_it_listens()?;
        Ok(samba)
    }

    fn wait_until_it_listens(&mut self) -> Outcome {
        let (net, address) = (self.net.clone(), self.address);
        let running = &mut self.running;
        let up = wait_until(START_PATIENCE, || !running.is_running() || listens(&net, address));
        if up && running.is_running() { Ok(()) } else { Err(format!("smbd:\n{}", running.log())) }
    }

    /// Ends it and the processes of its clients as a power cut would.
    pub fn kill(&mut self) {
        self.running.kill_family();
    }

    /// Starts it again, with the state that it left.
    pub fn serve(&mut self) -> Outcome {
        self.running = launch(&self.root, &self.dir, &self.scratch, &self.net)?;
        self.wait_until_it_listens()
    }
}

fn launch(root: &Path, dir: &Path, scratch: &Scratch, net: &Net) -> Outcome<Running> {
    let mut command = net.command("unshare");
    // smbd ends its whole process group when it ends: it must be its own.
    command.process_group(0);
    command.args(["--mount", "sh", "-c", START, "sh"]).arg(root).arg(dir).arg(scratch.path().join("state"));
    Running::start("smbd", command, &scratch.path().join("smbd.log"))
}

/// `SAMBA_CHROOT`, or one in the cache directory; made when it is not there.
pub fn chroot() -> Outcome<PathBuf> {
    let home = std::env::var_os("HOME").ok_or("HOME is not set")?;
    let root = std::env::var_os("SAMBA_CHROOT")
        .map_or_else(|| Path::new(&home).join(".cache/samba-4.22"), Into::into);
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("smbtorture/samba-4.22"));
    command.arg(&root);
    output(command)?;
    Ok(root)
}

/// As for the baseline of smbtorture: what Samba can do, with everything that is for other programs on its host off.
fn configuration(address: SocketAddr, more: &str) -> String {
    format!(
        "[global]\n\
         server role = standalone server\nnetbios name = RIG\nworkgroup = RIG\n\
         smb ports = {port}\n\
         private dir = /mnt\nlock directory = /mnt\nstate directory = /mnt\ncache directory = /mnt\n\
         pid directory = /mnt\nncalrpc dir = /mnt/ncalrpc\nlog file = /mnt/log\n\
         passdb backend = tdbsam:/mnt/passdb.tdb\n\
         disable netbios = yes\nload printers = no\nprinting = bsd\ndisable spoolss = yes\n\
         server min protocol = SMB2_02\nserver signing = mandatory\nmap to guest = never\n\
         server multi channel support = yes\n\
         interfaces = \"vmtap1;speed=10000000000,capability=RSS\" \"vmtap2;speed=10000000000,capability=RSS\"\nsmb3 unix extensions = yes\n\
         {more}{wanted}\nkernel oplocks = no\nkernel share modes = no\nposix locking = no\n\
         [{share}]\npath = /srv\nread only = no\nforce user = {user}\n\
         store dos attributes = yes\nea support = yes\nvfs objects = acl_xattr streams_xattr\n\
         acl_xattr:ignore system acls = yes\n",
        wanted = std::env::var("SAMBA_GLOBAL_LINES").unwrap_or_default(),
        port = address.port(),
        share = SambaNewest::SHARE,
        user = SambaNewest::USER,
    )
}
