//! An open file.
//!
//! Reading tries the page cache on the spot and hands over to a blocking thread only what must come from the
//! disk; buffers are never filled with zeros first. Short writes go into the page cache on the spot as long as
//! that is quick (`brisk.rs`), all others by way of a blocking thread.

use crate::attributes::{self, Keeps};
use crate::changes::{path_now, resize, sync_dir};
use crate::descriptor::Descriptor;
use crate::error::{Failure, Outcome};
use crate::pool::Lies;
use crate::sys;
use crate::turns::Turns;
use crate::volume::Disk;
use async_trait::async_trait;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{fdatasync, fsync};
use rustix::io::{Errno, pread, pwrite};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use volume::{
    Access, Attr, Close, Copying, Cx, ErrorKind, File, FileId, Fresh, Pages, Result, SetAttr, SyncKind,
    Ticket, VPath,
};

/// Longest read tried on the spot, bytes: copying it takes 0.05 to 0.2 ms. A longer one would hold up other
/// tasks, and the hand-over costs little beside it.
const INLINE_READ_MAX_BYTES: usize = 1 << 20;
/// Longest write done on the spot, bytes: new pages make it cost about three times a read.
const INLINE_WRITE_MAX_BYTES: usize = 256 << 10;
/// Reads longer than this allocate for what the file holds, not for what was asked, bytes.
const TRUSTED_LENGTH_BYTES: u64 = 1 << 20;
/// A buffer so much larger than what came is not kept, bytes.
const SLACK_MAX_BYTES: usize = 64 * 1024;

pub(crate) struct LocalFile {
    pub(crate) disk: Arc<Disk>,
    pub(crate) fd: Arc<Descriptor>,
    pub(crate) id: FileId,
    pub(crate) access: Access,
    /// The directory in which this handle made the file, until a `sync` brought its name to the medium.
    pub(crate) made_in: Arc<Mutex<Option<OwnedFd>>>,
    /// A sync has failed: what was written since the last success may be lost, and the kernel tells of it only
    /// once. From then on every sync and the close fail, so that nobody takes it for stored.
    pub(crate) lost: Arc<AtomicBool>,
    pub(crate) turns: Arc<Turns>,
}

impl LocalFile {
    /// The descriptor of an open file of this crate's, for who works on its content past the volume. `None` for files of
    /// others, and for what may not answer.
    pub(crate) fn of_this_machine(file: &dyn File) -> Option<BorrowedFd<'_>> {
        let file = file.as_own::<LocalFile>().filter(|file| file.is_here())?;
        Some(file.fd.as_fd())
    }

    pub(crate) fn need(&self, access: Access) -> Outcome<()> {
        match self.access.contains(access) {
            true => Ok(()),
            false => Err(ErrorKind::PermissionDenied.into()),
        }
    }

    /// Runs `work` on a blocking thread and names its failure.
    async fn blocking<T: Send + 'static>(
        &self,
        cx: &Cx,
        op: &'static str,
        work: impl FnOnce() -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        self.disk.pool.run(cx, op, self.fd.lies(), work).await?.map_err(self.told(op))
    }

    fn is_here(&self) -> bool {
        self.fd.lies() == Lies::Here
    }

    /// How it is now.
    async fn looked_at(&self, cx: &Cx, op: &'static str) -> Result<Attr> {
        if self.is_here() {
            return attributes::attr_of(&self.fd, self.disk.keeps).map_err(self.told(op));
        }
        let (fd, keeps) = (self.fd.clone(), self.disk.keeps);
        self.blocking(cx, op, move || attributes::attr_of(&fd, keeps)).await
    }

    fn not_lost(&self, op: &'static str) -> Result<()> {
        match self.lost.load(Ordering::Acquire) {
            true => {
                Err(self.told(op)(ErrorKind::Io.into())
                    .because("an earlier sync of it failed: data may be lost"))
            }
            false => Ok(()),
        }
    }

    fn told(&self, op: &'static str) -> impl FnOnce(Failure) -> volume::Error {
        move |failure| failure.told(op, format_args!("file {}", self.id))
    }

    /// Fills `buffer` with what is in memory; true when that was all there is to read.
    fn read_cached(&self, buffer: &mut Vec<u8>, offset: u64) -> Outcome<bool> {
        while buffer.len() < buffer.capacity() {
            match sys::read_nowait(&**self.fd, buffer, offset + buffer.len() as u64) {
                Ok(0) => return Ok(true),
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN | Errno::OPNOTSUPP) => return Ok(false),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(true)
    }
}

/// A buffer for a read, with room for as much as may come.
fn room(fd: &OwnedFd, offset: u64, length: u32) -> Outcome<Vec<u8>> {
    let mut length = u64::from(length);
    if length > TRUSTED_LENGTH_BYTES {
        let size = attributes::look(fd)?.stx_size;
        length = length.min(size.saturating_sub(offset).max(TRUSTED_LENGTH_BYTES));
    }
    let mut buffer = Vec::new();
    buffer.reserve_exact(length as usize);
    Ok(buffer)
}

