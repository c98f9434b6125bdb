//! Persistent opens: what their clients cached and lost while they were away or the server was killed, and names that
//! change.

use crate::deletion::{bob_by_plain, by_plain};
use crate::durable::{
    GUID, available, available_as, create, durability, hello_for_good, kept, log_in_for_good, reconnect,
};
use crate::fsctl::control;
use crate::leases::{leased, renaming};
use crate::restoring::records;
use crate::site::{BOB, Site, User};
use front_smb::{SnapshotPattern, limits};
use smb_raw::{Message, Reply, requests};
use smb_wire::create::context::{CreateContext, DurableFlags};
use smb_wire::create::lease::{LeaseContext, LeaseFlags, LeaseKey, LeaseState};
use smb_wire::create::{CreateOptions, CreateRequest, OplockLevel, ShareAccess};
use smb_wire::fscc::file::FileClass;
use smb_wire::ioctl::Fsctl;
use smb_wire::oplock_break::{BreakAcknowledgement, OplockBreak};
use smb_wire::query_info::InfoType;
use smb_wire::{FileId, NtStatus, Request};
use std::path::Path;
use std::time::{Duration, Instant};

pub const KEY: LeaseKey = LeaseKey([5; 16]);
const NONE: LeaseState = LeaseState::empty();
pub const R: LeaseState = LeaseState::READ_CACHING;
const RH: LeaseState = R.union(LeaseState::HANDLE_CACHING);
const RWH: LeaseState = RH.union(LeaseState::WRITE_CACHING);
const PERSISTENT: DurableFlags = DurableFlags::PERSISTENT;

/// A CREATE for a persistent open with a lease, which keeps nobody out.
pub fn with_lease(state: LeaseState) -> CreateRequest {
    let mut request = leased("file", KEY, state, None);
    request.share_access = ShareAccess::READ | ShareAccess::WRITE | ShareAccess::DELETE;
    request.contexts.push(CreateContext::DurableRequestV2 {
        timeout_ms: 30_000,
        flags: PERSISTENT,
        create_guid: GUID,
    });
    request
}

/// Takes an open up again.
pub async fn back(alice: &mut User, id: FileId) -> (FileId, LeaseContext) {
    let mut request = leased("file", KEY, RWH, None);
    request.contexts.extend(reconnect(id, GUID, PERSISTENT).contexts);
    alice.lease(request).await
}

fn epoch(lease: LeaseContext) -> u16 {
    lease.version2.unwrap().epoch
}

/// Sends a request whose answer is not waited for yet.
pub async fn begin(user: &mut User, request: &Request) -> u64 {
    let mut message = Message::of(request).session(user.session.id).tree(user.tree);
    user.client.number(&mut message);
    user.client.send(&[message.clone()], user.session.guard()).await.unwrap();
    message.header.message_id
}

/// An interim answer says that a request waits.
pub async fn waits(user: &mut User) {
    assert_eq!(user.client.replies().await.unwrap()[0].status(), NtStatus::PENDING);
}

pub async fn answer(user: &mut User, request: u64) -> Reply {
    user.client.reply_to(request).await.unwrap()
}

