//! Events out of fanotify(7), which tells the process that made a change: this one, or another.
//!
//! Without privileges (Linux 5.13) the kernel names this process alone, which is all that is asked. A directory is
//! marked by itself, and called in events by its handle. What a process does to one name is told as one event while that
//! is not read: in which order things happened, nobody knows, so that the name has to be looked at. What two processes
//! do is never told as one.
//!
//! Whether all of this works is tried at the root before it is relied on. Marks cannot be taken from a directory that
//! cannot be found any more; one that has left the tree keeps its own until it is removed or all is watched anew.

use super::dirs::Wd;
use super::pending::Key;
use super::source::{BUFFER_BYTES, Event, Itself};
use crate::beneath::dir_at;
use crate::error::{Failure, Outcome};
use crate::sys;
use crate::volume::Disk;
use libc::{
    FAN_ATTRIB, FAN_CLOSE_WRITE, FAN_CREATE, FAN_DELETE, FAN_DELETE_SELF, FAN_EVENT_ON_CHILD, FAN_MARK_ADD,
    FAN_MARK_REMOVE, FAN_MODIFY, FAN_ONDIR, FAN_OPEN, FAN_Q_OVERFLOW, FAN_RENAME,
};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::fstatvfs;
use rustix::io::Errno;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use volume::{Author, ErrorKind, FileId, VPath};

const WANTED: u64 = FAN_CREATE
    | FAN_DELETE
    | FAN_RENAME
    | FAN_MODIFY
    | FAN_ATTRIB
    | FAN_CLOSE_WRITE
    | FAN_DELETE_SELF
    | FAN_ONDIR
    | FAN_EVENT_ON_CHILD;
const OF_CONTENT: u64 = FAN_MODIFY | FAN_ATTRIB | FAN_CLOSE_WRITE;

/// Length of the fixed part of an event, `struct fanotify_event_metadata`; of the head of what follows it; of that with
/// the number of the file system and the head of a handle, bytes.
const EVENT_BYTES: usize = 24;
const INFO_HEAD_BYTES: usize = 4;
const INFO_BYTES: usize = 20;

/// What the kernel calls a directory by: the number of its file system, the type of its handle, the handle.
type Handle = Box<[u8]>;

pub(super) struct Fanotify {
    group: OwnedFd,
    buffer: Vec<u8>,
    disk: Arc<Disk>,
    process: i32,
    watched: HashMap<Handle, (Wd, FileId)>,
    handles: HashMap<Wd, Handle>,
    next: Wd,
    closed: HashMap<Handle, Key>,
    fault: Option<&'static str>,
}

/// An event as it was read.
#[derive(Default, Debug)]
struct Raw {
    mask: u64,
    process: i32,
    /// The directory and the name in it; the one before and the one after a move.
    at: Option<Named>,
    from: Option<Named>,
    to: Option<Named>,
}

#[derive(PartialEq, Eq, Debug)]
struct Named {
    dir: Handle,
    name: Box<[u8]>,
}

impl Fanotify {
    pub(super) fn open(disk: &Arc<Disk>) -> Outcome<Fanotify> {
        let mut fanotify = Fanotify {
            group: sys::fanotify_group()?,
            buffer: vec![0; BUFFER_BYTES],
            process: rustix::process::getpid().as_raw_nonzero().get(),
            disk: disk.clone(),
            watched: HashMap::new(),
            handles: HashMap::new(),
            next: 1,
            closed: HashMap::new(),
            fault: None,
        };
        fanotify.try_out(&disk.root.dir(&VPath::root())?)?;
        Ok(fanotify)
    }

