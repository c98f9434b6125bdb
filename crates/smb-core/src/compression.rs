//! Compressing messages and restoring them (MS-SMB2 3.1.4.4, 3.1.5.3; dialect 3.1.1).
//!
//! What both sides can do is agreed in NEGOTIATE ([`CompressionAgreement::from_offer`]). [`compress`] makes a
//! smaller message of one, or says that it does not pay; [`Compressed`] restores one, whoever sent it, and never
//! holds more than it is allowed to and has announced. The algorithms are those of MS-XCA, each in its own module, and
//! LZ4.
//!
//! The beginning of a message, with its header, is left as it is: it is small, and never twice the same.

mod huffman;
mod lz77;
mod lznt1;
mod matches;

use bytes::Bytes;
use smb_wire::{
    compression_transform::{ChainedPayload, CompressedMessage, UNCHAINED_HEADER_LEN},
    frame::Protocol,
    negotiate::compression as wire,
};

/// Messages that are shorter are not worth the work, in bytes.
pub const COMPRESS_MIN_BYTES: usize = 4096;
/// Bytes at the beginning of a message that are left as they are: header and fixed part of a READ response.
pub const PLAIN_HEAD_BYTES: usize = 80;
/// Shorter runs of one byte are left to the other algorithms, in bytes.
pub const PATTERN_MIN_BYTES: usize = 64;
/// The least that compression must save to pay: one part in so many.
pub const SAVING_MIN_PART: usize = 16;
/// Most that LZ4 can make of one byte.
const LZ4_RATIO_MAX: usize = 255;

/// An algorithm for parts of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Compression {
    /// LZNT1 (MS-XCA 2.5).
    Lznt1 = wire::LZNT1,
    /// Plain LZ77 (MS-XCA 2.3).
    Lz77 = wire::LZ77,
    /// LZ77 with Huffman coding (MS-XCA 2.1).
    Lz77Huffman = wire::LZ77_HUFFMAN,
    /// A run of one byte; in chains only.
    PatternV1 = wire::PATTERN_V1,
    /// LZ4 blocks.
    Lz4 = wire::LZ4,
}

impl Compression {
    /// All algorithms in this server's order of preference: cheapest first.
    pub const PREFERENCE: [Self; 5] =
        [Self::PatternV1, Self::Lz4, Self::Lz77, Self::Lz77Huffman, Self::Lznt1];

    /// The algorithm of this wire number, or `None` for an unknown one.
    pub fn from_wire(number: u16) -> Option<Self> {
        Self::PREFERENCE.into_iter().find(|algorithm| algorithm.wire() == number)
    }

    /// The number on the wire.
    pub const fn wire(self) -> u16 {
        self as u16
    }

    /// Appends `data`, compressed; gives false, and leaves anything behind, when it takes more than `budget` bytes.
    fn compress(self, data: &[u8], budget: usize, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Lznt1 => lznt1::compress(data, budget, out),
            Self::Lz77 => lz77::compress(data, budget, out),
            Self::Lz77Huffman => huffman::compress(data, budget, out),
            Self::Lz4 => {
                let start = out.len();
                out.resize(start + lz4_flex::block::get_maximum_output_size(data.len()), 0);
                let Ok(written) = lz4_flex::block::compress_into(data, &mut out[start..]) else {
                    return false;
                };
                out.truncate(start + written);
                written <= budget
            }
            Self::PatternV1 => false,
        }
    }

    /// Appends exactly `size` bytes, restored from `data`.
    fn decompress(self, data: &[u8], size: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
        match self {
            Self::Lznt1 => lznt1::decompress(data, size, out),
            Self::Lz77 => lz77::decompress(data, size, out),
            Self::Lz77Huffman => huffman::decompress(data, size, out),
            Self::Lz4 => {
                if size > data.len().saturating_mul(LZ4_RATIO_MAX) {
                    return Err(Malformed);
                }
                let start = out.len();
                out.resize(start + size, 0);
                match lz4_flex::block::decompress_into(data, &mut out[start..]) {
                    Ok(restored) if restored == size => Ok(()),
                    _ => Err(Malformed),
                }
            }
            Self::PatternV1 => Err(Malformed),
        }
    }
}

/// Compressed bytes that mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Malformed;

/// What a connection has agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompressionAgreement {
    /// The algorithms that both sides have, those preferred here first.
    pub algorithms: Vec<Compression>,
    /// Whether messages may be chains.
    pub is_chained: bool,
}

