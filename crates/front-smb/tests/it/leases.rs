//! What clients cache under leases, and who takes it from them.

use crate::site::{ALICE, BOB, Site, User};
use front_smb::limits;
use smb_raw::{Fault, Message, Reply, offer, requests};
use smb_wire::create::context::CreateContext;
use smb_wire::create::lease::{LeaseContext, LeaseFlags, LeaseKey, LeaseState, LeaseVersion2};
use smb_wire::create::{CreateOptions, CreateRequest, CreateResponse, CreateResponseContext, OplockLevel};
use smb_wire::ids::Guid;
use smb_wire::negotiate::Dialect;
use smb_wire::oplock_break::{BreakAcknowledgement, LeaseBreak, LeaseBreakNotification};
use smb_wire::query_info::InfoType;
use smb_wire::{Command, FileId, NtStatus, Request};
use std::time::{Duration, Instant};

const NONE: LeaseState = LeaseState::empty();
pub const R: LeaseState = LeaseState::READ_CACHING;
pub const RH: LeaseState = LeaseState::READ_CACHING.union(LeaseState::HANDLE_CACHING);
pub const RWH: LeaseState = RH.union(LeaseState::WRITE_CACHING);

pub fn key(number: u8) -> LeaseKey {
    LeaseKey([number; 16])
}

/// A CREATE that asks for a lease of the second form, its epoch at zero.
pub fn leased(name: &str, lease: LeaseKey, state: LeaseState, parent: Option<LeaseKey>) -> CreateRequest {
    let mut flags = LeaseFlags::empty();
    flags.set(LeaseFlags::PARENT_LEASE_KEY_SET, parent.is_some());
    let version2 = Some(LeaseVersion2 { parent_key: parent.unwrap_or_default(), epoch: 0 });
    CreateRequest {
        oplock_level: OplockLevel::LEASE,
        contexts: vec![CreateContext::Lease(LeaseContext { key: lease, state, flags, version2 })],
        ..requests::create(name)
    }
}

/// What a CREATE was answered: the open, and the lease.
pub fn granted(reply: &Reply) -> (FileId, LeaseContext) {
    assert_eq!(reply.status(), NtStatus::SUCCESS);
    let response = CreateResponse::decode(&reply.message).unwrap();
    let lease = response.contexts.iter().find_map(|context| match context {
        CreateResponseContext::Lease(lease) => Some(*lease),
        _ => None,
    });
    assert_eq!(response.oplock_level, OplockLevel::LEASE);
    (response.file_id, lease.expect("a lease was asked for"))
}

impl User {
    pub async fn lease(&mut self, request: CreateRequest) -> (FileId, LeaseContext) {
        granted(&self.call(&Request::Create(request)).await.unwrap())
    }

    /// The next break of a lease that this connection is told of, within a moment.
    pub async fn told(&mut self) -> Option<LeaseBreakNotification> {
        self.next_break().await.map(|reply| LeaseBreakNotification::decode(&reply.message).unwrap())
    }

    /// The same of an oplock.
    pub async fn broken(&mut self) -> Option<BreakAcknowledgement> {
        // One layout.
        self.next_break().await.map(|reply| BreakAcknowledgement::decode(&reply.message).unwrap())
    }

    pub async fn next_break(&mut self) -> Option<Reply> {
        let is_it = |reply: &Reply| reply.header.command == Command::OplockBreak;
        let wait = async {
            loop {
                if let Some(at) = self.client.others.iter().position(is_it) {
                    return self.client.others.remove(at);
                }
                match self.client.replies().await {
                    Ok(replies) => self.client.others.extend(replies),
                    Err(Fault::Gone) => return None,
                    Err(fault) => panic!("{fault:?}"),
                }
            }
        };
        tokio::time::timeout(Duration::from_millis(500), wait).await.ok().flatten()
    }

    pub async fn acknowledge(&mut self, lease_key: LeaseKey, state: LeaseState) -> NtStatus {
        let answer = BreakAcknowledgement::Lease(LeaseBreak { lease_key, state });
        self.status(&Request::OplockBreak(answer)).await
    }
}

