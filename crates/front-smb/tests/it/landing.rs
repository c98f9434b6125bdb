//! What was begun in a session that is gone, and the opens that outlive it: a client has one again when that has landed,
//! and nothing begins any more.

use crate::carried::renaming;
use crate::durable::{GUID, MACHINE, create, durable, durable_as, kept, reconnect};
use crate::leases::{RWH, key, leased, log_in_as};
use crate::persistent::begin;
use crate::site::{ALICE, Site, User};
use smb_raw::{Guard, Message, offer, requests};
use smb_wire::create::CreateResponse;
use smb_wire::create::context::{CreateContext, DurableFlags};
use smb_wire::fscc::file::FileClass;
use smb_wire::ioctl::Fsctl;
use smb_wire::ioctl::copy_chunk::{CopyChunk, CopyChunkRequest};
use smb_wire::lock::LockFlags;
use smb_wire::negotiate::Dialect;
use smb_wire::query_info::InfoType;
use smb_wire::{FileId, NtStatus, Request};
use std::sync::Arc;
use testkit::{FaultVolume, Gate, MemVolume, Op};

impl User {
    /// What a request is answered first: PENDING where it waits.
    async fn first_answer(&mut self, id: u64) -> NtStatus {
        loop {
            for reply in self.client.replies().await.unwrap() {
                let (is_it, status) = (reply.header.message_id == id, reply.status());
                self.client.others.push_back(reply);
                if is_it {
                    return status;
                }
            }
        }
    }

    async fn ends(&mut self, id: u64) -> NtStatus {
        self.client.reply_to(id).await.unwrap().status()
    }
}

async fn site() -> (Site, Arc<FaultVolume>) {
    let volume = FaultVolume::new(MemVolume::new());
    let site = Site::over(vfs::Vfs::new(volume.clone(), vfs::VfsConfig::default()), |_| {}).await;
    (site, volume)
}

/// A client is gone, and what it has written waits at the gate. How it asks for its open again.
async fn lost_in_a_write(site: &Site, volume: &FaultVolume) -> (Gate, Request) {
    let mut alice = log_in_as(site, &ALICE, MACHINE).await;
    let id = create(&mut alice, durable("file", DurableFlags::empty())).await.unwrap().file_id;
    let gate = volume.gate(Op::Write);
    begin(&mut alice, &requests::write(id, 0, b"old")).await;
    gate.arrived(1).await;
    drop(alice);
    kept(site, 1).await;
    (gate, Request::Create(reconnect(id, GUID, DurableFlags::empty())))
}

/// The changes of the lost session that are on their way when its client is back.
fn changes(id: FileId) -> [(Op, Request); 3] {
    let set = |class: FileClass, data: &[u8]| requests::set_info(id, InfoType::FILE, class.0, data);
    [
        (Op::Write, requests::write(id, 0, b"of the lost session")),
        (Op::SetAttr, set(FileClass::END_OF_FILE, &0u64.to_le_bytes())),
        (Op::Apply, set(FileClass::RENAME, &renaming("renamed", true))),
    ]
}

#[tokio::test]
async fn an_open_is_taken_up_when_what_was_begun_through_it_has_landed() {
    for nth in 0..3 {
        let (site, volume) = site().await;
        let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
        let id = create(&mut alice, durable("file", DurableFlags::empty())).await.unwrap().file_id;
        let (op, change) = changes(id)[nth].clone();
        let gate = volume.gate(op);
        begin(&mut alice, &change).await;
        gate.arrived(1).await;
        drop(alice);
        kept(&site, 1).await;
        let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
        let back = begin(&mut alice, &Request::Create(reconnect(id, GUID, DurableFlags::empty()))).await;
        assert_eq!(alice.first_answer(back).await, NtStatus::PENDING, "{op:?}");
        gate.release();
        let reply = alice.client.reply_to(back).await.unwrap();
        assert_eq!(reply.status(), NtStatus::SUCCESS, "{op:?}");
        let id = CreateResponse::decode(&reply.message).unwrap().file_id;
        let end = requests::set_info(id, InfoType::FILE, FileClass::END_OF_FILE.0, &3u64.to_le_bytes());
        assert_eq!(alice.status(&requests::write(id, 0, b"new")).await, NtStatus::SUCCESS);
        assert_eq!(alice.status(&end).await, NtStatus::SUCCESS);
        assert_eq!(alice.content(id).await, b"new", "{op:?}");
    }
}

/// It may be as much in a hurry again.
#[tokio::test]
async fn who_gives_up_waiting_for_an_open_may_come_again() {
    let (site, volume) = site().await;
    let (gate, back) = lost_in_a_write(&site, &volume).await;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    let waits = begin(&mut alice, &back).await;
    assert_eq!(alice.first_answer(waits).await, NtStatus::PENDING);
    drop(alice);
    gate.release();
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    assert_eq!(alice.status(&back).await, NtStatus::SUCCESS);
}

