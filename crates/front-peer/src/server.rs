//! The service of the link: whose call it is, and which session it belongs to.

use crate::calls::Call;
use crate::offers::{Offered, Offers};
use crate::session::{PeerLimits, Session};
use async_trait::async_trait;
use link::{Class, Link, Message, Peer, Service};
use parking_lot::Mutex;
use peer_wire::{Answer, Failure, Frame, Request};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Weak};
use volume::ErrorKind;

/// Serves volumes to other sites.
pub struct PeerServer {
    offers: Offers,
    limits: PeerLimits,
    /// By site.
    peers: Mutex<HashMap<String, Known>>,
    own: Weak<PeerServer>,
}

/// A site and its present session.
struct Known {
    session: Arc<Session>,
    up: bool,
    /// Counts comings and goings, so that a late timer knows that it is late.
    turns: u64,
}

/// What a site has here, for status pages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerStatus {
    pub site: String,
    pub up: bool,
    /// Files open.
    pub handles: usize,
    pub subscriptions: usize,
}

impl PeerServer {
    /// Serves `volumes`, by name. Must live inside a tokio runtime.
    pub fn new(volumes: HashMap<String, Offered>, limits: PeerLimits) -> Arc<PeerServer> {
        let offers = Offers::default();
        offers.replace(volumes);
        Arc::new_cyclic(|own| PeerServer { offers, limits, peers: Mutex::default(), own: own.clone() })
    }

    /// Offers `volumes` instead of those before. Of a volume that a site may no longer use, its files are closed
    /// with `Close::Abort` and its subscriptions end; calls under way finish.
    pub fn offer(&self, volumes: HashMap<String, Offered>) {
        self.offers.replace(volumes);
        let sessions: Vec<_> = self.peers.lock().values().map(|known| known.session.clone()).collect();
        for session in sessions {
            session.keep_only(|volume| self.offers.allows(&session.site, volume));
        }
    }

    /// The sites that were seen, in order of their names.
    pub fn peers(&self) -> Vec<PeerStatus> {
        let status = |(site, known): (&String, &Known)| PeerStatus {
            site: site.clone(),
            up: known.up,
            handles: known.session.handles.count(),
            subscriptions: known.session.subscription_count(),
        };
        let mut peers: Vec<_> = self.peers.lock().iter().map(status).collect();
        peers.sort_by(|a, b| a.site.cmp(&b.site));
        peers
    }

    /// The session that a call belongs to; `None` when a later one has taken its place.
    fn session_of(&self, peer: &Peer) -> Option<Arc<Session>> {
        let mut peers = self.peers.lock();
        let known = peers.entry(peer.site.clone()).or_insert_with(|| self.meet(peer));
        (known.session.number == peer.session).then(|| known.session.clone())
    }

    fn meet(&self, peer: &Peer) -> Known {
        Known { session: Session::new(&peer.site, peer.session, self.limits), up: false, turns: 0 }
    }

    /// Ends the session of a peer that did not come back in time.
    fn forget(&self, site: &str, turn: u64) {
        let mut peers = self.peers.lock();
        if let Entry::Occupied(known) = peers.entry(site.to_owned())
            && !known.get().up
            && known.get().turns == turn
        {
            known.remove().session.end();
        }
    }
}

#[async_trait]
impl Service for PeerServer {
    async fn call(&self, from: &Peer, _class: Class, message: Message) -> Message {
        let answer = match Request::decode(&message.head, message.body) {
            Err(why) => {
                tracing::warn!(site = from.site, %why, "a request that cannot be read");
                let failure = Failure::new(ErrorKind::Unsupported, "request", why);
                let Frame { head, body } = Answer::refuse(&message.head, failure);
                return Message { head, body };
            }
            Ok(request) => match self.session_of(from) {
                Some(session) => {
                    let call = Call::new(&self.offers, &session, &request);
                    Box::pin(call.answer(request.ask)).await
                }
                None => Answer::Failed(Failure::new(ErrorKind::Stale, "request", "a session that has ended")),
            },
        };
        let Frame { head, body } = answer.encode();
        Message { head, body }
    }

    fn notice(&self, from: &Peer, _message: Message) {
        tracing::warn!(site = from.site, "a notice to a server, which expects none");
    }

    fn peer_up(&self, peer: &Peer, link: Link) {
        let mut peers = self.peers.lock();
        let known = peers.entry(peer.site.clone()).or_insert_with(|| self.meet(peer));
        if known.session.number != peer.session {
            known.session.end();
            known.session = Session::new(&peer.site, peer.session, self.limits);
        }
        known.up = true;
        known.turns += 1;
        known.session.is_reachable_by(link);
    }

    fn peer_down(&self, peer: &Peer) {
        let turn = {
            let mut peers = self.peers.lock();
            let Some(known) = peers.get_mut(&peer.site) else { return };
            if known.session.number != peer.session {
                return;
            }
            known.up = false;
            known.turns += 1;
            known.turns
        };
        let (own, site, grace) = (self.own.clone(), peer.site.clone(), self.limits.session_grace);
        tokio::spawn(async move {
            tokio::time::sleep(grace).await;
            if let Some(server) = own.upgrade() {
                server.forget(&site, turn);
            }
        });
    }
}
