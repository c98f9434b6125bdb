//! Compressed messages that lie about what they are, or become far more than they were (MS-SMB2 3.3.5.2.1.2).

use super::anonymous::{nobody_by, pipe};
use crate::compression::{compressing, offering};
use crate::site::{ALICE, BOB, Site, User};
use bytes::Bytes;
use front_smb::limits;
use smb_core::compression::Compression;
use smb_raw::{Fault, Guard, Message, chain, offer, requests};
use smb_wire::compression_transform::{ChainedPayload, CompressedMessage};
use smb_wire::lock::LockFlags;
use smb_wire::negotiate::{Dialect, NegotiateRequest, compression};
use smb_wire::{Command, NtStatus};

/// The longest message that one may become.
const RESTORED_MAX: usize = limits::PAYLOAD_MAX_BYTES as usize + limits::RESTORED_OVERHEAD_MAX_BYTES;

fn unchained(plain: &[u8], algorithm: u16, original_size: u32, data: &[u8]) -> Vec<u8> {
    let (plain, data) = (Bytes::copy_from_slice(plain), Bytes::copy_from_slice(data));
    let mut out = Vec::new();
    CompressedMessage::Unchained { plain, algorithm, original_size, data }.encode(&mut out);
    out
}

fn chained(original_size: u32, payloads: Vec<ChainedPayload>) -> Vec<u8> {
    let mut out = Vec::new();
    CompressedMessage::Chained { original_size, payloads }.encode(&mut out);
    out
}

fn plain(bytes: &[u8]) -> ChainedPayload {
    ChainedPayload::Plain(Bytes::copy_from_slice(bytes))
}

fn pattern(repetitions: u32) -> ChainedPayload {
    ChainedPayload::Pattern { byte: 0, repetitions }
}

/// LZ4's way to say `size` zeros.
fn zeros(size: usize) -> Vec<u8> {
    lz4(&vec![0; size])
}

fn lz4(data: &[u8]) -> Vec<u8> {
    let agreed =
        smb_core::compression::CompressionAgreement { algorithms: vec![Compression::Lz4], is_chained: false };
    let head = [0; smb_core::compression::PLAIN_HEAD_BYTES];
    let message = smb_core::compression::compress_behind(&head, data, &agreed).unwrap();
    message[16 + head.len()..].to_vec()
}

impl User {
    /// An echo with its signature: a whole message that would be answered.
    fn echo(&mut self) -> Vec<u8> {
        let mut message = Message::of(&requests::echo()).session(self.session.id);
        self.client.number(&mut message);
        chain(&[message], Guard::Sign(&self.session.signer))
    }
}

