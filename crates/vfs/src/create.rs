//! Opening: finds the name, decides, takes its place in the registry, then asks the volume.
//!
//! A plain open shares the lock of its name with others of its kind; one that may make the name or empty the
//! file has it alone. Where links lead elsewhere, the name that they lead to is held. The open stands in the registry
//! before the volume is asked, so of two opens that exclude each other one is refused whatever the volume's pace.

use crate::Carry;
use crate::case;
use crate::contend::Breaking;
use crate::core::{Core, Entered};
use crate::name_lock::NameGuard;
use crate::notify::Filter;
use crate::own_writes::OwnWrite;
use crate::place::{Place, Taken};
use crate::registry::Coming;
use crate::request::ALLOCATION_CHECKED_MIN;
use crate::resolve::{Lookup, Resolved};
use crate::streams;
use crate::{Access, Action, Disposition, Error, OpenRequest, Opened, Result, Tried, Want};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;
use volume::{Attr, Change, Create, Cx, DosAttributes, ErrorKind, Kind, OpenHow, SetAttr, VPath};

/// Times an open starts anew because links lead elsewhere, or somebody else changed the name at the origin meanwhile.
pub(crate) const OPEN_TRIES: usize = 8;

/// How far one attempt has come.
enum Turn {
    Opened(Opened),
    /// Somebody caches what stands against it.
    Wait(Breaking),
    /// It is not what was found any more.
    Again,
}

pub(crate) async fn open(core: &Arc<Core>, cx: &Cx, request: &OpenRequest) -> Result<Tried> {
    check(core, request)?;
    let link_itself = request.access.contains(Access::DELETE)
        && !request.access.intersects(Access::READING | Access::WRITING);
    let how = Lookup {
        case_sensitive: request.case_sensitive,
        follow: !request.open_link && !link_itself,
        stop: request.stop_at_links,
        rights: request.rights.as_deref(),
    };
    let mut led: Option<Resolved> = None;
    let mut makes = request.disposition.creates() && how.is_plain();
    for _ in 0..OPEN_TRIES {
        let at = led.as_ref().map_or(&request.path, |led| &led.path);
        let entered = core.enter_to_open(cx, at, request.account.as_ref()).await?;
        let alone = request.disposition != Disposition::Open;
        let name = core.hold(cx, at, alone).await?;
        let asked = Instant::now();
        let found = core.resolve_to_make(cx, at, how, makes).await;
        if led.as_ref().is_some_and(|led| has_gone(led, &found)) {
            led = None;
            continue;
        }
        let found = found?;
        if !case::same(&found.path, at) {
            led = Some(found);
            continue;
        }
        let turn = match found {
            Resolved { path, attr: Some(attr) } if request.disposition.empties() => {
                let found = Found { path, attr, asked };
                let work = emptied(core.clone(), cx.clone(), request.clone(), found, (entered, name));
                Carry::new(work).await?
            }
            Resolved { path, attr: Some(attr) } => {
                existing(core, cx, request, Found { path, attr, asked }).await?
            }
            Resolved { path, attr: None } => {
                if !request.disposition.creates() {
                    return Err(Error::NotFound);
                }
                let work = make(core.clone(), cx.clone(), request.clone(), path, (entered, name));
                match Carry::new(work).await {
                    // Its directory is looked at now.
                    Err(error) if std::mem::take(&mut makes) && error.may_lead_elsewhere() => continue,
                    made => made?,
                }
            }
        };
        match turn {
            Turn::Opened(opened) => return Ok(Tried::Opened(opened)),
            Turn::Wait(breaking) => return Ok(Tried::Breaking(breaking)),
            Turn::Again => led = None,
        }
    }
    Err(Error::Volume(volume::Error::new(ErrorKind::Busy, "open", &request.path)))
}

/// Whether what links have led to is not there any more now that its name is held: they may lead elsewhere by now.
fn has_gone(led: &Resolved, now: &Result<Resolved>) -> bool {
    match now {
        Ok(now) => led.attr.is_some() && now.attr.is_none(),
        Err(error) => matches!(error, Error::NotFound | Error::PathNotFound),
    }
}

