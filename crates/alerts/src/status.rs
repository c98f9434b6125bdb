//! What is known of alerts, for those who look.

use crate::core::{Open, Severity};
use std::time::{Instant, SystemTime};

/// A look at all of it.
#[derive(Clone, Debug)]
pub struct AlertStatus {
    /// The gravest first.
    pub open: Vec<OpenIncident>,
    pub channels: Vec<ChannelStatus>,
}

/// Something that is wrong.
#[derive(Clone, Debug)]
pub struct OpenIncident {
    pub key: String,
    pub severity: Severity,
    pub text: String,
    pub since: SystemTime,
    /// Whether it lasted long enough to be told.
    pub told: bool,
}

/// A way to people.
#[derive(Clone, Debug)]
pub struct ChannelStatus {
    /// `mail to a@example.org`, `webhook https://example.org`, `syslog`.
    pub name: String,
    /// Whether the last attempt failed.
    pub failing: bool,
    /// Messages that wait, the one that is being sent among them.
    pub waiting: usize,
    pub last_sent: Option<SystemTime>,
    pub last_error: Option<(SystemTime, String)>,
    /// Messages that were given up.
    pub lost: u64,
}

impl OpenIncident {
    pub(crate) fn new(open: Open, now: Instant, at: SystemTime) -> OpenIncident {
        OpenIncident {
            since: at - now.saturating_duration_since(open.since),
            key: open.key,
            severity: open.severity,
            text: open.text,
            told: open.told,
        }
    }
}
