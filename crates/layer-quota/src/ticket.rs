//! Names for opens that outlive the process: where the file was opened, so that it is known then whose it is, and the
//! origin's own ticket. One byte that tells them from those of an origin, four for the length of the path in bytes,
//! little-endian; the path; the ticket.

use bytes::{Buf, BufMut, BytesMut};
use volume::{Ticket, VPath};

const MARK: u8 = b'Q';
const HEAD_BYTES: usize = 5;

pub(crate) fn make(path: &VPath, inner: &Ticket) -> Ticket {
    let path = path.as_str().as_bytes();
    let mut bytes = BytesMut::with_capacity(HEAD_BYTES + path.len() + inner.0.len());
    bytes.put_u8(MARK);
    bytes.put_u32_le(path.len() as u32);
    bytes.put_slice(path);
    bytes.put_slice(&inner.0);
    Ticket(bytes.freeze())
}

/// Where the file was, and the origin's ticket. One that is not of this layer, from before the volume kept quotas, is the
/// origin's.
pub(crate) fn read(ticket: &Ticket) -> (Option<VPath>, Ticket) {
    own(ticket).map_or_else(|| (None, ticket.clone()), |(path, inner)| (Some(path), inner))
}

fn own(ticket: &Ticket) -> Option<(VPath, Ticket)> {
    let mut rest = ticket.0.clone();
    if rest.len() < HEAD_BYTES || rest.get_u8() != MARK {
        return None;
    }
    let length = rest.get_u32_le() as usize;
    if rest.len() < length {
        return None;
    }
    let path = VPath::parse(std::str::from_utf8(&rest.split_to(length)).ok()?).ok()?;
    Some((path, Ticket(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn comes_back_as_it_was_and_another_is_the_origins() {
        let (path, inner) = (VPath::parse("a/b").unwrap(), Ticket(Bytes::from_static(b"\x02inner")));
        let made = make(&path, &inner);
        assert_eq!(read(&made), (Some(path), inner.clone()));
        assert_eq!(read(&inner), (None, inner));
        for cut in 0..8 {
            let cut = Ticket(made.0.slice(..cut));
            assert_eq!(read(&cut), (None, cut));
        }
    }
}
