//! What is told, and when: decisions without I/O and without a clock.
//!
//! An *incident* goes by its key. States, and what moves it:
//!
//! ```text
//!            raise          after           gather                gather
//! (nothing) ------> young ---------> due: raised ----> told ----> due: still -> told ...    each `remind`
//!                     | clear          | clear          | clear
//!                     v                v                v
//!                 (nothing)         due: over        due: over ----> (nothing)
//! ```
//!
//! **Promise.** Of an incident that lasted for `after` people are told once, once more every `remind` while it lasts and once of its end.
//! What becomes due within `gather` is one digest. There are at most `per_hour` digests in any hour: what is due waits and changes
//! meanwhile, so the next digest tells how things are then. One that is raised again before its end was told goes on as if it had
//! never ended. Text may change at any time; only when an incident becomes graver than it was is it told before its time.
//!
//! **Left to others.** Sending, and trying that again (`line.rs`); words (`text.rs`).

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Incidents that are kept at a time; further ones are counted.
pub const INCIDENTS_MAX: usize = 1000;
/// Notices that are listed in a digest, the gravest ones; the others are counted.
pub const NOTICES_MAX: usize = 100;
/// Longest key, and longest text of an incident, bytes. What is longer is cut.
pub const KEY_MAX_BYTES: usize = 256;
pub const TEXT_MAX_BYTES: usize = 1024;

const HOUR: Duration = Duration::from_secs(3600);

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// It will be an error if nobody looks.
    Warning,
    /// Something is not done that should be.
    Error,
    /// Data may be lost, or nobody is served.
    Critical,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
            Severity::Critical => "critical",
        }
    }
}

/// Where an incident is when it is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum State {
    Raised,
    Still,
    Over,
    /// No incident: somebody tries whether notices arrive.
    Test,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Raised => "raised",
            State::Still => "still",
            State::Over => "over",
            State::Test => "test",
        }
    }
}

/// When people are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// How long an incident lasts before it is told.
    pub after: Duration,
    /// How often it is told anew while it lasts.
    pub remind: Duration,
    /// How long further notices are waited for.
    pub gather: Duration,
    /// Most digests in any hour.
    pub per_hour: usize,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            after: Duration::from_secs(60),
            remind: Duration::from_secs(24 * 3600),
            gather: Duration::from_secs(30),
            per_hour: 20,
        }
    }
}

/// One incident in a digest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    pub key: String,
    pub severity: Severity,
    pub state: State,
    pub text: String,
    pub since: Instant,
    /// Until now, or until it was over.
    pub lasted: Duration,
}

/// What is sent at once.
#[derive(PartialEq, Eq, Debug)]
pub struct Digest {
    /// The gravest first; never empty.
    pub notices: Vec<Notice>,
    /// Notices that are not listed, for there are too many.
    pub unlisted: usize,
    /// Incidents of which nothing but their number is known.
    pub unknown: u64,
    /// It had to wait, as there were too many in the last hour.
    pub held_back: bool,
}

/// An incident, for those who look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Open {
    pub key: String,
    pub severity: Severity,
    pub text: String,
    pub since: Instant,
    pub told: bool,
}

struct Incident {
    severity: Severity,
    text: String,
    since: Instant,
    ended: Option<Instant>,
    /// Whether a digest had it.
    told: bool,
    /// What waits for the next digest.
    due: Option<State>,
    /// When something becomes due by itself.
    next: Instant,
}

pub struct Core {
    rules: Rules,
    incidents: BTreeMap<String, Incident>,
    unknown: u64,
    /// When the next digest may go; `None` while nothing is due.
    flush: Option<Instant>,
    held_back: bool,
    /// The digests of the last hour.
    sent: VecDeque<Instant>,
}

impl Core {
    pub fn new(rules: Rules) -> Core {
        let rules = Rules { per_hour: rules.per_hour.max(1), ..rules };
        let (incidents, sent) = Default::default();
        Core { rules, incidents, unknown: 0, flush: None, held_back: false, sent }
    }

    /// An incident begins or goes on. `false`: there is no room for it.
    pub fn raise(&mut self, now: Instant, key: &str, severity: Severity, text: &str) -> bool {
        let (key, text) = (cut(key, KEY_MAX_BYTES), cut(text, TEXT_MAX_BYTES));
        if let Some(known) = self.incidents.get_mut(key) {
            known.go_on(severity, text);
            return true;
        }
        if self.incidents.len() >= INCIDENTS_MAX {
            self.unknown += 1;
            return false;
        }
        let incident = Incident {
            severity,
            text: text.to_owned(),
            since: now,
            ended: None,
            told: false,
            due: None,
            next: now + self.rules.after,
        };
        self.incidents.insert(key.to_owned(), incident);
        true
    }

