//! Who knows a tree from what is told of it alone knows it as it is.

use crate::fresh_with;
use origin_local::{COALESCE_AT_MOST, LocalConfig};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use testkit::{Rng, ease};
use volume::{Attr, FileId, Freshness, Notice, VPath, Version, Volume};

const STEPS: u64 = 600;
const SEEDS: u64 = 4;

/// What is known of a name. A directory has another version with each name in it, which goes without notice.
type Known = (FileId, Option<(u64, Version)>);

fn known(attr: &Attr) -> Known {
    (attr.id, attr.is_file().then_some((attr.size, attr.version)))
}

/// A tree, by what is told of it; asked is only where that says that it may be anything.
struct Mirror<'a> {
    volume: &'a dyn Volume,
    tree: BTreeMap<VPath, Known>,
}

impl Mirror<'_> {
    fn take(&mut self, top: &VPath) -> Vec<(VPath, Known)> {
        let paths: Vec<VPath> = self.tree.keys().filter(|path| path.is_within(top)).cloned().collect();
        paths.into_iter().filter_map(|path| self.tree.remove_entry(&path)).collect()
    }

    async fn ask(&mut self, top: &VPath) {
        self.take(top);
        if let Ok(attr) = self.volume.stat(&ease::cx(), top).await {
            self.tree.insert(top.clone(), known(&attr));
        }
        let mut queue = vec![top.clone()];
        while let Some(dir) = queue.pop() {
            let Ok(listing) = self.volume.list(&ease::cx(), &dir, Default::default()).await else { continue };
            assert!(listing.next.is_none(), "small directories");
            for entry in listing.entries {
                let path = dir.join(&entry.name).unwrap();
                self.tree.insert(path.clone(), known(&entry.attr));
                if entry.attr.is_dir() {
                    queue.push(path);
                }
            }
        }
    }

    async fn told(&mut self, notice: Notice) {
        match notice {
            Notice::Changed { path, attr: None, .. } => drop(self.take(&path)),
            Notice::Changed { path, attr: Some(attr), .. } => {
                if self.tree.get(&path).is_some_and(|(id, _)| *id != attr.id) {
                    self.take(&path);
                }
                self.tree.insert(path, known(&attr));
            }
            Notice::Moved { from, to, attr, .. } => {
                let moved = self.take(&from);
                self.take(&to);
                let Some(attr) = attr else { return };
                // What was asked may be further than what is told.
                if attr.is_dir() && moved.is_empty() {
                    self.ask(&to).await;
                }
                let rebased = |(path, known): (VPath, Known)| Some((path.rebase(&from, &to)?, known));
                self.tree.extend(moved.into_iter().filter_map(rebased));
                self.tree.insert(to, known(&attr));
            }
            Notice::Unknown { below } => self.ask(&below).await,
        }
    }
}

/// Somebody who works in a tree, now in haste, now at leisure.
struct Worker {
    root: PathBuf,
    rng: Rng,
}

impl Worker {
    fn dirs(&self) -> Vec<PathBuf> {
        let mut dirs = vec![self.root.clone()];
        let mut at = 0;
        while let Some(dir) = dirs.get(at).cloned() {
            let below = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
            dirs.extend(below.filter(|path| path.is_dir()));
            at += 1;
        }
        dirs
    }

    fn some_name(&mut self) -> PathBuf {
        let dirs = self.dirs();
        let name = *self.rng.pick(&["a", "b", "c", "d", "e"]);
        self.rng.pick(&dirs).join(name)
    }

    /// Half of all steps fail: a name is not there, or in the way.
    fn step(&mut self) -> std::io::Result<()> {
        let (one, other) = (self.some_name(), self.some_name());
        match self.rng.below(10) {
            0..3 => std::fs::File::options().create(true).append(true).open(one)?.write_all(b"more"),
            3..5 if one.components().count() < self.root.components().count() + 4 => std::fs::create_dir(one),
            3..7 => std::fs::rename(one, other),
            7 => Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?),
            8 => std::fs::remove_file(one),
            _ if self.rng.one_in(3) => std::fs::remove_dir_all(one),
            _ => {
                std::thread::sleep(Duration::from_millis(self.rng.below(40)));
                Ok(())
            }
        }
    }

    fn work(mut self) {
        for _ in 0..STEPS {
            // That it fails changes nothing, which is as good.
            let _ = self.step();
        }
    }
}

async fn run(seed: u64, by_inotify: bool) {
    let (dir, volume) = fresh_with(LocalConfig { by_inotify, ..LocalConfig::default() });
    let mut watch = volume.watch(&ease::cx()).await.unwrap();
    watch.freshness.wait_for(|freshness| *freshness == Freshness::Notified).await.unwrap();
    let worker = Worker { root: dir.path().to_owned(), rng: Rng::new(seed) };
    let working = tokio::task::spawn_blocking(|| worker.work());
    let mut mirror = Mirror { volume: &*volume, tree: BTreeMap::new() };
    loop {
        match tokio::time::timeout(COALESCE_AT_MOST * 3, watch.notices.recv()).await {
            Ok(notice) => mirror.told(notice.expect("the watch ended")).await,
            Err(_) if working.is_finished() => break,
            Err(_) => {}
        }
    }
    let known = std::mem::take(&mut mirror.tree);
    mirror.ask(&VPath::root()).await;
    let differ = |path: &&VPath| !path.is_root() && known.get(*path) != mirror.tree.get(*path);
    let wrong: Vec<&VPath> = known.keys().chain(mirror.tree.keys()).filter(differ).collect();
    assert!(wrong.is_empty(), "seed {seed}: {wrong:?}\nknown {known:#?}\nin truth {:#?}", mirror.tree);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_of_random_work_is_all() {
    for seed in 0..SEEDS {
        run(seed, false).await;
        run(seed, true).await;
    }
}
