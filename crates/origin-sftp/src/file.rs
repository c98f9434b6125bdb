//! An opened file: a handle of one session. It holds the file through rename and removal, and is `Offline` for good when its
//! connection is lost.

use crate::attr;
use crate::core::{Core, within};
use crate::error::{Outcome, Trouble};
use crate::judge::{About, judge};
use crate::session::{Session, Waiting};
use crate::wire::{Attrs, Request};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use volume::{
    Access, Attr, Close, Copying, Cx, Error, ErrorKind, File, FileId, Fresh, Pages, Result, SetAttr,
    SyncKind, Ticket, VPath,
};

/// Pieces of one read that are asked for at once; the rest behind their answers.
const PIECES_AT_ONCE: usize = 64;
/// Most bytes of one copy at the server: it does nothing else meanwhile.
const COPY_MAX_BYTES: u64 = 16 << 20;
/// The last offset that `off_t` has.
const OFFSET_MAX: u64 = i64::MAX as u64;

pub(crate) struct SftpFile {
    /// Keeps the connection as long as there are files.
    _core: Arc<Core>,
    session: Arc<Session>,
    handle: Bytes,
    /// The name that it was opened by.
    path: VPath,
    wire: Bytes,
    access: Access,
    /// A server may give the same handle to another file then.
    closed: AtomicBool,
}

impl SftpFile {
    pub(crate) fn new(
        core: Arc<Core>,
        session: Arc<Session>,
        handle: Bytes,
        path: VPath,
        wire: Bytes,
        access: Access,
    ) -> SftpFile {
        SftpFile { _core: core, session, handle, path, wire, access, closed: AtomicBool::new(false) }
    }

    fn may(&self, access: Access) -> Outcome<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(ErrorKind::Stale.into());
        }
        match self.access.contains(access) {
            true => Ok(()),
            false => Err(ErrorKind::PermissionDenied.into()),
        }
    }

    /// A file is opened on a connection, so this is known.
    fn io_size(&self, of: impl Fn(crate::session::Facts) -> u32) -> u32 {
        self.session.facts().map_or(crate::IO_SIZE_MAX_BYTES, of)
    }

    async fn meant(&self, why: Trouble) -> Trouble {
        judge(&self.session, why, About::Use(&self.wire)).await
    }

    fn push_stat(&self) -> Waiting {
        self.session.push(Request::FStat { handle: self.handle.clone() })
    }

    fn told(&self, attrs: &Attrs) -> Attr {
        attr::told(attr::id(&self.path), attrs)
    }

    async fn stat(&self) -> Outcome<Attrs> {
        self.push_stat().answer().await?.attrs()
    }

    async fn read(&self, offset: u64, length: u32) -> Outcome<Bytes> {
        self.may(Access::READ)?;
        let end = offset.saturating_add(u64::from(length)).min(OFFSET_MAX);
        let (mut at, mut parts) = (offset, Vec::new());
        while at < end {
            let pieces = self.push_reads(at..end);
            let mut whole = true;
            for (wanted, piece) in pieces {
                let got = piece.answer().await?.data()?;
                // Behind a short piece the others are out of place.
                if !whole {
                    continue;
                }
                let Some(mut part) = got.filter(|part| !part.is_empty()) else { return Ok(joined(parts)) };
                part.truncate(wanted as usize);
                whole = part.len() == wanted as usize;
                at += part.len() as u64;
                parts.push(part);
            }
        }
        Ok(joined(parts))
    }

    fn push_reads(&self, range: Range<u64>) -> Vec<(u32, Waiting)> {
        let most = self.io_size(|facts| facts.read_max);
        let mut pieces = Vec::new();
        let mut offset = range.start;
        while offset < range.end && pieces.len() < PIECES_AT_ONCE {
            let length = u32::try_from(range.end - offset).map_or(most, |left| left.min(most));
            pieces.push((
                length,
                self.session.push(Request::Read { handle: self.handle.clone(), offset, length }),
            ));
            offset += u64::from(length);
        }
        pieces
    }

    /// All of it is in the queue before anything is waited for.
    async fn write(&self, offset: u64, mut data: Bytes) -> Outcome<()> {
        self.may(Access::WRITE)?;
        if offset.checked_add(data.len() as u64).is_none_or(|end| end > OFFSET_MAX) {
            return Err(ErrorKind::FileTooLarge.into());
        }
        let most = self.io_size(|facts| facts.write_max) as usize;
        let (mut at, mut pieces) = (offset, Vec::with_capacity(data.len().div_ceil(most)));
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(most));
            let length = piece.len() as u64;
            pieces.push(self.session.push(Request::Write {
                handle: self.handle.clone(),
                offset: at,
                data: piece,
            }));
            at += length;
        }
        match all_done(pieces).await {
            Ok(()) => Ok(()),
            Err(why) => Err(self.meant(why).await),
        }
    }

    async fn set(&self, set: &SetAttr) -> Outcome<Attr> {
        self.may(if set.size.is_some() { Access::WRITE } else { Access::empty() })?;
        let now = if attr::is_half(set) { self.stat().await? } else { Attrs::default() };
        let steps = attr::steps(set, &now)?.into_iter();
        let steps =
            steps.map(|attrs| self.session.push(Request::FSetStat { handle: self.handle.clone(), attrs }));
        let steps: Vec<Waiting> = steps.collect();
        let looking = self.push_stat();
        if let Err(why) = all_done(steps).await {
            return Err(self.meant(why).await);
        }
        Ok(self.told(&looking.answer().await?.attrs()?))
    }

    async fn copy(&self, to_offset: u64, source: &SftpFile, from_offset: u64, length: u64) -> Outcome<u64> {
        source.may(Access::READ)?;
        self.may(Access::WRITE)?;
        if self.wire == source.wire {
            // The server refuses it within one file, and between two opens of one name.
            let overlap = from_offset < to_offset.saturating_add(length)
                && to_offset < from_offset.saturating_add(length);
            return Err(if overlap { ErrorKind::InvalidArgument } else { ErrorKind::Unsupported }.into());
        }
        if !Arc::ptr_eq(&self.session, &source.session) {
            return Err(ErrorKind::Unsupported.into());
        }
        // The answer does not tell how much it was.
        let size = source.stat().await?.size.unwrap_or(0);
        let length = length.min(COPY_MAX_BYTES).min(size.saturating_sub(from_offset));
        if length == 0 {
            return Ok(0);
        }
        let copying = self.session.ask(Request::CopyData {
            from: source.handle.clone(),
            from_offset,
            length,
            to: self.handle.clone(),
            to_offset,
        });
        match copying.await.and_then(|answer| answer.done()) {
            Ok(()) => Ok(length),
            Err(why) => Err(self.meant(why).await),
        }
    }

    async fn end(&self) -> Outcome<Attr> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Err(ErrorKind::Stale.into());
        }
        let looking = self.push_stat();
        let closing = self.session.push(Request::Close { handle: self.handle.clone() });
        let attrs = looking.answer().await?.attrs();
        match closing.answer().await.and_then(|answer| answer.done()) {
            Ok(()) => Ok(self.told(&attrs?)),
            Err(why) => Err(self.meant(why).await),
        }
    }

    fn unsupported(&self, op: &'static str) -> Error {
        Error::new(ErrorKind::Unsupported, op, &self.path)
    }
}

