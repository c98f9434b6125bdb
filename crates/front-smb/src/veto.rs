//! Names that a share does not have, whatever lies in its volume: they are not listed, not told of, not opened,
//! and nothing gets such a name through it. What is vetoed is the name in a path, in what a link says that the server
//! follows too, not the file: a file that bears another name is reached by that.
//!
//! A name is one in every spelling by which it may be found ([`vfs::names::fold`]): in any case, with private characters
//! in the place of others, and with dots and spaces behind it, which FAT and Windows leave away. File systems have upcase
//! tables of their own, and some take composed, compatible and invisible characters for the same: what any of them might
//! take for a vetoed name is one ([`widest`]), so that no directory has to be listed for a letter with an accent. What an
//! origin finds by short names is not there in a share with a veto ([`vfs::Rights::only_listed`]).

use crate::config::Share;
use smb_core::wildcard::Pattern;
use smb_wire::NtStatus;
use std::sync::Arc;
use unicode_normalization::UnicodeNormalization;
use vfs::Disposition;
use vfs::names::fold;
use volume::VPath;

/// What is more than a character of a name in a pattern.
const WILDCARDS: [char; 5] = ['*', '?', '<', '>', '"'];

/// Patterns with `*` and `?`, whatever the case; each also in its widest form, where that differs. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Veto(Arc<[Pattern]>);

impl Veto {
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Veto {
        let forms = patterns.into_iter().flat_map(|pattern| {
            let folded = fold(pattern).into_owned();
            let wildcards = |form: &str| form.matches(WILDCARDS).count();
            let wide = widest(&folded);
            let differs = wide != folded && !wide.is_empty() && wildcards(&wide) == wildcards(&folded);
            std::iter::once(folded).chain(differs.then_some(wide))
        });
        Veto(forms.map(|form| Pattern::new(&form)).collect())
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
        self.has_form(&name) || (!name.is_ascii() && self.has_form(&widest(&name)))
    }

    fn has_form(&self, name: &str) -> bool {
        let short = name.trim_end_matches(['.', ' ']);
        let is_one = |name: &str| self.0.iter().any(|pattern| pattern.matches(name));
        is_one(name) || (short.len() < name.len() && is_one(short))
    }

    /// The same for each name of a path with `/` between them.
    pub(crate) fn has_within(&self, path: &str) -> bool {
        !self.is_empty() && path.split('/').any(|name| self.has(name))
    }
}

/// One form for all names that some file system takes for the same: in full upper case, with compatible characters in the
/// place of others (NFKD, as ZFS may have it; macOS does less), and without those that are not seen, which HFS+ skips.
fn widest(folded: &str) -> String {
    let seen = folded.chars().filter(|c| !is_invisible(*c)).map(|c| match c {
        // As the Turkish code page has it.
        '\u{130}' => 'I',
        _ => c,
    });
    seen.nfkd().flat_map(char::to_lowercase).flat_map(char::to_uppercase).nfkd().collect()
}

/// Default_Ignorable_Code_Point (DerivedCoreProperties of Unicode).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}'
        | '\u{FFF0}'..='\u{FFF8}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}'
    )
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

    #[test]
    fn a_name_that_another_file_system_takes_for_it() {
        let veto = Veto::new(["*.exe", "key", "stra\u{DF}e", "caf\u{E9}", ".git", "fi", "w\u{FF1F}"]);
        for name in [
            "\u{212A}EY",
            "STRASSE",
            "stra\u{1E9E}e",
            "cafe\u{301}",
            "CAFE\u{301}",
            ".g\u{200C}it",
            ".G\u{130}T",
            ".g\u{131}t",
            ".git\u{200B}.",
            "\u{FB01}",
            "a.\u{FF25}xe",
            "w\u{FF1F}",
        ] {
            assert!(veto.has(name), "{name:?}");
        }
        // What looks like a wildcard is none.
        for name in ["cafe", "b\u{FC}ro", "\u{212A}eys", "wo", "w\u{F6}", "\u{200B}", "g\u{456}t"] {
            assert!(!veto.has(name), "{name:?}");
        }
    }
}
