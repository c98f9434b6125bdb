//! Those who watch one directory for the same changes, on one account: they keep one list, and each knows how far he has
//! read it. What all have read is dropped, so however many there are, a change is kept once.
//!
//! A list has two bounds, events and what its account may keep (`accounts`). Who falls behind by more than the first
//! loses what he has not fetched; past the second all do. Who has lost something is told so when he asks, and until
//! then nothing is kept for him.

use super::{Filter, NotifyBatch, NotifyEvent};
use crate::accounts::{Account, What};
use crate::{Error, Result};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::{Mutex as AsyncMutex, Notify};

/// What was not fetched yet. Plain state.
#[derive(Debug)]
struct Backlog {
    /// Most events in it.
    limit: usize,
    account: Arc<Account>,
    kept: VecDeque<Kept>,
    /// The number of the first that is kept, or will be.
    first: u64,
    /// Readers that have lost nothing.
    attentive: usize,
}

#[derive(Debug)]
struct Kept {
    event: NotifyEvent,
    /// Attentive readers who have yet to fetch it.
    unread: usize,
}

impl Kept {
    /// What it costs to keep an event, bytes.
    fn cost(event: &NotifyEvent) -> usize {
        size_of::<Kept>() + event.name.len() + event.stream.as_deref().map_or(0, str::len)
    }
}

/// How far one has read: the number of the first event that he has not fetched. He has lost something where it is not kept
/// any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Reader(u64);

/// Before the first that any list has.
const LOST: Reader = Reader(0);

impl Backlog {
    fn new(limit: usize, account: Arc<Account>) -> Backlog {
        Backlog { limit, account, kept: VecDeque::new(), first: LOST.0 + 1, attentive: 0 }
    }

    fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    /// One who hears all from here on.
    fn join(&mut self) -> Reader {
        self.attentive += 1;
        Reader(self.end())
    }

    /// He loses what he has not fetched, and hears nothing more before he has been told so.
    fn lose(&mut self, reader: &mut Reader) {
        if reader.0 >= self.first {
            self.has_read(reader.0);
            self.attentive -= 1;
        }
        *reader = LOST;
    }

    fn push(&mut self, event: NotifyEvent) {
        if self.kept.back().is_some_and(|last| last.unread == self.attentive && event.repeats(&last.event)) {
            return;
        }
        if self.kept.len() >= self.limit {
            self.lose_those_behind();
        }
        if self.attentive == 0 {
            return;
        }
        match self.account.take(What::ChangeBytes, Kept::cost(&event)) {
            Ok(()) => self.kept.push_back(Kept { event, unread: self.attentive }),
            // Told to those whom it concerns when they ask.
            Err(_) => self.lose_all(),
        }
    }

    /// Who has not fetched the first event loses all.
    fn lose_those_behind(&mut self) {
        let behind = self.kept.front().map_or(0, |first| first.unread);
        self.kept.iter_mut().for_each(|kept| kept.unread -= behind);
        self.attentive -= behind;
        self.drop_read();
    }

    /// Nobody hears what is there or comes now.
    fn lose_all(&mut self) {
        let cost = self.kept.iter().map(|kept| Kept::cost(&kept.event)).sum();
        self.account.give_back(What::ChangeBytes, cost);
        self.first = self.end() + 1;
        self.kept = VecDeque::new();
        self.attentive = 0;
    }

    /// What there is to tell, if anything.
    fn take(&mut self, reader: &mut Reader) -> Option<NotifyBatch> {
        let from = std::mem::replace(&mut reader.0, self.end());
        if from < self.first {
            self.attentive += 1;
            return Some(NotifyBatch::Overflow);
        }
        let unread = self.kept.range((from - self.first) as usize..).map(|kept| kept.event.clone());
        let mut events: Vec<NotifyEvent> = unread.collect();
        events.dedup_by(|next, last| next.repeats(last));
        self.has_read(from);
        (!events.is_empty()).then_some(NotifyBatch::Events(events))
    }

    /// An attentive reader needs these no more.
    fn has_read(&mut self, from: u64) {
        self.kept.range_mut((from - self.first) as usize..).for_each(|kept| kept.unread -= 1);
        self.drop_read();
    }

