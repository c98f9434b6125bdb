//! Reading a journal from a record on, up to what is written.

use super::{Journal, segment};
use crate::{Result, StoreError};
use segment::Frame;
use std::fs::File;
use std::sync::Arc;

/// A place in a journal.
pub struct Reader {
    journal: Arc<Journal>,
    number: u64,
    place: Option<Place>,
}

struct Place {
    file: Arc<File>,
    at: u64,
    /// The first record of the next segment, or what there was when the place was found.
    until: u64,
}

impl Reader {
    pub(super) fn new(journal: Arc<Journal>, number: u64) -> Reader {
        Reader { journal, number, place: None }
    }

    /// The number of the record that [`Reader::next`] gives.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next record with its number; `None` at the present end. `Damaged` for one that is not as it was written, or was given up
    /// meanwhile.
    #[expect(clippy::should_implement_trait, reason = "the end is only the present one")]
    pub fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>> {
        if self.number >= self.journal.next() {
            return Ok(None);
        }
        if self.place.as_ref().is_none_or(|place| self.number >= place.until) {
            self.place = Some(self.find()?);
        }
        let Some(place) = &mut self.place else { return Ok(None) };
        let frame = segment::read_frame(&place.file, place.at, self.number);
        let Frame::Record(record, length) = frame.map_err(|source| self.journal.io(source))? else {
            return Err(self.damaged());
        };
        place.at += length;
        self.number += 1;
        Ok(Some((self.number - 1, record)))
    }

    /// Finds the record from the beginning of its segment on, or goes on where the last one ended.
    fn find(&mut self) -> Result<Place> {
        let (first, file, until) = self.journal.holder(self.number).ok_or_else(|| self.damaged())?;
        if let Some(place) = self.place.take().filter(|place| Arc::ptr_eq(&place.file, &file)) {
            return Ok(Place { until, ..place });
        }
        let mut at = segment::HEAD;
        for number in first..self.number {
            match segment::read_frame(&file, at, number).map_err(|source| self.journal.io(source))? {
                Frame::Record(_, length) => at += length,
                Frame::Closed | Frame::Nothing => return Err(self.damaged()),
            }
        }
        Ok(Place { file, at, until })
    }

    /// That the record before, which is as it was written, cannot be understood.
    pub fn damaged_here(&self) -> StoreError {
        StoreError::Damaged {
            path: self.journal.dir.clone(),
            what: format!("record {} is none of this version", self.number - 1),
        }
    }

    fn damaged(&self) -> StoreError {
        StoreError::Damaged {
            path: self.journal.dir.clone(),
            what: format!("record {} is missing or damaged", self.number),
        }
    }
}
