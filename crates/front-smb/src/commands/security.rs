//! Security descriptors in QUERY_INFO and SET_INFO (MS-SMB2 3.3.5.20.3, 3.3.5.21.3, MS-FSA 2.1.5.13, 2.1.5.17).
//!
//! The open must have the rights for the parts that are asked for or set. What an object without a descriptor is told
//! to have is said in [`crate::rights`]; setting any part of it makes it the object's own. A POSIX open is told what says
//! the mode; what it sends as SIDs of NFS is mode, owner and group of the file ([`ForPosix`]).

use crate::open::Open;
use crate::request::Request;
use crate::rights::{bytes_of, mode, read, unclaimed};
use crate::status::failed;
use smb_core::access::{Denied, Privileges, Token, change, posix, rights_to_query, rights_to_set};
use smb_wire::query_info::SecurityInformation;
use smb_wire::security_descriptor::{Control, SecurityDescriptor};
use smb_wire::{AccessMask, NtStatus, Sid};
use std::sync::Arc;
use vfs::NewDescriptor;
use volume::{Attr, Carries, SetAttr};

/// Permission bits that a client may set.
const PERMISSIONS: u32 = 0o7777;

/// The parts that are asked for, as bytes.
pub(super) async fn query(
    request: &Request,
    open: &Open,
    asked: SecurityInformation,
) -> Result<Vec<u8>, NtStatus> {
    open.needs_all(rights_to_query(asked))?;
    let file = open.file()?;
    let (attr, carried) = file.vfs.descriptor(&request.cx()).await.map_err(failed)?;
    let whole = match carried {
        Some(bytes) => read(&bytes),
        None if file.posix => {
            let (owner, group) = (Sid::unix_user(attr.uid), Sid::unix_group(attr.gid));
            posix::descriptor(owner, group, attr.mode, attr.is_dir())
        }
        None => unclaimed(&request.session()?.token),
    };
    let mut bytes = Vec::new();
    whole.select(asked).encode(&mut bytes);
    Ok(bytes)
}

/// Sets the parts that are named.
pub(super) async fn set(
    request: &Request,
    open: &Open,
    named: SecurityInformation,
    sent: &[u8],
) -> Result<(), NtStatus> {
    open.needs_present()?;
    open.needs_all(rights_to_set(named))?;
    let tree = request.tree()?;
    let share = request.disk()?;
    if !tree.maximal_access.contains(AccessMask::WRITE_DAC) {
        return Err(NtStatus::ACCESS_DENIED);
    }
    let file = open.file()?;
    let sent = SecurityDescriptor::decode(sent).map_err(|_| NtStatus::INVALID_SECURITY_DESCR)?;
    let (for_posix, named) =
        if file.posix { ForPosix::of(&sent, named) } else { (ForPosix::default(), named) };
    if !named.is_empty() && !share.vfs.caps().named {
        return Err(NtStatus::NOT_SUPPORTED);
    }
    let token = Arc::clone(&request.session()?.token);
    for_posix.check(&token)?;
    let gives = named.intersects(SecurityInformation::OWNER | SecurityInformation::BACKUP);
    let charges = |owner: &Sid| share.vfs.caps().quotas && gives && !token.may_charge(owner);
    if sent.owner.as_ref().is_some_and(charges) {
        return Err(NtStatus::INVALID_OWNER);
    }
    let cx = request.cx();
    let changed = file.vfs.change_descriptor(&cx, move |attr, carried| {
        let is_its_own = attr.carries.contains(Carries::DESCRIPTOR);
        if named.is_empty() && !is_its_own {
            return Ok(NewDescriptor { value: None, mode: PERMISSIONS, set: for_posix.set() });
        }
        let stored = carried.map_or_else(|| unclaimed(&token), |bytes| read(&bytes));
        let for_posix = if is_its_own { for_posix.within(&stored) } else { for_posix };
        let new = change(&stored, &sent, named, &token).map_err(|denied| Refused(denied.status()))?;
        let new = for_posix.fit(new, attr);
        Ok(NewDescriptor { mode: mode(&new), value: Some(bytes_of(&new)), set: for_posix.set() })
    });
    changed.await.map(drop).map_err(|Refused(status)| status)
}

/// What a POSIX client means for the file itself, in the place of parts of a descriptor. A descriptor that the file has
/// goes along; where it has none nothing is stored, and it is judged as before.
#[derive(Clone, Copy, Default)]
struct ForPosix {
    mode: Option<u32>,
    user: Option<u32>,
    group: Option<u32>,
}

impl ForPosix {
    /// Of what was sent, and the parts that are left.
    fn of(sent: &SecurityDescriptor, named: SecurityInformation) -> (ForPosix, SecurityInformation) {
        let part = |part| named.contains(part) && !named.contains(SecurityInformation::BACKUP);
        let list = sent.dacl.as_ref().filter(|_| part(SecurityInformation::DACL));
        let owner = sent.owner.as_ref().filter(|_| part(SecurityInformation::OWNER));
        let group = sent.group.as_ref().filter(|_| part(SecurityInformation::GROUP));
        let meant = ForPosix {
            mode: list.and_then(posix::sent_mode).map(|mode| mode & PERMISSIONS),
            user: owner.and_then(posix::sent_user),
            group: group.and_then(posix::sent_group),
        };
        let mut left = named;
        for (is_meant, part) in [
            (meant.mode.is_some(), SecurityInformation::DACL),
            (meant.user.is_some(), SecurityInformation::OWNER),
            (meant.group.is_some(), SecurityInformation::GROUP),
        ] {
            left.set(part, named.contains(part) && !is_meant);
        }
        (meant, left)
    }

    /// Files are given away by who may give them to anybody.
    fn check(&self, token: &Token) -> Result<(), NtStatus> {
        let gives = self.user.or(self.group).is_some();
        if gives && !token.privileges.contains(Privileges::RESTORE) {
            return Err(Denied::Owner.status());
        }
        Ok(())
    }

    /// By a mode, group and others lose what its list gives them, and get no more: the group of a descriptor is often all
    /// users of the server, and the closed directories above, which would keep them out elsewhere, are not asked here.
    fn within(self, descriptor: &SecurityDescriptor) -> ForPosix {
        let may_have = 0o700 | posix::mode(descriptor);
        ForPosix { mode: self.mode.map(|mode| mode & may_have), ..self }
    }

    fn set(&self) -> SetAttr {
        SetAttr { mode: self.mode, uid: self.user, gid: self.group, ..SetAttr::default() }
    }

    /// The descriptor of the file as it goes with that.
    fn fit(&self, mut descriptor: SecurityDescriptor, attr: &Attr) -> SecurityDescriptor {
        let user = self.user.map(Sid::unix_user);
        let group = self.group.map(Sid::unix_group);
        descriptor.owner = user.or(descriptor.owner);
        descriptor.group = group.or(descriptor.group);
        if let Some(mode) = self.mode {
            let owner = descriptor.owner.clone().unwrap_or_else(|| Sid::unix_user(attr.uid));
            let group = descriptor.group.clone().unwrap_or_else(|| Sid::unix_group(attr.gid));
            let fitting = posix::descriptor(owner, group, mode, attr.is_dir());
            descriptor.dacl = posix::changed_list(descriptor.dacl.as_ref(), fitting.dacl);
            descriptor.control.insert(Control::DACL_PRESENT);
        }
        descriptor
    }
}

/// Why nothing was set.
struct Refused(NtStatus);

impl From<vfs::Error> for Refused {
    fn from(error: vfs::Error) -> Refused {
        Refused(failed(error))
    }
}
