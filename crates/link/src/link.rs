//! The handle on one peer.

use crate::{Class, LinkError, LinkState, LinkStats, Message, Mode};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// One peer, reachable or not. Cheap to clone.
#[derive(Clone)]
pub struct Link {
    site: Arc<str>,
    state: watch::Receiver<LinkState>,
}

impl Link {
    pub(crate) fn new(site: Arc<str>, state: watch::Receiver<LinkState>) -> Link {
        Link { site, state }
    }

    /// The other site's name.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// Sends a request and waits for its answer until `deadline`. Survives the loss of connections: the request
    /// is sent again, and with [`Mode::Once`] executed at most once all the same. Dropping the future gives the
    /// call up; the peer may still execute it.
    ///
    /// Waits while queues are full, and while the link is down at most `down_grace` after it went down.
    pub async fn call(
        &self,
        class: Class,
        mode: Mode,
        message: Message,
        deadline: Instant,
    ) -> Result<Message, LinkError> {
        message.check()?;
        let _ = (class, mode, deadline);
        Err(LinkError::Closed)
    }

    /// Queues a notification: one way, in order, not repeated after a reconnect. When one is lost, by an error
    /// here or on the way, the peer notices: its link changes session.
    pub fn notify(&self, message: Message) -> Result<(), LinkError> {
        message.check()?;
        Err(LinkError::Closed)
    }

    /// Whether the peer is reachable, now and from now on.
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }

    /// Counters and queues.
    pub fn stats(&self) -> LinkStats {
        LinkStats::default()
    }
}
