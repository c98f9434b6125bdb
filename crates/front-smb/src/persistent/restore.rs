//! Bringing back after a start what was open in a share.
//!
//! ```text
//! written down --opened again--> kept, for its client
//!   |     ^ |
//!   |     | '- the origin is away, or somebody is in the way: tried again, while its client may come for it
//!   |     |
//!   '-----'--- not there, another file, a user who may not any more; its time is up --> forgotten
//! ```
//!
//! Until all are there nobody else opens anything in the share, but not for ever: after a while (`restore_patience`) the
//! others go on. What is still missing then keeps its name: nobody opens that in this share until the open is back or given up.

use super::OpenRecords;
use super::record::Record;
use crate::config::Share;
use crate::kept::KeptOpen;
use crate::limits;
use crate::open::{FileOpen, SharedLease};
use crate::rights::Caller;
use crate::server::State;
use futures_util::StreamExt;
use parking_lot::Mutex;
use smb_wire::create::LeaseKey;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};
use vfs::names::fold;
use volume::{Cx, ErrorKind, Priority, VPath};

/// The shares whose opens come back or are back, by folded name.
#[derive(Default)]
pub(crate) struct Restorations(Mutex<HashMap<String, (Arc<Restoration>, AbortHandle)>>);

impl Restorations {
    /// Begins with a share, once.
    pub(crate) fn begin(&self, state: &Arc<State>, records: &OpenRecords, share: Arc<Share>) {
        let mut all = self.0.lock();
        all.entry(share.name.to_lowercase()).or_insert_with(|| {
            let restoration = Arc::<Restoration>::default();
            let (state, records, of_task) = (Arc::clone(state), records.clone(), Arc::clone(&restoration));
            let task = tokio::spawn(async move {
                restore(&state, &records, &share, &of_task).await;
                of_task.let_in();
            });
            (restoration, task.abort_handle())
        });
    }

    fn of(&self, share: &Share) -> Option<Arc<Restoration>> {
        let all = self.0.lock();
        if all.is_empty() {
            return None;
        }
        all.get(&share.name.to_lowercase()).map(|(restoration, _)| Arc::clone(restoration))
    }

    /// Returns when others may open files in the share.
    pub(crate) async fn let_in(&self, share: &Share) {
        if let Some(restoration) = self.of(share) {
            let mut lets_in = restoration.lets_in.subscribe();
            // It ends with its sender alone, which is here.
            let _in = lets_in.wait_for(|lets_in| *lets_in).await;
        }
    }

    /// Whether an open of the share is still to come back.
    pub(crate) fn await_one(&self, share: &Share, id: u64) -> bool {
        self.of(share).is_some_and(|restoration| restoration.awaits(id))
    }

    /// Whether any is.
    pub(crate) fn await_some(&self, share: &Share) -> bool {
        self.of(share).is_some_and(|restoration| !restoration.missing.lock().is_empty())
    }

    /// Whether one of a file of this name is.
    pub(crate) fn await_one_at(&self, share: &Share, path: &VPath) -> bool {
        let named = fold(path.as_str());
        let awaits = |restoration: Arc<Restoration>| {
            let missing = restoration.missing.lock();
            missing.values().any(|name| *name == *named)
        };
        self.of(share).is_some_and(awaits)
    }

    /// The server ends. What is not back stays written down.
    pub(crate) fn stop(&self) {
        self.0.lock().values().for_each(|(_, task)| task.abort());
    }
}

/// Of one share.
#[derive(Default)]
pub(crate) struct Restoration {
    /// Whether others open files.
    lets_in: watch::Sender<bool>,
    /// Opens that are not back, with the folded names of their files.
    missing: Mutex<HashMap<u64, String>>,
}

impl Restoration {
    fn let_in(&self) {
        self.lets_in.send_replace(true);
    }

    fn awaits(&self, id: u64) -> bool {
        self.missing.lock().contains_key(&id)
    }

    fn expect(&self, records: &[Record]) {
        let name = |record: &Record| fold(record.former.request.path.as_str()).into_owned();
        *self.missing.lock() = records.iter().map(|record| (record.id, name(record))).collect();
    }

