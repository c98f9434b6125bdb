//! What becomes a link, and a file again, stays whose it was.

use super::*;

/// What becoming a link answers, and a file again.
async fn becomes_a_link_and_a_file_again(user: &mut User, open: FileId) -> [NtStatus; 2] {
    let taken_away = [&tag::SYMLINK.to_le_bytes()[..], &[0; 4]].concat();
    let set = control(user, open, Fsctl::SET_REPARSE_POINT, &link_to("elsewhere")).await.0;
    let deleted = control(user, open, Fsctl::DELETE_REPARSE_POINT, &taken_away).await.0;
    assert_eq!(user.status(&requests::close(open)).await, OK);
    [set, deleted]
}

#[tokio::test]
async fn who_may_set_attributes_alone_makes_nothing_his_own_by_links() {
    let Two { site: _site, mut alice, mut bob, alice_sid, bob_sid, .. } = Two::new().await;
    let file = alice.file(r"dir\file", b"").await;
    let sub = alice.open(&requests::directory(r"dir\sub")).await;
    let dir = alice.open(&requests::directory("dir")).await;
    let looks = READ | AccessMask::WRITE_ATTRIBUTES;
    let aces = vec![allow(AccessMask::FILE_ALL, &alice_sid), allow(looks, &bob_sid)];
    for id in [file, sub, dir] {
        assert_eq!(alice.secures(id, SecurityInformation::DACL, &list(aces.clone())).await, OK);
        assert_eq!(alice.status(&requests::close(id)).await, OK);
    }
    let more = [AccessMask::WRITE_DATA, AccessMask::DELETE, AccessMask::WRITE_DAC, AccessMask::WRITE_OWNER];
    for name in [r"dir\file", r"dir\sub"] {
        // By a handle that may set attributes, and by none that deletes.
        let open = bob.open(&Request::Create(existing(name, AccessMask::WRITE_ATTRIBUTES))).await;
        let answers = becomes_a_link_and_a_file_again(&mut bob, open).await;
        assert_eq!(answers, [DENIED, NtStatus::NOT_A_REPARSE_POINT], "{name}");
        for right in more {
            assert_eq!(bob.opens(name, right).await, DENIED, "{name}: {right:?}");
        }
        assert_eq!(alice.opens(name, AccessMask::FILE_ALL).await, OK, "{name}");
    }
}

#[tokio::test]
async fn what_becomes_a_link_and_a_file_again_is_made_by_who_does_it() {
    let Two { site: _site, mut alice, mut bob, alice_sid, bob_sid, .. } = Two::new().await;
    let dir = alice.open(&requests::directory("dir")).await;
    let adds = READ | AccessMask::WRITE_DATA;
    let of_its_creator = AceFlags::INHERIT_ONLY | INHERITED_BY_ALL;
    let aces = vec![
        Ace { flags: INHERITED_BY_ALL, ..allow(AccessMask::FILE_ALL, &alice_sid) },
        allow(adds, &bob_sid),
        Ace { flags: of_its_creator, ..allow(AccessMask::FILE_ALL, &Sid::creator_owner()) },
    ];
    assert_eq!(alice.secures(dir, SecurityInformation::DACL, &list(aces)).await, OK);
    // His own he may delete, and make anew.
    let open = bob.open(&Request::Create(itself(r"dir\his"))).await;
    assert_eq!(becomes_a_link_and_a_file_again(&mut bob, open).await, [OK, OK]);
    let file = bob.open(&Request::Create(existing(r"dir\his", AccessMask::FILE_ALL))).await;
    assert_eq!(bob.owner_of(file).await, bob_sid);
    assert_eq!(alice.opens(r"dir\his", AccessMask::FILE_ALL).await, OK, "by what the directory passes on");
    assert_eq!(bob.status(&requests::close(file)).await, OK);
    // What she made he may not.
    let file = alice.file(r"dir\hers", b"").await;
    let hers =
        list(vec![allow(AccessMask::FILE_ALL, &alice_sid), allow(AccessMask::WRITE_ATTRIBUTES, &bob_sid)]);
    assert_eq!(alice.secures(file, SecurityInformation::DACL, &hers).await, OK);
    assert_eq!(alice.status(&requests::close(file)).await, OK);
    let open = bob.open(&Request::Create(existing(r"dir\hers", AccessMask::WRITE_ATTRIBUTES))).await;
    assert_eq!(becomes_a_link_and_a_file_again(&mut bob, open).await[0], DENIED);
    // Nor his own once he may add nothing.
    let his = bob.open(&Request::Create(existing(r"dir\his", AccessMask::FILE_ALL))).await;
    let aces = vec![allow(AccessMask::FILE_ALL, &alice_sid), allow(READ, &bob_sid)];
    assert_eq!(alice.secures(dir, SecurityInformation::DACL, &list(aces)).await, OK);
    assert_eq!(becomes_a_link_and_a_file_again(&mut bob, his).await[0], DENIED);
}
