//! SET_INFO (MS-SMB2 3.3.5.21, MS-FSA 2.1.5.15).

use crate::commands::create::name::Part;
use crate::commands::{extended, file_info, posix, quota, security};
use crate::open::{FileOpen, Open};
use crate::persistent;
use crate::reply::Answer;
use crate::request::Request;
use crate::status::failed;
use crate::veto;
use smb_wire::create::CreateOptions;
use smb_wire::fscc::file::FileClass;
use smb_wire::fscc::file_system::FileSystemClass;
use smb_wire::fscc::set::{DispositionFlags, RenameFlags, RenameInformation, SetFileInformation};
use smb_wire::query_info::{InfoType, SecurityInformation};
use smb_wire::set_info::{SetInfoRequest, SetInfoResponse};
use smb_wire::time::FileTime;
use smb_wire::{AccessMask, Command, NtStatus};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use vfs::{Carry, DeleteHow, Filter, ReadonlyTarget, RenameHow};
use volume::{SetAttr, VPath};

/// Longest file, bytes.
const SIZE_MAX: u64 = i64::MAX as u64;

pub(super) async fn set(request: &Request) -> Result<Answer, NtStatus> {
    let decoded = SetInfoRequest::decode(&request.message).map_err(|error| error.status())?;
    if decoded.data.len() > request.payload_max() as usize {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    request.check_charge(decoded.data.len() as u32)?;
    let open = request.open(decoded.file_id)?;
    match decoded.info_type {
        InfoType::FILE => {
            let file = open.file()?;
            let class = FileClass(decoded.information_class);
            let of_the_open = matches!(class, FileClass::POSITION | FileClass::MODE);
            if !of_the_open && !request.tree()?.maximal_access.contains(AccessMask::WRITE_ATTRIBUTES) {
                return Err(NtStatus::ACCESS_DENIED);
            }
            if class == FileClass::FULL_EA {
                let share = request.disk()?;
                extended::set(&request.cx(), &open, file, &share.vfs.caps(), &decoded.data).await?;
                return Ok(Answer::ok(|body| SetInfoResponse.encode(body)));
            }
            let value = SetFileInformation::decode(class, &decoded.data)
                .map_err(|_| NtStatus::INFO_LENGTH_MISMATCH)?;
            set_file(request, &open, file, value).await?;
            if file.has_change_time() {
                file.keep_change_time(&file.vfs.attr(&request.cx()).await.map_err(failed)?);
            }
        }
        InfoType::SECURITY => {
            let named = SecurityInformation::from_bits_retain(decoded.additional_information);
            security::set(request, &open, named, &decoded.data).await?;
        }
        InfoType::FILE_SYSTEM if decoded.information_class == FileSystemClass::CONTROL.0 => {
            quota::set_rules(request, &decoded.data).await?;
        }
        // Labels are read-only here: docs/limits.md.
        InfoType::FILE_SYSTEM => return Err(NtStatus::NOT_SUPPORTED),
        InfoType::QUOTA => quota::set(request, &decoded.data).await?,
        _ => return Err(NtStatus::INVALID_PARAMETER),
    }
    Ok(Answer::ok(|body| SetInfoResponse.encode(body)))
}

/// Whether it is a SET_INFO that renames. Windows announces none that waits, and sends what came before in the same
/// chain together with its answer.
pub(crate) fn is_rename(request: &Request) -> bool {
    request.header.command == Command::SetInfo
        && SetInfoRequest::decode(&request.message).is_ok_and(|decoded| {
            decoded.info_type == InfoType::FILE && decoded.information_class == FileClass::RENAME.0
        })
}

/// Renames. Persistent opens of the file, and of what is below a directory, have another path then: that is written down
/// though the client may not wait so long.
async fn rename(request: &Request, file: &FileOpen, how: &RenameInformation) -> Result<(), NtStatus> {
    let (to, how) = (target(request, file, how)?, rename_how(file, how.flags));
    let (server, vfs, cx) = (Arc::clone(&request.connection.server), Arc::clone(&file.vfs), request.cx());
    let doing = request.doing();
    Carry::new(async move {
        let _doing = doing;
        let renamed = vfs.rename(&cx, &to, how).await.map_err(failed)?;
        if let Err(error) = persistent::renamed(&server, &vfs, renamed).await {
            tracing::error!(%error, "a rename cannot be written down for persistent opens");
        }
        Ok(())
    })
    .await
}

async fn link(request: &Request, file: &FileOpen, to: VPath, flags: RenameFlags) -> Result<(), NtStatus> {
    let (vfs, cx, doing) = (Arc::clone(&file.vfs), request.cx(), request.doing());
    let how = rename_how(file, flags);
    Carry::new(async move {
        let _doing = doing;
        vfs.link(&cx, &to, how).await.map_err(failed)
    })
    .await
}

/// The name is to go away with its last open, or with this one, or not any more. Once that is so it is written down or taken
/// back, though the client may not wait so long.
async fn set_deletion(
    request: &Request,
    open: &Open,
    file: &FileOpen,
    flags: DispositionFlags,
) -> Result<(), NtStatus> {
    open.needs_any(AccessMask::DELETE)?;
    let (cx, vfs, before) = (request.cx(), Arc::clone(&file.vfs), file.vfs.delete_pending());
    let delete = flags.contains(DispositionFlags::DELETE);
    let how = DeleteHow {
        ignore_readonly: file.posix || flags.contains(DispositionFlags::IGNORE_READONLY_ATTRIBUTE),
        on_close: flags.contains(DispositionFlags::ON_CLOSE),
        posix: file.posix || flags.contains(DispositionFlags::POSIX_SEMANTICS),
    };
    // As with Windows it is the flag of its CREATE that is set and taken back; and what that has said is written down.
    if how.on_close && (file.is_persistent() || !file.mode().contains(CreateOptions::DELETE_ON_CLOSE)) {
        return Err(NtStatus::NOT_SUPPORTED);
    }
    vfs.set_deletion(&cx, delete, how).await.map_err(failed)?;
    if how.on_close {
        return Ok(());
    }
    let (server, doing) = (Arc::clone(&request.connection.server), request.doing());
    Carry::new(async move {
        let _doing = doing;
        let Err(error) = persistent::deleted(&server, &vfs).await else { return Ok(()) };
        tracing::error!(%error, "a deletion cannot be written down for persistent opens");
        // What it was it may be again, whatever mark there is.
        let how = DeleteHow { ignore_readonly: true, ..DeleteHow::default() };
        vfs.set_deletion(&cx, before, how).await.map_err(failed)?;
        Err(NtStatus::IO_DEVICE_ERROR)
    })
    .await
}

async fn set_file(
    request: &Request,
    open: &Open,
    file: &FileOpen,
    value: SetFileInformation,
) -> Result<(), NtStatus> {
    let (vfs, cx) = (&file.vfs, &request.cx());
    match value {
        SetFileInformation::Basic(basic) => {
            open.needs_any(AccessMask::WRITE_ATTRIBUTES)?;
            let set = file_info::set_basic(&basic, vfs.is_dir())?;
            if set != SetAttr::default() {
                vfs.set_attr(cx, &set).await.map_err(failed)?;
            }
            match basic.last_write_time {
                FileTime::FREEZE => vfs.keep_write_time(true),
                FileTime::THAW => vfs.keep_write_time(false),
                _ => {}
            }
            if let Some(change) = file_info::given(basic.change_time) {
                let attr = vfs.attr(cx).await.map_err(failed)?;
                file.set_change_time(&attr, change);
                vfs.shown_differently(Filter::empty()).map_err(failed)?;
            }
        }
        SetFileInformation::Rename(how) => {
            check_device(file)?;
            check_somebody(request)?;
            open.needs_any(AccessMask::DELETE)?;
            if vfs.stream().is_some() || (!file.posix && how.name.starts_with(':')) {
                return rename_stream(request, vfs, &how).await;
            }
            rename(request, file, &how).await?;
        }
        SetFileInformation::Link(how) => {
            check_device(file)?;
            check_somebody(request)?;
            let to = target(request, file, &how)?;
            link(request, file, to, how.flags).await?;
        }
        SetFileInformation::Disposition { delete } => {
            let flags = if delete { DispositionFlags::DELETE } else { DispositionFlags::empty() };
            set_deletion(request, open, file, flags).await?;
        }
        SetFileInformation::DispositionEx(flags) => set_deletion(request, open, file, flags).await?,
        SetFileInformation::AllocationSize(bytes) => {
            open.needs_any(AccessMask::WRITE_DATA)?;
            check_size(vfs, bytes)?;
            vfs.set_allocation(cx, bytes).await.map_err(failed)?;
            file.allocation.store(bytes, Ordering::Relaxed);
        }
        SetFileInformation::EndOfFile(bytes) => {
            open.needs_any(AccessMask::WRITE_DATA)?;
            check_size(vfs, bytes)?;
            vfs.set_size(cx, bytes).await.map_err(failed)?;
        }
        SetFileInformation::Position(offset) => {
            if offset > SIZE_MAX {
                return Err(NtStatus::INVALID_PARAMETER);
            }
            file.position.store(offset, Ordering::Relaxed);
        }
        SetFileInformation::Mode(wanted) => {
            file.set_mode(file_info::mode(file.mode(), wanted).ok_or(NtStatus::INVALID_PARAMETER)?);
        }
        // Those were set before.
        SetFileInformation::ExtendedAttributes(_) => return Err(NtStatus::INVALID_INFO_CLASS),
        SetFileInformation::ValidDataLength(_) => return Err(NtStatus::PRIVILEGE_NOT_HELD),
        SetFileInformation::ShortName(_) => return Err(NtStatus::PRIVILEGE_NOT_HELD),
        SetFileInformation::Other(_) => return Err(NtStatus::INVALID_INFO_CLASS),
    }
    Ok(())
}

/// Nothing in a snapshot gets a name: neither there nor in the present.
fn check_device(file: &FileOpen) -> Result<(), NtStatus> {
    if file.in_snapshot { Err(NtStatus::NOT_SAME_DEVICE) } else { Ok(()) }
}

/// A new name is for who asks now, whoever opened the file (MS-FSA 2.1.5.15.11).
fn check_somebody(request: &Request) -> Result<(), NtStatus> {
    if request.session()?.is_anonymous() { Err(NtStatus::ACCESS_DENIED) } else { Ok(()) }
}

fn check_size(vfs: &vfs::Open, bytes: u64) -> Result<(), NtStatus> {
    if bytes > SIZE_MAX || vfs.is_dir() { Err(NtStatus::INVALID_PARAMETER) } else { Ok(()) }
}

/// A stream gets another name, never another place (MS-FSA 2.1.5.15.11.1).
async fn rename_stream(
    request: &Request,
    vfs: &Arc<vfs::Open>,
    how: &RenameInformation,
) -> Result<(), NtStatus> {
    // As Windows does: a path would open the file that the stream is of.
    let to = how.name.strip_prefix(':').ok_or(NtStatus::SHARING_VIOLATION)?;
    let to = match Part::parse(to).map_err(|_| NtStatus::INVALID_PARAMETER)? {
        Part::Stream(name) => name,
        Part::Content | Part::Index => return Err(NtStatus::INVALID_PARAMETER),
    };
    let replace = how.flags.contains(RenameFlags::REPLACE_IF_EXISTS);
    let (vfs, cx, doing) = (Arc::clone(vfs), request.cx(), request.doing());
    Carry::new(async move {
        let _doing = doing;
        vfs.rename_stream(&cx, &to, replace).await.map_err(failed)
    })
    .await
}

/// POSIX clients mean what rename(2) does, without saying so, and know no READONLY that keeps a name.
fn rename_how(file: &FileOpen, flags: RenameFlags) -> RenameHow {
    RenameHow {
        replace: flags.contains(RenameFlags::REPLACE_IF_EXISTS),
        posix: file.posix || flags.contains(RenameFlags::POSIX_SEMANTICS),
        readonly: match flags.contains(RenameFlags::IGNORE_READONLY_ATTRIBUTE) {
            _ if file.posix => ReadonlyTarget::Unknown,
            true => ReadonlyTarget::Waived,
            false => ReadonlyTarget::Stays,
        },
    }
}

/// The new path, from the share's root.
fn target(request: &Request, file: &FileOpen, how: &RenameInformation) -> Result<VPath, NtStatus> {
    if how.root_directory != 0 {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let path = if file.posix {
        posix::path(how.name.trim_start_matches('/'))?
    } else {
        if how.name.contains(':') {
            return Err(NtStatus::NOT_SUPPORTED);
        }
        vfs::names::from_smb(how.name.strip_prefix('\\').unwrap_or(&how.name)).map_err(failed)?
    };
    if path.is_root() {
        return Err(NtStatus::OBJECT_NAME_INVALID);
    }
    if let Some(share) = request.tree()?.share() {
        veto::naming(share, &path)?;
    }
    Ok(path)
}