impl CompressionAgreement {
    /// What follows from a client's flags and algorithms and what this server has; `None` when they have nothing in
    /// common. A run of one byte needs chains.
    pub fn from_offer(flags: u32, offered: &[u16], ours: &[Compression]) -> Option<Self> {
        let is_chained = flags & wire::FLAG_CHAINED != 0;
        let is_common = |algorithm: &Compression| {
            offered.contains(&algorithm.wire()) && (is_chained || *algorithm != Compression::PatternV1)
        };
        let algorithms: Vec<Compression> = ours.iter().copied().filter(is_common).collect();
        (!algorithms.is_empty()).then_some(Self { algorithms, is_chained })
    }

    fn allows(&self, algorithm: Compression) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// The algorithm for what is not a run of one byte.
    fn preferred(&self) -> Option<Compression> {
        self.algorithms.iter().copied().find(|algorithm| *algorithm != Compression::PatternV1)
    }
}

/// Why a compressed message was refused. The connection ends with each of them (MS-SMB2 3.3.5.2.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It cannot be read.
    Malformed,
    /// It uses what was not agreed.
    NotAgreed,
    /// It would become longer than allowed.
    TooLong,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "a compressed message that cannot be restored",
            Self::NotAgreed => "a message compressed as was not agreed",
            Self::TooLong => "a compressed message that would become too long",
        })
    }
}

impl std::error::Error for Refused {}

impl From<Malformed> for Refused {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

/// Compresses a whole message, one of a chain of requests or not. `None` when that does not pay: send it as it is.
pub fn compress(message: &[u8], agreed: &CompressionAgreement) -> Option<Vec<u8>> {
    let (head, body) = message.split_at_checked(PLAIN_HEAD_BYTES)?;
    compress_behind(head, body, agreed)
}

/// The same for a message in two parts, the first of which is left as it is.
pub fn compress_behind(head: &[u8], body: &[u8], agreed: &CompressionAgreement) -> Option<Vec<u8>> {
    let length = head.len() + body.len();
    if length < COMPRESS_MIN_BYTES {
        return None;
    }
    let budget = length - length / SAVING_MIN_PART;
    let budget_of_body = budget.checked_sub(head.len())?;
    let head = Bytes::copy_from_slice(head);
    let smaller = if agreed.is_chained {
        let mut payloads = vec![ChainedPayload::Plain(head)];
        compress_body(body, agreed, budget_of_body, &mut payloads)?;
        CompressedMessage::Chained { original_size: u32::try_from(length).ok()?, payloads }
    } else {
        let algorithm = agreed.preferred()?;
        let mut data = Vec::new();
        if !algorithm.compress(body, budget_of_body, &mut data) {
            return None;
        }
        CompressedMessage::Unchained {
            plain: head,
            algorithm: algorithm.wire(),
            original_size: u32::try_from(body.len()).ok()?,
            data: data.into(),
        }
    };
    let mut out = Vec::with_capacity(budget + UNCHAINED_HEADER_LEN);
    smaller.encode(&mut out);
    (out.len() <= budget).then_some(out)
}

/// The parts of a chain: runs of one byte at both ends, and what is between them, compressed if that pays.
fn compress_body(
    body: &[u8],
    agreed: &CompressionAgreement,
    budget: usize,
    payloads: &mut Vec<ChainedPayload>,
) -> Option<()> {
    let has_patterns = agreed.allows(Compression::PatternV1);
    let front = if has_patterns { run(body.iter()) } else { 0 };
    let rest = &body[front..];
    let back = if has_patterns { run(rest.iter().rev()) } else { 0 };
    let (middle, tail) = rest.split_at(rest.len() - back);
    let pattern = |bytes: &[u8]| {
        let repetitions = u32::try_from(bytes.len()).ok();
        repetitions
            .zip(bytes.first())
            .map(|(repetitions, byte)| ChainedPayload::Pattern { byte: *byte, repetitions })
    };
    payloads.extend(pattern(&body[..front]));
    if !middle.is_empty() {
        let mut data = Vec::new();
        let room = middle.len() - middle.len() / SAVING_MIN_PART;
        let algorithm = agreed.preferred().filter(|_| middle.len() >= COMPRESS_MIN_BYTES);
        payloads.push(match algorithm {
            Some(algorithm) if algorithm.compress(middle, room.min(budget), &mut data) => {
                ChainedPayload::Compressed {
                    algorithm: algorithm.wire(),
                    original_size: u32::try_from(middle.len()).ok()?,
                    data: data.into(),
                }
            }
            // Without a run beside it nothing is saved.
            _ if front + back == 0 => return None,
            _ => ChainedPayload::Plain(Bytes::copy_from_slice(middle)),
        });
    }
    payloads.extend(pattern(tail));
    Some(())
}

/// How many of the first bytes are equal, or none when they are few.
fn run<'a>(bytes: impl Iterator<Item = &'a u8> + Clone) -> usize {
    let Some(first) = bytes.clone().next() else { return 0 };
    let length = bytes.take_while(|byte| *byte == first).count();
    if length < PATTERN_MIN_BYTES { 0 } else { length }
}