    /// It is back, or given up.
    fn settle(&self, id: u64) {
        self.missing.lock().remove(&id);
    }
}

async fn restore(state: &State, records: &OpenRecords, share: &Share, restoration: &Restoration) {
    let former = match records.former(&share.name).await {
        Ok(former) => former,
        Err(error) => {
            tracing::error!(share = share.name, %error, "persistent opens cannot be read");
            return;
        }
    };
    if former.is_empty() {
        return;
    }
    restoration.expect(&former);
    let mut all = pin!(restore_all(state, records, share, restoration, former));
    if timeout(state.config.restore_patience, &mut all).await.is_err() {
        let missing = restoration.missing.lock().len();
        tracing::warn!(share = share.name, missing, "persistent opens are not back yet: others go on");
        restoration.let_in();
        all.await;
    }
}

/// Tries until none is missing.
async fn restore_all(
    state: &State,
    records: &OpenRecords,
    share: &Share,
    restoration: &Restoration,
    mut former: Vec<Record>,
) {
    let (begun, wanted) = (Instant::now(), former.len());
    let mut back = 0;
    loop {
        let tried = futures_util::stream::iter(std::mem::take(&mut former)).map(async |record| {
            let (id, time) = (record.id, record.durability.timeout);
            let outcome = restore_one(state, records, share, record).await;
            match &outcome {
                Err(error) if is_over(error) || begun.elapsed() >= time => {
                    tracing::warn!(share = share.name, open = id, %error, "a persistent open does not come back");
                    records.remove(id).await;
                }
                Err(error) => {
                    tracing::debug!(share = share.name, open = id, %error, "a persistent open is not back yet");
                    return false;
                }
                Ok(()) => {}
            }
            restoration.settle(id);
            outcome.is_ok()
        });
        let mut tried = pin!(tried.buffer_unordered(limits::RESTORES_AT_ONCE));
        while let Some(is_back) = tried.next().await {
            back += usize::from(is_back);
        }
        if restoration.missing.lock().is_empty() {
            break;
        }
        sleep(limits::RESTORE_PAUSE).await;
        // Names may have changed meanwhile, by another share.
        match records.of_share(&share.name).await {
            Ok(all) => {
                former = all.into_iter().filter(|record| restoration.awaits(record.id)).collect();
                restoration.expect(&former);
            }
            Err(error) => tracing::error!(share = share.name, %error, "persistent opens cannot be read"),
        }
    }
    tracing::info!(share = share.name, back, wanted, "persistent opens are back");
}

/// Whether trying again is in vain.
fn is_over(error: &vfs::Error) -> bool {
    match error {
        vfs::Error::NotFound | vfs::Error::PathNotFound | vfs::Error::AccessDenied => true,
        vfs::Error::Volume(error) => matches!(error.kind, ErrorKind::Stale | ErrorKind::PermissionDenied),
        _ => false,
    }
}

/// Opens one again and keeps it for its client.
async fn restore_one(
    state: &State,
    records: &OpenRecords,
    share: &Share,
    mut record: Record,
) -> vfs::Result<()> {
    // A user who is gone cannot come for it.
    let token = state.accounts.token(&record.user, None).ok_or(vfs::Error::AccessDenied)?;
    record.former.request.rights =
        Some(Arc::new(Caller::returning(token, share.maximal_access(), &share.veto)));
    record.former.request.owner = share.vfs.new_owner();
    let cx = Cx::system(Priority::Interactive).within(limits::RESTORE_ONE_PATIENCE);
    let open = share.vfs.restore(&cx, &record.former).await?;
    let request = &record.former.request;
    let lease = request.lease.map(|lease| SharedLease {
        id: lease.id,
        parent: request.parent_lease.map(|key| LeaseKey(key.to_le_bytes())),
    });
    let file = FileOpen::new(open, record.mode, record.action, lease, Arc::clone(&state.change_times));
    *file.durability.lock() = Some(record.durability);
    let file = Arc::new(file);
    records.present.add(record.id, &file);
    let kept = KeptOpen {
        file,
        durability: record.durability,
        granted: record.granted,
        user: record.user.into(),
        share: share.name.clone(),
    };
    state.kept.put(record.id, kept);
    Ok(())
}
