//! `cargo xtask fuzz`: every parser of bytes from outside, each for a while.
//!
//! The stable toolchain serves: cargo-fuzz's coverage needs an unstable flag, its sanitizers an unstable
//! toolchain, so the flag is let through and the sanitizers are left out; the code has no unsafe parsers.

use crate::run::{self, Outcome};

/// Built and tested with this one.
const CARGO_FUZZ: &str = "0.13.2";

/// How long each target runs unless told otherwise.
pub const SECONDS: u32 = 10;

/// Runs each target for `seconds`.
pub fn check(seconds: u32) -> Outcome {
    let cargo = run::cargo();
    if !run::there(&cargo, &["fuzz", "--version"]) {
        run::run(&cargo, &["install", "--locked", "cargo-fuzz", "--version", CARGO_FUZZ])?;
    }
    let targets = run::output(&cargo, &["fuzz", "list"])?;
    let environment = [("RUSTC_BOOTSTRAP", "1")];
    let build = ["fuzz", "build", "--sanitizer", "none"];
    run::run_with(&cargo, &build, &environment)?;
    let time = format!("-max_total_time={seconds}");
    for target in targets.lines() {
        // A small input reaches every branch sooner than a large one; a few MiB of memory are plenty.
        let words = ["fuzz", "run", "--sanitizer", "none", target, "--"];
        let options = [time.as_str(), "-max_len=4096", "-rss_limit_mb=1024", "-timeout=5", "-verbosity=0"];
        run::run_with(&cargo, &[&words[..], &options].concat(), &environment)?;
    }
    Ok(())
}