#[tokio::test]
async fn a_lease_that_was_lost_unheard_is_not_given_back_after_a_kill() {
    for state_held in [R, RH] {
        let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let before = available(dir.path(), state.path()).await;
        let mut alice = log_in_for_good(&before).await;
        let (id, lease) = alice.lease(with_lease(state_held)).await;
        assert_eq!(lease.state, state_held);
        drop(alice);
        kept(&before, 1).await;
        // What alice has in her cache is old from here on, and nobody can tell her.
        let mut bob = before.log_in(&BOB).await;
        bob.file("file", b"bob's").await;
        std::mem::forget(before);

        let after = available(dir.path(), state.path()).await;
        let mut alice = log_in_for_good(&after).await;
        let (id, back) = back(&mut alice, id).await;
        assert!(epoch(back) > epoch(lease), "{back:?}");
        match state_held {
            R => assert_eq!((back.state, back.flags), (NONE, LeaseFlags::empty())),
            _ => {
                assert_eq!((back.state, back.flags), (state_held, LeaseFlags::empty()));
                let told = alice.told().await.expect("it is asked back");
                assert_eq!((told.new_state, told.ack_required), (NONE, true));
                assert!(told.new_epoch > epoch(back), "{told:?} is no news after {back:?}");
                assert_eq!(alice.acknowledge(KEY, NONE).await, NtStatus::SUCCESS);
            }
        }
        assert_eq!(alice.content(id).await, b"bob's");
        // What she asks for anew she gets.
        let (_, anew) = alice.lease(leased("file", KEY, RH, None)).await;
        assert_eq!((anew.state, anew.flags), (RH, LeaseFlags::empty()));
    }
}

#[tokio::test]
async fn what_a_client_kept_back_when_the_server_was_killed_is_waited_for() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let before = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&before).await;
    let (id, _) = alice.lease(with_lease(RWH)).await;
    std::mem::forget(before);

    let after = available(dir.path(), state.path()).await;
    let mut bob = after.log_in(&BOB).await;
    let opens = begin(&mut bob, &requests::open("file")).await;
    waits(&mut bob).await;
    let mut alice = log_in_for_good(&after).await;
    let (id, lease) = back(&mut alice, id).await;
    assert_eq!((lease.state, lease.flags), (RWH, LeaseFlags::empty()));
    assert_eq!(alice.told().await.unwrap().new_state, NONE);
    assert_eq!(alice.status(&requests::write(id, 0, b"kept back")).await, NtStatus::SUCCESS);
    assert_eq!(bob.status(&requests::echo()).await, NtStatus::SUCCESS);
    assert!(bob.client.others.is_empty(), "the open went on before alice had written back");
    assert_eq!(alice.acknowledge(KEY, NONE).await, NtStatus::SUCCESS);
    assert_eq!(answer(&mut bob, opens).await.status(), NtStatus::SUCCESS);
}

/// A persistent open of alice's, kept, and bob who waits for what it caches.
async fn wanted_meanwhile(site: &Site) -> (FileId, User, u64) {
    let mut alice = log_in_for_good(site).await;
    let (id, _) = alice.lease(with_lease(RWH)).await;
    drop(alice);
    kept(site, 1).await;
    let mut bob = site.log_in(&BOB).await;
    let opens = begin(&mut bob, &requests::open("file")).await;
    waits(&mut bob).await;
    (id, bob, opens)
}

#[tokio::test]
async fn a_client_hears_of_a_break_when_it_has_its_open_again_and_not_before() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let site = available(dir.path(), state.path()).await;
    let (id, mut bob, opens) = wanted_meanwhile(&site).await;
    let mut alice = log_in_for_good(&site).await;
    assert_eq!(alice.told().await, None, "she has nothing to write back by");
    let asked = Instant::now();
    let (_, lease) = back(&mut alice, id).await;
    assert!(alice.client.others.is_empty(), "told before the answer");
    assert_eq!((lease.state, lease.flags), (RWH, LeaseFlags::empty()), "no break is under way yet");
    let told = alice.told().await.expect("it is told when she can answer");
    assert!(asked.elapsed() >= limits::BREAK_AFTER_TAKE_UP, "{:?}", asked.elapsed());
    assert_eq!((told.new_state, told.ack_required), (RH, true));
    assert!(told.new_epoch > epoch(lease), "{told:?} is no news after {lease:?}");
    assert_eq!(alice.acknowledge(KEY, RH).await, NtStatus::SUCCESS);
    assert_eq!(answer(&mut bob, opens).await.status(), NtStatus::SUCCESS);
}

