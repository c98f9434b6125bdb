//! A digest as it is sent, in the time of people.

use crate::core::{Digest, Notice, Severity, State};
use std::time::{Duration, Instant, SystemTime};

/// One message, the same on every channel.
#[derive(Clone, Debug)]
pub struct Message {
    /// The same each time it is tried.
    pub id: String,
    pub node: String,
    pub host: String,
    pub at: SystemTime,
    /// The gravest first, what is over last; never empty.
    pub notices: Vec<Told>,
    pub unlisted: usize,
    pub unknown: u64,
    pub held_back: bool,
}

/// One incident in it.
#[derive(Clone, Debug)]
pub struct Told {
    pub key: String,
    pub severity: Severity,
    pub state: State,
    pub text: String,
    pub since: SystemTime,
    pub lasted: Duration,
}

impl Message {
    /// `digest` at the moment `now`, which is `at`. Whose it is has to be said.
    pub(crate) fn of(digest: Digest, now: Instant, at: SystemTime) -> Message {
        let told = |notice: Notice| Told {
            since: at - now.saturating_duration_since(notice.since),
            key: notice.key,
            severity: notice.severity,
            state: notice.state,
            text: notice.text,
            lasted: notice.lasted,
        };
        Message {
            notices: digest.notices.into_iter().map(told).collect(),
            unlisted: digest.unlisted,
            unknown: digest.unknown,
            held_back: digest.held_back,
            ..Message::empty(at)
        }
    }

    /// Nothing is wrong: does it arrive?
    pub(crate) fn test() -> Message {
        let at = SystemTime::now();
        let told = Told {
            key: "test".into(),
            severity: Severity::Warning,
            state: State::Test,
            text: "somebody tries whether alerts arrive".into(),
            since: at,
            lasted: Duration::ZERO,
        };
        Message { notices: vec![told], ..Message::empty(at) }
    }

    fn empty(at: SystemTime) -> Message {
        let (id, node, host, notices) = Default::default();
        Message { id, node, host, at, notices, unlisted: 0, unknown: 0, held_back: false }
    }
}
