//! A watch over the link.
//!
//! States of a subscription:
//!
//! * *live*: pushes come in with the numbers that are due; the gateway's promise is passed on;
//! * *doubtful*: the link is down, or a check was not answered: `Offline` since then. When the gateway answers
//!   again that the subscription is alive and no push is missing, it is live again;
//! * *lost*: a push is missing, or the gateway does not know the subscription, or its process is another one.
//!   A new subscription is made, `Unknown` is told for the whole volume, and it is live.
//!
//! A lost push shows by the number of the next one, a lost last push by the count in the answer to a check.
//! Answers and pushes overtake each other, so a count that is ahead convicts only if the check after it still
//! finds the push missing.

use crate::inbox::Subscribed;
use crate::peer::Peer;
use link::LinkState;
use peer_wire::{Answer, Ask, Event, Push};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use volume::{Cx, Error, ErrorKind, Freshness, NOTICES_MAX, Notice, Priority, Result, VPath, Watch};

/// How often the gateway is asked whether the subscription is alive; a promise is claimed no longer than
/// twice this without an answer.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// How long to wait before subscribing again when that failed.
const RETRY: Duration = Duration::from_secs(1);

/// Subscribes and follows.
pub(crate) async fn watch(peer: &Arc<Peer>, cx: &Cx) -> Result<Watch> {
    let (notices_in, notices) = mpsc::channel(NOTICES_MAX);
    let (freshness_in, freshness) = watch::channel(Freshness::Offline { since: SystemTime::now() });
    let out = Out { notices: notices_in, freshness: freshness_in, owes_unknown: false };
    let live = match subscribe(peer, cx).await {
        Ok((live, promise)) => {
            out.promise(promise);
            Some(live)
        }
        Err(why) if matches!(why.kind, ErrorKind::Offline | ErrorKind::TimedOut) => None,
        Err(why) => return Err(why),
    };
    let follower = Follower { peer: peer.clone(), out, checks: JoinSet::new() };
    tokio::spawn(follower.run(live));
    Ok(Watch::without_authors(notices, freshness))
}

/// A subscription that the gateway has confirmed.
struct Live {
    place: Subscribed,
    session: Option<u64>,
    /// The number that the next push has.
    due: u64,
    /// The count of pushes that the last check found ahead of `due`.
    missing: Option<u64>,
}

/// Where notices and promises go.
struct Out {
    notices: mpsc::Sender<Notice>,
    freshness: watch::Sender<Freshness>,
    /// The reader was too slow: it is told that all is unknown as soon as there is room.
    owes_unknown: bool,
}

struct Follower {
    peer: Arc<Peer>,
    out: Out,
    /// Checks under way: one at most.
    checks: JoinSet<Result<(u64, Freshness)>>,
}

/// What comes of following a subscription.
enum End {
    Lost,
    /// Nobody reads any more.
    Unread,
}

impl Out {
    fn promise(&self, freshness: Freshness) {
        let freshness = match freshness {
            // A lease would have to be given back before the change; nobody asks for it over the link.
            Freshness::Leased => Freshness::Notified,
            other => other,
        };
        self.freshness.send_if_modified(|now| std::mem::replace(now, freshness) != freshness);
    }

    /// Offline since now, unless it already was.
    fn doubt(&self) {
        if !matches!(*self.freshness.borrow(), Freshness::Offline { .. }) {
            self.promise(Freshness::Offline { since: SystemTime::now() });
        }
    }

    fn tell(&mut self, notice: Notice) {
        if self.owes_unknown {
            return;
        }
        if let Err(mpsc::error::TrySendError::Full(_)) = self.notices.try_send(notice) {
            self.owes_unknown = true;
        }
    }

    /// Waits for room and tells the `Unknown` that is owed.
    async fn pay_unknown(&self) {
        // An error says that nobody reads any more, which `closed` tells as well.
        if let Ok(room) = self.notices.reserve().await {
            room.send(Notice::Unknown { below: VPath::root() });
        }
    }
}

async fn subscribe(peer: &Arc<Peer>, cx: &Cx) -> Result<(Live, Freshness)> {
    let session = peer.link.state().borrow().session();
    let place = peer.inbox.subscribe(peer.link.site(), peer.number());
    let ask = Ask::Watch { volume: peer.volume.clone(), subscription: place.number };
    match peer.ask(cx, ask).await? {
        Answer::Watching { freshness, .. } => Ok((Live { place, session, due: 0, missing: None }, freshness)),
        _ => Err(peer.unexpected("watch")),
    }
}

/// Whether the subscription is alive, and how many pushes it has sent.
async fn check(peer: Arc<Peer>, subscription: u64) -> Result<(u64, Freshness)> {
    let cx = Cx::system(Priority::Interactive).within(CHECK_INTERVAL);
    match peer.ask(&cx, Ask::Check { subscription }).await? {
        Answer::Watching { sequence, freshness } => Ok((sequence, freshness)),
        _ => Err(peer.unexpected("check")),
    }
}

