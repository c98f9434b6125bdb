//! Room of one connection: how many bytes of each kind it may have here at a time. What is beyond waits, with its request;
//! nothing is dropped for want of room.
//!
//! | room | taken for | given back when |
//! |---|---|---|
//! | reads | a READ's payload, as much as is asked for | it is sent |
//! | answers | what other requests ask for: listings, information, changes, the outputs of FSCTLs, but not what comes out of pipes | what is not needed when the answer is there, the rest when it is sent |
//! | restored | a compressed message, as long as it becomes | it is answered |
//!
//! Whoever waits for room holds none of the same kind that is not on its way to the client: a READ in a chain is refused
//! rather than waits, and before another request of a chain waits, what is answered so far is sent (`dispatch`). A
//! request takes its room before it waits for anything else that requests hold.

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
    reads: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    restored: Arc<Semaphore>,
}

/// Room for an answer that is not there yet.
pub(crate) struct AnswerRoom(OwnedSemaphorePermit);

impl AnswerRoom {
    /// Goes with the answer; what that does not need is free for others.
    pub(crate) fn with(mut self, answer: Answer) -> Answer {
        let bytes = u32::try_from(answer.body.len() + answer.payload.len()).unwrap_or(u32::MAX);
        let needed = units(bytes, ANSWER_UNIT_BYTES) as usize;
        if let Some(surplus) = self.0.num_permits().checked_sub(needed) {
            drop(self.0.split(surplus));
        }
        Answer { room: Some(self.0), ..answer }
    }
}

fn units(bytes: u32, unit: u32) -> u32 {
    bytes.div_ceil(unit).max(1)
}

impl Default for Rooms {
    fn default() -> Rooms {
        let room = |bytes: u32, unit: u32| Arc::new(Semaphore::new((bytes / unit) as usize));
        Rooms {
            reads: room(limits::READ_ROOM_BYTES, READ_UNIT_BYTES),
            answers: room(limits::ANSWER_ROOM_BYTES, ANSWER_UNIT_BYTES),
            restored: room(limits::RESTORED_ROOM_BYTES, RESTORED_UNIT_BYTES),
        }
    }
}

impl Rooms {
    /// For a READ of `bytes`. Waits, unless the request stands in a chain: that may itself hold what it would wait for.
    pub(crate) async fn read(&self, bytes: u32, in_chain: bool) -> Option<OwnedSemaphorePermit> {
        let units = units(bytes, READ_UNIT_BYTES);
        let room = Arc::clone(&self.reads);
        match room.clone().try_acquire_many_owned(units) {
            Err(_) if !in_chain => room.acquire_many_owned(units).await.ok(),
            taken => taken.ok(),
        }
    }

    /// For an answer of at most `bytes`, if there is room at once.
    pub(crate) fn try_answer(&self, bytes: u32) -> Option<AnswerRoom> {
        let units = units(bytes, ANSWER_UNIT_BYTES);
        Arc::clone(&self.answers).try_acquire_many_owned(units).ok().map(AnswerRoom)
    }

    /// The same, and waits.
    pub(crate) async fn answer(&self, bytes: u32) -> Option<AnswerRoom> {
        let units = units(bytes, ANSWER_UNIT_BYTES);
        Arc::clone(&self.answers).acquire_many_owned(units).await.ok().map(AnswerRoom)
    }

    /// For a compressed message that becomes so long. Waits: what holds it does not wait for more.
    pub(crate) async fn restored(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Disconnect> {
        let units = units(u32::try_from(bytes)?, RESTORED_UNIT_BYTES);
        Ok(Arc::clone(&self.restored).acquire_many_owned(units).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_keeps_what_it_needs() {
        let rooms = Rooms::default();
        let half = limits::ANSWER_ROOM_BYTES / 2;
        let [first, second] = [half, half].map(|bytes| rooms.try_answer(bytes).unwrap());
        assert!(rooms.try_answer(0).is_none());
        let short = first.with(Answer { body: vec![0; 100], ..Answer::default() });
        let rest = rooms.try_answer(half - ANSWER_UNIT_BYTES).unwrap();
        assert!(rooms.try_answer(0).is_none());
        // One that came out longer than was asked for has what it asked for.
        let long = second.with(Answer { body: vec![0; half as usize + 100], ..Answer::default() });
        drop((rest, short));
        assert!(rooms.try_answer(half + 1).is_none());
        drop(long);
        assert!(rooms.try_answer(2 * half).is_some());
    }
}
