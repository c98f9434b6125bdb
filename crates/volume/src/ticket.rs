//! A name for an open that outlives the process, and what a layer puts around the one of the volume behind it.

use crate::VPath;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// A name for an open that outlives the process. Opaque.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Ticket(pub Bytes);

const HEAD_BYTES: usize = 5;

impl Ticket {
    /// Of a layer that wants to know again where the file was: its own `mark`, four bytes for the length of the path in bytes,
    /// little-endian; the path; the ticket `inner`.
    pub fn at(mark: u8, path: &VPath, inner: &Ticket) -> Ticket {
        let path = path.as_str().as_bytes();
        let mut bytes = BytesMut::with_capacity(HEAD_BYTES + path.len() + inner.0.len());
        bytes.put_u8(mark);
        bytes.put_u32_le(path.len() as u32);
        bytes.put_slice(path);
        bytes.put_slice(&inner.0);
        Ticket(bytes.freeze())
    }

    /// Where the file was, and the ticket inside. One that does not have this `mark`, from before the volume had the layer, is
    /// that of the volume behind.
    pub fn split(&self, mark: u8) -> (Option<VPath>, Ticket) {
        self.own(mark).map_or_else(|| (None, self.clone()), |(path, inner)| (Some(path), inner))
    }

    fn own(&self, mark: u8) -> Option<(VPath, Ticket)> {
        let mut rest = self.0.clone();
        if rest.len() < HEAD_BYTES || rest.get_u8() != mark {
            return None;
        }
        let length = rest.get_u32_le() as usize;
        if rest.len() < length {
            return None;
        }
        let path = VPath::parse(std::str::from_utf8(&rest.split_to(length)).ok()?).ok()?;
        Some((path, Ticket(rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was_and_another_is_the_origins() {
        let (path, inner) = (VPath::parse("a/b").unwrap(), Ticket(Bytes::from_static(b"\x02inner")));
        let made = Ticket::at(b'Q', &path, &inner);
        assert_eq!(made.split(b'Q'), (Some(path), inner.clone()));
        assert_eq!(made.split(b'M'), (None, made.clone()));
        assert_eq!(inner.split(b'Q'), (None, inner));
        for cut in 0..8 {
            let cut = Ticket(made.0.slice(..cut));
            assert_eq!(cut.split(b'Q'), (None, cut));
        }
    }
}
