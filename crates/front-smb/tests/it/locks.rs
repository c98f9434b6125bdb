//! LOCK requests that are sent again, and locks of persistent opens whose writing down takes long or fails.

use crate::durable::{MACHINE, available, kept, log_in_for_good};
use crate::persistent::{R, answer, back, begin, waits, with_lease};
use crate::restoring::records;
use crate::site::{ALICE, BOB, Site, User};
use smb_raw::{Message, offer, requests};
use smb_wire::create::context::CreateContext;
use smb_wire::create::{CreateRequest, OplockLevel};
use smb_wire::lock::{LockElement, LockFlags, LockRequest};
use smb_wire::negotiate::Dialect;
use smb_wire::{AccessMask, Command, FileId, NtStatus, Request};
use std::path::Path;
use std::time::Duration;
use store::rusqlite::Connection;

/// A LOCK of the first byte, under a name.
fn named(file_id: FileId, sequence_number: u8, flags: LockFlags) -> Request {
    let locks = vec![LockElement { offset: 0, length: 1, flags }];
    Request::Lock(LockRequest { sequence_index: 1, sequence_number, file_id, locks })
}

/// One that waits for nobody.
fn lock(id: FileId, number: u8) -> Request {
    named(id, number, LockFlags::EXCLUSIVE | LockFlags::FAIL_IMMEDIATELY)
}

/// One that waits where it cannot have the range.
fn patient(id: FileId, number: u8) -> Request {
    named(id, number, LockFlags::EXCLUSIVE)
}

fn unlock(id: FileId, number: u8) -> Request {
    named(id, number, LockFlags::UNLOCK)
}

/// What bob, who has the file open too, is told of the first byte.
async fn bobs_lock(site: &Site) -> (User, NtStatus) {
    let mut bob = site.log_in(&BOB).await;
    let id = bob.open(&requests::open("file")).await;
    let status = bob.status(&lock(id, 0)).await;
    (bob, status)
}

/// Of an open that is not persistent too.
#[tokio::test]
async fn a_lock_sent_again_is_done_once() {
    let site = Site::new().await;
    let mut bob = site.log_in(&BOB).await;
    let id = bob.file("file", b"").await;
    assert_eq!(bob.status(&lock(id, 1)).await, NtStatus::SUCCESS);
    assert_eq!(bob.status(&lock(id, 1)).await, NtStatus::SUCCESS, "sent again");
    assert_eq!(bob.status(&lock(id, 2)).await, NtStatus::LOCK_NOT_GRANTED, "another");
}

#[tokio::test]
async fn who_only_looks_at_a_file_locks_nothing_and_who_uses_its_content_does() {
    let site = Site::new().await;
    let mut bob = site.log_in(&BOB).await;
    let file = bob.file("file", b"content").await;
    let all = |id, flags| requests::lock(id, 0, u64::MAX, flags | LockFlags::FAIL_IMMEDIATELY);
    let looks = AccessMask::READ_ATTRIBUTES | AccessMask::WRITE_ATTRIBUTES | AccessMask::READ_CONTROL;
    for (access, locks) in [
        (looks, false),
        (looks | AccessMask::DELETE, false),
        (AccessMask::READ_DATA, true),
        (AccessMask::WRITE_DATA, true),
        (AccessMask::APPEND_DATA, true),
        (AccessMask::EXECUTE, true),
    ] {
        let create = CreateRequest { desired_access: access, ..requests::create("file") };
        let id = bob.open(&Request::Create(create)).await;
        let expect = if locks { NtStatus::SUCCESS } else { NtStatus::ACCESS_DENIED };
        for kind in [LockFlags::SHARED, LockFlags::EXCLUSIVE] {
            assert_eq!(bob.status(&all(id, kind)).await, expect, "{access:?} {kind:?}");
            let unlock = requests::lock(id, 0, u64::MAX, LockFlags::UNLOCK);
            let expect = if locks { NtStatus::SUCCESS } else { NtStatus::RANGE_NOT_LOCKED };
            assert_eq!(bob.status(&unlock).await, expect, "{access:?} {kind:?}");
        }
        assert_eq!(bob.status(&requests::write(file, 0, b"goes on")).await, NtStatus::SUCCESS);
        assert_eq!(bob.status(&requests::close(id)).await, NtStatus::SUCCESS);
    }
}

/// By 2.1 names count where there is something to come back to.
#[tokio::test]
async fn a_lock_sent_again_by_an_older_client_is_done_once_of_an_open_that_waits_for_him() {
    for (dialect, waits, again) in [
        (Dialect::SMB_2_1, true, NtStatus::SUCCESS),
        (Dialect::SMB_2_1, false, NtStatus::LOCK_NOT_GRANTED),
        (Dialect::SMB_2_0_2, false, NtStatus::LOCK_NOT_GRANTED),
    ] {
        let site = Site::new().await;
        let mut bob = site.log_in_by(&BOB, offer(&[dialect])).await;
        let mut request = requests::create("file");
        if waits {
            request.oplock_level = OplockLevel::BATCH;
            request.contexts.push(CreateContext::DurableRequest);
        }
        let id = bob.open(&Request::Create(request)).await;
        assert_eq!(bob.status(&lock(id, 1)).await, NtStatus::SUCCESS);
        let back = if waits {
            drop(bob);
            kept(&site, 1).await;
            bob = site.log_in_by(&BOB, offer(&[dialect])).await;
            let back = CreateContext::DurableReconnect(id);
            let request = CreateRequest { contexts: vec![back], ..requests::create("file") };
            bob.open(&Request::Create(request)).await
        } else {
            id
        };
        assert_eq!(bob.status(&lock(back, 1)).await, again, "{dialect:?}, waits: {waits}");
    }
}

