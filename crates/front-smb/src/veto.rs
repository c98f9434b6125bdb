//! Names that a share does not have, whatever lies in its volume: they are not listed, not told of, not opened,
//! and nothing gets such a name through it. What is vetoed is the name in a path, in what a link says that the server
//! follows too, not the file: a file that bears another name is reached by that.
//!
//! A name is one in every spelling by which it may be found ([`vfs::names::fold`]): in any case, with private characters
//! in the place of others, and with dots and spaces behind it, which FAT and Windows leave away. What an origin finds by
//! further names, such as short ones, is not there in a share with a veto ([`vfs::Rights::only_listed`]).

use crate::config::Share;
use smb_core::wildcard::Pattern;
use smb_wire::NtStatus;
use std::sync::Arc;
use vfs::Disposition;
use vfs::names::fold;
use volume::VPath;

/// Patterns with `*` and `?`, whatever the case. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Veto(Arc<[Pattern]>);

impl Veto {
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Veto {
        Veto(patterns.into_iter().map(|pattern| Pattern::new(&fold(pattern))).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a name is one of these, as SMB clients see it or in the origin's spelling.
    pub(crate) fn has(&self, name: &str) -> bool {
        if self.is_empty() || matches!(name, "." | "..") {
            return false;
        }
        let name = fold(name);
        let short = name.trim_end_matches(['.', ' ']);
        let is_one = |name: &str| self.0.iter().any(|pattern| pattern.matches(name));
        is_one(&name) || (short.len() < name.len() && is_one(short))
    }

    /// The same for each name of a path with `/` between them.
    pub(crate) fn has_within(&self, path: &str) -> bool {
        !self.is_empty() && path.split('/').any(|name| self.has(name))
    }
}

/// Whether a path may be opened so. One that leads through a vetoed directory is no path.
pub(crate) fn opening(share: &Share, path: &VPath, disposition: Disposition) -> Result<(), NtStatus> {
    if path.parent().is_some_and(|parent| share.veto.has_within(parent.as_str())) {
        return Err(NtStatus::OBJECT_PATH_NOT_FOUND);
    }
    if path.is_root() || !share.veto.has_within(path.name()) {
        return Ok(());
    }
    match disposition {
        Disposition::Open | Disposition::Overwrite => Err(NtStatus::OBJECT_NAME_NOT_FOUND),
        Disposition::Supersede | Disposition::Create | Disposition::OpenIf | Disposition::OverwriteIf => {
            Err(NtStatus::ACCESS_DENIED)
        }
    }
}

/// Whether something may get this path: a new name, or a further one.
pub(crate) fn naming(share: &Share, path: &VPath) -> Result<(), NtStatus> {
    if share.veto.has_within(path.as_str()) { Err(NtStatus::ACCESS_DENIED) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_place_of_a_path() {
        let veto = Veto::new(["*.exe", ".*", "secret"]);
        for name in ["a.EXE", ".hidden", "Secret", "d/a.exe", "secret/a"] {
            assert!(veto.has_within(name), "{name}");
        }
        for name in ["a.exe.txt", "exe", "secrets", ".", "..", ""] {
            assert!(!veto.has_within(name), "{name}");
        }
        assert!(!Veto::default().has_within("a.exe"));
    }

    #[test]
    fn a_name_in_every_spelling_by_which_it_is_found() {
        let veto = Veto::new(["*.exe", "for me", "what:", "\u{1F80}*", "\u{10428}", "dots."]);
        for name in [
            "a\u{F029}exe",
            "a.exe\u{F029}",
            "a.exe. .",
            "for\u{F028}me",
            "for me ",
            "what:",
            "WHAT\u{F022}",
            "\u{1F88}x",
            "\u{10400}",
            "dots\u{F029}",
        ] {
            assert!(veto.has(name), "{name:?}");
        }
        for name in ["exe.", "what", "\u{10401}", "dots", "...", "for me too"] {
            assert!(!veto.has(name), "{name:?}");
        }
    }
}
