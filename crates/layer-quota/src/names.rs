//! Changes by name: what they do to files is entered in the books.
//!
//! What a name stands for is looked at twice: once to know which files to lock, where the caller does not say it, once
//! under their locks. While they are held, for the second look and the change, nobody renames, replaces or removes these files by way of this volume, nor,
//! under `Core::names`, a directory above them, so a name goes on to stand for what was found. Where it does not (others
//! changed it past us) the origin says so, which is asked for the very file, and all is begun anew.
//!
//! A rename or link that may replace something where nothing was found must not: what came there meanwhile is found by
//! the next turn. Directories that move while a count is under way are counted at their new place (`count.rs`).

use crate::charged::{Locked, patiently};
use crate::config::TURNS_MAX;
use crate::core::{Core, carried, in_time, is_elsewhere, is_open, patient};
use crate::ledger::Charge;
use std::sync::Arc;
use tokio::sync::OwnedRwLockReadGuard;
use volume::{Applied, Attr, Change, Cx, Error, ErrorKind, FileId, Named, Result, VPath, owner_of};

type Names = OwnedRwLockReadGuard<()>;

/// What a turn came to.
enum Turn {
    Done(Applied),
    /// A name stands for something else by now.
    Again,
}

pub(crate) async fn apply(core: &Arc<Core>, cx: &Cx, change: &Change) -> Result<Applied> {
    let caps = core.inner.caps();
    if caps.read_only {
        return core.inner.apply(cx, change).await;
    }
    match change {
        Change::Link { .. } if !caps.hard_links => core.inner.apply(cx, change).await,
        Change::MakeDir { path, .. } => {
            // Before it is there: an origin may tell of it before it answers.
            core.lately.note(path);
            core.inner.apply(cx, change).await
        }
        Change::Symlink { .. } | Change::MakeNode { .. } => core.inner.apply(cx, change).await,
        Change::SetAttr { set, .. } if set.size.is_none() => core.inner.apply(cx, change).await,
        Change::SetNamed { name: Named::Extended(_) | Named::System(_) | Named::Stream(_), .. } => {
            core.inner.apply(cx, change).await
        }
        Change::Remove { path, expect, .. }
        | Change::SetAttr { path, expect, .. }
        | Change::SetNamed { path, expect, .. } => {
            turns(change, || one(core, cx, change, path, *expect)).await
        }
        Change::Rename { from, to, replace, expect } | Change::Link { from, to, replace, expect } => {
            turns(change, || two(core, cx, change, Move { from, to, replace: *replace, expect: *expect }))
                .await
        }
    }
}

async fn turns<F: Future<Output = Result<Turn>>>(change: &Change, turn: impl Fn() -> F) -> Result<Applied> {
    for _ in 0..TURNS_MAX {
        if let Turn::Done(applied) = turn().await? {
            return Ok(applied);
        }
    }
    Err(Error::new(ErrorKind::Busy, change.name(), "its names stand for other files each time"))
}

/// What a name stands for; errors are told as those of the change.
async fn stat(core: &Core, cx: &Cx, change: &Change, path: &VPath) -> Result<Attr> {
    core.inner.stat(cx, path).await.map_err(|e| Error { op: change.name(), ..e })
}

/// A change of one object, where `expect` is what the caller expects.
async fn one(
    core: &Arc<Core>,
    cx: &Cx,
    change: &Change,
    path: &VPath,
    expect: Option<FileId>,
) -> Result<Turn> {
    let (op, place) = (change.name(), path);
    let id = match expect {
        Some(expect) => expect,
        None => stat(core, cx, change, path).await?.id,
    };
    let file = core.table.acquire(id).lock(cx, op).await?;
    let names = patiently(cx, op, core.names.clone().read_owned()).await?;
    let (core, caller, change, path) = (core.clone(), cx.clone(), change.clone(), path.clone());
    let work = async move { one_locked(&core, &caller, change, &path, file, names).await };
    match carried(cx, op, work).await? {
        Turn::Again if expect.is_some() => Err(Error::new(ErrorKind::Stale, op, place)),
        turn => Ok(turn),
    }
}

