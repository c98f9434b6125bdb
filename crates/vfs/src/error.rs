//! What an operation of `vfs` can answer. Front ends translate it in one exhaustive `match`.
//!
//! The words that every front end has of its own (a name that is not there, a share mode in the way) are
//! variants; what only the origin knows stays the origin's error, with its story.

use std::fmt;
use volume::ErrorKind;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why `vfs` refused or failed. The NTSTATUS in each line is the usual translation for SMB.
#[derive(Debug)]
pub enum Error {
    /// The last component is not there: `STATUS_OBJECT_NAME_NOT_FOUND`.
    NotFound,
    /// A directory on the way is not there, or is no directory: `STATUS_OBJECT_PATH_NOT_FOUND`.
    PathNotFound,
    /// The name is taken: `STATUS_OBJECT_NAME_COLLISION`.
    Exists,
    /// A directory was wanted: `STATUS_NOT_A_DIRECTORY`.
    NotADirectory,
    /// Something else than a directory was wanted: `STATUS_FILE_IS_A_DIRECTORY`.
    IsADirectory,
    /// `STATUS_DIRECTORY_NOT_EMPTY`.
    DirectoryNotEmpty,
    /// The name cannot be: `STATUS_OBJECT_NAME_INVALID`.
    NameInvalid,
    /// The open has not the right, or the state of the object forbids it: `STATUS_ACCESS_DENIED`.
    AccessDenied,
    /// A right that only a privilege gives, and the caller has not got it: `STATUS_PRIVILEGE_NOT_HELD`.
    PrivilegeNotHeld,
    /// The caller cannot make that one the owner: `STATUS_INVALID_OWNER`.
    OwnerInvalid,
    /// An open of somebody else does not share: `STATUS_SHARING_VIOLATION`.
    SharingViolation,
    /// The name goes away with its last open: `STATUS_DELETE_PENDING`.
    DeletePending,
    /// Read-only files and the root are not deleted: `STATUS_CANNOT_DELETE`.
    CannotDelete,
    /// A read or write meets another's byte-range lock: `STATUS_FILE_LOCK_CONFLICT`.
    LockConflict,
    /// A lock that was not to wait cannot be had: `STATUS_LOCK_NOT_GRANTED`.
    LockNotGranted,
    /// Unlocking what is not locked just so: `STATUS_RANGE_NOT_LOCKED`.
    RangeNotLocked,
    /// A lock range beyond 2^64: `STATUS_INVALID_LOCK_RANGE`.
    RangeInvalid,
    /// A limit is reached, of [`crate::Limits`] or on what may wait: `STATUS_INSUFFICIENT_RESOURCES`, for
    /// opens too. The word says which.
    LimitReached(&'static str),
    /// The volume is served read-only: `STATUS_MEDIA_WRITE_PROTECTED`.
    ReadOnly,
    /// A symbolic link leads out of the volume, is absolute, or the chain is longer than
    /// [`crate::SYMLINKS_MAX`]: `STATUS_STOPPED_ON_SYMLINK` or `STATUS_OBJECT_PATH_NOT_FOUND`.
    LinkRefused,
    /// A symbolic link is in the way of a client that follows links by itself: `STATUS_STOPPED_ON_SYMLINK`.
    Stopped(Box<crate::Stop>),
    /// The request contradicts itself: `STATUS_INVALID_PARAMETER`. The text says how.
    InvalidArgument(&'static str),
    /// The open was closed (a waiting lock or notify ends so too): `STATUS_FILE_CLOSED`, for a waiting
    /// notify `STATUS_NOTIFY_CLEANUP`.
    Closed,
    /// Everything that only the volume can tell.
    Volume(volume::Error),
}

impl Error {
    /// Whether a name could not be made because of what stands where its directory should.
    pub(crate) fn may_lead_elsewhere(&self) -> bool {
        matches!(self, Error::PathNotFound | Error::LinkRefused)
    }
}

impl From<volume::Error> for Error {
    fn from(error: volume::Error) -> Error {
        match error.kind {
            ErrorKind::NotFound => Error::NotFound,
            ErrorKind::AlreadyExists => Error::Exists,
            ErrorKind::NotADirectory => Error::NotADirectory,
            ErrorKind::IsADirectory => Error::IsADirectory,
            ErrorKind::DirectoryNotEmpty => Error::DirectoryNotEmpty,
            ErrorKind::InvalidName | ErrorKind::NameTooLong => Error::NameInvalid,
            ErrorKind::ReadOnly => Error::ReadOnly,
            ErrorKind::Loop => Error::LinkRefused,
            ErrorKind::PermissionDenied
            | ErrorKind::NoSpace
            | ErrorKind::QuotaExceeded
            | ErrorKind::FileTooLarge
            | ErrorKind::InvalidArgument
            | ErrorKind::Busy
            | ErrorKind::Stale
            | ErrorKind::Unsupported
            | ErrorKind::TooManyLinks
            | ErrorKind::CrossDevice
            | ErrorKind::TooManyOpen
            | ErrorKind::Offline
            | ErrorKind::TimedOut
            | ErrorKind::Corrupt
            | ErrorKind::Io => Error::Volume(error),
        }
    }
}

impl From<volume::PathError> for Error {
    fn from(_: volume::PathError) -> Error {
        Error::NameInvalid
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::NotFound => "no such name",
            Error::PathNotFound => "no such directory on the way",
            Error::Exists => "the name is taken",
            Error::NotADirectory => "not a directory",
            Error::IsADirectory => "a directory",
            Error::DirectoryNotEmpty => "the directory is not empty",
            Error::NameInvalid => "the name is not valid",
            Error::AccessDenied => "access denied",
            Error::PrivilegeNotHeld => "a privilege is missing",
            Error::OwnerInvalid => "this owner cannot be set",
            Error::SharingViolation => "another open does not share",
            Error::DeletePending => "the name is being deleted",
            Error::CannotDelete => "cannot be deleted",
            Error::LockConflict => "the range is locked",
            Error::LockNotGranted => "the lock cannot be had now",
            Error::RangeNotLocked => "the range is not locked",
            Error::RangeInvalid => "the range ends beyond 2^64",
            Error::LimitReached(what) => return write!(f, "too many {what}"),
            Error::ReadOnly => "served read-only",
            Error::LinkRefused => "a symbolic link leads astray",
            Error::Stopped(_) => "a symbolic link is in the way",
            Error::InvalidArgument(how) => how,
            Error::Closed => "closed",
            Error::Volume(error) => return error.fmt(f),
        })
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Volume(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structural_errors_get_their_word_and_the_rest_keeps_its_story() {
        let of = |kind| Error::from(volume::Error::new(kind, "open", "a/b"));
        assert!(matches!(of(ErrorKind::NotFound), Error::NotFound));
        assert!(matches!(of(ErrorKind::NameTooLong), Error::NameInvalid));
        assert!(matches!(of(ErrorKind::ReadOnly), Error::ReadOnly));
        let offline = of(ErrorKind::Offline);
        assert!(matches!(&offline, Error::Volume(e) if e.kind == ErrorKind::Offline));
        assert_eq!(offline.to_string(), "open a/b: Offline");
    }
}
