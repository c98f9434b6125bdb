//! What a user may do on a share, by security descriptors: how `vfs` asks, and what MS-DTYP answers (`smb_core::access`).
//!
//! | object | who may do what |
//! |---|---|
//! | with a descriptor, or one that its directories pass on | what that says, and never more than the share gives |
//! | without | everyone what the share gives. It has no owner of its own: whoever asks is told to be the owner, and is it when he sets a descriptor |
//!
//! A descriptor that cannot be read lets nobody in but who may take ownership.

use crate::veto::Veto;
use bytes::Bytes;
use smb_core::access::{self, Denied, Token, posix};
use smb_wire::create::{CreateContext, CreateOptions, CreateRequest};
use smb_wire::security_descriptor::{Ace, AceFlags, AceType, Acl, Control, SecurityDescriptor};
use smb_wire::{AccessMask, NtStatus, Sid};
use std::sync::Arc;
use vfs::{Access, Error, NewObject, Newborn, Rights};
use volume::Attr;

/// Permission bits that a descriptor never takes away: farshare works as the owner at the origin.
const OWNER_BITS: u32 = 0o7700;

/// A user on a share, with what one CREATE says of rights.
#[derive(Debug)]
pub(crate) struct Caller {
    token: Arc<Token>,
    /// The most that the share gives.
    share: AccessMask,
    /// Rights by privilege, for opening with FILE_OPEN_FOR_BACKUP_INTENT.
    lent: AccessMask,
    /// The descriptor that a new object is to have (`SecD`).
    creator: Option<SecurityDescriptor>,
    /// Names that are not followed to.
    veto: Veto,
}

impl Caller {
    /// # Errors
    /// `INVALID_PARAMETER` for a descriptor that is none.
    pub(crate) fn new(
        token: &Arc<Token>,
        share: AccessMask,
        veto: &Veto,
        request: &CreateRequest,
    ) -> Result<Caller, NtStatus> {
        let sent = request.contexts.iter().find_map(|context| match context {
            CreateContext::SecurityDescriptor(bytes) => Some(bytes),
            _ => None,
        });
        let creator = sent.map(|bytes| SecurityDescriptor::decode(bytes)).transpose();
        let with_backup = request.create_options.contains(CreateOptions::OPEN_FOR_BACKUP_INTENT);
        Ok(Caller {
            token: Arc::clone(token),
            share,
            lent: if with_backup { access::lent_by_backup_intent(token) } else { AccessMask::empty() },
            creator: creator.map_err(|error| error.status())?,
            veto: veto.clone(),
        })
    }

    /// Of an open that comes back after a restart: for what it does to names.
    pub(crate) fn returning(token: Token, share: AccessMask, veto: &Veto) -> Caller {
        let (token, veto) = (Arc::new(token), veto.clone());
        Caller { token, share, lent: AccessMask::empty(), creator: None, veto }
    }
}

impl Rights for Caller {
    fn follows(&self, target: &str) -> bool {
        !self.veto.has_within(target)
    }

    fn only_listed(&self) -> bool {
        !self.veto.is_empty()
    }

    fn after_opening(self: Arc<Self>) -> Arc<dyn Rights> {
        match self.creator {
            None => self,
            Some(_) => {
                let (token, veto) = (self.token.clone(), self.veto.clone());
                Arc::new(Caller { token, share: self.share, lent: self.lent, creator: None, veto })
            }
        }
    }

    fn allowed(&self, descriptor: Option<&[u8]>, wanted: Access) -> Access {
        let descriptor = descriptor.map(read);
        let wanted = AccessMask::from_bits_retain(wanted.bits());
        let allowed = access::maximal_access_with(descriptor.as_ref(), &self.token, self.lent, wanted);
        // The system list is no matter of shares.
        Access::from_bits_truncate((allowed & (self.share | AccessMask::ACCESS_SYSTEM_SECURITY)).bits())
    }

    fn passed_on(&self, parent: &[u8], object: &Attr) -> Option<Bytes> {
        let (owner, group) = (Sid::unix_user(object.uid), Sid::unix_group(object.gid));
        access::passed_on(&read(parent), owner, group, object.is_dir()).map(|made| bytes_of(&made))
    }

