//! What a CREATE names: a path, and a stream of what stands there (MS-FSCC 2.1.5, MS-FSA 2.1.5.1).
//!
//! | form | what is opened |
//! |---|---|
//! | `path` | the file or directory |
//! | `path::$DATA` | the content of a file |
//! | `path:name`, `path:name:$DATA` | a named stream of a file or directory |
//! | `path::$INDEX_ALLOCATION`, `path:$I30:$INDEX_ALLOCATION` | a directory |

use crate::status::failed;
use smb_wire::NtStatus;
use smb_wire::create::CreateOptions;
use std::borrow::Cow;
use std::sync::Arc;
use vfs::Want;
use volume::VPath;

/// Longest name of a stream, UTF-16 units (MS-FSCC 2.1.5.3).
const STREAM_MAX_UNITS: usize = 255;

/// What a name stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::commands) struct Target {
    pub(in crate::commands) path: VPath,
    pub(in crate::commands) stream: Option<Arc<str>>,
    /// Which kind of object the name alone asks for.
    pub(super) kind: Want,
}

/// What stands behind the first colon of a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::commands) enum Part {
    Content,
    Stream(Arc<str>),
    Index,
}

impl Target {
    /// A path alone.
    pub(super) fn of(path: VPath) -> Target {
        Target { path, stream: None, kind: Want::Any }
    }

