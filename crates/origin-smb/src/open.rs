//! Opening files.
//!
//! A server refuses to open a file marked READONLY for writing, whatever the user's rights. In the waist the
//! mark is for the layers above to enforce, so it is lifted for the moment of opening and set again over the
//! new handle. In between other clients of the server see the file without it, and it stays off if the
//! connection dies just then.

use crate::attr::new_attributes;
use crate::core::Core;
use crate::error::{Outcome, Trouble};
use crate::file::SmbFile;
use crate::handle::{Door, Entered, Handle, enter};
use crate::session::{Session, Step};
use bytes::Bytes;
use smb_wire::create::{CreateDisposition, CreateOptions};
use smb_wire::fscc::FileAttributes;
use smb_wire::fscc::file::{BasicInformation, FileClass};
use smb_wire::read::{ReadRequest, ReadResponse};
use smb_wire::{AccessMask, FileId as OpenId, NtStatus};
use smb2::types::Command;
use std::sync::Arc;
use volume::{Access, Create, Error, ErrorKind, FileId, OpenHow, Opened, VPath};

/// Rights to ask for.
pub(crate) fn rights(access: Access) -> AccessMask {
    let mut mask = AccessMask::empty();
    if access.contains(Access::READ) {
        mask |= AccessMask::READ_DATA;
    }
    if access.contains(Access::WRITE) {
        mask |= AccessMask::WRITE_DATA | AccessMask::APPEND_DATA | AccessMask::WRITE_ATTRIBUTES;
    }
    mask
}

/// Opens a file as [`volume::Volume::open`] promises.
pub(crate) async fn open(core: &Arc<Core>, path: &VPath, how: &OpenHow) -> Outcome<Opened> {
    check(core, path, how)?;
    let first = how.first.filter(|_| how.access.contains(Access::READ) && !how.truncate);
    let door = || -> Outcome<Door> {
        Ok(Door {
            disposition: disposition(how),
            attributes: new_attributes(how.dos),
            ..Door::to(core.wire("open", path)?, rights(how.access), CreateOptions::NON_DIRECTORY_FILE)
        })
    };
    let session = core.data_session().await?;
    let entered = match enter_writable(core, session, path, door()?, first).await {
        // An open that made a file must not be asked again: the file could be taken for somebody else's.
        Err(Trouble::Lost(_)) if how.create == Create::Never => {
            enter_writable(core, core.data_session().await?, path, door()?, first).await
        }
        other => other,
    };
    let entered = entered.map_err(|why| refusal(path, how, why))?;
    expect("open", core, path, &entered, how.expect)?;
    let mut look = entered.look;
    if how.truncate && !entered.created && look.size > 0 {
        entered.handle.set(FileClass::END_OF_FILE, 0_u64.to_le_bytes().to_vec()).await?;
        look = entered.handle.look().await?;
    }
    let first = match entered.along {
        Some(Ok(answer)) => Some(ReadResponse::decode(&answer.message)?.data),
        Some(Err(why)) if why.is(NtStatus::END_OF_FILE) => Some(Bytes::new()),
        // It only came along; the caller reads again and hears of it then.
        Some(Err(_)) | None => None,
    };
    let attr = core.attr(&look, path);
    let file = SmbFile::new(core.clone(), path.clone(), how.access, entered.handle, look);
    Ok(Opened { file: Arc::new(file), attr, created: entered.created, first })
}

fn check(core: &Core, path: &VPath, how: &OpenHow) -> Outcome<()> {
    let refuse = |kind| Err(Trouble::Told(Error::new(kind, "open", path)));
    let writes = how.access.contains(Access::WRITE);
    if how.truncate && !writes {
        return refuse(ErrorKind::InvalidArgument);
    }
    if core.caps.read_only && (writes || how.create != Create::Never) {
        return refuse(ErrorKind::ReadOnly);
    }
    match (path.is_root(), how.create) {
        (true, Create::New) => refuse(ErrorKind::AlreadyExists),
        (true, Create::Never | Create::IfMissing) => refuse(ErrorKind::IsADirectory),
        (false, _) => Ok(()),
    }
}

