//! What nobody wrote is zero: padding in and between replies, and bytes of files that were never written. Two
//! users work side by side with different secrets; neither finds the other's in anything he gets.

use crate::site::{ALICE, BOB, Site, User};
use bytes::Bytes;
use smb_raw::{Message, Reply, requests};
use smb_wire::create::{CreateContext, CreateRequest};
use smb_wire::query_info::InfoType;
use smb_wire::{Command, HEADER_LEN, NtStatus, Request};

/// Repeated through everything that a user sends.
const SECRETS: [[u8; 8]; 2] = [*b"ALICE-S!", *b"BOB--SE!"];

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

/// Bytes that must be zero.
fn blank(what: &str, bytes: &[u8]) {
    assert!(bytes.iter().all(|byte| *byte == 0), "{what}: {bytes:02x?}");
}

/// The gaps between the entries of a list: each says where the next begins, and by itself how long it is.
fn list_gaps(what: &str, mut list: &[u8], length_of: fn(&[u8]) -> usize) {
    while !list.is_empty() {
        let next = u32_at(list, 0);
        let entry = if next == 0 { list } else { &list[..next] };
        blank(what, &entry[length_of(entry).min(entry.len())..]);
        list = if next == 0 { &[] } else { &list[next..] };
    }
}

/// The blank parts of one reply, by its command.
fn check(reply: &Reply) {
    let body = &reply.message[HEADER_LEN..];
    let buffer = |offset_at: usize, length: usize| {
        let offset = u16_at(body, offset_at);
        if length == 0 { &[][..] } else { &reply.message[offset..offset + length] }
    };
    match reply.header.command {
        _ if reply.status().is_error() => {
            let error = [&body[2..8], &body[8..]].concat();
            blank("an error response", &error);
        }
        Command::Create => {
            blank("CREATE, reserved", &body[60..64]);
            let (offset, length) = (u32_at(body, 80), u32_at(body, 84));
            if length > 0 {
                let list = &reply.message[offset..offset + length];
                blank("CREATE, before contexts", &reply.message[HEADER_LEN + 88..offset]);
                let end = |entry: &[u8]| match u32_at(entry, 12) {
                    0 => u16_at(entry, 4) + u16_at(entry, 6),
                    data => u16_at(entry, 10) + data,
                };
                list_gaps("create contexts", list, end);
            }
        }
        Command::Close => blank("CLOSE, reserved", &body[4..8]),
        Command::Read => {
            blank("READ, before the data", &reply.message[HEADER_LEN + 16..usize::from(body[2])]);
            blank("READ, reserved", &body[12..16]);
        }
        Command::QueryDirectory => {
            // FileBothDirectoryInformation: the short name and what is reserved before it are blank.
            let mut list = buffer(2, u32_at(body, 4));
            list_gaps("entries", list, |entry| 94 + u32_at(entry, 60));
            while !list.is_empty() {
                blank("short name", &list[68..94]);
                list = if u32_at(list, 0) == 0 { &[] } else { &list[u32_at(list, 0)..] };
            }
        }
        Command::ChangeNotify => {
            let list = buffer(2, u32_at(body, 4));
            list_gaps("changes", list, |entry| 12 + u32_at(entry, 8));
        }
        Command::TreeConnect => blank("TREE_CONNECT, reserved", &body[3..4]),
        _ => {}
    }
}

/// All that one user does with his secret; gives the replies, and the frames they came in.
async fn work(user: &mut User, secret: &[u8; 8], name: &str) -> Vec<Reply> {
    let mut replies = Vec::new();
    let pattern: Vec<u8> = secret.iter().copied().cycle().take(60_000).collect();
    let text = String::from_utf8_lossy(secret).repeat(4);
    let root = user.open(&requests::directory(name)).await;
    let contexts = vec![
        CreateContext::QueryMaximalAccess(None),
        CreateContext::Other { tag: Bytes::from_static(b"Odd5!"), data: pattern[..99].to_vec().into() },
        CreateContext::QueryOnDiskId,
    ];
    let create = CreateRequest { contexts, ..requests::create(&format!(r"{name}\{text}")) };
    let reply = user.call(&Request::Create(create)).await.unwrap();
    let file = smb_wire::create::CreateResponse::decode(&reply.message).unwrap().file_id;
    replies.push(reply);
    for request in [
        requests::write(file, 0, &pattern),
        requests::open(&format!(r"{name}\x")),
        requests::open(&format!(r"{name}\yy-{}", text.len())),
        requests::read(file, 3, 777),
        requests::query_directory(root, "*"),
        requests::query_info(file, InfoType::FILE, 18),
        requests::query_info(file, InfoType::FILE, 34),
        requests::query_info(file, InfoType::FILE_SYSTEM, 5),
        requests::query_info(file, InfoType::FILE_SYSTEM, 1),
        requests::query_info(file, InfoType::SECURITY, 0),
        requests::query_info(file, InfoType::FILE, 77),
        requests::read(file, 1 << 40, 7),
        requests::tree_connect(&text),
        requests::open(&format!("{text}*")),
    ] {
        replies.push(user.call(&request).await.unwrap());
    }
    replies.extend(changes(user, root, name).await);
    replies.push(user.call(&requests::close(file)).await.unwrap());
    replies
}

