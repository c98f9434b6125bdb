//! Nobody, where anonymous log-in is switched on (MS-NLMP 3.2.5.1.2, MS-SMB2 3.3.5.5.3): what an anonymous session must
//! not reach, and that it is no way to anything of a user's.

use crate::site::{ALICE, BOB, Site, User};
use front_smb::{Encryption, limits};
use smb_raw::ntlm::{self, NOBODY};
use smb_raw::{Client, Fault, Guard, Logon, Message, Proof, Reply, Session, offer, requests};
use smb_wire::create::{CreateRequest, CreateResponse};
use smb_wire::fscc::file::FileClass;
use smb_wire::negotiate::{Dialect, NegotiateRequest};
use smb_wire::query_info::InfoType;
use smb_wire::session_setup::{SessionFlags, SessionSetupResponse};
use smb_wire::{AccessMask, FileId, NtStatus, Request};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(super) const IPC: &str = "IPC$";

async fn open_site() -> Site {
    Site::with(|config| config.anonymous = true).await
}

pub(super) fn offer_311() -> NegotiateRequest {
    offer(&[Dialect::SMB_3_1_1])
}

/// A log-in of whomever; the server need not prove anything.
pub(super) async fn log_in(
    client: &mut Client<TcpStream>,
    mut logon: Logon<'_>,
) -> Result<Session, NtStatus> {
    client.careless = true;
    let outcome = match client.challenge(&mut logon).await {
        Ok(challenge) => client.answer(logon, &challenge).await,
        Err(fault) => Err(fault),
    };
    outcome.map_err(|fault| match fault {
        Fault::Refused(status) => status,
        fault => panic!("{fault:?}"),
    })
}

/// Nobody, on a connection of his own.
async fn nobody(site: &Site) -> User {
    nobody_by(site, offer_311()).await
}

pub(super) async fn nobody_by(site: &Site, offer: NegotiateRequest) -> User {
    let mut client = site.greet(offer).await;
    let session = log_in(&mut client, Logon::new(&NOBODY)).await.unwrap();
    client.knows(&session);
    let mut user = User { client, session, tree: 0 };
    user.tree = connect(&mut user, IPC).await.unwrap();
    user
}

pub(super) async fn connect(user: &mut User, share: &str) -> Result<u32, NtStatus> {
    let reply = user.client.call(&user.session, 0, &requests::tree_connect(share)).await.unwrap();
    if reply.status().is_success() { Ok(reply.header.tree_id) } else { Err(reply.status()) }
}

/// An open of a pipe, in a tree connect of `IPC$`.
pub(super) async fn pipe(user: &mut User, tree: u32, name: &str) -> Result<FileId, NtStatus> {
    let access = AccessMask::READ_DATA | AccessMask::WRITE_DATA;
    let request = Request::Create(CreateRequest { desired_access: access, ..requests::create(name) });
    let reply = user.client.call(&user.session, tree, &request).await.unwrap();
    match reply.status() {
        NtStatus::SUCCESS => Ok(CreateResponse::decode(&reply.message).unwrap().file_id),
        status => Err(status),
    }
}

/// A new name for an open file, as FileRenameInformation and FileLinkInformation have it.
fn new_name(file: FileId, class: FileClass, name: &str) -> Request {
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let data = [&[0; 16][..], &(name.len() as u32).to_le_bytes(), &name].concat();
    requests::set_info(file, InfoType::FILE, class.0, &data)
}

