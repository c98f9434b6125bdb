//! The Privilege Attribute Certificate that a Windows domain puts into its Kerberos tickets (MS-PAC): who a user is,
//! by SIDs. Only what a service reads.

use crate::{cursor::Reader, error::WireError, rpc::ndr::NdrReader, sid::Sid, time::FileTime};
use std::ops::Range;

/// Most buffers in one PAC; Windows has ten.
const MAX_BUFFERS: u32 = 64;
/// Length of the head of a marshaled structure (MS-RPCE 2.2.6): version, byte order, and lengths.
const NDR_HEAD_LEN: usize = 16;
/// Version 1, little-endian, a head of 8 bytes.
const NDR_HEAD: [u8; 4] = [1, 0x10, 8, 0];

/// What a buffer holds (MS-PAC 2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacKind(pub u32);

impl PacKind {
    /// [`LogonInfo`]
    pub const LOGON_INFO: Self = Self(1);
    /// [`PacSignature`] by the service's key.
    pub const SERVER_SIGNATURE: Self = Self(6);
    /// [`PacSignature`] by the domain's key.
    pub const KDC_SIGNATURE: Self = Self(7);
    /// [`ClientInfo`]
    pub const CLIENT_INFO: Self = Self(10);
}

/// A PAC: buffers of several kinds (PACTYPE, MS-PAC 2.3).
#[derive(Debug, Clone)]
pub struct Pac<'a> {
    data: &'a [u8],
    buffers: Vec<(PacKind, Range<usize>)>,
}

impl<'a> Pac<'a> {
    /// Reads where the buffers are.
    pub fn decode(data: &'a [u8]) -> Result<Self, WireError> {
        let what = "PAC";
        let mut reader = Reader::new(data, what);
        let (count, version) = (reader.u32()?, reader.u32()?);
        if count > MAX_BUFFERS || version != 0 {
            return Err(WireError::BadValue { what, value: u64::from(count) });
        }
        let mut buffers = Vec::new();
        for _ in 0..count {
            let (kind, length, offset) = (PacKind(reader.u32()?), reader.u32()? as usize, reader.u64()?);
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let range = start..start.saturating_add(length);
            if data.get(range.clone()).is_none() {
                return Err(WireError::BadRange { what, offset: start, length });
            }
            // Each kind is there once.
            if buffers.iter().any(|(other, _)| *other == kind) {
                return Err(WireError::BadValue { what, value: u64::from(kind.0) });
            }
            buffers.push((kind, range));
        }
        Ok(Self { data, buffers })
    }

    /// Where a buffer lies in the PAC.
    pub fn range(&self, kind: PacKind) -> Option<Range<usize>> {
        self.buffers.iter().find(|(other, _)| *other == kind).map(|(_, range)| range.clone())
    }

    /// What a buffer holds.
    pub fn buffer(&self, kind: PacKind) -> Option<&'a [u8]> {
        self.range(kind).map(|range| &self.data[range])
    }
}

/// PAC_SIGNATURE_DATA (MS-PAC 2.8)
#[derive(Debug, Clone, Copy)]
pub struct PacSignature<'a> {
    /// A number of a Kerberos checksum.
    pub kind: i32,
    /// The signature; what follows it belongs to read-only domain controllers.
    pub signature: &'a [u8],
}

impl<'a> PacSignature<'a> {
    /// Reads a buffer.
    pub fn decode(buffer: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(buffer, "PAC signature");
        Ok(Self { kind: reader.u32()? as i32, signature: reader.rest() })
    }

    /// Makes the signature in a buffer zero, as it is when a PAC is signed. Its kind stays, and so does the number
    /// of a read-only domain controller, which stands in the last two bytes where there are more than a signature's.
    pub fn blank(buffer: &mut [u8]) {
        let Some((kind, rest)) = buffer.split_first_chunk_mut::<4>() else { return };
        let length = match i32::from_le_bytes(*kind) {
            // hmac-sha1-96, of either key length
            15 | 16 => 12,
            // hmac-sha384-192-aes256
            20 => 24,
            // HMAC-MD5, hmac-sha256-128-aes128
            _ => 16,
        };
        let length = length.min(rest.len());
        rest[..length].fill(0);
    }
}

/// PAC_CLIENT_INFO (MS-PAC 2.7): which ticket the PAC was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientInfo {
    /// When the client logged in at the domain.
    pub authenticated: FileTime,
    /// The client's name.
    pub name: String,
}

impl ClientInfo {
    /// Reads a buffer.
    pub fn decode(buffer: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(buffer, "PAC client info");
        let authenticated = FileTime(reader.u64()?);
        let length = usize::from(reader.u16()?);
        Ok(Self { authenticated, name: reader.utf16(length)? })
    }
}

/// SE_GROUP_* (MS-PAC 2.2.1)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupAttributes(pub u32);

impl GroupAttributes {
    const ENABLED: u32 = 0x4;
    const USE_FOR_DENY_ONLY: u32 = 0x10;

    /// Whether the group gives its members anything.
    pub fn is_enabled(self) -> bool {
        self.0 & Self::ENABLED != 0 && !self.only_denies()
    }

