//! Random changes by several writers, with files that stay open, at mirrors whose wire breaks, in lives that end at any moment: at
//! the end each mirror is equal; and while it is live, a reader sees states that were here, in their order.

use crate::rig::path;
use crate::wire::{Breaking, Wire};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use layer_mirror::{MirrorConfig, Mirrors, PRIVATE_DIR, State, Target};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;
use testkit::{FaultVolume, MemVolume, Rng};
use volume::{
    Access, Change, Close, Create, Cx, File, FileId, Kind, ListHow, Named, OpenHow, Priority, SetAttr,
    SyncKind, Time, VPath, Volume,
};

fn cx() -> Cx {
    Cx::system(Priority::Interactive)
}

/// What a reader can see of an object. Times are left out where states are told apart.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Known {
    kind: Kind,
    mode: u32,
    mtime: Option<Time>,
    content: Vec<u8>,
    carried: Vec<(Named, Bytes)>,
    /// The first of its names.
    first: String,
}

type Tree = BTreeMap<String, Known>;

fn tree(volume: &MemVolume, times: bool) -> Tree {
    walk(volume, times).now_or_never().expect("in memory")
}

async fn walk(volume: &MemVolume, times: bool) -> Tree {
    let (mut known, mut names) = (Tree::new(), BTreeMap::<FileId, String>::new());
    let mut waiting = vec![VPath::root()];
    while let Some(dir) = waiting.pop() {
        let listed = volume.list(&cx(), &dir, ListHow::default()).await.unwrap();
        for entry in listed.entries {
            let path = dir.join(&entry.name).unwrap();
            if path.as_str() == PRIVATE_DIR {
                continue;
            }
            let attr = entry.attr;
            let (mut content, mut carried) = (Vec::new(), Vec::new());
            match attr.kind {
                Kind::Dir => waiting.push(path.clone()),
                Kind::File => {
                    let file = volume.open(&cx(), &path, OpenHow::read()).await.unwrap().file;
                    content = file.read_at(&cx(), 0, u32::MAX).await.unwrap().to_vec();
                }
                Kind::Symlink => content = volume.read_link(&cx(), &path).await.unwrap().into_bytes(),
                Kind::Special(_) => {}
            }
            if attr.kind != Kind::Symlink {
                for one in volume.list_named(&cx(), &path, None).await.unwrap() {
                    let value = volume.named(&cx(), &path, None, &one.name).await.unwrap().unwrap();
                    carried.push((one.name, value));
                }
            }
            let mtime = Some(attr.mtime).filter(|_| times && attr.kind == Kind::File);
            let text = path.as_str().to_owned();
            let first = names.entry(attr.id).or_insert_with(|| text.clone());
            *first = text.clone().min(first.clone());
            let mode = if attr.kind == Kind::Symlink { 0 } else { attr.mode };
            let first = format!("{:?}", attr.id);
            known.insert(text, Known { kind: attr.kind, mode, mtime, content, carried, first });
        }
    }
    let ids: BTreeMap<String, String> =
        names.iter().map(|(id, first)| (format!("{id:?}"), first.clone())).collect();
    known.values_mut().for_each(|one| one.first = ids[&one.first].clone());
    known
}

fn differing(here: &Tree, there: &Tree) -> Vec<String> {
    let all: std::collections::BTreeSet<&String> = here.keys().chain(there.keys()).collect();
    let differ = all.into_iter().filter(|path| here.get(*path) != there.get(*path));
    differ.map(|path| format!("{path}: here {:?}\n    there {:?}", here.get(path), there.get(path))).collect()
}

/// What is tried.
#[derive(Clone, Copy, Debug)]
struct Plan {
    writers: u64,
    in_order: bool,
    breaking: u64,
    /// Changes of one life.
    changes: u64,
    lives: u64,
    /// Whether each state of a mirror that is live must have been one here; for one writer.
    order: bool,
}

struct World {
    state: PathBuf,
    here: Arc<MemVolume>,
    there: Arc<MemVolume>,
    seen: Arc<Mutex<Record>>,
    _dir: tempfile::TempDir,
}

