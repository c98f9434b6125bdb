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

mod awaited;
mod present;
mod record;
mod restore;

use crate::config::Share;
use crate::open::FileOpen;
use crate::server::State;
pub(crate) use awaited::Restorations;
use present::{Numbered, Present, is_below};
pub(crate) use record::Record;
use record::{SCHEMA, encode_locks, encode_names, move_all, put_deletion, put_place};
use smb_wire::create::CreateOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::rusqlite::{Connection, params};
use store::{Durability as Survives, Store, StoreError};
use vfs::{Renamed, Vfs};
use volume::{FileId, VPath};

/// States of a lease that its client may have seen since they were written down, with room to spare.
const EPOCHS_UNSEEN: u16 = 4096;

/// Where persistent opens are written down.
#[derive(Clone)]
pub struct OpenRecords {
    store: Arc<Store>,
    /// What is there of them.
    present: Arc<Present>,
}

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
        Ok(OpenRecords { store: Arc::new(opened), present: Arc::default() })
    }

    /// Writes an open down. Returns when it survives.
    pub(crate) async fn put(
        &self,
        mut record: Record,
        file: &Arc<FileOpen>,
        vfs: Vfs,
    ) -> Result<(), StoreError> {
        let (id, open) = (record.id, Arc::clone(&file.vfs));
        self.present.add(id, file);
        let job = move |db: &Connection| {
            // Asked here, between two other writes: whoever renames, deletes or closes it meanwhile writes later.
            match record.is_still(&open, &vfs) {
                true => record.insert(db),
                false => Ok(()),
            }
        };
        let written = self.store.write(job).await;
        if written.is_err() || file.vfs.is_closed() {
            self.present.remove(id, file);
        }
        written
    }

    /// The locks of an open are others now, and so are the requests that have made them: as they are when it is their
    /// turn, so the last to be written are the last that were.
    pub(crate) async fn put_locks(&self, id: u64, file: &Arc<FileOpen>) -> Result<(), StoreError> {
        let (id, file) = (id as i64, Arc::clone(file));
        let sql = "UPDATE open SET locks = ?2, lock_sequences = ?3 WHERE id = ?1";
        let job = move |db: &Connection| {
            // In this order: who is taken for done has his locks.
            let names = encode_names(&file.lock_replays.all_made());
            let locks = encode_locks(&file.vfs.locks());
            db.prepare_cached(sql)?.execute(params![id, locks, names]).map(drop)
        };
        self.store.write(job).await
    }

    /// Its client wants an open to be kept for so long.
    pub(crate) async fn put_timeout(&self, id: u64, timeout: Duration) -> Result<(), StoreError> {
        let (id, timeout_ms) = (id as i64, timeout.as_millis() as i64);
        let sql = "UPDATE open SET timeout_ms = ?2 WHERE id = ?1";
        let job = move |db: &Connection| db.prepare_cached(sql)?.execute([id, timeout_ms]).map(drop);
        self.store.write(job).await
    }

    /// An open is no more. Nobody waits: a row too many is an open that ends when its time is up.
    pub(crate) fn forget(&self, id: u64, file: &FileOpen) {
        self.present.remove(id, file);
        let records = self.clone();
        tokio::spawn(async move { records.remove(id).await });
    }

    async fn remove(&self, id: u64) {
        let sql = "DELETE FROM open WHERE id = ?1";
        let removed =
            self.store.write(move |db| db.prepare_cached(sql)?.execute([id as i64]).map(drop)).await;
        if let Err(error) = removed {
            tracing::warn!(open = id, %error, "forgetting a persistent open");
        }
    }

    /// What was open in a share when the process ended. The epochs of leases are such that their clients have not seen.
    /// Damaged records are forgotten.
    async fn former(&self, share: &str) -> Result<Vec<Record>, StoreError> {
        let share = share.to_lowercase();
        let job = move |db: &Connection| {
            // Both or nothing: it may be tried again.
            let sql = "UPDATE open SET epoch = (epoch + ?2) & 65535 WHERE share = ?1 AND epoch IS NOT NULL";
            db.execute(sql, params![share, EPOCHS_UNSEEN])?;
            let (whole, damaged) = Record::of_share(db, &share)?;
            let mut forget = db.prepare("DELETE FROM open WHERE id = ?1")?;
            damaged.iter().try_for_each(|id| forget.execute([id]).map(drop))?;
            Ok(whole)
        };
        self.store.write(job).await
    }

    async fn of_share(&self, share: &str) -> Result<Vec<Record>, StoreError> {
        let share = share.to_lowercase();
        let read = self.store.read(move |db| Record::of_share(db, &share)).await;
        read.map(|(whole, _)| whole)
    }

    /// Where the file of an open is by now.
    async fn path(&self, id: u64) -> Result<Option<VPath>, StoreError> {
        self.store.read(move |db| Record::path(db, id)).await
    }

    /// Forgets what was open in a share.
    async fn clear(&self, share: &str) -> Result<(), StoreError> {
        let share = share.to_lowercase();
        let sql = "DELETE FROM open WHERE share = ?1";
        self.store.write(move |db| db.execute(sql, [share]).map(drop)).await
    }

    /// Forgets what was open in all shares but these, by their lower-case names; how many opens that were.
    async fn clear_others(&self, shares: Vec<String>) -> Result<usize, StoreError> {
        let job = move |db: &Connection| {
            let mut select = db.prepare("SELECT DISTINCT share FROM open")?;
            let all = select.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
            let others = all.into_iter().filter(|share| !shares.contains(share));
            let mut delete = db.prepare("DELETE FROM open WHERE share = ?1")?;
            others.map(|share| delete.execute([share])).sum()
        };
        self.store.write(job).await
    }
}

