//! Any request, by its opcode.
//!
//! Where the kernel has two opcodes for one thing (RENAME and RENAME2) there is one [`Operation`]; the header
//! still tells which it was.

mod attributes;
mod files;
mod names;
mod xattr;

pub use attributes::{SetTime, Setattr};
pub use files::{
    CopyFileRange, Fallocate, Ioctl, Lseek, Open, Poll, Read, Release, SEEK_DATA, SEEK_HOLE, WRITE_LEN, Write,
};
pub use names::{Creation, Forget, Mkdir, Mknod, Rename};
pub use xattr::Setxattr;

use crate::{
    error::WireError,
    extensions::Extensions,
    fields::Body,
    flags::InitFlags,
    header::{HEADER_LEN, Header},
    init::InitRequest,
    lock::LockRequest,
    opcode::Opcode,
    statx::StatxRequest,
};
use bytes::Bytes;

/// Flag of GETATTR and STATX: `fh` counts.
pub(crate) const GETATTR_FH: u32 = 1 << 0;
const FSYNC_FDATASYNC: u32 = 1 << 0;

/// A request of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who asks what of which node.
    pub header: Header,
    /// What else is known of the caller.
    pub extensions: Extensions,
    /// What is asked.
    pub operation: Operation,
}

impl Request {
    /// Reads one whole message. `agreed` is what the answer to INIT took up (before it, nothing): the
    /// layout of some requests depends on it.
    pub fn decode(message: &Bytes, agreed: InitFlags) -> Result<Self, WireError> {
        let (header, extensions_len) = Header::decode_whole(message)?;
        let what = header.opcode.name();
        let mut body = message.slice(HEADER_LEN..);
        let Some(body_len) = body.len().checked_sub(extensions_len) else {
            return Err(WireError::Short { what, need: extensions_len, have: body.len() });
        };
        let extensions = Extensions::decode(&body.split_off(body_len))?;
        let operation = Operation::decode(header.opcode, &mut Body::new(body, what), agreed)?;
        Ok(Self { header, extensions, operation })
    }
}

/// What is asked. The node is in the header; a `name` is one in the directory that the node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Which node is this name?
    Lookup { name: Bytes },
    /// So many lookups are taken back. No answer.
    Forget { lookups: u64 },
    /// The same for several nodes, the header's not among them. No answer.
    BatchForget(Vec<Forget>),
    /// What is the node? `fh` if the caller has it open.
    Getattr { fh: Option<u64> },
    /// Change what it is.
    Setattr(Setattr),
    /// Where does the symlink lead?
    Readlink,
    /// Make a symlink to `target`.
    Symlink { name: Bytes, target: Bytes },
    /// Make a node.
    Mknod(Mknod),
    /// Make a directory.
    Mkdir(Mkdir),
    /// Remove what is no directory.
    Unlink { name: Bytes },
    /// Remove an empty directory.
    Rmdir { name: Bytes },
    /// Rename; RENAME has no flags, RENAME2 has.
    Rename(Rename),
    /// Give the node `nodeid` one more name.
    Link { nodeid: u64, name: Bytes },
    /// Open a file.
    Open(Open),
    /// Make a file, unless it is there, and open it.
    Create { name: Bytes, creation: Creation },
    /// Make a file without a name in the directory and open it.
    Tmpfile(Creation),
    /// Read.
    Read(Read),
    /// Write.
    Write(Write),
    /// How full is it?
    Statfs,
    /// The last descriptor of an open is closed.
    Release(Release),
    /// The last descriptor of an open directory is closed.
    Releasedir(Release),
    /// Make a file durable; `datasync`: its attributes only as far as the content needs them.
    Fsync { fh: u64, datasync: bool },
    /// Make a directory durable.
    Fsyncdir { fh: u64, datasync: bool },
    /// Set an extended attribute.
    Setxattr(Setxattr),
    /// Its value, of at most `size` bytes (ERANGE if longer); with 0, its length.
    Getxattr { name: Bytes, size: u32 },
    /// The names of all, likewise.
    Listxattr { size: u32 },
    /// Remove one.
    Removexattr { name: Bytes },
    /// A descriptor is closed; the POSIX locks of `lock_owner` go.
    Flush { fh: u64, lock_owner: u64 },
    /// The first request.
    Init(InitRequest),
    /// Open a directory.
    Opendir(Open),
    /// Names of a directory.
    Readdir(Read),
    /// Names of a directory, with what they are.
    Readdirplus(Read),
    /// Which lock is in the way of this one?
    Getlk(LockRequest),
    /// Take or give a lock; EAGAIN if one is in the way.
    Setlk(LockRequest),
    /// Take a lock, waiting.
    Setlkw(LockRequest),
    /// May the caller (`R_OK`, `W_OK`, `X_OK`)?
    Access { mask: u32 },
    /// The caller of the request `unique` does not want to wait any longer.
    Interrupt { unique: u64 },
    /// Where on the device is this block?
    Bmap { block: u64, block_size: u32 },
    /// The mount is gone.
    Destroy,
    /// An ioctl.
    Ioctl(Ioctl),
    /// Is the file ready?
    Poll(Poll),
    /// An answer to a notification that is never sent here. No answer.
    NotifyReply,
    /// Reserve, remove or zero a range.
    Fallocate(Fallocate),
    /// Where is the next data or hole?
    Lseek(Lseek),
    /// Copy a range, answered by [`crate::answer::written`].
    CopyFileRange(CopyFileRange),
    /// Copy a range, answered by [`crate::answer::copied`].
    CopyFileRange64(CopyFileRange),
    /// Make all of the file system durable.
    Syncfs,
    /// What is the node, in full?
    Statx(StatxRequest),
    /// What is not known here.
    Unknown { opcode: Opcode },
}

