//! Between POSIX modes and descriptors.
//!
//! A file of which only `st_mode` is known gets a descriptor that allows what the mode allows ([`descriptor`]):
//! entries for owner, group and everyone, each group of three bits deciding alone, as in POSIX, by denials
//! before the entries that would give more. A file whose descriptor was set gets the mode that comes nearest
//! ([`mode`]), so that other front ends and local users see something sensible.
//!
//! Linux clients set mode, owner and group as SIDs that NFS servers on Windows have for them ([`sent_mode`],
//! [`sent_user`], [`sent_group`]).

use super::{Privileges, Token, check::maximal_access};
use smb_wire::{
    AccessMask, Sid,
    security_descriptor::{Ace, AceFlags, AceType, Acl, Control, SecurityDescriptor},
};

const STICKY: u32 = 0o1000;

/// Everybody may look at the attributes and at the descriptor, as everybody may call `stat`.
const LOOK: AccessMask =
    AccessMask::READ_CONTROL.union(AccessMask::READ_ATTRIBUTES).union(AccessMask::SYNCHRONIZE);

/// What an owner may always do: `chmod`, `utimes`, and deleting, where a sticky directory leaves it to the owner.
const OWN: AccessMask = LOOK
    .union(AccessMask::WRITE_DAC)
    .union(AccessMask::WRITE_OWNER)
    .union(AccessMask::WRITE_ATTRIBUTES)
    .union(AccessMask::DELETE);

const READ: AccessMask = AccessMask::READ_DATA.union(AccessMask::READ_EA);
const WRITE: AccessMask = AccessMask::WRITE_DATA
    .union(AccessMask::APPEND_DATA)
    .union(AccessMask::WRITE_EA)
    .union(AccessMask::WRITE_ATTRIBUTES);

/// The rights that three permission bits stand for.
fn rights(bits: u32, is_dir: bool) -> AccessMask {
    let mut rights = AccessMask::empty();
    if bits & 4 != 0 {
        rights |= READ;
    }
    if bits & 2 != 0 {
        rights |= WRITE;
        rights.set(AccessMask::DELETE_CHILD, is_dir);
    }
    rights.set(AccessMask::EXECUTE, bits & 1 != 0);
    rights
}

/// The descriptor of a file with this owner, group and mode.
pub fn descriptor(owner: Sid, group: Sid, mode: u32, is_dir: bool) -> SecurityDescriptor {
    let class = |shift: u32| {
        let rights = rights(mode >> shift & 7, is_dir);
        let shares = is_dir && mode & STICKY != 0 && shift < 6;
        if shares { rights.difference(AccessMask::DELETE_CHILD) } else { rights }
    };
    let (of_owner, of_group, of_others) = (class(6), class(3), class(0));
    let mut aces = Vec::new();
    let mut put = |kind, mask: AccessMask, sid: &Sid| {
        if !mask.is_empty() {
            aces.push(Ace::new(kind, mask, sid.clone()));
        }
    };
    put(AceType::ACCESS_DENIED, (of_group | of_others).difference(of_owner | OWN), &owner);
    // All three bits make all rights, which clients show as "full control".
    let all_of_owner = if mode >> 6 & 7 == 7 { AccessMask::FILE_ALL } else { OWN | of_owner };
    put(AceType::ACCESS_ALLOWED, all_of_owner, &owner);
    put(AceType::ACCESS_DENIED, of_others.difference(of_group), &group);
    put(AceType::ACCESS_ALLOWED, LOOK | of_group, &group);
    put(AceType::ACCESS_ALLOWED, LOOK | of_others, &Sid::everyone());
    SecurityDescriptor {
        control: Control::DACL_PRESENT | Control::SELF_RELATIVE,
        owner: Some(owner),
        group: Some(group),
        sacl: None,
        dacl: Some(Acl::new(aces)),
    }
}

/// A list after `chmod`: the entries of the new mode, and what `list` has passed on it passes on.
pub fn changed_list(list: Option<&Acl>, fitting: Option<Acl>) -> Option<Acl> {
    let inherit = AceFlags::OBJECT_INHERIT | AceFlags::CONTAINER_INHERIT;
    let passed_on = list.into_iter().flat_map(|list| &list.aces).filter(|ace| ace.flags.intersects(inherit));
    let passed_on = passed_on.map(|ace| Ace { flags: ace.flags | AceFlags::INHERIT_ONLY, ..ace.clone() });
    fitting.map(|fitting| Acl::new(fitting.aces.into_iter().chain(passed_on).collect()))
}

/// Below S-1-5-88.
const NFS_USER: u32 = 1;
const NFS_GROUP: u32 = 2;
const NFS_MODE: u32 = 3;

/// The mode that a client means by a list with an entry for S-1-5-88-3-MODE that allows: what Linux sends for `chmod`
/// has this one, which allows nothing.
pub fn sent_mode(list: &Acl) -> Option<u32> {
    let allows = list.aces.iter().filter(|ace| ace.ace_type == AceType::ACCESS_ALLOWED);
    allows.into_iter().find_map(|ace| sent_number(ace.sid()?, NFS_MODE))
}

/// The user id that a client means by S-1-5-88-1-UID.
pub fn sent_user(owner: &Sid) -> Option<u32> {
    sent_number(owner, NFS_USER)
}

/// The group id that a client means by S-1-5-88-2-GID.
pub fn sent_group(group: &Sid) -> Option<u32> {
    sent_number(group, NFS_GROUP)
}

fn sent_number(sid: &Sid, of: u32) -> Option<u32> {
    match (sid.authority(), sid.sub_authorities()) {
        (5, [88, kind, number]) if *kind == of => Some(*number),
        _ => None,
    }
}

/// The nine permission bits that come nearest to a descriptor: what its owner alone, somebody of its group, and
/// anybody else who logged in may do.
pub fn mode(descriptor: &SecurityDescriptor) -> u32 {
    let others = [Sid::everyone(), Sid::authenticated_users(), Sid::users()];
    let bits = |member: Option<&Sid>| {
        let user = member.cloned().unwrap_or_else(Sid::everyone);
        let token = Token::new(user, others.to_vec(), Privileges::empty());
        let allowed = maximal_access(Some(descriptor), &token, AccessMask::empty());
        let bit = |right, value| if allowed.contains(right) { value } else { 0 };
        bit(AccessMask::READ_DATA, 4) | bit(AccessMask::WRITE_DATA, 2) | bit(AccessMask::EXECUTE, 1)
    };
    bits(descriptor.owner.as_ref()) << 6 | bits(descriptor.group.as_ref()) << 3 | bits(None)
}
