//! The watched directories, by the number that the source has given them. A directory knows its parent and its own name, so that
//! moving one with all that is below it changes one place. Where a directory is, is known from the events that were
//! read so far.

use super::pending::Key;
use crate::name;
use std::collections::HashMap;
use volume::{FileId, VPath};

/// The source's number for a watched directory.
pub(super) type Wd = i32;

#[derive(Default)]
pub(super) struct Dirs {
    nodes: HashMap<Wd, Node>,
    root: Option<Wd>,
}

struct Node {
    id: FileId,
    /// `None` for the root.
    place: Option<(Wd, Box<[u8]>)>,
    children: HashMap<Box<[u8]>, Wd>,
}

impl Dirs {
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// A directory is watched, at this place.
    pub(super) fn add(&mut self, wd: Wd, id: FileId, place: Option<(Wd, &[u8])>) {
        self.nodes.entry(wd).or_insert(Node { id, place: None, children: HashMap::new() });
        if place.is_none() {
            self.root = Some(wd);
        }
        self.put(wd, place);
    }

    /// Puts a directory in its place, out of the one where it was before.
    pub(super) fn put(&mut self, wd: Wd, place: Option<(Wd, &[u8])>) {
        let place = place.map(|(parent, name)| (parent, Box::from(name)));
        let Some(node) = self.nodes.get_mut(&wd) else { return };
        let before = std::mem::replace(&mut node.place, place.clone());
        if let Some((parent, name)) = before {
            self.forget_child(parent, &name, wd);
        }
        if let Some((parent, name)) = place
            && let Some(parent) = self.nodes.get_mut(&parent)
        {
            parent.children.insert(name, wd);
        }
    }

    fn forget_child(&mut self, parent: Wd, name: &[u8], wd: Wd) {
        if let Some(parent) = self.nodes.get_mut(&parent)
            && parent.children.get(name) == Some(&wd)
        {
            parent.children.remove(name);
        }
    }

    pub(super) fn child(&self, parent: Wd, name: &[u8]) -> Option<Wd> {
        self.nodes.get(&parent)?.children.get(name).copied()
    }

    /// The directory that is known to be at a path.
    pub(super) fn at(&self, path: &VPath) -> Option<Wd> {
        path.components().try_fold(self.root?, |wd, name| self.child(wd, &name::to_disk(name).ok()?))
    }

    pub(super) fn id(&self, wd: Wd) -> Option<FileId> {
        self.nodes.get(&wd).map(|node| node.id)
    }

    /// `None` for the root, and for one that is not known (any more).
    pub(super) fn place(&self, wd: Wd) -> Option<Key> {
        self.nodes.get(&wd)?.place.clone()
    }

    /// Whether a directory is `top` or below it.
    pub(super) fn is_within(&self, wd: Wd, top: Wd) -> bool {
        let above = |wd: &Wd| Some(self.nodes.get(wd)?.place.as_ref()?.0);
        std::iter::successors(Some(wd), above).any(|wd| wd == top)
    }

    /// Forgets a directory and all below; returns them.
    pub(super) fn remove(&mut self, wd: Wd) -> Vec<Wd> {
        let place = self.nodes.get_mut(&wd).and_then(|node| node.place.take());
        if let Some((parent, name)) = place {
            self.forget_child(parent, &name, wd);
        }
        let (mut queue, mut removed) = (vec![wd], Vec::new());
        while let Some(wd) = queue.pop() {
            if let Some(node) = self.nodes.remove(&wd) {
                queue.extend(node.children.values());
                removed.push(wd);
            }
        }
        removed
    }

    /// The present path of a name in a directory; of the directory itself without a name. `None` for one
    /// that is not known (any more), or too deep for a path.
    pub(super) fn path(&self, wd: Wd, name: Option<&[u8]>) -> Option<VPath> {
        let mut names: Vec<&[u8]> = name.into_iter().collect();
        let mut node = self.nodes.get(&wd)?;
        while let Some((parent, name)) = &node.place {
            names.push(name);
            node = self.nodes.get(parent)?;
        }
        names.iter().rev().try_fold(VPath::root(), |path, name| path.join(&name::from_disk(name)).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(dirs: &Dirs, wd: Wd) -> String {
        dirs.path(wd, Some(b"f")).map_or("none".to_owned(), |path| path.to_string())
    }

    #[test]
    fn a_moved_directory_takes_all_below_along() {
        let mut dirs = Dirs::default();
        let id = |lo| FileId { hi: 0, lo };
        dirs.add(1, id(1), None);
        dirs.add(2, id(2), Some((1, b"a")));
        dirs.add(3, id(3), Some((2, b"b")));
        dirs.add(4, id(4), Some((1, b"z")));
        assert!(dirs.is_within(3, 2) && dirs.is_within(3, 3) && !dirs.is_within(3, 4));
        assert_eq!((path(&dirs, 1), path(&dirs, 3)), ("f".to_owned(), "a/b/f".to_owned()));
        dirs.put(2, Some((4, b"new")));
        assert_eq!(path(&dirs, 3), "z/new/b/f");
        let at = |path: &str| dirs.at(&VPath::parse(path).unwrap());
        assert_eq!((at(""), at("z/new/b"), at("a/b")), (Some(1), Some(3), None));
        assert_eq!((dirs.child(1, b"a"), dirs.child(4, b"new")), (None, Some(2)));
        assert_eq!((dirs.id(3), dirs.place(3)), (Some(id(3)), Some((2, Box::from(&b"b"[..])))));
        assert!(dirs.is_within(3, 4));
        let mut removed = dirs.remove(4);
        removed.sort();
        assert_eq!((removed, dirs.len()), (vec![2, 3, 4], 1));
        assert_eq!(path(&dirs, 3), "none");
    }
}
