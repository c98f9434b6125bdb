//! Changes of the namespace.
//!
//! Each works on a handle, so that `expect` is checked on the very object that is changed. What SMB does not
//! have is made up where the waist asks for it:
//!
//! * **Removing a file that this volume holds open.** The server would keep the name until the last handle is
//!   closed. The file is renamed to a name of [`GONE_PREFIX`] in the volume's root first, and so is in nobody's
//!   way. (A file that only others hold open keeps its name until they close it, as SMB has it.)
//! * **Replacing a file that is held open**, where the server refuses: the old file is moved out of the way,
//!   the new one takes its name, the old one is removed. In that case, and only then, replacing is not one
//!   step; if the second fails, the first is undone.
//! * **READONLY** marks in the way are lifted (`open.rs`).

use crate::attr::{Look, new_attributes};
use crate::core::Core;
use crate::error::{Outcome, Trouble};
use crate::file::set_on;
use crate::handle::{Door, Entered, Handle, enter};
use crate::names::GONE_PREFIX;
use crate::open::{enter_writable, expect as expect_opened, lift_read_only};
use smb_wire::create::{CreateDisposition, CreateOptions};
use smb_wire::fscc::file::FileClass;
use smb_wire::fscc::set::{RenameFlags, RenameInformation};
use smb_wire::{AccessMask, NtStatus};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use volume::{Applied, Change, DosAttributes, Error, ErrorKind, FileId, Result, SetAttr, VPath};

/// Does a change as [`volume::Volume::apply`] promises.
pub(crate) async fn apply(core: &Core, change: &Change) -> Outcome<Applied> {
    if core.caps.read_only {
        return Err(refuse(change.name(), first_path(change), ErrorKind::ReadOnly));
    }
    let attr = match change {
        Change::MakeDir { path, mode: _, dos, maker: _ } => Some((make_dir(core, path, *dos).await?, path)),
        Change::Remove { path, dir, expect } => {
            remove(core, path, *dir, *expect).await?;
            None
        }
        Change::Rename { from, to, replace, expect } => {
            Some((rename(core, from, to, *replace, *expect).await?, to))
        }
        Change::Link { from: path, .. }
        | Change::MakeNode { path, .. }
        | Change::Symlink { path, .. }
        | Change::SetNamed { path, .. } => {
            return Err(refuse(change.name(), path, ErrorKind::Unsupported));
        }
        Change::SetAttr { path, set, expect } => Some((set_attr(core, path, set, *expect).await?, path)),
    };
    Ok(Applied { attr: attr.map(|(look, path)| core.attr(&look, path)) })
}

fn first_path(change: &Change) -> &VPath {
    match change {
        Change::MakeDir { path, .. }
        | Change::MakeNode { path, .. }
        | Change::Remove { path, .. }
        | Change::Symlink { path, .. }
        | Change::SetAttr { path, .. }
        | Change::SetNamed { path, .. } => path,
        Change::Rename { from, .. } | Change::Link { from, .. } => from,
    }
}

fn refuse(op: &'static str, path: &VPath, kind: ErrorKind) -> Trouble {
    Trouble::Told(Error::new(kind, op, path))
}

async fn make_dir(core: &Core, path: &VPath, dos: DosAttributes) -> Outcome<Look> {
    if path.is_root() {
        return Err(refuse("mkdir", path, ErrorKind::AlreadyExists));
    }
    let door = Door {
        disposition: CreateDisposition::Create,
        attributes: new_attributes(dos),
        ..Door::to(core.wire("mkdir", path)?, AccessMask::empty(), CreateOptions::DIRECTORY_FILE)
    };
    let entered = enter(core.names.session().await?, door, None).await?;
    finish(entered.handle, entered.look).await
}

/// Closes the handle and gives what was seen through it, as it was left.
async fn finish(handle: Handle, look: Look) -> Outcome<Look> {
    let told = handle.close().await?;
    Ok(told.map_or(look, |told| look.closed_as(&told)))
}

/// Opens an object itself, to remove or rename it, and checks that it is the expected one.
async fn take(
    core: &Core,
    op: &'static str,
    path: &VPath,
    options: CreateOptions,
    expected: Option<FileId>,
) -> Outcome<Entered> {
    if path.is_root() {
        return Err(refuse(op, path, ErrorKind::InvalidArgument));
    }
    let options = options | CreateOptions::OPEN_REPARSE_POINT;
    let door = || Ok::<_, Trouble>(Door::to(core.wire(op, path)?, AccessMask::DELETE, options));
    let entered = match enter(core.names.session().await?, door()?, None).await {
        // Nothing has been changed yet.
        Err(Trouble::Lost(_)) => enter(core.names.session().await?, door()?, None).await,
        other => other,
    };
    let entered = match entered {
        Err(Trouble::Refused(NtStatus::DELETE_PENDING)) => return Err(refuse(op, path, ErrorKind::NotFound)),
        other => other?,
    };
    match expect_opened(op, core, path, &entered, expected) {
        // A link that the server follows was listed with the id of what it leads to.
        Err(why) if entered.look.is_reparse_point() => {
            let led_to = core.look(op, path).await?;
            if expected != Some(core.id(&led_to, path)) {
                return Err(why);
            }
        }
        checked => checked?,
    }
    Ok(entered)
}

async fn remove(core: &Core, path: &VPath, dir: bool, expected: Option<FileId>) -> Outcome<()> {
    let kind = if dir { CreateOptions::DIRECTORY_FILE } else { CreateOptions::NON_DIRECTORY_FILE };
    let entered = take(core, "remove", path, kind, expected).await?;
    if entered.look.is_read_only() {
        lift_read_only(core, path).await?;
    }
    if !dir && core.opens.is_held(entered.look.index) {
        move_away(core, &entered.handle, path).await?;
    }
    doom(&entered.handle).await?;
    entered.handle.close().await?;
    Ok(())
}

