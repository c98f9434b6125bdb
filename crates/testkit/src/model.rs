//! The model: seeded random operations on a volume, compared with a plain tree after each step.
//!
//! The plain tree says what must come of each operation: success, or the reason for refusing. After each
//! step the volume is read whole and compared. [`Model::run`] does it all; a test that restarts its volume,
//! crashes it or cuts its link calls [`Model::step`] itself, and [`Model::drop_handles`] where handles die.
//!
//! The plain tree must itself agree with `MemVolume`: the crate's own tests see to that.

mod content;

use crate::ease::{cx, get, list, p, read_all};
use crate::rng::Rng;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use volume::{
    Caps, Change, Create, DosAttributes, ErrorKind, File, Kind, Named, OpenHow, Result, VPath, Volume,
};

/// Names that paths are made of: few, so that operations meet.
const NAMES: [&str; 4] = ["a", "b", "c", "dd"];
const DEPTH_MAX: u64 = 3;
const HANDLES_MAX: usize = 6;
/// Bytes; writes begin and end below.
const FILE_MAX: u64 = 20_000;

/// A plain tree, a source of randomness, and what happened so far.
pub struct Model {
    rng: Rng,
    tree: BTreeMap<VPath, Thing>,
    contents: HashMap<usize, Vec<u8>>,
    /// What files carry besides, by the number of their content.
    carried: HashMap<usize, BTreeMap<Named, Vec<u8>>>,
    next_content: usize,
    handles: Vec<(Arc<dyn File>, usize)>,
    /// The last steps, for the message of a failure.
    history: Vec<String>,
}

#[derive(Clone, PartialEq, Debug)]
enum Thing {
    Dir,
    /// Content by number: two names of one number are hard links.
    File(usize),
    Symlink(String),
}

type Expected<T> = std::result::Result<T, ErrorKind>;

/// `steps` random operations on an empty volume.
pub async fn run(volume: &dyn Volume, seed: u64, steps: usize) {
    let mut model = Model::new(seed);
    for _ in 0..steps {
        model.step(volume).await;
    }
}

impl Model {
    /// For a volume that is empty.
    pub fn new(seed: u64) -> Model {
        Model {
            rng: Rng::new(seed),
            tree: BTreeMap::from([(VPath::root(), Thing::Dir)]),
            contents: HashMap::new(),
            carried: HashMap::new(),
            next_content: 0,
            handles: Vec::new(),
            history: vec![format!("seed {seed}")],
        }
    }

    /// One random operation, and a comparison of everything.
    pub async fn step(&mut self, volume: &dyn Volume) {
        let caps = volume.caps();
        match self.rng.below(22) {
            0..=2 => self.open_and_write(volume).await,
            3..=4 => self.write_by_handle(&caps).await,
            5 => self.resize(volume, &caps).await,
            6..=7 => self.make_dir(volume).await,
            8..=9 => self.remove(volume).await,
            10..=12 => self.rename(volume, &caps).await,
            13 => self.link(volume, &caps).await,
            14 => self.symlink(volume, &caps).await,
            15..=16 => self.set_named(volume, &caps).await,
            17..=18 => self.zero(&caps).await,
            19..=20 => self.copy(&caps).await,
            _ => self.drop_a_handle(),
        }
        self.compare(volume).await;
    }

    /// Forgets all handles, as after a restart of the volume.
    pub fn drop_handles(&mut self) {
        self.handles.clear();
        self.history.push("all handles dropped".to_owned());
    }

    /// Reads the whole volume, and all handles, and compares.
    pub async fn compare(&mut self, volume: &dyn Volume) {
        let mut seen = BTreeMap::from([(VPath::root(), Kind::Dir)]);
        let mut dirs = vec![VPath::root()];
        while let Some(dir) = dirs.pop() {
            for entry in list(volume, dir.as_str()).await {
                let path = dir.join(&entry.name).expect("a listed name is a name");
                if entry.attr.is_dir() {
                    dirs.push(path.clone());
                }
                seen.insert(path, entry.attr.kind);
            }
        }
        let kind = |thing: &Thing| match thing {
            Thing::Dir => Kind::Dir,
            Thing::File(_) => Kind::File,
            Thing::Symlink(_) => Kind::Symlink,
        };
        let wanted: BTreeMap<_, _> = self.tree.iter().map(|(path, t)| (path.clone(), kind(t))).collect();
        assert!(seen == wanted, "the tree is {seen:?}\nand should be {wanted:?}\n{}", self.story());
        for (path, thing) in &self.tree {
            match thing {
                Thing::Dir => {}
                Thing::File(number) => {
                    let content = get(volume, path.as_str()).await;
                    self.same(&content, *number, path);
                    self.same_carried(volume, *number, path).await;
                }
                Thing::Symlink(target) => {
                    let there = volume.read_link(&cx(), path).await.expect("read_link");
                    assert_eq!(there, *target, "{path}\n{}", self.story());
                }
            }
        }
        for (file, number) in &self.handles {
            self.same(&read_all(&**file).await, *number, &"a handle");
        }
    }

