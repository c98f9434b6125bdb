//! What is to be told to whom. Values only; `farshare` reads them from its configuration.

use crate::core::Rules;
use crate::mail::Server;
use crate::webhook::Url;
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Reads a secret, or says why it cannot. It is asked for each message, so that one that was changed counts at once.
pub type Secret = Arc<dyn Fn() -> Result<Zeroizing<String>, String> + Send + Sync>;

/// All of it.
#[derive(Clone)]
pub struct Config {
    /// Who tells.
    pub node: String,
    /// What this machine is called in mails and in the log; `None`: as the system says.
    pub host: Option<String>,
    pub rules: Rules,
    pub mail: Option<Mail>,
    pub webhook: Option<Webhook>,
    pub syslog: Option<Syslog>,
}

/// E-mail: to each recipient for himself, so that an address that is refused takes nothing from the others.
#[derive(Clone)]
pub struct Mail {
    pub to: Vec<String>,
    /// `None`: `farshare@HOST`.
    pub from: Option<String>,
    pub server: Server,
    pub tls: MailTls,
    /// User and password; never sent without TLS.
    pub login: Option<(String, Secret)>,
    /// PEM file with the authorities to believe; `None`: the system's.
    pub ca: Option<PathBuf>,
}

/// How the mail server is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MailTls {
    /// TLS from the first byte.
    #[default]
    Implicit,
    /// STARTTLS, and nothing without it.
    StartTls,
    /// Whoever is on the way can read it.
    None,
}

/// A POST of JSON.
#[derive(Clone)]
pub struct Webhook {
    pub url: Url,
    /// Sent as `Authorization: Bearer ...`.
    pub token: Option<Secret>,
    /// As for mail.
    pub ca: Option<PathBuf>,
}

/// The system's log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Syslog {
    /// A datagram socket, [`crate::DEV_LOG`] nearly everywhere.
    pub path: PathBuf,
}
