//! The thread that reads what the kernel tells ([`super::source`]) and tells what it means.
//!
//! A directory is watched first and listed second, so what appears in it meanwhile is seen by one or the
//! other. A directory that appears is told as changed, and so is what was in it already; with more than
//! [`super::FOUND_MAX`] names below, all that is below is unknown.
//! What becomes of names that are elsewhere by the time they are looked up: [`super::look`]. Only directories below the
//! root are ever opened, without following links.

use super::dirs::{Dirs, Wd};
use super::gaps::{Gaps, Mend};
use super::look::{ASTRAY_AT_MOST, Looked};
use super::mounted::Table;
use super::mounts::Mounts;
use super::pending::{Key, Pending};
use super::source::{Event, Itself, Source};
use super::subscribers::Subscribers;
use crate::error::{Failure, Outcome};
use crate::volume::Disk;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use volume::{Author, ErrorKind, Freshness, Notice, VPath};

/// How often an idle thread looks whether somebody still listens; that the volume is gone it hears at once.
const IDLE_TICK: Duration = Duration::from_secs(10);

pub(super) struct Watcher {
    pub(super) disk: Arc<Disk>,
    pub(super) subscribers: Arc<Subscribers>,
    pub(super) source: Source,
    pub(super) dirs: Dirs,
    pending: Pending,
    /// Names that are not where they were looked for, see [`super::look`].
    pub(super) astray: Pending,
    /// Those of them that have moved away, and need not be there.
    pub(super) vacated: HashSet<Key>,
    pub(super) gaps: Gaps,
    pub(super) table: Table,
    pub(super) mounts: Mounts,
    /// Why all that is watched must be looked up again.
    pub(super) anew: Option<&'static str>,
}

impl Watcher {
    pub(super) fn new(disk: Arc<Disk>, subscribers: Arc<Subscribers>) -> Outcome<Watcher> {
        let source = Source::open(&disk, false)?;
        Ok(Watcher {
            disk,
            subscribers,
            source,
            dirs: Dirs::default(),
            pending: Pending::default(),
            astray: Pending::default(),
            vacated: HashSet::new(),
            gaps: Gaps::default(),
            table: Table::open()?,
            mounts: Mounts::default(),
            anew: None,
        })
    }

