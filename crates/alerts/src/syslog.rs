//! The system's log: a datagram of RFC 5424 for each notice. systemd's journal listens at the same socket.

use crate::core::{Severity, State};
use crate::line::{Channel, Failure};
use crate::message::{Message, Told};
use crate::text;
use async_trait::async_trait;
use std::path::PathBuf;
use tokio::net::UnixDatagram;

/// Where the system's log listens.
pub const DEV_LOG: &str = "/dev/log";
/// RFC 5424, 6.2.1: system daemons.
const FACILITY_DAEMON: u8 = 3;

pub struct Journal {
    path: PathBuf,
}

impl Journal {
    pub fn new(path: PathBuf) -> Journal {
        Journal { path }
    }
}

#[async_trait]
impl Channel for Journal {
    fn name(&self) -> String {
        "syslog".into()
    }

    async fn send(&self, message: &Message) -> Result<(), Failure> {
        let failed = |cause| Failure::new(format_args!("{}: {cause}", self.path.display()));
        let socket = UnixDatagram::unbound().map_err(failed)?;
        socket.connect(&self.path).map_err(failed)?;
        for datagram in datagrams(message) {
            socket.send(datagram.as_bytes()).await.map_err(failed)?;
        }
        Ok(())
    }
}

fn datagrams(message: &Message) -> Vec<String> {
    let head = |level: u8, state: &str| {
        let (time, pid) = (text::rfc3339(message.at), std::process::id());
        let host = if message.host.is_empty() { "-" } else { &message.host };
        // PRI VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG (6.)
        format!("<{}>1 {time} {host} farshare {pid} {state} - ", FACILITY_DAEMON * 8 + level)
    };
    let one = |told: &Told| {
        let level = level(told);
        format!("{}{}: {}", head(level, told.state.name()), message.node, text::sentence(told))
    };
    let rest = text::rest(message).map(|rest| format!("{}{}: {rest}", head(3, "more"), message.node));
    message.notices.iter().map(one).chain(rest).collect()
}

/// RFC 5424, 6.2.1.
fn level(told: &Told) -> u8 {
    match (told.state, told.severity) {
        (State::Over, _) => 5,
        (State::Test, _) => 6,
        (State::Raised | State::Still, Severity::Warning) => 4,
        (State::Raised | State::Still, Severity::Error) => 3,
        (State::Raised | State::Still, Severity::Critical) => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::tests::message;

    #[test]
    fn datagrams_are_of_rfc_5424() {
        let pid = std::process::id();
        let expect = [
            format!(
                "<26>1 2026-11-30T10:15:20.250Z h.example farshare {pid} raised - dc1: critical: log/projects: it is  full \
                 (since 2026-11-30 10:13:20 UTC, for 2 min 0 s)"
            ),
            format!(
                "<29>1 2026-11-30T10:15:20.250Z h.example farshare {pid} over - dc1: over after 3 h 12 min: mirror/b: away \
                 (since 2026-11-30 07:03:20 UTC)"
            ),
            format!(
                "<27>1 2026-11-30T10:15:20.250Z h.example farshare {pid} more - dc1: and 3 more that are not listed; \
                 farshare status has them; 2 more of which there was no room to remember anything; \
                 this waited, as there were too many messages in the last hour"
            ),
        ];
        assert_eq!(datagrams(&message()), expect);
    }
}
