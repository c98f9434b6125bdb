//! Messages that go compressed: every algorithm both ways, plain, signed and sealed, and only where it was asked for.

use crate::One;
use crate::site::{ALICE, Site, User};
use front_smb::{Server, ServerConfig, Share, Signing};
use smb_core::compression::Compression;
use smb_raw::{Guard, Message, Proof, Reply, compressed, offer, requests};
use smb_wire::negotiate::{Dialect, NegotiateContext, NegotiateRequest, compression};
use smb_wire::read::{READ_REQUEST_COMPRESSED, ReadRequest, ReadResponse};
use smb_wire::tree::{ShareFlags, TreeConnectResponse};
use smb_wire::{FileId, NtStatus, Request};
use std::sync::Arc;

/// Longer than what is compressed beside the connection's loop begins with.
const LENGTH: usize = 300_000;

/// An offer of 3.1.1 with these algorithms.
pub fn offering(algorithms: &[Compression], is_chained: bool) -> NegotiateRequest {
    let mut offered = offer(&[Dialect::SMB_3_1_1]);
    let flags = if is_chained { compression::FLAG_CHAINED } else { 0 };
    let algorithms = algorithms.iter().map(|algorithm| algorithm.wire()).collect();
    offered.contexts.push(NegotiateContext::Compression { flags, algorithms });
    offered
}

/// A server that compresses.
pub async fn compressing() -> Site {
    Site::with(|config| {
        config.compression = true;
        config.signing = Signing::Enabled;
    })
    .await
}

/// Every algorithm by itself, and what a client of today offers.
fn offers() -> Vec<NegotiateRequest> {
    use Compression::{Lz4, Lz77, Lz77Huffman, Lznt1, PatternV1};
    let mut offers: Vec<_> =
        [Lz4, Lz77, Lz77Huffman, Lznt1].iter().map(|one| offering(&[*one], false)).collect();
    offers.extend([Lz4, Lz77, Lz77Huffman, Lznt1].iter().map(|one| offering(&[*one, PatternV1], true)));
    offers.push(offering(&[PatternV1], true));
    offers
}

fn text() -> Vec<u8> {
    (0..)
        .flat_map(|line: u32| format!("line {line}: what repeats, repeats\n").into_bytes())
        .take(LENGTH)
        .collect()
}

fn noise() -> Vec<u8> {
    testkit::Rng::new(1).bytes(LENGTH)
}

/// A read of the whole file whose answer may come compressed.
fn compressed_read(file_id: FileId) -> Request {
    let Request::Read(read) = requests::read(file_id, 0, LENGTH as u32) else { unreachable!() };
    Request::Read(ReadRequest { flags: READ_REQUEST_COMPRESSED, ..read })
}

impl User {
    /// Sends a large request compressed, and then protected as `sealed` says; gives its answer.
    async fn compressed(&mut self, request: &Request, sealed: bool) -> Reply {
        let mut message = Message::of(request).session(self.session.id).tree(self.tree).charge(5);
        self.client.number(&mut message);
        let session = self.session.clone();
        let guard = if sealed { Guard::Seal(&session) } else { Guard::Sign(&session.signer) };
        let agreed = self.client.compression.as_ref().unwrap();
        let smaller = compressed(&[message.clone()], guard, agreed).unwrap();
        assert!(smaller.len() < message.body.len() / 2, "{}", smaller.len());
        self.client.send_frame(&smaller).await.unwrap();
        self.client.reply_to(message.header.message_id).await.unwrap()
    }

    async fn large(&mut self, request: &Request, sealed: bool) -> Reply {
        let message = Message::of(request).session(self.session.id).tree(self.tree).charge(5);
        let session = self.session.clone();
        let guard = if sealed { Guard::Seal(&session) } else { Guard::Sign(&session.signer) };
        self.client.exchange(message, guard).await.unwrap()
    }
}

