//! A whole file, copied for one of Apple's clients: a server-side copy that names no ranges, after the client was told
//! of OSX_COPYFILE (`create/apple.rs`).
//!
//! Content, named streams, extended attributes and DOS attributes go over; what the target has besides, its times and
//! its access list are the client's to set. A stream is copied as its content alone.

use crate::commands::io;
use crate::open::{FileOpen, Open};
use crate::request::Request;
use crate::status::failed;
use smb_wire::{AccessMask, NtStatus};
use volume::{Attr, Carries, Copying, Cx, DosAttributes, SetAttr};

/// Bytes that are copied within the patience for one request.
const PIECE_BYTES: u64 = 64 << 20;

/// Copies; returns how many bytes of content.
pub(super) async fn copy(request: &Request, source: &Open, target: &Open) -> Result<u64, NtStatus> {
    target.needs_all(AccessMask::WRITE_DATA)?;
    let (from, to) = (source.file()?, target.file()?);
    let copied = content(request, from, to).await?;
    if !from.vfs.is_stream() && !to.vfs.is_stream() && from.vfs.file_id() != to.vfs.file_id() {
        carried(request, source, target).await?;
        let bits = |attr: Attr| attr.dos - DosAttributes::ONLY_TOLD;
        let dos = bits(from.attr(&request.cx()).await.map_err(failed)?);
        let set = SetAttr { dos: Some(dos), ..SetAttr::default() };
        if bits(to.attr(&request.cx()).await.map_err(failed)?) != dos {
            target.needs_all(AccessMask::WRITE_ATTRIBUTES)?;
            to.vfs.set_attr(&request.cx(), &set).await.map_err(failed)?;
        }
    }
    Ok(copied)
}

async fn content(request: &Request, from: &FileOpen, to: &FileOpen) -> Result<u64, NtStatus> {
    let size = from.vfs.attr(&request.cx()).await.map_err(failed)?.size;
    io::check_range(0, size)?;
    let mut at = 0;
    while at < size {
        let (cx, length) = (request.cx(), PIECE_BYTES.min(size - at));
        match to.vfs.copy_from(&cx, &from.vfs, at, at, length, Copying::Any).await.map_err(failed)? {
            // It has become shorter meanwhile.
            0 => break,
            copied => at += copied,
        }
    }
    let cx = request.cx();
    if to.vfs.attr(&cx).await.map_err(failed)?.size > at {
        to.vfs.set_size(&cx, at).await.map_err(failed)?;
    }
    Ok(at)
}

/// Streams and extended attributes. Who may not read or write the latter is refused where there are some.
async fn carried(request: &Request, source: &Open, target: &Open) -> Result<(), NtStatus> {
    let (from, to) = (&source.file()?.vfs, &target.file()?.vfs);
    let kinds = Carries::STREAMS | Carries::EXTENDED;
    for entry in from.list_named(&request.cx(), kinds).await.map_err(failed)? {
        if entry.name.kind() == Carries::EXTENDED {
            source.needs_all(AccessMask::READ_EA)?;
            target.needs_all(AccessMask::WRITE_EA)?;
        }
        let cx: Cx = request.cx();
        // One that is gone meanwhile is not missed.
        if let Some(value) = from.named(&cx, &entry.name).await.map_err(failed)? {
            to.set_named(&cx, &entry.name, Some(value)).await.map_err(failed)?;
        }
    }
    Ok(())
}
