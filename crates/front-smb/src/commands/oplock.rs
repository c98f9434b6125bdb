//! OPLOCK_BREAK: a client gives back what it was asked for (MS-SMB2 3.3.5.22.1).

use crate::breaks;
use crate::reply::Answer;
use crate::request::Request;
use smb_wire::NtStatus;
use smb_wire::create::OplockLevel;
use smb_wire::oplock_break::{BreakAcknowledgement, OplockBreak};
use vfs::AckRefused;

pub(super) fn acknowledge(request: &Request) -> Result<Answer, NtStatus> {
    let decoded = BreakAcknowledgement::decode(&request.message).map_err(|error| error.status())?;
    let BreakAcknowledgement::Oplock(asked) = decoded else {
        // No lease was granted that could break.
        return Err(NtStatus::OBJECT_NAME_NOT_FOUND);
    };
    let open = request.open(asked.file_id)?;
    let file = open.file().map_err(|_| NtStatus::INVALID_OPLOCK_PROTOCOL)?;
    if asked.oplock_level == OplockLevel::LEASE {
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