    /// Works until nobody listens any more.
    pub(super) fn run(mut self) {
        self.begins();
        self.look_at_mounts();
        self.anew = None;
        self.add_tree(None);
        while !self.subscribers.all_gone() {
            let events = match self.source.read() {
                Ok(events) => events,
                Err(errno) => {
                    tracing::error!(%errno, "reading events failed: changes are not noticed any more");
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

    fn begins(&self) {
        tracing::info!(by = self.source.name(), "changes by others are noticed");
        self.subscribers.tells_authors(|| self.source.tells_authors());
    }

    /// Waits for something to do; not at all when there may be more events.
    fn wait(&mut self, idle: bool) {
        let dues = [self.pending.due(), self.astray.due(), self.source.due(), Some(self.table.due)];
        let due = dues.into_iter().flatten().min();
        let pause = due.map_or(IDLE_TICK, |due| due.saturating_duration_since(Instant::now()).min(IDLE_TICK));
        let pause = if idle { pause } else { Duration::ZERO };
        let timeout = Timespec { tv_sec: pause.as_secs() as i64, tv_nsec: pause.subsec_nanos().into() };
        let [events, ended] = [self.source.fd(), self.subscribers.ended().as_fd()];
        let [events, ended] = [&events, &ended].map(|fd| PollFd::new(fd, PollFlags::IN));
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
    pub(super) fn news(&mut self, key: Key, by: Author) {
        let astray = self.astray.remove(&key);
        self.vacated.remove(&key);
        self.pending.add(key, astray.map_or(by, |before| by.max(before)), Instant::now());
    }

    /// What is to be told of a name is told by the event that is being handled. Who else has changed it.
    fn no_news(&mut self, key: &Key) -> Option<Author> {
        self.gaps.remove(key);
        self.vacated.remove(key);
        self.pending.remove(key).max(self.astray.remove(key))
    }

    fn tell_pending(&mut self) {
        self.pending.take().for_each(|(key, by)| self.tell_now(key, by));
    }

    /// `idle`: all events up to now were read.
    fn tell_due(&mut self, idle: bool) {
        let now = Instant::now();
        if self.pending.due().is_some_and(|due| due <= now) {
            self.tell_pending();
        }
        let overdue = self.astray.since().is_some_and(|since| since + ASTRAY_AT_MOST <= now);
        let settled = idle || overdue || self.astray.is_full();
        if settled && self.astray.due().is_some_and(|due| due <= now) {
            self.find_out();
        }
    }

    fn moved_out(&mut self, from: Key, by: Author) {
        self.removed(from.clone(), by);
        self.vacated(from, by);
    }

    fn removed(&mut self, key: Key, by: Author) {
        self.no_news(&key);
        self.tell_pending();
        let (wd, name) = key;
        let path = self.dirs.path(wd, Some(&name));
        if let Some(dir) = self.dirs.child(wd, &name) {
            self.unwatch(dir);
        }
        if let Some(path) = path {
            self.tell(Notice::Changed { path, attr: None, by });
        }
    }

    pub(super) fn unwatch(&mut self, dir: Wd) {
        for wd in self.dirs.remove(dir) {
            self.source.unwatch(wd);
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
        match event {
            Event::Lost(why) => self.anew = Some(why),
            Event::Changed { key, nameless, by } => {
                self.news(key.clone(), by);
                if nameless {
                    self.vacated.insert(key);
                }
            }
            Event::Appeared { key, is_dir, by } => self.appeared(key, is_dir, by),
            Event::Removed { key, by } => self.removed(key, by),
            Event::Replaced { key, by } => self.moved_out(key, by),
            Event::Moved { from, to, is_dir, by } => self.moved(from, to, is_dir, by),
            Event::Itself { wd, what, by } => self.handle_dir_itself(wd, what, by),
        }
    }

    /// An event of a watched directory itself. That it is gone its parent's watch tells under its name, so that matters
    /// only for the root, and for the end of a watch.
    fn handle_dir_itself(&mut self, wd: Wd, what: Itself, by: Author) {
        let is_root = self.dirs.path(wd, None).as_ref().is_some_and(VPath::is_root);
        match what {
            Itself::Unwatched => {
                let place = self.dirs.place(wd);
                self.dirs.remove(wd);
                self.gaps.keep_known(&self.dirs);
                // Removed, which its parent's watch tells, or unmounted: then what was below it is there.
                place.into_iter().for_each(|key| self.astray.add(key, by, Instant::now()));
            }
            Itself::Gone if is_root => {
                self.gaps.lasting = true;
                self.subscribers.promise(Freshness::Direct);
                self.tell(Notice::Unknown { below: VPath::root() });
            }
            Itself::Attributes => match self.dirs.place(wd) {
                Some(key) => self.news(key, by),
                None if is_root => self.pending.add((wd, Box::default()), by, Instant::now()),
                None => {}
            },
            Itself::Gone => {}
        }
    }

    fn appeared(&mut self, key: Key, is_dir: bool, by: Author) {
        if !is_dir {
            self.news(key, by);
            return;
        }
        let before = self.no_news(&key);
        self.tell_pending();
        self.tell_now(key, before.map_or(by, |before| by.max(before)));
    }

    fn moved(&mut self, from: Key, to: Key, is_dir: bool, by: Author) {
        // What waited under the old name is told by the move, and under the target's as its old content is no news any
        // more: the move tells what is there now.
        let before = self.no_news(&from);
        self.no_news(&to);
        self.tell_pending();
        // Events of a directory that has left the tree, or that an exchange has put elsewhere, may be left in the queue.
        let Some(from_path) = self.dirs.path(from.0, Some(&from.1)) else {
            return self.appeared(to, is_dir, by);
        };
        let Some(to_path) = self.dirs.path(to.0, Some(&to.1)) else { return self.moved_out(from, by) };
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
        self.tell(Notice::Moved { from: from_path, to: to_path, attr, by });
        if let Some(before) = before.filter(|before| *before > by) {
            self.news(to.clone(), before);
        }
        match looked {
            // It appeared and moved before its first event was read, or out of what was closed.
            Looked::Found(path, attr) if attr.is_dir() && self.is_to_be_looked_through(&to) => {
                self.watch_below(Some(to), path);
            }
            Looked::Astray | Looked::Missing => self.astray.add(to, by, Instant::now()),
            Looked::Closed(failure) => self.unseen(to, failure),
            Looked::Found(..) | Looked::Left => {}
        }
        if let Some(wd) = known {
            self.tell_astray_within(wd);
        }
        self.vacated(from, by);
    }

    /// What is watched is found out again.
    fn start_anew(&mut self, why: &str) {
        tracing::warn!(why, "looking at the whole tree again: until then changes by others may go unnoticed");
        self.subscribers.promise(Freshness::Direct);
        self.tell(Notice::Unknown { below: VPath::root() });
        match Source::open(&self.disk, self.source.fault().is_some()) {
            Ok(source) => self.source = source,
            Err(failure) => {
                // The old instance goes on working, without directories that appeared unseen.
                self.leaves_gap(None, Mend::Attempt, failure);
                return;
            }
        }
        self.begins();
        self.dirs = Dirs::default();
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
        watcher.astray.add(found[0].clone(), Author::Unknown, Instant::now() - ASTRAY_AT_MOST);
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
