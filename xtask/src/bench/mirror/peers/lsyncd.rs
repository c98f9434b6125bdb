//! lsyncd: inotify, rsync for contents, ssh for renames and removals (`default.rsyncssh`), a delay of one second.

use super::super::site::{Site, tail};
use super::super::tool::{self, Tool, Usage};
use crate::run::Outcome;
use e2e::Running;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

pub struct Lsyncd {
    source: PathBuf,
    config: PathBuf,
    log: PathBuf,
    running: Option<Running>,
}

pub fn start(site: &Site<'_>) -> Outcome<Box<dyn Tool>> {
    let config = site.dir.join("lsyncd.lua");
    fs::write(&config, text(site)).map_err(|error| format!("{}: {error}", config.display()))?;
    let mut lsyncd = Lsyncd { source: site.source.clone(), config, log: site.log("lsyncd"), running: None };
    lsyncd.restart()?;
    Ok(Box::new(lsyncd))
}

fn text(site: &Site<'_>) -> String {
    let mut text = "settings { nodaemon = true, insist = true }\n".to_owned();
    for mirror in &site.mirrors {
        // Writing into a String cannot fail.
        writeln!(
            text,
            "sync {{ default.rsyncssh, delay = 1, host = \"root@127.0.0.1\", source = {:?}, targetdir = {:?},\n  \
             rsync = {{ archive = true, hard_links = true, acls = true, xattrs = true }},\n  \
             ssh = {{ port = {}, identityFile = {:?}, options = {{ UserKnownHostsFile = {:?},\n    \
             StrictHostKeyChecking = \"yes\", IdentitiesOnly = \"yes\", BatchMode = \"yes\" }} }} }}",
            site.source, mirror.root, mirror.port, site.servers.key, site.servers.known_hosts,
        )
        .expect("memory");
    }
    text
}

impl Tool for Lsyncd {
    fn work(&self) -> &Path {
        &self.source
    }

    fn live(&self) -> bool {
        true
    }

    fn pass(&mut self) -> Outcome {
        self.check()
    }

    fn usage(&self) -> Usage {
        self.running.as_ref().map(tool::usage).unwrap_or_default()
    }

    fn forget_peak(&mut self) {
        self.running.iter().for_each(tool::forget_peak);
    }

    fn kill(&mut self) -> Outcome {
        if let Some(mut running) = self.running.take() {
            running.kill_family();
        }
        Ok(())
    }

    fn restart(&mut self) -> Outcome {
        self.running = Some(tool::daemon("lsyncd".as_ref(), &[self.config.as_os_str()], &self.log)?);
        Ok(())
    }

    fn finds_changes(&self) -> bool {
        true
    }

    fn check(&mut self) -> Outcome {
        match self.running.as_mut().is_some_and(Running::is_running) {
            true => Ok(()),
            false => Err(format!("lsyncd does not run any more:\n{}", tail(&self.log))),
        }
    }
}

impl Drop for Lsyncd {
    fn drop(&mut self) {
        // With thousands of renames before it, it does not end when asked.
        self.kill().ok();
    }
}
