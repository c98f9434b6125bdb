//! Opening. A new file is one request; what is there is looked at first, for a server would follow a link, and wait at a
//! FIFO until somebody writes to it, with all that comes behind.

use crate::attr;
use crate::core::{Core, expected};
use crate::error::{Outcome, Trouble};
use crate::file::SftpFile;
use crate::judge::{About, judge};
use crate::session::Session;
use crate::wire::{Attrs, OpenFlags, Request, StatusCode};
use bytes::Bytes;
use std::sync::Arc;
use volume::{Access, Create, ErrorKind, Kind, OpenHow, Opened, VPath};

/// How often a name may come and go while it is being opened.
const RACE_RETRIES: usize = 8;

pub(crate) async fn open(core: &Arc<Core>, path: &VPath, how: &OpenHow) -> Outcome<Opened> {
    if how.maker.is_some() {
        return Err(ErrorKind::Unsupported.into());
    }
    if how.access.is_empty() || (how.truncate && !how.access.contains(Access::WRITE)) {
        return Err(ErrorKind::InvalidArgument.into());
    }
    expected(how.expect, path)?;
    let wire = core.path(path)?;
    if how.create == Create::New {
        return make(core, path, wire, how).await;
    }
    for _ in 0..RACE_RETRIES {
        let found = match core.look(&wire).await {
            Err(why) if why.is(StatusCode::NoSuchFile) && how.create == Create::IfMissing => {
                make(core, path, wire.clone(), how).await
            }
            Err(why) => return Err(why),
            Ok((session, attrs)) => open_found(core, session, path, &wire, how, attrs).await,
        };
        match found {
            Err(why) if why.kind() == ErrorKind::AlreadyExists || raced(&why, how) => {}
            done => return done,
        }
    }
    Err(ErrorKind::Busy.into())
}

/// It was there, and is not any more; it may be made.
fn raced(why: &Trouble, how: &OpenHow) -> bool {
    how.create == Create::IfMissing && why.is(StatusCode::NoSuchFile)
}

fn flags(access: Access) -> OpenFlags {
    let flag = |wanted, flag| if access.contains(wanted) { flag } else { OpenFlags::empty() };
    flag(Access::READ, OpenFlags::READ) | flag(Access::WRITE, OpenFlags::WRITE)
}

/// What is known of the new file need not be asked for.
async fn make(core: &Arc<Core>, path: &VPath, wire: Bytes, how: &OpenHow) -> Outcome<Opened> {
    let mode = how.mode & attr::MODE_MASK;
    let (session, waiting) = core.begin(Request::Open {
        path: wire.clone(),
        flags: flags(how.access) | OpenFlags::CREATE | OpenFlags::EXCLUSIVE,
        attrs: Attrs::mode(mode),
    })?;
    match waiting.answer().await.and_then(|answer| answer.handle()) {
        Ok(handle) => {
            let made = attr::made(attr::id(path), mode);
            let file = SftpFile::new(core.clone(), session, handle, path.clone(), wire, how.access);
            Ok(Opened { attr: made, file: Arc::new(file), created: true, first: None })
        }
        Err(why) => Err(made_nothing(&session, why, &wire).await),
    }
}

/// A missing parent is no reason to try again.
async fn made_nothing(session: &Arc<Session>, why: Trouble, wire: &Bytes) -> Trouble {
    match judge(session, why, About::Make(wire)).await {
        Trouble::Refused(status) if status.code == StatusCode::NoSuchFile => {
            Trouble::Meant(ErrorKind::NotFound, status)
        }
        other => other,
    }
}

async fn open_found(
    core: &Arc<Core>,
    session: Arc<Session>,
    path: &VPath,
    wire: &Bytes,
    how: &OpenHow,
    found: Attrs,
) -> Outcome<Opened> {
    match attr::kind(found.mode) {
        Kind::File => {}
        Kind::Dir => return Err(ErrorKind::IsADirectory.into()),
        Kind::Symlink => return Err(ErrorKind::Loop.into()),
        Kind::Special(_) => return Err(ErrorKind::Unsupported.into()),
    }
    let truncate = if how.truncate { OpenFlags::TRUNCATE } else { OpenFlags::empty() };
    let flags = flags(how.access) | truncate;
    let opening = session.push(Request::Open { path: wire.clone(), flags, attrs: Attrs::default() });
    // Behind the opening: emptied when that was wanted, and without waiting for the handle.
    let looking = session.push(Request::LStat { path: wire.clone() });
    let handle = match opening.answer().await.and_then(|answer| answer.handle()) {
        Ok(handle) => handle,
        Err(why) => return Err(judge(&session, why, About::Use(wire)).await),
    };
    let file = SftpFile::new(core.clone(), session, handle, path.clone(), wire.clone(), how.access);
    let attrs = looking.answer().await?.attrs()?;
    Ok(Opened { attr: attr::told(attr::id(path), &attrs), file: Arc::new(file), created: false, first: None })
}