impl Operation {
    fn decode(opcode: Opcode, body: &mut Body, agreed: InitFlags) -> Result<Self, WireError> {
        Ok(match opcode {
            Opcode::LOOKUP => Self::Lookup { name: body.component()? },
            Opcode::FORGET => Self::Forget { lookups: body.fixed::<8, _>(|fixed| fixed.u64(0))? },
            Opcode::BATCH_FORGET => Self::BatchForget(names::batch_forget(body)?),
            Opcode::GETATTR => Self::Getattr { fh: attributes::getattr(body)? },
            Opcode::SETATTR => Self::Setattr(Setattr::decode(body)?),
            Opcode::READLINK => Self::Readlink,
            Opcode::SYMLINK => Self::Symlink { name: body.component()?, target: body.name()? },
            Opcode::MKNOD => Self::Mknod(Mknod::decode(body)?),
            Opcode::MKDIR => Self::Mkdir(Mkdir::decode(body)?),
            Opcode::UNLINK => Self::Unlink { name: body.component()? },
            Opcode::RMDIR => Self::Rmdir { name: body.component()? },
            Opcode::RENAME => Self::Rename(Rename::decode(body)?),
            Opcode::RENAME2 => Self::Rename(Rename::decode2(body)?),
            Opcode::LINK => {
                Self::Link { nodeid: body.fixed::<8, _>(|fixed| fixed.u64(0))?, name: body.component()? }
            }
            Opcode::CREATE => Self::Create { creation: Creation::decode(body)?, name: body.component()? },
            // Its name is one that the kernel made up.
            Opcode::TMPFILE => Self::Tmpfile(Creation::decode(body)?),
            Opcode::SETXATTR => Self::Setxattr(Setxattr::decode(body, agreed)?),
            Opcode::GETXATTR => Self::Getxattr { size: xattr::size(body)?, name: body.name()? },
            Opcode::LISTXATTR => Self::Listxattr { size: xattr::size(body)? },
            Opcode::REMOVEXATTR => Self::Removexattr { name: body.name()? },
            Opcode::INIT => Self::Init(InitRequest::decode(body)?),
            Opcode::STATX => Self::Statx(StatxRequest::decode(body)?),
            Opcode::ACCESS => Self::Access { mask: body.fixed::<8, _>(|fixed| fixed.u32(0))? },
            Opcode::INTERRUPT => Self::Interrupt { unique: body.fixed::<8, _>(|fixed| fixed.u64(0))? },
            Opcode::STATFS => Self::Statfs,
            Opcode::DESTROY => Self::Destroy,
            Opcode::NOTIFY_REPLY => Self::NotifyReply,
            Opcode::SYNCFS => Self::Syncfs,
            _ => Self::decode_opened(opcode, body)?,
        })
    }

    /// What is done with an opened file or directory, opening it included.
    fn decode_opened(opcode: Opcode, body: &mut Body) -> Result<Self, WireError> {
        Ok(match opcode {
            Opcode::OPEN => Self::Open(Open::decode(body)?),
            Opcode::OPENDIR => Self::Opendir(Open::decode(body)?),
            Opcode::READ => Self::Read(Read::decode(body)?),
            Opcode::READDIR => Self::Readdir(Read::decode(body)?),
            Opcode::READDIRPLUS => Self::Readdirplus(Read::decode(body)?),
            Opcode::WRITE => Self::Write(Write::decode(body)?),
            Opcode::RELEASE => Self::Release(Release::decode(body)?),
            Opcode::RELEASEDIR => Self::Releasedir(Release::decode(body)?),
            Opcode::FSYNC => {
                let (fh, flags) = body.fixed::<16, _>(|fixed| (fixed.u64(0), fixed.u32(8)))?;
                Self::Fsync { fh, datasync: flags & FSYNC_FDATASYNC != 0 }
            }
            Opcode::FSYNCDIR => {
                let (fh, flags) = body.fixed::<16, _>(|fixed| (fixed.u64(0), fixed.u32(8)))?;
                Self::Fsyncdir { fh, datasync: flags & FSYNC_FDATASYNC != 0 }
            }
            Opcode::FLUSH => {
                let (fh, lock_owner) = body.fixed::<24, _>(|fixed| (fixed.u64(0), fixed.u64(16)))?;
                Self::Flush { fh, lock_owner }
            }
            Opcode::GETLK => Self::Getlk(LockRequest::decode(body)?),
            Opcode::SETLK => Self::Setlk(LockRequest::decode(body)?),
            Opcode::SETLKW => Self::Setlkw(LockRequest::decode(body)?),
            Opcode::BMAP => {
                let (block, block_size) = body.fixed::<16, _>(|fixed| (fixed.u64(0), fixed.u32(8)))?;
                Self::Bmap { block, block_size }
            }
            Opcode::IOCTL => Self::Ioctl(Ioctl::decode(body)?),
            Opcode::POLL => Self::Poll(Poll::decode(body)?),
            Opcode::FALLOCATE => Self::Fallocate(Fallocate::decode(body)?),
            Opcode::LSEEK => Self::Lseek(Lseek::decode(body)?),
            Opcode::COPY_FILE_RANGE => Self::CopyFileRange(CopyFileRange::decode(body)?),
            Opcode::COPY_FILE_RANGE_64 => Self::CopyFileRange64(CopyFileRange::decode(body)?),
            opcode => Self::Unknown { opcode },
        })
    }
}
