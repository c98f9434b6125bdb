//! What can go wrong on the way to a server, and the one place where it becomes an error of the waist.
//!
//! OpenSSH has one code, FAILURE, for most of what `errno` tells apart, and says no more. Where the kind matters to those
//! above, [`crate::judge`] looks at the names afterwards; here is what the codes and the texts of other servers say.

use crate::wire::{Answer, Extensions, Status, StatusCode, WireError};
use std::sync::Arc;
use volume::{Error, ErrorKind};

/// Trouble inside this crate, still in the words of SFTP.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// The server answered, and said no.
    Refused(Status),
    /// The same, and what it meant.
    Meant(ErrorKind, Status),
    /// There is no connection (any more). Whether a request that was under way had its effect is not known.
    Lost(Arc<Loss>),
    /// The server does not have this extension.
    Lacking(Extensions),
    /// [`crate::SftpLimits::waiting`] is reached.
    Full,
    /// An answer that breaks the protocol.
    Broken(WireError),
    /// An answer of another type than the question wants.
    Unasked(&'static str),
    /// Decided here, without the server.
    Here(ErrorKind),
}

pub(crate) type Outcome<T> = Result<T, Trouble>;

/// Why there is no connection: told to all who wanted it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Loss {
    /// `Offline` where dialing again may help.
    pub(crate) kind: ErrorKind,
    pub(crate) story: String,
}

impl Loss {
    pub(crate) fn offline(story: impl std::fmt::Display) -> Loss {
        Loss { kind: ErrorKind::Offline, story: story.to_string() }
    }

    pub(crate) fn refused(story: impl std::fmt::Display) -> Loss {
        Loss { kind: ErrorKind::PermissionDenied, story: story.to_string() }
    }
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.story)
    }
}

impl std::error::Error for Loss {}

impl From<WireError> for Trouble {
    fn from(error: WireError) -> Trouble {
        Trouble::Broken(error)
    }
}

impl From<ErrorKind> for Trouble {
    fn from(kind: ErrorKind) -> Trouble {
        Trouble::Here(kind)
    }
}

impl Trouble {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Trouble::Refused(status) => kind_of(status),
            Trouble::Meant(kind, _) | Trouble::Here(kind) => *kind,
            Trouble::Lost(loss) => loss.kind,
            Trouble::Lacking(_) => ErrorKind::Unsupported,
            Trouble::Full => ErrorKind::TooManyOpen,
            Trouble::Broken(_) | Trouble::Unasked(_) => ErrorKind::Corrupt,
        }
    }

    /// The server said no by this code.
    pub(crate) fn is(&self, code: StatusCode) -> bool {
        matches!(self, Trouble::Refused(status) if status.code == code)
    }

    /// In the words of the waist.
    pub(crate) fn into_error(self, op: &'static str, context: impl std::fmt::Display) -> Error {
        let error = Error::new(self.kind(), op, context);
        match self {
            Trouble::Refused(status) | Trouble::Meant(_, status) => error.because(status),
            Trouble::Lost(loss) => error.because((*loss).clone()),
            Trouble::Lacking(extension) => error.because(format!("the server has no {}", extension.name())),
            Trouble::Full => error.because("too many requests wait for the server"),
            Trouble::Broken(why) => error.because(why),
            Trouble::Unasked(name) => error.because(format!("{name} is no answer to this")),
            Trouble::Here(_) => error,
        }
    }
}

/// What the server's code says, or where it says nothing its text.
fn kind_of(status: &Status) -> ErrorKind {
    match status.code {
        StatusCode::NoSuchFile => ErrorKind::NotFound,
        StatusCode::PermissionDenied => ErrorKind::PermissionDenied,
        StatusCode::Unsupported => ErrorKind::Unsupported,
        StatusCode::NoConnection | StatusCode::ConnectionLost => ErrorKind::Offline,
        // OpenSSH: EINVAL and ENAMETOOLONG.
        StatusCode::BadMessage => ErrorKind::InvalidArgument,
        StatusCode::Failure => kind_of_text(&status.text),
        StatusCode::Other(code) => kind_of_later(code),
        StatusCode::Ok | StatusCode::Eof => ErrorKind::Io,
    }
}

/// What `strerror` says; some servers pass it on.
fn kind_of_text(text: &str) -> ErrorKind {
    const TEXTS: [(&str, ErrorKind); 9] = [
        ("no space left", ErrorKind::NoSpace),
        ("quota exceeded", ErrorKind::QuotaExceeded),
        ("directory not empty", ErrorKind::DirectoryNotEmpty),
        ("file exists", ErrorKind::AlreadyExists),
        ("is a directory", ErrorKind::IsADirectory),
        ("not a directory", ErrorKind::NotADirectory),
        ("read-only file system", ErrorKind::ReadOnly),
        ("cross-device", ErrorKind::CrossDevice),
        ("file too large", ErrorKind::FileTooLarge),
    ];
    let text = text.to_ascii_lowercase();
    TEXTS.iter().find(|(words, _)| text.contains(words)).map_or(ErrorKind::Io, |(_, kind)| *kind)
}

