//! A file written and read over several channels at once, with several large requests in flight on each: what is
//! plain, signed and sealed comes through whole.

use crate::site::{ALICE, Site};
use bytes::Bytes;
use front_smb::Signing;
use smb_raw::load::{Job, Protection, Step, Worker};
use smb_raw::{offer, requests};
use smb_wire::negotiate::Dialect;
use smb_wire::read::ReadResponse;
use std::sync::{Arc, Mutex};

const CHANNELS: usize = 3;
const CHUNK: usize = 300_000;
const CHUNKS: usize = 20;

fn content() -> Vec<u8> {
    (0..CHUNK * CHUNKS).map(|at| (at / 251) as u8 ^ at as u8).collect()
}

async fn check(protection: Protection) {
    let site = Site::with(|config| config.signing = Signing::Enabled).await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.open(&requests::open("file")).await;
    let mut channels = Vec::new();
    for _ in 0..CHANNELS {
        let mut client = site.greet(offer(&[Dialect::SMB_3_1_1])).await;
        let session = client.bind(&ALICE, &user.session).await.unwrap();
        channels.push((client, session));
    }
    let data = Bytes::from(content());
    let offsets = || (0..CHUNKS).map(|chunk| chunk * CHUNK);
    let write = |at: usize| Step::Write { offset: at as u64, data: data.slice(at..at + CHUNK) };
    let read = |at: usize| Step::Read { offset: at as u64, length: CHUNK as u32 };
    let writes: Vec<Job> = offsets().map(|at| Job { file, steps: vec![write(at), read(at)] }).collect();
    let writes = Arc::new(Mutex::new(writes.into_iter()));
    let tree = user.tree;
    let working: Vec<_> = channels
        .into_iter()
        .map(|(mut client, session)| {
            let writes = Arc::clone(&writes);
            tokio::spawn(async move {
                Worker::new(&mut client, &session, tree, protection).work(4, &writes).await.unwrap();
                client
            })
        })
        .collect();
    let mut clients = Vec::new();
    for working in working {
        clients.push(working.await.unwrap());
    }
    let session = match protection {
        Protection::Sealed => user.session.clone().sealing(),
        Protection::Plain | Protection::Signed => user.session.clone(),
    };
    let expect = content();
    for at in offsets() {
        let message = smb_raw::Message::of(&requests::read(file, at as u64, CHUNK as u32)).charge(5);
        let message = message.session(session.id).tree(tree);
        let reply = user.client.exchange(message, session.guard()).await.unwrap();
        let read = ReadResponse::decode(&reply.message).unwrap();
        assert!(read.data == expect[at..at + CHUNK], "{protection:?}: what lies at {at}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain() {
    check(Protection::Plain).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signed() {
    check(Protection::Signed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealed() {
    check(Protection::Sealed).await;
}
