//! Named pipes of `IPC$`: RPC requests in fragments, what a pipe keeps, and reads that wait.

use crate::site::{ALICE, BOB, Site, User, user};
use bytes::Bytes;
use front_smb::{People, Server, ServerConfig, Share, Signing, limits};
use smb_raw::ntlm::{self, NOBODY};
use smb_raw::{Message, offer, requests};
use smb_wire::ioctl::{Fsctl, IoctlResponse};
use smb_wire::negotiate::Dialect;
use smb_wire::read::ReadResponse;
use smb_wire::rpc::MAX_FRAGMENT_LEN;
use smb_wire::sid::Sid;
use smb_wire::{Command, FileId, Flags, NtStatus, Request};
use std::time::Duration;
use tokio::time::timeout;

const FIRST: u8 = 1;
const LAST: u8 = 2;
/// Head of a request, bytes.
const HEAD_BYTES: usize = 24;
/// Packet types.
const RESPONSE: u8 = 2;

/// LsarLookupSids, LsarOpenPolicy2.
const LOOKUP_SIDS: u16 = 15;
const OPEN_POLICY: u16 = 44;
/// NetrServerGetInfo, NetrShareGetInfo.
const SERVER_GET_INFO: u16 = 21;
const SHARE_GET_INFO: u16 = 16;

