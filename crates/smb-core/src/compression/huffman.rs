//! LZ77 with Huffman coding (MS-XCA 2.1, 2.2).
//!
//! Each 64 KiB of data are a block of their own codes: a table of 512 code lengths of four bits, then symbols. The
//! first 256 are bytes; the others say how many bits a match's distance has and how long it is. Symbols and distances
//! are a stream of bits in words of 16, high bit first; what is longer of a length stands in bytes between these
//! words, where a reader that holds two words would look next.

use super::{
    Malformed,
    matches::{Effort, MATCH_MIN_BYTES, Matcher, Token},
    repeat,
};
use std::{cmp::Reverse, collections::BinaryHeap};

const EFFORT: Effort = Effort { distance_max: 65_535, depth: 8, is_lazy: true };
const BLOCK_BYTES: usize = 65_536;
const SYMBOLS: usize = 512;
const TABLE_BYTES: usize = SYMBOLS / 2;
const CODE_BITS_MAX: u32 = 15;
/// After all data: the end. Elsewhere the shortest match at distance 1.
const END: usize = 256;
/// Value of the four length bits that stands for "more follows".
const LENGTH_BITS_MAX: usize = 15;
const BYTE_MAX: usize = 255;

/// Appends `data`, compressed, unless it takes more than `budget` bytes.
pub(super) fn compress(data: &[u8], budget: usize, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let mut matcher = Matcher::new(data, EFFORT);
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        let end = data.len().min(at + BLOCK_BYTES);
        tokens.clear();
        matcher.tokens(at..end, |token| {
            tokens.push(token);
            true
        });
        put_block(&tokens, end == data.len(), out);
        if out.len() - start > budget {
            return false;
        }
        at = end;
        if at == data.len() {
            return true;
        }
    }
}

/// A match as symbol, rest of its length, and distance without its highest bit.
fn symbol_of(distance: usize, length: usize) -> (usize, usize, u32) {
    let length = length - MATCH_MIN_BYTES;
    let distance_bits = distance.ilog2();
    (END + ((distance_bits as usize) << 4 | length.min(LENGTH_BITS_MAX)), length, distance_bits)
}

fn put_block(tokens: &[Token], is_last: bool, out: &mut Vec<u8>) {
    let mut weights = [0u32; SYMBOLS];
    for token in tokens {
        match *token {
            Token::Literal(byte) => weights[usize::from(byte)] += 1,
            Token::Match { distance, length } => weights[symbol_of(distance, length).0] += 1,
        }
    }
    weights[END] += u32::from(is_last);
    let lengths = code_lengths(weights);
    let codes = codes(&lengths);
    let (pairs, _) = lengths.as_chunks::<2>();
    out.extend(pairs.iter().map(|[even, odd]| even | odd << 4));
    let mut bits = BitWriter::new(out);
    let put = |bits: &mut BitWriter<'_>, symbol: usize| {
        bits.put(u32::from(lengths[symbol]), u32::from(codes[symbol]));
    };
    for token in tokens {
        match *token {
            Token::Literal(byte) => put(&mut bits, usize::from(byte)),
            Token::Match { distance, length } => {
                let (symbol, length, distance_bits) = symbol_of(distance, length);
                put(&mut bits, symbol);
                bits.put_rest_of_length(length);
                bits.put(distance_bits, distance as u32 - (1 << distance_bits));
            }
        }
    }
    if is_last {
        put(&mut bits, END);
    }
    bits.finish();
}

/// Lengths of codes for symbols of these weights, none above [`CODE_BITS_MAX`], that leave no code unused: at least two
/// symbols get one.
fn code_lengths(mut weights: [u32; SYMBOLS]) -> [u8; SYMBOLS] {
    for spare in [0, 1] {
        if weights.iter().filter(|weight| **weight > 0).count() < 2 && weights[spare] == 0 {
            weights[spare] = 1;
        }
    }
    loop {
        let lengths = tree_depths(&weights);
        if lengths.iter().all(|length| u32::from(*length) <= CODE_BITS_MAX) {
            return lengths;
        }
        // A flatter tree: nothing that occurs may fall to zero.
        weights.iter_mut().filter(|weight| **weight > 0).for_each(|weight| *weight = (*weight / 2) | 1);
    }
}

