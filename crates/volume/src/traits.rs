//! `Volume` and `File`: the two traits everything below `vfs` is made of.

use crate::{
    Applied, Attr, Caps, Change, Cx, DosAttributes, FileId, Maker, Named, NamedEntry, Pages, QuotaChange,
    QuotaRules, QuotasOf, Result, SetAttr, Space, Ticket, UserQuota, VPath, Watch,
};
use async_trait::async_trait;
use bytes::Bytes;
use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

/// Most ranges that one answer of [`File::ranges`] holds.
pub const RANGES_MAX: usize = 4096;

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

    /// Returns when the names in a directory, and what it carries itself, are durable at the origin as they were
    /// before. Only if the path still stands for `expect`, else `Stale`; `NotADirectory` for anything else, `Unsupported`
    /// where the origin has no word for it.
    async fn sync_dir(&self, cx: &Cx, path: &VPath, expect: Option<FileId>) -> Result<()>;

    /// Room at the origin, as seen from `path`.
    async fn space(&self, cx: &Cx, path: &VPath) -> Result<Space>;

    /// What holds for the quotas of all users. `Unsupported` where `caps().quotas` is false, as for the two below.
    async fn quota_rules(&self, cx: &Cx) -> Result<QuotaRules>;

    /// Quotas of users. `InvalidArgument` for too many at once, and for what cannot be a SID.
    async fn quotas(&self, cx: &Cx, of: &QuotasOf) -> Result<Vec<UserQuota>>;

    /// Sets what holds for all users, or limits of some. When it returns, that is durable; what somebody has beyond a
    /// new limit stays.
    async fn set_quotas(&self, cx: &Cx, change: &QuotaChange) -> Result<()>;

    /// Subscribes to what changes, from now on. `Unsupported` where `caps().watch` is false.
    async fn watch(&self, cx: &Cx) -> Result<Watch>;
}

/// An opened regular file: holds it through rename and removal.
#[async_trait]
pub trait File: Any + Send + Sync + 'static {
    /// Which file this is.
    fn id(&self) -> FileId;

    /// Its attributes now.
    async fn attr(&self, cx: &Cx, fresh: Fresh) -> Result<Attr>;

    /// Sets attributes, the size among them; returns them as they are then.
    async fn set_attr(&self, cx: &Cx, set: &SetAttr) -> Result<Attr>;

    /// Reads up to `length` bytes. Shorter only at the end of the file; empty at or behind it.
    async fn read_at(&self, cx: &Cx, offset: u64, length: u32) -> Result<Bytes>;

    /// The same for bytes that only go to a socket: as pages of the kernel's cache, which are not copied here. `None`
    /// where that is not possible, at this volume or just now: then they are read.
    async fn pages(&self, cx: &Cx, offset: u64, length: u32) -> Result<Option<Pages>>;

    /// Writes all of `data`. When it returns, later reads through this volume see it; what that means for
    /// durability is said by the volume (see `docs/semantics.md`).
    async fn write_at(&self, cx: &Cx, offset: u64, data: Bytes) -> Result<()>;

    /// Where in `length` bytes from `offset` on there is data, in order and apart from each other, cut at the end of
    /// the file; the rest of it reads as zeros. Room that is reserved and not written is no data. At most
    /// [`RANGES_MAX`]: who gets so many asks again from the end of the last. `Unsupported` where
    /// `caps().holes` is false.
    async fn ranges(&self, cx: &Cx, offset: u64, length: u64) -> Result<Vec<Range<u64>>>;

    /// From now on the range reads as zeros, and its room is given back where that is possible. Never goes beyond the
    /// end of the file, and leaves its size. `Unsupported` where `caps().holes` is false.
    async fn zero(&self, cx: &Cx, offset: u64, length: u64) -> Result<()>;

    /// Copies up to `length` bytes from another file, at the origin: they do not pass here. Returns how many were
    /// copied, fewer where the source ends (0 there alone) or where one call does no more: the caller asks for
    /// the rest. Ranges of one file that overlap are `InvalidArgument`. `Unsupported` when `source` is
    /// not of the same origin, and where `caps().copies`, for `Copying::Clone` `caps().clones`, is false.
    async fn copy_from(
        &self,
        cx: &Cx,
        offset: u64,
        source: &Arc<dyn File>,
        source_offset: u64,
        length: u64,
        how: Copying,
    ) -> Result<u64>;

    /// Reserves room, so that writing up to `size` does not fail for want of it; changes neither content nor size.
    /// Returns the attributes as they are then. `Unsupported` where `caps().holes` is false.
    async fn allocate(&self, cx: &Cx, size: u64) -> Result<Attr>;

    /// Returns when everything written before is durable at the origin. After an error the data since the
    /// last success is to be treated as lost; asking again does not bring it back.
    async fn sync(&self, cx: &Cx, kind: SyncKind) -> Result<()>;

    /// Ends the work on this handle and returns the last attributes. Dropping without it loses only the
    /// chance to hear of an error.
    async fn close(&self, cx: &Cx, how: Close) -> Result<Attr>;

    /// A name for this open that outlives the process, where the volume has such.
    fn ticket(&self) -> Option<Ticket>;
}

impl dyn File {
    /// This file as a layer's own kind: what a layer hands on of a `source` is the file inside.
    pub fn as_own<T: File>(&self) -> Option<&T> {
        let any: &dyn Any = self;
        any.downcast_ref()
    }
}

/// How [`File::copy_from`] is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Copying {
    /// Both files share the blocks from then on: takes no time and no room. All of it (what the source has of it) or
    /// nothing; `InvalidArgument` for what is not whole blocks of the origin.
    Clone,
    /// Whatever the origin does best.
    Any,
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
    /// Who makes it; without one it is the volume's own user's.
    pub maker: Option<Maker>,
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
            maker: None,
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
