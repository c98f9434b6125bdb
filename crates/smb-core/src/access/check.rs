//! The access check (MS-DTYP 2.5.3.2), with what a file system adds to it (MS-FSA 2.1.5.1.2.1).
//!
//! Each right is decided by the first entry that speaks of it to this user. Before the list come the rights of
//! owners and privileges; to what it allows come rights that are lent by something else than the descriptor.

use super::{Privileges, Token};
use smb_wire::{
    AccessMask, Sid,
    security_descriptor::{Ace, AceBody, AceFlags, AceType, SecurityDescriptor},
};

/// What an owner has without being told so.
const OWNERS: AccessMask = AccessMask::READ_CONTROL.union(AccessMask::WRITE_DAC);

/// The most that `token` may have, as the answer to a CREATE context `MxAc` tells it (MS-SMB2 3.3.5.9.5). An object
/// without a descriptor is open to everybody; `lent` is what the token has from elsewhere: [`lent_by_backup_intent`].
pub fn maximal_access(
    descriptor: Option<&SecurityDescriptor>,
    token: &Token,
    lent: AccessMask,
) -> AccessMask {
    allowed(descriptor, token) | lent
}

/// The same, with what privileges give to who names it in `wanted`.
pub fn maximal_access_with(
    descriptor: Option<&SecurityDescriptor>,
    token: &Token,
    lent: AccessMask,
    wanted: AccessMask,
) -> AccessMask {
    maximal_access(descriptor, token, lent) | by_privilege(token, wanted)
}

/// What the privileges of `token` lend it when it opens with FILE_OPEN_FOR_BACKUP_INTENT.
pub fn lent_by_backup_intent(token: &Token) -> AccessMask {
    let mut lent = AccessMask::empty();
    if token.privileges.contains(Privileges::BACKUP) {
        lent |= AccessMask::FILE_GENERIC_READ | AccessMask::TRAVERSE | AccessMask::ACCESS_SYSTEM_SECURITY;
    }
    if token.privileges.contains(Privileges::RESTORE) {
        lent |= AccessMask::FILE_GENERIC_WRITE
            | AccessMask::WRITE_DAC
            | AccessMask::WRITE_OWNER
            | AccessMask::DELETE
            | AccessMask::ACCESS_SYSTEM_SECURITY;
    }
    lent
}

/// Rights that privileges give to who asks for them by name.
fn by_privilege(token: &Token, wanted: AccessMask) -> AccessMask {
    let given = [
        (Privileges::SECURITY, AccessMask::ACCESS_SYSTEM_SECURITY),
        (Privileges::TAKE_OWNERSHIP, AccessMask::WRITE_OWNER),
    ];
    given
        .into_iter()
        .filter(|(privilege, right)| token.privileges.contains(*privilege) && wanted.contains(*right))
        .fold(AccessMask::empty(), |rights, (_, right)| rights | right)
}

/// What the descriptor allows.
fn allowed(descriptor: Option<&SecurityDescriptor>, token: &Token) -> AccessMask {
    let Some(descriptor) = descriptor else { return AccessMask::FILE_ALL };
    let Some(list) = &descriptor.dacl else { return AccessMask::FILE_ALL };
    let is_owner = descriptor.owner.as_ref().is_some_and(|owner| token.contains(owner));
    let owner_rights = Sid::owner_rights();
    let counts = |ace: &&Ace| !ace.flags.contains(AceFlags::INHERIT_ONLY);
    let speaks_of_owners =
        list.aces.iter().filter(counts).any(|ace| ace.sid().is_some_and(|sid| *sid == owner_rights));
    let mut decided = AccessMask::empty();
    let mut allowed = AccessMask::empty();
    if is_owner && !speaks_of_owners {
        allowed = OWNERS;
        decided = OWNERS;
    }
    for ace in list.aces.iter().filter(counts) {
        let (Some(mask), Some(verdict)) = (ace.mask(), verdict(ace)) else { continue };
        let is_ours = |sid: &Sid| match verdict {
            Verdict::Allow => token.contains(sid),
            Verdict::Deny => token.is_denied_with(sid),
        };
        let speaks_to_us = |sid: &Sid| is_ours(sid) || (is_owner && *sid == owner_rights);
        if !ace.sid().is_some_and(speaks_to_us) {
            continue;
        }
        let mask = mask.expand_generic() & AccessMask::FILE_ALL;
        if verdict == Verdict::Allow {
            allowed |= mask.difference(decided);
        }
        decided |= mask;
    }
    allowed
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Allow,
    Deny,
}

/// What an entry does to the rights that it names; `None` for one that does not count in a DACL.
fn verdict(ace: &Ace) -> Option<Verdict> {
    let names_a_class = matches!(&ace.body, AceBody::Object { object_type: Some(_), .. });
    match ace.ace_type {
        AceType::ACCESS_ALLOWED => Some(Verdict::Allow),
        AceType::ACCESS_ALLOWED_OBJECT if !names_a_class => Some(Verdict::Allow),
        AceType::ACCESS_DENIED
        | AceType::ACCESS_DENIED_OBJECT
        | AceType::ACCESS_DENIED_CALLBACK
        | AceType::ACCESS_DENIED_CALLBACK_OBJECT => Some(Verdict::Deny),
        _ => None,
    }
}
