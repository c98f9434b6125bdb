//! Setting the security of an object (MS-FSA 2.1.5.17, MS-SMB2 3.3.5.21.3): the parts that a client names are
//! taken over from what it sent, the others stay.

use super::{
    Denied, Privileges, Token,
    inherit::{DACL, ListBits, SACL},
};
use smb_wire::{
    AccessMask,
    query_info::SecurityInformation,
    security_descriptor::{Ace, AceFlags, AceType, Acl, Control, SecurityDescriptor},
};

/// Rights that an open must have so that these parts may be read (MS-SMB2 3.3.5.20.3).
pub fn rights_to_query(which: SecurityInformation) -> AccessMask {
    let mut rights = AccessMask::empty();
    let system = SecurityInformation::SACL | SecurityInformation::BACKUP;
    rights.set(AccessMask::READ_CONTROL, !which.difference(SecurityInformation::SACL).is_empty());
    rights.set(AccessMask::ACCESS_SYSTEM_SECURITY, which.intersects(system));
    rights
}

/// Rights that an open must have so that these parts may be set (MS-SMB2 3.3.5.21.3).
pub fn rights_to_set(which: SecurityInformation) -> AccessMask {
    let owners = SecurityInformation::OWNER | SecurityInformation::GROUP | SecurityInformation::LABEL;
    let lists = SecurityInformation::DACL | SecurityInformation::ATTRIBUTE;
    let system = SecurityInformation::SACL | SecurityInformation::SCOPE;
    let all = SecurityInformation::BACKUP;
    let mut rights = AccessMask::empty();
    rights.set(AccessMask::WRITE_OWNER, which.intersects(owners | all));
    rights.set(AccessMask::WRITE_DAC, which.intersects(lists | all));
    rights.set(AccessMask::ACCESS_SYSTEM_SECURITY, which.intersects(system | all));
    rights
}

/// What becomes of the descriptor `stored` when the parts `which` of `sent` are set. The rights of the open are
/// for the caller to check ([`rights_to_set`]).
///
/// Lists are kept in the order in which they were sent. "Auto-inherited" is set when the client asks for it with
/// both of its bits; the request for it is not kept. "Protected" is set as sent, or as `which` says.
pub fn change(
    stored: &SecurityDescriptor,
    sent: &SecurityDescriptor,
    which: SecurityInformation,
    token: &Token,
) -> Result<SecurityDescriptor, Denied> {
    let is_named = |part| which.intersects(part | SecurityInformation::BACKUP);
    let mut new = stored.clone();
    new.control.insert(Control::SELF_RELATIVE);
    if is_named(SecurityInformation::OWNER) {
        let owner = sent.owner.as_ref().filter(|owner| token.may_assign(owner)).ok_or(Denied::Owner)?;
        new.owner = Some(owner.clone());
        copy_bits(Control::OWNER_DEFAULTED, sent.control, &mut new.control);
    }
    if is_named(SecurityInformation::GROUP) {
        new.group = Some(sent.group.clone().ok_or(Denied::Group)?);
        copy_bits(Control::GROUP_DEFAULTED, sent.control, &mut new.control);
    }
    if is_named(SecurityInformation::DACL) {
        let is_given = sent.control.contains(Control::DACL_PRESENT);
        new.dacl = sent.dacl.as_ref().filter(|_| is_given).map(settled);
        install(DACL, sent.control, &mut new.control);
    }
    let protect_dacl = (SecurityInformation::PROTECTED_DACL, SecurityInformation::UNPROTECTED_DACL);
    protect(which, protect_dacl, Control::DACL_PROTECTED, &mut new.control);
    let of_sacl = SACL_PARTS.into_iter().fold(SecurityInformation::BACKUP, |all, (_, part)| all | part);
    if which.intersects(of_sacl | SecurityInformation::SACL) {
        if is_named(SecurityInformation::SACL) && !token.privileges.contains(Privileges::SECURITY) {
            return Err(Denied::Privilege);
        }
        new.sacl = merged_sacl(stored.sacl.as_ref(), sent, which);
        if is_named(SecurityInformation::SACL) {
            install(SACL, sent.control, &mut new.control);
        }
        new.control.set(Control::SACL_PRESENT, new.sacl.is_some());
    }
    let protect_sacl = (SecurityInformation::PROTECTED_SACL, SecurityInformation::UNPROTECTED_SACL);
    protect(which, protect_sacl, Control::SACL_PROTECTED, &mut new.control);
    if new.fits() { Ok(new) } else { Err(Denied::TooLong) }
}

fn copy_bits(bits: Control, from: Control, to: &mut Control) {
    to.set(bits, from.contains(bits));
}

/// The control bits of a list that was sent. A list without its "present" bit is the null list.
fn install(bits: ListBits, sent: Control, control: &mut Control) {
    control.insert(bits.present);
    control.remove(bits.inherit_required);
    copy_bits(bits.defaulted, sent, control);
    copy_bits(bits.protected, sent, control);
    control.set(bits.auto_inherited, sent.contains(bits.auto_inherited | bits.inherit_required));
}

fn protect(
    which: SecurityInformation,
    (on, off): (SecurityInformation, SecurityInformation),
    bit: Control,
    control: &mut Control,
) {
    if which.contains(on) {
        control.insert(bit);
    } else if which.contains(off) {
        control.remove(bit);
    }
}

/// A list as it is stored: generic rights are replaced where an entry counts, and kept where it is only passed
/// on, because they may stand for something else there.
fn settled(list: &Acl) -> Acl {
    let settle = |ace: &Ace| match (ace.mask(), ace.sid()) {
        (Some(mask), Some(sid)) if !ace.flags.contains(AceFlags::INHERIT_ONLY) => {
            ace.clone().with(mask.expand_generic(), sid.clone())
        }
        _ => ace.clone(),
    };
    Acl { revision: list.revision, aces: list.aces.iter().map(settle).collect() }
}

/// Kinds of entries in a system list that are set by a bit of their own.
const SACL_PARTS: [(AceType, SecurityInformation); 3] = [
    (AceType::SYSTEM_MANDATORY_LABEL, SecurityInformation::LABEL),
    (AceType::SYSTEM_RESOURCE_ATTRIBUTE, SecurityInformation::ATTRIBUTE),
    (AceType::SYSTEM_SCOPED_POLICY_ID, SecurityInformation::SCOPE),
];

/// The system list: entries of the kinds that are set, as sent, then those of the other kinds, as stored.
fn merged_sacl(stored: Option<&Acl>, sent: &SecurityDescriptor, which: SecurityInformation) -> Option<Acl> {
    let is_set = |ace: &&Ace| {
        let part = SACL_PARTS.into_iter().find(|(kind, _)| *kind == ace.ace_type);
        let part = part.map_or(SecurityInformation::SACL, |(_, part)| part);
        which.intersects(part | SecurityInformation::BACKUP)
    };
    let sent = sent.sacl.as_ref().filter(|_| sent.control.contains(Control::SACL_PRESENT)).map(settled);
    let taken = sent.iter().flat_map(|list| &list.aces).filter(is_set);
    let kept = stored.into_iter().flat_map(|list| &list.aces).filter(|ace| !is_set(ace));
    let aces: Vec<Ace> = taken.chain(kept).cloned().collect();
    (sent.is_some() || !aces.is_empty()).then(|| Acl::new(aces))
}
