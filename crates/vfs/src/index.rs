//! Which names a directory has, by their folded form: how `README` finds `ReadMe` at an origin that tells
//! them apart, and how a name that is in no spelling there is known without listing again.
//!
//! Plain state, `now` is an argument. An index is complete or absent. Own changes keep it right; what others
//! change is told by the volume's notices; how long it is believed besides, says the caller. The indexes used
//! least go first when all together hold more names than the limit; a directory that has more alone gets none.

use crate::case::Case;
use crate::names;
use lru::LruCache;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use volume::VPath;

/// Changes remembered for listings that are under way. An index is not kept when so many were made in its directory while it
/// was read.
const REMEMBERED_CHANGES: usize = 1024;

#[derive(Debug)]
pub(crate) struct DirIndexes {
    case: Case,
    /// By their place.
    dirs: LruCache<VPath, DirIndex>,
    cost: usize,
    limit: usize,
    /// What changed in directories since their reading began, by their place; `None` when that was too much.
    reading: HashMap<VPath, Option<Vec<Change>>>,
    /// What changed in all directories.
    changes: VecDeque<(VPath, Change)>,
    /// Changes ever made.
    clock: u64,
}

#[derive(Debug)]
struct DirIndex {
    names: Names,
    read_at: Instant,
}

#[derive(Clone, Debug)]
enum Change {
    Added(Arc<str>),
    Removed(Arc<str>),
}

/// Names of one directory, beside their folds. Several under one fold differ by case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(BTreeSet<(Box<str>, Arc<str>)>);

impl Names {
    pub(crate) fn add(&mut self, name: Arc<str>) {
        self.0.insert((names::fold(&name).into(), name));
    }

    fn remove(&mut self, name: &str) {
        self.0.remove(&(names::fold(name).into(), name.into()));
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Added(name) => self.add(name.clone()),
            Change::Removed(name) => self.remove(name),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The stored spelling: the very same if there is, else the first in order.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<str>> {
        let same = (names::fold(name).into(), name.into());
        if let Some((_, same)) = self.0.get(&same) {
            return Some(same.clone());
        }
        let (fold, first) = self.0.range((same.0.clone(), "".into())..).next()?;
        (*fold == same.0).then(|| first.clone())
    }

    /// The stored spelling of each of these names.
    pub(crate) fn find_all(&self, sought: &Names) -> Names {
        let mut found = Names::default();
        sought.0.iter().filter_map(|(_, name)| self.find(name)).for_each(|name| found.add(name));
        found
    }
}

impl DirIndexes {
    pub(crate) fn new(limit: usize, case: Case) -> DirIndexes {
        let (reading, changes) = (HashMap::new(), VecDeque::new());
        DirIndexes { case, dirs: LruCache::unbounded(), cost: 0, limit, reading, changes, clock: 0 }
    }

    /// What is known of a name: `None` nothing, `Some(None)` it is in no spelling there.
    pub(crate) fn find(
        &mut self,
        dir: &VPath,
        name: &str,
        now: Instant,
        trust: Duration,
    ) -> Option<Option<Arc<str>>> {
        let dir = &*self.case.place(dir);
        let index = self.dirs.get(dir)?;
        if now.saturating_duration_since(index.read_at) > trust {
            self.drop_dir(dir);
            return None;
        }
        Some(index.names.find(name))
    }

    /// When the names of a directory were read, if they are known.
    pub(crate) fn read_at(&self, dir: &VPath) -> Option<Instant> {
        self.dirs.peek(dir).map(|index| index.read_at)
    }

    /// Says when a listing began; to be handed to [`DirIndexes::gone_since`].
    pub(crate) fn begin(&self) -> u64 {
        self.clock
    }

    /// What changed since a listing began; `None` when that was too much to remember.
    fn since(&self, began: u64) -> Option<impl Iterator<Item = &(VPath, Change)>> {
        let missed = usize::try_from(self.clock - began).unwrap_or(usize::MAX);
        let known = self.changes.len().checked_sub(missed)?;
        Some(self.changes.range(known..))
    }

    /// The names of a directory that went since a listing of it began and did not come back, as far as is remembered.
    pub(crate) fn gone_since(&self, dir: &VPath, began: u64) -> HashSet<Arc<str>> {
        let dir = &*self.case.place(dir);
        let mut gone = HashSet::new();
        for (_, change) in self.since(began).into_iter().flatten().filter(|(changed, _)| changed == dir) {
            match change {
                Change::Added(name) => drop(gone.remove(name)),
                Change::Removed(name) => drop(gone.insert(name.clone())),
            }
        }
        gone
    }

