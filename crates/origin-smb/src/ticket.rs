//! Tickets: a name for an open that outlives the process.
//!
//! Layout, integers little-endian: version (1 byte, 1), access (1), file id (8), creation time (8, FILETIME),
//! path (UTF-8, the rest). The creation time tells a file from a later one that was given the same file id.

use bytes::{BufMut, Bytes, BytesMut};
use smb_wire::FileTime;
use smb_wire::cursor::Fixed;
use volume::{Access, FileId, Ticket, VPath};

const VERSION: u8 = 1;
const FIXED: usize = 18;

pub(crate) struct Content {
    pub(crate) path: VPath,
    pub(crate) id: FileId,
    pub(crate) born: FileTime,
    pub(crate) access: Access,
}

pub(crate) fn write(path: &VPath, id: FileId, born: FileTime, access: Access) -> Ticket {
    let mut out = BytesMut::with_capacity(FIXED + path.as_str().len());
    out.put_u8(VERSION);
    out.put_u8(access.bits());
    out.put_u64_le(id.lo);
    out.put_u64_le(born.0);
    out.put_slice(path.as_str().as_bytes());
    Ticket(out.freeze())
}

/// `None` for a ticket that is not of this crate.
pub(crate) fn read(ticket: &Ticket) -> Option<Content> {
    let bytes: &Bytes = &ticket.0;
    let fixed = Fixed::<FIXED>::new(bytes, "ticket").ok()?;
    let path = std::str::from_utf8(&bytes[FIXED..]).ok()?;
    Some(Content {
        path: VPath::parse(path).ok().filter(|_| fixed.u8(0) == VERSION)?,
        id: FileId { hi: 0, lo: fixed.u64(2) },
        born: FileTime(fixed.u64(10)),
        access: Access::from_bits(fixed.u8(1))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let (path, id) = (VPath::parse("a/b").unwrap(), FileId { hi: 0, lo: 9 });
        let ticket = write(&path, id, FileTime(77), Access::READ);
        let content = read(&ticket).unwrap();
        assert_eq!((content.path, content.id, content.born.0), (path, id, 77));
        assert_eq!(content.access, Access::READ);
        for bad in [&b""[..], b"\x02aaaaaaaaaaaaaaaaaaa", b"\x01\xffaaaaaaaaaaaaaaaa", &ticket.0[..17]] {
            assert!(read(&Ticket(Bytes::copy_from_slice(bad))).is_none(), "{bad:?}");
        }
    }
}
