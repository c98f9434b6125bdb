//! From errors to errno(3), once.

use rustix::io::Errno;
use vfs::Error;
use volume::ErrorKind;

/// What a caller is told.
pub(crate) fn of(error: &Error) -> Errno {
    match error {
        Error::NotFound | Error::PathNotFound => Errno::NOENT,
        Error::Exists => Errno::EXIST,
        Error::NotADirectory => Errno::NOTDIR,
        Error::IsADirectory => Errno::ISDIR,
        Error::DirectoryNotEmpty => Errno::NOTEMPTY,
        Error::NameInvalid | Error::RangeInvalid | Error::InvalidArgument(_) => Errno::INVAL,
        Error::AccessDenied | Error::LockConflict | Error::LockNotGranted => Errno::ACCESS,
        Error::PrivilegeNotHeld | Error::OwnerInvalid | Error::CannotDelete => Errno::PERM,
        // Somebody has it open over SMB and lets nobody else.
        Error::SharingViolation | Error::DeletePending => Errno::BUSY,
        Error::RangeNotLocked => Errno::NOLCK,
        Error::LimitReached(_) => Errno::NFILE,
        Error::ReadOnly => Errno::ROFS,
        Error::LinkRefused | Error::Stopped(_) => Errno::LOOP,
        Error::Closed => Errno::BADF,
        Error::Volume(error) => of_volume(error.kind),
    }
}

fn of_volume(kind: ErrorKind) -> Errno {
    match kind {
        ErrorKind::NotFound => Errno::NOENT,
        ErrorKind::AlreadyExists => Errno::EXIST,
        ErrorKind::NotADirectory => Errno::NOTDIR,
        ErrorKind::IsADirectory => Errno::ISDIR,
        ErrorKind::DirectoryNotEmpty => Errno::NOTEMPTY,
        ErrorKind::PermissionDenied => Errno::PERM,
        ErrorKind::ReadOnly => Errno::ROFS,
        ErrorKind::NoSpace => Errno::NOSPC,
        ErrorKind::QuotaExceeded => Errno::DQUOT,
        ErrorKind::FileTooLarge => Errno::FBIG,
        ErrorKind::NameTooLong => Errno::NAMETOOLONG,
        ErrorKind::InvalidName => Errno::ILSEQ,
        ErrorKind::InvalidArgument => Errno::INVAL,
        ErrorKind::Busy => Errno::BUSY,
        ErrorKind::Stale => Errno::STALE,
        ErrorKind::Unsupported => Errno::OPNOTSUPP,
        ErrorKind::TooManyLinks => Errno::MLINK,
        ErrorKind::Loop => Errno::LOOP,
        ErrorKind::CrossDevice => Errno::XDEV,
        ErrorKind::TooManyOpen => Errno::NFILE,
        ErrorKind::Offline => Errno::HOSTDOWN,
        ErrorKind::TimedOut => Errno::TIMEDOUT,
        ErrorKind::Corrupt | ErrorKind::Io => Errno::IO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_volume_and_a_lost_one_are_told_apart() {
        let of_kind = |kind| of(&Error::from(volume::Error::new(kind, "write", "f")));
        for (kind, errno) in [
            (ErrorKind::NoSpace, Errno::NOSPC),
            (ErrorKind::QuotaExceeded, Errno::DQUOT),
            (ErrorKind::Offline, Errno::HOSTDOWN),
            (ErrorKind::NotFound, Errno::NOENT),
            (ErrorKind::Stale, Errno::STALE),
        ] {
            assert_eq!(of_kind(kind), errno);
        }
    }
}
