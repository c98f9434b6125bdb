//! `cargo xtask conformance smb`: Samba's protocol tests (smbtorture 4.22, out of a chroot) against `farshare try`, held
//! against the list of known fails.
//!
//! A fail or a skip that is not listed fails this chore, and so does a listed one that passes: the list is exact, or it
//! hides what breaks next. A few surprises are run once more without the others first, for the tests disturb each
//! other's timing. Each line of the list has the suite, the test and the reason. In the CI run the slow tests are left
//! out ([`SLOW`]); all are run by hand.

use crate::packages::PYTHON_PROGRAM;
use crate::run::{self, Outcome};
use e2e::{Farshare, Scratch};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One worker runs on each share; more than the machine has processors, because many tests wait.
const SHARES: [&str; 6] = ["t1", "t2", "t3", "t4", "t5", "t6"];
const SECOND_USER: &str = "second";
/// One test may take this long.
const TEST_SECONDS: &str = "150";
const KNOWN_FAIL: &str = "e2e/smbtorture/known-fail.tsv";
const BASELINE: &str = "e2e/smbtorture/baseline-samba-4.22.tsv";

/// Tools that end when they are stopped, and what measures.
const NO_TESTS: [&str; 7] = [
    "!smb2.bench*",
    "!smb2.hold*",
    "!smb2.maxfid*",
    "!smb2.scan*",
    "!smb2.check-sharemode*",
    "!smb2.change_notify_disabled*",
    "!smb2.kernel-oplocks*",
];

/// Tests of more than 30 s; none is the only one of its kind.
const SLOW: [&str; 14] = [
    "!smb2.notify.mask",
    "!smb2.multichannel.leases.test4",
    "!smb2.multichannel.oplocks.test3*",
    "!smb2.lease.timeout*",
    "!smb2.oplock.batch22*",
    "!smb2.fileid.unique*",
    "!smb2.compound_find.compound_find_close",
    "!smb2.credits.*ipc_max_async_credits",
    "!smb2.credits.*notify_max_async_credits",
    "!smb2.credits.multichannel*",
    "!smb2.replay.dhv2-pending*-windows",
    "!smb2.replay.dhv2-pending3*",
    "!smb2.dir.large-files",
    "!smb2.dir.many",
];

/// A server with a share that is continuously available is wanted for these.
const AVAILABLE: [&str; 2] = ["smb2.durable-v2-open.persistent*", "smb2.replay.replay5"];

/// So many surprises may be the work of other tests at the same time: they are run again without those, and that result
/// counts.
const AGAIN_MAX: usize = 12;

/// Which tests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    All,
    /// What CI has time for.
    Quick,
}

/// Suite and test.
type Name = (String, String);

/// Runs the suites. `known_fail`: a list other than the project's own.
pub fn smb(scope: Scope, known_fail: Option<&str>) -> Outcome {
    let list = run::root().join(known_fail.unwrap_or(KNOWN_FAIL));
    let known = rows(&list)?;
    let chroot = e2e::samba_newest::chroot()?;
    let mut names: Vec<String> = NO_TESTS.map(str::to_owned).to_vec();
    if scope == Scope::Quick {
        names.extend(SLOW.map(str::to_owned));
    }
    names.extend(AVAILABLE.map(|name| format!("!{name}")));
    let mut results = run_suites(&chroot, "results.tsv", &[], &names)?;
    let available = AVAILABLE.map(str::to_owned);
    results.extend(run_suites(&chroot, "available.tsv", &["--continuously-available"], &available)?);
    let unsteady = surprises(&results, &known);
    if (1..=AGAIN_MAX).contains(&unsteady.len()) {
        eprintln!("xtask: once more without others: {}", unsteady.join(" "));
        results.extend(run_suites(&chroot, "again.tsv", &[], &unsteady)?);
    }
    let samba = rows(&run::root().join(BASELINE))?;
    print!("{}", table(&results, &known, &samba));
    judge(scope, &results, &known)
}

/// Serves with these further words, and lets smbtorture loose; the results, by name.
fn run_suites(
    chroot: &Path,
    file: &str,
    further: &[&str],
    names: &[String],
) -> Outcome<BTreeMap<Name, String>> {
    let scratch = Scratch::new()?;
    let mut words = vec!["--share".to_owned(), SHARES[0].to_owned(), "--protocol-tests".to_owned()];
    for share in &SHARES[1..] {
        words.push("--extra-share".to_owned());
        words.push(format!("{share}={}", scratch.dir(share)?.display()));
    }
    words.extend(["--second-user".to_owned(), SECOND_USER.to_owned()]);
    words.extend(further.iter().map(|word| (*word).to_owned()));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut farshare = Farshare::try_dir(&scratch.dir(SHARES[0])?, &words)?;
    let out = results_dir()?;
    let results = out.join(file);
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
        .arg(format!("--smbtorture=chroot {} smbtorture", chroot.display()))
        .args(names);
    // smbtorture makes directories where it runs.
    runner.current_dir(scratch.path());
    eprintln!("xtask: smbtorture");
    run::to_its_end(runner)?;
    if !farshare.running.is_running() {
        return Err(format!("farshare ended during the tests:\n{}", farshare.running.log()));
    }
    fs::write(out.join(format!("{file}.log")), farshare.running.log())
        .map_err(|error| format!("the log: {error}"))?;
    rows(&results)
}

/// Tests that did not end as the list has it.
fn surprises(results: &BTreeMap<Name, String>, known: &BTreeMap<Name, String>) -> Vec<String> {
    let unlike = results.iter().filter(|(name, result)| failed(result) != known.contains_key(*name));
    unlike.map(|((suite, test), _)| format!("{suite}.{test}")).collect()
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

/// A test that is skipped for want of a feature is one that fails.
fn failed(result: &str) -> bool {
    result != "pass"
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

/// Fails unless exactly the known fails failed. Where not all tests were run, those that were not say nothing.
fn judge(scope: Scope, results: &BTreeMap<Name, String>, known: &BTreeMap<Name, String>) -> Outcome {
    let mut wrong = Vec::new();
    for (name, result) in results {
        let (suite, test) = name;
        match (failed(result), known.contains_key(name)) {
            (true, false) => wrong.push(format!("{suite}.{test}: {result}, and not a known fail")),
            (false, true) => {
                wrong.push(format!("{suite}.{test}: passes; take it off the list of known fails"));
            }
            (true, true) | (false, false) => {}
        }
    }
    let not_there = known.keys().filter(|name| scope == Scope::All && !results.contains_key(name));
    for (suite, test) in not_there {
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
        let judge = |results| judge(Scope::All, &results, &known);
        assert_eq!(judge(of(&[("x", "fail"), ("y", "pass")])), Ok(()));
        assert_eq!(judge(of(&[("x", "skip"), ("y", "pass")])), Ok(()));
        for (results, expect) in [
            (of(&[("x", "fail"), ("y", "timeout")]), "smb2.a.y: timeout, and not a known fail"),
            (of(&[("x", "fail"), ("y", "skip")]), "smb2.a.y: skip, and not a known fail"),
            (of(&[("x", "pass")]), "smb2.a.x: passes"),
            (of(&[("y", "pass")]), "smb2.a.x: a known fail that smbtorture does not have"),
        ] {
            let said = judge(results).unwrap_err();
            assert!(said.contains(expect), "{said}");
        }
    }
}
