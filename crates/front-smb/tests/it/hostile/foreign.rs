//! Ids that belong to somebody else, or to nobody any more: sessions, tree connects, opens, waiting requests,
//! oplocks (MS-SMB2 3.3.5.2.9, 3.3.5.2.11, 3.3.5.16, 3.3.5.22).

use crate::site::{ALICE, BOB, Site, User};
use smb_raw::{Message, requests};
use smb_wire::create::lease::{LeaseKey, LeaseState};
use smb_wire::create::{CreateRequest, CreateResponse, OplockLevel};
use smb_wire::ioctl::Fsctl;
use smb_wire::lock::LockFlags;
use smb_wire::oplock_break::{BreakAcknowledgement, LeaseBreak};
use smb_wire::query_info::InfoType;
use smb_wire::{AccessMask, Command, FileId, NtStatus, Request};

/// Every request that names an open.
fn on_an_open(file: FileId) -> Vec<Request> {
    vec![
        requests::close(file),
        requests::flush(file),
        requests::read(file, 0, 7),
        requests::write(file, 0, b"changed"),
        requests::lock(file, 0, 10, LockFlags::EXCLUSIVE | LockFlags::FAIL_IMMEDIATELY),
        requests::lock(file, 0, 10, LockFlags::UNLOCK),
        requests::ioctl(file, Fsctl::SRV_REQUEST_RESUME_KEY, &[]),
        requests::ioctl(file, Fsctl::SET_ZERO_DATA, &[[0; 8], [7, 0, 0, 0, 0, 0, 0, 0]].concat()),
        requests::ioctl(file, Fsctl::PIPE_TRANSCEIVE, &[0; 24]),
        requests::query_directory(file, "*"),
        requests::notify(file),
        requests::query_info(file, InfoType::FILE, 18),
        requests::set_info(file, InfoType::FILE, 20, &[0; 8]),
        requests::acknowledge(file, OplockLevel::NONE),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_is_named_in_its_own_session_and_tree_only() {
    let site = Site::new().await;
    let mut alice = site.log_in(&ALICE).await;
    let file = alice.file("file", b"content").await;
    let second_tree = alice.call(&requests::tree_connect("share")).await.unwrap().header.tree_id;
    let mut bob = site.log_in(&BOB).await;
    // Alice herself, in another session.
    let mut alices_other = site.log_in(&ALICE).await;
    for request in on_an_open(file) {
        let command = request.command();
        assert_eq!(bob.status(&request).await, NtStatus::FILE_CLOSED, "another user: {command:?}");
        let status = alices_other.status(&request).await;
        assert_eq!(status, NtStatus::FILE_CLOSED, "another session: {command:?}");
        let reply = alice.client.call(&alice.session, second_tree, &request).await.unwrap();
        assert_eq!(reply.status(), NtStatus::FILE_CLOSED, "another tree: {command:?}");
    }
    assert_eq!(alice.content(file).await, b"content");
}

/// Half an id, swapped halves, neighbours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_counts_as_a_whole() {
    let site = Site::new().await;
    let mut alice = site.log_in(&ALICE).await;
    let file = alice.file("file", b"content").await;
    let wrong = [
        FileId { persistent: file.persistent ^ 1, ..file },
        FileId { persistent: u64::MAX, ..file },
        FileId { volatile: file.volatile ^ 1, ..file },
        FileId { volatile: u64::MAX, ..file },
        FileId::default(),
    ];
    for id in wrong {
        for request in on_an_open(id) {
            assert_eq!(alice.status(&request).await, NtStatus::FILE_CLOSED, "{id:?}: {request:?}");
        }
    }
    assert_eq!(alice.status(&requests::close(file)).await, NtStatus::SUCCESS);
    for request in on_an_open(file) {
        assert_eq!(alice.status(&request).await, NtStatus::FILE_CLOSED, "closed: {request:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_connect_is_its_sessions() {
    let site = Site::new().await;
    let mut alice = site.log_in(&ALICE).await;
    let mut bob = site.log_in(&BOB).await;
    // Two trees more for Alice, so that there are ids that Bob has not.
    for _ in 0..2 {
        alice.tree = alice.call(&requests::tree_connect("share")).await.unwrap().header.tree_id;
    }
    let file = alice.file("file", b"content").await;
    bob.tree = alice.tree;
    for request in on_an_open(file).into_iter().chain([requests::open("x"), requests::tree_disconnect()]) {
        let status = bob.status(&request).await;
        assert_eq!(status, NtStatus::NETWORK_NAME_DELETED, "{:?}", request.command());
    }
    assert_eq!(alice.content(file).await, b"content");
    assert_eq!(alice.status(&requests::tree_disconnect()).await, NtStatus::SUCCESS);
    assert_eq!(alice.status(&requests::read(file, 0, 7)).await, NtStatus::NETWORK_NAME_DELETED);
    assert_eq!(site.server.status().opens, 0);
}

/// After LOGOFF was answered nothing succeeds in the session, on none of its channels.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_succeeds_after_logoff() {
    let site = Site::new().await;
    let mut first = site.log_in(&ALICE).await;
    let file = first.file("file", b"content").await;
    let mut client = site.greet(smb_raw::offer(&[smb_wire::negotiate::Dialect::SMB_3_1_1])).await;
    let session = client.bind(&ALICE, &first.session).await.unwrap();
    let mut second = User { client, session, tree: first.tree };
    assert_eq!(first.status(&requests::logoff()).await, NtStatus::SUCCESS);
    let more = [requests::open("x"), requests::tree_connect("share"), requests::logoff(), requests::echo()];
    for request in on_an_open(file).into_iter().chain(more) {
        for user in [&mut first, &mut second] {
            let status = user.status(&request).await;
            assert_eq!(status, NtStatus::USER_SESSION_DELETED, "{:?}", request.command());
        }
    }
    let status = site.server.status();
    assert_eq!((status.sessions, status.opens), (0, 0));
}

/// A CANCEL reaches the requests of its own connection, whatever AsyncId it names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_on_one_connection_is_not_cancelled_from_another() {
    let site = Site::new().await;
    let mut alice = site.log_in(&ALICE).await;
    let mut bob = site.log_in(&BOB).await;
    let root = alice.open(&requests::directory("")).await;
    let mut waits = Message::of(&requests::notify(root)).session(alice.session.id).tree(alice.tree);
    alice.client.number(&mut waits);
    alice.client.send(&[waits.clone()], alice.session.guard()).await.unwrap();
    let interim = alice.client.replies().await.unwrap().remove(0);
    assert_eq!(interim.status(), NtStatus::PENDING);
    let asynchronous = interim.header.async_id.unwrap();
    for id in (0..asynchronous + 20).chain([u64::MAX]) {
        for by_async_id in [false, true] {
            let mut cancel = Message::new(Command::Cancel, vec![4, 0, 0, 0]).session(bob.session.id);
            cancel.header.message_id = id;
            cancel.header.async_id = by_async_id.then_some(id);
            bob.client.send(&[cancel], bob.session.guard()).await.unwrap();
        }
    }
    assert_eq!(bob.status(&requests::echo()).await, NtStatus::SUCCESS);
    assert_eq!(alice.status(&requests::echo()).await, NtStatus::SUCCESS);
    assert!(alice.client.others.is_empty());
    let mut cancel = Message::new(Command::Cancel, vec![4, 0, 0, 0]).session(alice.session.id);
    cancel.header.async_id = Some(asynchronous);
    alice.client.send(&[cancel], alice.session.guard()).await.unwrap();
    let answer = alice.client.reply_to(waits.header.message_id).await.unwrap();
    assert_eq!(answer.status(), NtStatus::CANCELLED);
}

/// Only who has an oplock gives it back: nobody else ends the waiting of an opener.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_break_is_acknowledged_by_its_owner_alone() {
    let site = Site::new().await;
    let mut alice = site.log_in(&ALICE).await;
    let batch = CreateRequest { oplock_level: OplockLevel::BATCH, ..requests::create("file") };
    let reply = alice.call(&Request::Create(batch)).await.unwrap();
    let opened = CreateResponse::decode(&reply.message).unwrap();
    assert_eq!(opened.oplock_level, OplockLevel::BATCH);
    let mut bob = site.log_in(&BOB).await;
    let mut message = Message::of(&requests::open("file")).session(bob.session.id).tree(bob.tree);
    bob.client.number(&mut message);
    bob.client.send(&[message.clone()], bob.session.guard()).await.unwrap();
    assert_eq!(bob.client.replies().await.unwrap()[0].status(), NtStatus::PENDING);
    let told = alice.client.replies().await.unwrap().remove(0);
    assert_eq!((told.header.command, told.header.message_id), (Command::OplockBreak, u64::MAX));

    for level in [OplockLevel::NONE, OplockLevel::LEVEL_II, OplockLevel::BATCH, OplockLevel(0x77)] {
        let status = bob.status(&requests::acknowledge(opened.file_id, level)).await;
        assert_eq!(status, NtStatus::FILE_CLOSED, "{level:?}");
    }
    for key in [[0; 16], [0xFF; 16]] {
        let lease = LeaseBreak { lease_key: LeaseKey(key), state: LeaseState::empty() };
        let foreign = Request::OplockBreak(BreakAcknowledgement::Lease(lease));
        assert_eq!(bob.status(&foreign).await, NtStatus::OBJECT_NAME_NOT_FOUND);
    }
    assert_eq!(bob.status(&requests::echo()).await, NtStatus::SUCCESS);
    assert!(bob.client.others.is_empty(), "the open went on without the owner's word");
    let level = OplockLevel::LEVEL_II;
    assert_eq!(alice.status(&requests::acknowledge(opened.file_id, level)).await, NtStatus::SUCCESS);
    assert_eq!(bob.client.reply_to(message.header.message_id).await.unwrap().status(), NtStatus::SUCCESS);
}

