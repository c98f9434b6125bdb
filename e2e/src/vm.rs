//! A Linux guest with the kernel's SMB client (`e2e/vm`), and the two wires between it and a server.
//!
//! The wires are taps in a namespace of their own, where the server has port 445 and both addresses from its
//! start. A script in the guest gives orders to the host by files in the directory that both see: what only the
//! host can do (cut a wire, kill the server, look at the disk) happens at the moment that the script wants it.

use crate::Outcome;
use crate::process::{Net, Running, Scratch, output};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

/// How often the host looks for orders.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The guest powers off by itself once its output has ended.
const OFF_PATIENCE: Duration = Duration::from_secs(60);

/// The directory of the rig.
pub fn rig() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vm")
}

/// Two wires, 1 and 2, between the namespace of a server and the guest's NICs.
pub struct Wires {
    namespace: String,
    prefix: String,
}

impl Wires {
    /// Makes the namespace `name`; the server's addresses are `prefix`.1.1 and `prefix`.2.1.
    pub fn up(name: &str, prefix: &str) -> Outcome<Wires> {
        // What a run that was killed left behind.
        if Path::new("/run/netns").join(name).exists() {
            run(&["net-down", name])?;
        }
        run(&["net-up", name, prefix])?;
        Ok(Wires { namespace: name.to_owned(), prefix: prefix.to_owned() })
    }

    /// Where the server runs.
    pub fn net(&self) -> Net {
        Net::Namespace(self.namespace.clone())
    }

    /// The server's address on a wire.
    pub fn address(&self, wire: u8) -> Outcome<Ipv4Addr> {
        format!("{}.{wire}.1", self.prefix).parse().map_err(|_| format!("{} is no prefix", self.prefix))
    }

    /// Nothing passes on this wire any more, in either direction, and nobody is told. The device stays up: user-mode
    /// Linux loses its NIC for good when the other end goes down.
    pub fn cut(&self, wire: u8) -> Outcome {
        self.filter(&format!(
            "table inet cut{wire} {{\n\
             chain in {{ type filter hook input priority 0; iifname vmtap{wire} drop; }}\n\
             chain out {{ type filter hook output priority 0; oifname vmtap{wire} drop; }}\n}}\n"
        ))
    }

    pub fn mend(&self, wire: u8) -> Outcome {
        self.filter(&format!("delete table inet cut{wire}\n"))
    }

    fn filter(&self, rules: &str) -> Outcome {
        let scratch = Scratch::new()?;
        let mut command = self.net().command("nft");
        command.arg("-f").arg(scratch.file("rules", rules)?);
        output(command).map(drop)
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        if let Err(why) = run(&["net-down", &self.namespace]) {
            eprintln!("vm {}: {why}", self.namespace);
        }
    }
}

fn run(words: &[&str]) -> Outcome {
    let mut command = Command::new(rig().join("run"));
    command.args(words);
    output(command).map(drop)
}

/// What a guest is started with.
pub struct Guest<'a> {
    pub wires: &'a Wires,
    /// As `run -b` takes it.
    pub backend: String,
    /// Environment of the script.
    pub environment: Vec<(String, String)>,
    /// Files that are put beside the scripts, as `/host/NAME`.
    pub tools: Vec<PathBuf>,
    /// The guest is ended after this.
    pub limit: Duration,
}

impl Guest<'_> {
    /// Boots it and runs a script of the rig (`battery/NAME.sh`). `obey` carries out an order, `hear` gets each
    /// line of output as it comes. The script's exit status.
    pub fn run(
        &self,
        script: &str,
        mut obey: impl FnMut(&str) -> Outcome<String>,
        mut hear: impl FnMut(&str),
    ) -> Outcome<Option<i32>> {
        let scratch = Scratch::new()?;
        let host = self.lay_out(&scratch)?;
        let mut command = Command::new(rig().join("run"));
        command.args(["-q", "-b", &self.backend, "-t", &self.limit.as_secs().to_string()]);
        if let Net::Namespace(name) = self.wires.net() {
            command.args(["-n", &format!("netns:{name}")]);
        }
        command.arg("-s").arg(&host);
        for (name, value) in &self.environment {
            command.args(["-e", &format!("{name}={value}")]);
        }
        command.arg(host.join("battery").join(format!("{script}.sh")));
        let mut guest = Running::start("the guest", command, &scratch.path().join("log"))?;
        let lines = lines_of(&mut guest)?;
        loop {
            match lines.recv_timeout(LOOK_EVERY) {
                Ok(line) => hear(&line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            carry_out(&host.join("orders"), &mut obey)?;
        }
        let status = guest.wait(OFF_PATIENCE)?;
        // These are the rig's own: 124 is the limit, 125 a failure.
        match status {
            Some(125) => Err(format!("the guest failed:\n{}", guest.log())),
            status => Ok(status),
        }
    }

    /// The directory that both see.
    fn lay_out(&self, scratch: &Scratch) -> Outcome<PathBuf> {
        let host = scratch.dir("host")?;
        fs::create_dir(host.join("orders")).map_err(|error| format!("orders: {error}"))?;
        let mut command = Command::new("cp");
        command.arg("-r").arg(rig().join("battery")).args(&self.tools).arg(&host);
        output(command)?;
        Ok(host)
    }
}

/// Each line that it prints, as it comes; the sender is gone when the output has ended.
fn lines_of(guest: &mut Running) -> Outcome<Receiver<String>> {
    let (said, lines) = mpsc::channel();
    let mut reader = BufReader::new(guest.take_output()?);
    std::thread::spawn(move || {
        let mut line = Vec::new();
        // A failed read ends it as its end would: the status tells the difference.
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if said.send(text).is_err() {
                return;
            }
        }
    });
    Ok(lines)
}

/// Obeys what lies there: `ID.order` becomes `ID.done` or `ID.failed` with what there is to say.
fn carry_out(orders: &Path, obey: &mut impl FnMut(&str) -> Outcome<String>) -> Outcome {
    let failed = |error: std::io::Error| format!("{}: {error}", orders.display());
    for entry in fs::read_dir(orders).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_none_or(|extension| extension != "order") {
            continue;
        }
        let order = fs::read_to_string(&path).map_err(failed)?;
        fs::remove_file(&path).map_err(failed)?;
        let (text, end) = match obey(order.trim_end()) {
            Ok(text) => (text, "done"),
            Err(why) => (why, "failed"),
        };
        let answer = path.with_extension("answer");
        fs::write(&answer, text).map_err(failed)?;
        fs::rename(&answer, path.with_extension(end)).map_err(failed)?;
    }
    Ok(())
}
