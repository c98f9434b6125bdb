//! Opened files.

use super::attributes::without_privileges;
use super::{Answer, Given, Refused, Reply, asked, entry, made_by, path_in, path_of, payload, spelled};
use crate::handles::Handle;
use crate::session::Session;
use bytes::Bytes;
use fuse_wire::Header;
use fuse_wire::answer::{self, Opened};
use fuse_wire::flags::{OpenAnswerFlags, OpenRequestFlags, WriteFlags};
use fuse_wire::request::{self, CopyFileRange, Creation, Fallocate, Lseek, Read, Write};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use std::sync::Arc;
use vfs::{Access, Action, Disposition, Open, OpenRequest, Want};
use volume::{Attr, Copying, SetAttr, SyncKind};

/// `O_ACCMODE` and what it may be (open(2)).
const ACCESS_MASK: u32 = 0o3;
const WRITE_ONLY: u32 = 0o1;
const READ_WRITE: u32 = 0o2;
const EXCLUSIVE: u32 = 0o200;

fn file(session: &Session, fh: u64) -> Result<Arc<Open>, Refused> {
    session.handles.file(fh).ok_or(Refused(Errno::BADF))
}

/// What a caller may do with an open of these flags, and what the kernel may ask for in his place.
fn access(session: &Session, flags: u32) -> Access {
    let data = match flags & ACCESS_MASK {
        WRITE_ONLY => Access::WRITE_DATA | Access::APPEND_DATA,
        READ_WRITE => Access::READ_DATA | Access::WRITE_DATA | Access::APPEND_DATA,
        _ => Access::READ_DATA,
    };
    let more = match session.vfs.caps().read_only {
        true => Access::empty(),
        false => Access::WRITE_ATTRIBUTES | Access::WRITE_EA,
    };
    data | more | Access::READ_ATTRIBUTES | Access::READ_EA
}

fn opened(session: &Session, node: u64, open: Arc<Open>) -> Opened {
    let backing = session.begin_content(node, &open);
    let fh = session.handles.add(Handle::File(open.clone()));
    session.nodes.opened(node, fh, &open);
    match backing {
        Some(backing_id) => Opened { fh, flags: OpenAnswerFlags::PASSTHROUGH, backing_id },
        None => Opened { fh, ..Opened::default() },
    }
}

pub(super) async fn open(session: &Session, node: u64, how: &request::Open) -> Answer {
    let how_open = OpenRequest {
        want: Want::File,
        ..asked(session, path_of(session, node)?, access(session, how.flags))
    };
    let found = session.vfs.open(&session.cx(), how_open).await?;
    if session.nodes.file(node) != Some(found.attr.id) {
        super::done_with(session, &found.open).await;
        return Err(Errno::STALE.into());
    }
    if how.open_flags.contains(OpenRequestFlags::KILL_SUIDGID) {
        take_privileges(session, &found.open, &found.attr).await?;
    }
    let mut opened = opened(session, node, found.open);
    let by_us = !opened.flags.contains(OpenAnswerFlags::PASSTHROUGH);
    if by_us && session.nodes.has_content(node, found.attr.version) {
        opened.flags |= OpenAnswerFlags::KEEP_CACHE;
    }
    Ok(Reply::Gives(Bytes::copy_from_slice(&opened.encode()), Given::Open { node, fh: opened.fh }))
}

/// Somebody else changes the content: setuid and setgid go.
async fn take_privileges(session: &Session, open: &Open, attr: &Attr) -> Result<(), Refused> {
    if let Some(mode) = without_privileges(attr) {
        open.set_attr(&session.cx(), &SetAttr { mode: Some(mode), ..SetAttr::default() }).await?;
    }
    Ok(())
}

pub(super) async fn create(session: &Session, header: &Header, name: &[u8], how: &Creation) -> Answer {
    let name = spelled(name)?;
    let path = path_in(session, header.nodeid, &name)?;
    let disposition = if how.flags & EXCLUSIVE != 0 { Disposition::Create } else { Disposition::OpenIf };
    let (mode, maker) = made_by(session, header, how.mode, how.umask);
    let made = OpenRequest {
        want: Want::File,
        disposition,
        mode,
        maker,
        ..asked(session, path, access(session, how.flags))
    };
    let made = session.vfs.open(&session.cx(), made).await?;
    let entry = entry(session, header.nodeid, &name, &made.attr);
    let opened = opened(session, entry.nodeid, made.open);
    if made.action == Action::Created {
        session.nodes.is_bare(entry.nodeid, Some(session.valid));
    }
    let given = Given::Made { node: entry.nodeid, fh: opened.fh };
    Ok(Reply::Gives(Bytes::copy_from_slice(&answer::created(&entry, &opened)), given))
}

