//! The thread that reads inotify and tells what it means.
//!
//! A directory is watched first and listed second, so what appears in it meanwhile is seen by one or the
//! other. A directory that appears is told as changed, and so is what was in it already; with more than
//! [`super::FOUND_MAX`] names below, all that is below is unknown.
//! Both halves of a move come one after the other; the first is held until the next event, and is a removal
//! if that is not the second half. What becomes of names that are elsewhere by the time they are looked up:
//! [`super::look`]. Only directories below the root are ever opened, without following links.

use super::dirs::{Dirs, Wd};
use super::gaps::{Gaps, Mend};
use super::look::{ASTRAY_AT_MOST, Looked};
use super::mounted::Table;
use super::mounts::Mounts;
use super::pending::{Key, Pending};
use super::subscribers::Subscribers;
use crate::error::{Failure, Outcome};
use crate::volume::Disk;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader};
use rustix::io::Errno;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use volume::{ErrorKind, Freshness, Notice, VPath};

/// How often an idle thread looks whether somebody still listens; that the volume is gone it hears at once.
const IDLE_TICK: Duration = Duration::from_secs(10);
/// How long the first half of a move waits for the second, which the kernel sends right behind it.
const MOVE_HALVES_APART: Duration = Duration::from_millis(10);
/// Room for one read of events, bytes.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;

pub(super) struct Watcher {
    pub(super) disk: Arc<Disk>,
    pub(super) subscribers: Arc<Subscribers>,
    pub(super) inotify: OwnedFd,
    pub(super) dirs: Dirs,
    pending: Pending,
    /// Names that are not where they were looked for, see [`super::look`].
    pub(super) astray: Pending,
    /// Those of them that have moved away, and need not be there.
    pub(super) vacated: HashSet<Key>,
    held: Option<HeldMove>,
    pub(super) gaps: Gaps,
    pub(super) table: Table,
    pub(super) mounts: Mounts,
    /// Why all that is watched must be looked up again.
    pub(super) anew: Option<&'static str>,
}

/// The first half of a move.
struct HeldMove {
    cookie: u32,
    from: Key,
    until: Instant,
}

/// An event, out of the buffer it was read into.
struct Event {
    wd: Wd,
    flags: ReadFlags,
    cookie: u32,
    name: Option<Box<[u8]>>,
}

fn new_inotify() -> Result<OwnedFd, Errno> {
    inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
}

impl Watcher {
    pub(super) fn new(disk: Arc<Disk>, subscribers: Arc<Subscribers>) -> Outcome<Watcher> {
        Ok(Watcher {
            disk,
            subscribers,
            inotify: new_inotify()?,
            dirs: Dirs::default(),
            pending: Pending::default(),
            astray: Pending::default(),
            vacated: HashSet::new(),
            held: None,
            gaps: Gaps::default(),
            table: Table::open()?,
            mounts: Mounts::default(),
            anew: None,
        })
    }

    /// Works until nobody listens any more.
    pub(super) fn run(mut self) {
        self.look_at_mounts();
        self.anew = None;
        self.add_tree(None);
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        while !self.subscribers.all_gone() {
            let events = match self.read_events(&mut buffer) {
                Ok(events) => events,
                Err(errno) => {
                    tracing::error!(%errno, "reading inotify failed: changes are not noticed any more");
                    self.give_up();
                    return;
                }
            };
            let idle = events.is_empty();
            for event in events {
                self.handle(event);
            }
            self.tell_due(idle);
            self.look_at_mounts();
            self.try_gaps();
            match self.anew.take() {
                Some(why) => self.start_anew(why),
                None if self.gaps.are_none() => self.promise_all(),
                None => {}
            }
            self.wait(idle);
        }
    }

    /// Everything is watched, and what was to be told up to now is told or waits to be.
    fn promise_all(&mut self) {
        if std::mem::take(&mut self.gaps.are_known) {
            tracing::info!("all directories are watched again: changes by others are noticed");
        }
        self.subscribers.promise(Freshness::Notified);
    }