/// Marks an object to go when its last handle is closed.
async fn doom(handle: &Handle) -> Outcome<()> {
    handle.set(FileClass::DISPOSITION, vec![1]).await
}

/// Moves an object to a path as the server knows it.
async fn move_to(handle: &Handle, name: String, replace: bool) -> Outcome<()> {
    let flags = if replace { RenameFlags::REPLACE_IF_EXISTS } else { RenameFlags::empty() };
    let mut data = Vec::new();
    RenameInformation { flags, root_directory: 0, name }.encode(false, &mut data);
    handle.set(FileClass::RENAME, data).await
}

/// Gives a file a name that is in nobody's way: in the volume's root, so that its directory can go; beside it
/// where the user may not write to the root.
async fn move_away(core: &Core, handle: &Handle, path: &VPath) -> Outcome<()> {
    let name = gone_name();
    match move_to(handle, core.wire_beside(&VPath::root(), &name)?, false).await {
        Err(Trouble::Refused(NtStatus::ACCESS_DENIED | NtStatus::NOT_SAME_DEVICE)) => {
            let dir = path.parent().unwrap_or(VPath::root());
            move_to(handle, core.wire_beside(&dir, &name)?, false).await
        }
        moved => moved,
    }
}

/// A name that nobody has.
fn gone_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{GONE_PREFIX}{}-{now:x}-{number:x}", std::process::id())
}

async fn rename(
    core: &Core,
    from: &VPath,
    to: &VPath,
    replace: bool,
    expected: Option<FileId>,
) -> Outcome<Look> {
    if to.is_root() {
        return Err(refuse("rename", to, ErrorKind::InvalidArgument));
    }
    let entered = take(core, "rename", from, CreateOptions::empty(), expected).await?;
    if to == from {
        return match replace {
            true => finish(entered.handle, entered.look).await,
            false => Err(refuse("rename", to, ErrorKind::AlreadyExists)),
        };
    }
    if to.is_within(from) {
        let kind = if entered.look.is_dir() { ErrorKind::InvalidArgument } else { ErrorKind::NotADirectory };
        return Err(refuse("rename", to, kind));
    }
    let name = core.wire("rename", to)?;
    match move_to(&entered.handle, name.clone(), replace).await {
        Err(why) if replace && is_hindrance(&why) => {
            replace_by_force(core, &entered, to, name, why).await?;
        }
        moved => moved?,
    }
    let look = entered.handle.look().await?;
    finish(entered.handle, look).await
}

/// What a server says when it will not replace a file that is open or READONLY.
fn is_hindrance(why: &Trouble) -> bool {
    [NtStatus::ACCESS_DENIED, NtStatus::SHARING_VIOLATION, NtStatus::DELETE_PENDING]
        .iter()
        .any(|status| why.is(*status))
}

/// Makes way for a rename that the server refused with `why`.
async fn replace_by_force(
    core: &Core,
    entered: &Entered,
    to: &VPath,
    name: String,
    why: Trouble,
) -> Outcome<()> {
    let target = core.look("rename", to).await?;
    if target.is_dir() || entered.look.is_dir() {
        return Err(why);
    }
    if target.is_read_only() {
        lift_read_only(core, to).await?;
        return move_to(&entered.handle, name, true).await;
    }
    if !core.opens.is_held(target.index) {
        return Err(why);
    }
    let old = take(core, "rename", to, CreateOptions::NON_DIRECTORY_FILE, None).await?;
    move_away(core, &old.handle, to).await?;
    if let Err(why) = move_to(&entered.handle, name.clone(), false).await {
        if let Err(undone) = move_to(&old.handle, name, false).await {
            tracing::warn!(path = %to, ?undone, "a file that was to be replaced has lost its name");
        }
        return Err(why);
    }
    doom(&old.handle).await?;
    old.handle.close().await.map(drop)
}

/// SMB has no POSIX modes and owners, and the client that carries the requests no call to set compression and holes.
pub(crate) fn check_settable(op: &'static str, path: &VPath, set: &SetAttr) -> Result<()> {
    if set.mode.is_some() || set.uid.is_some() || set.gid.is_some() {
        let why = "an SMB server keeps no POSIX mode, owner and group";
        return Err(Error::new(ErrorKind::Unsupported, op, path).because(why));
    }
    if set.compressed.is_some() || set.sparse.is_some() {
        return Err(Error::new(ErrorKind::Unsupported, op, path));
    }
    Ok(())
}

/// Sets attributes by name.
pub(crate) async fn set_attr(
    core: &Core,
    path: &VPath,
    set: &SetAttr,
    expected: Option<FileId>,
) -> Outcome<Look> {
    check_settable("setattr", path, set)?;
    if set.size.is_some_and(|size| i64::try_from(size).is_err()) {
        return Err(refuse("setattr", path, ErrorKind::FileTooLarge));
    }
    let (access, options) = match set.size {
        Some(_) => (AccessMask::WRITE_ATTRIBUTES | AccessMask::WRITE_DATA, CreateOptions::NON_DIRECTORY_FILE),
        None => (AccessMask::WRITE_ATTRIBUTES, CreateOptions::empty()),
    };
    let door = Door::to(core.wire("setattr", path)?, access, options);
    let entered = enter_writable(core, core.names.session().await?, path, door, None).await?;
    expect_opened("setattr", core, path, &entered, expected)?;
    set_on(&entered.handle, set).await?;
    let look = entered.handle.look().await?;
    finish(entered.handle, look).await
}
