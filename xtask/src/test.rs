//! `cargo xtask test`: everything that must hold, the quickest to fail first.

use crate::conformance::{self, Scope};
use crate::run::{self, Outcome};
use crate::{fuzz, packages, tidy};
use std::time::{Duration, Instant};

/// Steps that have passed, and how long each took.
#[derive(Default)]
struct Steps(Vec<(&'static str, Duration)>);

impl Steps {
    fn step(&mut self, name: &'static str, work: impl FnOnce() -> Outcome) -> Outcome {
        eprintln!("xtask: == {name}");
        let begun = Instant::now();
        let done = work().map_err(|why| format!("{name}: {why}"));
        self.0.push((name, begun.elapsed()));
        done
    }

    /// Says how long each step took, also after one that failed.
    fn tell(&self) {
        let mut total = Duration::ZERO;
        for (name, took) in &self.0 {
            eprintln!("xtask: {name:<24} {:>6.0} s", took.as_secs_f64());
            total += *took;
        }
        eprintln!("xtask: {:<24} {:>6.0} s", "together", total.as_secs_f64());
    }
}

/// Without what needs packages.
pub fn quick() -> Outcome {
    let mut steps = Steps::default();
    let done = quick_steps(&mut steps);
    steps.tell();
    done
}

/// All of it.
pub fn all() -> Outcome {
    let mut steps = Steps::default();
    let done = all_steps(&mut steps);
    steps.tell();
    done
}

fn all_steps(steps: &mut Steps) -> Outcome {
    steps.step("packages", packages::ensure)?;
    steps.step("crates and tools", packages::bring)?;
    quick_steps(steps)?;
    steps.step("farshare", || run::run(&run::cargo(), &["build", "--locked", "--package", "farshare"]))?;
    // Its first build takes longer than a test may.
    steps.step("the client over QUIC", || e2e::build_over_quic(&run::target()).map(drop))?;
    steps.step("end to end", || tests(&["--package", "e2e"], Ignored::Only))?;
    steps.step("file systems", || tests(&["--package", "origin-local"], Ignored::Only))?;
    steps.step("smbtorture", || conformance::smb(Scope::Quick, None))?;
    steps.step("fuzz", || fuzz::check(fuzz::SECONDS))
}

fn quick_steps(steps: &mut Steps) -> Outcome {
    let cargo = run::cargo();
    steps.step("format", || run::run(&cargo, &["fmt", "--all", "--check"]))?;
    steps.step("tidy", tidy::check)?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    steps.step("clippy", || run::run(&cargo, &clippy))?;
    steps.step("unit and integration", || tests(&["--workspace"], Ignored::Not))
}

/// Whether tests run that are marked as needing root and packages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ignored {
    Not,
    Only,
}

/// Runs tests with nextest where it is installed: one process per test, so that one crash is one failure.
fn tests(words: &[&str], ignored: Ignored) -> Outcome {
    let cargo = run::cargo();
    let nextest = run::there(&cargo, &["nextest", "--version"]);
    let mut line = match nextest {
        true => vec!["nextest", "run", "--locked", "--no-fail-fast"],
        false => vec!["test", "--locked", "--no-fail-fast"],
    };
    line.extend(words);
    match (ignored, nextest) {
        (Ignored::Not, _) => {}
        (Ignored::Only, true) => line.extend(["--run-ignored", "only"]),
        (Ignored::Only, false) => line.extend(["--", "--ignored"]),
    }
    run::run(&cargo, &line)
}