/// The shares over one volume whose opens are written down.
struct Beside {
    records: OpenRecords,
    shares: Vec<Arc<Share>>,
    vfs: Vfs,
    /// Some are not back yet after a start: what is written down of them may be of anything.
    awaits_some: bool,
}

impl Beside {
    /// Those over the volume of `open`; `None` where there is none.
    fn of(state: &State, open: &vfs::Open) -> Option<Beside> {
        let records = state.config.records.clone()?;
        let shares = state.available_over(open);
        let vfs = shares.first()?.vfs.clone();
        let awaits_some = shares.iter().any(|share| state.restorations.await_some(share));
        Some(Beside { records, shares, vfs, awaits_some })
    }

    /// The names by which their opens are written down.
    fn names(&self) -> Vec<String> {
        self.shares.iter().map(|share| share.name.to_lowercase()).collect()
    }

    /// What stood at `from` and below it stands at `to`: `moved`, which are where they are when it is their turn, and what
    /// is not back yet.
    async fn renamed(
        self,
        from: VPath,
        to: VPath,
        moved: Vec<Numbered<Arc<FileOpen>>>,
    ) -> Result<(), StoreError> {
        let shares = self.names();
        let Beside { records, vfs, awaits_some, .. } = self;
        let job = move |db: &Connection| {
            if awaits_some {
                shares.iter().try_for_each(|share| move_all(db, share, |at| vfs.rebase(at, &from, &to)))?;
            }
            moved.iter().try_for_each(|(id, file)| put_place(db, *id, &file.vfs))
        };
        records.store.write(job).await
    }

    /// Names of a file are to go away with their last open, or not any more. What is so is asked between two other
    /// writes: of two who change it at once, the later is written down last.
    async fn deleted(self, file: FileId) -> Result<(), StoreError> {
        let shares = self.names();
        let Beside { records, vfs, .. } = self;
        let job =
            move |db: &Connection| shares.iter().try_for_each(|share| put_deletion(db, share, &vfs, file));
        records.store.write(job).await
    }
}

/// The file or directory of an open was at `from`, and is elsewhere: persistent opens of it and below it follow.
pub(crate) async fn renamed(
    state: &State,
    open: &vfs::Open,
    Renamed { from, to }: Renamed,
) -> Result<(), StoreError> {
    let Some(beside) = Beside::of(state, open) else { return Ok(()) };
    let present = &beside.records.present;
    let follow = match open.is_dir() {
        true => present.below(&beside.vfs, &to),
        false => present.of(&beside.vfs, open.file_id()),
    };
    if follow.is_empty() && !beside.awaits_some {
        return Ok(());
    }
    // Other names of the file have stayed.
    let moved = follow.into_iter().filter(|(_, file)| is_below(file, &to)).collect();
    beside.renamed(from, to, moved).await
}

