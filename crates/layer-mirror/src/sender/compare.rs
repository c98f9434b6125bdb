//! Making a tree at the mirror equal to what it is here now: at the first time, after something went unseen, and where the mirror is not
//! as it was taken to be.
//!
//! A file whose size, time and mode are the same is left, unless contents are to be compared; a target that keeps whole seconds is
//! compared in whole seconds. A file that differs is sent under a private name and appears whole; one that was sent in part goes on
//! where it ended, if it is still the same here. What has several names is sent once and linked. Names that only the mirror has are
//! removed. Directories get their times last.
//!
//! All this looks at the tree while others change it: what they change meanwhile is in the log, and is done again behind.

use super::depth::Depth;
use super::remote::{Lack, PRIVATE_DIR, Remote, carried, private};
use super::trouble::Trouble;
use crate::core::if_there;
use crate::record::Stamp;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use volume::{
    Access, Attr, Change, Close, Create, Cx, Entry, Error, ErrorKind, File, FileId, Kind, ListHow, OpenHow,
    Priority, Result, SetAttr, Time, VPath, Volume,
};
use xxhash_rust::xxh3::xxh3_64;

/// Objects that are looked at or sent at a time.
const AT_ONCE: usize = 64;
/// Content that is read here in one go, bytes.
const PIECE_BYTES: u32 = 1 << 20;
/// Such pieces of one file that are on their way at a time.
const PIECES_AT_ONCE: usize = 8;
/// Before the private names of files that a comparison sends.
pub const TEMP: char = 'c';
/// A file of this size or more goes on where it ended, when it was sent in part, bytes.
const RESUMED_BYTES: u64 = 8 << 20;

/// What a comparison has come to.
#[derive(Default, Debug)]
pub struct Tally {
    pub looked_at: AtomicU64,
    pub sent: AtomicU64,
    pub bytes: AtomicU64,
    pub removed: AtomicU64,
}

pub struct Comparison {
    pub here: Arc<dyn Volume>,
    pub there: Arc<Remote>,
    pub depth: Depth,
    /// Only told, nothing is changed.
    pub dry: bool,
    pub tally: Arc<Tally>,
    /// What differs, as far as it is listed.
    pub differences: Mutex<Vec<(VPath, &'static str)>>,
    /// What could not be made equal. The rest is.
    pub refused: Mutex<Vec<(VPath, Error)>>,
    /// Files with several names.
    linked: Mutex<HashMap<FileId, Linked>>,
    /// Further names, to be made when the first is there.
    further: Mutex<Vec<(VPath, Attr)>>,
    /// Directories, to be dressed at the end.
    dirs: Mutex<BTreeMap<VPath, Attr>>,
}

/// A file with several names: the first one is sent, the others are made from it.
struct Linked {
    first: VPath,
    seen: u32,
    all: u32,
}

/// Differences that are listed.
const DIFFERENCES_MAX: usize = 1000;

/// One object to look at, with what is known of it here and there.
struct Pair {
    path: VPath,
    here: Option<Attr>,
    there: Option<Attr>,
}

type Found = Result<Vec<Pair>>;

impl Comparison {
    pub fn new(here: Arc<dyn Volume>, there: Arc<Remote>, depth: Depth) -> Comparison {
        Comparison {
            here,
            there,
            depth,
            dry: false,
            tally: Arc::default(),
            differences: Mutex::default(),
            refused: Mutex::default(),
            linked: Mutex::default(),
            further: Mutex::default(),
            dirs: Mutex::default(),
        }
    }

    /// Makes the tree below `path` equal. Errors that concern one object alone are in `refused`; what is returned has ended it.
    pub async fn run(self: &Arc<Self>, path: &VPath) -> Result<()> {
        let here = if_there(self.here.stat(&self.cx(), path).await)?;
        let there = if_there(self.there.volume().stat(&self.there.cx(), path).await)?;
        let mut waiting = vec![Pair { path: path.clone(), here, there }];
        let mut flying: FuturesUnordered<BoxFuture<'static, Found>> = FuturesUnordered::new();
        loop {
            while flying.len() < AT_ONCE
                && let Some(pair) = waiting.pop()
            {
                flying.push(self.clone().look(pair).boxed());
            }
            match flying.next().await {
                Some(found) => waiting.extend(found?),
                None => break,
            }
        }
        self.find_further(path).await?;
        let further = std::mem::take(&mut *self.further.lock());
        for (path, attr) in further {
            match self.link(&path, &attr).await {
                Err(e) if is_of_one(e.kind) => self.refused.lock().push((path, e)),
                linked => linked?,
            }
        }
        self.dress_dirs().await
    }

