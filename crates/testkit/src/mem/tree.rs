//! The tree of [`super::MemVolume`]: plain functions on plain data, no lock, no waiting.
//!
//! A node lives while a name or an open handle holds it. Each change puts its notices into `pending`; the
//! volume sends them before it lets go of the lock, so that subscribers see them in order.

mod carried;
mod changes;

use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use volume::{
    Attr, Author, Carries, Create, DosAttributes, Entry, Error, ErrorKind, FileId, Kind, Named, Notice,
    OpenHow, Result, SetAttr, Time, VPath, Version,
};

/// Largest file, bytes: a test that goes further has lost its way.
pub(super) const FILE_MAX: u64 = 1 << 30;
const ROOT: u64 = 1;
pub(super) const BLOCK: u64 = 4096;

pub(super) struct Tree {
    nodes: HashMap<u64, Node>,
    next_id: u64,
    next_version: u64,
    clock: Time,
    case_sensitive: bool,
    /// Bytes of content that fit, `u64::MAX` for no limit.
    pub(super) capacity: u64,
    pub(super) pending: Vec<Notice>,
}

struct Node {
    body: Body,
    version: u64,
    mtime: Time,
    ctime: Time,
    atime: Time,
    btime: Time,
    mode: u32,
    uid: u32,
    gid: u32,
    dos: DosAttributes,
    carried: BTreeMap<Named, Bytes>,
    /// Bytes of room taken ahead of writing.
    reserved: u64,
    /// Directory and key of each name of this node.
    names: Vec<(u64, String)>,
    opens: u32,
}

enum Body {
    File(Vec<u8>),
    /// Key (folded where case does not matter) to name and node.
    Dir(BTreeMap<String, (Arc<str>, u64)>),
    Symlink(String),
}

fn error<T>(kind: ErrorKind, op: &'static str, path: impl std::fmt::Display) -> Result<T> {
    Err(Error::new(kind, op, path))
}

impl Tree {
    pub(super) fn new(case_sensitive: bool) -> Tree {
        let mut tree = Tree {
            nodes: HashMap::new(),
            next_id: ROOT,
            next_version: 1,
            clock: Time(0),
            case_sensitive,
            capacity: u64::MAX,
            pending: Vec::new(),
        };
        tree.add_node(Body::Dir(BTreeMap::new()), 0o755, DosAttributes::empty());
        tree
    }

    /// The next point in time: never the same twice.
    fn tick(&mut self) -> Time {
        self.clock = Time::now().max(Time(self.clock.0 + 1));
        self.clock
    }

    fn new_version(&mut self) -> u64 {
        self.next_version += 1;
        self.next_version
    }

    fn add_node(&mut self, body: Body, mode: u32, dos: DosAttributes) -> u64 {
        let (id, now, version) = (self.next_id, self.tick(), self.new_version());
        self.next_id += 1;
        let times = Node {
            body,
            version,
            mtime: now,
            ctime: now,
            atime: now,
            btime: now,
            mode: mode & 0o7777,
            uid: 0,
            gid: 0,
            dos,
            carried: BTreeMap::new(),
            reserved: 0,
            names: Vec::new(),
            opens: 0,
        };
        self.nodes.insert(id, times);
        id
    }

    /// Size of each file, and what it carries.
    pub(super) fn files(&self) -> impl Iterator<Item = (u64, &BTreeMap<Named, Bytes>)> {
        self.nodes.values().filter_map(|node| match &node.body {
            Body::File(content) => Some((content.len() as u64, &node.carried)),
            Body::Dir(_) | Body::Symlink(_) => None,
        })
    }

    /// The bits of what is made in a directory with `asked`: whether it is compressed, the directory says.
    fn born_in(&self, dir: u64, asked: DosAttributes) -> DosAttributes {
        let compressed = self.nodes[&dir].dos & DosAttributes::COMPRESSED;
        (asked - DosAttributes::ONLY_TOLD) | compressed
    }

    fn children(&self, dir: u64) -> &BTreeMap<String, (Arc<str>, u64)> {
        match &self.nodes[&dir].body {
            Body::Dir(children) => children,
            Body::File(_) | Body::Symlink(_) => unreachable!("node {dir} is no directory"),
        }
    }

