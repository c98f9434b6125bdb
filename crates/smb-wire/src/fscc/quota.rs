//! Quotas of users (MS-FSCC 2.4.41, 2.4.41.1), and what of them a QUERY_INFO asks for (MS-SMB2 2.2.37.1).

use crate::{
    cursor::{Fixed, Put, Reader},
    error::WireError,
    sid::Sid,
    time::FileTime,
};

/// Stands for "no limit" in a quota.
pub const QUOTA_UNLIMITED: u64 = u64::MAX;

/// FILE_QUOTA_INFORMATION: the quota of one user. A limit of all ones less one removes the entry when set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaInformation {
    /// When it last changed.
    pub change_time: FileTime,
    /// Bytes that the user has.
    pub used: u64,
    /// Bytes at which the user is warned, or [`QUOTA_UNLIMITED`].
    pub threshold: u64,
    /// Most bytes, or [`QUOTA_UNLIMITED`].
    pub limit: u64,
    /// The user.
    pub sid: Sid,
}

const QUOTA_FIXED: usize = 40;
const GET_QUOTA_FIXED: usize = 8;

/// Reads a list of FILE_QUOTA_INFORMATION, in a SET_INFO.
pub fn decode_quota_list(data: &[u8]) -> Result<Vec<QuotaInformation>, WireError> {
    let what = "FILE_QUOTA_INFORMATION";
    linked(data, what, |entry| {
        let fixed = Fixed::<QUOTA_FIXED>::new(entry, what)?;
        Ok(QuotaInformation {
            change_time: FileTime(fixed.u64(8)),
            used: fixed.u64(16),
            threshold: fixed.u64(24),
            limit: fixed.u64(32),
            sid: sid(entry, QUOTA_FIXED, fixed.size32(4), what)?,
        })
    })
}

/// Appends a list of FILE_QUOTA_INFORMATION: as many whole entries as fit into `max_length` bytes. Gives how many
/// that were.
pub fn encode_quota_list(quotas: &[QuotaInformation], max_length: usize, out: &mut Vec<u8>) -> usize {
    let list = out.len();
    let mut previous = None;
    for (count, quota) in quotas.iter().enumerate() {
        let start = list + (out.len() - list).next_multiple_of(8);
        if start - list + QUOTA_FIXED + quota.sid.encoded_len() > max_length {
            return count;
        }
        out.align(list, 8);
        if let Some(previous) = previous.replace(start) {
            out.set_size32(previous, start - previous);
        }
        out.u32(0);
        out.size32(quota.sid.encoded_len());
        out.u64(quota.change_time.0);
        out.u64(quota.used);
        out.u64(quota.threshold);
        out.u64(quota.limit);
        quota.sid.encode(out);
    }
    quotas.len()
}

/// Reads a list of FILE_GET_QUOTA_INFORMATION: the users asked for.
pub fn decode_get_quota_list(data: &[u8]) -> Result<Vec<Sid>, WireError> {
    let what = "FILE_GET_QUOTA_INFORMATION";
    linked(data, what, |entry| {
        let length = Fixed::<GET_QUOTA_FIXED>::new(entry, what)?.size32(4);
        sid(entry, GET_QUOTA_FIXED, length, what)
    })
}

/// Appends a list of FILE_GET_QUOTA_INFORMATION.
pub fn encode_get_quota_list(sids: &[Sid], out: &mut Vec<u8>) {
    for (index, sid) in sids.iter().enumerate() {
        let length = sid.encoded_len();
        out.size32(if index + 1 == sids.len() { 0 } else { GET_QUOTA_FIXED + length });
        out.size32(length);
        sid.encode(out);
    }
}

/// SMB2_QUERY_QUOTA_INFO: the input of a QUERY_INFO about quotas.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuotaQuery {
    /// One entry only.
    pub return_single: bool,
    /// Begin at the first entry again.
    pub restart_scan: bool,
    /// Whose quotas.
    pub whose: QuotaSelection,
}

/// Whose quotas are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum QuotaSelection {
    /// Everybody's, from where the last answer ended.
    #[default]
    All,
    /// Those of these users.
    Of(Vec<Sid>),
    /// Everybody's, from this user on.
    From(Sid),
}

impl QuotaQuery {
    const FIXED: usize = 16;

