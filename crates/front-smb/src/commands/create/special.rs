//! Opening what is no file of a volume: pipes, and the file of quotas.

use super::check::IMPERSONATION_MAX;
use super::{enter, named_rights};
use crate::open::Kind;
use crate::pipe::Pipe;
use crate::reply::Answer;
use crate::request::Request;
use crate::session::Tree;
use smb_wire::create::{CreateAction, CreateDisposition, CreateRequest, CreateResponse, OplockLevel};
use smb_wire::fscc::FileAttributes;
use smb_wire::{AccessMask, NtStatus};
use std::sync::Arc;

/// By this name Windows knows the quotas of a volume (MS-FSCC 2.1.5.4, `$Extend`).
pub(super) const QUOTA_FILE: &str = "$Extend\\$Quota:$Q:$INDEX_ALLOCATION";

pub(super) fn open_pipe(
    request: &Request,
    tree: &Arc<Tree>,
    decoded: &CreateRequest,
) -> Result<Answer, NtStatus> {
    if decoded.impersonation_level > IMPERSONATION_MAX {
        return Err(NtStatus::BAD_IMPERSONATION_LEVEL);
    }
    let caller = request.session()?;
    let pipe = Pipe::open(&decoded.name, caller).ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)?;
    pipe.admit(caller)?;
    open_special(request, tree, decoded, Kind::Pipe(pipe), FileAttributes::NORMAL)
}

/// The file that clients open to ask for quotas (MS-FSCC 2.4.41). It is always there, whether there are any or not.
pub(super) fn open_quota(
    request: &Request,
    tree: &Arc<Tree>,
    decoded: &CreateRequest,
) -> Result<Answer, NtStatus> {
    match decoded.create_disposition {
        CreateDisposition::Open | CreateDisposition::OpenIf => {}
        _ => return Err(NtStatus::ACCESS_DENIED),
    }
    let attributes =
        FileAttributes::HIDDEN | FileAttributes::SYSTEM | FileAttributes::DIRECTORY | FileAttributes::ARCHIVE;
    open_special(request, tree, decoded, Kind::Quota(Default::default()), attributes)
}

/// Opens what is no file of a volume.
fn open_special(
    request: &Request,
    tree: &Arc<Tree>,
    decoded: &CreateRequest,
    kind: Kind,
    file_attributes: FileAttributes,
) -> Result<Answer, NtStatus> {
    let desired = decoded.desired_access;
    let mut access = named_rights(desired, tree.maximal_access, &request.session()?.token)?;
    if desired.contains(AccessMask::MAXIMUM_ALLOWED) {
        access |= tree.maximal_access;
    }
    let id = enter(request, tree, access, kind)?.id;
    let response = CreateResponse {
        oplock_level: OplockLevel::NONE,
        flags: 0,
        create_action: CreateAction::Opened,
        creation_time: Default::default(),
        last_access_time: Default::default(),
        last_write_time: Default::default(),
        change_time: Default::default(),
        allocation_size: 0,
        end_of_file: 0,
        file_attributes,
        file_id: id,
        contexts: Vec::new(),
    };
    Ok(Answer::ok(|body| response.encode(body)))
}
