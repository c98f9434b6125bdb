//! The kernel's numbers for objects, and the names that it knows them by.
//!
//! A *node* is one object whatever its names: hard links are one. Its number stands as long as the kernel has not given
//! back all its lookups (FORGET), and is never used twice. Work by name needs a path, which is put together from the names
//! of the nodes above; what has none left, and is still open, is worked on through an open.
//!
//! The origin may give the identity of what is gone to something new. So a node that has lost its last name here, and that
//! nobody has open, is not found by its identity any more.
//!
//! Plain state under one leaf mutex.

use crate::backing::BackingId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use vfs::Open;
use volume::{FileId, VPath, Version};

/// Names above each other are followed so far at most; a path has no more.
const DEPTH_MAX: usize = volume::PATH_MAX_BYTES / 2;

pub(crate) struct Nodes(Mutex<Table>);

struct Table {
    nodes: HashMap<u64, Node>,
    by_file: HashMap<FileId, u64>,
    by_name: HashMap<Name, u64>,
    next: u64,
}

/// A name in a directory that is a node.
type Name = (u64, Arc<str>);

struct Node {
    file: FileId,
    /// How many the kernel has to give back.
    lookups: u64,
    names: Vec<Name>,
    opens: Vec<(u64, Weak<Open>)>,
    /// The content that the kernel may have pages of: as it was when the node was last opened.
    content: Option<Version>,
    /// Until then it is believed to have no capabilities: it was just made here.
    bare_until: Option<Instant>,
    /// Which way its content goes (`backing.rs`).
    way: Way,
    /// How many have it open so.
    on_the_way: usize,
}

/// Which way the content of a node goes.
#[derive(Clone, Copy)]
enum Way {
    /// By READ and WRITE; also while nobody has it open.
    Here,
    /// The kernel works on this itself.
    Past(BackingId),
}

impl Nodes {
    pub(crate) fn new(root: FileId) -> Nodes {
        let node = Node::new(root, 1);
        Nodes(Mutex::new(Table {
            nodes: HashMap::from([(fuse_wire::ROOT_ID, node)]),
            by_file: HashMap::from([(root, fuse_wire::ROOT_ID)]),
            by_name: HashMap::new(),
            next: fuse_wire::ROOT_ID + 1,
        }))
    }

    /// Where a node is now, by one of its names; `None` for one that has none left.
    pub(crate) fn path(&self, node: u64) -> Option<VPath> {
        self.0.lock().path(node)
    }

    /// Which object a node is.
    pub(crate) fn file(&self, node: u64) -> Option<FileId> {
        self.0.lock().nodes.get(&node).map(|node| node.file)
    }

    /// The kernel has looked up a name: which node that is.
    pub(crate) fn found(&self, parent: u64, name: &Arc<str>, file: FileId) -> u64 {
        let mut table = self.0.lock();
        let node = table.node_of(file);
        table.name(node, (parent, name.clone()));
        if let Some(node) = table.nodes.get_mut(&node) {
            node.lookups += 1;
        }
        node
    }

    /// The kernel gives lookups back.
    pub(crate) fn forget(&self, node: u64, lookups: u64) {
        let mut table = self.0.lock();
        let Some(known) = table.nodes.get_mut(&node) else { return };
        known.lookups = known.lookups.saturating_sub(lookups);
        if known.lookups == 0 && node != fuse_wire::ROOT_ID {
            table.drop_node(node);
        }
    }

    /// A name is gone.
    pub(crate) fn unnamed(&self, parent: u64, name: &Arc<str>) {
        self.0.lock().unname(&(parent, name.clone()));
    }

    /// A name has become another, and what had that has lost it.
    pub(crate) fn renamed(&self, from: (u64, &Arc<str>), to: (u64, &Arc<str>)) {
        let (from, to) = ((from.0, from.1.clone()), (to.0, to.1.clone()));
        let mut table = self.0.lock();
        let Some(&node) = table.by_name.get(&from) else { return table.unname(&to) };
        table.name(node, to);
        table.unname(&from);
    }

    /// Somebody has opened the node.
    pub(crate) fn opened(&self, node: u64, handle: u64, open: &Arc<Open>) {
        if let Some(node) = self.0.lock().nodes.get_mut(&node) {
            node.opens.push((handle, Arc::downgrade(open)));
        }
    }

    /// The node is opened with this content: whether the kernel's pages are of just that.
    pub(crate) fn has_content(&self, node: u64, content: Version) -> bool {
        let mut table = self.0.lock();
        let known = table.nodes.get_mut(&node);
        known.is_some_and(|node| node.content.replace(content) == Some(content))
    }

    /// The node was just made, which is `believed` so long; or something is set that it carries.
    pub(crate) fn is_bare(&self, node: u64, believed: Option<Duration>) {
        if let Some(node) = self.0.lock().nodes.get_mut(&node) {
            node.bare_until = believed.map(|believed| Instant::now() + believed);
        }
    }

