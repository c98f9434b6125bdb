//! Groups of the operator in access lists.

use super::*;
use front_smb::Group;

fn staff(members: &[&str]) -> Vec<Group> {
    vec![Group { name: "staff".into(), members: members.iter().map(|name| (*name).into()).collect() }]
}

#[tokio::test]
async fn a_list_may_name_a_group_and_means_its_members() {
    let vfs = vfs::Vfs::new(MemVolume::new(), vfs::VfsConfig::default());
    let site = Site::over(vfs, |config| config.groups = staff(&["BOB"])).await;
    let (mut alice, mut bob) = (site.log_in(&ALICE).await, site.log_in(&BOB).await);
    let user = alice.sid().await;
    let (_, domain) = user.sub_authorities().split_last().unwrap();
    let domain = Sid::new(user.authority(), domain).unwrap();
    let staff_sid = domain.child(staff(&[])[0].number()).unwrap();
    let file = alice.file("file", b"content").await;
    assert_eq!(
        alice.secures(file, SecurityInformation::DACL, &list(vec![allow(READ, &staff_sid)])).await,
        OK
    );
    assert_eq!(bob.opens("file", READ).await, OK);
    assert_eq!(bob.opens("file", WRITE).await, DENIED);
    assert_eq!(alice.opens("file", READ).await, DENIED, "she is no member");

    site.server.set_groups(staff(&["alice"]));
    assert_eq!(bob.opens("file", READ).await, OK, "his session goes on as it began");
    assert_eq!(site.log_in(&BOB).await.opens("file", READ).await, DENIED);
    assert_eq!(site.log_in(&ALICE).await.opens("file", READ).await, OK);
}