    fn newborn(&self, parent: Option<&[u8]>, object: NewObject) -> vfs::Result<Newborn> {
        if parent.is_none() && self.creator.is_none() && object != NewObject::CountedFile {
            return Ok(Newborn::PLAIN);
        }
        let owner = self.creator.as_ref().and_then(|creator| creator.owner.as_ref());
        if object == NewObject::CountedFile && owner.is_some_and(|owner| !self.token.may_charge(owner)) {
            return Err(Error::OwnerInvalid);
        }
        let parent = parent.map_or_else(plain_directory, read);
        let dir = object == NewObject::Directory;
        let made = access::inherit(Some(&parent), self.creator.as_ref(), &self.token, dir);
        let made = made.map_err(|denied| match denied {
            Denied::Group => Error::AccessDenied,
            Denied::Privilege => Error::PrivilegeNotHeld,
            Denied::Owner => Error::OwnerInvalid,
            Denied::TooLong => Error::LimitReached("entries in an access list"),
        })?;
        Ok(Newborn { mode: mode(&made), descriptor: Some(bytes_of(&made)) })
    }
}

/// A descriptor of the volume; one that cannot be read allows nothing.
pub(crate) fn read(bytes: &[u8]) -> SecurityDescriptor {
    SecurityDescriptor::decode(bytes).unwrap_or_else(|error| {
        tracing::warn!(%error, "an object carries a security descriptor that cannot be read");
        let control = Control::DACL_PRESENT | Control::SELF_RELATIVE;
        SecurityDescriptor { control, dacl: Some(Acl::new(Vec::new())), ..SecurityDescriptor::default() }
    })
}

pub(crate) fn bytes_of(descriptor: &SecurityDescriptor) -> Bytes {
    let mut bytes = Vec::new();
    descriptor.encode(&mut bytes);
    bytes.into()
}

/// The descriptor that a user is told of an object that has none.
pub(crate) fn unclaimed(token: &Token) -> SecurityDescriptor {
    open_to_all(token.user.clone(), token.primary_group().clone(), AceFlags::empty())
}

/// A directory without a descriptor, as the parent of an object that is to have one.
fn plain_directory() -> SecurityDescriptor {
    let inherit = AceFlags::OBJECT_INHERIT | AceFlags::CONTAINER_INHERIT;
    open_to_all(Sid::system(), Sid::system(), inherit)
}

fn open_to_all(owner: Sid, group: Sid, flags: AceFlags) -> SecurityDescriptor {
    let everyone = Ace { flags, ..Ace::new(AceType::ACCESS_ALLOWED, AccessMask::FILE_ALL, Sid::everyone()) };
    SecurityDescriptor {
        control: Control::DACL_PRESENT | Control::SELF_RELATIVE,
        owner: Some(owner),
        group: Some(group),
        sacl: None,
        dacl: Some(Acl::new(vec![everyone])),
    }
}

/// Permission bits that go with a descriptor: of local users at the origin, who are none of ours, others than the owner
/// keep what everybody has.
pub(crate) fn mode(descriptor: &SecurityDescriptor) -> u32 {
    let others = posix::mode(descriptor) & 0o7;
    OWNER_BITS | others << 3 | others
}

#[cfg(test)]
mod tests {
    use super::*;
    use smb_core::access::Privileges;

    #[test]
    fn what_a_create_brings_for_a_new_object_is_not_kept_with_the_open() {
        let token = Token::new(Sid::unix_user(1), vec![Sid::unix_group(1)], Privileges::empty());
        let sent = unclaimed(&token);
        let caller = Caller::returning(token, AccessMask::READ_DATA, &Veto::new(["*.exe"]));
        let caller = Arc::new(Caller { creator: Some(sent), ..caller });
        assert_ne!(caller.newborn(None, NewObject::File).unwrap(), Newborn::PLAIN);
        let kept = Arc::clone(&caller).after_opening();
        assert_eq!(Arc::strong_count(&caller), 1);
        assert_eq!(kept.newborn(None, NewObject::File).unwrap(), Newborn::PLAIN);
        assert_eq!(kept.allowed(None, Access::empty()), caller.allowed(None, Access::empty()));
        assert!(!kept.follows("a.exe") && kept.only_listed());
    }
}
