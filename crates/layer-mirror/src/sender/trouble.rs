//! Whether an error of a mirror concerns all of it or one name.

use volume::ErrorKind;

/// What a failed call says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// The mirror is away, full or broken.
    OfAll,
    /// It is not as it was left.
    Diverged,
    /// This cannot be done there.
    OfOne,
}

impl Trouble {
    pub fn of(kind: ErrorKind) -> Trouble {
        match kind {
            ErrorKind::Offline
            | ErrorKind::TimedOut
            | ErrorKind::NoSpace
            | ErrorKind::QuotaExceeded
            | ErrorKind::ReadOnly
            | ErrorKind::TooManyOpen
            | ErrorKind::Corrupt
            | ErrorKind::Io => Trouble::OfAll,
            ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::DirectoryNotEmpty
            | ErrorKind::Stale => Trouble::Diverged,
            ErrorKind::PermissionDenied
            | ErrorKind::FileTooLarge
            | ErrorKind::NameTooLong
            | ErrorKind::InvalidName
            | ErrorKind::InvalidArgument
            | ErrorKind::Busy
            | ErrorKind::Unsupported
            | ErrorKind::TooManyLinks
            | ErrorKind::Loop
            | ErrorKind::CrossDevice => Trouble::OfOne,
        }
    }
}
