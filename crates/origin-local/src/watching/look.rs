//! What stands under a name in a watched directory.
//!
//! An event is read some time after it happened: where a directory is known to be, it may not be any more. So a name
//! is looked up in the very directory that is watched. Where that cannot be found at its place, or has no such name,
//! an event that says why is about to be read, and the name waits for it as one that is *astray*: it is told as gone
//! by that event, or looked up again when its directory has come to its new place. One of which no event has told
//! anything when there are no more to be read, or after [`ASTRAY_AT_MOST`] when they do not end, is not left at that:
//! its directory is told as unknown, and what is watched there is found out anew.

use super::FOUND_MAX;
use super::dirs::Wd;
use super::gaps::Mend;
use super::pending::Key;
use super::thread::{Watcher, gone};
use super::walk::lets_pass;
use crate::attributes;
use crate::beneath::{Patience, handle_at};
use crate::error::{Failure, Outcome};
use rustix::fd::OwnedFd;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use volume::{Attr, Author, ErrorKind, Notice, VPath};

/// Events that are queued now have been read after this time, however many come behind them: the kernel keeps
/// `max_queued_events` of `fs.fanotify` or `fs.inotify` (16,384), and says so when there are more.
pub(super) const ASTRAY_AT_MOST: Duration = Duration::from_secs(1);

pub(super) enum Looked {
    Found(VPath, Attr),
    /// Its directory is somewhere else, or the one that is watched under this name.
    Astray,
    /// Its directory has no such name.
    Missing,
    /// It may be there, and cannot be looked at.
    Closed(Failure),
    /// Its directory is not watched any more, and was told with all that is below.
    Left,
}

impl Watcher {
    /// A handle of a watched directory, where it is known to be.
    pub(super) fn open_dir(&self, wd: Wd) -> Outcome<OwnedFd> {
        let path = self.dirs.path(wd, None).ok_or(ErrorKind::NotFound)?;
        let dir = self.disk.root.handle(&path, Patience::Disk)?;
        let is_it = self.dirs.id(wd) == Some(attributes::id_of(&attributes::look(&dir)?));
        if is_it { Ok(dir) } else { Err(ErrorKind::NotFound.into()) }
    }

    pub(super) fn look(&self, key: &Key) -> Looked {
        let name = (!key.1.is_empty()).then_some(&*key.1);
        let Some(path) = self.dirs.path(key.0, name) else { return Looked::Left };
        let dir = match self.open_dir(key.0) {
            Ok(dir) => dir,
            Err(failure) if gone(failure) => return Looked::Astray,
            Err(failure) => return Looked::Closed(failure),
        };
        let watched = self.dirs.child(key.0, &key.1).and_then(|wd| self.dirs.id(wd));
        match self.look_in(dir, name) {
            Ok(attr) if watched.is_some_and(|id| id != attr.id) => Looked::Astray,
            Ok(attr) => Looked::Found(path, attr),
            Err(failure) if gone(failure) => Looked::Missing,
            Err(failure) => Looked::Closed(failure),
        }
    }

    fn look_in(&self, dir: OwnedFd, name: Option<&[u8]>) -> Outcome<Attr> {
        let found = match name {
            Some(name) => handle_at(&dir, name)?,
            None => dir,
        };
        attributes::attr_of(&found, self.disk.keeps)
    }

    /// Tells that a name is now what it is; a directory that is not watched is from now on.
    pub(super) fn tell_now(&mut self, key: Key, by: Author) {
        let vacated = self.vacated.remove(&key);
        match self.look(&key) {
            Looked::Found(path, attr) => {
                self.tell(Notice::Changed { path: path.clone(), attr: Some(attr), by });
                self.gaps.remove(&key);
                if attr.is_dir() && self.is_to_be_looked_through(&key) {
                    self.watch_below((!key.1.is_empty()).then_some(key), path);
                }
            }
            Looked::Missing if vacated => {}
            Looked::Astray | Looked::Missing => self.goes_astray(key, by, vacated),
            Looked::Closed(failure) => self.unseen(key, failure),
            Looked::Left => {}
        }
    }

    /// Something happened to a name, and what cannot be looked at: it may have come or gone, so its directory is told.
    /// It may be a directory, too.
    pub(super) fn unseen(&mut self, key: Key, failure: Failure) {
        if let Some(below) = self.dirs.path(key.0, None) {
            self.tell(Notice::Unknown { below });
        }
        self.leaves_unseen(key, failure);
    }

