//! Change notify: which watchers hear of an event, and what each has not fetched yet.
//!
//! A watcher belongs to the open of a directory. It starts with the first [`crate::Open::notify`] and collects
//! until the open is closed; what happens between two requests is kept, up to a limit. Past the limit the
//! list is dropped and the next answer says so: the client lists again (STATUS_NOTIFY_ENUM_DIR). Nobody polls:
//! events come from our own operations and from the volume's `watch`.
//!
//! Lock order: [`Hub`]'s map, then one watcher's queue. Neither is held across an await.

use crate::case::Case;
use crate::{Error, Result};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;
use volume::VPath;

bitflags::bitflags! {
    /// Which changes a watcher wants to hear of (MS-SMB2 2.2.35, CompletionFilter).
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
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
    pub name: String,
    /// The stream of it, where the change is one of a stream.
    pub stream: Option<Box<str>>,
}

impl NotifyEvent {
    /// Whether two in a row say no more than one.
    fn is_repeatable(&self) -> bool {
        matches!(self.action, NotifyAction::Modified | NotifyAction::ModifiedStream)
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

/// What one watcher has not fetched. Plain state.
#[derive(Debug)]
pub(crate) struct Queue {
    filter: Filter,
    recursive: bool,
    limit: usize,
    events: VecDeque<NotifyEvent>,
    overflow: bool,
    end: Option<End>,
}

/// Why a watcher will hear nothing more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Closed,
    DeletePending,
}

impl Queue {
    pub(crate) fn new(filter: Filter, recursive: bool, limit: usize) -> Queue {
        Queue { filter, recursive, limit, events: VecDeque::new(), overflow: false, end: None }
    }

    /// Whether the event is for this watcher, it being `depth` directories below the watched one.
    fn wants(&self, change: Filter, depth: usize) -> bool {
        self.end.is_none() && self.filter.intersects(change) && (depth == 0 || self.recursive)
    }

    /// Keeps an event; one that only repeats the last is dropped.
    pub(crate) fn push(&mut self, event: NotifyEvent) {
        if self.overflow || self.events.back() == Some(&event) && event.is_repeatable() {
            return;
        }
        if self.events.len() >= self.limit {
            self.lose();
        } else {
            self.events.push_back(event);
        }
    }

    pub(crate) fn lose(&mut self) {
        self.overflow = true;
        self.events.clear();
    }

    pub(crate) fn finish(&mut self, end: End) {
        self.end = Some(end);
    }

    /// What there is to tell, if anything.
    pub(crate) fn take(&mut self) -> Option<Result<NotifyBatch>> {
        match self.end {
            Some(End::Closed) => return Some(Err(Error::Closed)),
            Some(End::DeletePending) => return Some(Err(Error::DeletePending)),
            None => {}
        }
        if std::mem::take(&mut self.overflow) {
            return Some(Ok(NotifyBatch::Overflow));
        }
        if self.events.is_empty() {
            return None;
        }
        Some(Ok(NotifyBatch::Events(std::mem::take(&mut self.events).into())))
    }
}

/// A watcher: its queue, and who waits for it.
#[derive(Debug)]
pub(crate) struct Watcher {
    queue: Mutex<Queue>,
    news: Notify,
}

impl Watcher {
    /// Waits for something to tell. Dropping the future loses nothing; several wait in their order.
    pub(crate) async fn next(&self) -> Result<NotifyBatch> {
        loop {
            let news = self.news.notified();
            if let Some(told) = self.queue.lock().take() {
                return told;
            }
            news.await;
        }
    }

    pub(crate) fn with(&self, f: impl FnOnce(&mut Queue)) {
        f(&mut self.queue.lock());
        self.news.notify_one();
    }

    fn offer(&self, change: Filter, depth: usize, events: impl Iterator<Item = NotifyEvent>) {
        let mut queue = self.queue.lock();
        if queue.wants(change, depth) {
            events.for_each(|event| queue.push(event));
            drop(queue);
            self.news.notify_one();
        }
    }

    pub(crate) fn finish(&self, end: End) {
        self.queue.lock().finish(end);
        self.news.notify_waiters();
        self.news.notify_one();
    }
}

/// All watchers of a volume, by the directory they watch.
#[derive(Debug)]
pub(crate) struct Hub {
    case: Case,
    /// By what a path is found by.
    dirs: Mutex<HashMap<String, Vec<Arc<Watcher>>>>,
    watchers: AtomicUsize,
}

impl Hub {
    pub(crate) fn new(case: Case) -> Hub {
        Hub { case, dirs: Mutex::default(), watchers: AtomicUsize::new(0) }
    }

    pub(crate) fn len(&self) -> usize {
        self.watchers.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, dir: &VPath, queue: Queue) -> Arc<Watcher> {
        let watcher = Arc::new(Watcher { queue: Mutex::new(queue), news: Notify::new() });
        let mut dirs = self.dirs.lock();
        dirs.entry(self.case.key(dir).into_owned()).or_default().push(watcher.clone());
        self.watchers.fetch_add(1, Ordering::Relaxed);
        watcher
    }

    pub(crate) fn remove(&self, watcher: &Arc<Watcher>) {
        let mut dirs = self.dirs.lock();
        dirs.retain(|_, watchers| {
            let before = watchers.len();
            watchers.retain(|other| !Arc::ptr_eq(other, watcher));
            self.watchers.fetch_sub(before - watchers.len(), Ordering::Relaxed);
            !watchers.is_empty()
        });
        drop(dirs);
        watcher.finish(End::Closed);
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
        let dirs = self.dirs.lock();
        let mut above = parent;
        let mut depth = 0;
        while let Some(dir) = above {
            if let Some(watchers) = dirs.get(&*self.case.key(&dir)) {
                let skip = if dir.is_root() { 0 } else { dir.as_str().len() + 1 };
                let told = |(action, path): &(NotifyAction, &VPath)| NotifyEvent {
                    action: *action,
                    name: path.as_str()[skip..].to_owned(),
                    stream: stream.map(Box::from),
                };
                watchers.iter().for_each(|watcher| watcher.offer(change, depth, events.iter().map(told)));
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
        let mut dirs = self.dirs.lock();
        let below =
            |dir: &String| dir.strip_prefix(&*from).is_some_and(|r| r.is_empty() || r.starts_with('/'));
        let moved: Vec<String> = dirs.keys().filter(|dir| below(dir)).cloned().collect();
        for old in moved {
            let watchers = dirs.remove(&old).unwrap_or_default();
            dirs.entry(format!("{to}{}", &old[from.len()..])).or_default().extend(watchers);
        }
    }

    /// Anything at or below `path` may have changed: who watches there, or recursively above, lists again.
    pub(crate) fn unknown(&self, path: &VPath) {
        let path = self.case.key(path);
        for (dir, watchers) in self.dirs.lock().iter() {
            let inside = |a: &str, b: &str| {
                b.is_empty() || a.strip_prefix(b).is_some_and(|r| r.is_empty() || r.starts_with('/'))
            };
            let at_or_below = inside(dir, &path);
            for watcher in watchers {
                if at_or_below || (inside(&path, dir) && watcher.queue.lock().recursive) {
                    watcher.with(Queue::lose);
                }
            }
        }
    }

    /// The directory goes away: who watches it is told so.
    pub(crate) fn delete_pending(&self, dir: &VPath) {
        if let Some(watchers) = self.dirs.lock().get(&*self.case.key(dir)) {
            watchers.iter().for_each(|watcher| watcher.finish(End::DeletePending));
        }
    }
}
