//! Which persistent opens are there, by the file they are of: who renames or deletes looks here whether anything is to
//! be written down.

use crate::open::FileOpen;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use vfs::Vfs;
use volume::{FileId, VPath};

/// An open, and the persistent half of its id.
pub(super) type Numbered<T> = (u64, T);

/// Over all volumes.
#[derive(Default)]
pub(super) struct Present(Mutex<HashMap<FileId, Vec<Numbered<Weak<FileOpen>>>>>);

impl Present {
    pub(super) fn add(&self, id: u64, file: &Arc<FileOpen>) {
        self.0.lock().entry(file.vfs.file_id()).or_default().push((id, Arc::downgrade(file)));
    }

    pub(super) fn remove(&self, id: u64, file: &FileOpen) {
        let (mut all, file) = (self.0.lock(), file.vfs.file_id());
        if let Some(opens) = all.get_mut(&file) {
            opens.retain(|(other, _)| *other != id);
            if opens.is_empty() {
                all.remove(&file);
            }
        }
    }

    /// Those of a file.
    pub(super) fn of(&self, vfs: &Vfs, file: FileId) -> Vec<Numbered<Arc<FileOpen>>> {
        let all = self.0.lock();
        living(vfs, all.get(&file).into_iter().flatten()).collect()
    }

    /// Those of what is at `path` and below it.
    pub(super) fn below(&self, vfs: &Vfs, path: &VPath) -> Vec<Numbered<Arc<FileOpen>>> {
        let living: Vec<_> = living(vfs, self.0.lock().values().flatten()).collect();
        living.into_iter().filter(|(_, file)| is_below(file, path)).collect()
    }
}

fn living<'a>(
    vfs: &'a Vfs,
    opens: impl Iterator<Item = &'a Numbered<Weak<FileOpen>>> + 'a,
) -> impl Iterator<Item = Numbered<Arc<FileOpen>>> + 'a {
    let living = opens.filter_map(|(id, file)| Some((*id, file.upgrade()?)));
    // Other volumes have files of the same id.
    living.filter(|(_, file)| vfs.has(&file.vfs))
}

/// Whether an open is of what is at `path`, or below it: what has come there in this spelling.
pub(super) fn is_below(file: &FileOpen, path: &VPath) -> bool {
    file.vfs.path().is_ok_and(|at| at.rebase(path, path).is_some())
}
