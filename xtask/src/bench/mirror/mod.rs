//! `cargo xtask bench mirror`: a directory that is mirrored live to SFTP servers, by farshare and by its peers, on this machine in one
//! run.
//!
//! For each case and each who takes part, in turn, there is a new source and new mirrors; what the case needs beforehand is on both
//! sides already. Time runs from the first change until all mirrors are what the source is, contents compared. CPU is the tool's and of
//! all that it starts, not the servers'.

mod board;
mod cases;
mod farshare;
mod peers;
mod run;
mod site;
mod tool;
mod tree;

use super::build;
use crate::packages;
use crate::run::Outcome;
use board::{Board, Column, Kind};
use cases::{CASES, Case};
use e2e::{Far, Servers};
use e2e::{Mounted, Scratch};
use peers::PEERS;
use run::{Run, SECONDS, Scale, Value};
use site::Site;
use std::fs;
use std::path::PathBuf;
use tool::Tool;

/// It takes as much room as is written.
const DISK_SIZE: &str = "16G";
const PRODUCT: &str = "farshare";
const NEAR: Scale = Scale { dirs: 100, files_per_dir: 100, file_bytes: 4096, big_bytes: 1 << 30 };
const FAR: Scale = Scale { dirs: 100, files_per_dir: 10, file_bytes: 4096, big_bytes: 32 << 20 };

pub struct Plan {
    rounds: usize,
    cases: Vec<&'static Case>,
    who: Vec<Participant>,
    mirrors: usize,
    far: Option<Far>,
}

/// Who takes part.
struct Participant {
    column: Column,
    start: fn(&Site<'_>) -> Outcome<Box<dyn Tool>>,
}

pub fn plan(words: &[&str]) -> Outcome<Plan> {
    let (mut rounds, mut mirrors, mut far) = (3, 2, None::<Far>);
    let (mut cases, mut who) = (Vec::new(), Vec::new());
    let mut words = words.iter().peekable();
    while let Some(option) = words.next() {
        let values: Vec<&str> =
            std::iter::from_fn(|| words.next_if(|word| !word.starts_with("--")).copied()).collect();
        let number = || match values.as_slice() {
            [word] => word.parse::<u64>().map_err(|_| format!("{option} wants a number, not {word}")),
            _ => Err(format!("{option} wants a number")),
        };
        let shape = || far.unwrap_or(Far { rtt_ms: 80, rate_mbit: 100 });
        match *option {
            "--rounds" => rounds = number()?.max(1) as usize,
            "--mirrors" => mirrors = number()?.max(1) as usize,
            "--rtt-ms" => far = Some(Far { rtt_ms: number()?, ..shape() }),
            "--rate-mbit" => far = Some(Far { rate_mbit: number()?.max(1), ..shape() }),
            "--only" => cases.extend(values),
            "--peer" => who.extend(values),
            _ => return Err(format!("bench mirror does not know {option}")),
        }
    }
    let cases = chosen(&cases, CASES.to_vec(), |case| case.name)?;
    let mut all: Vec<Participant> = PEERS
        .into_iter()
        .map(|peer| {
            let kind = if peer.floor { Kind::Floor } else { Kind::Peer };
            Participant { column: Column { name: peer.name, kind }, start: peer.start }
        })
        .collect();
    all.push(Participant { column: Column { name: PRODUCT, kind: Kind::Product }, start: farshare::start });
    let who = chosen(&who, all, |participant| participant.column.name)?;
    Ok(Plan { rounds, cases, who, mirrors, far })
}

/// Those of these names, in their own order; all where none is named.
fn chosen<T>(names: &[&str], all: Vec<T>, name: impl Fn(&T) -> &'static str) -> Outcome<Vec<T>> {
    let known: Vec<&str> = all.iter().map(&name).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(format!("{unknown} is none of: {}", known.join(", ")));
    }
    Ok(all.into_iter().filter(|one| names.is_empty() || names.contains(&name(one))).collect())
}

