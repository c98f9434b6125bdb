//! A mirror that is away for a while, and a daemon that is killed.

use super::super::run::{Run, SECONDS, Scale};
use super::moves::{prepare_alike, rename_tree};
use super::{Case, failed, random, write};
use crate::run::Outcome;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the mirror is away, seconds.
const AWAY_S: usize = 9;
const NEW: usize = 500;
const RENAMED: usize = 250;
const REMOVED: usize = 500;
const KILLED_RENAMED: usize = 500;
const FILE_BYTES: usize = 4096;

pub const DOWN: Case = Case {
    name: "down",
    what: "mirror 2 away for 9 s, meanwhile 500 new files, 250 renames, 500 removals; from when it is back",
    prepare: prepare_flat,
    run: down,
    aims: &[(SECONDS, "4")],
    far_aims: &[],
    floor: false,
};

pub const KILLED: Case = Case {
    name: "kill9",
    what: "daemon killed, 500 renames and one of a directory unsent; from its restart",
    prepare: prepare_killed,
    run: killed,
    aims: &[(SECONDS, "equal")],
    far_aims: &[],
    floor: false,
};

fn flat(number: usize) -> PathBuf {
    PathBuf::from(format!("flat/file-{number:05}"))
}

fn renamed(number: usize) -> PathBuf {
    PathBuf::from(format!("flat/renamed-{number:05}"))
}

fn new_file(number: usize) -> PathBuf {
    PathBuf::from(format!("flat/new-{number:05}"))
}

/// Files to rename and to remove, and as many that stay.
fn prepare_flat(source: &Path, _scale: &Scale) -> Outcome {
    let mut content = random(FILE_BYTES)?;
    fs::create_dir_all(source.join("flat")).map_err(failed(source))?;
    (0..2 * (RENAMED + REMOVED))
        .try_for_each(|number| write(&source.join(flat(number)), &mut content, number as u64))
}

fn prepare_killed(source: &Path, scale: &Scale) -> Outcome {
    prepare_flat(source, scale)?;
    prepare_alike(source, scale)
}

fn down(run: &mut Run<'_>) -> Outcome {
    run.settle()?;
    let wire = run.site.servers.wires.last().expect("there is a mirror");
    wire.cut();
    let mut content = random(FILE_BYTES)?;
    for second in 0..AWAY_S {
        let part = |all: usize| all * second / AWAY_S..all * (second + 1) / AWAY_S;
        change(run.tool.work(), [part(NEW), part(RENAMED), part(REMOVED)], &mut content)?;
        run.work_for(Duration::from_secs(1));
    }
    wire.heal();
    let begun = run.begin();
    let done = |root: &Path| {
        root.join(renamed(RENAMED - 1)).exists()
            && root.join(new_file(NEW - 1)).exists()
            && !root.join(flat(RENAMED + REMOVED - 1)).exists()
    };
    run.measure(&begun, &done)
}

/// Makes new files, renames some that were there and removes others.
fn change(work: &Path, [new, rename, remove]: [std::ops::Range<usize>; 3], content: &mut [u8]) -> Outcome {
    for number in new {
        write(&work.join(new_file(number)), content, (1 << 32) + number as u64)?;
    }
    for number in rename {
        let from = work.join(flat(number));
        fs::rename(&from, work.join(renamed(number))).map_err(failed(&from))?;
    }
    for number in remove {
        let path = work.join(flat(RENAMED + number));
        fs::remove_file(&path).map_err(failed(&path))?;
    }
    Ok(())
}

/// Where the tool finds what is done while it is dead, that is when it is done; otherwise while no mirror can be reached.
fn killed(run: &mut Run<'_>) -> Outcome {
    run.settle()?;
    let finds = run.tool.finds_changes();
    if finds {
        run.tool.kill()?;
    } else {
        run.site.servers.wires.iter().for_each(|wire| wire.cut());
    }
    for number in 0..KILLED_RENAMED {
        let from = run.tool.work().join(flat(number));
        fs::rename(&from, run.tool.work().join(renamed(number))).map_err(failed(&from))?;
    }
    rename_tree(run.tool.work())?;
    if !finds {
        run.tool.kill()?;
        run.site.servers.wires.iter().for_each(|wire| wire.heal());
    }
    let begun = run.begin();
    run.tool.restart()?;
    let last = renamed(KILLED_RENAMED - 1);
    run.measure(&begun, &|root| root.join("moved").exists() && root.join(&last).exists())
}
