//! Where pushes of gateways come in, and go on to whoever subscribed.
//!
//! An `Inbox` is the [`Service`] of a node that uses volumes of other sites. A node that also serves volumes
//! puts its server inside: calls go there, notices that are no pushes too.

use async_trait::async_trait;
use link::{Class, Link, Message, Peer, Service};
use parking_lot::Mutex;
use peer_wire::{Answer, Failure, Frame, Push};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use volume::ErrorKind;

/// Pushes that may wait for one subscriber; those that come on top are dropped, which the subscriber finds by
/// their numbers.
const PUSHES_WAITING: usize = 256;

/// Takes pushes from the link.
pub struct Inbox {
    server: Option<Arc<dyn Service>>,
    subscribers: Mutex<HashMap<u64, Subscriber>>,
}

struct Subscriber {
    site: String,
    pushes: mpsc::Sender<Push>,
}

/// A subscriber's place in the inbox; gives it up when dropped.
pub(crate) struct Subscribed {
    inbox: Arc<Inbox>,
    pub number: u64,
    pub pushes: mpsc::Receiver<Push>,
}

impl Drop for Subscribed {
    fn drop(&mut self) {
        self.inbox.subscribers.lock().remove(&self.number);
    }
}

impl Inbox {
    /// For a node that serves nothing to other sites: calls answer `Unsupported`.
    pub fn new() -> Arc<Inbox> {
        Arc::new(Inbox { server: None, subscribers: Mutex::default() })
    }

    /// For a node that also serves: `server` gets everything but pushes.
    pub fn around(server: Arc<dyn Service>) -> Arc<Inbox> {
        Arc::new(Inbox { server: Some(server), subscribers: Mutex::default() })
    }

    /// Takes pushes of `site` with this number of subscription from now on.
    pub(crate) fn subscribe(self: &Arc<Inbox>, site: &str, number: u64) -> Subscribed {
        let (sender, pushes) = mpsc::channel(PUSHES_WAITING);
        self.subscribers.lock().insert(number, Subscriber { site: site.to_owned(), pushes: sender });
        Subscribed { inbox: self.clone(), number, pushes }
    }

    fn take(&self, from: &Peer, push: Push) {
        let subscribers = self.subscribers.lock();
        match subscribers.get(&push.subscription) {
            Some(subscriber) if subscriber.site == from.site => {
                if let Err(why) = subscriber.pushes.try_send(push) {
                    tracing::debug!(site = from.site, %why, "a push is dropped");
                }
            }
            // It was on its way when the subscription ended.
            _ => tracing::trace!(site = from.site, "a push for nobody"),
        }
    }
}

#[async_trait]
impl Service for Inbox {
    async fn call(&self, from: &Peer, class: Class, message: Message) -> Message {
        if let Some(server) = &self.server {
            return server.call(from, class, message).await;
        }
        let failure = Failure::new(ErrorKind::Unsupported, "request", "this site serves no volumes");
        let Frame { head, body } = Answer::Failed(failure).encode();
        Message { head, body }
    }

    fn notice(&self, from: &Peer, message: Message) {
        match (Push::decode(&message.head, &message.body), &self.server) {
            (Ok(push), _) => self.take(from, push),
            (Err(_), Some(server)) => server.notice(from, message),
            (Err(why), None) => tracing::warn!(site = from.site, %why, "a notice that cannot be read"),
        }
    }

    fn peer_up(&self, peer: &Peer, link: Link) {
        if let Some(server) = &self.server {
            server.peer_up(peer, link);
        }
    }

    fn peer_down(&self, peer: &Peer) {
        if let Some(server) = &self.server {
            server.peer_down(peer);
        }
    }
}
