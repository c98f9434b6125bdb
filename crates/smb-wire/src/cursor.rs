//! Reading and writing little-endian fields.
//!
//! Three small tools carry the whole crate. [`Fixed`] is the fixed part of a structure, checked once and
//! then read by the offsets that the specification prints. [`Reader`] walks over parts of variable length.
//! [`Put`] appends fields to a `Vec<u8>`. [`slice`] cuts a payload out of a message without copying it.

use crate::{error::WireError, name};
use bytes::Bytes;

/// A sequential reader over borrowed bytes; every read is checked against what is left.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    data: &'a [u8],
    position: usize,
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Reads `data` from its start; `what` names the structure in errors.
    pub fn new(data: &'a [u8], what: &'static str) -> Self {
        Self { data, position: 0, what }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Bytes that are left.
    pub fn remaining(&self) -> usize {
        self.data.len() - self.position
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let rest = &self.data[self.position..];
        let taken =
            rest.get(..count).ok_or(WireError::Short { what: self.what, need: count, have: rest.len() })?;
        self.position += count;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// Passes over `count` bytes.
    pub fn skip(&mut self, count: usize) -> Result<(), WireError> {
        self.take(count).map(|_| ())
    }

    /// Passes over padding up to the next multiple of `boundary` bytes, counted from the start.
    pub fn align(&mut self, boundary: usize) -> Result<(), WireError> {
        self.skip(self.position.next_multiple_of(boundary) - self.position)
    }

    /// All the bytes that are left.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = &self.data[self.position..];
        self.position = self.data.len();
        rest
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, WireError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A 16-bit integer.
    pub fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_le_bytes)
    }

    /// A 32-bit integer.
    pub fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_le_bytes)
    }

    /// A 64-bit integer.
    pub fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_le_bytes)
    }

    /// `length` bytes of UTF-16LE as a string (see [`crate::name`]).
    pub fn utf16(&mut self, length: usize) -> Result<String, WireError> {
        let what = self.what;
        name::decode(self.take(length)?, what)
    }
}

/// The fixed part of a structure: `N` bytes whose presence was checked once.
///
/// The offsets given to its methods are constants out of the specification's tables; one beyond `N` is
/// an error in this crate, never in the input.
#[derive(Debug, Clone, Copy)]
pub struct Fixed<'a, const N: usize>(&'a [u8; N]);

impl<'a, const N: usize> Fixed<'a, N> {
    /// The first `N` bytes of `data`.
    pub fn new(data: &'a [u8], what: &'static str) -> Result<Self, WireError> {
        data.first_chunk().map(Self).ok_or(WireError::Short { what, need: N, have: data.len() })
    }

    /// The fixed part of the body of an SMB2 message, whose StructureSize must be `structure_size`.
    pub fn body(message: &'a [u8], what: &'static str, structure_size: u16) -> Result<Self, WireError> {
        let fixed = Self::new(message.get(crate::HEADER_LEN..).unwrap_or_default(), what)?;
        match fixed.u16(0) {
            size if size == structure_size => Ok(fixed),
            size => Err(WireError::BadValue { what, value: u64::from(size) }),
        }
    }

    /// The bytes `at..at + M`.
    #[inline(always)]
    pub fn array<const M: usize>(&self, at: usize) -> [u8; M] {
        let mut out = [0; M];
        out.copy_from_slice(&self.0[at..at + M]);
        out
    }

    /// The byte at `at`.
    #[inline(always)]
    pub fn u8(&self, at: usize) -> u8 {
        self.0[at]
    }

    /// The 16-bit integer at `at`.
    #[inline(always)]
    pub fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.array(at))
    }

    /// The 32-bit integer at `at`.
    #[inline(always)]
    pub fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    /// The 64-bit integer at `at`.
    #[inline(always)]
    pub fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }

    /// A 16-bit integer as a length or offset in bytes.
    #[inline(always)]
    pub fn size16(&self, at: usize) -> usize {
        usize::from(self.u16(at))
    }

    /// A 32-bit integer as a length or offset in bytes.
    #[inline(always)]
    pub fn size32(&self, at: usize) -> usize {
        self.u32(at) as usize
    }
}

