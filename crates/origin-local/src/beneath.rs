//! From names to descriptors, never beyond the root.
//!
//! A *handle* is an `O_PATH` descriptor: it names an object of any kind without opening it, so devices and
//! FIFOs are never touched. What `openat` or `setxattr` then do to that very object goes by way of
//! `/proc/self/fd/N`, which the kernel resolves to the descriptor, not to a name.

use crate::attributes;
use crate::error::{Failure, Outcome};
use crate::name;
use crate::watching;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, Statx, openat, openat2, readlinkat};
use rustix::io::Errno;
use std::borrow::Cow;
use std::ffi::CString;
use std::path::Path;
use volume::{ErrorKind, VPath};

/// Longest path the kernel takes in one call, bytes (`PATH_MAX` is 4096 with the NUL).
const CHUNK_MAX_BYTES: usize = 4000;
/// Times a resolution is tried again when the kernel saw a rename in the midst of it.
const RACE_RETRIES: usize = 16;

/// How long resolving may wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Patience {
    /// Only what is in memory and in the root's own mount; else `Errno::AGAIN` or `Errno::XDEV`.
    None,
    /// As long as the disk takes, but nothing that is mounted below the root is touched: `Errno::XDEV`.
    Here,
    /// As long as whatever is mounted there takes, be it for ever.
    Disk,
}

/// The directory that is served.
pub(crate) struct Root {
    fd: OwnedFd,
    /// Its file system answers out of memory or from a disk of this machine. Any other may not answer at all.
    pub(crate) answers: bool,
}

/// The directory that holds a name, and the name in it.
pub(crate) struct Place<'a> {
    pub(crate) dir: OwnedFd,
    pub(crate) name: Cow<'a, [u8]>,
    /// With which it was found. What it is of holds for the name too.
    pub(crate) patience: Patience,
}

impl Place<'_> {
    /// What is under the name, a symlink as itself; `Errno::XDEV` where patience does not reach what is mounted there.
    pub(crate) fn look(&self) -> Result<Statx, Errno> {
        if self.patience == Patience::Disk {
            return attributes::look_at(&self.dir, &self.name);
        }
        let stat = attributes::recall_at(&self.dir, &*self.name)?;
        if attributes::is_mounted(&stat) { Err(Errno::XDEV) } else { Ok(stat) }
    }

    /// Makes and opens a regular file there; there must be nothing.
    pub(crate) fn make_file(&self, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if self.patience == Patience::Disk {
            return openat(&self.dir, &*self.name, flags, mode);
        }
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_XDEV;
        openat2(&self.dir, &*self.name, flags, mode, resolve)
    }
}

impl Root {
    /// Takes a directory as root; symlinks in `path` itself are followed.
    pub(crate) fn open(path: &Path) -> Outcome<Root> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(CWD, path, flags, Mode::empty())?;
        Ok(Root { answers: watching::is_of_this_machine(&fd), fd })
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// A handle of whatever is under `path`, a symlink as itself.
    pub(crate) fn handle(&self, path: &VPath, patience: Patience) -> Outcome<OwnedFd> {
        self.resolve(path, OFlags::PATH | OFlags::NOFOLLOW, patience)
    }

    /// Whether whoever goes to `path` touches what may not answer: a mount below the root, or a root like that. One that
    /// is there is not touched for the answer.
    pub(crate) fn leaves(&self, path: &VPath) -> bool {
        let crosses = || self.handle(path, Patience::Here).err() == Some(Failure::Errno(Errno::XDEV));
        !self.answers || crosses()
    }

    /// Whether what is done to a name, of which the directory is found in memory, touches nothing that may not answer.
    pub(crate) fn keeps_here(&self, path: &VPath) -> bool {
        let Some(parent) = path.parent() else { return false };
        let dir = self.resolve(&parent, OFlags::PATH | OFlags::DIRECTORY, Patience::None);
        let name = name::to_disk(path.name());
        let (Ok(dir), Ok(name)) = (dir, name) else { return false };
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        beneath(&dir, &name, flags, Patience::Here).err() != Some(Errno::XDEV)
    }

