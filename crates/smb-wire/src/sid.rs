//! Security identifiers (MS-DTYP 2.4.2).

use crate::{
    cursor::{Put, Reader},
    error::WireError,
};
use std::{fmt, str::FromStr};

/// Most sub-authorities that a SID may have.
pub const MAX_SUB_AUTHORITIES: usize = 15;

/// A security identifier, for example `S-1-5-21-1-2-3-1000`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid {
    /// Identifier authority, 48 bits.
    authority: u64,
    /// At most [`MAX_SUB_AUTHORITIES`].
    sub_authorities: Vec<u32>,
}

impl Sid {
    /// A SID of these parts; `None` when the authority exceeds 48 bits or there are too many parts.
    pub fn new(authority: u64, sub_authorities: &[u32]) -> Option<Self> {
        (authority >> 48 == 0 && sub_authorities.len() <= MAX_SUB_AUTHORITIES)
            .then(|| Self { authority, sub_authorities: sub_authorities.to_vec() })
    }

    /// Everyone, `S-1-1-0`.
    pub fn everyone() -> Self {
        Self { authority: 1, sub_authorities: vec![0] }
    }

    /// Creator owner, `S-1-3-0`.
    pub fn creator_owner() -> Self {
        Self { authority: 3, sub_authorities: vec![0] }
    }

    /// Creator group, `S-1-3-1`.
    pub fn creator_group() -> Self {
        Self { authority: 3, sub_authorities: vec![1] }
    }

    /// Owner rights, `S-1-3-4`: whoever owns the object now.
    pub fn owner_rights() -> Self {
        Self { authority: 3, sub_authorities: vec![4] }
    }

    /// Those who came over the network, `S-1-5-2`.
    pub fn network() -> Self {
        Self { authority: 5, sub_authorities: vec![2] }
    }

    /// Anonymous, `S-1-5-7`.
    pub fn anonymous() -> Self {
        Self { authority: 5, sub_authorities: vec![7] }
    }

    /// Authenticated users, `S-1-5-11`.
    pub fn authenticated_users() -> Self {
        Self { authority: 5, sub_authorities: vec![11] }
    }

    /// The local system, `S-1-5-18`.
    pub fn system() -> Self {
        Self { authority: 5, sub_authorities: vec![18] }
    }

    /// The administrators of this machine, `S-1-5-32-544`.
    pub fn administrators() -> Self {
        Self { authority: 5, sub_authorities: vec![32, 544] }
    }

    /// The users of this machine, `S-1-5-32-545`.
    pub fn users() -> Self {
        Self { authority: 5, sub_authorities: vec![32, 545] }
    }

    /// The guests of this machine, `S-1-5-32-546`.
    pub fn guests() -> Self {
        Self { authority: 5, sub_authorities: vec![32, 546] }
    }

    /// A POSIX user without a mapping, `S-1-22-1-uid`.
    pub fn unix_user(uid: u32) -> Self {
        Self { authority: 22, sub_authorities: vec![1, uid] }
    }

    /// A POSIX group without a mapping, `S-1-22-2-gid`.
    pub fn unix_group(gid: u32) -> Self {
        Self { authority: 22, sub_authorities: vec![2, gid] }
    }

    /// The identifier authority.
    pub fn authority(&self) -> u64 {
        self.authority
    }

    /// The sub-authorities.
    pub fn sub_authorities(&self) -> &[u32] {
        &self.sub_authorities
    }

    /// The last sub-authority: the number of the user or group in its domain.
    pub fn relative_id(&self) -> Option<u32> {
        self.sub_authorities.last().copied()
    }

    /// This SID with one more part; `None` when it is full.
    pub fn child(&self, relative_id: u32) -> Option<Self> {
        let mut parts = self.sub_authorities.clone();
        parts.push(relative_id);
        Self::new(self.authority, &parts)
    }