/// The `length` bytes at `offset` of `message`, shared and not copied. An empty range is empty wherever
/// it points to, because clients leave the offset of an absent buffer at any value.
pub fn slice(message: &Bytes, offset: usize, length: usize, what: &'static str) -> Result<Bytes, WireError> {
    if length == 0 {
        return Ok(Bytes::new());
    }
    match offset.checked_add(length) {
        Some(end) if end <= message.len() => Ok(message.slice(offset..end)),
        _ => Err(WireError::BadRange { what, offset, length }),
    }
}

/// Like [`slice`] for a buffer of an SMB2 message, which cannot begin before `earliest`, the end of the
/// fixed part that describes it.
pub(crate) fn buffer(
    message: &Bytes,
    earliest: usize,
    offset: usize,
    length: usize,
    what: &'static str,
) -> Result<Bytes, WireError> {
    if length != 0 && offset < earliest {
        return Err(WireError::BadRange { what, offset, length });
    }
    slice(message, offset, length, what)
}

/// Appends little-endian fields to a buffer.
pub trait Put {
    /// One byte.
    fn u8(&mut self, value: u8);
    /// A 16-bit integer.
    fn u16(&mut self, value: u16);
    /// A 32-bit integer.
    fn u32(&mut self, value: u32);
    /// A 64-bit integer.
    fn u64(&mut self, value: u64);
    /// Bytes as they are.
    fn bytes(&mut self, value: &[u8]);
    /// `count` zero bytes.
    fn zeros(&mut self, count: usize);
    /// A length or offset in a 16-bit field. Callers keep it below 64 KiB.
    fn size16(&mut self, value: usize);
    /// A length or offset in a 32-bit field. Callers keep it below 4 GiB.
    fn size32(&mut self, value: usize);
    /// A string as UTF-16LE without a terminator; gives its length in bytes.
    fn utf16(&mut self, value: &str) -> usize;
    /// Zero bytes until the length counted from `start` is a multiple of `boundary`.
    fn align(&mut self, start: usize, boundary: usize);
    /// Overwrites the 16-bit field at `at` with a length or offset.
    fn set_size16(&mut self, at: usize, value: usize);
    /// Overwrites the 32-bit field at `at` with a length or offset.
    fn set_size32(&mut self, at: usize, value: usize);
}

impl Put for Vec<u8> {
    #[inline]
    fn u8(&mut self, value: u8) {
        self.push(value);
    }

    #[inline]
    fn u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    #[inline]
    fn u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    #[inline]
    fn u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    #[inline]
    fn bytes(&mut self, value: &[u8]) {
        self.extend_from_slice(value);
    }

    #[inline]
    fn zeros(&mut self, count: usize) {
        self.resize(self.len() + count, 0);
    }

    fn size16(&mut self, value: usize) {
        debug_assert!(value <= usize::from(u16::MAX), "{value} does not fit a 16-bit field");
        self.u16(value as u16);
    }

    fn size32(&mut self, value: usize) {
        debug_assert!(value <= u32::MAX as usize, "{value} does not fit a 32-bit field");
        self.u32(value as u32);
    }

    fn utf16(&mut self, value: &str) -> usize {
        let before = self.len();
        for unit in name::units(value) {
            self.u16(unit);
        }
        self.len() - before
    }

    fn align(&mut self, start: usize, boundary: usize) {
        let length = self.len() - start;
        self.zeros(length.next_multiple_of(boundary) - length);
    }

    fn set_size16(&mut self, at: usize, value: usize) {
        debug_assert!(value <= usize::from(u16::MAX), "{value} does not fit a 16-bit field");
        self[at..at + 2].copy_from_slice(&(value as u16).to_le_bytes());
    }

    fn set_size32(&mut self, at: usize, value: usize) {
        debug_assert!(value <= u32::MAX as usize, "{value} does not fit a 32-bit field");
        self[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
    }
}
