//! From `errno` to [`ErrorKind`], once.

use rustix::io::Errno;
use volume::{Error, ErrorKind};

/// Why a call inside this crate failed, before it knows what it was called for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    Errno(Errno),
    Kind(ErrorKind),
}

pub(crate) type Outcome<T> = std::result::Result<T, Failure>;

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Failure {
        Failure::Errno(errno)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Errno(Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }
}

impl From<ErrorKind> for Failure {
    fn from(kind: ErrorKind) -> Failure {
        Failure::Kind(kind)
    }
}

impl Failure {
    pub(crate) fn kind(self) -> ErrorKind {
        match self {
            Failure::Errno(errno) => kind_of(errno),
            Failure::Kind(kind) => kind,
        }
    }

    /// The error that leaves this crate; the errno goes along as its source.
    pub(crate) fn told(self, op: &'static str, context: impl std::fmt::Display) -> Error {
        let error = Error::new(self.kind(), op, context);
        match self {
            Failure::Errno(errno) => error.because(std::io::Error::from(errno)),
            Failure::Kind(_) => error,
        }
    }
}

/// What an errno means to those above. What is not named here is a fault of the device or of our use of the
/// kernel: `Io`.
fn kind_of(errno: Errno) -> ErrorKind {
    match errno {
        Errno::NOENT => ErrorKind::NotFound,
        Errno::EXIST => ErrorKind::AlreadyExists,
        Errno::NOTDIR => ErrorKind::NotADirectory,
        Errno::ISDIR => ErrorKind::IsADirectory,
        Errno::NOTEMPTY => ErrorKind::DirectoryNotEmpty,
        Errno::ACCESS | Errno::PERM => ErrorKind::PermissionDenied,
        Errno::ROFS => ErrorKind::ReadOnly,
        Errno::NOSPC => ErrorKind::NoSpace,
        Errno::DQUOT => ErrorKind::QuotaExceeded,
        Errno::FBIG | Errno::OVERFLOW => ErrorKind::FileTooLarge,
        Errno::NAMETOOLONG => ErrorKind::NameTooLong,
        Errno::ILSEQ => ErrorKind::InvalidName,
        Errno::INVAL => ErrorKind::InvalidArgument,
        Errno::BUSY | Errno::TXTBSY | Errno::AGAIN => ErrorKind::Busy,
        Errno::STALE => ErrorKind::Stale,
        Errno::OPNOTSUPP | Errno::NOSYS | Errno::NXIO | Errno::NODEV | Errno::NOTTY => ErrorKind::Unsupported,
        Errno::MLINK => ErrorKind::TooManyLinks,
        Errno::LOOP => ErrorKind::Loop,
        Errno::XDEV => ErrorKind::CrossDevice,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS => ErrorKind::TooManyOpen,
        Errno::NOTCONN | Errno::HOSTDOWN | Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::NETDOWN => {
            ErrorKind::Offline
        }
        Errno::TIMEDOUT => ErrorKind::TimedOut,
        Errno::BADMSG | Errno::UCLEAN => ErrorKind::Corrupt,
        _ => ErrorKind::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn the_errno_goes_along_as_the_source() {
        let error = Failure::from(Errno::IO).told("read", "f");
        assert_eq!(error.kind, ErrorKind::Io);
        assert!(error.source().is_some_and(|source| source.to_string().contains("os error 5")), "{error}");
    }

    #[test]
    fn table() {
        for (errno, kind) in [
            (Errno::NOENT, ErrorKind::NotFound),
            (Errno::DQUOT, ErrorKind::QuotaExceeded),
            (Errno::PERM, ErrorKind::PermissionDenied),
            (Errno::LOOP, ErrorKind::Loop),
            (Errno::MFILE, ErrorKind::TooManyOpen),
            (Errno::PIPE, ErrorKind::Io),
        ] {
            assert_eq!(kind_of(errno), kind, "{errno:?}");
        }
    }
}