/// States here, and those that were seen at the mirror while it was live.
#[derive(Default)]
struct Record {
    mirrors: Weak<Mirrors>,
    here: Vec<(String, Tree)>,
    /// The last state here that was seen there.
    at: usize,
    last: Tree,
    story: Vec<String>,
    wrong: Option<String>,
    order: bool,
}

impl Record {
    fn here(&mut self, what: &str, now: Tree) {
        if self.order {
            self.story.push(format!("here: {what}"));
            self.here.push((what.to_owned(), now));
        }
    }

    fn there(&mut self, what: &str, now: impl FnOnce() -> Tree) {
        if !self.order {
            return;
        }
        let state = self.mirrors.upgrade().map(|mirrors| mirrors.status()[0].state);
        let now = now();
        self.story.push(format!("    there: {what} {state:?}"));
        if std::mem::replace(&mut self.last, now.clone()) == now || state != Some(State::Live) {
            return;
        }
        match self.here[self.at..].iter().position(|(_, state)| *state == now) {
            Some(further) => self.at += further,
            None => {
                let nearest = self.here[self.at..].iter().min_by_key(|(_, here)| differing(here, &now).len());
                let (after, nearest) = nearest.unwrap();
                let before = self.here.iter().position(|(_, here)| *here == now).map(|at| (at, self.at));
                let what = format!(
                    "after {what} there is what was not here, next to what was after {after}; going back: {before:?}\n{}",
                    differing(nearest, &now).join("\n")
                );
                self.wrong.get_or_insert(what);
            }
        }
    }
}

struct Life {
    runtime: tokio::runtime::Runtime,
    volume: Arc<dyn Volume>,
    mirrors: Arc<Mirrors>,
    wire: Arc<Wire>,
    faults: Arc<FaultVolume>,
}

impl World {
    fn new(order: bool) -> World {
        let dir = tempfile::tempdir().unwrap();
        let (here, there) = (MemVolume::new(), MemVolume::new());
        let seen = Arc::new(Mutex::new(Record { order, ..Record::default() }));
        seen.lock().here("the beginning", tree(&here, false));
        World { state: dir.path().join("0"), here, there, seen, _dir: dir }
    }

    fn live(&self, plan: Plan, rng: &mut Rng) -> Life {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let seed = rng.next_u64();
        let faults = FaultVolume::new(self.here.clone());
        if plan.writers > 1 {
            faults.jitter(seed, Duration::from_millis(2), Duration::from_millis(1));
        }
        let (wire, volume, mirrors) = runtime.block_on(async {
            let (seen, there) = (self.seen.clone(), self.there.clone());
            let look = move |what: &str| seen.lock().there(what, || tree(&there, false));
            let wire = Wire::new(self.there.clone(), seed, Breaking(plan.breaking), Box::new(look));
            let volume: Arc<dyn Volume> = wire.clone();
            let target = Target {
                name: "m".into(),
                to: "m".into(),
                way: Arc::new(layer_mirror::Here(volume)),
                in_order: plan.in_order,
            };
            let config = MirrorConfig { dir: self.state.clone(), log_max_bytes: u64::MAX };
            let (volume, mirrors) = Mirrors::open(faults.clone(), config, vec![target]).await.unwrap();
            (wire, volume, mirrors)
        });
        self.seen.lock().mirrors = Arc::downgrade(&mirrors);
        Life { runtime, volume, mirrors, wire, faults }
    }

    /// The process is killed: what is on disk now is what the next one finds. What is on the wire may arrive.
    fn kill(&mut self, life: Life, turn: u64) {
        let next = self._dir.path().join((turn + 1).to_string());
        copy(&self.state, &next);
        self.seen.lock().mirrors = Weak::new();
        self.state = next;
        life.wire.cut();
        self.seen.lock().story.push("-- killed".into());
        // Nothing of it reaches here any more.
        life.faults.go_offline();
        drop(life.runtime);
    }

