//! Which streams are open: found by the object that carries them and by name, and what their opens stand against.
//! Plain state of the registry.
//!
//! An open stream has a slot like a file, under an id of its own that is drawn when it is opened and kept through a
//! rename: so share modes, locks, caching rights and doomed names of a stream are those of any file. The paths in its
//! records are those of the object that carries it.

use super::file::StreamFile;
use crate::caching::{Contest, Told};
use crate::contend::Against;
use crate::core::Core;
use crate::registry::{Node, Record, Registry};
use crate::{Access, Error, OpenId, Result, Share, names, share};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use tokio::time::Instant;
use volume::FileId;

/// A stream that somebody has open.
#[derive(Clone, Debug)]
pub(crate) struct OpenStream {
    /// Of its slot.
    pub id: FileId,
    /// As the volume spells it.
    pub name: Arc<str>,
    /// Shared by all its opens.
    pub file: Arc<StreamFile>,
}

#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// By the object that carries them.
    open: HashMap<FileId, Vec<OpenStream>>,
    /// The objects, by the id of the stream's slot.
    bases: HashMap<FileId, FileId>,
    drawn: u64,
    ids: RandomState,
}

impl Streams {
    /// The object that carries a stream, by the id of its slot.
    pub(crate) fn base_of(&self, stream: FileId) -> Option<FileId> {
        self.bases.get(&stream).copied()
    }

    pub(crate) fn is_stream(&self, id: FileId) -> bool {
        self.bases.contains_key(&id)
    }

    /// The open streams of an object.
    pub(crate) fn of(&self, base: FileId) -> &[OpenStream] {
        self.open.get(&base).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn find(&self, base: FileId, name: &str) -> Option<&OpenStream> {
        self.of(base).iter().find(|stream| names::same(&stream.name, name))
    }

    /// A stream by the id of its slot, and what carries it.
    pub(crate) fn with_base(&self, stream: FileId) -> Option<(FileId, OpenStream)> {
        Some((self.base_of(stream)?, self.get(stream)?.clone()))
    }

    pub(crate) fn get(&self, stream: FileId) -> Option<&OpenStream> {
        self.of(self.base_of(stream)?).iter().find(|open| open.id == stream)
    }

    /// The stream of this name, with an id drawn for it when nobody has it open.
    pub(crate) fn enter(&mut self, core: &Arc<Core>, base: FileId, name: &Arc<str>) -> OpenStream {
        if let Some(stream) = self.find(base, name) {
            return stream.clone();
        }
        self.drawn += 1;
        // Among the ids of files no two of 128 random bits meet.
        let word = |half: u8| self.ids.hash_one((base, self.drawn, half));
        let id = FileId { hi: word(0), lo: word(1) };
        let file = Arc::new(StreamFile::new(core.clone(), base, id));
        let stream = OpenStream { id, name: name.clone(), file };
        self.open.entry(base).or_default().push(stream.clone());
        self.bases.insert(id, base);
        stream
    }

    pub(crate) fn renamed(&mut self, stream: FileId, to: &Arc<str>) {
        let Some(base) = self.base_of(stream) else { return };
        let streams = self.open.entry(base).or_default().iter_mut();
        streams.filter(|open| open.id == stream).for_each(|open| open.name = to.clone());
    }

    pub(crate) fn forget(&mut self, stream: FileId) {
        let Some(base) = self.bases.remove(&stream) else { return };
        if let Some(streams) = self.open.get_mut(&base) {
            streams.retain(|open| open.id != stream);
            if streams.is_empty() {
                self.open.remove(&base);
            }
        }
    }

    /// Somebody may have changed streams past us: of one object, or of any.
    pub(crate) fn doubt(&self, base: Option<FileId>) {
        let all = self.open.iter().filter(|(id, _)| base.is_none_or(|base| **id == base));
        all.flat_map(|(_, streams)| streams).for_each(|stream| stream.file.doubt());
    }
}

/// A stream whose holders must be waited for.
type Waits = Option<(FileId, Arc<Node>)>;

impl Registry {
    /// Forgets a stream that was entered and has not come to be open.
    pub(crate) fn forget_unopened(&mut self, stream: FileId) {
        if !self.slots.contains_key(&stream) {
            self.streams.forget(stream);
        }
    }

    /// Whether streams of an object let it be opened for `DELETE` or be emptied: both take them along.
    pub(crate) fn contend_taking_streams(&mut self, base: FileId, told: &mut Vec<Told>) -> Result<Waits> {
        let taking = (Access::DELETE, Share::all());
        let stands = |there: &Record| share::conflict((there.access, there.share), taking);
        self.contend_streams(base, stands, told, || Error::SharingViolation)
    }

    /// Whether streams of an object let it be renamed: while one is open it is not.
    pub(crate) fn contend_moving_streams(&mut self, base: FileId, told: &mut Vec<Told>) -> Result<Waits> {
        self.contend_streams(base, |_| true, told, || Error::AccessDenied)
    }

    fn contend_streams(
        &mut self,
        base: FileId,
        stands: impl Fn(&Record) -> bool,
        told: &mut Vec<Told>,
        refusal: impl Fn() -> Error,
    ) -> Result<Waits> {
        let now = Instant::now();
        let mut refused = false;
        for OpenStream { id, .. } in self.streams.of(base) {
            let Some(slot) = self.slots.get_mut(id) else { continue };
            match slot.contend_holders(&stands, now, told) {
                Against::Nobody => {}
                Against::Waits => return Ok(Some((*id, slot.node.clone()))),
                Against::Stands => refused = true,
            }
        }
        if refused { Err(refusal()) } else { Ok(None) }
    }

    /// Others changed an object at the origin: its streams may be others now.
    pub(crate) fn contend_foreign_streams(&mut self, base: FileId, told: &mut Vec<Told>) {
        self.streams.doubt(Some(base));
        for OpenStream { id, .. } in self.streams.of(base) {
            if let Some(slot) = self.slots.get_mut(id) {
                // Nobody waits: it has happened.
                let _until = slot.caching.contend(None, Contest::Foreign, Instant::now(), told);
                slot.note_caching();
            }
        }
    }

    /// Has a stream go away with its last open; false when nobody has it open.
    pub(crate) fn doom_stream(&mut self, base: FileId, name: &str) -> Result<bool> {
        let Some(id) = self.streams.find(base, name).map(|stream| stream.id) else { return Ok(false) };
        let records = self.slots.get(&id).into_iter().flat_map(|slot| &slot.records);
        let opens: Vec<OpenId> = records.map(|record| record.id).collect();
        for open in &opens {
            self.set_doomed(id, *open, true)?;
        }
        Ok(!opens.is_empty())
    }
}
