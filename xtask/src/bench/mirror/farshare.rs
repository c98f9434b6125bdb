//! The product: `farshare serve` with one volume, its mirrors, and a mount through which it is changed.

use super::site::{Site, tail};
use super::tool::{self, Tool, Usage};
use crate::run::Outcome;
use e2e::{Mounted, Running, wait_until};
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const START_PATIENCE: Duration = Duration::from_secs(30);

/// Dropped in this order: the mount, its daemon.
pub struct Farshare {
    mount: Option<Mounted>,
    running: Option<Running>,
    at: PathBuf,
    config: PathBuf,
    log: PathBuf,
}

pub fn start(site: &Site<'_>) -> Outcome<Box<dyn Tool>> {
    let (at, config) = (site.dir.join("mnt"), site.dir.join("farshare.toml"));
    fs::create_dir_all(&at).map_err(|error| format!("{}: {error}", at.display()))?;
    fs::write(&config, text(site, &at)).map_err(|error| format!("{}: {error}", config.display()))?;
    let mut farshare = Farshare { mount: None, running: None, at, config, log: site.log("farshare") };
    farshare.restart()?;
    Ok(Box::new(farshare))
}

fn text(site: &Site<'_>, at: &Path) -> String {
    let state = site.dir.join("state");
    let mut text = format!(
        "[node]\nname = \"here\"\nstate = {state:?}\n\n[volume.web]\norigin = \"file://{}\"\n",
        site.source.display()
    );
    for mirror in &site.mirrors {
        // Writing into a String cannot fail.
        write!(
            text,
            "\n[[volume.web.mirror]]\nname = {:?}\nto = \"sftp://root@127.0.0.1:{}{}\"\nkey = {:?}\n\
             known_hosts = {:?}\n",
            mirror.name,
            mirror.port,
            mirror.root.display(),
            site.servers.key,
            site.servers.known_hosts,
        )
        .expect("memory");
    }
    write!(text, "\n[fuse.web]\nvolume = \"web\"\nat = {at:?}\n").expect("memory");
    text
}

impl Tool for Farshare {
    fn work(&self) -> &Path {
        &self.at
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
            running.kill();
        }
        // What a daemon that was killed leaves is a mount that nobody answers for.
        self.mount = None;
        Ok(())
    }

    fn restart(&mut self) -> Outcome {
        let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
        let below = device(&self.at);
        let words = ["serve".as_ref(), "--config".as_ref(), self.config.as_os_str()];
        let daemon = tool::daemon(e2e::program().as_os_str(), &words, &self.log)?;
        let running = self.running.insert(daemon);
        let there = || device(&self.at).is_some_and(|device| Some(device) != below);
        if wait_until(START_PATIENCE, || there() || !running.is_running()) && there() {
            self.mount = Some(Mounted::by_another(&self.at));
            return Ok(());
        }
        self.running = None;
        Err(format!("farshare does not mount a volume with mirrors:\n{}", tail(&self.log)))
    }

    /// What is changed past its mount is not its job.
    fn finds_changes(&self) -> bool {
        false
    }

    fn check(&mut self) -> Outcome {
        match self.running.as_mut().is_some_and(Running::is_running) {
            true => Ok(()),
            false => Err(format!("farshare does not run any more:\n{}", tail(&self.log))),
        }
    }
}
