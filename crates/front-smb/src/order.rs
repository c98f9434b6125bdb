//! Which requests of one open a lost channel leaves in doubt (MS-SMB2 3.3.5.2.10). Plain state.
//!
//! A client counts its channels' failures in the ChannelSequence of each request. Once the server has seen a number, what
//! comes with an older one was sent before the failure and was overtaken: a change among it must not be done any
//! more, for the client has sent it again. And what is sent again must not be done while the first one may still be at work.

/// The order among the requests of one open.
#[derive(Debug, Default)]
pub(crate) struct ChannelOrder {
    sequence: u16,
    /// Numbers seen so far: the numbers themselves come round again.
    generation: u64,
    /// Requests under way that came with this number.
    now: usize,
    /// The same, with numbers before it.
    before: usize,
}

/// How a request was counted; given back to [`ChannelOrder::end`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Counted(Option<u64>);

/// The request must not be done: `STATUS_FILE_NOT_AVAILABLE`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Overtaken;

impl ChannelOrder {
    pub(crate) fn new(sequence: u16) -> ChannelOrder {
        ChannelOrder { sequence, ..ChannelOrder::default() }
    }

    /// A request comes; `again`: it was sent before (SMB2_FLAGS_REPLAY_OPERATION).
    pub(crate) fn begin(&mut self, sequence: u16, again: bool, changes: bool) -> Result<Counted, Overtaken> {
        let ahead = sequence.wrapping_sub(self.sequence);
        if ahead > i16::MAX as u16 {
            return if changes { Err(Overtaken) } else { Ok(Counted(None)) };
        }
        if ahead > 0 {
            self.before += std::mem::take(&mut self.now);
            self.sequence = sequence;
            self.generation += 1;
        }
        if again && changes && self.before > 0 {
            return Err(Overtaken);
        }
        self.now += 1;
        Ok(Counted(Some(self.generation)))
    }

    pub(crate) fn end(&mut self, Counted(generation): Counted) {
        match generation {
            None => {}
            Some(generation) if generation == self.generation => self.now -= 1,
            Some(_) => self.before -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_overtaken_changes_nothing_and_may_look() {
        let mut order = ChannelOrder::new(0);
        let first = order.begin(0, false, true).unwrap();
        order.end(first);
        assert!(order.begin(1, false, false).is_ok());
        assert_eq!(order.begin(0, false, true), Err(Overtaken));
        assert_eq!(order.begin(0, true, true), Err(Overtaken));
        assert_eq!(order.begin(0, false, false), Ok(Counted(None)));
        assert_eq!(order.begin(0x8001, false, true), Err(Overtaken), "too far ahead is behind");
        assert!(order.begin(0x8000, false, true).is_ok());
    }

    #[test]
    fn numbers_come_round_again() {
        let mut order = ChannelOrder::new(0);
        let first = order.begin(0, false, false).unwrap();
        for sequence in [30_000, 60_000, 0] {
            let look = order.begin(sequence, false, false).unwrap();
            order.end(look);
        }
        order.end(first);
        assert_eq!((order.now, order.before), (0, 0));
    }

    #[test]
    fn what_is_sent_again_waits_for_the_end_of_the_first() {
        let mut order = ChannelOrder::new(0);
        let first = order.begin(0, false, true).unwrap();
        assert_eq!(order.begin(1, true, true), Err(Overtaken));
        let other = order.begin(1, false, true).unwrap();
        order.end(first);
        let again = order.begin(1, true, true).unwrap();
        order.end(again);
        order.end(other);
        assert_eq!((order.now, order.before), (0, 0));
    }
}
