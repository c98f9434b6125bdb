//! Extended attributes: those of users, and those of the operating system, access control lists among them.

use super::{Answer, Refused, Reply, done_with, open_at, path_of, payload};
use crate::session::Session;
use bytes::Bytes;
use fuse_wire::answer;
use fuse_wire::flags::SetxattrFlags;
use fuse_wire::request::Setxattr;
use rustix::io::Errno;
use vfs::{Access, Error};
use volume::{ErrorKind, Named, VPath};

const USER: &str = "user.";
/// What a program may do that is a file. Directories pass none on.
const CAPABILITIES: &[u8] = b"security.capability";
/// Longest name, its prefix included, and longest value, bytes (`XATTR_NAME_MAX`, `XATTR_SIZE_MAX`).
const NAME_MAX: usize = 255;
const VALUE_MAX: usize = 64 << 10;

fn named(name: &[u8]) -> Result<Named, Refused> {
    if name.len() > NAME_MAX {
        return Err(Errno::RANGE.into());
    }
    let name = volume::name_from_bytes(name);
    Ok(match name.strip_prefix(USER) {
        Some(user) => Named::extended(user),
        None => Named::system(&*name),
    })
}

/// What the volume says of values; those that it cannot keep are not there.
fn refused(error: Error) -> Refused {
    match error {
        Error::Volume(error) if error.kind == ErrorKind::Unsupported => Refused(Errno::OPNOTSUPP),
        Error::NameInvalid => Refused(Errno::OPNOTSUPP),
        error => error.into(),
    }
}

async fn value_of(session: &Session, path: &VPath, name: &Named) -> Result<Option<Bytes>, Refused> {
    session.vfs.named(&session.cx(), path, name).await.map_err(refused)
}

/// A value, or how long it is, as the caller has room for.
fn sized(value: &[u8], size: u32) -> Answer {
    match size as usize {
        0 => payload(answer::xattr_size(value.len() as u32)),
        room if value.len() > room => Err(Errno::RANGE.into()),
        _ => payload(value),
    }
}

pub(super) async fn get(session: &Session, node: u64, name: &[u8], size: u32) -> Answer {
    // Asked for before the first write to a file, each time.
    if name == CAPABILITIES && session.nodes.believed_bare(node) {
        return Err(Errno::NODATA.into());
    }
    let name = named(name)?;
    let value = match session.nodes.path(node) {
        Some(path) => value_of(session, &path, &name).await?,
        None => match session.nodes.open_of(node, |_| true) {
            Some(open) => open.named(&session.cx(), &name).await.map_err(refused)?,
            None => return Err(Errno::STALE.into()),
        },
    };
    sized(&value.ok_or(Errno::NODATA)?, size)
}

pub(super) async fn list(session: &Session, node: u64, size: u32) -> Answer {
    let path = path_of(session, node)?;
    let mut names = Vec::new();
    for entry in session.vfs.list_named(&session.cx(), &path).await.map_err(refused)? {
        let (prefix, name) = match &entry.name {
            Named::Extended(name) => (USER, name),
            Named::System(name) => ("", name),
            Named::Stream(_) | Named::Descriptor => continue,
        };
        let Ok(name) = volume::name_to_bytes(name) else { continue };
        names.extend_from_slice(prefix.as_bytes());
        names.extend_from_slice(&name);
        names.push(0);
    }
    sized(&names, size)
}

pub(super) async fn set(session: &Session, node: u64, what: &Setxattr) -> Answer {
    let name = named(&what.name)?;
    if what.value.len() > VALUE_MAX {
        return Err(Errno::TOOBIG.into());
    }
    let path = path_of(session, node)?;
    let (must_be, must_not) =
        (what.flags.contains(SetxattrFlags::REPLACE), what.flags.contains(SetxattrFlags::CREATE));
    if must_be || must_not {
        match value_of(session, &path, &name).await?.is_some() {
            true if must_not => return Err(Errno::EXIST.into()),
            false if must_be => return Err(Errno::NODATA.into()),
            true | false => {}
        }
    }
    session.nodes.is_bare(node, None);
    put(session, path, &name, Some(what.value.clone())).await
}

pub(super) async fn remove(session: &Session, node: u64, name: &[u8]) -> Answer {
    let (name, path) = (named(name)?, path_of(session, node)?);
    if value_of(session, &path, &name).await?.is_none() {
        return Err(Errno::NODATA.into());
    }
    put(session, path, &name, None).await
}

async fn put(session: &Session, path: VPath, name: &Named, value: Option<Bytes>) -> Answer {
    let open = open_at(session, path, Access::WRITE_EA).await?;
    let done = open.set_named(&session.cx(), name, value).await;
    done_with(session, &open).await;
    done.map_err(refused)?;
    Ok(Reply::Done)
}
