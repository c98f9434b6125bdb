//! Self-relative security descriptors (MS-DTYP 2.4.6) and access lists ([`acl`]).

pub mod acl;

pub use acl::{Ace, AceBody, AceFlags, AceType, Acl};

use crate::{
    cursor::{Fixed, Put},
    error::WireError,
    query_info::SecurityInformation,
    sid::Sid,
};
use bitflags::bitflags;

bitflags! {
    /// Control bits of a descriptor.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Control: u16 {
        /// The owner came by default.
        const OWNER_DEFAULTED = 0x0001;
        /// The group came by default.
        const GROUP_DEFAULTED = 0x0002;
        /// There is a DACL; with no list at its place, everything is allowed.
        const DACL_PRESENT = 0x0004;
        /// The DACL came by default.
        const DACL_DEFAULTED = 0x0008;
        /// There is a SACL.
        const SACL_PRESENT = 0x0010;
        /// The SACL came by default.
        const SACL_DEFAULTED = 0x0020;
        /// The DACL is from a trusted source.
        const DACL_TRUSTED = 0x0040;
        /// The server acts for others.
        const SERVER_SECURITY = 0x0080;
        /// Set: compute inheritance of the DACL.
        const DACL_INHERIT_REQUIRED = 0x0100;
        /// Set: compute inheritance of the SACL.
        const SACL_INHERIT_REQUIRED = 0x0200;
        /// The DACL was inherited.
        const DACL_AUTO_INHERITED = 0x0400;
        /// The SACL was inherited.
        const SACL_AUTO_INHERITED = 0x0800;
        /// The DACL does not inherit.
        const DACL_PROTECTED = 0x1000;
        /// The SACL does not inherit.
        const SACL_PROTECTED = 0x2000;
        /// The resource manager's byte means something.
        const RM_CONTROL_VALID = 0x4000;
        /// The parts are in one buffer.
        const SELF_RELATIVE = 0x8000;
        const _ = !0;
    }
}

/// A security descriptor. `control` tells a missing list from a null list: present and `None` is null.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecurityDescriptor {
    /// Control bits; [`Control::SELF_RELATIVE`] is set when encoding.
    pub control: Control,
    /// Owner.
    pub owner: Option<Sid>,
    /// Primary group.
    pub group: Option<Sid>,
    /// System list: auditing.
    pub sacl: Option<Acl>,
    /// Discretionary list: access.
    pub dacl: Option<Acl>,
}

const FIXED_LEN: usize = 20;

impl SecurityDescriptor {
    /// Reads a self-relative descriptor. Lists count only when their control bit is set.
    pub fn decode(data: &[u8]) -> Result<Self, WireError> {
        let what = "security descriptor";
        let fixed = Fixed::<FIXED_LEN>::new(data, what)?;
        if fixed.u8(0) != 1 {
            let value = u64::from(fixed.u8(0));
            return Err(WireError::BadValue { what: "security descriptor revision", value });
        }
        let control = Control::from_bits_retain(fixed.u16(2));
        let part = |at: usize| match fixed.size32(at) {
            0 => Ok(None),
            offset => match data.get(offset..) {
                Some(part) if offset >= FIXED_LEN => Ok(Some(part)),
                _ => Err(WireError::BadRange { what, offset, length: data.len() }),
            },
        };
        let list = |at: usize, present: Control| match control.contains(present) {
            true => part(at)?.map(Acl::decode).transpose(),
            false => Ok(None),
        };
        Ok(Self {
            control,
            owner: part(4)?.map(Sid::decode).transpose()?,
            group: part(8)?.map(Sid::decode).transpose()?,
            sacl: list(12, Control::SACL_PRESENT)?,
            dacl: list(16, Control::DACL_PRESENT)?,
        })
    }

