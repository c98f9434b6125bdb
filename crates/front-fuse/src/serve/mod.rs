//! The operations: what each request of the kernel means to `vfs`.

mod attributes;
mod dirs;
mod files;
mod names;
mod xattr;

pub(crate) use dirs::Walk;

use crate::errno;
use crate::session::Session;
use crate::translate;
use bytes::Bytes;
use fuse_wire::answer::Statfs;
use fuse_wire::{Entry, Header, Operation, Request};
use rustix::io::Errno;
use std::sync::Arc;
use vfs::{Access, Open, OpenRequest};
use volume::{Attr, Maker, PathError, VPath};

/// Longest name that callers may use, bytes (NAME_MAX).
const NAME_MAX: usize = 255;
/// How many files statfs(2) tells that there may be.
const FILES: u64 = 1_000_000_000;

/// A good answer.
pub(crate) enum Reply {
    Done,
    Payload(Bytes),
    /// One by which the kernel has something that it gives back when it does not need it any more.
    Gives(Bytes, Given),
}

/// What the kernel has by an answer.
pub(crate) enum Given {
    /// A lookup of each of these nodes.
    Nodes(Vec<u64>),
    Open {
        node: u64,
        fh: u64,
    },
    /// A lookup of a node, and an open of it.
    Made {
        node: u64,
        fh: u64,
    },
}

/// Nobody has taken the answer by which the kernel was to have this.
pub(crate) async fn take_back(session: &Session, given: Given) {
    match given {
        Given::Nodes(nodes) => nodes.into_iter().for_each(|node| session.nodes.forget(node, 1)),
        Given::Open { node, fh } => drop(files::release(session, node, fh).await),
        Given::Made { node, fh } => {
            drop(files::release(session, node, fh).await);
            session.nodes.forget(node, 1);
        }
    }
}

/// What the caller is told instead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Refused(pub(crate) Errno);

type Answer = Result<Reply, Refused>;

impl From<vfs::Error> for Refused {
    fn from(error: vfs::Error) -> Refused {
        let errno = errno::of(&error);
        if errno == Errno::IO {
            tracing::warn!(%error, "an operation failed");
        }
        Refused(errno)
    }
}

impl From<Errno> for Refused {
    fn from(errno: Errno) -> Refused {
        Refused(errno)
    }
}

fn payload(bytes: impl AsRef<[u8]>) -> Answer {
    Ok(Reply::Payload(Bytes::copy_from_slice(bytes.as_ref())))
}

pub(crate) async fn serve(session: &Session, request: Request) -> Answer {
    let Request { header, extensions: _, operation } = request;
    let node = header.nodeid;
    match operation {
        Operation::Lookup { name } => names::lookup(session, node, &name).await,
        Operation::Readlink => names::read_link(session, node).await,
        Operation::Symlink { name, target } => names::symlink(session, &header, &name, &target).await,
        Operation::Mknod(asked) => names::make_node(session, &header, &asked).await,
        Operation::Mkdir(asked) => names::make_dir(session, &header, &asked).await,
        Operation::Unlink { name } => names::remove(session, node, &name, vfs::Want::File).await,
        Operation::Rmdir { name } => names::remove(session, node, &name, vfs::Want::Dir).await,
        Operation::Rename(asked) => names::rename(session, node, &asked).await,
        Operation::Link { nodeid, name } => names::link(session, node, nodeid, &name).await,
        Operation::Getattr { fh } => attributes::get(session, node, fh).await,
        Operation::Setattr(asked) => attributes::set(session, node, &asked).await,
        Operation::Statfs => statfs(session).await,
        Operation::Setxattr(asked) => xattr::set(session, node, &asked).await,
        Operation::Getxattr { name, size } => xattr::get(session, node, &name, size).await,
        Operation::Listxattr { size } => xattr::list(session, node, size).await,
        Operation::Removexattr { name } => xattr::remove(session, node, &name).await,
        Operation::Opendir(_) => dirs::open(session, node).await,
        Operation::Readdir(asked) => dirs::read(session, node, &asked, false).await,
        Operation::Readdirplus(asked) => dirs::read(session, node, &asked, true).await,
        Operation::Fsyncdir { fh, datasync } => dirs::sync(session, fh, datasync).await,
        Operation::Releasedir(asked) | Operation::Release(asked) => {
            files::release(session, node, asked.fh).await
        }
        Operation::Open(asked) => files::open(session, node, &asked).await,
        Operation::Create { name, creation } => files::create(session, &header, &name, &creation).await,
        Operation::Read(asked) => files::read(session, &asked).await,
        Operation::Write(asked) => files::write(session, asked).await,
        Operation::Fsync { fh, datasync } => files::sync(session, fh, datasync).await,
        Operation::Fallocate(asked) => files::allocate(session, &asked).await,
        Operation::Lseek(asked) => files::seek(session, &asked).await,
        Operation::CopyFileRange(asked) => {
            let copied = files::copy(session, &asked).await?;
            payload(fuse_wire::answer::written(u32::try_from(copied).unwrap_or(u32::MAX)))
        }
        Operation::CopyFileRange64(asked) => {
            payload(fuse_wire::answer::copied(files::copy(session, &asked).await?))
        }
        Operation::Destroy => Ok(Reply::Done),
        // What was written has been told of already; the kernel asks no more after this.
        Operation::Flush { .. } => Err(Errno::NOSYS.into()),
        // What the kernel does itself, or tells its callers that it cannot be had here.
        Operation::Tmpfile(_)
        | Operation::Getlk(_)
        | Operation::Setlk(_)
        | Operation::Setlkw(_)
        | Operation::Access { .. }
        | Operation::Bmap { .. }
        | Operation::Ioctl(_)
        | Operation::Poll(_)
        | Operation::Syncfs
        | Operation::Statx(_)
        | Operation::Unknown { .. } => Err(Errno::NOSYS.into()),
        // These are not answered, or come once and first.
        Operation::Forget { .. }
        | Operation::BatchForget(_)
        | Operation::Interrupt { .. }
        | Operation::NotifyReply
        | Operation::Init(_) => Err(Errno::IO.into()),
    }
}

