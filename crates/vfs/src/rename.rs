//! Renaming and linking.
//!
//! Both names are held alone, with the ways to them, where links lead to, from finding what they stand for until the
//! registry says so too; a directory is sealed besides, see [`crate::registry`]. Who finds somebody in the way lets go
//! of all that before he waits, and starts anew. Callers carry these futures to their end.

mod arriving;
mod giving_way;

use crate::caching::{Contest, LeaseId};
use crate::case::{self, Case};
use crate::contend::Breaking;
use crate::core::{Clearing, Core, Entered, Sealed};
use crate::create::OPEN_TRIES;
use crate::name_lock::NameGuard;
use crate::open::OpenKey;
use crate::resolve::{Lookup, Resolved};
use crate::{Access, Error, OpenId, ReadonlyTarget, RenameHow, Result, Rights, Share};
use std::sync::Arc;
use std::time::Instant;
use volume::{Attr, Change, Cx, DosAttributes, ErrorKind, VPath};

/// Who renames or links.
#[derive(Clone)]
pub(crate) struct Mover {
    pub key: OpenKey,
    pub rights: Option<Arc<dyn Rights>>,
    /// See [`crate::OpenRequest::case_sensitive`]: to a name of other case nothing gives way.
    pub case_sensitive: bool,
}

/// What a rename has done, in the origin's spelling; the same twice where the object had its new name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Renamed {
    pub from: VPath,
    pub to: VPath,
}

pub(crate) async fn rename(
    core: Arc<Core>,
    cx: Cx,
    who: Mover,
    to: VPath,
    how: RenameHow,
) -> Result<Renamed> {
    // Opens from here on are younger.
    let began = OpenId(core.new_id());
    // From when on others are in the way below the directory until it has moved: they may come without pause.
    let mut clearing = None;
    loop {
        match try_rename(&core, &cx, &who, &to, how, began).await? {
            Tried::Renamed(renamed) => return Ok(renamed),
            Tried::Wait(breaking) => {
                clearing = None;
                breaking.settled(&cx).await?;
            }
            Tried::Below(dir) => clearing.insert(Clearing::new(&core, dir)).done(&cx).await?,
        }
    }
}

enum Tried {
    Renamed(Renamed),
    /// A client keeps a file in the way open for its cache.
    Wait(Breaking),
    /// Others work below the directory just now.
    Below(VPath),
}

/// Renames, unless somebody must be waited for.
async fn try_rename(
    core: &Arc<Core>,
    cx: &Cx,
    who: &Mover,
    to: &VPath,
    how: RenameHow,
    began: OpenId,
) -> Result<Tried> {
    let key = who.key;
    let target = match Target::find(core, cx, who, to, how).await? {
        Found::Target(target) => target,
        Found::Wait(breaking) => return Ok(Tried::Wait(breaking)),
    };
    let Target { ways: Ways { from, .. }, to, existing } = &target;
    // Who renames a file to the name that it has hears of it after others have given back their handles, as with Windows.
    let stays = from == to;
    let renamed = || Ok(Tried::Renamed(Renamed { from: from.clone(), to: to.clone() }));
    if stays && key.is_dir() {
        return renamed();
    }
    check_movable(core, key, &target)?;
    if !how.posix
        && let Some(breaking) = check_unheld(core, key, &target, began)?
    {
        return Ok(Tried::Wait(breaking));
    }
    if stays {
        return renamed();
    }
    let sealed = match key.is_dir() {
        true => Sealed::to_move(core, &target.ways.entered_to, from, how.posix)?,
        false => Some(Sealed::file(core, from)),
    };
    if sealed.is_none() {
        return Ok(Tried::Below(from.clone()));
    }
    // Whoever may delete it may change what it is judged by.
    let ready = who.make_way(core, cx, &target, Access::empty()).await?;
    let replaced = existing.filter(|there| !there.is_dir());
    let changing = core.changing(&[from, to]);
    let change = Change::Rename {
        from: from.clone(),
        to: to.clone(),
        replace: replaced.is_some(),
        expect: Some(key.file),
    };
    let applied = who.arrive(core, cx, from, ready, &change).await?;
    let mut registry = core.registry.lock();
    if let Some(there) = replaced.filter(|there| there.id != key.file) {
        registry.lost_name(there.id, to);
    }
    registry.moved((!key.is_dir()).then_some(key.file), from, to);
    drop(registry);
    core.renamed(changing.began, (from, to), applied.attr.as_ref(), key.is_dir(), target.ways.parent_lease);
    renamed()
}

