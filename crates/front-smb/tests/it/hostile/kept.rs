//! Opens that outlive their connections, wanted by somebody whose they are not (MS-SMB2 3.3.5.9.7, 3.3.5.9.12), a
//! CREATE repeated by somebody who did not send it (3.3.5.9.10), and leases answered for by another client
//! (3.3.5.22.2).
//!
//! Nothing that travels in the clear is a secret here: ClientGuid, CreateGuid, LeaseKey and FileId are known to the
//! attacker. Within one ClientGuid a lease is the client's, whoever its users are: so MS-SMB2 has it.

use crate::leases::{leased, log_in_as};
use crate::site::{ALICE, BOB, Site, User};
use front_smb::limits;
use smb_raw::{Message, requests};
use smb_wire::create::context::{CreateContext, DurableFlags};
use smb_wire::create::lease::{LeaseKey, LeaseState};
use smb_wire::create::{CreateRequest, CreateResponse, CreateResponseContext, OplockLevel};
use smb_wire::ids::Guid;
use smb_wire::oplock_break::{BreakAcknowledgement, LeaseBreak};
use smb_wire::{FileId, Flags, NtStatus, Request};
use std::time::Duration;

const NAME: Guid = *b"alice's create  ";
const MACHINE: Guid = *b"alice's machine ";
const ELSEWHERE: Guid = *b"another machine ";
const KEY: LeaseKey = LeaseKey(*b"alice's lease   ");
const RH: LeaseState = LeaseState::READ_CACHING.union(LeaseState::HANDLE_CACHING);
const RWH: LeaseState = RH.union(LeaseState::WRITE_CACHING);

fn request_v2(timeout_ms: u32) -> CreateContext {
    CreateContext::DurableRequestV2 { timeout_ms, flags: DurableFlags::empty(), create_guid: NAME }
}

fn back_v2(file_id: FileId, create_guid: Guid) -> CreateContext {
    CreateContext::DurableReconnectV2 { file_id, create_guid, flags: DurableFlags::empty() }
}

/// A CREATE with a batch oplock and these contexts.
fn batch(contexts: Vec<CreateContext>) -> CreateRequest {
    CreateRequest { oplock_level: OplockLevel::BATCH, contexts, ..requests::create("file") }
}

/// A CREATE with a lease and a further context.
fn with_lease(key: LeaseKey, further: CreateContext) -> CreateRequest {
    let mut create = leased("file", key, RWH, None);
    create.contexts.push(further);
    create
}

async fn outcome(user: &mut User, create: CreateRequest) -> Result<CreateResponse, NtStatus> {
    let reply = user.call(&Request::Create(create)).await.unwrap();
    match reply.status() {
        NtStatus::SUCCESS => Ok(CreateResponse::decode(&reply.message).unwrap()),
        status => Err(status),
    }
}

async fn refused(user: &mut User, create: CreateRequest) -> NtStatus {
    outcome(user, create).await.map(|response| response.file_id).expect_err("it was given away")
}

