//! What can go wrong on the way, in the words of the waist.

use link::LinkError;
use peer_wire::WireError;
use volume::{Error, ErrorKind};

/// The one place where errors of the link become errors of the waist. `what` names site, volume and object.
pub(crate) fn from_link(op: &'static str, what: &str, error: LinkError) -> Error {
    let kind = match &error {
        LinkError::Down { .. } | LinkError::Closed => ErrorKind::Offline,
        // The gateway that may have executed it is gone; the one that is there can be asked.
        LinkError::Restarted => ErrorKind::Offline,
        LinkError::Deadline => ErrorKind::TimedOut,
        LinkError::Failed(_) => ErrorKind::Io,
        LinkError::Refused(_) => ErrorKind::TooManyOpen,
        LinkError::TooLarge { .. } => ErrorKind::InvalidArgument,
        LinkError::Protocol(_) => ErrorKind::Corrupt,
        LinkError::Certificate(_) => ErrorKind::PermissionDenied,
        LinkError::Config(_) => ErrorKind::InvalidArgument,
    };
    Error::new(kind, op, what).because(error)
}

/// An answer that cannot be read.
pub(crate) fn from_wire(op: &'static str, what: &str, error: WireError) -> Error {
    let kind = match error {
        // Another release runs there: one of the two must be replaced.
        WireError::Version(_) => ErrorKind::Unsupported,
        WireError::UnknownKind(_)
        | WireError::Truncated
        | WireError::Trailing
        | WireError::Overflow
        | WireError::NotText
        | WireError::Path(_)
        | WireError::Value(_) => ErrorKind::Corrupt,
    };
    Error::new(kind, op, what).because(error)
}

/// An answer to another question.
pub(crate) fn unexpected(op: &'static str, what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, op, what).because("the peer answered another question")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn each_trouble_of_the_link_has_its_kind() {
        let down = LinkError::Down { since: Instant::now(), why: "cut".into() };
        for (error, kind) in [
            (down, ErrorKind::Offline),
            (LinkError::Closed, ErrorKind::Offline),
            (LinkError::Restarted, ErrorKind::Offline),
            (LinkError::Deadline, ErrorKind::TimedOut),
            (LinkError::Refused("full".into()), ErrorKind::TooManyOpen),
            (LinkError::TooLarge { what: "head", bytes: 2, limit: 1 }, ErrorKind::InvalidArgument),
            (LinkError::Protocol("x".into()), ErrorKind::Corrupt),
        ] {
            assert_eq!(from_link("stat", "dc1/projects", error.clone()).kind, kind, "{error}");
        }
    }
}