/// A change that is waited for, and a chain whose replies need padding.
async fn changes(user: &mut User, root: smb_wire::FileId, name: &str) -> Vec<Reply> {
    let mut wait = Message::of(&requests::notify(root)).session(user.session.id).tree(user.tree);
    user.client.number(&mut wait);
    user.client.send(&[wait.clone()], user.session.guard()).await.unwrap();
    let mut chain = Vec::new();
    for request in
        [requests::open(&format!(r"{name}\z-new")), requests::echo(), requests::open("?"), requests::echo()]
    {
        let mut message = Message::of(&request).session(user.session.id).tree(user.tree);
        user.client.number(&mut message);
        chain.push(message);
    }
    user.client.send(&chain, user.session.guard()).await.unwrap();
    let mut replies = vec![user.client.reply_to(wait.header.message_id).await.unwrap()];
    for message in &chain {
        replies.push(user.client.reply_to(message.header.message_id).await.unwrap());
    }
    // Each but the last is padded to eight bytes.
    for reply in &replies[1..chain.len()] {
        let length = match reply.header.command {
            Command::Echo => HEADER_LEN + 4,
            _ if reply.status().is_error() => HEADER_LEN + 9,
            _ => HEADER_LEN + 88,
        };
        assert_eq!(reply.message.len(), length.next_multiple_of(8), "{:?}", reply.header.command);
        blank("padding of a chain", &reply.message[length..]);
    }
    replies
}

fn holds(reply: &Reply, secret: &[u8; 8]) -> bool {
    // Any five bytes of it in a row, at any turn.
    let twice = [*secret, *secret].concat();
    (0..8).any(|turn| reply.message.windows(5).any(|window| window == &twice[turn..turn + 5]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_hold_nothing_of_somebody_else() {
    for dialect in [smb_wire::negotiate::Dialect::SMB_3_1_1, smb_wire::negotiate::Dialect::SMB_2_1] {
        let site = Site::new().await;
        let offered = smb_raw::offer(&[dialect]);
        let mut alice = site.log_in_by(&ALICE, offered.clone()).await;
        let mut bob = site.log_in_by(&BOB, offered).await;
        for round in 0..3 {
            for (user, who) in [(&mut alice, 0), (&mut bob, 1)] {
                let replies = work(user, &SECRETS[who], &format!("{who}-{round}")).await;
                assert!(replies.iter().any(|reply| holds(reply, &SECRETS[who])), "the search finds nothing");
                for reply in &replies {
                    check(reply);
                    let found = holds(reply, &SECRETS[1 - who]);
                    assert!(!found, "the other's secret in {:?}", reply.header);
                }
            }
        }
    }
}

/// What was never written reads as zeros, whoever wrote what elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holes_read_as_zeros() {
    let site = Site::new().await;
    let mut alice = site.log_in(&ALICE).await;
    alice.file("secret", &[0xAA; 60_000]).await;
    let mut bob = site.log_in(&BOB).await;
    let hole = bob.open(&requests::open("hole")).await;
    assert_eq!(bob.status(&requests::write(hole, 50_000, b"end")).await, NtStatus::SUCCESS);
    blank("a hole", &bob.content(hole).await[..50_000]);
    let size = requests::set_info(hole, InfoType::FILE, 20, &60_000u64.to_le_bytes());
    assert_eq!(bob.status(&size).await, NtStatus::SUCCESS);
    blank("what a file grew by", &bob.content(hole).await[50_003..]);
}
