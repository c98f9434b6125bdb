//! A complete volume in memory.
//!
//! Several `MemVolume`s can stand on one tree: [`MemVolume::other`] is another writer at the same origin.
//! Each counts its own calls; what one changes, the subscribers of all are told. One notice is sent for each
//! name that changed; that the times of its directory change with it goes without saying.
//!
//! Versions change with each change of content and with nothing else. Times never repeat. Lock order: the
//! tree, then the limits of users, then the subscribers; nothing waits while it holds either.

mod file;
mod quotas;
mod ranges;
mod tree;

pub use ranges::COPY_MAX_BYTES;

use crate::counts::{Counts, Op};
use async_trait::async_trait;
use bytes::Bytes;
use file::MemFile;
use parking_lot::Mutex;
use quotas::Limits;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, watch};
use tree::Tree;
use volume::{
    Access, Applied, Attr, Caps, Change, Create, Cx, Directory, Error, ErrorKind, FileId, Freshness, ListHow,
    Listing, NOTICES_MAX, Named, NamedEntry, Namespace, Notice, OpenHow, Opened, QuotaChange, QuotaRules,
    QuotasOf, Result, Space, Ticket, UserQuota, VPath, Volume, Watch,
};

/// What kind of origin to play.
#[derive(Clone, Debug)]
pub struct MemConfig {
    pub caps: Caps,
    /// Entries on one page of a listing, at least 1.
    pub page_entries: usize,
    /// Whether `OpenHow::first` and `ListHow::ahead` are answered, as a far origin would.
    pub sends_along: bool,
    /// Whether names of other case are one, whatever `caps` says: so it is in some directories of a volume that tells
    /// them apart in all others.
    pub folds: bool,
}

impl Default for MemConfig {
    /// Everything works, pages of 1000 entries.
    fn default() -> MemConfig {
        MemConfig {
            caps: Caps {
                namespace: Namespace::Tree,
                stable_ids: true,
                atomic_rename: true,
                random_write: true,
                hard_links: true,
                symlinks: true,
                set_times: true,
                dos_attributes: true,
                named: true,
                named_max: 64 << 10,
                case_sensitive: true,
                watch: true,
                holes: true,
                copies: true,
                clones: true,
                compression: true,
                // Who wants them says so: files that are made want an owner then.
                quotas: false,
                posix: false,
                read_only: false,
                io_size: 8 << 20,
            },
            page_entries: 1000,
            sends_along: true,
            folds: false,
        }
    }
}

impl MemConfig {
    /// The same with quotas of users.
    pub fn and_quotas(mut self) -> MemConfig {
        self.caps.quotas = true;
        self
    }
}

/// A volume in memory.
pub struct MemVolume {
    origin: Arc<Origin>,
    config: MemConfig,
    counts: Arc<Counts>,
}

/// What all writers share.
struct Origin {
    tree: Mutex<Tree>,
    limits: Mutex<Limits>,
    watchers: Mutex<Vec<Watcher>>,
    muted: AtomicBool,
}

struct Watcher {
    notices: mpsc::Sender<Notice>,
    freshness: watch::Sender<Freshness>,
}

impl MemVolume {
    /// An empty volume that can do everything.
    pub fn new() -> Arc<MemVolume> {
        MemVolume::with(MemConfig::default())
    }

    /// An empty volume with these abilities.
    pub fn with(config: MemConfig) -> Arc<MemVolume> {
        assert!(config.page_entries > 0, "a page holds at least one entry");
        let origin = Origin {
            tree: Mutex::new(Tree::new(config.caps.case_sensitive && !config.folds)),
            limits: Mutex::default(),
            watchers: Mutex::default(),
            muted: AtomicBool::new(false),
        };
        Arc::new(MemVolume { origin: Arc::new(origin), config, counts: Arc::default() })
    }

