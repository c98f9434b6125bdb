//! The model test of the metadata tree: random changes by us and by others, requests whose answers come late,
//! notices that come later still. Whenever every notice has arrived, what the tree believes is the truth.

use super::tree::{Lookup, Promise, Stamp, Tree};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use volume::{Attr, Author, Change, DosAttributes, Entry, FileId, Kind, Notice, Time, VPath, Version};

const NAMES: [&str; 3] = ["a", "b", "c"];

/// The origin.
struct Truth {
    nodes: BTreeMap<VPath, Attr>,
    next: u64,
    notices: VecDeque<Notice>,
}

/// A request on its way; its answer is made when it reaches the origin.
enum Asked {
    Stat(VPath, Option<Option<Attr>>),
    List(VPath, Option<Option<(Attr, Vec<Entry>)>>),
    Own(Change, Option<Result<Option<Attr>, ()>>),
}

fn p(text: &str) -> VPath {
    VPath::parse(text).unwrap()
}

fn all_paths() -> Vec<VPath> {
    let mut paths = vec![VPath::root()];
    for one in NAMES {
        paths.push(p(one));
        for two in NAMES {
            paths.push(p(&format!("{one}/{two}")));
            paths.extend(NAMES.map(|three| p(&format!("{one}/{two}/{three}"))));
        }
    }
    paths
}

impl Truth {
    fn new() -> Truth {
        let mut truth = Truth { nodes: BTreeMap::new(), next: 1, notices: VecDeque::new() };
        let root = truth.attr(Kind::Dir);
        truth.nodes.insert(VPath::root(), root);
        truth
    }

    fn tick(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn attr(&mut self, kind: Kind) -> Attr {
        let n = self.tick();
        let t = Time(n);
        Attr {
            id: FileId { hi: 0, lo: n },
            version: Version { hi: 0, lo: n },
            kind,
            size: 0,
            allocated: 0,
            mtime: t,
            ctime: t,
            atime: t,
            btime: t,
            mode: 0o644,
            uid: 0,
            gid: 0,
            links: 1,
            dos: DosAttributes::empty(),
            carries: volume::Carries::empty(),
        }
    }

    /// The directory's times change with its entries, and nobody is told.
    fn touch_parent(&mut self, path: &VPath) {
        let t = Time(self.tick());
        if let Some(parent) = path.parent().and_then(|parent| self.nodes.get_mut(&parent)) {
            (parent.mtime, parent.ctime) = (t, t);
        }
    }

    fn is_dir(&self, path: &VPath) -> bool {
        self.nodes.get(path).is_some_and(Attr::is_dir)
    }

    fn children(&self, dir: &VPath) -> Vec<Entry> {
        let of_dir = |(path, _): &(&VPath, &Attr)| path.parent().as_ref() == Some(dir);
        let entry = |(path, attr): (&VPath, &Attr)| Entry { name: path.name().into(), attr: *attr };
        self.nodes.iter().filter(of_dir).map(entry).collect()
    }

    /// A file is made or written.
    fn write(&mut self, path: &VPath) {
        if path.is_root() || self.is_dir(path) || !path.parent().is_some_and(|parent| self.is_dir(&parent)) {
            return;
        }
        let new = self.attr(Kind::File);
        match self.nodes.get_mut(path) {
            Some(attr) => (attr.version, attr.mtime) = (new.version, new.mtime),
            None => {
                self.nodes.insert(path.clone(), new);
                self.touch_parent(path);
            }
        }
        self.notices.push_back(Notice::Changed {
            path: path.clone(),
            attr: self.nodes.get(path).copied(),
            by: Author::Unknown,
        });
    }

    fn apply(&mut self, change: &Change) -> Result<Option<Attr>, ()> {
        match change {
            Change::MakeDir { path, .. } => {
                if self.nodes.contains_key(path) || !path.parent().is_some_and(|parent| self.is_dir(&parent))
                {
                    return Err(());
                }
                let attr = self.attr(Kind::Dir);
                self.nodes.insert(path.clone(), attr);
                self.touch_parent(path);
                self.notices.push_back(Notice::Changed {
                    path: path.clone(),
                    attr: Some(attr),
                    by: Author::Unknown,
                });
                Ok(Some(attr))
            }
            Change::Remove { path, .. } => {
                if path.is_root() || !self.nodes.contains_key(path) || !self.children(path).is_empty() {
                    return Err(());
                }
                self.nodes.remove(path);
                self.touch_parent(path);
                self.notices.push_back(Notice::Changed {
                    path: path.clone(),
                    attr: None,
                    by: Author::Unknown,
                });
                Ok(None)
            }
            Change::Rename { from, to, .. } => self.rename(from, to),
            _ => Err(()),
        }
    }

    fn rename(&mut self, from: &VPath, to: &VPath) -> Result<Option<Attr>, ()> {
        let there = self.nodes.contains_key(from) && to.parent().is_some_and(|parent| self.is_dir(&parent));
        let target_gives_way = match self.nodes.get(to) {
            Some(target) => self.is_dir(from) == target.is_dir() && self.children(to).is_empty(),
            None => true,
        };
        if !there || from.is_root() || to.is_within(from) || from.is_within(to) || !target_gives_way {
            return Err(());
        }
        self.nodes.remove(to);
        let moved: Vec<VPath> = self.nodes.keys().filter(|path| path.is_within(from)).cloned().collect();
        for old in moved {
            let attr = self.nodes.remove(&old).unwrap();
            self.nodes.insert(old.rebase(from, to).unwrap(), attr);
        }
        self.touch_parent(from);
        self.touch_parent(to);
        let attr = self.nodes.get(to).copied();
        self.notices.push_back(Notice::Moved {
            from: from.clone(),
            to: to.clone(),
            attr,
            by: Author::Unknown,
        });
        Ok(attr)
    }
}

impl Asked {
    fn reach_origin(&mut self, truth: &mut Truth) {
        match self {
            Asked::Stat(path, answer @ None) => *answer = Some(truth.nodes.get(path).copied()),
            Asked::List(path, answer @ None) => {
                let attr = truth.nodes.get(path).filter(|attr| attr.is_dir()).copied();
                *answer = Some(attr.map(|attr| (attr, truth.children(path))));
            }
            Asked::Own(change, answer @ None) => *answer = Some(truth.apply(change)),
            _ => {}
        }
    }

