//! What can go wrong on the way to a file server, and the one place where it becomes an error of the waist.

use smb_wire::{NtStatus, WireError};
use volume::{Error, ErrorKind};

/// MS-ERREF 2.3: characters that the server's own character set does not have.
const ILLEGAL_CHARACTER: NtStatus = NtStatus(0xC000_0161);
const UNMAPPABLE_CHARACTER: NtStatus = NtStatus(0xC000_0162);

/// Trouble inside this crate, still in the words of SMB.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The server answered, and said no.
    Refused(NtStatus),
    /// The session is gone. Whether a request that was under way had its effect is not known.
    Lost(Box<dyn std::error::Error + Send + Sync>),
    /// The server does not know this handle any more; the session may be well.
    HandleGone(NtStatus),
    /// No answer in time on a connection that lives.
    Slow(smb2::Error),
    /// The server cannot take more at the moment.
    Full(smb2::Error),
    /// An answer that breaks the protocol, or whose signature is wrong.
    Broken(Box<dyn std::error::Error + Send + Sync>),
    /// Already in the words of the waist.
    Told(Error),
}

pub(crate) type Outcome<T> = Result<T, Trouble>;

impl From<WireError> for Trouble {
    fn from(error: WireError) -> Trouble {
        Trouble::Broken(error.into())
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Told(error)
    }
}

impl Trouble {
    /// What the carrier says of a request.
    pub(crate) fn of_carrier(error: smb2::Error) -> Trouble {
        use smb2::Error as E;
        match error {
            E::Protocol { status, .. } => Trouble::of_status(NtStatus(status.0)),
            E::Timeout => Trouble::Slow(error),
            E::CreditStarvation { .. } => Trouble::Full(error),
            E::InvalidData { .. } => Trouble::Broken(error.into()),
            // SignatureInvalid among them: a server that has ended the session answers unsigned.
            // Disconnected, SessionExpired, SendFailed, ServerUnresponsive ...: whatever else ends a request
            // ends it without an answer, and the session is not to be trusted any more.
            other => Trouble::Lost(other.into()),
        }
    }

    /// What a status other than success says.
    pub(crate) fn of_status(status: NtStatus) -> Trouble {
        match status {
            NtStatus::NETWORK_NAME_DELETED
            | NtStatus::USER_SESSION_DELETED
            | NtStatus::NETWORK_SESSION_EXPIRED
            | NtStatus::CONNECTION_DISCONNECTED
            | NtStatus::CONNECTION_RESET => Trouble::Lost(Ended(status).into()),
            NtStatus::FILE_CLOSED | NtStatus::FILE_FORCED_CLOSED | NtStatus::INVALID_HANDLE => {
                Trouble::HandleGone(status)
            }
            status => Trouble::Refused(status),
        }
    }

    pub(crate) fn is(&self, status: NtStatus) -> bool {
        matches!(self, Trouble::Refused(found) if *found == status)
    }

    /// Whether the handle or its session is gone, so that another one may help.
    pub(crate) fn is_loss(&self) -> bool {
        matches!(self, Trouble::Lost(_) | Trouble::HandleGone(_))
    }

    /// In the words of the waist.
    pub(crate) fn into_error(self, op: &'static str, context: impl std::fmt::Display) -> Error {
        match self {
            Trouble::Refused(status) => Error::new(kind(status), op, context).because(Ended(status)),
            Trouble::Lost(why) => Error::new(ErrorKind::Offline, op, context).because(why),
            Trouble::HandleGone(status) => Error::new(ErrorKind::Stale, op, context).because(Ended(status)),
            Trouble::Slow(why) => Error::new(ErrorKind::TimedOut, op, context).because(why),
            Trouble::Full(why) => Error::new(ErrorKind::TooManyOpen, op, context).because(why),
            Trouble::Broken(why) => Error::new(ErrorKind::Corrupt, op, context).because(why),
            Trouble::Told(error) => error,
        }
    }
}

/// A status as a cause.
#[derive(Debug)]
struct Ended(NtStatus);

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the file server answered {}", self.0)
    }
}

impl std::error::Error for Ended {}

