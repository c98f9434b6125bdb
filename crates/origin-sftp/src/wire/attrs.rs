//! Attributes of a file (section 5): each is there or not.

use super::WireError;
use super::cursor::Cursor;
use bytes::{BufMut, BytesMut};

const SIZE: u32 = 0x1;
const UIDGID: u32 = 0x2;
const PERMISSIONS: u32 = 0x4;
const ACMODTIME: u32 = 0x8;
const EXTENDED: u32 = 0x8000_0000;

/// What a server tells of a file, or is to set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Attrs {
    pub(crate) size: Option<u64>,
    /// Owner and group.
    pub(crate) owner: Option<(u32, u32)>,
    /// `st_mode` of POSIX: the kind of the file too, in answers.
    pub(crate) mode: Option<u32>,
    /// Last access and last change, seconds since 1970.
    pub(crate) times: Option<(u32, u32)>,
}

impl Attrs {
    /// Permissions alone.
    pub(crate) fn mode(mode: u32) -> Attrs {
        Attrs { mode: Some(mode), ..Attrs::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Attrs::default()
    }

    pub(super) fn read(from: &mut Cursor) -> Result<Attrs, WireError> {
        let flags = from.u32()?;
        let has = |flag| flags & flag != 0;
        let attrs = Attrs {
            size: has(SIZE).then(|| from.u64()).transpose()?,
            owner: has(UIDGID).then(|| Ok((from.u32()?, from.u32()?))).transpose()?,
            mode: has(PERMISSIONS).then(|| from.u32()).transpose()?,
            times: has(ACMODTIME).then(|| Ok((from.u32()?, from.u32()?))).transpose()?,
        };
        if has(EXTENDED) {
            for _ in 0..from.u32()? {
                from.string()?;
                from.string()?;
            }
        }
        Ok(attrs)
    }

    pub(super) fn write(&self, out: &mut BytesMut) {
        let flag = |there, flag| if there { flag } else { 0 };
        out.put_u32(
            flag(self.size.is_some(), SIZE)
                | flag(self.owner.is_some(), UIDGID)
                | flag(self.mode.is_some(), PERMISSIONS)
                | flag(self.times.is_some(), ACMODTIME),
        );
        if let Some(size) = self.size {
            out.put_u64(size);
        }
        if let Some((uid, gid)) = self.owner {
            out.put_u32(uid);
            out.put_u32(gid);
        }
        if let Some(mode) = self.mode {
            out.put_u32(mode);
        }
        if let Some((atime, mtime)) = self.times {
            out.put_u32(atime);
            out.put_u32(mtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(attrs: Attrs) {
        let mut out = BytesMut::new();
        attrs.write(&mut out);
        let whole = out.freeze();
        let mut cursor = Cursor::new(whole.clone());
        assert_eq!(Attrs::read(&mut cursor), Ok(attrs));
        assert_eq!(cursor.left(), 0);
        for length in 0..whole.len() {
            assert_eq!(
                Attrs::read(&mut Cursor::new(whole.slice(..length))),
                Err(WireError::Short),
                "{length}"
            );
        }
    }

    #[test]
    fn what_is_written_is_read() {
        check(Attrs::default());
        check(Attrs::mode(0o100_644));
        check(Attrs {
            size: Some(1 << 40),
            owner: Some((1000, 100)),
            mode: Some(0o40_755),
            times: Some((1, u32::MAX)),
        });
        check(Attrs { times: Some((7, 8)), ..Attrs::default() });
    }

    #[test]
    fn what_others_have_added_is_passed_over() {
        let mut out = BytesMut::new();
        out.put_u32(EXTENDED | PERMISSIONS);
        out.put_u32(0o644);
        out.put_u32(1);
        for string in ["acl", "x"] {
            super::super::cursor::put_string(&mut out, string.as_bytes());
        }
        assert_eq!(Attrs::read(&mut Cursor::new(out.freeze())), Ok(Attrs::mode(0o644)));
        let mut hostile = BytesMut::new();
        hostile.put_u32(EXTENDED);
        hostile.put_u32(u32::MAX);
        assert_eq!(Attrs::read(&mut Cursor::new(hostile.freeze())), Err(WireError::Short));
    }
}
