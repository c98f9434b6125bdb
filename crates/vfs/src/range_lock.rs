//! Byte-range locks.

/// A range of a file: offset and length in bytes. Length zero is a range of its own kind: it lies between
/// two bytes and conflicts with what spans that point (MS-FSA 2.1.4.10).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Range {
    pub offset: u64,
    pub length: u64,
}
