//! Errors of `vfs` as NTSTATUS: the one place where they are translated.

use smb_wire::NtStatus;
use vfs::Error;
use volume::ErrorKind;

/// The status that a client gets.
pub(crate) fn status_of(error: &Error) -> NtStatus {
    match error {
        Error::NotFound => NtStatus::OBJECT_NAME_NOT_FOUND,
        Error::PathNotFound | Error::LinkRefused => NtStatus::OBJECT_PATH_NOT_FOUND,
        Error::Exists => NtStatus::OBJECT_NAME_COLLISION,
        Error::NotADirectory => NtStatus::NOT_A_DIRECTORY,
        Error::IsADirectory => NtStatus::FILE_IS_A_DIRECTORY,
        Error::DirectoryNotEmpty => NtStatus::DIRECTORY_NOT_EMPTY,
        Error::NameInvalid => NtStatus::OBJECT_NAME_INVALID,
        Error::AccessDenied => NtStatus::ACCESS_DENIED,
        Error::PrivilegeNotHeld => NtStatus::PRIVILEGE_NOT_HELD,
        Error::OwnerInvalid => NtStatus::INVALID_OWNER,
        Error::SharingViolation => NtStatus::SHARING_VIOLATION,
        Error::DeletePending => NtStatus::DELETE_PENDING,
        Error::CannotDelete => NtStatus::CANNOT_DELETE,
        Error::LockConflict => NtStatus::FILE_LOCK_CONFLICT,
        Error::LockNotGranted => NtStatus::LOCK_NOT_GRANTED,
        Error::RangeNotLocked => NtStatus::RANGE_NOT_LOCKED,
        Error::RangeInvalid => NtStatus::INVALID_LOCK_RANGE,
        Error::LimitReached(_) => NtStatus::INSUFFICIENT_RESOURCES,
        Error::ReadOnly => NtStatus::MEDIA_WRITE_PROTECTED,
        Error::InvalidArgument(_) => NtStatus::INVALID_PARAMETER,
        Error::Stopped(_) => NtStatus::STOPPED_ON_SYMLINK,
        Error::Closed => NtStatus::FILE_CLOSED,
        Error::Volume(error) => status_of_kind(error.kind),
    }
}

fn status_of_kind(kind: ErrorKind) -> NtStatus {
    match kind {
        ErrorKind::NotFound => NtStatus::OBJECT_NAME_NOT_FOUND,
        ErrorKind::AlreadyExists => NtStatus::OBJECT_NAME_COLLISION,
        ErrorKind::NotADirectory => NtStatus::NOT_A_DIRECTORY,
        ErrorKind::IsADirectory => NtStatus::FILE_IS_A_DIRECTORY,
        ErrorKind::DirectoryNotEmpty => NtStatus::DIRECTORY_NOT_EMPTY,
        ErrorKind::PermissionDenied => NtStatus::ACCESS_DENIED,
        ErrorKind::ReadOnly => NtStatus::MEDIA_WRITE_PROTECTED,
        ErrorKind::NoSpace => NtStatus::DISK_FULL,
        // As NTFS answers: programs know it, and not QUOTA_EXCEEDED.
        ErrorKind::QuotaExceeded => NtStatus::DISK_FULL,
        ErrorKind::FileTooLarge | ErrorKind::InvalidArgument => NtStatus::INVALID_PARAMETER,
        ErrorKind::NameTooLong | ErrorKind::InvalidName => NtStatus::OBJECT_NAME_INVALID,
        ErrorKind::Busy => NtStatus::SHARING_VIOLATION,
        ErrorKind::Stale => NtStatus::FILE_CLOSED,
        ErrorKind::Unsupported => NtStatus::NOT_SUPPORTED,
        ErrorKind::TooManyLinks => NtStatus::TOO_MANY_LINKS,
        ErrorKind::Loop => NtStatus::OBJECT_PATH_NOT_FOUND,
        ErrorKind::CrossDevice => NtStatus::NOT_SAME_DEVICE,
        ErrorKind::TooManyOpen => NtStatus::INSUFFICIENT_RESOURCES,
        // Not CONNECTION_DISCONNECTED or NETWORK_NAME_DELETED: clients would drop the whole session for it.
        ErrorKind::Offline => NtStatus::HOST_UNREACHABLE,
        ErrorKind::TimedOut => NtStatus::IO_TIMEOUT,
        ErrorKind::Corrupt => NtStatus::DATA_ERROR,
        ErrorKind::Io => NtStatus::IO_DEVICE_ERROR,
    }
}

/// The same for `?` in handlers; what a person should look at is logged.
pub(crate) fn failed(error: Error) -> NtStatus {
    let status = status_of(&error);
    match &error {
        Error::Volume(error) if matches!(error.kind, ErrorKind::Io | ErrorKind::Corrupt) => {
            tracing::error!(%error, "the volume failed");
        }
        _ => tracing::debug!(%error, %status, "refused"),
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_sent_is_an_error_with_a_name() {
        let errors =
            [Error::NotFound, Error::PathNotFound, Error::RangeInvalid, Error::LimitReached("opens")];
        for error in errors {
            let status = status_of(&error);
            assert!(status.is_error() && status.name().is_some(), "{error} gives {status}");
        }
        for kind in [ErrorKind::Offline, ErrorKind::TimedOut, ErrorKind::TooManyLinks, ErrorKind::Stale] {
            let status = status_of(&Error::Volume(volume::Error::new(kind, "read", "a")));
            assert!(status.is_error() && status.name().is_some(), "{kind:?} gives {status}");
        }
    }
}
