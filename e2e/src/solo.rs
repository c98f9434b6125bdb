//! One node that serves a directory, by a configuration of its own: what `farshare serve` does without a link.

use crate::Outcome;
use crate::farshare::{Node, PASSWORD, USER, add_user, program};
use crate::process::{Cpu, Net, Running, Scratch, output, wait_until};
use crate::samba::listens;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const START_PATIENCE: Duration = Duration::from_secs(30);

pub struct Solo {
    node: Node,
    net: Net,
    address: SocketAddr,
    config: PathBuf,
    _scratch: Scratch,
}

impl Solo {
    pub const SHARE: &'static str = "data";
    pub const USER: &'static str = USER;
    /// Who may do what only administrators may; with the same password.
    pub const ADMINISTRATOR: &'static str = "chief";
    pub const PASSWORD: &'static str = PASSWORD;

    /// Serves `dir` inside `net` at `address`, which may be every address. `smb`, `share`: further lines of
    /// `[smb]` and of the share's section.
    pub fn start(dir: &Path, net: &Net, address: SocketAddr, smb: &str, share: &str) -> Outcome<Solo> {
        let scratch = Scratch::new()?;
        let config = format!(
            "[node]\nname = \"solo\"\nstate = \"{state}\"\n[volume.data]\norigin = \"file://{dir}\"\n\
             [smb]\nlisten = \"{address}\"\nadministrators = [\"{chief}\"]\n{smb}\n[smb.share.{name}]\nvolume = \"data\"\n{share}\n",
            state = scratch.path().join("state").display(),
            dir = dir.display(),
            chief = Solo::ADMINISTRATOR,
            name = Solo::SHARE,
        );
        let config = scratch.file("solo.toml", &config)?;
        for user in [Solo::USER, Solo::ADMINISTRATOR] {
            add_user(user, &scratch, &config)?;
        }
        let node = Node::start(&config, net, &scratch.path().join("log"))?;
        let mut solo = Solo { node, net: net.clone(), address, config, _scratch: scratch };
        solo.wait_until_it_listens()?;
        Ok(solo)
    }

    fn wait_until_it_listens(&mut self) -> Outcome {
        let (net, address) = (self.net.clone(), self.address);
        let running = &mut self.node.running;
        let up = wait_until(START_PATIENCE, || !running.is_running() || listens(&net, address));
        if up && running.is_running() { Ok(()) } else { Err(format!("farshare:\n{}", running.log())) }
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.node.running.kill();
    }

    /// Starts it again, with the state that it left.
    pub fn serve(&mut self) -> Outcome {
        self.node.restart()?;
        self.wait_until_it_listens()
    }

    /// A command of the program about this node, with its configuration; gives what it prints.
    pub fn farshare(&self, words: &[&str]) -> Outcome<String> {
        let mut command = Command::new(program());
        command.args(words).arg("--config").arg(&self.config);
        output(command)
    }

    /// CPU time that it has used.
    pub fn cpu(&self) -> Cpu {
        self.node.running.cpu()
    }

    /// Memory that it holds, bytes.
    pub fn family_bytes(&self) -> u64 {
        self.node.running.family_bytes()
    }

    pub fn running(&mut self) -> &mut Running {
        &mut self.node.running
    }
}
