//! Watching a tree: each directory is watched first and listed second.

use super::FOUND_MAX;
use super::dirs::Wd;
use super::gaps::Mend;
use super::pending::Key;
use super::source::BUFFER_BYTES;
use super::thread::{Watcher, gone};
use crate::attributes;
use crate::beneath::{dir_at, handle_at};
use crate::error::{Failure, Outcome};
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, RawDir};
use std::time::Instant;
use volume::{Author, ErrorKind, Freshness, Kind, VPath};

/// A directory that is watched now.
struct Added {
    wd: Wd,
    names: Vec<Found>,
}

/// A name in a directory.
struct Found {
    name: Box<[u8]>,
    is_dir: bool,
}

impl Watcher {
    /// Watches a directory and all below; the root without a key. Gives what was in it, or the first of that with more
    /// than [`FOUND_MAX`] names.
    pub(super) fn add_tree(&mut self, top: Option<Key>) -> Vec<Key> {
        let mut queue = vec![top];
        let mut all = Vec::new();
        while let Some(key) = queue.pop()
            && !self.subscribers.is_over()
        {
            key.iter().for_each(|key| self.gaps.remove(key));
            if key.as_ref().is_some_and(|key| self.keeps_out(key)) {
                continue;
            }
            match self.add_dir(key.as_ref()) {
                Ok(Added { wd, names }) => {
                    let dirs = names.iter().filter(|found| found.is_dir);
                    queue.extend(dirs.map(|found| Some((wd, found.name.clone()))));
                    if all.len() <= FOUND_MAX {
                        all.extend(names.into_iter().map(|found| (wd, found.name)));
                    }
                }
                Err(failure) if gone(failure) => {
                    key.into_iter().for_each(|key| self.astray.add(key, Author::Unknown, Instant::now()));
                }
                Err(_) if self.source.fault().is_some() => {
                    self.subscribers.promise(Freshness::Direct);
                    self.anew = self.source.fault();
                    break;
                }
                Err(failure) if failure.kind() == ErrorKind::NoSpace => {
                    self.full(failure);
                    break;
                }
                Err(failure) => self.cannot_watch(key, failure),
            }
        }
        all
    }

    fn full(&mut self, failure: Failure) {
        self.subscribers.promise(Freshness::Direct);
        if !std::mem::replace(&mut self.gaps.lasting, true) {
            self.gaps.are_known = true;
            let (watched, allowed) = (self.dirs.len(), self.disk.config.watched_dirs_max);
            tracing::warn!(
                watched,
                allowed,
                ?failure,
                "not all directories can be watched: changes by others may go unnoticed, so nothing is \
                 promised (raise fs.inotify.max_user_watches)"
            );
        }
    }

    fn cannot_watch(&mut self, key: Option<Key>, failure: Failure) {
        let mend = match &key {
            Some(key) if failure.kind() == ErrorKind::PermissionDenied => match self.reaches(key) {
                Ok(true) => Mend::Event,
                // Nobody comes to what is in it through us. That it is opened is told, and then it is watched.
                Ok(false) => return,
                // It may be one above it that is closed.
                Err(_) => return self.leaves_unseen(key.clone(), failure),
            },
            Some(_) | None => Mend::Attempt,
        };
        self.leaves_gap(key, mend, failure);
    }

    /// Whether we may pass through a directory that we may not read.
    fn reaches(&mut self, key: &Key) -> Outcome<bool> {
        let dir = handle_at(&self.open_dir(key.0)?, &key.1)?;
        self.source.is_closed(&dir, key);
        lets_pass(&dir)
    }

    /// Something is not watched: nothing is promised as long as that is so.
    pub(super) fn leaves_gap(&mut self, key: Option<Key>, mend: Mend, failure: Failure) {
        self.subscribers.promise(Freshness::Direct);
        if !std::mem::replace(&mut self.gaps.are_known, true) {
            let name = key.as_ref().map(|key| &*key.1);
            let path = key.as_ref().map_or(Some(VPath::root()), |key| self.dirs.path(key.0, name));
            tracing::warn!(
                ?path,
                ?failure,
                "a directory cannot be watched: changes in it by others may go unnoticed, so nothing is promised \
                 while it is there and closed to this process"
            );
        }
        self.gaps.add(key, mend);
    }

    /// Watches one directory, then lists it.
    fn add_dir(&mut self, key: Option<&Key>) -> Outcome<Added> {
        if self.dirs.len() >= self.disk.config.watched_dirs_max {
            return Err(ErrorKind::NoSpace.into());
        }
        let dir = match key {
            Some((parent, name)) => dir_at(&self.open_dir(*parent)?, name)?,
            None => self.disk.root.dir(&VPath::root())?,
        };
        let id = attributes::id_of(&attributes::look(&dir)?);
        let wd = self.source.watch(&dir, id)?;
        if key.is_some_and(|(parent, _)| self.dirs.is_within(*parent, wd)) {
            // Something that shows the directory it is in was mounted a moment ago.
            return Err(ErrorKind::Loop.into());
        }
        self.dirs.add(wd, id, key.map(|(parent, name)| (*parent, &**name)));
        let names = list(&dir).inspect_err(|_| self.unwatch(wd))?;
        self.gaps.shut.remove(&wd);
        Ok(Added { wd, names })
    }
}

/// Whether we may pass through a directory.
pub(super) fn lets_pass(dir: &OwnedFd) -> Outcome<bool> {
    match handle_at(dir, b".") {
        Ok(_) => Ok(true),
        Err(failure) if failure.kind() == ErrorKind::PermissionDenied => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// All directories in a directory, and of other names no more than count.
fn list(dir: &OwnedFd) -> Outcome<Vec<Found>> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    let mut raw = RawDir::new(dir, buffer.spare_capacity_mut());
    let mut names = Vec::new();
    while let Some(entry) = raw.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let is_dir = match entry.file_type() {
            FileType::Directory => true,
            FileType::Unknown => {
                // One that cannot be looked at may be one.
                attributes::look_at(dir, name).map_or(true, |stat| attributes::kind_of(&stat) == Kind::Dir)
            }
            _ => false,
        };
        if is_dir || names.len() <= FOUND_MAX {
            names.push(Found { name: Box::from(name), is_dir });
        }
    }
    Ok(names)
}
