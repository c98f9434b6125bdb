//! The opens of a session, by either half of their ids.

use crate::open::Open;
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Default)]
pub(super) struct Opens {
    /// By the volatile half.
    all: HashMap<u64, Arc<Open>>,
    /// The volatile halves of those that were kept meanwhile, by the persistent ones. Of the others both are the same.
    returned: HashMap<u64, u64>,
}

impl Opens {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Enters one, in the place of another of its id.
    pub(super) fn insert(&mut self, open: Arc<Open>) {
        let id = open.id;
        if id.persistent != id.volatile {
            self.returned.insert(id.persistent, id.volatile);
        }
        self.all.insert(id.volatile, open);
    }

    /// Puts one in the place of another of its id, if that is here.
    pub(super) fn replace(&mut self, former: &Arc<Open>, open: Arc<Open>) -> bool {
        let is_here = self.get(former.id).is_some_and(|there| Arc::ptr_eq(there, former));
        if is_here {
            self.insert(open);
        }
        is_here
    }

    pub(super) fn get(&self, id: smb_wire::FileId) -> Option<&Arc<Open>> {
        self.all.get(&id.volatile).filter(|open| open.id == id)
    }

    pub(super) fn remove(&mut self, id: smb_wire::FileId) -> Option<Arc<Open>> {
        self.get(id)?;
        self.returned.remove(&id.persistent);
        self.all.remove(&id.volatile)
    }

    /// Whether one has this persistent half.
    pub(super) fn has(&self, persistent: u64) -> bool {
        let same = self.all.get(&persistent).is_some_and(|open| open.id.persistent == persistent);
        same || self.returned.contains_key(&persistent)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Open>> {
        self.all.values()
    }

    /// Takes out those that stand on a tree connect.
    pub(super) fn take_tree(&mut self, tree_id: u32) -> Vec<Arc<Open>> {
        let taken: Vec<_> = self.all().filter(|open| open.tree_id == tree_id).cloned().collect();
        for open in &taken {
            self.remove(open.id);
        }
        taken
    }

    /// Takes out all.
    pub(super) fn take_all(&mut self) -> Vec<Arc<Open>> {
        std::mem::take(self).all.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smb_wire::FileId;

    fn open(persistent: u64, volatile: u64, tree_id: u32) -> Arc<Open> {
        Arc::new(Open::of_nothing(FileId { persistent, volatile }, tree_id))
    }

    #[test]
    fn an_open_is_found_by_either_half_of_its_id_as_long_as_it_is_here() {
        let mut opens = Opens::default();
        for (persistent, volatile, tree) in [(5, 5, 1), (2, 6, 1), (3, 7, 2)] {
            opens.insert(open(persistent, volatile, tree));
        }
        let has = |opens: &Opens| [2, 3, 5, 6, 7].map(|persistent| opens.has(persistent));
        assert_eq!(has(&opens), [true, true, true, false, false]);
        assert!(opens.remove(FileId { persistent: 5, volatile: 6 }).is_none());
        assert!(opens.remove(FileId { persistent: 2, volatile: 6 }).is_some());
        assert_eq!((has(&opens), opens.len()), ([false, true, true, false, false], 2));
        assert_eq!(opens.take_tree(2).len(), 1);
        assert_eq!((has(&opens), opens.take_all().len()), ([false, false, true, false, false], 1));
        assert!(opens.returned.is_empty() && opens.len() == 0);
    }
}
