//! `Volume` and `File`: the two traits everything below `vfs` is made of.

use crate::{
    Applied, Attr, Caps, Change, Cx, DosAttributes, FileId, Named, NamedEntry, Result, SetAttr, Space, VPath,
    Watch,
};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;

/// A named tree of files.
#[async_trait]
pub trait Volume: Send + Sync + 'static {
    /// What this volume can do; constant while it is served.
    fn caps(&self) -> Caps;

    /// Looks at a name. A symlink is reported as itself.
    async fn stat(&self, cx: &Cx, path: &VPath) -> Result<Attr>;

    /// Lists a directory. See [`Listing`] for paging and for what may come along.
    async fn list(&self, cx: &Cx, dir: &VPath, how: ListHow) -> Result<Listing>;

    /// Opens a regular file, making or emptying it if `how` says so.
    async fn open(&self, cx: &Cx, path: &VPath, how: OpenHow) -> Result<Opened>;

    /// Opens again what a ticket stands for, after a restart. `Stale` when it is gone.
    async fn reopen(&self, cx: &Cx, ticket: &Ticket) -> Result<Opened>;

    /// Changes the namespace: all of it or nothing. When it returns, the origin has it.
    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Applied>;

    /// Where a symlink points, uninterpreted.
    async fn read_link(&self, cx: &Cx, path: &VPath) -> Result<String>;

    /// The whole value that a file or directory carries under `name`; `None` when there is none. Only if the path
    /// still stands for `expect`, else `Stale`. Links and devices carry nothing: `Unsupported`.
    async fn named(
        &self,
        cx: &Cx,
        path: &VPath,
        expect: Option<FileId>,
        name: &Named,
    ) -> Result<Option<Bytes>>;

    /// Everything that a file or directory carries, in no order.
    async fn list_named(&self, cx: &Cx, path: &VPath, expect: Option<FileId>) -> Result<Vec<NamedEntry>>;

    /// Room at the origin, as seen from `path`.
    async fn space(&self, cx: &Cx, path: &VPath) -> Result<Space>;

    /// Subscribes to what changes, from now on. `Unsupported` where `caps().watch` is false.
    async fn watch(&self, cx: &Cx) -> Result<Watch>;
}

/// An opened regular file: holds it through rename and removal.
#[async_trait]
pub trait File: Send + Sync + 'static {
    /// Which file this is.
    fn id(&self) -> FileId;

    /// Its attributes now.
    async fn attr(&self, cx: &Cx, fresh: Fresh) -> Result<Attr>;

    /// Sets attributes, the size among them; returns them as they are then.
    async fn set_attr(&self, cx: &Cx, set: &SetAttr) -> Result<Attr>;

    /// Reads up to `length` bytes. Shorter only at the end of the file; empty at or behind it.
    async fn read_at(&self, cx: &Cx, offset: u64, length: u32) -> Result<Bytes>;

    /// Writes all of `data`. When it returns, later reads through this volume see it; what that means for
    /// durability is said by the volume (see `docs/semantics.md`).
    async fn write_at(&self, cx: &Cx, offset: u64, data: Bytes) -> Result<()>;

    /// Returns when everything written before is durable at the origin. After an error the data since the
    /// last success is to be treated as lost; asking again does not bring it back.
    async fn sync(&self, cx: &Cx, kind: SyncKind) -> Result<()>;

    /// Ends the work on this handle and returns the last attributes. Dropping without it loses only the
    /// chance to hear of an error.
    async fn close(&self, cx: &Cx, how: Close) -> Result<Attr>;

    /// A name for this open that outlives the process, where the volume has such.
    fn ticket(&self) -> Option<Ticket>;
}

/// How to list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ListHow {
    /// Where to go on: the `next` of the page before. `None` starts.
    pub cursor: Option<Bytes>,
    /// The caller has use for so many further entries from directories below, if they come cheaply: a far
    /// origin sends them in the same round trip. Zero asks for this directory alone.
    pub ahead: u32,
}

/// A page of a listing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Listing {
    /// Entries of the directory asked for, in the origin's order. No `.` and `..`.
    pub entries: Vec<Entry>,
    /// Where to go on; `None` when the directory is complete.
    pub next: Option<Bytes>,
    /// The directory itself, when the origin knows it anyway.
    pub dir: Option<Attr>,
    /// Complete listings of directories below, nearest first; only with `ListHow::ahead`.
    pub ahead: Vec<Directory>,
}

/// A complete listing that came along.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Directory {
    pub path: VPath,
    pub attr: Attr,
    pub entries: Vec<Entry>,
}

/// One name in a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub name: Arc<str>,
    pub attr: Attr,
}

bitflags::bitflags! {
    /// What a handle is for.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    pub struct Access: u8 {
        const READ = 1;
        const WRITE = 2;
    }
}

/// Whether opening may make the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Create {
    /// `NotFound` when it is not there.
    Never,
    /// Made when it is not there.
    IfMissing,
    /// `AlreadyExists` when it is there.
    New,
}

/// How to open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenHow {
    pub access: Access,
    pub create: Create,
    /// Emptied when it is there. Needs `WRITE`.
    pub truncate: bool,
    /// For a new file: POSIX permissions and attribute bits.
    pub mode: u32,
    pub dos: DosAttributes,
    /// Only if the name still stands for this file, else `Stale`.
    pub expect: Option<FileId>,
    /// The caller will read this range first: a far origin may send it along. Offset and length in bytes.
    pub first: Option<(u64, u32)>,
}

impl OpenHow {
    /// An existing file, for reading.
    pub fn read() -> OpenHow {
        OpenHow {
            access: Access::READ,
            create: Create::Never,
            truncate: false,
            mode: 0o644,
            dos: DosAttributes::empty(),
            expect: None,
            first: None,
        }
    }

    /// An existing file, for reading and writing.
    pub fn read_write() -> OpenHow {
        OpenHow { access: Access::READ | Access::WRITE, ..OpenHow::read() }
    }

    /// A file that may have to be made, for reading and writing.
    pub fn create(create: Create) -> OpenHow {
        OpenHow { create, ..OpenHow::read_write() }
    }
}

/// What opening gave.
pub struct Opened {
    pub file: Arc<dyn File>,
    pub attr: Attr,
    /// Whether this call made the file.
    pub created: bool,
    /// The bytes at `OpenHow::first`, if they came along; short only at the end of the file.
    pub first: Option<Bytes>,
}

/// How old an answer may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fresh {
    /// Within the volume's stated bound.
    Cached,
    /// Asked of the origin.
    Now,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyncKind {
    /// Content, and what is needed to read it back.
    Data,
    /// Also times and modes.
    Full,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Close {
    /// Keep what was written.
    Commit,
    /// The writer gives up: an origin that publishes on close need not publish.
    Abort,
}

/// A name for an open that outlives the process. Opaque.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Ticket(pub Bytes);