    /// Whether what is denied to the group is denied to its members, and what is allowed is not allowed to them.
    pub fn only_denies(self) -> bool {
        self.0 & Self::USE_FOR_DENY_ONLY != 0
    }
}

/// A group of a domain (GROUP_MEMBERSHIP, MS-PAC 2.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// The last part of its SID.
    pub id: u32,
    /// What it counts for.
    pub attributes: GroupAttributes,
}

/// What a service needs of KERB_VALIDATION_INFO (MS-PAC 2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogonInfo {
    /// The account's name.
    pub account: String,
    /// The account's domain.
    pub domain: Sid,
    /// Short name of that domain.
    pub domain_name: String,
    /// The user's number in the domain.
    pub user: u32,
    /// The number of the user's primary group there.
    pub primary_group: u32,
    /// Groups of that domain.
    pub groups: Vec<Group>,
    /// Groups and other SIDs from anywhere.
    pub extra: Vec<(Sid, GroupAttributes)>,
    /// The domain of the service, for `resource_groups`.
    pub resource_domain: Option<Sid>,
    /// Groups of the service's domain.
    pub resource_groups: Vec<Group>,
}

impl LogonInfo {
    /// Reads a buffer: the structure's fixed part, then what its pointers point to, in their order.
    pub fn decode(buffer: &[u8]) -> Result<Self, WireError> {
        let what = "PAC logon info";
        let stub = match buffer.split_at_checked(NDR_HEAD_LEN) {
            Some((head, stub)) if head.starts_with(&NDR_HEAD) => stub,
            _ => return Err(WireError::BadName { what }),
        };
        let mut ndr = NdrReader::new(stub);
        let missing = WireError::BadValue { what, value: 0 };
        if ndr.u32()? == 0 {
            return Err(missing);
        }
        // LogonTime to PasswordMustChange: six times.
        ndr.skip(48)?;
        let mut names = [false; 6];
        for follows in &mut names {
            *follows = ndr.counted_head()?;
        }
        // LogonCount, BadPasswordCount
        ndr.skip(4)?;
        let (user, primary_group) = (ndr.u32()?, ndr.u32()?);
        let (groups, groups_follow) = (ndr.u32()?, ndr.u32()? != 0);
        // UserFlags, UserSessionKey
        ndr.skip(20)?;
        let (server_follows, domain_name_follows) = (ndr.counted_head()?, ndr.counted_head()?);
        let domain_follows = ndr.u32()? != 0;
        // Reserved1, UserAccountControl, SubAuthStatus, two times, FailedILogonCount, Reserved3
        ndr.skip(40)?;
        let (extra, extra_follow) = (ndr.u32()?, ndr.u32()? != 0);
        let resource_domain_follows = ndr.u32()? != 0;
        let (resource_groups, resource_groups_follow) = (ndr.u32()?, ndr.u32()? != 0);

        // EffectiveName, FullName, LogonScript, ProfilePath, HomeDirectory, HomeDirectoryDrive
        let mut account = String::new();
        for (at, _) in names.iter().enumerate().filter(|(_, follows)| **follows) {
            let name = ndr.string()?;
            if at == 0 {
                account = name;
            }
        }
        let groups = members(&mut ndr, groups, groups_follow)?;
        if server_follows {
            ndr.string()?;
        }
        let domain_name = if domain_name_follows { ndr.string()? } else { String::new() };
        let domain = if domain_follows { ndr.sid()? } else { return Err(missing) };
        let extra = extra_sids(&mut ndr, extra, extra_follow)?;
        let resource_domain = if resource_domain_follows { Some(ndr.sid()?) } else { None };
        let resource_groups = members(&mut ndr, resource_groups, resource_groups_follow)?;
        Ok(Self {
            account,
            domain,
            domain_name,
            user,
            primary_group,
            groups,
            extra,
            resource_domain,
            resource_groups,
        })
    }
}

/// A conformant array of groups.
fn members(ndr: &mut NdrReader<'_>, count: u32, follows: bool) -> Result<Vec<Group>, WireError> {
    array(ndr, count, follows, |ndr| Ok(Group { id: ndr.u32()?, attributes: GroupAttributes(ndr.u32()?) }))
}

/// A conformant array of pointers to SIDs with attributes, then the SIDs.
fn extra_sids(
    ndr: &mut NdrReader<'_>,
    count: u32,
    follows: bool,
) -> Result<Vec<(Sid, GroupAttributes)>, WireError> {
    let heads = array(ndr, count, follows, |ndr| Ok((ndr.u32()?, GroupAttributes(ndr.u32()?))))?;
    let present = heads.into_iter().filter(|(pointer, _)| *pointer != 0);
    present.map(|(_, attributes)| Ok((ndr.sid()?, attributes))).collect()
}

fn array<T>(
    ndr: &mut NdrReader<'_>,
    count: u32,
    follows: bool,
    element: impl Fn(&mut NdrReader<'_>) -> Result<T, WireError>,
) -> Result<Vec<T>, WireError> {
    let bad = WireError::BadValue { what: "PAC array", value: u64::from(count) };
    if !follows {
        return if count == 0 { Ok(Vec::new()) } else { Err(bad) };
    }
    if ndr.u32()? != count {
        return Err(bad);
    }
    (0..count).map(|_| element(ndr)).collect()
}
