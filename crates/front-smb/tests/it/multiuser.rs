//! Whose a lease is where several users, or several sessions, come from one client.

use crate::durable::{available, create, durability, hello_for_good, kept, log_in_for_good, reconnect};
use crate::leases::{RH, RWH, key, leased, log_in_as};
use crate::persistent::{answer, begin};
use crate::site::{ALICE, BOB, Site, User};
use smb_raw::{Session, ntlm, requests};
use smb_wire::create::context::{CreateContext, DurableFlags};
use smb_wire::create::{CreateRequest, CreateResponse, LeaseState};
use smb_wire::ids::Guid;
use smb_wire::{FileId, NtStatus, Request};
use std::mem::swap;

const MACHINE: Guid = *b"a shared machine";
const ELSEWHERE: Guid = *b"another machine ";

const IN_MEMORY: DurableFlags = DurableFlags::empty();
const PERSISTENT: DurableFlags = DurableFlags::PERSISTENT;

/// A CREATE for a durable open with a lease.
fn durable(state: LeaseState, create_guid: Guid, flags: DurableFlags) -> CreateRequest {
    let mut request = leased("file", key(1), state, None);
    request.contexts.push(CreateContext::DurableRequestV2 { timeout_ms: 30_000, flags, create_guid });
    request
}

/// Two users over one connection, as a `multiuser` mount of Linux has them: one ClientGuid, one key for a file.
struct Shared {
    /// Who speaks.
    user: User,
    other: (Session, u32),
}

impl Shared {
    async fn by(site: &Site, first: &ntlm::Client, second: &ntlm::Client) -> Shared {
        let mut user = log_in_as(site, first, MACHINE).await;
        let session = user.client.log_in(second).await.unwrap();
        let User { client, session, tree } = User::enter(user.client, session).await;
        let mut shared =
            Shared { user: User { client, session: user.session, tree: user.tree }, other: (session, tree) };
        shared.user.is_well().await;
        shared
    }

    /// The other speaks from now on.
    fn turn(&mut self) -> &mut User {
        swap(&mut self.user.session, &mut self.other.0);
        swap(&mut self.user.tree, &mut self.other.1);
        &mut self.user
    }
}

/// Somebody on another machine changes the file.
async fn change_elsewhere(site: &Site) {
    let mut other = log_in_as(site, &ALICE, ELSEWHERE).await;
    let file = other.open(&requests::open("file")).await;
    assert_eq!(other.status(&requests::write(file, 0, b"new")).await, NtStatus::SUCCESS);
}

#[tokio::test]
async fn a_user_is_told_though_another_of_the_machine_has_opened_later_and_left() {
    let leaving: [fn(FileId) -> Request; 2] = [requests::close, |_| requests::logoff()];
    for leave in leaving {
        let site = Site::new().await;
        let mut machine = Shared::by(&site, &ALICE, &BOB).await;
        machine.user.lease(leased("file", key(1), RH, None)).await;
        let bob = machine.turn();
        let (file, lease) = bob.lease(leased("file", key(1), RH, None)).await;
        assert_eq!(lease.state, RH);
        assert_eq!(bob.status(&leave(file)).await, NtStatus::SUCCESS);
        change_elsewhere(&site).await;
        assert!(machine.user.told().await.expect("the machine has an old copy").new_state.is_empty());
        assert_eq!(machine.user.told().await, None, "once");
        assert_eq!(machine.turn().acknowledge(key(1), RH).await, NtStatus::REQUEST_NOT_ACCEPTED);
        assert_eq!(
            machine.user.acknowledge(key(1), LeaseState::empty()).await,
            NtStatus::SUCCESS,
            "alice has it"
        );
    }
}

#[tokio::test]
async fn a_break_reaches_the_session_that_has_the_open_when_the_other_one_is_gone() {
    let site = Site::new().await;
    let mut first = log_in_as(&site, &ALICE, MACHINE).await;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    alice.lease(leased("file", key(1), RWH, None)).await;
    let mut bob = log_in_as(&site, &BOB, ELSEWHERE).await;
    let opening = tokio::spawn(async move { bob.lease(leased("file", key(2), RH, None)).await.1 });
    assert_eq!(first.told().await.expect("the client's oldest connection").new_state, RH);
    drop(first);
    assert_eq!(alice.told().await.expect("told again").new_state, RH);
    assert_eq!(alice.acknowledge(key(1), RH).await, NtStatus::SUCCESS);
    assert_eq!(opening.await.unwrap().state, RH);
}

