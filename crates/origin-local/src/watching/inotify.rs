//! Events out of inotify(7), which does not tell who made a change.
//!
//! Both halves of a move come one after the other; the first is held until the next event, and is a removal
//! if that is not the second half.

use super::dirs::Wd;
use super::pending::Key;
use super::source::{BUFFER_BYTES, Event, Itself};
use crate::beneath::ProcPath;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::time::{Duration, Instant};
use volume::Author;

/// How long the first half of a move waits for the second, which the kernel sends right behind it.
const MOVE_HALVES_APART: Duration = Duration::from_millis(10);

pub(super) struct Inotify {
    fd: OwnedFd,
    buffer: Vec<u8>,
    held: Option<HeldMove>,
}

/// The first half of a move.
struct HeldMove {
    cookie: u32,
    from: Key,
    until: Instant,
}

/// An event, out of the buffer it was read into.
struct Raw {
    wd: Wd,
    flags: ReadFlags,
    cookie: u32,
    name: Option<Box<[u8]>>,
}

fn wanted() -> WatchFlags {
    WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::MOVED_FROM
        | WatchFlags::MOVED_TO
        | WatchFlags::MODIFY
        | WatchFlags::ATTRIB
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::DELETE_SELF
        | WatchFlags::EXCL_UNLINK
        | WatchFlags::ONLYDIR
}

impl Inotify {
    pub(super) fn open() -> Result<Inotify, Errno> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Inotify { fd, buffer: Vec::with_capacity(BUFFER_BYTES), held: None })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.held.as_ref().map(|held| held.until)
    }

    pub(super) fn watch(&mut self, dir: &OwnedFd) -> Result<Wd, Errno> {
        inotify::add_watch(&self.fd, ProcPath::of(dir).bytes(), wanted())
    }

    pub(super) fn unwatch(&mut self, wd: Wd) {
        // Of a directory that is gone, the kernel has taken the watch away already.
        let _ = inotify::remove_watch(&self.fd, wd);
    }

    pub(super) fn read(&mut self) -> Result<Vec<Event>, Errno> {
        let mut events = Vec::new();
        for raw in self.read_raw()? {
            self.take(raw, &mut events);
        }
        if self.held.as_ref().is_some_and(|held| held.until <= Instant::now()) {
            self.settle_held(&mut events);
        }
        Ok(events)
    }

    fn read_raw(&mut self) -> Result<Vec<Raw>, Errno> {
        let mut reader = Reader::new(&self.fd, self.buffer.spare_capacity_mut());
        let mut events = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => events.push(Raw {
                    wd: event.wd(),
                    flags: event.events(),
                    cookie: event.cookie(),
                    name: event.file_name().map(|name| Box::from(name.to_bytes())),
                }),
                Err(Errno::AGAIN) => return Ok(events),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
            if reader.is_buffer_empty() {
                return Ok(events);
            }
        }
    }

    /// The second half of a move did not come: it went out of the tree.
    fn settle_held(&mut self, events: &mut Vec<Event>) {
        if let Some(HeldMove { from, .. }) = self.held.take() {
            events.push(Event::Replaced { key: from, by: Author::Unknown });
        }
    }

    fn take(&mut self, raw: Raw, events: &mut Vec<Event>) {
        let (flags, by) = (raw.flags, Author::Unknown);
        if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            events.push(Event::Lost("inotify lost events (fs.inotify.max_queued_events)"));
            return;
        }
        let second_half = flags.contains(ReadFlags::MOVED_TO)
            && self.held.as_ref().is_some_and(|held| held.cookie == raw.cookie);
        if !second_half {
            self.settle_held(events);
        }
        let Some(name) = raw.name else { return events.extend(of_itself(raw.wd, flags)) };
        let key: Key = (raw.wd, name);
        let is_dir = flags.contains(ReadFlags::ISDIR);
        if flags.contains(ReadFlags::MOVED_FROM) {
            let until = Instant::now() + MOVE_HALVES_APART;
            self.held = Some(HeldMove { cookie: raw.cookie, from: key, until });
            return;
        }
        events.push(if flags.contains(ReadFlags::MOVED_TO) {
            match self.held.take() {
                Some(held) => Event::Moved { from: held.from, to: key, is_dir, by },
                None => Event::Appeared { key, is_dir, by },
            }
        } else if flags.contains(ReadFlags::DELETE) {
            Event::Removed { key, by }
        } else if flags.contains(ReadFlags::CREATE) {
            Event::Appeared { key, is_dir, by }
        } else {
            Event::Changed { key, nameless: false, by }
        });
    }
}

/// An event of a watched directory itself.
fn of_itself(wd: Wd, flags: ReadFlags) -> Option<Event> {
    let what = if flags.contains(ReadFlags::IGNORED) {
        Itself::Unwatched
    } else if flags.intersects(ReadFlags::DELETE_SELF | ReadFlags::UNMOUNT) {
        Itself::Gone
    } else if flags.contains(ReadFlags::ATTRIB) {
        Itself::Attributes
    } else {
        return None;
    };
    Some(Event::Itself { wd, what, by: Author::Unknown })
}