    /// A directory, opened for listing.
    pub(crate) fn dir(&self, path: &VPath) -> Outcome<OwnedFd> {
        self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY, Patience::Disk)
    }

    /// Where the last component of `path` has its place; `at_root` for the root itself.
    pub(crate) fn place<'a>(
        &self,
        path: &'a VPath,
        at_root: ErrorKind,
        patience: Patience,
    ) -> Outcome<Place<'a>> {
        let Some(parent) = path.parent() else { return Err(at_root.into()) };
        let dir = self.resolve(&parent, OFlags::PATH | OFlags::DIRECTORY, patience)?;
        Ok(Place { dir, name: name::to_disk(path.name())?, patience })
    }

    /// How long a thread of this kind may wait without touching what may not answer.
    pub(crate) fn patience_here(&self) -> Patience {
        if volume::may_wait_here() { Patience::Here } else { Patience::None }
    }

    fn resolve(&self, path: &VPath, flags: OFlags, patience: Patience) -> Outcome<OwnedFd> {
        if patience != Patience::Disk && !self.answers {
            return Err(Errno::AGAIN.into());
        }
        let bytes = name::to_disk(path.as_str())?;
        let mut rest: &[u8] = if bytes.is_empty() { b"." } else { &bytes };
        let mut above: Option<OwnedFd> = None;
        while rest.len() > CHUNK_MAX_BYTES {
            // Components are far shorter than a chunk, so there is a separator.
            let cut = rest[..CHUNK_MAX_BYTES].iter().rposition(|&b| b == b'/').ok_or(Errno::NAMETOOLONG)?;
            let from = above.as_ref().unwrap_or(&self.fd);
            let dir = beneath(from, &rest[..cut], OFlags::PATH | OFlags::DIRECTORY, patience)?;
            (above, rest) = (Some(dir), &rest[cut + 1..]);
        }
        Ok(beneath(above.as_ref().unwrap_or(&self.fd), rest, flags, patience)?)
    }
}

fn beneath(dir: &OwnedFd, path: &[u8], flags: OFlags, patience: Patience) -> Result<OwnedFd, Errno> {
    let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS;
    resolve.set(ResolveFlags::CACHED, patience == Patience::None);
    resolve.set(ResolveFlags::NO_XDEV, patience != Patience::Disk);
    let flags = flags | OFlags::CLOEXEC;
    for _ in 0..RACE_RETRIES {
        match openat2(dir, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN) if patience != Patience::None => {}
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
    Err(Errno::AGAIN)
}

/// A handle of what is under a name in a directory, a symlink as itself.
pub(crate) fn handle_at(dir: &OwnedFd, name: &[u8]) -> Outcome<OwnedFd> {
    Ok(beneath(dir, name, OFlags::PATH | OFlags::NOFOLLOW, Patience::Disk)?)
}

/// A directory in a directory, opened for listing.
pub(crate) fn dir_at(dir: &OwnedFd, name: &[u8]) -> Outcome<OwnedFd> {
    Ok(beneath(dir, name, OFlags::RDONLY | OFlags::DIRECTORY, Patience::Disk)?)
}

/// A path that the kernel resolves to exactly this descriptor, or to a name in this directory.
pub(crate) struct ProcPath {
    text: [u8; 32],
    length: usize,
}

impl ProcPath {
    pub(crate) fn of(fd: impl AsFd) -> ProcPath {
        use std::io::Write;
        let mut text = [0; 32];
        let mut rest = &mut text[..];
        // 14 + 10 digits fit into 32 bytes.
        let written = write!(rest, "/proc/self/fd/{}", fd.as_fd().as_raw_fd());
        debug_assert!(written.is_ok(), "a descriptor's number fits");
        let length = 32 - rest.len();
        ProcPath { text, length }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

/// Where the kernel sees the object of a descriptor now.
pub(crate) fn link_of(fd: &OwnedFd) -> Result<CString, Errno> {
    readlinkat(CWD, ProcPath::of(fd).bytes(), Vec::new())
}

/// Opens the object of a handle.
pub(crate) fn reopen(handle: &OwnedFd, flags: OFlags) -> Result<OwnedFd, Errno> {
    openat(CWD, ProcPath::of(handle).bytes(), flags | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())
}
