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
//! What cannot be read is read again, as long as any client may come for what it had. Then it is lost, and nothing is
//! written down for the share until that is gone.

use super::OpenRecords;
use super::awaited::Restoration;
use super::record::Record;
use crate::config::Share;
use crate::kept::KeptOpen;
use crate::limits;
use crate::lock_replays::LockReplays;
use crate::open::{FileOpen, SharedLease};
use crate::rights::Caller;
use crate::server::State;
use crate::tenure::Former;
use futures_util::StreamExt;
use smb_core::names::folded_user;
use smb_wire::create::LeaseKey;
use std::pin::pin;
use std::sync::Arc;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use volume::{Cx, ErrorKind, Priority, VPath};

pub(super) async fn restore(state: &State, records: &OpenRecords, share: &Share, restoration: &Restoration) {
    let begun = Instant::now();
    let mut all = pin!(async {
        match timeout_at(begun + limits::DURABLE_TIMEOUT_MAX, read(records, share)).await {
            Ok(former) => restore_all(state, records, share, restoration, former, begun).await,
            Err(_) => lose(records, share, restoration).await,
        }
    });
    if timeout(state.config.restore_patience, &mut all).await.is_err() {
        let missing = restoration.missing();
        tracing::warn!(share = share.name, missing, "persistent opens are not back yet: others go on");
        restoration.let_in();
        all.await;
    }
}

/// What was open, as soon as it can be read.
async fn read(records: &OpenRecords, share: &Share) -> Vec<Record> {
    loop {
        match records.former(&share.name).await {
            Ok(former) => return former,
            Err(error) => tracing::error!(share = share.name, %error, "persistent opens cannot be read"),
        }
        sleep(limits::RESTORE_PAUSE).await;
    }
}

/// Nobody can come any more for what could not be read.
async fn lose(records: &OpenRecords, share: &Share, restoration: &Restoration) {
    tracing::error!(share = share.name, "persistent opens are lost: they could not be read in time");
    restoration.lose();
    while let Err(error) = records.clear(&share.name).await {
        tracing::debug!(share = share.name, %error, "forgetting lost persistent opens");
        sleep(limits::RESTORE_PAUSE).await;
    }
    restoration.expect(&[]);
}

/// Tries until none is missing.
async fn restore_all(
    state: &State,
    records: &OpenRecords,
    share: &Share,
    restoration: &Restoration,
    mut former: Vec<Record>,
    begun: Instant,
) {
    restoration.expect(&former);
    if former.is_empty() {
        return;
    }
    let (wanted, mut back) = (former.len(), 0);
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
        if !restoration.awaits_some() {
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
    // A user who is gone cannot come for it. One whom a ticket made known comes with another.
    let token = record.token.take().or_else(|| state.accounts.token(&record.user, None));
    let token = token.ok_or(vfs::Error::AccessDenied)?;
    let owner = token.user.clone();
    record.former.request.rights =
        Some(Arc::new(Caller::returning(token, share.maximal_access(), &share.veto)));
    record.former.request.owner = share.vfs.new_owner();
    record.former.request.account = Some(folded_user(&record.user).into());
    let parent = record.former.request.parent_lease.map(|lease| LeaseKey(lease.key.to_le_bytes()));
    let lease = record.former.request.lease.as_mut().map(|lease| {
        let part = state.leases.come_back(lease.id, &share.vfs, &owner);
        lease.id = part.lease.id;
        SharedLease { part, parent }
    });
    let open = reopen(records, share, &record).await?.stays();
    let mut file = FileOpen::new(open, record.mode, record.action, lease, Arc::clone(&state.change_times));
    file.lock_replays = LockReplays::of(record.lock_names);
    *file.durability.lock() = Some(record.durability);
    let file = Arc::new(file);
    records.present.add(record.id, &file);
    let kept = KeptOpen {
        file,
        durability: record.durability,
        granted: record.granted,
        user: record.user.into(),
        owner,
        share: share.name.clone(),
        former: Former::default(),
    };
    state.kept.put(record.id, kept);
    Ok(())
}

/// Opens what an open was of. Another share may have renamed that since the record was read, when nobody could tell the
/// open: then it is tried again where it is by now.
async fn reopen(records: &OpenRecords, share: &Share, record: &Record) -> vfs::Result<Returning> {
    let cx = Cx::system(Priority::Interactive).within(limits::RESTORE_ONE_PATIENCE);
    let path = &record.former.request.path;
    let restored = share.vfs.restore(&cx, &record.former).await.map(|open| Returning(Some(open)));
    // Renamed after it was back it has followed.
    if restored.as_ref().is_ok_and(|returning| returning.is_elsewhere_than(path)) {
        return restored;
    }
    match records.path(record.id).await {
        Ok(now) if now.as_ref().is_none_or(|now| now == path) => return restored,
        Ok(_) => {}
        Err(error) => tracing::error!(share = share.name, %error, "where a persistent open is"),
    }
    if let Ok(returning) = restored {
        returning.stays().leave(&cx).await?;
    }
    Err(vfs::Error::SharingViolation)
}

/// An open that is back, and that nothing keeps yet. Dropped so, as where the server stops meanwhile, it leaves its name
/// in peace: it is to come back at the next start.
struct Returning(Option<Arc<vfs::Open>>);

impl Returning {
    fn is_elsewhere_than(&self, path: &VPath) -> bool {
        self.0.as_ref().is_some_and(|open| open.path().is_ok_and(|at| at != *path))
    }

    fn stays(mut self) -> Arc<vfs::Open> {
        self.0.take().expect("it is taken once")
    }
}

impl Drop for Returning {
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            // At once: the runtime may end before the rest is done.
            let _closed_already = open.spare_name();
            tokio::spawn(async move { open.close(&Cx::system(Priority::Interactive)).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use testkit::MemVolume;
    use testkit::ease;
    use vfs::{Access, OpenRequest, Vfs, VfsConfig};
    use volume::Volume;

    #[tokio::test]
    async fn one_that_nothing_keeps_yet_leaves_its_name_in_peace() {
        let (mem, path) = (MemVolume::new(), ease::p("file"));
        ease::put(&*mem, "file", "content").await;
        let vfs = Vfs::new(mem.clone(), VfsConfig::default());
        for (is_back, stays) in [(true, true), (false, false)] {
            let mut request = OpenRequest::new(path.clone(), Access::DELETE, vfs.new_owner());
            request.delete_on_close = true;
            let open = vfs.open(&ease::cx(), request).await.unwrap().open;
            match is_back {
                true => drop(Returning(Some(open))),
                false => drop(open),
            }
            let closed = async {
                while vfs.opens().opens > 0 || mem.stat(&ease::cx(), &path).await.is_ok() != stays {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            ease::within(Duration::from_secs(10), "the end of the open", closed).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert_eq!(mem.stat(&ease::cx(), &path).await.is_ok(), stays);
        }
    }
}
