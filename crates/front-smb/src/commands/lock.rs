//! LOCK (MS-SMB2 3.3.5.14).
//!
//! All elements of a request lock, or all unlock. Locks taken by a request whose later element fails are given
//! back. Only a request with a single element may wait.
//!
//! Waiting alone can be given up, and locks of which not all are there when the connection ends. Unlocking that has begun
//! goes on to its end. Locks of a persistent open that are there are written down whatever becomes of the request; where
//! that fails they are not there any more, and the client is told so.

use crate::limits;
use crate::lock_replays::{Begun, LockName};
use crate::open::{FileOpen, Open as SmbOpen};
use crate::pace::Pace;
use crate::persistent::OpenRecords;
use crate::reply::Answer;
use crate::request::Request;
use crate::status::failed;
use smb_wire::lock::{LockElement, LockFlags, LockRequest, LockResponse};
use smb_wire::negotiate::Dialect;
use smb_wire::{AccessMask, NtStatus};
use std::sync::Arc;
use store::StoreError;
use vfs::{Carry, Open, Range};

/// What lets an open lock, as `NtLockFile` has it: one of those that read or write content.
const LOCKING: AccessMask = AccessMask::READ_DATA
    .union(AccessMask::WRITE_DATA)
    .union(AccessMask::APPEND_DATA)
    .union(AccessMask::EXECUTE);

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
    if locks {
        // Who only looks at a file keeps nobody from its content. Giving back what was locked is never refused.
        open.needs_any(LOCKING)?;
    }
    let name = name(request.dialect(), file, &decoded);
    let records = request.connection.server.config.records.as_ref().filter(|_| file.is_persistent());
    let row = records.map(|records| Row { records: records.clone(), id: open.id.persistent });
    let several = decoded.locks.len() > 1;
    if let Some(under_way) = UnderWay::begin(file, name, row.as_ref(), several).await {
        // It may have waited for its like.
        if open.tenure.is_over() {
            return Err(NtStatus::RANGE_NOT_LOCKED);
        }
        let locked = match locks {
            true => Some(lock_all(request, &open, &file.vfs, &decoded.locks).await?),
            false => None,
        };
        // From here on it goes to its end, whoever waits.
        request.commit();
        let (file, doing) = (Arc::clone(file), request.doing());
        Carry::new(async move {
            let _doing = doing;
            let (locked, outcome) = match locked {
                Some(locked) => (locked, Ok(())),
                None => (Vec::new(), unlock_all(&file.vfs, &decoded.locks).await),
            };
            under_way.made(outcome.is_ok());
            let change = Change { locked, outcome, under_way };
            match row {
                None => change.end(),
                Some(row) => change.write_down(row).await,
            }
        })
        .await?;
    }
    Ok(Answer::ok(|body| LockResponse.encode(body)))
}

/// What a request calls itself, where that counts: from 3.0 on, and by 2.1 of opens that outlive their connections
/// (MS-SMB2 3.3.5.14).
fn name(dialect: Dialect, file: &FileOpen, decoded: &LockRequest) -> Option<LockName> {
    let counts = match dialect {
        Dialect::SMB_2_0_2 => false,
        Dialect::SMB_2_1 => file.durability.lock().is_some(),
        _ => true,
    };
    counts.then_some(LockName { bucket: decoded.sequence_index, number: decoded.sequence_number })
}

/// Where a persistent open is written down.
#[derive(Clone)]
struct Row {
    records: OpenRecords,
    id: u64,
}

impl Row {
    async fn put_locks(&self, file: &Arc<FileOpen>) -> Result<(), StoreError> {
        self.records.put_locks(self.id, file).await
    }
}

/// A request whose like waits for what becomes of it: not done, unless it says so.
struct UnderWay {
    file: Arc<FileOpen>,
    name: Option<LockName>,
    done: bool,
    /// Where another may be taken for done in its bucket, or some of its locks for held, until it is written again.
    outdated: Option<Row>,
}

