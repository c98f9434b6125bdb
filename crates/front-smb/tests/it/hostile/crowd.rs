//! One user with a password who takes all that he can get: others find room.

use crate::site::{ALICE, BOB, Site, User, user};
use front_smb::PerUser;
use smb_raw::{Fault, Session, ntlm, offer, requests};
use smb_wire::NtStatus;
use smb_wire::negotiate::Dialect;
use testkit::MemVolume;
use vfs::{Limits, Vfs, VfsConfig};

const TOO_MANY: Option<Fault> = Some(Fault::Refused(NtStatus::INSUFFICIENT_RESOURCES));

/// The same user, as he may spell himself.
fn spellings() -> [ntlm::Client; 2] {
    [ALICE, user("aLiCe", ALICE.password)]
}

/// A log-in on a connection of its own.
async fn try_log_in(site: &Site, who: &ntlm::Client) -> Result<User, Fault> {
    let mut client = site.greet(offer(&[Dialect::SMB_3_1_1])).await;
    let session = client.log_in(who).await?;
    Ok(User::enter(client, session).await)
}

/// A log-in that finds room once somebody's end has been noticed.
async fn log_in_soon(site: &Site, who: &ntlm::Client) -> User {
    loop {
        match try_log_in(site, who).await {
            Ok(user) => return user,
            Err(fault) => assert_eq!(Some(fault), TOO_MANY),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_user_takes_all_opens_of_a_volume() {
    let limits = Limits { opens: 6, opens_per_account: 3, ..Limits::default() };
    let vfs = Vfs::new(MemVolume::new(), VfsConfig { limits, ..VfsConfig::default() });
    let site = Site::over(vfs, |_| {}).await;
    let [mut one, mut two] = [site.log_in(&spellings()[0]).await, site.log_in(&spellings()[1]).await];
    let first = one.open(&requests::open("1")).await;
    one.open(&requests::open("2")).await;
    two.open(&requests::open("3")).await;
    for user in [&mut one, &mut two] {
        assert_eq!(user.status(&requests::open("4")).await, NtStatus::INSUFFICIENT_RESOURCES);
    }
    site.log_in(&BOB).await.is_well().await;
    assert_eq!(one.status(&requests::close(first)).await, NtStatus::SUCCESS);
    two.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_user_has_sessions_without_end() {
    let most = 4;
    let few = PerUser { sessions: most, ..PerUser::default() };
    let site = Site::with(|config| config.per_user = few).await;
    let mut alice = site.log_in(&ALICE).await;
    let mut sessions: Vec<Session> = Vec::new();
    for who in spellings().iter().cycle().take(most - 1) {
        sessions.push(alice.client.log_in(who).await.unwrap());
    }
    assert_eq!(alice.client.log_in(&ALICE).await.err(), TOO_MANY);
    assert_eq!(try_log_in(&site, &ALICE).await.err(), TOO_MANY);
    site.log_in(&BOB).await.is_well().await;
    // A session that has ended is none, however it ended.
    let logged_off = alice.client.call(&sessions[0], 0, &requests::logoff()).await.unwrap();
    assert_eq!(logged_off.status(), NtStatus::SUCCESS);
    let other = site.log_in(&ALICE).await;
    assert_eq!(alice.client.log_in(&ALICE).await.err(), TOO_MANY);
    drop(other);
    log_in_soon(&site, &ALICE).await.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_user_takes_all_connections() {
    let few = PerUser { connections: 2, ..PerUser::default() };
    let site = Site::with(|config| config.per_user = few).await;
    let first = site.log_in(&spellings()[0]).await;
    let mut second = site.log_in(&spellings()[1]).await;
    // Further sessions on a connection that is his are none.
    second.client.log_in(&ALICE).await.unwrap();
    assert_eq!(try_log_in(&site, &ALICE).await.err(), TOO_MANY);
    let mut channel = site.greet(offer(&[Dialect::SMB_3_1_1])).await;
    assert_eq!(channel.bind(&ALICE, &second.session).await.err(), TOO_MANY);
    site.log_in(&BOB).await.is_well().await;
    drop(first);
    log_in_soon(&site, &ALICE).await.is_well().await;
}
