//! Guests, where a share admits them (MS-SMB2 3.3.5.5.3): what they must not reach, and that a guest's session is no way to
//! anything of a user's.

use super::anonymous::{IPC, connect, log_in, offer_311, pipe};
use crate::leases::{RH, RWH, key, leased, log_in_as};
use crate::persistent::begin;
use crate::site::{ALICE, BOB, Site, User, user};
use front_smb::{Encryption, KnownUser, ServerConfig, Share, Signing, Users, limits};
use smb_core::ntlm::{NtHash, nt_hash};
use smb_raw::ntlm::{self, NOBODY};
use smb_raw::{Fault, Guard, Logon, Message, Proof, Session, requests};
use smb_wire::create::context::{CreateContext, DurableFlags};
use smb_wire::create::{CreateOptions, CreateRequest, CreateResponse, LeaseKey, LeaseState, OplockLevel};
use smb_wire::ids::Guid;
use smb_wire::ioctl::Fsctl;
use smb_wire::oplock_break::LeaseBreakNotification;
use smb_wire::session_setup::{SessionFlags, SessionSetupResponse};
use smb_wire::{NtStatus, Request};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use testkit::{FaultVolume, MemVolume, Op};

const MALLORY: ntlm::Client = user("mallory", "whatever");
const DENIED: NtStatus = NtStatus::ACCESS_DENIED;

/// A server with `share`, which is open to guests, and `closed`, which is not.
async fn site_with(change: impl FnOnce(&mut ServerConfig)) -> Site {
    let vfs = vfs::Vfs::new(MemVolume::new(), vfs::VfsConfig::default());
    let shares =
        vec![Share { guests: true, ..Share::new("share", vfs.clone()) }, Share::new("closed", vfs.clone())];
    let signing = |config: &mut ServerConfig| {
        config.signing = Signing::Enabled;
        change(config);
    };
    let site = Site::over(vfs, signing).await;
    site.server.set_shares(shares);
    site
}

async fn site() -> Site {
    site_with(|_| {}).await
}

/// A guest on a connection of his own.
async fn guest(site: &Site) -> User {
    site.log_in_stranger(&MALLORY).await
}

