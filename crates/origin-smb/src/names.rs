//! Names on their way to the server and back.
//!
//! SMB reserves characters that a volume's names may have. They travel as code points of the private use area,
//! the mapping that macOS, Services for Macintosh and the `mapposix` option of Linux share; `vfs::names` speaks
//! the same one to clients, so a name goes through the whole chain unharmed. A name that already has such a
//! code point would come back as another one and is refused. So are the names of devices: Windows refuses them
//! or opens the device, Samba lists them under names of its own making.

use smb_wire::name;
use std::borrow::Cow;
use volume::{Error, ErrorKind, NAME_MAX_BYTES, Result, VPath};

/// Longest component, in UTF-16 units (MS-FSCC 2.1.5).
const NAME_MAX_UNITS: usize = 255;
/// Longest path that a request can carry, in UTF-16 units: NameLength counts bytes in 16 bits (MS-SMB2 2.2.13).
const PATH_MAX_UNITS: usize = 32 * 1024 - 1;
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
/// Names that Windows takes for devices, also with any extension.
const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
/// With a digit behind them these are devices, too.
const NUMBERED_DEVICES: [&str; 2] = ["COM", "LPT"];
const TRAILING_SPACE: char = '\u{F028}';
const TRAILING_DOT: char = '\u{F029}';

/// What the names of files begin with that were removed while they are open here. They vanish with their last
/// handle; until then they are in nobody's way and in no listing.
pub(crate) const GONE_PREFIX: &str = ".farshare-gone-";

/// Whether a stored name is one of those.
pub(crate) fn is_gone(name: &str) -> bool {
    name.starts_with(GONE_PREFIX)
}

/// The path below the share's root, separated by `\`.
///
/// # Errors
/// `InvalidName` for names that would not come back as they are or belong to this crate, `NameTooLong`.
pub(crate) fn to_wire(op: &'static str, root: &VPath, path: &VPath) -> Result<String> {
    let refuse = |kind| Error::new(kind, op, path);
    let mut wire = String::with_capacity(root.as_str().len() + path.as_str().len() + 1);
    for component in root.components().chain(path.components()) {
        if component.chars().any(is_private) || is_gone(component) || is_device(component) {
            return Err(refuse(ErrorKind::InvalidName));
        }
        if name::units(component).count() > NAME_MAX_UNITS {
            return Err(refuse(ErrorKind::NameTooLong));
        }
        if !wire.is_empty() {
            wire.push('\\');
        }
        wire.push_str(&component_to_wire(component));
    }
    if name::units(&wire).count() > PATH_MAX_UNITS {
        return Err(refuse(ErrorKind::NameTooLong));
    }
    Ok(wire)
}

fn component_to_wire(component: &str) -> Cow<'_, str> {
    let last = match component.chars().next_back() {
        Some(' ') => Some(TRAILING_SPACE),
        Some('.') => Some(TRAILING_DOT),
        _ => None,
    };
    if last.is_none() && !component.chars().any(|c| to_private(c).is_some()) {
        return Cow::Borrowed(component);
    }
    let mut mapped: String = component.chars().map(|c| to_private(c).unwrap_or(c)).collect();
    if let Some(last) = last {
        mapped.pop();
        mapped.push(last);
    }
    Cow::Owned(mapped)
}

/// A component that the server told, as a name of the volume; `None` for one that no path can have.
pub(crate) fn from_wire(component: &str) -> Option<Cow<'_, str>> {
    if component.contains(['/', '\0']) || component.len() > NAME_MAX_BYTES {
        return None;
    }
    if !component.chars().any(is_private) {
        return Some(Cow::Borrowed(component));
    }
    let mut plain: String = component.chars().map(|c| from_private(c).unwrap_or(c)).collect();
    let last = match plain.chars().next_back() {
        Some(TRAILING_SPACE) => Some(' '),
        Some(TRAILING_DOT) => Some('.'),
        _ => None,
    };
    if let Some(last) = last {
        plain.pop();
        plain.push(last);
    }
    // What is left of the block stands where no mapping puts it; it could not be asked for again.
    let sound =
        !plain.chars().any(is_private) && !matches!(plain.as_str(), "." | "..") && !plain.contains('/');
    sound.then_some(Cow::Owned(plain))
}

/// A path below a directory as change notifications tell it (MS-FSCC 2.7.1); `None` when no path can be it.
pub(crate) fn path_from_wire(wire: &str) -> Option<VPath> {
    let mut path = VPath::root();
    for component in wire.split('\\').filter(|component| !component.is_empty()) {
        path = path.join(&from_wire(component)?).ok()?;
    }
    Some(path)
}

/// Whether Windows takes a name for a device.
fn is_device(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or(component).trim_end_matches(' ');
    let is = |device: &str| stem.eq_ignore_ascii_case(device);
    let numbered = |stem: &str| {
        let (name, digit) = (stem.get(..3)?, stem.get(3..)?);
        let is_digit =
            matches!(digit, "¹" | "²" | "³") || (digit.len() == 1 && digit.as_bytes()[0].is_ascii_digit());
        Some(is_digit && NUMBERED_DEVICES.iter().any(|device| name.eq_ignore_ascii_case(device)))
    };
    DEVICES.into_iter().any(is) || numbered(stem).unwrap_or(false)
}

fn is_private(c: char) -> bool {
    ('\u{F001}'..='\u{F029}').contains(&c)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(path: &str) -> Result<String> {
        to_wire("test", &VPath::root(), &VPath::parse(path).unwrap())
    }

    #[test]
    fn what_smb_cannot_say_goes_there_and_back() {
        for (stored, sent) in [
            ("a:b", "a\u{F022}b"),
            ("what?*", "what\u{F025}\u{F021}"),
            ("\"<>|\\", "\u{F020}\u{F023}\u{F024}\u{F027}\u{F026}"),
            ("tab\there", "tab\u{F009}here"),
            ("dots..", "dots.\u{F029}"),
            ("space ", "space\u{F028}"),
            (" .a b. c", " .a b. c"),
            ("...", "..\u{F029}"),
        ] {
            assert_eq!(wire(stored).unwrap(), sent);
            assert_eq!(from_wire(sent).unwrap(), stored);
        }
    }

    #[test]
    fn paths() {
        let root = VPath::parse("top").unwrap();
        assert_eq!(to_wire("test", &root, &VPath::root()).unwrap(), "top");
        assert_eq!(to_wire("test", &root, &VPath::parse("a/b:").unwrap()).unwrap(), "top\\a\\b\u{F022}");
        assert_eq!(path_from_wire("a\\b\u{F022}").unwrap().as_str(), "a/b:");
        for good in ["CONSOLE", "com10", "lpt", "nul-1", "com", "日本語"] {
            assert_eq!(wire(good).unwrap(), good);
        }
        let devices = ["con", "NUL.txt", "d/Aux.tar.gz", "COM1", "lpt9.log", "com²", "prn "];
        for bad in ["a\u{F022}", ".farshare-gone-1", "d/\u{F028}x"].into_iter().chain(devices) {
            assert_eq!(wire(bad).unwrap_err().kind, ErrorKind::InvalidName, "{bad}");
        }
        assert_eq!(wire(&"x".repeat(256)).unwrap_err().kind, ErrorKind::NameTooLong);
        for unsayable in ["a\u{F028}b", ".\u{F029}", "\u{F029}"] {
            assert_eq!(from_wire(unsayable), None, "{unsayable:?}");
        }
    }
}