    /// Reads the input of the request.
    pub fn decode(input: &[u8]) -> Result<Self, WireError> {
        let what = "SMB2_QUERY_QUOTA_INFO";
        let fixed = Fixed::<{ Self::FIXED }>::new(input, what)?;
        let (list, start, start_offset) = (fixed.size32(4), fixed.size32(8), fixed.size32(12));
        let buffer = &input[Self::FIXED..];
        let whose = if list != 0 {
            let bytes = buffer.get(..list).ok_or(WireError::BadRange { what, offset: 0, length: list })?;
            QuotaSelection::Of(decode_get_quota_list(bytes)?)
        } else if start != 0 {
            QuotaSelection::From(sid(buffer, start_offset, start, what)?)
        } else {
            QuotaSelection::All
        };
        Ok(Self { return_single: fixed.u8(0) != 0, restart_scan: fixed.u8(1) != 0, whose })
    }

    /// Appends the input of the request.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut buffer = Vec::new();
        let (list, start) = match &self.whose {
            QuotaSelection::All => (0, 0),
            QuotaSelection::Of(sids) => {
                encode_get_quota_list(sids, &mut buffer);
                (buffer.len(), 0)
            }
            QuotaSelection::From(sid) => {
                sid.encode(&mut buffer);
                (0, buffer.len())
            }
        };
        out.u8(u8::from(self.return_single));
        out.u8(u8::from(self.restart_scan));
        out.u16(0);
        out.size32(list);
        out.size32(start);
        out.u32(0);
        out.bytes(&buffer);
    }
}

/// The SID in the `length` bytes at `offset`, which it must fill.
fn sid(data: &[u8], offset: usize, length: usize, what: &'static str) -> Result<Sid, WireError> {
    let bad = WireError::BadRange { what, offset, length };
    let end = offset.checked_add(length).ok_or(bad)?;
    let mut reader = Reader::new(data.get(offset..end).ok_or(bad)?, what);
    let sid = Sid::read(&mut reader)?;
    if reader.remaining() == 0 { Ok(sid) } else { Err(bad) }
}

/// Reads entries that begin with the offset of the next one.
fn linked<T>(
    data: &[u8],
    what: &'static str,
    decode: impl Fn(&[u8]) -> Result<T, WireError>,
) -> Result<Vec<T>, WireError> {
    let mut entries = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let next = Fixed::<4>::new(rest, what)?.size32(0);
        if next != 0 && (next < GET_QUOTA_FIXED || next >= rest.len()) {
            return Err(WireError::BadRange { what, offset: next, length: rest.len() });
        }
        let (entry, tail) = if next == 0 { (rest, &[][..]) } else { rest.split_at(next) };
        entries.push(decode(entry)?);
        rest = tail;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quota(rid: u32) -> QuotaInformation {
        QuotaInformation {
            change_time: FileTime(0x0102),
            used: 1 << 30,
            threshold: QUOTA_UNLIMITED,
            limit: 2 << 30,
            sid: Sid::new(5, &[21, 1, 2, 3, rid]).unwrap(),
        }
    }

    #[test]
    fn lists_survive_and_end_at_the_limit() {
        let quotas = [quota(1000), quota(1001)];
        let mut bytes = Vec::new();
        assert_eq!(encode_quota_list(&quotas, 72 + 68, &mut bytes), 2);
        assert_eq!(bytes[..8], [72, 0, 0, 0, 28, 0, 0, 0]);
        assert_eq!(bytes[72..80], [0, 0, 0, 0, 28, 0, 0, 0]);
        assert_eq!(decode_quota_list(&bytes), Ok(quotas.to_vec()));
        let mut short = Vec::new();
        assert_eq!(encode_quota_list(&quotas, 72 + 67, &mut short), 1);
        assert_eq!(short.len(), 68);
        assert_eq!(decode_quota_list(&short), Ok(vec![quota(1000)]));
        assert!(decode_quota_list(&short[..67]).is_err());
    }

    #[test]
    fn queries_survive() {
        let sids: Vec<Sid> = [1000, 1001].map(|rid| quota(rid).sid).to_vec();
        for whose in
            [QuotaSelection::All, QuotaSelection::Of(sids.clone()), QuotaSelection::From(sids[1].clone())]
        {
            let query = QuotaQuery { return_single: true, restart_scan: false, whose };
            let mut bytes = Vec::new();
            query.encode(&mut bytes);
            assert_eq!(QuotaQuery::decode(&bytes), Ok(query.clone()), "{query:?}");
        }
        let mut bytes = Vec::new();
        QuotaQuery { whose: QuotaSelection::Of(sids), ..Default::default() }.encode(&mut bytes);
        assert_eq!(bytes[..16], [0, 0, 0, 0, 72, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[16..24], [36, 0, 0, 0, 28, 0, 0, 0]);
        bytes.pop();
        assert!(QuotaQuery::decode(&bytes).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..120)) {
            let _ = decode_quota_list(&bytes);
            let _ = decode_get_quota_list(&bytes);
            let _ = QuotaQuery::decode(&bytes);
        }
    }
}
