//! What clients cached by persistent opens, and lost while they were away or the server was killed.

use crate::durable::{GUID, available, kept, log_in_for_good, reconnect};
use crate::leases::leased;
use crate::site::{BOB, Site, User};
use front_smb::limits;
use smb_raw::{Message, Reply, requests};
use smb_wire::create::context::{CreateContext, DurableFlags};
use smb_wire::create::lease::{LeaseContext, LeaseFlags, LeaseKey, LeaseState};
use smb_wire::create::{CreateRequest, ShareAccess};
use smb_wire::{FileId, NtStatus, Request};
use std::time::Instant;

const KEY: LeaseKey = LeaseKey([5; 16]);
const NONE: LeaseState = LeaseState::empty();
const R: LeaseState = LeaseState::READ_CACHING;
const RH: LeaseState = R.union(LeaseState::HANDLE_CACHING);
const RWH: LeaseState = RH.union(LeaseState::WRITE_CACHING);
const PERSISTENT: DurableFlags = DurableFlags::PERSISTENT;

/// A CREATE for a persistent open with a lease, which keeps nobody out.
fn with_lease(state: LeaseState) -> CreateRequest {
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
async fn back(alice: &mut User, id: FileId) -> (FileId, LeaseContext) {
    let mut request = leased("file", KEY, RWH, None);
    request.contexts.extend(reconnect(id, GUID, PERSISTENT).contexts);
    alice.lease(request).await
}

fn epoch(lease: LeaseContext) -> u16 {
    lease.version2.unwrap().epoch
}

/// Sends a request whose answer is not waited for yet.
async fn begin(user: &mut User, request: &Request) -> u64 {
    let mut message = Message::of(request).session(user.session.id).tree(user.tree);
    user.client.number(&mut message);
    user.client.send(&[message.clone()], user.session.guard()).await.unwrap();
    message.header.message_id
}

/// An interim answer says that a request waits.
async fn waits(user: &mut User) {
    assert_eq!(user.client.replies().await.unwrap()[0].status(), NtStatus::PENDING);
}

async fn answer(user: &mut User, request: u64) -> Reply {
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
                assert_eq!(back.flags, LeaseFlags::BREAK_IN_PROGRESS);
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
    assert_eq!((lease.state, lease.flags), (RWH, LeaseFlags::BREAK_IN_PROGRESS));
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
    assert_eq!(lease.flags, LeaseFlags::BREAK_IN_PROGRESS);
    let told = alice.told().await.expect("it is told when she can answer");
    assert!(asked.elapsed() >= limits::BREAK_AFTER_TAKE_UP, "{:?}", asked.elapsed());
    assert_eq!((told.new_state, told.ack_required), (RH, true));
    assert!(told.new_epoch > epoch(lease), "{told:?} is no news after {lease:?}");
    assert_eq!(alice.acknowledge(KEY, RH).await, NtStatus::SUCCESS);
    assert_eq!(answer(&mut bob, opens).await.status(), NtStatus::SUCCESS);
}
