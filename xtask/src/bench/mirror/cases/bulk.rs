//! Bytes: many small files, one large one, a little of a large one.

use super::super::run::{Run, SECONDS, Scale, WIRE};
use super::{Case, failed, last_small_file, nothing, random, tree, write_big};
use crate::run::Outcome;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

const BIG_FILE: &str = "big";
const CHANGED_BYTES: usize = 1 << 20;

pub const SMALL: Case = Case {
    name: "small",
    what: "10,000 new files of 4 KiB in 100 directories (far: 1,000)",
    prepare: nothing,
    run: small,
    aims: &[(SECONDS, "6")],
    far_aims: &[(SECONDS, "3")],
    floor: true,
};

pub const BIG: Case = Case {
    name: "big",
    what: "one new file of 1 GiB (far: 32 MiB)",
    prepare: nothing,
    run: big,
    aims: &[(SECONDS, "18")],
    far_aims: &[],
    floor: true,
};

pub const MID: Case = Case {
    name: "mid",
    what: "1 MiB changed in the middle of it",
    prepare: prepare_big,
    run: mid,
    aims: &[(SECONDS, "3"), (WIRE, "2.7 (1.3 MiB a mirror)")],
    far_aims: &[],
    floor: false,
};

fn small(run: &mut Run<'_>) -> Outcome {
    run.settle()?;
    let begun = run.begin();
    let scale = run.scale;
    tree(run.tool.work(), &scale)?;
    let last = last_small_file(&scale);
    let there =
        |root: &Path| fs::metadata(root.join(&last)).is_ok_and(|file| file.len() == scale.file_bytes as u64);
    run.measure(&begun, &there)
}

fn big(run: &mut Run<'_>) -> Outcome {
    run.settle()?;
    let begun = run.begin();
    let bytes = run.scale.big_bytes;
    write_big(&run.tool.work().join(BIG_FILE), bytes)?;
    let there = |root: &Path| fs::metadata(root.join(BIG_FILE)).is_ok_and(|file| file.len() == bytes);
    run.measure(&begun, &there)
}

fn prepare_big(source: &Path, scale: &Scale) -> Outcome {
    write_big(&source.join(BIG_FILE), scale.big_bytes)
}

fn mid(run: &mut Run<'_>) -> Outcome {
    run.settle()?;
    let (content, at) = (random(CHANGED_BYTES)?, run.scale.big_bytes / 2);
    let begun = run.begin();
    let path = run.tool.work().join(BIG_FILE);
    let file = File::options().write(true).open(&path).map_err(failed(&path))?;
    file.write_all_at(&content, at).map_err(failed(&path))?;
    drop(file);
    let first_and_last = [0, CHANGED_BYTES - 4096];
    let there = |root: &Path| {
        let Ok(file) = File::open(root.join(BIG_FILE)) else { return false };
        first_and_last.iter().all(|within| {
            let mut block = [0; 4096];
            let read = file.read_exact_at(&mut block, at + *within as u64);
            read.is_ok() && block == content[*within..][..4096]
        })
    };
    run.measure(&begun, &there)
}