    fn children_mut(&mut self, dir: u64) -> &mut BTreeMap<String, (Arc<str>, u64)> {
        match self.nodes.get_mut(&dir).map(|node| &mut node.body) {
            Some(Body::Dir(children)) => children,
            _ => unreachable!("node {dir} is no directory"),
        }
    }

    pub(super) fn node(&self, op: &'static str, path: &VPath) -> Result<u64> {
        let mut at = ROOT;
        for name in path.components() {
            at = match &self.nodes[&at].body {
                Body::Dir(children) => match children.get(&self.key(name)) {
                    Some((_, id)) => *id,
                    None => return error(ErrorKind::NotFound, op, path),
                },
                Body::File(_) => return error(ErrorKind::NotADirectory, op, path),
                Body::Symlink(_) => return error(ErrorKind::Loop, op, path),
            };
        }
        Ok(at)
    }

    /// Whether a directory is at `path`, and the one expected.
    pub(super) fn is_dir_there(&self, op: &'static str, path: &VPath, expect: Option<FileId>) -> Result<()> {
        let id = self.node(op, path)?;
        match self.nodes[&id].body {
            Body::File(_) | Body::Symlink(_) => error(ErrorKind::NotADirectory, op, path),
            Body::Dir(_) if expect.is_some_and(|expected| expected != file_id(id)) => {
                error(ErrorKind::Stale, op, path)
            }
            Body::Dir(_) => Ok(()),
        }
    }

    /// The directory that holds `path`, and the key there; `at_root` for the root itself.
    fn place(&self, op: &'static str, path: &VPath, at_root: ErrorKind) -> Result<(u64, String)> {
        let Some(parent) = path.parent() else { return error(at_root, op, path) };
        let dir = self.node(op, &parent)?;
        match self.nodes[&dir].body {
            Body::Dir(_) => Ok((dir, self.key(path.name()))),
            Body::File(_) => error(ErrorKind::NotADirectory, op, path),
            Body::Symlink(_) => error(ErrorKind::Loop, op, path),
        }
    }

    /// A node under a name, if it is the one expected.
    fn named(&self, op: &'static str, path: &VPath, expect: Option<FileId>) -> Result<(u64, (u64, String))> {
        let place = self.place(op, path, ErrorKind::InvalidArgument)?;
        let id = self.node(op, path)?;
        if expect.is_some_and(|expected| expected != file_id(id)) {
            return error(ErrorKind::Stale, op, path);
        }
        Ok((id, place))
    }

    /// The present names of a node.
    fn paths(&self, id: u64) -> Vec<VPath> {
        if id == ROOT {
            return vec![VPath::root()];
        }
        let Some(node) = self.nodes.get(&id) else { return Vec::new() };
        let mut paths = Vec::new();
        for (dir, key) in &node.names {
            let name = &self.children(*dir)[key].0;
            paths.extend(self.paths(*dir).iter().filter_map(|parent| parent.join(name).ok()));
        }
        paths
    }

    pub(super) fn tell_changed(&mut self, id: u64) {
        let attr = self.attr(id);
        for path in self.paths(id) {
            self.pending.push(Notice::Changed { path, attr, by: Author::Unknown });
        }
    }

    fn touch_dir(&mut self, dir: u64) {
        let (now, version) = (self.tick(), self.new_version());
        if let Some(node) = self.nodes.get_mut(&dir) {
            (node.mtime, node.ctime, node.version) = (now, now, version);
        }
    }

    fn insert(&mut self, place: (u64, String), name: &str, id: u64) {
        let (dir, key) = place;
        self.children_mut(dir).insert(key.clone(), (Arc::from(name), id));
        let now = self.tick();
        if let Some(node) = self.nodes.get_mut(&id) {
            node.names.push((dir, key));
            node.ctime = now;
        }
        self.touch_dir(dir);
    }

    fn unlink(&mut self, place: &(u64, String)) {
        let (dir, key) = place;
        let Some((_, id)) = self.children_mut(*dir).remove(key) else { return };
        let now = self.tick();
        if let Some(node) = self.nodes.get_mut(&id) {
            node.names.retain(|name| name != place);
            node.ctime = now;
        }
        self.touch_dir(*dir);
        self.free(id);
    }

    fn free(&mut self, id: u64) {
        let unused = self.nodes.get(&id).is_some_and(|node| node.names.is_empty() && node.opens == 0);
        if unused && id != ROOT {
            self.nodes.remove(&id);
        }
    }

