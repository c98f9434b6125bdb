//! Verdicts of the suites, what they are held against, and how they are told.

use crate::conformance::Name;
use crate::run::Outcome;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// A reason is cut here.
const REASON_CHARS_MAX: usize = 160;

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Fail(String),
    Skip(String),
}

impl Verdict {
    /// As the lists have it.
    fn word(&self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail(_) => "fail",
            Verdict::Skip(_) => "skip",
        }
    }

    /// One line without tabs.
    fn why(&self) -> String {
        match self {
            Verdict::Pass => String::new(),
            Verdict::Fail(why) | Verdict::Skip(why) => {
                let words: Vec<&str> = why.split_whitespace().collect();
                words.join(" ").chars().take(REASON_CHARS_MAX).collect()
            }
        }
    }
}

/// The verdicts of one suite, or of several.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Results {
    suite: String,
    all: BTreeMap<Name, Verdict>,
}

impl Results {
    pub fn new(suite: &str) -> Results {
        Results { suite: suite.to_owned(), all: BTreeMap::new() }
    }

    /// Another test of this suite.
    pub fn add(&mut self, test: &str, verdict: Verdict) {
        self.all.insert((self.suite.clone(), test.to_owned()), verdict);
    }

    /// Takes another suite's.
    pub fn take(&mut self, others: Results) {
        self.all.extend(others.all);
    }

    pub fn write(&self, file: &Path) -> Outcome {
        let failed = |error: std::io::Error| format!("{}: {error}", file.display());
        fs::create_dir_all(file.parent().unwrap_or(Path::new("."))).map_err(failed)?;
        let mut text = String::from("suite\ttest\tresult\twhy\n");
        for ((suite, test), verdict) in &self.all {
            // Writing into a String cannot fail.
            writeln!(text, "{suite}\t{test}\t{}\t{}", verdict.word(), verdict.why()).expect("memory");
        }
        fs::write(file, text).map_err(failed)
    }

    /// A line for each that failed or was skipped and is not so on plain ext4; then counts for each suite.
    pub fn table(&self, name: &str, ext4: &BTreeMap<Name, String>) -> String {
        let mut text = String::new();
        for (key @ (suite, test), verdict) in &self.all {
            let peer = ext4.get(key).map_or("has it not", String::as_str);
            if *verdict != Verdict::Pass && verdict.word() != peer {
                let word = verdict.word().to_uppercase();
                writeln!(text, "{word} {suite} {test} (ext4: {peer}): {}", verdict.why()).expect("memory");
            }
        }
        let head = format!("{name}: passed/failed/skipped");
        writeln!(text, "{:<12} {head:>34} {:>24}", "suite", "ext4, the baseline").expect("memory");
        let suites: BTreeSet<&str> = self.all.keys().map(|(suite, _)| suite.as_str()).collect();
        for suite in suites {
            let ours = self.all.iter().filter(|((of, _), _)| of == suite).map(|(_, verdict)| verdict.word());
            let peers = ext4.iter().filter(|((of, _), _)| of == suite).map(|(_, word)| word.as_str());
            writeln!(text, "{suite:<12} {:>34} {:>24}", counts(ours), counts(peers)).expect("memory");
        }
        text
    }

    /// What is not as it must be: `known` may fail, and must; what ext4 does not pass is the machine's or the suite's.
    pub fn surprises(&self, ext4: &BTreeMap<Name, String>, known: &BTreeMap<Name, String>) -> Vec<String> {
        let suites: BTreeSet<&str> = self.all.keys().map(|(suite, _)| suite.as_str()).collect();
        let mut wrong = Vec::new();
        for (key @ (suite, test), verdict) in &self.all {
            let to_pass = ext4.get(key).is_none_or(|word| word == "pass");
            match (verdict == &Verdict::Pass, known.contains_key(key)) {
                (false, false) if to_pass => {
                    wrong.push(format!("{suite} {test}: {}", verdict.word()));
                }
                (true, true) => {
                    wrong.push(format!("{suite} {test}: passes; take it off the list of known fails"))
                }
                _ => {}
            }
        }
        let not_run = |(suite, test): &&Name| {
            suites.contains(suite.as_str()) && !self.all.contains_key(&(suite.clone(), test.clone()))
        };
        wrong.extend(ext4.keys().filter(not_run).map(|(suite, test)| format!("{suite} {test}: was not run")));
        let strange = known.keys().filter(|key| not_run(key) && !ext4.contains_key(*key));
        wrong.extend(strange.map(|(suite, test)| format!("{suite} {test}: a known fail that no suite has")));
        wrong
    }
}

fn counts<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for word in words {
        match word {
            "pass" => passed += 1,
            "skip" => skipped += 1,
            _ => failed += 1,
        }
    }
    format!("{passed}/{failed}/{skipped}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[(&str, &str)]) -> BTreeMap<Name, String> {
        rows.iter().map(|(test, word)| (("a".to_owned(), (*test).to_owned()), (*word).to_owned())).collect()
    }

    fn results(rows: &[(&str, Verdict)]) -> Results {
        let mut results = Results::new("a");
        rows.iter().for_each(|(test, verdict)| results.add(test, verdict.clone()));
        results
    }

    #[test]
    fn exactly_the_known_fails_may_fail() {
        let (fail, skip) = (Verdict::Fail("no".to_owned()), Verdict::Skip("no".to_owned()));
        let ext4 = of(&[("x", "pass"), ("y", "pass"), ("z", "skip")]);
        let known = of(&[("x", "why")]);
        let surprises = |x: &Verdict, y: &Verdict, z: &Verdict| {
            let rows = [("x", x.clone()), ("y", y.clone()), ("z", z.clone())];
            results(&rows).surprises(&ext4, &known)
        };
        for z in [&Verdict::Pass, &fail, &skip] {
            assert_eq!(surprises(&fail, &Verdict::Pass, z), [""; 0], "not ours, for ext4 skips it");
        }
        assert_eq!(
            surprises(&Verdict::Pass, &Verdict::Pass, &skip),
            ["a x: passes; take it off the list of known fails"]
        );
        assert_eq!(surprises(&fail, &fail, &skip), ["a y: fail"]);
        assert_eq!(surprises(&fail, &skip, &skip), ["a y: skip"]);
    }

    #[test]
    fn what_was_not_run_is_no_pass() {
        let ext4 = of(&[("x", "pass"), ("y", "pass")]);
        let ran = results(&[("x", Verdict::Pass), ("new", Verdict::Fail("bad".to_owned()))]);
        assert_eq!(ran.surprises(&ext4, &of(&[])), ["a new: fail", "a y: was not run"]);
        let of_another_suite = BTreeMap::from([(("b".to_owned(), "t".to_owned()), "pass".to_owned())]);
        assert_eq!(results(&[("x", Verdict::Pass)]).surprises(&of_another_suite, &of(&[])), [""; 0]);
        assert_eq!(
            results(&[("x", Verdict::Pass), ("y", Verdict::Pass)]).surprises(&ext4, &of(&[("gone", "why")])),
            ["a gone: a known fail that no suite has"]
        );
    }

    #[test]
    fn counts_beside_the_baseline() {
        let ext4 = of(&[("x", "pass"), ("y", "fail")]);
        let text = results(&[
            ("x", Verdict::Fail("bad\n\tluck".to_owned())),
            ("y", Verdict::Fail("so too".to_owned())),
        ])
        .table("bindfs", &ext4);
        assert!(text.starts_with("FAIL a x (ext4: pass): bad luck\nsuite"), "{text}");
        assert!(text.contains("0/2/0") && text.contains("1/1/0"), "{text}");
    }
}
