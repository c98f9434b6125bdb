//! Renames: of many files, all of one size and one time, so that whoever guesses by these guesses wrong; and of a directory
//! with as many in it.

use super::super::run::{Run, SECONDS, Scale, WIRE};
use super::{Case, failed, last_small_file, small_files, tree};
use crate::run::Outcome;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// When all files were written, seconds since 1970.
const TIME: Duration = Duration::from_secs(1_700_000_000);

pub const FILES: Case = Case {
    name: "mvfiles",
    what: "10,000 renames of files of one size and one time (far: 1,000)",
    prepare: prepare_alike,
    run: move_files,
    aims: &[(SECONDS, "8"), (WIRE, "under 5")],
    far_aims: &[],
    floor: false,
};

pub const DIR: Case = Case {
    name: "mvdir",
    what: "rename of a directory with these files",
    prepare: prepare_alike,
    run: move_dir,
    aims: &[(SECONDS, "0.3")],
    far_aims: &[],
    floor: false,
};

pub fn prepare_alike(source: &Path, scale: &Scale) -> Outcome {
    tree(source, scale)?;
    for (dir, files) in small_files(scale) {
        for (_, file) in files {
            let path = source.join(&dir).join(file);
            let set = File::options().write(true).open(&path);
            set.and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH + TIME)).map_err(failed(&path))?;
        }
    }
    Ok(())
}

fn moved(path: &Path) -> PathBuf {
    path.with_extension("moved")
}

fn move_files(run: &mut Run<'_>) -> Outcome {
    run.settle()?;
    let begun = run.begin();
    for (dir, files) in small_files(&run.scale) {
        for (_, file) in files {
            let path = run.tool.work().join(&dir).join(file);
            fs::rename(&path, moved(&path)).map_err(failed(&path))?;
        }
    }
    let last = moved(&last_small_file(&run.scale));
    run.measure(&begun, &|root| root.join(&last).exists())
}

fn move_dir(run: &mut Run<'_>) -> Outcome {
    run.settle()?;
    let begun = run.begin();
    rename_tree(run.tool.work())?;
    run.measure(&begun, &|root| root.join("moved").exists() && !root.join("tree").exists())
}

pub fn rename_tree(root: &Path) -> Outcome {
    let from = root.join("tree");
    fs::rename(&from, root.join("moved")).map_err(failed(&from))
}
