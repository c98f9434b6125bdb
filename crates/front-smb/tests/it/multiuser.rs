//! Whose a lease is where several users, or several sessions, come from one client.

use crate::leases::{RH, RWH, key, leased, log_in_as};
use crate::site::{ALICE, BOB, Site, User};
use smb_raw::{Session, ntlm, requests};
use smb_wire::create::LeaseState;
use smb_wire::ids::Guid;
use smb_wire::{FileId, NtStatus, Request};
use std::mem::swap;

const MACHINE: Guid = *b"a shared machine";
const ELSEWHERE: Guid = *b"another machine ";

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