    /// The names of a directory are about to be read, by one at a time: until [`DirIndexes::end_reading`].
    pub(crate) fn begin_reading(&mut self, dir: &VPath) {
        self.reading.insert(self.case.place(dir).into_owned(), Some(Vec::new()));
    }

    pub(crate) fn end_reading(&mut self, dir: &VPath) {
        self.reading.remove(&*self.case.place(dir));
    }

    /// Keeps the complete names of a directory, with what changed since their reading began.
    pub(crate) fn put(&mut self, dir: &VPath, mut names: Names, now: Instant) {
        let dir = &*self.case.place(dir);
        let Some(Some(changes)) = self.reading.remove(dir) else { return };
        changes.iter().for_each(|change| names.change(change));
        self.drop_dir(dir);
        // It would push out all others, and then itself.
        if cost(&names) <= self.limit {
            self.cost += cost(&names);
            self.dirs.put(dir.clone(), DirIndex { names, read_at: now });
            self.shrink();
        }
    }

    pub(crate) fn added(&mut self, path: &VPath) {
        self.change(path, |name| Change::Added(name.into()));
    }

    pub(crate) fn removed(&mut self, path: &VPath) {
        self.change(path, |name| Change::Removed(name.into()));
    }

    /// Nothing is known any more of this directory and what lies below.
    pub(crate) fn forget_below(&mut self, path: &VPath) {
        let path = &*self.case.place(path);
        let reading = self.reading.iter_mut().filter(|(dir, _)| dir.is_within(path));
        reading.for_each(|(_, changes)| *changes = None);
        let gone: Vec<VPath> =
            self.dirs.iter().map(|(dir, _)| dir).filter(|d| d.is_within(path)).cloned().collect();
        gone.iter().for_each(|dir| self.drop_dir(dir));
    }

    /// Nothing is known any more of this one directory.
    pub(crate) fn forget(&mut self, dir: &VPath) {
        self.drop_dir(&self.case.place(dir));
    }

    fn change(&mut self, path: &VPath, change: impl FnOnce(&str) -> Change) {
        let Some(dir) = path.parent() else { return };
        let dir = self.case.place(&dir).into_owned();
        let change = change(path.name());
        if let Some(index) = self.dirs.peek_mut(&dir) {
            let before = cost(&index.names);
            index.names.change(&change);
            let after = cost(&index.names);
            self.cost = self.cost - before + after;
            if after > self.limit {
                self.drop_dir(&dir);
            }
        }
        if let Some(missed) = self.reading.get_mut(&dir) {
            missed.take_if(|missed| missed.len() >= REMEMBERED_CHANGES);
            missed.iter_mut().for_each(|missed| missed.push(change.clone()));
        }
        self.remember(dir, change);
        self.shrink();
    }

    fn remember(&mut self, dir: VPath, change: Change) {
        self.clock += 1;
        self.changes.push_back((dir, change));
        if self.changes.len() > REMEMBERED_CHANGES {
            self.changes.pop_front();
        }
    }

    fn drop_dir(&mut self, dir: &VPath) {
        if let Some(index) = self.dirs.pop(dir) {
            self.cost -= cost(&index.names);
        }
    }

