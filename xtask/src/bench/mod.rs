//! `cargo xtask bench`: farshare beside its peers, on this machine, in one run.
//!
//! Peer and product take turns, so that what else the machine does falls on both. Each figure is given with its
//! minimum, median and maximum. Nothing here passes or fails: it is read by people.

pub mod clients;
mod figures;
pub mod fuse;
pub mod kernel;
pub mod lan;
mod load;
pub mod memory;
pub mod mirror;
pub mod wan;

use crate::run::{self, Outcome};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Builds what is measured, and has the rigs use it; `FARSHARE_BIN` names one that is there. Where this program
/// was built for tests it is built anew and takes its own place: its clients must not be what is slow.
fn build() -> Outcome {
    let target = run::target().join("release");
    let mut packages = Vec::new();
    let ours = std::env::var_os("FARSHARE_BIN").is_none();
    if ours {
        packages.extend(["--package", "farshare"]);
    }
    if cfg!(debug_assertions) {
        packages.extend(["--package", "xtask"]);
    }
    if !packages.is_empty() {
        run::run(&run::cargo(), &[&["build", "--release", "--locked"], packages.as_slice()].concat())?;
    }
    if ours {
        // SAFETY: this program has one thread at this point.
        unsafe { std::env::set_var("FARSHARE_BIN", target.join("farshare")) };
    }
    if cfg!(debug_assertions) {
        let mut again = Command::new(target.join("xtask"));
        again.args(std::env::args_os().skip(1));
        let failed = again.exec();
        return Err(format!("cannot start {:?}: {failed}", again.get_program()));
    }
    Ok(())
}

/// Runs a command and says how long it took.
fn timed(mut command: Command) -> Outcome<Duration> {
    let begun = Instant::now();
    let said = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let took = begun.elapsed();
    let text = String::from_utf8_lossy(&said.stdout);
    let status = text.lines().find(|line| line.contains("NT_STATUS_"));
    match (said.status.success(), status) {
        (true, None) => Ok(took),
        (_, status) => {
            Err(format!("{:?}: {} {}", command.get_program(), said.status, status.unwrap_or(&text)))
        }
    }
}

/// Fills a file with bytes that no compression shortens.
fn random_file(path: &Path, bytes: u64) -> Outcome {
    let command = format!("head -c {bytes} /dev/urandom > '{}'", path.display());
    run::output("sh", &["-c", &command]).map(drop)
}

/// Writes what other processes have not, and forgets what was read, so that nobody starts warm.
fn forget_page_cache() -> Outcome {
    run::output("sh", &["-c", "sync; echo 3 > /proc/sys/vm/drop_caches"]).map(drop)
}