/// Alice's open is kept for her: its id.
async fn left_behind(site: &Site, create: CreateRequest) -> FileId {
    let mut alice = log_in_as(site, &ALICE, MACHINE).await;
    let opened = outcome(&mut alice, create).await.unwrap();
    let write = requests::write(opened.file_id, 0, b"content");
    assert_eq!(alice.status(&write).await, NtStatus::SUCCESS);
    drop(alice);
    for _ in 0..2000 {
        if site.server.status().kept_opens > 0 {
            return opened.file_id;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("nothing is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_open_waits_for_its_own_user() {
    let site = Site::new().await;
    let id = left_behind(&site, batch(vec![request_v2(0)])).await;
    for machine in [MACHINE, ELSEWHERE] {
        let mut bob = log_in_as(&site, &BOB, machine).await;
        let status = refused(&mut bob, batch(vec![back_v2(id, NAME)])).await;
        assert_eq!(status, NtStatus::ACCESS_DENIED);
        // By the first form, by a wrong name, by every id there is.
        assert!(refused(&mut bob, batch(vec![CreateContext::DurableReconnect(id)])).await.is_error());
        assert!(refused(&mut bob, batch(vec![back_v2(id, [0; 16])])).await.is_error());
        for persistent in (0..64).chain([u64::MAX]) {
            let guess = FileId { persistent, ..id };
            assert!(refused(&mut bob, batch(vec![back_v2(guess, NAME)])).await.is_error());
        }
    }
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    for wrong in [[0xFF; 16], *b"another create  "] {
        let status = refused(&mut alice, batch(vec![back_v2(id, wrong)])).await;
        assert_eq!(status, NtStatus::OBJECT_NAME_NOT_FOUND);
    }
    let back = outcome(&mut alice, batch(vec![back_v2(id, NAME)])).await.unwrap();
    assert_eq!(alice.content(back.file_id).await, b"content");
}

/// With a lease the open is the client's too: another machine of the same user is another client.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_open_with_a_lease_waits_for_its_client() {
    let site = Site::new().await;
    let id = left_behind(&site, with_lease(KEY, request_v2(0))).await;
    let mut elsewhere = log_in_as(&site, &ALICE, ELSEWHERE).await;
    let status = refused(&mut elsewhere, with_lease(KEY, back_v2(id, NAME))).await;
    assert_eq!(status, NtStatus::OBJECT_NAME_NOT_FOUND);
    let mut bob = log_in_as(&site, &BOB, MACHINE).await;
    let status = refused(&mut bob, with_lease(KEY, back_v2(id, NAME))).await;
    assert_eq!(status, NtStatus::ACCESS_DENIED);
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    for (create, expected) in [
        (with_lease(LeaseKey([9; 16]), back_v2(id, NAME)), NtStatus::OBJECT_NAME_NOT_FOUND),
        (batch(vec![back_v2(id, NAME)]), NtStatus::OBJECT_NAME_NOT_FOUND),
        (
            CreateRequest { name: "other".to_owned(), ..with_lease(KEY, back_v2(id, NAME)) },
            NtStatus::INVALID_PARAMETER,
        ),
    ] {
        assert_eq!(refused(&mut alice, create).await, expected);
    }
    let back = outcome(&mut alice, with_lease(KEY, back_v2(id, NAME))).await.unwrap();
    assert_eq!(alice.content(back.file_id).await, b"content");
}

/// What is in use is nobody's to take up, not even its owner's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_in_use_cannot_be_taken_up() {
    let site = Site::new().await;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    let id = outcome(&mut alice, batch(vec![request_v2(0)])).await.unwrap().file_id;
    assert_eq!(alice.status(&requests::write(id, 0, b"content")).await, NtStatus::SUCCESS);
    for who in [&ALICE, &BOB] {
        for machine in [MACHINE, ELSEWHERE] {
            let mut other = log_in_as(&site, who, machine).await;
            assert!(refused(&mut other, batch(vec![back_v2(id, NAME)])).await.is_error());
            assert!(refused(&mut other, batch(vec![CreateContext::DurableReconnect(id)])).await.is_error());
        }
    }
    assert_eq!(alice.content(id).await, b"content");
}

/// The contexts of one CREATE contradict each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wants_two_things_gets_none() {
    let site = Site::new().await;
    let id = left_behind(&site, batch(vec![request_v2(0)])).await;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    let v1 = CreateContext::DurableRequest;
    for contexts in [
        vec![request_v2(0), v1.clone()],
        vec![request_v2(0), back_v2(id, NAME)],
        vec![v1, back_v2(id, NAME)],
        vec![back_v2(id, NAME), back_v2(id, NAME)],
        vec![back_v2(id, NAME), CreateContext::DurableReconnect(id)],
    ] {
        assert_eq!(refused(&mut alice, batch(contexts)).await, NtStatus::INVALID_PARAMETER);
    }
    assert!(outcome(&mut alice, batch(vec![back_v2(id, NAME)])).await.is_ok());
}

