//! Files that are open: under which name each is, now that others rename and remove.
//!
//! A record about content says under which name the mirror has the file. An open file keeps that name up to date, and its own order:
//! whoever changes its content, or its name, holds [`OpenFile::order`] from before the record is written until what it says was done.
//! Who changes names takes the orders of all open files below, in the order of their ids, after the names themselves (`names.rs`).

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Instant;
use tokio::sync::OwnedMutexGuard;
use volume::{FileId, VPath};

#[derive(Default)]
pub struct Opens {
    by_id: Mutex<HashMap<FileId, Weak<OpenFile>>>,
    /// Those whose last change could not be told yet, whoever has them open.
    kept: Mutex<Vec<Arc<OpenFile>>>,
}

/// All handles of one file.
pub struct OpenFile {
    pub id: FileId,
    opens: Weak<Opens>,
    state: Mutex<State>,
    order: Arc<tokio::sync::Mutex<()>>,
}

struct State {
    /// The names it is known to have; the first is written down. None when they were all removed.
    names: Vec<VPath>,
    changed: Option<Changed>,
}

/// Since when content was changed that no [`crate::Record::Cut`] has followed.
#[derive(Clone, Copy)]
struct Changed {
    first: Instant,
    last: Instant,
}

impl Opens {
    /// The file `id`, which was found at `path`. Its name is held.
    pub fn acquire(self: &Arc<Opens>, id: FileId, path: Option<&VPath>) -> Arc<OpenFile> {
        let mut by_id = self.by_id.lock();
        if let Some(file) = by_id.get(&id).and_then(Weak::upgrade) {
            let mut state = file.state.lock();
            if let Some(path) = path.filter(|path| !state.names.contains(path)) {
                state.names.push(path.clone());
            }
            drop(state);
            return file;
        }
        let state = State { names: path.cloned().into_iter().collect(), changed: None };
        let (opens, state, order) = (Arc::downgrade(self), Mutex::new(state), Arc::default());
        let file = Arc::new(OpenFile { id, opens, state, order });
        by_id.insert(id, Arc::downgrade(&file));
        file
    }

    /// Keeps a file until its change is told.
    pub fn keep(&self, file: Arc<OpenFile>) {
        let mut kept = self.kept.lock();
        if !kept.iter().any(|other| Arc::ptr_eq(other, &file)) {
            kept.push(file);
        }
    }

    /// Those that were kept, which the caller tells now.
    pub fn take_kept(&self) -> Vec<Arc<OpenFile>> {
        std::mem::take(&mut *self.kept.lock())
    }

    fn all(&self) -> Vec<Arc<OpenFile>> {
        self.by_id.lock().values().filter_map(Weak::upgrade).collect()
    }

    /// Open files with a name at or below one of `paths`.
    pub fn below(&self, paths: &[&VPath]) -> Vec<Arc<OpenFile>> {
        let concerned = |file: &Arc<OpenFile>| {
            file.state.lock().names.iter().any(|name| paths.iter().any(|path| name.is_within(path)))
        };
        let mut files = self.all();
        files.retain(concerned);
        files.sort_by_key(|file| file.id);
        files
    }

    /// Open files whose changes wait for a cut, as `ripe` says of how long ago the first and the last were.
    pub fn changed(&self, ripe: impl Fn(Instant, Instant) -> bool) -> Vec<Arc<OpenFile>> {
        let mut files = self.all();
        files.retain(|file| {
            file.state.lock().changed.is_some_and(|changed| ripe(changed.first, changed.last))
        });
        files
    }
}

impl OpenFile {
    /// Waits until no other change of this file is between its record and its end.
    pub async fn order(&self) -> OwnedMutexGuard<()> {
        self.order.clone().lock_owned().await
    }

    /// Under which name it is now.
    pub fn path(&self) -> Option<VPath> {
        self.state.lock().names.first().cloned()
    }

    pub fn note_changed(&self) {
        let now = Instant::now();
        let mut state = self.state.lock();
        let first = state.changed.map_or(now, |changed| changed.first);
        state.changed = Some(Changed { first, last: now });
    }

    pub fn is_changed(&self) -> bool {
        self.state.lock().changed.is_some()
    }

    /// What was changed is told now. Whether there was something.
    pub fn take_changed(&self) -> bool {
        self.state.lock().changed.take().is_some()
    }

    pub fn renamed(&self, from: &VPath, to: &VPath) {
        for name in &mut self.state.lock().names {
            if let Some(now) = name.rebase(from, to) {
                *name = now;
            }
        }
    }

    pub fn linked(&self, from: &VPath, to: &VPath) {
        let mut state = self.state.lock();
        if state.names.contains(from) && !state.names.contains(to) {
            state.names.push(to.clone());
        }
    }

    /// The name is gone, or stands for another file.
    pub fn unlinked(&self, path: &VPath) {
        self.state.lock().names.retain(|name| !name.is_within(path));
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let Some(opens) = self.opens.upgrade() else { return };
        let mut by_id = opens.by_id.lock();
        // Another may have come in its place already.
        if by_id.get(&self.id).is_some_and(|file| file.strong_count() == 0) {
            by_id.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> VPath {
        VPath::parse(text).unwrap()
    }

    #[test]
    fn names_follow_what_others_do() {
        let opens = Arc::new(Opens::default());
        let id = FileId { hi: 0, lo: 1 };
        let file = opens.acquire(id, Some(&path("d/f")));
        assert!(Arc::ptr_eq(&file, &opens.acquire(id, Some(&path("d/f")))));
        file.linked(&path("d/f"), &path("g"));
        file.renamed(&path("d"), &path("e"));
        assert_eq!(file.path(), Some(path("e/f")));
        assert_eq!(opens.below(&[&path("e")]).len(), 1);
        assert!(opens.below(&[&path("d")]).is_empty());
        file.unlinked(&path("e/f"));
        assert_eq!(file.path(), Some(path("g")));
        file.unlinked(&path("g"));
        assert_eq!(file.path(), None);
        drop(file);
        assert!(opens.by_id.lock().is_empty());
    }

    #[test]
    fn a_change_is_told_once() {
        let opens = Arc::new(Opens::default());
        let file = opens.acquire(FileId::default(), Some(&path("f")));
        assert!(opens.changed(|_, _| true).is_empty());
        file.note_changed();
        assert_eq!(opens.changed(|first, last| first <= last).len(), 1);
        assert!(file.take_changed() && !file.take_changed());
    }
}