    pub(super) fn attr(&self, id: u64) -> Option<Attr> {
        let node = self.nodes.get(&id)?;
        let (kind, size) = match &node.body {
            Body::File(content) => (Kind::File, content.len() as u64),
            Body::Dir(children) => (Kind::Dir, children.len() as u64 * 32),
            Body::Symlink(target) => (Kind::Symlink, target.len() as u64),
        };
        Some(Attr {
            id: file_id(id),
            version: Version { hi: 0, lo: node.version },
            kind,
            size,
            allocated: size.max(node.reserved).next_multiple_of(BLOCK),
            mtime: node.mtime,
            ctime: node.ctime,
            atime: node.atime,
            btime: node.btime,
            mode: node.mode,
            uid: node.uid,
            gid: node.gid,
            links: if kind == Kind::Dir { 1 } else { node.names.len() as u32 },
            dos: node.dos,
            carries: node.carried.keys().map(Named::kind).fold(Carries::empty(), |all, kind| all | kind),
        })
    }

    /// Up to `limit` entries whose keys come behind `after`, in the order of their keys.
    pub(super) fn entries(&self, dir: &VPath, after: &str, limit: usize) -> Result<(u64, Vec<Entry>)> {
        let id = self.node("list", dir)?;
        match &self.nodes[&id].body {
            Body::Dir(children) => {
                let entry = |(name, id): &(Arc<str>, u64)| {
                    self.attr(*id).map(|attr| Entry { name: name.clone(), attr })
                };
                let behind = children.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
                Ok((id, behind.take(limit).filter_map(|(_, child)| entry(child)).collect()))
            }
            Body::File(_) => error(ErrorKind::NotADirectory, "list", dir),
            Body::Symlink(_) => error(ErrorKind::Loop, "list", dir),
        }
    }

    /// What a name is found by: itself, or its folded form where case does not matter.
    pub(super) fn key(&self, name: &str) -> String {
        if self.case_sensitive { name.to_owned() } else { name.to_lowercase() }
    }

    pub(super) fn open(&mut self, path: &VPath, how: &OpenHow) -> Result<(u64, bool)> {
        let op = "open";
        if how.truncate && !how.access.contains(volume::Access::WRITE) {
            return error(ErrorKind::InvalidArgument, op, path);
        }
        let place = self.place(op, path, ErrorKind::IsADirectory)?;
        let there = self.children(place.0).get(&place.1).map(|(_, id)| *id);
        let Some(id) = there else {
            return match (how.create, how.expect) {
                (Create::Never, _) => error(ErrorKind::NotFound, op, path),
                (Create::IfMissing | Create::New, Some(_)) => error(ErrorKind::Stale, op, path),
                (Create::IfMissing | Create::New, None) => {
                    let dos = self.born_in(place.0, how.dos);
                    let id = self.add_node(Body::File(Vec::new()), how.mode, dos);
                    self.insert(place, path.name(), id);
                    self.tell_changed(id);
                    self.hold(id);
                    Ok((id, true))
                }
            };
        };
        if how.create == Create::New {
            return error(ErrorKind::AlreadyExists, op, path);
        }
        match self.nodes[&id].body {
            Body::File(_) => {}
            Body::Dir(_) => return error(ErrorKind::IsADirectory, op, path),
            Body::Symlink(_) => return error(ErrorKind::Loop, op, path),
        }
        if how.expect.is_some_and(|expected| expected != file_id(id)) {
            return error(ErrorKind::Stale, op, path);
        }
        if how.truncate {
            self.set_attr(op, id, &SetAttr::size(0))?;
        }
        self.hold(id);
        Ok((id, false))
    }

    /// Whether `id` still has a name, and so could be opened.
    pub(super) fn hold(&mut self, id: u64) -> bool {
        let node = self.nodes.get_mut(&id).filter(|node| !node.names.is_empty());
        node.map(|node| node.opens += 1).is_some()
    }

