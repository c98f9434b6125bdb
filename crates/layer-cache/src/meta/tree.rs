//! What is known of names: attributes and listings, and whether they may be believed. Pure.
//!
//! Knowledge is kept by directory: its entries in the order of their names, and whether they are all there are.
//! Each piece carries a [`Stamp`]: when it was asked for, on this tree's own clock (which ticks with each
//! request and each change) and in milliseconds. A piece is *believed* when nothing cast doubt on it since,
//! and, where the origin tells of no changes, when it is young enough. What is not believed stays: it is
//! what can be served while the origin is out of reach.
//!
//! How changes are applied is said in `changes.rs`. Limits: entries and estimated bytes; the directory that
//! was used least recently goes first.

use super::touches::Touches;
use lru::LruCache;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use volume::{Attr, Entry, FileId, VPath};

/// Directories larger than this are not searched for a name that differs by case, entries.
const FOLD_SEARCH_MAX: usize = 4096;
/// Own changes whose echo is awaited.
const ECHOES_MAX: NonZeroUsize = NonZeroUsize::new(8192).expect("not zero");
/// Files of several names of which it is remembered when one changed.
const LINKS_MAX: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
/// Memory of one entry beside its name, and of one directory beside its path, bytes (estimates).
const ENTRY_BYTES: usize = 200;
const DIR_BYTES: usize = 352;
/// The first of all names in the order of paths (NUL is in none).
const FIRST_NAME: &str = "\u{1}";

/// How far knowledge goes without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Until a notice says otherwise.
    Notices,
    /// For so many milliseconds.
    For(u64),
}

/// When something was learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// On the tree's clock; 0 is never believed.
    pub clock: u64,
    /// In milliseconds since the cache was opened.
    pub at_ms: u64,
}

/// What a look at a name gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    Believed(Attr),
    /// Believed not to be there.
    Absent,
    /// Known, but to be asked again when possible.
    Doubtful(Attr),
    Unknown,
}

/// A page of a listing from memory.
#[derive(Debug)]
pub(crate) struct Page {
    pub entries: Vec<Entry>,
    /// The last name, when there are more.
    pub next: Option<Arc<str>>,
    pub believed: bool,
}

#[derive(Debug)]
pub(super) struct Known {
    pub attr: Attr,
    pub stamp: Stamp,
    /// Since when, on the tree's clock, the name is known to stand for this file.
    pub since: u64,
}

#[derive(Debug, Default)]
pub(super) struct Dir {
    pub names: BTreeMap<Arc<str>, Known>,
    /// When `names` was learnt to be all there is.
    pub complete: Option<Stamp>,
    /// What was learnt up to this clock is in doubt.
    pub doubted: u64,
}

/// Everything known of names.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(super) dirs: LruCache<VPath, Dir>,
    /// The paths of `dirs` in order: what is below a path stands together, and most notices are about a path
    /// that nothing is below.
    order: BTreeSet<VPath>,
    pub(super) root: Option<Known>,
    pub(super) touches: Touches,
    /// Own changes, with their time in milliseconds.
    pub(super) echoes: LruCache<VPath, u64>,
    /// Shared with the contents, which order their own changes by it.
    clock: Arc<AtomicU64>,
    /// What was learnt up to this clock is in doubt, everywhere.
    pub(super) doubted: u64,
    /// Files of several names that changed under one of them: what was learnt under the others up to this
    /// clock is in doubt.
    pub(super) links: LruCache<FileId, u64>,
    /// The same for all files of several names, because `links` is bounded.
    pub(super) links_doubted: u64,
    pub(super) entries: usize,
    pub(super) bytes: usize,
    entries_max: usize,
    bytes_max: usize,
    case_sensitive: bool,
}

impl Tree {
    pub(crate) fn new(entries_max: usize, bytes_max: usize, case_sensitive: bool) -> Tree {
        Tree {
            dirs: LruCache::unbounded(),
            order: BTreeSet::new(),
            root: None,
            touches: Touches::default(),
            echoes: LruCache::new(ECHOES_MAX),
            clock: Arc::default(),
            doubted: 0,
            links: LruCache::new(LINKS_MAX),
            links_doubted: 0,
            entries: 0,
            bytes: 0,
            entries_max,
            bytes_max,
            case_sensitive,
        }
    }

    /// A request to the origin begins: its answer is to be given back with this stamp.
    pub(crate) fn ask(&mut self, now_ms: u64) -> Stamp {
        Stamp { clock: self.tick(), at_ms: now_ms }
    }

    pub(super) fn tick(&mut self) -> u64 {
        self.clock.fetch_add(1, SeqCst) + 1
    }