    /// Another writer at the same origin: same tree, own counters. What it changes happens behind the back
    /// of those who use `self`. Never read-only, so that a read-only volume can be filled.
    pub fn other(&self) -> Arc<MemVolume> {
        let mut config = self.config.clone();
        config.caps.read_only = false;
        Arc::new(MemVolume { origin: self.origin.clone(), config, counts: Arc::default() })
    }

    /// Calls so far, through this `MemVolume` and its files.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// While muted, changes are not told to subscribers: an origin that loses events without noticing.
    pub fn mute(&self, muted: bool) {
        self.origin.muted.store(muted, Ordering::SeqCst);
    }

    /// Makes subscribers another promise.
    pub fn promise(&self, freshness: Freshness) {
        for watcher in self.origin.watchers.lock().iter() {
            watcher.freshness.send_replace(freshness);
        }
    }

    /// Tells all subscribers that anything below `below` may have changed.
    pub fn lose_events(&self, below: VPath) {
        self.origin.tell(vec![Notice::Unknown { below }]);
    }

    /// Bytes of content that fit in all; more gives `NoSpace`. `u64::MAX` takes the limit away.
    pub fn set_capacity(&self, bytes: u64) {
        self.origin.tree.lock().capacity = bytes;
    }

    /// Works on the tree, then sends the notices that came of it.
    fn with_tree<T>(&self, op: Op, work: impl FnOnce(&mut Tree) -> T) -> T {
        self.counts.called(op);
        self.origin.with_tree(work)
    }

    fn opened(&self, tree: &Tree, id: u64, how: &OpenHow, created: bool) -> Result<Opened> {
        let attr = tree.attr(id).ok_or_else(|| Error::new(ErrorKind::Stale, "open", id))?;
        let first = how.first.filter(|_| self.config.sends_along && how.access.contains(Access::READ));
        let first =
            first.map(|(offset, length)| file::slice(tree.content(id).unwrap_or(&[]), offset, length));
        let file = MemFile {
            origin: self.origin.clone(),
            counts: self.counts.clone(),
            caps: self.config.caps,
            id,
            access: how.access,
            opened: attr,
        };
        Ok(Opened { file: Arc::new(file), attr, created, first })
    }

    fn can_named(&self, op: Op, path: &VPath) -> Result<()> {
        match self.config.caps.named {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Unsupported, op.name(), path)),
        }
    }

    fn writable(&self, op: &'static str, path: impl std::fmt::Display) -> Result<()> {
        if self.config.caps.read_only {
            return Err(Error::new(ErrorKind::ReadOnly, op, path));
        }
        Ok(())
    }

    /// Complete listings below `dir`, nearest first, as long as they fit into `budget` entries.
    fn ahead(&self, tree: &Tree, dir: &VPath, budget: u32) -> Vec<Directory> {
        let (mut found, mut left) = (Vec::new(), budget as usize);
        let mut queue = VecDeque::from([dir.clone()]);
        while let Some(path) = queue.pop_front() {
            let Ok((id, entries)) = tree.entries(&path, "", usize::MAX) else { continue };
            let below = entries.iter().filter(|e| e.attr.is_dir());
            queue.extend(below.filter_map(|e| path.join(&e.name).ok()));
            if path == *dir {
                continue;
            }
            if entries.len() > left {
                break;
            }
            left -= entries.len();
            found.extend(tree.attr(id).map(|attr| Directory { path, attr, entries }));
        }
        found
    }
}

impl Origin {
    fn with_tree<T>(&self, work: impl FnOnce(&mut Tree) -> T) -> T {
        let mut tree = self.tree.lock();
        let result = work(&mut tree);
        let notices = std::mem::take(&mut tree.pending);
        if !self.muted.load(Ordering::SeqCst) {
            self.tell(notices);
        }
        result
    }