    fn shrink(&mut self) {
        while self.cost > self.limit {
            let Some((_, index)) = self.dirs.pop_lru() else { return };
            self.cost -= cost(&index.names);
        }
    }
}

/// An empty directory costs as much as one with one name.
fn cost(names: &Names) -> usize {
    names.len().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn path(text: &str) -> VPath {
        VPath::parse(text).unwrap()
    }

    fn names(list: &[&str]) -> Names {
        let mut names = Names::default();
        list.iter().for_each(|name| names.add((*name).into()));
        names
    }

    fn find(indexes: &mut DirIndexes, dir: &str, name: &str) -> Option<Option<String>> {
        indexes.find(&path(dir), name, Instant::now(), LONG).map(|found| found.map(|name| name.to_string()))
    }

    fn put(indexes: &mut DirIndexes, dir: &str, list: &[&str], now: Instant) {
        indexes.begin_reading(&path(dir));
        indexes.put(&path(dir), names(list), now);
    }

    #[test]
    fn the_same_spelling_wins_among_twins() {
        let names = names(&["readme", "README", "Other"]);
        assert_eq!(names.find("readme").as_deref(), Some("readme"));
        assert_eq!(names.find("ReadMe").as_deref(), Some("README"));
        assert_eq!(names.find("OTHER").as_deref(), Some("Other"));
        assert_eq!(names.find("none"), None);
    }

    #[test]
    fn own_changes_keep_an_index_right() {
        let mut indexes = DirIndexes::new(100, Case::Told);
        assert_eq!(find(&mut indexes, "d", "A"), None);
        put(&mut indexes, "d", &["a"], Instant::now());
        indexes.added(&path("d/New"));
        indexes.removed(&path("d/a"));
        assert_eq!(find(&mut indexes, "d", "NEW"), Some(Some("New".into())));
        assert_eq!(find(&mut indexes, "d", "A"), Some(None));
        indexes.forget_below(&VPath::root());
        assert_eq!(find(&mut indexes, "d", "NEW"), None);
    }

    #[test]
    fn what_changes_during_a_listing_is_not_lost() {
        let mut indexes = DirIndexes::new(100, Case::Told);
        indexes.begin_reading(&path("d"));
        indexes.added(&path("d/late"));
        indexes.removed(&path("d/gone"));
        indexes.put(&path("d"), names(&["gone"]), Instant::now());
        assert_eq!(find(&mut indexes, "d", "LATE"), Some(Some("late".into())));
        assert_eq!(find(&mut indexes, "d", "gone"), Some(None));
        indexes.begin_reading(&path("d/e"));
        indexes.forget_below(&path("d"));
        indexes.put(&path("d/e"), names(&["x"]), Instant::now());
        assert_eq!(find(&mut indexes, "d/e", "x"), None);
    }

    #[test]
    fn a_listing_is_kept_however_much_changes_elsewhere_and_not_when_very_much_does_there() {
        for (changed, is_kept) in [("e", true), ("d", false)] {
            let mut indexes = DirIndexes::new(2 * REMEMBERED_CHANGES, Case::Told);
            indexes.begin_reading(&path("d"));
            (0..=REMEMBERED_CHANGES).for_each(|n| indexes.added(&path(&format!("{changed}/{n}"))));
            indexes.put(&path("d"), names(&["x"]), Instant::now());
            assert_eq!(find(&mut indexes, "d", "X").is_some(), is_kept, "{changed}");
        }
    }

    #[test]
    fn a_directory_of_more_names_than_the_limit_pushes_out_no_other() {
        let mut indexes = DirIndexes::new(3, Case::Told);
        put(&mut indexes, "e", &["x", "y"], Instant::now());
        put(&mut indexes, "d", &["a", "b", "c", "d"], Instant::now());
        assert_eq!(find(&mut indexes, "d", "a"), None);
        put(&mut indexes, "d", &["a"], Instant::now());
        ["b", "c", "d"].iter().for_each(|name| indexes.added(&path(&format!("d/{name}"))));
        assert_eq!(find(&mut indexes, "d", "a"), None);
        assert!(indexes.reading.is_empty());
    }

    #[test]
    fn what_went_during_a_listing_and_did_not_come_back_is_known_as_long_as_it_is_remembered() {
        let mut indexes = DirIndexes::new(100, Case::Told);
        indexes.removed(&path("d/before"));
        let began = indexes.begin();
        indexes.removed(&path("d/gone"));
        indexes.removed(&path("d/back"));
        indexes.added(&path("d/back"));
        indexes.removed(&path("e/elsewhere"));
        let gone =
            |indexes: &DirIndexes| indexes.gone_since(&path("d"), began).into_iter().collect::<Vec<_>>();
        assert_eq!(gone(&indexes), ["gone".into()]);
        (0..REMEMBERED_CHANGES).for_each(|_| indexes.added(&path("e/more")));
        assert!(gone(&indexes).is_empty());
    }

    #[test]
    fn an_index_is_believed_for_so_long_and_kept_while_there_is_room() {
        let mut indexes = DirIndexes::new(3, Case::Told);
        let now = Instant::now();
        put(&mut indexes, "d", &["a", "b"], now);
        assert!(indexes.find(&path("d"), "a", now + LONG, LONG).is_some());
        assert!(indexes.find(&path("d"), "a", now + LONG * 2, LONG).is_none());
        put(&mut indexes, "d", &["a", "b"], now);
        put(&mut indexes, "e", &["x", "y"], now);
        assert_eq!(find(&mut indexes, "d", "a"), None);
        assert_eq!(find(&mut indexes, "e", "x"), Some(Some("x".into())));
        assert_eq!(indexes.cost, 2);
    }
}