    fn settle(&self, life: &Life, story: &dyn std::fmt::Display) {
        life.runtime.block_on(async {
            for _ in 0..2_000 {
                let status = &life.mirrors.status()[0];
                if status.state == State::Live && status.behind == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            panic!("{story}: not settled: {:#?}", life.mirrors.status());
        });
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => match std::fs::copy(entry.path(), &target) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                copied => drop(copied.unwrap()),
            },
        }
    }
}

/// Files that are open, of all writers.
type Open = Mutex<Vec<Arc<dyn File>>>;

struct Writer<'a> {
    world: &'a World,
    volume: &'a dyn Volume,
    open: &'a Open,
    rng: Rng,
    plan: Plan,
}

impl Writer<'_> {
    fn note(&self, what: &str) {
        if self.plan.order {
            let now = tree(&self.world.here, false);
            self.world.seen.lock().here(what, now);
        }
    }

    fn name(&mut self) -> VPath {
        let dir = ["", "", "a/", "b/", "a/c/"][self.rng.below(5) as usize];
        path(&format!("{dir}f{}", self.rng.below(4)))
    }

    fn data(&mut self) -> Bytes {
        let length = 1 + self.rng.below(60) as usize;
        self.rng.bytes(length).into()
    }

    async fn apply(&self, change: Change) {
        let paths: Vec<String> = change.paths().map(|path| path.to_string()).collect();
        let done = self.volume.apply(&cx(), &change).await;
        self.note(&format!("{} {paths:?} {}", change.name(), done.is_ok()));
    }

    async fn write(&mut self, file: &dyn File, offset: u64, what: &str) {
        let data = self.data();
        drop(file.write_at(&cx(), offset, data).await);
        self.note(&format!("write {what}"));
    }

    /// Makes or empties a file, or changes it in place.
    async fn whole(&mut self, truncate: bool) {
        let one = self.name();
        let create = if self.rng.one_in(2) { Create::IfMissing } else { Create::Never };
        let how = OpenHow { truncate, ..OpenHow::create(create) };
        let Ok(opened) = self.volume.open(&cx(), &one, how).await else { return };
        self.note(&format!("open {one}, created {}, truncate {truncate}", opened.created));
        let offset = if truncate { 0 } else { self.rng.below(40) };
        self.write(&*opened.file, offset, one.as_str()).await;
        if !self.plan.order && self.rng.one_in(4) {
            self.write(&*opened.file, offset + 7, one.as_str()).await;
        }
        let left = self.rng.below(6);
        match left {
            0 if !self.plan.order => self.open.lock().push(opened.file),
            1 if !self.plan.order => drop(opened.file.sync(&cx(), SyncKind::Full).await),
            2 if !self.plan.order => drop(opened.file),
            _ => {
                drop(opened.file.close(&cx(), Close::Commit).await);
                self.note(&format!("close {one}"));
            }
        }
    }

    /// A file that is there is opened and stays so.
    async fn leave_open(&mut self) {
        let one = self.name();
        let access =
            if !self.plan.order && self.rng.one_in(3) { Access::READ } else { Access::READ | Access::WRITE };
        let create = if self.plan.order { Create::Never } else { Create::IfMissing };
        let how = OpenHow { access, ..OpenHow::create(create) };
        let Ok(opened) = self.volume.open(&cx(), &one, how).await else { return };
        self.note(&format!("opened {one}"));
        if access.contains(Access::WRITE) {
            self.open.lock().push(opened.file);
        } else {
            drop(opened.file.close(&cx(), Close::Commit).await);
        }
    }

    async fn use_open(&mut self) {
        let file = {
            let open = self.open.lock();
            let Some(last) = open.len().checked_sub(1) else { return };
            open[self.rng.below(last as u64 + 1) as usize].clone()
        };
        match self.rng.below(6) {
            0 => {
                let set = SetAttr { mode: Some(0o600 + self.rng.below(64) as u32), ..SetAttr::default() };
                drop(file.set_attr(&cx(), &set).await);
                self.note("chmod of an open one");
            }
            1 if !self.plan.order => {
                drop(file.set_attr(&cx(), &SetAttr::size(self.rng.below(50))).await);
            }
            2 => {
                drop(file.zero(&cx(), self.rng.below(20), self.rng.below(20)).await);
                self.note("zero of an open one");
            }
            _ => {
                let offset = self.rng.below(60);
                self.write(&*file, offset, "an open one").await;
            }
        }
    }

    async fn close_one(&mut self) {
        let file = {
            let mut open = self.open.lock();
            let Some(last) = open.len().checked_sub(1) else { return };
            open.swap_remove(self.rng.below(last as u64 + 1) as usize)
        };
        drop(file.close(&cx(), Close::Commit).await);
        self.note("close of an open one");
    }

    async fn change(&mut self) {
        let dirs = ["a", "b", "a/c", "c"];
        let dir = path(self.rng.pick::<&str>(&dirs));
        let one = self.name();
        match self.rng.below(22) {
            0 | 1 => {
                self.apply(Change::MakeDir { path: dir, mode: 0o755, dos: Default::default(), maker: None })
                    .await;
            }
            2 => self.apply(Change::Remove { path: dir, dir: true, expect: None }).await,
            3 => self.apply(Change::Remove { path: one, dir: false, expect: None }).await,
            4..=6 => {
                let to = self.name();
                let replace = !self.rng.one_in(4);
                self.apply(Change::Rename { from: one, to, replace, expect: None }).await;
            }
            7 => {
                let to = path(self.rng.pick::<&str>(&dirs));
                self.apply(Change::Rename { from: dir, to, replace: true, expect: None }).await;
            }
            8 => {
                let (to, replace) = (self.name(), self.rng.one_in(2));
                self.apply(Change::Link { from: one, to, replace, expect: None }).await;
            }
            9 => {
                let set = SetAttr { mode: Some(0o600 + self.rng.below(64) as u32), ..SetAttr::default() };
                self.apply(Change::SetAttr { path: one, set, expect: None }).await;
            }
            10 => {
                let target = format!("t{}", self.rng.below(9));
                self.apply(Change::Symlink { path: one, target, maker: None }).await;
            }
            11 => {
                let value = Some(self.data()).filter(|_| !self.rng.one_in(3));
                self.apply(Change::SetNamed {
                    path: one,
                    name: Named::extended("user.x"),
                    value,
                    expect: None,
                })
                .await;
            }
            12 => {
                let size = if self.rng.one_in(2) { 0 } else { self.rng.below(40) };
                self.apply(Change::SetAttr { path: one, set: SetAttr::size(size), expect: None }).await;
            }
            13 => self.leave_open().await,
            14..=16 => self.use_open().await,
            17 => self.close_one().await,
            18 => self.whole(false).await,
            _ => self.whole(true).await,
        }
        if self.rng.one_in(5) {
            tokio::time::sleep(Duration::from_millis(1 + self.rng.below(8))).await;
        }
    }
}

