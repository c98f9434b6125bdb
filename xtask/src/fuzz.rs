//! `cargo xtask fuzz`: every parser of bytes from outside, each for a while.
//!
//! The stable toolchain serves: cargo-fuzz's coverage needs an unstable flag, its sanitizers an unstable
//! toolchain, so the flag is let through and the sanitizers are left out; the parsers are safe code.

use crate::packages;
use crate::run::{self, Outcome};
use std::process::Command;

/// Lets the stable toolchain take unstable flags.
const TOOLCHAIN: (&str, &str) = ("RUSTC_BOOTSTRAP", "1");
/// How long each target runs unless told otherwise.
pub const SECONDS: u32 = 10;

/// Runs each target for `seconds`, as many at once as there are processors.
pub fn check(seconds: u32) -> Outcome {
    let cargo = run::cargo();
    packages::cargo_fuzz()?;
    run::run_with(&cargo, &["fuzz", "build", "--sanitizer", "none"], &[TOOLCHAIN])?;
    let targets = run::output(&cargo, &["fuzz", "list"])?;
    let targets: Vec<&str> = targets.lines().collect();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    for some in targets.chunks(processors) {
        std::thread::scope(|scope| {
            let running: Vec<_> =
                some.iter().map(|target| scope.spawn(move || fuzz(target, seconds))).collect();
            running.into_iter().try_for_each(|one| one.join().map_err(|_| "a fuzz thread failed")?)
        })?;
    }
    Ok(())
}

/// Runs one target; what it says is shown when it has found something.
fn fuzz(target: &str, seconds: u32) -> Outcome {
    let mut command = Command::new(run::cargo());
    command
        .args(["fuzz", "run", "--sanitizer", "none", target, "--"])
        .arg(format!("-max_total_time={seconds}"))
        // A small input reaches every branch sooner than a large one; a few MiB of memory are plenty.
        .args(["-max_len=4096", "-rss_limit_mb=1024", "-timeout=5"])
        .envs([TOOLCHAIN])
        .current_dir(run::root());
    let said = command.output().map_err(|error| format!("cannot start cargo fuzz: {error}"))?;
    let words = String::from_utf8_lossy(&said.stderr);
    let done = words.lines().rev().find(|line| line.starts_with("Done ")).unwrap_or("");
    eprintln!("xtask: {target}: {} {done}", if said.status.success() { "clean" } else { "FOUND" });
    match said.status.success() {
        true => Ok(()),
        false => Err(format!("fuzz target {target}: {}\n{words}", said.status)),
    }
}