    pub(crate) fn clock(&self) -> &Arc<AtomicU64> {
        &self.clock
    }

    fn believes(&self, stamp: Stamp, doubted: u64, promise: Promise, now_ms: u64) -> bool {
        let young = match promise {
            Promise::Notices => true,
            Promise::For(ms) => now_ms.saturating_sub(stamp.at_ms) < ms,
        };
        stamp.clock > doubted.max(self.doubted) && young
    }

    fn believes_entry(&self, known: &Known, doubted: u64, promise: Promise, now_ms: u64) -> bool {
        let linked = known.attr.links > 1 && known.attr.is_file();
        let doubted = match linked {
            true => {
                doubted.max(self.links_doubted).max(self.links.peek(&known.attr.id).copied().unwrap_or(0))
            }
            false => doubted,
        };
        self.believes(known.stamp, doubted, promise, now_ms)
    }

    pub(crate) fn lookup(&mut self, path: &VPath, promise: Promise, now_ms: u64) -> Lookup {
        let Some(parent) = path.parent() else {
            return match &self.root {
                Some(known) if self.believes(known.stamp, 0, promise, now_ms) => Lookup::Believed(known.attr),
                Some(known) => Lookup::Doubtful(known.attr),
                None => Lookup::Unknown,
            };
        };
        self.dirs.promote(&parent);
        let Some(dir) = self.dirs.peek(&parent) else { return Lookup::Unknown };
        match dir.names.get(path.name()) {
            Some(known) if self.believes_entry(known, dir.doubted, promise, now_ms) => {
                Lookup::Believed(known.attr)
            }
            Some(known) => Lookup::Doubtful(known.attr),
            None => {
                let complete = dir.complete.is_some_and(|s| self.believes(s, dir.doubted, promise, now_ms));
                let absent = complete && !self.may_differ_by_case(dir, path.name());
                if absent { Lookup::Absent } else { Lookup::Unknown }
            }
        }
    }

    fn may_differ_by_case(&self, dir: &Dir, name: &str) -> bool {
        if self.case_sensitive {
            return false;
        }
        let folded = name.to_lowercase();
        dir.names.len() > FOLD_SEARCH_MAX || dir.names.keys().any(|other| other.to_lowercase() == folded)
    }

    /// A page of a complete listing, believed or not: names behind `after`, at most `most`.
    pub(crate) fn page(
        &mut self,
        path: &VPath,
        after: Option<&str>,
        most: usize,
        promise: Promise,
        now_ms: u64,
    ) -> Option<Page> {
        self.dirs.promote(path);
        let dir = self.dirs.peek(path)?;
        let mut believed = self.believes(dir.complete?, dir.doubted, promise, now_ms);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = dir.names.range::<str, _>((from, Bound::Unbounded));
        let mut entries = Vec::with_capacity(dir.names.len().min(most));
        for (name, known) in rest.by_ref().take(most) {
            // With a believed listing, an entry is as old as the listing or younger: only doubt matters.
            believed &= self.believes_entry(known, dir.doubted, Promise::Notices, now_ms);
            entries.push(Entry { name: name.clone(), attr: known.attr });
        }
        let next = entries.last().filter(|_| rest.next().is_some()).map(|e| e.name.clone());
        Some(Page { entries, next, believed })
    }

    /// The entries behind `after` in listing order, for looking ahead; believed or not.
    pub(crate) fn following(&self, dir: &VPath, after: &str, most: usize) -> Vec<Entry> {
        let Some(dir) = self.dirs.peek(dir) else { return Vec::new() };
        let rest = dir.names.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
        rest.take(most).map(|(name, known)| Entry { name: name.clone(), attr: known.attr }).collect()
    }

    /// Whether a listing is here and believed, without using it.
    pub(crate) fn has_listing(&self, path: &VPath, promise: Promise, now_ms: u64) -> bool {
        let dir = self.dirs.peek(path);
        dir.and_then(|dir| Some((dir.complete?, dir.doubted)))
            .is_some_and(|(stamp, doubted)| self.believes(stamp, doubted, promise, now_ms))
    }

    /// What is known of a name, believed or not.
    pub(crate) fn peek(&self, path: &VPath) -> Option<&Attr> {
        self.known(path).map(|known| &known.attr)
    }

    /// The same, and when it was asked for or told, on this tree's clock.
    pub(crate) fn peek_when(&self, path: &VPath) -> Option<(Attr, u64)> {
        self.known(path).map(|known| (known.attr, known.stamp.clock))
    }

