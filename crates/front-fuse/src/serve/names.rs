//! Names: looking them up, making, linking, renaming and removing what they stand for.

use super::{
    Answer, Refused, Reply, asked, cannot_be_there, done_with, found, made_by, open_at, path_in, path_of,
    payload, spelled,
};
use crate::session::Session;
use crate::translate;
use bytes::Bytes;
use fuse_wire::Header;
use fuse_wire::flags::RenameFlags;
use fuse_wire::request::{Mkdir, Mknod, Rename};
use rustix::io::Errno;
use vfs::{Access, DeleteHow, Disposition, NewNode, OpenRequest, ReadonlyTarget, RenameHow, Want};
use volume::Maker;

/// How POSIX callers remove and replace.
const POSIX_DELETION: DeleteHow = DeleteHow { ignore_readonly: true, on_close: false, posix: true };

pub(super) async fn lookup(session: &Session, dir: u64, name: &[u8]) -> Answer {
    let name = spelled(name)?;
    let path = path_in(session, dir, &name)?;
    match session.vfs.look(&session.cx(), &path).await {
        Ok(attr) => found(session, dir, &name, &attr),
        Err(error) => {
            let refused = Refused::from(error);
            if refused.0 == Errno::NOENT {
                session.nodes.unnamed(dir, &name);
            }
            Err(refused)
        }
    }
}

pub(super) async fn read_link(session: &Session, node: u64) -> Answer {
    let target = session.vfs.read_link(&session.cx(), &path_of(session, node)?).await?;
    payload(volume::name_to_bytes(&target).map_err(|_| Errno::ILSEQ)?)
}

pub(super) async fn symlink(session: &Session, header: &Header, name: &[u8], target: &[u8]) -> Answer {
    let target = NewNode::Symlink(volume::name_from_bytes(target).into_owned());
    let (_, maker) = made_by(session, header, 0, 0);
    make(session, header.nodeid, name, target, maker).await
}

pub(super) async fn make_node(session: &Session, header: &Header, what: &Mknod) -> Answer {
    match translate::special(what.mode, what.rdev) {
        Some(special) => {
            let (mode, maker) = made_by(session, header, what.mode, what.umask);
            make(session, header.nodeid, &what.name, NewNode::Special { special, mode }, maker).await
        }
        None if what.mode & translate::TYPE_MASK == translate::REGULAR => {
            let (mode, maker) = made_by(session, header, what.mode, what.umask);
            let how = OpenRequest { want: Want::File, mode, maker, ..template(session) };
            open_new(session, header.nodeid, &what.name, how).await
        }
        None => Err(Errno::INVAL.into()),
    }
}

async fn make(session: &Session, dir: u64, name: &[u8], node: NewNode, maker: Option<Maker>) -> Answer {
    let name = spelled(name)?;
    let path = path_in(session, dir, &name)?;
    let made = session.vfs.make_node(&session.cx(), &path, node, maker).await;
    found(session, dir, &name, &made.map_err(cannot_be_there)?)
}

pub(super) async fn make_dir(session: &Session, header: &Header, what: &Mkdir) -> Answer {
    let (mode, maker) = made_by(session, header, what.mode, what.umask);
    let how = OpenRequest { want: Want::Dir, mode, maker, ..template(session) };
    open_new(session, header.nodeid, &what.name, how).await
}

/// What a file or directory is made with that nobody opens at once.
fn template(session: &Session) -> OpenRequest {
    OpenRequest {
        disposition: Disposition::Create,
        ..asked(session, volume::VPath::root(), Access::READ_ATTRIBUTES)
    }
}

async fn open_new(session: &Session, dir: u64, name: &[u8], how: OpenRequest) -> Answer {
    let name = spelled(name)?;
    let path = path_in(session, dir, &name)?;
    let opened = session.vfs.open(&session.cx(), OpenRequest { path, ..how }).await?;
    done_with(session, &opened.open).await;
    found(session, dir, &name, &opened.attr)
}

pub(super) async fn remove(session: &Session, dir: u64, name: &[u8], want: Want) -> Answer {
    let name = spelled(name)?;
    let path = path_in(session, dir, &name)?;
    let what = OpenRequest { want, ..asked(session, path, Access::DELETE) };
    session.vfs.remove(&session.cx(), what, POSIX_DELETION).await?;
    session.nodes.unnamed(dir, &name);
    Ok(Reply::Done)
}

pub(super) async fn rename(session: &Session, dir: u64, what: &Rename) -> Answer {
    if what.flags.intersects(!RenameFlags::NOREPLACE) {
        return Err(Errno::INVAL.into());
    }
    let (from, to) = (spelled(&what.name)?, spelled(&what.new_name)?);
    let target = path_in(session, what.new_parent, &to)?;
    let from_path = path_in(session, dir, &from)?;
    let replace = !what.flags.contains(RenameFlags::NOREPLACE);
    let how = RenameHow { replace, posix: true, readonly: ReadonlyTarget::Unknown };
    session.vfs.rename(&session.cx(), asked(session, from_path, Access::DELETE), &target, how).await?;
    session.nodes.renamed((dir, &from), (what.new_parent, &to));
    Ok(Reply::Done)
}

pub(super) async fn link(session: &Session, dir: u64, node: u64, name: &Bytes) -> Answer {
    let name = spelled(name)?;
    let path = path_in(session, dir, &name)?;
    let open = open_at(session, path_of(session, node)?, Access::WRITE_ATTRIBUTES).await?;
    let how = RenameHow { replace: false, posix: true, readonly: ReadonlyTarget::Unknown };
    let linked = open.link(&session.cx(), &path, how).await;
    done_with(session, &open).await;
    linked.map_err(cannot_be_there)?;
    let attr = session.vfs.look(&session.cx(), &path).await?;
    found(session, dir, &name, &attr)
}
