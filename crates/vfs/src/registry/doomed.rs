//! Names that are to go away with their last open, or with that of who unlinks them: marked, spared, and removed.

use super::{Doomed, Record, Registry, Slot};
use crate::{Error, OpenId, Result};
use volume::{FileId, VPath};

impl Doomed {
    pub(super) fn by(record: &Record) -> Doomed {
        let (path, parent_lease) = (record.path.clone(), record.parent_lease);
        Doomed { by: record.id, path, parent_lease, going: false }
    }
}

impl Registry {
    /// Where a name that was doomed by this open stands now; `None` when it is not to go away any more.
    pub(crate) fn doomed_at(&self, file: FileId, by: OpenId) -> Option<VPath> {
        let doomed = self.slots.get(&file)?.doomed.iter().find(|doomed| doomed.by == by)?;
        Some(doomed.path.clone())
    }

    /// The name was removed at the volume, or cannot be.
    pub(crate) fn removed(&mut self, file: FileId, doomed_by: OpenId) {
        self.spare_names(file, |doomed| doomed.by == doomed_by);
        self.drop_if_empty(file);
    }

    fn spare_names(&mut self, file: FileId, which: impl Fn(&Doomed) -> bool) {
        if let Some(slot) = self.slots.get_mut(&file) {
            let spared = slot.doomed.extract_if(.., |doomed| which(doomed));
            spared.for_each(|doomed| self.places.leave(&doomed.path, file));
        }
    }

    /// A name was removed at the volume, or is another file's, though there are opens of it: they have none any more, and
    /// nothing is left that is to go away with them.
    pub(crate) fn lost_name(&mut self, file: FileId, path: &VPath) {
        let case = self.case;
        let Some(slot) = self.slots.get_mut(&file) else { return };
        for record in slot.records.iter_mut().filter(|record| record.stands_at(path, case)) {
            (record.unnamed, record.delete_on_close, record.unlinks) = (true, false, false);
            self.places.leave(&record.path, file);
        }
        self.spare_names(file, |doomed| case.same(&doomed.path, path));
    }

    /// Gives an open that did not happen its old flag back: a withdrawn open dooms nothing.
    pub(crate) fn spare(&mut self, file: FileId, open: OpenId) {
        self.set_on_close(file, open, false, false);
    }

    /// Whether the end of an open dooms its name, and as POSIX has it.
    pub(crate) fn set_on_close(&mut self, file: FileId, open: OpenId, on: bool, posix: bool) {
        if let Some(record) = self.record_mut(file, open) {
            (record.delete_on_close, record.unlinks) = (on, on && posix);
        }
    }

    /// The end of an open takes its name along if that is doomed then, or not any more.
    pub(crate) fn set_unlinks(&mut self, file: FileId, open: OpenId, on: bool) {
        if let Some(record) = self.record_mut(file, open) {
            record.unlinks = on;
        }
    }

    fn record_mut(&mut self, file: FileId, open: OpenId) -> Option<&mut Record> {
        let slot = self.slots.get_mut(&file)?;
        slot.records
            .get_mut(*self.stands_at.get(&open)?)
            .filter(|record| record.id == open && !record.unnamed)
    }

    /// Marks the name of an open to go away with its last open, or takes that back. What is being removed just now goes all
    /// the same: another mark stands beside it, in case that fails.
    ///
    /// # Errors
    /// `DeletePending` for taking back what is being removed.
    pub(crate) fn set_doomed(&mut self, file: FileId, open: OpenId, on: bool) -> Result<()> {
        let record = self.record(file, open).ok_or(Error::Closed)?;
        if record.unnamed {
            return Ok(());
        }
        let (doomed, case) = (Doomed::by(record), self.case);
        if !on && self.slots.get(&file).is_some_and(|slot| slot.is_going(&doomed.path, case)) {
            return Err(Error::DeletePending);
        }
        self.spare_names(file, |other| !other.going && case.same(&other.path, &doomed.path));
        if on && let Some(slot) = self.slots.get_mut(&file) {
            self.places.enter(&doomed.path, file);
            slot.doomed.push(doomed);
        }
        Ok(())
    }

    /// Dooms the name of an open that has made its file and cannot finish it. False, and it stays, whatever the open has
    /// asked for its end, where anybody else has opened the file since, who may have left something in it.
    pub(crate) fn doom_newborn(&mut self, file: FileId, open: OpenId) -> Result<bool> {
        let is_its_alone = self.slots.get(&file).is_some_and(|slot| slot.opened == 1);
        match is_its_alone {
            true => self.set_doomed(file, open, true)?,
            false => self.spare(file, open),
        }
        Ok(is_its_alone)
    }

    pub(crate) fn is_doomed(&self, file: FileId, path: &VPath) -> bool {
        self.slots.get(&file).is_some_and(|slot| slot.is_doomed(path, self.case))
    }

    /// Whether a name below this directory is being removed just now: it is doomed, and no open keeps it.
    pub(crate) fn is_removing_below(&self, dir: &VPath) -> bool {
        self.doomed_below(dir)
            .any(|(slot, doomed)| doomed.going || !slot.has_open_of(&doomed.path, self.case))
    }

    /// Whether a name below this directory is to go away, whoever has it open still.
    pub(crate) fn is_going_below(&self, dir: &VPath) -> bool {
        self.doomed_below(dir).next().is_some()
    }

    fn doomed_below(&self, dir: &VPath) -> impl Iterator<Item = (&Slot, &Doomed)> {
        let slots = self.places.below(dir).filter_map(|file| self.slots.get(&file));
        let doomed = slots.flat_map(|slot| slot.doomed.iter().map(move |doomed| (slot, doomed)));
        doomed.filter(|(_, doomed)| self.case.is_below(&doomed.path, dir))
    }

    /// Whether anything is to go away under this very name.
    pub(crate) fn is_path_doomed(&self, path: &VPath) -> bool {
        self.places.at(path).any(|file| self.is_doomed(file, path) && !self.streams.is_stream(file))
    }
}