impl UnderWay {
    /// `None`: this very one was done.
    async fn begin(
        file: &Arc<FileOpen>,
        name: Option<LockName>,
        row: Option<&Row>,
        several: bool,
    ) -> Option<UnderWay> {
        let begun = match name {
            Some(name) => file.lock_replays.begin(name).await,
            None => Begun::First { forgets: false },
        };
        let Begun::First { forgets } = begun else { return None };
        // Of several locks some are there before all are, and given back when one fails.
        let outdated = row.filter(|_| forgets || several).cloned();
        Some(UnderWay { file: Arc::clone(file), name, done: false, outdated })
    }

    /// Whether the locks are as it wants them.
    fn made(&self, made: bool) {
        self.name.into_iter().for_each(|name| self.file.lock_replays.made(name, made));
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.name.into_iter().for_each(|name| self.file.lock_replays.end(name, self.done));
        // Nobody waits for that: fifteen others come before its client gives one the same number.
        let Some(row) = self.outdated.take() else { return };
        let file = Arc::clone(&self.file);
        drop(Carry::new(async move {
            if let Err(error) = row.put_locks(&file).await {
                tracing::warn!(open = row.id, %error, "writing down that a lock request was not done");
            }
        }));
    }
}

/// What a request has done to the locks of an open.
struct Change {
    locked: Vec<TakenLock>,
    /// Of unlocking, which may have failed half-way.
    outcome: Result<(), NtStatus>,
    under_way: UnderWay,
}

impl Change {
    fn end(mut self) -> Result<(), NtStatus> {
        self.under_way.done = self.outcome.is_ok();
        self.outcome
    }

    async fn write_down(mut self, row: Row) -> Result<(), NtStatus> {
        match row.put_locks(&self.under_way.file).await {
            Ok(()) => self.under_way.outdated = None,
            Err(error) => {
                tracing::error!(%error, "locks of a persistent open cannot be written down");
                // What is unlocked cannot be locked again: somebody else may have it. After a start it would be.
                if !self.locked.is_empty() {
                    self.take_back(&row).await;
                }
            }
        }
        self.end()
    }

    async fn take_back(&mut self, row: &Row) {
        // Before the locks go: it must not be taken for done without them.
        self.under_way.made(false);
        give_back(&self.under_way.file.vfs, &self.locked);
        self.outcome = Err(NtStatus::IO_DEVICE_ERROR);
        // Another request of the open may have written them down since.
        if let Err(error) = row.put_locks(&self.under_way.file).await {
            tracing::debug!(%error, "writing down that locks were given back");
        }
    }
}

fn range(element: &LockElement) -> Range {
    Range { offset: element.offset, length: element.length }
}

async fn unlock_all(file: &Open, elements: &[LockElement]) -> Result<(), NtStatus> {
    let mut pace = Pace::new();
    for element in elements {
        // An element that locks among those that unlock ends the request; what is unlocked stays so.
        if element.flags != LockFlags::UNLOCK {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        pace.take(limits::LOCK_ELEMENT_STEPS).await;
        file.unlock(range(element)).map_err(failed)?;
    }
    Ok(())
}

async fn lock_all(
    request: &Request,
    open: &SmbOpen,
    file: &Open,
    elements: &[LockElement],
) -> Result<Vec<TakenLock>, NtStatus> {
    let mut taken = Taken { file, locks: Vec::with_capacity(elements.len()) };
    let mut pace = Pace::new();
    for element in elements {
        go_on(request, &mut pace).await;
        tokio::select! {
            biased;
            // It goes on without its session, and with it whoever waits through it for a lock (MS-SMB2 3.3.5.14.2).
            () = open.tenure.over() => return Err(NtStatus::RANGE_NOT_LOCKED),
            locked = lock_one(file, element, elements.len()) => locked?,
        }
        taken.locks.push((range(element), element.flags.contains(LockFlags::EXCLUSIVE)));
    }
    Ok(taken.keep())
}

/// Before the next of many elements, each of which may be held against all that wait for locks of the file: others have
/// their turn from time to time. A CANCEL in between is late.
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