fn check(seed: u64, plan: Plan) {
    let mut rng = Rng::new(seed);
    let mut world = World::new(plan.order);
    let story = format!("seed {seed}, {plan:?}");
    for turn in 0..=plan.lives {
        let last = turn == plan.lives;
        let life = world.live(plan, &mut rng);
        if rng.one_in(3) {
            world.settle(&life, &story);
        }
        let open = Open::default();
        let killed_after = Duration::from_millis(20 + rng.below(200));
        let writers: Vec<Writer<'_>> = (0..plan.writers)
            .map(|_| Writer {
                world: &world,
                volume: &*life.volume,
                open: &open,
                rng: Rng::new(rng.next_u64()),
                plan,
            })
            .collect();
        let changes = rng.below(plan.changes);
        life.runtime.block_on(async {
            let all = futures_util::stream::iter(writers.into_iter().map(|mut writer| async move {
                for _ in 0..changes {
                    writer.change().await;
                }
            }))
            .buffer_unordered(WRITERS_MAX)
            .collect::<Vec<()>>();
            match last || plan.order {
                true => drop(all.await),
                false => drop(tokio::time::timeout(killed_after, all).await),
            }
            if last || rng.one_in(4) {
                life.faults.jitter(1, Duration::ZERO, Duration::ZERO);
                let files = std::mem::take(&mut *open.lock());
                for file in files {
                    drop(file.close(&cx(), Close::Commit).await);
                }
            }
        });
        let wrong = world.seen.lock().wrong.take();
        if let Some(wrong) = wrong {
            let tale = world.seen.lock().story.join("\n");
            panic!("{story}: {wrong}\n{tale}");
        }
        // What is open is open no more: nothing is written down of it.
        std::mem::forget(std::mem::take(&mut *open.lock()));
        if !last {
            world.kill(life, turn);
            continue;
        }
        life.wire.mend();
        world.settle(&life, &story);
        let differ = differing(&tree(&world.here, true), &tree(&world.there, true));
        let tale = world.seen.lock().story.join("\n");
        assert!(differ.is_empty(), "{story}:\n{}\n{tale}", differ.join("\n"));
        let status = &life.mirrors.status()[0];
        assert!(status.parked.is_empty(), "{story}: {status:?}");
        let listed = world.there.list(&cx(), &path(PRIVATE_DIR), ListHow::default()).now_or_never().unwrap();
        let left: Vec<String> = listed.unwrap().entries.iter().map(|entry| entry.name.to_string()).collect();
        assert!(left.is_empty(), "{story}: left in the making: {left:?}\n{tale}");
    }
}

