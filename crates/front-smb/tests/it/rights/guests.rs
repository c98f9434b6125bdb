//! A guest beside the users of a share.

use super::*;
use crate::leases::leased;
use crate::site::user;
use front_smb::Signing;
use smb_raw::{Guard, Message};
use smb_wire::create::lease::{LeaseKey, LeaseState};

/// A share that admits guests, a user's session and a guest's.
async fn site() -> (Site, User, User) {
    let vfs = vfs::Vfs::new(MemVolume::new(), vfs::VfsConfig::default());
    let signing = |config: &mut front_smb::ServerConfig| config.signing = Signing::Enabled;
    let site = Site::made(vfs, signing, |share| share.guests = true).await;
    let (alice, stranger) = (site.log_in(&ALICE).await, site.log_in_stranger(&user("stranger", "")).await);
    (site, alice, stranger)
}

#[tokio::test]
async fn a_guest_works_with_what_has_no_descriptor_like_everybody() {
    let (site, mut alice, mut stranger) = site().await;
    let file = stranger.file("file", b"content").await;
    assert_eq!(stranger.content(file).await, b"content");
    assert_eq!(stranger.opens("file", AccessMask::FILE_ALL).await, OK);
    assert_eq!(alice.opens("file", READ).await, OK);
    // A message that is too long of who may not open files.
    let large = requests::write(file, 0, &[7; 1 << 20]);
    let mut message = Message::of(&large).session(stranger.session.id).tree(stranger.tree);
    message.header.credit_charge = 16;
    assert_eq!(stranger.client.exchange(message, Guard::Plain).await.unwrap().status(), OK);
    let mut nobody = site.log_in_stranger(&smb_raw::ntlm::NOBODY).await;
    assert_eq!(nobody.opens("file", AccessMask::FILE_ALL).await, OK, "a guest too");
}

#[tokio::test]
async fn what_a_guest_makes_is_the_guests_and_lists_count_for_him() {
    let (_site, mut alice, mut stranger) = site().await;
    let of_alice = alice.sid().await;
    let (_, domain) = of_alice.sub_authorities().split_last().unwrap();
    let guest = Sid::new(of_alice.authority(), domain).unwrap().child(501).unwrap();
    alice.open(&requests::directory("dir")).await;
    let dir = alice.open(&requests::directory("dir")).await;
    let all = |sid| Ace { flags: INHERITED_BY_ALL, ..allow(AccessMask::FILE_ALL, sid) };
    assert_eq!(alice.secures(dir, SecurityInformation::DACL, &list(vec![all(&Sid::everyone())])).await, OK);
    let made = stranger.file(r"dir\made", b"").await;
    let parts = SecurityInformation::OWNER | SecurityInformation::GROUP;
    let told = alice.open(&requests::open(r"dir\made")).await;
    for (who, id) in [(&mut stranger, made), (&mut alice, told)] {
        let descriptor = who.reads_security(id, parts).await.unwrap();
        assert_eq!((descriptor.owner.as_ref(), descriptor.group), (Some(&guest), Some(Sid::guests())));
    }

    let file = alice.file(r"dir\hers", b"").await;
    for (sid, expect) in [
        (Sid::everyone(), OK),
        (Sid::guests(), OK),
        (guest, OK),
        (Sid::network(), OK),
        (Sid::authenticated_users(), DENIED),
        (Sid::users(), DENIED),
        (Sid::anonymous(), DENIED),
        (of_alice.clone(), DENIED),
    ] {
        let aces = vec![allow(AccessMask::FILE_ALL, &of_alice), allow(WRITE, &sid)];
        assert_eq!(alice.secures(file, SecurityInformation::DACL, &list(aces)).await, OK);
        assert_eq!(stranger.opens(r"dir\hers", WRITE).await, expect, "{sid}");
    }
    assert_eq!(stranger.opens(r"dir\hers", AccessMask::WRITE_OWNER).await, DENIED);
}

#[tokio::test]
async fn a_share_that_is_read_only_is_for_guests_too() {
    let vfs = vfs::Vfs::new(MemVolume::new(), vfs::VfsConfig::default());
    let signing = |config: &mut front_smb::ServerConfig| config.signing = Signing::Enabled;
    let site = Site::made(vfs, signing, |share| (share.guests, share.read_only) = (true, true)).await;
    let mut stranger = site.log_in_stranger(&user("stranger", "")).await;
    assert_eq!(stranger.status(&requests::open("file")).await, DENIED);
    assert_eq!(stranger.opens("", READ).await, OK);
}

#[tokio::test]
async fn a_guest_gives_back_what_he_caches() {
    let (_site, mut alice, mut stranger) = site().await;
    let (key, caching) = (LeaseKey([1; 16]), LeaseState::READ_CACHING | LeaseState::WRITE_CACHING);
    stranger.lease(leased("file", key, caching, None)).await;
    let second = tokio::spawn(async move { alice.opens("file", READ).await });
    assert_eq!(stranger.told().await.expect("he keeps writes back").new_state, LeaseState::READ_CACHING);
    assert_eq!(stranger.acknowledge(key, LeaseState::READ_CACHING).await, OK);
    assert_eq!(second.await.unwrap(), OK);
}
