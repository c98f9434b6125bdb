//! Names that a share does not have, whatever lies in its volume: they are not listed, not told of, not opened,
//! and nothing gets such a name through it. What is vetoed is the name in a path, in what a link says that the server
//! follows too, not the file: a file that bears another name is reached by that.

use crate::config::Share;
use smb_core::wildcard::Pattern;
use smb_wire::NtStatus;
use std::sync::Arc;
use vfs::Disposition;
use volume::VPath;

/// Patterns with `*` and `?`, whatever the case. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Veto(Arc<[Pattern]>);

impl Veto {
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Veto {
        Veto(patterns.into_iter().map(Pattern::new).collect())
    }

    /// Whether a name, as SMB clients see it, is one of these.
    pub(crate) fn has(&self, name: &str) -> bool {
        !matches!(name, "." | "..") && self.0.iter().any(|pattern| pattern.matches(name))
    }

    /// The same for each name of a path with `/` between them, in the origin's spelling.
    pub(crate) fn has_within(&self, path: &str) -> bool {
        !self.0.is_empty() && path.split('/').any(|name| self.has(&vfs::names::to_smb(name)))
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
}
