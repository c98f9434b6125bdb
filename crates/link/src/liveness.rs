//! When to probe a connection, and when to give it up. No I/O, no clock.
//!
//! A connection on which something waits is probed after `probe_interval` of silence, and again after each further
//! one. It is dead when the oldest unanswered probe is `probes_missed` intervals old, unless our own backlog is
//! still draining: on a slow link a probe waits behind the data sent before it, and the acknowledgements of that
//! data are the sign of life.

use crate::LinkConfig;
use std::time::{Duration, Instant};

/// What is seen of a connection at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// When the last bytes arrived.
    pub(crate) received: Instant,
    /// Something waits for an answer or to be written.
    pub(crate) waiting: bool,
    /// Bytes written in all that the other kernel has acknowledged.
    pub(crate) acknowledged: u64,
    /// Bytes written that the other kernel has not acknowledged.
    pub(crate) backlog: usize,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fine,
    Probe,
    /// Give up; nothing was heard for this long.
    Dead(Duration),
}

/// The memory of one connection.
#[derive(Debug)]
pub(crate) struct Liveness {
    probe_interval: Duration,
    patience: Duration,
    idle_interval: Duration,
    /// First and latest probe since anything was received.
    unanswered: Option<(Instant, Instant)>,
    last_probe: Option<Instant>,
    acknowledged: u64,
    progress: Instant,
}

impl Liveness {
    pub(crate) fn new(config: &LinkConfig, now: Instant) -> Liveness {
        Liveness {
            probe_interval: config.probe_interval,
            patience: config.probe_interval * config.probes_missed,
            idle_interval: config.idle_interval,
            unanswered: None,
            last_probe: None,
            acknowledged: 0,
            progress: now,
        }
    }

    /// How often to look.
    pub(crate) fn tick(&self) -> Duration {
        self.probe_interval / 4
    }

    /// Judges the connection; after `Probe` the caller sends one.
    pub(crate) fn judge(&mut self, now: Instant, seen: Seen) -> Verdict {
        if seen.acknowledged > self.acknowledged {
            self.acknowledged = seen.acknowledged;
            self.progress = now;
        }
        if self.unanswered.is_some_and(|(_, latest)| seen.received > latest) {
            self.unanswered = None;
        }
        let silence = now.saturating_duration_since(seen.received);
        if let Some((first, latest)) = self.unanswered {
            let draining = seen.backlog > 0 && now.saturating_duration_since(self.progress) < self.patience;
            if now.saturating_duration_since(first) >= self.patience && silence >= self.patience && !draining
            {
                return Verdict::Dead(silence);
            }
            if now.saturating_duration_since(latest) >= self.probe_interval {
                return self.probe(now);
            }
            return Verdict::Fine;
        }
        let idle = self.last_probe.is_none_or(|at| now.saturating_duration_since(at) >= self.idle_interval);
        if idle || seen.waiting && silence >= self.probe_interval {
            return self.probe(now);
        }
        Verdict::Fine
    }

    fn probe(&mut self, now: Instant) -> Verdict {
        self.last_probe = Some(now);
        self.unanswered = Some((self.unanswered.map_or(now, |(first, _)| first), now));
        Verdict::Probe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Line {
        liveness: Liveness,
        start: Instant,
        received: Instant,
        acknowledged: u64,
        backlog: usize,
        waiting: bool,
    }

    impl Line {
        fn new() -> Line {
            let start = Instant::now();
            let liveness = Liveness::new(&LinkConfig::default(), start);
            Line { liveness, start, received: start, acknowledged: 0, backlog: 0, waiting: false }
        }

        fn at(&mut self, millis: u64) -> Verdict {
            let now = self.start + Duration::from_millis(millis);
            let Line { received, acknowledged, backlog, waiting, .. } = *self;
            self.liveness.judge(now, Seen { received, waiting, acknowledged, backlog })
        }

        fn hear(&mut self, millis: u64) {
            self.received = self.start + Duration::from_millis(millis);
        }
    }

    #[test]
    fn an_idle_line_is_probed_at_first_and_then_each_idle_interval() {
        let mut line = Line::new();
        assert_eq!(line.at(0), Verdict::Probe);
        line.hear(50);
        assert_eq!(line.at(5_000), Verdict::Fine);
        assert_eq!(line.at(14_900), Verdict::Fine);
        assert_eq!(line.at(15_000), Verdict::Probe);
    }

    #[test]
    fn a_waiting_line_is_dead_after_three_intervals_of_silence() {
        let mut line = Line::new();
        line.at(0);
        line.hear(50);
        line.waiting = true;
        assert_eq!(line.at(800), Verdict::Fine);
        assert_eq!(line.at(1_050), Verdict::Probe);
        assert_eq!(line.at(1_300), Verdict::Fine);
        assert_eq!(line.at(2_050), Verdict::Probe);
        assert_eq!(line.at(2_800), Verdict::Fine);
        assert_eq!(line.at(3_050), Verdict::Dead(Duration::from_secs(3)));
    }

    #[test]
    fn any_sign_of_life_saves_it() {
        let mut line = Line::new();
        line.at(0);
        line.hear(50);
        line.waiting = true;
        line.at(1_050);
        line.at(2_050);
        line.hear(2_900);
        assert_eq!(line.at(3_050), Verdict::Fine);
    }

    #[test]
    fn a_draining_backlog_is_a_sign_of_life_but_acknowledged_probes_alone_are_not() {
        let mut line = Line::new();
        line.at(0);
        line.hear(50);
        line.waiting = true;
        line.backlog = 100_000;
        for tick in 1..40 {
            line.acknowledged += 1_000;
            assert!(!matches!(line.at(250 * tick), Verdict::Dead(_)), "tick {tick}");
        }
        line.backlog = 0;
        assert!(matches!(line.at(10_250), Verdict::Dead(_)));
    }
}
