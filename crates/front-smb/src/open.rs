//! An open as SMB sees it: an id, the rights granted, and a file of `vfs` or a pipe behind it.

use crate::pipe::Pipe;
use smb_core::wildcard::Pattern;
use smb_wire::{AccessMask, FileId, NtStatus};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::Mutex;
use volume::{Cx, Priority};

pub(crate) struct Open {
    pub(crate) id: FileId,
    pub(crate) tree_id: u32,
    pub(crate) granted: AccessMask,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    File(Box<FileOpen>),
    Pipe(Pipe),
}

/// A file or directory.
pub(crate) struct FileOpen {
    pub(crate) vfs: Arc<vfs::Open>,
    /// CreateOptions that FileModeInformation reports, and FILE_WRITE_THROUGH.
    pub(crate) mode: u32,
    /// CurrentByteOffset of FilePositionInformation: behind the last byte read, or what the client has set.
    pub(crate) position: AtomicU64,
    /// The walk of QUERY_DIRECTORY.
    pub(crate) walk: Mutex<Option<Walk>>,
}

/// A walk through a directory, from one QUERY_DIRECTORY to the next.
pub(crate) struct Walk {
    pub(crate) cursor: vfs::DirCursor,
    pub(crate) pattern: Pattern,
    /// Whether anything was found yet: decides between NO_SUCH_FILE and NO_MORE_FILES.
    pub(crate) found: bool,
}

impl Open {
    /// The file behind it; a pipe is none.
    pub(crate) fn file(&self) -> Result<&FileOpen, NtStatus> {
        match &self.kind {
            Kind::File(file) => Ok(file),
            Kind::Pipe(_) => Err(NtStatus::INVALID_DEVICE_REQUEST),
        }
    }

    /// Refuses unless one of `rights` was granted.
    pub(crate) fn needs_any(&self, rights: AccessMask) -> Result<(), NtStatus> {
        if self.granted.intersects(rights) { Ok(()) } else { Err(NtStatus::ACCESS_DENIED) }
    }
}

/// Closes what nobody can name any more. Errors have no reader here; they go to the log.
pub(crate) async fn close_all(opens: Vec<Arc<Open>>) {
    for open in opens {
        if let Kind::File(file) = &open.kind
            && let Err(error) = file.vfs.close(&Cx::system(Priority::Interactive)).await
        {
            tracing::warn!(open = ?file.vfs.id(), %error, "closing after the client left");
        }
    }
}
