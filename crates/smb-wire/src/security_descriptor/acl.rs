//! Access lists and their entries (MS-DTYP 2.4.5, 2.4.4).

use crate::{
    access::AccessMask,
    cursor::{Fixed, Put, Reader},
    error::WireError,
    ids::Guid,
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
    /// Allows, on objects of a class.
    pub const ACCESS_ALLOWED_OBJECT: Self = Self(0x05);
    /// Denies, on objects of a class.
    pub const ACCESS_DENIED_OBJECT: Self = Self(0x06);
    /// Audit, on objects of a class.
    pub const SYSTEM_AUDIT_OBJECT: Self = Self(0x07);
    /// Allows, with a condition in the application's data.
    pub const ACCESS_ALLOWED_CALLBACK: Self = Self(0x09);
    /// Denies, with a condition in the application's data.
    pub const ACCESS_DENIED_CALLBACK: Self = Self(0x0A);
    /// Allows, on objects of a class, with a condition.
    pub const ACCESS_ALLOWED_CALLBACK_OBJECT: Self = Self(0x0B);
    /// Denies, on objects of a class, with a condition.
    pub const ACCESS_DENIED_CALLBACK_OBJECT: Self = Self(0x0C);
    /// Audit, with a condition in the application's data.
    pub const SYSTEM_AUDIT_CALLBACK: Self = Self(0x0D);
    /// Audit, on objects of a class, with a condition.
    pub const SYSTEM_AUDIT_CALLBACK_OBJECT: Self = Self(0x0F);
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

    /// Whether an entry of this kind names classes of objects between its mask and its SID.
    fn is_object(self) -> bool {
        matches!(
            self,
            Self::ACCESS_ALLOWED_OBJECT
                | Self::ACCESS_DENIED_OBJECT
                | Self::SYSTEM_AUDIT_OBJECT
                | Self::ACCESS_ALLOWED_CALLBACK_OBJECT
                | Self::ACCESS_DENIED_CALLBACK_OBJECT
                | Self::SYSTEM_AUDIT_CALLBACK_OBJECT
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
    /// Rights of a SID on objects of a class (2.4.4.3): the object itself, and those that inherit the entry.
    Object {
        /// The rights.
        mask: AccessMask,
        /// Class, property or right that the entry is about.
        object_type: Option<Guid>,
        /// Class of the objects that inherit it.
        inherited_object_type: Option<Guid>,
        /// Whose.
        sid: Sid,
        /// What follows the SID, a multiple of 4 bytes.
        application_data: Vec<u8>,
    },
    /// A kind that this crate does not take apart: all bytes after the head, a multiple of 4 bytes.
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
        if length % 4 != 0 {
            return Err(WireError::BadValue { what: "ACE length", value: length as u64 });
        }
        let body = AceBody::decode(ace_type, &data[ACE_HEAD..length])?;
        Ok((Self { ace_type, flags: AceFlags::from_bits_retain(head.u8(1)), body }, length))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.u8(self.ace_type.0);
        out.u8(self.flags.bits());
        out.u16(0);
        self.body.encode(out);
        let length = out.len() - start;
        out.set_size16(start + 2, length);
    }

    /// Length in bytes on the wire.
    pub fn encoded_len(&self) -> usize {
        ACE_HEAD + self.body.encoded_len()
    }

    /// The rights, where the kind is known.
    pub fn mask(&self) -> Option<AccessMask> {
        match &self.body {
            AceBody::Basic { mask, .. } | AceBody::Object { mask, .. } => Some(*mask),
            AceBody::Opaque(_) => None,
        }
    }

    /// Whose they are, where the kind is known.
    pub fn sid(&self) -> Option<&Sid> {
        match &self.body {
            AceBody::Basic { sid, .. } | AceBody::Object { sid, .. } => Some(sid),
            AceBody::Opaque(_) => None,
        }
    }

    /// The same entry with other rights of another SID; a kind that is not known stays as it is.
    pub fn with(mut self, new_mask: AccessMask, new_sid: Sid) -> Self {
        match &mut self.body {
            AceBody::Basic { mask, sid, .. } | AceBody::Object { mask, sid, .. } => {
                *mask = new_mask;
                *sid = new_sid;
            }
            AceBody::Opaque(_) => {}
        }
        self
    }
}

const OBJECT_TYPE_PRESENT: u32 = 0x01;
const INHERITED_OBJECT_TYPE_PRESENT: u32 = 0x02;

impl AceBody {
    /// Reads what follows the head of an entry.
    fn decode(ace_type: AceType, data: &[u8]) -> Result<Self, WireError> {
        if !ace_type.is_basic() && !ace_type.is_object() {
            return Ok(Self::Opaque(data.to_vec()));
        }
        let mut reader = Reader::new(data, "ACE");
        let mask = AccessMask::from_bits_retain(reader.u32()?);
        if ace_type.is_basic() {
            let sid = Sid::read(&mut reader)?;
            return Ok(Self::Basic { mask, sid, application_data: reader.rest().to_vec() });
        }
        let flags = reader.u32()?;
        let object_type = (flags & OBJECT_TYPE_PRESENT != 0).then(|| reader.array()).transpose()?;
        let inherited_object_type =
            (flags & INHERITED_OBJECT_TYPE_PRESENT != 0).then(|| reader.array()).transpose()?;
        let sid = Sid::read(&mut reader)?;
        let application_data = reader.rest().to_vec();
        Ok(Self::Object { mask, object_type, inherited_object_type, sid, application_data })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Basic { mask, sid, application_data } => {
                out.u32(mask.bits());
                sid.encode(out);
                out.bytes(application_data);
            }
            Self::Object { mask, object_type, inherited_object_type, sid, application_data } => {
                out.u32(mask.bits());
                let has_type = if object_type.is_some() { OBJECT_TYPE_PRESENT } else { 0 };
                let has_inherited =
                    if inherited_object_type.is_some() { INHERITED_OBJECT_TYPE_PRESENT } else { 0 };
                out.u32(has_type | has_inherited);
                object_type.iter().chain(inherited_object_type).for_each(|guid| out.bytes(guid));
                sid.encode(out);
                out.bytes(application_data);
            }
            Self::Opaque(bytes) => out.bytes(bytes),
        }
    }

    fn encoded_len(&self) -> usize {
        match self {
            Self::Basic { sid, application_data, .. } => 4 + sid.encoded_len() + application_data.len(),
            Self::Object { object_type, inherited_object_type, sid, application_data, .. } => {
                let guids = object_type.iter().count() + inherited_object_type.iter().count();
                8 + 16 * guids + sid.encoded_len() + application_data.len()
            }
            Self::Opaque(bytes) => bytes.len(),
        }
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

    /// A list of these entries, in the revision that they need.
    pub fn new(aces: Vec<Ace>) -> Self {
        let has_objects = aces.iter().any(|ace| ace.ace_type.is_object());
        Self { revision: if has_objects { 4 } else { 2 }, aces }
    }

    /// Length in bytes on the wire; above [`Acl::MAX_LEN`] the list cannot be written.
    pub fn encoded_len(&self) -> usize {
        ACL_HEAD + self.aces.iter().map(Ace::encoded_len).sum::<usize>()
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