    fn same(&self, content: &[u8], number: usize, what: &dyn std::fmt::Display) {
        let wanted = &self.contents[&number];
        let at = content.iter().zip(wanted).position(|(a, b)| a != b);
        assert!(
            content == wanted,
            "{what}: {} bytes for {}, first other byte at {at:?}\n{}",
            content.len(),
            wanted.len(),
            self.story()
        );
    }

    fn story(&self) -> String {
        let from = self.history.len().saturating_sub(30);
        format!("{}\n  ...\n  {}", self.history[0], self.history[from..].join("\n  "))
    }

    /// Compares what came with what had to come; says whether it was a success.
    fn agree<T, E>(&mut self, what: String, came: Result<T>, expected: &Expected<E>) -> Option<T> {
        self.agree_as(what, came, expected, alike)
    }

    fn agree_as<T, E>(
        &mut self,
        what: String,
        came: Result<T>,
        expected: &Expected<E>,
        alike: fn(ErrorKind, ErrorKind) -> bool,
    ) -> Option<T> {
        self.history.push(format!("{what} -> {:?}", expected.as_ref().map(|_| ()).map_err(|kind| *kind)));
        match (came, expected) {
            (Ok(value), Ok(_)) => Some(value),
            (Err(came), Err(kind)) => {
                assert!(alike(came.kind, *kind), "{came}, but {kind:?} was due\n{}", self.story());
                None
            }
            (Ok(_), Err(kind)) => panic!("succeeded, but {kind:?} was due\n{}", self.story()),
            (Err(came), Ok(_)) => panic!("{came}, but success was due\n{}", self.story()),
        }
    }

    fn path(&mut self) -> VPath {
        // Mostly something that is there, or a new name beside it.
        let known: Vec<VPath> = self.tree.keys().filter(|path| !path.is_root()).cloned().collect();
        if !known.is_empty() && !self.rng.one_in(3) {
            return self.rng.pick(&known).clone();
        }
        let depth = 1 + self.rng.below(DEPTH_MAX);
        let names: Vec<&str> = (0..depth).map(|_| *self.rng.pick(&NAMES)).collect();
        p(&names.join("/"))
    }

    /// Whether the parent of `path` can hold names.
    fn parent(&self, path: &VPath) -> Expected<()> {
        let mut at = VPath::root();
        let Some(parent) = path.parent() else { return Err(ErrorKind::InvalidArgument) };
        for name in parent.components() {
            at = at.join(name).expect("a component is a name");
            match self.tree.get(&at) {
                Some(Thing::Dir) => {}
                Some(Thing::File(_)) => return Err(ErrorKind::NotADirectory),
                Some(Thing::Symlink(_)) => return Err(ErrorKind::Loop),
                None => return Err(ErrorKind::NotFound),
            }
        }
        Ok(())
    }

    fn thing(&self, path: &VPath) -> Expected<Thing> {
        self.parent(path)?;
        self.tree.get(path).cloned().ok_or(ErrorKind::NotFound)
    }

    fn is_empty(&self, dir: &VPath) -> bool {
        !self.tree.keys().any(|path| path != dir && path.is_within(dir))
    }

