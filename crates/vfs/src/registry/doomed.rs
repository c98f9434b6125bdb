//! Names that are to go away with their last open: marked, spared, and removed.

use super::{Doomed, Registry};
use crate::case::same;
use crate::{Error, OpenId, Result};
use volume::{FileId, VPath};

impl Registry {
    /// The name was removed at the volume, or cannot be.
    pub(crate) fn removed(&mut self, file: FileId, path: &VPath) {
        self.spare_name(file, path);
        self.drop_if_empty(file);
    }

    fn spare_name(&mut self, file: FileId, path: &VPath) {
        if let Some(slot) = self.slots.get_mut(&file) {
            let spared = slot.doomed.extract_if(.., |doomed| same(&doomed.path, path));
            spared.for_each(|doomed| self.places.leave(&doomed.path, file));
        }
    }

    /// Gives an open that did not happen its old flag back: a withdrawn open dooms nothing.
    pub(crate) fn spare(&mut self, file: FileId, open: OpenId) {
        let slot = self.slots.get_mut(&file);
        if let Some(record) = slot.and_then(|slot| slot.records.iter_mut().find(|record| record.id == open)) {
            record.delete_on_close = false;
        }
    }

    /// Marks the name of an open to go away with its last open, or takes that back.
    pub(crate) fn set_doomed(&mut self, file: FileId, open: OpenId, on: bool) -> Result<()> {
        let record = self.record(file, open).ok_or(Error::Closed)?;
        let doomed = Doomed { path: record.path.clone(), parent_lease: record.parent_lease };
        self.spare_name(file, &doomed.path);
        if on && let Some(slot) = self.slots.get_mut(&file) {
            self.places.enter(&doomed.path, file);
            slot.doomed.push(doomed);
        }
        Ok(())
    }

    pub(crate) fn is_doomed(&self, file: FileId, path: &VPath) -> bool {
        self.slots.get(&file).is_some_and(|slot| slot.doomed.iter().any(|doomed| same(&doomed.path, path)))
    }

    /// Whether anything is to go away under this very name.
    pub(crate) fn is_path_doomed(&self, path: &VPath) -> bool {
        self.places.at(path).any(|file| self.is_doomed(file, path) && !self.streams.is_stream(file))
    }
}