    pub(super) fn release(&mut self, id: u64) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.opens -= 1;
        }
        self.free(id);
    }

    pub(super) fn content(&self, id: u64) -> Option<&[u8]> {
        match &self.nodes.get(&id)?.body {
            Body::File(content) => Some(content),
            Body::Dir(_) | Body::Symlink(_) => None,
        }
    }

    /// Bytes of content in all files.
    pub(super) fn used(&self) -> u64 {
        let content = |node: &Node| match &node.body {
            Body::File(content) => content.len() as u64,
            Body::Dir(_) | Body::Symlink(_) => 0,
        };
        self.nodes.values().map(content).sum()
    }

    /// Gives a file another length, or says why not.
    fn resize(&mut self, op: &'static str, id: u64, size: u64) -> Result<()> {
        if size > FILE_MAX {
            return error(ErrorKind::FileTooLarge, op, size);
        }
        let present = self.content(id).map_or(0, |content| content.len() as u64);
        if size > present && self.capacity != u64::MAX && self.used() + (size - present) > self.capacity {
            return error(ErrorKind::NoSpace, op, size);
        }
        match self.nodes.get_mut(&id).map(|node| &mut node.body) {
            Some(Body::File(content)) => content.resize(size as usize, 0),
            Some(Body::Dir(_)) => return error(ErrorKind::IsADirectory, op, size),
            Some(Body::Symlink(_)) | None => return error(ErrorKind::InvalidArgument, op, size),
        }
        Ok(())
    }

    /// Takes room up to `size` bytes; 0 gives back what was taken.
    pub(super) fn reserve(&mut self, id: u64, size: u64) {
        let now = self.tick();
        if let Some(node) = self.nodes.get_mut(&id) {
            (node.reserved, node.ctime) = (size, now);
        }
    }

    pub(super) fn reserved(&self, id: u64) -> u64 {
        self.nodes.get(&id).map_or(0, |node| node.reserved)
    }

    fn content_changed(&mut self, id: u64) {
        let (now, version) = (self.tick(), self.new_version());
        if let Some(node) = self.nodes.get_mut(&id) {
            (node.mtime, node.ctime, node.version) = (now, now, version);
        }
    }

    /// Changes content in place, keeping its length.
    pub(super) fn change(&mut self, id: u64, work: impl FnOnce(&mut [u8])) {
        if let Some(Body::File(content)) = self.nodes.get_mut(&id).map(|node| &mut node.body) {
            work(content);
        }
        self.content_changed(id);
        self.tell_changed(id);
    }

    pub(super) fn write(&mut self, id: u64, offset: u64, data: &[u8]) -> Result<()> {
        let end = offset.saturating_add(data.len() as u64);
        if data.is_empty() {
            return Ok(());
        }
        if end > self.content(id).map_or(0, |content| content.len() as u64) {
            self.resize("write", id, end)?;
        }
        self.change(id, |content| content[offset as usize..end as usize].copy_from_slice(data));
        Ok(())
    }

    pub(super) fn set_attr(&mut self, op: &'static str, id: u64, set: &SetAttr) -> Result<Attr> {
        if let Some(size) = set.size {
            self.resize(op, id, size)?;
            self.reserve(id, 0);
            self.content_changed(id);
        }
        let now = self.tick();
        if let Some(node) = self.nodes.get_mut(&id) {
            node.mtime = set.mtime.unwrap_or(node.mtime);
            node.atime = set.atime.unwrap_or(node.atime);
            node.btime = set.btime.unwrap_or(node.btime);
            node.mode = set.mode.map_or(node.mode, |mode| mode & 0o7777);
            node.uid = set.uid.unwrap_or(node.uid);
            node.gid = set.gid.unwrap_or(node.gid);
            let told = node.dos & DosAttributes::ONLY_TOLD;
            node.dos = set.dos.map_or(node.dos, |dos| (dos - DosAttributes::ONLY_TOLD) | told);
            for (bit, value) in
                [(DosAttributes::COMPRESSED, set.compressed), (DosAttributes::SPARSE, set.sparse)]
            {
                value.into_iter().for_each(|value| node.dos.set(bit, value));
            }
            node.ctime = now;
        }
        self.tell_changed(id);
        match self.attr(id) {
            Some(attr) => Ok(attr),
            None => error(ErrorKind::Stale, op, id),
        }
    }

    pub(super) fn set_attr_named(
        &mut self,
        path: &VPath,
        set: &SetAttr,
        expect: Option<FileId>,
    ) -> Result<u64> {
        let id = self.node("setattr", path)?;
        if expect.is_some_and(|expected| expected != file_id(id)) {
            return error(ErrorKind::Stale, "setattr", path);
        }
        self.set_attr("setattr", id, set)?;
        Ok(id)
    }
}

pub(super) fn file_id(id: u64) -> FileId {
    FileId { hi: 0, lo: id }
}
