//! Persistent opens: durable ones that survive the end of the process (MS-SMB2 3.3.5.9.10, 3.3.5.9.12).
//!
//! An open of a share that is continuously available is written down before its client hears of it, and again when it
//! locks, is renamed, or its name is to go away; before the client hears of that. After a start what is written down is
//! opened again ([`restore`]) and kept, as if its client had just lost its connections (`kept`).
//!
//! What becomes of caching rights is not written down: much takes them away, and nobody could be answered before the
//! medium has it. So after a start a client is given none back: what it may have cached keeps others out until it is
//! there and has written back (`vfs::Open::take_up`).
//!
//! Names belong to the volume: who renames or deletes need not have come by the share whose opens are written down
//! ([`Beside`]).
//!
//! The columns, and what a crash may leave: `docs/formats/smb-opens.md`.

mod record;
mod restore;

use crate::open::{FileOpen, Open};
use crate::server::State;
pub(crate) use record::Record;
use record::{SCHEMA, encode_locks, put_deletion};
pub(crate) use restore::Restorations;
use smb_wire::create::CreateOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::rusqlite::{Connection, params};
use store::{Durability as Survives, Store, StoreError};
use vfs::Vfs;
use volume::{FileId, VPath};

/// States of a lease that its client may have seen since they were written down, with room to spare.
const EPOCHS_UNSEEN: u16 = 4096;

/// Where persistent opens are written down.
#[derive(Clone)]
pub struct OpenRecords(Arc<Store>);

impl OpenRecords {
    /// Opens the database, or makes it. One that is damaged is moved aside: what was open is lost then.
    ///
    /// # Errors
    /// A disk that fails, a database of another kind or of a newer version.
    pub fn open(path: &Path) -> Result<OpenRecords, StoreError> {
        let opened = match Store::open(path, &SCHEMA, Survives::Full) {
            Err(error) if error.is_damaged() => {
                let aside = PathBuf::from(format!("{}.damaged", path.display()));
                tracing::error!(%error, aside = %aside.display(), "persistent opens are lost: their records are damaged");
                std::fs::rename(path, &aside)
                    .map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
                Store::open(path, &SCHEMA, Survives::Full)
            }
            opened => opened,
        }?;
        Ok(OpenRecords(Arc::new(opened)))
    }

    /// Writes an open down. Returns when it survives.
    pub(crate) async fn put(&self, mut record: Record, vfs: Vfs) -> Result<(), StoreError> {
        self.0
            .write(move |db| {
                // Asked here, between two other writes: whoever deletes the file meanwhile writes later.
                let former = &mut record.former;
                former.delete_pending = vfs.is_going(former.file, &former.request.path);
                record.insert(db)
            })
            .await
    }

    /// The locks of an open are others now: as they are when it is their turn, so the last to be written are the last
    /// that were.
    pub(crate) async fn put_locks(&self, id: u64, open: &Arc<vfs::Open>) -> Result<(), StoreError> {
        let (id, open) = (id as i64, Arc::clone(open));
        let sql = "UPDATE open SET locks = ?2 WHERE id = ?1";
        let job = move |db: &Connection| {
            db.prepare_cached(sql)?.execute(params![id, encode_locks(&open.locks())]).map(drop)
        };
        self.0.write(job).await
    }

    /// An open is no more. Nobody waits: a row too many is an open that ends when its time is up.
    pub(crate) fn forget(&self, id: u64) {
        let records = self.clone();
        tokio::spawn(async move { records.remove(id).await });
    }

    async fn remove(&self, id: u64) {
        let sql = "DELETE FROM open WHERE id = ?1";
        let removed = self.0.write(move |db| db.prepare_cached(sql)?.execute([id as i64]).map(drop)).await;
        if let Err(error) = removed {
            tracing::warn!(open = id, %error, "forgetting a persistent open");
        }
    }

    /// What was open in a share when the process ended. The epochs of leases are such that their clients have not seen.
    async fn former(&self, share: &str) -> Result<Vec<Record>, StoreError> {
        let folded = share.to_lowercase();
        let sql = "UPDATE open SET epoch = (epoch + ?2) & 65535 WHERE share = ?1 AND epoch IS NOT NULL";
        self.0.write(move |db| db.execute(sql, params![folded, EPOCHS_UNSEEN]).map(drop)).await?;
        self.of_share(share).await
    }

    async fn of_share(&self, share: &str) -> Result<Vec<Record>, StoreError> {
        let share = share.to_lowercase();
        self.0
            .read(move |db| {
                let mut rows = db.prepare("SELECT * FROM open WHERE share = ?1 ORDER BY id")?;
                rows.query_map([share], Record::read)?.collect()
            })
            .await
    }
}

/// The shares over one volume whose opens are written down.
struct Beside {
    records: OpenRecords,
    shares: Vec<String>,
    vfs: Vfs,
}

