//! What travels: messages, the class and mode of a call, and the service that answers.

use crate::{Link, LinkError};
use async_trait::async_trait;
use bytes::Bytes;

/// Largest head of a message, bytes.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Largest body of a message, bytes.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// One request, answer or notification. The link does not look into it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// What is asked or told, at most [`MAX_HEAD_BYTES`].
    pub head: Bytes,
    /// File content or other bulk, at most [`MAX_BODY_BYTES`].
    pub body: Bytes,
}

impl Message {
    /// A message of both parts.
    pub fn new(head: impl Into<Bytes>, body: impl Into<Bytes>) -> Message {
        Message { head: head.into(), body: body.into() }
    }

    /// Bytes of head and body together.
    pub fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Whether both parts are empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `TooLarge` when a part exceeds its limit.
    pub(crate) fn check(&self) -> Result<(), LinkError> {
        let too_large = |what, bytes, limit| Err(LinkError::TooLarge { what, bytes, limit });
        if self.head.len() > MAX_HEAD_BYTES {
            return too_large("message head", self.head.len(), MAX_HEAD_BYTES);
        }
        if self.body.len() > MAX_BODY_BYTES {
            return too_large("message body", self.body.len(), MAX_BODY_BYTES);
        }
        Ok(())
    }
}

/// How urgent a call and its answer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Somebody waits: overtakes all bulk.
    Interactive,
    /// Prefetch, write-back, anything large.
    Bulk,
}

/// What the peer may do when a call reaches it a second time, after a connection died under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Execute it again if need be (reads). A repeat of a call still running joins that one.
    Repeatable,
    /// Execute it at most once (changes). The peer keeps the answer until the caller has it.
    Once,
}

/// Who calls: the other site, and which unbroken acquaintance with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Site name, as certified.
    pub site: String,
    /// Changes when the other process was restarted or when notifications from it were lost. Means nothing to
    /// other processes.
    pub session: u64,
}

/// The part of a node that answers calls. Called from the tasks of the connections: `notice`, `peer_up` and
/// `peer_down` must not block, and are called one at a time per peer, in order.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// Answers one call. The answer is bound by the limits of [`Message`]: a larger one reaches the caller as
    /// `Failed`.
    async fn call(&self, from: &Peer, class: Class, message: Message) -> Message;

    /// Takes one notification, in the order sent.
    fn notice(&self, from: &Peer, message: Message);

    /// The peer has become reachable. With an unchanged session this goes on where it stopped and no
    /// notification was lost; with another one all that was known from notifications is void.
    fn peer_up(&self, peer: &Peer, link: Link);

    /// The peer is no longer reachable, or `peer_up` with its next session follows at once.
    fn peer_down(&self, peer: &Peer);
}
