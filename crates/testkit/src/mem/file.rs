//! An open file of [`super::MemVolume`]: holds its node until it is dropped.

use super::Origin;
use super::ranges;
use super::tree::{Tree, file_id};
use crate::counts::{Counts, Op};
use async_trait::async_trait;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::ops::Range;
use std::sync::Arc;
use volume::{
    Access, Attr, Caps, Close, Copying, Cx, Error, ErrorKind, File, FileId, Fresh, Pages, Result, SetAttr,
    SyncKind, Ticket,
};

pub(super) struct MemFile {
    pub(super) origin: Arc<Origin>,
    pub(super) counts: Arc<Counts>,
    pub(super) caps: Caps,
    pub(super) id: u64,
    pub(super) access: Access,
    /// What it was then.
    pub(super) opened: Attr,
}

/// Up to `length` bytes of `content` from `offset` on.
pub(super) fn slice(content: &[u8], offset: u64, length: u32) -> Bytes {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
    let end = start.saturating_add(length as usize).min(content.len());
    Bytes::copy_from_slice(&content[start..end])
}

/// Whether a volume with `caps` can set all of `set`.
pub(super) fn can_set(caps: &Caps, set: &SetAttr) -> bool {
    let times = set.mtime.is_some() || set.atime.is_some() || set.btime.is_some();
    let size = set.size.is_some_and(|size| size != 0);
    (caps.compression || set.compressed.is_none())
        && ((caps.holes && caps.dos_attributes) || set.sparse.is_none())
        && (caps.set_times || !times)
        && (caps.dos_attributes || set.dos.is_none())
        && (caps.random_write || !size)
}

pub(super) fn read_ticket(ticket: &Ticket) -> Option<(u64, Access)> {
    let mut bytes = &ticket.0[..];
    if bytes.len() != 9 {
        return None;
    }
    Some((bytes.get_u64(), Access::from_bits(bytes.get_u8())?))
}

impl MemFile {
    fn with_tree<T>(&self, op: Op, work: impl FnOnce(&mut Tree) -> T) -> T {
        self.counts.called(op);
        self.origin.with_tree(work)
    }

    fn error(&self, kind: ErrorKind, op: Op) -> Error {
        Error::new(kind, op.name(), format_args!("file {}", self.id))
    }

    fn can(&self, ability: bool, op: Op) -> Result<()> {
        match ability {
            true => Ok(()),
            false => Err(self.error(ErrorKind::Unsupported, op)),
        }
    }

    fn need(&self, access: Access, op: Op) -> Result<()> {
        match self.access.contains(access) {
            true => Ok(()),
            false => Err(self.error(ErrorKind::PermissionDenied, op)),
        }
    }
}

impl Drop for MemFile {
    fn drop(&mut self) {
        self.origin.tree.lock().release(self.id);
    }
}

#[async_trait]
impl File for MemFile {
    fn id(&self) -> FileId {
        file_id(self.id)
    }

    async fn attr(&self, _cx: &Cx, _fresh: Fresh) -> Result<Attr> {
        self.with_tree(Op::Attr, |tree| {
            tree.attr(self.id).ok_or_else(|| self.error(ErrorKind::Stale, Op::Attr))
        })
    }

    async fn set_attr(&self, _cx: &Cx, set: &SetAttr) -> Result<Attr> {
        self.with_tree(Op::SetAttr, |tree| {
            if self.caps.read_only {
                return Err(self.error(ErrorKind::ReadOnly, Op::SetAttr));
            }
            if set.size.is_some() {
                self.need(Access::WRITE, Op::SetAttr)?;
            }
            if !can_set(&self.caps, set) {
                return Err(self.error(ErrorKind::Unsupported, Op::SetAttr));
            }
            tree.set_attr("set_attr", self.id, set)
        })
    }

    async fn read_at(&self, _cx: &Cx, offset: u64, length: u32) -> Result<Bytes> {
        self.with_tree(Op::Read, |tree| {
            self.need(Access::READ, Op::Read)?;
            let bytes = slice(tree.content(self.id).unwrap_or(&[]), offset, length);
            self.counts.read(bytes.len());
            Ok(bytes)
        })
    }

    async fn pages(&self, _cx: &Cx, _offset: u64, _length: u32) -> Result<Option<Pages>> {
        Ok(None)
    }

    async fn write_at(&self, _cx: &Cx, offset: u64, data: Bytes) -> Result<()> {
        self.with_tree(Op::Write, |tree| {
            self.need(Access::WRITE, Op::Write)?;
            let end = tree.content(self.id).map_or(0, |content| content.len() as u64);
            if !self.caps.random_write && offset != end {
                return Err(self.error(ErrorKind::Unsupported, Op::Write));
            }
            self.counts.written(data.len());
            tree.write(self.id, offset, &data)
        })
    }

    async fn ranges(&self, _cx: &Cx, offset: u64, length: u64) -> Result<Vec<Range<u64>>> {
        self.with_tree(Op::Ranges, |tree| {
            self.can(self.caps.holes, Op::Ranges)?;
            Ok(ranges::of(tree.content(self.id).unwrap_or(&[]), offset, length))
        })
    }

    async fn zero(&self, _cx: &Cx, offset: u64, length: u64) -> Result<()> {
        self.with_tree(Op::Zero, |tree| {
            self.need(Access::WRITE, Op::Zero)?;
            self.can(self.caps.holes && self.caps.random_write, Op::Zero)?;
            tree.zero(self.id, offset, length);
            Ok(())
        })
    }

    async fn copy_from(
        &self,
        _cx: &Cx,
        offset: u64,
        source: &Arc<dyn File>,
        source_offset: u64,
        length: u64,
        how: Copying,
    ) -> Result<u64> {
        self.with_tree(Op::Copy, |tree| {
            let (ability, most) = match how {
                Copying::Clone => (self.caps.clones, u64::MAX),
                Copying::Any => (self.caps.copies, ranges::COPY_MAX_BYTES),
            };
            self.can(ability && self.caps.random_write, Op::Copy)?;
            let source = source.as_own::<MemFile>().filter(|own| Arc::ptr_eq(&own.origin, &self.origin));
            let source = source.ok_or_else(|| self.error(ErrorKind::Unsupported, Op::Copy))?;
            source.need(Access::READ, Op::Copy)?;
            self.need(Access::WRITE, Op::Copy)?;
            tree.copy((self.id, offset), (source.id, source_offset), length.min(most))
        })
    }

    async fn allocate(&self, _cx: &Cx, size: u64) -> Result<Attr> {
        self.with_tree(Op::Allocate, |tree| {
            self.need(Access::WRITE, Op::Allocate)?;
            self.can(self.caps.holes, Op::Allocate)?;
            tree.allocate(self.id, size)
        })
    }

    async fn sync(&self, _cx: &Cx, _kind: SyncKind) -> Result<()> {
        self.counts.called(Op::Sync);
        Ok(())
    }

    /// One that was only read tells what was known of it, as a far origin does, which closes such unheard.
    async fn close(&self, _cx: &Cx, _how: Close) -> Result<Attr> {
        if !self.access.contains(Access::WRITE) {
            self.counts.called(Op::Close);
            return Ok(self.opened);
        }
        self.with_tree(Op::Close, |tree| {
            tree.attr(self.id).ok_or_else(|| self.error(ErrorKind::Stale, Op::Close))
        })
    }

    fn ticket(&self) -> Option<Ticket> {
        let mut bytes = BytesMut::with_capacity(9);
        bytes.put_u64(self.id);
        bytes.put_u8(self.access.bits());
        Some(Ticket(bytes.freeze()))
    }
}