/// Depth of each leaf of a Huffman tree.
fn tree_depths(weights: &[u32; SYMBOLS]) -> [u8; SYMBOLS] {
    let mut parents = vec![0usize; SYMBOLS];
    let leaves = weights.iter().enumerate().filter(|(_, weight)| **weight > 0);
    let mut heap: BinaryHeap<_> = leaves.map(|(node, weight)| Reverse((*weight, node))).collect();
    while let (Some(Reverse((first, a))), Some(Reverse((second, b)))) = (heap.pop(), heap.pop()) {
        let parent = parents.len();
        (parents[a], parents[b]) = (parent, parent);
        parents.push(0);
        heap.push(Reverse((first + second, parent)));
        if heap.len() == 1 {
            break;
        }
    }
    let mut depths = vec![0u8; parents.len()];
    for node in (SYMBOLS..parents.len() - 1).rev() {
        depths[node] = depths[parents[node]].saturating_add(1);
    }
    let mut lengths = [0; SYMBOLS];
    for (node, length) in lengths.iter_mut().enumerate().filter(|(node, _)| weights[*node] > 0) {
        *length = depths[parents[node]].saturating_add(1);
    }
    lengths
}

/// The symbols that have a code, by length and number: the order of their codes.
fn in_order(lengths: &[u8; SYMBOLS]) -> impl Iterator<Item = (usize, u32)> + '_ {
    (1..=CODE_BITS_MAX).flat_map(move |length| {
        let has_length = move |symbol: &usize| u32::from(lengths[*symbol]) == length;
        (0..SYMBOLS).filter(has_length).map(move |symbol| (symbol, length))
    })
}

fn codes(lengths: &[u8; SYMBOLS]) -> [u16; SYMBOLS] {
    let mut codes = [0; SYMBOLS];
    let (mut next, mut bits) = (0u32, 0);
    for (symbol, length) in in_order(lengths) {
        next <<= length - bits;
        bits = length;
        codes[symbol] = next as u16;
        next += 1;
    }
    codes
}

/// Writes bits where a reader looks for them: two words are kept open, because a reader has read these before it
/// comes to the bytes that follow.
struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    word: u32,
    free: u32,
    first_at: usize,
    second_at: usize,
}

impl<'a> BitWriter<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        let first_at = out.len();
        out.extend_from_slice(&[0; 4]);
        Self { out, word: 0, free: 16, first_at, second_at: first_at + 2 }
    }

    fn put(&mut self, count: u32, bits: u32) {
        if self.free >= count {
            self.free -= count;
            self.word = self.word << count | bits;
            return;
        }
        let left_over = count - self.free;
        self.word = self.word << self.free | bits >> left_over;
        self.put_word();
        self.first_at = self.second_at;
        self.second_at = self.out.len();
        self.out.extend_from_slice(&[0; 2]);
        self.free = 16 - left_over;
        self.word = bits & ((1 << left_over) - 1);
    }

    fn put_word(&mut self) {
        self.out[self.first_at..self.first_at + 2].copy_from_slice(&(self.word as u16).to_le_bytes());
    }

    /// What does not fit the four bits of a symbol.
    fn put_rest_of_length(&mut self, length: usize) {
        let Some(more) = length.checked_sub(LENGTH_BITS_MAX) else { return };
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

    fn finish(mut self) {
        self.word <<= self.free;
        self.put_word();
    }
}

