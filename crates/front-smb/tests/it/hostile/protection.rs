//! Requests that are not protected as their session demands (MS-SMB2 3.3.5.2.4, 3.3.5.2.9, 3.3.5.2.11):
//! every command, every way to leave the protection out or get it wrong.

use crate::site::{ALICE, BOB, Site, User};
use front_smb::Encryption;
use smb_raw::ntlm::{self, NOBODY};
use smb_raw::{Fault, Guard, Message, Proof, Session, chain, offer, requests};
use smb_wire::create::OplockLevel;
use smb_wire::ioctl::Fsctl;
use smb_wire::lock::LockFlags;
use smb_wire::negotiate::{Dialect, NegotiateContext, NegotiateRequest, signing};
use smb_wire::query_info::InfoType;
use smb_wire::{Command, FileId, Flags, NtStatus, Request};

/// One request of every command that needs a session, each of which would do something.
fn every_request(file: FileId, root: FileId) -> Vec<Request> {
    vec![
        requests::logoff(),
        requests::tree_connect("share"),
        requests::tree_disconnect(),
        requests::open("made"),
        requests::close(file),
        requests::flush(file),
        requests::read(file, 0, 7),
        requests::write(file, 0, b"changed"),
        requests::lock(file, 0, 10, LockFlags::EXCLUSIVE | LockFlags::FAIL_IMMEDIATELY),
        requests::ioctl(file, Fsctl::SRV_REQUEST_RESUME_KEY, &[]),
        requests::echo(),
        requests::query_directory(root, "*"),
        requests::notify(root),
        requests::query_info(file, InfoType::FILE, 18),
        requests::set_info(file, InfoType::FILE, 20, &[0; 8]),
        requests::acknowledge(file, OplockLevel::NONE),
    ]
}

/// How a request's protection is got wrong.
type Wrong = fn(&Message, &User, &User) -> Vec<u8>;

const WRONG_SIGNATURES: [(&str, Wrong); 6] = [
    ("unsigned", |message, _, _| chain(std::slice::from_ref(message), Guard::Plain)),
    ("an empty signature", |message, _, _| {
        let mut message = message.clone();
        message.header.flags |= Flags::SIGNED;
        message.bytes()
    }),
    ("one bit of the signature wrong", |message, user, _| {
        let mut bytes = signed(message, &user.session);
        bytes[63] ^= 0x80;
        bytes
    }),
    ("one bit of the body changed afterwards", |message, user, _| {
        let mut bytes = signed(message, &user.session);
        *bytes.last_mut().unwrap() ^= 1;
        bytes
    }),
    ("another session's key", |message, _, other| signed(message, &other.session)),
    ("one bit of the header changed afterwards", |message, user, _| {
        let mut bytes = signed(message, &user.session);
        bytes[14] ^= 2;
        bytes
    }),
];

fn signed(message: &Message, session: &Session) -> Vec<u8> {
    chain(std::slice::from_ref(message), Guard::Sign(&session.signer))
}

/// Every command with each wrong protection: refused, without a signature, and without effect.
async fn nothing_gets_through(site: &Site, offered: NegotiateRequest, wrong: &[(&str, Wrong)]) {
    let mut user = site.log_in_by(&ALICE, offered.clone()).await;
    let other = site.log_in_by(&BOB, offered).await;
    let file = user.file("file", b"content").await;
    let root = user.open(&requests::directory("")).await;
    for (name, wrong) in wrong {
        for request in every_request(file, root) {
            let mut message = Message::of(&request).session(user.session.id).tree(user.tree);
            user.client.number(&mut message);
            let bytes = wrong(&message, &user, &other);
            user.client.send_frame(&bytes).await.unwrap();
            let reply = user.client.reply_to(message.header.message_id).await.unwrap();
            let got = (reply.status(), reply.proof);
            assert_eq!(got, (NtStatus::ACCESS_DENIED, Proof::None), "{name}: {:?}", request.command());
        }
        assert_eq!(user.content(file).await, b"content", "{name}");
        assert_eq!(user.server_opens(site), 2, "{name}");
    }
}

impl User {
    /// Opens of all of this user's sessions.
    fn server_opens(&self, site: &Site) -> usize {
        let status = site.server.status();
        status.users.iter().filter(|session| session.user == "alice").map(|session| session.opens).sum()
    }
}

