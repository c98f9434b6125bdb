//! Following what is mounted below the root.
//!
//! The kernel tells that the table of mounts has changed, not what in it. What is mounted below the root in a file system
//! whose changes are noticed is watched like any directory; when that becomes another, all is looked at anew. What else is
//! mounted is left alone: under its name nothing is watched, and where its changes are not noticed nothing is promised.

use super::mounts::{Heard, Mounted, Mounts};
use super::pending::Key;
use super::thread::Watcher;
use crate::attributes;
use crate::beneath::{Patience, link_of};
use crate::error::Outcome;
use crate::name;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, StatxFlags, statx};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::time::{Duration, Instant};
use volume::{Author, ErrorKind, Freshness, Kind, Notice, VPath};

/// How often at most the table is read; machines that run containers change it often.
const LOOKS_APART: Duration = Duration::from_millis(100);
/// So often it is read though the kernel has told of no change: some options change without a word.
const LOOKS_AT_LEAST: Duration = Duration::from_secs(10);

/// The table of mounts, and when to read it.
pub(super) struct Table {
    file: File,
    read: Instant,
    pub(super) due: Instant,
}

impl Table {
    pub(super) fn open() -> Outcome<Table> {
        let file = File::open("/proc/self/mountinfo").map_err(errno)?;
        Ok(Table { file, read: Instant::now(), due: Instant::now() })
    }

    /// Becomes exceptional (`POLLPRI`) when the table has changed since it was polled.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    pub(super) fn has_changed(&mut self) {
        self.due = self.due.min(self.read + LOOKS_APART);
    }

    fn read(&mut self, now: Instant) -> Outcome<Vec<u8>> {
        (self.read, self.due) = (now, now + LOOKS_AT_LEAST);
        let mut text = Vec::new();
        self.file.rewind().and_then(|()| self.file.read_to_end(&mut text)).map_err(errno)?;
        Ok(text)
    }
}

fn mounts_at(root: &OwnedFd, table: &[u8]) -> Outcome<Mounts> {
    let stat = statx(root, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    if !StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID) {
        // Before Linux 5.8.
        return Err(ErrorKind::Unsupported.into());
    }
    Ok(Mounts::of(table, stat.stx_mnt_id, link_of(root)?.as_bytes()))
}

/// Whether the file system that a directory is in is one of this machine's memory or disks; false where that cannot be
/// found out.
pub(crate) fn is_of_this_machine(root: &OwnedFd) -> bool {
    let mounts = Table::open().and_then(|mut table| mounts_at(root, &table.read(Instant::now())?));
    mounts.is_ok_and(|mounts| mounts.deaf_root.is_none())
}

fn errno(failure: io::Error) -> Errno {
    Errno::from_io_error(&failure).unwrap_or(Errno::IO)
}

impl Watcher {
    /// Looks what is mounted, when it is time to.
    pub(super) fn look_at_mounts(&mut self) {
        let now = Instant::now();
        if now < self.table.due {
            return;
        }
        let found = self.mounts_now(now).unwrap_or_else(Mounts::unknown);
        let before = std::mem::replace(&mut self.mounts, found);
        if before == self.mounts {
            return;
        }
        self.weigh_mounts();
        if !before.watched().eq(self.mounts.watched()) {
            self.anew = Some("what is mounted below the root has changed");
            return;
        }
        let other = |path: &&VPath| before.below.get(path) != self.mounts.below.get(path);
        let paths = before.below.keys().chain(self.mounts.below.keys());
        let changed: BTreeSet<VPath> = paths.filter(other).cloned().collect();
        for path in changed {
            self.tell(Notice::Unknown { below: path.clone() });
            match self.mounts.keep_out(&path) {
                true => self.covered(&path),
                false => self.uncovered(&path),
            }
        }
    }

    fn mounts_now(&mut self, now: Instant) -> Outcome<Mounts> {
        let mut mounts = mounts_at(self.disk.root.fd(), &self.table.read(now)?)?;
        // Of a file it is its own directory's watch that tells. What is heard lies in what is watched: the way there answers.
        let is_file = |path: &VPath| {
            let kind =
                self.disk.root.handle(path, Patience::Disk).and_then(|handle| Ok(attributes::kind(&handle)?));
            kind.is_ok_and(|kind| kind != Kind::Dir)
        };
        let watched = mounts.below.iter_mut().filter(|(_, mounted)| mounted.heard == Heard::All);
        watched.filter(|(path, _)| is_file(path)).for_each(|(_, mounted)| mounted.heard = Heard::Some);
        Ok(mounts)
    }

    /// Whether something can be promised with what is mounted now, and if not, why.
    fn weigh_mounts(&mut self) {
        self.gaps.mounted = !self.mounts.are_heard();
        if !self.gaps.mounted {
            return;
        }
        self.subscribers.promise(Freshness::Direct);
        self.gaps.are_known = true;
        if let Some(kind) = &self.mounts.deaf_root {
            tracing::warn!(
                kind,
                "changes by others are not all noticed in a file system of this type, so nothing is promised"
            );
        }
        for (path, mounted) in self.mounts.deaf() {
            let Mounted { kind, heard, .. } = mounted;
            tracing::warn!(
                %path,
                kind,
                ?heard,
                "changes by others are not all noticed in what is mounted there, so nothing is promised while it is"
            );
        }
    }

    /// A directory is not seen any more. What changes in it all the same, by who had it open, would be looked for in what
    /// is mounted over it.
    fn covered(&mut self, path: &VPath) {
        if let Some(dir) = self.dirs.at(path) {
            self.unwatch(dir);
        }
    }

    /// A directory is seen again that something was mounted over.
    fn uncovered(&mut self, path: &VPath) {
        let above = path.parent().and_then(|parent| self.dirs.at(&parent));
        if let (Some(above), Ok(name)) = (above, name::to_disk(path.name())) {
            self.tell_now((above, Box::from(&*name)), Author::Unknown);
        }
    }

    /// Whether under a name something is mounted that is not watched.
    pub(super) fn keeps_out(&self, key: &Key) -> bool {
        !self.mounts.below.is_empty()
            && self.dirs.path(key.0, Some(&key.1)).is_some_and(|path| self.mounts.keep_out(&path))
    }
}
