//! `cargo xtask conformance smb`: Samba's protocol tests (smbtorture 4.22, out of a chroot) against farshare, held against
//! the list of known fails.
//!
//! A fail or a skip that is not listed fails this chore, and so does a listed one that passes: the list is exact, or it
//! hides what breaks next. A few surprises are run once more without the others first, for the tests disturb each
//! other's timing. Each line of the list has the suite, the test and the reason. In the CI run the slow tests are left
//! out ([`SLOW`]); all are run by hand.

mod rig;

use crate::run::{self, Outcome};
use rig::{MOST, PARTS, Part, Rig, WANT_SHARED_BLOCKS};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const KNOWN_FAIL: &str = "e2e/smbtorture/known-fail.tsv";
const BASELINE: &str = "e2e/smbtorture/baseline-samba-4.22.tsv";

/// Tools that end when they are stopped, and what measures.
const NO_TESTS: [&str; 7] = [
    "smb2.bench*",
    "smb2.hold*",
    "smb2.maxfid*",
    "smb2.scan*",
    "smb2.check-sharemode*",
    "smb2.change_notify_disabled*",
    "smb2.kernel-oplocks*",
];

/// Tests of more than 20 s; none is the only one of its kind.
const SLOW: [&str; 15] = [
    "smb2.session.expire1*",
    "smb2.notify.mask",
    "smb2.multichannel.leases.test4",
    "smb2.multichannel.oplocks.test3*",
    "smb2.lease.timeout*",
    "smb2.oplock.batch22a",
    "smb2.fileid.unique*",
    "smb2.compound_find.compound_find_close",
    "smb2.credits.*ipc_max_async_credits",
    "smb2.credits.*notify_max_async_credits",
    "smb2.credits.multichannel*",
    "smb2.replay.dhv2-pending*-windows",
    "smb2.replay.dhv2-pending3*",
    "smb2.dir.large-files",
    "smb2.dir.many",
];

/// So many surprises may be the work of other tests at the same time: they are run again without those, and that result
/// counts.
const AGAIN_MAX: usize = 12;

/// Which tests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    All,
    /// What CI has time for.
    Quick,
    /// Suites, tests, patterns.
    Named(&'a [&'a str]),
}

/// Suite and test.
pub type Name = (String, String);

/// Runs the suites. `known_fail`: a list other than the project's own.
pub fn smb(scope: Scope, known_fail: Option<&str>) -> Outcome {
    let list = run::root().join(known_fail.unwrap_or(KNOWN_FAIL));
    let known = rows(&list)?;
    let mut rig = Rig::start()?;
    let mut left_out: Vec<&str> = NO_TESTS.to_vec();
    if scope == Scope::Quick {
        left_out.extend(SLOW);
    }
    if !rig.shares_blocks {
        left_out.push(WANT_SHARED_BLOCKS);
    }
    let only = if let Scope::Named(names) = scope { names } else { &[] };
    let without = |names: &[&str]| -> Vec<String> { names.iter().map(|name| format!("!{name}")).collect() };
    let of_parts: Vec<&str> = PARTS.iter().flat_map(|part| part.tests).copied().collect();
    let mut runs = Vec::new();
    for part in [&MOST].into_iter().chain(&PARTS) {
        let mut names = without(&left_out);
        match part.tests {
            [] => names.extend(without(&of_parts)),
            tests => names.extend(tests.iter().map(|name| (*name).to_owned())),
        }
        runs.push((part, rows(&rig.run(part, part.name, &names, only)?)?));
    }
    let unsteady: usize = runs.iter().map(|(_, results)| surprises(results, &known).len()).sum();
    if unsteady <= AGAIN_MAX {
        once_more(&mut rig, &mut runs, &known)?;
    }
    let whole = scope == Scope::All && rig.shares_blocks;
    drop(rig);
    let results = runs.into_iter().flat_map(|(_, results)| results).collect();
    let samba = rows(&run::root().join(BASELINE))?;
    print!("{}", table(&results, &known, &samba));
    judge(whole, &results, &known)
}

/// Runs surprises again, without others at the same time.
fn once_more(
    rig: &mut Rig,
    runs: &mut [(&Part, BTreeMap<Name, String>)],
    known: &BTreeMap<Name, String>,
) -> Outcome {
    for (part, results) in runs {
        let unsteady = surprises(results, known);
        if !unsteady.is_empty() {
            eprintln!("xtask: once more without others: {}", unsteady.join(" "));
            results.extend(rows(&rig.run(part, &format!("{}-again", part.name), &unsteady, &[])?)?);
        }
    }
    Ok(())
}

/// Tests that did not end as the list has it.
fn surprises(results: &BTreeMap<Name, String>, known: &BTreeMap<Name, String>) -> Vec<String> {
    let unlike = results.iter().filter(|(name, result)| failed(result) != known.contains_key(*name));
    unlike.map(|((suite, test), _)| format!("{suite}.{test}")).collect()
}

/// The third column of a TSV, by the first two; a head and lines with `#` are no rows.
pub fn rows(path: &Path) -> Outcome<BTreeMap<Name, String>> {
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
fn judge(whole: bool, results: &BTreeMap<Name, String>, known: &BTreeMap<Name, String>) -> Outcome {
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
    let not_there = known.keys().filter(|name| whole && !results.contains_key(name));
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
        let judge = |results| judge(true, &results, &known);
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
