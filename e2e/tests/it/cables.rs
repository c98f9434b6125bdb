//! Several cables between a server and its client, and SMB over QUIC on them, with a client of another make.

use crate::near::has;
use crate::tell::{Proof, ensure};
use e2e::{Lan, Running, Scratch, build_over_quic, output, program, wait_until};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub const USER: &str = "rig";
pub const PASSWORD: &str = "rig-password";
/// Longer than a server believes what it knows of its interfaces.
const SEEN_AGAIN: Duration = Duration::from_secs(20);

/// A node that serves a directory over TCP and QUIC on all cables, with no more than its packaged unit allows.
pub struct Server {
    pub node: Running,
    pub lan: Lan,
    pub data: PathBuf,
    pub scratch: Scratch,
}

impl Server {
    /// `more`: further lines of `[smb]`.
    pub fn new(name: &str, cables: u8, more: &str) -> Proof<Server> {
        let lan = Lan::up(name, cables)?;
        let scratch = Scratch::new()?;
        let data = scratch.dir("data")?;
        certificate(scratch.path(), cables)?;
        let files = scratch.path().display();
        let config = format!(
            "[node]\nname = \"files\"\nstate = \"{files}/state\"\n\
             [volume.data]\norigin = \"file://{}\"\n\
             [smb]\n{more}\n\
             [smb.quic]\ncertificate = \"quic.crt\"\nkey = \"quic.key\"\n\
             [smb.share.data]\nvolume = \"data\"\n",
            data.display()
        );
        let config = scratch.file("farshare.toml", &config)?;
        let password = scratch.file("password", PASSWORD)?;
        fs::set_permissions(&password, Permissions::from_mode(0o600))?;
        let mut user = Command::new(program());
        user.args(["user", "add", USER, "--password-file"]).arg(&password).arg("--config").arg(&config);
        output(user)?;
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = lan.server().command(project.join("packaged/run"));
        command.arg(project.join("../packaging/farshare.service"));
        command.arg(program()).args(["serve", "--config"]).arg(&config);
        let node = Running::start("farshare serve", command, &scratch.path().join("log"))?;
        let socket = scratch.path().join("state/admin.sock");
        ensure(wait_until(Duration::from_secs(20), || socket.exists()), || node.log())?;
        Ok(Server { node, lan, data, scratch })
    }

    /// What the client says over QUIC on the first cable.
    fn over_quic(&self) -> Proof<String> {
        let mut command = self.lan.client().command(client()?);
        command
            .args([&Lan::address(0).to_string(), "443", "data", USER])
            .arg(self.scratch.path().join("quic.der"))
            .arg(&self.data)
            .env("SMB_PASSWORD", PASSWORD);
        Ok(output(command).map_err(|why| format!("{why}\n{}", self.node.log()))?)
    }
}

/// A certificate for the server's addresses: `quic.crt`, `quic.key`, and `quic.der` for the client.
fn certificate(dir: &Path, cables: u8) -> Proof {
    let names: Vec<String> = (0..cables).map(|cable| format!("IP:{}", Lan::address(cable))).collect();
    let config = format!(
        "[req]\ndistinguished_name = name\nx509_extensions = extensions\nprompt = no\n\
         [name]\nCN = farshare\n[extensions]\nsubjectAltName = {}\n",
        names.join(",")
    );
    fs::write(dir.join("openssl.cnf"), config)?;
    let openssl = |words: &str| {
        let mut command = Command::new("openssl");
        command.args(words.split(' ')).current_dir(dir);
        output(command).map(drop)
    };
    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -config openssl.cnf -keyout quic.key -out quic.crt",
    )?;
    openssl("x509 -in quic.crt -outform der -out quic.der")?;
    fs::set_permissions(dir.join("quic.key"), Permissions::from_mode(0o600))?;
    Ok(())
}

/// The client of another make, built beside our programs.
fn client() -> Proof<PathBuf> {
    let here = std::env::current_exe()?;
    let target = here.ancestors().nth(3).ok_or("a test lies in target/PROFILE/deps")?;
    Ok(build_over_quic(target)?)
}

/// The addresses that the server told the client.
fn told(said: &str) -> Vec<&str> {
    let mut told: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("interface ")).collect();
    told.sort_unstable();
    told
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn a_client_goes_over_quic_on_two_cables_and_on_the_one_that_is_left() -> Proof {
    let server = Server::new("quic", 2, "")?;
    // What containers bring along leads nowhere for this client.
    server.lan.at_server("link add docker0 type bridge")?;
    server.lan.at_server("address add 172.17.0.1/16 dev docker0")?;
    server.lan.at_server("link set docker0 up")?;
    let said = server.over_quic()?;
    has(&said, &["channels 2", "entry over.bin 3000017", "all well"])?;
    ensure(told(&said) == ["10.78.0.1", "10.78.1.1"], || said.clone())?;
    let log = server.node.log();
    ensure(!log.contains("panicked") && log.contains("a further channel"), || log.clone())?;

    server.lan.at_server("link set net1 down")?;
    let mut last = String::new();
    let seen = wait_until(SEEN_AGAIN, || {
        last = server.over_quic().unwrap_or_default();
        told(&last) == ["10.78.0.1"]
    });
    ensure(seen, || format!("the cable that was pulled is still told of:\n{last}"))?;
    has(&last, &["channels 1", "all well"])
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn clients_are_told_of_the_interfaces_that_the_operator_names() -> Proof {
    let server =
        Server::new("named", 3, "interfaces = [\"net2\", { address = \"10.78.0.1\", speed = \"10Gbit\" }]")?;
    let said = server.over_quic()?;
    has(&said, &["channels 2", "all well"])?;
    ensure(told(&said) == ["10.78.0.1", "10.78.2.1"], || said.clone())
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn the_server_is_found_by_multicast_dns_when_that_is_wanted() -> Proof {
    let found = |server: &Server, seconds: &str, service: &str| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/mdns_query.py");
        let mut command = server.lan.client().command("python3");
        command.arg(script).args(["10.78.0.2", seconds, service]);
        output(command)
    };
    let silent = Server::new("silent", 1, "")?;
    let said = found(&silent, "3", "_smb._tcp.local")?;
    ensure(said.is_empty(), || format!("nobody asked for an announcement:\n{said}"))?;
    drop(silent);
    let macs = "[smb.share.macs]\nvolume = \"data\"\ntime_machine = true";
    let smb = format!("server_name = \"DEPOT\"\ndiscovery = {{ mdns = true }}\n{macs}");
    let server = Server::new("found", 1, &smb)?;
    let disks = found(&server, "15", "_adisk._tcp.local")?;
    has(&disks, &["PTR _adisk._tcp.local DEPOT._adisk._tcp.local", "dk0=adVN=macs,adVF=0x82"])?;
    let said = found(&server, "15", "_smb._tcp.local")?;
    let log = server.node.log();
    has(
        &format!("{said}{log}"),
        &["PTR _smb._tcp.local DEPOT._smb._tcp.local", "445 DEPOT.local", "A DEPOT.local 10.78.0.1"],
    )
}
