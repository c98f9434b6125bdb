//! Persistent opens after a start whose origin is not there yet, slow, or has other files by now.

use crate::durable::{create, durability, kept, log_in_for_good, reconnect};
use crate::leases::{log_in_as, renaming};
use crate::site::{BOB, Site, User};
use front_smb::{OpenRecords, Server, Share, limits};
use smb_raw::{Message, requests};
use smb_wire::create::context::{CreateContext, DurableFlags};
use smb_wire::create::{CreateRequest, CreateResponse, ShareAccess};
use smb_wire::fscc::file::FileClass;
use smb_wire::ids::Guid;
use smb_wire::query_info::InfoType;
use smb_wire::{FileId, Flags, NtStatus, Request};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::rusqlite::Connection;
use testkit::{FaultVolume, MemConfig, MemVolume, Op, ease};
use volume::ErrorKind;

const PERSISTENT: DurableFlags = DurableFlags::PERSISTENT;
const ALL: ShareAccess = ShareAccess::READ.union(ShareAccess::WRITE).union(ShareAccess::DELETE);

/// Opens of one client, by number.
pub fn name(number: u8) -> (String, Guid) {
    (format!("file {number}"), [number + 1; 16])
}

pub fn persistent(number: u8) -> CreateRequest {
    let (name, create_guid) = name(number);
    CreateRequest {
        share_access: ShareAccess::empty(),
        contexts: vec![CreateContext::DurableRequestV2 {
            timeout_ms: 60_000,
            flags: PERSISTENT,
            create_guid,
        }],
        ..requests::create(&name)
    }
}

pub async fn start(volume: &Arc<FaultVolume>, state: &Path, patience: Duration) -> Site {
    let vfs = vfs::Vfs::new(volume.clone(), vfs::VfsConfig::default());
    start_over(vfs, state, patience, true).await
}

/// One whose share is continuously available, or not.
async fn start_over(vfs: vfs::Vfs, state: &Path, patience: Duration, available: bool) -> Site {
    let mut config = Site::config();
    config.records = Some(OpenRecords::open(&state.join("opens.db")).unwrap());
    config.restore_patience = patience;
    let share = Share { continuously_available: available, ..Share::new("share", vfs) };
    let server = Server::start(config, vec![share]).await.unwrap();
    let address = server.local_addrs()[0];
    Site { server, address }
}

/// A server that was killed while alice had so many files open for good.
async fn left_open(volume: &Arc<FaultVolume>, state: &Path, opens: u8) -> Vec<FileId> {
    let site = start(volume, state, Duration::from_secs(10)).await;
    let mut alice = log_in_for_good(&site).await;
    let mut ids = Vec::new();
    for number in 0..opens {
        ids.push(create(&mut alice, persistent(number)).await.unwrap().file_id);
    }
    std::mem::forget(site);
    ids
}

async fn back(alice: &mut User, id: FileId, number: u8) -> Result<FileId, NtStatus> {
    let back = create(alice, reconnect(id, name(number).1, PERSISTENT)).await;
    back.map(|response| response.file_id)
}

#[tokio::test]
async fn an_origin_that_is_away_at_the_start_loses_no_open_and_holds_up_no_other() {
    let (volume, state) = (FaultVolume::new(MemVolume::new()), tempfile::tempdir().unwrap());
    let ids = left_open(&volume, state.path(), 1).await;
    volume.fail_always(Op::Reopen, ErrorKind::Offline);
    let site = start(&volume, state.path(), Duration::from_millis(200)).await;
    let (mut alice, mut bob) = (log_in_for_good(&site).await, site.log_in(&BOB).await);
    bob.open(&requests::open("another file")).await;
    // The name is kept for who had it open alone.
    let theirs = create(&mut bob, requests::create(&name(0).0)).await;
    assert_eq!(theirs.unwrap_err(), NtStatus::FILE_NOT_AVAILABLE);
    assert_eq!(back(&mut alice, ids[0], 0).await, Err(NtStatus::FILE_NOT_AVAILABLE));
    volume.heal(Op::Reopen);
    let mut outcome = Err(NtStatus::FILE_NOT_AVAILABLE);
    while outcome == Err(NtStatus::FILE_NOT_AVAILABLE) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        outcome = back(&mut alice, ids[0], 0).await;
    }
    let id = outcome.unwrap();
    let theirs = create(&mut bob, requests::create(&name(0).0)).await;
    assert_eq!(theirs.unwrap_err(), NtStatus::SHARING_VIOLATION);
    assert_eq!(alice.status(&requests::close(id)).await, NtStatus::SUCCESS);
    create(&mut bob, requests::create(&name(0).0)).await.unwrap();
}

