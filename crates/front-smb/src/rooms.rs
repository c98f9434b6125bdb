//! Room of one connection: how many bytes of each kind it may have here at a time. What is beyond waits, with its request;
//! nothing is dropped for want of room.
//!
//! | room | taken for | given back when |
//! |---|---|---|
//! | reads | a READ's payload, as much as is asked for | what a short one does not need when it is there, the rest when it is sent |
//! | answers | what other requests ask for: listings, information, changes, the outputs of FSCTLs, but not what comes out of pipes | what is not needed when the answer is there, the rest when it is sent |
//! | restored | a compressed message, as long as it becomes | it is answered |
//!
//! Whoever waits for room holds none of the same kind that is not on its way to the client: before a request of a chain
//! waits, what is answered so far is sent (`dispatch`). A request takes its room before it waits for anything else that
//! requests hold.

use crate::connection::Disconnect;
use crate::limits;
use crate::reply::Answer;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How finely room for READs is counted.
const READ_UNIT_BYTES: u32 = 64 * 1024;
/// Finer, as most answers are short.
const ANSWER_UNIT_BYTES: u32 = 4 * 1024;
/// As requests that only wait take up room too.
const RESTORED_UNIT_BYTES: u32 = 4 * 1024;

pub(crate) struct Rooms {
    pub(crate) reads: Room,
    pub(crate) answers: Room,
    restored: Room,
}

/// Room of one kind.
pub(crate) struct Room {
    free: Arc<Semaphore>,
    unit_bytes: u32,
}

/// Room for an answer that is not there yet.
pub(crate) struct Taken {
    permit: OwnedSemaphorePermit,
    unit_bytes: u32,
}

impl Taken {
    /// Goes with the answer; what that does not need is free for others.
    pub(crate) fn with(mut self, answer: Answer) -> Answer {
        let bytes = u32::try_from(answer.body.len() + answer.payload_len()).unwrap_or(u32::MAX);
        let needed = units(bytes, self.unit_bytes) as usize;
        if let Some(surplus) = self.permit.num_permits().checked_sub(needed) {
            drop(self.permit.split(surplus));
        }
        Answer { room: Some(self.permit), ..answer }
    }
}

impl Room {
    fn new(bytes: u32, unit_bytes: u32) -> Room {
        Room { free: Arc::new(Semaphore::new((bytes / unit_bytes) as usize)), unit_bytes }
    }

    fn grow(&self, bytes: u32) {
        self.free.add_permits((bytes / self.unit_bytes) as usize);
    }

    /// For at most `bytes`, if there is room at once.
    pub(crate) fn try_take(&self, bytes: u32) -> Option<Taken> {
        let permit = Arc::clone(&self.free).try_acquire_many_owned(units(bytes, self.unit_bytes)).ok()?;
        Some(Taken { permit, unit_bytes: self.unit_bytes })
    }

    /// The same, and waits.
    pub(crate) async fn take(&self, bytes: u32) -> Option<Taken> {
        let permit = Arc::clone(&self.free).acquire_many_owned(units(bytes, self.unit_bytes)).await.ok()?;
        Some(Taken { permit, unit_bytes: self.unit_bytes })
    }
}

fn units(bytes: u32, unit: u32) -> u32 {
    bytes.div_ceil(unit).max(1)
}

impl Default for Rooms {
    fn default() -> Rooms {
        Rooms {
            reads: Room::new(limits::READ_ROOM_BYTES, READ_UNIT_BYTES),
            answers: Room::new(limits::ANSWER_ROOM_BYTES, ANSWER_UNIT_BYTES),
            restored: Room::new(limits::ANONYMOUS_RESTORED_ROOM_BYTES, RESTORED_UNIT_BYTES),
        }
    }
}

impl Rooms {
    /// Somebody has logged in, once: what he sends may become longer.
    pub(crate) fn let_in(&self) {
        self.restored.grow(limits::RESTORED_ROOM_BYTES - limits::ANONYMOUS_RESTORED_ROOM_BYTES);
    }

    /// For a compressed message that becomes so long. Waits: what holds it does not wait for more.
    pub(crate) async fn restored(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Disconnect> {
        let taken = self.restored.take(u32::try_from(bytes)?).await;
        Ok(taken.ok_or("no message is taken any more")?.permit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_keeps_what_it_needs() {
        let rooms = Rooms::default();
        let half = limits::ANSWER_ROOM_BYTES / 2;
        let [first, second] = [half, half].map(|bytes| rooms.answers.try_take(bytes).unwrap());
        assert!(rooms.answers.try_take(0).is_none());
        let short = first.with(Answer { body: vec![0; 100], ..Answer::default() });
        let rest = rooms.answers.try_take(half - ANSWER_UNIT_BYTES).unwrap();
        assert!(rooms.answers.try_take(0).is_none());
        // One that came out longer than was asked for has what it asked for.
        let long = second.with(Answer { body: vec![0; half as usize + 100], ..Answer::default() });
        drop((rest, short));
        assert!(rooms.answers.try_take(half + 1).is_none());
        drop(long);
        assert!(rooms.answers.try_take(2 * half).is_some());
    }
}
