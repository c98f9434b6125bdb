//! Stories told step by step in virtual time: what happens at which second, and which digests go out.

use super::*;

const RULES: Rules = Rules {
    after: Duration::from_secs(60),
    remind: Duration::from_secs(86_400),
    gather: Duration::from_secs(30),
    per_hour: 20,
};

/// What happens.
enum Do {
    Raise(&'static str, &'static str),
    Graver(&'static str),
    Clear(&'static str),
}
use Do::{Clear, Graver, Raise};

/// Plays `story` (second, what happens) up to second `end` and checks the digests, each as `second: notice, notice`, a notice as
/// `state key (seconds)`.
#[track_caller]
fn check(rules: Rules, story: &[(u64, Do)], end: u64, expect: &[&str]) {
    let begin = Instant::now();
    let at = |second: u64| begin + Duration::from_secs(second);
    let mut core = Core::new(rules);
    let mut digests = Vec::new();
    let mut run_to = |core: &mut Core, until: u64| {
        while let Some(wake) = core.wake().filter(|wake| *wake <= at(until)) {
            if let Some(digest) = core.tick(wake) {
                digests.push(shown(&digest, (wake - begin).as_secs()));
            }
            assert!(core.wake().is_none_or(|next| next > wake), "it would spin");
        }
    };
    for (second, what) in story {
        run_to(&mut core, *second);
        let now = at(*second);
        match what {
            Raise(key, text) => assert!(core.raise(now, key, Severity::Warning, text)),
            Graver(key) => assert!(core.raise(now, key, Severity::Critical, "worse")),
            Clear(key) => core.clear(now, key),
        }
        assert!(core.tick(now).is_none(), "nothing goes without gathering");
    }
    run_to(&mut core, end);
    assert_eq!(digests, expect);
}

fn shown(digest: &Digest, second: u64) -> String {
    let notice = |notice: &Notice| {
        format!("{} {} ({}) {}", notice.state.name(), notice.key, notice.lasted.as_secs(), notice.text)
    };
    let notices: Vec<_> = digest.notices.iter().map(notice).collect();
    let held_back = if digest.held_back { " held back" } else { "" };
    format!("{second}: {}{held_back}", notices.join(", "))
}

#[test]
fn a_short_cut_is_not_told() {
    check(RULES, &[(0, Raise("m", "away")), (59, Clear("m"))], 100_000, &[]);
    let flapping = [(0, Raise("m", "away")), (50, Clear("m")), (55, Raise("m", "away")), (110, Clear("m"))];
    check(RULES, &flapping, 100_000, &[]);
}

#[test]
fn what_lasts_is_told_once_then_daily_then_its_end() {
    let story = [
        (0, Raise("m", "away")),
        (30, Raise("m", "still away")),
        (5_000, Raise("m", "no route")),
        (100_000, Clear("m")),
    ];
    let expect = [
        "90: raised m (90) still away",
        "86520: still m (86520) no route",
        "100030: over m (100000) no route",
    ];
    check(RULES, &story, 500_000, &expect);
}

#[test]
fn clearing_what_is_not_there_is_nothing() {
    check(RULES, &[(0, Clear("m"))], 100_000, &[]);
    let story = [(0, Raise("m", "away")), (200, Clear("m")), (210, Clear("m")), (300, Clear("m"))];
    check(RULES, &story, 100_000, &["90: raised m (90) away", "230: over m (200) away"]);
}

#[test]
fn several_within_a_moment_are_one_digest() {
    let story = [(0, Raise("a", "x")), (10, Raise("b", "y")), (31, Raise("c", "z")), (75, Clear("a"))];
    let expect = ["90: raised b (80) y, over a (75) x", "121: raised c (90) z"];
    check(RULES, &story, 1_000, &expect);
}

#[test]
fn an_end_that_nobody_heard_of_was_none() {
    let story =
        [(0, Raise("m", "away")), (200, Clear("m")), (220, Raise("m", "away again")), (400, Clear("m"))];
    check(RULES, &story, 1_000, &["90: raised m (90) away", "430: over m (400) away again"]);
    // And one that nobody heard of at all is told as it is then.
    let story = [(0, Raise("m", "away")), (65, Clear("m")), (70, Raise("m", "again"))];
    check(RULES, &story, 1_000, &["90: raised m (90) again"]);
}

#[test]
fn after_its_end_it_begins_anew() {
    let story = [(0, Raise("m", "away")), (200, Clear("m")), (300, Raise("m", "away"))];
    let expect = ["90: raised m (90) away", "230: over m (200) away", "390: raised m (90) away"];
    check(RULES, &story, 1_000, &expect);
}

#[test]
fn what_becomes_graver_is_told_before_its_time() {
    let story = [(0, Raise("m", "away")), (200, Graver("m")), (500, Graver("m"))];
    check(RULES, &story, 86_000, &["90: raised m (90) away", "230: still m (230) worse"]);
    // Before it was told at all it waits like any other.
    check(RULES, &[(0, Raise("m", "away")), (5, Graver("m"))], 1_000, &["90: raised m (90) worse"]);
}

#[test]
fn there_are_no_more_than_so_many_in_an_hour() {
    let rules = Rules { after: Duration::ZERO, gather: Duration::from_secs(1), per_hour: 2, ..RULES };
    let story = [
        (0, Raise("a", "")),
        (10, Raise("b", "")),
        (20, Raise("c", "")),
        (30, Clear("a")),
        (40, Raise("d", "")),
        (50, Clear("d")),
        (60, Raise("a", "anew")),
        (70, Clear("b")),
    ];
    let expect = [
        "1: raised a (1) ",
        "11: raised b (1) ",
        "3601: raised c (3581) , over b (60) , over d (10)  held back",
    ];
    check(rules, &story, 80_000, &expect);
}

#[test]
fn without_waiting_it_goes_at_once() {
    let rules = Rules { after: Duration::ZERO, gather: Duration::ZERO, ..RULES };
    let mut core = Core::new(rules);
    let now = Instant::now();
    core.raise(now, "m", Severity::Error, "away");
    assert_eq!(shown(&core.tick(now).unwrap(), 0), "0: raised m (0) away");
    core.clear(now, "m");
    assert_eq!(shown(&core.tick(now).unwrap(), 0), "0: over m (0) away");
    assert_eq!((core.wake(), core.open()), (None, vec![]));
}

#[test]
fn at_the_end_what_is_due_goes_and_nothing_else() {
    let now = Instant::now();
    let mut core = Core::new(RULES);
    core.raise(now, "old", Severity::Error, "x");
    let now = now + RULES.after;
    core.raise(now, "young", Severity::Error, "y");
    assert!(core.tick(now).is_none());
    assert_eq!(shown(&core.flush(now).unwrap(), 60), "60: raised old (60) x");
    assert!(core.flush(now).is_none());
}

#[test]
fn memory_has_a_bound() {
    let now = Instant::now();
    let mut core = Core::new(RULES);
    for number in 0..INCIDENTS_MAX {
        let severity = if number == 700 { Severity::Critical } else { Severity::Error };
        assert!(core.raise(now, &format!("m/{number:04}"), severity, &"ä".repeat(TEXT_MAX_BYTES)));
    }
    assert!(!core.raise(now, "one more", Severity::Critical, ""));
    assert!(core.raise(now, "m/0000", Severity::Error, "known ones go on"));
    let now = now + RULES.after;
    assert!(core.tick(now).is_none());
    let digest = core.tick(now + RULES.gather).unwrap();
    assert_eq!((digest.notices.len(), digest.unlisted, digest.unknown), (NOTICES_MAX, 900, 1));
    assert_eq!(digest.notices[0].key, "m/0700", "the gravest is listed");
    assert!(digest.notices.iter().all(|notice| notice.text.len() <= TEXT_MAX_BYTES));
    core.clear(now, "m/0001");
    core.tick(now);
    assert!(core.tick(now + RULES.gather).is_some());
    assert!(core.raise(now, "one more", Severity::Critical, ""), "there is room again");
}
