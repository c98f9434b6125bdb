//! A Samba server of the rig's own: its configuration, users and databases lie in the rig's directory.

use crate::Outcome;
use crate::process::{Net, Running, Scratch, output, wait_until};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The system user on whose behalf Samba works; the rigs run as root.
const SYSTEM_USER: &str = "root";

pub struct Samba {
    pub running: Running,
    pub address: SocketAddr,
    pub user: String,
    pub password: String,
    pub share: String,
    _scratch: Scratch,
}

impl Samba {
    /// Serves `dir` as the share `data` at `address`, inside `net`. `signing`: as `server signing` in smb.conf.
    pub fn start(dir: &Path, net: &Net, address: SocketAddr, signing: &str) -> Outcome<Samba> {
        let scratch = Scratch::new()?;
        let state = scratch.dir("state")?;
        let configuration = configuration(dir, &state, net, address, signing);
        let conf = scratch.file("smb.conf", &configuration)?;
        set_password(&conf, "rig-password")?;
        let mut command = net.command("smbd");
        // smbd ends its whole process group when it ends: it must be its own.
        command.process_group(0);
        command.args(["--foreground", "--no-process-group", "--configfile"]).arg(&conf);
        let mut running = Running::start("smbd", command, &scratch.path().join("smbd.log"))?;
        let up = wait_until(Duration::from_secs(20), || !running.is_running() || listens(net, address));
        if !up || !running.is_running() {
            return Err(format!("smbd did not start:\n{}", running.log()));
        }
        Ok(Samba {
            running,
            address,
            user: SYSTEM_USER.to_owned(),
            password: "rig-password".to_owned(),
            share: "data".to_owned(),
            _scratch: scratch,
        })
    }
}

fn configuration(dir: &Path, state: &Path, net: &Net, address: SocketAddr, signing: &str) -> String {
    let state = state.display();
    // A WAN's device can do no broadcast, and Samba takes no address of such; a namespace has only our addresses.
    let interfaces = match net {
        Net::Host => format!("interfaces = {}\nbind interfaces only = yes\n", address.ip()),
        Net::Namespace(_) => String::new(),
    };
    format!(
        "[global]\n\
         server role = standalone server\n\
         netbios name = RIG\n\
         workgroup = RIG\n\
         {interfaces}\
         smb ports = {port}\n\
         private dir = {state}\nlock directory = {state}\nstate directory = {state}\n\
         cache directory = {state}\npid directory = {state}\nncalrpc dir = {state}/ncalrpc\n\
         log file = {state}/log\n\
         passdb backend = tdbsam:{state}/passdb.tdb\n\
         disable netbios = yes\nload printers = no\nprinting = bsd\ndisable spoolss = yes\n\
         server min protocol = SMB2_02\nserver signing = {signing}\n\
         map to guest = never\n\
         [data]\npath = {dir}\nread only = no\nforce user = {SYSTEM_USER}\nstore dos attributes = yes\n",
        port = address.port(),
        dir = dir.display(),
    )
}

fn set_password(conf: &Path, password: &str) -> Outcome {
    let mut child = Command::new("smbpasswd")
        .arg("-c")
        .arg(conf)
        .args(["-s", "-a", SYSTEM_USER])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot start smbpasswd: {error}"))?;
    let mut input = child.stdin.take().ok_or("smbpasswd takes no input")?;
    write!(input, "{password}\n{password}\n").map_err(|error| format!("smbpasswd: {error}"))?;
    drop(input);
    let status = child.wait().map_err(|error| format!("smbpasswd: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("smbpasswd ended with {status}")) }
}

/// Whether somebody takes connections there.
pub(crate) fn listens(net: &Net, address: SocketAddr) -> bool {
    let address = match address.ip().is_unspecified() {
        true => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
        false => address,
    };
    match net {
        Net::Host => TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok(),
        Net::Namespace(_) => {
            let probe = format!("exec 3<>/dev/tcp/{}/{}", address.ip(), address.port());
            let mut command = net.command("bash");
            command.args(["-c", &probe]).stderr(Stdio::null());
            output(command).is_ok()
        }
    }
}