/// What is wrong with a request whatever is there.
fn check(core: &Core, request: &OpenRequest) -> Result<()> {
    if request.want == Want::Dir && request.disposition.empties() {
        return Err(Error::InvalidArgument("a directory is not overwritten"));
    }
    if request.delete_on_close && !(request.access.contains(Access::DELETE) || request.maximum) {
        return Err(Error::AccessDenied);
    }
    let changes = Access::WRITING
        | Access::DELETE
        | Access::WRITE_ATTRIBUTES
        | Access::WRITE_EA
        | Access::DELETE_CHILD
        | Access::WRITE_DAC
        | Access::WRITE_OWNER;
    if core.caps.read_only && (request.access.intersects(changes) || request.disposition.empties()) {
        return Err(Error::ReadOnly);
    }
    Ok(())
}

/// Whether something that is there may be opened so (MS-FSA 2.1.5.1.2).
fn admissible(request: &OpenRequest, attr: &Attr) -> Result<Action> {
    let empties = request.disposition.empties();
    if request.disposition == Disposition::Create {
        return Err(Error::Exists);
    }
    match (attr.kind, request.want) {
        (Kind::Dir, Want::File) => return Err(Error::IsADirectory),
        (Kind::File | Kind::Special(_), Want::Dir) => return Err(Error::NotADirectory),
        (Kind::Dir, _) if empties => return Err(Error::Exists),
        // Its content is what it says, and not read this way.
        (Kind::Symlink, _) if request.open_link && !empties => {}
        (Kind::Symlink | Kind::Special(_), _)
            if empties || request.access.intersects(Access::READING | Access::WRITING) =>
        {
            return Err(Error::AccessDenied);
        }
        _ => {}
    }
    if attr.dos.contains(DosAttributes::READONLY) {
        if attr.is_file() && (empties || request.access.intersects(Access::WRITING)) {
            return Err(Error::AccessDenied);
        }
        if request.delete_on_close && !request.ignore_readonly {
            return Err(Error::CannotDelete);
        }
    }
    let kept = DosAttributes::HIDDEN | DosAttributes::SYSTEM;
    if empties && !request.dos.contains(attr.dos & kept) {
        return Err(Error::AccessDenied);
    }
    Ok(match request.disposition {
        Disposition::Supersede => Action::Superseded,
        Disposition::Overwrite | Disposition::OverwriteIf => Action::Overwritten,
        Disposition::Open | Disposition::OpenIf | Disposition::Create => Action::Opened,
    })
}

/// What is there, as was asked for then.
struct Found {
    path: VPath,
    attr: Attr,
    asked: Instant,
}

