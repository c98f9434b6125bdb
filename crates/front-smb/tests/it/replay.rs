//! A CREATE that is sent again, because its channel died before the answer came.

use crate::durable::{MACHINE, create, durability, durable};
use crate::leases::{RH, RWH, key, leased, log_in_as, two_channels};
use crate::persistent::{answer, begin, waits};
use crate::site::{ALICE, BOB, Site, User};
use smb_raw::{Message, Reply, requests};
use smb_wire::create::context::DurableFlags;
use smb_wire::create::{
    CreateAction, CreateDisposition, CreateRequest, CreateResponse, CreateResponseContext, LeaseFlags,
    OplockLevel, ShareAccess,
};
use smb_wire::fscc::file::FileClass;
use smb_wire::oplock_break::LeaseBreakNotification;
use smb_wire::query_info::InfoType;
use smb_wire::{Command, FileId, Flags, NtStatus, Request};

const ALL: ShareAccess = ShareAccess::READ.union(ShareAccess::WRITE).union(ShareAccess::DELETE);

impl User {
    /// Sends a CREATE again.
    async fn replay(&mut self, request: CreateRequest) -> Reply {
        let mut again = Message::of(&Request::Create(request)).session(self.session.id).tree(self.tree);
        again.header.flags |= Flags::REPLAY;
        self.client.exchange(again, self.session.guard()).await.unwrap()
    }

    async fn replayed(&mut self, request: CreateRequest) -> CreateResponse {
        let reply = self.replay(request).await;
        assert_eq!(reply.status(), NtStatus::SUCCESS);
        CreateResponse::decode(&reply.message).unwrap()
    }
}

/// Alice on two channels.
async fn alice_twice(site: &Site) -> (User, User) {
    let alice = log_in_as(site, &ALICE, MACHINE).await;
    let second = two_channels(site, &alice).await;
    (alice, second)
}

#[tokio::test]
async fn a_create_sent_again_is_done_once() {
    let site = Site::new().await;
    let mut alice = site.log_in(&ALICE).await;
    let request = CreateRequest {
        create_disposition: CreateDisposition::Create,
        ..durable("file", DurableFlags::empty())
    };
    let first = create(&mut alice, request.clone()).await.unwrap();
    assert_eq!(create(&mut alice, request.clone()).await.unwrap_err(), NtStatus::DUPLICATE_OBJECTID);
    let second = alice.replayed(request.clone()).await;
    assert_eq!((second.file_id, second.create_action), (first.file_id, CreateAction::Created));
    // Once it was used its client knows of it: the same request is another open, and the file is there.
    assert_eq!(alice.status(&requests::write(first.file_id, 0, b"x")).await, NtStatus::SUCCESS);
    assert_eq!(alice.replay(request.clone()).await.status(), NtStatus::OBJECT_NAME_COLLISION);
    assert_eq!(
        create(&mut alice, request).await.unwrap_err(),
        NtStatus::DUPLICATE_OBJECTID,
        "the first has it"
    );
}

/// What follows a CREATE in its chain is answered with it: the answers to both are lost.
#[tokio::test]
async fn a_create_whose_chain_is_sent_again_is_done_once() {
    let site = Site::new().await;
    let (mut alice, mut second) = alice_twice(&site).await;
    let request = durable("file", DurableFlags::empty());
    let info = requests::query_info(FileId::RELATED, InfoType::FILE, FileClass::BASIC.0);
    let message = |request: &Request| Message::of(request).session(alice.session.id).tree(alice.tree);
    let mut chain = [message(&Request::Create(request.clone())), message(&info).related()];
    chain.iter_mut().for_each(|message| alice.client.number(message));
    alice.client.send(&chain, alice.session.guard()).await.unwrap();
    let reply = alice.client.reply_to(chain[0].header.message_id).await.unwrap();
    let first = CreateResponse::decode(&reply.message).unwrap();
    drop(alice);
    let again = second.replayed(request).await;
    assert_eq!(again.file_id, first.file_id);
}

#[tokio::test]
async fn a_create_sent_again_is_told_no_more_than_what_is_held() {
    let site = Site::new().await;
    let mut bob = site.log_in(&BOB).await;
    bob.open(&Request::Create(CreateRequest { share_access: ALL, ..requests::create("file") })).await;
    let (mut alice, mut second) = alice_twice(&site).await;
    let request = CreateRequest { share_access: ALL, ..durable("file", DurableFlags::empty()) };
    let first = create(&mut alice, request.clone()).await.unwrap();
    assert_eq!((first.oplock_level, durability(&first)), (OplockLevel::LEVEL_II, None), "bob has it open");
    drop(alice);
    let again = second.replayed(request).await;
    assert_eq!(again.file_id, first.file_id);
    assert_eq!((again.oplock_level, durability(&again)), (OplockLevel::LEVEL_II, None));
}

/// A client that knows of no such open passes over its break (MS-SMB2 3.2.5.19).
#[tokio::test]
async fn a_break_is_told_after_the_create_that_is_sent_again() {
    let site = Site::new().await;
    let batch = CreateRequest { share_access: ALL, ..durable("file", DurableFlags::empty()) };
    let mut lease = leased("file", key(1), RWH, None);
    lease.contexts.extend(batch.contexts.clone());
    for request in [batch, CreateRequest { share_access: ALL, ..lease }] {
        let (mut alice, mut second) = alice_twice(&site).await;
        let id = create(&mut alice, request.clone()).await.unwrap().file_id;
        let mut bob = site.log_in(&BOB).await;
        let opens = begin(&mut bob, &requests::open("file")).await;
        waits(&mut bob).await;
        drop(alice);
        assert!(second.next_break().await.is_some(), "and she passes over it");
        let again = second.replayed(request.clone()).await;
        assert_eq!(again.file_id, id);
        let is_break = |reply: &Reply| reply.header.command == Command::OplockBreak;
        assert!(!second.client.others.iter().any(is_break), "she does not know of it yet");
        let told = second.next_break().await.expect("she would go on caching");
        match request.oplock_level {
            OplockLevel::LEASE => {
                let told = LeaseBreakNotification::decode(&told.message).unwrap();
                let lease = again.contexts.iter().find_map(|context| match context {
                    CreateResponseContext::Lease(lease) => Some(*lease),
                    _ => None,
                });
                let lease = lease.unwrap();
                assert_eq!((lease.state, lease.flags), (RWH, LeaseFlags::empty()));
                assert_eq!((told.new_state, told.ack_required), (RH, true));
                assert!(told.new_epoch > lease.version2.unwrap().epoch, "or it is no news");
                assert_eq!(second.acknowledge(key(1), RH).await, NtStatus::SUCCESS);
            }
            _ => {
                assert_eq!(again.oplock_level, OplockLevel::BATCH);
                let level_two = requests::acknowledge(id, OplockLevel::LEVEL_II);
                assert_eq!(second.status(&level_two).await, NtStatus::SUCCESS);
            }
        }
        assert_eq!(answer(&mut bob, opens).await.status(), NtStatus::SUCCESS);
        assert_eq!(second.status(&requests::close(id)).await, NtStatus::SUCCESS);
    }
}