#[tokio::test]
async fn names_that_nobody_has_open_for_good_change_without_a_record() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let site = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&site).await;
    alice.lease(with_lease(R)).await;
    let mut bob = site.log_in(&BOB).await;
    let (directory, other) = (bob.open(&requests::directory("dir")).await, bob.file("other", b"").await);
    let hers = bob.open(&requests::open("file")).await;

    let records = records(state.path());
    records.execute_batch("BEGIN IMMEDIATE").unwrap();
    let delete = requests::set_info(other, InfoType::FILE, FileClass::DISPOSITION.0, &[1]);
    for request in [renaming(directory, "moved"), renaming(other, "moved too"), delete] {
        let status = tokio::time::timeout(Duration::from_secs(5), bob.status(&request)).await;
        assert_eq!(status.expect("it waits for the records"), NtStatus::SUCCESS);
    }
    let followed = begin(&mut bob, &renaming(hers, "file moved")).await;
    assert_eq!(bob.status(&requests::echo()).await, NtStatus::SUCCESS);
    assert!(bob.client.others.is_empty(), "answered before it is written down");
    records.execute_batch("COMMIT").unwrap();
    assert_eq!(answer(&mut bob, followed).await.status(), NtStatus::SUCCESS);
    let path: String = records.query_row("SELECT path FROM open", [], |row| row.get(0)).unwrap();
    assert_eq!(path, "file moved");
}

/// What stands in the record of a name that moves while the open is being written down.
#[tokio::test]
async fn a_name_that_moves_while_its_open_is_written_down_is_written_down_where_it_is() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let site = available(dir.path(), state.path()).await;
    let (mut alice, mut bob) = (log_in_for_good(&site).await, site.log_in(&BOB).await);
    let file = bob.file("file", b"").await;
    let records = records(state.path());
    records.execute_batch("BEGIN IMMEDIATE").unwrap();
    let opens = begin(&mut alice, &Request::Create(with_lease(NONE))).await;
    assert_eq!(alice.status(&requests::echo()).await, NtStatus::SUCCESS);
    let moves = begin(&mut bob, &renaming(file, "moved")).await;
    assert_eq!(bob.status(&requests::echo()).await, NtStatus::SUCCESS);
    records.execute_batch("COMMIT").unwrap();
    assert_eq!(answer(&mut alice, opens).await.status(), NtStatus::SUCCESS);
    assert_eq!(answer(&mut bob, moves).await.status(), NtStatus::SUCCESS);
    let path: String = records.query_row("SELECT path FROM open", [], |row| row.get(0)).unwrap();
    assert_eq!(path, "moved");
}

#[tokio::test]
async fn a_name_that_goes_with_an_open_whose_time_is_up_goes_with_the_persistent_one() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let site = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&site).await;
    alice.lease(with_lease(RH)).await;
    let mut doomed = leased("file", KEY, RH, None);
    doomed.create_options = CreateOptions::DELETE_ON_CLOSE;
    doomed.contexts.push(CreateContext::DurableRequestV2 {
        timeout_ms: 1,
        flags: DurableFlags::empty(),
        create_guid: *b"doomed open     ",
    });
    alice.lease(doomed).await;
    drop(alice);
    kept(&site, 1).await;
    let records = records(state.path());
    for _ in 0..1000 {
        let goes: bool = records.query_row("SELECT delete_pending FROM open", [], |row| row.get(0)).unwrap();
        if goes {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it is not written down that the name is to go");
}

/// A share with a snapshot, in which alice's file lies.
async fn with_a_past(dir: &Path, state: &Path) -> Site {
    let past = dir.join(".snapshots/2026-11-21_07.05.09");
    std::fs::create_dir_all(&past).unwrap();
    std::fs::write(past.join("file"), "then").unwrap();
    let snapshots = SnapshotPattern::parse(".snapshots/%Y-%m-%d_%H.%M.%S").unwrap();
    available_as(dir, state, |share| share.snapshots = Some(snapshots)).await
}

#[tokio::test]
async fn an_open_of_the_past_is_durable_at_most_and_taken_up_by_its_name() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let site = with_a_past(dir.path(), state.path()).await;
    let name = r"@GMT-2026.11.21-07.05.09\file";
    let mut alice = log_in_for_good(&site).await;
    let opened = create(&mut alice, CreateRequest { name: name.into(), ..with_lease(RH) }).await.unwrap();
    assert_eq!(durability(&opened), Some((30_000, DurableFlags::empty())));
    drop(alice);
    kept(&site, 1).await;
    let mut alice = log_in_for_good(&site).await;
    let again = |name| {
        let mut request = leased(name, KEY, RH, None);
        request.contexts.extend(reconnect(opened.file_id, GUID, DurableFlags::empty()).contexts);
        request
    };
    let present = create(&mut alice, again("file")).await;
    assert_eq!(present.unwrap_err(), NtStatus::INVALID_PARAMETER, "another file");
    let id = create(&mut alice, again(name)).await.unwrap().file_id;
    assert_eq!(alice.content(id).await, b"then");
}