    fn expect_open(&mut self, path: &VPath, how: &OpenHow) -> Expected<usize> {
        let number = match (self.thing(path), how.create) {
            (Err(ErrorKind::NotFound), Create::IfMissing | Create::New) if self.parent(path).is_ok() => {
                self.next_content += 1;
                self.contents.insert(self.next_content, Vec::new());
                self.tree.insert(path.clone(), Thing::File(self.next_content));
                self.next_content
            }
            (Err(kind), _) => return Err(kind),
            (Ok(_), Create::New) => return Err(ErrorKind::AlreadyExists),
            (Ok(Thing::Dir), _) => return Err(ErrorKind::IsADirectory),
            (Ok(Thing::Symlink(_)), _) => return Err(ErrorKind::Loop),
            (Ok(Thing::File(number)), _) => number,
        };
        if how.truncate {
            self.contents.insert(number, Vec::new());
        }
        Ok(number)
    }

    async fn open_and_write(&mut self, volume: &dyn Volume) {
        let path = self.path();
        let create = *self.rng.pick(&[Create::Never, Create::IfMissing, Create::IfMissing, Create::New]);
        let how = OpenHow { truncate: self.rng.one_in(3), ..OpenHow::create(create) };
        let expected = self.expect_open(&path, &how);
        let what = format!("open {path:?} {create:?} truncate {}", how.truncate);
        let came = volume.open(&cx(), &path, how).await;
        if let (Some(opened), Ok(number)) = (self.agree(what, came, &expected), expected) {
            if self.handles.len() == HANDLES_MAX {
                self.handles.remove(0);
            }
            self.handles.push((opened.file, number));
            let newest = self.handles.len() - 1;
            self.write(newest, &volume.caps()).await;
        }
    }

    fn expect_new(&self, path: &VPath) -> Expected<()> {
        match self.thing(path) {
            Ok(_) => Err(ErrorKind::AlreadyExists),
            Err(ErrorKind::NotFound) => self.parent(path),
            Err(kind) => Err(kind),
        }
    }

    async fn make_dir(&mut self, volume: &dyn Volume) {
        let path = self.path();
        let expected = self.expect_new(&path);
        let change =
            Change::MakeDir { path: path.clone(), mode: 0o755, dos: DosAttributes::empty(), maker: None };
        let came = volume.apply(&cx(), &change).await;
        self.agree(format!("mkdir {path:?}"), came, &expected);
        if expected.is_ok() {
            self.tree.insert(path, Thing::Dir);
        }
    }

    async fn symlink(&mut self, volume: &dyn Volume, caps: &Caps) {
        let (path, target) = (self.path(), self.path().to_string());
        let expected = match caps.symlinks {
            true => self.expect_new(&path),
            false => Err(ErrorKind::Unsupported),
        };
        let came = volume
            .apply(&cx(), &Change::Symlink { path: path.clone(), target: target.clone(), maker: None })
            .await;
        self.agree(format!("symlink {path:?} to {target:?}"), came, &expected);
        if expected.is_ok() {
            self.tree.insert(path, Thing::Symlink(target));
        }
    }

    async fn remove(&mut self, volume: &dyn Volume) {
        let (path, dir) = (self.path(), self.rng.one_in(2));
        let expected = self.thing(&path).and_then(|thing| match (thing, dir) {
            (Thing::Dir, false) => Err(ErrorKind::IsADirectory),
            (Thing::File(_) | Thing::Symlink(_), true) => Err(ErrorKind::NotADirectory),
            (Thing::Dir, true) if !self.is_empty(&path) => Err(ErrorKind::DirectoryNotEmpty),
            (Thing::Dir, true) | (Thing::File(_) | Thing::Symlink(_), false) => Ok(()),
        });
        let came = volume.apply(&cx(), &Change::Remove { path: path.clone(), dir, expect: None }).await;
        self.agree(format!("remove {path:?} dir {dir}"), came, &expected);
        if expected.is_ok() {
            self.tree.remove(&path);
        }
    }

    fn expect_rename(&self, from: &VPath, to: &VPath, replace: bool) -> Expected<()> {
        let moving = self.thing(from)?;
        self.parent(to)?;
        let target = match self.thing(to) {
            Ok(target) => Some(target),
            Err(ErrorKind::NotFound) => None,
            Err(kind) => return Err(kind),
        };
        if from != to && to.is_within(from) {
            return Err(ErrorKind::InvalidArgument);
        }
        match (moving, target) {
            (_, None) => Ok(()),
            (_, Some(_)) if !replace => Err(ErrorKind::AlreadyExists),
            (_, Some(_)) if from == to => Ok(()),
            (_, Some(Thing::Dir)) if !self.is_empty(to) => Err(ErrorKind::DirectoryNotEmpty),
            (Thing::Dir, Some(Thing::Dir)) => Ok(()),
            (Thing::Dir, Some(_)) => Err(ErrorKind::NotADirectory),
            (_, Some(Thing::Dir)) => Err(ErrorKind::IsADirectory),
            (_, Some(_)) => Ok(()),
        }
    }