    /// Whether this is `parent` with one more part.
    pub fn is_child_of(&self, parent: &Self) -> bool {
        let above = self.sub_authorities.split_last().map(|(_, above)| above);
        self.authority == parent.authority && above == Some(&parent.sub_authorities)
    }

    /// Length in bytes on the wire.
    pub fn encoded_len(&self) -> usize {
        8 + 4 * self.sub_authorities.len()
    }

    /// Reads a SID at the start of `data`; what follows is ignored.
    pub fn decode(data: &[u8]) -> Result<Self, WireError> {
        Self::read(&mut Reader::new(data, "SID"))
    }

    /// Reads a SID.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let (revision, count) = (reader.u8()?, usize::from(reader.u8()?));
        if revision != 1 {
            return Err(WireError::BadValue { what: "SID revision", value: u64::from(revision) });
        }
        if count > MAX_SUB_AUTHORITIES {
            return Err(WireError::BadValue { what: "SID sub-authority count", value: count as u64 });
        }
        let [a, b, c, d, e, f] = reader.array::<6>()?;
        let authority = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        let (parts, _) = reader.take(count * 4)?.as_chunks::<4>();
        let sub_authorities = parts.iter().map(|part| u32::from_le_bytes(*part)).collect();
        Ok(Self { authority, sub_authorities })
    }

    /// Appends the bytes of the SID.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u8(1);
        out.u8(self.sub_authorities.len() as u8);
        out.bytes(&self.authority.to_be_bytes()[2..]);
        for part in &self.sub_authorities {
            out.u32(*part);
        }
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.authority >> 32 == 0 {
            write!(f, "S-1-{}", self.authority)?;
        } else {
            write!(f, "S-1-{:#014x}", self.authority)?;
        }
        self.sub_authorities.iter().try_for_each(|part| write!(f, "-{part}"))
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sid {
    type Err = WireError;

    /// Reads the `S-1-...` form (MS-DTYP 2.4.2.1).
    fn from_str(text: &str) -> Result<Self, WireError> {
        let bad = WireError::BadName { what: "SID text" };
        let mut parts = text.strip_prefix("S-1-").ok_or(bad)?.split('-');
        let authority = parts.next().unwrap_or_default();
        let authority = match authority.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => authority.parse(),
        }
        .map_err(|_| bad)?;
        let parts: Vec<u32> = parts.map(|part| part.parse().map_err(|_| bad)).collect::<Result<_, _>>()?;
        Self::new(authority, &parts).ok_or(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_sid() {
        let sid: Sid = "S-1-5-32-544".parse().unwrap();
        let mut bytes = Vec::new();
        sid.encode(&mut bytes);
        assert_eq!(bytes, [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0]);
        assert_eq!(sid, Sid::administrators());
        assert_eq!(sid.encoded_len(), bytes.len());
        assert_eq!(sid.relative_id(), Some(544));
    }

    #[test]
    fn bad_text_and_bytes() {
        for text in ["", "S-1-", "S-2-5", "S-1-5-x", "S-1-281474976710656", "S-1-5-4294967296"] {
            assert!(text.parse::<Sid>().is_err(), "{text}");
        }
        assert!(Sid::decode(&[1, 16, 0, 0, 0, 0, 0, 5]).is_err());
        assert!(Sid::decode(&[2, 0, 0, 0, 0, 0, 0, 5]).is_err());
        assert!(Sid::decode(&[1, 1, 0, 0, 0, 0, 0, 5, 0, 0, 0]).is_err());
    }

    proptest! {
        #[test]
        fn survives_bytes_and_text(
            authority in 0u64..1 << 48,
            parts in prop::collection::vec(any::<u32>(), 0..=15),
        ) {
            let sid = Sid::new(authority, &parts).unwrap();
            let mut bytes = Vec::new();
            sid.encode(&mut bytes);
            prop_assert_eq!(Sid::decode(&bytes).unwrap(), sid.clone());
            prop_assert_eq!(sid.to_string().parse::<Sid>().unwrap(), sid);
        }
    }
}
