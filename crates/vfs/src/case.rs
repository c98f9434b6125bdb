//! Which paths of a volume stand for one object: on one that tells names of other case apart a path is what it says, on
//! any other all spellings of it are one, and opens have the spelling in which they were asked for.

use crate::names;
use std::borrow::Cow;
use std::iter::successors;
use volume::VPath;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Case {
    /// Names that differ by case alone are two.
    Told,
    Folded,
}

impl Case {
    pub(crate) fn of(case_sensitive: bool) -> Case {
        if case_sensitive { Case::Told } else { Case::Folded }
    }

    /// What all spellings of a path are found by.
    pub(crate) fn key(self, path: &VPath) -> Cow<'_, str> {
        match self {
            Case::Told => Cow::Borrowed(path.as_str()),
            Case::Folded => names::fold(path.as_str()),
        }
    }

    /// The same as a path. One whose fold is none, with a name that stands for `.`, stays as it is.
    pub(crate) fn place(self, path: &VPath) -> Cow<'_, VPath> {
        match self.key(path) {
            Cow::Borrowed(_) => Cow::Borrowed(path),
            Cow::Owned(key) => VPath::parse(&key).map_or(Cow::Borrowed(path), Cow::Owned),
        }
    }

    pub(crate) fn same(self, a: &VPath, b: &VPath) -> bool {
        match self {
            Case::Told => a == b,
            Case::Folded => same(a, b),
        }
    }

    pub(crate) fn is_below(self, path: &VPath, dir: &VPath) -> bool {
        match self {
            Case::Told => path != dir && path.is_within(dir),
            Case::Folded => lies_below(path.as_str(), dir.as_str()),
        }
    }

    /// Where what stands at `path` is after `from` has become `to`; `None` when it is not within `from`.
    pub(crate) fn rebase(self, path: &VPath, from: &VPath, to: &VPath) -> Option<VPath> {
        match self {
            Case::Told => path.rebase(from, to),
            Case::Folded => {
                let mut above = successors(Some(path.clone()), VPath::parent);
                let spelled = above.find(|above| same(above, from))?;
                path.rebase(&spelled, to)
            }
        }
    }
}

/// Whether two paths differ by case at most.
pub(crate) fn same(a: &VPath, b: &VPath) -> bool {
    names::same(a.as_str(), b.as_str())
}

/// Whether `path` is below `dir`, neither folded; without a copy where both are ASCII.
pub(crate) fn lies_below(path: &str, dir: &str) -> bool {
    if dir.is_empty() || !path.is_ascii() || !dir.is_ascii() {
        return is_below(&names::fold(path), &names::fold(dir));
    }
    path.as_bytes().get(dir.len()) == Some(&b'/') && path[..dir.len()].eq_ignore_ascii_case(dir)
}

/// Both folded.
pub(crate) fn is_within(path: &str, dir: &str) -> bool {
    path == dir || is_below(path, dir)
}

/// Both folded.
pub(crate) fn is_below(path: &str, dir: &str) -> bool {
    match path.strip_prefix(dir) {
        Some(rest) => rest.starts_with('/') || (dir.is_empty() && !rest.is_empty()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> VPath {
        VPath::parse(text).unwrap()
    }

    #[test]
    fn what_lies_within_follows_in_its_own_spelling() {
        for (at, told, folded) in [
            ("dir", Some("to"), Some("to")),
            ("DIR", None, Some("to")),
            ("dir/File", Some("to/File"), Some("to/File")),
            ("Dir/File", None, Some("to/File")),
            ("dir2", None, None),
            ("x/dir", None, None),
            ("", None, None),
        ] {
            for (case, expect) in [(Case::Told, told), (Case::Folded, folded)] {
                let got = case.rebase(&path(at), &path("dir"), &path("to"));
                assert_eq!(got.as_ref().map(VPath::as_str), expect, "{case:?} {at}");
                let below = expect.is_some_and(|to| to != "to");
                assert_eq!(case.is_below(&path(at), &path("dir")), below, "{case:?} {at}");
            }
        }
        // The fold changes the number of bytes.
        let (from, to) = (path("ⱥ"), path("to"));
        assert_eq!(Case::Folded.rebase(&path("Ⱥ/x"), &from, &to), Some(path("to/x")));
    }

    #[test]
    fn all_spellings_of_a_path_are_one_place_where_case_does_not_count() {
        assert_eq!(Case::Told.place(&path("Dir/a")).as_ref(), &path("Dir/a"));
        assert_eq!(Case::Folded.place(&path("Dir/a")), Case::Folded.place(&path("DIR/A")));
        assert_eq!(Case::Folded.place(&path("a/\u{F029}")).as_ref(), &path("a/\u{F029}"));
    }
}
