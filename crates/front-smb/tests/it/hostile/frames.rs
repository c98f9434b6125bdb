//! Frames and headers that are none (MS-SMB2 2.1, 2.2.1, 2.2.41; RFC 1002 4.3).

use crate::site::{ALICE, Site};
use front_smb::limits;
use smb_raw::{Fault, Guard, Message, chain, offer, requests};
use smb_wire::negotiate::Dialect;
use smb_wire::{Command, Flags, NtStatus};
use std::time::Duration;
use tokio::time::timeout;

/// What a stranger sends; the server hangs up, and does not wait for more.
async fn costs_the_connection(site: &Site, bytes: &[u8]) {
    let mut client = site.connect().await;
    client.send_bytes(bytes).await.unwrap();
    let end = timeout(Duration::from_secs(5), client.frame()).await;
    assert_eq!(end, Ok(Err(Fault::Gone)), "{:02x?}", &bytes[..bytes.len().min(16)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_frame_of_any_other_kind_ends_the_connection() {
    let site = Site::new().await;
    let frame = |message: &[u8]| [&(message.len() as u32).to_be_bytes(), message].concat();
    let long = limits::ANONYMOUS_MESSAGE_MAX_BYTES as u32 + 1;
    for bytes in [
        // Lengths: all 24 bits, the largest of a user, one byte over that of a stranger, nothing.
        [0, 0xFF, 0xFF, 0xFF].to_vec(),
        (limits::PAYLOAD_MAX_BYTES).to_be_bytes().to_vec(),
        long.to_be_bytes().to_vec(),
        frame(b""),
        // Kinds of frames and messages.
        b"GET / HTTP/1.1\r\n".to_vec(),
        [0x83, 0, 0, 1, 0x82].to_vec(),
        frame(b"\xFES"),
        frame(b"\xFESMB"),
        frame(b"\xFESMB\x40\0\0\0"),
        frame(&[0; 64]),
        frame(&[b"\xFESMB\x41\0", &[0; 58][..]].concat()),
        frame(b"\xFDSMB"),
        frame(&[b"\xFDSMB", &[0; 200][..]].concat()),
        frame(&[b"\xFCSMB", &[0; 60][..]].concat()),
        frame(b"\xFFSMBr"),
        frame(&[b"\xFFSMB\x73", &[0; 60][..]].concat()),
    ] {
        costs_the_connection(&site, &bytes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_command_but_negotiate_comes_first() {
    let site = Site::new().await;
    for code in 0..=0x20 {
        let command = Command::from_code(code);
        if matches!(command, Command::Negotiate | Command::Cancel) {
            continue;
        }
        let mut client = site.connect().await;
        client.send(&[Message::new(command, vec![0; 60])], Guard::Plain).await.unwrap();
        // Either is right: a refusal, or the end (MS-SMB2 3.3.5.2).
        match client.replies().await {
            Ok(replies) => assert_eq!(replies[0].status(), NtStatus::INVALID_PARAMETER, "{command:?}"),
            Err(fault) => assert_eq!(fault, Fault::Gone, "{command:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_command_but_session_setup_comes_second() {
    let site = Site::new().await;
    for code in 2..=0x20 {
        let command = Command::from_code(code);
        if command == Command::Cancel {
            continue;
        }
        let mut client = site.greet(offer(&[Dialect::SMB_3_1_1])).await;
        for session in [0x1234_5678_9ABC_DEF0, u64::MAX] {
            let message = Message::new(command, vec![0; 60]).session(session);
            let reply = client.exchange(message, Guard::Plain).await.unwrap();
            assert_eq!(reply.status(), NtStatus::USER_SESSION_DELETED, "{command:?}");
        }
    }
}

/// A user may send 8 MiB and what belongs around it, no more; the length is believed only so far.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_users_frame_over_the_limit_ends_his_connection_alone() {
    let site = Site::new().await;
    let mut other = site.log_in(&ALICE).await;
    let over = limits::PAYLOAD_MAX_BYTES + limits::MESSAGE_OVERHEAD_MAX_BYTES as u32 + 1;
    for length in [over, 0x00FF_FFFF] {
        let mut user = site.log_in(&ALICE).await;
        user.client.send_bytes(&length.to_be_bytes()).await.unwrap();
        assert_eq!(user.client.frame().await, Err(Fault::Gone));
    }
    other.is_well().await;
}

/// Bytes that come one at a time are a message all the same, and what follows it in the same segment too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_cutting_of_the_stream_gives_the_same_messages() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let mut bytes = Vec::new();
    let first = user.client.next_id;
    for _ in 0..3 {
        let mut message = Message::of(&requests::echo()).session(user.session.id);
        user.client.number(&mut message);
        let frame = chain(&[message], user.session.guard());
        // A keep-alive between them says nothing.
        bytes.extend([0x85, 0, 0, 0]);
        bytes.extend((frame.len() as u32).to_be_bytes());
        bytes.extend(frame);
    }
    let (slowly, at_once) = bytes.split_at(100);
    for byte in slowly {
        user.client.send_bytes(&[*byte]).await.unwrap();
    }
    user.client.send_bytes(at_once).await.unwrap();
    for id in first..first + 3 {
        assert_eq!(user.client.reply_to(id).await.unwrap().status(), NtStatus::SUCCESS);
    }
}

/// Header fields that say what no request says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_or_an_unknown_command_is_no_request() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    for code in [0x13, 0x14, 0x7FFF, 0xFFFF] {
        let message = Message::new(Command::Other(code), vec![0; 24]);
        let message = message.session(user.session.id).tree(user.tree);
        let reply = user.client.exchange(message, user.session.guard()).await.unwrap();
        assert_eq!(reply.status(), NtStatus::INVALID_PARAMETER, "{code:#x}");
    }
    let mut message = Message::of(&requests::echo()).session(user.session.id);
    message.header.flags |= Flags::RESPONSE;
    user.client.number(&mut message);
    user.client.send(&[message], user.session.guard()).await.unwrap();
    assert_eq!(user.client.frame().await, Err(Fault::Gone));
}

/// Every request cut off at every length, and with every StructureSize but its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_cut_short_is_refused() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("file", b"content").await;
    let whole = [
        requests::tree_connect("share"),
        requests::open("file"),
        requests::flush(file),
        requests::read(file, 0, 7),
        requests::write(file, 0, b"content"),
        requests::lock(file, 0, 1, smb_wire::lock::LockFlags::SHARED),
        requests::query_directory(file, "*"),
        requests::notify(file),
        requests::query_info(file, smb_wire::query_info::InfoType::FILE, 18),
        requests::set_info(file, smb_wire::query_info::InfoType::FILE, 20, &[0; 8]),
        requests::echo(),
    ];
    for request in whole {
        let message = Message::of(&request).session(user.session.id).tree(user.tree);
        let full = message.body.len();
        // The last byte of a fixed part may be the first of an empty variable one: two bytes short is short.
        for length in (0..full.saturating_sub(2)).step_by(3) {
            let mut cut = message.clone();
            cut.body.truncate(length);
            let reply = user.client.exchange(cut, user.session.guard()).await.unwrap();
            let expected = NtStatus::INVALID_PARAMETER;
            assert_eq!(reply.status(), expected, "{:?} of {length} bytes", request.command());
        }
        let mut odd = message.clone();
        odd.body[0] ^= 0x40;
        let reply = user.client.exchange(odd, user.session.guard()).await.unwrap();
        assert_eq!(reply.status(), NtStatus::INVALID_PARAMETER, "{:?}", request.command());
    }
    assert_eq!(user.content(file).await, b"content");
}
