//! Offloaded copies, ODX: FSCTL_OFFLOAD_READ gives a token for a range, FSCTL_OFFLOAD_WRITE writes what a token
//! stands for (MS-FSCC 2.3.41, 2.3.42, 2.3.80, 2.3.81, 2.1.11).

use crate::{
    cursor::{Fixed, Put},
    error::WireError,
};

/// Length of a token in bytes.
pub const TOKEN_LEN: usize = 512;
/// Most bytes that a token has of its own.
pub const TOKEN_ID_LEN: usize = 504;

/// Flag of an answered read: beyond the range that the token stands for the file reads as zero.
pub const FLAG_ALL_ZERO_BEYOND_CURRENT_RANGE: u32 = 0x0000_0001;

const TOKEN_TYPE_ZERO_DATA: u32 = 0xFFFF_0001;

/// STORAGE_OFFLOAD_TOKEN: its numbers are the only ones in the protocol with the high byte first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OffloadToken {
    /// Zeros, as many as are asked for.
    ZeroData,
    /// Whatever the server that made it keeps under this id.
    Id {
        /// Chosen by the server, not [`OffloadToken::ZeroData`]'s.
        token_type: u32,
        /// At most [`TOKEN_ID_LEN`] bytes.
        id: Vec<u8>,
    },
}

impl OffloadToken {
    /// Reads the token at the start of `data`.
    pub fn decode(data: &[u8]) -> Result<Self, WireError> {
        let what = "STORAGE_OFFLOAD_TOKEN";
        let fixed = Fixed::<TOKEN_LEN>::new(data, what)?;
        let token_type = u32::from_be_bytes(fixed.array(0));
        if token_type == TOKEN_TYPE_ZERO_DATA {
            return Ok(Self::ZeroData);
        }
        let length = usize::from(u16::from_be_bytes(fixed.array(6)));
        match data.get(8..8 + length) {
            Some(id) if length <= TOKEN_ID_LEN => Ok(Self::Id { token_type, id: id.to_vec() }),
            _ => Err(WireError::BadValue { what, value: length as u64 }),
        }
    }

    /// Appends the token.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let (token_type, length, id) = match self {
            Self::ZeroData => (TOKEN_TYPE_ZERO_DATA, TOKEN_ID_LEN, &[][..]),
            Self::Id { token_type, id } => (*token_type, id.len(), &id[..]),
        };
        out.bytes(&token_type.to_be_bytes());
        out.u16(0);
        out.bytes(&(length as u16).to_be_bytes());
        out.bytes(id);
        out.resize(start + TOKEN_LEN, 0);
    }
}

/// Input of FSCTL_OFFLOAD_READ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffloadReadRequest {
    /// How long the token shall be good; 0 leaves it to the server.
    pub time_to_live_ms: u32,
    /// Where the range begins.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
}

impl OffloadReadRequest {
    const LEN: usize = 32;

    /// Reads the input buffer.
    pub fn decode(input: &[u8]) -> Result<Self, WireError> {
        let fixed = sized::<{ Self::LEN }>(input, "FSCTL_OFFLOAD_READ request")?;
        Ok(Self { time_to_live_ms: fixed.u32(8), offset: fixed.u64(16), length: fixed.u64(24) })
    }

    /// Appends the input buffer.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.size32(Self::LEN);
        out.u32(0);
        out.u32(self.time_to_live_ms);
        out.u32(0);
        out.u64(self.offset);
        out.u64(self.length);
    }
}

/// Output of FSCTL_OFFLOAD_READ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffloadReadResponse {
    /// 0 or [`FLAG_ALL_ZERO_BEYOND_CURRENT_RANGE`].
    pub flags: u32,
    /// Bytes that the token stands for.
    pub transfer_length: u64,
    /// The token.
    pub token: OffloadToken,
}

impl OffloadReadResponse {
    /// Length in bytes.
    pub const LEN: usize = 16 + TOKEN_LEN;

    /// Reads the output buffer.
    pub fn decode(output: &[u8]) -> Result<Self, WireError> {
        let fixed = sized::<{ Self::LEN }>(output, "FSCTL_OFFLOAD_READ response")?;
        let token = OffloadToken::decode(&output[16..])?;
        Ok(Self { flags: fixed.u32(4), transfer_length: fixed.u64(8), token })
    }

    /// Appends the output buffer.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.size32(Self::LEN);
        out.u32(self.flags);
        out.u64(self.transfer_length);
        self.token.encode(out);
    }
}

/// Input of FSCTL_OFFLOAD_WRITE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffloadWriteRequest {
    /// Where to write.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
    /// Where to begin in what the token stands for.
    pub transfer_offset: u64,
    /// The token.
    pub token: OffloadToken,
}

impl OffloadWriteRequest {
    const LEN: usize = 32 + TOKEN_LEN;

    /// Reads the input buffer.
    pub fn decode(input: &[u8]) -> Result<Self, WireError> {
        let fixed = sized::<{ Self::LEN }>(input, "FSCTL_OFFLOAD_WRITE request")?;
        Ok(Self {
            offset: fixed.u64(8),
            length: fixed.u64(16),
            transfer_offset: fixed.u64(24),
            token: OffloadToken::decode(&input[32..])?,
        })
    }

    /// Appends the input buffer.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.size32(Self::LEN);
        out.u32(0);
        out.u64(self.offset);
        out.u64(self.length);
        out.u64(self.transfer_offset);
        self.token.encode(out);
    }
}

/// Appends the output of FSCTL_OFFLOAD_WRITE: how many bytes were written.
pub fn encode_offload_write_response(length_written: u64, out: &mut Vec<u8>) {
    out.u32(16);
    out.u32(0);
    out.u64(length_written);
}

/// The fixed part of a structure whose first field is its own size.
fn sized<'a, const N: usize>(data: &'a [u8], what: &'static str) -> Result<Fixed<'a, N>, WireError> {
    let fixed = Fixed::<N>::new(data, what)?;
    match fixed.size32(0) {
        size if size == N => Ok(fixed),
        size => Err(WireError::BadValue { what, value: size as u64 }),
    }
}