fn data(reply: &Reply) -> Vec<u8> {
    assert_eq!(reply.status(), NtStatus::SUCCESS);
    ReadResponse::decode(&reply.message).unwrap().data.to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_algorithm_both_ways_signed_and_sealed() {
    let site = compressing().await;
    for (offered, sealed) in
        offers().into_iter().flat_map(|offered| [(offered.clone(), false), (offered, true)])
    {
        let patterns_alone =
            offered.contexts.last() == offering(&[Compression::PatternV1], true).contexts.last();
        let what = format!("{:?}, sealed: {sealed}", offered.contexts.last());
        let content = if patterns_alone { vec![7; LENGTH] } else { text() };
        let mut user = site.log_in_by(&ALICE, offered).await;
        let file = user.open(&requests::open("file")).await;
        let written = user.compressed(&requests::write(file, 0, &content), sealed).await;
        assert_eq!((written.status(), written.compressed), (NtStatus::SUCCESS, false), "{what}");
        let proof = if sealed { Proof::Sealed } else { Proof::Signed };
        let asked = user.large(&compressed_read(file), sealed).await;
        assert_eq!((asked.compressed, asked.proof), (true, proof), "{what}");
        assert!(data(&asked) == content, "{what}");
        let unasked = user.large(&requests::read(file, 0, LENGTH as u32), sealed).await;
        assert_eq!((unasked.compressed, unasked.proof), (false, proof), "{what}");
        assert!(data(&unasked) == content, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_not_become_smaller_goes_as_it_is() {
    let site = compressing().await;
    for (offered, sealed) in
        offers().into_iter().flat_map(|offered| [(offered.clone(), false), (offered, true)])
    {
        let mut user = site.log_in_by(&ALICE, offered).await;
        let file = user.open(&requests::open("noise")).await;
        let written = user.large(&requests::write(file, 0, &noise()), sealed).await;
        assert_eq!(written.status(), NtStatus::SUCCESS);
        let reply = user.large(&compressed_read(file), sealed).await;
        assert!(!reply.compressed && data(&reply) == noise());
    }
}

/// Two READs in one chain are one message, and one of them asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_is_compressed_as_a_whole() {
    let site = compressing().await;
    let mut user = site.log_in_by(&ALICE, offering(&[Compression::Lz77], true)).await;
    let file = user.open(&requests::open("file")).await;
    user.compressed(&requests::write(file, 0, &text()), false).await;
    let message = |request| Message::of(&request).session(user.session.id).tree(user.tree).charge(5);
    let mut both = [message(compressed_read(file)), message(requests::read(file, 0, LENGTH as u32))];
    both.iter_mut().for_each(|message| user.client.number(message));
    user.client.send(&both, user.session.guard()).await.unwrap();
    let replies = user.client.replies().await.unwrap();
    assert!(replies.iter().all(|reply| reply.compressed && reply.proof == Proof::Signed));
    assert!(replies.len() == 2 && replies.iter().all(|reply| data(reply) == text()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_agreed_unless_the_operator_wants_it() {
    let site = Site::new().await;
    let mut user = site.log_in_by(&ALICE, offering(&Compression::PREFERENCE, true)).await;
    assert_eq!(user.client.compression, None);
    let file = user.open(&requests::open("file")).await;
    user.large(&requests::write(file, 0, &text()), false).await;
    let reply = user.large(&compressed_read(file), false).await;
    assert!(!reply.compressed && data(&reply) == text(), "a flag that means nothing here");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_can_are_told_that_a_share_would_like_it() {
    for (compression, compress) in [(true, true), (true, false), (false, true)] {
        let site = Site::made(
            vfs::Vfs::new(testkit::MemVolume::new(), vfs::VfsConfig::default()),
            |config| config.compression = compression,
            |share| share.compress = compress,
        )
        .await;
        for offered in [offering(&[Compression::Lz4], false), offer(&[Dialect::SMB_3_1_1])] {
            let can = offered.contexts.len() > offer(&[Dialect::SMB_3_1_1]).contexts.len();
            let mut user = site.log_in_by(&ALICE, offered).await;
            let reply = user.call(&requests::tree_connect("share")).await.unwrap();
            let flags = TreeConnectResponse::decode(&reply.message).unwrap().share_flags;
            assert_eq!(flags.contains(ShareFlags::COMPRESS_DATA), compression && compress && can);
        }
    }
}

/// `smb2` compresses all that it sends by LZ4 where that is agreed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_another_make_is_understood() {
    let config = ServerConfig::new(vec![([127, 0, 0, 1], 0).into()], Arc::new(One));
    let config = ServerConfig { compression: true, ..config };
    let share = Share::new("share", crate::volume().await);
    let server = Server::start(config, vec![share]).await.unwrap();
    let mut client = crate::Client::new(&server.local_addrs()[0].to_string()).await;
    assert!(client.connection().compression_enabled());
    let tree = client.tree.clone();
    tree.write_file(client.connection(), "a", &text()).await.unwrap();
    assert!(tree.read_file(client.connection(), "a").await.unwrap() == text());
    assert_eq!(server.status().written_bytes, LENGTH as u64);
}