/// Alice's and Bob's machines are two clients.
async fn two(site: &Site) -> (User, User) {
    (log_in_as(site, &ALICE, *b"alice's machine ").await, log_in_as(site, &BOB, *b"bob's machine   ").await)
}

pub async fn log_in_as(site: &Site, who: &smb_raw::ntlm::Client, client_guid: Guid) -> User {
    let mut hello = offer(&[Dialect::SMB_3_1_1]);
    hello.client_guid = client_guid;
    site.log_in_by(who, hello).await
}

/// A ClientGuid goes over the wire in the clear: naming another's makes nobody that client.
#[tokio::test]
async fn who_names_anothers_client_guid_hears_nothing_and_answers_for_nobody() {
    let site = Site::new().await;
    let mut spy = log_in_as(&site, &BOB, *b"alice's machine ").await;
    let (mut alice, mut bob) = two(&site).await;
    alice.lease(leased("file", key(1), RWH, None)).await;
    let second = tokio::spawn(async move { bob.lease(leased("file", key(2), RWH, None)).await });
    assert_eq!(spy.told().await, None);
    assert_eq!(spy.acknowledge(key(1), NONE).await, NtStatus::OBJECT_NAME_NOT_FOUND);
    assert!(!second.is_finished());
    assert_eq!(alice.told().await.expect("alice keeps writes back").new_state, RH);
    assert_eq!(alice.acknowledge(key(1), RH).await, NtStatus::SUCCESS);
    second.await.unwrap();
}

#[tokio::test]
async fn a_second_client_waits_until_writes_are_back_and_both_keep_reading() {
    let site = Site::new().await;
    let (mut alice, mut bob) = two(&site).await;
    let (_, lease) = alice.lease(leased("file", key(1), RWH, None)).await;
    assert_eq!((lease.state, lease.version2.unwrap().epoch), (RWH, 1));

    let second = tokio::spawn(async move {
        let got = bob.lease(leased("file", key(2), RWH, None)).await;
        (bob, got)
    });
    let told = alice.told().await.expect("alice keeps writes back");
    assert_eq!((told.current_state, told.new_state, told.ack_required, told.new_epoch), (RWH, RH, true, 2));
    assert!(!second.is_finished());
    // Her own opens go on meanwhile, and hear that a break is under way.
    let (again, lease) = alice.lease(leased("file", key(1), RWH, None)).await;
    assert_eq!((lease.state, lease.flags), (RWH, LeaseFlags::BREAK_IN_PROGRESS));
    assert_eq!(alice.status(&requests::close(again)).await, NtStatus::SUCCESS);
    assert_eq!(alice.acknowledge(key(1), RWH).await, NtStatus::REQUEST_NOT_ACCEPTED);
    assert_eq!(alice.acknowledge(key(1), RH).await, NtStatus::SUCCESS);
    assert_eq!(alice.acknowledge(key(1), RH).await, NtStatus::UNSUCCESSFUL);
    let (mut bob, (id, lease)) = second.await.unwrap();
    assert_eq!(lease.state, RH);

    // Bob writes: Alice's copy is old, Bob's own is not.
    assert_eq!(bob.status(&requests::write(id, 0, b"new")).await, NtStatus::SUCCESS);
    assert_eq!(alice.told().await.unwrap().new_state, NONE);
    assert_eq!(bob.told().await, None);
    assert_eq!(
        bob.acknowledge(key(1), NONE).await,
        NtStatus::OBJECT_NAME_NOT_FOUND,
        "alice's lease is not his"
    );
}

#[tokio::test]
async fn a_lease_is_of_one_file_and_ends_with_its_last_open() {
    let site = Site::new().await;
    let mut alice = site.log_in(&ALICE).await;
    let (first, _) = alice.lease(leased("file", key(1), RH, None)).await;
    let (second, lease) = alice.lease(leased("file", key(1), R, None)).await;
    assert_eq!(lease.state, RH, "it does not shrink");
    assert_eq!(
        alice.status(&Request::Create(leased("other", key(1), R, None))).await,
        NtStatus::INVALID_PARAMETER
    );
    for id in [first, second] {
        assert_eq!(alice.status(&requests::close(id)).await, NtStatus::SUCCESS);
    }
    let (_, lease) = alice.lease(leased("other", key(1), R, None)).await;
    assert_eq!((lease.state, lease.version2.unwrap().epoch), (R, 1));
}