/// The name of an open's file is to go away with its last open, or not any more: so it is with persistent ones.
pub(crate) async fn deleted(state: &State, open: &vfs::Open) -> Result<(), StoreError> {
    let Some(beside) = Beside::of(state, open) else { return Ok(()) };
    let file = open.file_id();
    if beside.records.present.of(&beside.vfs, file).is_empty() && !beside.awaits_some {
        return Ok(());
    }
    beside.deleted(file).await
}

/// A client has closed an open, and is about to hear of it.
pub(crate) async fn closed(state: &State, id: u64, file: &FileOpen) {
    if let Some(records) = state.config.records.as_ref().filter(|_| file.is_persistent()) {
        records.forget(id, file);
    }
    taken_along(state, file).await;
}

/// A client has left without closing an open. It will not come for it: nothing must come back.
pub(crate) async fn left(state: &State, id: u64, file: &FileOpen) {
    if let Some(records) = state.config.records.as_ref().filter(|_| file.is_persistent()) {
        records.present.remove(id, file);
        records.remove(id).await;
    }
    taken_along(state, file).await;
}

/// What was to go with an open that is closed goes with the last of the others.
async fn taken_along(state: &State, file: &FileOpen) {
    if file.mode().contains(CreateOptions::DELETE_ON_CLOSE)
        && let Err(error) = deleted(state, &file.vfs).await
    {
        tracing::error!(%error, "a deletion cannot be written down for persistent opens");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::Durability;
    use crate::lock_replays::LockName;
    use bytes::Bytes;
    use smb_core::access::{Privileges, Token};
    use smb_wire::create::CreateAction;
    use smb_wire::{AccessMask, Sid};
    use vfs::{Access, Caching, Former, Lease, LeaseId, OpenRequest, Owner, Range, Share as Sharing};
    use volume::{Cx, Priority, Ticket};

    fn record(id: u64, path: &str) -> Record {
        let request = OpenRequest {
            share: Sharing::READ,
            caching: Caching::READ | Caching::HANDLE,
            lease: Some(Lease { id: LeaseId { client: 7, key: 9 }, epoch: Some(4), dirs: true }),
            parent_lease: Some(LeaseId { client: 7, key: 11 }),
            ..OpenRequest::new(VPath::parse(path).unwrap(), Access::READ_DATA, Owner(0))
        };
        Record {
            id,
            share: "share".into(),
            user: "User".into(),
            granted: AccessMask::READ_DATA,
            mode: 2,
            action: CreateAction::Created,
            durability: Durability {
                timeout: Duration::from_secs(60),
                create_guid: Some([3; 16]),
                client: 7,
                persistent: true,
                resilient: false,
            },
            dir: false,
            token: (id == 5).then(|| {
                Token::authenticated(
                    Sid::unix_user(5),
                    vec![Sid::unix_group(6), Sid::users()],
                    Privileges::SECURITY,
                )
            }),
            former: Former {
                request,
                file: FileId { hi: 1, lo: u64::MAX },
                ticket: Some(Ticket(Bytes::from_static(b"ticket"))),
                locks: vec![(Range::new(u64::MAX, 1), true), (Range::new(0, 8), false)],
                delete_pending: false,
            },
            lock_names: vec![LockName { bucket: 64, number: 15 }, LockName { bucket: 1, number: 0 }],
        }
    }

    async fn put(records: &OpenRecords, record: Record) {
        records.store.write(move |db| record.insert(db)).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_not_back_yet_is_written_down_and_follows_renames() {
        for (case_sensitive, other_case) in [(true, "A/b/c"), (false, "x/c")] {
            follows_renames(case_sensitive, other_case).await;
        }
    }

    async fn follows_renames(case_sensitive: bool, other_case: &str) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("opens.db");
        {
            let records = OpenRecords::open(&path).unwrap();
            let mut config = testkit::MemConfig::default();
            config.caps.case_sensitive = case_sensitive;
            let vfs = Vfs::new(testkit::MemVolume::with(config), vfs::VfsConfig::default());
            put(&records, record(u64::MAX, "a/b")).await;
            put(&records, record(5, "a/bc")).await;
            for (id, beside) in [(6, "a/b/c"), (7, "a/b.c"), (8, "a/b0"), (9, "A/b/c")] {
                put(&records, record(id, beside)).await;
            }
            let (from, to) = (VPath::parse("a/b").unwrap(), VPath::parse("x").unwrap());
            let shares = vec![Arc::new(Share::new("share", vfs.clone()))];
            let beside = Beside { records, shares, vfs, awaits_some: true };
            beside.renamed(from, to, Vec::new()).await.unwrap();
        }
        let all = OpenRecords::open(&path).unwrap().former("Share").await.unwrap();
        let paths: Vec<_> = all.iter().map(|record| record.former.request.path.as_str()).collect();
        assert_eq!(paths, ["x", "a/bc", "x/c", "a/b.c", "a/b0", other_case]);
        let mut expect = record(u64::MAX, "x");
        expect.former.request.path = VPath::parse("x").unwrap();
        expect.former.request.lease.as_mut().unwrap().epoch = Some(4 + EPOCHS_UNSEEN);
        assert_eq!(format!("{:?}", all[0]), format!("{expect:?}"));
        assert_eq!((&all[0].token, &all[1].token), (&None, &record(5, "").token));
    }

    #[tokio::test]
    async fn a_lease_that_grows_is_written_down_for_its_opens_and_not_for_another_of_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let records = OpenRecords::open(&dir.path().join("opens.db")).unwrap();
        for (id, volume, epoch) in [(1, 1, 4), (2, 2, 4), (3, 1, 7)] {
            let mut record = record(id, "file");
            record.former.file.hi = volume;
            record.former.request.lease.as_mut().unwrap().epoch = Some(epoch);
            put(&records, record).await;
        }
        let epoch = |record: &Record| record.former.request.lease.unwrap().epoch.unwrap();
        let all = records.of_share("share").await.unwrap();
        assert_eq!(all.iter().map(epoch).collect::<Vec<_>>(), [7, 4, 7]);
    }

    #[tokio::test]
    async fn locks_are_written_down_as_they_are_by_then() {
        let dir = tempfile::tempdir().unwrap();
        let records = OpenRecords::open(&dir.path().join("opens.db")).unwrap();
        let vfs = Vfs::new(testkit::MemVolume::new(), vfs::VfsConfig::default());
        put(&records, record(5, "file")).await;
        let access = Access::READ_DATA | Access::WRITE_DATA;
        let request = OpenRequest {
            disposition: vfs::Disposition::Create,
            ..OpenRequest::new(VPath::parse("file").unwrap(), access, Owner(0))
        };
        let open = vfs.open(&Cx::system(Priority::Interactive), request).await.unwrap().open;
        let file = FileOpen::new(Arc::clone(&open), 0, CreateAction::Created, None, Arc::default());
        let file = Arc::new(file);
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let busy = records.clone();
        let busy = tokio::spawn(async move { busy.store.write(move |_| Ok(wait.recv())).await });
        tokio::task::yield_now().await;
        let mut first = std::pin::pin!(records.put_locks(5, &file));
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
        assert!(former.request.delete_on_close && !former.delete_pending && all[0].token.is_none());
        assert!(all[0].lock_names.is_empty());
    }

    #[tokio::test]
    async fn what_is_lost_of_a_share_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let records = OpenRecords::open(&dir.path().join("opens.db")).unwrap();
        put(&records, record(5, "a")).await;
        put(&records, Record { share: "other".into(), ..record(6, "a") }).await;
        put(&records, Record { share: "third".into(), ..record(7, "a") }).await;
        records.clear("Share").await.unwrap();
        assert!(records.former("share").await.unwrap().is_empty());
        assert_eq!(records.former("other").await.unwrap().len(), 1);
        assert_eq!(records.clear_others(vec!["other".into(), "fourth".into()]).await.unwrap(), 1);
        assert_eq!(records.former("other").await.unwrap().len(), 1);
        assert_eq!(records.clear_others(Vec::new()).await.unwrap(), 1);
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