    fn come_back(self, tree: &mut Tree, asked: Stamp) {
        match self {
            Asked::Stat(path, Some(Some(attr))) => tree.learn(&path, attr, asked),
            Asked::Stat(path, Some(None)) => tree.learn_absent(&path, asked),
            Asked::List(path, Some(Some((attr, entries)))) => {
                tree.learn_listing(&path, Some(attr), entries, asked)
            }
            Asked::Own(change, Some(answer)) => tree.own_change(&change, answer, asked),
            _ => {}
        }
    }
}

fn check(tree: &mut Tree, truth: &Truth, now: u64) {
    for path in all_paths() {
        match tree.lookup(&path, Promise::Notices, now) {
            Lookup::Believed(attr) => assert_eq!(Some(&attr), truth.nodes.get(&path), "{path}"),
            Lookup::Absent => assert!(!truth.nodes.contains_key(&path), "{path} believed absent"),
            Lookup::Doubtful(_) | Lookup::Unknown => {}
        }
        if let Some(page) = tree.page(&path, None, 100, Promise::Notices, now)
            && page.believed
        {
            assert!(truth.is_dir(&path), "{path} believed a directory");
            assert_eq!(page.entries, truth.children(&path), "{path}");
        }
    }
    let (_, entries, bytes) = tree.extent();
    let counted: usize = tree.dirs.iter().map(|(_, dir)| dir.names.len()).sum();
    assert_eq!(entries, counted);
    assert!(bytes >= entries);
}

fn change(kind: usize, one: &VPath, two: &VPath) -> Change {
    match kind {
        0 => Change::MakeDir { path: one.clone(), mode: 0o755, dos: DosAttributes::empty(), maker: None },
        1 => Change::Remove { path: one.clone(), dir: false, expect: None },
        _ => Change::Rename { from: one.clone(), to: two.clone(), replace: true, expect: None },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_is_believed_is_true_once_all_notices_came(
        steps in prop::collection::vec((0usize..14, 0usize..40, 0usize..40), 1..150)
    ) {
        let (mut tree, mut truth) = (Tree::new(10_000, 1 << 20, true), Truth::new());
        let (paths, mut pending, mut now) = (all_paths(), Vec::<(Asked, Stamp)>::new(), 0);
        for (what, one, two) in steps {
            let (path, other) = (paths[one].clone(), paths[two].clone());
            now += 10;
            match what {
                0 => truth.write(&path),
                1..=3 => { let _ = truth.apply(&change(what - 1, &path, &other)); }
                4 | 5 => pending.push((Asked::List(path, None), tree.ask(now))),
                6 => pending.push((Asked::Stat(path, None), tree.ask(now))),
                7 => pending.push((Asked::Own(change(two % 3, &path, &other), None), tree.ask(now))),
                8 | 9 => if !pending.is_empty() {
                    let at = one % pending.len();
                    pending[at].0.reach_origin(&mut truth);
                },
                10 | 11 => if !pending.is_empty() {
                    let (mut asked, stamp) = pending.swap_remove(one % pending.len());
                    asked.reach_origin(&mut truth);
                    asked.come_back(&mut tree, stamp);
                },
                12 => if let Some(notice) = truth.notices.pop_front() { tree.notice(&notice, now); },
                _ => {
                    if two == 0 { truth.notices.clear(); tree.notice(&Notice::Unknown { below: VPath::root() }, now); }
                    while let Some(notice) = truth.notices.pop_front() { tree.notice(&notice, now); }
                    if two % 8 == 7 { now += 10_000; }
                }
            }
            let own_under_way = pending.iter().any(|(asked, _)| matches!(asked, Asked::Own(_, Some(_))));
            if truth.notices.is_empty() && !own_under_way {
                check(&mut tree, &truth, now);
            }
        }
    }
}

#[test]
fn a_hundred_thousand_files_fit_in_the_default_limits() {
    let mut tree = Tree::new(400_000, 96 << 20, true);
    let mut truth = Truth::new();
    for dir in 0..100 {
        let entries: Vec<Entry> = (0..1000)
            .map(|n| Entry {
                name: format!("a-file-with-a-usual-name-{n:04}.txt").into(),
                attr: truth.attr(Kind::File),
            })
            .collect();
        let asked = tree.ask(0);
        tree.learn_listing(&p(&format!("dir{dir}")), None, entries, asked);
    }
    let (listings, entries, bytes) = tree.extent();
    assert_eq!((listings, entries), (100, 100_000));
    assert!(bytes < 50 << 20, "{bytes}");
}

#[test]
fn the_directory_used_least_goes_first_when_the_limit_is_reached() {
    let (mut tree, mut truth) = (Tree::new(25, 1 << 20, true), Truth::new());
    let mut listing = |tree: &mut Tree, dir: &str| {
        let entry = |n| Entry { name: format!("f{n}").into(), attr: truth.attr(Kind::File) };
        let entries: Vec<Entry> = (0..10).map(entry).collect();
        let asked = tree.ask(0);
        tree.learn_listing(&p(dir), None, entries, asked);
    };
    listing(&mut tree, "x");
    listing(&mut tree, "y");
    assert!(tree.page(&p("x"), None, 100, Promise::Notices, 0).is_some());
    listing(&mut tree, "z");
    assert!(tree.page(&p("y"), None, 100, Promise::Notices, 0).is_none());
    assert!(tree.page(&p("x"), None, 100, Promise::Notices, 0).unwrap().believed);
}

#[test]
fn polled_knowledge_is_believed_for_its_time_only() {
    let (mut tree, mut truth) = (Tree::new(100, 1 << 20, true), Truth::new());
    let attr = truth.attr(Kind::File);
    let asked = tree.ask(1000);
    tree.learn(&p("f"), attr, asked);
    assert_eq!(tree.lookup(&p("f"), Promise::For(2000), 2999), Lookup::Believed(attr));
    assert_eq!(tree.lookup(&p("f"), Promise::For(2000), 3000), Lookup::Doubtful(attr));
    assert_eq!(tree.lookup(&p("f"), Promise::Notices, 9000), Lookup::Believed(attr));
}
