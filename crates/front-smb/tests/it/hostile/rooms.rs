//! Clients that ask for much and take nothing: what waits for them is bounded, whatever the request. Who takes it gets all
//! that he asks for.

use crate::site::{ALICE, Site, User};
use front_smb::limits;
use smb_raw::{Message, requests};
use smb_wire::fscc::file::FileClass;
use smb_wire::ioctl::Fsctl;
use smb_wire::query_info::InfoType;
use smb_wire::read::ReadResponse;
use smb_wire::{FileId, NtStatus, Request};
use std::sync::Arc;
use testkit::{MemConfig, MemVolume, Op};
use vfs::{Vfs, VfsConfig};

const MUCH: u32 = limits::PAYLOAD_MAX_BYTES;
/// Credits that this costs.
const CHARGE: u16 = (MUCH / 65_536) as u16;
/// So many entries are more than fit.
const ENTRIES: usize = MUCH as usize / 500;
const REQUESTS: usize = 5;

/// A directory whose listing is as long as one may be, and is asked for at once.
async fn large() -> (Arc<MemVolume>, Site) {
    let mem = MemVolume::with(MemConfig { page_entries: 2 * ENTRIES, ..MemConfig::default() });
    for number in 0..ENTRIES {
        testkit::ease::put(&*mem, &format!("{number:0>250}"), b"").await;
    }
    let vfs = Vfs::new(mem.clone(), VfsConfig::default());
    (mem, Site::over(vfs, |_| {}).await)
}

/// A request for as long an answer as there may be.
fn asking_much(user: &mut User, mut request: Request) -> Message {
    match &mut request {
        Request::QueryDirectory(asked) => asked.output_buffer_length = MUCH,
        Request::QueryInfo(asked) => asked.output_buffer_length = MUCH,
        Request::Ioctl(asked) => asked.max_output_response = MUCH,
        Request::ChangeNotify(asked) => asked.output_buffer_length = MUCH,
        other => panic!("{other:?}"),
    }
    let message = Message::of(&request).charge(CHARGE);
    let mut message = message.session(user.session.id).tree(user.tree);
    user.client.number(&mut message);
    message
}

/// The whole directory from its beginning, as far as it fits.
fn listing(user: &mut User, dir: FileId) -> Message {
    asking_much(user, requests::query_directory(dir, "*"))
}

/// How many listings the volume is asked for until nothing happens any more: all run on one thread.
async fn listings(mem: &MemVolume) -> u64 {
    let (mut asked, mut quiet) = (mem.counts().of(Op::List), 0);
    while quiet < 1000 {
        tokio::task::yield_now().await;
        let now = mem.counts().of(Op::List);
        quiet = if now == asked { quiet + 1 } else { 0 };
        asked = now;
    }
    asked
}

/// Nothing of a chain's answers is lost, however long they are together; and no more of them are made than there is room
/// for while their client takes none.
#[tokio::test]
async fn a_chain_of_long_listings_is_made_as_its_client_takes_it() {
    let (mem, site) = large().await;
    let mut user = site.log_in(&ALICE).await;
    let dir = user.open(&requests::directory("")).await;
    let file = user.file("file", b"content").await;
    user.save_up().await;
    mem.counts().reset();
    let chain: Vec<_> = (0..REQUESTS).map(|_| listing(&mut user, dir)).collect();
    user.client.send(&chain, user.session.guard()).await.unwrap();
    let made = listings(&mem).await;
    let fit = limits::ANSWER_ROOM_BYTES / MUCH;
    // Besides what waits here, some is with the system.
    assert!((u64::from(fit)..=u64::from(fit) + 2).contains(&made), "{made} of {REQUESTS}");

    // What else has an answer waits as well, however short that will be.
    let questions = [
        requests::query_info(file, InfoType::FILE, FileClass::BASIC.0),
        requests::ioctl(file, Fsctl::GET_COMPRESSION, &[]),
    ];
    let looked = mem.counts().of(Op::Attr);
    let questions = questions.map(|question| asking_much(&mut user, question));
    for question in &questions {
        user.client.send(std::slice::from_ref(question), user.session.guard()).await.unwrap();
    }
    listings(&mem).await;
    assert_eq!(mem.counts().of(Op::Attr), looked);

    for asked in &chain {
        let reply = user.client.reply_to(asked.header.message_id).await.unwrap();
        let length = reply.message.len();
        assert!(reply.status() == NtStatus::SUCCESS && length > MUCH as usize - 1000, "{length}");
    }
    for asked in &questions {
        let reply = user.client.reply_to(asked.header.message_id).await.unwrap();
        assert_eq!(reply.status(), NtStatus::SUCCESS);
    }
    assert_eq!(mem.counts().of(Op::Attr), looked + 2);
}