    fn cx(&self) -> Cx {
        Cx::system(Priority::Bulk)
    }

    fn note(&self, path: &VPath, what: &'static str) {
        let mut differences = self.differences.lock();
        if differences.len() < DIFFERENCES_MAX {
            differences.push((path.clone(), what));
        }
    }

    /// Looks at one object. What it refuses is noted; what concerns the mirror as a whole is returned.
    async fn look(self: Arc<Self>, pair: Pair) -> Found {
        let path = pair.path.clone();
        self.tally.looked_at.fetch_add(1, Ordering::Relaxed);
        match self.equal(pair).await {
            Err(e) if is_of_one(e.kind) => {
                self.refused.lock().push((path, e));
                Ok(Vec::new())
            }
            found => found,
        }
    }

    async fn equal(&self, pair: Pair) -> Found {
        let Pair { path, here, there } = pair;
        match (here, there) {
            (None, None) => Ok(Vec::new()),
            (None, Some(there)) => {
                self.note(&path, "only at the mirror");
                self.remove(&path, there.kind).await.map(|()| Vec::new())
            }
            (Some(here), Some(there)) if same_kind(here.kind, there.kind) => {
                self.both(path, &here, &there).await
            }
            (Some(here), there) => {
                self.note(&path, if there.is_some() { "of another kind" } else { "missing at the mirror" });
                if let Some(there) = there {
                    self.remove(&path, there.kind).await?;
                }
                self.make(path, &here).await
            }
        }
    }

    async fn both(&self, path: VPath, here: &Attr, there: &Attr) -> Found {
        match here.kind {
            Kind::Dir => {
                self.dirs.lock().insert(path.clone(), *here);
                self.carry_exactly(&path).await?;
                match self.depth {
                    Depth::Itself | Depth::Sent => Ok(Vec::new()),
                    Depth::Metadata | Depth::Contents => self.children(path, true).await,
                }
            }
            Kind::File => {
                if self.linked_first(&path, here).is_some() {
                    self.further.lock().push((path, *here));
                    return Ok(Vec::new());
                }
                // What has more names there than here would change with one that is another file here.
                let differs = here.size != there.size
                    || !same_time(here.mtime, there.mtime)
                    || (self.there.volume().caps().stable_ids && there.links > here.links);
                let differs = match self.depth {
                    Depth::Sent => true,
                    Depth::Contents => differs || self.contents_differ(&path, here).await?,
                    Depth::Itself | Depth::Metadata => differs,
                };
                if differs {
                    self.note(&path, "content");
                    self.send(&path, here).await?;
                } else {
                    if here.mode != there.mode || self.is_owned_otherwise(here, there) {
                        self.note(&path, "mode or owner");
                        self.dress(&path, here).await?;
                    }
                    self.carry_exactly(&path).await?;
                }
                Ok(Vec::new())
            }
            Kind::Symlink => {
                let target = self.here.read_link(&self.cx(), &path).await?;
                if self.there.volume().read_link(&self.there.cx(), &path).await? != target {
                    self.note(&path, "target");
                    self.remove(&path, there.kind).await?;
                    return self.make(path, here).await;
                }
                Ok(Vec::new())
            }
            Kind::Special(_) => Ok(Vec::new()),
        }
    }

    fn is_owned_otherwise(&self, here: &Attr, there: &Attr) -> bool {
        self.there.holds_owners() && (here.uid, here.gid) != (there.uid, there.gid)
    }

    /// Everything in a directory, with its equal at the mirror, where that is there.
    async fn children(&self, dir: VPath, there: bool) -> Found {
        let mut pairs: BTreeMap<Arc<str>, Pair> = BTreeMap::new();
        for entry in list(&*self.here, &self.cx(), &dir).await? {
            let path = dir.join(&entry.name).map_err(|e| Error::new(ErrorKind::InvalidName, "compare", e))?;
            pairs.insert(entry.name, Pair { path, here: Some(entry.attr), there: None });
        }
        let listed = match there {
            true => list(&*self.there.volume(), &self.there.cx(), &dir).await?,
            false => Vec::new(),
        };
        for entry in listed {
            if dir.is_root() && &*entry.name == PRIVATE_DIR {
                continue;
            }
            let path = dir.join(&entry.name).map_err(|e| Error::new(ErrorKind::InvalidName, "compare", e))?;
            pairs.entry(entry.name).or_insert(Pair { path, here: None, there: None }).there =
                Some(entry.attr);
        }
        Ok(pairs.into_values().collect())
    }