    /// It is over, if it was.
    pub fn clear(&mut self, now: Instant, key: &str) {
        let key = cut(key, KEY_MAX_BYTES);
        let Some(known) = self.incidents.get_mut(key).filter(|known| known.ended.is_none()) else { return };
        known.fall_due(now);
        if !known.told && known.due.is_none() {
            self.incidents.remove(key);
            return;
        }
        known.ended = Some(now);
        known.due = Some(State::Over);
    }

    /// The digest whose time has come. To be called after each change, and at [`Core::wake`].
    pub fn tick(&mut self, now: Instant) -> Option<Digest> {
        for incident in self.incidents.values_mut() {
            incident.fall_due(now);
        }
        if self.incidents.values().all(|incident| incident.due.is_none()) {
            (self.flush, self.held_back) = (None, false);
            return None;
        }
        if *self.flush.get_or_insert(now + self.rules.gather) > now {
            return None;
        }
        while self.sent.front().is_some_and(|sent| now.saturating_duration_since(*sent) >= HOUR) {
            self.sent.pop_front();
        }
        if let Some(oldest) = self.sent.front()
            && self.sent.len() >= self.rules.per_hour
        {
            (self.flush, self.held_back) = (Some(*oldest + HOUR), true);
            return None;
        }
        self.sent.push_back(now);
        self.issue(now)
    }

    /// All that is due now, as this process ends. Neither `gather` nor `per_hour` counts.
    pub fn flush(&mut self, now: Instant) -> Option<Digest> {
        for incident in self.incidents.values_mut() {
            incident.fall_due(now);
        }
        self.issue(now)
    }

    /// When to call [`Core::tick`] next, if nothing happens before.
    pub fn wake(&self) -> Option<Instant> {
        let waiting = self.incidents.values().filter(|incident| incident.due.is_none());
        waiting.map(|incident| incident.next).chain(self.flush).min()
    }

    /// The gravest first.
    pub fn open(&self) -> Vec<Open> {
        let lasting = self.incidents.iter().filter(|(_, incident)| incident.ended.is_none());
        let mut open: Vec<Open> = lasting
            .map(|(key, incident)| Open {
                key: key.clone(),
                severity: incident.severity,
                text: incident.text.clone(),
                since: incident.since,
                told: incident.told,
            })
            .collect();
        open.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.since.cmp(&b.since)));
        open
    }

    fn issue(&mut self, now: Instant) -> Option<Digest> {
        let mut notices = Vec::new();
        for (key, incident) in &mut self.incidents {
            let Some(state) = incident.due.take() else { continue };
            incident.told = true;
            incident.next = now + self.rules.remind;
            notices.push(Notice {
                key: key.clone(),
                severity: incident.severity,
                state,
                text: incident.text.clone(),
                since: incident.since,
                lasted: incident.ended.unwrap_or(now).saturating_duration_since(incident.since),
            });
        }
        self.incidents.retain(|_, incident| incident.ended.is_none());
        self.flush = None;
        let held_back = std::mem::take(&mut self.held_back);
        if notices.is_empty() {
            return None;
        }
        // What goes on stands before what is over.
        let rank = |notice: &Notice| (notice.state == State::Over, std::cmp::Reverse(notice.severity));
        notices.sort_by(|a, b| rank(a).cmp(&rank(b)).then(a.since.cmp(&b.since)));
        let unlisted = notices.len().saturating_sub(NOTICES_MAX);
        notices.truncate(NOTICES_MAX);
        Some(Digest { notices, unlisted, unknown: std::mem::take(&mut self.unknown), held_back })
    }
}

impl Incident {
    fn go_on(&mut self, severity: Severity, text: &str) {
        if self.text != text {
            text.clone_into(&mut self.text);
        }
        let graver = severity > self.severity;
        self.severity = severity;
        if self.ended.take().is_some() {
            // Nobody was told of the end, so there was none.
            self.due = if self.told { None } else { Some(State::Raised) };
        }
        if graver && self.told && self.due.is_none() {
            self.due = Some(State::Still);
        }
    }

    /// What becomes due by itself.
    fn fall_due(&mut self, now: Instant) {
        if self.due.is_none() && self.ended.is_none() && self.next <= now {
            self.due = Some(if self.told { State::Still } else { State::Raised });
        }
    }
}

fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max.min(text.len()))]
}

#[cfg(test)]
mod tests;