    fn drop_read(&mut self) {
        while let Some(read) = self.kept.pop_front_if(|kept| kept.unread == 0) {
            self.account.give_back(What::ChangeBytes, Kept::cost(&read.event));
            self.first += 1;
        }
        if self.kept.len() < self.kept.capacity() / 4 {
            self.kept.shrink_to_fit();
        }
    }
}

/// One audience.
#[derive(Debug)]
pub(super) struct Audience {
    pub(super) key: Key,
    state: Mutex<State>,
    /// Told when there is something to fetch.
    news: Notify,
}

/// By what an audience is found among those of its directory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key {
    pub filter: Filter,
    pub recursive: bool,
    /// Where its account is, which it keeps there.
    pub account: usize,
    /// Of its own: a move may bring two together that are alike otherwise.
    pub number: u64,
}

impl Key {
    /// Whether the event is for this audience, it being `depth` directories below the watched one.
    pub(super) fn wants(self, change: Filter, depth: usize) -> bool {
        self.filter.intersects(change) && (depth == 0 || self.recursive)
    }
}

#[derive(Debug)]
struct State {
    backlog: Backlog,
    members: usize,
    /// The directory goes away.
    ended: bool,
}

impl Audience {
    pub(super) fn new(key: Key, limit: usize, account: Arc<Account>) -> Audience {
        let state = State { backlog: Backlog::new(limit, account), members: 0, ended: false };
        Audience { key, state: Mutex::new(state), news: Notify::new() }
    }

    pub(super) fn offer(&self, events: &[NotifyEvent]) {
        let mut state = self.state.lock();
        events.iter().for_each(|event| state.backlog.push(event.clone()));
        drop(state);
        self.news.notify_waiters();
    }

    pub(super) fn lose(&self) {
        self.state.lock().backlog.lose_all();
        self.news.notify_waiters();
    }

    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        state.backlog.lose_all();
        state.ended = true;
        drop(state);
        self.news.notify_waiters();
    }
}

/// One of an audience.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(super) audience: Arc<Audience>,
    /// Locked while the audience's state is.
    place: Mutex<Place>,
    /// Who asks first is told first.
    turn: AsyncMutex<()>,
    /// Told of what concerns this one alone.
    own_news: Notify,
}

#[derive(Debug)]
struct Place {
    reader: Reader,
    closed: bool,
}

impl Watcher {
    pub(super) fn join(audience: Arc<Audience>) -> Watcher {
        let mut state = audience.state.lock();
        state.members += 1;
        let place = Place { reader: state.backlog.join(), closed: false };
        drop(state);
        Watcher { audience, place: Mutex::new(place), turn: AsyncMutex::default(), own_news: Notify::new() }
    }

    /// Hears nothing more. Whether nobody is left in the audience.
    pub(super) fn leave(&self) -> bool {
        let mut state = self.audience.state.lock();
        let mut place = self.place.lock();
        state.backlog.lose(&mut place.reader);
        place.closed = true;
        state.members -= 1;
        self.own_news.notify_one();
        state.members == 0
    }

    /// What was fetched did not come to whom it is for.
    pub(crate) fn lose(&self) {
        self.audience.state.lock().backlog.lose(&mut self.place.lock().reader);
        self.own_news.notify_one();
    }

    /// Waits for something to tell. Dropping the future loses nothing; several wait in their order.
    pub(crate) async fn next(&self) -> Result<NotifyBatch> {
        let _turn = self.turn.lock().await;
        loop {
            let (news, own_news) = (self.audience.news.notified(), self.own_news.notified());
            if let Some(told) = self.take() {
                return told;
            }
            tokio::select! {
                () = news => {}
                () = own_news => {}
            }
        }
    }

    fn take(&self) -> Option<Result<NotifyBatch>> {
        let mut state = self.audience.state.lock();
        let mut place = self.place.lock();
        match (place.closed, state.ended) {
            (true, _) => Some(Err(Error::Closed)),
            (false, true) => Some(Err(Error::DeletePending)),
            (false, false) => state.backlog.take(&mut place.reader).map(Ok),
        }
    }
}

#[cfg(test)]
mod tests;