    /// Sends to all subscribers. A slow one gets `Unknown` in its last free place; what is dropped after
    /// that is covered by it, because it still waits there to be read.
    fn tell(&self, notices: Vec<Notice>) {
        self.watchers.lock().retain(|watcher| {
            for notice in &notices {
                let sent = match watcher.notices.capacity() {
                    0 => Ok(()),
                    1 => watcher.notices.try_send(Notice::Unknown { below: VPath::root() }),
                    _ => watcher.notices.try_send(notice.clone()),
                };
                if sent.is_err() {
                    return false;
                }
            }
            !watcher.notices.is_closed() && !watcher.freshness.is_closed()
        });
    }
}

impl MemVolume {
    fn quotas_of<T>(&self, op: Op, work: impl FnOnce(&mut Limits, &Tree) -> Result<T>) -> Result<T> {
        if !self.config.caps.quotas {
            self.counts.called(op);
            return Err(Error::new(ErrorKind::Unsupported, op.name(), "this volume"));
        }
        self.with_tree(op, |tree| work(&mut self.origin.limits.lock(), tree))
    }
}

#[async_trait]
impl Volume for MemVolume {
    fn caps(&self) -> Caps {
        self.config.caps
    }

    async fn stat(&self, _cx: &Cx, path: &VPath) -> Result<Attr> {
        self.with_tree(Op::Stat, |tree| {
            let id = tree.node("stat", path)?;
            tree.attr(id).ok_or_else(|| Error::new(ErrorKind::NotFound, "stat", path))
        })
    }

    async fn list(&self, _cx: &Cx, dir: &VPath, how: ListHow) -> Result<Listing> {
        self.with_tree(Op::List, |tree| {
            let bad = |_| Error::new(ErrorKind::InvalidArgument, "list", dir);
            let after = std::str::from_utf8(how.cursor.as_deref().unwrap_or(b"")).map_err(bad)?;
            let page = self.config.page_entries;
            let (id, mut entries) = tree.entries(dir, after, page + 1)?;
            let more = entries.len() > page;
            entries.truncate(page);
            let last = entries.last().filter(|_| more);
            let next = last.map(|e| Bytes::from(tree.key(&e.name)));
            let along = self.config.sends_along && !more;
            let ahead = if along { self.ahead(tree, dir, how.ahead) } else { Vec::new() };
            Ok(Listing { entries, next, dir: tree.attr(id), ahead })
        })
    }

    async fn open(&self, _cx: &Cx, path: &VPath, how: OpenHow) -> Result<Opened> {
        self.with_tree(Op::Open, |tree| {
            if how.access.contains(Access::WRITE) || how.create != Create::Never {
                self.writable("open", path)?;
            }
            let (id, created) = tree.open(path, &how)?;
            self.opened(tree, id, &how, created)
        })
    }

    async fn reopen(&self, _cx: &Cx, ticket: &Ticket) -> Result<Opened> {
        self.with_tree(Op::Reopen, |tree| {
            let bad = || Error::new(ErrorKind::Stale, "reopen", "a ticket of another kind");
            let (id, access) = file::read_ticket(ticket).ok_or_else(bad)?;
            if !tree.hold(id) {
                return Err(Error::new(ErrorKind::Stale, "reopen", id));
            }
            self.opened(tree, id, &OpenHow { access, ..OpenHow::read() }, false)
        })
    }

