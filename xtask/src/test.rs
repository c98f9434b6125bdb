//! `cargo xtask test`: everything that must hold, the quickest to fail first.

use crate::packages;
use crate::run::{self, Outcome};
use crate::tidy;

/// Without what needs packages.
pub fn quick() -> Outcome {
    let cargo = run::cargo();
    run::run(&cargo, &["fmt", "--all", "--check"])?;
    tidy::check()?;
    run::run(&cargo, &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])?;
    tests(&["--workspace"])
}

/// All of it.
pub fn all() -> Outcome {
    packages::ensure()?;
    quick()
}

/// Runs tests with nextest where it is installed: one process per test, so that one crash is one failure.
fn tests(words: &[&str]) -> Outcome {
    let cargo = run::cargo();
    let mut line = match run::there(&cargo, &["nextest", "--version"]) {
        true => vec!["nextest", "run", "--locked", "--no-fail-fast"],
        false => vec!["test", "--locked", "--no-fail-fast"],
    };
    line.extend(words);
    run::run(&cargo, &line)
}