    /// Nothing can be noticed any more: say so, and stay silent. Who subscribes again starts another thread.
    fn give_up(&self) {
        self.subscribers.promise(Freshness::Direct);
        self.tell(Notice::Unknown { below: VPath::root() });
        self.subscribers.end();
    }

    fn read_events(&self, buffer: &mut Vec<u8>) -> Result<Vec<Event>, Errno> {
        let mut reader = Reader::new(&self.inotify, buffer.spare_capacity_mut());
        let mut events = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => events.push(Event {
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

    /// Waits for something to do; not at all when there may be more events.
    fn wait(&mut self, idle: bool) {
        let held = self.held.as_ref().map(|held| held.until);
        let due =
            [self.pending.due(), self.astray.due(), held, Some(self.table.due)].into_iter().flatten().min();
        let pause = due.map_or(IDLE_TICK, |due| due.saturating_duration_since(Instant::now()).min(IDLE_TICK));
        let pause = if idle { pause } else { Duration::ZERO };
        let timeout = Timespec { tv_sec: pause.as_secs() as i64, tv_nsec: pause.subsec_nanos().into() };
        let [events, ended] =
            [&self.inotify, self.subscribers.ended()].map(|fd| PollFd::new(fd, PollFlags::IN));
        let table = self.table.fd();
        let mut polled = [events, ended, PollFd::new(&table, PollFlags::PRI)];
        // Whatever ends the wait, the loop looks at everything again, but at the table of mounts only when it is time to.
        let _ = poll(&mut polled, Some(&timeout));
        if polled[2].revents().intersects(PollFlags::PRI | PollFlags::ERR) {
            self.table.has_changed();
        }
    }

    pub(super) fn tell(&self, notice: Notice) {
        self.subscribers.tell(&notice);
    }

    /// A name changed; told when it is quiet.
    pub(super) fn news(&mut self, key: Key) {
        self.astray.remove(&key);
        self.vacated.remove(&key);
        self.pending.add(key, Instant::now());
    }

    /// What is to be told of a name is told by the event that is being handled.
    fn no_news(&mut self, key: &Key) {
        self.gaps.remove(key);
        self.pending.remove(key);
        self.astray.remove(key);
        self.vacated.remove(key);
    }

    fn tell_pending(&mut self) {
        self.pending.take().for_each(|key| self.tell_now(key));
    }

    /// `idle`: all events up to now were read.
    fn tell_due(&mut self, idle: bool) {
        let now = Instant::now();
        if self.held.as_ref().is_some_and(|held| held.until <= now) {
            self.settle_held();
        }
        if self.pending.due().is_some_and(|due| due <= now) {
            self.tell_pending();
        }
        let overdue = self.astray.since().is_some_and(|since| since + ASTRAY_AT_MOST <= now);
        let settled = idle || overdue || self.astray.is_full();
        if settled && self.astray.due().is_some_and(|due| due <= now) {
            self.find_out();
        }
    }

    /// The second half of a move did not come: it went out of the tree.
    fn settle_held(&mut self) {
        if let Some(HeldMove { from, .. }) = self.held.take() {
            self.moved_out(from);
        }
    }

    fn moved_out(&mut self, from: Key) {
        self.removed(from.clone());
        self.vacated(from);
    }

    fn removed(&mut self, key: Key) {
        self.no_news(&key);
        self.tell_pending();
        let (wd, name) = key;
        let path = self.dirs.path(wd, Some(&name));
        if let Some(dir) = self.dirs.child(wd, &name) {
            self.unwatch(dir);
        }
        if let Some(path) = path {
            self.tell(Notice::Changed { path, attr: None });
        }
    }

    pub(super) fn unwatch(&mut self, dir: Wd) {
        for wd in self.dirs.remove(dir) {
            // Of a directory that is gone, the kernel has taken the watch away already.
            let _ = inotify::remove_watch(&self.inotify, wd);
        }
        self.gaps.keep_known(&self.dirs);
    }

    /// Tries again what could not be watched.
    fn try_gaps(&mut self) {
        for gap in self.gaps.due(Instant::now()) {
            match gap {
                Some(key) => self.try_again(key),
                None => self.anew = Some("the root could not be watched"),
            }
        }
    }

    fn handle(&mut self, event: Event) {
        if event.flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            self.anew = Some("inotify lost events (fs.inotify.max_queued_events)");
            return;
        }
        let second_half = event.flags.contains(ReadFlags::MOVED_TO)
            && self.held.as_ref().is_some_and(|held| held.cookie == event.cookie);
        if !second_half {
            self.settle_held();
        }
        let Some(name) = event.name else { return self.handle_dir_itself(event.wd, event.flags) };
        let key: Key = (event.wd, name);
        let is_dir = event.flags.contains(ReadFlags::ISDIR);
        if event.flags.contains(ReadFlags::MOVED_FROM) {
            self.no_news(&key);
            self.tell_pending();
            let until = Instant::now() + MOVE_HALVES_APART;
            self.held = Some(HeldMove { cookie: event.cookie, from: key, until });
        } else if event.flags.contains(ReadFlags::MOVED_TO) {
            match self.held.take() {
                Some(held) => self.moved(held.from, key, is_dir),
                None => self.appeared(key, is_dir),
            }
        } else if event.flags.contains(ReadFlags::DELETE) {
            self.removed(key);
        } else if event.flags.contains(ReadFlags::CREATE) && is_dir {
            self.appeared(key, true);
        } else {
            self.news(key);
        }
    }

    /// An event of a watched directory itself. Its parent's watch tells the same under its name, so it
    /// matters only for the root, for what is mounted, and for the end of a watch.
    fn handle_dir_itself(&mut self, wd: Wd, flags: ReadFlags) {
        let path = self.dirs.path(wd, None);
        let is_root = path.as_ref().is_some_and(VPath::is_root);
        if flags.contains(ReadFlags::IGNORED) {
            let place = self.dirs.place(wd);
            self.dirs.remove(wd);
            self.gaps.keep_known(&self.dirs);
            // Removed, which its parent's watch tells, or unmounted: then what was below it is there.
            place.into_iter().for_each(|key| self.astray.add(key, Instant::now()));
        } else if flags.intersects(ReadFlags::DELETE_SELF | ReadFlags::UNMOUNT) && is_root {
            self.gaps.lasting = true;
            self.subscribers.promise(Freshness::Direct);
            self.tell(Notice::Unknown { below: VPath::root() });
        } else if flags.contains(ReadFlags::ATTRIB) {
            let is_mounted = path.is_some_and(|path| self.mounts.below.contains_key(&path));
            match self.dirs.place(wd) {
                Some(key) if is_mounted => self.news(key),
                None if is_root => self.pending.add((wd, Box::default()), Instant::now()),
                Some(_) | None => {}
            }
        }
    }

    fn appeared(&mut self, key: Key, is_dir: bool) {
        if !is_dir {
            self.news(key);
            return;
        }
        self.no_news(&key);
        self.tell_pending();
        self.tell_now(key);
    }

    fn moved(&mut self, from: Key, to: Key, is_dir: bool) {
        // What waited under the target's old content is no news any more: the move tells what is there now.
        self.no_news(&to);
        self.tell_pending();
        // Events of a directory that has left the tree, or that an exchange has put elsewhere, may be left in the queue.
        let Some(from_path) = self.dirs.path(from.0, Some(&from.1)) else { return self.appeared(to, is_dir) };
        let Some(to_path) = self.dirs.path(to.0, Some(&to.1)) else { return self.moved_out(from) };
        let known = self.dirs.child(from.0, &from.1);
        if let Some(replaced) = self.dirs.child(to.0, &to.1)
            && Some(replaced) != known
        {
            self.unwatch(replaced);
        }
        if let Some(wd) = known {
            self.dirs.put(wd, Some((to.0, &to.1)));
        }
        let looked = self.look(&to);
        let attr = if let Looked::Found(_, attr) = &looked { Some(*attr) } else { None };
        self.tell(Notice::Moved { from: from_path, to: to_path, attr });
        match looked {
            // It appeared and moved before its first event was read, or out of what was closed.
            Looked::Found(path, attr) if attr.is_dir() && self.is_to_be_looked_through(&to) => {
                self.watch_below(Some(to), path);
            }
            Looked::Astray | Looked::Missing => self.astray.add(to, Instant::now()),
            Looked::Closed(failure) => self.unseen(to, failure),
            Looked::Found(..) | Looked::Left => {}
        }
        if let Some(wd) = known {
            self.tell_astray_within(wd);
        }
        self.vacated(from);
    }

    /// What is watched is found out again.
    fn start_anew(&mut self, why: &str) {
        tracing::warn!(why, "looking at the whole tree again: until then changes by others may go unnoticed");
        self.subscribers.promise(Freshness::Direct);
        self.tell(Notice::Unknown { below: VPath::root() });
        match new_inotify() {
            Ok(inotify) => self.inotify = inotify,
            Err(errno) => {
                // The old instance goes on working, without directories that appeared unseen.
                self.leaves_gap(None, Mend::Attempt, errno.into());
                return;
            }
        }
        (self.dirs, self.held) = (Dirs::default(), None);
        (self.pending, self.astray, self.vacated) = (Pending::default(), Pending::default(), HashSet::new());
        self.gaps.forget_all();
        self.add_tree(None);
        self.tell(Notice::Unknown { below: VPath::root() });
    }
}

impl Drop for Watcher {
    /// A promise outlives nobody who keeps it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(
                "the thread that watches has panicked: changes are not noticed until it is started again"
            );
            self.give_up();
        }
    }
}

