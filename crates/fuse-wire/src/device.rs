//! Device numbers, packed as the kernel's `new_encode_dev` does it.

use std::fmt;

/// A device number: 12 bits of major and 20 bits of minor number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Device(u32);

impl Device {
    /// The largest major number.
    pub const MAJOR_MAX: u32 = (1 << 12) - 1;
    /// The largest minor number.
    pub const MINOR_MAX: u32 = (1 << 20) - 1;

    /// The device with these numbers, unless the kernel could not express it.
    pub const fn new(major: u32, minor: u32) -> Option<Self> {
        if major > Self::MAJOR_MAX || minor > Self::MINOR_MAX {
            return None;
        }
        Some(Self((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)))
    }

    /// The device that is this on the wire; all values are one.
    pub const fn from_wire(value: u32) -> Self {
        Self(value)
    }

    /// What it is on the wire.
    pub const fn to_wire(self) -> u32 {
        self.0
    }

    /// The major number.
    pub const fn major(self) -> u32 {
        (self.0 & 0xf_ff00) >> 8
    }

    /// The minor number.
    pub const fn minor(self) -> u32 {
        (self.0 & 0xff) | ((self.0 >> 12) & 0xf_ff00)
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({}:{})", self.major(), self.minor())
    }
}