/// A message that may be restored: what it announces is within bounds.
pub struct Compressed {
    message: CompressedMessage,
    size: usize,
}

impl Compressed {
    /// Reads a compressed message, which may not become longer than `limit` bytes.
    pub fn read(message: &Bytes, limit: usize) -> Result<Self, Refused> {
        let message = CompressedMessage::decode(message).map_err(|_| Refused::Malformed)?;
        match usize::try_from(message.announced_len()) {
            Ok(size) if size <= limit => Ok(Self { message, size }),
            Ok(_) | Err(_) => Err(Refused::TooLong),
        }
    }

    /// Length in bytes of the restored message.
    pub fn restored_len(&self) -> usize {
        self.size
    }

    /// Restores it, in as much memory as it has announced.
    pub fn restore(self, agreed: &CompressionAgreement) -> Result<Bytes, Refused> {
        let mut out = Vec::with_capacity(self.size);
        match self.message {
            CompressedMessage::Unchained { plain, algorithm, original_size, data } => {
                let algorithm = agreed_algorithm(algorithm, agreed)?;
                out.extend_from_slice(&plain);
                algorithm.decompress(&data, original_size as usize, &mut out)?;
            }
            CompressedMessage::Chained { payloads, .. } => {
                if !agreed.is_chained {
                    return Err(Refused::NotAgreed);
                }
                for payload in payloads {
                    if payload.original_len() > self.size - out.len() {
                        return Err(Refused::Malformed);
                    }
                    restore(payload, agreed, &mut out)?;
                }
            }
        }
        let is_message = Protocol::of(&out) == Ok(Protocol::Smb2);
        if out.len() == self.size && is_message { Ok(out.into()) } else { Err(Refused::Malformed) }
    }
}

/// [`Compressed::read`] and [`Compressed::restore`] in one.
pub fn decompress(message: &Bytes, agreed: &CompressionAgreement, limit: usize) -> Result<Bytes, Refused> {
    Compressed::read(message, limit)?.restore(agreed)
}

fn restore(payload: ChainedPayload, agreed: &CompressionAgreement, out: &mut Vec<u8>) -> Result<(), Refused> {
    match payload {
        ChainedPayload::Plain(data) => out.extend_from_slice(&data),
        ChainedPayload::Pattern { byte, repetitions } => {
            agreed_algorithm(wire::PATTERN_V1, agreed)?;
            out.resize(out.len() + repetitions as usize, byte);
        }
        ChainedPayload::Compressed { algorithm, original_size, data } => {
            agreed_algorithm(algorithm, agreed)?.decompress(&data, original_size as usize, out)?;
        }
    }
    Ok(())
}

fn agreed_algorithm(number: u16, agreed: &CompressionAgreement) -> Result<Compression, Refused> {
    let algorithm = Compression::from_wire(number).filter(|algorithm| agreed.allows(*algorithm));
    algorithm.ok_or(Refused::NotAgreed)
}

/// Appends `length` bytes that begin `distance` bytes before the end of `out`, none of them before `start`. They may
/// overlap what they make.
fn repeat(out: &mut Vec<u8>, start: usize, distance: usize, length: usize) -> Result<(), Malformed> {
    if distance == 0 || distance > out.len() - start {
        return Err(Malformed);
    }
    let mut left = length;
    while left > 0 {
        let from = out.len() - distance;
        // What is there doubles with each step of an overlapping copy.
        let part = left.min(out.len() - from);
        out.extend_from_within(from..from + part);
        left -= part;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