/// Truncating is done after the identity is known, and keeps the attributes; OVERWRITE does neither.
fn disposition(how: &OpenHow) -> CreateDisposition {
    match how.create {
        Create::New => CreateDisposition::Create,
        Create::IfMissing if how.expect.is_none() => CreateDisposition::OpenIf,
        Create::IfMissing | Create::Never => CreateDisposition::Open,
    }
}

fn refusal(path: &VPath, how: &OpenHow, why: Trouble) -> Trouble {
    let kind = match why {
        Trouble::Refused(NtStatus::FILE_IS_A_DIRECTORY) if how.create == Create::New => {
            ErrorKind::AlreadyExists
        }
        Trouble::Refused(NtStatus::DELETE_PENDING) if how.create == Create::Never => ErrorKind::NotFound,
        why => return why,
    };
    Trouble::Told(Error::new(kind, "open", path))
}

/// `Stale` when what was opened is another file than the expected one.
pub(crate) fn expect(
    op: &'static str,
    core: &Core,
    path: &VPath,
    entered: &Entered,
    expected: Option<FileId>,
) -> Outcome<()> {
    match expected {
        Some(id) if id != core.id(&entered.look, path) => {
            Err(core.stale(op, path, "another file has this name now"))
        }
        _ => Ok(()),
    }
}

/// Opens; lifts a READONLY mark that is in the way of writing.
pub(crate) async fn enter_writable(
    core: &Core,
    session: Arc<Session>,
    path: &VPath,
    door: Door,
    first: Option<(u64, u32)>,
) -> Outcome<Entered> {
    let along =
        || first.map(|(offset, length)| read_step(OpenId::RELATED, offset, length.min(session.io_size)));
    let writes = door.access.intersects(AccessMask::WRITE_DATA | AccessMask::APPEND_DATA);
    let again = Door { path: door.path.clone(), ..door };
    match enter(session.clone(), door, along()).await {
        Err(why) if writes && why.is(NtStatus::ACCESS_DENIED) => {
            let Some(marked) = lift_read_only(core, path).await? else { return Err(why) };
            let entered = enter(session.clone(), again, along()).await?;
            set_attributes(&entered.handle, marked).await?;
            let look = entered.handle.look().await?;
            Ok(Entered { look, ..entered })
        }
        other => other,
    }
}

/// Takes the mark READONLY off; gives the attributes as they were, `None` when there was no such mark.
pub(crate) async fn lift_read_only(core: &Core, path: &VPath) -> Outcome<Option<FileAttributes>> {
    let wire = core.wire("open", path)?;
    let door = Door::to(wire, AccessMask::WRITE_ATTRIBUTES, CreateOptions::OPEN_REPARSE_POINT);
    let entered = enter(core.names.session().await?, door, None).await?;
    if !entered.look.is_read_only() {
        return Ok(None);
    }
    let marked = entered.look.basic.file_attributes;
    let plain = match marked - FileAttributes::READONLY {
        none if none.is_empty() => FileAttributes::NORMAL,
        some => some,
    };
    set_attributes(&entered.handle, plain).await?;
    entered.handle.close().await?;
    Ok(Some(marked))
}

async fn set_attributes(handle: &Handle, file_attributes: FileAttributes) -> Outcome<()> {
    let basic = BasicInformation { file_attributes, ..BasicInformation::default() };
    set_basic(handle, &basic).await
}

/// Sets times and attributes.
pub(crate) async fn set_basic(handle: &Handle, basic: &BasicInformation) -> Outcome<()> {
    let mut data = Vec::with_capacity(BasicInformation::FIXED_LEN);
    basic.encode(&mut data);
    handle.set(FileClass::BASIC, data).await
}

/// Asks for content.
pub(crate) fn read_step(file_id: OpenId, offset: u64, length: u32) -> Step {
    let request = ReadRequest { padding: 0, flags: 0, length, offset, file_id, minimum_count: 0 };
    Step::sized(Command::Read, length, |body| request.encode(body))
}