/// `MIRROR_SEEDS=from..to` tries others.
fn seeds(few: u64) -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("MIRROR_SEEDS") else { return 1..few + 1 };
    let (from, to) = text.split_once("..").unwrap();
    from.parse().unwrap()..to.parse().unwrap()
}

fn check_all(plan: Plan) {
    let mut failed = 0;
    for seed in seeds(40) {
        if std::panic::catch_unwind(|| check(seed, plan)).is_err() {
            failed += 1;
            assert!(std::env::var("MIRROR_SEEDS").is_ok(), "seed {seed}");
        }
    }
    assert_eq!(failed, 0, "seeds failed");
}

/// More than there are in any plan.
const WRITERS_MAX: usize = 8;
const ONE: Plan = Plan { writers: 1, in_order: false, breaking: 0, changes: 60, lives: 0, order: true };
const MANY: Plan = Plan { writers: 4, in_order: false, breaking: 0, changes: 40, lives: 0, order: false };

#[test]
fn one_writer() {
    check_all(ONE);
}

#[test]
fn one_writer_in_order() {
    check_all(Plan { in_order: true, ..ONE });
}

#[test]
fn one_writer_and_a_wire_that_breaks() {
    check_all(Plan { breaking: 30, ..ONE });
}

#[test]
fn one_writer_in_order_and_a_wire_that_breaks() {
    check_all(Plan { in_order: true, breaking: 30, ..ONE });
}

#[test]
#[ignore = "finds what is not mended yet; MIRROR_SEEDS=1..200 tries many"]
fn one_writer_in_order_that_is_killed() {
    check_all(Plan { in_order: true, lives: 4, ..ONE });
}

#[test]
#[ignore = "finds what is not mended yet; MIRROR_SEEDS=1..200 tries many"]
fn one_writer_in_order_that_is_killed_and_a_wire_that_breaks() {
    check_all(Plan { in_order: true, breaking: 30, lives: 4, ..ONE });
}

#[test]
#[ignore = "finds what is not mended yet; MIRROR_SEEDS=1..200 tries many"]
fn many_writers() {
    check_all(MANY);
}

#[test]
#[ignore = "finds what is not mended yet; MIRROR_SEEDS=1..200 tries many"]
fn many_writers_in_order_and_a_wire_that_breaks() {
    check_all(Plan { in_order: true, breaking: 30, ..MANY });
}

#[test]
#[ignore = "finds what is not mended yet; MIRROR_SEEDS=1..200 tries many"]
fn many_writers_that_are_killed_and_a_wire_that_breaks() {
    check_all(Plan { breaking: 30, lives: 4, ..MANY });
}

#[test]
#[ignore = "finds what is not mended yet; MIRROR_SEEDS=1..200 tries many"]
fn many_writers_in_order_that_are_killed_and_a_wire_that_breaks() {
    check_all(Plan { in_order: true, breaking: 30, lives: 4, ..MANY });
}
