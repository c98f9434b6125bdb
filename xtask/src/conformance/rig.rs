//! Where the tests of [`super`] run: gateway and entrypoint at port 445 of a network of this process's own, over a btrfs
//! in a file, for tests of shared blocks. Some tests want a share of a certain kind, words that tell them what is there, or to log in
//! by ticket, at a KDC of this rig's own.

use crate::packages::PYTHON_PROGRAM;
use crate::run::{self, Outcome};
use e2e::{Kdc, Mounted, Pair, RealmUser, Scratch, Shared};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where SMB is by its standard: there is a test that asks nowhere else.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 445);
/// One worker runs on each share; more than the machine has processors, because many tests wait.
const SHARES: [&str; 6] = ["t1", "t2", "t3", "t4", "t5", "t6"];
const USER: &str = "rig";
const SECOND_USER: &str = "second";
/// One test may take this long.
const TEST_SECONDS: &str = "150";
/// Room on the btrfs, of which next to nothing is used.
const DISK_SIZE: &str = "8G";
/// `[smb]`, and what follows it.
const SMB: &str = "protocol_tests = true\nanonymous = true\n";

const AVAILABLE: &str = "available";
const PAST: &str = "past";
const PLAIN: &str = "plain";
/// Tests connect to these by name, beside the share that they are given.
const BESIDE: [(&str, &str); 2] = [("hideunread", "hide_unreadable = true"), ("noperm", "")];

/// Tests that are run together.
pub struct Part {
    /// For the results.
    pub name: &'static str,
    shares: &'static [&'static str],
    /// What smbtorture is told.
    options: &'static [&'static str],
    /// Tests log in by ticket.
    by_ticket: bool,
    pub tests: &'static [&'static str],
}

/// What wants no share of its own: all that no other part has.
pub const MOST: Part = Part { name: "results", shares: &SHARES, options: &[], by_ticket: false, tests: &[] };

/// What does.
pub const PARTS: [Part; 4] = [
    Part {
        name: "available",
        shares: &[AVAILABLE],
        options: &[],
        by_ticket: false,
        tests: &["smb2.durable-v2-open.persistent*", "smb2.replay.replay5"],
    },
    Part {
        name: "past",
        shares: &[PAST],
        options: &[
            "torture:twrp_file=file",
            "torture:twrp_snapshot=@GMT-2026.11.21-07.05.09",
            "torture:twrp_stream=stream",
            "torture:twrp_stream_size=7",
        ],
        by_ticket: false,
        tests: &["smb2.twrp"],
    },
    Part {
        name: "plain",
        shares: &[PLAIN],
        options: &[],
        by_ticket: false,
        tests: &["smb2.create_no_streams", "smb2.ioctl.compress_notsup*"],
    },
    // Tickets end after 5 s, and the tests wait for that: all at once.
    Part { name: "ticket", shares: &SHARES, options: &[], by_ticket: true, tests: &["smb2.session.expire*"] },
];

/// Tests that are out of the question without a btrfs.
pub const WANT_SHARED_BLOCKS: &str = "smb2.ioctl.dup_extents*";

pub struct Rig {
    pair: Pair,
    _kdc: Kdc,
    chroot: PathBuf,
    scratch: Scratch,
    /// Whether the tests' files can share blocks.
    pub shares_blocks: bool,
    /// Unmounted last but for the directory that they lie in.
    _mounted: Vec<Mounted>,
}

impl Rig {
    /// Cuts this process off from the machine's network first.
    pub fn start() -> Outcome<Rig> {
        // That may come from a mirror of the distribution.
        let chroot = e2e::samba_newest::chroot()?;
        e2e::seclude()?;
        let scratch = Scratch::new()?;
        let mut mounted = vec![Mounted::plain(&scratch, PLAIN)?];
        let disk = Mounted::btrfs(&scratch, "files", DISK_SIZE);
        let shares_blocks = disk.is_ok();
        let files = match disk {
            Ok(disk) => {
                let path = disk.path().to_owned();
                mounted.push(disk);
                path
            }
            Err(why) => {
                eprintln!(
                    "xtask: no btrfs, so {WANT_SHARED_BLOCKS} is not run and settled by nothing: {why}"
                );
                scratch.dir("files")?
            }
        };
        let shared = shared(&files, &scratch.path().join(PLAIN))?;
        let kdc = Kdc::start()?;
        kdc.add_user(USER, Pair::PASSWORD)?;
        let keytab = kdc.keytab(&format!("cifs/{}", Kdc::HOST), Kdc::AES)?;
        mounted.extend(kdc.user.show(&chroot)?);
        let smb = format!("{SMB}{}", kdc.user.section(&keytab));
        let pair = Pair::start(ADDRESS, &[USER, SECOND_USER], &smb, &shared)?;
        prepare_past(&pair, &scratch)?;
        Ok(Rig { pair, _kdc: kdc, chroot, scratch, shares_blocks, _mounted: mounted })
    }