async fn statfs(session: &Session) -> Answer {
    let space = session.vfs.space(&session.cx()).await?;
    let unit = u64::from(space.unit.max(1));
    let statfs = Statfs {
        blocks: space.total / unit,
        blocks_free: space.free / unit,
        blocks_available: space.available / unit,
        // How many there may be, volumes do not say; that there are none left would be wrong.
        files: FILES,
        files_free: FILES,
        block_size: space.unit,
        name_max: NAME_MAX as u32,
        fragment_size: space.unit,
    };
    payload(statfs.encode())
}

/// With which mode something is made, and by whom where the volume keeps that; elsewhere nobody applies the umask after
/// us.
fn made_by(session: &Session, header: &Header, mode: u32, umask: u32) -> (u32, Option<Maker>) {
    let mode = mode & translate::MODE_BITS;
    match session.posix {
        true => (mode, Some(Maker { uid: header.uid, gid: header.gid, umask })),
        false => (mode & !umask, None),
    }
}

/// What a volume says of a kind of object, or a change, that it cannot keep.
fn cannot_be_there(error: vfs::Error) -> Refused {
    match error {
        vfs::Error::Volume(error) if error.kind == volume::ErrorKind::Unsupported => Errno::PERM.into(),
        error => error.into(),
    }
}

/// A name as the volume spells it.
fn spelled(name: &[u8]) -> Result<Arc<str>, Refused> {
    match name.len() {
        0..=NAME_MAX => Ok(volume::name_from_bytes(name).into()),
        _ => Err(Errno::NAMETOOLONG.into()),
    }
}

/// Where a node is; `ESTALE` for one that has no name any more.
fn path_of(session: &Session, node: u64) -> Result<VPath, Refused> {
    session.nodes.path(node).ok_or(Refused(Errno::STALE))
}

/// The path of a name in a directory.
fn path_in(session: &Session, dir: u64, name: &str) -> Result<VPath, Refused> {
    let dir = session.nodes.path(dir).ok_or(Refused(Errno::NOENT))?;
    dir.join(name).map_err(|why| match why {
        PathError::TooLong => Errno::NAMETOOLONG.into(),
        PathError::EmptyComponent | PathError::DotComponent | PathError::Nul => Errno::INVAL.into(),
    })
}

/// What is asked of `vfs` for a caller of this mount: exactly that name, shared with everybody, as POSIX has it.
fn asked(session: &Session, path: VPath, access: Access) -> OpenRequest {
    OpenRequest {
        case_sensitive: true,
        open_link: true,
        ignore_readonly: true,
        posix_deletion: true,
        ..OpenRequest::new(path, access, session.owner)
    }
}

/// Opens what stands under a name, for one thing that is to be done with it.
async fn open_at(session: &Session, path: VPath, access: Access) -> Result<Arc<Open>, Refused> {
    Ok(session.vfs.open(&session.cx(), asked(session, path, access)).await?.open)
}

/// Ends such an open. What is to be told of it was told before.
async fn done_with(session: &Session, open: &Open) {
    if let Err(error) = open.close(&session.cx()).await {
        tracing::warn!(%error, "an open that served one operation does not end well");
    }
}

/// What the kernel is told of a name that it has looked up or made.
fn entry(session: &Session, dir: u64, name: &Arc<str>, attr: &Attr) -> Entry {
    let nodeid = session.nodes.found(dir, name, attr.id);
    Entry {
        nodeid,
        generation: 0,
        name_valid: session.valid,
        attributes_valid: session.valid,
        attributes: session.attributes(attr),
    }
}

/// The answer that tells of it.
fn found(session: &Session, dir: u64, name: &Arc<str>, attr: &Attr) -> Answer {
    let entry = entry(session, dir, name, attr);
    Ok(Reply::Gives(Bytes::copy_from_slice(&entry.encode()), Given::Nodes(vec![entry.nodeid])))
}
