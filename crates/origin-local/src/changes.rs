//! Changes of the namespace: blocking, each on names in directories held by descriptor.

use crate::attributes::{self, Extra, Keeps};
use crate::beneath::{Patience, Place, link_of, reopen};
use crate::error::{Failure, Outcome};
use crate::maker::making;
use crate::name;
use crate::volume::Disk;
use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RenameFlags, fsync, ftruncate, linkat, makedev, mkdirat, mknodat,
    openat, renameat, renameat_with, symlinkat, unlinkat,
};
use rustix::io::Errno;
use std::sync::atomic::{AtomicU64, Ordering};
use volume::{
    Attr, Change, Device, DosAttributes, ErrorKind, FileId, Kind, Maker, SetAttr, Special, Time, VPath,
};

/// Begins the name that a link has for a moment before it replaces another file. One that stays behind
/// after a power cut may be removed by hand.
const TEMPORARY_PREFIX: &str = ".farshare-link-";

impl Disk {
    /// Applies a change for somebody of whom that is kept; returns what is under the (new) name afterwards. Where `patience`
    /// does not reach (`Errno::AGAIN`, `Errno::XDEV`) nothing is changed.
    pub(crate) fn apply(&self, change: &Change, keeps: Keeps, patience: Patience) -> Outcome<Option<Attr>> {
        if self.config.read_only {
            return Err(ErrorKind::ReadOnly.into());
        }
        match change {
            Change::MakeDir { path, mode, dos, maker } => {
                let place = self.root.place(path, ErrorKind::AlreadyExists, patience)?;
                making(keeps.maker(*maker), || Ok(mkdirat(&place.dir, &*place.name, keeps.mode(*mode))?))?;
                self.endow_dir(&place, *dos).map(Some).inspect_err(|_| take_back_dir(&place))
            }
            Change::MakeNode { path, node, mode, maker } => {
                self.make_node(path, *node, (*mode, *maker), keeps, patience).map(Some)
            }
            Change::Remove { path, dir, expect } => self.remove(path, *dir, *expect, patience).map(|()| None),
            Change::Rename { from, to, replace, expect } => {
                self.rename((from, to), *replace, *expect, patience).map(Some)
            }
            Change::Link { from, to, replace, expect } => {
                self.link((from, to), *replace, *expect, patience).map(Some)
            }
            Change::Symlink { path, target, maker } => {
                if !keeps.posix && leads_out(path, target) {
                    return Err(ErrorKind::InvalidArgument.into());
                }
                let place = self.root.place(path, ErrorKind::AlreadyExists, patience)?;
                let target = name::to_disk(target)?;
                making(keeps.maker(*maker), || Ok(symlinkat(&*target, &place.dir, &*place.name)?))?;
                self.named(&place).map(Some)
            }
            Change::SetAttr { path, set, expect } => {
                let handle = self.root.handle(path, patience)?;
                let stat = attributes::look(&handle)?;
                expected(*expect, attributes::id_of(&stat))?;
                if set.size.is_some() {
                    match attributes::kind_of(&stat) {
                        Kind::File => {}
                        Kind::Dir => return Err(ErrorKind::IsADirectory.into()),
                        Kind::Symlink | Kind::Special(_) => return Err(ErrorKind::InvalidArgument.into()),
                    }
                }
                if let Some(size) = set.size {
                    resize(&reopen(&handle, OFlags::WRONLY)?, size)?;
                }
                self.set(&handle, set, keeps)?;
                attributes::attr_of_handle(&handle, self.keeps).map(Some)
            }
            Change::SetNamed { path, name, value, expect } => {
                self.set_carried((path, name), value.as_ref(), *expect, keeps, patience).map(Some)
            }
        }
    }

    /// All that a new directory has beside its name.
    fn endow_dir(&self, place: &Place<'_>, dos: DosAttributes) -> Outcome<Attr> {
        if self.keeps.dos && !dos.is_empty() {
            self.set(&handle_at(place)?, &SetAttr { dos: Some(dos), ..SetAttr::default() }, self.keeps)?;
        }
        self.named(place)
    }

