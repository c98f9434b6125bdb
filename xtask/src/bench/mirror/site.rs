//! Where one tool is measured: the directory that is mirrored, the mirrors' directories and how they are reached. Made anew
//! for each measure, removed with it.

use crate::run::Outcome;
use e2e::Servers;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Site<'a> {
    pub dir: PathBuf,
    /// The truth.
    pub source: PathBuf,
    pub mirrors: Vec<Mirror>,
    pub servers: &'a Servers,
}

pub struct Mirror {
    pub name: String,
    pub root: PathBuf,
    pub port: u16,
}

impl Site<'_> {
    pub fn new<'a>(dir: PathBuf, servers: &'a Servers) -> Outcome<Site<'a>> {
        let source = dir.join("source");
        let mirrors: Vec<Mirror> = (1..)
            .zip(&servers.wires)
            .map(|(number, wire)| {
                let name = format!("m{number}");
                Mirror { root: dir.join(&name), name, port: wire.port() }
            })
            .collect();
        let site = Site { dir, source, mirrors, servers };
        let mirrors = site.mirrors.iter().map(|mirror| &mirror.root);
        for dir in std::iter::once(&site.source).chain(mirrors) {
            fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        }
        Ok(site)
    }

    /// Makes each mirror what the source is, as nobody's tool does.
    pub fn fill(&self) -> Outcome {
        for mirror in &self.mirrors {
            let mut command = Command::new("cp");
            command.arg("-a").arg(self.source.join(".")).arg(&mirror.root);
            e2e::output(command)?;
        }
        Ok(())
    }

    /// What calls a mirror by OpenSSH, without the host.
    pub fn ssh(&self, mirror: &Mirror) -> Vec<String> {
        let mut words = vec!["ssh".to_owned(), "-p".to_owned(), mirror.port.to_string()];
        words.extend(e2e::client_options(&self.servers.key, &self.servers.known_hosts));
        words
    }

    pub fn log(&self, of: &str) -> PathBuf {
        self.dir.join(format!("{of}.log"))
    }
}

impl Drop for Site<'_> {
    fn drop(&mut self) {
        self.servers.hang_up();
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            eprintln!("xtask: {}: {error}", self.dir.display());
        }
    }
}

/// The end of what a tool wrote to its log.
pub fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}