/// Opens what is there.
async fn existing(core: &Arc<Core>, cx: &Cx, request: &OpenRequest, found: Found) -> Result<Turn> {
    let Found { path, attr, asked } = found;
    let action = admissible(request, &attr)?;
    if request.delete_on_close && path.is_root() {
        return Err(Error::CannotDelete);
    }
    let empties = request.disposition.empties();
    let needs = match action {
        Action::Superseded => request.access | Access::WRITE_DATA | Access::DELETE,
        Action::Overwritten => request.access | Access::WRITE_DATA,
        Action::Opened | Action::Created => request.access,
    };
    let judged = match core.judge(cx, request, &path, &attr, needs).await {
        Ok(judged) => judged,
        Err(Error::Volume(error)) if error.kind == ErrorKind::Stale => return Ok(Turn::Again),
        Err(error) => return Err(error),
    };
    let request = &*match judged.access == request.access {
        true => Cow::Borrowed(request),
        false => Cow::Owned(OpenRequest { access: judged.access, ..request.clone() }),
    };
    let place = match Place::take(core, request, path, &attr, needs | judged.access, Coming::of(request))? {
        Taken::Place(place) => place,
        Taken::Wait(breaking) => return Ok(Turn::Wait(breaking)),
    };
    let content = request.access.intersects(Access::READING | Access::WRITING);
    if !attr.is_file() || !(content || empties) {
        let opened = place.opened(request, None, action, asked, attr, None);
        return Ok(Turn::Opened(Opened { maximal: judged.maximal, ..opened }));
    }
    if empties {
        check_room(core, cx, request, &place.path, attr.allocated).await?;
        core.finds(&place.path, &attr);
    }
    let emptying = empties.then(|| (OwnWrite::begin(&place.node, None), core.changing(&[&place.path])));
    let mut asked = Instant::now();
    let how = OpenHow { expect: Some(attr.id), truncate: empties, ..how(request, Create::Never) };
    let opened = match core.volume.open(cx, &place.path, how).await {
        Ok(opened) => opened,
        Err(error) if matches!(error.kind, ErrorKind::Stale | ErrorKind::NotFound) => {
            return Ok(Turn::Again);
        }
        Err(error) => return Err(error.into()),
    };
    let mut attr = opened.attr;
    if let Some((mut emptying, _changing)) = emptying {
        emptying.has_led_to(&attr);
        drop(emptying);
        place.has_emptied();
        asked = Instant::now();
        let finished = overwritten(&place, cx, request, &opened, action).await;
        // Emptied it is, though the rest may fail: then its client knows it no more than others.
        let (left, knows) =
            (*finished.as_ref().unwrap_or(&attr), request.parent_lease.filter(|_| finished.is_ok()));
        let what = Filter::ATTRIBUTES | Filter::SIZE | Filter::LAST_WRITE;
        core.modified(asked, &place.path, &left, what, None, knows);
        attr = finished?;
    }
    let opened = place.opened(request, Some(opened.file), action, asked, attr, opened.first);
    Ok(Turn::Opened(Opened { maximal: judged.maximal, ..opened }))
}

/// A file that was emptied has the attributes that are asked for, is not sparse, and carries nothing that goes with its
/// content. What it was is gone by then, so that where attributes cannot be set the open does not fail for that.
async fn overwritten(
    place: &Place,
    cx: &Cx,
    request: &OpenRequest,
    opened: &volume::Opened,
    action: Action,
) -> Result<Attr> {
    let (core, mut attr) = (&place.core, opened.attr);
    core.came_of_ours(&place.path, &attr);
    let dos = request.dos.union(DosAttributes::ARCHIVE) - DosAttributes::ONLY_TOLD;
    let sparse = (core.caps.holes && attr.dos.contains(DosAttributes::SPARSE)).then_some(false);
    let is_as_asked = attr.dos - DosAttributes::ONLY_TOLD == dos && sparse.is_none();
    if core.caps.dos_attributes && !is_as_asked {
        let set = SetAttr { dos: Some(dos), sparse, ..SetAttr::default() };
        match opened.file.set_attr(cx, &set).await {
            Ok(set) => {
                attr = set;
                core.came_of_ours(&place.path, &attr);
            }
            Err(error) if matches!(error.kind, ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
                tracing::debug!(path = %place.path, %error, "an overwritten file keeps its attributes");
            }
            Err(error) => return Err(error.into()),
        }
    }
    streams::strip(place, cx, attr, action).await
}

/// Opens and empties what is there. Carried: it holds the name and its place in the registry until the volume has
/// done it, so it never lands on what a later opener wrote.
async fn emptied(
    core: Arc<Core>,
    cx: Cx,
    request: OpenRequest,
    found: Found,
    _held: (Entered, NameGuard),
) -> Result<Turn> {
    existing(&core, &cx, &request, found).await
}