    /// Makes what the mirror does not have.
    async fn make(&self, path: VPath, here: &Attr) -> Found {
        let maker = None;
        let change = match here.kind {
            Kind::File => {
                match self.linked_first(&path, here) {
                    Some(_) => self.further.lock().push((path, *here)),
                    None => self.send(&path, here).await?,
                }
                return Ok(Vec::new());
            }
            Kind::Dir => Change::MakeDir { path: path.clone(), mode: here.mode, dos: here.dos, maker },
            Kind::Symlink => {
                let target = self.here.read_link(&self.cx(), &path).await?;
                Change::Symlink { path: path.clone(), target, maker }
            }
            Kind::Special(node) => Change::MakeNode { path: path.clone(), node, mode: here.mode, maker },
        };
        if !self.dry {
            self.there.apply(&change).await?;
            self.tally.sent.fetch_add(1, Ordering::Relaxed);
        }
        if here.kind == Kind::Dir {
            self.dirs.lock().insert(path.clone(), *here);
            if !self.dry {
                self.carry(&path, &path).await?;
            }
            return self.children(path, false).await;
        }
        match self.dress(&path, here).await {
            // It was left out, as the target holds no such things.
            Err(e) if e.kind == ErrorKind::NotFound => {}
            dressed => dressed?,
        }
        Ok(Vec::new())
    }

    /// By which name a file with several names is sent, where that is another.
    fn linked_first(&self, path: &VPath, here: &Attr) -> Option<VPath> {
        if here.links < 2 {
            return None;
        }
        let mut linked = self.linked.lock();
        let new = || Linked { first: path.clone(), seen: 0, all: here.links };
        let one = linked.entry(here.id).or_insert_with(new);
        one.seen += 1;
        (one.first != *path).then(|| one.first.clone())
    }

    /// Finds names outside `below` of what has some within.
    async fn find_further(&self, below: &VPath) -> Result<()> {
        let outside: HashSet<FileId> = {
            let linked = self.linked.lock();
            linked.iter().filter(|(_, one)| one.seen < one.all).map(|(id, _)| *id).collect()
        };
        for path in names_of(&*self.here, &outside).await? {
            if !path.is_within(below)
                && let Some(attr) = if_there(self.here.stat(&self.cx(), &path).await)?
            {
                self.further.lock().push((path, attr));
            }
        }
        Ok(())
    }

    /// Makes a further name of what is there already, or a file of its own where the mirror has no such names.
    async fn link(&self, path: &VPath, here: &Attr) -> Result<()> {
        let first = self.linked.lock().get(&here.id).map(|one| one.first.clone());
        let Some(from) = first.filter(|_| !self.dry) else { return Ok(()) };
        if self.is_linked(&from, path).await? {
            return Ok(());
        }
        let change = Change::Link { from, to: path.clone(), replace: true, expect: None };
        match self.there.volume().apply(&self.there.cx(), &change).await {
            Err(e) if is_of_one(e.kind) => {
                if e.kind == ErrorKind::Unsupported {
                    self.there.lack(Lack::HardLinks);
                }
                self.send(path, here).await
            }
            linked => linked.map(drop),
        }
    }

    /// Whether two names of the mirror are known to be those of one file.
    async fn is_linked(&self, one: &VPath, other: &VPath) -> Result<bool> {
        if !self.there.volume().caps().stable_ids {
            return Ok(false);
        }
        let one = if_there(self.there.volume().stat(&self.there.cx(), one).await)?;
        let other = if_there(self.there.volume().stat(&self.there.cx(), other).await)?;
        Ok(one.zip(other).is_some_and(|(one, other)| one.id == other.id))
    }

