//! Changes of the namespace. All requests of a change are in the queue before anything is waited for, but where the head of
//! the crate says otherwise.
//!
//! * **MakeDir** sets the mode behind the making, for the server's umask takes bits away. Where there is a directory
//!   already, the change fails, and the directory has the mode nevertheless.
//! * **Link** with `replace` makes the link under a name of its own first, which then takes the place in one step.
//! * What a change left behind is not asked for: `Applied` is empty.

use crate::attr;
use crate::core::{Core, expected};
use crate::error::{Outcome, Trouble};
use crate::file::all_done;
use crate::judge::{About, judge};
use crate::names::target;
use crate::session::{Session, Waiting};
use crate::wire::{Attrs, Request, StatusCode};
use bytes::Bytes;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use volume::{Applied, Change, ErrorKind, FileId, Kind, Maker, SetAttr, VPath};

pub(crate) async fn apply(core: &Core, change: &Change) -> Outcome<Applied> {
    match change {
        Change::MakeDir { path, mode, dos: _, maker } => make_dir(core, path, *mode, *maker).await,
        Change::MakeNode { .. } | Change::SetNamed { .. } => Err(ErrorKind::Unsupported.into()),
        Change::Remove { path, dir, expect } => remove(core, path, *dir, *expect).await,
        Change::Rename { from, to, replace, expect } => rename(core, from, to, *replace, *expect).await,
        Change::Link { from, to, replace, expect } => link(core, from, to, *replace, *expect).await,
        Change::Symlink { path, target, maker } => symlink(core, path, target, *maker).await,
        Change::SetAttr { path, set, expect } => set_attr(core, path, set, *expect).await,
    }?;
    Ok(Applied { attr: None })
}

/// Who makes it is always the user who logged on.
fn nobody_else(maker: Option<Maker>) -> Outcome<()> {
    match maker {
        None => Ok(()),
        Some(_) => Err(ErrorKind::Unsupported.into()),
    }
}

/// The root stays.
fn below_root(path: &VPath) -> Outcome<()> {
    match path.is_root() {
        true => Err(ErrorKind::InvalidArgument.into()),
        false => Ok(()),
    }
}

/// Waits for the one request that counts.
async fn settle(session: &Arc<Session>, waiting: Waiting, about: About<'_>) -> Outcome<()> {
    match waiting.answer().await.and_then(|answer| answer.done()) {
        Ok(()) => Ok(()),
        Err(why) => Err(judge(session, why, about).await),
    }
}

async fn make_dir(core: &Core, path: &VPath, mode: u32, maker: Option<Maker>) -> Outcome<()> {
    nobody_else(maker)?;
    let wire = core.path(path)?;
    let attrs = Attrs::mode(mode & attr::MODE_MASK);
    let (session, making) = core.begin(Request::MakeDir { path: wire.clone(), attrs })?;
    // By this name it can be nothing but a directory.
    let inside: Bytes = [&wire, &b"/."[..]].concat().into();
    let setting = session.push(Request::SetStat { path: inside, attrs });
    settle(&session, making, About::Make(&wire)).await?;
    settle(&session, setting, About::Use(&wire)).await
}

async fn remove(core: &Core, path: &VPath, dir: bool, expect: Option<FileId>) -> Outcome<()> {
    below_root(path)?;
    expected(expect, path)?;
    let wire = core.path(path)?;
    let request = match dir {
        true => Request::RemoveDir { path: wire.clone() },
        false => Request::Remove { path: wire.clone() },
    };
    let (session, removing) = core.begin(request)?;
    settle(&session, removing, About::Remove { path: &wire, dir }).await
}

async fn rename(core: &Core, from: &VPath, to: &VPath, replace: bool, expect: Option<FileId>) -> Outcome<()> {
    below_root(from)?;
    below_root(to)?;
    expected(expect, from)?;
    let (from, to) = (core.path(from)?, core.path(to)?);
    let request = match replace {
        true => Request::PosixRename { from: from.clone(), to: to.clone() },
        false => Request::Rename { from: from.clone(), to: to.clone() },
    };
    let (session, renaming) = core.begin(request)?;
    settle(&session, renaming, About::Move { from: &from, to: &to, replace }).await
}

