//! Words: a message as a subject, a page, JSON, lines.

use crate::core::State;
use crate::message::{Message, Told};
use serde::Serialize;
use std::time::{Duration, SystemTime};

/// Longest subject, characters.
const SUBJECT_MAX: usize = 120;

/// `[farshare dc1] error: mirror/projects/b: no route to host`
pub fn subject(message: &Message) -> String {
    let node = one_line(&message.node);
    let what = match message.notices.as_slice() {
        [told] if message.unlisted == 0 => match told.state {
            State::Raised => format!("{}: {}: {}", told.severity.name(), told.key, told.text),
            State::Still => format!("still {}: {}: {}", told.severity.name(), told.key, told.text),
            State::Over => format!("over after {}: {}", age(told.lasted), told.key),
            State::Test => "test: nothing is wrong".to_owned(),
        },
        many => {
            let count = |state| match many.iter().filter(|told| told.state == state).count() {
                0 => None,
                count => Some(format!("{count} {}", state.name())),
            };
            let counts: Vec<_> =
                [State::Raised, State::Still, State::Over].into_iter().filter_map(count).collect();
            let more = if message.unlisted > 0 { " and more" } else { "" };
            format!("{}{more}", counts.join(", "))
        }
    };
    one_line(&format!("[farshare {node}] {what}")).chars().take(SUBJECT_MAX).collect()
}

/// The whole of it, for people.
pub fn body(message: &Message) -> String {
    let mut page: String = message.notices.iter().map(|told| format!("{}\n", sentence(told))).collect();
    if let Some(rest) = rest(message) {
        page.push_str(&format!("\n{rest}\n"));
    }
    page.push_str(&format!("\nnode {} on {}, {}\n", message.node, message.host, utc(message.at)));
    page
}

/// One notice, in one line.
pub fn sentence(told: &Told) -> String {
    let (key, text, severity) = (one_line(&told.key), one_line(&told.text), told.severity);
    let (severity, since, lasted) = (severity.name(), utc(told.since), age(told.lasted));
    match told.state {
        State::Raised => format!("{severity}: {key}: {text} (since {since}, for {lasted})"),
        State::Still => format!("still {severity}: {key}: {text} (since {since}, for {lasted})"),
        State::Over => format!("over after {lasted}: {key}: {text} (since {since})"),
        State::Test => format!("test: {text}; nothing is wrong"),
    }
}

/// What the notices do not say.
pub fn rest(message: &Message) -> Option<String> {
    let mut words = Vec::new();
    if message.unlisted > 0 {
        words.push(format!("and {} more that are not listed; farshare status has them", message.unlisted));
    }
    if message.unknown > 0 {
        words.push(format!("{} more of which there was no room to remember anything", message.unknown));
    }
    if message.held_back {
        words.push("this waited, as there were too many messages in the last hour".to_owned());
    }
    (!words.is_empty()).then(|| words.join("; "))
}

/// What a webhook is posted. `key`, `severity`, `state` and `since` are those of the gravest notice, `text` is all of it.
#[derive(Serialize)]
pub struct Json<'a> {
    id: &'a str,
    node: &'a str,
    host: &'a str,
    text: String,
    key: &'a str,
    severity: &'static str,
    state: &'static str,
    since: String,
    notices: Vec<JsonNotice<'a>>,
    unlisted: u64,
}

#[derive(Serialize)]
struct JsonNotice<'a> {
    key: &'a str,
    severity: &'static str,
    state: &'static str,
    text: &'a str,
    since: String,
    seconds: u64,
}

pub fn json(message: &Message) -> Json<'_> {
    let first = message.notices.first();
    let lines = message.notices.iter().map(sentence).chain(rest(message));
    Json {
        id: &message.id,
        node: &message.node,
        host: &message.host,
        text: format!("farshare {}: {}", message.node, lines.collect::<Vec<_>>().join("\n")),
        key: first.map_or("", |told| &told.key),
        severity: first.map_or("", |told| told.severity.name()),
        state: first.map_or("", |told| told.state.name()),
        since: rfc3339(first.map_or(message.at, |told| told.since)),
        notices: message.notices.iter().map(json_notice).collect(),
        unlisted: message.unlisted as u64 + message.unknown,
    }
}

fn json_notice(told: &Told) -> JsonNotice<'_> {
    JsonNotice {
        key: &told.key,
        severity: told.severity.name(),
        state: told.state.name(),
        text: &told.text,
        since: rfc3339(told.since),
        seconds: told.lasted.as_secs(),
    }
}

/// Nobody's text begins a line of its own.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// In the two largest units: `3 h 12 min`.
pub fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// `2026-11-30 10:15:20 UTC`
fn utc(time: SystemTime) -> String {
    let (year, month, day, second, _) = civil(time);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// `2026-11-30T10:15:20.250Z`
pub fn rfc3339(time: SystemTime) -> String {
    let (year, month, day, second, millis) = civil(time);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Year, month, day, second of the day, millisecond, in UTC: the proleptic Gregorian calendar in eras of 400 years, each year
/// beginning in March.
fn civil(time: SystemTime) -> (u64, u64, u64, u64, u32) {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let day_number = since.as_secs() / 86_400 + 719_468;
    let (era, day_of_era) = (day_number / 146_097, day_number % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day, since.as_secs() % 86_400, since.subsec_millis())
}

#[cfg(test)]
pub mod tests;