pub(crate) async fn link(core: Arc<Core>, cx: Cx, who: Mover, to: VPath, how: RenameHow) -> Result<()> {
    let key = who.key;
    if key.is_dir() {
        return Err(Error::IsADirectory);
    }
    let target = loop {
        match Target::find(&core, &cx, &who, &to, how).await? {
            Found::Target(target) => break target,
            Found::Wait(breaking) => breaking.settled(&cx).await?,
        }
    };
    let Target { ways: Ways { from, .. }, to, existing } = &target;
    if from == to {
        return if how.replace { Ok(()) } else { Err(Error::Exists) };
    }
    if core.registry.lock().is_doomed(key.file, from) {
        return Err(Error::DeletePending);
    }
    let ready = who.make_way(&core, &cx, &target, Access::WRITE_ATTRIBUTES).await?;
    let changing = core.changing(&[from, to]);
    let change = Change::Link {
        from: from.clone(),
        to: to.clone(),
        replace: existing.is_some(),
        expect: Some(key.file),
    };
    let applied = who.arrive(&core, &cx, from, ready, &change).await?;
    if let Some(there) = existing.filter(|there| there.id != key.file) {
        core.registry.lock().lost_name(there.id, to);
    }
    let attr = match applied.attr {
        Some(attr) => attr,
        None => core.volume.stat(&cx, to).await?,
    };
    // Its first name has other times and links by that.
    core.echoes.lock().outcome(from, &attr, Instant::now());
    core.meets(changing.began, from, &attr, None);
    core.made(to, &attr, target.ways.parent_lease);
    Ok(())
}

impl Mover {
    async fn may_arrive(&self, core: &Core, cx: &Cx, to: &VPath, existing: Option<&Attr>) -> Result<()> {
        match &self.rights {
            Some(rights) => core.judge_arrival(cx, &**rights, to, existing, self.key.is_dir()).await,
            None => Ok(()),
        }
    }
}

/// The two names of a rename or link, held, and the ways to them.
struct Ways {
    from: VPath,
    /// Of who renames, see [`crate::OpenRequest::parent_lease`].
    parent_lease: Option<LeaseId>,
    _names: (NameGuard, Option<NameGuard>),
    _entered_from: Entered,
    entered_to: Entered,
}

impl Ways {
    async fn hold(core: &Arc<Core>, cx: &Cx, key: OpenKey, to: &VPath) -> Result<Ways> {
        let entered_to = core.enter(cx, to).await?;
        loop {
            let (from, parent_lease) = core.place_of(key.file, key.id)?;
            let entered_from = core.enter(cx, &from).await?;
            let names = core.hold_both(cx, &from, to).await?;
            // Somebody may have renamed it while we waited.
            if core.path_of(key.file, key.id)? == from {
                return Ok(Ways {
                    from,
                    parent_lease,
                    _names: names,
                    _entered_from: entered_from,
                    entered_to,
                });
            }
        }
    }

    /// The same, and what is at the new name; where links lead elsewhere, what they lead to is held.
    async fn find(core: &Arc<Core>, cx: &Cx, who: &Mover, to: &VPath) -> Result<(Ways, Resolved)> {
        let rights = who.rights.as_deref();
        let case_sensitive = who.case_sensitive;
        let the_name_itself = Lookup { case_sensitive, follow: false, stop: false, rights };
        let mut at = to.clone();
        for _ in 0..OPEN_TRIES {
            let ways = Ways::hold(core, cx, who.key, &at).await?;
            let found = core.resolve(cx, to, the_name_itself).await?;
            if case::same(&found.path, &at) {
                return Ok((ways, found));
            }
            at = found.path;
        }
        Err(Error::Volume(volume::Error::new(ErrorKind::Busy, "rename", to)))
    }
}

/// What is to be renamed or linked where.
struct Target {
    ways: Ways,
    /// In the spelling that it will have.
    to: VPath,
    /// What gives way there.
    existing: Option<Attr>,
}

// One of these lives at a time, on the stack of one operation.
#[expect(clippy::large_enum_variant)]
enum Found {
    Target(Target),
    Wait(Breaking),
}

impl Target {
    async fn find(core: &Arc<Core>, cx: &Cx, who: &Mover, to: &VPath, how: RenameHow) -> Result<Found> {
        let key = who.key;
        if core.caps.read_only {
            return Err(Error::ReadOnly);
        }
        let (ways, Resolved { path, attr }) = Ways::find(core, cx, who, to).await?;
        if path.parent().is_some_and(|dir| core.registry.lock().is_path_doomed(&dir)) {
            return Err(Error::DeletePending);
        }
        let same_name = match attr.filter(|attr| attr.id == key.file) {
            Some(itself) => is_same_name(core, cx, who, &itself, (&ways.from, &path)).await?,
            None => false,
        };
        let (to, existing) = match (attr, path.parent()) {
            // Only the case changes: the spelling is the new one.
            (Some(_), Some(parent)) if same_name => {
                who.may_arrive(core, cx, &path, None).await?;
                (parent.join(to.name())?, None)
            }
            (Some(attr), _) => {
                who.may_arrive(core, cx, &path, Some(&attr)).await?;
                let waives = how.readonly == ReadonlyTarget::Waived;
                let readonly = attr.dos.contains(DosAttributes::READONLY);
                if let Some(rights) = who.rights.as_deref().filter(|_| waives && readonly) {
                    // Who takes no notice of the mark must be allowed to take it away.
                    core.judge_itself(cx, rights, &path, &attr, Access::WRITE_ATTRIBUTES).await?;
                }
                if let Some(breaking) = check_gives_way(core, key, &attr, how)? {
                    return Ok(Found::Wait(breaking));
                }
                (path, Some(attr))
            }
            (None, _) => {
                who.may_arrive(core, cx, &path, None).await?;
                (path, None)
            }
        };
        Ok(Found::Target(Target { ways, to, existing }))
    }
}

