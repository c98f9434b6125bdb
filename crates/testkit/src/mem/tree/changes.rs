//! Changes of the names in the tree.

use super::{Body, Tree, error};
use std::collections::BTreeMap;
use volume::{Author, DosAttributes, ErrorKind, FileId, Notice, Result, VPath};

impl Tree {
    /// Makes what is not there yet.
    fn make(
        &mut self,
        op: &'static str,
        path: &VPath,
        body: Body,
        mode: u32,
        dos: DosAttributes,
    ) -> Result<u64> {
        let place = self.place(op, path, ErrorKind::AlreadyExists)?;
        if self.children(place.0).contains_key(&place.1) {
            return error(ErrorKind::AlreadyExists, op, path);
        }
        let dos = if matches!(body, Body::Dir(_)) { self.born_in(place.0, dos) } else { dos };
        let id = self.add_node(body, mode, dos);
        self.insert(place, path.name(), id);
        self.tell_changed(id);
        Ok(id)
    }

    pub(in crate::mem) fn make_dir(&mut self, path: &VPath, mode: u32, dos: DosAttributes) -> Result<u64> {
        self.make("mkdir", path, Body::Dir(BTreeMap::new()), mode, dos)
    }

    pub(in crate::mem) fn make_symlink(&mut self, path: &VPath, target: &str) -> Result<u64> {
        self.make("symlink", path, Body::Symlink(target.to_owned()), 0o777, DosAttributes::empty())
    }

    pub(in crate::mem) fn symlink_target(&self, path: &VPath) -> Result<String> {
        match &self.nodes[&self.node("read_link", path)?].body {
            Body::Symlink(target) => Ok(target.clone()),
            Body::File(_) | Body::Dir(_) => error(ErrorKind::InvalidArgument, "read_link", path),
        }
    }

    pub(in crate::mem) fn remove(&mut self, path: &VPath, dir: bool, expect: Option<FileId>) -> Result<()> {
        let op = "remove";
        let (id, place) = self.named(op, path, expect)?;
        match (&self.nodes[&id].body, dir) {
            (Body::Dir(children), true) if !children.is_empty() => {
                return error(ErrorKind::DirectoryNotEmpty, op, path);
            }
            (Body::Dir(_), false) => return error(ErrorKind::IsADirectory, op, path),
            (Body::File(_) | Body::Symlink(_), true) => return error(ErrorKind::NotADirectory, op, path),
            (Body::Dir(_), true) | (Body::File(_) | Body::Symlink(_), false) => {}
        }
        self.unlink(&place);
        self.pending.push(Notice::Changed { path: path.clone(), attr: None, by: Author::Unknown });
        Ok(())
    }

    /// Whether what is at `to` gives way to node `id`.
    fn gives_way(&self, op: &'static str, id: u64, old: u64, to: &VPath) -> Result<()> {
        match (&self.nodes[&id].body, &self.nodes[&old].body) {
            (_, Body::Dir(children)) if !children.is_empty() => error(ErrorKind::DirectoryNotEmpty, op, to),
            (Body::Dir(_), Body::Dir(_)) => Ok(()),
            (Body::Dir(_), _) => error(ErrorKind::NotADirectory, op, to),
            (_, Body::Dir(_)) => error(ErrorKind::IsADirectory, op, to),
            (_, _) => Ok(()),
        }
    }

    pub(in crate::mem) fn rename(
        &mut self,
        from: &VPath,
        to: &VPath,
        replace: bool,
        expect: Option<FileId>,
    ) -> Result<u64> {
        let op = "rename";
        let (id, from_place) = self.named(op, from, expect)?;
        let to_place = self.place(op, to, ErrorKind::InvalidArgument)?;
        if to != from
            && self.paths(to_place.0).iter().any(|parent| self.paths(id).iter().any(|p| parent.is_within(p)))
        {
            return error(ErrorKind::InvalidArgument, op, to);
        }
        if from_place == to_place {
            if from == to {
                return if replace { Ok(id) } else { error(ErrorKind::AlreadyExists, op, to) };
            }
        } else if let Some(old) = self.children(to_place.0).get(&to_place.1).map(|(_, old)| *old) {
            if !replace {
                return error(ErrorKind::AlreadyExists, op, to);
            }
            self.gives_way(op, id, old, to)?;
            self.unlink(&to_place);
        }
        self.hold(id);
        self.unlink(&from_place);
        self.insert(to_place, to.name(), id);
        self.release(id);
        let attr = self.attr(id);
        self.pending.push(Notice::Moved { from: from.clone(), to: to.clone(), attr, by: Author::Unknown });
        Ok(id)
    }

    pub(in crate::mem) fn link(
        &mut self,
        from: &VPath,
        to: &VPath,
        replace: bool,
        expect: Option<FileId>,
    ) -> Result<u64> {
        let op = "link";
        let (id, _) = self.named(op, from, expect)?;
        if matches!(self.nodes[&id].body, Body::Dir(_)) {
            return error(ErrorKind::IsADirectory, op, from);
        }
        let place = self.place(op, to, ErrorKind::InvalidArgument)?;
        if let Some(old) = self.children(place.0).get(&place.1).map(|(_, old)| *old) {
            if !replace {
                return error(ErrorKind::AlreadyExists, op, to);
            }
            self.gives_way(op, id, old, to)?;
            if old == id {
                return Ok(id);
            }
            self.unlink(&place);
        }
        self.insert(place, to.name(), id);
        self.tell_changed(id);
        Ok(id)
    }
}
