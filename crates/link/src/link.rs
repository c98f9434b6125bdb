//! The handle on one peer.

use crate::remote::Remote;
use crate::{Class, LinkError, LinkState, LinkStats, Message, Mode};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// One peer, reachable or not. Cheap to clone.
#[derive(Clone)]
pub struct Link {
    remote: Arc<Remote>,
}

impl Link {
    pub(crate) fn new(remote: Arc<Remote>) -> Link {
        Link { remote }
    }

    /// The other site's name.
    pub fn site(&self) -> &str {
        self.remote.site()
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
        let call = self.remote.call(class, mode, message);
        tokio::time::timeout_at(deadline.into(), call).await.unwrap_or(Err(LinkError::Deadline))
    }

    /// Queues a notification: one way, in order, not repeated after a reconnect. When one is lost, by an error
    /// here or on the way, the peer notices: its link changes session.
    ///
    /// # Errors
    /// `TooLarge`, `Closed`, `Down` without a connection, `Refused` when the queue is full.
    pub fn notify(&self, message: Message) -> Result<(), LinkError> {
        self.remote.notify(message)
    }

    /// Whether the peer is reachable, now and from now on.
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.remote.state().subscribe()
    }

    /// Counters and queues.
    pub fn stats(&self) -> LinkStats {
        self.remote.stats()
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("site", &self.site()).finish_non_exhaustive()
    }
}