#[tokio::test]
async fn many_opens_come_back_at_a_time() {
    let (volume, state) = (FaultVolume::new(MemVolume::new()), tempfile::tempdir().unwrap());
    let ids = left_open(&volume, state.path(), 20).await;
    let gate = volume.gate(Op::Reopen);
    let site = start(&volume, state.path(), Duration::from_secs(60)).await;
    tokio::time::timeout(Duration::from_secs(20), gate.arrived(20)).await.expect("all at once");
    gate.release();
    let mut alice = log_in_for_good(&site).await;
    for (number, id) in ids.into_iter().enumerate() {
        back(&mut alice, id, number as u8).await.unwrap();
    }
}

#[tokio::test]
async fn an_open_whose_file_is_gone_is_forgotten() {
    let (volume, state) = (FaultVolume::new(MemVolume::new()), tempfile::tempdir().unwrap());
    let ids = left_open(&volume, state.path(), 2).await;
    volume.fail(Op::Reopen, 1, ErrorKind::Stale);
    let site = start(&volume, state.path(), Duration::from_secs(60)).await;
    let mut alice = log_in_for_good(&site).await;
    assert_eq!(back(&mut alice, ids[0], 0).await, Err(NtStatus::OBJECT_NAME_NOT_FOUND));
    back(&mut alice, ids[1], 1).await.unwrap();
    std::mem::forget(site);
    let counted = volume.counts().of(Op::Reopen);
    let site = start(&volume, state.path(), Duration::from_secs(60)).await;
    let mut alice = log_in_for_good(&site).await;
    back(&mut alice, ids[1], 1).await.unwrap();
    assert_eq!(volume.counts().of(Op::Reopen), counted + 1, "it is written down no more");
}

/// The records, by another connection than the server's.
pub fn records(state: &Path) -> Connection {
    Connection::open(state.join("opens.db")).unwrap()
}

#[tokio::test]
async fn records_that_cannot_be_read_yet_are_not_taken_for_none() {
    let (volume, state) = (FaultVolume::new(MemVolume::new()), tempfile::tempdir().unwrap());
    let ids = left_open(&volume, state.path(), 1).await;
    let records = records(state.path());
    records.execute_batch("ALTER TABLE open RENAME TO away").unwrap();
    let site = start(&volume, state.path(), Duration::from_secs(60)).await;
    let (mut alice, mut bob) = (log_in_for_good(&site).await, site.log_in(&BOB).await);
    let theirs = requests::open("another file");
    let waited = tokio::time::timeout(Duration::from_millis(200), bob.open(&theirs)).await;
    assert!(waited.is_err(), "the share lets others in");
    records.execute_batch("ALTER TABLE away RENAME TO open").unwrap();
    back(&mut alice, ids[0], 0).await.unwrap();
}

#[tokio::test]
async fn while_records_cannot_be_read_nothing_is_promised() {
    let (volume, state) = (FaultVolume::new(MemVolume::new()), tempfile::tempdir().unwrap());
    let ids = left_open(&volume, state.path(), 1).await;
    let records = records(state.path());
    records.execute_batch("ALTER TABLE open RENAME TO away").unwrap();
    let site = start(&volume, state.path(), Duration::from_millis(200)).await;
    let mut alice = log_in_for_good(&site).await;
    assert_eq!(back(&mut alice, ids[0], 0).await, Err(NtStatus::FILE_NOT_AVAILABLE));
    let other = create(&mut alice, persistent(1)).await.unwrap();
    assert_eq!(durability(&other), None, "nor is it durable, without a right to the handle");
    records.execute_batch("ALTER TABLE away RENAME TO open").unwrap();
    let mut outcome = Err(NtStatus::FILE_NOT_AVAILABLE);
    while outcome == Err(NtStatus::FILE_NOT_AVAILABLE) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        outcome = back(&mut alice, ids[0], 0).await;
    }
    outcome.unwrap();
    assert!(durability(&create(&mut alice, persistent(2)).await.unwrap()).is_some());
}