    /// Opens the root itself, and looks whether that is told, of this very directory and process.
    fn try_out(&mut self, root: &OwnedFd) -> Outcome<()> {
        let handle = handle_of(root)?;
        sys::fanotify_mark(&self.group, FAN_MARK_ADD, FAN_OPEN | WANTED, root)?;
        dir_at(root, b".")?;
        let told = self.read_raw()?.into_iter().any(|raw| {
            let at_root = raw.at.is_some_and(|at| at.dir == handle);
            at_root && raw.mask & FAN_OPEN != 0 && raw.process == self.process
        });
        sys::fanotify_mark(&self.group, FAN_MARK_REMOVE, FAN_OPEN | WANTED, root)?;
        if told { Ok(()) } else { Err(ErrorKind::Unsupported.into()) }
    }

    pub(super) fn tells_ours(&self) -> bool {
        self.disk.sole.load(Ordering::SeqCst)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.group.as_fd()
    }

    pub(super) fn fault(&self) -> Option<&'static str> {
        self.fault
    }

    pub(super) fn watch(&mut self, dir: &OwnedFd, id: FileId) -> Outcome<Wd> {
        let handle = handle_of(dir)?;
        match sys::fanotify_mark(&self.group, FAN_MARK_ADD, WANTED, dir) {
            Ok(()) => {}
            Err(Errno::NOSPC) => return self.fails("there are no more marks (fs.fanotify.max_user_marks)"),
            Err(Errno::XDEV | Errno::NODEV | Errno::OPNOTSUPP | Errno::INVAL) => {
                return self.fails("a file system below the root has no fanotify");
            }
            Err(errno) => return Err(errno.into()),
        }
        self.closed.remove(&handle);
        let (wd, known) = *self.watched.entry(handle.clone()).or_insert((self.next, id));
        if known != id {
            return self.fails("two directories have one handle");
        }
        if wd == self.next {
            self.handles.insert(wd, handle);
            self.next += 1;
        }
        Ok(wd)
    }

    fn fails(&mut self, why: &'static str) -> Outcome<Wd> {
        self.fault = Some(why);
        Err(ErrorKind::Unsupported.into())
    }

    pub(super) fn unwatch(&mut self, wd: Wd) {
        if let Some(handle) = self.handles.remove(&wd) {
            self.watched.remove(&handle);
        }
    }

    pub(super) fn is_closed(&mut self, dir: &OwnedFd, key: &Key) {
        if let Ok(handle) = handle_of(dir) {
            self.closed.insert(handle, key.clone());
        }
    }

    pub(super) fn read(&mut self) -> Result<Vec<Event>, Errno> {
        Ok(self.read_raw()?.into_iter().filter_map(|raw| self.meant(raw)).collect())
    }

    fn read_raw(&mut self) -> Result<Vec<Raw>, Errno> {
        let length = loop {
            match rustix::io::read(&self.group, &mut self.buffer[..]) {
                Ok(length) => break length,
                Err(Errno::AGAIN) => return Ok(Vec::new()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        };
        parse(&self.buffer[..length]).ok_or(Errno::PROTO)
    }

    /// `None` for what is told of directories that are not watched any more.
    fn meant(&self, raw: Raw) -> Option<Event> {
        let by = match raw.process == self.process {
            true if self.tells_ours() => Author::Us,
            true => Author::Unknown,
            false => Author::Others,
        };
        let (mask, is_dir) = (raw.mask, raw.mask & FAN_ONDIR != 0);
        if mask & FAN_Q_OVERFLOW != 0 {
            return Some(Event::Lost("fanotify lost events (fs.fanotify.max_queued_events)"));
        }
        if mask & FAN_RENAME != 0 {
            let (from, to) = (raw.from.and_then(|at| self.key(at)), raw.to.and_then(|at| self.key(at)));
            return match (from, to) {
                (Some(from), Some(to)) => Some(Event::Moved { from, to, is_dir, by }),
                (Some(key), None) => Some(Event::Replaced { key, by }),
                (None, Some(key)) => Some(Event::Appeared { key, is_dir, by }),
                (None, None) => None,
            };
        }
        let at = raw.at?;
        if at.name[..] == *b"." {
            return self.of_itself(&at.dir, mask, by);
        }
        let key = self.key(at)?;
        let comes = mask & FAN_CREATE != 0;
        Some(match (mask & FAN_DELETE != 0, comes || mask & OF_CONTENT != 0) {
            (true, false) => Event::Removed { key, by },
            (true, true) => Event::Replaced { key, by },
            (false, _) if comes => Event::Appeared { key, is_dir, by },
            // It may be open without a name.
            (false, _) => Event::Changed { key, nameless: true, by },
        })
    }

    fn key(&self, at: Named) -> Option<Key> {
        self.watched.get(&at.dir).map(|(wd, _)| (*wd, at.name))
    }

    fn of_itself(&self, dir: &Handle, mask: u64, by: Author) -> Option<Event> {
        let Some(&(wd, _)) = self.watched.get(dir) else {
            let key = self.closed.get(dir)?.clone();
            return Some(Event::Changed { key, nameless: true, by });
        };
        let what = if mask & FAN_DELETE_SELF != 0 { Itself::Gone } else { Itself::Attributes };
        Some(Event::Itself { wd, what, by })
    }
}

fn handle_of(dir: &OwnedFd) -> Outcome<Handle> {
    let (kind, handle) = match sys::file_handle(dir, libc::AT_HANDLE_FID) {
        Err(Errno::INVAL) => sys::file_handle(dir, 0),
        found => found,
    }?;
    let file_system = fstatvfs(dir).map_err(Failure::from)?.f_fsid;
    Ok([&file_system.to_le_bytes()[..], &kind.to_le_bytes(), &handle].concat().into())
}

/// `None` for what the kernel does not send.
fn parse(mut bytes: &[u8]) -> Option<Vec<Raw>> {
    let mut events = Vec::new();
    while !bytes.is_empty() {
        let length = number(bytes, 0)? as usize;
        let event = bytes.get(..length).filter(|event| event.len() >= EVENT_BYTES)?;
        if event[4] != libc::FANOTIFY_METADATA_VERSION {
            return None;
        }
        let head = usize::from(u16::from_ne_bytes(event[6..8].try_into().ok()?));
        let mask = u64::from_ne_bytes(event[8..16].try_into().ok()?);
        let process = number(event, 20)? as i32;
        let mut raw = Raw { mask, process, ..Raw::default() };
        let mut infos = event.get(head..)?;
        while !infos.is_empty() {
            let length = usize::from(u16::from_ne_bytes(infos.get(2..4)?.try_into().ok()?));
            let info = infos.get(..length).filter(|info| info.len() >= INFO_HEAD_BYTES)?;
            match info[0] {
                libc::FAN_EVENT_INFO_TYPE_DFID_NAME | libc::FAN_EVENT_INFO_TYPE_DFID => {
                    raw.at = Some(named(info)?)
                }
                libc::FAN_EVENT_INFO_TYPE_OLD_DFID_NAME => raw.from = Some(named(info)?),
                libc::FAN_EVENT_INFO_TYPE_NEW_DFID_NAME => raw.to = Some(named(info)?),
                _ => {}
            }
            infos = &infos[length..];
        }
        events.push(raw);
        bytes = &bytes[length..];
    }
    Some(events)
}

/// A directory and a name, as `struct fanotify_event_info_fid` has them. Without a name it is the directory itself.
fn named(info: &[u8]) -> Option<Named> {
    let (file_system, length) = ([number(info, 4)?, number(info, 8)?], number(info, 12)? as usize);
    let kind = number(info, 16)?;
    let handle = info.get(INFO_BYTES..INFO_BYTES.checked_add(length)?)?;
    let name = info[INFO_BYTES + length..].split(|&byte| byte == 0).next()?;
    let file_system = u64::from(file_system[0]) | u64::from(file_system[1]) << 32;
    let dir = [&file_system.to_le_bytes()[..], &kind.to_le_bytes(), handle].concat().into();
    Some(Named { dir, name: if name.is_empty() { Box::from(&b"."[..]) } else { Box::from(name) } })
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
