//! LOCK (MS-SMB2 3.3.5.14).
//!
//! All elements of a request lock, or all unlock. Locks taken by a request whose later element fails are given
//! back. Only a request with a single element may wait.

use crate::reply::Answer;
use crate::request::Request;
use crate::status::failed;
use smb_wire::NtStatus;
use smb_wire::lock::{LockElement, LockFlags, LockRequest, LockResponse};
use smb_wire::negotiate::Dialect;
use vfs::{Open, Range};

pub(super) async fn lock(request: &Request) -> Result<Answer, NtStatus> {
    let decoded = LockRequest::decode(&request.message).map_err(|error| error.status())?;
    let locks = !decoded.locks[0].flags.contains(LockFlags::UNLOCK);
    if locks && request.session()?.is_expired() {
        return Err(NtStatus::NETWORK_SESSION_EXPIRED);
    }
    let open = request.open(decoded.file_id)?;
    let file = open.file()?;
    if file.vfs.is_dir() {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let replay =
        (request.dialect() >= Dialect::SMB_3_0).then_some((decoded.sequence_index, decoded.sequence_number));
    if replay.is_some_and(|(bucket, number)| file.lock_replays.lock().begin(bucket, number)) {
        return Ok(Answer::ok(|body| LockResponse.encode(body)));
    }
    if locks {
        lock_all(&file.vfs, &decoded.locks).await?;
    } else {
        unlock_all(&file.vfs, &decoded.locks)?;
    }
    if file.is_persistent()
        && let Some(records) = &request.connection.server.config.records
        && let Err(error) = records.put_locks(open.id.persistent, &file.vfs.locks()).await
    {
        tracing::error!(%error, "locks of a persistent open cannot be written down");
        return Err(NtStatus::IO_DEVICE_ERROR);
    }
    if let Some((bucket, number)) = replay {
        file.lock_replays.lock().done(bucket, number);
    }
    Ok(Answer::ok(|body| LockResponse.encode(body)))
}

fn range(element: &LockElement) -> Range {
    Range { offset: element.offset, length: element.length }
}

fn unlock_all(file: &Open, elements: &[LockElement]) -> Result<(), NtStatus> {
    for element in elements {
        // An element that locks among those that unlock ends the request; what is unlocked stays so.
        if element.flags != LockFlags::UNLOCK {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        file.unlock(range(element)).map_err(failed)?;
    }
    Ok(())
}

async fn lock_all(file: &Open, elements: &[LockElement]) -> Result<(), NtStatus> {
    let mut taken = Vec::with_capacity(elements.len());
    for element in elements {
        match lock_one(file, element, elements.len()).await {
            Ok(()) => taken.push(range(element)),
            Err(status) => {
                for range in taken {
                    // It was locked a moment ago; only a closed file forgets that, and then it is unlocked.
                    if let Err(error) = file.unlock(range) {
                        tracing::debug!(%error, "giving back a lock");
                    }
                }
                return Err(status);
            }
        }
    }
    Ok(())
}

async fn lock_one(file: &Open, element: &LockElement, among: usize) -> Result<(), NtStatus> {
    let at_once = element.flags.contains(LockFlags::FAIL_IMMEDIATELY);
    let exclusive = match element.flags - LockFlags::FAIL_IMMEDIATELY {
        LockFlags::SHARED => false,
        LockFlags::EXCLUSIVE => true,
        _ => return Err(NtStatus::INVALID_PARAMETER),
    };
    if at_once {
        return file.try_lock(range(element), exclusive).map_err(failed);
    }
    if among > 1 {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    match file.lock(range(element), exclusive).await {
        // The open went away while the request waited (MS-SMB2 3.3.5.14.2).
        Err(vfs::Error::Closed) => Err(NtStatus::RANGE_NOT_LOCKED),
        outcome => outcome.map_err(failed),
    }
}
