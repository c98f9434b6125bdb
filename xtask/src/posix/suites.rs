//! The suites: each is given a directory of what is under test, and gives a verdict for each of its tests.
//!
//! None of them is ours. Left out, since Debian has them not: fsstress, and what else belongs to xfstests.

use super::outcome::{Results, Verdict};
use crate::run::Outcome;
use crate::{packages, vm};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

mod pjdfstest;

pub const SUITES: [&str; 5] = ["pjdfstest", "fsx", "fio", "dbench", "stress-ng"];

/// What fsx does to its file: all that it can, the usual far more often than the rare.
const FSX_SETTINGS: &str = "\
flen = 1048576
[opsize]
max = 131072
[weights]
close_open = 1.0
invalidate = 1.0
fsync = 0.5
fdatasync = 0.5
posix_fallocate = 1.0
punch_hole = 2.0
sendfile = 2.0
posix_fadvise = 1.0
copy_file_range = 2.0
";
const FSX_SEEDS: u32 = 5;
const FSX_OPERATIONS: &str = "20000";

/// Each writes its file, then reads all of it back and checks it. Blocks do not overlap, so requests may be in flight
/// side by side.
const FIO: [(&str, &[&str]); 8] = [
    ("psync", &["--ioengine=psync", "--rw=randwrite", "--bs=4k"]),
    ("psync-odd", &["--ioengine=psync", "--rw=write", "--bs=61k"]),
    ("psync-direct", &["--ioengine=psync", "--rw=randwrite", "--bs=4k", "--direct=1"]),
    ("mmap", &["--ioengine=mmap", "--rw=randwrite", "--bs=4k"]),
    ("libaio-direct", &["--ioengine=libaio", "--rw=randwrite", "--bs=4k", "--direct=1", "--iodepth=16"]),
    ("libaio-direct-1m", &["--ioengine=libaio", "--rw=write", "--bs=1m", "--direct=1", "--iodepth=4"]),
    ("io_uring", &["--ioengine=io_uring", "--rw=randwrite", "--bs=4k", "--iodepth=16"]),
    ("io_uring-direct", &["--ioengine=io_uring", "--rw=randwrite", "--bs=4k", "--direct=1", "--iodepth=16"]),
];
const FIO_ALL: [&str; 5] =
    ["--size=64m", "--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0", "--randrepeat=1"];

/// Of stress-ng's class of file systems, those that ask nothing of the file system they are pointed at.
const NO_FILES: [&str; 5] = ["bind-mount", "binderfs", "eventfd", "ioprio", "procfs"];
const STRESS_SECONDS: &str = "2";
/// Its ways to end, as its manual has them. One may also skip its work and say so, and end well.
const STRESS_UNTRUSTED_FIGURES: i32 = 7;
const STRESS_SKIPPED: [i32; 2] = [3, 4];

const DBENCH_LOAD: &str = "/usr/share/dbench/client.txt";
const DBENCH_CLIENTS: &str = "4";
const DBENCH_SECONDS: &str = "20";

/// What the suites are built of and need besides the directory under test.
pub struct Tools {
    pjdfstest: PathBuf,
    fsx: PathBuf,
}

impl Tools {
    /// Minutes where they are not there yet. Wants the network.
    pub fn bring(suites: &[&str]) -> Outcome<Tools> {
        let tool = |(name, version)| match suites.contains(&name) {
            true => packages::tool(name, version),
            false => Ok(PathBuf::new()),
        };
        Ok(Tools { pjdfstest: tool(pjdfstest::VERSION)?, fsx: tool(vm::FSX)? })
    }
}

/// Where a suite works.
pub struct Ground<'a> {
    /// Where what is under test gets a directory for this suite.
    pub dir: &'a Path,
    /// On another file system, for what the suite writes besides.
    pub aside: &'a Path,
    /// A directory of a third one.
    pub other: &'a Path,
}

/// Runs a suite in a new directory, which can be removed after it with all that the suite has left.
pub fn run(suite: &str, tools: &Tools, ground: &Ground) -> Outcome<Results> {
    // In processes of their own: a file system that hangs must not hang this one.
    let dir = utf8(ground.dir)?;
    let made = limited(30, Path::new("mkdir"), &["--mode=755", dir], ground.aside)?;
    if made.status != Some(0) {
        return Err(format!("a directory for {suite}: {}", made.why(&[])));
    }
    let mut results = match suite {
        "pjdfstest" => pjdfstest::run(&tools.pjdfstest, ground),
        "fsx" => fsx(&tools.fsx, ground),
        "fio" => fio(ground),
        "dbench" => dbench(ground),
        "stress-ng" => stress(ground),
        _ => Err(format!("no such suite: {suite}")),
    }?;
    let removed = limited(60, Path::new("rm"), &["-r", dir], ground.aside)?;
    results.add("all-removed", removed.verdict(&[]));
    Ok(results)
}

/// How a program ended, and all that it said.
struct Ended {
    /// None: by a signal, or because its time was over.
    status: Option<i32>,
    text: String,
}

impl Ended {
    /// The last of its lines that has one of these in it, or the last of all.
    fn why(&self, telling: &[&str]) -> String {
        let told = self.text.lines().rfind(|line| telling.iter().any(|word| line.contains(word)));
        let last = told.or_else(|| self.text.lines().rfind(|line| !line.trim().is_empty()));
        let status =
            self.status.map_or("ended by a signal or its limit".to_owned(), |code| format!("status {code}"));
        format!("{status}: {}", last.unwrap_or("said nothing").trim())
    }