/// What a log-in on a connection of its own is refused with.
async fn refused(site: &Site, logon: Logon<'_>) -> Option<NtStatus> {
    let mut client = site.greet(offer_311()).await;
    log_in(&mut client, logon).await.err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_guest_gets_in_unless_a_share_admits_guests_and_nothing_takes_a_key() {
    let closed = Site::with(|config| config.signing = Signing::Enabled).await;
    let signed = site_with(|config| config.signing = Signing::Required).await;
    let sealed = site_with(|config| config.encryption = Encryption::Required).await;
    for site in [closed, signed, sealed] {
        let mut statuses = Vec::new();
        for who in [&MALLORY, &user("guest", ""), &NOBODY, &user("alice", "wrong")] {
            statuses.push(refused(&site, Logon::new(who)).await);
        }
        assert_eq!(statuses, [Some(NtStatus::LOGON_FAILURE); 4], "all alike");
        assert_eq!(site.server.status().sessions, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_a_wrong_password_is_no_guest() {
    let site = site().await;
    for who in [user("alice", "wrong"), user("ALICE", ""), user("bob", ALICE.password)] {
        assert_eq!(refused(&site, Logon::new(&who)).await, Some(NtStatus::LOGON_FAILURE), "{}", who.user);
    }
    let empty = ntlm::Client { nt_response: Some(&[]), lm_response: &[], ..ALICE };
    assert_eq!(refused(&site, Logon::new(&empty)).await, Some(NtStatus::LOGON_FAILURE));
    let status = site.server.status();
    assert_eq!((status.sessions, status.logon_failures), (0, 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guests_session_is_marked_and_nothing_vouches_for_it() {
    let site = site().await;
    for (who, expected) in [(MALLORY, SessionFlags::IS_GUEST), (NOBODY, SessionFlags::IS_NULL)] {
        let mut client = site.greet(offer_311()).await;
        let mut logon = Logon { security_mode: 2, ..Logon::new(&who) };
        let challenge = client.challenge(&mut logon).await.unwrap();
        let answer = who.authenticate(&logon.negotiate, &challenge).message;
        let reply = client.leg(&mut logon, &answer).await.unwrap();
        let flags = SessionSetupResponse::decode(&reply.message).unwrap().session_flags;
        assert_eq!((reply.status(), flags, reply.proof), (NtStatus::SUCCESS, expected, Proof::None));
    }
    // By a key that everybody could make he has none either.
    let mut client = site.greet(offer_311()).await;
    let mut logon = Logon::new(&MALLORY);
    let challenge = client.challenge(&mut logon).await.unwrap();
    let answer = MALLORY.authenticate(&logon.negotiate, &challenge).message;
    client.leg(&mut logon, &answer).await.unwrap();
    let zeros = Session::new(logon.id, client.agreed.unwrap(), &[0; 16], &logon.preauth);
    let echo = Message::of(&requests::echo()).session(zeros.id);
    let signed = client.exchange(echo, Guard::Sign(&zeros.signer)).await.unwrap();
    assert_eq!((signed.status(), signed.proof), (DENIED, Proof::None));

    let mut mallory = guest(&site).await;
    let echo = Message::of(&requests::echo()).session(mallory.session.id);
    let plain = mallory.client.exchange(echo.clone(), Guard::Plain).await.unwrap();
    assert_eq!((plain.status(), plain.proof), (NtStatus::SUCCESS, Proof::None));
    // Whatever key he has, it is not one of ours; nor is one that everybody knows.
    let nobody = site.log_in_stranger(&NOBODY).await;
    for signer in [&mallory.session.signer, &nobody.session.signer] {
        let signed = mallory.client.exchange(echo.clone(), Guard::Sign(signer)).await.unwrap();
        assert_eq!((signed.status(), signed.proof), (DENIED, Proof::None));
    }
    let status = site.server.status();
    assert!(status.users.iter().all(|session| session.user == "Guest"), "{:?}", status.users);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guest_encrypts_ends_the_connection() {
    let site = site().await;
    let sealed = |session: &Session| session.clone().sealing();
    for who in [&MALLORY, &NOBODY] {
        let mut stranger = site.log_in_stranger(who).await;
        let echo = Message::of(&requests::echo()).session(stranger.session.id);
        let session = sealed(&stranger.session);
        let reply = stranger.client.exchange(echo.clone(), Guard::Seal(&session)).await;
        assert_eq!(reply.map(|reply| reply.status()), Err(Fault::Gone));
        // Nor beside a user, by whose keys others are sealed.
        let mut alice = site.log_in(&ALICE).await;
        let session = log_in(&mut alice.client, Logon::new(who)).await.unwrap();
        let echo = echo.session(session.id);
        let reply = alice.client.exchange(echo, Guard::Seal(&sealed(&session))).await;
        assert_eq!(reply.map(|reply| reply.status()), Err(Fault::Gone));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_reaches_shares_for_guests_and_no_list_of_users() {
    let site = site().await;
    for who in [&MALLORY, &NOBODY, &user("guest", "")] {
        let mut stranger = site.log_in_stranger(who).await;
        for share in ["closed", "CLOSED", "no such share"] {
            assert_eq!(connect(&mut stranger, share).await, Err(DENIED), "{share}");
        }
        let tree = connect(&mut stranger, IPC).await.unwrap();
        for name in ["samr", "lsarpc", r"\PIPE\SAMR"] {
            assert_eq!(pipe(&mut stranger, tree, name).await, Err(DENIED), "{name}");
        }
        for name in ["srvsvc", "wkssvc"] {
            assert!(pipe(&mut stranger, tree, name).await.is_ok(), "{name}");
        }
        stranger.is_well().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guests_session_becomes_no_users_and_a_users_no_guests() {
    let site = site().await;
    for who in [&MALLORY, &NOBODY] {
        let mut stranger = site.log_in_stranger(who).await;
        let session = stranger.session.clone();
        let again = Logon { signs: None, ..Logon::again(&ALICE, &session) };
        assert_eq!(log_in(&mut stranger.client, again).await.err(), Some(DENIED));
        assert_eq!(connect(&mut stranger, "closed").await, Err(DENIED));
        for other in [&MALLORY, &NOBODY, &user("eve", "")] {
            let again = Logon { signs: None, ..Logon::again(other, &session) };
            assert!(log_in(&mut stranger.client, again).await.is_ok());
            assert_eq!(connect(&mut stranger, "closed").await, Err(DENIED));
            stranger.is_well().await;
        }
    }
    let mut alice = site.log_in(&ALICE).await;
    let again = Logon::again(&MALLORY, &alice.session.clone());
    assert_eq!(log_in(&mut alice.client, again).await.err(), Some(DENIED));
    alice.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_binds_no_channel_and_a_guests_session_takes_none() {
    let site = site().await;
    let mut alice = site.log_in(&ALICE).await;
    let file = alice.file("file", b"content").await;
    let (mallory, nobody) = (guest(&site).await, site.log_in_stranger(&NOBODY).await);
    for (who, session, expected) in [
        (&MALLORY, &alice.session, DENIED),
        (&NOBODY, &alice.session, DENIED),
        (&MALLORY, &mallory.session, DENIED),
        (&ALICE, &mallory.session, DENIED),
        (&ALICE, &nobody.session, NtStatus::NOT_SUPPORTED),
        (&MALLORY, &nobody.session, NtStatus::NOT_SUPPORTED),
    ] {
        let status = refused(&site, Logon::binding(who, session)).await;
        assert_eq!(status, Some(expected), "{:?}", who.user);
    }
    assert_eq!(alice.content(file).await, b"content");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_replaces_no_session() {
    let site = site().await;
    let mut alice = site.log_in(&ALICE).await;
    let file = alice.file("file", b"content").await;
    let mut other = guest(&site).await;
    for previous in [alice.session.id, other.session.id] {
        assert_eq!(refused(&site, Logon { previous, ..Logon::new(&MALLORY) }).await, None);
    }
    assert_eq!(alice.content(file).await, b"content");
    other.is_well().await;
}

/// Users that change, and that may be known in part alone.
struct Changing {
    alice: AtomicBool,
    whole: AtomicBool,
}

impl Users for Changing {
    fn nt_hash(&self, user: &str, _domain: &str) -> Option<NtHash> {
        let is_there = user == ALICE.user && self.alice.load(Ordering::Relaxed);
        is_there.then(|| nt_hash(ALICE.password))
    }

    fn number(&self, user: &str) -> Option<u32> {
        (user == ALICE.user && self.alice.load(Ordering::Relaxed)).then_some(1000)
    }

    fn are_known(&self) -> bool {
        self.whole.load(Ordering::Relaxed)
    }

    fn all(&self) -> Arc<[KnownUser]> {
        Arc::default()
    }
}

/// Her name is a stranger's when she is removed, and so is who comes under it: what she had open is not his.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_under_the_name_of_a_former_user_gets_nothing_of_hers() {
    let users = Arc::new(Changing { alice: true.into(), whole: true.into() });
    let site = site_with(|config| config.users = users.clone()).await;
    let mut alice = site.log_in(&ALICE).await;
    users.alice.store(false, Ordering::Relaxed);
    let session = alice.session.clone();
    assert_eq!(refused(&site, Logon::binding(&ALICE, &session)).await, Some(DENIED));
    let previous = session.id;
    assert_eq!(refused(&site, Logon { previous, ..Logon::new(&ALICE) }).await, None, "a guest");
    assert_eq!(log_in(&mut alice.client, Logon::again(&ALICE, &session)).await.err(), Some(DENIED));
    alice.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_becomes_a_guest_by_a_name_while_the_users_are_not_known() {
    let users = Arc::new(Changing { alice: false.into(), whole: false.into() });
    let site = site_with(|config| config.users = users.clone()).await;
    for who in [&ALICE, &MALLORY] {
        assert_eq!(refused(&site, Logon::new(who)).await, Some(NtStatus::LOGON_FAILURE));
    }
    users.whole.store(true, Ordering::Relaxed);
    assert_eq!(refused(&site, Logon::new(&MALLORY)).await, None);
}

/// Who comes back as a guest may be anybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_outlives_a_guests_connection() {
    let site = site().await;
    let named = |create_guid| CreateContext::DurableRequestV2 {
        timeout_ms: 60_000,
        flags: DurableFlags::empty(),
        create_guid,
    };
    let batch = |name: &str, context| {
        let contexts = vec![context];
        let request = CreateRequest { oplock_level: OplockLevel::BATCH, contexts, ..requests::create(name) };
        Request::Create(request)
    };
    let mut mallory = guest(&site).await;
    let mut ids = Vec::new();
    for (name, context) in [("one", CreateContext::DurableRequest), ("two", named([7; 16]))] {
        let reply = mallory.call(&batch(name, context)).await.unwrap();
        let response = CreateResponse::decode(&reply.message).unwrap();
        assert_eq!((response.oplock_level, response.contexts.len()), (OplockLevel::BATCH, 0));
        ids.push(response.file_id);
    }
    let resilient = requests::ioctl(ids[0], Fsctl::LMR_REQUEST_RESILIENCY, &[0; 8]);
    assert_eq!(mallory.status(&resilient).await, NtStatus::INVALID_DEVICE_REQUEST);
    drop(mallory);
    assert_eq!(site.emptied().await.kept_opens, 0);

    let mut alice = site.log_in(&ALICE).await;
    ids.push(alice.open(&batch("hers", CreateContext::DurableRequest)).await);
    drop(alice);
    assert_eq!(site.emptied().await.kept_opens, 1);
    let mut mallory = guest(&site).await;
    for id in ids {
        let back = batch("passed over", CreateContext::DurableReconnect(id));
        assert_eq!(mallory.status(&back).await, NtStatus::OBJECT_NAME_NOT_FOUND);
    }
    assert_eq!(site.server.status().kept_opens, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_have_limits_of_their_own_and_leave_room_for_users() {
    let site = site().await;
    let mut mallory = guest(&site).await;
    for number in 0..limits::GUEST_OPENS_MAX {
        mallory.open(&requests::open(&format!("file {}", number % 8))).await;
    }
    assert_eq!(mallory.status(&requests::open("one more")).await, NtStatus::INSUFFICIENT_RESOURCES);
    for _ in 1..limits::GUEST_TREES_MAX {
        assert!(connect(&mut mallory, "share").await.is_ok());
    }
    assert_eq!(connect(&mut mallory, IPC).await, Err(NtStatus::INSUFFICIENT_RESOURCES));
    for _ in 1..limits::ANONYMOUS_LOGONS_MAX {
        assert!(log_in(&mut mallory.client, Logon::new(&MALLORY)).await.is_ok());
    }
    let too_many = Some(NtStatus::INSUFFICIENT_RESOURCES);
    assert_eq!(log_in(&mut mallory.client, Logon::new(&MALLORY)).await.err(), too_many);

    let mut others = Vec::new();
    for _ in limits::ANONYMOUS_LOGONS_MAX..limits::GUEST_SESSIONS_PER_ADDRESS_MAX {
        others.push(guest(&site).await);
    }
    assert_eq!(refused(&site, Logon::new(&MALLORY)).await, too_many);
    site.log_in(&BOB).await.is_well().await;
    let mut leaving = others.pop().unwrap();
    assert_eq!(leaving.status(&requests::logoff()).await, NtStatus::SUCCESS);
    guest(&site).await.is_well().await;
    drop((mallory, others, leaving));
    assert_eq!(site.emptied().await.opens, 0);
}

const MACHINE: Guid = *b"alice's machine ";

/// Her ClientGuid and her lease keys go over the wire in the clear: with them he is no part of what she caches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_who_names_anothers_client_and_lease_has_a_lease_of_his_own() {
    let site = site().await;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    alice.lease(leased("file", key(1), RWH, None)).await;
    let root =
        CreateRequest { create_options: CreateOptions::DIRECTORY_FILE, ..leased("", key(2), RH, None) };
    alice.lease(root).await;
    let mut hello = offer_311();
    hello.client_guid = MACHINE;
    let mut client = site.greet(hello).await;
    client.careless = true;
    let session = client.log_in(&MALLORY).await.unwrap();
    let mut mallory = User::enter(client, session).await;
    assert_eq!(mallory.acknowledge(key(1), RH).await, NtStatus::OBJECT_NAME_NOT_FOUND);

    let opening = tokio::spawn(async move {
        let got = mallory.lease(leased("file", key(1), RWH, None)).await;
        (mallory, got)
    });
    assert_eq!(alice.told().await.expect("she keeps writes back").new_state, RH);
    assert!(!opening.is_finished());
    assert_eq!(alice.acknowledge(key(1), RH).await, NtStatus::SUCCESS);
    let (mut mallory, (file, lease)) = opening.await.unwrap();
    assert_eq!(lease.state, RH);
    assert_eq!(mallory.status(&requests::write(file, 0, b"new")).await, NtStatus::SUCCESS);
    assert!(alice.told().await.expect("her copy is old").new_state.is_empty());
    mallory.lease(leased("another", key(3), RWH, Some(key(2)))).await;
    assert!(alice.told().await.expect("so is her listing").new_state.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_gives_back_what_he_caches() {
    for opened_again in [false, true] {
        let site = site().await;
        let mut mallory = guest(&site).await;
        mallory.lease(leased("file", key(1), RWH, None)).await;
        if opened_again {
            let (again, _) = mallory.lease(leased("file", key(1), RWH, None)).await;
            assert_eq!(mallory.status(&requests::close(again)).await, NtStatus::SUCCESS);
        }
        let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
        let opening = tokio::spawn(async move { alice.lease(leased("file", key(1), RWH, None)).await });
        assert_eq!(mallory.told().await.expect("he keeps writes back").new_state, RH);
        assert!(!opening.is_finished());
        assert_eq!(mallory.acknowledge(key(1), RH).await, NtStatus::SUCCESS);
        assert_eq!(opening.await.unwrap().1.state, RH);
    }
}

/// All at a time, before any is there.
/// A walk through a tree larger than he may have open, by a client that keeps each directory for its lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_asked_for_directories_that_it_keeps_before_it_is_refused_an_open() {
    const DIRECTORIES: u32 = 2 * limits::GUEST_OPENS_MAX as u32;
    let site = site().await;
    let mut mallory = guest(&site).await;
    let key = |number: u32| LeaseKey([number.to_le_bytes(); 4].concat().try_into().unwrap());
    let (mut kept, mut most) = (BTreeMap::new(), 0);
    for number in 0..DIRECTORIES {
        let mut request = leased("", key(number), RH, None);
        request.create_options = CreateOptions::DIRECTORY_FILE;
        let (id, lease) = mallory.lease(request).await;
        assert_eq!(lease.state, RH);
        kept.insert(number, id);
        most = most.max(kept.len());
        for told in std::mem::take(&mut mallory.client.others) {
            let told = LeaseBreakNotification::decode(&told.message).unwrap();
            assert_eq!((told.current_state, told.new_state), (RH, LeaseState::empty()));
            let (oldest, id) = kept.pop_first().unwrap();
            assert_eq!(told.lease_key, key(oldest));
            assert_eq!(mallory.acknowledge(told.lease_key, told.new_state).await, NtStatus::SUCCESS);
            assert_eq!(mallory.status(&requests::close(id)).await, NtStatus::SUCCESS);
        }
    }
    let left = limits::GUEST_OPENS_MAX / limits::OPENS_LEFT_PART;
    assert!(most >= limits::GUEST_OPENS_MAX - left, "{most}: none was asked for before that was needed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_opens_no_more_side_by_side_than_one_after_the_other() {
    let volume = FaultVolume::new(MemVolume::new());
    let vfs = vfs::Vfs::new(volume.clone(), vfs::VfsConfig::default());
    let signing = |config: &mut ServerConfig| config.signing = Signing::Enabled;
    let site = Site::made(vfs, signing, |share| share.guests = true).await;
    let mut mallory = guest(&site).await;
    mallory.file("file", b"").await;
    let most = limits::GUEST_OPENS_MAX;
    while mallory.client.credits < (most + 8) as i64 {
        let mut echo = Message::of(&requests::echo()).session(mallory.session.id);
        echo.header.credits = 512;
        let guard = mallory.session.guard();
        assert_eq!(mallory.client.exchange(echo, guard).await.unwrap().status(), NtStatus::SUCCESS);
    }
    let gate = volume.gate(Op::Open);
    let mut sent = Vec::new();
    for _ in 0..most + 8 {
        sent.push(begin(&mut mallory, &requests::open("file")).await);
    }
    let mut statuses = Vec::new();
    for request in sent.split_off(most - 1) {
        statuses.push(mallory.client.reply_to(request).await.unwrap().status());
    }
    assert_eq!(statuses, [NtStatus::INSUFFICIENT_RESOURCES; 9]);
    gate.release();
    for request in sent {
        assert_eq!(mallory.client.reply_to(request).await.unwrap().status(), NtStatus::SUCCESS);
    }
}
