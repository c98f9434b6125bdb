//! LZNT1 (MS-XCA 2.5).
//!
//! Chunks of 4 KiB, each compressed alone or stored as it is. In a chunk a byte of eight flags, low bit first, tells
//! literals from matches; of a match's 16 bits the more belong to the distance, the farther the chunk has got.

use super::{Malformed, repeat};

const CHUNK_BYTES: usize = 4096;
const MATCH_MIN_BYTES: usize = 3;
/// In a chunk's head: it is compressed.
const COMPRESSED: u16 = 0x8000;
/// In a chunk's head: three bits that are always so.
const SIGNATURE: u16 = 0x3000;
const SIGNATURE_MASK: u16 = 0x7000;
const HASH_BITS: u32 = 12;

/// How many of a match's 16 bits are its length, `position` bytes into a chunk.
fn length_bits(position: usize) -> u32 {
    let distance_bits = (position - 1).checked_ilog2().map_or(4, |bits| (bits + 1).max(4));
    16 - distance_bits
}

/// Appends `data`, compressed, unless it takes more than `budget` bytes.
pub(super) fn compress(data: &[u8], budget: usize, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    for chunk in data.chunks(CHUNK_BYTES) {
        let head_at = out.len();
        out.extend_from_slice(&[0; 2]);
        let is_smaller = compress_chunk(chunk, out);
        if !is_smaller {
            out.truncate(head_at + 2);
            out.extend_from_slice(chunk);
        }
        let length = (out.len() - head_at - 3) as u16;
        let head = SIGNATURE | if is_smaller { COMPRESSED } else { 0 } | length;
        out[head_at..head_at + 2].copy_from_slice(&head.to_le_bytes());
        if out.len() - start > budget {
            return false;
        }
    }
    true
}

/// Appends a chunk, compressed, as long as that is shorter than the chunk.
fn compress_chunk(chunk: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let mut newest = [0u16; 1 << HASH_BITS];
    let (mut at, mut flags_at, mut flag) = (0, 0, 8);
    while at < chunk.len() {
        if flag == 8 {
            (flags_at, flag) = (out.len(), 0);
            out.push(0);
        }
        match find(chunk, at, &mut newest) {
            Some((distance, length)) => {
                let word = (distance - 1) << length_bits(at) | (length - MATCH_MIN_BYTES);
                out.extend_from_slice(&(word as u16).to_le_bytes());
                out[flags_at] |= 1 << flag;
                at += length;
            }
            None => {
                out.push(chunk[at]);
                at += 1;
            }
        }
        flag += 1;
        if out.len() - start >= chunk.len() {
            return false;
        }
    }
    true
}

/// A match at `at` with the newest position of the same three bytes.
fn find(chunk: &[u8], at: usize, newest: &mut [u16; 1 << HASH_BITS]) -> Option<(usize, usize)> {
    let [a, b, c] = *chunk[at..].first_chunk::<MATCH_MIN_BYTES>()?;
    let key = u32::from_le_bytes([a, b, c, 0]);
    let slot = &mut newest[(key.wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS)) as usize];
    let from = usize::from(std::mem::replace(slot, at as u16 + 1)).checked_sub(1)?;
    let longest = (1 << length_bits(at)) - 1 + MATCH_MIN_BYTES;
    let pairs = chunk[from..].iter().zip(&chunk[at..]);
    let length = pairs.take(longest).take_while(|(a, b)| a == b).count();
    (length >= MATCH_MIN_BYTES).then_some((at - from, length))
}

/// Appends exactly `size` bytes, restored from `data`.
pub(super) fn decompress(mut data: &[u8], size: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let start = out.len();
    while out.len() - start < size {
        let (head, rest) = data.split_first_chunk::<2>().ok_or(Malformed)?;
        let head = u16::from_le_bytes(*head);
        if head & SIGNATURE_MASK != SIGNATURE {
            return Err(Malformed);
        }
        let (chunk, rest) = rest.split_at_checked(usize::from(head & 0x0FFF) + 1).ok_or(Malformed)?;
        let left = size - (out.len() - start);
        match head & COMPRESSED {
            0 if chunk.len() > left => return Err(Malformed),
            0 => out.extend_from_slice(chunk),
            _ => decompress_chunk(chunk, left.min(CHUNK_BYTES), out)?,
        }
        data = rest;
    }
    Ok(())
}

/// Appends what a compressed chunk stands for, at most `most` bytes.
fn decompress_chunk(mut chunk: &[u8], most: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let start = out.len();
    while let Some((flags, mut rest)) = chunk.split_first() {
        for flag in 0..8 {
            if rest.is_empty() {
                break;
            }
            if flags >> flag & 1 == 0 {
                let (byte, after) = rest.split_first().ok_or(Malformed)?;
                if out.len() - start == most {
                    return Err(Malformed);
                }
                out.push(*byte);
                rest = after;
                continue;
            }
            let (word, after) = rest.split_first_chunk::<2>().ok_or(Malformed)?;
            let word = usize::from(u16::from_le_bytes(*word));
            let position = out.len() - start;
            if position == 0 {
                return Err(Malformed);
            }
            let bits = length_bits(position);
            let length = (word & ((1 << bits) - 1)) + MATCH_MIN_BYTES;
            if length > most - position {
                return Err(Malformed);
            }
            repeat(out, start, (word >> bits) + 1, length)?;
            rest = after;
        }
        chunk = rest;
    }
    Ok(())
}
