//! `cargo xtask`: every chore of the project, as code.
//!
//! Each chore is a file; `run.rs` is the one place that starts other programs.

mod bench;
mod conformance;
mod fuzz;
mod packages;
mod posix;
mod run;
mod served;
mod test;
mod tidy;
mod vm;

use conformance::Scope;
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask CHORE

  test [--quick]      everything that must hold: format, lints, tidy, unit, contract and end-to-end tests,
                      smbtorture with its known-fail list, a short run of each fuzz target.
                      Installs the Debian packages that it needs when run as root. --quick: without those
                      that need packages
  conformance smb [--quick | --known-fail FILE | NAME...]
                      Samba's protocol tests against a debug build (root: in a chroot); exactly the known fails may
                      fail. --quick: without the slow ones, as `test` runs them. NAME: a suite, a test or a pattern
  vm [--far | --samba] [--backend uml|kvm|tcg] [SCRIPT...]
                      the kernel's SMB client in a Linux guest at work on a debug build (root); exactly the known
                      fails may fail. --far: with link and cache between; --samba: Samba 4.22 instead, not judged
  posix [--peer ext4|bindfs | --at DIR] [pjdfstest|fsx|fio|dbench|stress-ng...]
                      suites for file systems on a mounted debug build (root); exactly the known fails may fail.
                      --peer: the file system below, or bindfs, in its place, --at: what is mounted there; not judged
  fuzz [--seconds N]  every fuzz target for N seconds (10)
  bench lan [--rounds N] [--only smbclient|channels|opens|small]
                      one client on loopback beside Samba 4.22 (root): one connection and four channels, plain, signed
                      and sealed; opens; small files
  bench kernel [--rounds N] [--backend uml|kvm|tcg]
                      the kernel's SMB client in a Linux guest, over one and four channels, beside Samba 4.22 (root)
  bench fuse [--rounds N] [--passthrough-hp PROGRAM]
                      what a mount costs, beside ext4 itself and bindfs, and libfuse's example where it was built (root)
  bench mirror [--rounds N] [--only CASE...] [--peer NAME...] [--mirrors N] [--rtt-ms N] [--rate-mbit N]
                      live mirrors of a directory, two unless told otherwise, on OpenSSH servers of its own, beside tar,
                      rsync, lsyncd and Unison (root). CASE: small, big, mid, mvfiles, mvdir, down, kill9, order, twice,
                      rate or meta. --peer: these alone, farshare being one of them. --rtt-ms, --rate-mbit: far away (80 and
                      100 unless told otherwise), and less of everything
  bench memory        what two nodes hold with 50 clients on 100,000 files (root)
  bench memory clients
                      what a server holds for each of 10,000 idle connections and 1,000 sessions, beside Samba 4.22 (root)
  bench wan [--rtt-ms N] [--rate-mbit N] [--rounds N] [--full] [--alone]
                      the main job across an emulated WAN (root), beside straight SMB; 100 ms and 100 Mb/s
                      unless told otherwise. --full: the peer's slow measures unabridged (11 minutes a round);
                      --alone: without the peer
  tidy                the rules of the code base that no compiler checks
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test"] => test::all(),
        ["test", "--quick"] => test::quick(),
        ["conformance", "smb"] => conformance_smb(Scope::All, None),
        ["conformance", "smb", "--quick"] => conformance_smb(Scope::Quick, None),
        ["conformance", "smb", "--known-fail", list] => conformance_smb(Scope::All, Some(list)),
        ["conformance", "smb", names @ ..] if !names.iter().any(|name| name.starts_with('-')) => {
            conformance_smb(Scope::Named(names), None)
        }
        ["vm", options @ ..] => kernel_client(options),
        ["posix", options @ ..] => posix::plan(options).and_then(|plan| posix::check(&plan)),
        ["fuzz"] => fuzz::check(fuzz::SECONDS),
        ["fuzz", "--seconds", seconds] => match seconds.parse() {
            Ok(seconds) => fuzz::check(seconds),
            Err(_) => Err(format!("--seconds wants a number, not {seconds}")),
        },
        ["bench", "lan", options @ ..] => bench_lan(options),
        ["bench", "kernel", options @ ..] => bench::kernel::plan(options).and_then(|plan| {
            packages::ensure()?;
            bench::kernel::bench(&plan)
        }),
        ["bench", "fuse", options @ ..] => {
            bench::fuse::plan(options).and_then(|plan| bench::fuse::bench(&plan))
        }
        ["bench", "mirror", options @ ..] => {
            bench::mirror::plan(options).and_then(|plan| bench::mirror::bench(&plan))
        }
        ["bench", "memory"] => packages::ensure().and_then(|()| bench::memory::bench()),
        ["bench", "memory", "clients"] => packages::ensure().and_then(|()| bench::clients::bench()),
        ["bench", "wan", options @ ..] => bench_wan(options),
        ["tidy"] => tidy::check(),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => Err(format!("unknown chore: {}\n\n{HELP}", words.join(" "))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

fn conformance_smb(scope: Scope, known_fail: Option<&str>) -> run::Outcome {
    packages::ensure()?;
    run::run(&run::cargo(), &["build", "--locked", "--package", "farshare"])?;
    conformance::smb(scope, known_fail)
}

fn kernel_client(options: &[&str]) -> run::Outcome {
    let plan = vm::plan(options)?;
    packages::ensure()?;
    if plan.server != served::Server::Samba && std::env::var_os("FARSHARE_BIN").is_none() {
        run::run(&run::cargo(), &["build", "--locked", "--package", "farshare"])?;
    }
    vm::check(&plan)
}

fn bench_lan(options: &[&str]) -> run::Outcome {
    let mut plan = bench::lan::Plan { rounds: 5, only: None };
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let word = options.next().ok_or(format!("{option} wants a word"))?;
        match *option {
            "--rounds" => {
                plan.rounds = word.parse().map_err(|_| format!("{option} wants a number, not {word}"))?;
            }
            "--only" => plan.only = Some((*word).to_owned()),
            _ => return Err(format!("bench lan does not know {option}\n\n{HELP}")),
        }
    }
    packages::ensure()?;
    bench::lan::bench(&plan)
}

fn bench_wan(options: &[&str]) -> run::Outcome {
    let shape = e2e::Shape { rtt_ms: 100, rate_mbit: 100, loss_percent: 0.0 };
    let mut plan = bench::wan::Plan { shape, rounds: 3, full: false, alone: false };
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let mut number = || {
            let word = options.next().ok_or(format!("{option} wants a number"))?;
            word.parse::<u32>().map_err(|_| format!("{option} wants a number, not {word}"))
        };
        match *option {
            "--rtt-ms" => plan.shape.rtt_ms = number()?,
            "--rate-mbit" => plan.shape.rate_mbit = number()?,
            "--rounds" => plan.rounds = number()?.max(1) as usize,
            "--full" => plan.full = true,
            "--alone" => plan.alone = true,
            _ => return Err(format!("bench wan does not know {option}\n\n{HELP}")),
        }
    }
    packages::ensure()?;
    bench::wan::bench(&plan)
}