#[tokio::test]
async fn a_connection_whose_dialect_has_no_leases_is_told_of_none() {
    let site = Site::new().await;
    let mut old = offer(&[Dialect::SMB_2_0_2]);
    old.client_guid = *b"alice's machine ";
    let mut oldest = site.log_in_by(&ALICE, old).await;
    let (mut alice, mut bob) = two(&site).await;
    alice.lease(leased("file", key(1), R, None)).await;
    let file = bob.open(&requests::open("file")).await;
    assert_eq!(bob.status(&requests::write(file, 0, b"new")).await, NtStatus::SUCCESS);
    assert_eq!(alice.told().await.expect("her copy is old").new_state, NONE);
    assert_eq!(oldest.told().await, None);
}

/// A further channel of Alice's.
pub async fn two_channels(site: &Site, alice: &User) -> User {
    let mut hello = offer(&[Dialect::SMB_3_1_1]);
    hello.client_guid = *b"alice's machine ";
    let mut second = site.greet(hello).await;
    let session = second.bind(&ALICE, &alice.session).await.unwrap();
    User { client: second, session, tree: alice.tree }
}

#[tokio::test]
async fn a_break_reaches_another_channel_when_the_first_is_gone() {
    let site = Site::new().await;
    let (mut alice, mut bob) = two(&site).await;
    let mut second = two_channels(&site, &alice).await;
    alice.lease(leased("file", key(1), RWH, None)).await;

    // Told on the first channel, and not answered there: it dies.
    let opens = tokio::spawn(async move { bob.lease(leased("file", key(2), R, None)).await });
    assert_eq!(alice.told().await.unwrap().new_state, RH);
    drop(alice);
    let again = second.told().await.expect("told again on the channel that is left");
    assert_eq!((again.new_state, again.ack_required), (RH, true));
    assert_eq!(second.acknowledge(key(1), RH).await, NtStatus::SUCCESS);
    assert_eq!(opens.await.unwrap().1.state, R);
}

/// The same where nothing is to be answered, and so nothing tells that it was heard.
#[tokio::test]
async fn a_break_that_is_not_answered_reaches_another_channel_too() {
    let site = Site::new().await;
    for (name, leases) in [("leased", true), ("oplocked", false)] {
        let (mut alice, mut bob) = two(&site).await;
        let mut second = two_channels(&site, &alice).await;
        let level = OplockLevel::LEVEL_II;
        match leases {
            true => drop(alice.lease(leased(name, key(1), R, None)).await),
            false => drop(
                alice
                    .open(&Request::Create(CreateRequest { oplock_level: level, ..requests::create(name) }))
                    .await,
            ),
        }
        let file = bob.open(&requests::open(name)).await;
        assert_eq!(bob.status(&requests::write(file, 0, b"new")).await, NtStatus::SUCCESS);
        assert!(second.client.others.is_empty(), "{name}: it went by the other channel");
        drop(alice);
        match leases {
            true => {
                let again = second.told().await.expect("told again");
                assert_eq!((again.new_state, again.ack_required), (NONE, false));
            }
            false => assert!(second.broken().await.is_some(), "told again"),
        }
    }
}

#[tokio::test]
async fn a_break_that_has_arrived_and_is_not_to_be_answered_is_told_once() {
    let site = Site::new().await;
    let (mut alice, mut bob) = two(&site).await;
    let mut second = two_channels(&site, &alice).await;
    alice.lease(leased("file", key(1), R, None)).await;
    let file = bob.open(&requests::open("file")).await;
    assert_eq!(bob.status(&requests::write(file, 0, b"new")).await, NtStatus::SUCCESS);
    tokio::time::sleep(limits::BREAK_DELIVERY + Duration::from_millis(300)).await;
    drop(alice);
    assert_eq!(second.told().await, None);
}