/// Nothing of the share can be reached.
async fn is_shut_out(user: &mut User) {
    for share in ["share", "no such share"] {
        assert_eq!(connect(user, share).await, Err(NtStatus::ACCESS_DENIED));
    }
    let tree = connect(user, IPC).await.unwrap();
    for name in ["samr", "lsarpc", r"\PIPE\SAMR"] {
        assert_eq!(pipe(user, tree, name).await, Err(NtStatus::ACCESS_DENIED), "{name}");
    }
    assert!(pipe(user, tree, "srvsvc").await.is_ok());
    assert_eq!(
        user.client.call(&user.session, tree, &requests::tree_disconnect()).await.unwrap().status(),
        NtStatus::SUCCESS
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_in_unless_that_is_switched_on_and_never_where_encryption_is_required() {
    let off = Site::new().await;
    let sealed = Site::with(|config| {
        config.anonymous = true;
        config.encryption = Encryption::Required;
    })
    .await;
    for site in [off, sealed] {
        let mut client = site.greet(offer_311()).await;
        let refused = log_in(&mut client, Logon::new(&NOBODY)).await.err();
        assert_eq!(refused, Some(NtStatus::LOGON_FAILURE));
        assert_eq!(site.server.status().sessions, 0);
        // Whoever leaves his session so has none any more.
        let mut alice = site.log_in(&ALICE).await;
        let again = Logon::again(&NOBODY, &alice.session.clone());
        assert_eq!(log_in(&mut alice.client, again).await.err(), Some(NtStatus::LOGON_FAILURE));
        assert_eq!(site.server.status().sessions, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobodys_session_is_marked_and_nothing_vouches_for_it() {
    let site = open_site().await;
    let mut client = site.greet(offer_311()).await;
    let mut logon = Logon::new(&NOBODY);
    let challenge = client.challenge(&mut logon).await.unwrap();
    let answer = NOBODY.authenticate(&logon.negotiate, &challenge).message;
    let reply = client.leg(&mut logon, &answer).await.unwrap();
    let flags = SessionSetupResponse::decode(&reply.message).unwrap().session_flags;
    assert_eq!((reply.status(), flags), (NtStatus::SUCCESS, SessionFlags::IS_NULL));
    assert_eq!(reply.proof, Proof::None);

    let user = &mut nobody(&site).await;
    let echo = Message::of(&requests::echo()).session(user.session.id);
    let plain = user.client.exchange(echo.clone(), Guard::Plain).await.unwrap();
    assert_eq!((plain.status(), plain.proof), (NtStatus::SUCCESS, Proof::None));
    let signed = user.client.exchange(echo.clone(), Guard::Sign(&user.session.signer)).await.unwrap();
    assert_eq!((signed.status(), signed.proof), (NtStatus::SUCCESS, Proof::Signed));
    let alice = site.log_in(&ALICE).await;
    let wrong = user.client.exchange(echo, Guard::Sign(&alice.session.signer)).await.unwrap();
    assert_eq!(wrong.status(), NtStatus::ACCESS_DENIED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reaches_no_share_and_no_list_of_users() {
    let site = open_site().await;
    let mut user = nobody(&site).await;
    is_shut_out(&mut user).await;
    assert_eq!(site.server.status().users[0].user, "ANONYMOUS LOGON");
}

/// An empty response under a name is a wrong password, whatever the flags say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_who_gives_a_name_is_not_let_in() {
    let site = open_site().await;
    for user in ["alice", "ALICE", "guest", " ", "\0"] {
        for flags in [ntlm::USUAL, ntlm::USUAL | ntlm::ANONYMOUS] {
            let who = ntlm::Client { user, flags, ..NOBODY };
            let mut client = site.greet(offer_311()).await;
            let refused = log_in(&mut client, Logon::new(&who)).await.err();
            assert_eq!(refused, Some(NtStatus::LOGON_FAILURE), "{user:?} {flags:x}");
        }
    }
    assert_eq!(site.server.status().sessions, 0);
}

/// Its keys are known to everybody who saw the log-in: with a user in it, they would be the user's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobodys_session_never_becomes_a_users() {
    let site = open_site().await;
    let mut user = nobody(&site).await;
    for signs in [None, Some(user.session.signer.clone())] {
        let again = Logon { signs, ..Logon::again(&ALICE, &user.session.clone()) };
        assert_eq!(log_in(&mut user.client, again).await.err(), Some(NtStatus::ACCESS_DENIED));
    }
    is_shut_out(&mut user).await;
    let again = Logon::again(&NOBODY, &user.session.clone());
    assert!(log_in(&mut user.client, again).await.is_ok());
    is_shut_out(&mut user).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_binds_no_channel_and_nobodys_session_takes_none() {
    let site = open_site().await;
    let mut alice = site.log_in(&ALICE).await;
    let file = alice.file("file", b"content").await;
    let nobodys = nobody(&site).await;
    for (who, session, expected) in [
        (&NOBODY, &alice.session, NtStatus::ACCESS_DENIED),
        (&NOBODY, &nobodys.session, NtStatus::NOT_SUPPORTED),
        (&ALICE, &nobodys.session, NtStatus::NOT_SUPPORTED),
    ] {
        let mut client = site.greet(offer_311()).await;
        let refused = log_in(&mut client, Logon::binding(who, session)).await.err();
        assert_eq!(refused, Some(expected), "{:?}", who.user);
    }
    assert_eq!(alice.content(file).await, b"content");
}

/// A former session of a user's is named as the one to be replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_replaces_no_session() {
    let site = open_site().await;
    let mut alice = site.log_in(&ALICE).await;
    let file = alice.file("file", b"content").await;
    let mut other = nobody(&site).await;
    let mut leaving = site.log_in(&ALICE).await;
    for previous in [alice.session.id, other.session.id] {
        let mut client = site.greet(offer_311()).await;
        assert!(log_in(&mut client, Logon { previous, ..Logon::new(&NOBODY) }).await.is_ok());
        let again = Logon { previous, ..Logon::again(&NOBODY, &leaving.session.clone()) };
        assert!(log_in(&mut leaving.client, again).await.is_ok());
    }
    assert_eq!(alice.content(file).await, b"content");
    assert_eq!(other.status(&requests::echo()).await, NtStatus::SUCCESS);
}

/// Who logs in again as nobody keeps what is open, and gets nothing else until he is back. Nobody else comes in his place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_its_user_leaves_opens_nothing_until_he_is_back() {
    let site = open_site().await;
    let mut alice = site.log_in(&ALICE).await;
    let file = alice.file("file", b"content").await;
    let pipes = connect(&mut alice, IPC).await.unwrap();
    let samr = pipe(&mut alice, pipes, "samr").await.unwrap();
    let session = alice.session.clone();
    assert!(log_in(&mut alice.client, Logon::again(&NOBODY, &session)).await.is_ok());

    assert_eq!(alice.content(file).await, b"content");
    assert_eq!(alice.status(&requests::write(file, 0, b"CONTENT")).await, NtStatus::SUCCESS);
    for name in ["file", "no such file", "", "$Extend\\$Quota:$Q:$INDEX_ALLOCATION"] {
        assert_eq!(alice.status(&requests::open(name)).await, NtStatus::ACCESS_DENIED, "{name}");
    }
    for class in [FileClass::RENAME, FileClass::LINK] {
        assert_eq!(alice.status(&new_name(file, class, "other")).await, NtStatus::ACCESS_DENIED);
    }
    let asked =
        alice.client.call(&session, pipes, &requests::write(samr, 0, b"a list of users")).await.unwrap();
    assert_eq!(asked.status(), NtStatus::ACCESS_DENIED);
    is_shut_out(&mut alice).await;
    let mut client = site.greet(offer_311()).await;
    let bound = log_in(&mut client, Logon::binding(&ALICE, &session)).await.err();
    assert_eq!(bound, Some(NtStatus::NOT_SUPPORTED));
    let other = log_in(&mut alice.client, Logon::again(&BOB, &session)).await.err();
    assert_eq!(other, Some(NtStatus::ACCESS_DENIED));
    is_shut_out(&mut alice).await;

    assert!(log_in(&mut alice.client, Logon::again(&ALICE, &session)).await.is_ok());
    assert_eq!(alice.content(file).await, b"CONTENT");
    assert_eq!(alice.status(&new_name(file, FileClass::RENAME, "other")).await, NtStatus::SUCCESS);
    alice.is_well().await;
}

/// The keys that encrypt are no secret: they count only where a user has shown to be there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_encrypts_ends_a_connection_without_users() {
    let site = open_site().await;
    let mut user = nobody(&site).await;
    let echo = Message::of(&requests::echo()).session(user.session.id);
    let sealed = |session: &Session| session.clone().sealing();
    let reply = user.client.exchange(echo, Guard::Seal(&sealed(&user.session))).await;
    assert_eq!(reply.map(|reply: Reply| reply.status()), Err(Fault::Gone));

    let mut alice = site.log_in(&ALICE).await;
    let session = log_in(&mut alice.client, Logon::new(&NOBODY)).await.unwrap();
    alice.client.knows(&session);
    let mut echo = Message::of(&requests::echo()).session(session.id);
    let reply = alice.client.exchange(echo.clone(), Guard::Seal(&sealed(&session))).await.unwrap();
    assert_eq!((reply.status(), reply.proof), (NtStatus::SUCCESS, Proof::Sealed));
    // In a frame of nobody's session there is nothing for a user's.
    echo.header.session_id = alice.session.id;
    let reply = alice.client.exchange(echo.clone(), Guard::Seal(&sealed(&session))).await.unwrap();
    assert_eq!(reply.status(), NtStatus::ACCESS_DENIED);
}

/// He may be here for ever: what waits of his requests is as little as before anybody has logged in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn little_waits_of_nobody() {
    let site = open_site().await;
    let mut user = nobody(&site).await;
    let tree = user.tree;
    let empty = pipe(&mut user, tree, "srvsvc").await.unwrap();
    let read = requests::read(empty, 0, 1024);
    let mut refused = 0;
    for _ in 0..limits::ANONYMOUS_ASYNC_MAX + 5 {
        let message = user.message(&read);
        user.client.send(&[message], Guard::Plain).await.unwrap();
        match user.client.replies().await.unwrap().remove(0).status() {
            NtStatus::PENDING => {}
            NtStatus::INSUFFICIENT_RESOURCES => refused += 1,
            status => panic!("{status}"),
        }
    }
    assert_eq!(refused, 5);

    let mut user = nobody(&site).await;
    let tree = user.tree;
    let empty = pipe(&mut user, tree, "srvsvc").await.unwrap();
    let read = requests::read(empty, 0, 1024);
    let most = limits::ANONYMOUS_AT_WORK_MAX_BYTES / limits::ANONYMOUS_MESSAGE_MAX_BYTES;
    for _ in 0..most {
        let mut message = user.message(&read).bytes();
        message.resize(limits::ANONYMOUS_MESSAGE_MAX_BYTES, 0);
        user.client.send_frame(&message).await.unwrap();
        assert_eq!(user.client.replies().await.unwrap()[0].status(), NtStatus::PENDING);
    }
    // He is not heard any more.
    let echo = user.message(&requests::echo());
    user.client.send(&[echo], Guard::Plain).await.unwrap();
    assert!(timeout(Duration::from_millis(300), user.client.frame()).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_stays_a_stranger_to_the_limits() {
    let site = open_site().await;
    let mut user = nobody(&site).await;
    assert!(user.client.credits <= i64::from(limits::ANONYMOUS_CREDITS_MAX), "{}", user.client.credits);
    let tree = user.tree;
    for _ in 0..limits::ANONYMOUS_OPENS_MAX {
        assert!(pipe(&mut user, tree, "srvsvc").await.is_ok());
    }
    assert_eq!(pipe(&mut user, tree, "srvsvc").await, Err(NtStatus::INSUFFICIENT_RESOURCES));
    for _ in 1..limits::ANONYMOUS_TREES_MAX {
        assert!(connect(&mut user, IPC).await.is_ok());
    }
    assert_eq!(connect(&mut user, IPC).await, Err(NtStatus::INSUFFICIENT_RESOURCES));
    for _ in 1..limits::ANONYMOUS_LOGONS_MAX {
        assert!(log_in(&mut user.client, Logon::new(&NOBODY)).await.is_ok());
    }
    let refused = log_in(&mut user.client, Logon::new(&NOBODY)).await.err();
    assert_eq!(refused, Some(NtStatus::INSUFFICIENT_RESOURCES));
    // A user's connection would wait for the rest.
    let too_long = limits::ANONYMOUS_MESSAGE_MAX_BYTES as u32 + 1;
    user.client.send_bytes(&too_long.to_be_bytes()).await.unwrap();
    let end = timeout(Duration::from_secs(5), user.client.frame()).await;
    assert_eq!(end, Ok(Err(Fault::Gone)));
}