#[tokio::test]
async fn a_lock_that_cannot_be_written_down_is_not_held() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let site = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&site).await;
    let (id, _) = alice.lease(with_lease(R)).await;
    let records = records(state.path());
    records.execute_batch("ALTER TABLE open RENAME TO away").unwrap();
    assert_eq!(alice.status(&lock(id, 1)).await, NtStatus::IO_DEVICE_ERROR);
    records.execute_batch("ALTER TABLE away RENAME TO open").unwrap();
    let (_bob, status) = bobs_lock(&site).await;
    assert_eq!(status, NtStatus::SUCCESS);
    // Asked again it is another attempt, and bob has the range.
    assert_eq!(alice.status(&lock(id, 1)).await, NtStatus::LOCK_NOT_GRANTED);
}

#[tokio::test]
async fn a_lock_that_is_there_is_not_cancelled() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let site = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&site).await;
    let (id, _) = alice.lease(with_lease(R)).await;
    let records = records(state.path());
    records.execute_batch("BEGIN IMMEDIATE").unwrap();
    let asked = begin(&mut alice, &lock(id, 1)).await;
    let mut cancel = Message::new(Command::Cancel, vec![4, 0, 0, 0]).session(alice.session.id);
    cancel.header.message_id = asked;
    alice.client.send(&[cancel], alice.session.guard()).await.unwrap();
    assert_eq!(alice.status(&requests::echo()).await, NtStatus::SUCCESS);
    records.execute_batch("COMMIT").unwrap();
    assert_eq!(answer(&mut alice, asked).await.status(), NtStatus::SUCCESS);
    assert_eq!(bobs_lock(&site).await.1, NtStatus::LOCK_NOT_GRANTED);
}

#[tokio::test]
async fn a_lock_in_a_chain_waits_for_its_record() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let site = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&site).await;
    let (id, _) = alice.lease(with_lease(R)).await;
    let mut chain = [Message::of(&lock(id, 1)), Message::of(&requests::read(id, 0, 1))];
    for message in &mut chain {
        (message.header.session_id, message.header.tree_id) = (alice.session.id, alice.tree);
        alice.client.number(message);
    }
    alice.client.send(&chain, alice.session.guard()).await.unwrap();
    let of_lock = alice.client.reply_to(chain[0].header.message_id).await.unwrap();
    assert_eq!(of_lock.status(), NtStatus::SUCCESS);
    assert_eq!(bobs_lock(&site).await.1, NtStatus::LOCK_NOT_GRANTED);
}

/// A second channel of alice's session.
async fn second_channel(site: &Site, alice: &User) -> User {
    let mut hello = offer(&[Dialect::SMB_3_1_1]);
    hello.client_guid = MACHINE;
    let mut second = site.greet(hello).await;
    let session = second.bind(&ALICE, &alice.session).await.unwrap();
    User { client: second, session, tree: alice.tree }
}

/// A client that hears nothing for long asks on another channel, while the first request still waits.
#[tokio::test]
async fn a_lock_that_waits_does_not_wait_for_itself() {
    let site = Site::new().await;
    let mut bob = site.log_in(&BOB).await;
    let his = bob.file("file", b"").await;
    assert_eq!(bob.status(&lock(his, 1)).await, NtStatus::SUCCESS);
    let mut alice = log_in_for_good(&site).await;
    let id = alice.open(&requests::open("file")).await;
    let mut second = second_channel(&site, &alice).await;
    let first = begin(&mut alice, &patient(id, 1)).await;
    waits(&mut alice).await;
    let again = begin(&mut second, &patient(id, 1)).await;
    waits(&mut second).await;
    assert_eq!(bob.status(&unlock(his, 2)).await, NtStatus::SUCCESS);
    let both =
        async { (answer(&mut alice, first).await.status(), answer(&mut second, again).await.status()) };
    let told = tokio::time::timeout(Duration::from_secs(5), both).await;
    assert_eq!(told.expect("it waits for itself"), (NtStatus::SUCCESS, NtStatus::SUCCESS));
    assert_eq!(second.status(&unlock(id, 2)).await, NtStatus::SUCCESS);
    assert_eq!(second.status(&unlock(id, 3)).await, NtStatus::RANGE_NOT_LOCKED, "it was locked once");
}

