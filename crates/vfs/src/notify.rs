//! Change notify: who hears of an event, and what of it is not fetched yet.
//!
//! A watcher belongs to the open of a directory. It starts with the first [`crate::Open::notify`] and collects
//! until the open is closed; what happens between two requests is kept, up to a limit. Past the limit it is lost,
//! and the next answer says so: the client lists again (STATUS_NOTIFY_ENUM_DIR). Nobody polls:
//! events come from our own operations and from the volume's `watch`.
//!
//! Watchers of one directory that want the same make an audience, and keep one list ([`audience`]): an event costs
//! what there are of audiences that it concerns, not of watchers, but for waking those who wait for it.
//!
//! Lock order: [`Hub`]'s map, then one audience, then one watcher's place in it. None is held across an await.

mod audience;

use crate::Result;
use crate::accounts::Account;
use crate::case::{Case, is_within};
pub(crate) use audience::Watcher;
use audience::{Audience, Key};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use volume::VPath;

bitflags::bitflags! {
    /// Which changes a watcher wants to hear of (MS-SMB2 2.2.35, CompletionFilter).
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
    pub struct Filter: u32 {
        const FILE_NAME = 0x001;
        const DIR_NAME = 0x002;
        const ATTRIBUTES = 0x004;
        const SIZE = 0x008;
        const LAST_WRITE = 0x010;
        const LAST_ACCESS = 0x020;
        const CREATION = 0x040;
        const EA = 0x080;
        const SECURITY = 0x100;
        const STREAM_NAME = 0x200;
        const STREAM_SIZE = 0x400;
        const STREAM_WRITE = 0x800;
    }
}

/// What happened to a name (MS-FSCC 2.7.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NotifyAction {
    Added = 1,
    Removed = 2,
    Modified = 3,
    RenamedOldName = 4,
    RenamedNewName = 5,
    AddedStream = 6,
    RemovedStream = 7,
    ModifiedStream = 8,
}

/// One change below a watched directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotifyEvent {
    pub action: NotifyAction,
    /// Relative to the watched directory, in the origin's spelling, `/` between components.
    pub name: Arc<str>,
    /// The stream of it, where the change is one of a stream.
    pub stream: Option<Arc<str>>,
}

impl NotifyEvent {
    /// Whether it says no more than the `last`.
    fn repeats(&self, last: &NotifyEvent) -> bool {
        matches!(self.action, NotifyAction::Modified | NotifyAction::ModifiedStream) && self == last
    }
}

/// What a watcher is told at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotifyBatch {
    /// In the order in which they happened; never empty.
    Events(Vec<NotifyEvent>),
    /// More happened than was kept: list the directory again.
    Overflow,
}

/// All watchers of a volume.
#[derive(Debug)]
pub(crate) struct Hub {
    case: Case,
    audiences: Mutex<Audiences>,
    watchers: AtomicUsize,
}

/// By the directory they watch, which is named by what a path is found by.
#[derive(Debug, Default)]
struct Audiences {
    in_dirs: HashMap<Arc<str>, BTreeMap<Key, Arc<Audience>>>,
    /// The directory of each, by its number.
    dirs: HashMap<u64, Arc<str>>,
    last_number: u64,
}

impl Audiences {
    /// Those in `dir` who want this, on this account.
    fn of(
        &mut self,
        dir: &str,
        (filter, recursive): (Filter, bool),
        limit: usize,
        account: &Arc<Account>,
    ) -> Arc<Audience> {
        let key = |number| Key { filter, recursive, account: Arc::as_ptr(account).addr(), number };
        let alike = self.in_dirs.get(dir).and_then(|here| here.range(key(0)..=key(u64::MAX)).next());
        if let Some((_, audience)) = alike {
            return audience.clone();
        }
        self.last_number += 1;
        let key = key(self.last_number);
        let audience = Arc::new(Audience::new(key, limit, account.clone()));
        self.put(dir.into(), [(key, audience.clone())].into());
        audience
    }

    fn put(&mut self, dir: Arc<str>, audiences: BTreeMap<Key, Arc<Audience>>) {
        audiences.keys().for_each(|key| drop(self.dirs.insert(key.number, dir.clone())));
        self.in_dirs.entry(dir).or_default().extend(audiences);
    }

    fn take_all(&mut self, dir: &str) -> BTreeMap<Key, Arc<Audience>> {
        let all = self.in_dirs.remove(dir).unwrap_or_default();
        all.keys().for_each(|key| drop(self.dirs.remove(&key.number)));
        all
    }

    fn remove(&mut self, key: Key) {
        // None where the directory went away before.
        let Some(dir) = self.dirs.remove(&key.number) else { return };
        if let Some(here) = self.in_dirs.get_mut(&dir) {
            here.remove(&key);
            if here.is_empty() {
                self.in_dirs.remove(&dir);
            }
        }
    }
}

impl Hub {
    pub(crate) fn new(case: Case) -> Hub {
        Hub { case, audiences: Mutex::default(), watchers: AtomicUsize::new(0) }
    }

    pub(crate) fn len(&self) -> usize {
        self.watchers.load(Ordering::Relaxed)
    }

