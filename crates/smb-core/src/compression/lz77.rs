//! Plain LZ77 (MS-XCA 2.3, 2.4).
//!
//! Words of 32 flags, high bit first, tell literals (0) from matches (1). A match is two bytes, 13 bits of distance and
//! 3 of length; longer lengths go on in a half byte, of which two matches share one byte, then in bytes and words.

use super::{
    Malformed,
    matches::{Effort, MATCH_MIN_BYTES, Matcher, Token},
    repeat,
};

const EFFORT: Effort = Effort { distance_max: 8192, depth: 8, is_lazy: false };
/// Largest value of the three fields that a length can fill, each standing for "more follows".
const LENGTH_BITS_MAX: usize = 7;
const HALF_BYTE_MAX: usize = 15;
const BYTE_MAX: usize = 255;

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    flags: u32,
    flag_count: u32,
    /// Where the word of flags stands that is being filled.
    flags_at: usize,
    /// A byte whose upper half is free.
    half_at: Option<usize>,
}

/// Appends `data`, compressed, unless it takes more than `budget` bytes.
pub(super) fn compress(data: &[u8], budget: usize, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let mut writer = Writer { flags: 0, flag_count: 0, flags_at: start, half_at: None, out };
    writer.out.extend_from_slice(&[0; 4]);
    let fits = Matcher::new(data, EFFORT).tokens(0..data.len(), |token| {
        writer.token(token);
        writer.out.len() - start <= budget
    });
    writer.finish();
    fits && out.len() - start <= budget
}

impl Writer<'_> {
    fn token(&mut self, token: Token) {
        match token {
            Token::Literal(byte) => {
                self.out.push(byte);
                self.flag(0);
            }
            Token::Match { distance, length } => {
                self.matched(distance, length - MATCH_MIN_BYTES);
                self.flag(1);
            }
        }
    }

    fn flag(&mut self, flag: u32) {
        self.flags = self.flags << 1 | flag;
        self.flag_count += 1;
        if self.flag_count == 32 {
            self.put_flags();
            self.flag_count = 0;
            self.flags_at = self.out.len();
            self.out.extend_from_slice(&[0; 4]);
        }
    }

    fn put_flags(&mut self) {
        self.out[self.flags_at..self.flags_at + 4].copy_from_slice(&self.flags.to_le_bytes());
    }

    /// `length` counts from the shortest match.
    fn matched(&mut self, distance: usize, length: usize) {
        let word = (distance - 1) << 3 | length.min(LENGTH_BITS_MAX);
        self.out.extend_from_slice(&(word as u16).to_le_bytes());
        let Some(more) = length.checked_sub(LENGTH_BITS_MAX) else { return };
        let half = more.min(HALF_BYTE_MAX) as u8;
        match self.half_at.take() {
            Some(at) => self.out[at] |= half << 4,
            None => {
                self.half_at = Some(self.out.len());
                self.out.push(half);
            }
        }
        let Some(more) = more.checked_sub(HALF_BYTE_MAX) else { return };
        self.out.push(more.min(BYTE_MAX) as u8);
        if more >= BYTE_MAX {
            match u16::try_from(length) {
                Ok(length) => self.out.extend_from_slice(&length.to_le_bytes()),
                Err(_) => {
                    self.out.extend_from_slice(&[0; 2]);
                    self.out.extend_from_slice(&(length as u32).to_le_bytes());
                }
            }
        }
    }

    /// The flags that are left over are set: a match without bytes is the end.
    fn finish(&mut self) {
        let free = 32 - self.flag_count;
        let ones = ((1u64 << free) - 1) as u32;
        self.flags = (u64::from(self.flags) << free) as u32 | ones;
        self.put_flags();
    }
}

struct Reader<'a> {
    data: &'a [u8],
    at: usize,
    half_at: Option<usize>,
}

/// Appends exactly `size` bytes, restored from `data`.
pub(super) fn decompress(data: &[u8], size: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let start = out.len();
    let mut reader = Reader { data, at: 0, half_at: None };
    let (mut flags, mut flag_count) = (0u32, 0u32);
    while out.len() - start < size {
        if flag_count == 0 {
            (flags, flag_count) = (u32::from_le_bytes(reader.array()?), 32);
        }
        flag_count -= 1;
        if flags >> flag_count & 1 == 0 {
            out.push(reader.byte()?);
            continue;
        }
        let word = usize::from(u16::from_le_bytes(reader.array()?));
        let length = reader.length(word & LENGTH_BITS_MAX)?;
        if length > size - (out.len() - start) {
            return Err(Malformed);
        }
        repeat(out, start, (word >> 3) + 1, length)?;
    }
    Ok(())
}

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.data.get(self.at..).and_then(<[u8]>::first_chunk).ok_or(Malformed)?;
        self.at += N;
        Ok(*bytes)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The length of a match whose three bits are `bits`.
    fn length(&mut self, bits: usize) -> Result<usize, Malformed> {
        if bits < LENGTH_BITS_MAX {
            return Ok(bits + MATCH_MIN_BYTES);
        }
        let half = match self.half_at.take() {
            Some(at) => self.data[at] >> 4,
            None => {
                self.half_at = Some(self.at);
                self.byte()? & 0x0F
            }
        };
        let half = usize::from(half);
        if half < HALF_BYTE_MAX {
            return Ok(half + LENGTH_BITS_MAX + MATCH_MIN_BYTES);
        }
        let byte = usize::from(self.byte()?);
        if byte < BYTE_MAX {
            return Ok(byte + HALF_BYTE_MAX + LENGTH_BITS_MAX + MATCH_MIN_BYTES);
        }
        let length = match u16::from_le_bytes(self.array()?) {
            0 => u32::from_le_bytes(self.array()?) as usize,
            length => usize::from(length),
        };
        let is_too_small = length < HALF_BYTE_MAX + LENGTH_BITS_MAX;
        if is_too_small { Err(Malformed) } else { length.checked_add(MATCH_MIN_BYTES).ok_or(Malformed) }
    }
}
