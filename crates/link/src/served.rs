//! The callee's memory: which calls of a peer run, and the answers of `Once` calls that may be asked for again.
//! No I/O, no clock.
//!
//! A call arrives, runs and is answered; a repeat of its id joins the running one or gets the kept answer. Answers
//! are kept for `Once` calls only, until the caller says that all its older `Once` calls are done (the floor). A
//! copy of a `Once` call below the floor is a straggler and is not executed.

use crate::config::{MAX_KEPT_ANSWERS, MAX_KEPT_BYTES, MAX_SERVED_BYTES, MAX_SERVED_CALLS};
use crate::{Message, Mode};
use std::collections::{BTreeMap, HashMap};

/// An answer, or why a call that was executed has none.
pub(crate) type Outcome = Result<Message, String>;

/// What to do with a call that arrived.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Execute it and say [`Served::finish`].
    Run,
    /// It runs already; its answer will do for both.
    Joined,
    /// It was executed before; send this.
    Answered(Outcome),
    /// A straggler that nobody waits for.
    Stale,
    /// Turn it away.
    Refuse(&'static str),
}

#[derive(Debug)]
struct Running {
    mode: Mode,
    bytes: usize,
    /// The lane its request last came over; `None` when the caller gave it up.
    lane: Option<u64>,
}

/// The calls of one peer process.
#[derive(Debug, Default)]
pub(crate) struct Served {
    running: HashMap<u64, Running>,
    running_bytes: usize,
    kept: BTreeMap<u64, Outcome>,
    kept_bytes: usize,
    floor: u64,
    /// Calls finished since the peer process was first met.
    finished: u64,
}

fn kept_size(outcome: &Outcome) -> usize {
    outcome.as_ref().map_or_else(String::len, Message::len)
}

impl Served {
    /// Takes in a call whose request of `bytes` came over `lane`.
    pub(crate) fn admit(&mut self, id: u64, mode: Mode, bytes: usize, lane: u64) -> Admission {
        if let Some(running) = self.running.get_mut(&id) {
            running.lane = Some(lane);
            return Admission::Joined;
        }
        if mode == Mode::Once {
            if let Some(outcome) = self.kept.get(&id) {
                return Admission::Answered(outcome.clone());
            }
            if id < self.floor {
                return Admission::Stale;
            }
            if self.kept.len() >= MAX_KEPT_ANSWERS || self.kept_bytes >= MAX_KEPT_BYTES {
                return Admission::Refuse("busy: too many answers of Once calls are not yet confirmed");
            }
        }
        if self.running.len() >= MAX_SERVED_CALLS || self.running_bytes + bytes > MAX_SERVED_BYTES {
            return Admission::Refuse("busy: too many calls in progress");
        }
        self.running.insert(id, Running { mode, bytes, lane: Some(lane) });
        self.running_bytes += bytes;
        Admission::Run
    }

    /// Notes the outcome of a call that ran; the lane it goes to, if the caller still wants it.
    pub(crate) fn finish(&mut self, id: u64, outcome: &Outcome) -> Option<u64> {
        let running = self.running.remove(&id)?;
        self.running_bytes -= running.bytes;
        self.finished += 1;
        if running.mode == Mode::Once && id >= self.floor {
            self.kept_bytes += kept_size(outcome);
            self.kept.insert(id, outcome.clone());
        }
        running.lane
    }

    /// The caller gave the call up.
    pub(crate) fn cancel(&mut self, id: u64) {
        if let Some(running) = self.running.get_mut(&id) {
            running.lane = None;
        }
    }

    /// All `Once` calls below `floor` are done at the caller.
    pub(crate) fn raise_floor(&mut self, floor: u64) {
        if floor <= self.floor {
            return;
        }
        self.floor = floor;
        let still = self.kept.split_off(&floor);
        let dropped = std::mem::replace(&mut self.kept, still);
        self.kept_bytes -= dropped.values().map(kept_size).sum::<usize>();
    }

    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    pub(crate) fn finished(&self) -> u64 {
        self.finished
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &'static str) -> Outcome {
        Ok(Message::new(text, ""))
    }

    #[test]
    fn a_once_call_runs_once_and_its_answer_is_kept_until_the_floor_passes() {
        let mut served = Served::default();
        assert_eq!(served.admit(5, Mode::Once, 10, 1), Admission::Run);
        assert_eq!(served.admit(5, Mode::Once, 10, 2), Admission::Joined);
        assert_eq!(served.finish(5, &answer("done")), Some(2));
        assert_eq!(served.admit(5, Mode::Once, 10, 1), Admission::Answered(answer("done")));
        served.raise_floor(5);
        assert_eq!(served.admit(5, Mode::Once, 10, 1), Admission::Answered(answer("done")));
        served.raise_floor(6);
        assert_eq!(served.admit(5, Mode::Once, 10, 1), Admission::Stale);
        assert_eq!((served.kept.len(), served.kept_bytes, served.running_bytes), (0, 0, 0));
    }

    #[test]
    fn a_repeatable_call_joins_while_it_runs_and_runs_again_later() {
        let mut served = Served::default();
        assert_eq!(served.admit(1, Mode::Repeatable, 0, 1), Admission::Run);
        assert_eq!(served.admit(1, Mode::Repeatable, 0, 1), Admission::Joined);
        assert_eq!(served.finish(1, &answer("a")), Some(1));
        served.raise_floor(100);
        assert_eq!(served.admit(1, Mode::Repeatable, 0, 1), Admission::Run);
    }

    #[test]
    fn a_cancelled_call_is_not_answered_unless_asked_for_again() {
        let mut served = Served::default();
        served.admit(1, Mode::Once, 0, 1);
        served.cancel(1);
        assert_eq!(served.finish(1, &answer("late")), None);
        assert_eq!(served.admit(1, Mode::Once, 0, 1), Admission::Answered(answer("late")));
    }

    #[test]
    fn the_limits_refuse() {
        let mut served = Served::default();
        for id in 0..MAX_SERVED_CALLS as u64 {
            assert_eq!(served.admit(id, Mode::Repeatable, 0, 1), Admission::Run);
        }
        assert!(matches!(served.admit(u64::MAX, Mode::Repeatable, 0, 1), Admission::Refuse(_)));
        let mut served = Served::default();
        assert_eq!(served.admit(1, Mode::Repeatable, MAX_SERVED_BYTES, 1), Admission::Run);
        assert!(matches!(served.admit(2, Mode::Repeatable, 1, 1), Admission::Refuse(_)));
        let mut served = Served::default();
        for id in 0..MAX_KEPT_ANSWERS as u64 {
            served.admit(id, Mode::Once, 0, 1);
            served.finish(id, &answer(""));
        }
        assert!(matches!(served.admit(u64::MAX, Mode::Once, 0, 1), Admission::Refuse(_)));
        assert_eq!(served.admit(u64::MAX, Mode::Repeatable, 0, 1), Admission::Run);
    }
}