/// The key of a copy's source is no capability: it names an open of the same session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_reads_from_the_sessions_own_opens() {
    let site = Site::new().await;
    let mut alice = site.log_in(&ALICE).await;
    let secret = alice.file("secret", b"secret").await;
    let asked = requests::ioctl(secret, Fsctl::SRV_REQUEST_RESUME_KEY, &[]);
    let key = alice.call(&asked).await.unwrap();
    let key = smb_wire::ioctl::IoctlResponse::decode(&key.message).unwrap().output[..24].to_vec();
    let mut bob = site.log_in(&BOB).await;
    let target = bob.file("target", b"").await;
    let chunk = [[0; 8], [0; 8], [6, 0, 0, 0, 0, 0, 0, 0]].concat();
    let input = [&key[..], &[1, 0, 0, 0, 0, 0, 0, 0], &chunk].concat();
    let copy = requests::ioctl(target, Fsctl::SRV_COPYCHUNK, &input);
    assert_eq!(bob.status(&copy).await, NtStatus::OBJECT_NAME_NOT_FOUND);
    let own = alice.open(&requests::open("own")).await;
    let copy = requests::ioctl(own, Fsctl::SRV_COPYCHUNK, &input);
    assert_eq!(alice.status(&copy).await, NtStatus::SUCCESS);
    // Who may only append overwrites nothing, by whatever command.
    let append = CreateRequest {
        desired_access: AccessMask::APPEND_DATA | AccessMask::READ_DATA,
        ..requests::create("own")
    };
    let append = alice.open(&Request::Create(append)).await;
    let copy = requests::ioctl(append, Fsctl::SRV_COPYCHUNK, &input);
    assert_eq!(alice.status(&copy).await, NtStatus::SUCCESS);
    assert_eq!(alice.status(&requests::write(append, 0, b"!")).await, NtStatus::SUCCESS);
    assert_eq!(alice.content(own).await, b"secretsecret!");
    let zeros = [[0; 8], [6, 0, 0, 0, 0, 0, 0, 0]].concat();
    let zero = requests::ioctl(append, Fsctl::SET_ZERO_DATA, &zeros);
    assert_eq!(alice.status(&zero).await, NtStatus::ACCESS_DENIED);
    let shorter = requests::set_info(append, InfoType::FILE, 20, &[0; 8]);
    assert_eq!(alice.status(&shorter).await, NtStatus::ACCESS_DENIED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_is_one_of_those_served() {
    let site = Site::new().await;
    let mut alice = site.log_in(&ALICE).await;
    alice.tree = alice.call(&requests::tree_connect("IPC$")).await.unwrap().header.tree_id;
    for name in [
        "",
        "\\",
        "..",
        r"..\..\etc\passwd",
        "../../etc/passwd",
        r"\PIPE\..\srvsvc",
        r"pipe\pipe\srvsvc",
        "srvsvc/",
        r"srvsvc\",
        r"srvsvc\x",
        "srvsvc.",
        "srvsvc:stream",
        "srvsvc::$DATA",
        "srvsvc\0",
        "SRVSVC ",
        "/srvsvc",
        "//srvsvc",
        r"\\server\pipe\srvsvc",
        "lsarpc2",
        "con",
        "aux",
        "%73rvsvc",
        "ｓrvsvc",
        "x",
    ] {
        let status = alice.status(&requests::open(name)).await;
        let expected = NtStatus::OBJECT_NAME_NOT_FOUND;
        assert_eq!(status, expected, "{name:?}");
    }
    let long = "a".repeat(30_000);
    assert!(alice.status(&requests::open(&long)).await.is_error());
    let pipe = alice.open(&requests::open("srvsvc")).await;
    // A pipe is no file.
    for request in [
        requests::query_directory(pipe, "*"),
        requests::notify(pipe),
        requests::lock(pipe, 0, 1, LockFlags::SHARED | LockFlags::FAIL_IMMEDIATELY),
        requests::set_info(pipe, InfoType::FILE, 20, &[0; 8]),
        requests::ioctl(pipe, Fsctl::SRV_REQUEST_RESUME_KEY, &[]),
    ] {
        assert!(alice.status(&request).await.is_error(), "{request:?}");
    }
}
