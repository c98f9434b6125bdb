//! A file that is open at the server.
//!
//! States: *open* (a handle whose session lives), *lost* (the session is gone), *closed*. A lost file with
//! nothing unsynced is opened again by the next call, by its path and only as the same file; one that was
//! written since the last successful `sync` stays lost and answers `Stale`, because what was acknowledged may
//! be gone with the server.

use crate::attr::{Look, basic_of};
use crate::change;
use crate::core::Core;
use crate::error::{Outcome, Trouble};
use crate::handle::{Door, Handle, Held};
use crate::open::{enter_writable, read_step, rights, set_basic};
use crate::session::Step;
use crate::ticket;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{StreamExt, TryStreamExt, iter};
use parking_lot::Mutex;
use smb_wire::create::CreateOptions;
use smb_wire::flush::FlushRequest;
use smb_wire::fscc::file::FileClass;
use smb_wire::read::ReadResponse;
use smb_wire::write::{WriteFlags, WriteRequest, WriteResponse};
use smb_wire::{FileTime, NtStatus};
use smb2::types::Command;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use volume::{
    Access, Attr, Close, Copying, Cx, Error, ErrorKind, File, FileId, Fresh, Pages, Result, Retry, SetAttr,
    SyncKind, Ticket, VPath,
};

/// Pieces of one long read or write that are under way at once.
const PIECES_AT_ONCE: usize = 8;
/// Offsets are signed at the server (MS-FSA 2.1.5.3).
const SIZE_MAX: u64 = i64::MAX as u64;

pub(crate) struct SmbFile {
    core: Arc<Core>,
    /// Under which name it was opened.
    path: VPath,
    id: FileId,
    born: FileTime,
    access: Access,
    /// `None` when closed.
    handle: Mutex<Option<Arc<Handle>>>,
    /// Held while it is being opened again.
    reopening: tokio::sync::Mutex<()>,
    /// Steps of writing: one when a write begins, one when it ends.
    written: AtomicU64,
    /// What `written` was before the last successful sync.
    synced: AtomicU64,
    /// What the server said last.
    known: Mutex<Look>,
    /// Counts it as open, so that its name can be given away while it is.
    _held: Held,
}

impl SmbFile {
    pub(crate) fn new(core: Arc<Core>, path: VPath, access: Access, handle: Handle, look: Look) -> SmbFile {
        SmbFile {
            id: core.id(&look, &path),
            born: look.basic.creation_time,
            _held: core.opens.hold(look.index),
            core,
            path,
            access,
            handle: Mutex::new(Some(Arc::new(handle))),
            reopening: tokio::sync::Mutex::new(()),
            written: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            known: Mutex::new(look),
        }
    }

    fn is_unsynced(&self) -> bool {
        self.written.load(Ordering::Acquire) != self.synced.load(Ordering::Acquire)
    }

    fn stale(&self, op: &'static str, why: &'static str) -> Trouble {
        self.core.stale(op, &self.path, why)
    }

    fn open_handle(&self, op: &'static str) -> Outcome<Arc<Handle>> {
        self.handle.lock().clone().ok_or_else(|| self.stale(op, "the file is closed"))
    }

    /// The handle; opened again if it was lost and that is honest.
    async fn handle(&self, op: &'static str) -> Outcome<Arc<Handle>> {
        let handle = self.open_handle(op)?;
        if !handle.is_lost() {
            return Ok(handle);
        }
        let _one_at_a_time = self.reopening.lock().await;
        let handle = self.open_handle(op)?;
        if !handle.is_lost() {
            return Ok(handle);
        }
        if self.is_unsynced() {
            return Err(
                self.stale(op, "the connection was lost after it was written and before it was synced")
            );
        }
        let door =
            Door::to(self.core.wire(op, &self.path)?, rights(self.access), CreateOptions::NON_DIRECTORY_FILE);
        let session = self.core.data_session().await?;
        let entered = match enter_writable(&self.core, session, &self.path, door, None).await {
            Err(Trouble::Refused(
                NtStatus::OBJECT_NAME_NOT_FOUND
                | NtStatus::OBJECT_PATH_NOT_FOUND
                | NtStatus::DELETE_PENDING
                | NtStatus::FILE_IS_A_DIRECTORY,
            )) => return Err(self.stale(op, "it lost its name, and then the connection was lost")),
            other => other?,
        };
        let same = self.core.id(&entered.look, &self.path) == self.id
            && entered.look.basic.creation_time == self.born;
        if !same {
            return Err(self.stale(op, "another file has its name since the connection was lost"));
        }
        let handle = Arc::new(entered.handle);
        match &mut *self.handle.lock() {
            Some(held) => *held = handle.clone(),
            None => return Err(self.stale(op, "the file is closed")),
        }
        Ok(handle)
    }

