//! pjdfstest: what POSIX has each system call answer, by user, kind of file, mode and name.

use super::{Ended, Ground, limited, utf8, write};
use crate::posix::outcome::{Results, Verdict};
use crate::run::Outcome;
use std::path::Path;

pub const VERSION: (&str, &str) = ("pjdfstest", "0.2.2");

/// What Linux and ext4 can; the others of its features are of FreeBSD. Its users are two that each Debian has, each in
/// a group of its own. EROFS is left out: it takes a file system that is remounted read-only under it, and then it is the
/// kernel that answers, not who is under test.
fn settings(ground: &Ground) -> String {
    format!(
        "[features]\n\
         posix_fallocate = {{}}\n\
         rename_ctime = {{}}\n\
         utime_now = {{}}\n\
         utimensat = {{}}\n\
         secondary_fs = {:?}\n\
         [settings]\n\
         # Twice the tick that ext4 takes its times from.\n\
         naptime = 0.02\n\
         [dummy_auth]\n\
         entries = [[\"nobody\", \"nogroup\"], [\"daemon\", \"daemon\"]]\n",
        ground.other
    )
}

pub fn run(program: &Path, ground: &Ground) -> Outcome<Results> {
    let file = ground.aside.join("pjdfstest.toml");
    write(&file, &settings(ground))?;
    let ended = limited(400, program, &["-c", utf8(&file)?, "-p", utf8(ground.dir)?], ground.aside)?;
    write(&ground.aside.join("pjdfstest.out"), &ended.text)?;
    let mut results = read(&ended.text);
    // It ends with 1 where a test failed.
    if !ended.text.contains("Summary") {
        results.add("to-its-end", of_unfinished(&ended));
    }
    Ok(results)
}

fn of_unfinished(ended: &Ended) -> Verdict {
    Verdict::Fail(ended.why(&["rror"]))
}

/// A line for each test, `NAME VERDICT`, then those of the reason, the first of them after a tab.
fn read(text: &str) -> Results {
    let mut results = Results::new("pjdfstest");
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((name, word)) = test_of(line) else { continue };
        let mut why = String::new();
        while let Some(reason) = lines.next_if(|line| !line.is_empty() && test_of(line).is_none()) {
            why = format!("{why} {}", reason.trim());
        }
        results.add(
            name,
            match word {
                "ok" => Verdict::Pass,
                "skipped" => Verdict::Skip(why),
                _ => Verdict::Fail(why),
            },
        );
    }
    results
}

/// Name and verdict, where the line is of that kind.
fn test_of(line: &str) -> Option<(&str, &str)> {
    let (name, word) = line.split_once(' ')?;
    let word = word.trim();
    (name.contains("::") && ["ok", "FAILED", "skipped"].contains(&word)).then_some((name, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_output() {
        let text = "chmod::errno::a          ok\nlink::b        FAILED\n\tassertion failed: x\n  left: 1\n\
                    open::c    skipped\n\trequires features: chflags\n\nSummary: 1 failed\n";
        let mut expect = Results::new("pjdfstest");
        expect.add("chmod::errno::a", Verdict::Pass);
        expect.add("link::b", Verdict::Fail(" assertion failed: x left: 1".to_owned()));
        expect.add("open::c", Verdict::Skip(" requires features: chflags".to_owned()));
        assert_eq!(read(text), expect);
    }
}
