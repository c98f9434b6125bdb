//! A CREATE that is sent again, because its channel died before the answer came.

use crate::durable::{MACHINE, create, durability, durable};
use crate::leases::{log_in_as, two_channels};
use crate::site::{ALICE, BOB, Site, User};
use smb_raw::{Message, Reply, requests};
use smb_wire::create::context::DurableFlags;
use smb_wire::create::{
    CreateAction, CreateDisposition, CreateRequest, CreateResponse, OplockLevel, ShareAccess,
};
use smb_wire::{Flags, NtStatus, Request};

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
    assert_eq!(alice.replay(request).await.status(), NtStatus::OBJECT_NAME_COLLISION);
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
