//! One volume of one peer: asks a question over the link and gets its answer.

use crate::error::{from_link, from_wire, unexpected};
use crate::inbox::Inbox;
use link::{Class, Link, Message, Mode};
use peer_wire::{Answer, Ask, Frame, Request};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use volume::{Attr, Cx, Error, ErrorKind, Priority, Result};

/// How long the close of a handle whose user is gone is tried. By then the gateway has closed it by itself.
const CLOSE_PATIENCE: Duration = Duration::from_secs(600);
/// One attempt to close, and the wait before the next.
const CLOSE_ATTEMPT: Duration = Duration::from_secs(30);
const CLOSE_RETRY: Duration = Duration::from_secs(1);

pub(crate) struct Peer {
    pub link: Link,
    pub volume: String,
    pub inbox: Arc<Inbox>,
    pub runtime: tokio::runtime::Handle,
    /// The next number for a handle or a subscription. Starts anywhere: numbers of several volumes, and those
    /// of the process before, must not meet.
    next_number: AtomicU64,
}

impl Peer {
    pub fn new(link: Link, volume: &str, inbox: Arc<Inbox>) -> Result<Peer> {
        let mut start = [0; 8];
        getrandom::fill(&mut start).map_err(|why| {
            Error::new(ErrorKind::Io, "random", "numbers of handles").because(why.to_string())
        })?;
        Ok(Peer {
            link,
            volume: volume.to_owned(),
            inbox,
            runtime: tokio::runtime::Handle::current(),
            next_number: AtomicU64::new(u64::from_le_bytes(start)),
        })
    }

    pub fn number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// For errors: which volume of which site.
    pub fn name(&self) -> String {
        format!("{}/{}", self.link.site(), self.volume)
    }

    /// One question, one answer. Never answers `Failed`.
    pub async fn ask(&self, cx: &Cx, ask: Ask) -> Result<Answer> {
        let op = ask.name();
        let patience = cx.deadline.saturating_duration_since(Instant::now());
        if patience.is_zero() {
            return Err(Error::new(ErrorKind::TimedOut, op, self.name()));
        }
        let class = class_of(cx.priority, &ask);
        let mode = if ask.is_repeatable() { Mode::Repeatable } else { Mode::Once };
        let Frame { head, body } = Request { priority: cx.priority, patience, ask }.encode();
        let answer = self.link.call(class, mode, Message { head, body }, cx.deadline).await;
        let Message { head, body } = answer.map_err(|why| from_link(op, &self.name(), why))?;
        match Answer::decode(&head, body) {
            Ok(Answer::Failed(failure)) => Err(failure.into_error(op)),
            Ok(answer) => Ok(answer),
            Err(why) => Err(from_wire(op, &self.name(), why)),
        }
    }

    /// A question whose answer is an `Attr`.
    pub async fn ask_attr(&self, cx: &Cx, ask: Ask) -> Result<Attr> {
        let op = ask.name();
        match self.ask(cx, ask).await? {
            Answer::Attr(attr) => Ok(attr),
            _ => Err(self.unexpected(op)),
        }
    }

    pub fn unexpected(&self, op: &'static str) -> Error {
        unexpected(op, &self.name())
    }

    /// Closes a handle that nobody needs any more, however long the link is down.
    fn close_unheard(self: &Arc<Peer>, handle: u64) {
        let peer = self.clone();
        self.runtime.spawn(async move {
            let mut state = peer.link.state();
            let reached = tokio::time::timeout(CLOSE_PATIENCE, async {
                while state.wait_for(link::LinkState::is_up).await.is_ok() {
                    let cx = Cx::system(Priority::Bulk).within(CLOSE_ATTEMPT);
                    let close = Ask::Close { handle, how: volume::Close::Commit };
                    match peer.ask(&cx, close).await {
                        Ok(_) => return,
                        Err(why) if why.kind == ErrorKind::Offline => tokio::time::sleep(CLOSE_RETRY).await,
                        Err(why) => return tracing::debug!(%why, "closing a handle unheard"),
                    }
                }
            });
            if reached.await.is_err() {
                tracing::debug!(peer = peer.name(), "a handle is left to the gateway to close");
            }
        });
    }
}

/// Content goes as urgent as its caller says. The rest is small: it goes ahead unless nobody waits for it.
fn class_of(priority: Priority, ask: &Ask) -> Class {
    let content = match ask {
        Ask::Read { .. } | Ask::Write { .. } | Ask::List { .. } => true,
        Ask::Open { how, .. } => how.first.is_some(),
        _ => false,
    };
    match priority {
        Priority::Interactive => Class::Interactive,
        Priority::Bulk if content => Class::Bulk,
        Priority::Bulk => Class::Interactive,
        Priority::Background => Class::Bulk,
    }
}

/// A handle at the gateway. Closed there when this is dropped, unless that was done before.
pub(crate) struct Handle {
    peer: Arc<Peer>,
    pub number: u64,
    /// Whether the gateway may have it open.
    held: AtomicBool,
}

impl Handle {
    pub fn new(peer: &Arc<Peer>) -> Handle {
        Handle { peer: peer.clone(), number: peer.number(), held: true.into() }
    }

    /// It is not open at the gateway, or somebody else closes it. Returns whether it was held until now.
    pub fn let_go(&self) -> bool {
        self.held.swap(false, Ordering::AcqRel)
    }

    /// Closes it at the gateway without waiting for that.
    pub fn close_unheard(&self) {
        if self.let_go() {
            self.peer.close_unheard(self.number);
        }
    }

    pub fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close_unheard();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use volume::{OpenHow, VPath};

    #[test]
    fn small_questions_go_ahead_unless_nobody_waits() {
        let stat = Ask::Stat { volume: "v".into(), path: VPath::root() };
        let read = Ask::Read { handle: 1, offset: 0, length: 1 };
        let open = |first| Ask::Open {
            volume: "v".into(),
            path: VPath::root(),
            handle: 1,
            how: OpenHow { first, ..OpenHow::read() },
        };
        for (priority, ask, class) in [
            (Priority::Interactive, &read, Class::Interactive),
            (Priority::Bulk, &read, Class::Bulk),
            (Priority::Bulk, &stat, Class::Interactive),
            (Priority::Background, &stat, Class::Bulk),
            (Priority::Bulk, &open(None), Class::Interactive),
            (Priority::Bulk, &open(Some((0, 65_536))), Class::Bulk),
        ] {
            assert_eq!(class_of(priority, ask), class, "{priority:?} {ask:?}");
        }
    }
}
