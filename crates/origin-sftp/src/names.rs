//! From names of the volume to paths at the server. Both ways go by `volume::name_to_bytes`, so that names which are no
//! UTF-8 pass.

use crate::error::Outcome;
use bytes::Bytes;
use std::borrow::Cow;
use volume::{ErrorKind, VPath, name_from_bytes, name_to_bytes};

/// `NAME_MAX` and `PATH_MAX` of Linux: longer ones are answered with the same code as any other wrong argument.
const NAME_MAX: usize = 255;
const PATH_MAX: usize = 4095;

/// The volume's root at the server.
#[derive(Clone, Debug)]
pub(crate) struct Root(Bytes);

impl Root {
    /// `None` for what is no absolute path.
    pub(crate) fn parse(root: &str) -> Option<Root> {
        let absolute = root.starts_with('/') && !root.contains('\0');
        let bytes = absolute.then(|| name_to_bytes(root.trim_end_matches('/')).ok())??;
        Some(Root(Bytes::copy_from_slice(&bytes)))
    }

    /// The path of a name at the server.
    pub(crate) fn path(&self, path: &VPath) -> Outcome<Bytes> {
        if path.is_root() {
            return Ok(if self.0.is_empty() { Bytes::from_static(b"/") } else { self.0.clone() });
        }
        let bytes = name_to_bytes(path.as_str())?;
        Ok([&self.0, &b"/"[..], &bytes].concat().into())
    }
}

/// Whether the server may have refused this path for its length.
pub(crate) fn is_long(path: &Bytes) -> bool {
    path.len() > PATH_MAX || path.split(|byte| *byte == b'/').any(|name| name.len() > NAME_MAX)
}

/// A name in a directory as the volume tells it; `None` for `.` and `..`, and for what can be no name.
pub(crate) fn listed(name: &[u8]) -> Option<Cow<'_, str>> {
    let odd = matches!(name, b"" | b"." | b"..") || name.contains(&b'/') || name.contains(&0);
    (!odd).then(|| name_from_bytes(name))
}

/// The bytes of a link's content.
pub(crate) fn target(text: &str) -> Outcome<Bytes> {
    match text.is_empty() || text.contains('\0') {
        true => Err(ErrorKind::InvalidArgument.into()),
        false => Ok(Bytes::copy_from_slice(&name_to_bytes(text)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(root: &str, path: &str, expect: &[u8]) {
        let root = Root::parse(root).expect("a root");
        assert_eq!(root.path(&VPath::parse(path).unwrap()).unwrap(), expect);
    }

    #[test]
    fn paths_are_below_the_root() {
        check("/srv/data/", "", b"/srv/data");
        check("/srv/data", "a/b", b"/srv/data/a/b");
        check("/", "", b"/");
        check("/", "a", b"/a");
        check("/r", "line\nbreak/\u{ef80}", b"/r/line\nbreak/\x80");
        assert!(Root::parse("srv").is_none() && Root::parse("").is_none());
    }

    #[test]
    fn names_that_are_none_are_not_listed() {
        for name in [&b"."[..], b"..", b"", b"a/b", b"a\0"] {
            assert_eq!(listed(name), None);
        }
        assert_eq!(listed(b"\xff").as_deref(), Some("\u{efff}"));
    }
}