    /// Whether it is believed to have no capabilities (`security.capability`).
    pub(crate) fn believed_bare(&self, node: u64) -> bool {
        let table = self.0.lock();
        let until = table.nodes.get(&node).and_then(|node| node.bare_until);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// A file is opened for its content: the backing file by which the kernel does that, which is asked for by `begin` where
    /// nobody else has it open.
    pub(crate) fn begin_content(
        &self,
        node: u64,
        begin: impl FnOnce() -> Option<BackingId>,
    ) -> Option<BackingId> {
        let mut table = self.0.lock();
        let node = table.nodes.get_mut(&node)?;
        if node.on_the_way == 0 {
            node.way = begin().map_or(Way::Here, Way::Past);
        }
        node.on_the_way += 1;
        match node.way {
            Way::Here => None,
            Way::Past(id) => {
                node.content = None;
                Some(id)
            }
        }
    }

    /// One who had it open so has closed it: the backing file that nobody needs any more.
    pub(crate) fn end_content(&self, node: u64) -> Option<BackingId> {
        let mut table = self.0.lock();
        let node = table.nodes.get_mut(&node)?;
        node.on_the_way = node.on_the_way.saturating_sub(1);
        match node.way {
            Way::Past(id) if node.on_the_way == 0 => {
                node.way = Way::Here;
                Some(id)
            }
            Way::Past(_) | Way::Here => None,
        }
    }

    pub(crate) fn closed(&self, node: u64, handle: u64) {
        let mut table = self.0.lock();
        if let Some(known) = table.nodes.get_mut(&node) {
            known.opens.retain(|(open, _)| *open != handle);
            table.let_go(node);
        }
    }

    /// An open of the node that `serves`, if there is one.
    pub(crate) fn open_of(&self, node: u64, serves: impl Fn(&Open) -> bool) -> Option<Arc<Open>> {
        let table = self.0.lock();
        let opens = &table.nodes.get(&node)?.opens;
        opens.iter().filter_map(|(_, open)| open.upgrade()).find(|open| serves(open))
    }
}

impl Node {
    fn new(file: FileId, lookups: u64) -> Node {
        Node {
            file,
            lookups,
            names: Vec::new(),
            opens: Vec::new(),
            content: None,
            bare_until: None,
            way: Way::Here,
            on_the_way: 0,
        }
    }
}

impl Table {
    fn path(&self, mut node: u64) -> Option<VPath> {
        let mut names: Vec<&str> = Vec::new();
        while node != fuse_wire::ROOT_ID {
            // One whose directory the kernel has forgotten leads nowhere.
            let known = self.nodes.get(&node)?;
            let (parent, name) =
                known.names.iter().rev().find(|(parent, _)| self.nodes.contains_key(parent))?;
            names.push(name);
            node = *parent;
            if names.len() > DEPTH_MAX {
                return None;
            }
        }
        names.reverse();
        VPath::parse(&names.join("/")).ok()
    }

    fn node_of(&mut self, file: FileId) -> u64 {
        if let Some(&node) = self.by_file.get(&file) {
            return node;
        }
        let node = self.next;
        self.next += 1;
        self.by_file.insert(file, node);
        self.nodes.insert(node, Node::new(file, 0));
        node
    }

    /// The name stands for this node from now on.
    fn name(&mut self, node: u64, name: Name) {
        match self.by_name.get(&name) {
            Some(&present) if present == node => return,
            Some(_) => self.unname(&name),
            None => {}
        }
        if let Some(known) = self.nodes.get_mut(&node) {
            known.names.push(name.clone());
            self.by_name.insert(name, node);
        }
    }

    fn unname(&mut self, name: &Name) {
        let Some(node) = self.by_name.remove(name) else { return };
        if let Some(known) = self.nodes.get_mut(&node) {
            known.names.retain(|other| other != name);
            self.let_go(node);
        }
    }

    /// What may be gone is not found by its identity any more.
    fn let_go(&mut self, node: u64) {
        if let Some(known) = self.nodes.get(&node)
            && known.names.is_empty()
            && known.opens.is_empty()
            && node != fuse_wire::ROOT_ID
            && self.by_file.get(&known.file) == Some(&node)
        {
            self.by_file.remove(&known.file);
        }
    }

