//! Where snapshots of a volume lie: directories below its root whose names hold their time, as `btrfs`, ZFS and LVM
//! tools make them (`docs/adr/0012-previous-versions.md`).
//!
//! A pattern is a path. One component of it holds the time, by `%Y %m %d %H %M %S` (UTC); `%%` is a percent sign.
//! Hour, minute and second may be left out and are 0 then. What is before that component is where snapshots are
//! looked for; what is behind leads into each. A path made of it is one of the volume, and no other.

use smb_wire::ioctl::snapshot::SnapshotTime;
use std::ops::Range;
use volume::VPath;

/// A part of the component that holds the time.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Text(String),
    /// Digits of a snapshot's name, `@GMT-YYYY.MM.DD-HH.MM.SS`.
    Digits(Range<usize>),
}

/// The fields of a time, by where they stand in a snapshot's name.
const FIELDS: [(char, Range<usize>); 6] =
    [('Y', 5..9), ('m', 10..12), ('d', 13..15), ('H', 16..18), ('M', 19..21), ('S', 22..24)];
/// Without these no day is named.
const FIELDS_NEEDED: usize = 3;
/// What a field that is left out is.
const NAME_ZERO: &str = "@GMT-0000.00.00-00.00.00";

/// A pattern of snapshots.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnapshotPattern {
    dir: VPath,
    parts: Vec<Part>,
    rest: VPath,
}

impl SnapshotPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<SnapshotPattern, String> {
        let names: Vec<&str> = text.split('/').collect();
        if names.contains(&"") {
            return Err("it is no path below the volume's root: one without / at the ends".to_owned());
        }
        let timed = |name: &&str| name.replace("%%", "").contains('%');
        let at = names.iter().position(timed).ok_or("it holds no time, such as %Y-%m-%d_%H.%M.%S")?;
        if names[at + 1..].iter().any(timed) {
            return Err("the time has to be in one name, not in several".to_owned());
        }
        let path = |names: &[&str]| {
            VPath::parse(&names.join("/").replace("%%", "%"))
                .map_err(|_| "it is no path below the volume's root")
        };
        Ok(SnapshotPattern {
            dir: path(&names[..at])?,
            parts: parts(names[at])?,
            rest: path(&names[at + 1..])?,
        })
    }

    /// The directory that holds the snapshots.
    pub(crate) fn dir(&self) -> &VPath {
        &self.dir
    }

    /// The root of the snapshot of this time; `None` when the pattern cannot name it.
    pub(crate) fn root(&self, time: SnapshotTime) -> Option<VPath> {
        let whole = time.to_string();
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Digits(at) => whole.get(at.clone()).unwrap_or_default().to_owned(),
        };
        let name: String = self.parts.iter().map(part).collect();
        // A second that the pattern leaves out would name another snapshot.
        self.time(&name).filter(|named| *named == time)?;
        self.rest.components().try_fold(self.dir.join(&name).ok()?, |path, name| path.join(name).ok())
    }

    /// The time of the snapshot in a directory of this name.
    pub(crate) fn time(&self, name: &str) -> Option<SnapshotTime> {
        let (mut left, mut whole) = (name, NAME_ZERO.to_owned());
        for part in &self.parts {
            left = match part {
                Part::Text(text) => left.strip_prefix(text.as_str())?,
                Part::Digits(at) => {
                    let digits =
                        left.get(..at.len()).filter(|it| it.bytes().all(|it| it.is_ascii_digit()))?;
                    whole.replace_range(at.clone(), digits);
                    &left[at.len()..]
                }
            };
        }
        if left.is_empty() { SnapshotTime::from_name(&whole) } else { None }
    }
}

fn parts(name: &str) -> Result<Vec<Part>, String> {
    let (mut parts, mut text, mut fields) = (Vec::new(), String::new(), Vec::new());
    let mut chars = name.chars();
    while let Some(char) = chars.next() {
        if char != '%' {
            text.push(char);
            continue;
        }
        let code = chars.next().ok_or("a % at the end says nothing")?;
        if code == '%' {
            text.push('%');
            continue;
        }
        let at = FIELDS.iter().position(|(field, _)| *field == code);
        let at = at.ok_or_else(|| format!("%{code} is none of %Y %m %d %H %M %S"))?;
        if fields.contains(&at) {
            return Err(format!("%{code} is there twice"));
        }
        fields.push(at);
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut text)));
        }
        parts.push(Part::Digits(FIELDS[at].1.clone()));
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    match (0..FIELDS_NEEDED).find(|needed| !fields.contains(needed)) {
        Some(missing) => Err(format!("it lacks %{}", FIELDS[missing].0)),
        None => Ok(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(name: &str) -> SnapshotTime {
        SnapshotTime::from_name(name).unwrap()
    }

    #[test]
    fn names_and_times_lead_to_each_other() {
        let at = time("@GMT-2026.11.21-07.05.09");
        for (pattern, root) in [
            (".snapshots/%Y-%m-%d_%H.%M.%S", ".snapshots/2026-11-21_07.05.09"),
            ("%S%M%H%d%m%Y", "09050721112026"),
            (".zfs/snapshot/auto-%Y-%m-%d-%H%M%S/data", ".zfs/snapshot/auto-2026-11-21-070509/data"),
            ("100%%/%%%Y%m%dT%H%M%SZ", "100%/%20261121T070509Z"),
            ("@GMT-%Y.%m.%d-%H.%M.%S", "@GMT-2026.11.21-07.05.09"),
        ] {
            let pattern = SnapshotPattern::parse(pattern).unwrap();
            assert_eq!(pattern.root(at).unwrap().as_str(), root);
            let name = root.strip_prefix(pattern.dir().as_str()).unwrap().trim_start_matches('/');
            assert_eq!(pattern.time(name.split('/').next().unwrap()), Some(at));
        }
        let daily = SnapshotPattern::parse("daily-%Y-%m-%d").unwrap();
        assert_eq!(daily.time("daily-2026-11-21"), Some(time("@GMT-2026.11.21-00.00.00")));
        assert_eq!(daily.root(at), None, "a time of the day that it cannot name");
        for other in
            ["daily-2026-02-30", "daily-2026-11-21x", "daily-2026-11-2", "x", "", "daily-２０２６-11-21"]
        {
            assert_eq!(daily.time(other), None, "{other}");
        }
    }

    #[test]
    fn a_bad_pattern_is_told_in_words() {
        for pattern in
            ["", "snapshots", "%Y-%m", "%Y%m%d%Y", "%Y/%m/%d", "../%Y%m%d", "/%Y%m%d", "%Y%m%d%", "%Y%m%d%x"]
        {
            assert!(SnapshotPattern::parse(pattern).is_err(), "{pattern}");
        }
    }
}
