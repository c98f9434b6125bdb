//! What the link to the origin carries: the largest rate and the smallest round trip seen lately. Pure.
//!
//! Both come from the requests that are made anyway. Rate is bytes that arrived in a span at least one round
//! trip long while requests were out all the time; round trip is the quickest answer to any request. Old
//! maxima and minima fade, so that a link that changed is noticed within a minute.

use std::time::{Duration, Instant};

/// How long a maximum or minimum counts.
const MEMORY: Duration = Duration::from_secs(30);
/// Shortest span over which a rate is taken.
const SPAN_MIN: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
pub(crate) struct Pace {
    out: usize,
    span: Option<(Instant, u64)>,
    rate: Option<(Instant, f64)>,
    round_trip: Option<(Instant, Duration)>,
}

impl Pace {
    pub(crate) fn begin(&mut self, now: Instant) {
        self.out += 1;
        if self.span.is_none() {
            self.span = Some((now, 0));
        }
    }

    /// A request ended that began at `began`; `bytes` is `None` when it failed.
    pub(crate) fn end(&mut self, began: Instant, now: Instant, bytes: Option<u64>) {
        self.out -= 1;
        if let Some(bytes) = bytes {
            let took = now - began;
            if self.round_trip.is_none_or(|(seen, least)| took <= least || now - seen > MEMORY) {
                self.round_trip = Some((now, took));
            }
            self.arrived(now, bytes);
        }
        if self.out == 0 {
            self.span = None;
        }
    }

    fn arrived(&mut self, now: Instant, bytes: u64) {
        let Some((since, so_far)) = &mut self.span else { return };
        *so_far += bytes;
        let length = now - *since;
        if length < SPAN_MIN.max(self.round_trip.map_or(SPAN_MIN, |(_, least)| least)) {
            return;
        }
        let rate = *so_far as f64 / length.as_secs_f64();
        if self.rate.is_none_or(|(seen, most)| rate >= most || now - seen > MEMORY) {
            self.rate = Some((now, rate));
        }
        self.span = Some((now, 0));
    }

    /// Rate x round trip, bytes; `None` before enough was seen.
    pub(crate) fn on_the_way(&self) -> Option<u64> {
        let ((_, rate), (_, round_trip)) = (self.rate?, self.round_trip?);
        Some((rate * round_trip.as_secs_f64()) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_rate_times_round_trip_of_a_link() {
        // 100 ms, 12.5 MB/s: 64 KiB each 5.24 ms, always 40 requests out.
        let (mut pace, start) = (Pace::default(), Instant::now());
        let at = |n: u64| start + Duration::from_micros(5243 * n);
        (0..20).for_each(|_| pace.begin(start));
        for n in 20..400u64 {
            pace.begin(at(n));
            pace.end(at(n - 20), at(n), Some(65536));
        }
        let bytes = pace.on_the_way().unwrap();
        assert!((1_000_000..1_700_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn says_nothing_before_it_saw_anything() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert_eq!(pace.on_the_way(), None);
        pace.begin(now);
        pace.end(now, now + Duration::from_secs(1), None);
        assert_eq!(pace.on_the_way(), None);
    }
}
