//! `cargo xtask posix`: a mounted farshare under suites for file systems that others wrote, held against the list of
//! known fails.
//!
//! farshare shows a directory of a new ext4; the suites run on what it shows. Plain ext4 is the measure: what fails or
//! is skipped there is the suite's or the machine's. Of the rest exactly the known fails may fail. Peers run in the
//! same place, and are told only: ext4 itself, which gives the baseline, and bindfs, which does the same job. `--at`
//! takes what is mounted already.

mod outcome;
mod suites;
mod under_test;

use crate::run::{self, Outcome};
use crate::{conformance, packages};
use outcome::{Results, Verdict};
use std::fs;
use std::time::Instant;
use suites::{Ground, SUITES, Tools};
pub use under_test::{Kind, UnderTest, mounted};

const KNOWN_FAIL: &str = "e2e/posix/known-fail.tsv";
const BASELINE: &str = "e2e/posix/baseline-ext4.tsv";

/// What to run.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    kind: Kind,
    suites: Vec<&'static str>,
}

pub fn plan(words: &[&str]) -> Outcome<Plan> {
    let mut plan = Plan { kind: Kind::Farshare, suites: Vec::new() };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut next = || words.next().copied().ok_or_else(|| format!("{word} wants a word"));
        match *word {
            "--at" => {
                let dir = next()?;
                let dir = fs::canonicalize(dir).map_err(|error| format!("{dir}: {error}"))?;
                plan.kind = Kind::At(dir);
            }
            "--peer" => {
                plan.kind = match next()? {
                    "ext4" => Kind::Ext4,
                    "bindfs" => Kind::Bindfs,
                    other => return Err(format!("no such peer: {other}; there are ext4 and bindfs")),
                }
            }
            word => match SUITES.iter().find(|suite| **suite == word) {
                Some(suite) => plan.suites.push(suite),
                None => {
                    return Err(format!("posix does not know {word}; the suites are {}", SUITES.join(", ")));
                }
            },
        }
    }
    if plan.suites.is_empty() {
        plan.suites = SUITES.to_vec();
    }
    Ok(plan)
}

/// Runs the suites. farshare's results are judged, the others' told.
pub fn check(plan: &Plan) -> Outcome {
    if !packages::is_root()? {
        return Err("posix mounts file systems: run it as root".to_owned());
    }
    packages::ensure_posix()?;
    let tools = Tools::bring(&plan.suites)?;
    if plan.kind == Kind::Farshare && std::env::var_os("FARSHARE_BIN").is_none() {
        run::run(&run::cargo(), &["build", "--locked", "--package", "farshare"])?;
    }
    let ext4 = conformance::rows(&run::root().join(BASELINE))?;
    let known = conformance::rows(&run::root().join(KNOWN_FAIL))?;
    // From here on without a network, and with mounts of its own.
    e2e::seclude()?;
    let mut results = Results::default();
    let mut under = mounted(&plan.kind)?;
    for suite in &plan.suites {
        results.take(run_suite(suite, &plan.kind, &tools, &mut under)?);
    }
    drop(under);
    let name = plan.kind.name();
    results.write(&run::target().join("posix").join(format!("{name}.tsv")))?;
    print!("{}", results.table(name, &ext4));
    if plan.kind != Kind::Farshare {
        return Ok(());
    }
    let wrong = results.surprises(&ext4, &known);
    if wrong.is_empty() { Ok(()) } else { Err(format!("posix ({KNOWN_FAIL}):\n  {}", wrong.join("\n  "))) }
}

/// One suite; whoever serves the file system must have lived through it.
fn run_suite(suite: &str, kind: &Kind, tools: &Tools, under: &mut UnderTest) -> Outcome<Results> {
    eprintln!("xtask: == {suite}");
    let begun = Instant::now();
    let aside = run::target().join("posix").join(kind.name());
    let dir = under.dir().join(suite);
    fs::create_dir_all(&aside).map_err(|error| format!("{}: {error}", aside.display()))?;
    let ground = Ground { dir: &dir, aside: &aside, other: under.other() };
    let mut results = suites::run(suite, tools, &ground)?;
    if let Some(log) = under.lost() {
        results.add("lived", Verdict::Fail(format!("the file system's process ended: {log}")));
    }
    eprintln!("xtask: {suite}: {:.0} s", begun.elapsed().as_secs_f64());
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_command_line() {
        let of = |words: &[&str]| plan(words).map(|plan| (plan.kind, plan.suites));
        assert_eq!(of(&[]), Ok((Kind::Farshare, SUITES.to_vec())));
        assert_eq!(of(&["--peer", "bindfs", "fsx"]), Ok((Kind::Bindfs, vec!["fsx"])));
        assert_eq!(of(&["fio", "--at", "/"]), Ok((Kind::At("/".into()), vec!["fio"])));
        for words in [["--peer", "zfs"].as_slice(), &["--peer"], &["--at", "/no/such"], &["bonnie"]] {
            assert!(of(words).is_err(), "{words:?}");
        }
    }
}
