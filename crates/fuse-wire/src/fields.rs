//! Reading and writing fields of the machine's byte order.
//!
//! [`Fixed`] is a structure that was checked once and is then read by the offsets of its C declaration;
//! [`Filled`] is one being written by the same offsets. [`Body`] walks over what follows the header of a
//! request: structures, names, data.

use crate::{error::WireError, time::Time};
use bytes::Bytes;
use std::time::Duration;

/// A structure of `N` bytes whose presence was checked. An offset beyond `N` is an error in this crate,
/// never in the input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fixed<'a, const N: usize>(&'a [u8; N]);

impl<'a, const N: usize> Fixed<'a, N> {
    /// The first `N` bytes of `data`.
    pub(crate) fn new(data: &'a [u8], what: &'static str) -> Result<Self, WireError> {
        data.first_chunk().map(Self).ok_or(WireError::Short { what, need: N, have: data.len() })
    }

    #[inline(always)]
    fn array<const M: usize>(&self, at: usize) -> [u8; M] {
        let mut out = [0; M];
        out.copy_from_slice(&self.0[at..at + M]);
        out
    }

    /// The 16-bit integer at `at`.
    #[inline(always)]
    pub(crate) fn u16(&self, at: usize) -> u16 {
        u16::from_ne_bytes(self.array(at))
    }

    /// The 32-bit integer at `at`.
    #[inline(always)]
    pub(crate) fn u32(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.array(at))
    }

    /// The 64-bit integer at `at`.
    #[inline(always)]
    pub(crate) fn u64(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.array(at))
    }

    /// The point in time whose seconds and nanoseconds are at two offsets.
    pub(crate) fn time(&self, seconds_at: usize, nanoseconds_at: usize) -> Time {
        Time { seconds: self.u64(seconds_at) as i64, nanoseconds: self.u32(nanoseconds_at) }
    }
}

/// A structure of `N` bytes being written; what is not set is zero.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filled<const N: usize>([u8; N]);

impl<const N: usize> Filled<N> {
    /// All zeros.
    pub(crate) fn new() -> Self {
        Self([0; N])
    }

    /// The bytes `at..`.
    #[inline(always)]
    pub(crate) fn bytes(mut self, at: usize, value: &[u8]) -> Self {
        self.0[at..at + value.len()].copy_from_slice(value);
        self
    }

    /// The 16-bit integer at `at`.
    #[inline(always)]
    pub(crate) fn u16(self, at: usize, value: u16) -> Self {
        self.bytes(at, &value.to_ne_bytes())
    }

    /// The 32-bit integer at `at`.
    #[inline(always)]
    pub(crate) fn u32(self, at: usize, value: u32) -> Self {
        self.bytes(at, &value.to_ne_bytes())
    }

    /// The 64-bit integer at `at`.
    #[inline(always)]
    pub(crate) fn u64(self, at: usize, value: u64) -> Self {
        self.bytes(at, &value.to_ne_bytes())
    }

    /// The point in time whose seconds and nanoseconds are at two offsets.
    pub(crate) fn time(self, seconds_at: usize, nanoseconds_at: usize, value: Time) -> Self {
        self.u64(seconds_at, value.seconds as u64).u32(nanoseconds_at, value.nanoseconds)
    }

    /// How long something is valid, its seconds and nanoseconds at two offsets.
    pub(crate) fn duration(self, seconds_at: usize, nanoseconds_at: usize, value: Duration) -> Self {
        self.u64(seconds_at, value.as_secs()).u32(nanoseconds_at, value.subsec_nanos())
    }

    /// The finished structure.
    pub(crate) fn done(self) -> [u8; N] {
        self.0
    }
}

/// What follows the header of a request, read from front to back; every read is checked against what is
/// left. `what` names the request in errors.
#[derive(Debug)]
pub(crate) struct Body {
    rest: Bytes,
    what: &'static str,
}

impl Body {
    /// Reads `rest` from its start.
    pub(crate) fn new(rest: Bytes, what: &'static str) -> Self {
        Self { rest, what }
    }

    /// What is being read.
    pub(crate) fn what(&self) -> &'static str {
        self.what
    }

    /// The next structure of `N` bytes, read by `read`.
    pub(crate) fn fixed<const N: usize, T>(
        &mut self,
        read: impl FnOnce(Fixed<'_, N>) -> T,
    ) -> Result<T, WireError> {
        let value = read(Fixed::new(&self.rest, self.what)?);
        let _ = self.rest.split_to(N);
        Ok(value)
    }

    /// The next `count` bytes.
    pub(crate) fn data(&mut self, count: usize) -> Result<Bytes, WireError> {
        match count <= self.rest.len() {
            true => Ok(self.rest.split_to(count)),
            false => Err(WireError::Short { what: self.what, need: count, have: self.rest.len() }),
        }
    }

    /// The next bytes up to a NUL, which there must be, at least one.
    pub(crate) fn name(&mut self) -> Result<Bytes, WireError> {
        match self.rest.iter().position(|byte| *byte == 0) {
            None | Some(0) => Err(WireError::BadName { what: self.what }),
            Some(end) => {
                let name = self.rest.split_to(end);
                let _ = self.rest.split_to(1);
                Ok(name)
            }
        }
    }

    /// The next name, which is one component of a path.
    pub(crate) fn component(&mut self) -> Result<Bytes, WireError> {
        let name = self.name()?;
        match name.contains(&b'/') {
            true => Err(WireError::BadName { what: self.what }),
            false => Ok(name),
        }
    }
}