/// NTSTATUS (MS-ERREF 2.3) to the words of the waist. What is not named here is a fault of the server.
fn kind(status: NtStatus) -> ErrorKind {
    match status {
        NtStatus::NO_SUCH_FILE
        | NtStatus::OBJECT_NAME_NOT_FOUND
        | NtStatus::OBJECT_PATH_NOT_FOUND
        | NtStatus::NOT_FOUND
        | NtStatus::BAD_NETWORK_NAME
        | NtStatus::BAD_NETWORK_PATH => ErrorKind::NotFound,
        NtStatus::OBJECT_NAME_COLLISION => ErrorKind::AlreadyExists,
        NtStatus::NOT_A_DIRECTORY => ErrorKind::NotADirectory,
        NtStatus::FILE_IS_A_DIRECTORY => ErrorKind::IsADirectory,
        NtStatus::DIRECTORY_NOT_EMPTY => ErrorKind::DirectoryNotEmpty,
        NtStatus::ACCESS_DENIED
        | NtStatus::NETWORK_ACCESS_DENIED
        | NtStatus::CANNOT_DELETE
        | NtStatus::PRIVILEGE_NOT_HELD
        | NtStatus::LOGON_FAILURE
        | NtStatus::WRONG_PASSWORD
        | NtStatus::ACCOUNT_RESTRICTION
        | NtStatus::ACCOUNT_DISABLED
        | NtStatus::PASSWORD_EXPIRED
        | NtStatus::INVALID_LOGON_HOURS => ErrorKind::PermissionDenied,
        NtStatus::MEDIA_WRITE_PROTECTED => ErrorKind::ReadOnly,
        NtStatus::DISK_FULL => ErrorKind::NoSpace,
        NtStatus::QUOTA_EXCEEDED => ErrorKind::QuotaExceeded,
        NtStatus::NAME_TOO_LONG => ErrorKind::NameTooLong,
        NtStatus::OBJECT_NAME_INVALID
        | NtStatus::OBJECT_PATH_INVALID
        | NtStatus::OBJECT_PATH_SYNTAX_BAD
        | ILLEGAL_CHARACTER
        | UNMAPPABLE_CHARACTER => ErrorKind::InvalidName,
        NtStatus::INVALID_PARAMETER | NtStatus::INFO_LENGTH_MISMATCH | NtStatus::BUFFER_TOO_SMALL => {
            ErrorKind::InvalidArgument
        }
        NtStatus::SHARING_VIOLATION
        | NtStatus::FILE_LOCK_CONFLICT
        | NtStatus::LOCK_NOT_GRANTED
        | NtStatus::DELETE_PENDING
        | NtStatus::USER_MAPPED_FILE
        | NtStatus::RETRY
        | NtStatus::NETWORK_BUSY => ErrorKind::Busy,
        NtStatus::FILE_DELETED | NtStatus::FILE_RENAMED => ErrorKind::Stale,
        NtStatus::NOT_SUPPORTED
        | NtStatus::NOT_IMPLEMENTED
        | NtStatus::INVALID_DEVICE_REQUEST
        | NtStatus::INVALID_INFO_CLASS
        | NtStatus::PATH_NOT_COVERED
        | NtStatus::IO_REPARSE_TAG_NOT_HANDLED => ErrorKind::Unsupported,
        NtStatus::TOO_MANY_LINKS => ErrorKind::TooManyLinks,
        NtStatus::STOPPED_ON_SYMLINK => ErrorKind::Loop,
        NtStatus::NOT_SAME_DEVICE => ErrorKind::CrossDevice,
        NtStatus::INSUFFICIENT_RESOURCES
        | NtStatus::NO_MEMORY
        | NtStatus::TOO_MANY_OPENED_FILES
        | NtStatus::TOO_MANY_SESSIONS
        | NtStatus::REQUEST_NOT_ACCEPTED => ErrorKind::TooManyOpen,
        NtStatus::HOST_UNREACHABLE | NtStatus::DEVICE_NOT_READY => ErrorKind::Offline,
        NtStatus::IO_TIMEOUT => ErrorKind::TimedOut,
        NtStatus::DATA_ERROR | NtStatus::INVALID_NETWORK_RESPONSE => ErrorKind::Corrupt,
        _ => ErrorKind::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_become_the_kinds_of_the_waist() {
        for (status, wanted) in [
            (NtStatus::OBJECT_NAME_NOT_FOUND, ErrorKind::NotFound),
            (NtStatus::OBJECT_NAME_COLLISION, ErrorKind::AlreadyExists),
            (NtStatus::SHARING_VIOLATION, ErrorKind::Busy),
            (NtStatus::DISK_FULL, ErrorKind::NoSpace),
            (NtStatus::PATH_NOT_COVERED, ErrorKind::Unsupported),
            (NtStatus::USER_SESSION_DELETED, ErrorKind::Offline),
            (NtStatus::FILE_CLOSED, ErrorKind::Stale),
            (NtStatus::IO_DEVICE_ERROR, ErrorKind::Io),
            (NtStatus(0xC0FF_EE00), ErrorKind::Io),
        ] {
            let error = Trouble::of_status(status).into_error("test", "x");
            assert_eq!(error.kind, wanted, "{status}");
            assert!(error.to_string().contains(&status.to_string()), "{error}");
        }
    }

    #[test]
    fn the_carrier_is_told_apart_from_the_server() {
        let kind = |error| Trouble::of_carrier(error).into_error("test", "x").kind;
        assert_eq!(kind(smb2::Error::Disconnected), ErrorKind::Offline);
        assert_eq!(kind(smb2::Error::SessionExpired), ErrorKind::Offline);
        assert_eq!(kind(smb2::Error::Timeout), ErrorKind::TimedOut);
        assert_eq!(kind(smb2::Error::invalid_data("x")), ErrorKind::Corrupt);
    }
}