    fn verdict(&self, telling: &[&str]) -> Verdict {
        if self.status == Some(0) { Verdict::Pass } else { Verdict::Fail(self.why(telling)) }
    }
}

/// Runs a program for so many seconds at most; it is ended with all that it started. Its users are to reach what it
/// makes, whatever the mask is here.
fn limited(seconds: u32, program: &Path, words: &[&str], dir: &Path) -> Outcome<Ended> {
    let mut command = Command::new("sh");
    command.args(["-c", "umask 022; exec timeout --kill-after=10 \"$@\"", "sh", &seconds.to_string()]);
    command.arg(program).args(words).current_dir(dir).stdin(Stdio::null());
    command.env("RUST_BACKTRACE", "0").env("NO_COLOR", "1").env("LC_ALL", "C");
    let said = command.output().map_err(|error| format!("cannot start sh: {error}"))?;
    let mut text = String::from_utf8_lossy(&said.stdout).into_owned();
    text += &String::from_utf8_lossy(&said.stderr);
    let out_of_time = [Some(124), Some(137)].contains(&said.status.code());
    Ok(Ended { status: said.status.code().filter(|_| !out_of_time), text })
}

fn utf8(path: &Path) -> Outcome<&str> {
    path.to_str().ok_or_else(|| format!("{}: a path that is no UTF-8", path.display()))
}

fn write(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// One file at a time: random operations, each read checked.
fn fsx(program: &Path, ground: &Ground) -> Outcome<Results> {
    let settings = ground.aside.join("fsx.toml");
    write(&settings, FSX_SETTINGS)?;
    let (settings, aside) = (utf8(&settings)?, utf8(ground.aside)?);
    let mut results = Results::new("fsx");
    for seed in 1..=FSX_SEEDS {
        let seed = seed.to_string();
        let file = ground.dir.join(format!("seed-{seed}"));
        let words = ["-f", settings, "-S", &seed, "-N", FSX_OPERATIONS, "-P", aside, utf8(&file)?];
        let ended = limited(200, program, &words, ground.aside)?;
        results
            .add(&format!("seed-{seed}"), ended.verdict(&["called `", "assertion", "miscompare", "error:"]));
    }
    Ok(results)
}

fn fio(ground: &Ground) -> Outcome<Results> {
    let dir = format!("--directory={}", utf8(ground.dir)?);
    let mut results = Results::new("fio");
    for (name, job) in FIO {
        let name_of = format!("--name={name}");
        let words = [&[name_of.as_str(), &dir], FIO_ALL.as_slice(), job].concat();
        let ended = limited(200, Path::new("fio"), &words, ground.aside)?;
        // A container may forbid io_uring whatever the file system.
        let forbidden =
            ["Operation not permitted", "support io_uring"].iter().any(|w| ended.text.contains(w));
        let verdict = match name.starts_with("io_uring") && ended.status != Some(0) && forbidden {
            true => Verdict::Skip("no io_uring for this process".to_owned()),
            false => ended.verdict(&["verify", "error", "fio:"]),
        };
        results.add(name, verdict);
    }
    Ok(results)
}

fn dbench(ground: &Ground) -> Outcome<Results> {
    let dir = utf8(ground.dir)?;
    let words = ["-c", DBENCH_LOAD, "-t", DBENCH_SECONDS, "-D", dir, DBENCH_CLIENTS];
    let ended = limited(120, Path::new("dbench"), &words, ground.aside)?;
    let throughput = ended.text.lines().find(|line| line.starts_with("Throughput"));
    if let Some(line) = throughput {
        eprintln!("xtask: dbench: {line}");
    }
    let mut results = Results::new("dbench");
    let verdict = match throughput {
        Some(_) => ended.verdict(&["failed", "ERROR"]),
        None => Verdict::Fail(ended.why(&["failed", "ERROR"])),
    };
    results.add(&format!("{DBENCH_CLIENTS}-clients"), verdict);
    Ok(results)
}

/// One stressor after the other, each with a verdict of its own.
fn stress(ground: &Ground) -> Outcome<Results> {
    let program = Path::new("stress-ng");
    // It answers this question with the names, after a colon.
    let known = limited(20, program, &["--class", "filesystem?"], ground.aside)?;
    let names = known.text.lines().find_map(|line| line.strip_prefix("class 'filesystem' stressors:"));
    let names = names.ok_or_else(|| format!("stress-ng does not name its stressors: {}", known.text))?;
    let mut results = Results::new("stress-ng");
    for name in names.split_whitespace().filter(|name| !NO_FILES.contains(name)) {
        let option = format!("--{name}");
        let words = [&option, "1", "--verify", "--timeout", STRESS_SECONDS, "--temp-path", utf8(ground.dir)?];
        // Some work where they stand.
        let ended = limited(90, program, &words, ground.dir)?;
        let verdict = match ended.status {
            Some(0) if ended.text.contains("skipping stress") => {
                Verdict::Skip(ended.why(&["skipping stress"]))
            }
            Some(STRESS_UNTRUSTED_FIGURES) => Verdict::Pass,
            Some(code) if STRESS_SKIPPED.contains(&code) => Verdict::Skip(ended.why(&["skip", "aborted"])),
            _ => ended.verdict(&["fail:", "error:"]),
        };
        results.add(name, verdict);
    }
    Ok(results)
}
