//! Log-ins that cheat (MS-NLMP 3.2.5, MS-SMB2 3.3.5.5.3), through the wire.

use super::flood::{keep_the_place_busy, leg};
use crate::site::{ALICE, BOB, Site, User, user};
use front_smb::{KnownUser, Users};
use smb_core::ntlm::{NtHash, nt_hash};
use smb_raw::ntlm::{self, ANONYMOUS, Mic, USUAL};
use smb_raw::{Client, Fault, Logon, offer, requests};
use smb_wire::NtStatus;
use smb_wire::negotiate::Dialect;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

async fn greet(site: &Site) -> Client<TcpStream> {
    site.greet(offer(&[Dialect::SMB_3_1_1])).await
}

async fn status(site: &Site, who: &ntlm::Client) -> NtStatus {
    match greet(site).await.log_in(who).await {
        Ok(_) => NtStatus::SUCCESS,
        Err(Fault::Refused(status)) => status,
        Err(fault) => panic!("{fault:?}"),
    }
}

/// An acceptor that looked at the MIC only would let in whoever clears the bit that announces it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_without_a_mic_is_refused() {
    for mic in [Mic::None, Mic::Right, Mic::Wrong, Mic::Missing] {
        let site = Site::new().await;
        let guess = ntlm::Client { mic, ..user("alice", "wrong") };
        assert_eq!(status(&site, &guess).await, NtStatus::LOGON_FAILURE);
        let known = ntlm::Client { mic, ..ALICE };
        let let_in = matches!(mic, Mic::None | Mic::Right);
        let expected = if let_in { NtStatus::SUCCESS } else { NtStatus::LOGON_FAILURE };
        assert_eq!(status(&site, &known).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_and_guests_are_refused() {
    let site = Site::new().await;
    for who in [
        ntlm::Client { flags: USUAL | ANONYMOUS, ..ALICE },
        user("guest", "correct horse"),
        user(" ", ""),
        user("alice", ""),
        user("alice\0", "correct horse"),
    ] {
        assert_eq!(status(&site, &who).await, NtStatus::LOGON_FAILURE, "{:?}", who.user);
    }
    assert_eq!(site.server.status().sessions, 0);
}

/// Reflection and relay: the answer to another connection's challenge, and the server's own messages sent back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_good_for_its_own_challenge_only() {
    let site = Site::new().await;
    let mut asked = greet(&site).await;
    let challenge = asked.challenge(&mut Logon::new(&ALICE)).await.unwrap();
    let mut other = greet(&site).await;
    let mut logon = Logon::new(&ALICE);
    other.challenge(&mut logon).await.unwrap();
    let refused = other.answer(logon, &challenge).await.err();
    assert_eq!(refused, Some(Fault::Refused(NtStatus::LOGON_FAILURE)));
    // Twice on its own connection: the second finds no log-in under way.
    let mut client = greet(&site).await;
    let mut logon = Logon::new(&ALICE);
    let challenge = client.challenge(&mut logon).await.unwrap();
    let answer = ALICE.authenticate(&logon.negotiate, &challenge).message;
    assert_eq!(client.leg(&mut logon, &answer).await.unwrap().status(), NtStatus::SUCCESS);
    let mut again = Logon::new(&ALICE);
    client.challenge(&mut again).await.unwrap();
    assert_eq!(client.leg(&mut again, &answer).await.unwrap().status(), NtStatus::LOGON_FAILURE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_own_tokens_are_no_answer() {
    let site = Site::new().await;
    let mut client = greet(&site).await;
    let mut logon = Logon::new(&ALICE);
    let challenge = client.challenge(&mut logon).await.unwrap();
    assert_eq!(client.leg(&mut logon, &challenge).await.unwrap().status(), NtStatus::INVALID_PARAMETER);
    let mut first = Logon { negotiate: challenge, ..Logon::new(&ALICE) };
    let refused = client.challenge(&mut first).await.err();
    assert_eq!(refused, Some(Fault::Refused(NtStatus::INVALID_PARAMETER)));
}

/// The session that is to be replaced must be the same user's (MS-SMB2 3.3.5.5.3).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_users_own_session_is_replaced() {
    let site = Site::new().await;
    let mut alice = site.log_in(&ALICE).await;
    let file = alice.file("file", b"content").await;
    let replacing = async |who: &ntlm::Client, previous| {
        let mut client = greet(&site).await;
        let mut logon = Logon { previous, ..Logon::new(who) };
        let challenge = client.challenge(&mut logon).await.unwrap();
        client.answer(logon, &challenge).await.map(|session| (client, session))
    };
    let kept = replacing(&BOB, alice.session.id).await;
    assert!(kept.is_ok());
    assert_eq!(alice.content(file).await, b"content");
    // A failed log-in replaces nothing either.
    let guess = user("alice", "wrong");
    let failed = replacing(&guess, alice.session.id).await;
    assert_eq!(failed.err(), Some(Fault::Refused(NtStatus::LOGON_FAILURE)));
    assert_eq!(alice.content(file).await, b"content");
    let kept_too = replacing(&ALICE, alice.session.id).await;
    assert!(kept_too.is_ok());
    assert_eq!(alice.status(&requests::read(file, 0, 7)).await, NtStatus::USER_SESSION_DELETED);
}

const MALLORY: ntlm::Client = user("mallory", "whatever");

/// A list of users with a fault in it.
struct Faulty;

impl Users for Faulty {
    fn nt_hash(&self, user: &str, _domain: &str) -> Option<NtHash> {
        assert_ne!(user, MALLORY.user, "the fault");
        user.eq_ignore_ascii_case(ALICE.user).then(|| nt_hash(ALICE.password))
    }

    fn number(&self, user: &str) -> Option<u32> {
        user.eq_ignore_ascii_case(ALICE.user).then_some(1000)
    }

    fn all(&self) -> Arc<[KnownUser]> {
        Arc::default()
    }

    fn are_known(&self) -> bool {
        true
    }
}

/// His connection has ended by then, and its session goes on by another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_meets_a_fault_at_the_end_of_his_connection_leaves_nothing_behind() {
    let site = Site::with(|config| config.users = Arc::new(Faulty)).await;
    let mut alice = site.log_in(&ALICE).await;
    let mut client = site.greet(offer(&[Dialect::SMB_3_1_1])).await;
    let session = client.bind(&ALICE, &alice.session).await.unwrap();
    let mut second = User { client, session, tree: alice.tree };
    let mut logon = Logon::new(&MALLORY);
    let challenge = alice.client.challenge(&mut logon).await.unwrap();
    let token = MALLORY.authenticate(&logon.negotiate, &challenge).message;
    let _busy = keep_the_place_busy(&site).await;
    let message = leg(&mut alice.client, logon.id, token).bytes();
    alice.client.send_frame(&message).await.unwrap();
    drop(alice);
    for _ in 0..2000 {
        if site.server.status().connections == 2 {
            return second.is_well().await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{:?}", site.server.status());
}
