//! An [`Error`] of the waist as a value that travels. Causes travel as text: a person reads them, no
//! program decides by them.

use crate::WireError;
use crate::cursor::{Reader, Writer};
use std::fmt;
use volume::{Error, ErrorKind, Retry};

/// Longest text in a failure, bytes; longer ones are cut.
pub const TEXT_MAX_BYTES: usize = 4096;

/// What went wrong at the other side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    pub kind: ErrorKind,
    pub retry: Retry,
    /// What the other side was doing.
    pub op: String,
    /// On what.
    pub context: String,
    /// The cause, when one was told.
    pub cause: Option<String>,
}

impl Failure {
    pub fn new(kind: ErrorKind, op: &'static str, context: impl fmt::Display) -> Failure {
        Failure::from(&Error::new(kind, op, context))
    }

    /// The error at this side; `op` names what was asked for.
    pub fn into_error(self, op: &'static str) -> Error {
        let error = Error { retry: self.retry, ..Error::new(self.kind, op, self.context) };
        match self.cause {
            Some(cause) => error.because(format!("{}: {cause}", self.op)),
            None => error,
        }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Failure {
        Failure {
            kind: error.kind,
            retry: error.retry,
            op: cut(error.op),
            context: cut(&error.context),
            cause: error.source.as_ref().map(|source| cut(&source.to_string())),
        }
    }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_MAX_BYTES)].to_owned()
}

pub(crate) fn put_failure(out: &mut Writer, failure: &Failure) {
    out.byte(kind_code(failure.kind));
    out.flag(failure.retry == Retry::Later);
    out.text(&failure.op);
    out.text(&failure.context);
    out.option(failure.cause.as_deref(), Writer::text);
}

pub(crate) fn get_failure(input: &mut Reader<'_>) -> Result<Failure, WireError> {
    let code = usize::from(input.byte()?);
    Ok(Failure {
        kind: *KINDS.get(code).ok_or(WireError::Value("a kind of error"))?,
        retry: if input.flag()? { Retry::Later } else { Retry::Never },
        op: input.text()?.to_owned(),
        context: input.text()?.to_owned(),
        cause: input.option(Reader::text)?.map(str::to_owned),
    })
}

/// By code; [`kind_code`] is the other direction.
const KINDS: [ErrorKind; 24] = [
    ErrorKind::NotFound,
    ErrorKind::AlreadyExists,
    ErrorKind::NotADirectory,
    ErrorKind::IsADirectory,
    ErrorKind::DirectoryNotEmpty,
    ErrorKind::PermissionDenied,
    ErrorKind::ReadOnly,
    ErrorKind::NoSpace,
    ErrorKind::QuotaExceeded,
    ErrorKind::FileTooLarge,
    ErrorKind::NameTooLong,
    ErrorKind::InvalidName,
    ErrorKind::InvalidArgument,
    ErrorKind::Busy,
    ErrorKind::Stale,
    ErrorKind::Unsupported,
    ErrorKind::TooManyLinks,
    ErrorKind::Loop,
    ErrorKind::CrossDevice,
    ErrorKind::TooManyOpen,
    ErrorKind::Offline,
    ErrorKind::TimedOut,
    ErrorKind::Corrupt,
    ErrorKind::Io,
];

fn kind_code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::NotFound => 0,
        ErrorKind::AlreadyExists => 1,
        ErrorKind::NotADirectory => 2,
        ErrorKind::IsADirectory => 3,
        ErrorKind::DirectoryNotEmpty => 4,
        ErrorKind::PermissionDenied => 5,
        ErrorKind::ReadOnly => 6,
        ErrorKind::NoSpace => 7,
        ErrorKind::QuotaExceeded => 8,
        ErrorKind::FileTooLarge => 9,
        ErrorKind::NameTooLong => 10,
        ErrorKind::InvalidName => 11,
        ErrorKind::InvalidArgument => 12,
        ErrorKind::Busy => 13,
        ErrorKind::Stale => 14,
        ErrorKind::Unsupported => 15,
        ErrorKind::TooManyLinks => 16,
        ErrorKind::Loop => 17,
        ErrorKind::CrossDevice => 18,
        ErrorKind::TooManyOpen => 19,
        ErrorKind::Offline => 20,
        ErrorKind::TimedOut => 21,
        ErrorKind::Corrupt => 22,
        ErrorKind::Io => 23,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_kinds_agree() {
        for (code, kind) in KINDS.iter().enumerate() {
            assert_eq!(usize::from(kind_code(*kind)), code, "{kind:?}");
        }
    }

    #[test]
    fn a_long_context_is_cut_at_a_character() {
        let long = "é".repeat(TEXT_MAX_BYTES);
        let failure = Failure::new(ErrorKind::Io, "read", format!("a{long}"));
        assert_eq!(failure.context.len(), TEXT_MAX_BYTES - 1);
    }
}
