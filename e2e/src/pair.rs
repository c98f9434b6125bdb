//! Gateway and entrypoint on this machine, over as many directories as a test wants, as `farshare serve` runs them.

use crate::Outcome;
use crate::farshare::{Node, PASSWORD, add_user, run};
use crate::process::{Net, Running, Scratch, free_port, wait_until};
use crate::smbclient::SmbClient;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

const START_PATIENCE: Duration = Duration::from_secs(30);

/// A directory, and the share that it becomes.
pub struct Shared {
    pub name: String,
    pub dir: PathBuf,
    /// Further lines of the share's section.
    pub lines: &'static str,
}

pub struct Pair {
    entrypoint: Node,
    gateway: Node,
    address: SocketAddr,
    user: String,
    _scratch: Scratch,
}

impl Pair {
    /// Of every user.
    pub const PASSWORD: &'static str = PASSWORD;

    /// Serves the directories at `address` to `users`; returns once clients can connect to the first. `smb`: further
    /// lines of `[smb]`.
    pub fn start(address: SocketAddr, users: &[&str], smb: &str, shared: &[Shared]) -> Outcome<Pair> {
        let scratch = Scratch::new()?;
        let link = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let certs = scratch.path().join("certs");
        run(&["certs", "init", "--dir"], &certs)?;
        for name in ["gateway", "entrypoint"] {
            run(&["certs", "issue", name, "--dir"], &certs)?;
        }
        let gateway = scratch.file("gateway.toml", &gateway(scratch.path(), link, shared))?;
        let entrypoint = entrypoint(scratch.path(), link, address, smb, shared);
        let entrypoint = scratch.file("entrypoint.toml", &entrypoint)?;
        for user in users {
            add_user(user, &scratch, &entrypoint)?;
        }
        let mut pair = Pair {
            gateway: Node::start(&gateway, &Net::Host, &scratch.path().join("gateway.log"))?,
            entrypoint: Node::start(&entrypoint, &Net::Host, &scratch.path().join("entrypoint.log"))?,
            address,
            user: users[0].to_owned(),
            _scratch: scratch,
        };
        pair.wait_for(shared)?;
        Ok(pair)
    }

    fn wait_for(&mut self, shared: &[Shared]) -> Outcome {
        for share in shared {
            let client = self.client(&share.name);
            let running = &mut self.entrypoint.running;
            // A volume that is not there yet is a share that is not there yet; what else is refused is answered.
            let up =
                wait_until(START_PATIENCE, || !running.is_running() || client.run_lenient("quit").is_ok());
            if !up || !running.is_running() {
                return Err(format!("the share {} is not there:\n{}", share.name, self.log()));
            }
        }
        Ok(())
    }

    pub fn client(&self, share: &str) -> SmbClient {
        SmbClient {
            net: Net::Host,
            address: self.address,
            share: share.to_owned(),
            user: self.user.clone(),
            password: PASSWORD.to_owned(),
            options: Vec::new(),
        }
    }

    /// Whether both still run.
    pub fn is_running(&mut self) -> bool {
        self.nodes().into_iter().all(Running::is_running)
    }

    fn nodes(&mut self) -> [&mut Running; 2] {
        [&mut self.gateway.running, &mut self.entrypoint.running]
    }

    /// What both have said.
    pub fn log(&self) -> String {
        format!("gateway:\n{}\nentrypoint:\n{}", self.gateway.running.log(), self.entrypoint.running.log())
    }
}

fn gateway(files: &Path, link: SocketAddr, shared: &[Shared]) -> String {
    let files = files.display();
    let mut text = format!(
        "[node]\nname = \"gateway\"\nstate = \"{files}/gateway\"\n\
         [link]\nlisten = \"{link}\"\ncerts = \"{files}/certs\"\n"
    );
    for Shared { name, dir, .. } in shared {
        let dir = dir.display();
        text += &format!("[volume.{name}]\norigin = \"file://{dir}\"\nallow = [\"entrypoint\"]\n");
    }
    text
}

fn entrypoint(files: &Path, link: SocketAddr, address: SocketAddr, smb: &str, shared: &[Shared]) -> String {
    let files = files.display();
    let mut text = format!(
        "[node]\nname = \"entrypoint\"\nstate = \"{files}/entrypoint\"\n\
         [link]\ndial = [\"gateway={link}\"]\ncerts = \"{files}/certs\"\n\
         [smb]\nlisten = \"{address}\"\n{smb}\n"
    );
    for Shared { name, lines, .. } in shared {
        text += &format!(
            "[volume.{name}]\norigin = \"peer://gateway/{name}\"\n\
             cache = {{ path = \"{files}/cache\" }}\n\
             [smb.share.{name}]\nvolume = \"{name}\"\n{lines}\n"
        );
    }
    text
}
