//! The primitives of the format: bytes, variable-length integers (LEB128), text, paths.

use crate::WireError;
use bytes::Bytes;
use volume::{FileId, VPath};

/// Appends primitives.
#[derive(Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

/// Takes primitives off the front. Every method checks the length first.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl Writer {
    pub fn with_capacity(bytes: usize) -> Writer {
        Writer { bytes: Vec::with_capacity(bytes) }
    }

    pub fn finish(self) -> Bytes {
        Bytes::from(self.bytes)
    }

    pub fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub fn flag(&mut self, value: bool) {
        self.byte(u8::from(value));
    }

    pub fn fixed16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub fn fixed64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// LEB128: seven bits a byte, the lowest first.
    pub fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// The difference of two words, short when they are near to each other in either direction.
    pub fn delta(&mut self, value: u64, reference: u64) {
        let difference = value.wrapping_sub(reference) as i64;
        self.number(((difference << 1) ^ (difference >> 63)) as u64);
    }

    pub fn blob(&mut self, value: &[u8]) {
        self.number(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    pub fn text(&mut self, value: &str) {
        self.blob(value.as_bytes());
    }

    pub fn path(&mut self, value: &VPath) {
        self.text(value.as_str());
    }

    pub fn id(&mut self, value: FileId) {
        self.fixed64(value.hi);
        self.fixed64(value.lo);
    }

    pub fn option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Writer, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            put(self, value);
        }
    }
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// Bytes not yet taken.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// There must be nothing left.
    pub fn end(self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::Trailing) }
    }

    pub fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub fn byte(&mut self) -> Result<u8, WireError> {
        Ok(self.array::<1>()?[0])
    }

    pub fn flag(&mut self) -> Result<bool, WireError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Value("a flag")),
        }
    }

    pub fn fixed16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn fixed64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub fn number(&mut self) -> Result<u64, WireError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(WireError::Overflow);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::Overflow)
    }

    pub fn number32(&mut self) -> Result<u32, WireError> {
        u32::try_from(self.number()?).map_err(|_| WireError::Overflow)
    }

    pub fn delta(&mut self, reference: u64) -> Result<u64, WireError> {
        let coded = self.number()?;
        let difference = (coded >> 1) ^ (coded & 1).wrapping_neg();
        Ok(reference.wrapping_add(difference))
    }

    /// A count of things of at least `least_bytes` each: never more than can still be there.
    pub fn count(&mut self, least_bytes: usize) -> Result<usize, WireError> {
        let count = usize::try_from(self.number()?).map_err(|_| WireError::Overflow)?;
        if count > self.left() / least_bytes { Err(WireError::Truncated) } else { Ok(count) }
    }

    pub fn blob(&mut self) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(self.number()?).map_err(|_| WireError::Truncated)?;
        self.take(length)
    }

    pub fn text(&mut self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.blob()?).map_err(|_| WireError::NotText)
    }

    pub fn path(&mut self) -> Result<VPath, WireError> {
        Ok(VPath::parse(self.text()?)?)
    }

    pub fn id(&mut self) -> Result<FileId, WireError> {
        Ok(FileId { hi: self.fixed64()?, lo: self.fixed64()? })
    }

    pub fn option<T>(
        &mut self,
        get: impl FnOnce(&mut Reader<'a>) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        if self.flag()? { Ok(Some(get(self)?)) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_over_64_bits_is_refused() {
        let mut bytes = [0xff; 10];
        bytes[9] = 1;
        assert_eq!(Reader::new(&bytes).number(), Ok(u64::MAX));
        bytes[9] = 2;
        assert_eq!(Reader::new(&bytes).number(), Err(WireError::Overflow));
        assert_eq!(Reader::new(&[0xff; 11]).number(), Err(WireError::Overflow));
        assert_eq!(Reader::new(&[0x80]).number(), Err(WireError::Truncated));
    }

    #[test]
    fn near_words_are_short_in_both_directions() {
        for (value, reference) in [(5, 9), (9, 5), (0, u64::MAX), (u64::MAX, 0)] {
            let mut out = Writer::default();
            out.delta(value, reference);
            let bytes = out.finish();
            assert_eq!(bytes.len(), 1, "{value} after {reference}");
            assert_eq!(Reader::new(&bytes).delta(reference), Ok(value));
        }
    }
}
