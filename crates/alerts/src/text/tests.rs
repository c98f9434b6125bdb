//! What people read.

use super::*;
use crate::core::Severity;

/// 2026-11-30 10:15:20.250 UTC
fn at() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_796_033_720_250)
}

fn told(key: &str, severity: Severity, state: State, text: &str, lasted: u64) -> Told {
    let lasted = Duration::from_secs(lasted);
    Told { key: key.into(), severity, state, text: text.into(), since: at() - lasted, lasted }
}

/// With one of each.
pub fn message() -> Message {
    Message {
        id: "1@h.example".into(),
        node: "dc1".into(),
        host: "h.example".into(),
        at: at(),
        notices: vec![
            told("log/projects", Severity::Critical, State::Raised, "it is\r\nfull", 120),
            told("mirror/b", Severity::Error, State::Over, "away", 11_520),
        ],
        unlisted: 3,
        unknown: 2,
        held_back: true,
    }
}

fn alone(told: Told) -> Message {
    Message { notices: vec![told], unlisted: 0, unknown: 0, held_back: false, ..message() }
}

#[test]
fn times() {
    let check = |seconds: u64, expect: &str| {
        assert_eq!(utc(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), expect);
    };
    check(0, "1970-01-01 00:00:00 UTC");
    check(951_782_399, "2000-02-28 23:59:59 UTC");
    check(951_782_400, "2000-02-29 00:00:00 UTC");
    check(951_868_800, "2000-03-01 00:00:00 UTC");
    check(1_798_761_599, "2026-12-31 23:59:59 UTC");
    check(4_107_542_400, "2100-03-01 00:00:00 UTC");
    assert_eq!(rfc3339(at()), "2026-11-30T10:15:20.250Z");
}

#[test]
fn subjects() {
    let check = |message: &Message, expect: &str| assert_eq!(subject(message), expect);
    let one = |state| alone(told("mirror/b", Severity::Error, state, "no\nroute", 11_520));
    check(&one(State::Raised), "[farshare dc1] error: mirror/b: no route");
    check(&one(State::Still), "[farshare dc1] still error: mirror/b: no route");
    check(&one(State::Over), "[farshare dc1] over after 3 h 12 min: mirror/b");
    check(&message(), "[farshare dc1] 1 raised, 1 over and more");
    let long = alone(told("k", Severity::Error, State::Raised, &"ä".repeat(500), 1));
    assert_eq!(subject(&long).chars().count(), SUBJECT_MAX);
}

#[test]
fn a_page() {
    let expect = "\
critical: log/projects: it is  full (since 2026-11-30 10:13:20 UTC, for 2 min 0 s)
over after 3 h 12 min: mirror/b: away (since 2026-11-30 07:03:20 UTC)

and 3 more that are not listed; farshare status has them; 2 more of which there was no room to remember anything; \
this waited, as there were too many messages in the last hour

node dc1 on h.example, 2026-11-30 10:15:20 UTC
";
    assert_eq!(body(&message()), expect);
}

#[test]
fn json_of_one() {
    let message = alone(told("mirror/b", Severity::Error, State::Over, "away", 90));
    let expect = serde_json::json!({
        "id": "1@h.example",
        "node": "dc1",
        "host": "h.example",
        "text": "farshare dc1: over after 1 min 30 s: mirror/b: away (since 2026-11-30 10:13:50 UTC)",
        "key": "mirror/b",
        "severity": "error",
        "state": "over",
        "since": "2026-11-30T10:13:50.250Z",
        "notices": [{
            "key": "mirror/b", "severity": "error", "state": "over", "text": "away",
            "since": "2026-11-30T10:13:50.250Z", "seconds": 90
        }],
        "unlisted": 0
    });
    assert_eq!(serde_json::to_value(json(&message)).unwrap(), expect);
}