    pub(in crate::commands) fn parse(name: &str) -> Result<Target, NtStatus> {
        if name.starts_with('\\') {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        let (path, part) = match name.split_once(':') {
            Some((path, rest)) => (path, Some(Part::parse(rest)?)),
            None => (name, None),
        };
        let path = path.strip_suffix('\\').unwrap_or(path);
        let path = vfs::names::from_smb(&straightened(path)?).map_err(failed)?;
        let (kind, stream) = match part {
            None => (Want::Any, None),
            Some(Part::Content) => (Want::File, None),
            Some(Part::Stream(stream)) => (Want::File, Some(stream)),
            Some(Part::Index) => (Want::Dir, None),
        };
        Ok(Target { path, stream, kind })
    }

    /// The same where files have no streams: a colon has no meaning there, nor a place in a name.
    pub(super) fn parse_whole(name: &str) -> Result<Target, NtStatus> {
        if name.contains(':') { Err(NtStatus::OBJECT_NAME_INVALID) } else { Target::parse(name) }
    }

    /// Which kind of object is to be opened.
    pub(super) fn want(&self, options: CreateOptions) -> Result<Want, NtStatus> {
        let asked = if options.contains(CreateOptions::DIRECTORY_FILE) {
            Want::Dir
        } else if options.contains(CreateOptions::NON_DIRECTORY_FILE) {
            Want::File
        } else {
            Want::Any
        };
        match (self.kind, asked) {
            (Want::Any, asked) => Ok(asked),
            (kind, asked) if asked == Want::Any || asked == kind => Ok(kind),
            (Want::File, _) => Err(NtStatus::NOT_A_DIRECTORY),
            (Want::Dir, _) => Err(NtStatus::FILE_IS_A_DIRECTORY),
        }
    }
}

impl Part {
    /// Reads `name`, `name:type` or `:type`, without the colon before it.
    pub(in crate::commands) fn parse(text: &str) -> Result<Part, NtStatus> {
        let (name, kind) = match text.split_once(':') {
            Some((name, kind)) => (name, Some(kind.to_ascii_uppercase())),
            None => (text, None),
        };
        let valid = name.encode_utf16().count() <= STREAM_MAX_UNITS && !name.contains(['\\', '/', '\0']);
        match (name, kind.as_deref()) {
            _ if !valid => Err(NtStatus::OBJECT_NAME_INVALID),
            ("", Some("$DATA")) => Ok(Part::Content),
            ("", Some("$INDEX_ALLOCATION")) => Ok(Part::Index),
            ("", _) => Err(NtStatus::OBJECT_NAME_INVALID),
            (index, Some("$INDEX_ALLOCATION")) if index.eq_ignore_ascii_case("$I30") => Ok(Part::Index),
            (name, None | Some("$DATA")) => Ok(Part::Stream(name.into())),
            (_, Some(_)) => Err(NtStatus::OBJECT_NAME_INVALID),
        }
    }
}

/// A path without `..`: each takes back the name before it, by name. One that leads above the share's root is no
/// path.
fn straightened(path: &str) -> Result<Cow<'_, str>, NtStatus> {
    if !path.split('\\').any(|name| name == "..") {
        return Ok(Cow::Borrowed(path));
    }
    let mut names = Vec::new();
    for name in path.split('\\') {
        match name {
            ".." => drop(names.pop().ok_or(NtStatus::OBJECT_PATH_SYNTAX_BAD)?),
            name => names.push(name),
        }
    }
    Ok(Cow::Owned(names.join("\\")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_path_and_perhaps_a_stream() {
        let cases = [
            (r"a\b", "a/b", None, Want::Any),
            (r"a\b\", "a/b", None, Want::Any),
            ("", "", None, Want::Any),
            (r"a\b\..\..\c", "c", None, Want::Any),
            (r"a\..", "", None, Want::Any),
            (r"a\b::$Data", "a/b", None, Want::File),
            ("a:s", "a", Some("s"), Want::File),
            ("a:s:$dAtA", "a", Some("s"), Want::File),
            (":s", "", Some("s"), Want::File),
            ("a:?*\u{5}\n\"<|", "a", Some("?*\u{5}\n\"<|"), Want::File),
            ("a::$INDEX_ALLOCATION", "a", None, Want::Dir),
            ("a:$i30:$Index_Allocation", "a", None, Want::Dir),
            ("a:$I30", "a", Some("$I30"), Want::File),
        ];
        for (name, path, stream, kind) in cases {
            let got = Target::parse(name).unwrap_or_else(|status| panic!("{name}: {status}"));
            assert_eq!((got.path.as_str(), got.stream.as_deref(), got.kind), (path, stream, kind), "{name}");
        }
    }

    #[test]
    fn what_is_no_name() {
        let long = format!("a:{}", "s".repeat(256));
        let invalid = NtStatus::OBJECT_NAME_INVALID;
        for (bad, status) in [
            (r"\a", NtStatus::INVALID_PARAMETER),
            (r"..\..", NtStatus::OBJECT_PATH_SYNTAX_BAD),
            ("a*", invalid),
            ("a*:s", invalid),
            ("a:", invalid),
            ("a:s:", invalid),
            ("a::", invalid),
            ("a:s:$FOO", invalid),
            ("a::foo", invalid),
            ("a:s:$DATA:", invalid),
            (r"a:s\b", invalid),
            ("a:s/b", invalid),
            ("a:s:$INDEX_ALLOCATION", invalid),
            (&long, invalid),
        ] {
            assert_eq!(Target::parse(bad), Err(status), "{bad}");
        }
        for name in ["a:s", "a::$DATA", ":s", "a::$INDEX_ALLOCATION"] {
            assert_eq!(Target::parse_whole(name), Err(invalid), "{name}");
        }
        assert_eq!(Target::parse_whole(r"a\b"), Target::parse(r"a\b"));
    }

    #[test]
    fn the_options_must_agree_with_the_name() {
        let want = |name: &str, options| Target::parse(name).and_then(|target| target.want(options));
        let (none, dir) = (CreateOptions::empty(), CreateOptions::DIRECTORY_FILE);
        assert_eq!(want("a", dir), Ok(Want::Dir));
        assert_eq!(want("a::$DATA", none), Ok(Want::File));
        assert_eq!(want("a::$DATA", dir), Err(NtStatus::NOT_A_DIRECTORY));
        assert_eq!(want("a:s", dir), Err(NtStatus::NOT_A_DIRECTORY));
        assert_eq!(want("a::$INDEX_ALLOCATION", none), Ok(Want::Dir));
        let file = CreateOptions::NON_DIRECTORY_FILE;
        assert_eq!(want("a::$INDEX_ALLOCATION", file), Err(NtStatus::FILE_IS_A_DIRECTORY));
    }
}
