//! Where events come from: fanotify, which tells who made a change, or inotify where that cannot be had. Everything
//! behind [`Source`] is the same for both.

use super::dirs::Wd;
use super::fanotify::Fanotify;
use super::inotify::Inotify;
use super::pending::Key;
use crate::error::Outcome;
use crate::volume::Disk;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::sync::Arc;
use std::time::Instant;
use volume::{Author, FileId};

/// Room for one read of events, bytes.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;

/// What has happened.
#[derive(Debug)]
pub(super) enum Event {
    /// Something that is not told.
    Lost(&'static str),
    /// Content or attributes of what is under a name; `nameless` when it may have been taken from under it before.
    Changed {
        key: Key,
        nameless: bool,
        by: Author,
    },
    /// A name has come to be.
    Appeared {
        key: Key,
        is_dir: bool,
        by: Author,
    },
    /// A name went away.
    Removed {
        key: Key,
        by: Author,
    },
    /// A name went away, and something may have come under it before or since, which nothing else tells.
    Replaced {
        key: Key,
        by: Author,
    },
    Moved {
        from: Key,
        to: Key,
        is_dir: bool,
        by: Author,
    },
    /// Of a watched directory itself.
    Itself {
        wd: Wd,
        what: Itself,
        by: Author,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Itself {
    Attributes,
    /// It is gone, or what it is in is mounted no more.
    Gone,
    /// The kernel does not watch it any more.
    Unwatched,
}

pub(super) enum Source {
    Fanotify(Fanotify),
    Inotify(Inotify),
}

impl Source {
    /// The better one that works here; inotify when `plain`.
    pub(super) fn open(disk: &Arc<Disk>, plain: bool) -> Outcome<Source> {
        if !plain && !disk.config.by_inotify {
            match Fanotify::open(disk) {
                Ok(fanotify) => return Ok(Source::Fanotify(fanotify)),
                Err(failure) => tracing::debug!(?failure, "fanotify does not work here, inotify is used"),
            }
        }
        Ok(Source::Inotify(Inotify::open()?))
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Source::Fanotify(_) => "fanotify",
            Source::Inotify(_) => "inotify",
        }
    }

    /// Whether the author of each change is told, ours too.
    pub(super) fn tells_authors(&self) -> bool {
        match self {
            Source::Fanotify(fanotify) => fanotify.tells_ours(),
            Source::Inotify(_) => false,
        }
    }

    /// Becomes readable when there are events.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Source::Fanotify(fanotify) => fanotify.fd(),
            Source::Inotify(inotify) => inotify.fd(),
        }
    }

    /// When something is to be read though there are no events.
    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            Source::Fanotify(_) => None,
            Source::Inotify(inotify) => inotify.due(),
        }
    }

    /// All that has happened since, or the first of it; nothing when nothing has.
    pub(super) fn read(&mut self) -> Result<Vec<Event>, Errno> {
        match self {
            Source::Fanotify(fanotify) => fanotify.read(),
            Source::Inotify(inotify) => inotify.read(),
        }
    }

    /// Watches a directory, which is opened for listing.
    pub(super) fn watch(&mut self, dir: &OwnedFd, id: FileId) -> Outcome<Wd> {
        match self {
            Source::Fanotify(fanotify) => fanotify.watch(dir, id),
            Source::Inotify(inotify) => Ok(inotify.watch(dir)?),
        }
    }

    pub(super) fn unwatch(&mut self, wd: Wd) {
        match self {
            Source::Fanotify(fanotify) => fanotify.unwatch(wd),
            Source::Inotify(inotify) => inotify.unwatch(wd),
        }
    }

    /// A directory that we may not read stands under a name: what is told of it is told under that.
    pub(super) fn is_closed(&mut self, dir: &OwnedFd, key: &Key) {
        match self {
            Source::Fanotify(fanotify) => fanotify.is_closed(dir, key),
            // The directory above tells.
            Source::Inotify(_) => {}
        }
    }

    /// Why it does not do for this tree, found out by watching.
    pub(super) fn fault(&self) -> Option<&'static str> {
        match self {
            Source::Fanotify(fanotify) => fanotify.fault(),
            Source::Inotify(_) => None,
        }
    }
}
