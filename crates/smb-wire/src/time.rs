//! FILETIME (MS-DTYP 2.3.3): 100 ns steps since 1601-01-01 UTC.

/// 100 ns steps between 1601-01-01 and 1970-01-01.
const UNIX_EPOCH_TICKS: i64 = 116_444_736_000_000_000;
const NANOS_PER_TICK: i64 = 100;

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

    /// From nanoseconds since 1970. Every `i64` fits (years 1677 to 2262); parts of 100 ns round down.
    pub fn from_unix_nanos(nanos: i64) -> Self {
        Self((nanos.div_euclid(NANOS_PER_TICK) + UNIX_EPOCH_TICKS) as u64)
    }

    /// To nanoseconds since 1970, clamped to what an `i64` holds (years 1677 to 2262).
    pub fn to_unix_nanos(self) -> i64 {
        let ticks = i64::try_from(self.0).unwrap_or(i64::MAX);
        ticks.saturating_sub(UNIX_EPOCH_TICKS).saturating_mul(NANOS_PER_TICK)
    }

    /// The time as nanoseconds since 1970, or `None` for zero and for the two commands.
    pub fn given_unix_nanos(self) -> Option<i64> {
        (!matches!(self, Self::NONE | Self::FREEZE | Self::THAW)).then(|| self.to_unix_nanos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times() {
        assert_eq!(FileTime::from_unix_nanos(0).0, 116_444_736_000_000_000);
        assert_eq!(FileTime::from_unix_nanos(1_700_000_000_123_456_700).0, 133_444_736_001_234_567);
        assert_eq!(FileTime::from_unix_nanos(-1).0, 116_444_735_999_999_999);
        assert_eq!(FileTime::NONE.to_unix_nanos(), i64::MIN);
        assert_eq!(FileTime(u64::MAX).to_unix_nanos(), i64::MAX);
    }

    proptest! {
        #[test]
        fn whole_ticks_survive(nanos in any::<i64>()) {
            let back = FileTime::from_unix_nanos(nanos).to_unix_nanos();
            prop_assert!(back == nanos.div_euclid(100).saturating_mul(100));
        }
    }
}