/// What waits on a channel goes on when that is gone, and is heard by nobody.
#[tokio::test]
async fn who_asks_for_an_open_on_a_channel_that_goes_gets_it_on_another() {
    let (site, volume) = site().await;
    let (gate, back) = lost_in_a_write(&site, &volume).await;
    let mut first = log_in_as(&site, &ALICE, MACHINE).await;
    let mut hello = offer(&[Dialect::SMB_3_1_1]);
    hello.client_guid = MACHINE;
    let mut client = site.greet(hello).await;
    let session = client.bind(&ALICE, &first.session).await.unwrap();
    let mut second = User { client, session, tree: first.tree };
    let lost = begin(&mut first, &back).await;
    assert_eq!(first.first_answer(lost).await, NtStatus::PENDING);
    drop(first);
    let again = begin(&mut second, &back).await;
    assert_eq!(second.first_answer(again).await, NtStatus::PENDING);
    gate.release();
    assert_eq!(second.ends(again).await, NtStatus::SUCCESS);
}

async fn resume_key(user: &mut User, source: FileId) -> [u8; 24] {
    let (status, output) = crate::fsctl::control(user, source, Fsctl::SRV_REQUEST_RESUME_KEY, &[]).await;
    assert_eq!(status, NtStatus::SUCCESS);
    output[..24].try_into().unwrap()
}

/// Both files stay open: nothing but the end of the session keeps the copy from going on.
#[tokio::test]
async fn a_copy_does_not_go_on_after_the_logoff_of_its_session() {
    let (site, volume) = site().await;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    let open = |name: &str, guid| durable_as(name, guid, DurableFlags::empty());
    let source = create(&mut alice, open("source", [1; 16])).await.unwrap().file_id;
    let target = create(&mut alice, open("target", [2; 16])).await.unwrap().file_id;
    assert_eq!(alice.status(&requests::write(source, 0, b"content")).await, NtStatus::SUCCESS);
    let chunk = |at| CopyChunk { source_offset: at, target_offset: at, length: 1 };
    let source_key = resume_key(&mut alice, source).await;
    let mut input = Vec::new();
    CopyChunkRequest { source_key, chunks: vec![chunk(0), chunk(2), chunk(4)] }.encode(&mut input);
    let gate = volume.gate(Op::Copy);
    volume.counts().reset();
    let copy = begin(&mut alice, &requests::ioctl(target, Fsctl::SRV_COPYCHUNK, &input)).await;
    gate.arrived(1).await;
    let logoff = begin(&mut alice, &requests::logoff()).await;
    // Requests begin in the order in which they come.
    let echo = alice.client.exchange(Message::of(&requests::echo()), Guard::Plain).await.unwrap();
    assert_eq!(echo.status(), NtStatus::SUCCESS);
    assert!(alice.client.others.is_empty(), "the logoff waits for the copy");
    gate.release();
    assert_eq!(alice.ends(logoff).await, NtStatus::SUCCESS);
    let copies = volume.counts().of(Op::Copy);
    assert_eq!(alice.ends(copy).await, NtStatus::FILE_CLOSED);
    assert_eq!((copies, volume.counts().of(Op::Copy)), (1, 1));
    kept(&site, 2).await;
}

/// Of two opens that share a lease one holds a range, and the other, which outlives the session, waits for it.
#[tokio::test]
async fn who_waits_for_a_lock_ends_with_the_session_and_gets_it_no_more() {
    let (site, _) = site().await;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    let (holds, _) = alice.lease(leased("file", key(1), RWH, None)).await;
    let mut request = leased("file", key(1), RWH, None);
    request.contexts.extend(durable("file", DurableFlags::empty()).contexts);
    assert!(matches!(request.contexts[1], CreateContext::DurableRequestV2 { .. }));
    let (waits, _) = alice.lease(request).await;
    assert_eq!(alice.status(&requests::lock(holds, 0, 7, LockFlags::EXCLUSIVE)).await, NtStatus::SUCCESS);
    let lock = begin(&mut alice, &requests::lock(waits, 0, 7, LockFlags::EXCLUSIVE)).await;
    assert_eq!(alice.first_answer(lock).await, NtStatus::PENDING);
    let logoff = begin(&mut alice, &requests::logoff()).await;
    assert_eq!(alice.ends(lock).await, NtStatus::RANGE_NOT_LOCKED);
    assert_eq!(alice.ends(logoff).await, NtStatus::SUCCESS);
    kept(&site, 1).await;
}

/// The connection of the session that gives way to another lives on, with what waits and works there.
#[tokio::test]
async fn a_session_that_gives_way_to_another_begins_nothing_more() {
    let (site, volume) = site().await;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    let id = create(&mut alice, durable("file", DurableFlags::empty())).await.unwrap().file_id;
    let gate = volume.gate(Op::Write);
    let write = begin(&mut alice, &requests::write(id, 0, b"old")).await;
    gate.arrived(1).await;
    let mut hello = offer(&[Dialect::SMB_3_1_1]);
    hello.client_guid = MACHINE;
    let mut client = site.greet(hello).await;
    let mut logon = smb_raw::Logon::new(&ALICE);
    logon.previous = alice.session.id;
    let challenge = client.challenge(&mut logon).await.unwrap();
    let session = client.answer(logon, &challenge).await.unwrap();
    let mut again = User::enter(client, session).await;
    let back = begin(&mut again, &Request::Create(reconnect(id, GUID, DurableFlags::empty()))).await;
    assert_eq!(again.first_answer(back).await, NtStatus::PENDING);
    gate.release();
    assert_eq!(again.ends(back).await, NtStatus::SUCCESS);
    assert_eq!(alice.ends(write).await, NtStatus::SUCCESS);
    assert_eq!(alice.status(&requests::write(id, 0, b"x")).await, NtStatus::USER_SESSION_DELETED);
}