/// Makes what is not there; again when somebody else was quicker. Carried: what was made is noted.
async fn make(
    core: Arc<Core>,
    cx: Cx,
    request: OpenRequest,
    path: VPath,
    _held: (Entered, NameGuard),
) -> Result<Turn> {
    if core.caps.read_only {
        return Err(Error::ReadOnly);
    }
    let is_kept = request.dos.contains(DosAttributes::READONLY) && !request.ignore_readonly;
    if request.delete_on_close && is_kept {
        return Err(Error::CannotDelete);
    }
    let parent = path.parent().ok_or(Error::Exists)?;
    if core.registry.lock().is_path_doomed(&parent) {
        return Err(Error::DeletePending);
    }
    let (judged, newborn) = core.judge_new(&cx, &request, &parent, request.want == Want::Dir).await?;
    let request = OpenRequest { access: judged.access, mode: request.mode & newborn.mode, ..request };
    check_room(&core, &cx, &request, &parent, 0).await?;
    let changing = core.changing(&[&path]);
    let made = match request.want {
        Want::Dir => make_dir(&core, &cx, &request, &path).await,
        Want::Any | Want::File => {
            // The mark of backup programs means nothing to POSIX callers, and would cost them an attribute each time.
            let mark = if request.maker.is_some() { DosAttributes::empty() } else { DosAttributes::ARCHIVE };
            let how = OpenHow { dos: request.dos | mark, ..how(&request, Create::New) };
            let opened = core.volume.open(&cx, &path, how).await;
            opened.map(|opened| (Some(opened.file), opened.attr))
        }
    };
    let (file, attr) = match made {
        Ok(made) => made,
        Err(error) => {
            return match (error.kind, request.disposition) {
                (ErrorKind::AlreadyExists, Disposition::Create) => Err(Error::Exists),
                (ErrorKind::AlreadyExists, _) => Ok(Turn::Again),
                (ErrorKind::NotFound | ErrorKind::NotADirectory, _) => Err(Error::PathNotFound),
                _ => Err(error.into()),
            };
        }
    };
    core.echoes.lock().outcome(&path, &attr, Instant::now());
    let attr = core.endow(&cx, &path, attr, newborn).await?;
    core.made(&path, &attr, request.parent_lease);
    match Place::take(&core, &request, path.clone(), &attr, request.access, Coming::Opens) {
        Ok(Taken::Place(place)) => {
            let opened = place.opened(&request, file, Action::Created, changing.began, attr, None);
            Ok(Turn::Opened(Opened { maximal: judged.maximal, ..opened }))
        }
        // Somebody opened it by another name, as quick as it was made.
        Ok(Taken::Wait(_)) => Err(Error::SharingViolation),
        Err(error) => {
            if core.unmake(&cx, &path, &attr).await {
                core.gone(&path, attr.is_dir(), request.parent_lease);
            }
            Err(error)
        }
    }
}

/// Refuses what cannot fit before any of it travels. `freed` bytes will become free besides.
async fn check_room(core: &Core, cx: &Cx, request: &OpenRequest, at: &VPath, freed: u64) -> Result<()> {
    let Some(bytes) = request.allocation.filter(|bytes| *bytes >= ALLOCATION_CHECKED_MIN) else {
        return Ok(());
    };
    let room = core.volume.space(cx, at).await?.available.saturating_add(freed);
    if bytes > room {
        return Err(Error::Volume(volume::Error::new(ErrorKind::NoSpace, "make", at)));
    }
    Ok(())
}

pub(crate) type Made = (Option<Arc<dyn volume::File>>, Attr);

async fn make_dir(core: &Core, cx: &Cx, request: &OpenRequest, path: &VPath) -> volume::Result<Made> {
    let mode = match request.maker {
        Some(_) => request.mode,
        // Who may read a directory may pass through it.
        None => request.mode | (request.mode & 0o444) >> 2,
    };
    let (dos, maker) = (request.dos, request.maker);
    let change = Change::MakeDir { path: path.clone(), mode, dos, maker };
    let applied = core.volume.apply(cx, &change).await?;
    let attr = match applied.attr {
        Some(attr) => attr,
        None => core.volume.stat(cx, path).await?,
    };
    Ok((None, attr))
}

