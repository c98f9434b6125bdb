//! Reading all names of a directory for some that are not there as they are spelled ([`crate::resolve`]).
//!
//! A directory may have very many names, and very many may ask for missing ones at a time, who need no right for that. So of
//! those who ask one reads the directory for all, and the others wait; who has come after he began looks at what is known then
//! (`index`), and else is answered by the next reading, with all others who have come meanwhile. So many directories are read
//! at once, and so many names are kept of them together until they have their index: of a directory for which there is no room
//! it is kept what answers those who ask. It is read again for the next ones.

use crate::case::Case;
use crate::core::{Core, in_time};
use crate::index::Names;
use crate::name_lock::{NameGuard, NameLocks};
use crate::{Limits, Result};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use tokio::sync::{Semaphore, SemaphorePermit};
use volume::{Cx, ListHow, VPath};

/// Directories of a volume that are read at once: each with a page of entries in memory.
pub(crate) const READINGS_AT_ONCE: usize = 16;

pub(crate) struct Readings {
    case: Case,
    /// Who waits for a reading that has not begun, by the place of the directory.
    asked: Mutex<HashMap<VPath, Arc<Batch>>>,
    /// One reads a directory at a time.
    turns: Arc<NameLocks>,
    at_once: Semaphore,
    /// For names of directories that are being read.
    room: Semaphore,
}

/// Those who are answered by one reading.
#[derive(Debug, Default)]
struct Batch {
    asked: Mutex<Names>,
    found: OnceLock<Names>,
}

/// One of them, until he has his answer or gives up.
struct Asked<'a> {
    readings: &'a Readings,
    place: VPath,
    batch: Option<Arc<Batch>>,
}

impl Readings {
    pub(crate) fn new(limits: &Limits, case: Case) -> Readings {
        Readings {
            case,
            asked: Mutex::default(),
            turns: Arc::default(),
            at_once: Semaphore::new(READINGS_AT_ONCE),
            room: Semaphore::new(limits.index_names.min(Semaphore::MAX_PERMITS)),
        }
    }

    /// Asks for a name, of whoever reads the directory next.
    fn ask(&self, dir: &VPath, name: &str) -> Asked<'_> {
        let place = self.case.place(dir).into_owned();
        let mut asked = self.asked.lock();
        let batch = asked.entry(place.clone()).or_default().clone();
        batch.asked.lock().add(name.into());
        Asked { readings: self, place, batch: Some(batch) }
    }
}

impl Asked<'_> {
    fn batch(&self) -> &Batch {
        self.batch.as_ref().expect("until it is dropped")
    }

    /// What another has found meanwhile.
    fn answer(&self, name: &str) -> Option<Option<Arc<str>>> {
        self.batch().found.get().map(|found| found.find(name))
    }

    /// The reading begins: who comes from now on is not answered by it. What it is to find.
    fn begin(&self) -> Names {
        let mut asked = self.readings.asked.lock();
        if let Entry::Occupied(next) = asked.entry(self.place.clone())
            && std::ptr::eq(&raw const **next.get(), self.batch())
        {
            next.remove();
        }
        self.batch().asked.lock().clone()
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut asked = self.readings.asked.lock();
        self.batch = None;
        // Clones are made and dropped under this mutex only: a count of one is nobody but the map.
        if let Entry::Occupied(next) = asked.entry(self.place.clone())
            && Arc::strong_count(next.get()) == 1
        {
            next.remove();
        }
    }
}

impl Core {
    /// The stored spelling of a name by its directory as it is now, unless somebody else has come to know it just before.
    pub(crate) async fn read_spelling(
        &self,
        cx: &Cx,
        dir: &VPath,
        name: &str,
        known: impl Fn() -> Option<Option<Arc<str>>>,
    ) -> Result<Option<Arc<str>>> {
        let asked = self.readings.ask(dir, name);
        let _turn: NameGuard = in_time(cx, dir, self.readings.turns.alone(dir)).await?;
        if let Some(found) = known().or_else(|| asked.answer(name)) {
            return Ok(found);
        }
        let _one = in_time(cx, dir, self.readings.at_once.acquire()).await?;
        let sought = asked.begin();
        let reading = Reading::begin(self, dir);
        let (names, room) = self.read_names(cx, dir, &sought).await?;
        let found = names.find_all(&sought);
        // The very same name may have come to be meanwhile: that is for the next look at it.
        let answer = found.find(name);
        if room.is_some() {
            self.indexes.lock().put(reading.dir, names, Instant::now());
        }
        // Nobody else has read for these.
        let _first = asked.batch().found.set(found);
        Ok(answer)
    }