pub fn bench(plan: &Plan) -> Outcome {
    packages::ensure_mirror()?;
    if plan.who.iter().any(|who| who.column.kind == Kind::Product) {
        build()?;
    }
    e2e::seclude()?;
    let scratch = Scratch::new()?;
    let disk = Mounted::ext4(&scratch, "disk", DISK_SIZE)?;
    // The mount holds it; so it takes no room any more when this process is killed.
    let image = scratch.path().join("disk.ext4");
    fs::remove_file(&image).map_err(|error| format!("{}: {error}", image.display()))?;
    let servers = Servers::start(&scratch.dir("servers")?, plan.mirrors, plan.far)?;
    let columns = plan.who.iter().map(|who| who.column).collect();
    let (mut board, mut failed) = (Board::new(columns, plan.far.is_some()), Vec::new());
    for round in 0..plan.rounds {
        for case in &plan.cases {
            for column in in_turn(round, plan.who.len()) {
                let who = &plan.who[column];
                if who.column.kind == Kind::Floor && !case.floor {
                    continue;
                }
                eprintln!("xtask: round {}: {}: {}", round + 1, case.name, who.column.name);
                let dir = disk.path().join(format!("{round}-{}-{}", case.name, who.column.name));
                let found = measured(plan, case, who, dir, &servers).unwrap_or_else(|why| {
                    eprintln!("xtask: {}: {}: {why}", case.name, who.column.name);
                    failed.push(format!("{} by {}", case.name, who.column.name));
                    vec![(SECONDS.to_owned(), Value::Word("failed".to_owned()))]
                });
                board.note(case, column, found);
            }
        }
    }
    print(plan, &board);
    match failed.as_slice() {
        [] => Ok(()),
        failed => Err(format!("not measured: {}", failed.join(", "))),
    }
}

/// Each goes first in every other round.
fn in_turn(round: usize, count: usize) -> Vec<usize> {
    match round % 2 {
        0 => (0..count).collect(),
        _ => (0..count).rev().collect(),
    }
}

fn measured(
    plan: &Plan,
    case: &Case,
    who: &Participant,
    dir: PathBuf,
    servers: &Servers,
) -> Outcome<Vec<(String, Value)>> {
    let scale = if plan.far.is_some() { FAR } else { NEAR };
    let site = Site::new(dir, servers)?;
    (case.prepare)(&site.source, &scale)?;
    site.fill()?;
    // What was prepared is on the disk: it is not written while something is measured.
    crate::run::output("sync", &[])?;
    let mut tool = (who.start)(&site)?;
    let mut run = Run { site: &site, tool: tool.as_mut(), scale, found: Vec::new() };
    (case.run)(&mut run)?;
    let found = run.found;
    // It ends before what it works on goes.
    drop(tool);
    Ok(found)
}

fn print(plan: &Plan, board: &Board) {
    let place = match plan.far {
        None => "loopback".to_owned(),
        Some(far) => format!("{} ms round trip, {} Mb/s a mirror and direction", far.rtt_ms, far.rate_mbit),
    };
    println!(
        "{} mirrors by SFTP or ssh, {place}, minimum / median / maximum of {}; time runs until all mirrors are equal",
        plan.mirrors, plan.rounds
    );
    board.print();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cases, who takes part, mirrors and round trip of a plan, or what is wrong with it.
    #[track_caller]
    fn check(words: &str, expect: &str) {
        let told = match plan(&words.split_whitespace().collect::<Vec<_>>()) {
            Ok(plan) => {
                let cases: Vec<&str> = plan.cases.iter().map(|case| case.name).collect();
                let who: Vec<&str> = plan.who.iter().map(|who| who.column.name).collect();
                let far = plan.far.map(|far| format!(", {} ms {} Mb/s", far.rtt_ms, far.rate_mbit));
                format!(
                    "{} | {} | {}{}",
                    cases.join(" "),
                    who.join(" "),
                    plan.mirrors,
                    far.unwrap_or_default()
                )
            }
            Err(why) => why,
        };
        assert_eq!(told, expect);
    }

    #[test]
    fn words_make_a_plan() {
        let cases = "small big mid mvfiles mvdir down kill9 order twice rate meta";
        check("", &format!("{cases} | tar rsync lsyncd unison farshare | 2"));
        check("--only mid --peer rsync farshare --mirrors 3", "mid | rsync farshare | 3");
        check("--only mid --peer unison --rate-mbit 10", "mid | unison | 2, 80 ms 10 Mb/s");
        check("--rtt-ms 20 --only big --peer tar", "big | tar | 2, 20 ms 100 Mb/s");
        check("--rounds", "--rounds wants a number");
        check("--peer drbd", "drbd is none of: tar, rsync, lsyncd, unison, farshare");
    }
}