/// Bob comes by a share over the volume that waits for nobody.
#[tokio::test]
async fn who_came_by_another_share_before_an_open_is_back_writes_back_first() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let before = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&before).await;
    let (id, _) = alice.lease(with_lease(RWH)).await;
    std::mem::forget(before);

    let records = records(state.path());
    records.execute_batch("BEGIN IMMEDIATE").unwrap();
    let after = available(dir.path(), state.path()).await;
    let mut bob = bob_by_plain(&after).await;
    let share_access = ShareAccess::READ | ShareAccess::WRITE | ShareAccess::DELETE;
    let (bobs, lease) =
        bob.lease(CreateRequest { share_access, ..leased("file", LeaseKey([6; 16]), RWH, None) }).await;
    assert_eq!(lease.state, RWH);
    records.execute_batch("COMMIT").unwrap();
    assert_eq!(bob.told().await.expect("alice's open is to come back").new_state, RH);
    assert_eq!(bob.status(&requests::write(bobs, 0, b"bob's")).await, NtStatus::SUCCESS);
    assert_eq!(bob.acknowledge(LeaseKey([6; 16]), RH).await, NtStatus::SUCCESS);
    let mut alice = log_in_for_good(&after).await;
    let (id, _) = back(&mut alice, id).await;
    assert_eq!(alice.content(id).await, b"bob's");
}

/// Her ClientGuid and her key go over the wire in the clear, and nobody has a lease of that name before her open is back.
#[tokio::test]
async fn who_came_first_by_a_lease_of_the_name_of_one_that_comes_back_has_no_part_in_it() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let before = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&before).await;
    let (id, _) = alice.lease(with_lease(RWH)).await;
    std::mem::forget(before);

    let records = records(state.path());
    records.execute_batch("BEGIN IMMEDIATE").unwrap();
    let after = available(dir.path(), state.path()).await;
    let mut bob = by_plain(after.log_in_by(&BOB, hello_for_good()).await).await;
    let share_access = ShareAccess::READ | ShareAccess::WRITE | ShareAccess::DELETE;
    let (bobs, lease) = bob.lease(CreateRequest { share_access, ..leased("file", KEY, RWH, None) }).await;
    assert_eq!(lease.state, RWH);
    records.execute_batch("COMMIT").unwrap();
    assert_eq!(bob.told().await.expect("alice's open is to come back").new_state, RH);
    assert_eq!(bob.acknowledge(KEY, RH).await, NtStatus::SUCCESS);
    let mut alice = log_in_for_good(&after).await;
    let (id, _) = back(&mut alice, id).await;
    assert_eq!(alice.status(&requests::write(id, 0, b"alice's")).await, NtStatus::SUCCESS);
    assert_eq!(bob.told().await.expect("his copy is old").new_state, NONE);
    assert_eq!(bob.content(bobs).await, b"alice's");
}

