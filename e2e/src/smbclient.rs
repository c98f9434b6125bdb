//! Samba's command-line client.

use crate::Outcome;
use crate::process::{Net, Scratch, output};
use std::net::SocketAddr;
use std::process::Command;

/// Where and as whom to log in.
#[derive(Clone, Debug)]
pub struct SmbClient {
    pub net: Net,
    pub address: SocketAddr,
    pub share: String,
    pub user: String,
    pub password: String,
    /// Further words for smbclient's command line.
    pub options: Vec<String>,
}

impl SmbClient {
    /// Runs commands of smbclient's own language, one per line or separated by `;`; gives what it prints. An
    /// error when it fails or says an NTSTATUS.
    pub fn run(&self, commands: &str) -> Outcome<String> {
        SmbClient::judge(commands, self.run_lenient(commands)?)
    }

    /// An error when smbclient has said an NTSTATUS.
    pub(crate) fn judge(commands: &str, said: String) -> Outcome<String> {
        match said.lines().find(|line| line.contains("NT_STATUS_")) {
            Some(line) => Err(format!("smbclient {commands:?}: {line}")),
            None => Ok(said),
        }
    }

    /// The same, whatever the server answers to single commands.
    pub fn run_lenient(&self, commands: &str) -> Outcome<String> {
        let scratch = Scratch::new()?;
        let command = self.command(&scratch, commands)?;
        output(command)
    }

    /// The process that would run `commands`. Credentials go by file: no password stands in a process list.
    pub fn command(&self, scratch: &Scratch, commands: &str) -> Outcome<Command> {
        let credentials = format!("username = {}\npassword = {}\n", self.user, self.password);
        let credentials = scratch.file("credentials", &credentials)?;
        let mut command = self.net.command("smbclient");
        command
            .arg(format!("//{}/{}", self.address.ip(), self.share))
            .args(["-p", &self.address.port().to_string(), "-t", "120", "-A"])
            .arg(credentials)
            .args(&self.options)
            .args(["-c", commands]);
        Ok(command)
    }
}

/// The content of a file on the share.
pub fn fetch(client: &SmbClient, name: &str) -> Outcome<Vec<u8>> {
    let scratch = Scratch::new()?;
    let to = scratch.path().join("fetched");
    client.run(&format!("get \"{name}\" \"{}\"", to.display()))?;
    std::fs::read(&to).map_err(|error| format!("{}: {error}", to.display()))
}