/// A fragment of an RPC request.
fn fragment(flags: u8, opnum: u16, arguments: &[u8]) -> Vec<u8> {
    let length = (HEAD_BYTES + arguments.len()) as u16;
    let mut pdu = vec![5, 0, 0, flags, 0x10, 0, 0, 0];
    pdu.extend_from_slice(&length.to_le_bytes());
    pdu.extend_from_slice(&[0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    pdu.extend_from_slice(&opnum.to_le_bytes());
    [&pdu, arguments].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The arguments of NetrServerGetInfo.
fn server_info() -> Vec<u8> {
    words(&[0, 100])
}

/// A user of `IPC$`.
async fn caller(site: &Site) -> User {
    pipes_of(site, &ALICE).await
}

/// The same for anybody.
async fn pipes_of(site: &Site, who: &ntlm::Client) -> User {
    let mut client = site.greet(offer(&[Dialect::SMB_3_1_1])).await;
    // Strangers are proved nothing, for want of a key.
    client.careless = true;
    let session = client.log_in(who).await.unwrap();
    let reply = client.call(&session, 0, &requests::tree_connect("IPC$")).await.unwrap();
    assert_eq!(reply.status(), NtStatus::SUCCESS);
    User { client, session, tree: reply.header.tree_id }
}

/// The next message of a pipe, or a part of it.
async fn read(user: &mut User, pipe: FileId, length: u32) -> Result<(Vec<u8>, NtStatus), NtStatus> {
    let reply = user.call(&requests::read(pipe, 0, length)).await.unwrap();
    match reply.status() {
        status @ (NtStatus::SUCCESS | NtStatus::BUFFER_OVERFLOW) => {
            Ok((ReadResponse::decode(&reply.message).unwrap().data.to_vec(), status))
        }
        status => Err(status),
    }
}

/// The result of a call in one fragment.
async fn call(user: &mut User, pipe: FileId, opnum: u16, arguments: &[u8]) -> Vec<u8> {
    let request = fragment(FIRST | LAST, opnum, arguments);
    let reply = user.call(&requests::ioctl(pipe, Fsctl::PIPE_TRANSCEIVE, &request)).await.unwrap();
    assert_eq!(reply.status(), NtStatus::SUCCESS);
    let output = IoctlResponse::decode(&reply.message).unwrap().output;
    assert_eq!(output[2], RESPONSE);
    output[HEAD_BYTES..].to_vec()
}

/// As Explorer asks for the names in a long access list: the fragments are written one after the other, then the
/// answer is read, one fragment at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_sids_are_looked_up_at_once() {
    let site = Site::new().await;
    let mut alice = caller(&site).await;
    let pipe = alice.open(&requests::open("lsarpc")).await;
    let opened = call(&mut alice, pipe, OPEN_POLICY, &[]).await;
    let mut arguments = opened[..20].to_vec();
    let sids: Vec<Sid> = (0..1000).map(|number| Sid::unix_user(70_000 + number)).collect();
    arguments.extend(words(&[1000, 1, 1000]));
    arguments.extend(words(&[1; 1000]));
    for sid in &sids {
        arguments.extend(words(&[sid.sub_authorities().len() as u32]));
        sid.encode(&mut arguments);
    }
    arguments.extend(words(&[0, 0, 1, 0]));
    let chunks: Vec<&[u8]> = arguments.chunks(MAX_FRAGMENT_LEN - HEAD_BYTES).collect();
    assert!(chunks.len() > 4);
    for (at, chunk) in chunks.iter().enumerate() {
        let flags = if at == 0 { FIRST } else { 0 } | if at + 1 == chunks.len() { LAST } else { 0 };
        let written = alice.status(&requests::write(pipe, 0, &fragment(flags, LOOKUP_SIDS, chunk))).await;
        assert_eq!(written, NtStatus::SUCCESS);
    }
    let mut result = Vec::new();
    loop {
        // A message in two parts: the second is told of.
        let (head, more) = read(&mut alice, pipe, 100).await.unwrap();
        assert_eq!((head[2], more), (RESPONSE, NtStatus::BUFFER_OVERFLOW));
        let (rest, more) = read(&mut alice, pipe, 65_536).await.unwrap();
        assert_eq!(more, NtStatus::SUCCESS);
        let pdu = [head, rest].concat();
        assert_eq!(pdu.len(), usize::from(u16::from_le_bytes([pdu[8], pdu[9]])), "a PDU for each message");
        result.extend_from_slice(&pdu[HEAD_BYTES..]);
        if pdu[3] & LAST != 0 {
            break;
        }
    }
    let text = String::from_utf16_lossy(
        &result.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect::<Vec<_>>(),
    );
    for number in [70_000, 70_500, 70_999] {
        assert!(text.contains(&number.to_string()), "{number}");
    }
}

/// What is not read and what is not whole counts for all pipes of the session together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipes_of_a_session_keep_only_so_much() {
    let site = Site::new().await;
    let mut alice = caller(&site).await;
    let chunk = vec![0; 60_000];
    let (mut pipes, mut kept) = (Vec::new(), 0);
    let refused = loop {
        let pipe = alice.open(&requests::open("srvsvc")).await;
        match alice.status(&requests::write(pipe, 0, &fragment(FIRST, SERVER_GET_INFO, &chunk))).await {
            NtStatus::SUCCESS => kept += chunk.len(),
            NtStatus::PIPE_BUSY => break pipe,
            status => panic!("{status}"),
        }
        pipes.push(pipe);
    };
    let most = limits::PIPES_MAX_BYTES;
    assert!((most / 2..=most).contains(&kept), "{kept}");
    // Another session has its own.
    let mut other = caller(&site).await;
    let pipe = other.open(&requests::open("srvsvc")).await;
    call(&mut other, pipe, SERVER_GET_INFO, &server_info()).await;
    // One that is closed makes room.
    assert_eq!(alice.status(&requests::close(pipes[0])).await, NtStatus::SUCCESS);
    call(&mut alice, refused, SERVER_GET_INFO, &server_info()).await;
    alice.tree = 0;
    assert_eq!(alice.status(&requests::logoff()).await, NtStatus::SUCCESS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_at_a_pipe_tells_of_its_messages() {
    let site = Site::new().await;
    let mut alice = caller(&site).await;
    let pipe = alice.open(&requests::open("srvsvc")).await;
    let request = fragment(FIRST | LAST, SERVER_GET_INFO, &server_info());
    for _ in 0..2 {
        assert_eq!(alice.status(&requests::write(pipe, 0, &request)).await, NtStatus::SUCCESS);
    }
    let reply = alice.call(&requests::ioctl(pipe, Fsctl::PIPE_PEEK, &[])).await.unwrap();
    let seen = IoctlResponse::decode(&reply.message).unwrap().output;
    let word = |at: usize| u32::from_le_bytes(seen[at..at + 4].try_into().unwrap()) as usize;
    let message = seen.len() - 16;
    // Connected, bytes in all, messages, bytes of the first.
    assert_eq!([word(0), word(4), word(8), word(12)], [3, 2 * message, 2, message]);
    assert_eq!(read(&mut alice, pipe, 65_536).await.unwrap(), (seen[16..].to_vec(), NtStatus::SUCCESS));
    assert_eq!(read(&mut alice, pipe, 65_536).await.unwrap().0.len(), message);
}

/// The outcome of NetrShareGetInfo, level 1.
async fn share_info(user: &mut User, name: &str) -> u32 {
    let pipe = user.open(&requests::open("srvsvc")).await;
    let units: Vec<u8> = name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    let count = units.len() as u32 / 2;
    let mut arguments = [words(&[0, count, 0, count]), units].concat();
    arguments.resize(arguments.len().next_multiple_of(4), 0);
    arguments.extend(words(&[1]));
    let result = call(user, pipe, SHARE_GET_INFO, &arguments).await;
    assert_eq!(user.status(&requests::close(pipe)).await, NtStatus::SUCCESS);
    u32::from_le_bytes(*result.last_chunk().unwrap())
}

/// As `net view` and Explorer's properties ask. A share that is not for the caller stays hidden from him.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hidden_share_is_told_of_by_its_name_to_who_may_connect() {
    const NOT_FOUND: u32 = 2310;
    let vfs = crate::volume().await;
    let hidden = |name: &str| Share { hidden: true, ..Share::new(name, vfs.clone()) };
    let shares = vec![
        hidden("all$"),
        Share { users: People::new(["bob"]), ..hidden("bobs$") },
        Share { guests: true, users: People::new(["bob"]), ..hidden("guests$") },
        Share { encrypt: true, ..hidden("sealed$") },
        Share { users: People::new(["bob"]), ..Share::new("bobs", vfs.clone()) },
    ];
    // Without a key guests can only be where signing is not required.
    let config = ServerConfig { signing: Signing::Enabled, anonymous: true, ..Site::config() };
    let server = Server::start(config, shares.clone()).await.unwrap();
    let site = Site { address: server.local_addrs()[0], server };
    let told = ["all$", "ALL$", "bobs$", "guests$", "sealed$", "bobs", "no such share"];
    let check = async |who: &ntlm::Client, expect: [u32; 7]| {
        let mut caller = pipes_of(&site, who).await;
        for (name, expect) in told.into_iter().zip(expect) {
            assert_eq!(share_info(&mut caller, name).await, expect, "{:?} {name}", who.user);
        }
    };
    check(&ALICE, [0, 0, NOT_FOUND, NOT_FOUND, 0, 0, NOT_FOUND]).await;
    check(&BOB, [0, 0, 0, 0, 0, 0, NOT_FOUND]).await;
    check(&user("mallory", ""), [NOT_FOUND, NOT_FOUND, NOT_FOUND, 0, NOT_FOUND, 0, NOT_FOUND]).await;
    // With no share for guests who gives no name is nobody.
    let closed = |share: &Share| Share { guests: false, ..share.clone() };
    site.server.set_shares(shares.iter().map(closed).collect());
    check(&NOBODY, [NOT_FOUND, NOT_FOUND, NOT_FOUND, NOT_FOUND, NOT_FOUND, 0, NOT_FOUND]).await;
}

/// Only what is served can be waited for, and nothing else ever comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_pipe_is_told_whether_it_is_there() {
    let wait = |name: &str, file: FileId| {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        // No time is named: for ever.
        let input = [&[0; 8][..], &(name.len() as u32).to_le_bytes(), &[0, 0], &name].concat();
        requests::ioctl(file, Fsctl::PIPE_WAIT, &input)
    };
    let site = Site::new().await;
    let mut alice = caller(&site).await;
    let own = alice.open(&requests::open("srvsvc")).await;
    for (name, file, expect) in [
        ("srvsvc", FileId::RELATED, NtStatus::SUCCESS),
        ("LSARPC", FileId::RELATED, NtStatus::SUCCESS),
        ("spoolss", FileId::RELATED, NtStatus::OBJECT_NAME_NOT_FOUND),
        ("", FileId::RELATED, NtStatus::OBJECT_NAME_NOT_FOUND),
        ("srvsvc", own, NtStatus::INVALID_PARAMETER),
    ] {
        assert_eq!(alice.status(&wait(name, file)).await, expect, "{name}");
    }
    let short = requests::ioctl(FileId::RELATED, Fsctl::PIPE_WAIT, &[0; 13]);
    assert_eq!(alice.status(&short).await, NtStatus::INVALID_PARAMETER);
    let mut on_disk = site.log_in(&ALICE).await;
    assert_eq!(on_disk.status(&wait("srvsvc", FileId::RELATED)).await, NtStatus::INVALID_DEVICE_REQUEST);
}

/// A request that has to wait, and is told so: its message id and its async id.
async fn begin(user: &mut User, request: &Request) -> (u64, u64) {
    begin_message(user, Message::of(request)).await
}

async fn begin_message(user: &mut User, message: Message) -> (u64, u64) {
    let mut message = message.session(user.session.id).tree(user.tree);
    user.client.number(&mut message);
    user.client.send(&[message.clone()], user.session.guard()).await.unwrap();
    let interim = user.client.replies().await.unwrap().remove(0).header;
    assert_eq!((interim.message_id, interim.status), (message.header.message_id, NtStatus::PENDING));
    (interim.message_id, interim.async_id.unwrap())
}

/// What became of it, and its data.
async fn ended(user: &mut User, (message_id, async_id): (u64, u64)) -> (NtStatus, Bytes) {
    let reply = user.client.reply_to(message_id).await.unwrap();
    assert_eq!(reply.header.async_id, Some(async_id));
    let data = ReadResponse::decode(&reply.message).map(|response| response.data);
    (reply.status(), data.unwrap_or_default())
}

/// The number of the call that an answer is to.
fn call_id(pdu: &[u8]) -> u32 {
    u32::from_le_bytes(pdu[12..16].try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_waits_for_its_message_each_in_its_turn() {
    let site = Site::new().await;
    let mut alice = caller(&site).await;
    let pipe = alice.open(&requests::open("srvsvc")).await;
    let first = begin(&mut alice, &requests::read(pipe, 0, 65_536)).await;
    let second = begin(&mut alice, &requests::read(pipe, 0, 65_536)).await;
    for number in [7, 8] {
        let mut request = fragment(FIRST | LAST, SERVER_GET_INFO, &server_info());
        request[12] = number;
        assert_eq!(alice.status(&requests::write(pipe, 0, &request)).await, NtStatus::SUCCESS);
    }
    for (waiting, number) in [(first, 7), (second, 8)] {
        let (status, data) = ended(&mut alice, waiting).await;
        assert_eq!((status, call_id(&data)), (NtStatus::SUCCESS, number));
    }
}

/// Two fragments by two transactions: only the last has an answer, which the first one has waited for longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_waits_for_an_answer() {
    let site = Site::new().await;
    let mut alice = caller(&site).await;
    let pipe = alice.open(&requests::open("srvsvc")).await;
    let arguments = server_info();
    let (head, tail) = arguments.split_at(4);
    let head = fragment(FIRST, SERVER_GET_INFO, head);
    let (waits, _) = begin(&mut alice, &requests::ioctl(pipe, Fsctl::PIPE_TRANSCEIVE, &head)).await;
    let tail = fragment(LAST, SERVER_GET_INFO, tail);
    assert_eq!(alice.status(&requests::write(pipe, 0, &tail)).await, NtStatus::SUCCESS);
    let reply = alice.client.reply_to(waits).await.unwrap();
    assert_eq!(reply.status(), NtStatus::SUCCESS);
    assert_eq!(IoctlResponse::decode(&reply.message).unwrap().output[2], RESPONSE);
}

/// Others get the room for their answers, however much the one that waits has asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_waits_holds_no_room() {
    const MUCH: u32 = limits::PAYLOAD_MAX_BYTES;
    let site = Site::new().await;
    let mut alice = caller(&site).await;
    let asking_much = |code, pipe, input: &[u8]| {
        let Request::Ioctl(mut asked) = requests::ioctl(pipe, code, input) else { unreachable!() };
        asked.max_output_response = MUCH;
        Message::of(&Request::Ioctl(asked)).charge((MUCH / 65_536) as u16)
    };
    let mut last = FileId::default();
    for _ in 0..limits::ANSWER_ROOM_BYTES / MUCH {
        last = alice.open(&requests::open("srvsvc")).await;
        let head = fragment(FIRST, SERVER_GET_INFO, &[0; 4]);
        begin_message(&mut alice, asking_much(Fsctl::PIPE_TRANSCEIVE, last, &head)).await;
    }
    let look = asking_much(Fsctl::PIPE_PEEK, last, &[]).session(alice.session.id).tree(alice.tree);
    let looked = timeout(Duration::from_secs(10), alice.client.exchange(look, alice.session.guard())).await;
    assert_eq!(looked.unwrap().unwrap().status(), NtStatus::SUCCESS);
}

/// A read that was given up takes no message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_waits_can_be_cancelled() {
    let site = Site::new().await;
    let mut alice = caller(&site).await;
    let pipe = alice.open(&requests::open("srvsvc")).await;
    let given_up = begin(&mut alice, &requests::read(pipe, 0, 65_536)).await;
    let goes_on = begin(&mut alice, &requests::read(pipe, 0, 65_536)).await;
    let mut cancel = Message::new(Command::Cancel, vec![4, 0, 0, 0]).session(alice.session.id);
    cancel.header.message_id = given_up.0;
    cancel.header.async_id = Some(given_up.1);
    cancel.header.flags |= Flags::ASYNC;
    alice.client.send(&[cancel], alice.session.guard()).await.unwrap();
    assert_eq!(ended(&mut alice, given_up).await.0, NtStatus::CANCELLED);
    let request = fragment(FIRST | LAST, SERVER_GET_INFO, &server_info());
    assert_eq!(alice.status(&requests::write(pipe, 0, &request)).await, NtStatus::SUCCESS);
    let (status, data) = ended(&mut alice, goes_on).await;
    assert_eq!((status, data[2]), (NtStatus::SUCCESS, RESPONSE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_ends_with_its_pipe() {
    let site = Site::new().await;
    let ends: [fn(FileId) -> Request; 3] =
        [requests::close, |_| requests::tree_disconnect(), |_| requests::logoff()];
    for end in ends {
        let mut alice = caller(&site).await;
        let pipe = alice.open(&requests::open("lsarpc")).await;
        let first = begin(&mut alice, &requests::read(pipe, 0, 1024)).await;
        let second = begin(&mut alice, &requests::read(pipe, 0, 1024)).await;
        let end = end(pipe);
        assert_eq!(alice.status(&end).await, NtStatus::SUCCESS, "{end:?}");
        for waiting in [first, second] {
            assert_eq!(ended(&mut alice, waiting).await.0, NtStatus::PIPE_BROKEN, "{end:?}");
        }
    }
}

/// Neither a client that goes nor a server that stops waits for what never comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_waits_holds_nobody_up() {
    let site = Site::new().await;
    let mut alice = caller(&site).await;
    let pipe = alice.open(&requests::open("srvsvc")).await;
    begin(&mut alice, &requests::read(pipe, 0, 1024)).await;
    drop(alice);
    let left = site.emptied().await;
    assert_eq!((left.connections, left.sessions), (0, 0));

    let mut alice = caller(&site).await;
    let pipe = alice.open(&requests::open("srvsvc")).await;
    let waiting = begin(&mut alice, &requests::read(pipe, 0, 1024)).await;
    let stopped = tokio::spawn(async move { site.server.shutdown().await });
    assert_eq!(ended(&mut alice, waiting).await.0, NtStatus::CANCELLED);
    assert!(stopped.await.unwrap());
}