/// A client whose connection is lost twice: the way of the first return tells nobody.
#[tokio::test]
async fn a_break_reaches_a_client_that_comes_back_twice_in_a_moment() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let site = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&site).await;
    let request = CreateRequest {
        oplock_level: OplockLevel::BATCH,
        contexts: vec![with_lease(NONE).contexts.pop().unwrap()],
        ..with_lease(NONE)
    };
    let opened = create(&mut alice, request).await.unwrap();
    assert_eq!(opened.oplock_level, OplockLevel::BATCH);
    drop(alice);
    kept(&site, 1).await;
    let mut bob = site.log_in(&BOB).await;
    let opens = begin(&mut bob, &requests::open("file")).await;
    waits(&mut bob).await;

    let (mut first, mut second) = (log_in_for_good(&site).await, log_in_for_good(&site).await);
    let again = reconnect(opened.file_id, GUID, PERSISTENT);
    create(&mut first, again.clone()).await.unwrap();
    drop(first);
    let id = create(&mut second, again).await.unwrap().file_id;
    let told = OplockBreak { oplock_level: OplockLevel::LEVEL_II, file_id: id };
    assert_eq!(second.broken().await, Some(BreakAcknowledgement::Oplock(told)));
    assert_eq!(second.status(&requests::close(id)).await, NtStatus::SUCCESS);
    assert_eq!(answer(&mut bob, opens).await.status(), NtStatus::SUCCESS);
}

/// A directory, which is found by its name alone.
#[tokio::test]
async fn a_name_that_changes_before_it_is_known_what_was_open_is_written_down() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let before = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&before).await;
    let request = CreateRequest {
        name: "dir".into(),
        create_options: CreateOptions::DIRECTORY_FILE,
        contexts: vec![with_lease(NONE).contexts.pop().unwrap()],
        oplock_level: OplockLevel::NONE,
        ..with_lease(NONE)
    };
    let id = create(&mut alice, request).await.unwrap().file_id;
    std::mem::forget(before);

    let records = records(state.path());
    records.execute_batch("BEGIN IMMEDIATE").unwrap();
    let after = available(dir.path(), state.path()).await;
    let mut bob = bob_by_plain(&after).await;
    let bobs = bob.open(&requests::directory("dir")).await;
    let moves = begin(&mut bob, &renaming(bobs, "moved")).await;
    while !dir.path().join("moved").exists() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(bob.status(&requests::echo()).await, NtStatus::SUCCESS);
    assert!(bob.client.others.is_empty(), "answered before it is written down");
    records.execute_batch("COMMIT").unwrap();
    assert_eq!(answer(&mut bob, moves).await.status(), NtStatus::SUCCESS);
    let mut alice = log_in_for_good(&after).await;
    let id = create(&mut alice, reconnect(id, GUID, PERSISTENT)).await.unwrap().file_id;
    assert_eq!(bob.status(&requests::close(bobs)).await, NtStatus::SUCCESS);
    assert_eq!(alice.status(&renaming(id, "by alice")).await, NtStatus::SUCCESS);
    assert!(dir.path().join("by alice").exists());
}

#[tokio::test]
async fn a_time_that_a_client_names_later_is_written_down() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let site = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&site).await;
    let (id, _) = alice.lease(with_lease(RWH)).await;
    let records = records(state.path());
    let asked = [&200_000_u32.to_le_bytes()[..], &[0; 4]].concat();
    records.execute_batch("ALTER TABLE open RENAME TO away").unwrap();
    let failed = control(&mut alice, id, Fsctl::LMR_REQUEST_RESILIENCY, &asked).await;
    assert_eq!(failed.0, NtStatus::IO_DEVICE_ERROR);
    records.execute_batch("ALTER TABLE away RENAME TO open").unwrap();
    let done = control(&mut alice, id, Fsctl::LMR_REQUEST_RESILIENCY, &asked).await;
    assert_eq!(done.0, NtStatus::SUCCESS);
    let time: u32 = records.query_row("SELECT timeout_ms FROM open", [], |row| row.get(0)).unwrap();
    assert_eq!(time, 200_000);
}
