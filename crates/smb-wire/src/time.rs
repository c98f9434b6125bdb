//! FILETIME (MS-DTYP 2.3.3): 100 ns steps since 1601-01-01 UTC.

/// From 1601-01-01 to 1970-01-01, seconds.
const BEFORE_UNIX_S: i64 = 11_644_473_600;
const TICKS_PER_SECOND: u64 = 10_000_000;
const NANOS_PER_TICK: u32 = 100;

/// A time on the wire, in 100 ns steps since 1601. Zero means "not given"; in set-info requests
/// [`FileTime::FREEZE`] and [`FileTime::THAW`] are commands (MS-FSCC 2.4.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FileTime(pub u64);

impl FileTime {
    /// Not given; in a set-info request: leave as it is.
    pub const NONE: Self = Self(0);
    /// In a set-info request (-1): later operations on this open do not change this time by themselves.
    pub const FREEZE: Self = Self(u64::MAX);
    /// In a set-info request (-2): ends what [`FileTime::FREEZE`] began.
    pub const THAW: Self = Self(u64::MAX - 1);

    /// From whole seconds since 1970 and nanoseconds; parts of 100 ns round down. What is before 1601 is zero.
    pub fn from_unix(seconds: i64, nanoseconds: u32) -> Self {
        match u64::try_from(seconds.saturating_add(BEFORE_UNIX_S)) {
            Ok(seconds) => Self(
                seconds
                    .saturating_mul(TICKS_PER_SECOND)
                    .saturating_add(u64::from(nanoseconds / NANOS_PER_TICK)),
            ),
            Err(_) => Self(0),
        }
    }

    /// From seconds since 1970; `None` before 1601 and after 60055.
    pub fn from_unix_seconds(seconds: i64) -> Option<Self> {
        let ticks = u64::try_from(seconds.checked_add(BEFORE_UNIX_S)?).ok()?;
        ticks.checked_mul(TICKS_PER_SECOND).map(Self)
    }

    /// To whole seconds since 1970, rounded down, and nanoseconds.
    pub fn to_unix(self) -> (i64, u32) {
        let seconds = (self.0 / TICKS_PER_SECOND) as i64 - BEFORE_UNIX_S;
        (seconds, (self.0 % TICKS_PER_SECOND) as u32 * NANOS_PER_TICK)
    }

    /// The same, or `None` for zero and for the two commands.
    pub fn given_unix(self) -> Option<(i64, u32)> {
        (!matches!(self, Self::NONE | Self::FREEZE | Self::THAW)).then(|| self.to_unix())
    }
}

/// Year, month and day of a day counted from 1970-01-01 (proleptic Gregorian calendar). Years begin in
/// March here, so that a leap day is the last of its year.
pub fn civil_date(days_since_1970: i64) -> (u32, u32, u32) {
    const DAYS_PER_ERA: i64 = 146_097;
    let days = days_since_1970 + 719_468;
    let (era, day_of_era) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year as u32, month as u32, day as u32)
}

/// The day, counted from 1970-01-01, of a date; `None` for one that is in no calendar.
pub fn days_since_1970(year: u32, month: u32, day: u32) -> Option<i64> {
    const DAYS_PER_ERA: i64 = 146_097;
    let year_from_march = i64::from(year) - i64::from(month <= 2);
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let (era, year_of_era) = (year_from_march.div_euclid(400), year_from_march.rem_euclid(400));
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * DAYS_PER_ERA + day_of_era - 719_468;
    (civil_date(days) == (year, month, day)).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times() {
        assert_eq!(FileTime::from_unix(0, 0).0, 116_444_736_000_000_000);
        assert_eq!(FileTime::from_unix(1_700_000_000, 123_456_700).0, 133_444_736_001_234_567);
        assert_eq!(FileTime::from_unix(-1, 999_999_999).0, 116_444_735_999_999_999);
        assert_eq!(FileTime::from_unix(15_032_385_535, 0).0, 266_768_591_350_000_000);
        assert_eq!(FileTime::from_unix(i64::MIN, 0), FileTime::NONE);
        assert_eq!(FileTime::NONE.to_unix(), (-11_644_473_600, 0));
        assert_eq!(FileTime(u64::MAX).to_unix(), (1_833_029_933_770, 955_161_500));
    }

    #[test]
    fn dates() {
        let known = [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_016, (2000, 2, 29)),
            (20_778, (2026, 11, 21)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ];
        for (days, (year, month, day)) in known {
            assert_eq!(civil_date(days), (year, month, day));
            assert_eq!(days_since_1970(year, month, day), Some(days));
        }
        for (year, month, day) in [(2001, 2, 29), (2000, 13, 1), (2000, 0, 1), (2000, 4, 31), (2000, 1, 0)] {
            assert_eq!(days_since_1970(year, month, day), None);
        }
    }

    proptest! {
        #[test]
        fn whole_ticks_survive(ticks in any::<u64>()) {
            let (seconds, nanoseconds) = FileTime(ticks).to_unix();
            prop_assert_eq!(FileTime::from_unix(seconds, nanoseconds + 99), FileTime(ticks));
        }
    }
}