    async fn apply(&self, _cx: &Cx, change: &Change) -> Result<Applied> {
        let caps = self.config.caps;
        self.with_tree(Op::Apply, |tree| {
            let path = change.paths().next().map(VPath::as_str).unwrap_or_default();
            self.writable(change.name(), path)?;
            let unsupported = || Err(Error::new(ErrorKind::Unsupported, change.name(), path));
            let id = match change {
                Change::MakeDir { path, mode, dos, maker: _ } => tree.make_dir(path, *mode, *dos)?,
                Change::MakeNode { .. } => return unsupported(),
                Change::Remove { path, dir, expect } => {
                    tree.remove(path, *dir, *expect)?;
                    return Ok(Applied { attr: None });
                }
                Change::Rename { from, to, replace, expect } => tree.rename(from, to, *replace, *expect)?,
                Change::Link { .. } if !caps.hard_links => return unsupported(),
                Change::Link { from, to, replace, expect } => tree.link(from, to, *replace, *expect)?,
                Change::Symlink { .. } if !caps.symlinks => return unsupported(),
                Change::Symlink { path, target, maker: _ } => tree.make_symlink(path, target)?,
                Change::SetAttr { set, .. } if !file::can_set(&caps, set) => return unsupported(),
                Change::SetAttr { path, set, expect } => tree.set_attr_named(path, set, *expect)?,
                Change::SetNamed { .. } if !caps.named => return unsupported(),
                Change::SetNamed { value: Some(value), .. } if value.len() > caps.named_max as usize => {
                    return Err(Error::new(ErrorKind::NoSpace, change.name(), path));
                }
                Change::SetNamed { path, name, value, expect } => {
                    tree.set_named(path, name, value.clone(), *expect)?
                }
            };
            Ok(Applied { attr: tree.attr(id) })
        })
    }

    async fn read_link(&self, _cx: &Cx, path: &VPath) -> Result<String> {
        self.with_tree(Op::ReadLink, |tree| tree.symlink_target(path))
    }

    async fn named(
        &self,
        _cx: &Cx,
        path: &VPath,
        expect: Option<FileId>,
        name: &Named,
    ) -> Result<Option<Bytes>> {
        self.with_tree(Op::Named, |tree| {
            self.can_named(Op::Named, path)?;
            Ok(tree.carried(Op::Named.name(), path, expect)?.get(name).cloned())
        })
    }

    async fn list_named(&self, _cx: &Cx, path: &VPath, expect: Option<FileId>) -> Result<Vec<NamedEntry>> {
        self.with_tree(Op::ListNamed, |tree| {
            self.can_named(Op::ListNamed, path)?;
            let carried = tree.carried(Op::ListNamed.name(), path, expect)?;
            let entry =
                |(name, value): (&Named, &Bytes)| NamedEntry { name: name.clone(), size: value.len() as u64 };
            Ok(carried.iter().map(entry).collect())
        })
    }

    async fn sync_dir(&self, _cx: &Cx, path: &VPath, expect: Option<FileId>) -> Result<()> {
        self.with_tree(Op::SyncDir, |tree| tree.is_dir_there(Op::SyncDir.name(), path, expect))
    }

    async fn space(&self, _cx: &Cx, path: &VPath) -> Result<Space> {
        self.with_tree(Op::Space, |tree| {
            tree.node("space", path)?;
            let total = tree.capacity.min(1 << 40);
            let free = total.saturating_sub(tree.used());
            Ok(Space { total, free, available: free, unit: 4096 })
        })
    }

    async fn quota_rules(&self, _cx: &Cx) -> Result<QuotaRules> {
        self.quotas_of(Op::QuotaRules, |limits, _| Ok(limits.rules))
    }

    async fn quotas(&self, _cx: &Cx, of: &QuotasOf) -> Result<Vec<UserQuota>> {
        self.quotas_of(Op::Quotas, |limits, tree| limits.quotas(&tree.owned(), of))
    }

    async fn set_quotas(&self, _cx: &Cx, change: &QuotaChange) -> Result<()> {
        self.quotas_of(Op::SetQuotas, |limits, _| limits.set(change))
    }

    async fn watch(&self, _cx: &Cx) -> Result<Watch> {
        self.counts.called(Op::Watch);
        if !self.config.caps.watch {
            return Err(Error::new(ErrorKind::Unsupported, "watch", "this volume"));
        }
        let (notices, receiver) = mpsc::channel(NOTICES_MAX);
        let (freshness, fresh) = watch::channel(Freshness::Notified);
        self.origin.watchers.lock().push(Watcher { notices, freshness });
        Ok(Watch::without_authors(receiver, fresh))
    }
}
