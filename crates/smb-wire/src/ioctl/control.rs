//! Small inputs and outputs of other controls: snapshots, object ids, pipes, resiliency.

use crate::{
    cursor::{Fixed, Put, Reader},
    error::WireError,
    ids::Guid,
    name,
};

/// Appends the output of FSCTL_SRV_ENUMERATE_SNAPSHOTS (MS-SMB2 2.2.32.2): the names
/// (`@GMT-YYYY.MM.DD-HH.MM.SS`) of all snapshots. When they exceed `max_length` bytes, only how many there
/// are and how much space the names need.
pub fn encode_snapshots(names: &[String], max_length: usize, out: &mut Vec<u8>) {
    const FIXED: usize = 12;
    let needed = match names.len() {
        0 => 0,
        _ => names.iter().map(|name| name::encoded_len(name) + 2).sum::<usize>() + 2,
    };
    let fits = FIXED + needed <= max_length;
    out.size32(names.len());
    out.size32(if fits { names.len() } else { 0 });
    out.size32(needed);
    if fits && needed > 0 {
        for name in names {
            out.utf16(name);
            out.u16(0);
        }
        out.u16(0);
    } else {
        out.u32(0);
    }
}

/// Output of FSCTL_CREATE_OR_GET_OBJECT_ID and FSCTL_GET_OBJECT_ID (MS-FSCC 2.1.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ObjectIdBuffer {
    /// The file.
    pub object_id: Guid,
    /// The volume where it was made.
    pub birth_volume_id: Guid,
    /// Its id when it was made.
    pub birth_object_id: Guid,
    /// Reserved, zero.
    pub domain_id: Guid,
}

impl ObjectIdBuffer {
    /// Appends the 64 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for id in [&self.object_id, &self.birth_volume_id, &self.birth_object_id, &self.domain_id] {
            out.bytes(id);
        }
    }
}

/// Input of FSCTL_PIPE_WAIT (MS-FSCC 2.3.49).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipeWaitRequest {
    /// How long to wait, in steps of 100 ns, when the client says so.
    pub timeout: Option<u64>,
    /// Name of the pipe without `\pipe\`.
    pub name: String,
}

impl PipeWaitRequest {
    /// Reads the input buffer.
    pub fn decode(input: &[u8]) -> Result<Self, WireError> {
        let what = "FSCTL_PIPE_WAIT request";
        let mut reader = Reader::new(input, what);
        let (timeout, length) = (reader.u64()?, reader.u32()? as usize);
        let (specified, _padding) = (reader.u8()? != 0, reader.u8()?);
        Ok(Self { timeout: specified.then_some(timeout), name: reader.utf16(length)? })
    }
}

/// Input of FSCTL_LMR_REQUEST_RESILIENCY (MS-SMB2 2.2.31.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResiliencyRequest {
    /// How long the open shall be kept after a disconnect.
    pub timeout_ms: u32,
}

impl ResiliencyRequest {
    /// Reads the input buffer.
    pub fn decode(input: &[u8]) -> Result<Self, WireError> {
        let fixed = Fixed::<8>::new(input, "NETWORK_RESILIENCY request")?;
        Ok(Self { timeout_ms: fixed.u32(0) })
    }
}

/// Input of FSCTL_DFS_GET_REFERRALS (MS-DFSC 2.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferralRequest {
    /// Highest version of a referral that the client knows.
    pub max_level: u16,
    /// The path, with one leading `\`.
    pub path: String,
}

impl ReferralRequest {
    /// Reads the input buffer.
    pub fn decode(input: &[u8]) -> Result<Self, WireError> {
        let what = "REQ_GET_DFS_REFERRAL";
        let max_level = Fixed::<2>::new(input, what)?.u16(0);
        let path = &input[2..];
        let end = path.as_chunks::<2>().0.iter().position(|unit| *unit == [0, 0]);
        let end = end.ok_or(WireError::BadName { what })? * 2;
        Ok(Self { max_level, path: name::decode(&path[..end], what)? })
    }
}