#[tokio::test]
async fn a_listing_is_cached_until_somebody_else_changes_the_directory() {
    let site = Site::new().await;
    let (mut alice, mut bob) = two(&site).await;
    let directory = |parent| CreateRequest {
        create_options: CreateOptions::DIRECTORY_FILE,
        ..leased("dir", key(9), RWH, parent)
    };
    let (_, lease) = alice.lease(directory(None)).await;
    assert_eq!(lease.state, RH, "nobody keeps back what he writes into a directory");
    // What says that it comes from the holder of the lease is no news to it.
    alice.lease(leased(r"dir\own", key(1), R, Some(key(9)))).await;
    assert_eq!(alice.told().await, None);
    let foreign = bob.open(&requests::open(r"dir\foreign")).await;
    let told = alice.told().await.unwrap();
    assert_eq!((told.lease_key, told.new_state, told.ack_required), (key(9), NONE, true));
    assert_eq!(bob.status(&requests::close(foreign)).await, NtStatus::SUCCESS, "and was not waited for");
    assert_eq!(alice.acknowledge(key(9), NONE).await, NtStatus::SUCCESS);
}

/// Linux passes over a break of a directory that it has not ready yet. Several rounds: one may be slow by itself.
#[tokio::test]
async fn a_break_of_a_directory_leaves_its_client_time_to_have_it_ready() {
    let site = Site::new().await;
    let (mut alice, mut bob) = two(&site).await;
    for number in 0..10 {
        let directory = leased("dir", key(9), RH, None);
        let directory = CreateRequest { create_options: CreateOptions::DIRECTORY_FILE, ..directory };
        let asked = Instant::now();
        let (open, lease) = alice.lease(directory).await;
        assert_eq!(lease.state, RH);
        bob.open(&requests::open(&format!(r"dir\{number}"))).await;
        assert_eq!(alice.told().await.expect("her listing is old").lease_key, key(9));
        assert!(asked.elapsed() >= limits::BREAK_AFTER_DIRECTORY, "{:?}", asked.elapsed());
        assert_eq!(alice.acknowledge(key(9), NONE).await, NtStatus::SUCCESS);
        assert_eq!(alice.status(&requests::close(open)).await, NtStatus::SUCCESS);
    }
}

/// The key that an open names as its parent's counts where its user has that lease, and nowhere else.
#[tokio::test]
async fn a_listing_hears_of_changes_whose_client_only_names_its_key() {
    let site = Site::new().await;
    let (mut alice, mut bob) = two(&site).await;
    // By alice's ClientGuid, from a connection of his own.
    let mut spy = log_in_as(&site, &BOB, *b"alice's machine ").await;
    let directory = || CreateRequest {
        create_options: CreateOptions::DIRECTORY_FILE,
        ..leased("dir", key(9), RWH, None)
    };
    let mut alices = alice.lease(directory()).await.0;
    assert_eq!(alice.status(&requests::close(alices)).await, NtStatus::SUCCESS);
    let (early, _) = spy.lease(leased(r"dir\early", key(4), R, Some(key(9)))).await;
    alices = alice.lease(directory()).await.0;
    for (number, other) in [&mut bob, &mut spy].into_iter().enumerate() {
        let name = format!(r"dir\{number}");
        let (_, lease) = other.lease(leased(&name, key(5), R, Some(key(9)))).await;
        let echoed = lease.version2.map(|version2| version2.parent_key);
        assert_eq!(echoed, Some(key(9)), "that it is not believed nobody is told");
        assert_eq!(alice.told().await.expect("her listing is old").lease_key, key(9));
        assert_eq!(alice.acknowledge(key(9), NONE).await, NtStatus::SUCCESS);
        assert_eq!(alice.status(&requests::close(alices)).await, NtStatus::SUCCESS);
        alices = alice.lease(directory()).await.0;
    }
    // By the key alone, as Windows has it, but only from herself.
    let mut elsewhere = log_in_as(&site, &ALICE, *b"another machine ").await;
    elsewhere.lease(leased(r"dir\hers", key(6), R, Some(key(9)))).await;
    assert_eq!(alice.told().await, None);
    // Named before anybody had it, it counts for nothing.
    assert_eq!(spy.status(&requests::write(early, 0, b"new")).await, NtStatus::SUCCESS);
    assert_eq!(spy.status(&requests::close(early)).await, NtStatus::SUCCESS);
    assert_eq!(alice.told().await.expect("her listing is old").lease_key, key(9));
}

