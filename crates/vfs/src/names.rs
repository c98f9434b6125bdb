//! Names: when two are the same to a client that ignores case, and how a name that POSIX allows and SMB does
//! not travels over SMB.
//!
//! Folding is simple upcasing, one code point to one code point, as the upcase table of NTFS does
//! (MS-FSA 2.1.4.6 leaves the table to the file system). Reserved characters, control characters and a
//! trailing dot or space become code points of the private use area, the mapping that macOS, Services for
//! Macintosh and the `mapposix` option of Linux share: `:` is U+F022 and so on. The fold takes both spellings for the
//! same name, so a file whose stored name already has U+F022 in it is found under the mapped name too.

use crate::{Error, Result};
use std::borrow::Cow;
use volume::{NAME_MAX_BYTES, VPath};

/// Longest component over SMB, in UTF-16 units (MS-FSCC 2.1.5).
pub const SMB_NAME_MAX_UNITS: usize = 255;

/// Reserved characters and their private counterparts; control characters 0x01..=0x1F add to U+F000.
const MAPPED: [(char, char); 8] = [
    ('"', '\u{F020}'),
    ('*', '\u{F021}'),
    (':', '\u{F022}'),
    ('<', '\u{F023}'),
    ('>', '\u{F024}'),
    ('?', '\u{F025}'),
    ('\\', '\u{F026}'),
    ('|', '\u{F027}'),
];
const TRAILING_SPACE: char = '\u{F028}';
const TRAILING_DOT: char = '\u{F029}';

/// The form under which names that differ only by case are equal. Works on whole paths too.
pub fn fold(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|b| b.is_ascii() && !b.is_ascii_lowercase()) {
        return Cow::Borrowed(name);
    }
    if name.is_ascii() {
        return Cow::Owned(name.to_ascii_uppercase());
    }
    Cow::Owned(name.chars().map(fold_char).collect())
}

/// Whether a client that ignores case takes the two for one name.
pub fn same(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        return a.eq_ignore_ascii_case(b);
    }
    a == b || fold(a) == fold(b)
}

/// Whether the fold may join this name with one of other characters, not only of other case.
pub fn is_mapped(name: &str) -> bool {
    let tail = name.ends_with(['.', ' ', TRAILING_DOT, TRAILING_SPACE]);
    tail || name.chars().any(|c| to_private(c).is_some() || from_private(c).is_some())
}

fn fold_char(c: char) -> char {
    match c {
        'a'..='z' => c.to_ascii_uppercase(),
        '\0'..='\x7f' => c,
        TRAILING_SPACE => ' ',
        TRAILING_DOT => '.',
        // Unicode upcases these to characters of other blocks; the table of NTFS leaves them alone.
        '\u{B5}' | '\u{131}' | '\u{17F}' | '\u{1FBE}' => c,
        // Their full upcase form has two characters, their simple one does not.
        '\u{1F80}'..='\u{1F87}' | '\u{1F90}'..='\u{1F97}' | '\u{1FA0}'..='\u{1FA7}' => shift(c, 8),
        '\u{1FB3}' | '\u{1FC3}' | '\u{1FF3}' => shift(c, 9),
        _ => match from_private(c) {
            Some(plain) => plain,
            None => simple_upper(c),
        },
    }
}

fn shift(c: char, by: u32) -> char {
    char::from_u32(c as u32 + by).unwrap_or(c)
}

fn simple_upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

fn to_private(c: char) -> Option<char> {
    match c {
        '\x01'..='\x1f' => char::from_u32(0xF000 + c as u32),
        _ => MAPPED.iter().find(|(plain, _)| *plain == c).map(|(_, private)| *private),
    }
}

fn from_private(c: char) -> Option<char> {
    match c {
        '\u{F001}'..='\u{F01F}' => char::from_u32(c as u32 - 0xF000),
        _ => MAPPED.iter().find(|(_, private)| *private == c).map(|(plain, _)| *plain),
    }
}

/// A stored name as SMB clients see it.
pub fn to_smb(name: &str) -> Cow<'_, str> {
    let last = match name.chars().next_back() {
        Some(' ') => Some(TRAILING_SPACE),
        Some('.') if name != "." && name != ".." => Some(TRAILING_DOT),
        _ => None,
    };
    if last.is_none() && !name.chars().any(|c| to_private(c).is_some()) {
        return Cow::Borrowed(name);
    }
    let mut mapped: String = name.chars().map(|c| to_private(c).unwrap_or(c)).collect();
    if let Some(last) = last {
        mapped.pop();
        mapped.push(last);
    }
    Cow::Owned(mapped)
}

