//! A place for a connection: dials when somebody needs it, and again after a loss.
//!
//! States: *up* (a session that is not lost), *down* (none; since when, and when to dial next). One caller dials,
//! the others wait for it. In the first [`crate::SmbLimits::outage`] after a loss callers wait for the server to
//! come back; after that they are told `Offline` at once, and a dial is tried when its time has come.

use crate::config::{LOGON_RETRY, RETRY_FIRST, RETRY_MAX, SmbConfig};
use crate::error::{Outcome, Trouble};
use crate::session::Session;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use volume::{Error, ErrorKind};

pub(crate) struct Lane {
    config: Arc<SmbConfig>,
    up: Mutex<Option<Arc<Session>>>,
    down: tokio::sync::Mutex<Option<Down>>,
}

/// What is known of an outage.
struct Down {
    since: Instant,
    next_dial: Instant,
    pause: Duration,
    /// What the last dial said.
    kind: ErrorKind,
    why: Arc<str>,
}

impl Lane {
    pub(crate) fn new(config: Arc<SmbConfig>) -> Lane {
        Lane { config, up: Mutex::new(None), down: tokio::sync::Mutex::new(None) }
    }

    /// Dials now, whatever was before.
    pub(crate) async fn dial(&self) -> Result<Arc<Session>, Error> {
        let session = Arc::new(Box::pin(Session::dial(&self.config)).await?);
        *self.up.lock() = Some(session.clone());
        Ok(session)
    }

    /// The session, if there is one.
    pub(crate) fn current(&self) -> Option<Arc<Session>> {
        self.up.lock().clone().filter(|session| !session.is_lost())
    }

    /// The session; dials if there is none.
    pub(crate) async fn session(&self) -> Outcome<Arc<Session>> {
        if let Some(session) = self.current() {
            return Ok(session);
        }
        let mut down = self.down.lock().await;
        loop {
            if let Some(session) = self.current() {
                *down = None;
                return Ok(session);
            }
            let now = Instant::now();
            if let Some(outage) = down.as_ref().filter(|outage| now < outage.next_dial) {
                let waited = now.duration_since(outage.since);
                if outage.kind != ErrorKind::Offline || waited >= self.config.limits.outage {
                    return Err(Trouble::Told(outage.error(&self.config)));
                }
                tokio::time::sleep_until(outage.next_dial).await;
                continue;
            }
            match self.dial().await {
                Ok(session) => {
                    if let Some(outage) = down.take() {
                        let after = outage.since.elapsed();
                        tracing::info!(server = self.config.label(), ?after, "the file server is back");
                    }
                    return Ok(session);
                }
                Err(why) => *down = Some(self.after_failure(down.take(), why)),
            }
        }
    }

    fn after_failure(&self, before: Option<Down>, why: Error) -> Down {
        let now = Instant::now();
        if before.is_none() {
            tracing::warn!(%why, "the file server is out of reach");
        }
        let (since, pause) = match before {
            Some(outage) => (outage.since, (outage.pause * 2).min(RETRY_MAX)),
            None => (now, RETRY_FIRST),
        };
        let pause = if why.kind == ErrorKind::Offline { pause } else { LOGON_RETRY };
        Down { since, next_dial: now + pause, pause, kind: why.kind, why: why.to_string().into() }
    }
}

impl Down {
    fn error(&self, config: &SmbConfig) -> Error {
        Error::new(self.kind, "reconnect", config.label()).because(&*self.why)
    }
}
