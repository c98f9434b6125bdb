//! Access lists and their entries (MS-DTYP 2.4.5, 2.4.4).

use crate::{
    access::AccessMask,
    cursor::{Fixed, Put},
    error::WireError,
    sid::Sid,
};
use bitflags::bitflags;

/// Kind of an entry (MS-DTYP 2.4.4.1). Numbers without a name are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AceType(pub u8);

impl AceType {
    /// Allows.
    pub const ACCESS_ALLOWED: Self = Self(0x00);
    /// Denies.
    pub const ACCESS_DENIED: Self = Self(0x01);
    /// Is written to the audit log.
    pub const SYSTEM_AUDIT: Self = Self(0x02);
    /// Allows, with a condition in the application's data.
    pub const ACCESS_ALLOWED_CALLBACK: Self = Self(0x09);
    /// Denies, with a condition in the application's data.
    pub const ACCESS_DENIED_CALLBACK: Self = Self(0x0A);
    /// Audit, with a condition in the application's data.
    pub const SYSTEM_AUDIT_CALLBACK: Self = Self(0x0D);
    /// Integrity level.
    pub const SYSTEM_MANDATORY_LABEL: Self = Self(0x11);
    /// Resource attribute, in the application's data.
    pub const SYSTEM_RESOURCE_ATTRIBUTE: Self = Self(0x12);
    /// Central policy.
    pub const SYSTEM_SCOPED_POLICY_ID: Self = Self(0x13);

    /// Whether an entry of this kind is a mask, a SID and perhaps the application's data.
    fn is_basic(self) -> bool {
        matches!(
            self,
            Self::ACCESS_ALLOWED
                | Self::ACCESS_DENIED
                | Self::SYSTEM_AUDIT
                | Self::ACCESS_ALLOWED_CALLBACK
                | Self::ACCESS_DENIED_CALLBACK
                | Self::SYSTEM_AUDIT_CALLBACK
                | Self::SYSTEM_MANDATORY_LABEL
                | Self::SYSTEM_RESOURCE_ATTRIBUTE
                | Self::SYSTEM_SCOPED_POLICY_ID
        )
    }
}

bitflags! {
    /// Flags of an entry.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct AceFlags: u8 {
        /// Files inherit it.
        const OBJECT_INHERIT = 0x01;
        /// Directories inherit it.
        const CONTAINER_INHERIT = 0x02;
        /// Those who inherit it do not pass it on.
        const NO_PROPAGATE_INHERIT = 0x04;
        /// It does not count here, only where it is inherited.
        const INHERIT_ONLY = 0x08;
        /// It was inherited.
        const INHERITED = 0x10;
        /// Audit what succeeds.
        const SUCCESSFUL_ACCESS = 0x40;
        /// Audit what fails.
        const FAILED_ACCESS = 0x80;
        const _ = !0;
    }
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AceBody {
    /// Rights of a SID; the application's data is empty in the plain kinds.
    Basic {
        /// The rights.
        mask: AccessMask,
        /// Whose.
        sid: Sid,
        /// What follows the SID, a multiple of 4 bytes.
        application_data: Vec<u8>,
    },
    /// A kind that this crate does not take apart (object entries): all bytes after the head.
    Opaque(Vec<u8>),
}

/// One entry of an access list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ace {
    /// Kind.
    pub ace_type: AceType,
    /// Flags.
    pub flags: AceFlags,
    /// What it says.
    pub body: AceBody,
}

const ACE_HEAD: usize = 4;

impl Ace {
    /// A plain entry without flags.
    pub fn new(ace_type: AceType, mask: AccessMask, sid: Sid) -> Self {
        let body = AceBody::Basic { mask, sid, application_data: Vec::new() };
        Self { ace_type, flags: AceFlags::empty(), body }
    }

    /// Reads the entry at the start of `data`; gives its length too.
    fn decode(data: &[u8]) -> Result<(Self, usize), WireError> {
        let what = "ACE";
        let head = Fixed::<ACE_HEAD>::new(data, what)?;
        let (ace_type, length) = (AceType(head.u8(0)), head.size16(2));
        if length < ACE_HEAD || length > data.len() {
            return Err(WireError::BadRange { what, offset: 0, length });
        }
        let rest = &data[ACE_HEAD..length];
        let body = if ace_type.is_basic() {
            let mask = AccessMask::from_bits_retain(Fixed::<4>::new(rest, what)?.u32(0));
            let sid = Sid::decode(&rest[4..])?;
            let application_data = rest[4 + sid.encoded_len()..].to_vec();
            AceBody::Basic { mask, sid, application_data }
        } else {
            AceBody::Opaque(rest.to_vec())
        };
        Ok((Self { ace_type, flags: AceFlags::from_bits_retain(head.u8(1)), body }, length))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.u8(self.ace_type.0);
        out.u8(self.flags.bits());
        out.u16(0);
        match &self.body {
            AceBody::Basic { mask, sid, application_data } => {
                out.u32(mask.bits());
                sid.encode(out);
                out.bytes(application_data);
            }
            AceBody::Opaque(bytes) => out.bytes(bytes),
        }
        let length = out.len() - start;
        out.set_size16(start + 2, length);
    }
}

/// An access list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl {
    /// 2, or 4 when it has object entries.
    pub revision: u8,
    /// In the order in which they count.
    pub aces: Vec<Ace>,
}

const ACL_HEAD: usize = 8;

impl Acl {
    /// Longest list in bytes, as its length field allows.
    pub const MAX_LEN: usize = u16::MAX as usize;

    /// A list of plain entries.
    pub fn new(aces: Vec<Ace>) -> Self {
        Self { revision: 2, aces }
    }

    /// Reads the list at the start of `data`; what follows is ignored.
    pub fn decode(data: &[u8]) -> Result<Self, WireError> {
        let what = "ACL";
        let head = Fixed::<ACL_HEAD>::new(data, what)?;
        let (revision, length, count) = (head.u8(0), head.size16(2), head.size16(4));
        if revision != 2 && revision != 4 {
            return Err(WireError::BadValue { what: "ACL revision", value: u64::from(revision) });
        }
        if length < ACL_HEAD || length > data.len() {
            return Err(WireError::BadRange { what, offset: 0, length });
        }
        let mut rest = &data[ACL_HEAD..length];
        let mut aces = Vec::new();
        for _ in 0..count {
            let (ace, length) = Ace::decode(rest)?;
            aces.push(ace);
            rest = &rest[length..];
        }
        Ok(Self { revision, aces })
    }

    /// Appends the list. It must not exceed [`Acl::MAX_LEN`].
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.u8(self.revision);
        out.u8(0);
        out.u16(0);
        out.size16(self.aces.len());
        out.u16(0);
        for ace in &self.aces {
            ace.encode(out);
        }
        let length = out.len() - start;
        out.set_size16(start + 2, length);
    }
}
