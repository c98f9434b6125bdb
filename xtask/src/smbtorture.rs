//! `cargo xtask smbtorture`: Samba's protocol tests against `farshare try`, held against the list of known fails.
//!
//! A fail that is not listed fails this chore, and so does a listed one that passes: the list is exact, or it
//! hides what breaks next. Each line of it has the suite, the test and the reason.

use crate::packages::PYTHON_PROGRAM;
use crate::run::{self, Outcome};
use e2e::{Farshare, Scratch};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is claimed.
const SUITES: [&str; 10] = [
    "smb2.connect",
    "smb2.read",
    "smb2.rw",
    "smb2.create",
    "smb2.dir",
    "smb2.getinfo",
    "smb2.compound",
    "smb2.credits",
    "smb2.session",
    "smb2.lock",
];
/// One worker runs on each share; more than the machine has processors, because many tests wait.
const SHARES: [&str; 4] = ["t1", "t2", "t3", "t4"];
const SECOND_USER: &str = "second";
/// One test may take this long.
const TEST_SECONDS: &str = "120";
const KNOWN_FAIL: &str = "e2e/smbtorture/known-fail.tsv";
const BASELINE: &str = "e2e/smbtorture/baseline-samba-4.22.tsv";

/// Suite and test.
type Name = (String, String);

/// Runs the suites. `known_fail`: a list other than the project's own.
pub fn check(known_fail: Option<&str>) -> Outcome {
    let list = run::root().join(known_fail.unwrap_or(KNOWN_FAIL));
    let known: BTreeMap<Name, String> = match list.exists() {
        true => rows(&list)?,
        false => {
            eprintln!("xtask: {}: not there, so nothing may fail", list.display());
            BTreeMap::new()
        }
    };
    let results = run_suites()?;
    let samba = rows(&run::root().join(BASELINE))?;
    print!("{}", table(&results, &known, &samba));
    judge(&results, &known)
}

/// Serves and lets smbtorture loose; the results, by name.
fn run_suites() -> Outcome<BTreeMap<Name, String>> {
    let scratch = Scratch::new()?;
    let mut words = vec!["--share".to_owned(), SHARES[0].to_owned()];
    for share in &SHARES[1..] {
        words.push("--extra-share".to_owned());
        words.push(format!("{share}={}", scratch.dir(share)?.display()));
    }
    words.extend(["--second-user".to_owned(), SECOND_USER.to_owned()]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut farshare = Farshare::try_dir(&scratch.dir(SHARES[0])?, &words)?;
    let out = results_dir()?;
    let results = out.join("results.tsv");
    let login = |user: &str| format!("{user}%{}", farshare.password);
    let mut runner = Command::new(PYTHON_PROGRAM);
    runner
        .arg(run::root().join("e2e/smbtorture/run"))
        .arg(format!("--port={}", farshare.address.port()))
        .arg(format!("--shares={}", SHARES.join(",")))
        .arg(format!("--user={}", login(&farshare.user)))
        .arg(format!("--user2={}", login(SECOND_USER)))
        .arg(format!("--limit={TEST_SECONDS}"))
        .arg(format!("--out={}", results.display()))
        .arg(format!("--logdir={}", out.display()))
        .args(SUITES);
    // smbtorture makes directories where it runs.
    runner.current_dir(scratch.path());
    eprintln!("xtask: smbtorture, {} suites", SUITES.len());
    run::to_its_end(runner)?;
    if !farshare.running.is_running() {
        return Err(format!("farshare ended during the tests:\n{}", farshare.running.log()));
    }
    fs::write(out.join("farshare.log"), farshare.running.log())
        .map_err(|error| format!("the log: {error}"))?;
    rows(&results)
}

/// Where results and each test's output stay for people to read.
fn results_dir() -> Outcome<PathBuf> {
    let dir = run::target().join("smbtorture");
    fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    Ok(dir)
}

/// The third column of a TSV, by the first two; a head and lines with `#` are no rows.
fn rows(path: &Path) -> Outcome<BTreeMap<Name, String>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut all = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') || line.starts_with("suite\t") {
            continue;
        }
        let mut columns = line.split('\t').map(str::to_owned);
        let (Some(suite), Some(test), Some(third)) = (columns.next(), columns.next(), columns.next()) else {
            return Err(format!("{}:{}: suite, test and a third column", path.display(), number + 1));
        };
        all.insert((suite, test), third);
    }
    Ok(all)
}

fn failed(result: &str) -> bool {
    result != "pass" && result != "skip"
}

/// Tests, passes and known fails of each suite, beside Samba's passes.
fn table(
    results: &BTreeMap<Name, String>,
    known: &BTreeMap<Name, String>,
    samba: &BTreeMap<Name, String>,
) -> String {
    let mut text = format!(
        "{:<16} {:>6} {:>6} {:>6} {:>11} {:>10}\n",
        "suite", "tests", "pass", "skip", "known fail", "Samba pass"
    );
    let suites: BTreeSet<&str> = results.keys().map(|(suite, _)| suite.as_str()).collect();
    // Of the tests that were run: other versions of smbtorture have others.
    let samba: BTreeMap<Name, String> = samba
        .iter()
        .filter(|(name, _)| results.contains_key(name))
        .map(|(n, r)| (n.clone(), r.clone()))
        .collect();
    for suite in suites {
        let count = |rows: &BTreeMap<Name, String>, wanted: &dyn Fn(&str) -> bool| {
            rows.iter().filter(|((of, _), value)| of == suite && wanted(value)).count()
        };
        text += &format!(
            "{suite:<16} {:>6} {:>6} {:>6} {:>11} {:>10}\n",
            count(results, &|_| true),
            count(results, &|result| result == "pass"),
            count(results, &|result| result == "skip"),
            count(known, &|_| true),
            count(&samba, &|result| result == "pass"),
        );
    }
    text
}

/// Fails unless exactly the known fails failed.
fn judge(results: &BTreeMap<Name, String>, known: &BTreeMap<Name, String>) -> Outcome {
    let mut wrong = Vec::new();
    for (name, result) in results {
        let (suite, test) = name;
        match (failed(result), known.contains_key(name)) {
            (true, false) => wrong.push(format!("{suite}.{test}: {result}, and not a known fail")),
            (false, true) if result == "pass" => {
                wrong.push(format!("{suite}.{test}: passes; take it off the list of known fails"));
            }
            _ => {}
        }
    }
    for (suite, test) in known.keys().filter(|name| !results.contains_key(name)) {
        wrong.push(format!("{suite}.{test}: a known fail that smbtorture does not have"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("smbtorture:\n  {}", wrong.join("\n  "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[(&str, &str)]) -> BTreeMap<Name, String> {
        rows.iter()
            .map(|(test, value)| (("smb2.a".to_owned(), (*test).to_owned()), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn exactly_the_known_fails_may_fail() {
        let known = of(&[("x", "not built yet")]);
        assert_eq!(judge(&of(&[("x", "fail"), ("y", "pass"), ("z", "skip")]), &known), Ok(()));
        for (results, expect) in [
            (of(&[("x", "fail"), ("y", "timeout")]), "smb2.a.y: timeout, and not a known fail"),
            (of(&[("x", "pass")]), "smb2.a.x: passes"),
            (of(&[("y", "pass")]), "smb2.a.x: a known fail that smbtorture does not have"),
        ] {
            let said = judge(&results, &known).unwrap_err();
            assert!(said.contains(expect), "{said}");
        }
    }
}