    /// The names of a directory, with the room that they take; without it only what is found of those that are sought.
    async fn read_names(
        &self,
        cx: &Cx,
        dir: &VPath,
        sought: &Names,
    ) -> Result<(Names, Option<SemaphorePermit<'_>>)> {
        let mut names = Names::default();
        let mut room = self.readings.room.try_acquire_many(0).ok();
        let mut how = ListHow { cursor: None, ahead: 0 };
        loop {
            let page = self.volume.list(cx, dir, how.clone()).await?;
            room = room.and_then(|mut room| {
                let entries = u32::try_from(page.entries.len()).unwrap_or(u32::MAX);
                room.merge(self.readings.room.try_acquire_many(entries).ok()?);
                Some(room)
            });
            page.entries.into_iter().for_each(|entry| names.add(entry.name));
            if room.is_none() {
                names = names.find_all(sought);
            }
            match page.next {
                Some(next) => how.cursor = Some(next),
                None => return Ok((names, room)),
            }
        }
    }
}

/// A directory is being read: what changes there meanwhile is kept for its index.
struct Reading<'a> {
    core: &'a Core,
    dir: &'a VPath,
}

impl<'a> Reading<'a> {
    fn begin(core: &'a Core, dir: &'a VPath) -> Reading<'a> {
        core.indexes.lock().begin_reading(dir);
        Reading { core, dir }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.core.indexes.lock().end_reading(self.dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VfsConfig;
    use testkit::ease::{cx, p, put};
    use testkit::{FaultVolume, MemConfig, MemVolume, Op};

    async fn core(index_names: usize) -> (Arc<FaultVolume>, Core) {
        let mem = MemVolume::with(MemConfig { page_entries: 10, ..MemConfig::default() });
        for n in 0..100 {
            put(&*mem, &format!("d{n}"), "").await;
        }
        let (volume, limits) = (FaultVolume::new(mem), Limits { index_names, ..Limits::default() });
        let core = Core::new(volume.clone(), VfsConfig { limits, ..VfsConfig::default() });
        (volume, core)
    }

    #[tokio::test]
    async fn of_a_directory_beyond_the_limit_nothing_is_kept_but_what_is_sought() {
        let mut sought = Names::default();
        ["D7", "D93", "none"].iter().for_each(|name| sought.add((*name).into()));
        for (index_names, is_room, kept) in [(100, true, 100), (99, false, 2)] {
            let (_, core) = core(index_names).await;
            let (names, room) = core.read_names(&cx(), &p(""), &sought).await.unwrap();
            assert_eq!((room.is_some(), names.len()), (is_room, kept));
            assert_eq!(names.find("D93").as_deref(), Some("d93"));
            drop(room);
            assert_eq!(core.readings.room.available_permits(), index_names);
        }
    }

    #[tokio::test]
    async fn nothing_is_left_of_those_who_asked_and_gave_up() {
        let (volume, core) = core(100).await;
        let (dir, cx) = (p(""), cx());
        let mut waiting = std::task::Context::from_waker(std::task::Waker::noop());
        let gate = volume.gate(Op::List);
        let mut asks: Vec<_> =
            ["D1", "D2", "D3"].map(|name| Box::pin(core.read_spelling(&cx, &dir, name, || None))).into();
        for ask in &mut asks {
            assert!(ask.as_mut().poll(&mut waiting).is_pending());
        }
        assert_eq!(core.readings.asked.lock().len(), 1);
        drop(asks);
        assert_eq!(core.readings.asked.lock().len(), 0);
        gate.release();
        let found = core.read_spelling(&cx, &dir, "D1", || None).await.unwrap();
        assert_eq!(found.as_deref(), Some("d1"));
    }
}
