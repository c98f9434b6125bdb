//! One error type below `vfs`. Each origin maps into it once, each front end maps out of it once, in one
//! exhaustive `match`; no `errno` and no NTSTATUS travels through the middle.

use std::fmt;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in words every front end can translate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorKind {
    /// No such file or directory.
    NotFound,
    AlreadyExists,
    NotADirectory,
    IsADirectory,
    DirectoryNotEmpty,
    /// The origin refuses this caller.
    PermissionDenied,
    /// The volume or the file system is read-only.
    ReadOnly,
    NoSpace,
    QuotaExceeded,
    /// Over the largest file size of the origin.
    FileTooLarge,
    NameTooLong,
    /// The origin cannot store this name.
    InvalidName,
    InvalidArgument,
    /// In use by somebody else at the origin (a share mode or lock there).
    Busy,
    /// The file under this name or handle is not the expected one any more.
    Stale,
    /// This volume cannot do that.
    Unsupported,
    TooManyLinks,
    /// Too many symbolic links on the way.
    Loop,
    /// Rename or link across file systems.
    CrossDevice,
    /// A limit on opens or memory was reached; trying later may help.
    TooManyOpen,
    /// The origin cannot be reached.
    Offline,
    /// No answer by the deadline.
    TimedOut,
    /// Stored bytes do not match their checksum, or a peer breaks the protocol.
    Corrupt,
    /// The device or the origin reported a fault.
    Io,
}

/// Whether asking again can help.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    Never,
    /// The same request may succeed later.
    Later,
}

/// An error with its story.
#[derive(Debug)]
pub struct Error {
    pub kind: ErrorKind,
    pub retry: Retry,
    /// What was being done: `open`, `read`, `rename` ...
    pub op: &'static str,
    /// On what: a path, a range, an address.
    pub context: String,
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub fn new(kind: ErrorKind, op: &'static str, context: impl fmt::Display) -> Error {
        let retry = match kind {
            ErrorKind::Offline | ErrorKind::TimedOut | ErrorKind::Busy | ErrorKind::TooManyOpen => {
                Retry::Later
            }
            ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::DirectoryNotEmpty
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnly
            | ErrorKind::NoSpace
            | ErrorKind::QuotaExceeded
            | ErrorKind::FileTooLarge
            | ErrorKind::NameTooLong
            | ErrorKind::InvalidName
            | ErrorKind::InvalidArgument
            | ErrorKind::Stale
            | ErrorKind::Unsupported
            | ErrorKind::TooManyLinks
            | ErrorKind::Loop
            | ErrorKind::CrossDevice
            | ErrorKind::Corrupt
            | ErrorKind::Io => Retry::Never,
        };
        Error { kind, retry, op, context: context.to_string(), source: None }
    }

    /// Adds the cause.
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {:?}", self.op, self.context, self.kind)?;
        match &self.source {
            Some(source) => write!(f, " ({source})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