#[tokio::test]
async fn an_oplock_and_a_lease_stand_beside_each_other_only_for_reading() {
    let site = Site::new().await;
    let (mut alice, mut bob) = two(&site).await;
    alice.lease(leased("file", key(1), RH, None)).await;
    let oplock = CreateRequest { oplock_level: OplockLevel::LEVEL_II, ..requests::create("file") };
    let reply = bob.call(&Request::Create(oplock.clone())).await.unwrap();
    let level = CreateResponse::decode(&reply.message).unwrap().oplock_level;
    assert_eq!(level, OplockLevel::NONE, "a lease keeps the handle");
    let other = CreateRequest { name: "other".into(), ..oplock };
    let reply = bob.call(&Request::Create(other)).await.unwrap();
    assert_eq!(CreateResponse::decode(&reply.message).unwrap().oplock_level, OplockLevel::LEVEL_II);
    let (_, lease) = alice.lease(leased("other", key(2), RWH, None)).await;
    assert_eq!(lease.state, R);
}

/// FileRenameInformation.
pub fn renaming(id: FileId, name: &str) -> Request {
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut data = vec![0; 16];
    data.extend((name.len() as u32).to_le_bytes());
    data.extend(name);
    data.resize(data.len().max(24), 0);
    requests::set_info(id, InfoType::FILE, 10, &data)
}

#[tokio::test]
async fn a_rename_waits_for_kept_handles_and_its_client_is_told_the_end_alone() {
    let site = Site::new().await;
    for (to, held) in [("file", key(1)), ("moved", key(2))] {
        let (mut alice, mut bob) = two(&site).await;
        alice.lease(leased("file", held, RH, None)).await;
        let file = bob.open(&requests::open("file")).await;
        let rename = tokio::spawn(async move {
            let status = bob.status(&renaming(file, to)).await;
            (bob, status)
        });
        let told = alice.told().await.expect("alice keeps a handle");
        assert_eq!((told.current_state, told.new_state, told.ack_required), (RH, R, true), "{to}");
        tokio::time::sleep(limits::INTERIM_AFTER + Duration::from_millis(100)).await;
        assert!(!rename.is_finished());
        assert_eq!(alice.acknowledge(held, R).await, NtStatus::SUCCESS);
        let (bob, status) = rename.await.unwrap();
        assert_eq!(status, NtStatus::SUCCESS, "{to}");
        assert!(bob.client.others.is_empty(), "no interim response: {:?}", bob.client.others);
    }
}

/// Nothing has happened while an open waits for another client: CANCEL ends it (MS-SMB2 3.3.5.16).
#[tokio::test]
async fn an_open_that_waits_for_a_break_is_given_up_by_cancel() {
    let site = Site::new().await;
    let (mut alice, mut bob) = (site.log_in(&ALICE).await, site.log_in(&BOB).await);
    alice.lease(leased("file", key(1), RWH, None)).await;
    for by_async_id in [false, true] {
        let open = Message::of(&requests::open("file")).session(bob.session.id);
        let mut open = open.tree(bob.tree);
        bob.client.number(&mut open);
        bob.client.send(std::slice::from_ref(&open), bob.session.guard()).await.unwrap();
        let interim = bob.client.replies().await.unwrap().remove(0);
        assert_eq!(interim.status(), NtStatus::PENDING);
        let mut cancel = Message::new(Command::Cancel, vec![4, 0, 0, 0]).session(bob.session.id);
        cancel.header.message_id = open.header.message_id;
        cancel.header.async_id = interim.header.async_id.filter(|_| by_async_id);
        bob.client.send(&[cancel], bob.session.guard()).await.unwrap();
        let answer = bob.client.reply_to(open.header.message_id).await.unwrap();
        assert_eq!(answer.status(), NtStatus::CANCELLED);
        assert_eq!(site.server.status().opens, 1);
    }
    // The break stands: the lease has what its client gives back.
    assert_eq!(alice.told().await.expect("she keeps writes back").new_state, RH);
    assert_eq!(alice.acknowledge(key(1), RH).await, NtStatus::SUCCESS);
    bob.open(&requests::open("file")).await;
}