    /// One more watcher of `dir`, for what it wants. `limit` events are kept for it.
    pub(crate) fn add(
        &self,
        dir: &VPath,
        wants: (Filter, bool),
        limit: usize,
        account: &Arc<Account>,
    ) -> Arc<Watcher> {
        let mut audiences = self.audiences.lock();
        let audience = audiences.of(&self.case.key(dir), wants, limit, account);
        self.watchers.fetch_add(1, Ordering::Relaxed);
        Arc::new(Watcher::join(audience))
    }

    /// The same of what stands where it says, and may be moved meanwhile.
    pub(crate) fn add_where_it_stands(
        &self,
        stands_at: impl Fn() -> Result<VPath>,
        wants: (Filter, bool),
        limit: usize,
        account: &Arc<Account>,
    ) -> Result<Arc<Watcher>> {
        let mut dir = stands_at()?;
        loop {
            let watcher = self.add(&dir, wants, limit, account);
            // A move that came between has taken along those who were there then.
            match stands_at() {
                Ok(now) if now == dir => return Ok(watcher),
                Ok(now) => dir = now,
                Err(error) => {
                    self.remove(&watcher);
                    return Err(error);
                }
            }
            self.remove(&watcher);
        }
    }

    /// To be called once for each.
    pub(crate) fn remove(&self, watcher: &Watcher) {
        let mut audiences = self.audiences.lock();
        if watcher.leave() {
            audiences.remove(watcher.audience.key);
        }
        self.watchers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Tells of a change of `path` to whoever watches a directory above it.
    pub(crate) fn event(&self, action: NotifyAction, change: Filter, path: &VPath) {
        self.tell(change, &[(action, path)], None);
    }

    /// The same of a stream.
    pub(crate) fn stream_event(&self, action: NotifyAction, change: Filter, path: &VPath, stream: &str) {
        self.tell(change, &[(action, path)], Some(stream));
    }

    /// Of names in one directory: who waits is told of all together.
    fn tell(&self, change: Filter, events: &[(NotifyAction, &VPath)], stream: Option<&str>) {
        let parent = events.first().and_then(|(_, path)| path.parent());
        if self.len() == 0 || parent.is_none() {
            return;
        }
        let stream: Option<Arc<str>> = stream.map(Arc::from);
        let audiences = self.audiences.lock();
        let mut above = parent;
        let mut depth = 0;
        while let Some(dir) = above {
            let here = audiences.in_dirs.get(&*self.case.key(&dir)).into_iter().flatten();
            let mut wanting = here.filter(|(key, _)| key.wants(change, depth)).peekable();
            if wanting.peek().is_some() {
                let skip = if dir.is_root() { 0 } else { dir.as_str().len() + 1 };
                let told = events.iter().map(|(action, path)| NotifyEvent {
                    action: *action,
                    name: path.as_str()[skip..].into(),
                    stream: stream.clone(),
                });
                let told: Vec<NotifyEvent> = told.collect();
                wanting.for_each(|(_, audience)| audience.offer(&told));
            }
            above = dir.parent();
            depth += 1;
        }
    }

    /// A name moved: within one directory it has an old and a new name, between two it goes and comes
    /// (MS-FSA 2.1.5.15.11).
    pub(crate) fn renamed(&self, from: &VPath, to: &VPath, dir: bool) {
        let name = if dir { Filter::DIR_NAME } else { Filter::FILE_NAME };
        if from.parent() == to.parent() {
            let both = [(NotifyAction::RenamedOldName, from), (NotifyAction::RenamedNewName, to)];
            self.tell(name, &both, None);
        } else {
            self.event(NotifyAction::Removed, name, from);
            self.event(NotifyAction::Added, name, to);
        }
        if dir {
            self.rebase(from, to);
        } else {
            // As Windows has it: the file has other times under its new name.
            self.event(NotifyAction::Modified, Filter::ATTRIBUTES | Filter::CREATION, to);
        }
    }

    /// Watchers go along with their directory.
    fn rebase(&self, from: &VPath, to: &VPath) {
        let (from, to) = (self.case.key(from), self.case.key(to));
        let mut audiences = self.audiences.lock();
        let moved: Vec<Arc<str>> =
            audiences.in_dirs.keys().filter(|dir| is_within(dir, &from)).cloned().collect();
        for old in moved {
            let here = audiences.take_all(&old);
            audiences.put(format!("{to}{}", &old[from.len()..]).into(), here);
        }
    }

    /// Anything at or below `path` may have changed: who watches there, or recursively above, lists again.
    pub(crate) fn unknown(&self, path: &VPath) {
        let path = self.case.key(path);
        for (dir, here) in &self.audiences.lock().in_dirs {
            let (at_or_below, above) = (is_within(dir, &path), is_within(&path, dir));
            let concerned = here.iter().filter(|(key, _)| at_or_below || (above && key.recursive));
            concerned.for_each(|(_, audience)| audience.lose());
        }
    }

    /// The directory goes away: who watches it is told so.
    pub(crate) fn delete_pending(&self, dir: &VPath) {
        let here = self.audiences.lock().take_all(&self.case.key(dir));
        here.values().for_each(|audience| audience.end());
    }
}

#[cfg(test)]
mod tests;
