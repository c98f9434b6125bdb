//! Server-side copy: FSCTL_SRV_REQUEST_RESUME_KEY (MS-SMB2 2.2.32.3), FSCTL_SRV_COPYCHUNK and
//! FSCTL_SRV_COPYCHUNK_WRITE (2.2.31.1, 2.2.32.1), FSCTL_DUPLICATE_EXTENTS_TO_FILE and its extended form (MS-FSCC
//! 2.3.7, 2.3.9).

use crate::{
    cursor::{Fixed, Put, Reader},
    error::WireError,
    ids::FileId,
};
use bitflags::bitflags;

/// The server's name for an open that is copied from.
pub type ResumeKey = [u8; 24];

/// Appends the output of FSCTL_SRV_REQUEST_RESUME_KEY: the key and an empty context, as Windows sends it.
pub fn encode_resume_key(key: &ResumeKey, out: &mut Vec<u8>) {
    out.bytes(key);
    out.u32(0);
    out.u32(0);
}

/// A range to copy, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyChunk {
    /// Where to read.
    pub source_offset: u64,
    /// Where to write.
    pub target_offset: u64,
    /// How much.
    pub length: u32,
}

/// Input of FSCTL_SRV_COPYCHUNK and FSCTL_SRV_COPYCHUNK_WRITE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyChunkRequest {
    /// The open to copy from.
    pub source_key: ResumeKey,
    /// The ranges. Apple's clients send none and mean the whole file.
    pub chunks: Vec<CopyChunk>,
}

const CHUNK_LEN: usize = 24;

impl CopyChunkRequest {
    const FIXED: usize = 32;

    /// Reads the input buffer.
    pub fn decode(input: &[u8]) -> Result<Self, WireError> {
        let what = "SRV_COPYCHUNK request";
        let fixed = Fixed::<{ Self::FIXED }>::new(input, what)?;
        let count = fixed.size32(24);
        let length = count.checked_mul(CHUNK_LEN).ok_or(WireError::BadValue { what, value: count as u64 })?;
        let mut reader = Reader::new(&input[Self::FIXED..], what);
        let (chunks, _) = reader.take(length)?.as_chunks::<CHUNK_LEN>();
        let chunks = chunks.iter().map(|chunk| {
            let fixed = Fixed::<CHUNK_LEN>::new(chunk, what)?;
            let (source_offset, target_offset) = (fixed.u64(0), fixed.u64(8));
            Ok(CopyChunk { source_offset, target_offset, length: fixed.u32(16) })
        });
        Ok(Self { source_key: fixed.array(0), chunks: chunks.collect::<Result<_, WireError>>()? })
    }

    /// Appends the input buffer.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.bytes(&self.source_key);
        out.size32(self.chunks.len());
        out.u32(0);
        for chunk in &self.chunks {
            out.u64(chunk.source_offset);
            out.u64(chunk.target_offset);
            out.u32(chunk.length);
            out.u32(0);
        }
    }
}

/// Output of FSCTL_SRV_COPYCHUNK. With `INVALID_PARAMETER` it holds the server's limits instead: most
/// chunks, most bytes in a chunk, most bytes in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyChunkResponse {
    /// Chunks copied.
    pub chunks_written: u32,
    /// Bytes copied of a chunk that was cut short.
    pub chunk_bytes_written: u32,
    /// Bytes copied in all.
    pub total_bytes_written: u32,
}

impl CopyChunkResponse {
    /// Reads the output buffer.
    pub fn decode(output: &[u8]) -> Result<Self, WireError> {
        let fixed = Fixed::<12>::new(output, "SRV_COPYCHUNK response")?;
        Ok(Self {
            chunks_written: fixed.u32(0),
            chunk_bytes_written: fixed.u32(4),
            total_bytes_written: fixed.u32(8),
        })
    }

    /// Appends the output buffer.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u32(self.chunks_written);
        out.u32(self.chunk_bytes_written);
        out.u32(self.total_bytes_written);
    }
}

/// Input of FSCTL_DUPLICATE_EXTENTS_TO_FILE (SMB2_DUPLICATE_EXTENTS_DATA, MS-FSCC 2.3.7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DuplicateExtents {
    /// The open to copy from.
    pub source: FileId,
    /// Where to read.
    pub source_offset: u64,
    /// Where to write.
    pub target_offset: u64,
    /// How many bytes.
    pub byte_count: u64,
}

impl DuplicateExtents {
    /// What the extended form says to be its size, as the specification prints it, and its size in bytes.
    const EXTENDED_SIZES: [u64; 2] = [0x30, 56];

    /// Reads the input buffer.
    pub fn decode(input: &[u8]) -> Result<Self, WireError> {
        let fixed = Fixed::<40>::new(input, "DUPLICATE_EXTENTS_DATA")?;
        Ok(Self {
            source: fixed.file_id(0),
            source_offset: fixed.u64(16),
            target_offset: fixed.u64(24),
            byte_count: fixed.u64(32),
        })
    }

    /// Reads the input buffer of FSCTL_DUPLICATE_EXTENTS_TO_FILE_EX (SMB2_DUPLICATE_EXTENTS_DATA_EX, MS-FSCC
    /// 2.3.9.2); gives its flags too.
    pub fn decode_extended(input: &[u8]) -> Result<(Self, DuplicateFlags), WireError> {
        let what = "DUPLICATE_EXTENTS_DATA_EX";
        let fixed = Fixed::<56>::new(input, what)?;
        if !Self::EXTENDED_SIZES.contains(&fixed.u64(0)) {
            return Err(WireError::BadValue { what, value: fixed.u64(0) });
        }
        Ok((Self::decode(&input[8..])?, DuplicateFlags::from_bits_retain(fixed.u32(48))))
    }

    /// Appends the input buffer.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.source.encode(out);
        out.u64(self.source_offset);
        out.u64(self.target_offset);
        out.u64(self.byte_count);
    }

    /// Appends the input buffer of the extended form.
    pub fn encode_extended(&self, flags: DuplicateFlags, out: &mut Vec<u8>) {
        out.u64(Self::EXTENDED_SIZES[0]);
        self.encode(out);
        out.u32(flags.bits());
        out.u32(0);
    }
}

bitflags! {
    /// Flags of FSCTL_DUPLICATE_EXTENTS_TO_FILE_EX.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct DuplicateFlags: u32 {
        /// All of the range or nothing.
        const SOURCE_ATOMIC = 0x0000_0001;
        const _ = !0;
    }
}