#[tokio::test]
async fn a_lock_whose_channel_dies_is_done_once() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let site = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&site).await;
    let (id, _) = alice.lease(with_lease(R)).await;
    let mut second = second_channel(&site, &alice).await;
    let records = records(state.path());
    records.execute_batch("BEGIN IMMEDIATE").unwrap();
    begin(&mut alice, &lock(id, 1)).await;
    assert_eq!(alice.status(&requests::echo()).await, NtStatus::SUCCESS);
    drop(alice);
    let again = begin(&mut second, &lock(id, 1)).await;
    assert_eq!(second.status(&requests::echo()).await, NtStatus::SUCCESS);
    tokio::time::sleep(Duration::from_millis(50)).await;
    records.execute_batch("COMMIT").unwrap();
    assert_eq!(answer(&mut second, again).await.status(), NtStatus::SUCCESS);
    assert_eq!(second.status(&unlock(id, 2)).await, NtStatus::SUCCESS);
    assert_eq!(second.status(&unlock(id, 3)).await, NtStatus::RANGE_NOT_LOCKED, "it was locked once");
}

/// How many locks, and how many names of LOCK requests, are written down.
fn written(records: &Connection) -> (u32, u32) {
    let sql = "SELECT length(locks) / 17, length(lock_sequences) / 2 FROM open";
    records.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

async fn until_written(state: &Path, expect: (u32, u32)) {
    let records = records(state);
    for _ in 0..1000 {
        if written(&records) == expect {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{:?} and not {expect:?}", written(&records));
}

/// Alice with her open, after the server was killed and started again.
async fn after_a_kill(before: Site, dir: &Path, state: &Path, id: FileId) -> (Site, User, FileId) {
    // As if it were killed: it does nothing any more, and leaves everything as it is.
    std::mem::forget(before);
    let after = available(dir, state).await;
    let mut alice = log_in_for_good(&after).await;
    let id = back(&mut alice, id).await.0;
    (after, alice, id)
}

#[tokio::test]
async fn a_lock_whose_server_is_killed_before_it_answers_is_done_once() {
    for again in [lock, patient] {
        let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let before = available(dir.path(), state.path()).await;
        let mut alice = log_in_for_good(&before).await;
        let (id, _) = alice.lease(with_lease(R)).await;
        begin(&mut alice, &again(id, 1)).await;
        until_written(state.path(), (1, 1)).await;

        let (after, mut alice, id) = after_a_kill(before, dir.path(), state.path(), id).await;
        let told = tokio::time::timeout(Duration::from_secs(5), alice.status(&again(id, 1))).await;
        assert_eq!(told.expect("it waits for itself"), NtStatus::SUCCESS);
        assert_eq!(alice.status(&lock(id, 2)).await, NtStatus::LOCK_NOT_GRANTED, "another");
        assert_eq!(bobs_lock(&after).await.1, NtStatus::LOCK_NOT_GRANTED);
        assert_eq!(alice.status(&unlock(id, 3)).await, NtStatus::SUCCESS);

        let (after, mut alice, id) = after_a_kill(after, dir.path(), state.path(), id).await;
        assert_eq!(alice.status(&unlock(id, 3)).await, NtStatus::SUCCESS, "sent again");
        assert_eq!(alice.status(&unlock(id, 4)).await, NtStatus::RANGE_NOT_LOCKED, "it was locked once");
        assert_eq!(bobs_lock(&after).await.1, NtStatus::SUCCESS);
    }
}

/// The number comes again when the client has counted to sixteen.
#[tokio::test]
async fn a_name_that_a_refused_lock_has_taken_over_is_unknown_after_a_kill() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let before = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&before).await;
    let (id, _) = alice.lease(with_lease(R)).await;
    assert_eq!(alice.status(&lock(id, 1)).await, NtStatus::SUCCESS);
    assert_eq!(written(&records(state.path())), (1, 1));
    assert_eq!(alice.status(&lock(id, 2)).await, NtStatus::LOCK_NOT_GRANTED);
    until_written(state.path(), (1, 0)).await;
    let (_after, mut alice, id) = after_a_kill(before, dir.path(), state.path(), id).await;
    assert_eq!(alice.status(&lock(id, 1)).await, NtStatus::LOCK_NOT_GRANTED);
}

/// So many ranges that others have their turn in between.
#[tokio::test]
async fn an_unlocking_whose_client_is_cut_off_half_way_is_done_once() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let site = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&site).await;
    let (id, _) = alice.lease(with_lease(R)).await;
    let all = |file_id, sequence_number, flags| {
        let element = |offset| LockElement { offset, length: 1, flags };
        let locks = (0..1000).map(element).collect();
        Request::Lock(LockRequest { sequence_index: 1, sequence_number, file_id, locks })
    };
    let now = LockFlags::EXCLUSIVE | LockFlags::FAIL_IMMEDIATELY;
    assert_eq!(alice.status(&all(id, 1, now)).await, NtStatus::SUCCESS);
    begin(&mut alice, &all(id, 2, LockFlags::UNLOCK)).await;
    drop(alice);
    until_written(state.path(), (0, 1)).await;
    let mut alice = log_in_for_good(&site).await;
    let id = back(&mut alice, id).await.0;
    assert_eq!(alice.status(&all(id, 2, LockFlags::UNLOCK)).await, NtStatus::SUCCESS);
}
