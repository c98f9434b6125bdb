//! The first packets: INIT and VERSION (section 4), and what extensions a server announces.

use super::cursor::{Cursor, packet};
use super::{VERSION, WireError, kind};
use bytes::{BufMut, Bytes, BytesMut};

bitflags::bitflags! {
    /// Extensions that are used here, each in the version that OpenSSH has.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub(crate) struct Extensions: u32 {
        const POSIX_RENAME = 1;
        const HARDLINK = 2;
        const STATVFS = 4;
        const FSYNC = 8;
        const LSETSTAT = 16;
        const LIMITS = 32;
        const COPY_DATA = 64;
    }
}

/// Name and version of each.
const ANNOUNCED: [(&str, &str, Extensions); 7] = [
    ("posix-rename@openssh.com", "1", Extensions::POSIX_RENAME),
    ("hardlink@openssh.com", "1", Extensions::HARDLINK),
    ("statvfs@openssh.com", "2", Extensions::STATVFS),
    ("fsync@openssh.com", "1", Extensions::FSYNC),
    ("lsetstat@openssh.com", "1", Extensions::LSETSTAT),
    ("limits@openssh.com", "1", Extensions::LIMITS),
    ("copy-data", "1", Extensions::COPY_DATA),
];

impl Extensions {
    /// As the server names the first of them.
    pub(crate) fn name(self) -> &'static str {
        let named = ANNOUNCED.iter().find(|(_, _, extension)| self.contains(*extension));
        named.map_or("none", |(name, _, _)| name)
    }
}

/// What a server says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Greeting {
    pub(crate) extensions: Extensions,
    /// All that were announced, with their versions, for people.
    pub(crate) announced: Vec<(String, String)>,
}

impl Greeting {
    /// What is said to the server first.
    pub(crate) fn init() -> Bytes {
        let mut out = BytesMut::new();
        packet(&mut out, |out| {
            out.put_u8(kind::INIT);
            out.put_u32(VERSION);
        });
        out.freeze()
    }

    /// Reads the answer to it, without its length.
    pub(crate) fn read(frame: Bytes) -> Result<Greeting, WireError> {
        let mut from = Cursor::new(frame);
        match from.u8()? {
            kind::VERSION => {}
            other => return Err(WireError::Kind(other)),
        }
        match from.u32()? {
            VERSION => {}
            other => return Err(WireError::Version(other)),
        }
        let mut greeting = Greeting { extensions: Extensions::empty(), announced: Vec::new() };
        while from.left() > 0 {
            let (name, version) = (from.string()?, from.string()?);
            let known =
                ANNOUNCED.iter().find(|known| *known.0.as_bytes() == name && *known.1.as_bytes() == version);
            greeting.extensions |= known.map_or(Extensions::empty(), |known| known.2);
            let text = |bytes: Bytes| String::from_utf8_lossy(&bytes).into_owned();
            greeting.announced.push((text(name), text(version)));
        }
        Ok(greeting)
    }
}

#[cfg(test)]
mod tests {
    use super::super::cursor::put_string;
    use super::*;

    fn version(number: u32, extensions: &[(&str, &str)]) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(kind::VERSION);
        out.put_u32(number);
        for (name, version) in extensions {
            put_string(&mut out, name.as_bytes());
            put_string(&mut out, version.as_bytes());
        }
        out.freeze()
    }

    #[test]
    fn init_is_what_the_draft_says() {
        assert_eq!(Greeting::init(), &[0, 0, 0, 5, 1, 0, 0, 0, 3][..]);
    }

    #[test]
    fn extensions_count_in_the_version_that_is_known() {
        let said =
            [("posix-rename@openssh.com", "1"), ("statvfs@openssh.com", "1"), ("new@openssh.com", "9")];
        let greeting = Greeting::read(version(3, &said)).unwrap();
        assert_eq!(greeting.extensions, Extensions::POSIX_RENAME);
        assert_eq!(greeting.announced.len(), 3);
    }

    #[test]
    fn others_are_refused() {
        assert_eq!(Greeting::read(version(6, &[])), Err(WireError::Version(6)));
        assert_eq!(Greeting::read(Bytes::from_static(&[101, 0, 0, 0, 3])), Err(WireError::Kind(101)));
        let whole = version(3, &[("a", "1")]);
        for length in (0..5).chain(6..whole.len()) {
            assert_eq!(Greeting::read(whole.slice(..length)), Err(WireError::Short), "{length}");
        }
    }
}
