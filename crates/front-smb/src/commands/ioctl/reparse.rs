//! Reparse points: symbolic links (MS-FSCC 2.1.2.4, 2.3.34, 2.3.71, MS-FSA 2.1.5.10).
//!
//! A link is a link of the volume; what a client has set is what clients are given back. Its target is relative and
//! stays inside the share: an absolute one means something else on each machine. Other tags have no place at the
//! volume and are refused (NOT_SUPPORTED).

use super::Output;
use crate::open::{self, FileOpen, Kind, Open};
use crate::request::Request;
use crate::status::failed;
use smb_wire::fscc::reparse::{ReparseData, Symlink, decode_reparse_deletion, tag};
use smb_wire::ioctl::IoctlRequest;
use smb_wire::{AccessMask, NtStatus};
use std::sync::Arc;
use vfs::{Replacement, Stop};

/// Tag, length and a reserved word: less is no answer, bytes.
const HEAD_BYTES: usize = 8;

pub(super) async fn get(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    let open = request.open(decoded.file_id)?;
    let file = open.file()?;
    if file.vfs.kind() != volume::Kind::Symlink {
        return Err(NtStatus::NOT_A_REPARSE_POINT);
    }
    let target = file.vfs.read_link(&request.cx()).await.map_err(failed)?;
    let mut bytes = Vec::new();
    ReparseData::Symlink(shown(&target)).encode(&mut bytes);
    let room = decoded.max_output_response as usize;
    match bytes.len() {
        _ if room < HEAD_BYTES => Err(NtStatus::BUFFER_TOO_SMALL),
        length if length > room => {
            bytes.truncate(room);
            Ok(Output { status: NtStatus::BUFFER_OVERFLOW, bytes })
        }
        _ => Output::of(bytes),
    }
}

pub(super) async fn set(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    let open = request.open(decoded.file_id)?;
    open.file()?;
    open.needs_any(AccessMask::WRITE_DATA | AccessMask::WRITE_ATTRIBUTES)?;
    let data = ReparseData::decode(&decoded.input).map_err(|_| NtStatus::IO_REPARSE_DATA_INVALID)?;
    let ReparseData::Symlink(link) = data else { return Err(NtStatus::NOT_SUPPORTED) };
    replace(request, &open, Replacement::Link(stored(&link)?)).await
}

/// What is left of a link is an empty file.
pub(super) async fn delete(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    let open = request.open(decoded.file_id)?;
    let file = open.file()?;
    open.needs_any(AccessMask::WRITE_DATA | AccessMask::WRITE_ATTRIBUTES)?;
    let deletion = decode_reparse_deletion(&decoded.input);
    let (of, _) = deletion.map_err(|_| NtStatus::IO_REPARSE_DATA_INVALID)?;
    if file.vfs.kind() != volume::Kind::Symlink {
        return Err(NtStatus::NOT_A_REPARSE_POINT);
    }
    if of != tag::SYMLINK {
        return Err(NtStatus::IO_REPARSE_TAG_MISMATCH);
    }
    replace(request, &open, Replacement::File).await
}

/// Puts something else in the place of what is open. The client's handle is one of the new object from then on, which it
/// neither caches nor finds again after its connection is gone.
async fn replace(request: &Request, open: &Arc<Open>, by: Replacement) -> Result<Output, NtStatus> {
    let share = request.disk()?;
    if !share.vfs.caps().symlinks {
        return Err(NtStatus::NOT_SUPPORTED);
    }
    let (cx, file, session) = (request.cx(), open.file()?, request.session()?);
    let opened = match file.vfs.replace(&cx, by).await {
        Err(vfs::Error::LinkRefused) => return Err(NtStatus::IO_REPARSE_DATA_INVALID),
        outcome => outcome.map_err(failed)?,
    };
    let change_times = Arc::clone(&request.connection.server.change_times);
    let mut new = FileOpen::new(opened, file.mode().bits(), file.action, None, change_times);
    new.posix = file.posix;
    let new = Open::new(request, open.tree_id, open.id, open.granted, Kind::File(Arc::new(new)));
    // What comes too late for its client is closed where it is dropped.
    if !session.replace_open(open, Arc::new(new)) {
        return Err(NtStatus::FILE_CLOSED);
    }
    open::end_file(&request.connection.server, open.id.persistent, file).await;
    Output::empty()
}

/// A link of the volume in the words of SMB.
pub(crate) fn shown(target: &str) -> Symlink {
    let names: Vec<_> = target.split('/').map(vfs::names::to_smb).collect();
    let name = names.join("\\");
    Symlink { substitute_name: name.clone(), print_name: name, relative: !target.starts_with('/') }
}

/// Tells a client of the link in its way, and how much of its path lies behind it.
pub(crate) fn tell_of(request: &Request, stop: &Stop) {
    let behind = |name: &str| name.encode_utf16().count() + 1;
    let units: usize = stop.rest.split('/').filter(|name| !name.is_empty()).map(behind).sum();
    request.stopped_on(&shown(&stop.target), u16::try_from(units * 2).unwrap_or(u16::MAX));
}

/// The target as the volume keeps it.
fn stored(link: &Symlink) -> Result<String, NtStatus> {
    let name = &link.substitute_name;
    if !link.relative || name.is_empty() || name.starts_with('\\') {
        return Err(NtStatus::NOT_SUPPORTED);
    }
    let mut target = String::with_capacity(name.len());
    for part in name.split('\\').filter(|part| !part.is_empty()) {
        if !target.is_empty() {
            target.push('/');
        }
        match part {
            "." | ".." => target.push_str(part),
            part => target.push_str(vfs::names::from_smb(part).map_err(failed)?.as_str()),
        }
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(name: &str, relative: bool) -> Symlink {
        Symlink { substitute_name: name.into(), print_name: name.into(), relative }
    }

    #[test]
    fn what_was_set_is_given_back() {
        for name in ["a", "..\\b\\c", "a\u{F022}b", ".", "..", "x\\..\\y"] {
            assert_eq!(shown(&stored(&link(name, true)).unwrap()), link(name, true));
        }
        assert_eq!(stored(&link("..\\b\u{F022}", true)).unwrap(), "../b:");
        assert_eq!(shown("/etc/motd"), link("\\etc\\motd", false));
    }

    #[test]
    fn only_what_is_relative_is_kept() {
        for (name, relative) in [("\\??\\C:\\x", false), ("a", false), ("\\a", true), ("", true)] {
            assert_eq!(stored(&link(name, relative)), Err(NtStatus::NOT_SUPPORTED), "{name}");
        }
        assert_eq!(stored(&link("a/b", true)), Err(NtStatus::OBJECT_NAME_INVALID));
    }
}
