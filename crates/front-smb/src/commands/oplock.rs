//! OPLOCK_BREAK: a client gives back what it was asked for (MS-SMB2 3.3.5.22.1, 3.3.5.22.2).

use crate::breaks;
use crate::commands::create::lease;
use crate::reply::Answer;
use crate::request::Request;
use crate::session::Target;
use smb_wire::NtStatus;
use smb_wire::create::OplockLevel;
use smb_wire::oplock_break::{BreakAcknowledgement, LeaseBreak, OplockBreak};
use vfs::AckRefused;

pub(super) fn acknowledge(request: &Request) -> Result<Answer, NtStatus> {
    match BreakAcknowledgement::decode(&request.message).map_err(|error| error.status())? {
        BreakAcknowledgement::Oplock(asked) => oplock(request, asked),
        BreakAcknowledgement::Lease(asked) => lease(request, asked),
    }
}

fn oplock(request: &Request, asked: OplockBreak) -> Result<Answer, NtStatus> {
    let open = request.open(asked.file_id)?;
    let file = open.file().map_err(|_| NtStatus::INVALID_OPLOCK_PROTOCOL)?;
    if asked.oplock_level == OplockLevel::LEASE || file.lease.is_some() {
        file.vfs.give_up_caching();
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let kept = file.vfs.acknowledge(breaks::wanted(asked.oplock_level)).map_err(|refused| match refused {
        AckRefused::Closed => NtStatus::FILE_CLOSED,
        AckRefused::NotBreaking => NtStatus::INVALID_DEVICE_STATE,
        AckRefused::TooMuch => NtStatus::INVALID_OPLOCK_PROTOCOL,
    })?;
    let response = OplockBreak { oplock_level: breaks::level(kept), file_id: open.id };
    Ok(Answer::ok(|body| response.encode(body)))
}

/// A lease is the client's, whichever of its sessions speaks whose user has it; it lies on the volume of one of the
/// shares.
fn lease(request: &Request, asked: LeaseBreak) -> Result<Answer, NtStatus> {
    let client = request.connection.client().ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)?;
    let id = lease::id(request, asked.lease_key).ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)?;
    if !breaks::may_acknowledge(request.session()?, &client, id) {
        return Err(NtStatus::OBJECT_NAME_NOT_FOUND);
    }
    let trees = request.session()?.all_trees();
    let of_session = trees.iter().filter_map(|tree| match &tree.target {
        Target::Disk(share) => Some(share.clone()),
        Target::Pipes => None,
    });
    let shares: Vec<_> = of_session.chain(request.connection.server.shares()).collect();
    let outcomes = shares.iter().map(|share| share.vfs.acknowledge_lease(id, breaks::of_lease(asked.state)));
    let outcome = outcomes.into_iter().find(|outcome| *outcome != Err(AckRefused::Closed));
    match outcome.unwrap_or(Err(AckRefused::Closed)) {
        Ok(kept) => {
            let response = LeaseBreak { lease_key: asked.lease_key, state: breaks::lease_state(kept) };
            Ok(Answer::ok(|body| response.encode(body)))
        }
        Err(AckRefused::Closed) => Err(NtStatus::OBJECT_NAME_NOT_FOUND),
        Err(AckRefused::NotBreaking) => Err(NtStatus::UNSUCCESSFUL),
        Err(AckRefused::TooMuch) => Err(NtStatus::REQUEST_NOT_ACCEPTED),
    }
}
