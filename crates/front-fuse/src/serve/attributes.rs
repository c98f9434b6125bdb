//! What an object is: looking at it and changing it.

use super::{Answer, Refused, cannot_be_there, done_with, open_at, payload};
use crate::session::Session;
use crate::translate;
use fuse_wire::flags::SetattrFlags;
use fuse_wire::request::{SetTime, Setattr};
use rustix::io::Errno;
use std::sync::Arc;
use vfs::{Access, Open};
use volume::{Attr, Kind, SetAttr, Time};

const SETUID: u32 = 0o4000;
const SETGID: u32 = 0o2000;
const GROUP_EXECUTE: u32 = 0o010;
const PERMISSIONS: u32 = 0o777;

pub(super) async fn get(session: &Session, node: u64, fh: Option<u64>) -> Answer {
    told(session, &attr_of(session, node, fh).await?)
}

fn told(session: &Session, attr: &Attr) -> Answer {
    payload(session.attributes(attr).answer(session.valid))
}

/// What a node is now, by its name, or by an open where it has none.
pub(super) async fn attr_of(session: &Session, node: u64, fh: Option<u64>) -> Result<Attr, Refused> {
    let cx = session.cx();
    if let Some(path) = session.nodes.path(node) {
        match session.vfs.look(&cx, &path).await {
            Ok(attr) if session.nodes.file(node) == Some(attr.id) => return Ok(attr),
            // Somebody else stands there by now.
            Ok(_) | Err(vfs::Error::NotFound | vfs::Error::PathNotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let open = fh.and_then(|fh| session.handles.file(fh));
    match open.or_else(|| session.nodes.open_of(node, |_| true)) {
        Some(open) => Ok(open.attr(&cx).await?),
        None => Err(Errno::STALE.into()),
    }
}

pub(super) async fn set(session: &Session, node: u64, change: &Setattr) -> Answer {
    let time = |time: SetTime| match time {
        SetTime::Now => Time::now(),
        SetTime::To(time) => translate::volume_time(time),
    };
    let mut set = SetAttr {
        size: change.size,
        mtime: change.mtime.map(time),
        atime: change.atime.map(time),
        mode: change.mode.map(|mode| mode & translate::MODE_BITS),
        uid: change.uid,
        gid: change.gid,
        ..SetAttr::default()
    };
    if set.is_empty() {
        // Somebody else than root writes past this process, or is to own what is his: setuid and setgid go.
        let attr = attr_of(session, node, change.fh).await?;
        set.mode = without_privileges(&attr);
        if set.mode.is_none() {
            return told(session, &attr);
        }
    }
    let needs = if set.size.is_some() { Access::WRITE_DATA } else { Access::empty() };
    let needs = needs | Access::WRITE_ATTRIBUTES;
    let (open, ours) = open_for(session, node, change.fh, needs).await?;
    if change.valid.contains(SetattrFlags::KILL_SUIDGID) && set.mode.is_none() {
        set.mode = match open.attr(&session.cx()).await {
            Ok(attr) => without_privileges(&attr),
            Err(_) => None,
        };
    }
    let done = apply(session, &open, set).await;
    if ours {
        done_with(session, &open).await;
    }
    told(session, &done?)
}

async fn apply(session: &Session, open: &Open, set: SetAttr) -> Result<Attr, Refused> {
    let cx = session.cx();
    if session.posix {
        return Ok(open.set_attr(&cx, &set).await?);
    }
    let now = open.attr(&cx).await?;
    match kept(set, &now, session.mounter)? {
        set if set.is_empty() => Ok(now),
        set => open.set_attr(&cx, &set).await.map_err(cannot_be_there),
    }
}

/// What is left to be set where a volume keeps neither owners nor all of a mode: what is so already is not asked for, and
/// what could not be is refused, as other such file systems do.
fn kept(mut set: SetAttr, now: &Attr, mounter: (u32, u32)) -> Result<SetAttr, Refused> {
    set.uid = set.uid.filter(|uid| *uid != mounter.0);
    set.gid = set.gid.filter(|gid| *gid != mounter.1);
    set.mode = set.mode.filter(|mode| *mode != now.mode & translate::MODE_BITS);
    let added = set.mode.is_some_and(|mode| mode & !now.mode & !PERMISSIONS != 0);
    match set.uid.is_some() || set.gid.is_some() || added {
        true => Err(Errno::PERM.into()),
        false => Ok(set),
    }
}

/// An open of the node that has these rights: the caller's, or one for this time alone, which is said.
async fn open_for(
    session: &Session,
    node: u64,
    fh: Option<u64>,
    needs: Access,
) -> Result<(Arc<Open>, bool), Refused> {
    let serves = |open: &Open| open.access().contains(needs);
    if let Some(open) = fh.and_then(|fh| session.handles.file(fh)).filter(|open| serves(open)) {
        return Ok((open, false));
    }
    let Some(path) = session.nodes.path(node) else {
        let open = session.nodes.open_of(node, serves).ok_or(Errno::STALE)?;
        return Ok((open, false));
    };
    let open = open_at(session, path, needs).await?;
    match session.nodes.file(node) == Some(open.file_id()) {
        true => Ok((open, true)),
        false => {
            done_with(session, &open).await;
            Err(Errno::STALE.into())
        }
    }
}

/// The mode that is left when somebody else writes to a file or cuts it off; `None` where that is as it was.
pub(super) fn without_privileges(attr: &Attr) -> Option<u32> {
    let group = if attr.mode & GROUP_EXECUTE != 0 { SETGID } else { 0 };
    let left = attr.mode & !(SETUID | group);
    (attr.kind == Kind::File && left != attr.mode).then_some(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileges_go_and_mandatory_locking_stays() {
        let check = |mode, expect| {
            let attr = Attr { mode, ..testkit::ease::blank(Kind::File) };
            assert_eq!(without_privileges(&attr), expect, "{mode:o}");
        };
        check(0o6755, Some(0o755));
        check(0o4644, Some(0o644));
        check(0o2745, None);
        check(0o2755, Some(0o755));
        check(0o1777, None);
    }

    #[test]
    fn where_no_owners_are_kept_what_is_so_is_not_refused() {
        let now = Attr { mode: 0o100_644, ..testkit::ease::blank(Kind::File) };
        let check = |set: SetAttr, expect: Option<SetAttr>| {
            assert_eq!(kept(set, &now, (0, 7)).ok(), expect, "{set:?}");
        };
        let nothing = SetAttr::default();
        let owner = |uid, gid| SetAttr { uid, gid, ..nothing };
        let mode = |mode| SetAttr { mode: Some(mode), ..nothing };
        check(owner(Some(0), Some(7)), Some(nothing));
        check(owner(Some(1), None), None);
        check(owner(None, Some(0)), None);
        check(mode(0o644), Some(nothing));
        check(mode(0o600), Some(mode(0o600)));
        check(mode(0o4644), None);
        check(SetAttr { size: Some(1), ..owner(Some(0), None) }, Some(SetAttr::size(1)));
    }
}