    /// Sets everything but the size, one change of extras at a time.
    pub(crate) fn set(&self, handle: &OwnedFd, set: &SetAttr, keeps: Keeps) -> Outcome<()> {
        let _one_at_a_time = self.setting_extras.lock();
        attributes::set(handle, set, keeps)
    }

    /// What is under a name after a change; and the change on the medium, where that is wanted.
    fn named(&self, place: &Place<'_>) -> Outcome<Attr> {
        self.on_medium(place)?;
        if !self.keeps.dos {
            let stat = attributes::recall_at(&place.dir, &*place.name)?;
            return Ok(attributes::attr(&stat, Extra::default(), self.keeps));
        }
        attributes::attr_of_handle(&handle_at(place)?, self.keeps)
    }

    pub(crate) fn sync_dir(&self, path: &VPath, expect: Option<FileId>) -> Outcome<()> {
        let dir = self.root.dir(path)?;
        expected(expect, attributes::id_of(&attributes::look(&dir)?))?;
        Ok(fsync(dir)?)
    }

    fn on_medium(&self, place: &Place<'_>) -> Outcome<()> {
        match self.config.sync_changes {
            true => sync_dir(&place.dir),
            false => Ok(()),
        }
    }

    fn remove(&self, path: &VPath, dir: bool, expect: Option<FileId>, patience: Patience) -> Outcome<()> {
        let place = self.root.place(path, ErrorKind::InvalidArgument, patience)?;
        let stat = place.look()?;
        expected(expect, attributes::id_of(&stat))?;
        // POSIX leaves the errno for the wrong kind open, so the kinds are compared here.
        match (attributes::kind_of(&stat), dir) {
            (Kind::Dir, false) => return Err(ErrorKind::IsADirectory.into()),
            (Kind::File | Kind::Symlink | Kind::Special(_), true) => {
                return Err(ErrorKind::NotADirectory.into());
            }
            (Kind::Dir, true) | (Kind::File | Kind::Symlink | Kind::Special(_), false) => {}
        }
        let flags = if dir { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        match unlinkat(&place.dir, &*place.name, flags) {
            Err(Errno::EXIST) => return Err(Errno::NOTEMPTY.into()),
            result => result?,
        }
        self.on_medium(&place)
    }

    fn rename(
        &self,
        (from, to): (&VPath, &VPath),
        replace: bool,
        expect: Option<FileId>,
        patience: Patience,
    ) -> Outcome<Attr> {
        let source = self.root.place(from, ErrorKind::InvalidArgument, patience)?;
        let target = self.root.place(to, ErrorKind::InvalidArgument, patience)?;
        let moving = source.look()?;
        expected(expect, attributes::id_of(&moving))?;
        if !replace {
            rename_new(&source, &target)?;
        } else if from != to {
            renameat(&source.dir, &*source.name, &target.dir, &*target.name)?;
            if moving.stx_nlink > 1 && attributes::kind_of(&moving) != Kind::Dir {
                drop_same(&source, attributes::id_of(&moving))?;
            }
        }
        if self.config.sync_changes && from.parent() != to.parent() {
            sync_dir(&source.dir)?;
        }
        self.named(&target)
    }

    fn make_node(
        &self,
        path: &VPath,
        node: Special,
        (mode, maker): (u32, Option<Maker>),
        keeps: Keeps,
        patience: Patience,
    ) -> Outcome<Attr> {
        if !keeps.posix {
            return Err(ErrorKind::Unsupported.into());
        }
        let place = self.root.place(path, ErrorKind::AlreadyExists, patience)?;
        let device = |device: Device| makedev(device.major, device.minor);
        let (kind, device) = match node {
            Special::Fifo => (FileType::Fifo, 0),
            Special::Socket => (FileType::Socket, 0),
            Special::CharDevice(which) => (FileType::CharacterDevice, device(which)),
            Special::BlockDevice(which) => (FileType::BlockDevice, device(which)),
        };
        let mode = keeps.mode(mode);
        making(maker, || Ok(mknodat(&place.dir, &*place.name, kind, mode, device)?))?;
        self.named(&place)
    }

    fn link(
        &self,
        (from, to): (&VPath, &VPath),
        replace: bool,
        expect: Option<FileId>,
        patience: Patience,
    ) -> Outcome<Attr> {
        let source = self.root.place(from, ErrorKind::InvalidArgument, patience)?;
        let target = self.root.place(to, ErrorKind::InvalidArgument, patience)?;
        let stat = source.look()?;
        expected(expect, attributes::id_of(&stat))?;
        if attributes::kind_of(&stat) == Kind::Dir {
            return Err(ErrorKind::IsADirectory.into());
        }
        match linkat(&source.dir, &*source.name, &target.dir, &*target.name, AtFlags::empty()) {
            Err(Errno::EXIST) if replace => link_over(&source, &target)?,
            result => result?,
        }
        self.named(&target)
    }
}

pub(crate) fn expected(expect: Option<FileId>, id: FileId) -> Outcome<()> {
    match expect.is_none_or(|expected| expected == id) {
        true => Ok(()),
        false => Err(ErrorKind::Stale.into()),
    }
}

/// Whether a link at `path` could lead out of the root: an absolute one, one that climbs above it, and one that climbs
/// after a name, which may be another link. farshare follows none of them out, but processes of this machine would.
fn leads_out(path: &VPath, target: &str) -> bool {
    let above = path.components().count().saturating_sub(1);
    let climbs = |part: &&str| matches!(*part, "." | ".." | "");
    let start = target.split('/').take_while(climbs).filter(|part| *part == "..").count();
    let later = target.split('/').skip_while(climbs).any(|part| part == "..");
    target.starts_with('/') || start > above || later
}

/// A handle of a name in a directory, a symlink as itself.
fn handle_at(place: &Place<'_>) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(&place.dir, &*place.name, flags, Mode::empty())
}

/// Brings the names in a directory to the medium; `dir` may be a mere handle.
pub(crate) fn sync_dir(dir: &OwnedFd) -> Outcome<()> {
    Ok(fsync(reopen(dir, OFlags::RDONLY | OFlags::DIRECTORY)?)?)
}

/// Removes a new file that could not be finished: who made it hears of a failure, and may try again.
pub(crate) fn take_back(place: &Place<'_>, file: &OwnedFd) {
    let remove = || {
        let there = place.look()?;
        match attributes::id_of(&there) == attributes::id_of(&attributes::look(file)?) {
            true => unlinkat(&place.dir, &*place.name, AtFlags::empty()),
            false => Ok(()),
        }
    };
    taken_back(place, remove());
}

/// The same of a new directory, as long as it is empty.
fn take_back_dir(place: &Place<'_>) {
    taken_back(place, unlinkat(&place.dir, &*place.name, AtFlags::REMOVEDIR));
}

fn taken_back(place: &Place<'_>, done: Result<(), Errno>) {
    if let Err(errno) = done {
        let name = name::from_disk(&place.name);
        tracing::warn!(%name, %errno, "what could not be finished when it was made stays behind");
    }
}

pub(crate) fn resize(file: &OwnedFd, size: u64) -> Outcome<()> {
    match i64::try_from(size) {
        Ok(_) => Ok(ftruncate(file, size)?),
        Err(_) => Err(ErrorKind::FileTooLarge.into()),
    }
}

/// Moves to a name that is free.
fn rename_new(source: &Place<'_>, target: &Place<'_>) -> Outcome<()> {
    match renameat_with(&source.dir, &*source.name, &target.dir, &*target.name, RenameFlags::NOREPLACE) {
        // Either wrong, or a file system without the flag: then a file that appears there between this look
        // and the rename is lost.
        Err(Errno::INVAL) => match target.look() {
            Ok(_) => Err(ErrorKind::AlreadyExists.into()),
            Err(Errno::NOENT) => Ok(renameat(&source.dir, &*source.name, &target.dir, &*target.name)?),
            Err(errno) => Err(errno.into()),
        },
        result => Ok(result?),
    }
}

/// POSIX `rename` does nothing when both names are links to one file; we promise that the old name goes.
fn drop_same(source: &Place<'_>, id: FileId) -> Outcome<()> {
    match source.look() {
        Ok(stat) if attributes::id_of(&stat) == id => {
            Ok(unlinkat(&source.dir, &*source.name, AtFlags::empty())?)
        }
        Ok(_) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Links over a file that is there: under a temporary name first, then moved, so that the target's name
/// always stands for one of the two.
fn link_over(source: &Place<'_>, target: &Place<'_>) -> Outcome<()> {
    if attributes::kind_of(&target.look()?) == Kind::Dir {
        return Err(ErrorKind::IsADirectory.into());
    }
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let temporary = format!("{TEMPORARY_PREFIX}{:x}-{}-{number}", Time::now().0, std::process::id());
    linkat(&source.dir, &*source.name, &target.dir, &temporary, AtFlags::empty())?;
    let moved = renameat(&target.dir, &temporary, &target.dir, &*target.name);
    // Still there when the move failed, or when the target was this very file already.
    match unlinkat(&target.dir, &temporary, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(moved?),
        Err(errno) => Err(Failure::from(moved.err().unwrap_or(errno))),
    }
}

/// The present path of an open file, as text below the root; `None` when it is gone or elsewhere.
pub(crate) fn path_now(root: &OwnedFd, file: &OwnedFd) -> Option<VPath> {
    let (root, file) = (link_of(root).ok()?, link_of(file).ok()?);
    let below = file.to_bytes().strip_prefix(root.to_bytes())?;
    let below = match root.to_bytes() {
        b"/" => below,
        _ => below.strip_prefix(b"/")?,
    };
    VPath::parse(&name::from_disk(below)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LocalConfig, LocalVolume};
    use std::sync::mpsc;
    use std::time::Duration;
    use volume::{Create, Cx, OpenHow, Priority, Volume};

    #[test]
    fn links_that_could_lead_out() {
        let check = |path: &str, target: &str, expect: bool| {
            assert_eq!(leads_out(&VPath::parse(path).unwrap(), target), expect, "{path} -> {target}");
        };
        for (path, target) in
            [("l", "a"), ("l", "a/b"), ("l", "."), ("d/l", ".."), ("d/e/l", "./..//../x"), ("l", "..x")]
        {
            check(path, target, false);
        }
        for (path, target) in
            [("l", "/etc"), ("l", "//"), ("l", ".."), ("d/l", "../.."), ("d/l", "x/.."), ("d/l", "./../../x")]
        {
            check(path, target, true);
        }
    }

    #[tokio::test]
    async fn nobody_waits_on_the_spot_for_who_sets_extras() {
        let dir = tempfile::tempdir().unwrap();
        let volume = LocalVolume::open(dir.path(), LocalConfig::default()).unwrap();
        if !volume.caps().dos_attributes {
            return eprintln!("skipped: {} keeps no extras", dir.path().display());
        }
        let (disk, (held, is_held)) = (volume.disk.clone(), mpsc::channel());
        let (done, is_done) = mpsc::channel();
        let slow = std::thread::spawn(move || {
            let _held = disk.setting_extras.lock();
            held.send(()).unwrap();
            // No longer, so that the test ends also when somebody waits for this.
            let _ = is_done.recv_timeout(Duration::from_secs(5));
        });
        is_held.recv().unwrap();
        let cx = Cx::system(Priority::Interactive);
        let (file, below) = (VPath::parse("f").unwrap(), VPath::parse("d").unwrap());
        let how = OpenHow { dos: DosAttributes::HIDDEN, ..OpenHow::create(Create::New) };
        let change = Change::MakeDir { path: below, mode: 0o700, dos: DosAttributes::HIDDEN, maker: None };
        let (open, make) = (volume.open(&cx, &file, how), volume.apply(&cx, &change));
        let work = async { tokio::join!(open, make) };
        tokio::pin!(work);
        let waits =
            std::future::poll_fn(|context| std::task::Poll::Ready(work.as_mut().poll(context).is_pending()));
        assert!(waits.await, "it waits, and its thread does not");
        done.send(()).unwrap();
        let (opened, made) = work.await;
        assert!(opened.unwrap().created && made.is_ok());
        slow.join().unwrap();
    }
}