    /// Appends the self-relative form: the parts in the order of their offsets, owner first, as Windows and
    /// Samba answer. A list whose control bit is not set is left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.u8(1);
        out.u8(0);
        out.u16((self.control | Control::SELF_RELATIVE).bits());
        out.zeros(16);
        for (at, sid) in [(4, &self.owner), (8, &self.group)] {
            if let Some(sid) = sid {
                let offset = out.len() - start;
                out.set_size32(start + at, offset);
                sid.encode(out);
            }
        }
        let lists = [(12, &self.sacl, Control::SACL_PRESENT), (16, &self.dacl, Control::DACL_PRESENT)];
        for (at, list, present) in lists {
            if let (Some(list), true) = (list, self.control.contains(present)) {
                let offset = out.len() - start;
                out.set_size32(start + at, offset);
                list.encode(out);
            }
        }
    }

    /// Whether both lists are short enough to be written.
    pub fn fits(&self) -> bool {
        [&self.sacl, &self.dacl].into_iter().flatten().all(|list| list.encoded_len() <= Acl::MAX_LEN)
    }

    /// The parts that a client asked for; control bits of the others are cleared.
    pub fn select(&self, wanted: SecurityInformation) -> Self {
        let sacl_bits =
            SecurityInformation::SACL | SecurityInformation::LABEL | SecurityInformation::ATTRIBUTE;
        let mut selected = self.clone();
        if !wanted.contains(SecurityInformation::OWNER) {
            selected.owner = None;
            selected.control.remove(Control::OWNER_DEFAULTED);
        }
        if !wanted.contains(SecurityInformation::GROUP) {
            selected.group = None;
            selected.control.remove(Control::GROUP_DEFAULTED);
        }
        if !wanted.contains(SecurityInformation::DACL) {
            selected.dacl = None;
            selected.control.remove(
                Control::DACL_PRESENT
                    | Control::DACL_DEFAULTED
                    | Control::DACL_AUTO_INHERITED
                    | Control::DACL_PROTECTED,
            );
        }
        if !wanted.intersects(sacl_bits) {
            selected.sacl = None;
            selected.control.remove(
                Control::SACL_PRESENT
                    | Control::SACL_DEFAULTED
                    | Control::SACL_AUTO_INHERITED
                    | Control::SACL_PROTECTED,
            );
        }
        selected
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::AccessMask;
    use proptest::prelude::*;

    fn sid() -> impl Strategy<Value = Sid> {
        prop::collection::vec(any::<u32>(), 0..=15).prop_map(|parts| Sid::new(5, &parts).unwrap())
    }

    fn ace() -> impl Strategy<Value = Ace> {
        let kind = prop_oneof![
            Just(AceType::ACCESS_ALLOWED),
            Just(AceType::ACCESS_DENIED),
            Just(AceType::SYSTEM_AUDIT)
        ];
        let basic = (kind, any::<u32>(), sid())
            .prop_map(|(ace_type, mask, sid)| Ace::new(ace_type, AccessMask::from_bits_retain(mask), sid));
        let guid = || prop::option::of(any::<[u8; 16]>());
        let object = (guid(), guid(), any::<u32>(), sid(), prop::collection::vec(any::<u32>(), 0..3))
            .prop_map(|(object_type, inherited_object_type, mask, sid, data)| {
                let application_data = data.into_iter().flat_map(u32::to_le_bytes).collect();
                let mask = AccessMask::from_bits_retain(mask);
                let body =
                    AceBody::Object { mask, object_type, inherited_object_type, sid, application_data };
                Ace { ace_type: AceType::ACCESS_DENIED_OBJECT, flags: AceFlags::empty(), body }
            });
        let opaque = Just(AceBody::Opaque(vec![7; 12])).prop_map(|body| Ace {
            ace_type: AceType(0x04),
            flags: AceFlags::empty(),
            body,
        });
        (prop_oneof![basic, object, opaque], any::<u8>()).prop_map(|(mut ace, flags)| {
            ace.flags = AceFlags::from_bits_retain(flags);
            ace
        })
    }

    fn acl() -> impl Strategy<Value = Option<Acl>> {
        prop::option::of(prop::collection::vec(ace(), 0..6).prop_map(Acl::new))
    }

    fn descriptor() -> impl Strategy<Value = SecurityDescriptor> {
        (prop::option::of(sid()), prop::option::of(sid()), acl(), acl()).prop_map(
            |(owner, group, sacl, dacl)| {
                let mut control = Control::SELF_RELATIVE;
                control.set(Control::SACL_PRESENT, sacl.is_some());
                control.set(Control::DACL_PRESENT, dacl.is_some());
                SecurityDescriptor { control, owner, group, sacl, dacl }
            },
        )
    }

    proptest! {
        #[test]
        fn descriptors_survive(descriptor in descriptor()) {
            let mut bytes = Vec::new();
            descriptor.encode(&mut bytes);
            prop_assert_eq!(SecurityDescriptor::decode(&bytes).unwrap(), descriptor.clone());
            for list in descriptor.sacl.iter().chain(&descriptor.dacl) {
                let mut bytes = Vec::new();
                list.encode(&mut bytes);
                prop_assert_eq!(list.encoded_len(), bytes.len());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 20..200), offsets in any::<[u8; 4]>()) {
            bytes[0] = 1;
            for (index, offset) in offsets.into_iter().enumerate() {
                bytes[4 + index * 4..][..4].copy_from_slice(&u32::from(offset).to_le_bytes());
            }
            let _ = SecurityDescriptor::decode(&bytes);
        }
    }

    #[test]
    fn impossible_lists_are_refused() {
        let list = |bytes: &[u8]| Acl::decode(bytes).is_ok();
        assert!(list(&[2, 0, 8, 0, 0, 0, 0, 0]));
        assert!(list(&[4, 0, 16, 0, 1, 0, 0, 0, 0x04, 0, 8, 0, 1, 2, 3, 4]), "a kind without a name");
        assert!(!list(&[1, 0, 8, 0, 0, 0, 0, 0]), "revision");
        assert!(!list(&[2, 0, 8, 0, 1, 0, 0, 0]), "more entries than bytes");
        assert!(!list(&[2, 0, 15, 0, 1, 0, 0, 0, 0x04, 0, 7, 0, 1, 2, 3]), "an entry of 7 bytes");
        assert!(!list(&[2, 0, 12, 0, 1, 0, 0, 0, 0x00, 0, 4, 0]), "an entry without mask and SID");
        assert!(!list(&[2, 0, 12, 0, 1, 0, 0, 0, 0x00, 0, 0, 0]), "an entry of no length");
    }

    #[test]
    fn null_list_is_not_an_empty_list() {
        let null = SecurityDescriptor { control: Control::DACL_PRESENT, ..Default::default() };
        let mut bytes = Vec::new();
        null.encode(&mut bytes);
        let back = SecurityDescriptor::decode(&bytes).unwrap();
        assert!(back.control.contains(Control::DACL_PRESENT) && back.dacl.is_none());
    }

    #[test]
    fn selection_clears_what_was_not_asked_for() {
        let whole = SecurityDescriptor {
            control: Control::DACL_PRESENT | Control::DACL_PROTECTED,
            owner: Some(Sid::system()),
            dacl: Some(Acl::new(Vec::new())),
            ..Default::default()
        };
        let owner = whole.select(SecurityInformation::OWNER);
        assert_eq!(owner, SecurityDescriptor { owner: Some(Sid::system()), ..Default::default() });
        assert_eq!(whole.select(SecurityInformation::OWNER | SecurityInformation::DACL), whole);
    }
}