    /// A gap, unless nobody comes there through us.
    pub(super) fn leaves_unseen(&mut self, key: Key, failure: Failure) {
        if self.is_shut(key.0) {
            self.gaps.remove(&key);
            self.gaps.shut.insert(key.0);
        } else {
            self.leaves_gap(Some(key), Mend::Attempt, failure);
        }
    }

    /// What could not be watched or looked at: nothing is told when it still cannot be looked at.
    pub(super) fn try_again(&mut self, key: Key) {
        match self.look(&key) {
            Looked::Closed(failure) => self.leaves_unseen(key, failure),
            Looked::Found(..) | Looked::Astray | Looked::Missing | Looked::Left => {
                self.tell_now(key, Author::Unknown)
            }
        }
    }

    /// Whether a watched directory, or one above it, does not let us pass.
    fn is_shut(&self, mut wd: Wd) -> bool {
        loop {
            match self.open_dir(wd) {
                Ok(dir) => return matches!(lets_pass(&dir), Ok(false)),
                Err(failure) if failure.kind() != ErrorKind::PermissionDenied => return false,
                Err(_) => match self.dirs.place(wd) {
                    Some((above, _)) => wd = above,
                    None => return true,
                },
            }
        }
    }

    fn goes_astray(&mut self, key: Key, by: Author, vacated: bool) {
        if vacated {
            self.vacated.insert(key.clone());
        }
        self.astray.add(key, by, Instant::now());
    }

    /// Whether a directory is not watched, or something new in it or below it could not be looked at when it came.
    pub(super) fn is_to_be_looked_through(&self, key: &Key) -> bool {
        let watched = if key.1.is_empty() { Some(key.0) } else { self.dirs.child(key.0, &key.1) };
        watched.is_none_or(|top| self.gaps.shut.iter().any(|wd| self.dirs.is_within(*wd, top)))
    }

    /// Watches a directory that has appeared or was opened, the root without a key, and tells what was in it already.
    pub(super) fn watch_below(&mut self, top: Option<Key>, path: VPath) {
        let found = self.add_tree(top);
        if found.len() > FOUND_MAX {
            self.tell(Notice::Unknown { below: path });
            return;
        }
        // What also came as an event is told once. Who has made what came before it was watched, nobody can say.
        found.into_iter().for_each(|key| self.news(key, Author::Unknown));
    }

    /// A directory has come to its new place: what was astray because of that is told.
    pub(super) fn tell_astray_within(&mut self, top: Wd) {
        let within = self.astray.take_those(|key| self.dirs.is_within(key.0, top));
        within.into_iter().for_each(|(key, by)| self.tell_now(key, by));
    }

    /// A name has moved away: it is told where something is under it all the same. It was made anew, which its event
    /// tells too, or two names were exchanged, which looks like two moves.
    pub(super) fn vacated(&mut self, key: Key, by: Author) {
        match self.look(&key) {
            Looked::Found(..) => self.news(key, by),
            Looked::Astray => self.goes_astray(key, by, true),
            Looked::Missing | Looked::Closed(_) | Looked::Left => {}
        }
    }

    /// No event has told what became of the names that are astray.
    pub(super) fn find_out(&mut self) {
        let mut unknown = HashSet::new();
        for (key, by) in self.astray.take() {
            self.gaps.remove(&key);
            match self.look(&key) {
                Looked::Found(..) => self.tell_now(key, by),
                Looked::Missing if self.vacated.remove(&key) => {}
                Looked::Astray | Looked::Missing | Looked::Closed(_) => self.find_anew(key, &mut unknown),
                Looked::Left => {}
            }
        }
    }

    fn find_anew(&mut self, mut key: Key, unknown: &mut HashSet<VPath>) {
        self.vacated.remove(&key);
        // The topmost directory that is not where it is known to be, or the name itself.
        while let Some(place) = self.dirs.place(key.0).filter(|_| self.open_dir(key.0).is_err()) {
            key = place;
        }
        if let Some(dir) = self.dirs.child(key.0, &key.1) {
            self.unwatch(dir);
        }
        let Some(below) = self.dirs.path(key.0, None) else { return };
        if unknown.insert(below.clone()) {
            tracing::debug!(%below, "a name is gone, and no event has told it");
            self.tell(Notice::Unknown { below });
        }
        match self.look(&key) {
            Looked::Found(path, attr) if attr.is_dir() => self.watch_below(Some(key), path),
            Looked::Closed(failure) => self.leaves_unseen(key, failure),
            Looked::Found(..) | Looked::Astray | Looked::Missing | Looked::Left => {}
        }
    }
}
