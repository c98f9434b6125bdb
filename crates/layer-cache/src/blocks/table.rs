//! The contents by file, and what those of one file share.
//!
//! A content that is not current any more leaves the table, and who has it open stands on it until he asks. What a file is
//! called, and where it is open at the origin, is therefore a matter of all its contents: an open follows its name, and
//! stays readable without one, whatever others have made of the file since.

use super::content::Content;
use super::source::Source;
use crate::origin::Origin;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Weak};
use volume::{FileId, VPath};

pub(super) struct Table {
    /// What is current.
    pub by_id: HashMap<FileId, Arc<Content>>,
    pub next_number: u64,
    /// Files with contents that are open and not current any more.
    outlived: HashMap<FileId, Outlived>,
}

struct Outlived {
    place: Arc<Place>,
    contents: usize,
}

/// Where a file is.
pub(crate) struct Place {
    pub id: FileId,
    /// The last known name: for opening at the origin, and for pins.
    path: Mutex<VPath>,
    source: Mutex<Weak<Source>>,
    /// What is known of the file was asked for then, or came of our own change that ended then; on the clock of the
    /// metadata tree.
    known: AtomicU64,
    /// When a notice of it came, or a change of ours ended, last.
    doubted: AtomicU64,
}

impl Table {
    pub(super) fn new(contents: Vec<Arc<Content>>) -> Table {
        let next_number = contents.iter().map(|content| content.number + 1).max().unwrap_or(1);
        let by_id = contents.into_iter().map(|content| (content.id, content)).collect();
        Table { by_id, next_number, outlived: HashMap::new() }
    }

    /// Where a file is of which something is cached or open.
    pub(super) fn place(&self, id: FileId) -> Option<&Arc<Place>> {
        let current = self.by_id.get(&id).map(|content| &content.place);
        current.or_else(|| self.outlived.get(&id).map(|outlived| &outlived.place))
    }

    pub(super) fn places(&self) -> impl Iterator<Item = &Arc<Place>> {
        let current = self.by_id.values().map(|content| &content.place);
        let others = self.outlived.iter().filter(|(id, _)| !self.by_id.contains_key(id));
        current.chain(others.map(|(_, outlived)| &outlived.place))
    }

    /// A content that is open is not current any more.
    pub(super) fn outlives(&mut self, content: &Content) {
        let place = || Outlived { place: content.place.clone(), contents: 0 };
        self.outlived.entry(content.id).or_insert_with(place).contents += 1;
    }

    /// Such a content is not open any more.
    pub(super) fn has_ended(&mut self, id: FileId) {
        if let Some(outlived) = self.outlived.get_mut(&id) {
            outlived.contents -= 1;
            if outlived.contents == 0 {
                self.outlived.remove(&id);
            }
        }
    }
}

impl Place {
    pub(super) fn new(id: FileId, path: VPath) -> Arc<Place> {
        let (known, doubted) = Default::default();
        Arc::new(Place { id, path: Mutex::new(path), source: Mutex::default(), known, doubted })
    }

    /// What the file is was asked for at `clock`, or is our doing of that time.
    pub(super) fn is_known(&self, clock: u64) {
        self.known.fetch_max(clock, SeqCst);
    }

    /// It may have changed at `clock`.
    pub(super) fn is_doubted(&self, clock: u64) {
        self.doubted.fetch_max(clock, SeqCst);
    }

    /// Whether an answer that was asked for at `asked` is older than what is known.
    pub(super) fn knows_better(&self, asked: u64) -> bool {
        asked < self.known.load(SeqCst)
    }

    /// Whether such an answer may be older than a change that was heard of since.
    pub(super) fn doubts(&self, asked: u64) -> bool {
        asked < self.doubted.load(SeqCst)
    }

    pub(crate) fn path(&self) -> VPath {
        self.path.lock().clone()
    }

    pub(super) fn is_within(&self, dir: &VPath) -> bool {
        self.path.lock().is_within(dir)
    }

    pub(super) fn put(&self, path: &VPath) {
        let mut present = self.path.lock();
        if *present != *path {
            *present = path.clone();
        }
    }

    /// Something was renamed: whether it was this, or a directory above.
    pub(super) fn follow(&self, from: &VPath, to: &VPath) -> bool {
        let mut path = self.path.lock();
        let moved = path.rebase(from, to);
        let has_moved = moved.is_some();
        moved.into_iter().for_each(|moved| *path = moved);
        has_moved
    }

    /// The way to the origin that is shared by all who only read the file.
    pub(crate) fn source(&self, origin: &Arc<Origin>) -> Arc<Source> {
        let mut source = self.source.lock();
        source.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Source::new(origin.clone()));
            *source = Arc::downgrade(&new);
            new
        })
    }

    /// The same, if somebody has it.
    pub(super) fn source_in_use(&self) -> Option<Arc<Source>> {
        self.source.lock().upgrade()
    }
}
