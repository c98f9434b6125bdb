//! Finding what was there before: the common half of the LZ77 compressors.
//!
//! Positions with equal hashes of three bytes are chained, newest first, within a window. Where nothing is found for
//! long the search steps wider and wider, so that data which cannot be compressed costs little.

use std::ops::Range;

/// The shortest match, in bytes.
pub(super) const MATCH_MIN_BYTES: usize = 3;

const HASH_BITS: u32 = 15;
/// A match of this length is not searched beyond, in bytes.
const LENGTH_ENOUGH: usize = 128;
/// Positions within a match that are remembered, at its beginning.
const REMEMBERED_IN_MATCH: usize = 32;
/// After so many literals in a row one position more is left out each time.
const MISSES_PER_STEP: usize = 64;

/// A step of a compressed stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A byte as it is.
    Literal(u8),
    /// Bytes that were there before.
    Match { distance: usize, length: usize },
}

/// How hard to search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// Farthest match, in bytes; the window, a power of two, is not smaller.
    pub distance_max: usize,
    /// Candidates that are compared.
    pub depth: usize,
    /// Whether to look one position further for a longer match.
    pub is_lazy: bool,
}

/// The positions of some data.
pub(super) struct Matcher<'a> {
    data: &'a [u8],
    effort: Effort,
    /// Newest position of each hash, plus one.
    heads: Vec<u32>,
    /// Position before each position of the window with the same hash, plus one.
    links: Vec<u32>,
}

impl<'a> Matcher<'a> {
    pub(super) fn new(data: &'a [u8], effort: Effort) -> Self {
        let window = effort.distance_max.min(data.len()).next_power_of_two();
        Self { data, effort, heads: vec![0; 1 << HASH_BITS], links: vec![0; window] }
    }

    fn hash(&self, at: usize) -> Option<usize> {
        let [a, b, c] = *self.data.get(at..)?.first_chunk::<3>()?;
        let key = u32::from_le_bytes([a, b, c, 0]);
        Some((key.wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS)) as usize)
    }

    fn remember(&mut self, at: usize) {
        if let Some(hash) = self.hash(at) {
            let window = self.links.len();
            self.links[at & (window - 1)] = std::mem::replace(&mut self.heads[hash], at as u32 + 1);
        }
    }

    /// The longest match at `at` that ends at `end` or before.
    fn find(&self, at: usize, end: usize) -> Option<(usize, usize)> {
        let mut candidate = self.heads[self.hash(at)?] as usize;
        let here = &self.data[at..end];
        let (mut best_distance, mut best_length) = (0, MATCH_MIN_BYTES - 1);
        for _ in 0..self.effort.depth {
            let Some(from) = candidate.checked_sub(1) else { break };
            // A link that was overwritten leads to a newer position, which ends the chain.
            if from >= at || at - from > self.effort.distance_max {
                break;
            }
            // One that differs where it would have to be longer is not compared.
            if here.get(best_length).is_some_and(|byte| self.data[from + best_length] == *byte) {
                let length = common(&self.data[from..], here);
                if length > best_length {
                    (best_distance, best_length) = (at - from, length);
                    if length >= LENGTH_ENOUGH {
                        break;
                    }
                }
            }
            let next = self.links[from & (self.links.len() - 1)] as usize;
            if next > from {
                break;
            }
            candidate = next;
        }
        (best_distance > 0).then_some((best_distance, best_length))
    }

    /// Walks over `range` and gives its tokens to `take`, until that answers false.
    pub(super) fn tokens(&mut self, range: Range<usize>, mut take: impl FnMut(Token) -> bool) -> bool {
        let (mut at, end, mut misses) = (range.start, range.end, 0);
        // What was found one position ahead.
        let mut ahead = None;
        while at < end {
            let found = ahead.take().or_else(|| self.find(at, end));
            self.remember(at);
            let Some((distance, length)) = found else {
                misses += 1;
                let step = (1 + misses / MISSES_PER_STEP).min(end - at);
                if !self.data[at..at + step].iter().all(|byte| take(Token::Literal(*byte))) {
                    return false;
                }
                at += step;
                continue;
            };
            misses = 0;
            let is_worth_a_look = self.effort.is_lazy && length < LENGTH_ENOUGH && at + 1 < end;
            if is_worth_a_look {
                ahead = self.find(at + 1, end).filter(|(_, next)| *next > length);
            }
            if ahead.is_some() {
                if !take(Token::Literal(self.data[at])) {
                    return false;
                }
                at += 1;
                continue;
            }
            if !take(Token::Match { distance, length }) {
                return false;
            }
            (at + 1..at + length.min(REMEMBERED_IN_MATCH)).for_each(|within| self.remember(within));
            at += length;
        }
        true
    }
}

/// How many bytes two slices have in common at their beginning.
fn common(a: &[u8], b: &[u8]) -> usize {
    let (words_a, words_b) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    let equal = words_a.iter().zip(words_b).take_while(|(a, b)| a == b).count() * 8;
    equal + a[equal..].iter().zip(&b[equal..]).take_while(|(a, b)| a == b).count()
}