    /// Lets smbtorture loose; the file of the results. `names`, `only` as `e2e/smbtorture/run` takes them.
    pub fn run(&mut self, part: &Part, name: &str, names: &[String], only: &[&str]) -> Outcome<PathBuf> {
        let out = results_dir()?;
        let results = out.join(format!("{name}.tsv"));
        let login = |user: &str| format!("{user}%{}", Pair::PASSWORD);
        let mut smbtorture = format!("chroot {} smbtorture", self.chroot.display());
        let (mut host, mut user) = (ADDRESS.ip().to_string(), USER.to_owned());
        if part.by_ticket {
            smbtorture += " --use-kerberos=required";
            // No ticket is given for an address.
            host = Kdc::HOST.to_owned();
            user = format!("{USER}@{}", Kdc::REALM);
        }
        let mut runner = Command::new(PYTHON_PROGRAM);
        runner
            .arg(run::root().join("e2e/smbtorture/run"))
            .arg(format!("--shares={}", part.shares.join(",")))
            .arg(format!("--host={host}"))
            .arg(format!("--user={}", login(&user)))
            .arg(format!("--user2={}", login(SECOND_USER)))
            .arg(format!("--limit={TEST_SECONDS}"))
            .arg(format!("--out={}", results.display()))
            .arg(format!("--logdir={}", out.display()))
            .arg(format!("--smbtorture={smbtorture}"))
            .args(part.options.iter().map(|option| format!("--option={option}")))
            .args(only.iter().map(|name| format!("--only={name}")))
            .args(names);
        // smbtorture makes directories where it runs.
        runner.current_dir(self.scratch.path()).env("KRB5_CONFIG", RealmUser::SHOWN_CONFIG);
        eprintln!("xtask: smbtorture");
        run::to_its_end(runner)?;
        let log = self.pair.log();
        if !self.pair.is_running() {
            return Err(format!("farshare ended during the tests:\n{log}"));
        }
        fs::write(out.join("farshare.log"), log).map_err(|error| format!("the log: {error}"))?;
        Ok(results)
    }
}

/// All shares, each on a directory of its own below `files`.
fn shared(files: &Path, plain: &Path) -> Outcome<Vec<Shared>> {
    let dir = |name: &str, lines| {
        let dir = files.join(name);
        fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        Ok(Shared { name: name.to_owned(), dir, lines })
    };
    let mut all: Vec<Shared> = SHARES.iter().map(|name| dir(name, "")).collect::<Outcome<_>>()?;
    for (name, lines) in BESIDE {
        all.push(dir(name, lines)?);
    }
    all.push(dir(AVAILABLE, "continuously_available = true")?);
    all.push(dir(PAST, "snapshots = { pattern = \".snapshots/%Y-%m-%d_%H.%M.%S\" }")?);
    all.push(Shared { name: PLAIN.to_owned(), dir: plain.to_owned(), lines: "" });
    Ok(all)
}

/// A file with a stream and one in a directory, now and in a snapshot.
fn prepare_past(pair: &Pair, scratch: &Scratch) -> Outcome {
    let content = scratch.file("content", "content")?;
    let content = content.display();
    let mut orders = "mkdir .snapshots;".to_owned();
    for root in ["", ".snapshots/2026-11-21_07.05.09/"] {
        if !root.is_empty() {
            orders += &format!("mkdir {root};");
        }
        orders += &format!(
            "put {content} {root}file; put {content} {root}file:stream; \
             mkdir {root}subdir; put {content} {root}subdir/hardlink;"
        );
    }
    pair.client(PAST).run(&orders).map(drop)
}

/// Where results and each test's output stay for people to read.
fn results_dir() -> Outcome<PathBuf> {
    let dir = run::target().join("smbtorture");
    fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    Ok(dir)
}
