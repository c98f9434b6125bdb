//! Names for opens that outlive the process. One byte: access; sixteen: the file; four: length of the path in
//! bytes, little-endian; the path; the origin's own ticket, when the origin had the file open.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use volume::{Access, File, FileId, Ticket, VPath};

/// What a ticket stands for.
pub(crate) struct Reopen {
    pub access: Access,
    pub id: FileId,
    pub path: VPath,
    /// `None` for a file that was only read.
    pub inner: Option<Ticket>,
}

/// `None` when the origin has the file open and cannot name it.
pub(crate) fn make(access: Access, id: FileId, path: &VPath, inner: Option<&dyn File>) -> Option<Ticket> {
    let inner = match inner {
        Some(file) => file.ticket()?.0,
        None => Bytes::new(),
    };
    let path = path.as_str().as_bytes();
    let mut bytes = BytesMut::with_capacity(21 + path.len() + inner.len());
    bytes.put_u8(access.bits());
    bytes.put_u64_le(id.hi);
    bytes.put_u64_le(id.lo);
    bytes.put_u32_le(u32::try_from(path.len()).ok()?);
    bytes.put_slice(path);
    bytes.put_slice(&inner);
    Some(Ticket(bytes.freeze()))
}

/// `None` for what is no ticket of this layer.
pub(crate) fn read(ticket: &Ticket) -> Option<Reopen> {
    let mut rest = ticket.0.clone();
    if rest.len() < 21 {
        return None;
    }
    let access = Access::from_bits(rest.get_u8())?;
    let id = FileId { hi: rest.get_u64_le(), lo: rest.get_u64_le() };
    let length = rest.get_u32_le() as usize;
    if rest.len() < length {
        return None;
    }
    let path = VPath::parse(std::str::from_utf8(&rest.split_to(length)).ok()?).ok()?;
    let inner = (!rest.is_empty()).then_some(Ticket(rest));
    Some(Reopen { access, id, path, inner })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was_and_refuses_what_is_none() {
        let (id, path) = (FileId { hi: 1, lo: 2 }, VPath::parse("a/b").unwrap());
        let made = make(Access::READ, id, &path, None).unwrap();
        let back = read(&made).unwrap();
        assert_eq!((back.access, back.id, back.path, back.inner), (Access::READ, id, path, None));
        for cut in 0..made.0.len() {
            assert!(read(&Ticket(made.0.slice(..cut))).is_none(), "{cut}");
        }
    }
}