/// The first error of several requests, when all have been answered.
pub(crate) async fn all_done(requests: Vec<Waiting>) -> Outcome<()> {
    let mut outcome = Ok(());
    for request in requests {
        let one = request.answer().await.and_then(|answer| answer.done());
        outcome = outcome.and(one);
    }
    outcome
}

/// One part is handed on as it came.
fn joined(mut parts: Vec<Bytes>) -> Bytes {
    if parts.len() <= 1 {
        return parts.pop().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
    for part in parts {
        whole.extend_from_slice(&part);
    }
    whole.freeze()
}

/// Nobody hears of an error then.
impl Drop for SftpFile {
    fn drop(&mut self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.session.close(self.handle.clone());
        }
    }
}

#[async_trait]
impl File for SftpFile {
    fn id(&self) -> FileId {
        attr::id(&self.path)
    }

    async fn attr(&self, cx: &Cx, _fresh: Fresh) -> Result<Attr> {
        let asked = async {
            self.may(Access::empty())?;
            Ok(self.told(&self.stat().await?))
        };
        within(cx, "attr", &self.path, asked).await
    }

    async fn set_attr(&self, cx: &Cx, set: &SetAttr) -> Result<Attr> {
        within(cx, "set_attr", &self.path, self.set(set)).await
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
        Err(self.unsupported("ranges"))
    }

    async fn zero(&self, _cx: &Cx, _offset: u64, _length: u64) -> Result<()> {
        Err(self.unsupported("zero"))
    }

    async fn copy_from(
        &self,
        cx: &Cx,
        offset: u64,
        source: &Arc<dyn File>,
        source_offset: u64,
        length: u64,
        how: Copying,
    ) -> Result<u64> {
        match (source.as_own::<SftpFile>(), how) {
            (Some(source), Copying::Any) => {
                within(cx, "copy", &self.path, self.copy(offset, source, source_offset, length)).await
            }
            (None, _) | (_, Copying::Clone) => Err(self.unsupported("copy")),
        }
    }

    async fn allocate(&self, _cx: &Cx, _size: u64) -> Result<Attr> {
        Err(self.unsupported("allocate"))
    }

    async fn sync(&self, cx: &Cx, _kind: SyncKind) -> Result<()> {
        let synced = async {
            self.may(Access::empty())?;
            self.session.ask(Request::FSync { handle: self.handle.clone() }).await?.done()
        };
        within(cx, "sync", &self.path, synced).await
    }

    async fn close(&self, cx: &Cx, _how: Close) -> Result<Attr> {
        within(cx, "close", &self.path, self.end()).await
    }

    fn ticket(&self) -> Option<Ticket> {
        None
    }
}