/// A request that waits for a change takes room when there is one: it may wait for ever.
#[tokio::test]
async fn who_waits_for_changes_takes_no_room_meanwhile() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let dir = user.open(&requests::directory("")).await;
    user.save_up().await;
    let mut waiting = Vec::new();
    for _ in 0..REQUESTS {
        let message = asking_much(&mut user, requests::notify(dir));
        waiting.push(message.header.message_id);
        user.client.send(&[message], user.session.guard()).await.unwrap();
    }
    let listing = listing(&mut user, dir);
    let id = listing.header.message_id;
    user.client.send(&[listing], user.session.guard()).await.unwrap();
    assert_eq!(user.client.reply_to(id).await.unwrap().status(), NtStatus::SUCCESS);
    for (number, id) in waiting.into_iter().enumerate() {
        user.file(&format!("file {number}"), b"").await;
        assert_eq!(user.client.reply_to(id).await.unwrap().status(), NtStatus::SUCCESS);
    }
}

/// What waits for ever keeps its own bytes, and not the buffer that it came in among others.
#[tokio::test]
async fn a_short_request_that_waits_keeps_little() {
    const WAITING: usize = 400;
    const KEPT_MAX_BYTES: usize = 16 * 1024;
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let dir = user.open(&requests::directory("")).await;
    user.save_up().await;
    let before = resident_bytes();
    for _ in 0..WAITING {
        let mut frames = Vec::new();
        for nth in 0..16 {
            let request = if nth == 0 { requests::notify(dir) } else { requests::echo() };
            let message = user.message(&request);
            let mut bytes = smb_raw::chain(&[message], user.session.guard());
            if nth > 0 {
                bytes.resize(4096, 0);
            }
            frames.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
            frames.extend_from_slice(&bytes);
        }
        user.client.send_bytes(&frames).await.unwrap();
        let last = user.message(&requests::echo());
        user.client.send(std::slice::from_ref(&last), user.session.guard()).await.unwrap();
        user.client.reply_to(last.header.message_id).await.unwrap();
        user.client.others.clear();
    }
    let grown = resident_bytes().saturating_sub(before) / WAITING;
    assert!(grown < KEPT_MAX_BYTES, "{grown} bytes for each of {WAITING}");
}

/// Of this process: server and client.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

/// Who has much on its way to him, or asks for more in one chain than there is room for, waits like any other.
#[tokio::test]
async fn a_read_in_a_chain_waits_for_room() {
    let mem = MemVolume::new();
    testkit::ease::put(&*mem, "big", vec![1; MUCH as usize]).await;
    testkit::ease::put(&*mem, "small", b"content").await;
    let site = Site::over(Vfs::new(mem, VfsConfig::default()), |_| {}).await;
    let mut user = site.log_in(&ALICE).await;
    let big = user.open(&requests::open("big")).await;
    user.save_up().await;
    let mut read = || {
        let message = Message::of(&requests::read(big, 0, MUCH)).charge(CHARGE).session(user.session.id);
        let mut message = message.tree(user.tree);
        user.client.number(&mut message);
        message
    };
    let reads: Vec<_> = (0..REQUESTS).map(|_| read()).collect();
    for read in &reads[..2] {
        user.client.send(std::slice::from_ref(read), user.session.guard()).await.unwrap();
    }
    let small = [
        user.message(&requests::open("small")),
        user.message(&requests::read(FileId::RELATED, 0, 65_536)).related(),
        user.message(&requests::close(FileId::RELATED)).related(),
    ];
    user.client.send(&small, user.session.guard()).await.unwrap();
    user.client.send(&reads[2..], user.session.guard()).await.unwrap();
    for (sent, length) in reads.iter().map(|read| (read, MUCH as usize)).chain([(&small[1], 7)]) {
        let reply = user.client.reply_to(sent.header.message_id).await.unwrap();
        assert_eq!(reply.status(), NtStatus::SUCCESS);
        assert_eq!(ReadResponse::decode(&reply.message).unwrap().data.len(), length);
    }
    for sent in [&small[0], &small[2]] {
        let reply = user.client.reply_to(sent.header.message_id).await.unwrap();
        assert_eq!(reply.status(), NtStatus::SUCCESS);
    }
}
