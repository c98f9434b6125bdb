//! What a refusal meant: OpenSSH answers FAILURE for most of what `errno` tells apart, NO_SUCH_FILE for ENOTDIR too, and
//! BAD_MESSAGE for ENAMETOOLONG and EINVAL. So the names are looked at afterwards. That is another moment: a guess, for the
//! `ErrorKind` alone, never for what is done.

use crate::error::Trouble;
use crate::names::is_long;
use crate::session::Session;
use crate::wire::{Request, StatVfs, StatusCode};
use bytes::Bytes;
use std::sync::Arc;
use volume::{ErrorKind, Kind};

/// What was refused.
#[derive(Clone, Copy)]
pub(crate) enum About<'a> {
    /// Making something new under this name.
    Make(&'a Bytes),
    Remove {
        path: &'a Bytes,
        dir: bool,
    },
    /// Renaming or linking.
    Move {
        from: &'a Bytes,
        to: &'a Bytes,
        replace: bool,
    },
    List(&'a Bytes),
    /// Anything else with a file or on a name: whether the disk is full is asked of this path.
    Use(&'a Bytes),
}

/// The trouble, with the kind that it had.
pub(crate) async fn judge(session: &Arc<Session>, trouble: Trouble, about: About<'_>) -> Trouble {
    let unclear = trouble.kind() == ErrorKind::Io;
    let Trouble::Refused(status) = trouble else { return trouble };
    let kind = match status.code {
        StatusCode::BadMessage => about.paths().any(is_long).then_some(ErrorKind::NameTooLong),
        StatusCode::NoSuchFile => no_such_file(session, about).await,
        StatusCode::Failure if unclear => failure(session, about).await,
        _ => None,
    };
    match kind {
        Some(kind) => Trouble::Meant(kind, status),
        None => Trouble::Refused(status),
    }
}

impl<'a> About<'a> {
    fn paths(self) -> impl Iterator<Item = &'a Bytes> {
        let (first, second) = match self {
            About::Make(path) | About::Remove { path, .. } | About::List(path) | About::Use(path) => {
                (path, None)
            }
            About::Move { from, to, .. } => (from, Some(to)),
        };
        std::iter::once(first).chain(second)
    }
}

/// A directory was wanted, and something else is there.
async fn no_such_file(session: &Arc<Session>, about: About<'_>) -> Option<ErrorKind> {
    let other = |kind: Option<Kind>| kind.is_some_and(|kind| kind != Kind::Dir);
    let wrong = match about {
        About::Remove { path, dir: true } | About::List(path) => other(look(session, path).await),
        About::Move { from, to, replace: true } => {
            look(session, from).await == Some(Kind::Dir) && other(look(session, to).await)
        }
        About::Make(_) | About::Remove { .. } | About::Move { .. } | About::Use(_) => false,
    };
    wrong.then_some(ErrorKind::NotADirectory)
}

async fn failure(session: &Arc<Session>, about: About<'_>) -> Option<ErrorKind> {
    let found = match about {
        About::Make(path) => look(session, path).await.map(|_| ErrorKind::AlreadyExists),
        About::Remove { path, dir: false } => {
            (look(session, path).await == Some(Kind::Dir)).then_some(ErrorKind::IsADirectory)
        }
        About::Remove { path, dir: true } => {
            holds_names(session, path).await.then_some(ErrorKind::DirectoryNotEmpty)
        }
        About::Move { from, to, replace } => match look(session, to).await {
            Some(_) if !replace => Some(ErrorKind::AlreadyExists),
            Some(Kind::Dir) if look(session, from).await == Some(Kind::Dir) => {
                Some(ErrorKind::DirectoryNotEmpty)
            }
            Some(Kind::Dir) => Some(ErrorKind::IsADirectory),
            Some(_) | None => None,
        },
        About::List(_) | About::Use(_) => None,
    };
    match found {
        Some(kind) => Some(kind),
        None => room(session, about).await,
    }
}

async fn look(session: &Arc<Session>, path: &Bytes) -> Option<Kind> {
    let attrs = session.ask(Request::LStat { path: path.clone() }).await.ok()?.attrs().ok()?;
    Some(crate::attr::kind(attrs.mode))
}

/// Whether there is a name in a directory besides `.` and `..`.
async fn holds_names(session: &Arc<Session>, path: &Bytes) -> bool {
    let opened = session.ask(Request::OpenDir { path: path.clone() }).await;
    let Ok(Ok(handle)) = opened.map(|answer| answer.handle()) else { return false };
    let mut found = false;
    while !found {
        let page = session.ask(Request::ReadDir { handle: handle.clone() }).await;
        let Ok(Ok(Some(names))) = page.map(|answer| answer.names()) else { break };
        found = names.iter().any(|entry| crate::names::listed(&entry.name).is_some());
    }
    session.close(handle);
    found
}

/// Whether the file system can take anything at all. The name itself may not be there.
async fn room(session: &Arc<Session>, about: About<'_>) -> Option<ErrorKind> {
    let path = about.paths().last()?;
    let dir = match path.iter().rposition(|byte| *byte == b'/') {
        None | Some(0) => Bytes::from_static(b"/"),
        Some(at) => path.slice(..at),
    };
    let body = session.ask(Request::StatVfs { path: dir }).await.ok()?.extended().ok()?;
    let told = StatVfs::read(body).ok()?;
    if told.read_only {
        return Some(ErrorKind::ReadOnly);
    }
    // Some file systems count no files.
    let no_files = told.files > 0 && told.files_available == 0;
    (told.available == 0 || no_files).then_some(ErrorKind::NoSpace)
}
