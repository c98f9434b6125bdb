//! `cargo xtask bench`: farshare beside its peers, on this machine, in one run.
//!
//! Peer and product take turns, so that what else the machine does falls on both. Each figure is given with its
//! minimum, median and maximum. Nothing here passes or fails: it is read by people.

mod figures;
pub mod lan;
pub mod memory;
pub mod wan;

use crate::run::{self, Outcome};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Builds what is measured, and has the rigs use it; `FARSHARE_BIN` names one that is there.
fn build() -> Outcome {
    if std::env::var_os("FARSHARE_BIN").is_some() {
        return Ok(());
    }
    run::run(&run::cargo(), &["build", "--release", "--locked", "--package", "farshare"])?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| run::root().join("target"), Into::into);
    // SAFETY: this program has one thread at this point.
    unsafe { std::env::set_var("FARSHARE_BIN", target.join("release/farshare")) };
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
