//! What nodes carry besides their content.

use super::{Body, Tree, error, file_id};
use bytes::Bytes;
use std::collections::BTreeMap;
use volume::{ErrorKind, FileId, Named, Result, VPath};

impl Tree {
    fn carrier(&self, op: &'static str, path: &VPath, expect: Option<FileId>) -> Result<u64> {
        let id = self.node(op, path)?;
        if expect.is_some_and(|expected| expected != file_id(id)) {
            return error(ErrorKind::Stale, op, path);
        }
        match self.nodes[&id].body {
            Body::File(_) | Body::Dir(_) => Ok(id),
            Body::Symlink(_) => error(ErrorKind::Unsupported, op, path),
        }
    }

    pub(in crate::mem) fn carried(
        &self,
        op: &'static str,
        path: &VPath,
        expect: Option<FileId>,
    ) -> Result<&BTreeMap<Named, Bytes>> {
        Ok(&self.nodes[&self.carrier(op, path, expect)?].carried)
    }

    pub(in crate::mem) fn set_named(
        &mut self,
        path: &VPath,
        name: &Named,
        value: Option<Bytes>,
        expect: Option<FileId>,
    ) -> Result<u64> {
        let op = "setnamed";
        let id = self.carrier(op, path, expect)?;
        if let Err(kind) = name.check() {
            return error(kind, op, path);
        }
        let now = self.tick();
        if let Some(node) = self.nodes.get_mut(&id) {
            node.ctime = now;
            match value {
                Some(value) => node.carried.insert(name.clone(), value),
                None => node.carried.remove(name),
            };
        }
        self.tell_changed(id);
        Ok(id)
    }
}