impl Follower {
    async fn run(mut self, mut live: Option<Live>) {
        loop {
            if let Some(subscription) = live.take() {
                let number = subscription.place.number;
                let end = self.follow(subscription).await;
                self.checks.abort_all();
                self.unwatch(number);
                if let End::Unread = end {
                    return;
                }
            }
            self.out.doubt();
            live = tokio::select! {
                () = self.out.notices.closed() => return,
                found = subscribe_at_last(&self.peer) => match found {
                    Ok((live, promise)) => {
                        self.out.tell(Notice::Unknown { below: VPath::root() });
                        self.out.promise(promise);
                        Some(live)
                    }
                    Err(why) => {
                        tracing::info!(%why, "the volume cannot be watched");
                        self.out.promise(Freshness::Direct);
                        return;
                    }
                },
            };
        }
    }

    /// Follows one subscription to its end.
    async fn follow(&mut self, mut live: Live) -> End {
        let mut state = self.peer.link.state();
        let mut up = state.borrow_and_update().is_up();
        let mut round = tokio::time::interval(CHECK_INTERVAL);
        round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                push = live.place.pushes.recv() => match push {
                    Some(push) if push.sequence == live.due => self.take(&mut live, push),
                    _ => return End::Lost,
                },
                Some(checked) = self.checks.join_next(), if !self.checks.is_empty() => {
                    let Ok(checked) = checked else { continue };
                    if !self.weigh(&mut live, checked) {
                        return End::Lost;
                    }
                }
                _ = round.tick() => self.check_now(&live),
                changed = state.changed() => {
                    if changed.is_err() {
                        return End::Lost;
                    }
                    let now = state.borrow_and_update().clone();
                    match now {
                        LinkState::Down { .. } => {
                            up = false;
                            self.out.doubt();
                        }
                        LinkState::Up { session, .. } if Some(session) != live.session => return End::Lost,
                        // Other things about a link that is up change often.
                        LinkState::Up { .. } if up => {}
                        LinkState::Up { .. } => {
                            up = true;
                            // One that was sent before may not be answered any more.
                            self.checks = JoinSet::new();
                            self.check_now(&live);
                        }
                    }
                }
                () = self.out.pay_unknown(), if self.out.owes_unknown => self.out.owes_unknown = false,
                () = self.out.notices.closed() => return End::Unread,
            }
        }
    }

    fn take(&mut self, live: &mut Live, push: Push) {
        live.due += 1;
        match push.event {
            Event::Notices(notices) => notices.into_iter().for_each(|notice| self.out.tell(notice)),
            // While in doubt a promise waits for the check.
            Event::Freshness(freshness) => {
                if !matches!(*self.out.freshness.borrow(), Freshness::Offline { .. }) {
                    self.out.promise(freshness);
                }
                self.check_now(live);
            }
        }
    }

    fn check_now(&mut self, live: &Live) {
        if self.checks.is_empty() {
            self.checks.spawn(check(self.peer.clone(), live.place.number));
        }
    }

    /// What a check says; `false` when the subscription is lost.
    fn weigh(&mut self, live: &mut Live, checked: Result<(u64, Freshness)>) -> bool {
        match checked {
            Ok((sent, promise)) if sent <= live.due => {
                live.missing = None;
                self.out.promise(promise);
                true
            }
            Ok((sent, _)) => {
                let still = live.missing.is_some_and(|before| before > live.due);
                live.missing = Some(sent);
                !still
            }
            Err(why) if why.kind == ErrorKind::NotFound => false,
            Err(why) => {
                tracing::debug!(%why, "a watch is in doubt");
                self.out.doubt();
                true
            }
        }
    }

    /// Gives a subscription up at the gateway. If that is not heard there, it ends with the session.
    fn unwatch(&self, subscription: u64) {
        let peer = self.peer.clone();
        tokio::spawn(async move {
            let ask = Ask::Unwatch { subscription };
            if let Err(why) = peer.ask(&Cx::system(Priority::Background), ask).await {
                tracing::debug!(%why, "giving up a subscription");
            }
        });
    }
}

/// Subscribes as soon as the gateway can be reached. An error says that it will never do.
async fn subscribe_at_last(peer: &Arc<Peer>) -> Result<(Live, Freshness)> {
    let mut state = peer.link.state();
    loop {
        if state.wait_for(LinkState::is_up).await.is_err() {
            return Err(Error::new(ErrorKind::Offline, "watch", peer.name()));
        }
        match subscribe(peer, &Cx::system(Priority::Interactive)).await {
            Err(why) if why.kind == ErrorKind::Unsupported => return Err(why),
            Err(why) => {
                tracing::debug!(%why, "cannot subscribe yet");
                tokio::time::sleep(RETRY).await;
            }
            subscribed => return subscribed,
        }
    }
}
