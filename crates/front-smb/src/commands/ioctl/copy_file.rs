//! A whole file, copied for one of Apple's clients: a server-side copy that names no ranges, after the client was told
//! of OSX_COPYFILE (`create/apple.rs`).
//!
//! Content, named streams, extended attributes and DOS attributes go over; what the target has besides, its times and
//! its access list are the client's to set. A stream is copied as its content alone.
//!
//! It may take long. It goes in pieces, each within the patience for one request; the client is told that it is under way
//! as of any request, and can end it by CANCEL between two pieces. Ended early, for whatever reason, the target ends with
//! what was copied, and the answer says how much that is.

use crate::commands::io;
use crate::limits;
use crate::open::{FileOpen, Open};
use crate::request::Request;
use crate::status::failed;
use smb_wire::{AccessMask, NtStatus};
use volume::{Attr, Carries, Copying, Cx, DosAttributes, SetAttr};

/// Copies; returns what came of it, and how many bytes of content were copied, unless nothing was.
pub(super) async fn copy(
    request: &Request,
    source: &Open,
    target: &Open,
) -> Result<(NtStatus, u64), NtStatus> {
    let mut copied = 0;
    match copy_all(request, source, target, &mut copied).await {
        Ok(()) => Ok((NtStatus::SUCCESS, copied)),
        Err(status) if copied > 0 => Ok((status, copied)),
        Err(status) => Err(status),
    }
}

async fn copy_all(request: &Request, source: &Open, target: &Open, copied: &mut u64) -> Result<(), NtStatus> {
    target.needs_all(AccessMask::WRITE_DATA)?;
    let (from, to) = (source.file()?, target.file()?);
    let onto_itself = from.vfs.file_id() == to.vfs.file_id();
    let outcome = content(request, from, target, copied).await;
    if outcome.is_ok() || (*copied > 0 && !onto_itself) {
        let cut = cut(request, to, *copied).await;
        outcome.and(cut)?;
    }
    outcome?;
    if !from.vfs.is_stream() && !to.vfs.is_stream() && !onto_itself {
        carried(request, source, target).await?;
        let bits = |attr: Attr| attr.dos - DosAttributes::ONLY_TOLD;
        let dos = bits(from.attr(&request.cx()).await.map_err(failed)?);
        let set = SetAttr { dos: Some(dos), ..SetAttr::default() };
        if bits(to.attr(&request.cx()).await.map_err(failed)?) != dos {
            target.needs_all(AccessMask::WRITE_ATTRIBUTES)?;
            to.vfs.set_attr(&request.cx(), &set).await.map_err(failed)?;
        }
    }
    Ok(())
}

/// Copies content from the beginning on; `copied` are there, whatever comes of it.
async fn content(
    request: &Request,
    from: &FileOpen,
    target: &Open,
    copied: &mut u64,
) -> Result<(), NtStatus> {
    let to = target.file()?;
    let size = from.vfs.attr(&request.cx()).await.map_err(failed)?.size;
    io::check_range(0, size)?;
    while *copied < size {
        go_on(request, target)?;
        let (cx, at, length) = (request.cx(), *copied, limits::COPY_PIECE_BYTES.min(size - *copied));
        match to.vfs.copy_from(&cx, &from.vfs, at, at, length, Copying::Any).await.map_err(failed)? {
            // It has become shorter meanwhile.
            0 => break,
            more => *copied += more,
        }
    }
    Ok(())
}

/// What the target had behind what was copied is no part of it.
async fn cut(request: &Request, to: &FileOpen, size: u64) -> Result<(), NtStatus> {
    let cx = request.cx();
    if to.vfs.attr(&cx).await.map_err(failed)?.size > size {
        to.vfs.set_size(&cx, size).await.map_err(failed)?;
    }
    Ok(())
}

fn go_on(request: &Request, target: &Open) -> Result<(), NtStatus> {
    if request.is_end_wanted() || target.tenure.is_over() { Err(NtStatus::CANCELLED) } else { Ok(()) }
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
        go_on(request, target)?;
        let cx: Cx = request.cx();
        // One that is gone meanwhile is not missed.
        if let Some(value) = from.named(&cx, &entry.name).await.map_err(failed)? {
            to.set_named(&cx, &entry.name, Some(value)).await.map_err(failed)?;
        }
    }
    Ok(())
}