async fn one_locked(
    core: &Core,
    cx: &Cx,
    mut change: Change,
    path: &VPath,
    mut file: Locked,
    _names: Names,
) -> Result<Turn> {
    let attr = stat(core, cx, &change, path).await?;
    if attr.id != file.id() {
        return Ok(Turn::Again);
    }
    if attr.is_file() && !meet(core, cx, &mut file, path, &attr).await {
        return Ok(Turn::Again);
    }
    in_time(cx, change.name())?;
    match &mut change {
        Change::SetAttr { expect, set, .. } => {
            *expect = Some(attr.id);
            if let Some(size) = set.size.filter(|size| attr.is_file() && *size > attr.size) {
                file.reserve_size(size)?;
            }
        }
        Change::SetNamed { expect, value, .. } => {
            *expect = Some(attr.id);
            if attr.is_file() {
                file.reserve(value.as_ref().and_then(owner_of), attr.size)?;
            }
        }
        Change::Remove { expect, .. } => *expect = Some(attr.id),
        Change::MakeDir { .. }
        | Change::MakeNode { .. }
        | Change::Symlink { .. }
        | Change::Rename { .. }
        | Change::Link { .. } => {}
    }
    let done = core.inner.apply(cx, &change).await;
    if !attr.is_file() {
        return again_if_stale(done);
    }
    match (&done, &change) {
        (Ok(_), Change::Remove { .. }) => lost_a_name(&mut file, &attr),
        (Ok(applied), Change::SetAttr { .. }) => file.settle_size(applied.attr.map(|attr| attr.size)),
        // As reserved; what was not known before is now.
        (Ok(_), Change::SetNamed { value, .. }) if file.charge().is_none() => {
            file.settle(Charge { owner: value.as_ref().and_then(owner_of), size: attr.size });
        }
        (Ok(_), _) => {}
        (Err(e), _) => look_again(core, &patient(cx), &mut file, path, &attr, e).await,
    }
    again_if_stale(done)
}

fn again_if_stale(done: Result<Applied>) -> Result<Turn> {
    match done {
        // It was expected by us, of what we have seen.
        Err(e) if e.kind == ErrorKind::Stale => Ok(Turn::Again),
        done => done.map(Turn::Done),
    }
}

fn lost_a_name(file: &mut Locked, before: &Attr) {
    if before.links <= 1 {
        file.unlinked();
    }
}

/// Finds out what a file counts for; `false` where its name stands for something else. A failure is no reason to refuse
/// what the origin may do.
async fn meet(core: &Core, cx: &Cx, file: &mut Locked, path: &VPath, attr: &Attr) -> bool {
    match core.meet(cx, file, Some(path), attr).await {
        Ok(()) => true,
        Err(e) if is_elsewhere(&e) => false,
        Err(e) => {
            tracing::debug!("whose {path} is: {e}");
            core.ledger.doubt();
            true
        }
    }
}

/// After a change failed, maybe half-way: what the file is now.
async fn look_again(core: &Core, cx: &Cx, file: &mut Locked, path: &VPath, before: &Attr, failed: &Error) {
    if is_open(failed) {
        core.ledger.doubt();
    }
    let looked = match core.inner.stat(cx, path).await {
        Ok(attr) if attr.id == before.id => {
            core.owner(cx, path, &attr).await.map(|owner| Some(Charge { owner, size: attr.size }))
        }
        Ok(_) => Ok(None),
        Err(e) if is_elsewhere(&e) => Ok(None),
        Err(e) => Err(e),
    };
    match looked {
        Ok(Some(charge)) => file.settle(charge),
        Ok(None) => lost_a_name(file, before),
        Err(e) => {
            tracing::debug!("what became of {path}: {e}");
            core.ledger.doubt();
        }
    }
}