    async fn rename(&mut self, volume: &dyn Volume, caps: &Caps) {
        let (from, to, replace) = (self.path(), self.path(), self.rng.one_in(2));
        let both_dirs = [&from, &to].iter().all(|path| self.tree.get(path) == Some(&Thing::Dir));
        if both_dirs && from != to {
            // Whether an empty directory gives way differs among origins.
            return;
        }
        let of_one_file = matches!(self.tree.get(&from), Some(Thing::File(_)))
            && self.tree.get(&from) == self.tree.get(&to);
        if of_one_file && from != to && !caps.stable_ids {
            // Who knows files by their names alone cannot tell that these are one, and rename(2) leaves both.
            return;
        }
        let expected = self.expect_rename(&from, &to, replace);
        let change = Change::Rename { from: from.clone(), to: to.clone(), replace, expect: None };
        let came = volume.apply(&cx(), &change).await;
        let what = format!("rename {from:?} to {to:?} replace {replace}");
        self.agree_as(what, came, &expected, alike_of_two);
        if expected.is_ok() && from != to {
            let moved: Vec<_> = self.tree.keys().filter(|path| path.is_within(&from)).cloned().collect();
            let things = moved.into_iter().filter_map(|path| {
                let thing = self.tree.remove(&path)?;
                Some((path.rebase(&from, &to)?, thing))
            });
            let things: Vec<_> = things.collect();
            self.tree.extend(things);
        }
    }

    async fn link(&mut self, volume: &dyn Volume, caps: &Caps) {
        let (from, to, replace) = (self.path(), self.path(), self.rng.one_in(2));
        let source = self.thing(&from);
        if matches!(source, Ok(Thing::Symlink(_))) {
            // Whether a symlink can have two names differs among origins.
            return;
        }
        let expected = match (&source, caps.hard_links) {
            (_, false) => Err(ErrorKind::Unsupported),
            (Ok(Thing::Dir), true) => Err(ErrorKind::IsADirectory),
            (_, true) if from == to && source.is_ok() && replace => Ok(()),
            (_, true) => self.expect_rename(&from, &to, replace),
        };
        let change = Change::Link { from: from.clone(), to: to.clone(), replace, expect: None };
        let came = volume.apply(&cx(), &change).await;
        let what = format!("link {from:?} to {to:?} replace {replace}");
        self.agree_as(what, came, &expected, alike_of_two);
        if let (Ok(()), Ok(thing)) = (expected, source) {
            self.tree.insert(to, thing);
        }
    }

    fn drop_a_handle(&mut self) {
        if !self.handles.is_empty() {
            let which = self.rng.below(self.handles.len() as u64) as usize;
            let (_, number) = self.handles.remove(which);
            self.history.push(format!("a handle of content {number} dropped"));
        }
    }
}

/// Whether two refusals come to the same. Storage checks in different orders, and a change with two names can
/// be wrong in two ways at once.
fn alike(came: ErrorKind, due: ErrorKind) -> bool {
    use ErrorKind::*;
    const PATH: [ErrorKind; 3] = [NotFound, NotADirectory, Loop];
    const IN_THE_WAY: [ErrorKind; 7] = [
        AlreadyExists,
        IsADirectory,
        NotADirectory,
        DirectoryNotEmpty,
        InvalidArgument,
        PermissionDenied,
        Unsupported,
    ];
    let both = |kinds: &[ErrorKind]| kinds.contains(&came) && kinds.contains(&due);
    came == due || both(&PATH) || both(&IN_THE_WAY)
}

/// The same for changes with two names: any of the reasons, whichever name it is about.
fn alike_of_two(came: ErrorKind, due: ErrorKind) -> bool {
    let refusal = |kind| alike(kind, ErrorKind::NotFound) || alike(kind, ErrorKind::AlreadyExists);
    refusal(came) && refusal(due)
}