/// How the volume is to open a file for this request.
pub(crate) fn how(request: &OpenRequest, create: Create) -> OpenHow {
    let mut access = volume::Access::empty();
    if request.access.intersects(Access::READING) {
        access |= volume::Access::READ;
    }
    let changes = request.disposition.empties() || create != Create::Never;
    if request.access.intersects(Access::WRITING) || changes {
        access |= volume::Access::WRITE;
    }
    OpenHow {
        access,
        create,
        truncate: false,
        mode: request.mode,
        dos: request.dos,
        maker: request.maker,
        expect: None,
        first: request.first.filter(|_| access.contains(volume::Access::READ)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Owner;
    use testkit::ease;
    use volume::Special;

    fn attr(kind: Kind, dos: DosAttributes) -> Attr {
        Attr { dos, ..ease::blank(kind) }
    }

    /// What opening something that is there answers.
    fn check(
        kind: Kind,
        dos: DosAttributes,
        request: impl FnOnce(&mut OpenRequest),
        expect: impl FnOnce(&Result<Action>) -> bool,
    ) {
        let access = Access::READ_ATTRIBUTES | Access::DELETE;
        let mut asked = OpenRequest::new(VPath::root(), access, Owner(1));
        request(&mut asked);
        let got = admissible(&asked, &attr(kind, dos));
        assert!(expect(&got), "{kind:?} {dos:?} {asked:?}: {got:?}");
    }

    #[test]
    fn what_may_be_opened_how() {
        use Disposition::*;
        let (none, readonly, hidden) =
            (DosAttributes::empty(), DosAttributes::READONLY, DosAttributes::HIDDEN);
        let opened = |r: &Result<Action>| matches!(r, Ok(Action::Opened));
        let denied = |r: &Result<Action>| matches!(r, Err(Error::AccessDenied));
        let exists = |r: &Result<Action>| matches!(r, Err(Error::Exists));
        check(Kind::File, none, |_| {}, opened);
        check(Kind::File, none, |r| r.disposition = OpenIf, opened);
        check(Kind::File, none, |r| r.disposition = Create, exists);
        check(Kind::Dir, none, |r| r.disposition = Create, exists);
        check(Kind::Dir, none, |r| r.disposition = OverwriteIf, exists);
        check(Kind::Dir, none, |r| r.want = Want::File, |r| matches!(r, Err(Error::IsADirectory)));
        check(Kind::File, none, |r| r.want = Want::Dir, |r| matches!(r, Err(Error::NotADirectory)));
        check(Kind::File, none, |r| r.disposition = Supersede, |r| matches!(r, Ok(Action::Superseded)));
        check(Kind::File, none, |r| r.disposition = Overwrite, |r| matches!(r, Ok(Action::Overwritten)));
        check(Kind::File, readonly, |r| r.access |= Access::APPEND_DATA, denied);
        check(Kind::File, readonly, |r| r.disposition = OverwriteIf, denied);
        check(Kind::File, readonly, |r| r.access |= Access::READ_DATA, opened);
        check(Kind::Dir, readonly, |r| r.access |= Access::WRITE_DATA, opened);
        let cannot = |r: &Result<Action>| matches!(r, Err(Error::CannotDelete));
        check(Kind::File, readonly, |r| r.delete_on_close = true, cannot);
        let ignoring = |r: &mut OpenRequest| (r.delete_on_close, r.ignore_readonly) = (true, true);
        check(Kind::File, readonly, ignoring, opened);
        check(Kind::File, hidden, |r| r.disposition = OverwriteIf, denied);
        let kept = |r: &mut OpenRequest| (r.disposition, r.dos) = (OverwriteIf, hidden | readonly);
        check(Kind::File, hidden, kept, |r| matches!(r, Ok(Action::Overwritten)));
        check(Kind::File, hidden, |_| {}, opened);
        check(Kind::Special(Special::Fifo), none, |r| r.access |= Access::READ_DATA, denied);
        check(Kind::Symlink, none, |r| r.want = Want::Dir, opened);
    }
}
