//! LOCK (MS-SMB2 3.3.5.14).
//!
//! All elements of a request lock, or all unlock. Locks taken by a request whose later element fails are given
//! back. Only a request with a single element may wait.
//!
//! Waiting alone can be given up. Locks of a persistent open that are there are written down whatever becomes of the
//! request; where that fails they are not there any more, and the client is told so.

use crate::limits;
use crate::lock_replays::LockName;
use crate::open::FileOpen;
use crate::pace::Pace;
use crate::persistent::OpenRecords;
use crate::reply::Answer;
use crate::request::Request;
use crate::status::failed;
use smb_wire::NtStatus;
use smb_wire::lock::{LockElement, LockFlags, LockRequest, LockResponse};
use smb_wire::negotiate::Dialect;
use std::sync::Arc;
use vfs::{Carry, Open, Range};

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
    let name = LockName { bucket: decoded.sequence_index, number: decoded.sequence_number };
    let name = (request.dialect() >= Dialect::SMB_3_0).then_some(name);
    if let Some(name) = name
        && file.lock_replays.was_done(name).await
    {
        return Ok(Answer::ok(|body| LockResponse.encode(body)));
    }
    let under_way = name.map(|name| UnderWay::begin(file, name));
    let (locked, outcome) = match locks {
        true => (lock_all(request, &file.vfs, &decoded.locks).await?, Ok(())),
        false => (Vec::new(), unlock_all(request, &file.vfs, &decoded.locks).await),
    };
    let change = Change { locked, outcome, under_way };
    match request.connection.server.config.records.as_ref().filter(|_| file.is_persistent()) {
        None => change.end()?,
        Some(records) => {
            request.commit();
            let work = change.write_down(records.clone(), open.id.persistent, Arc::clone(file));
            Carry::new(work).await?;
        }
    }
    Ok(Answer::ok(|body| LockResponse.encode(body)))
}

/// A request whose like waits for what becomes of it: not done, unless it says so.
struct UnderWay {
    file: Arc<FileOpen>,
    name: LockName,
    done: bool,
}

impl UnderWay {
    fn begin(file: &Arc<FileOpen>, name: LockName) -> UnderWay {
        file.lock_replays.begin(name);
        UnderWay { file: Arc::clone(file), name, done: false }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.file.lock_replays.end(self.name, self.done);
    }
}

/// What a request has done to the locks of an open.
struct Change {
    locked: Vec<TakenLock>,
    /// Of unlocking, which may have failed half-way.
    outcome: Result<(), NtStatus>,
    under_way: Option<UnderWay>,
}

impl Change {
    fn end(mut self) -> Result<(), NtStatus> {
        self.under_way.iter_mut().for_each(|under_way| under_way.done = self.outcome.is_ok());
        self.outcome
    }

    async fn write_down(
        mut self,
        records: OpenRecords,
        id: u64,
        file: Arc<FileOpen>,
    ) -> Result<(), NtStatus> {
        if let Err(error) = records.put_locks(id, &file.vfs).await {
            tracing::error!(%error, "locks of a persistent open cannot be written down");
            // What is unlocked cannot be locked again: somebody else may have it. After a start it would be.
            if !self.locked.is_empty() {
                give_back(&file.vfs, &self.locked);
                self.outcome = Err(NtStatus::IO_DEVICE_ERROR);
                // Another request of the open may have written them down since.
                if let Err(error) = records.put_locks(id, &file.vfs).await {
                    tracing::debug!(%error, "writing down that locks were given back");
                }
            }
        }
        self.end()
    }
}

fn range(element: &LockElement) -> Range {
    Range { offset: element.offset, length: element.length }
}

async fn unlock_all(request: &Request, file: &Open, elements: &[LockElement]) -> Result<(), NtStatus> {
    let mut pace = Pace::new();
    for element in elements {
        // An element that locks among those that unlock ends the request; what is unlocked stays so.
        if element.flags != LockFlags::UNLOCK {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        go_on(request, &mut pace).await;
        file.unlock(range(element)).map_err(failed)?;
    }
    Ok(())
}

async fn lock_all(
    request: &Request,
    file: &Open,
    elements: &[LockElement],
) -> Result<Vec<TakenLock>, NtStatus> {
    let mut taken = Taken { file, locks: Vec::with_capacity(elements.len()) };
    let mut pace = Pace::new();
    for element in elements {
        go_on(request, &mut pace).await;
        lock_one(file, element, elements.len()).await?;
        taken.locks.push((range(element), element.flags.contains(LockFlags::EXCLUSIVE)));
    }
    Ok(taken.keep())
}

/// Before the next of many elements, each of which may be held against all locks of the file: others have their turn
/// from time to time. What is begun goes on to its end, a CANCEL in between is late.
async fn go_on(request: &Request, pace: &mut Pace) {
    if !pace.has(limits::LOCK_ELEMENT_STEPS) {
        request.commit();
        pace.rest().await;
    }
}

/// A range that a request has locked, exclusively or not.
type TakenLock = (Range, bool);

/// What a request has locked so far. It gives that back, unless it has all: when an element fails, and when it ends with
/// its connection.
struct Taken<'a> {
    file: &'a Open,
    locks: Vec<TakenLock>,
}

impl Taken<'_> {
    fn keep(mut self) -> Vec<TakenLock> {
        std::mem::take(&mut self.locks)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        give_back(self.file, &self.locks);
    }
}

/// The last first: it is found at once.
fn give_back(file: &Open, taken: &[TakenLock]) {
    taken.iter().rev().for_each(|(range, exclusive)| file.revoke_lock(*range, *exclusive));
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
