//! Tells people of serious errors: by e-mail, by webhook and in the system's log.
//!
//! ```text
//! raise, clear -> what is told and when (core.rs) -> a line for each channel (line.rs) -> mail.rs, webhook.rs, syslog.rs
//! ```
//!
//! Who finds something wrong calls [`Alerts::raise`], as often as it finds it so, and [`Alerts::clear`] when it does not any more. Both
//! return at once whatever the channels do. A key names what is wrong, for example `mirror/projects/backup/away`: letters, digits and
//! marks, the same each time. The text may change.
//!
//! **Promise.** `core.rs` says what is told and when. Each message is tried on each channel until it went, for a day at most; a channel
//! that fails holds up no other, and is told in the log and by [`Alerts::status`]. What goes out twice (an answer was lost) has the same
//! `id`, or `Message-ID`.
//!
//! **Left to others.** Who raises what (`farshare`'s node); reading secrets (a [`Secret`] is a function). Nothing is written down: a
//! process that starts anew knows of no incident before, and its end tells nobody that they are over.
//!
//! Locks: the core's and each line's are held for a moment, never both, and never over an `await`.

mod config;
mod core;
mod line;
mod mail;
mod message;
mod status;
mod syslog;
mod text;
mod tls;
mod webhook;

pub use config::{Config, Mail, MailTls, Secret, Syslog, Webhook};
pub use core::{Rules, Severity, State};
pub use mail::{RECIPIENTS_MAX, Server, check_address};
pub use message::{Message, Told};
pub use status::{AlertStatus, ChannelStatus, OpenIncident};
pub use syslog::DEV_LOG;
pub use tls::check_ca;
pub use webhook::Url;

use crate::core::{Core, Digest};
use line::{Channel, Line};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// How long one attempt to send may take.
pub const SEND_PATIENCE: Duration = Duration::from_secs(60);

/// What tells people. Dropping it ends it without a further word.
pub struct Alerts {
    shared: Arc<Shared>,
    /// The driver and the lines; `None` once shut down.
    tasks: Mutex<Option<JoinSet<()>>>,
    stop: watch::Sender<bool>,
}

struct Shared {
    node: String,
    host: String,
    core: Mutex<Core>,
    changed: Notify,
    lines: Vec<Arc<Line>>,
    messages: AtomicU64,
}

impl Alerts {
    /// Begins, in the runtime that it is called in. Nothing is sent before something is raised.
    pub fn start(config: Config) -> Alerts {
        let host = config.host.clone().unwrap_or_else(host);
        let channels = channels(&config, &host);
        Alerts::over(config.node, host, config.rules, channels)
    }

    fn over(node: String, host: String, rules: Rules, channels: Vec<Arc<dyn Channel>>) -> Alerts {
        let (stop, stopped) = watch::channel(false);
        let lines: Vec<_> = channels.into_iter().map(|channel| Arc::new(Line::new(channel))).collect();
        let core = Mutex::new(Core::new(rules));
        let shared = Shared { node, host, core, changed: Notify::new(), lines, messages: AtomicU64::new(0) };
        let shared = Arc::new(shared);
        let mut tasks = JoinSet::new();
        for line in &shared.lines {
            tasks.spawn(line.clone().run(stopped.clone()));
        }
        tasks.spawn(shared.clone().drive());
        Alerts { shared, tasks: Mutex::new(Some(tasks)), stop }
    }

    /// `key` is wrong: an incident begins, or goes on with this text.
    pub fn raise(&self, key: &str, severity: Severity, text: impl AsRef<str>) {
        let room = self.shared.core.lock().raise(now(), key, severity, text.as_ref());
        if !room {
            tracing::error!(
                key,
                text = text.as_ref(),
                "too many alerts at a time: people are told that there are more"
            );
        }
        self.shared.changed.notify_one();
    }

    /// `key` is not wrong, or not any more.
    pub fn clear(&self, key: &str) {
        self.shared.core.lock().clear(now(), key);
        self.shared.changed.notify_one();
    }

    pub fn status(&self) -> AlertStatus {
        let (now, at) = (now(), SystemTime::now());
        let open = self.shared.core.lock().open();
        AlertStatus {
            open: open.into_iter().map(|open| OpenIncident::new(open, now, at)).collect(),
            channels: self.shared.lines.iter().map(|line| line.status()).collect(),
        }
    }

    /// Tries each channel once: a notice that nothing is wrong. Its name, and why it did not go.
    pub async fn test(&self) -> Vec<(String, Result<(), String>)> {
        let message = Arc::new(self.shared.message(Message::test()));
        let mut attempts = JoinSet::new();
        for (place, line) in self.shared.lines.iter().enumerate() {
            let (line, message) = (line.clone(), message.clone());
            attempts.spawn(async move { (place, line.name(), line.attempt(&message).await) });
        }
        let mut outcomes = attempts.join_all().await;
        outcomes.sort_by_key(|(place, ..)| *place);
        outcomes
            .into_iter()
            .map(|(_, name, outcome)| (name, outcome.map_err(|failure| failure.why)))
            .collect()
    }

    /// Sends what is due, each channel trying once more, for `patience` at most, and ends.
    pub async fn shut_down(&self, patience: Duration) {
        let Some(mut tasks) = self.tasks.lock().take() else { return };
        let last = self.shared.core.lock().flush(now());
        if let Some(digest) = last {
            self.shared.send(digest);
        }
        self.stop.send_replace(true);
        // The driver never ends by itself, the lines do.
        let lines = async {
            for line in &self.shared.lines {
                line.ended().await;
            }
        };
        if tokio::time::timeout(patience, lines).await.is_err() {
            tracing::error!("alerts were not delivered before the end");
        }
        tasks.shutdown().await;
    }
}

impl Shared {
    async fn drive(self: Arc<Shared>) {
        loop {
            let (digest, wake) = {
                let mut core = self.core.lock();
                (core.tick(now()), core.wake())
            };
            if let Some(digest) = digest {
                self.send(digest);
                continue;
            }
            match wake {
                Some(wake) => {
                    // Either will do: what has changed is looked at anyhow.
                    let _ = tokio::time::timeout_at(wake.into(), self.changed.notified()).await;
                }
                None => self.changed.notified().await,
            }
        }
    }

    fn send(&self, digest: Digest) {
        let message = Arc::new(self.message(Message::of(digest, now(), SystemTime::now())));
        for line in &self.lines {
            line.push(message.clone());
        }
    }

    /// Says whose it is, and gives it an id that no other has.
    fn message(&self, message: Message) -> Message {
        let number = self.messages.fetch_add(1, Ordering::Relaxed);
        let nanos = message.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let id = format!("{nanos:x}.{number}.{}@{}", std::process::id(), self.host);
        Message { id, node: self.node.clone(), host: self.host.clone(), ..message }
    }
}

fn channels(config: &Config, host: &str) -> Vec<Arc<dyn Channel>> {
    let mut channels: Vec<Arc<dyn Channel>> = Vec::new();
    if let Some(mail) = &config.mail {
        let mails = mail::Recipient::all(mail, host);
        channels.extend(mails.into_iter().map(|mail| Arc::new(mail) as Arc<dyn Channel>));
    }
    if let Some(webhook) = &config.webhook {
        channels.push(Arc::new(webhook::Hook::new(webhook.clone())));
    }
    if let Some(syslog) = &config.syslog {
        channels.push(Arc::new(syslog::Journal::new(syslog.path.clone())));
    }
    channels
}

/// What this machine calls itself.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Secrets and certificates are files, on disks that may hang.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(panic.to_string()))
}

/// Tokio's clock, which tests may stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests;