/// What one of a machine is asked back is held back from it until another has what he takes up: by then that may be closed.
#[tokio::test]
async fn who_has_a_lease_is_told_though_another_open_of_it_comes_and_goes() {
    let site = Site::new().await;
    let mut first = log_in_as(&site, &ALICE, MACHINE).await;
    let (id, _) = first.lease(durable(RWH, [1; 16], IN_MEMORY)).await;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    assert_eq!(alice.lease(leased("file", key(1), RWH, None)).await.1.state, RWH);
    drop(first);
    kept(&site, 1).await;
    let mut bob = log_in_as(&site, &BOB, ELSEWHERE).await;
    let opens = begin(&mut bob, &requests::open("file")).await;
    assert_eq!(alice.told().await.expect("she keeps writes back").new_state, RH);

    let mut second = log_in_as(&site, &ALICE, MACHINE).await;
    let mut back = leased("file", key(1), RWH, None);
    back.contexts.extend(reconnect(id, [1; 16], IN_MEMORY).contexts);
    let (id, _) = second.lease(back).await;
    assert_eq!(second.status(&requests::close(id)).await, NtStatus::SUCCESS);
    assert_eq!(alice.told().await.expect("told once more").new_state, RH);
    assert_eq!(alice.acknowledge(key(1), RH).await, NtStatus::SUCCESS);
    let opened = answer(&mut bob, opens).await;
    let file = CreateResponse::decode(&opened.message).unwrap().file_id;
    assert_eq!(bob.status(&requests::write(file, 0, b"new")).await, NtStatus::SUCCESS);
    assert!(alice.told().await.expect("her copy is old").new_state.is_empty());
}

#[tokio::test]
async fn the_users_of_a_machine_share_a_lease_on_whatever_connection_it_comes_back() {
    let site = Site::new().await;
    let mut machine = Shared::by(&site, &ALICE, &BOB).await;
    let (of_alice, lease) = machine.user.lease(durable(RWH, [1; 16], IN_MEMORY)).await;
    assert_eq!(lease.state, RWH);
    let (_, lease) = machine.turn().lease(durable(RWH, [2; 16], IN_MEMORY)).await;
    assert_eq!(lease.state, RWH, "one cache, one lease");
    drop(machine);
    kept(&site, 2).await;

    let mut machine = Shared::by(&site, &ALICE, &BOB).await;
    let mut back = leased("file", key(1), RWH, None);
    back.contexts.extend(reconnect(of_alice, [1; 16], IN_MEMORY).contexts);
    assert_eq!(machine.user.lease(back).await.1.state, RWH);
    assert_eq!(machine.turn().lease(leased("file", key(1), RWH, None)).await.1.state, RWH);
    assert_eq!(machine.user.told().await, None);
}

/// Of the users of a machine that is back one opens by a lease before the other has taken hers up.
#[tokio::test]
async fn what_waits_for_a_user_of_the_machine_does_not_stand_against_another() {
    let site = Site::new().await;
    let mut machine = Shared::by(&site, &ALICE, &BOB).await;
    let (of_alice, _) = machine.user.lease(durable(RWH, [1; 16], IN_MEMORY)).await;
    drop(machine);
    kept(&site, 1).await;

    let mut machine = Shared::by(&site, &ALICE, &BOB).await;
    assert_eq!(machine.turn().lease(leased("file", key(1), RWH, None)).await.1.state, RWH);
    let mut back = leased("file", key(1), RWH, None);
    back.contexts.extend(reconnect(of_alice, [1; 16], IN_MEMORY).contexts);
    assert_eq!(machine.turn().lease(back).await.1.state, RWH, "her open is there, and hers with it");
    assert_eq!(machine.user.told().await, None);
}

/// Her ClientGuid and her key go over the wire in the clear: with them another user is no part of what she caches.
#[tokio::test]
async fn another_user_who_names_a_lease_from_elsewhere_has_one_of_his_own() {
    let site = Site::new().await;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    alice.lease(leased("file", key(1), RWH, None)).await;
    let mut bob = log_in_as(&site, &BOB, MACHINE).await;
    let opening = tokio::spawn(async move {
        let got = bob.lease(leased("file", key(1), RWH, None)).await;
        (bob, got)
    });
    assert_eq!(alice.told().await.expect("she keeps writes back").new_state, RH);
    assert!(!opening.is_finished());
    assert_eq!(alice.acknowledge(key(1), RH).await, NtStatus::SUCCESS);
    let (mut bob, (file, lease)) = opening.await.unwrap();
    assert_eq!(lease.state, RH);
    assert_eq!(bob.status(&requests::write(file, 0, b"new")).await, NtStatus::SUCCESS);
    assert!(alice.told().await.expect("her copy is old").new_state.is_empty());
    assert_eq!(bob.told().await, None);
    assert_eq!(bob.acknowledge(key(1), LeaseState::empty()).await, NtStatus::UNSUCCESSFUL, "his is whole");
    assert_eq!(alice.acknowledge(key(1), LeaseState::empty()).await, NtStatus::SUCCESS, "and hers hers");
    // Both go on by the one name, each with what is his.
    let (again, lease) = alice.lease(leased("file", key(1), RH, None)).await;
    assert_eq!(lease.state, RH);
    assert_eq!(alice.status(&requests::write(again, 0, b"newer")).await, NtStatus::SUCCESS);
    assert!(bob.told().await.expect("so is his").new_state.is_empty());
    assert_eq!(alice.told().await, None);
}

#[tokio::test]
async fn a_lease_beside_another_of_its_name_is_not_written_down() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let site = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&site).await;
    alice.lease(leased("file", key(1), RH, None)).await;
    let mut bob = site.log_in_by(&BOB, hello_for_good()).await;
    for (user, create_guid, expect) in [(&mut bob, [1; 16], IN_MEMORY), (&mut alice, [2; 16], PERSISTENT)] {
        let got = create(user, durable(RH, create_guid, PERSISTENT)).await.unwrap();
        assert_eq!(durability(&got).unwrap().1, expect);
    }
}
