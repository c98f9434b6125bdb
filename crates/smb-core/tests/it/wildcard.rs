//! Search patterns: examples, a naive matcher, and patterns made to take long.

use proptest::prelude::*;
use smb_core::wildcard::{MAX_PATTERN_UNITS, Pattern};

fn check(pattern: &str, matching: &[&str], other: &[&str]) {
    let compiled = Pattern::new(pattern);
    for name in matching {
        assert!(compiled.matches(name), "{pattern} should match {name}");
    }
    for name in other {
        assert!(!compiled.matches(name), "{pattern} should not match {name}");
    }
}

#[test]
fn plain_names_and_unix_style_wildcards() {
    check("*", &["", "a", "a.b.c", "ж"], &[]);
    check("readme.TXT", &["README.txt"], &["readme.txt2", "readme", ""]);
    check("", &[""], &["a"]);
    check("*.txt", &["a.txt", ".txt", "a.b.TXT"], &["a.txtx", "txt", "a.tx"]);
    check("a?c", &["abc", "a.c"], &["ac", "abbc"]);
    check("*a*b*", &["ab", "xaxxbx"], &["ba", "a"]);
    check("straße", &["STRAßE"], &["STRASSE"]);
}

#[test]
fn dos_wildcards() {
    // "*." as DOS programs mean it: no extension.
    check("<", &["readme", ""], &["readme.txt", "."]);
    check("<.txt", &["a.txt", "a.b.txt"], &["a.txt.bak", "a"]);
    check("<\"*", &["a", "a.b", "a.b.c"], &[]);
    check("<.<", &["a.b", "a.b.c", "."], &["a"]);
    // "a??" as DOS programs mean it: up to two more characters.
    check("a>>", &["a", "ab", "abc"], &["abcd", "a.b"]);
    check(">>>>>>>>\">>>", &["a", "a.b", "abcdefgh.txt"], &["abcdefghi.txt", "a.text", "a.b.c"]);
    check("a\"b", &["a.b"], &["ab", "a"]);
    check("a\"", &["a", "a."], &["a.b"]);
    check(">.a", &["x.a", ".a"], &["xx.a"]);
}

/// The definitions of MS-FSA 2.1.4.4 word by word, by trying everything.
fn naive(pattern: &[char], name: &[char], at: usize) -> bool {
    let rest = &name[at..];
    let last_period = name.iter().rposition(|c| *c == '.');
    let Some((step, pattern)) = pattern.split_first() else { return rest.is_empty() };
    match step {
        '*' => (at..=name.len()).any(|next| naive(pattern, name, next)),
        '?' => !rest.is_empty() && naive(pattern, name, at + 1),
        '<' => (at..=name.len())
            .filter(|next| !last_period.is_some_and(|period| (at..*next).contains(&period)))
            .any(|next| naive(pattern, name, next)),
        '>' => match rest.first() {
            None | Some('.') => naive(pattern, name, at),
            Some(_) => naive(pattern, name, at + 1),
        },
        '"' => match rest.first() {
            None => naive(pattern, name, at),
            Some('.') => naive(pattern, name, at + 1),
            Some(_) => false,
        },
        letter => {
            rest.first().is_some_and(|c| c.eq_ignore_ascii_case(letter)) && naive(pattern, name, at + 1)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn agrees_with_the_naive_matcher(pattern in "[ab.*?<>\"]{0,8}", name in "[aAb.]{0,8}") {
        let (steps, letters): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
        prop_assert_eq!(Pattern::new(&pattern).matches(&name), naive(&steps, &letters, 0));
    }
}

#[test]
fn hostile_patterns_take_no_exponential_time() {
    let name = "a".repeat(255);
    for part in ["*a", "<a", "*?", "<>", "*<"] {
        assert!(!Pattern::new(&format!("{}b", part.repeat(255))).matches(&name));
    }
}

#[test]
fn neighbouring_stars_are_one() {
    for (pattern, steps) in
        [("a***b", 3), ("a<<<b", 3), ("a*<*<b", 3), ("a<*<*b", 3), ("<<<", 1), ("<*>>", 3)]
    {
        assert_eq!(Pattern::new(pattern).steps(), steps, "{pattern}");
    }
    assert!(Pattern::new("<*").matches_all() && Pattern::new("*<").matches_all());
    assert!(Pattern::new(&"*<".repeat(30_000)).matches("a"));
}

#[test]
fn patterns_longer_than_any_name_needs_match_nothing() {
    let longest = "\"".repeat(MAX_PATTERN_UNITS);
    assert!(Pattern::new(&longest).matches(""));
    assert!(!Pattern::new(&(longest + "\"")).matches(""));
    assert!(Pattern::new(&"*".repeat(60_000)).matches("a"));
}

#[test]
fn tells_plain_names_and_match_all() {
    assert!(Pattern::new("*").matches_all() && Pattern::new("***").matches_all());
    assert!(!Pattern::new("*.*").matches_all());
    assert!(Pattern::new("a.b").is_literal());
    assert!(!Pattern::new("a.b>").is_literal());
}