    async fn remove(&self, path: &VPath, kind: Kind) -> Result<()> {
        if self.dry {
            return Ok(());
        }
        remove_tree(&self.there, path, kind).await?;
        self.tally.removed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn dress(&self, path: &VPath, here: &Attr) -> Result<()> {
        if self.dry {
            return Ok(());
        }
        let set = self.there.of_anybodys(&Stamp::of(here), here.kind);
        self.there.set_attr(path, set).await
    }

    async fn dress_dirs(&self) -> Result<()> {
        let dirs = std::mem::take(&mut *self.dirs.lock());
        for (path, attr) in dirs.iter().rev() {
            match self.dress(path, attr).await {
                Err(e) if is_of_one(e.kind) => {}
                dressed => dressed?,
            }
        }
        Ok(())
    }

    async fn contents_differ(&self, path: &VPath, attr: &Attr) -> Result<bool> {
        let here = self.here.open(&self.cx(), path, OpenHow::read()).await?.file;
        let there = self.there.volume().open(&self.there.cx(), path, OpenHow::read()).await?.file;
        let mut at = 0;
        let mut differ = false;
        while at < attr.size && !differ {
            let ours = here.read_at(&self.cx(), at, PIECE_BYTES).await?;
            let theirs = there.read_at(&self.there.cx(), at, PIECE_BYTES).await?;
            differ = ours != theirs;
            if ours.is_empty() {
                break;
            }
            at += ours.len() as u64;
        }
        there.close(&self.there.cx(), Close::Abort).await?;
        Ok(differ)
    }

    /// Sends a file whole.
    async fn send(&self, path: &VPath, attr: &Attr) -> Result<()> {
        if self.dry {
            return Ok(());
        }
        let opened = self.here.open(&self.cx(), path, OpenHow::read()).await?;
        let attr = Attr { size: opened.attr.size, mtime: opened.attr.mtime, ..*attr };
        let temp = private(&temp_name(path, &opened.attr));
        let (file, done) = self.begin(&temp, &attr).await?;
        self.pump(&*opened.file, &file, done, attr.size).await?;
        self.carry(path, &temp).await?;
        let set = self.there.of_ours(&Stamp::of(&attr), Kind::File);
        self.there.set_file_attr(&*file, set).await?;
        file.close(&self.there.cx(), Close::Commit).await?;
        let rename = Change::Rename { from: temp, to: path.clone(), replace: true, expect: None };
        self.there.volume().apply(&self.there.cx(), &rename).await?;
        self.tally.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Has what is there carry what is carried here and nothing else. Where only metadata is compared, that is not looked at.
    async fn carry_exactly(&self, path: &VPath) -> Result<()> {
        if self.depth == Depth::Metadata || !self.here.caps().named || !self.there.volume().caps().named {
            return Ok(());
        }
        let there = carried(&*self.there.volume(), &self.there.cx(), path).await?;
        let here = carried(&*self.here, &self.cx(), path).await?;
        let gone = there.keys().filter(|name| !here.contains_key(*name)).map(|name| (name, None));
        let other = here.iter().filter(|(name, value)| there.get(*name) != Some(*value));
        for (name, value) in other.map(|(name, value)| (name, Some(value.clone()))).chain(gone) {
            self.note(path, "what it carries");
            if !self.dry {
                self.there.set_named(path.clone(), name.clone(), value).await?;
            }
        }
        Ok(())
    }

    /// Gives what `to` at the mirror is to carry besides its content.
    async fn carry(&self, path: &VPath, to: &VPath) -> Result<()> {
        if !self.here.caps().named || !self.there.volume().caps().named {
            return Ok(());
        }
        for (name, value) in carried(&*self.here, &self.cx(), path).await? {
            self.there.set_named(to.clone(), name, Some(value)).await?;
        }
        Ok(())
    }

    /// The file under its private name, and how much of it is there already.
    async fn begin(&self, temp: &VPath, attr: &Attr) -> Result<(Arc<dyn File>, u64)> {
        let mut done = 0;
        if attr.size >= RESUMED_BYTES {
            done = if_there(self.there.volume().stat(&self.there.cx(), temp).await)?
                .map_or(0, |there| there.size);
        }
        let how = OpenHow {
            access: Access::READ | Access::WRITE,
            truncate: done == 0 || done > attr.size,
            mode: 0o600,
            ..OpenHow::create(Create::IfMissing)
        };
        if how.truncate {
            done = 0;
        }
        let opened = self.there.volume().open(&self.there.cx(), temp, how).await?;
        Ok((opened.file, done))
    }

    /// Holes stay holes where they can be told here; the end is made by the size.
    async fn pump(&self, from: &dyn File, to: &Arc<dyn File>, begin: u64, size: u64) -> Result<()> {
        let ranges = match self.here.caps().holes {
            true => from.ranges(&self.cx(), begin, size.saturating_sub(begin)).await?,
            false => std::iter::once(begin..size).collect(),
        };
        let whole = ranges.len() < volume::RANGES_MAX;
        let ranges = if whole { ranges } else { std::iter::once(begin..size).collect() };
        let at_once = if self.there.in_order { PIECES_AT_ONCE } else { 1 };
        let mut flying = FuturesUnordered::new();
        let mut end = begin;
        for range in ranges {
            let mut at = range.start.max(begin);
            while at < range.end {
                let length = (range.end - at).min(u64::from(PIECE_BYTES)) as u32;
                let data = from.read_at(&self.cx(), at, length).await?;
                if data.is_empty() {
                    break;
                }
                let read = data.len() as u64;
                let (to, cx) = (to.clone(), self.there.cx());
                flying.push(async move { to.write_at(&cx, at, data).await });
                while flying.len() >= at_once {
                    flying.next().await.transpose()?;
                }
                self.tally.bytes.fetch_add(read, Ordering::Relaxed);
                at += read;
            }
            end = end.max(at);
        }
        while let Some(written) = flying.next().await {
            written?;
        }
        if end < size {
            to.set_attr(&self.there.cx(), &SetAttr::size(size)).await?;
        }
        Ok(())
    }
}

/// All names in `volume` of these files.
pub async fn names_of(volume: &dyn Volume, ids: &HashSet<FileId>) -> Result<Vec<VPath>> {
    let mut names = Vec::new();
    let mut dirs = if ids.is_empty() { Vec::new() } else { vec![VPath::root()] };
    while let Some(dir) = dirs.pop() {
        for entry in list(volume, &Cx::system(Priority::Bulk), &dir).await? {
            let Ok(path) = dir.join(&entry.name) else { continue };
            if entry.attr.is_dir() {
                dirs.push(path);
            } else if ids.contains(&entry.attr.id) {
                names.push(path);
            }
        }
    }
    Ok(names)
}

/// Removes what is at `path` of the mirror, with all that is below.
async fn remove_tree(there: &Remote, path: &VPath, kind: Kind) -> Result<()> {
    let mut dirs = Vec::new();
    let mut waiting = vec![(path.clone(), kind)];
    while let Some((path, kind)) = waiting.pop() {
        if kind != Kind::Dir {
            let remove = Change::Remove { path, dir: false, expect: None };
            if_there(there.volume().apply(&there.cx(), &remove).await)?;
            continue;
        }
        for entry in list(&*there.volume(), &there.cx(), &path).await? {
            let below =
                path.join(&entry.name).map_err(|e| Error::new(ErrorKind::InvalidName, "remove", e))?;
            waiting.push((below, entry.attr.kind));
        }
        dirs.push(path);
    }
    for path in dirs.into_iter().rev() {
        let remove = Change::Remove { path, dir: true, expect: None };
        if_there(there.volume().apply(&there.cx(), &remove).await)?;
    }
    Ok(())
}

async fn list(volume: &dyn Volume, cx: &Cx, dir: &VPath) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut cursor = None;
    loop {
        let page = match volume.list(cx, dir, ListHow { cursor, ahead: 0 }).await {
            // It went while we were on the way.
            Err(e) if matches!(e.kind, ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(entries),
            page => page?,
        };
        entries.extend(page.entries);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(entries);
        }
    }
}

/// Whether the error concerns one object, and not the mirror.
fn is_of_one(kind: ErrorKind) -> bool {
    Trouble::of(kind) != Trouble::OfAll
}

fn same_kind(here: Kind, there: Kind) -> bool {
    match (here, there) {
        (Kind::Special(here), Kind::Special(there)) => here == there,
        (here, there) => std::mem::discriminant(&here) == std::mem::discriminant(&there),
    }
}

/// Whole seconds where one of them has no more.
fn same_time(here: Time, there: Time) -> bool {
    let ((here_s, here_ns), (there_s, there_ns)) = (here.to_parts(), there.to_parts());
    here_s == there_s && (here_ns == there_ns || there_ns == 0)
}

/// The same for the same state of the same file alone.
fn temp_name(path: &VPath, attr: &Attr) -> String {
    let mut text = format!("{path}\0{:?}\0{:?}\0{}\0{}", attr.id, attr.version, attr.size, attr.mtime.0);
    text.push('\0');
    format!("{TEMP}{:016x}", xxh3_64(text.as_bytes()))
}