/// What costs the connection, plain and sealed; others go on.
async fn costs_the_connection(
    site: &Site,
    offered: &NegotiateRequest,
    what: &str,
    bomb: impl Fn(&[u8]) -> Vec<u8>,
) {
    for sealed in [false, true] {
        let mut user = site.log_in_by(&ALICE, offered.clone()).await;
        let echo = user.echo();
        let frame = bomb(&echo);
        let frame = if sealed { user.session.seal(&frame) } else { frame };
        user.client.send_frame(&frame).await.unwrap();
        assert_eq!(user.client.frame().await, Err(Fault::Gone), "{what}, sealed: {sealed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_about_its_size_or_its_kind_costs_the_connection() {
    let site = compressing().await;
    let mut other = site.log_in(&BOB).await;
    let all = offering(&Compression::PREFERENCE, true);
    let costs = async |what, bomb: &dyn Fn(&[u8]) -> Vec<u8>| {
        costs_the_connection(&site, &all, what, bomb).await;
    };
    let long = RESTORED_MAX as u32;
    let zeros = zeros(RESTORED_MAX);
    costs("over the limit", &|echo| unchained(echo, compression::LZ4, long - echo.len() as u32 + 1, &zeros))
        .await;
    costs("announced out of all bounds", &|echo| unchained(echo, compression::LZ4, u32::MAX, &zeros)).await;
    costs("shorter than announced", &|echo| unchained(echo, compression::LZ4, 5000, &zeros[..8])).await;
    costs("longer than announced", &|echo| unchained(echo, compression::LZ4, 5, &zeros)).await;
    costs("a header alone", &|_| b"\xFCSMB".to_vec()).await;
    costs("half a header", &|_| unchained(b"", compression::LZ4, 0, b"")[..12].to_vec()).await;
    costs("plain bytes that are not there", &|echo| {
        let mut message = unchained(echo, compression::LZ4, 5, b"");
        message[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        message
    })
    .await;
    costs("an algorithm that is none", &|echo| unchained(echo, compression::NONE, 0, b"")).await;
    costs("an unknown algorithm", &|echo| unchained(echo, 6, 4, b"abcd")).await;
    costs("a pattern out of a chain", &|echo| {
        unchained(echo, compression::PATTERN_V1, 8, b"\0\0\0\0\x08\0\0\0")
    })
    .await;
    costs("one inside another", &|echo| {
        let inner = chained(echo.len() as u32, vec![plain(echo)]);
        chained(inner.len() as u32, vec![plain(&inner)])
    })
    .await;
    costs("an encrypted one inside", &|_| chained(200, vec![plain(b"\xFDSMB"), pattern(196)])).await;
    costs("SMB1 inside", &|_| chained(100, vec![plain(b"\xFFSMB\x72"), pattern(95)])).await;
    costs("nothing inside", &|_| chained(0, Vec::new())).await;
    costs("less than a header inside", &|_| chained(60, vec![plain(b"\xFESMB"), pattern(56)])).await;
    other.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_of_bombs_cost_the_connection() {
    let site = compressing().await;
    let mut other = site.log_in(&BOB).await;
    let all = offering(&Compression::PREFERENCE, true);
    let costs = async |what, bomb: &dyn Fn(&[u8]) -> Vec<u8>| {
        costs_the_connection(&site, &all, what, bomb).await;
    };
    let long = RESTORED_MAX as u32;
    let bombs = |count: usize| {
        move |echo: &[u8]| {
            let mut payloads = vec![plain(echo)];
            payloads.extend(std::iter::repeat_n(pattern(u32::MAX), count));
            payloads
        }
    };
    costs("patterns of 4 GiB", &|echo| chained(long, bombs(60)(echo))).await;
    costs("announced wrapped around", &|echo| chained(echo.len() as u32 - 1, bombs(1)(echo))).await;
    costs("too many parts", &|echo| {
        chained(echo.len() as u32, std::iter::once(plain(echo)).chain((0..64).map(|_| pattern(0))).collect())
    })
    .await;
    costs("one byte over the limit", &|echo| {
        chained(long + 1, vec![plain(echo), pattern(long + 1 - echo.len() as u32)])
    })
    .await;
    let packed = Bytes::from(zeros(1 << 20));
    let megabyte = || ChainedPayload::Compressed {
        algorithm: compression::LZ4,
        original_size: 1 << 20,
        data: packed.clone(),
    };
    costs("nine megabytes", &|echo| {
        let parts: Vec<_> = std::iter::once(plain(echo)).chain((0..9).map(|_| megabyte())).collect();
        chained(echo.len() as u32 + (9 << 20), parts)
    })
    .await;
    costs("nine megabytes said to be eight", &|echo| {
        let parts: Vec<_> = std::iter::once(plain(echo)).chain((0..9).map(|_| megabyte())).collect();
        chained(echo.len() as u32 + (8 << 20), parts)
    })
    .await;
    other.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_agreed_costs_the_connection() {
    let site = compressing().await;
    let not_chained = offering(&[Compression::Lz4], false);
    let without_patterns = offering(&[Compression::Lz4], true);
    let nothing = offer(&[Dialect::SMB_3_1_1]);
    let older = offer(&[Dialect::SMB_3_0_2]);
    for offered in [&not_chained, &nothing, &older] {
        costs_the_connection(&site, offered, "a chain", |echo| chained(echo.len() as u32, vec![plain(echo)]))
            .await;
    }
    for offered in [&not_chained, &nothing, &older] {
        let lz77 = |echo: &[u8]| unchained(echo, compression::LZ77, 0, &[0; 4]);
        costs_the_connection(&site, offered, "LZ77", lz77).await;
    }
    costs_the_connection(&site, &without_patterns, "a pattern", |echo| {
        chained(echo.len() as u32 + 64, vec![plain(echo), pattern(64)])
    })
    .await;
}

/// A stranger's message may not become longer than one that he sends in full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_message_stays_short() {
    let site = compressing().await;
    let longest = limits::ANONYMOUS_MESSAGE_MAX_BYTES;
    for (length, gets_through) in [(longest, true), (longest + 1, false)] {
        let mut client = site.greet(offering(&[Compression::PatternV1], true)).await;
        let mut message = Message::new(Command::Echo, vec![4, 0, 0, 0]);
        client.number(&mut message);
        let bytes = message.bytes();
        let rest = length - bytes.len();
        client.send_frame(&chained(length as u32, vec![plain(&bytes), pattern(rest as u32)])).await.unwrap();
        match client.replies().await {
            Ok(replies) => assert!(gets_through && replies[0].status() == NtStatus::SUCCESS),
            Err(fault) => assert!(!gets_through && fault == Fault::Gone, "{length}: {fault:?}"),
        }
    }
}

/// A signature is that of the message inside: compressing takes no part in it, and proves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_message_is_signed_inside() {
    let site = Site::with(|config| config.compression = true).await;
    let mut user = site.log_in_by(&ALICE, offering(&[Compression::Lz4], true)).await;
    let mut echo = user.echo();
    user.client.send_frame(&chained(echo.len() as u32, vec![plain(&echo)])).await.unwrap();
    assert_eq!(user.client.replies().await.unwrap()[0].status(), NtStatus::SUCCESS);
    echo = user.echo();
    *echo.last_mut().unwrap() ^= 1;
    user.client.send_frame(&chained(echo.len() as u32, vec![plain(&echo)])).await.unwrap();
    assert_eq!(user.client.replies().await.unwrap()[0].status(), NtStatus::ACCESS_DENIED);
}

/// What a connection has restored and not answered is bounded: a further message waits until one is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_restored_is_bounded() {
    let site = compressing().await;
    let mut holder = site.log_in(&BOB).await;
    let held = holder.file("file", b"content").await;
    let exclusive = LockFlags::EXCLUSIVE;
    let lock = requests::lock(held, 0, 1, exclusive | LockFlags::FAIL_IMMEDIATELY);
    assert_eq!(holder.status(&lock).await, NtStatus::SUCCESS);
    let mut user = site.log_in_by(&ALICE, offering(&[Compression::PatternV1], true)).await;
    let file = user.open(&requests::open("file")).await;
    let half = limits::RESTORED_ROOM_BYTES / 2;
    let mut ids = Vec::new();
    for _ in 0..3 {
        // Each waits for the lock, and is padded to half of the room.
        let mut message =
            Message::of(&requests::lock(file, 0, 1, exclusive)).session(user.session.id).tree(user.tree);
        user.client.number(&mut message);
        ids.push(message.header.message_id);
        let head = message.bytes();
        let bomb = vec![plain(&head), pattern(half - head.len() as u32)];
        let sealed = user.session.seal(&chained(half, bomb));
        user.client.send_frame(&sealed).await.unwrap();
    }
    let mut pending = Vec::new();
    while pending.len() < 2 {
        let replies = user.client.replies().await.unwrap();
        pending.extend(replies.into_iter().map(|reply| (reply.header.message_id, reply.status())));
    }
    pending.sort_by_key(|(id, _)| *id);
    assert_eq!(pending, [(ids[0], NtStatus::PENDING), (ids[1], NtStatus::PENDING)]);
    // The third is not looked at: this one, sent later and in full, is answered before it.
    let reply = user.call(&requests::echo()).await.unwrap();
    assert_eq!((reply.status(), user.client.others.len()), (NtStatus::SUCCESS, 0));
    let unlock = requests::lock(held, 0, 1, LockFlags::UNLOCK);
    assert_eq!(holder.status(&unlock).await, NtStatus::SUCCESS);
    // One of the two has the lock now, and the third its turn to wait.
    let mut after = Vec::new();
    while after.len() < 2 {
        let replies = user.client.replies().await.unwrap();
        after.extend(replies.into_iter().map(|reply| (reply.header.message_id, reply.status())));
    }
    assert!(after.contains(&(ids[2], NtStatus::PENDING)), "{after:?}");
    assert!(after.iter().any(|(id, status)| *id != ids[2] && *status == NtStatus::SUCCESS), "{after:?}");
}

/// The same of strangers, of whom less is taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn little_waits_restored_of_a_stranger() {
    let site = Site::with(|config| {
        config.compression = true;
        config.anonymous = true;
    })
    .await;
    let mut user = nobody_by(&site, offering(&[Compression::PatternV1], true)).await;
    let tree = user.tree;
    let empty = pipe(&mut user, tree, "srvsvc").await.unwrap();
    let length = limits::ANONYMOUS_MESSAGE_MAX_BYTES as u32;
    let most = limits::ANONYMOUS_RESTORED_ROOM_BYTES / length;
    for _ in 0..=most {
        let head = user.message(&requests::read(empty, 0, 1024)).bytes();
        let bomb = vec![plain(&head), pattern(length - head.len() as u32)];
        user.client.send_frame(&chained(length, bomb)).await.unwrap();
    }
    for _ in 0..most {
        assert_eq!(user.client.replies().await.unwrap()[0].status(), NtStatus::PENDING);
    }
    let echo = user.message(&requests::echo());
    user.client.send(&[echo], Guard::Plain).await.unwrap();
    let next = user.client.replies().await.unwrap().remove(0);
    assert_eq!((next.header.command, next.status()), (Command::Echo, NtStatus::SUCCESS));
}
