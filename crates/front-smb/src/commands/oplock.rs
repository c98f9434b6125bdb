//! OPLOCK_BREAK: a client gives back what it was asked for (MS-SMB2 3.3.5.22.1, 3.3.5.22.2).

use crate::breaks;
use crate::reply::Answer;
use crate::request::Request;
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

/// A lease is the client's, whichever of its sessions speaks whose user has it.
fn lease(request: &Request, asked: LeaseBreak) -> Result<Answer, NtStatus> {
    let leases = request.connection.server.leases.answered_by(request.session()?, asked.lease_key);
    let keeps = breaks::of_lease(asked.state);
    let mut outcome = Err(AckRefused::Closed);
    for lease in leases {
        outcome = lease.vfs.acknowledge_lease(lease.id, keeps);
        // Of several of this name one that was asked back is meant.
        if !matches!(outcome, Err(AckRefused::Closed | AckRefused::NotBreaking)) {
            break;
        }
    }
    match outcome {
        Ok(kept) => {
            let response = LeaseBreak { lease_key: asked.lease_key, state: breaks::lease_state(kept) };
            Ok(Answer::ok(|body| response.encode(body)))
        }
        Err(AckRefused::Closed) => Err(NtStatus::OBJECT_NAME_NOT_FOUND),
        Err(AckRefused::NotBreaking) => Err(NtStatus::UNSUCCESSFUL),
        Err(AckRefused::TooMuch) => Err(NtStatus::REQUEST_NOT_ACCEPTED),
    }
}