async fn link(core: &Core, from: &VPath, to: &VPath, replace: bool, expect: Option<FileId>) -> Outcome<()> {
    below_root(from)?;
    below_root(to)?;
    expected(expect, from)?;
    let (from, to) = (core.path(from)?, core.path(to)?);
    let about = About::Move { from: &from, to: &to, replace };
    if !replace {
        let (session, linking) = core.begin(Request::HardLink { from: from.clone(), to: to.clone() })?;
        return settle(&session, linking, about).await;
    }
    let between = beside(&to);
    let (session, linking) = core.begin(Request::HardLink { from: from.clone(), to: between.clone() })?;
    let renaming = session.push(Request::PosixRename { from: between.clone(), to: to.clone() });
    // Left where it could not take the place, and where both are names of one file already.
    let clearing = session.push(Request::Remove { path: between });
    settle(&session, linking, about).await?;
    settle(&session, renaming, about).await?;
    match clearing.answer().await.and_then(|answer| answer.done()) {
        Err(why) if !why.is(StatusCode::NoSuchFile) => Err(why),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A name in the same directory that nobody else takes.
fn beside(path: &Bytes) -> Bytes {
    let dir = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let random = RandomState::new().hash_one(path);
    [&path[..dir], format!(".farshare-link-{random:016x}").as_bytes()].concat().into()
}

async fn symlink(core: &Core, path: &VPath, content: &str, maker: Option<Maker>) -> Outcome<()> {
    nobody_else(maker)?;
    let wire = core.path(path)?;
    let request = Request::Symlink { target: target(content)?, path: wire.clone() };
    let (session, linking) = core.begin(request)?;
    settle(&session, linking, About::Make(&wire)).await
}

async fn set_attr(core: &Core, path: &VPath, set: &SetAttr, expect: Option<FileId>) -> Outcome<()> {
    expected(expect, path)?;
    let wire = core.path(path)?;
    if set.size.is_some() || attr::is_half(set) || set.is_empty() {
        let (session, now) = core.look(&wire).await?;
        if set.size.is_some() {
            may_have_a_size(&now)?;
        }
        let steps = attr::steps(set, &now)?;
        return set_steps(&session, &wire, steps.into_iter().map(|step| (step, None))).await;
    }
    let mut steps = attr::steps(set, &Attrs::default())?.into_iter();
    let Some(first) = steps.next() else { return Ok(()) };
    let (session, waiting) = core.begin(by_name(&wire, first))?;
    set_steps(&session, &wire, std::iter::once((first, Some(waiting))).chain(steps.map(|step| (step, None))))
        .await
}

fn may_have_a_size(now: &Attrs) -> Outcome<()> {
    match attr::kind(now.mode) {
        Kind::File => Ok(()),
        Kind::Dir => Err(ErrorKind::IsADirectory.into()),
        Kind::Symlink | Kind::Special(_) => Err(ErrorKind::InvalidArgument.into()),
    }
}

/// `lsetstat@openssh.com` takes no size.
fn by_name(wire: &Bytes, attrs: Attrs) -> Request {
    match attrs.size {
        Some(_) => Request::SetStat { path: wire.clone(), attrs },
        None => Request::LSetStat { path: wire.clone(), attrs },
    }
}

/// Asks for the steps that are not under way yet, and waits for all.
async fn set_steps(
    session: &Arc<Session>,
    wire: &Bytes,
    steps: impl Iterator<Item = (Attrs, Option<Waiting>)>,
) -> Outcome<()> {
    let push = |(attrs, waiting): (Attrs, Option<Waiting>)| {
        (attrs, waiting.unwrap_or_else(|| session.push(by_name(wire, attrs))))
    };
    let steps: Vec<(Attrs, Waiting)> = steps.map(push).collect();
    let mut outcome = Ok(());
    for (attrs, waiting) in steps {
        let mut one = waiting.answer().await.and_then(|answer| answer.done());
        if let Err(why) = &one
            && why.is(StatusCode::Failure)
            && attrs.mode.is_some()
        {
            one = set_mode_otherwise(session, wire, attrs).await;
        }
        outcome = outcome.and(one);
    }
    match outcome {
        Ok(()) => Ok(()),
        Err(why) => Err(judge(session, why, About::Use(wire)).await),
    }
}

/// Without `/proc` (a server's `ChrootDirectory`) older systems cannot set a mode and promise not to follow a link. So it is
/// looked whether there is one.
async fn set_mode_otherwise(session: &Arc<Session>, wire: &Bytes, attrs: Attrs) -> Outcome<()> {
    let now = session.ask(Request::LStat { path: wire.clone() }).await?.attrs()?;
    if attr::kind(now.mode) == Kind::Symlink {
        return Err(Trouble::Here(ErrorKind::Unsupported));
    }
    all_done(vec![session.push(Request::SetStat { path: wire.clone(), attrs })]).await
}