impl Beside {
    /// Those over the volume of `open`; `None` where there is none.
    fn of(state: &State, open: &vfs::Open) -> Option<Beside> {
        let records = state.config.records.clone()?;
        let all = state.shares().into_iter();
        let beside: Vec<_> =
            all.filter(|share| share.continuously_available && share.vfs.has(open)).collect();
        let vfs = beside.first()?.vfs.clone();
        let shares = beside.iter().map(|share| share.name.to_lowercase()).collect();
        Some(Beside { records, shares, vfs })
    }

    /// What stood at `from` and below it stands at `to`, and is found there by these tickets.
    async fn renamed(self, from: VPath, to: VPath, tickets: Vec<(u64, Vec<u8>)>) -> Result<(), StoreError> {
        let sql = "UPDATE open SET path = ?3 || substr(path, length(?2) + 1) WHERE share = ?1
                   AND (path = ?2 OR substr(path, 1, length(?2) + 1) = ?2 || '/')";
        let Beside { records, shares, vfs: _ } = self;
        let job = move |db: &Connection| {
            let mut update = db.prepare_cached(sql)?;
            for share in &shares {
                update.execute(params![share, from.as_str(), to.as_str()])?;
            }
            let mut update = db.prepare_cached("UPDATE open SET ticket = ?2 WHERE id = ?1")?;
            tickets.iter().try_for_each(|(id, ticket)| update.execute(params![*id as i64, ticket]).map(drop))
        };
        records.0.write(job).await
    }

    /// Of the persistent opens of this volume at `at` and below it.
    fn tickets_below(&self, state: &State, at: &VPath) -> Vec<(u64, Vec<u8>)> {
        let is_of_it = |file: &FileOpen| {
            let path = file.vfs.path();
            file.is_persistent()
                && self.vfs.has(&file.vfs)
                && path.is_ok_and(|path| path.rebase(at, at).is_some())
        };
        let ticket = |(id, file): (u64, Arc<FileOpen>)| Some((id, file.vfs.ticket()?.0.to_vec()));
        state.files().into_iter().filter(|(_, file)| is_of_it(file)).filter_map(ticket).collect()
    }

    /// Names of a file are to go away with their last open, or not any more. What is so is asked between two other
    /// writes: of two who change it at once, the later is written down last.
    async fn deleted(self, file: FileId) -> Result<(), StoreError> {
        let Beside { records, shares, vfs } = self;
        records
            .0
            .write(move |db| shares.iter().try_for_each(|share| put_deletion(db, share, &vfs, file)))
            .await
    }
}

/// The file or directory of an open was at `from`, and is elsewhere: persistent opens of it and below it follow.
pub(crate) async fn renamed(
    state: &State,
    open: &vfs::Open,
    from: VPath,
    to: VPath,
) -> Result<(), StoreError> {
    let Some(beside) = Beside::of(state, open) else { return Ok(()) };
    let tickets = beside.tickets_below(state, &to);
    beside.renamed(from, to, tickets).await
}

/// The name of an open's file is to go away with its last open, or not any more: so it is with persistent ones.
pub(crate) async fn deleted(state: &State, open: &vfs::Open) -> Result<(), StoreError> {
    let Some(beside) = Beside::of(state, open) else { return Ok(()) };
    beside.deleted(open.file_id()).await
}

/// A client has closed an open, and is about to hear of it.
pub(crate) async fn closed(state: &State, open: &Open, file: &FileOpen) {
    if let Some(records) = state.config.records.as_ref().filter(|_| file.is_persistent()) {
        records.forget(open.id.persistent);
    }
    taken_along(state, file).await;
}

/// A client has left without closing an open. It will not come for it: nothing must come back.
pub(crate) async fn left(state: &State, id: u64, file: &FileOpen) {
    if let Some(records) = state.config.records.as_ref().filter(|_| file.is_persistent()) {
        records.remove(id).await;
    }
    taken_along(state, file).await;
}