/// A CREATE under a name that is taken: with or without the REPLAY flag, only who made it gets its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_is_repeated_by_who_sent_it() {
    let site = Site::new().await;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    let opened = outcome(&mut alice, batch(vec![request_v2(0)])).await.unwrap();
    let replay = async |user: &mut User, create: CreateRequest| {
        let mut message = Message::of(&Request::Create(create)).session(user.session.id).tree(user.tree);
        message.header.flags |= Flags::REPLAY;
        user.client.exchange(message, user.session.guard()).await.unwrap()
    };
    let mut bob = log_in_as(&site, &BOB, MACHINE).await;
    let mut again = log_in_as(&site, &ALICE, MACHINE).await;
    for other in [&mut bob, &mut again] {
        assert_eq!(refused(other, batch(vec![request_v2(0)])).await, NtStatus::DUPLICATE_OBJECTID);
        let reply = replay(other, batch(vec![request_v2(0)])).await;
        assert_eq!(reply.status(), NtStatus::DUPLICATE_OBJECTID);
    }
    assert_eq!(refused(&mut alice, batch(vec![request_v2(0)])).await, NtStatus::DUPLICATE_OBJECTID);
    // Her own, but another lease than then.
    let reply = replay(&mut alice, with_lease(KEY, request_v2(0))).await;
    assert_eq!(reply.status(), NtStatus::ACCESS_DENIED);
    let reply = replay(&mut alice, batch(vec![request_v2(0)])).await;
    let repeated = CreateResponse::decode(&reply.message).unwrap();
    assert_eq!(repeated.file_id, opened.file_id);
    assert_eq!(site.server.status().opens, 1, "opened once");
}

/// Nobody keeps an open for longer than the server lets him.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_is_kept_for_so_long_at_most() {
    let site = Site::new().await;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    for timeout_ms in [u32::MAX, 1 << 31, limits::DURABLE_TIMEOUT_MAX.as_millis() as u32 + 1] {
        let opened = outcome(&mut alice, batch(vec![request_v2(timeout_ms)])).await.unwrap();
        let told = opened.contexts.iter().find_map(|context| match context {
            CreateResponseContext::DurableV2 { timeout_ms, .. } => Some(*timeout_ms),
            _ => None,
        });
        assert_eq!(told, Some(limits::DURABLE_TIMEOUT_MAX.as_millis() as u32));
        assert_eq!(alice.status(&requests::close(opened.file_id)).await, NtStatus::SUCCESS);
    }
}

/// Another client's word does not end the waiting for a lease's owner.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_answered_for_by_its_client() {
    let site = Site::new().await;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    alice.lease(leased("file", KEY, RWH, None)).await;
    let mut bob = log_in_as(&site, &BOB, ELSEWHERE).await;
    let mut message = Message::of(&requests::open("file")).session(bob.session.id).tree(bob.tree);
    bob.client.number(&mut message);
    bob.client.send(&[message.clone()], bob.session.guard()).await.unwrap();
    assert_eq!(bob.client.replies().await.unwrap()[0].status(), NtStatus::PENDING);
    alice.told().await.expect("alice keeps writes back");
    let answer =
        |lease_key, state| Request::OplockBreak(BreakAcknowledgement::Lease(LeaseBreak { lease_key, state }));
    for state in [LeaseState::empty(), RH, RWH] {
        assert_eq!(bob.status(&answer(KEY, state)).await, NtStatus::OBJECT_NAME_NOT_FOUND);
    }
    assert_eq!(bob.status(&requests::echo()).await, NtStatus::SUCCESS);
    assert!(bob.client.others.is_empty(), "the open went on without the owner's word");
    // Nor can the owner keep more than is left to her.
    assert_eq!(alice.status(&answer(KEY, RWH)).await, NtStatus::REQUEST_NOT_ACCEPTED);
    assert_eq!(alice.status(&answer(KEY, RH)).await, NtStatus::SUCCESS);
    assert_eq!(bob.client.reply_to(message.header.message_id).await.unwrap().status(), NtStatus::SUCCESS);
    assert_eq!(
        alice.status(&answer(KEY, RH)).await,
        NtStatus::UNSUCCESSFUL,
        "nothing is asked back any more"
    );
}