    pub(super) fn known(&self, path: &VPath) -> Option<&Known> {
        match path.parent() {
            Some(parent) => self.dirs.peek(&parent)?.names.get(path.name()),
            None => self.root.as_ref(),
        }
    }

    /// Complete listings, entries, estimated bytes.
    pub(crate) fn extent(&self) -> (usize, usize, usize) {
        let complete = self.dirs.iter().filter(|(_, dir)| dir.complete.is_some()).count();
        (complete, self.entries, self.bytes)
    }

    /// Keeps an entry; makes its directory if it is not known.
    pub(super) fn put(&mut self, path: &VPath, attr: Attr, stamp: Stamp) {
        let same = self.known(path).filter(|known| known.attr.id == attr.id).map(|known| known.since);
        let since = same.unwrap_or_else(|| self.tick());
        let known = Known { attr, stamp, since };
        let Some(parent) = path.parent() else {
            self.root = Some(known);
            return;
        };
        if !self.dirs.contains(&parent) {
            self.put_dir(&parent, Dir::default());
        }
        let Some(dir) = self.dirs.get_mut(&parent) else { return };
        let old = dir.names.insert(path.name().into(), known);
        if old.is_none() {
            self.entries += 1;
            self.bytes += ENTRY_BYTES + path.name().len();
        }
    }

    /// Forgets an entry, not what is below it; says whether it was known.
    pub(super) fn take(&mut self, path: &VPath) -> Option<Known> {
        let Some(parent) = path.parent() else { return self.root.take() };
        let known = self.dirs.peek_mut(&parent)?.names.remove(path.name())?;
        self.entries -= 1;
        self.bytes -= ENTRY_BYTES + path.name().len();
        Some(known)
    }

    pub(super) fn put_dir(&mut self, path: &VPath, dir: Dir) {
        self.take_dir(path);
        self.entries += dir.names.len();
        self.bytes += dir_bytes(path, &dir);
        self.order.insert(path.clone());
        self.dirs.put(path.clone(), dir);
        self.shrink(path);
    }

    pub(super) fn take_dir(&mut self, path: &VPath) -> Option<Dir> {
        let dir = self.dirs.pop(path)?;
        self.order.remove(path);
        self.entries -= dir.names.len();
        self.bytes -= dir_bytes(path, &dir);
        Some(dir)
    }

    /// Forgets least recently used directories until the limits hold; never `keep`.
    fn shrink(&mut self, keep: &VPath) {
        while self.entries > self.entries_max || self.bytes > self.bytes_max {
            let Some(oldest) = self.dirs.peek_lru().map(|(path, _)| path.clone()) else { return };
            if oldest == *keep {
                return;
            }
            self.take_dir(&oldest);
        }
    }

    /// Directories at and below `path` that something is known of. Visits no others.
    pub(super) fn dirs_within(&self, path: &VPath) -> Vec<VPath> {
        let itself = self.order.get(path).cloned();
        // No name is before this one: what is below begins here. A path that it does not fit on has no children.
        let first = path.join(FIRST_NAME).ok();
        let from = first.into_iter().flat_map(|first| self.order.range(first..));
        itself.into_iter().chain(from.take_while(|dir| dir.is_within(path)).cloned()).collect()
    }
}

fn dir_bytes(path: &VPath, dir: &Dir) -> usize {
    let names: usize = dir.names.keys().map(|name| ENTRY_BYTES + name.len()).sum();
    DIR_BYTES + path.as_str().len() + names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(text: &str) -> VPath {
        VPath::parse(text).unwrap()
    }

    /// Against looking at every directory; names that sort around `/` stand between a path and what is below.
    #[test]
    fn what_is_within_is_found_among_neighbours_and_after_directories_went() {
        let all =
            ["", "\u{1}", "a", "a\u{1}", "a-b", "a/\u{1}", "a/b", "a/b/c", "a/b-c", "a0", "ab", "ab/c", "b"];
        let mut tree = Tree::new(usize::MAX, 5 * (DIR_BYTES + 8), true);
        for (at, path) in all.iter().cycle().take(5 * all.len()).enumerate() {
            tree.put_dir(&p(path), Dir::default());
            if at % 3 == 0 {
                tree.take_dir(&p(all[at / 3 % all.len()]));
            }
            assert!(tree.dirs.len() <= 5, "the limit on bytes does not hold");
            for top in all.iter().chain(&["c", "a/b/c/d"]).map(|path| p(path)) {
                let mut plain: Vec<_> =
                    tree.dirs.iter().map(|(dir, _)| dir.clone()).filter(|dir| dir.is_within(&top)).collect();
                plain.sort();
                assert_eq!(tree.dirs_within(&top), plain, "below {top}");
            }
        }
    }
}
