//! How far a mirror is, on disk: `docs/formats/mirror-records.md`.
//!
//! The positions are written in place, often, and need only survive the end of the process: after a power loss the whole tree is
//! compared anyway. What is to be compared and what was given up for now is written seldom, and synced.

use super::depth::{Depth, Trees};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use volume::VPath;
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: [u8; 8] = *b"fsMirPos";
const LENGTH: usize = 40;

/// Numbers of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Positions {
    /// Where reading begins: files that are still in the making were begun here or later.
    pub read: u64,
    /// The mirror has all below, but for files in the making.
    pub confirmed: u64,
    /// It may have all up to here.
    pub issued: u64,
}

/// What is to be done besides the log.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ledger {
    /// Trees to be compared and made equal.
    pub compare: Vec<Tree>,
    /// A comparison has looked at what was here later than the positions say: the log is not to be replayed, but what it names is to be
    /// compared, too.
    pub catching_up: bool,
    /// Nothing is sent.
    pub paused: bool,
    /// Names with their errors: nothing is done to them until somebody asks for it.
    pub parked: BTreeMap<String, Parked>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tree {
    pub below: String,
    pub depth: Depth,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parked {
    pub error: String,
    /// Seconds since 1970.
    pub since: u64,
}

pub struct Progress {
    positions: Positions,
    file: File,
    ledger: Ledger,
    path: PathBuf,
}

impl Progress {
    /// Opens what is remembered of mirror `name` in `dir`; `None` when there is nothing yet, or what is there is damaged.
    pub fn open(dir: &Path, name: &str) -> io::Result<Option<Progress>> {
        let file = match OpenOptions::new().read(true).write(true).open(positions_path(dir, name)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut bytes = [0; LENGTH];
        let read = file.read_exact_at(&mut bytes, 0);
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        if read.is_err() || bytes[..8] != MAGIC || word(32) != xxh3_64(&bytes[..32]) {
            return Ok(None);
        }
        let positions = Positions { read: word(8), confirmed: word(16), issued: word(24) };
        let path = ledger_path(dir, name);
        let Ok(ledger) = serde_json::from_slice(&std::fs::read(&path)?) else { return Ok(None) };
        Ok(Some(Progress { positions, file, ledger, path }))
    }

    /// Begins anew.
    pub fn create(dir: &Path, name: &str, positions: Positions, ledger: Ledger) -> io::Result<Progress> {
        std::fs::create_dir_all(dir)?;
        let mut how = OpenOptions::new();
        how.read(true).write(true).create(true).truncate(true).mode(0o600);
        let file = how.open(positions_path(dir, name))?;
        let path = ledger_path(dir, name);
        let mut progress = Progress { positions: Positions::default(), file, ledger, path };
        progress.write_ledger()?;
        progress.set(positions)?;
        progress.file.sync_all()?;
        File::open(dir)?.sync_all()?;
        Ok(progress)
    }

    /// Forgets the mirror.
    pub fn remove(dir: &Path, name: &str) -> io::Result<()> {
        for path in [positions_path(dir, name), ledger_path(dir, name)] {
            match std::fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }

    pub fn positions(&self) -> Positions {
        self.positions
    }

    pub fn set(&mut self, positions: Positions) -> io::Result<()> {
        if positions == self.positions {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend(MAGIC);
        for word in [positions.read, positions.confirmed, positions.issued] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(xxh3_64(&bytes).to_le_bytes());
        self.file.write_all_at(&bytes, 0)?;
        self.positions = positions;
        Ok(())
    }

    /// Where a log has lost its end to a power loss, it gives numbers again that are counted here. Then the whole tree is compared.
    pub fn not_beyond(&mut self, next: u64) -> io::Result<()> {
        let Positions { read, confirmed, issued } = self.positions;
        if read.max(confirmed).max(issued) <= next {
            return Ok(());
        }
        self.change(|ledger| ledger.add(&VPath::root(), Depth::Metadata))?;
        self.set(Positions { read: next, confirmed: next, issued: next })
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Changes the ledger; it is on the medium when this returns.
    pub fn change<T>(&mut self, change: impl FnOnce(&mut Ledger) -> T) -> io::Result<T> {
        let before = self.ledger.clone();
        let told = change(&mut self.ledger);
        if self.ledger != before {
            self.write_ledger()?;
        }
        Ok(told)
    }

    fn write_ledger(&self) -> io::Result<()> {
        let new = self.path.with_extension("json.new");
        let mut how = OpenOptions::new();
        let mut file = how.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec_pretty(&self.ledger)?)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Ledger {
    /// Whether nothing is done to `path`, as it or something above it is parked.
    pub fn is_parked(&self, path: &VPath) -> bool {
        !self.parked.is_empty() && self.parked_paths().any(|parked| path.is_within(&parked))
    }

    pub fn parked_paths(&self) -> impl Iterator<Item = VPath> {
        self.parked.keys().filter_map(|text| VPath::parse(text).ok())
    }

    /// What is parked at or below `from` is so at `to` now.
    pub fn renamed(&mut self, from: &VPath, to: &VPath) {
        let moved: Vec<VPath> = self.parked_paths().filter(|parked| parked.is_within(from)).collect();
        for path in moved {
            let Some(parked) = self.parked.remove(path.as_str()) else { continue };
            if let Some(now) = path.rebase(from, to) {
                self.parked.insert(now.as_str().to_owned(), parked);
            }
        }
    }

    /// One tree more to be compared, and those that are not covered by another.
    pub fn add(&mut self, below: &VPath, depth: Depth) {
        let tree = |tree: &Tree| Some((VPath::parse(&tree.below).ok()?, tree.depth));
        let mut trees = Trees::default();
        self.compare.iter().filter_map(tree).for_each(|(path, depth)| trees.add(&path, depth));
        trees.add(below, depth);
        let trees = trees.take().into_iter();
        self.compare = trees.map(|(path, depth)| Tree { below: path.as_str().to_owned(), depth }).collect();
    }
}

fn positions_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.position"))
}

fn ledger_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_there_after_a_start_and_damage_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Progress::open(dir.path(), "m").unwrap().is_none());
        let ledger = Ledger { catching_up: true, ..Ledger::default() };
        let mut made = Progress::create(dir.path(), "m", Positions::default(), ledger).unwrap();
        let positions = Positions { read: 1, confirmed: 2, issued: 3 };
        made.set(positions).unwrap();
        made.change(|ledger| ledger.add(&VPath::root(), Depth::Metadata)).unwrap();
        drop(made);
        let found = Progress::open(dir.path(), "m").unwrap().unwrap();
        assert_eq!((found.positions(), found.ledger().catching_up), (positions, true));
        assert_eq!(found.ledger().compare.len(), 1);
        found.file.write_all_at(b"\xff", 20).unwrap();
        assert!(Progress::open(dir.path(), "m").unwrap().is_none());
    }

    #[test]
    fn numbers_that_the_log_gives_again_are_not_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let positions = Positions { read: 7, confirmed: 9, issued: 9 };
        let mut made = Progress::create(dir.path(), "m", positions, Ledger::default()).unwrap();
        made.not_beyond(9).unwrap();
        assert_eq!((made.positions(), made.ledger().compare.len()), (positions, 0));
        made.not_beyond(8).unwrap();
        assert_eq!(made.positions(), Positions { read: 8, confirmed: 8, issued: 8 });
        assert_eq!(made.ledger().compare.len(), 1);
    }

    #[test]
    fn a_tree_covers_what_is_below() {
        let path = |text| VPath::parse(text).unwrap();
        let mut ledger = Ledger::default();
        ledger.add(&path("a"), Depth::Metadata);
        ledger.add(&path("a/b"), Depth::Metadata);
        assert_eq!(ledger.compare.len(), 1);
        ledger.add(&path("a/b"), Depth::Contents);
        assert_eq!(ledger.compare.len(), 2);
        let parked = Parked { error: "no".into(), since: 0 };
        ledger.parked.insert("x/y".into(), parked);
        for (name, expect) in [("x", false), ("x/y", true), ("x/y/z", true), ("x/z", false), ("", false)] {
            assert_eq!(ledger.is_parked(&path(name)), expect, "{name}");
        }
        ledger.renamed(&path("x"), &path("z"));
        assert!(ledger.is_parked(&path("z/y")) && !ledger.is_parked(&path("x/y")));
    }
}