/// What was to go with an open that is closed goes with the last of the others.
async fn taken_along(state: &State, file: &FileOpen) {
    if file.mode & CreateOptions::DELETE_ON_CLOSE.bits() != 0
        && let Err(error) = deleted(state, &file.vfs).await
    {
        tracing::error!(%error, "a deletion cannot be written down for persistent opens");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::Durability;
    use bytes::Bytes;
    use smb_wire::AccessMask;
    use smb_wire::create::CreateAction;
    use std::time::Duration;
    use vfs::{Access, Caching, Former, Lease, LeaseId, OpenRequest, Owner, Range, Share as Sharing};
    use volume::{Cx, Priority, Ticket};

    fn record(id: u64, path: &str) -> Record {
        let request = OpenRequest {
            share: Sharing::READ,
            caching: Caching::READ | Caching::HANDLE,
            lease: Some(Lease { id: LeaseId { client: 7, key: 9 }, epoch: Some(4), dirs: true }),
            parent_lease: Some(11),
            ..OpenRequest::new(VPath::parse(path).unwrap(), Access::READ_DATA, Owner(0))
        };
        let create_guid = [3; 16];
        Record {
            id,
            share: "share".into(),
            user: "User".into(),
            granted: AccessMask::READ_DATA,
            mode: 2,
            action: CreateAction::Created,
            durability: Durability {
                timeout: Duration::from_secs(60),
                create_guid: Some(create_guid),
                client: 7,
                persistent: true,
                resilient: false,
            },
            create_guid,
            dir: false,
            former: Former {
                request,
                file: FileId { hi: 1, lo: u64::MAX },
                ticket: Some(Ticket(Bytes::from_static(b"ticket"))),
                locks: vec![(Range::new(u64::MAX, 1), true), (Range::new(0, 8), false)],
                delete_pending: false,
            },
        }
    }

    #[tokio::test]
    async fn what_is_written_down_comes_back_and_follows_renames() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("opens.db");
        {
            let records = OpenRecords::open(&path).unwrap();
            let vfs = Vfs::new(testkit::MemVolume::new(), vfs::VfsConfig::default());
            records.put(record(u64::MAX, "a/b"), vfs.clone()).await.unwrap();
            records.put(record(5, "a/bc"), vfs.clone()).await.unwrap();
            let (from, to) = (VPath::parse("a/b").unwrap(), VPath::parse("x").unwrap());
            let beside = Beside { records: records.clone(), shares: vec!["share".into()], vfs };
            beside.renamed(from, to, Vec::new()).await.unwrap();
        }
        let all = OpenRecords::open(&path).unwrap().former("Share").await.unwrap();
        let paths: Vec<_> = all.iter().map(|record| record.former.request.path.as_str()).collect();
        assert_eq!(paths, ["x", "a/bc"]);
        let mut expect = record(u64::MAX, "x");
        expect.former.request.path = VPath::parse("x").unwrap();
        expect.former.request.lease.as_mut().unwrap().epoch = Some(4 + EPOCHS_UNSEEN);
        assert_eq!(format!("{:?}", all[0]), format!("{expect:?}"));
    }

    #[tokio::test]
    async fn locks_are_written_down_as_they_are_by_then() {
        let dir = tempfile::tempdir().unwrap();
        let records = OpenRecords::open(&dir.path().join("opens.db")).unwrap();
        let vfs = Vfs::new(testkit::MemVolume::new(), vfs::VfsConfig::default());
        records.put(record(5, "file"), vfs.clone()).await.unwrap();
        let access = Access::READ_DATA | Access::WRITE_DATA;
        let request = OpenRequest {
            disposition: vfs::Disposition::Create,
            ..OpenRequest::new(VPath::parse("file").unwrap(), access, Owner(0))
        };
        let open = vfs.open(&Cx::system(Priority::Interactive), request).await.unwrap().open;
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let busy = records.clone();
        let busy = tokio::spawn(async move { busy.0.write(move |_| Ok(wait.recv())).await });
        tokio::task::yield_now().await;
        let mut first = std::pin::pin!(records.put_locks(5, &open));
        assert!(futures_util::FutureExt::now_or_never(&mut first).is_none());
        open.try_lock(Range::new(3, 4), true).unwrap();
        go_on.send(()).unwrap();
        busy.await.unwrap().unwrap().unwrap();
        first.await.unwrap();
        let all = records.former("share").await.unwrap();
        assert_eq!(all[0].former.locks, [(Range::new(3, 4), true)]);
    }

    #[tokio::test]
    async fn records_of_the_first_version_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("opens.db");
        let first = store::Schema { steps: &SCHEMA.steps[..1], ..SCHEMA };
        let store = Store::open(&path, &first, Survives::Full).unwrap();
        let sql = "INSERT INTO open VALUES
                   (5,'share','User','a',zeroblob(16),0,NULL,1,1,1,2,2,1,zeroblob(16),zeroblob(16),60000,NULL,NULL,0,NULL,x'')";
        store.write(move |db| db.execute(sql, []).map(drop)).await.unwrap();
        drop(store);
        let all = OpenRecords::open(&path).unwrap().former("share").await.unwrap();
        let former = &all[0].former;
        assert_eq!((all.len(), former.request.path.as_str()), (1, "a"));
        assert!(former.request.delete_on_close && !former.delete_pending);
    }

    #[tokio::test]
    async fn damaged_records_are_moved_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("opens.db");
        std::fs::write(&path, vec![0x55; 8192]).unwrap();
        let records = OpenRecords::open(&path).unwrap();
        assert!(records.former("share").await.unwrap().is_empty());
        assert!(dir.path().join("opens.db.damaged").exists());
    }
}
