//! Removing and renaming by name alone, for callers who have nothing open ([`crate::Vfs::remove`], [`crate::Vfs::rename`]).
//!
//! Each is what an open for `DELETE`, the deed and the end of that open come to. Where nobody has open what it is about,
//! nobody is to be asked and no open is needed: what is held and told is the same, and the volume is asked for what stands
//! there and to change it, no more. In all other cases, and where the volume refuses, nothing was done here, and the usual
//! way is gone, which knows who is to be waited for and what to answer.
//!
//! The name is held alone from the look at it to the change. So nobody opens it meanwhile; who opens what it stands for by
//! another name has done so after the change.

use crate::Carry;
use crate::core::{Core, Entered, Sealed};
use crate::name_lock::NameGuard;
use crate::request::RenameHow;
use crate::{DeleteHow, Error, OpenRequest, ReadonlyTarget, Result, Want};
use std::sync::Arc;
use volume::{Attr, Change, Cx, ErrorKind, Kind, VPath};

/// What came of going the short way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Short {
    Done,
    /// Nothing was done.
    Usual,
}

/// Whether an open like this asks for nothing but what is looked at here.
fn is_plain(request: &OpenRequest) -> bool {
    let bare = request.rights.is_none() && request.account.is_none() && request.stream.is_none();
    bare && request.case_sensitive && request.lease.is_none() && request.parent_lease.is_none()
}

pub(crate) async fn remove(
    core: &Arc<Core>,
    cx: &Cx,
    request: &OpenRequest,
    how: DeleteHow,
) -> Result<Short> {
    let path = &request.path;
    let plain = is_plain(request) && how.posix && how.ignore_readonly && !how.on_close;
    if !plain || core.caps.read_only || path.is_root() {
        return Ok(Short::Usual);
    }
    let entered = core.enter_to_open(cx, path, None).await?;
    let name = core.hold(cx, path, true).await?;
    let Some(attr) = core.look(cx, path).await? else { return Ok(Short::Usual) };
    match (attr.kind, request.want) {
        (Kind::Dir, Want::File) => return Err(Error::IsADirectory),
        (Kind::File | Kind::Symlink | Kind::Special(_), Want::Dir) => return Err(Error::NotADirectory),
        _ => {}
    }
    let sealed = attr.is_dir().then(|| Sealed::new(core, &entered, path));
    if sealed.as_ref().is_some_and(Option::is_none) || !core.registry.lock().is_untouched(attr.id) {
        return Ok(Short::Usual);
    }
    core.finds(path, &attr);
    let held = (sealed, name, entered);
    Carry::new(removed(core.clone(), cx.clone(), path.clone(), attr, held)).await
}

async fn removed<T: Send>(core: Arc<Core>, cx: Cx, path: VPath, attr: Attr, _held: T) -> Result<Short> {
    let _changing = core.changing(&[&path]);
    let change = Change::Remove { path: path.clone(), dir: attr.is_dir(), expect: Some(attr.id) };
    match core.volume.apply(&cx, &change).await {
        Ok(_) => {
            core.gone(&path, attr.is_dir(), None);
            Ok(Short::Done)
        }
        Err(error) => usual_if_changed(error),
    }
}

pub(crate) async fn rename(
    core: &Arc<Core>,
    cx: &Cx,
    request: &OpenRequest,
    to: &VPath,
    how: RenameHow,
) -> Result<Short> {
    let from = &request.path;
    let plain = is_plain(request) && how.posix && how.readonly == ReadonlyTarget::Unknown;
    if !plain || core.caps.read_only || from == to || from.is_root() {
        return Ok(Short::Usual);
    }
    let entered_to = core.enter_to_open(cx, to, None).await?;
    let entered_from = core.enter(cx, from).await?;
    let names = core.hold_both(cx, from, to).await?;
    if to.parent().is_some_and(|dir| core.registry.lock().is_path_doomed(&dir)) {
        return Ok(Short::Usual);
    }
    let Some(moving) = core.look(cx, from).await? else { return Ok(Short::Usual) };
    let existing = core.look(cx, to).await?;
    let gives_way = |there: Attr| how.replace && !there.is_dir() && there.id != moving.id;
    if moving.is_dir() || !existing.is_none_or(gives_way) {
        return Ok(Short::Usual);
    }
    let are_untouched = {
        let registry = core.registry.lock();
        registry.is_untouched(moving.id) && existing.is_none_or(|there| registry.is_untouched(there.id))
    };
    if !are_untouched {
        return Ok(Short::Usual);
    }
    core.finds(from, &moving);
    let renaming = Renaming {
        core: core.clone(),
        names: (from.clone(), to.clone()),
        moving,
        replaces: existing.is_some(),
        _held: (names, entered_from, entered_to),
    };
    Carry::new(renaming.apply(cx.clone())).await
}

/// A file that nobody has open, on its way to another name.
struct Renaming {
    core: Arc<Core>,
    names: (VPath, VPath),
    moving: Attr,
    replaces: bool,
    _held: ((NameGuard, Option<NameGuard>), Entered, Entered),
}

impl Renaming {
    async fn apply(self, cx: Cx) -> Result<Short> {
        let (core, (from, to)) = (&self.core, &self.names);
        let _sealed = Sealed::file(core, from);
        let changing = core.changing(&[from, to]);
        let change = Change::Rename {
            from: from.clone(),
            to: to.clone(),
            replace: self.replaces,
            expect: Some(self.moving.id),
        };
        match core.volume.apply(&cx, &change).await {
            Ok(applied) => {
                core.renamed(changing.began, (from, to), applied.attr.as_ref(), false, None);
                Ok(Short::Done)
            }
            Err(error) => usual_if_changed(error),
        }
    }
}

/// What the volume refuses because it is not as it was found, or is not as it seems by its name, is for the usual way.
fn usual_if_changed(error: volume::Error) -> Result<Short> {
    match error.kind {
        ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::DirectoryNotEmpty
        | ErrorKind::Loop
        | ErrorKind::Stale => Ok(Short::Usual),
        _ => Err(error.into()),
    }
}
