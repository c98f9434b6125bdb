//! Which durable opens are kept, and through which share they are given back.

use crate::durable::{GUID, MACHINE, create, durable, kept, reconnect};
use crate::leases::log_in_as;
use crate::site::{ALICE, BOB, Site};
use front_smb::Share;
use smb_raw::{Message, requests};
use smb_wire::create::context::{CreateContext, DurableFlags};
use smb_wire::{FileId, NtStatus, Request};
use std::time::Duration;
use testkit::{FaultVolume, MemVolume, Op, ease};

/// Its client knows no id to come back by, and no break would find it.
#[tokio::test]
async fn an_open_whose_client_was_never_told_of_it_is_not_kept() {
    let volume = FaultVolume::new(MemVolume::new());
    let site = Site::over(vfs::Vfs::new(volume.clone(), vfs::VfsConfig::default()), |_| {}).await;
    let mut bob = site.log_in(&BOB).await;
    let id = bob.file("file", b"content").await;
    assert_eq!(bob.status(&requests::close(id)).await, NtStatus::SUCCESS);
    let unknown = FileId { persistent: u64::MAX, volatile: u64::MAX };
    for first_form in [true, false] {
        let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
        let mut request = durable("file", DurableFlags::empty());
        if first_form {
            request.contexts = vec![CreateContext::DurableRequest];
        }
        let message = |request: &Request| Message::of(request).session(alice.session.id).tree(alice.tree);
        let mut chain =
            [message(&Request::Create(request)), message(&requests::read(unknown, 0, 7)).related()];
        chain.iter_mut().for_each(|message| alice.client.number(message));
        let gate = volume.gate(Op::Read);
        alice.client.send(&chain, alice.session.guard()).await.unwrap();
        gate.arrived(1).await;
        drop(alice);
        ease::within(Duration::from_secs(10), "what is left of alice", async {
            while site.server.status().sessions > 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        gate.release();
        assert_eq!(site.server.status().kept_opens, 0);
        let open = requests::open("file");
        let opens = bob.open(&open);
        let id = ease::within(Duration::from_secs(5), "what alice has left behind", opens).await;
        assert_eq!(bob.status(&requests::close(id)).await, NtStatus::SUCCESS);
    }
}

/// By that name everything in it is another's.
#[tokio::test]
async fn an_open_of_one_volume_is_not_taken_up_through_a_share_of_another() {
    let site = Site::new().await;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    let id = create(&mut alice, durable("file", DurableFlags::empty())).await.unwrap().file_id;
    drop(alice);
    kept(&site, 1).await;
    let other = vfs::Vfs::new(MemVolume::new(), vfs::VfsConfig::default());
    site.server.set_shares(vec![Share::new("share", other)]);
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    let back = create(&mut alice, reconnect(id, GUID, DurableFlags::empty())).await;
    assert_eq!(back.unwrap_err(), NtStatus::OBJECT_NAME_NOT_FOUND);
}