/// Whether the name went away, or became something else, meanwhile: another event tells.
pub(super) fn gone(failure: Failure) -> bool {
    matches!(failure.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::Loop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LocalConfig, LocalVolume};
    use tempfile::TempDir;
    use tokio::sync::mpsc::error::TryRecvError;
    use volume::Watch;

    /// One who works, in this very thread, for one subscriber to a fresh directory.
    fn watcher() -> (TempDir, Watcher, Watch) {
        let dir = tempfile::tempdir().unwrap();
        let volume = LocalVolume::open(dir.path(), LocalConfig::default()).unwrap();
        let subscribers = Arc::new(Subscribers::new().unwrap());
        let (watch, _) = subscribers.add();
        (dir, Watcher::new(volume.disk.clone(), subscribers).unwrap(), watch)
    }

    #[test]
    fn a_name_that_no_event_tells_of_is_found_out_though_events_never_end() {
        let (dir, mut watcher, mut watch) = watcher();
        std::fs::write(dir.path().join("f"), "").unwrap();
        let found = watcher.add_tree(None);
        std::fs::remove_file(dir.path().join("f")).unwrap();
        watcher.astray.add(found[0].clone(), Instant::now() - ASTRAY_AT_MOST);
        watcher.tell_due(false);
        assert_eq!(watch.notices.try_recv(), Ok(Notice::Unknown { below: VPath::root() }));
    }

    #[test]
    fn a_thread_that_panics_takes_its_promise_along() {
        let (_dir, watcher, mut watch) = watcher();
        let subscribers = watcher.subscribers.clone();
        subscribers.promise(Freshness::Notified);
        let working = std::thread::spawn(move || {
            let _watcher = watcher;
            panic!("as if by a fault of ours");
        });
        assert!(working.join().is_err());
        assert_eq!(*watch.freshness.borrow(), Freshness::Direct);
        assert_eq!(watch.notices.try_recv(), Ok(Notice::Unknown { below: VPath::root() }));
        assert_eq!(watch.notices.try_recv(), Err(TryRecvError::Disconnected));
        assert!(subscribers.add().1, "the next one starts a thread again");
    }
}