fn offers() -> Vec<NegotiateRequest> {
    let mut cmac = offer(&[Dialect::SMB_3_1_1]);
    cmac.contexts[2] = NegotiateContext::Signing { algorithms: vec![signing::AES_CMAC] };
    vec![
        offer(&[Dialect::SMB_2_0_2]),
        offer(&[Dialect::SMB_2_1]),
        offer(&[Dialect::SMB_3_0]),
        cmac,
        offer(&[Dialect::SMB_3_1_1]),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_session_takes_nothing_that_is_not_signed_with_its_key() {
    let site = Site::new().await;
    for offered in offers() {
        nothing_gets_through(&site, offered, &WRONG_SIGNATURES).await;
    }
}

/// Where signing is not demanded, a signature that is there must be right all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_signature_is_refused_where_none_is_demanded() {
    let site = Site::with(|config| config.signing = front_smb::Signing::Enabled).await;
    nothing_gets_through(&site, offer(&[Dialect::SMB_3_1_1]), &WRONG_SIGNATURES[1..]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_demands_signing_gets_a_session_that_does() {
    let site = Site::with(|config| config.signing = front_smb::Signing::Enabled).await;
    let mut offered = offer(&[Dialect::SMB_3_1_1]);
    offered.security_mode |= smb_wire::negotiate::SecurityMode::SIGNING_REQUIRED;
    nothing_gets_through(&site, offered, &WRONG_SIGNATURES[..1]).await;
}

/// By 3.1.1 it is what proves to the server that nobody has edited the NEGOTIATE.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_connect_without_protection_ends_the_connection() {
    let site = Site::with(|config| {
        config.signing = front_smb::Signing::Enabled;
        config.anonymous = true;
    })
    .await;
    let plain = async |who: &ntlm::Client, dialect: Dialect, share: &str| {
        let mut client = site.greet(offer(&[dialect])).await;
        client.careless = true;
        let session = client.log_in(who).await.unwrap();
        let message = Message::of(&requests::tree_connect(share)).session(session.id);
        let reply = client.exchange(message, Guard::Plain).await;
        reply.map(|reply| (reply.status(), reply.proof))
    };
    for share in ["share", "IPC$", "no such share"] {
        assert_eq!(plain(&ALICE, Dialect::SMB_3_1_1, share).await, Err(Fault::Gone), "{share}");
    }
    assert_eq!(site.emptied().await.sessions, 0);
    // Nobody has no key that is a secret, and older dialects prove it elsewhere.
    let taken = Ok((NtStatus::SUCCESS, Proof::None));
    assert_eq!(plain(&NOBODY, Dialect::SMB_3_1_1, "IPC$").await, taken);
    assert_eq!(plain(&ALICE, Dialect::SMB_3_0_2, "share").await, taken);
    assert_eq!(plain(&ALICE, Dialect::SMB_2_1, "share").await, taken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_session_takes_nothing_plain() {
    let site = Site::with(|config| config.encryption = Encryption::Desired).await;
    let plain: [(&str, Wrong); 3] = [
        ("plain", |message, _, _| message.bytes()),
        ("signed and not sealed", |message, user, _| signed(message, &user.session)),
        ("sealed for another session", |message, _, other| other.session.seal(&message.bytes())),
    ];
    for dialect in [Dialect::SMB_3_0, Dialect::SMB_3_1_1] {
        nothing_gets_through(&site, offer(&[dialect]), &plain[..2]).await;
    }
    // The third comes in a session of the same connection: both are there, the request's is not the frame's.
    let mut user = site.log_in(&ALICE).await;
    let others = user.client.log_in(&BOB).await.unwrap();
    let file = user.file("file", b"content").await;
    for request in every_request(file, file) {
        let mut message = Message::of(&request).session(user.session.id).tree(user.tree);
        user.client.number(&mut message);
        user.client.send_frame(&others.seal(&message.bytes())).await.unwrap();
        let reply = user.client.reply_to(message.header.message_id).await.unwrap();
        assert_eq!(reply.status(), NtStatus::ACCESS_DENIED, "{}: {:?}", plain[2].0, request.command());
    }
    assert_eq!(user.content(file).await, b"content");
}

/// A sealed frame that is not authentic costs the connection (MS-SMB2 3.3.5.2.1.1).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_frame_that_was_edited_ends_the_connection() {
    let site = Site::with(|config| config.encryption = Encryption::Desired).await;
    let length = {
        let user = site.log_in(&ALICE).await;
        user.session.seal(&Message::of(&requests::echo()).bytes()).len()
    };
    // Each field of the transform header, and the text.
    for at in [0, 4, 19, 20, 31, 36, 42, 44, 51, 52, length - 1] {
        let mut user = site.log_in(&ALICE).await;
        let mut message = Message::of(&requests::echo()).session(user.session.id);
        user.client.number(&mut message);
        let mut bytes = user.session.seal(&message.bytes());
        bytes[at] ^= 1;
        user.client.send_frame(&bytes).await.unwrap();
        assert_eq!(user.client.frame().await, Err(Fault::Gone), "byte {at}");
    }
    for inside in [&b""[..], b"\xFESMB", b"\xFDSMB", b"\xFCSMB", b"\xFFSMBr"] {
        let mut user = site.log_in(&ALICE).await;
        let mut text = inside.to_vec();
        text.resize(inside.len().max(1) * 13, 0);
        user.client.send_frame(&user.session.seal(&text)).await.unwrap();
        assert_eq!(user.client.frame().await, Err(Fault::Gone), "{inside:?}");
    }
}

/// What the server sealed or signed is no request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_own_messages_do_not_come_back_as_requests() {
    let site = Site::new().await;
    for offered in offers() {
        let mut user = site.log_in_by(&ALICE, offered.clone()).await;
        let reply = user.call(&requests::echo()).await.unwrap();
        assert_eq!(reply.proof, Proof::Signed);
        let mut reflected = reply.message.to_vec();
        // Under a message id that is not used yet, and no longer a response by its flag.
        reflected[16] &= !1;
        reflected[24..32].copy_from_slice(&user.client.next_id.to_le_bytes());
        user.client.send_frame(&reflected).await.unwrap();
        let answer = user.client.reply_to(user.client.next_id).await.unwrap();
        assert_eq!(answer.status(), NtStatus::ACCESS_DENIED, "{offered:?}");
        user.client.send_frame(&reply.message).await.unwrap();
        assert_eq!(user.client.frame().await, Err(Fault::Gone));
    }
    let site = Site::with(|config| config.encryption = Encryption::Desired).await;
    let mut user = site.log_in(&ALICE).await;
    let mut message = Message::of(&requests::echo()).session(user.session.id);
    user.client.number(&mut message);
    user.client.send(&[message], user.session.guard()).await.unwrap();
    let sealed = user.client.frame().await.unwrap();
    user.client.send_frame(&sealed).await.unwrap();
    assert_eq!(user.client.frame().await, Err(Fault::Gone));
}

/// A recorded request, sent again: on its own connection, and on another channel of the session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_request_is_good_once() {
    for encryption in [Encryption::Accepted, Encryption::Desired] {
        let site = Site::with(|config| config.encryption = encryption).await;
        let mut user = site.log_in(&ALICE).await;
        let file = user.file("file", b"content").await;
        let mut client = site.greet(offer(&[Dialect::SMB_3_1_1])).await;
        let channel = client.bind(&ALICE, &user.session).await.unwrap();
        let mut other = User { client, session: channel, tree: user.tree };
        let request = requests::write(file, 0, b"first..");
        let mut message = Message::of(&request).session(user.session.id).tree(user.tree);
        user.client.number(&mut message);
        let recorded = chain(&[message.clone()], user.session.guard());
        user.client.send_frame(&recorded).await.unwrap();
        let reply = user.client.reply_to(message.header.message_id).await.unwrap();
        assert_eq!(reply.status(), NtStatus::SUCCESS);
        assert_eq!(user.status(&requests::write(file, 0, b"second.")).await, NtStatus::SUCCESS);

        if encryption == Encryption::Accepted {
            // Far enough for the message id to be one of that connection's.
            while other.client.next_id < message.header.message_id {
                other.status(&requests::echo()).await;
            }
            other.client.send_frame(&recorded).await.unwrap();
            let reply = other.client.reply_to(message.header.message_id).await.unwrap();
            assert_eq!(reply.status(), NtStatus::ACCESS_DENIED);
            other.client.next_id += 1;
        }
        user.client.send_frame(&recorded).await.unwrap();
        assert_eq!(user.client.frame().await, Err(Fault::Gone));
        assert_eq!(other.content(file).await, b"second.", "the other channel goes on");
    }
}

/// What waits is cancelled by its client only: not by a CANCEL with a wrong signature (MS-SMB2 3.3.5.16).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_with_a_wrong_signature_cancels_nothing() {
    let site = Site::new().await;
    for (name, wrong) in &WRONG_SIGNATURES {
        let mut user = site.log_in(&ALICE).await;
        let other = site.log_in(&BOB).await;
        let root = user.open(&requests::directory("")).await;
        let mut waits = Message::of(&requests::notify(root)).session(user.session.id).tree(user.tree);
        user.client.number(&mut waits);
        user.client.send(&[waits.clone()], user.session.guard()).await.unwrap();
        let interim = user.client.replies().await.unwrap().remove(0);
        assert_eq!(interim.status(), NtStatus::PENDING);
        let mut cancel = Message::new(Command::Cancel, vec![4, 0, 0, 0]).session(user.session.id);
        cancel.header.message_id = waits.header.message_id;
        for async_id in [None, interim.header.async_id] {
            cancel.header.async_id = async_id;
            let bytes = wrong(&cancel, &user, &other);
            user.client.send_frame(&bytes).await.unwrap();
        }
        assert_eq!(user.status(&requests::echo()).await, NtStatus::SUCCESS);
        assert!(user.client.others.is_empty(), "{name}: the notify was answered");
        user.client.send(&[cancel], user.session.guard()).await.unwrap();
        let answer = user.client.reply_to(waits.header.message_id).await.unwrap();
        assert_eq!(answer.status(), NtStatus::CANCELLED, "{name}");
    }
}