/// A path as an SMB client sent it, `\` between components and none at the ends, as a path of the volume. A
/// stream name (`:`) must be cut off before.
///
/// # Errors
/// `NameInvalid` for reserved characters, `.` and `..`, empty and over-long components.
pub fn from_smb(path: &str) -> Result<VPath> {
    if path.is_empty() {
        return Ok(VPath::root());
    }
    let mut whole = String::with_capacity(path.len());
    for name in path.split('\\') {
        if !is_valid_smb(name) {
            return Err(Error::NameInvalid);
        }
        if !whole.is_empty() {
            whole.push('/');
        }
        whole.push_str(&stored(name));
    }
    Ok(VPath::parse(&whole)?)
}

/// Whether a component may come from an SMB client (MS-FSCC 2.1.5.2).
pub fn is_valid_smb(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_MAX_BYTES
        && name.encode_utf16().count() <= SMB_NAME_MAX_UNITS
        && !name.chars().any(|c| c == '/' || c == '\0' || to_private(c).is_some())
}

/// The inverse of [`to_smb`] for one component.
pub(crate) fn stored(name: &str) -> Cow<'_, str> {
    let private = |c: char| ('\u{F001}'..='\u{F029}').contains(&c);
    if !name.contains(private) {
        return Cow::Borrowed(name);
    }
    let mut plain: String = name.chars().map(|c| from_private(c).unwrap_or(c)).collect();
    let last = match plain.chars().next_back() {
        Some(TRAILING_SPACE) => ' ',
        Some(TRAILING_DOT) => '.',
        _ => return Cow::Owned(plain),
    };
    plain.pop();
    plain.push(last);
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_one_and_names_that_are_two() {
        let one = [("readme", "ReadMe"), ("ÄÖÜ é", "äöü É"), ("пример", "ПРИМЕР"), ("ᾀ", "ᾈ"), ("ᾳ", "ᾼ")];
        for (a, b) in one {
            assert!(same(a, b), "{a} and {b}");
        }
        // ß has no single upper case; the dotless i, the long s and the micro sign are not i, s and mu.
        let two = [("straße", "STRASSE"), ("ı", "I"), ("ſ", "S"), ("µ", "Μ"), ("a", "b"), ("a ", "a")];
        for (a, b) in two {
            assert!(!same(a, b), "{a} and {b}");
        }
    }

    #[test]
    fn plain_names_are_not_copied() {
        assert!(matches!(fold("README.TXT"), Cow::Borrowed(_)));
        assert!(matches!(to_smb("Überblick.txt"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_smb_cannot_say_goes_there_and_back() {
        for (stored, smb) in [
            ("a:b", "a\u{F022}b"),
            ("what?*", "what\u{F025}\u{F021}"),
            ("\"<>|\\", "\u{F020}\u{F023}\u{F024}\u{F027}\u{F026}"),
            ("tab\there", "tab\u{F009}here"),
            ("dots..", "dots.\u{F029}"),
            ("space ", "space\u{F028}"),
            (" .a b. c", " .a b. c"),
            ("...", "..\u{F029}"),
        ] {
            assert_eq!(to_smb(stored), smb);
            assert!(is_valid_smb(smb));
            assert_eq!(from_smb(smb).unwrap().as_str(), stored);
            assert!(same(stored, smb), "the fold joins {stored:?} and {smb:?}");
        }
    }

    #[test]
    fn paths_from_clients() {
        assert!(from_smb("").unwrap().is_root());
        assert_eq!(from_smb("a\\b c\\d").unwrap().as_str(), "a/b c/d");
        let long = "x".repeat(256);
        for bad in
            ["\\a", "a\\", "a\\\\b", "..", "a\\..\\b", ".", "a/b", "a:b", "a*", "a\u{1}", "\u{F029}", &long]
        {
            assert!(matches!(from_smb(bad), Err(Error::NameInvalid)), "{bad:?}");
        }
        assert!(is_mapped("a\u{F022}") && is_mapped("a:") && is_mapped("a.") && !is_mapped("a.b c"));
    }
}