/// Appends exactly `size` bytes, restored from `data`.
pub(super) fn decompress(data: &[u8], size: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let start = out.len();
    let mut table = Vec::new();
    let mut at = 0;
    while out.len() - start < size {
        let lengths = data.get(at..).and_then(<[u8]>::first_chunk::<TABLE_BYTES>).ok_or(Malformed)?;
        fill_table(lengths, &mut table)?;
        let mut bits = BitReader::new(data, at + TABLE_BYTES);
        let block_end = out.len() - start + BLOCK_BYTES;
        while out.len() - start < size.min(block_end) {
            let entry = table[bits.peek(CODE_BITS_MAX) as usize];
            bits.skip(u32::from(entry & 0x0F))?;
            let symbol = usize::from(entry >> 4);
            if let Ok(byte) = u8::try_from(symbol) {
                out.push(byte);
                continue;
            }
            let (distance_bits, length) = ((symbol - END) >> 4, (symbol - END) & LENGTH_BITS_MAX);
            let length = bits.length(length)?;
            let distance = (1 << distance_bits) + bits.peek(distance_bits as u32) as usize;
            bits.skip(distance_bits as u32)?;
            if length > size - (out.len() - start) {
                return Err(Malformed);
            }
            repeat(out, start, distance, length)?;
        }
        at = bits.at;
    }
    Ok(())
}

/// Symbol and length of the code that each 15 bits begin with: symbol in the upper bits, length in the lower four.
fn fill_table(packed: &[u8; TABLE_BYTES], table: &mut Vec<u16>) -> Result<(), Malformed> {
    let mut lengths = [0; SYMBOLS];
    for (pair, packed) in lengths.as_chunks_mut::<2>().0.iter_mut().zip(packed) {
        *pair = [packed & 0x0F, packed >> 4];
    }
    table.clear();
    for (symbol, length) in in_order(&lengths) {
        let count = 1 << (CODE_BITS_MAX - length);
        if table.len() + count > 1 << CODE_BITS_MAX {
            return Err(Malformed);
        }
        table.resize(table.len() + count, (symbol as u16) << 4 | length as u16);
    }
    if table.len() == 1 << CODE_BITS_MAX { Ok(()) } else { Err(Malformed) }
}

struct BitReader<'a> {
    data: &'a [u8],
    at: usize,
    bits: u32,
    /// Bits beyond the 16 that are always there; below zero a word is missing.
    extra: i32,
}

impl<'a> BitReader<'a> {
    fn new(data: &'a [u8], at: usize) -> Self {
        let mut reader = Self { data, at, bits: 0, extra: 16 };
        reader.bits = reader.word() << 16;
        reader.bits |= reader.word();
        reader
    }

    /// The next word. Beyond the end there are zeros, which a reader looks at but does not use.
    fn word(&mut self) -> u32 {
        let byte = |at: usize| u32::from(self.data.get(at).copied().unwrap_or(0));
        let word = byte(self.at) | byte(self.at + 1) << 8;
        self.at += 2;
        word
    }

    /// The next `count` bits, at most 15.
    fn peek(&self, count: u32) -> u32 {
        (u64::from(self.bits) >> (32 - count)) as u32
    }

    fn skip(&mut self, count: u32) -> Result<(), Malformed> {
        self.bits = (u64::from(self.bits) << count) as u32;
        self.extra -= count as i32;
        if self.extra < 0 {
            // A reader is two words ahead.
            if self.at > self.data.len() + 4 {
                return Err(Malformed);
            }
            self.bits |= self.word() << -self.extra;
            self.extra += 16;
        }
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.data.get(self.at..).and_then(<[u8]>::first_chunk).ok_or(Malformed)?;
        self.at += N;
        Ok(*bytes)
    }

    /// The length of a match whose four bits are `bits`.
    fn length(&mut self, bits: usize) -> Result<usize, Malformed> {
        if bits < LENGTH_BITS_MAX {
            return Ok(bits + MATCH_MIN_BYTES);
        }
        let [byte] = self.array::<1>()?;
        let byte = usize::from(byte);
        if byte < BYTE_MAX {
            return Ok(byte + LENGTH_BITS_MAX + MATCH_MIN_BYTES);
        }
        let length = match u16::from_le_bytes(self.array()?) {
            0 => u32::from_le_bytes(self.array()?) as usize,
            length => usize::from(length),
        };
        if length < LENGTH_BITS_MAX {
            Err(Malformed)
        } else {
            length.checked_add(MATCH_MIN_BYTES).ok_or(Malformed)
        }
    }
}
