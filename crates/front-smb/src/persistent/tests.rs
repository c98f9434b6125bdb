//! What is written down, and what becomes of it.

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
        let beside = Beside { records, vfs, awaited: vec!["share".to_owned()] };
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