    /// Does what may be done twice: once more when the handle is lost.
    async fn repeatable<T, F, Fut>(&self, op: &'static str, work: F) -> Outcome<T>
    where
        F: Fn(Arc<Handle>) -> Fut,
        Fut: Future<Output = Outcome<T>>,
    {
        match work(self.handle(op).await?).await {
            Err(why) if why.is_loss() => work(self.handle(op).await?).await,
            other => other,
        }
    }

    fn tell(&self, look: Look) -> Attr {
        *self.known.lock() = look;
        self.core.attr(&look, &self.path)
    }

    fn permit(&self, op: &'static str, access: Access) -> Outcome<()> {
        if self.access.contains(access) {
            return Ok(());
        }
        let why = "the file was not opened for that";
        Err(Trouble::Told(Error::new(ErrorKind::PermissionDenied, op, &self.path).because(why)))
    }

    fn unable(&self, op: &'static str) -> Error {
        Error::new(ErrorKind::Unsupported, op, &self.path)
    }

    fn too_large(&self, op: &'static str) -> Trouble {
        Trouble::Told(Error::new(ErrorKind::FileTooLarge, op, &self.path))
    }

    async fn read(&self, offset: u64, length: u32) -> Outcome<Bytes> {
        self.permit("read", Access::READ)?;
        if length == 0 || offset >= SIZE_MAX {
            self.open_handle("read")?;
            return Ok(Bytes::new());
        }
        let piece = self.open_handle("read")?.io_size();
        if length <= piece {
            return self.read_piece(offset, length).await;
        }
        let pieces = (0..length).step_by(piece as usize).map(|at| {
            let wanted = piece.min(length - at);
            async move {
                self.read_piece(offset.saturating_add(u64::from(at)), wanted).await.map(|data| (data, wanted))
            }
        });
        let mut pieces = iter(pieces).buffered(PIECES_AT_ONCE);
        let mut whole = BytesMut::with_capacity(length as usize);
        while let Some((data, wanted)) = pieces.try_next().await? {
            whole.extend_from_slice(&data);
            if data.len() < wanted as usize {
                break;
            }
        }
        Ok(whole.freeze())
    }

    /// One request's worth; asked on when the server gave less than there is.
    async fn read_piece(&self, offset: u64, length: u32) -> Outcome<Bytes> {
        self.repeatable("read", |handle| async move {
            let mut whole = BytesMut::new();
            loop {
                let (at, left) = (offset + whole.len() as u64, length - whole.len() as u32);
                let data = match handle.ask(&read_step(handle.id, at, left)).await {
                    Ok(answer) => ReadResponse::decode(&answer.message)?.data,
                    Err(why) if why.is(NtStatus::END_OF_FILE) => Bytes::new(),
                    Err(why) => return Err(why),
                };
                if data.len() > left as usize {
                    return Err(Trouble::Broken("more came than was asked for".into()));
                }
                if whole.is_empty() && data.len() == left as usize {
                    return Ok(data);
                }
                whole.extend_from_slice(&data);
                if data.is_empty() || whole.len() == length as usize {
                    return Ok(whole.freeze());
                }
            }
        })
        .await
    }

    async fn write(&self, offset: u64, data: Bytes) -> Outcome<()> {
        self.permit("write", Access::WRITE)?;
        if offset.checked_add(data.len() as u64).is_none_or(|end| end > SIZE_MAX) {
            return Err(self.too_large("write"));
        }
        let handle = self.handle("write").await?;
        if data.is_empty() {
            return Ok(());
        }
        self.written.fetch_add(1, Ordering::AcqRel);
        let piece = handle.io_size() as usize;
        let pieces = (0..data.len()).step_by(piece).map(|at| {
            let part = data.slice(at..data.len().min(at + piece));
            write_piece(&handle, offset + at as u64, part)
        });
        let done = iter(pieces).buffer_unordered(PIECES_AT_ONCE).try_collect::<()>().await;
        self.written.fetch_add(1, Ordering::AcqRel);
        done.map_err(|why| self.interrupted("write", why))
    }

    /// A loss in the middle of a change of this file: nobody may take the request for harmless.
    fn interrupted(&self, op: &'static str, why: Trouble) -> Trouble {
        if !why.is_loss() {
            return why;
        }
        let error = why.into_error(op, &self.path);
        let story = format!("what was written since the last sync may be lost: {error}");
        let error = Error::new(ErrorKind::Offline, op, &self.path).because(story);
        Trouble::Told(Error { retry: Retry::Never, ..error })
    }

    async fn set(&self, set: &SetAttr) -> Outcome<Look> {
        change::check_settable("setattr", &self.path, set)?;
        if set.size.is_some() {
            self.permit("setattr", Access::WRITE)?;
        }
        if set.size.is_some_and(|size| size > SIZE_MAX) {
            return Err(self.too_large("setattr"));
        }
        if !set.is_empty() && !self.access.contains(Access::WRITE) {
            // The handle has no right to it; the user may have.
            self.open_handle("setattr")?;
            let expect = Some(self.id);
            return match change::set_attr(&self.core, &self.path, set, expect).await {
                Err(Trouble::Refused(NtStatus::OBJECT_NAME_NOT_FOUND)) => {
                    Err(self.stale("setattr", "it has lost its name"))
                }
                other => other,
            };
        }
        let handle = self.handle("setattr").await?;
        if set.is_empty() {
            return handle.look().await;
        }
        self.written.fetch_add(1, Ordering::AcqRel);
        let done = set_on(&handle, set).await;
        self.written.fetch_add(1, Ordering::AcqRel);
        done.map_err(|why| self.interrupted("setattr", why))?;
        handle.look().await
    }

    async fn flush(&self) -> Outcome<()> {
        let before = self.written.load(Ordering::Acquire);
        if !self.access.contains(Access::WRITE) {
            return self.open_handle("sync").map(drop);
        }
        let handle = self.handle("sync").await?;
        let request = FlushRequest { reserved1: 0, file_id: handle.id };
        let step = Step::new(Command::Flush, |body| request.encode(body));
        handle.ask(&step).await.map_err(|why| self.interrupted("sync", why))?;
        self.synced.fetch_max(before, Ordering::AcqRel);
        Ok(())
    }

    async fn end(&self) -> Outcome<Look> {
        let handle = self.open_handle("close")?;
        if handle.is_lost() && self.is_unsynced() {
            self.handle.lock().take();
            return Err(
                self.stale("close", "the connection was lost after it was written and before it was synced")
            );
        }
        let Some(handle) = self.handle.lock().take() else {
            return Err(self.stale("close", "the file is closed"));
        };
        let known = *self.known.lock();
        if handle.is_lost() {
            return Ok(known);
        }
        let closed = handle.close().await;
        match closed {
            Ok(Some(told)) => Ok(known.closed_as(&told)),
            Ok(None) => Ok(known),
            Err(why) if why.is_loss() && !self.is_unsynced() => Ok(known),
            Err(why) => Err(self.interrupted("close", why)),
        }
    }
}

async fn write_piece(handle: &Handle, offset: u64, data: Bytes) -> Outcome<()> {
    let (mut offset, mut data) = (offset, data);
    loop {
        let length = data.len() as u32;
        let request =
            WriteRequest { offset, file_id: handle.id, flags: WriteFlags::empty(), data: data.clone() };
        let step = Step::sized(Command::Write, length, |body| request.encode(body));
        let count = WriteResponse::decode(&handle.ask(&step).await?.message)?.count;
        match count {
            count if count == length => return Ok(()),
            count if count == 0 || count > length => {
                return Err(Trouble::Broken(format!("{count} of {length} bytes written").into()));
            }
            count => {
                offset += u64::from(count);
                data = data.slice(count as usize..);
            }
        }
    }
}

/// Sets the size, then the rest: a new size moves the times.
pub(crate) async fn set_on(handle: &Handle, set: &SetAttr) -> Outcome<()> {
    if let Some(size) = set.size {
        handle.set(FileClass::END_OF_FILE, size.to_le_bytes().to_vec()).await?;
    }
    match basic_of(set) {
        Some(basic) => set_basic(handle, &basic).await,
        None => Ok(()),
    }
}

#[async_trait]
impl File for SmbFile {
    fn id(&self) -> FileId {
        self.id
    }