/// Codes of later versions (draft-ietf-secsh-filexfer-13, section 9.1), which some servers send in version 3 too.
fn kind_of_later(code: u32) -> ErrorKind {
    match code {
        9 => ErrorKind::Stale,
        10 => ErrorKind::NotFound,
        11 => ErrorKind::AlreadyExists,
        12 => ErrorKind::ReadOnly,
        14 => ErrorKind::NoSpace,
        15 => ErrorKind::QuotaExceeded,
        17 | 25 | 26 => ErrorKind::Busy,
        18 => ErrorKind::DirectoryNotEmpty,
        19 => ErrorKind::NotADirectory,
        20 => ErrorKind::InvalidName,
        21 => ErrorKind::Loop,
        23 => ErrorKind::InvalidArgument,
        24 => ErrorKind::IsADirectory,
        29 => ErrorKind::PermissionDenied,
        _ => ErrorKind::Io,
    }
}

impl Answer {
    /// Of a request that gives nothing.
    pub(crate) fn done(self) -> Outcome<()> {
        match self {
            Answer::Status(status) if status.code == StatusCode::Ok => Ok(()),
            other => Err(other.unwanted()),
        }
    }

    pub(crate) fn handle(self) -> Outcome<bytes::Bytes> {
        match self {
            Answer::Handle(handle) => Ok(handle),
            other => Err(other.unwanted()),
        }
    }

    pub(crate) fn attrs(self) -> Outcome<crate::wire::Attrs> {
        match self {
            Answer::Attrs(attrs) => Ok(attrs),
            other => Err(other.unwanted()),
        }
    }

    pub(crate) fn extended(self) -> Outcome<bytes::Bytes> {
        match self {
            Answer::Extended(body) => Ok(body),
            other => Err(other.unwanted()),
        }
    }

    /// `None` at the end of the file.
    pub(crate) fn data(self) -> Outcome<Option<bytes::Bytes>> {
        match self {
            Answer::Data(data) => Ok(Some(data)),
            Answer::Status(status) if status.code == StatusCode::Eof => Ok(None),
            other => Err(other.unwanted()),
        }
    }

    /// `None` at the end of the directory.
    pub(crate) fn names(self) -> Outcome<Option<Vec<crate::wire::NameEntry>>> {
        match self {
            Answer::Names(names) => Ok(Some(names)),
            Answer::Status(status) if status.code == StatusCode::Eof => Ok(None),
            other => Err(other.unwanted()),
        }
    }

    fn unwanted(self) -> Trouble {
        match self {
            Answer::Status(status) if status.code != StatusCode::Ok => Trouble::Refused(status),
            other => Trouble::Unasked(other.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: StatusCode, text: &str, expect: ErrorKind) {
        let error = Trouble::Refused(Status { code, text: text.into() }).into_error("test", "x");
        assert_eq!(error.kind, expect, "{code:?} {text}");
        assert!(error.to_string().contains(text), "{error}");
    }

    #[test]
    fn table() {
        check(StatusCode::NoSuchFile, "No such file", ErrorKind::NotFound);
        check(StatusCode::PermissionDenied, "", ErrorKind::PermissionDenied);
        check(StatusCode::Failure, "Failure", ErrorKind::Io);
        check(StatusCode::Failure, "write: No space left on device", ErrorKind::NoSpace);
        check(StatusCode::Failure, "Directory not empty", ErrorKind::DirectoryNotEmpty);
        check(StatusCode::BadMessage, "Bad message", ErrorKind::InvalidArgument);
        check(StatusCode::Unsupported, "", ErrorKind::Unsupported);
        check(StatusCode::Other(11), "", ErrorKind::AlreadyExists);
        check(StatusCode::Other(999), "", ErrorKind::Io);
    }

    #[test]
    fn a_loss_can_be_asked_again_and_a_refusal_cannot() {
        let told = |loss| Trouble::Lost(Arc::new(loss)).into_error("test", "x");
        assert_eq!(told(Loss::offline("gone")).retry, volume::Retry::Later);
        assert_eq!(told(Loss::refused("no")).retry, volume::Retry::Never);
        assert!(told(Loss::offline("gone")).to_string().contains("gone"));
    }
}
