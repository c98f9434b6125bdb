//! Names of snapshots, `@GMT-YYYY.MM.DD-HH.MM.SS` (MS-SMB2 2.2.32.2, MS-SMB 2.2.1.1.1): in the list of
//! FSCTL_SRV_ENUMERATE_SNAPSHOTS, as a component of paths, and, by their time, in the CREATE context `TWrp`.

use crate::time::{FileTime, civil_date, days_since_1970};
use std::fmt;

const SECONDS_PER_DAY: i64 = 86_400;

/// A snapshot, by the second at which it was taken, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotTime {
    /// Seconds since 1970. Names exist for the years 1 to 9999.
    pub unix_seconds: i64,
}

impl SnapshotTime {
    /// The snapshot that a client asks for by `TWrp`; parts of a second are left out.
    pub fn from_file_time(time: FileTime) -> Self {
        Self { unix_seconds: time.to_unix().0 }
    }

    /// The time as `TWrp` has it.
    pub fn to_file_time(self) -> FileTime {
        FileTime::from_unix(self.unix_seconds, 0)
    }

    /// Reads a name; `None` when it is not one of a snapshot.
    pub fn from_name(name: &str) -> Option<Self> {
        let text = name.as_bytes();
        let is_shaped = text.len() == 24
            && [(0, "@GMT-"), (9, "."), (12, "."), (15, "-"), (18, "."), (21, ".")]
                .into_iter()
                .all(|(at, mark)| text[at..].starts_with(mark.as_bytes()));
        if !is_shaped {
            return None;
        }
        let number = |at: usize, digits: usize| {
            let digits = &text[at..at + digits];
            digits.iter().try_fold(0u32, |value, digit| {
                digit.is_ascii_digit().then(|| value * 10 + u32::from(digit - b'0'))
            })
        };
        let days = days_since_1970(number(5, 4)?, number(10, 2)?, number(13, 2)?)?;
        let (hour, minute, second) = (number(16, 2)?, number(19, 2)?, number(22, 2)?);
        (hour < 24 && minute < 60 && second < 60).then(|| Self {
            unix_seconds: days * SECONDS_PER_DAY + i64::from(hour * 3600 + minute * 60 + second),
        })
    }
}

impl fmt::Display for SnapshotTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_date(self.unix_seconds.div_euclid(SECONDS_PER_DAY));
        let second = self.unix_seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "@GMT-{year:04}.{month:02}.{day:02}-{hour:02}.{minute:02}.{second:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_names() {
        let name = "@GMT-2026.11.21-07.05.09";
        let time = SnapshotTime::from_name(name).unwrap();
        assert_eq!(time.unix_seconds, 1_795_244_709);
        assert_eq!(time.to_string(), name);
        assert_eq!(SnapshotTime::from_file_time(time.to_file_time()), time);
        let others = [
            "@GMT-2026.11.21-07.05.0",
            "@GMT-2026.11.21-07.05.090",
            "@GMT-2026.02.30-07.05.09",
            "@GMT-2026.11.21-24.05.09",
            "@GMT-2026.11.21-07.60.09",
            "@gmt-2026.11.21-07.05.09",
            "@GMT-2026.11.21 07.05.09",
            "@GMT-20é6.11.21-07.05.09",
            "@GMT-+026.11.21-07.05.09",
            "",
        ];
        for other in others {
            assert_eq!(SnapshotTime::from_name(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn names_survive(unix_seconds in -62_135_596_800i64..253_402_300_800) {
            let time = SnapshotTime { unix_seconds };
            prop_assert_eq!(SnapshotTime::from_name(&time.to_string()), Some(time));
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), tail in "[0-9.\\-]{15,20}") {
            let _ = SnapshotTime::from_name(&text);
            let _ = SnapshotTime::from_name(&format!("@GMT-{tail}"));
        }
    }
}
