//! Alerts that reach real servers: mail over SMTP in its three kinds, webhooks with and without TLS, a datagram socket.

mod certificate;
mod mail;
mod smtp;
mod syslog;
mod webhook;

use alerts::{Alerts, Config, Rules, Secret, Severity};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Tells at once, and nobody yet.
fn config() -> Config {
    let rules = Rules { after: Duration::ZERO, gather: Duration::ZERO, ..Rules::default() };
    Config {
        node: "dc1".into(),
        host: Some("h.example".into()),
        rules,
        mail: None,
        webhook: None,
        syslog: None,
    }
}

fn secret(text: &'static str) -> Secret {
    Arc::new(move || Ok(Zeroizing::new(text.to_owned())))
}

/// The one channel's answer to a test.
async fn test(config: Config) -> Result<(), String> {
    let outcomes = Alerts::start(config).test().await;
    let [(_, outcome)] = outcomes.try_into().unwrap();
    outcome
}

#[track_caller]
fn fails(outcome: Result<(), String>, expect: &str) {
    let why = outcome.expect_err("it should not go");
    assert!(why.contains(expect), "{why}");
}

/// Raised with a text that would like to be more than one line.
fn raise(alerts: &Alerts) {
    alerts.raise("mirror/projects/b", Severity::Error, "no route to höst\r\n.\r\nRCPT TO:<x@y>");
}
