//! Users of a Windows domain in access lists: who they are, and who they are not.

use super::*;
use crate::durable::{GUID, create, durable, kept, reconnect};
use crate::kerberos::{domain_site, domain_ticket, log_in, tree};
use front_smb::{Group, Share};
use smb_raw::kerberos::TicketClient;
use smb_raw::{Fault, offer};
use smb_wire::create::context::DurableFlags;
use smb_wire::negotiate::Dialect;

/// `alice` of the domain, who is user 1104 there.
async fn enter(site: &Site) -> User {
    let (client, session) = log_in(site, &domain_ticket("alice")).await.unwrap();
    User::enter(client, session).await
}

fn domain_sid(number: u32) -> Sid {
    format!("S-1-5-21-1-2-3-{number}").parse().unwrap()
}

/// This server knows an `alice` too: an administrator, and in a group.
#[tokio::test]
async fn a_user_of_a_domain_is_no_user_of_this_server() {
    for local_names in [false, true] {
        let staff = Group { name: "staff".into(), members: vec!["alice".into()] };
        let number = staff.number();
        let known = |config: &mut front_smb::ServerConfig| {
            (config.administrators, config.groups) = (People::new(["alice"]), vec![staff]);
        };
        let site = domain_site(local_names, known, |_| {}).await;
        let mut local = site.log_in(&ALICE).await;
        let mut domains = enter(&site).await;
        let own = local.open(&requests::open("own")).await;
        let own_sid = local.owner_of(own).await;
        let (_, server) = own_sid.sub_authorities().split_last().unwrap();
        let staff = Sid::new(own_sid.authority(), server).unwrap().child(number).unwrap();
        let groups = local.open(&requests::open("group's")).await;
        let theirs = local.open(&requests::open("domain's")).await;
        for (file, sid) in [(own, own_sid), (groups, staff), (theirs, domain_sid(1104))] {
            let only = list(vec![allow(READ, &sid)]);
            assert_eq!(local.secures(file, SecurityInformation::DACL, &only).await, OK);
        }
        let expect = if local_names { OK } else { DENIED };
        assert_eq!(domains.opens("own", READ).await, expect);
        assert_eq!(domains.opens("group's", READ).await, expect);
        assert_eq!(domains.opens("domain's", READ).await, OK);
        assert_eq!(domains.opens("domain's", AccessMask::WRITE_OWNER).await, expect, "an administrator's");
    }
}

/// Who is written down with her realm is who comes with its ticket. The `alice` of this server's passwords is another.
#[tokio::test]
async fn who_is_meant_by_a_name_with_its_realm_comes_by_ticket() {
    for local_names in [false, true] {
        let name = "Alice@HOME.TEST";
        let known = |config: &mut front_smb::ServerConfig| config.administrators = People::new([name]);
        let site = domain_site(local_names, known, |_| {}).await;
        let mut local = site.log_in(&ALICE).await;
        local.open(&requests::open("file")).await;
        let is_refused = NtStatus::PRIVILEGE_NOT_HELD;
        assert_eq!(local.opens("file", AccessMask::ACCESS_SYSTEM_SECURITY).await, is_refused);
        let mut domains = enter(&site).await;
        assert_eq!(domains.opens("file", AccessMask::ACCESS_SYSTEM_SECURITY).await, OK, "an administrator's");

        let only = |share: &mut Share| share.users = People::new([name]);
        let site = domain_site(local_names, |_| {}, only).await;
        let (mut client, session) = log_in(&site, &domain_ticket("alice")).await.unwrap();
        assert_eq!(tree(&mut client, &session).await, OK);
        let mut client = site.greet(offer(&[Dialect::SMB_3_1_1])).await;
        let bound = client.bind(&ALICE, &session).await.map(drop);
        assert!(
            matches!(bound, Err(Fault::Refused(DENIED))),
            "a password joins no ticket's session: {bound:?}"
        );
        let mut client = site.greet(offer(&[Dialect::SMB_3_1_1])).await;
        let session = client.log_in(&ALICE).await.unwrap();
        assert_eq!(tree(&mut client, &session).await, DENIED);
    }
}

/// An open that outlives the connection is the user's of the domain, and no namesake's. Her machine and its names for opens
/// went over the wire in the clear.
#[tokio::test]
async fn an_open_that_waits_for_a_user_of_a_domain_is_not_for_a_namesake() {
    let site = domain_site(false, |_| {}, |_| {}).await;
    let mut domains = enter(&site).await;
    let id = create(&mut domains, durable("file", DurableFlags::empty())).await.unwrap().file_id;
    drop(domains);
    kept(&site, 1).await;
    let back = || reconnect(id, GUID, DurableFlags::empty());
    let mut local = site.log_in(&ALICE).await;
    assert_eq!(create(&mut local, back()).await.map(drop), Err(DENIED));
    // Another authenticator than the first one's, which nobody may show again.
    let (client, session) =
        log_in(&site, &TicketClient { clock: 1, ..domain_ticket("alice") }).await.unwrap();
    let mut domains = User::enter(client, session).await;
    assert_eq!(create(&mut domains, back()).await.map(drop), Ok(()));
}

#[tokio::test]
async fn a_group_for_denials_alone_denies_and_allows_nothing() {
    let site = domain_site(false, |_| {}, |_| {}).await;
    let (mut local, mut alice) = (site.log_in(&ALICE).await, enter(&site).await);
    let denies = domain_sid(1107);
    let all = allow(AccessMask::FILE_ALL, &Sid::authenticated_users());
    for (name, aces, expect) in [
        ("denied", vec![ace(AceType::ACCESS_DENIED, READ, &denies), all], DENIED),
        ("allowed", vec![allow(READ, &denies)], DENIED),
        ("allowed besides", vec![allow(READ, &denies), allow(READ, &domain_sid(1105))], OK),
    ] {
        let file = local.open(&requests::open(name)).await;
        assert_eq!(local.secures(file, SecurityInformation::DACL, &list(aces)).await, OK);
        assert_eq!(alice.opens(name, READ).await, expect, "{name}");
    }
}