    fn drop_node(&mut self, node: u64) {
        let Some(known) = self.nodes.remove(&node) else { return };
        for name in &known.names {
            self.by_name.remove(name);
        }
        if self.by_file.get(&known.file) == Some(&node) {
            self.by_file.remove(&known.file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fuse_wire::ROOT_ID;

    fn file(lo: u64) -> FileId {
        FileId { hi: 1, lo }
    }

    fn at(nodes: &Nodes, node: u64) -> Option<String> {
        nodes.path(node).map(|path| path.as_str().to_owned())
    }

    #[test]
    fn a_node_is_where_its_directory_is() {
        let (nodes, [d, e, f, g]) = (Nodes::new(file(0)), ["d", "e", "f", "g"].map(Arc::from));
        let dir = nodes.found(ROOT_ID, &d, file(1));
        let below = nodes.found(dir, &f, file(2));
        assert_eq!(at(&nodes, below).as_deref(), Some("d/f"));
        nodes.renamed((ROOT_ID, &d), (ROOT_ID, &e));
        assert_eq!(at(&nodes, below).as_deref(), Some("e/f"));
        assert_eq!(nodes.found(ROOT_ID, &g, file(2)), below, "hard links are one node");
        nodes.unnamed(ROOT_ID, &g);
        assert_eq!(at(&nodes, below).as_deref(), Some("e/f"));
        nodes.unnamed(dir, &f);
        assert_eq!(at(&nodes, below), None);
        assert_eq!(at(&nodes, ROOT_ID).as_deref(), Some(""));
    }

    #[test]
    fn what_gives_way_has_lost_its_name() {
        let (nodes, [a, b]) = (Nodes::new(file(0)), ["a", "b"].map(Arc::from));
        let (one, two) = (nodes.found(ROOT_ID, &a, file(1)), nodes.found(ROOT_ID, &b, file(2)));
        nodes.renamed((ROOT_ID, &a), (ROOT_ID, &b));
        assert_eq!((at(&nodes, one).as_deref(), at(&nodes, two)), (Some("b"), None));
    }

    #[test]
    fn an_identity_that_comes_again_is_another_node() {
        let (nodes, a) = (Nodes::new(file(0)), Arc::from("a"));
        let gone = nodes.found(ROOT_ID, &a, file(1));
        nodes.unnamed(ROOT_ID, &a);
        assert_ne!(nodes.found(ROOT_ID, &a, file(1)), gone);
    }

    #[test]
    fn pages_are_kept_of_content_that_is_as_it_was() {
        let (nodes, a) = (Nodes::new(file(0)), Arc::from("a"));
        let node = nodes.found(ROOT_ID, &a, file(1));
        let [one, two] = [1, 2].map(|hi| Version { hi, lo: 0 });
        for (content, expect) in [(one, false), (one, true), (two, false), (two, true), (one, false)] {
            assert_eq!(nodes.has_content(node, content), expect);
        }
    }

    #[test]
    fn what_is_made_is_bare_for_a_while_or_until_something_is_set() {
        let (nodes, a) = (Nodes::new(file(0)), Arc::from("a"));
        let node = nodes.found(ROOT_ID, &a, file(1));
        assert!(!nodes.believed_bare(node));
        for (believed, expect) in
            [(Some(Duration::from_secs(9)), true), (None, false), (Some(Duration::ZERO), false)]
        {
            nodes.is_bare(node, believed);
            assert_eq!(nodes.believed_bare(node), expect);
        }
    }

    #[test]
    fn all_who_have_a_file_open_go_the_same_way() {
        let (nodes, a) = (Nodes::new(file(0)), Arc::from("a"));
        let node = nodes.found(ROOT_ID, &a, file(1));
        let unasked = || unreachable!("somebody has it open");
        assert_eq!(nodes.begin_content(node, || None), None);
        assert_eq!(nodes.begin_content(node, unasked), None);
        assert_eq!((nodes.end_content(node), nodes.end_content(node)), (None, None));
        assert!(!nodes.has_content(node, Version { hi: 1, lo: 0 }));
        assert_eq!(nodes.begin_content(node, || Some(7)), Some(7));
        assert_eq!(nodes.begin_content(node, unasked), Some(7));
        assert_eq!((nodes.end_content(node), nodes.end_content(node)), (None, Some(7)));
        assert!(!nodes.has_content(node, Version { hi: 1, lo: 0 }), "nothing is known of pages of before");
        assert_eq!(nodes.begin_content(node, || Some(8)), Some(8));
    }

    #[test]
    fn a_node_goes_when_all_its_lookups_are_given_back() {
        let (nodes, a) = (Nodes::new(file(0)), Arc::from("a"));
        let node = nodes.found(ROOT_ID, &a, file(1));
        assert_eq!(nodes.found(ROOT_ID, &a, file(1)), node);
        nodes.forget(node, 1);
        assert!(nodes.file(node).is_some());
        nodes.forget(node, 1);
        assert!(nodes.file(node).is_none() && nodes.path(node).is_none());
        nodes.forget(ROOT_ID, u64::MAX);
        assert!(nodes.file(ROOT_ID).is_some(), "the root stays");
    }
}
