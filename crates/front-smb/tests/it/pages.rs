//! READs whose bytes go from a local file to the socket without coming here: they are what the file holds, whatever
//! is asked for, and a client that leaves in the midst of them takes nothing along.

use crate::site::{ALICE, Site, User};
use bytes::Bytes;
use front_smb::Signing;
use origin_local::{LocalConfig, LocalVolume};
use smb_raw::{Client, Guard, Message, Reply, requests};
use smb_wire::read::ReadResponse;
use smb_wire::{FileId, NtStatus};
use std::path::Path;

const MIB: usize = 1 << 20;
const LENGTH: usize = 3 * MIB + 1001;

fn content() -> Vec<u8> {
    (0..LENGTH).map(|at| (at / 4099) as u8 ^ at as u8).collect()
}

async fn serve(dir: &Path) -> Site {
    std::fs::write(dir.join("file"), content()).unwrap();
    let volume = LocalVolume::open(dir, LocalConfig::default()).unwrap();
    let vfs = vfs::Vfs::new(volume, vfs::VfsConfig::default());
    Site::over(vfs, |config| config.signing = Signing::Enabled).await
}

/// Alice, with credits for long reads, and the file open.
async fn alice(site: &Site) -> (User, FileId) {
    let mut alice = site.log_in(&ALICE).await;
    let file = alice.open(&requests::open("file")).await;
    let mut echo = Message::of(&requests::echo());
    echo.header.credits = 512;
    alice.client.exchange(echo, Guard::Plain).await.unwrap();
    (alice, file)
}

impl User {
    fn read_plainly(&self, file: FileId, offset: usize, length: usize) -> Message {
        let charge = length.div_ceil(65_536).max(1);
        let message = Message::of(&requests::read(file, offset as u64, length as u32)).charge(charge as u16);
        message.session(self.session.id).tree(self.tree)
    }
}

fn data(reply: &Reply) -> Bytes {
    assert_eq!(reply.status(), NtStatus::SUCCESS);
    ReadResponse::decode(&reply.message).unwrap().data
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_is_what_the_file_holds() {
    let dir = tempfile::tempdir().unwrap();
    let site = serve(dir.path()).await;
    let (mut alice, file) = alice(&site).await;
    let all = content();
    let ranges = [
        (0, 65_535),
        (0, 65_536),
        (1, MIB),
        (4096, MIB),
        (MIB - 7, 2 * MIB + 9),
        (LENGTH - 70_000, MIB),
        (LENGTH - 1, MIB),
    ];
    for (offset, length) in ranges {
        let message = alice.read_plainly(file, offset, length);
        let reply = alice.client.exchange(message, Guard::Plain).await.unwrap();
        assert!(data(&reply) == all[offset..LENGTH.min(offset + length)], "{length} from {offset}");
    }
    let behind = alice.read_plainly(file, LENGTH, MIB);
    let reply = alice.client.exchange(behind, Guard::Plain).await.unwrap();
    assert_eq!(reply.status(), NtStatus::END_OF_FILE);
    // What a signed and a plain request are told is the same.
    let signed = alice.read_plainly(file, 5, MIB);
    let reply = alice.client.exchange(signed, Guard::Sign(&alice.session.signer)).await.unwrap();
    assert!(data(&reply) == all[5..5 + MIB]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_are_under_way_and_stand_in_chains() {
    let dir = tempfile::tempdir().unwrap();
    let site = serve(dir.path()).await;
    let (mut alice, file) = alice(&site).await;
    let all = content();
    // Alone, at the end of a chain, where padding follows, and in the midst of one.
    let chains: [&[(usize, usize)]; 4] =
        [&[(0, MIB)], &[(9, 100), (3, MIB)], &[(9, 100), (8, 100_001)], &[(MIB, MIB), (5, 90_000)]];
    let mut expected = Vec::new();
    for chain in chains.iter().cycle().take(20) {
        let mut messages: Vec<_> =
            chain.iter().map(|&(offset, length)| alice.read_plainly(file, offset, length)).collect();
        messages.iter_mut().for_each(|message| alice.client.number(message));
        expected.extend(messages.iter().map(|message| message.header.message_id).zip(chain.iter()));
        alice.client.send(&messages, Guard::Plain).await.unwrap();
    }
    for (id, &(offset, length)) in expected {
        let reply = alice.client.reply_to(id).await.unwrap();
        assert!(data(&reply) == all[offset..offset + length], "{length} from {offset}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_in_the_midst_of_them_takes_nothing_along() {
    let dir = tempfile::tempdir().unwrap();
    let site = serve(dir.path()).await;
    for _ in 0..volume::PAGE_PIPES_MAX {
        let (mut alice, file) = alice(&site).await;
        for offset in [0, MIB] {
            let mut message = alice.read_plainly(file, offset, 2 * MIB);
            alice.client.number(&mut message);
            alice.client.send(&[message], Guard::Plain).await.unwrap();
        }
        // Some of it has come.
        let Client { stream, .. } = alice.client;
        stream.readable().await.unwrap();
    }
    assert_eq!(site.emptied().await.sessions, 0);
    let (mut alice, file) = alice(&site).await;
    let message = alice.read_plainly(file, 77, 3 * MIB);
    let reply = alice.client.exchange(message, Guard::Plain).await.unwrap();
    assert!(data(&reply) == content()[77..77 + 3 * MIB]);
}