#[tokio::test]
async fn a_damaged_record_keeps_no_other_open_from_coming_back() {
    let (volume, state) = (FaultVolume::new(MemVolume::new()), tempfile::tempdir().unwrap());
    let ids = left_open(&volume, state.path(), 2).await;
    let records = records(state.path());
    records.execute_batch("UPDATE open SET path = 'no//path' WHERE path = 'file 0'").unwrap();
    let site = start(&volume, state.path(), Duration::from_secs(60)).await;
    let mut alice = log_in_for_good(&site).await;
    back(&mut alice, ids[1], 1).await.unwrap();
    assert_eq!(back(&mut alice, ids[0], 0).await, Err(NtStatus::OBJECT_NAME_NOT_FOUND));
    let opens: u32 = records.query_row("SELECT count(*) FROM open", [], |row| row.get(0)).unwrap();
    assert_eq!(opens, 1, "it is forgotten");
}

/// What is written down of a share that is not continuously available any more, after `time`.
async fn switched_off(state: &Path, vfs: vfs::Vfs, time: Duration) -> Site {
    let site = start_over(vfs, state, Duration::from_secs(60), false).await;
    tokio::task::yield_now().await;
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
    site
}

#[tokio::test]
async fn what_no_share_brings_back_is_forgotten_when_nobody_can_come_for_it() {
    let (volume, state) = (FaultVolume::new(MemVolume::new()), tempfile::tempdir().unwrap());
    left_open(&volume, state.path(), 2).await;
    let vfs = vfs::Vfs::new(volume, vfs::VfsConfig::default());
    let _site = switched_off(state.path(), vfs, limits::DURABLE_TIMEOUT_MAX).await;
    let records = records(state.path());
    for _ in 0..1000 {
        let opens: u32 = records.query_row("SELECT count(*) FROM open", [], |row| row.get(0)).unwrap();
        if opens == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it is still written down");
}

#[tokio::test]
async fn a_share_that_is_continuously_available_again_in_time_brings_back_what_was_open() {
    let (volume, state) = (FaultVolume::new(MemVolume::new()), tempfile::tempdir().unwrap());
    let ids = left_open(&volume, state.path(), 1).await;
    let vfs = vfs::Vfs::new(volume, vfs::VfsConfig::default());
    let less = limits::DURABLE_TIMEOUT_MAX - Duration::from_secs(60);
    let site = switched_off(state.path(), vfs.clone(), less).await;
    site.server.set_shares(vec![Share { continuously_available: true, ..Share::new("share", vfs) }]);
    let mut alice = log_in_for_good(&site).await;
    back(&mut alice, ids[0], 0).await.unwrap();
}

/// The share may be so again before the server is started the next time.
#[tokio::test]
async fn names_that_change_are_written_down_though_a_share_is_not_continuously_available_any_more() {
    for is_there in [true, false] {
        let (volume, state) = (FaultVolume::new(MemVolume::new()), tempfile::tempdir().unwrap());
        let vfs = vfs::Vfs::new(volume, vfs::VfsConfig::default());
        let site = start_over(vfs.clone(), state.path(), Duration::from_secs(10), true).await;
        let (mut alice, mut bob) = (log_in_for_good(&site).await, site.log_in(&BOB).await);
        create(&mut alice, CreateRequest { share_access: ALL, ..persistent(0) }).await.unwrap();
        let bobs = bob.open(&requests::open(&name(0).0)).await;
        site.server.set_shares(is_there.then(|| Share::new("share", vfs)).into_iter().collect());
        assert_eq!(bob.status(&renaming(bobs, "moved")).await, NtStatus::SUCCESS);
        let deletion = requests::set_info(bobs, InfoType::FILE, FileClass::DISPOSITION.0, &[1]);
        assert_eq!(bob.status(&deletion).await, NtStatus::SUCCESS);
        let records = records(state.path());
        let written: (String, bool) = records
            .query_row("SELECT path, delete_pending FROM open", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        assert_eq!(written, ("moved".to_owned(), true));
    }
}

/// Of an application that is elsewhere too it is looked first which file is meant: an open that comes back meanwhile is the
/// one that the request means, and is not opened beside.
#[tokio::test]
async fn a_create_sent_again_while_its_open_comes_back_opens_nothing_beside() {
    let (volume, state) = (FaultVolume::new(MemVolume::new()), tempfile::tempdir().unwrap());
    let ids = left_open(&volume, state.path(), 1).await;
    volume.fail_always(Op::Reopen, ErrorKind::Offline);
    let site = start(&volume, state.path(), Duration::from_millis(200)).await;
    let of_application = |number| {
        let mut request = persistent(number);
        request.contexts.push(CreateContext::AppInstanceId(*b"an application. "));
        request
    };
    let mut elsewhere = log_in_as(&site, &BOB, *b"another machine ").await;
    create(&mut elsewhere, of_application(1)).await.unwrap();

    let mut alice = log_in_for_good(&site).await;
    let gate = volume.gate(Op::Stat);
    let request = Request::Create(of_application(0));
    let mut again = Message::of(&request).session(alice.session.id).tree(alice.tree);
    again.header.flags |= Flags::REPLAY;
    let mut first = again.clone();
    alice.client.number(&mut first);
    alice.client.send(&[first.clone()], alice.session.guard()).await.unwrap();
    let looking = tokio::time::timeout(Duration::from_millis(300), gate.arrived(1)).await;
    volume.heal(Op::Reopen);
    kept(&site, 1).await;
    gate.release();
    let reply = alice.client.reply_to(first.header.message_id).await.unwrap();
    assert_eq!(reply.status(), NtStatus::FILE_NOT_AVAILABLE, "looking: {looking:?}");
    let reply = alice.client.exchange(again, alice.session.guard()).await.unwrap();
    assert_eq!(reply.status(), NtStatus::SUCCESS);
    let there = CreateResponse::decode(&reply.message).unwrap().file_id;
    assert_eq!(there.persistent, ids[0].persistent);
}

/// Where case does not count, a name is known in the spelling in which each client asked for it.
#[tokio::test]
async fn a_rename_is_written_down_for_opens_by_a_name_of_other_case() {
    let mut config = MemConfig::default();
    config.caps.case_sensitive = false;
    let mem = MemVolume::with(config);
    let (volume, state) = (FaultVolume::new(mem.clone()), tempfile::tempdir().unwrap());
    let site = start(&volume, state.path(), Duration::from_secs(10)).await;
    let (mut alice, mut bob) = (log_in_for_good(&site).await, site.log_in(&BOB).await);
    let (spelled, guid) = name(0);
    let same = bob.file(&spelled, b"alice's").await;
    let request = CreateRequest { name: spelled.to_uppercase(), share_access: ALL, ..persistent(0) };
    let id = create(&mut alice, request).await.unwrap().file_id;
    assert_eq!(bob.status(&renaming(same, "moved")).await, NtStatus::SUCCESS);
    let path: String =
        records(state.path()).query_row("SELECT path FROM open", [], |row| row.get(0)).unwrap();
    assert_eq!(path, "moved");
    std::mem::forget(site);

    let site = start(&volume, state.path(), Duration::from_secs(10)).await;
    let (mut alice, mut bob) = (log_in_for_good(&site).await, site.log_in(&BOB).await);
    bob.file(&spelled, b"bob's").await;
    let id = create(&mut alice, reconnect(id, guid, PERSISTENT)).await.unwrap().file_id;
    assert_eq!(alice.content(id).await, b"alice's");
    assert_eq!(alice.status(&renaming(id, "hers")).await, NtStatus::SUCCESS);
    let deletion = requests::set_info(id, InfoType::FILE, FileClass::DISPOSITION.0, &[1]);
    assert_eq!(alice.status(&deletion).await, NtStatus::SUCCESS);
    assert_eq!(alice.status(&requests::close(id)).await, NtStatus::SUCCESS);
    assert!(!ease::exists(&*mem, "hers").await && ease::exists(&*mem, &spelled).await);
}
