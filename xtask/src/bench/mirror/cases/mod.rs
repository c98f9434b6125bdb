//! What is done to a tree that is mirrored, and what is to come of it.

mod bulk;
mod live;
mod meta;
mod moves;
mod outage;

use super::run::{Run, Scale};
use crate::run::Outcome;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

pub struct Case {
    pub name: &'static str,
    /// In words.
    pub what: &'static str,
    /// Fills the source before the mirrors are filled alike and the tool begins.
    pub prepare: fn(&Path, &Scale) -> Outcome,
    pub run: fn(&mut Run<'_>) -> Outcome,
    /// What is aimed at on loopback, by measure.
    pub aims: &'static [(&'static str, &'static str)],
    /// The same at 80 ms and 100 Mb/s.
    pub far_aims: &'static [(&'static str, &'static str)],
    /// Whether the floor says something about it.
    pub floor: bool,
}

pub const CASES: [&Case; 11] = [
    &bulk::SMALL,
    &bulk::BIG,
    &bulk::MID,
    &moves::FILES,
    &moves::DIR,
    &outage::DOWN,
    &outage::KILLED,
    &live::ORDER,
    &live::TWICE,
    &live::RATE,
    &meta::META,
];

fn nothing(_source: &Path, _scale: &Scale) -> Outcome {
    Ok(())
}

/// A directory `tree` of directories of small files, each with content of its own.
fn tree(root: &Path, scale: &Scale) -> Outcome {
    let mut content = random(scale.file_bytes)?;
    for (dir, files) in small_files(scale) {
        let dir = root.join(dir);
        fs::create_dir_all(&dir).map_err(failed(&dir))?;
        for (number, file) in files {
            write(&dir.join(file), &mut content, number)?;
        }
    }
    Ok(())
}

/// Its directories in order, and the numbers and names of the files in each.
fn small_files(
    scale: &Scale,
) -> impl Iterator<Item = (PathBuf, impl Iterator<Item = (u64, String)> + use<>)> + use<> {
    let per_dir = scale.files_per_dir;
    (0..scale.dirs).map(move |dir| {
        let files = (0..per_dir).map(move |file| ((dir * per_dir + file) as u64, format!("file-{file:05}")));
        (PathBuf::from(format!("tree/dir-{dir:03}")), files)
    })
}

/// The path of the last file of the tree.
fn last_small_file(scale: &Scale) -> PathBuf {
    PathBuf::from(format!("tree/dir-{:03}/file-{:05}", scale.dirs - 1, scale.files_per_dir - 1))
}

/// Writes `content` with a number in it that makes it another one.
fn write(path: &Path, content: &mut [u8], number: u64) -> Outcome {
    content[..8].copy_from_slice(&number.to_le_bytes());
    fs::write(path, content).map_err(failed(path))
}

/// Writes a large file: no compression shortens it, and no part of it is at its place elsewhere.
fn write_big(path: &Path, bytes: u64) -> Outcome {
    let mut block = random(1 << 20)?;
    let mut file = File::create(path).map_err(failed(path))?;
    for number in 0..bytes / block.len() as u64 {
        block[..8].copy_from_slice(&number.to_le_bytes());
        let (last, first) = block.split_at(number as usize * 1009 % block.len());
        file.write_all(first).and_then(|()| file.write_all(last)).map_err(failed(path))?;
    }
    Ok(())
}

fn random(bytes: usize) -> Outcome<Vec<u8>> {
    let mut content = vec![0; bytes];
    let source = Path::new("/dev/urandom");
    File::open(source).and_then(|mut file| file.read_exact(&mut content)).map_err(failed(source))?;
    Ok(content)
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
}