/// Whether an object that is found by two paths has one name there. A directory of a volume that tells names of other case
/// apart may not do so itself.
async fn is_same_name(
    core: &Core,
    cx: &Cx,
    who: &Mover,
    itself: &Attr,
    (from, to): (&VPath, &VPath),
) -> Result<bool> {
    let told = who.case_sensitive && core.caps.case_sensitive;
    let may_have_both = told && itself.links > 1 && !itself.is_dir();
    if from == to || !case::same(from, to) || !may_have_both {
        return Ok(case::same(from, to));
    }
    let mut names = Some((from.clone(), to.clone()));
    while let Some((from, to)) = names {
        if from.name() != to.name() && !core.is_listed(cx, &to).await? {
            return Ok(true);
        }
        names = from.parent().zip(to.parent());
    }
    Ok(false)
}

/// Whether what is there may be replaced (MS-FSA 2.1.5.15.11); a cache that keeps it open is asked to close first.
fn check_gives_way(core: &Arc<Core>, key: OpenKey, attr: &Attr, how: RenameHow) -> Result<Option<Breaking>> {
    if !how.replace {
        return Err(Error::Exists);
    }
    if let Some(node) = core.decide(|r, told| r.contend(attr.id, None, Contest::Handle, told)) {
        return Ok(Some(Breaking::new(core, node, attr.id)));
    }
    if !how.posix
        && let Some((stream, node)) = core.decide(|r, told| r.contend_moving_streams(attr.id, told))?
    {
        return Ok(Some(Breaking::new(core, node, stream)));
    }
    let is_open = core.registry.lock().is_open(attr.id);
    let stays = how.readonly == ReadonlyTarget::Stays && attr.dos.contains(DosAttributes::READONLY);
    let is_no_file = attr.is_dir() && !(how.posix && key.is_dir());
    if is_no_file || stays || (is_open && !how.posix) {
        return Err(Error::AccessDenied);
    }
    Ok(None)
}

/// Whether it may move there, whoever has it open.
fn check_movable(core: &Core, key: OpenKey, target: &Target) -> Result<()> {
    let Target { ways: Ways { from, .. }, to, existing } = target;
    if from.is_root() {
        return Err(Error::AccessDenied);
    }
    if key.is_dir() && Case::of(core.caps.case_sensitive).is_below(to, from) {
        return Err(Error::InvalidArgument("a directory is not moved below itself"));
    }
    // By two ways, as where a file system is mounted at two places; it must not give way to itself.
    if key.is_dir() && existing.is_some_and(|there| there.id == key.file) {
        return Err(Error::InvalidArgument("a directory is not moved onto itself"));
    }
    let is_over_file = key.is_dir() && existing.is_some_and(|there| !there.is_dir());
    if is_over_file || core.registry.lock().is_doomed(key.file, from) {
        return Err(Error::AccessDenied);
    }
    Ok(())
}

/// Whether opens of what moves, of what is below it and of where it goes let it move; who only keeps one for a cache is
/// asked to close it first.
fn check_unheld(core: &Arc<Core>, key: OpenKey, target: &Target, began: OpenId) -> Result<Option<Breaking>> {
    let Target { ways: Ways { from, .. }, to, .. } = target;
    if from != to
        && let Some(breaking) = check_parent(core, to)?
    {
        return Ok(Some(breaking));
    }
    let in_the_way = core.decide(|registry, told| match key.is_dir() {
        true => registry.contend_move(from, began, told),
        false => {
            let waits = registry.contend(key.file, Some(key.id), Contest::Handle, told);
            Ok(waits.map(|node| (key.file, node)))
        }
    })?;
    let in_the_way = match in_the_way {
        Some(there) => Some(there),
        None => core.decide(|registry, told| registry.contend_moving_streams(key.file, told))?,
    };
    Ok(in_the_way.map(|(file, node)| Breaking::new(core, node, file)))
}

/// Moving a name into a directory opens that directory for adding files, without sharing `DELETE`: opens of
/// it may stand in the way. Windows does this on the way to MS-FSA 2.1.5.15.11.
fn check_parent(core: &Arc<Core>, to: &VPath) -> Result<Option<Breaking>> {
    let Some(parent) = to.parent() else { return Err(Error::AccessDenied) };
    let share = Share::READ | Share::WRITE;
    let waits =
        core.decide(|registry, told| registry.contend_dir(&parent, Access::WRITE_DATA, share, told))?;
    Ok(waits.map(|(file, node)| Breaking::new(core, node, file)))
}