/// A rename or a link.
#[derive(Clone, Copy)]
struct Move<'a> {
    from: &'a VPath,
    to: &'a VPath,
    replace: bool,
    /// What the caller expects at `from`.
    expect: Option<FileId>,
}

async fn two(core: &Arc<Core>, cx: &Cx, change: &Change, how: Move<'_>) -> Result<Turn> {
    let source = stat(core, cx, change, how.from).await?;
    if how.expect.is_some_and(|expect| expect != source.id) {
        return Err(Error::new(ErrorKind::Stale, change.name(), how.from));
    }
    if source.is_dir() && matches!(change, Change::Rename { .. }) {
        return directory(core, cx, change, how, source.id).await;
    }
    // What hinders the look hinders the change too, which says why.
    let victim = match how.replace {
        true => core.inner.stat(cx, how.to).await.ok().map(|attr| attr.id),
        false => None,
    };
    let mut ids = [Some(source.id), victim.filter(|victim| *victim != source.id)];
    ids.sort_unstable();
    let mut files = Vec::new();
    for id in ids.into_iter().flatten() {
        files.push(core.table.acquire(id).lock(cx, change.name()).await?);
    }
    let names = patiently(cx, change.name(), core.names.clone().read_owned()).await?;
    let (core, caller, change) = (core.clone(), cx.clone(), change.clone());
    carried(cx, change.name(), async move {
        two_locked(&core, &caller, change, source.id, victim, files, names).await
    })
    .await
}

async fn two_locked(
    core: &Core,
    cx: &Cx,
    mut change: Change,
    source: FileId,
    victim: Option<FileId>,
    mut files: Vec<Locked>,
    _names: Names,
) -> Result<Turn> {
    let (Change::Rename { to, replace, expect, .. } | Change::Link { to, replace, expect, .. }) = &mut change
    else {
        unreachable!("only what has two names comes here");
    };
    // So the origin looks again itself whether this is what moves.
    *expect = Some(source);
    let may_replace = std::mem::replace(replace, victim.is_some());
    let to = to.clone();
    let mut replaced = None;
    if let Some(victim) = victim {
        let attr = match core.inner.stat(cx, &to).await {
            Ok(attr) if attr.id == victim => attr,
            Ok(_) | Err(_) => return Ok(Turn::Again),
        };
        let file = files.iter_mut().find(|file| file.id() == victim && victim != source);
        if let Some(file) = file.filter(|_| attr.is_file()) {
            if !meet(core, cx, file, &to, &attr).await {
                return Ok(Turn::Again);
            }
            replaced = Some((file, attr));
        }
    }
    in_time(cx, change.name())?;
    let moving = core.places.moving();
    let done = core.inner.apply(cx, &change).await;
    moving.to(&core.ledger, &to);
    match (&done, replaced) {
        (Ok(_), Some((file, attr))) => lost_a_name(file, &attr),
        (Err(e), Some((file, attr))) => look_again(core, &patient(cx), file, &to, &attr, e).await,
        (_, None) => {}
    }
    match done {
        // Something came there since we looked, and may go.
        Err(e) if e.kind == ErrorKind::AlreadyExists && may_replace && victim.is_none() => Ok(Turn::Again),
        done => again_if_stale(done),
    }
}

/// A directory is renamed, and with it all names below. What may give way is an empty directory, which counts for
/// nobody.
async fn directory(core: &Arc<Core>, cx: &Cx, change: &Change, how: Move<'_>, id: FileId) -> Result<Turn> {
    let names = patiently(cx, change.name(), core.names.clone().write_owned()).await?;
    let mut change = change.clone();
    if let Change::Rename { expect, .. } = &mut change {
        *expect = Some(id);
    }
    let (core, caller, to) = (core.clone(), cx.clone(), how.to.clone());
    carried(cx, change.name(), async move {
        let _names = names;
        in_time(&caller, change.name())?;
        core.lately.note(&to);
        let moving = core.places.moving();
        let done = core.inner.apply(&caller, &change).await;
        moving.to(&core.ledger, &to);
        again_if_stale(done)
    })
    .await
}
