//! A name for one call: the path of a file relative to its volume's root.
//!
//! A `VPath` is UTF-8, components joined by `/`, never empty components, never `.` or `..`, never NUL, no
//! leading or trailing `/`; the root is the empty path. Whoever holds one may hand it to an origin without
//! looking again. Names that an origin stores in another form (bytes that are not UTF-8) are mapped there.
//!
//! Volumes whose namespace is a set of keys rather than a tree need a second kind of name; it will stand
//! beside this one, not inside it.

use std::fmt;
use std::sync::Arc;

/// Longest single component, in bytes of UTF-8 (255 UTF-16 units can take three bytes each).
pub const NAME_MAX_BYTES: usize = 765;
/// Longest whole path, in bytes of UTF-8.
pub const PATH_MAX_BYTES: usize = 32 * 1024;

/// A path inside a volume. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VPath(Arc<str>);

/// Why a string is not a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    /// Two separators in a row, or one at an end.
    EmptyComponent,
    /// `.` or `..` as a component: a path that could leave the volume's root.
    DotComponent,
    /// A NUL character.
    Nul,
    /// A component or the whole is longer than the limit.
    TooLong,
}

impl VPath {
    /// The volume's root.
    pub fn root() -> VPath {
        VPath(Arc::from(""))
    }

    /// Checks and takes a path with `/` between components. The empty string is the root.
    pub fn parse(text: &str) -> Result<VPath, PathError> {
        if text.is_empty() {
            return Ok(VPath::root());
        }
        if text.len() > PATH_MAX_BYTES {
            return Err(PathError::TooLong);
        }
        for name in text.split('/') {
            check_name(name)?;
        }
        Ok(VPath(Arc::from(text)))
    }

    /// The path of `name` in this directory.
    pub fn join(&self, name: &str) -> Result<VPath, PathError> {
        check_name(name)?;
        if name.contains('/') {
            return Err(PathError::EmptyComponent);
        }
        if self.is_root() {
            return Ok(VPath(Arc::from(name)));
        }
        if self.0.len() + 1 + name.len() > PATH_MAX_BYTES {
            return Err(PathError::TooLong);
        }
        let mut whole = String::with_capacity(self.0.len() + 1 + name.len());
        whole.push_str(&self.0);
        whole.push('/');
        whole.push_str(name);
        Ok(VPath(Arc::from(whole)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or("")
    }

    /// The directory that holds this path; `None` for the root.
    pub fn parent(&self) -> Option<VPath> {
        if self.is_root() {
            return None;
        }
        match self.0.rfind('/') {
            Some(at) => Some(VPath(Arc::from(&self.0[..at]))),
            None => Some(VPath::root()),
        }
    }

    /// The components, from the root down.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|name| !name.is_empty())
    }

    /// Whether this is `other` or lies below it.
    pub fn is_within(&self, other: &VPath) -> bool {
        other.is_root()
            || self == other
            || (self.0.starts_with(&*other.0) && self.0.as_bytes().get(other.0.len()) == Some(&b'/'))
    }

    /// This path with its leading `from` replaced by `to`; `None` when it is not within `from`.
    pub fn rebase(&self, from: &VPath, to: &VPath) -> Option<VPath> {
        if !self.is_within(from) {
            return None;
        }
        let rest = self.0[from.0.len()..].trim_start_matches('/');
        Some(match (to.is_root(), rest.is_empty()) {
            (_, true) => to.clone(),
            (true, false) => VPath(Arc::from(rest)),
            (false, false) => VPath(Arc::from(format!("{}/{rest}", to.0))),
        })
    }
}

fn check_name(name: &str) -> Result<(), PathError> {
    match name {
        "" => Err(PathError::EmptyComponent),
        "." | ".." => Err(PathError::DotComponent),
        _ if name.len() > NAME_MAX_BYTES => Err(PathError::TooLong),
        _ if name.contains('\0') => Err(PathError::Nul),
        _ => Ok(()),
    }
}

impl fmt::Display for VPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() { f.write_str("/") } else { f.write_str(&self.0) }
    }
}

impl fmt::Debug for VPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PathError::EmptyComponent => "an empty path component",
            PathError::DotComponent => "`.` or `..` in a path",
            PathError::Nul => "a NUL character in a path",
            PathError::TooLong => "a path or a component over its length limit",
        })
    }
}

impl std::error::Error for PathError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(text: &str) -> VPath {
        VPath::parse(text).unwrap()
    }

    #[test]
    fn what_could_leave_the_root_is_not_a_path() {
        for bad in ["/a", "a/", "a//b", "..", "a/../b", "./a", "a\0b", "/"] {
            assert!(VPath::parse(bad).is_err(), "{bad:?} was taken");
        }
        assert!(p("a").join("b/../../c").is_err());
        assert!(p("a").join("b/c").is_err());
        assert_eq!(VPath::parse(&"x".repeat(NAME_MAX_BYTES + 1)), Err(PathError::TooLong));
    }

    #[test]
    fn parent_and_name() {
        assert_eq!(p("a/b/c").parent(), Some(p("a/b")));
        assert_eq!(p("a").parent(), Some(VPath::root()));
        assert_eq!(VPath::root().parent(), None);
        assert_eq!(p("a/b").name(), "b");
        assert_eq!(VPath::root().join("a").unwrap().join("b").unwrap(), p("a/b"));
    }

    #[test]
    fn within_and_rebase_respect_component_borders() {
        assert!(p("a/b").is_within(&p("a")));
        assert!(!p("ab").is_within(&p("a")));
        assert!(p("ab").is_within(&VPath::root()));
        assert_eq!(p("a/b/c").rebase(&p("a"), &p("x/y")), Some(p("x/y/b/c")));
        assert_eq!(p("a").rebase(&p("a"), &p("z")), Some(p("z")));
        assert_eq!(p("a/b").rebase(&p("a"), &VPath::root()), Some(p("b")));
        assert_eq!(p("ab").rebase(&p("a"), &p("z")), None);
    }
}