    async fn attr(&self, cx: &Cx, _fresh: Fresh) -> Result<Attr> {
        let looked = self.repeatable("stat", |handle| async move { handle.look().await });
        within(cx, "stat", &self.path, looked).await.map(|look| self.tell(look))
    }

    async fn set_attr(&self, cx: &Cx, set: &SetAttr) -> Result<Attr> {
        within(cx, "setattr", &self.path, self.set(set)).await.map(|look| self.tell(look))
    }

    async fn read_at(&self, cx: &Cx, offset: u64, length: u32) -> Result<Bytes> {
        within(cx, "read", &self.path, self.read(offset, length)).await
    }

    async fn pages(&self, _cx: &Cx, _offset: u64, _length: u32) -> Result<Option<Pages>> {
        Ok(None)
    }

    async fn write_at(&self, cx: &Cx, offset: u64, data: Bytes) -> Result<()> {
        within(cx, "write", &self.path, self.write(offset, data)).await
    }

    async fn ranges(&self, _cx: &Cx, _offset: u64, _length: u64) -> Result<Vec<Range<u64>>> {
        Err(self.unable("ranges"))
    }

    async fn zero(&self, _cx: &Cx, _offset: u64, _length: u64) -> Result<()> {
        Err(self.unable("zero"))
    }