fn read_rest(fd: &OwnedFd, buffer: &mut Vec<u8>, offset: u64) -> Outcome<()> {
    while buffer.len() < buffer.capacity() {
        let at = offset + buffer.len() as u64;
        match pread(fd, rustix::buffer::spare_capacity(buffer), at) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn write_rest(fd: &OwnedFd, data: &[u8], offset: u64) -> Outcome<()> {
    let mut done = 0;
    while done < data.len() {
        match pwrite(fd, &data[done..], offset + done as u64) {
            // A regular file takes at least a byte or says why not.
            Ok(0) => return Err(Errno::IO.into()),
            Ok(written) => done += written,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn sync_all(fd: &OwnedFd, kind: SyncKind, made_in: &Mutex<Option<OwnedFd>>) -> Outcome<()> {
    match kind {
        SyncKind::Data => fdatasync(fd)?,
        SyncKind::Full => fsync(fd)?,
    }
    let mut made_in = made_in.lock();
    if let Some(dir) = &*made_in {
        sync_dir(dir)?;
    }
    *made_in = None;
    Ok(())
}

fn kept(buffer: Vec<u8>) -> Bytes {
    match buffer.capacity() - buffer.len() > SLACK_MAX_BYTES {
        true => Bytes::copy_from_slice(&buffer),
        false => Bytes::from(buffer),
    }
}

#[async_trait]
impl File for LocalFile {
    fn id(&self) -> FileId {
        self.id
    }

    async fn attr(&self, cx: &Cx, _fresh: Fresh) -> Result<Attr> {
        self.looked_at(cx, "attr").await
    }

    async fn set_attr(&self, cx: &Cx, set: &SetAttr) -> Result<Attr> {
        let (disk, fd, set) = (self.disk.clone(), self.fd.clone(), *set);
        if self.disk.config.read_only {
            return Err(self.told("set_attr")(ErrorKind::ReadOnly.into()));
        }
        if set.size.is_some() {
            self.need(Access::WRITE).map_err(self.told("set_attr"))?;
        }
        let keeps = disk.keeps.asked_by(&cx.who);
        let work = move || {
            if let Some(size) = set.size {
                resize(&fd, size)?;
            }
            disk.set(&fd, &set, keeps)?;
            attributes::attr_of(&fd, disk.keeps)
        };
        if volume::may_wait_here() && self.is_here() {
            return work().map_err(self.told("set_attr"));
        }
        self.blocking(cx, "set_attr", work).await
    }

    async fn read_at(&self, cx: &Cx, offset: u64, length: u32) -> Result<Bytes> {
        self.need(Access::READ).map_err(self.told("read"))?;
        if i64::try_from(offset.saturating_add(length.into())).is_err() {
            // Behind the end of any file.
            return Ok(Bytes::new());
        }
        if !self.is_here() {
            let fd = self.fd.clone();
            let work = move || {
                let mut buffer = room(&fd, offset, length)?;
                read_rest(&fd, &mut buffer, offset).map(|()| kept(buffer))
            };
            return self.blocking(cx, "read", work).await;
        }
        let mut buffer = room(&self.fd, offset, length).map_err(self.told("read"))?;
        if buffer.capacity() <= INLINE_READ_MAX_BYTES
            && self.read_cached(&mut buffer, offset).map_err(self.told("read"))?
        {
            return Ok(kept(buffer));
        }
        let fd = self.fd.clone();
        let work = move || read_rest(&fd, &mut buffer, offset).map(|()| kept(buffer));
        self.blocking(cx, "read", work).await
    }

    async fn pages(&self, cx: &Cx, offset: u64, length: u32) -> Result<Option<Pages>> {
        self.need(Access::READ).map_err(self.told("read"))?;
        // What is not here goes without: the pages would be asked for when they are sent.
        if i64::try_from(offset.saturating_add(length.into())).is_err() || !self.is_here() {
            return Ok(None);
        }
        let take = move |fd: &OwnedFd| Ok(Pages::of(fd, offset, length as usize)?);
        if sys::is_in_memory(&**self.fd, offset, length.into()) {
            return take(&self.fd).map_err(self.told("read"));
        }
        let fd = self.fd.clone();
        self.blocking(cx, "read", move || take(&fd)).await
    }

    async fn write_at(&self, cx: &Cx, offset: u64, data: Bytes) -> Result<()> {
        self.need(Access::WRITE).map_err(self.told("write"))?;
        if i64::try_from(offset.saturating_add(data.len() as u64)).is_err() {
            return Err(self.told("write")(ErrorKind::FileTooLarge.into()));
        }
        if data.len() <= INLINE_WRITE_MAX_BYTES
            && self.is_here()
            && let Some(written) = self.disk.brisk.attempt(|| write_rest(&self.fd, &data, offset))
        {
            return written.map_err(self.told("write"));
        }
        let fd = self.fd.clone();
        let write = move |data: &[u8], offset| write_rest(&fd, data, offset);
        let threads = (&self.disk.pool, self.fd.lies());
        self.turns.take(threads, cx, (offset, data), write).await?.map_err(self.told("write"))
    }

    async fn ranges(&self, cx: &Cx, offset: u64, length: u64) -> Result<Vec<Range<u64>>> {
        self.blocking(cx, "ranges", self.data_in(offset, length)).await
    }

    async fn zero(&self, cx: &Cx, offset: u64, length: u64) -> Result<()> {
        self.blocking(cx, "zero", self.punch(offset, length)).await
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
        let (lies, work) =
            self.copy(offset, &**source, source_offset, length, how).map_err(self.told("copy"))?;
        self.disk.pool.run(cx, "copy", lies, work).await?.map_err(self.told("copy"))
    }

    async fn allocate(&self, cx: &Cx, size: u64) -> Result<Attr> {
        self.blocking(cx, "allocate", self.reserve(size)).await
    }

    async fn sync(&self, cx: &Cx, kind: SyncKind) -> Result<()> {
        self.not_lost("sync")?;
        let (fd, made_in, lost) = (self.fd.clone(), self.made_in.clone(), self.lost.clone());
        let work = move || {
            // Here and not after the wait: the caller may be gone by then, the failure is not.
            let synced = sync_all(&fd, kind, &made_in);
            lost.fetch_or(synced.is_err(), Ordering::AcqRel);
            synced
        };
        self.blocking(cx, "sync", work).await
    }

    async fn close(&self, cx: &Cx, how: Close) -> Result<Attr> {
        if how == Close::Commit {
            self.not_lost("close")?;
        }
        self.looked_at(cx, "close").await
    }

    fn ticket(&self) -> Option<Ticket> {
        let path = path_now(self.disk.root.fd(), &self.fd)?;
        let stamp = match self.fd.stamp() {
            Some(stamp) => stamp,
            None => Stamp::of(&self.fd).ok()?,
        };
        Some(write_ticket(&path, stamp, self.access))
    }
}

/// What tells a file from a later one with the same inode number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    id: FileId,
    born: i64,
    generation: u64,
}

impl Stamp {
    pub(crate) fn of(fd: &OwnedFd) -> Outcome<Stamp> {
        let attr = attributes::attr_of(fd, Keeps::NOTHING)?;
        // Where inodes have no generation, their numbers are not used again soon.
        let generation = sys::generation(fd).unwrap_or(0);
        Ok(Stamp { id: attr.id, born: attr.btime.unix_nanos() as i64, generation })
    }
}

/// Bytes of a ticket before its path.
const TICKET_HEAD: usize = 33;

fn write_ticket(path: &VPath, stamp: Stamp, access: Access) -> Ticket {
    let mut bytes = BytesMut::with_capacity(TICKET_HEAD + path.as_str().len());
    bytes.put_u8(access.bits());
    bytes.put_u64(stamp.id.hi);
    bytes.put_u64(stamp.id.lo);
    bytes.put_i64(stamp.born);
    bytes.put_u64(stamp.generation);
    bytes.put_slice(path.as_str().as_bytes());
    Ticket(bytes.freeze())
}

/// Where the file of a ticket was, which it was, and what it was opened for.
pub(crate) fn read_ticket(ticket: &Ticket) -> Option<(VPath, Stamp, Access)> {
    let mut bytes = &ticket.0[..];
    if bytes.len() < TICKET_HEAD {
        return None;
    }
    let access = Access::from_bits(bytes.get_u8())?;
    let id = FileId { hi: bytes.get_u64(), lo: bytes.get_u64() };
    let stamp = Stamp { id, born: bytes.get_i64(), generation: bytes.get_u64() };
    Some((VPath::parse(std::str::from_utf8(bytes).ok()?).ok()?, stamp, access))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LocalConfig, LocalVolume};
    use volume::Priority;

    #[tokio::test]
    async fn a_sync_that_failed_is_never_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let volume = LocalVolume::open(dir.path(), LocalConfig::default()).unwrap();
        // A pipe cannot be synced.
        let file = LocalFile {
            disk: volume.disk.clone(),
            fd: Descriptor::new(std::io::pipe().unwrap().1.into(), None, &volume.disk),
            id: FileId { hi: 0, lo: 1 },
            access: Access::WRITE,
            made_in: Arc::default(),
            lost: Arc::default(),
            turns: Arc::default(),
        };
        let cx = Cx::system(Priority::Interactive);
        assert!(file.close(&cx, Close::Commit).await.is_ok());
        let kind = |result: Result<()>| result.unwrap_err().kind;
        assert_eq!(kind(file.sync(&cx, SyncKind::Data).await), ErrorKind::InvalidArgument);
        assert_eq!(kind(file.sync(&cx, SyncKind::Full).await), ErrorKind::Io);
        assert_eq!(kind(file.close(&cx, Close::Commit).await.map(drop)), ErrorKind::Io);
        assert!(file.close(&cx, Close::Abort).await.is_ok());
    }
}