pub(super) async fn release(session: &Session, node: u64, fh: u64) -> Answer {
    // What was written has been told of at each write.
    match session.handles.remove(fh).ok_or(Errno::BADF)? {
        Handle::File(open) => {
            session.end_content(node);
            super::done_with(session, &open).await;
        }
        Handle::Dir(walk) => super::done_with(session, walk.open()).await,
    }
    session.nodes.closed(node, fh);
    Ok(Reply::Done)
}

pub(super) async fn read(session: &Session, what: &Read) -> Answer {
    let open = file(session, what.fh)?;
    Ok(Reply::Payload(open.read(&session.cx(), what.offset, what.size).await?))
}

pub(super) async fn write(session: &Session, what: Write) -> Answer {
    let open = file(session, what.fh)?;
    if what.write_flags.contains(WriteFlags::KILL_SUIDGID) {
        take_privileges(session, &open, &open.attr(&session.cx()).await?).await?;
    }
    let length = what.data.len() as u32;
    open.write(&session.cx(), what.offset, what.data).await?;
    payload(answer::written(length))
}

pub(super) fn sync_kind(datasync: bool) -> SyncKind {
    if datasync { SyncKind::Data } else { SyncKind::Full }
}

pub(super) async fn sync(session: &Session, fh: u64, datasync: bool) -> Answer {
    file(session, fh)?.sync(&session.cx(), sync_kind(datasync)).await?;
    Ok(Reply::Done)
}

pub(super) async fn allocate(session: &Session, what: &Fallocate) -> Answer {
    let open = file(session, what.fh)?;
    let cx = session.cx();
    let end = what.offset.checked_add(what.length).filter(|end| i64::try_from(*end).is_ok());
    let end = end.ok_or(Errno::FBIG)?;
    let flags = FallocateFlags::from_bits_retain(what.mode);
    let keep = FallocateFlags::KEEP_SIZE;
    if flags == FallocateFlags::empty() || flags == keep {
        open.reserve(&cx, end).await?;
    } else if flags == keep | FallocateFlags::PUNCH_HOLE || flags - keep == FallocateFlags::ZERO_RANGE {
        open.zero(&cx, what.offset, what.length).await?;
    } else {
        return Err(Errno::OPNOTSUPP.into());
    }
    if !flags.contains(keep) && open.attr(&cx).await?.size < end {
        open.set_size(&cx, end).await?;
    }
    Ok(Reply::Done)
}

/// Where the next data or hole begins (lseek(2)).
pub(super) async fn seek(session: &Session, what: &Lseek) -> Answer {
    let open = file(session, what.fh)?;
    let cx = session.cx();
    let size = open.attr(&cx).await?.size;
    if what.offset >= size {
        return Err(Errno::NXIO.into());
    }
    let mut at = what.offset;
    while at < size {
        let ranges = match open.ranges(&cx, at, size - at).await {
            Ok(ranges) => ranges,
            // The kernel takes all for data then.
            Err(vfs::Error::Volume(error)) if error.kind == volume::ErrorKind::Unsupported => {
                return Err(Errno::NOSYS.into());
            }
            Err(error) => return Err(error.into()),
        };
        match (what.whence, ranges.first()) {
            (request::SEEK_DATA, Some(first)) => return payload(answer::position(first.start)),
            (request::SEEK_DATA, None) => return Err(Errno::NXIO.into()),
            (request::SEEK_HOLE, Some(first)) if first.start <= at => at = first.end,
            (request::SEEK_HOLE, _) => return payload(answer::position(at)),
            _ => return Err(Errno::INVAL.into()),
        }
    }
    payload(answer::position(size))
}

pub(super) async fn copy(session: &Session, what: &CopyFileRange) -> Result<u64, Refused> {
    if what.flags != 0 {
        return Err(Errno::INVAL.into());
    }
    let (source, target) = (file(session, what.fh_in)?, file(session, what.fh_out)?);
    let cx = session.cx();
    let copied =
        target.copy_from(&cx, &source, what.offset_out, what.offset_in, what.length, Copying::Any).await?;
    Ok(copied)
}