    async fn copy_from(
        &self,
        _cx: &Cx,
        _offset: u64,
        _source: &Arc<dyn File>,
        _source_offset: u64,
        _length: u64,
        _how: Copying,
    ) -> Result<u64> {
        Err(self.unable("copy"))
    }

    async fn allocate(&self, _cx: &Cx, _size: u64) -> Result<Attr> {
        Err(self.unable("allocate"))
    }

    async fn sync(&self, cx: &Cx, _kind: SyncKind) -> Result<()> {
        within(cx, "sync", &self.path, self.flush()).await
    }

    async fn close(&self, cx: &Cx, _how: Close) -> Result<Attr> {
        within(cx, "close", &self.path, self.end()).await.map(|look| self.tell(look))
    }

    fn ticket(&self) -> Option<Ticket> {
        (self.core.caps.stable_ids).then(|| ticket::write(&self.path, self.id, self.born, self.access))
    }
}

/// Bounds a call by its caller's patience and puts its trouble into the words of the waist.
pub(crate) async fn within<T>(
    cx: &Cx,
    op: &'static str,
    path: &VPath,
    work: impl Future<Output = Outcome<T>>,
) -> Result<T> {
    match tokio::time::timeout_at(cx.deadline.into(), work).await {
        Ok(done) => done.map_err(|why| why.into_error(op, path)),
        Err(_) => Err(Error::new(ErrorKind::TimedOut, op, path)),
    }
}
