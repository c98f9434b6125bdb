//! Security descriptors in QUERY_INFO and SET_INFO (MS-SMB2 3.3.5.20.3, 3.3.5.21.3, MS-FSA 2.1.5.13, 2.1.5.17).
//!
//! The open must have the rights for the parts that are asked for or set. What an object without a descriptor is told
//! to have is said in [`crate::rights`]; setting any part of it makes it the object's own.

use crate::open::Open;
use crate::request::Request;
use crate::rights::{bytes_of, mode, read, unclaimed};
use crate::status::failed;
use smb_core::access::{Token, change, rights_to_query, rights_to_set};
use smb_wire::query_info::SecurityInformation;
use smb_wire::security_descriptor::SecurityDescriptor;
use smb_wire::{AccessMask, NtStatus, Sid};
use std::sync::Arc;
use vfs::NewDescriptor;

/// The parts that are asked for, as bytes.
pub(super) async fn query(
    request: &Request,
    open: &Open,
    asked: SecurityInformation,
) -> Result<Vec<u8>, NtStatus> {
    open.needs_all(rights_to_query(asked))?;
    let (_, carried) = open.file()?.vfs.descriptor(&request.cx()).await.map_err(failed)?;
    let whole = match carried {
        Some(bytes) => read(&bytes),
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
    if !share.vfs.caps().named {
        return Err(NtStatus::NOT_SUPPORTED);
    }
    let sent = SecurityDescriptor::decode(sent).map_err(|_| NtStatus::INVALID_SECURITY_DESCR)?;
    let token = Arc::clone(&request.session()?.token);
    let gives = named.intersects(SecurityInformation::OWNER | SecurityInformation::BACKUP);
    let charges = |owner: &Sid| share.vfs.caps().quotas && gives && !token.may_charge(owner);
    if sent.owner.as_ref().is_some_and(charges) {
        return Err(NtStatus::INVALID_OWNER);
    }
    let cx = request.cx();
    let changed = open.file()?.vfs.change_descriptor(&cx, move |_, carried| {
        let stored = carried.map_or_else(|| unclaimed(&token), |bytes| read(&bytes));
        changed(&stored, &sent, named, &token)
    });
    changed.await.map(drop).map_err(|Refused(status)| status)
}

fn changed(
    stored: &SecurityDescriptor,
    sent: &SecurityDescriptor,
    named: SecurityInformation,
    token: &Token,
) -> Result<NewDescriptor, Refused> {
    let new = change(stored, sent, named, token).map_err(|denied| Refused(denied.status()))?;
    Ok(NewDescriptor { mode: mode(&new), value: bytes_of(&new) })
}

/// Why nothing was set.
struct Refused(NtStatus);

impl From<vfs::Error> for Refused {
    fn from(error: vfs::Error) -> Refused {
        Refused(failed(error))
    }
}
