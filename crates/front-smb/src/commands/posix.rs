//! The SMB3 POSIX extensions: opens whose names are POSIX names, with their modes told and set (context 0x0100 of
//! NEGOTIATE, a create context for each open, level 100 of what is asked).
//!
//! A name of such an open is a path with `/` between components, in its own case, with any other character in it.
//! The structures are those of the extensions' drafts, as Samba and the Linux client have them.

use super::file_info;
use crate::request::Request;
use crate::status::failed;
use smb_wire::NtStatus;
use smb_wire::create::{CreateContext, CreateRequest, CreateResponseContext};
use smb_wire::fscc::posix::{PosixFileSystemInformation, PosixInformation, PosixMode};
use smb_wire::fscc::reparse::tag;
use smb_wire::sid::Sid;
use volume::{Attr, Kind, Space, VPath};

/// Permission bits that a client may set.
const PERMISSIONS: u32 = 0o7777;
/// `S_IFMT` of what is known by its kind.
const TYPE_FILE: u32 = 0o100_000;
const TYPE_DIR: u32 = 0o040_000;
const TYPE_SYMLINK: u32 = 0o120_000;
const NOT_KNOWN: u64 = u64::MAX;

/// The mode that a CREATE gives to a new file, where it asks for the extensions and the connection has them.
pub(super) fn asked(request: &Request, decoded: &CreateRequest) -> Option<u32> {
    let agreed = request.connection.negotiated.get().is_some_and(|agreement| agreement.posix_extensions);
    let mode = |context: &CreateContext| match context {
        CreateContext::Posix { mode } => Some(mode & PERMISSIONS),
        _ => None,
    };
    if agreed { decoded.contexts.iter().find_map(mode) } else { None }
}

/// The path that a POSIX name means.
///
/// # Errors
/// `OBJECT_NAME_INVALID` for names that no POSIX file has; `OBJECT_PATH_SYNTAX_BAD` for `.` and `..`.
pub(super) fn path(name: &str) -> Result<VPath, NtStatus> {
    if name.split('/').any(|name| matches!(name, "." | "..")) {
        return Err(NtStatus::OBJECT_PATH_SYNTAX_BAD);
    }
    VPath::parse(name).map_err(|error| failed(error.into()))
}

pub(super) fn information(attr: &Attr) -> PosixInformation {
    PosixInformation {
        basic: file_info::basic(attr),
        end_of_file: file_info::end_of_file(attr),
        allocation_size: attr.allocated,
        inode: attr.id.lo,
        device: attr.id.hi as u32,
        link_count: attr.links,
        reparse_tag: reparse_tag(attr),
        mode: mode(attr),
        owner: Sid::unix_user(attr.uid),
        group: Sid::unix_group(attr.gid),
    }
}

/// What the answer to CREATE tells.
pub(super) fn context(attr: &Attr) -> CreateResponseContext {
    CreateResponseContext::Posix {
        link_count: attr.links,
        reparse_tag: reparse_tag(attr),
        mode: mode(attr).0,
        owner: Sid::unix_user(attr.uid),
        group: Sid::unix_group(attr.gid),
    }
}

pub(super) fn file_system(space: &Space, identifier: u64) -> PosixFileSystemInformation {
    let unit = u64::from(space.unit.max(1));
    PosixFileSystemInformation {
        optimal_transfer_bytes: space.unit,
        block_bytes: space.unit,
        total_blocks: space.total / unit,
        free_blocks: space.free / unit,
        user_free_blocks: space.available / unit,
        total_nodes: NOT_KNOWN,
        free_nodes: NOT_KNOWN,
        identifier,
    }
}

fn mode(attr: &Attr) -> PosixMode {
    PosixMode::from_st_mode(st_mode(attr))
}

/// `st_mode`: the type and the permission bits.
pub(super) fn st_mode(attr: &Attr) -> u32 {
    let of_type = match attr.kind {
        Kind::Dir => TYPE_DIR,
        Kind::Symlink => TYPE_SYMLINK,
        Kind::File | Kind::Special(_) => TYPE_FILE,
    };
    of_type | attr.mode & PERMISSIONS
}

fn reparse_tag(attr: &Attr) -> u32 {
    match attr.kind {
        Kind::Symlink => tag::SYMLINK,
        Kind::File | Kind::Dir | Kind::Special(_) => 0,
    }
}
