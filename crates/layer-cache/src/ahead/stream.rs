//! Read-ahead of one open file: sees the reads, says how far ahead of them data should be. Pure.
//!
//! A stream starts with a small window. Each read that goes on where the last ones ended lets it double, up
//! to a ceiling that the caller takes from the link (at least twice rate x round trip). Clients send several
//! reads at once and these may overtake one another, so "goes on" means: near the furthest point reached.
//! One read elsewhere shrinks the window to nothing; it takes two in a row to start again.

use crate::WINDOW_START_BYTES;
use std::ops::Range;

/// How far from the furthest point a read may lie and still belong to the stream, bytes: eight pipelined
/// reads of 1 MiB.
const REORDER_BYTES: u64 = 8 << 20;
/// Reads elsewhere that a stream survives: a look at the index at the end of a media file.
const STRAY_READS: u32 = 2;

/// The reads of one handle.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// End of the furthest read of the run.
    reached: u64,
    /// Reads in a row that belong together.
    run: u32,
    /// Reads elsewhere since the last one that belonged.
    strays: u32,
    window: u64,
    /// End of the last read elsewhere: a second one behind it starts a new run there.
    stray_end: u64,
}

impl Stream {
    /// A read arrives; returns what should be here or on its way beyond it. `ceiling` is the largest window.
    pub(crate) fn on_read(&mut self, read: Range<u64>, ceiling: u64) -> Range<u64> {
        if !self.belongs(&read) {
            self.stray(&read);
            return read.end..read.end;
        }
        self.strays = 0;
        self.run += 1;
        self.reached = self.reached.max(read.end);
        if self.run >= 2 {
            let floor = WINDOW_START_BYTES.min(ceiling);
            self.window = (self.window * 2).clamp(floor, ceiling);
        }
        self.reached..self.reached.saturating_add(self.window)
    }

    /// Whether this handle is being read front to back.
    pub(crate) fn is_sequential(&self) -> bool {
        self.run >= 2
    }

    fn belongs(&self, read: &Range<u64>) -> bool {
        if self.run == 0 {
            return read.start == self.reached;
        }
        // Forward a gap is only what overtaking reads leave, which is no more than what was asked for so far.
        let ahead = self.reached.saturating_add(REORDER_BYTES.min(self.window.max(read.end - read.start)));
        read.start <= ahead && read.start >= self.reached.saturating_sub(REORDER_BYTES)
    }

    fn stray(&mut self, read: &Range<u64>) {
        self.strays += 1;
        let goes_on = read.start == self.stray_end && self.strays > 1;
        self.stray_end = read.end;
        if goes_on || self.strays > STRAY_READS {
            let run = if goes_on { 1 } else { 0 };
            *self = Stream { reached: read.end, run, stray_end: read.end, ..Stream::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    fn read(stream: &mut Stream, at: u64, length: u64) -> u64 {
        let ahead = stream.on_read(at..at + length, 16 * MIB);
        ahead.end - ahead.start
    }

    #[test]
    fn the_window_doubles_from_its_start_to_the_ceiling() {
        let mut stream = Stream::default();
        let windows: Vec<u64> = (0..9).map(|n| read(&mut stream, n * 65536, 65536) / 1024).collect();
        assert_eq!(windows, [0, 256, 512, 1024, 2048, 4096, 8192, 16384, 16384]);
    }

    #[test]
    fn pipelined_reads_may_overtake() {
        let mut stream = Stream::default();
        for at in [0, 1, 3, 2, 5, 4, 6, 7] {
            read(&mut stream, at * MIB, MIB);
        }
        assert!(read(&mut stream, 8 * MIB, MIB) == 16 * MIB, "{stream:?}");
    }

    #[test]
    fn a_stray_read_asks_for_nothing_and_the_stream_survives_it() {
        let mut stream = Stream::default();
        (0..5).for_each(|n| {
            read(&mut stream, n * MIB, MIB);
        });
        assert_eq!(read(&mut stream, 900 * MIB, 4096), 0);
        assert!(read(&mut stream, 5 * MIB, MIB) >= 4 * MIB);
    }

    #[test]
    fn a_stream_may_start_anywhere() {
        let mut stream = Stream::default();
        for n in 0..4 {
            read(&mut stream, 500 * MIB + n * 65536, 65536);
        }
        assert!(stream.is_sequential(), "{stream:?}");
    }

    proptest! {
        /// Reads far apart from each other and from the start ask for nothing ahead.
        #[test]
        fn random_reads_ask_for_nothing(places in prop::collection::vec(1u64..1000, 1..100)) {
            let mut stream = Stream::default();
            let mut last: Option<u64> = None;
            for place in places {
                if last.is_some_and(|last| last.abs_diff(place) < 2) { continue }
                last = Some(place);
                prop_assert_eq!(read(&mut stream, place * 64 * MIB, 4096), 0);
            }
        }

        /// Whatever is read, never more than the ceiling ahead.
        #[test]
        fn never_beyond_the_ceiling(reads in prop::collection::vec((0u64..64, 1u64..32), 1..100), ceiling in 1u64..(32 * MIB)) {
            let mut stream = Stream::default();
            for (at, length) in reads {
                let ahead = stream.on_read(at * MIB..at * MIB + length * 65536, ceiling);
                prop_assert!(ahead.end - ahead.start <= ceiling);
            }
        }
    }
}
