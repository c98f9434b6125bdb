//! What a Mac asks when it mounts, lists and copies.

use crate::persistent::begin;
use crate::site::{ALICE, Site, User};
use front_smb::{Share, limits};
use smb_raw::{Message, Reply, requests};
use smb_wire::create::apple::{
    AppleQueryBits, AppleRequest, AppleServerAnswer, AppleServerCapabilities, AppleVolumeCapabilities,
};
use smb_wire::create::context::CreateContext;
use smb_wire::create::{CreateOptions, CreateRequest, CreateResponse, CreateResponseContext};
use smb_wire::fscc::ea::{self, ExtendedAttribute};
use smb_wire::ioctl::copy_chunk::{CopyChunkRequest, CopyChunkResponse};
use smb_wire::ioctl::{Fsctl, IoctlResponse};
use smb_wire::query_directory::{QueryDirectoryRequest, QueryDirectoryResponse};
use smb_wire::query_info::{InfoType, QueryInfoResponse};
use smb_wire::{AccessMask, Command, FileId, NtStatus, Request};
use std::collections::HashMap;
use testkit::ease::{get, put};
use testkit::{COPY_MAX_BYTES, FaultVolume, MemVolume, Op};
use volume::ErrorKind;

const ID_BOTH_DIRECTORY: u8 = 37;
/// Where the fields of an entry stand that Apple's clients read in their own way.
const RIGHTS_AT: usize = 64;
const RESOURCE_AT: usize = 70;
const FINDER_AT: usize = 78;
const MODE_AT: usize = 94;
const NAME_AT: usize = 104;

/// Opens the share's root for reading.
fn root(contexts: Vec<CreateContext>) -> Request {
    Request::Create(CreateRequest {
        create_options: CreateOptions::DIRECTORY_FILE,
        desired_access: AccessMask::FILE_GENERIC_READ,
        contexts,
        ..requests::create("")
    })
}

async fn ask(user: &mut User, request: AppleRequest) -> Option<AppleServerAnswer> {
    let mut data = Vec::new();
    request.encode(&mut data);
    let root = root(vec![CreateContext::Apple(data.into())]);
    let reply = user.call(&root).await.unwrap();
    assert_eq!(reply.status(), NtStatus::SUCCESS);
    CreateResponse::decode(&reply.message).unwrap().contexts.into_iter().find_map(|context| match context {
        CreateResponseContext::Apple(data) => Some(AppleServerAnswer::decode(&data).unwrap()),
        _ => None,
    })
}

fn query(bits: AppleQueryBits, client: AppleServerCapabilities) -> AppleRequest {
    AppleRequest::ServerQuery { bits, client }
}

/// The answer to the context in the open of the share's root.
async fn asked(request: AppleRequest) -> Option<AppleServerAnswer> {
    let site = Site::new().await;
    ask(&mut site.log_in(&ALICE).await, request).await
}

#[tokio::test]
async fn it_is_told_what_is_here_and_nothing_that_is_not() {
    let (all, everything) = (AppleServerCapabilities::all(), AppleQueryBits::from_bits_retain(7));
    let answer = asked(query(everything, all)).await.unwrap();
    let both = AppleServerCapabilities::READ_DIR_ATTR | AppleServerCapabilities::OSX_COPYFILE;
    assert_eq!(answer.server, Some(both));
    assert_eq!(answer.volume, Some(AppleVolumeCapabilities::FULL_SYNC));
    assert!(answer.model.is_some());
    let answer = asked(query(everything, AppleServerCapabilities::empty())).await.unwrap();
    assert_eq!(answer.server, Some(AppleServerCapabilities::OSX_COPYFILE), "listings as it understands them");
    let answer = asked(query(AppleQueryBits::VOLUME_CAPABILITIES, all)).await.unwrap();
    assert_eq!((answer.server, answer.model), (None, None), "only what was asked for");
    assert_eq!(asked(AppleRequest::ResolveId { file_id: 1 }).await, None);
}

/// A file, its Finder information and resource fork.
pub async fn make(user: &mut User, name: &str) -> FileId {
    let file = user.file(name, b"content").await;
    let mut info = vec![0; 60];
    info[..4].copy_from_slice(b"AFP\0");
    info[16..26].copy_from_slice(b"TEXTttxt\x40\x01");
    info[40..42].copy_from_slice(b"\x80\x02");
    user.file(&format!("{name}:AFP_AfpInfo"), &info).await;
    user.file(&format!("{name}:AFP_Resource"), &[7; 300]).await;
    file
}

/// The entries of the root, by name.
async fn list(user: &mut User, class: u8) -> HashMap<String, Vec<u8>> {
    let root = user.open(&root(Vec::new())).await;
    let Request::QueryDirectory(query) = requests::query_directory(root, "*") else { unreachable!() };
    let query = QueryDirectoryRequest { information_class: class, ..query };
    let reply = user.call(&Request::QueryDirectory(query)).await.unwrap();
    let data = QueryDirectoryResponse::decode(&reply.message).unwrap().data;
    let (mut entries, mut at) = (HashMap::new(), 0);
    loop {
        let word =
            |from: usize| u32::from_le_bytes(data[at + from..at + from + 4].try_into().unwrap()) as usize;
        let name = &data[at + NAME_AT..at + NAME_AT + word(60)];
        let units: Vec<u16> = name.chunks(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
        entries.insert(String::from_utf16(&units).unwrap(), data[at..at + NAME_AT].to_vec());
        match word(0) {
            0 => return entries,
            next => at += next,
        }
    }
}

/// The entries of the root as a Mac asks for them, by name.
pub async fn listed(user: &mut User) -> HashMap<String, Vec<u8>> {
    ask(user, query(AppleQueryBits::SERVER_CAPABILITIES, AppleServerCapabilities::READ_DIR_ATTR)).await;
    list(user, ID_BOTH_DIRECTORY).await
}

/// What an entry tells of the Finder information in the stream.
pub fn finder(entry: &[u8]) -> &[u8] {
    &entry[FINDER_AT..][..12]
}

fn rights(entry: &[u8]) -> AccessMask {
    AccessMask::from_bits_retain(u32::from_le_bytes(entry[RIGHTS_AT..][..4].try_into().unwrap()))
}

#[tokio::test]
async fn listings_say_what_it_would_open_each_file_for() {
    for read_only in [false, true] {
        let vfs = vfs::Vfs::new(testkit::MemVolume::new(), vfs::VfsConfig::default());
        let made = Site::over(vfs.clone(), |_| {}).await;
        let mut maker = made.log_in(&ALICE).await;
        make(&mut maker, "file").await;
        maker.file("plain", b"x").await;
        let site = Site::made(vfs, |_| {}, |share: &mut Share| share.read_only = read_only).await;
        let mut user = site.log_in(&ALICE).await;
        assert_eq!(rights(&list(&mut user, ID_BOTH_DIRECTORY).await["file"]).bits(), 0, "it has not asked");
        let listed = listed(&mut user).await;
        let (file, plain) = (&listed["file"], &listed["plain"]);
        for entry in [file, plain, &listed["."]] {
            assert!(rights(entry).contains(AccessMask::READ_DATA | AccessMask::READ_CONTROL));
            assert_eq!(rights(entry).contains(AccessMask::WRITE_DATA), !read_only);
        }
        assert_eq!(file[RESOURCE_AT..][..8], 300u64.to_le_bytes());
        assert_eq!(finder(file), b"TEXTttxt\x40\x01\x80\x02");
        assert_eq!(file[MODE_AT..][..2], 0o100_644u16.to_le_bytes());
        assert_eq!((&plain[RESOURCE_AT..][..8], finder(plain)), (&[0; 8][..], &[0; 12][..]));
        let made =
            [file, plain].map(|entry| u32::from_be_bytes(entry[FINDER_AT + 12..][..4].try_into().unwrap()));
        assert!(made[0] > 0 && made[1] - made[0] <= 1, "one was made right after the other: {made:?}");
    }
}

/// A copy without chunks.
async fn copying(user: &mut User, source: FileId, target: FileId) -> Request {
    let key = user.call(&requests::ioctl(source, Fsctl::SRV_REQUEST_RESUME_KEY, &[])).await.unwrap();
    let key = IoctlResponse::decode(&key.message).unwrap().output;
    let mut input = Vec::new();
    let source_key = key[..24].try_into().unwrap();
    CopyChunkRequest { source_key, chunks: Vec::new() }.encode(&mut input);
    requests::ioctl(target, Fsctl::SRV_COPYCHUNK, &input)
}

/// What became of it, and how much was copied.
fn copied(reply: &Reply) -> (NtStatus, u32) {
    let response = IoctlResponse::decode(&reply.message);
    let done = response.ok().and_then(|response| CopyChunkResponse::decode(&response.output).ok());
    (reply.status(), done.map_or(0, |done| done.total_bytes_written))
}

async fn copy(user: &mut User, source: FileId, target: FileId) -> (NtStatus, u32) {
    let request = copying(user, source, target).await;
    copied(&user.call(&request).await.unwrap())
}

async fn information(user: &mut User, file: FileId, class: u8) -> Vec<u8> {
    let reply = user.call(&requests::query_info(file, InfoType::FILE, class)).await.unwrap();
    assert_eq!(reply.status(), NtStatus::SUCCESS);
    QueryInfoResponse::decode(&reply.message).unwrap().data.to_vec()
}

#[tokio::test]
async fn a_copy_without_chunks_is_one_of_all_that_a_file_has() {
    const BASIC: u8 = 4;
    const FULL_EA: u8 = 15;
    const STREAMS: u8 = 22;
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let source = make(&mut user, "source").await;
    let target = user.file("target", b"longer than what is to be there").await;
    let mut list = Vec::new();
    let attribute = ExtendedAttribute { flags: 0, name: b"COLOR"[..].into(), value: b"red"[..].into() };
    ea::encode_full_ea_list(&[attribute], 1024, &mut list);
    let set = requests::set_info(source, InfoType::FILE, FULL_EA, &list);
    assert_eq!(user.status(&set).await, NtStatus::SUCCESS);
    let hidden = [&[0; 32][..], &0x22u32.to_le_bytes(), &[0; 4]].concat();
    let set = requests::set_info(source, InfoType::FILE, BASIC, &hidden);
    assert_eq!(user.status(&set).await, NtStatus::SUCCESS);

    assert_eq!(copy(&mut user, source, target).await, (NtStatus::SUCCESS, 0), "no chunks, nothing copied");
    assert_eq!(user.content(target).await, b"longer than what is to be there");
    ask(&mut user, query(AppleQueryBits::SERVER_CAPABILITIES, AppleServerCapabilities::empty())).await;
    assert_eq!(copy(&mut user, source, target).await, (NtStatus::SUCCESS, 7));
    assert_eq!(user.content(target).await, b"content");
    for class in [STREAMS, FULL_EA] {
        let (of_source, of_target) =
            (information(&mut user, source, class).await, information(&mut user, target, class).await);
        assert_eq!(of_source, of_target, "class {class}");
    }
    assert_eq!(information(&mut user, target, BASIC).await[32..36], 0x22u32.to_le_bytes());
    let resource = user.open(&requests::open("target:AFP_Resource")).await;
    assert_eq!(user.content(resource).await, [7; 300]);
}

#[tokio::test]
async fn a_whole_copy_needs_the_rights_that_its_parts_do() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    ask(&mut user, query(AppleQueryBits::SERVER_CAPABILITIES, AppleServerCapabilities::empty())).await;
    let source = make(&mut user, "source").await;
    let writes = AccessMask::READ_DATA | AccessMask::WRITE_DATA | AccessMask::WRITE_ATTRIBUTES;
    for (rights, expect) in [
        (AccessMask::READ_DATA, NtStatus::ACCESS_DENIED),
        (AccessMask::WRITE_DATA, NtStatus::ACCESS_DENIED),
        (AccessMask::READ_DATA | AccessMask::APPEND_DATA, NtStatus::ACCESS_DENIED),
        (writes, NtStatus::SUCCESS),
    ] {
        let create = CreateRequest { desired_access: rights, ..requests::create("target") };
        let target = user.open(&Request::Create(create)).await;
        assert_eq!(copy(&mut user, source, target).await.0, expect, "{rights:?}");
    }
}

/// A file of four pieces over one of five, and what the volume answers to the first copying call of the third.
struct Copy {
    volume: std::sync::Arc<FaultVolume>,
    user: User,
    source: FileId,
    target: FileId,
    _site: Site,
}

const PIECE: usize = limits::COPY_PIECE_BYTES as usize;
/// Copying calls that a piece takes there.
const CALLS: u64 = limits::COPY_PIECE_BYTES / COPY_MAX_BYTES;

impl Copy {
    async fn new() -> Copy {
        let volume = FaultVolume::new(MemVolume::new());
        put(&*volume, "source", vec![7; 4 * PIECE]).await;
        put(&*volume, "target", vec![9; 5 * PIECE]).await;
        let site = Site::over(vfs::Vfs::new(volume.clone(), vfs::VfsConfig::default()), |_| {}).await;
        let mut user = site.log_in(&ALICE).await;
        ask(&mut user, query(AppleQueryBits::SERVER_CAPABILITIES, AppleServerCapabilities::empty())).await;
        let source = user.open(&requests::open("source")).await;
        let target = user.open(&requests::open("target")).await;
        Copy { volume, user, source, target, _site: site }
    }

    /// The target is the beginning of the source, this long.
    async fn is_there(&self, pieces: usize) {
        let target = get(&*self.volume, "target").await;
        assert_eq!(target.len(), pieces * PIECE);
        assert!(target.iter().all(|byte| *byte == 7));
    }

    /// And from there it is copied anew.
    async fn again(mut self) {
        let all = (NtStatus::SUCCESS, 4 * PIECE as u32);
        assert_eq!(copy(&mut self.user, self.source, self.target).await, all);
        self.is_there(4).await;
    }
}

#[tokio::test]
async fn a_long_copy_is_announced_and_ends_when_its_client_cancels_it() {
    let mut it = Copy::new().await;
    let gate = it.volume.gate(Op::Copy);
    gate.let_pass(2 * CALLS);
    let request = copying(&mut it.user, it.source, it.target).await;
    let request = begin(&mut it.user, &request).await;
    let interim = it.user.client.replies().await.unwrap().remove(0);
    assert_eq!((interim.header.message_id, interim.status()), (request, NtStatus::PENDING));
    gate.arrived(2 * CALLS + 1).await;
    let mut cancel = Message::new(Command::Cancel, vec![4, 0, 0, 0]).session(it.user.session.id);
    cancel.header.async_id = interim.header.async_id;
    it.user.client.send(&[cancel], it.user.session.guard()).await.unwrap();
    // Answered after it: the CANCEL was heard.
    it.user.is_well().await;
    gate.release();
    let reply = it.user.client.reply_to(request).await.unwrap();
    assert_eq!(copied(&reply), (NtStatus::CANCELLED, 3 * PIECE as u32), "the piece under way is done");
    it.is_there(3).await;
    it.again().await;
}

#[tokio::test]
async fn a_copy_that_fails_on_the_way_leaves_what_it_says_and_nothing_of_what_was_there() {
    let mut it = Copy::new().await;
    it.volume.fail(Op::Copy, 2 * CALLS + 1, ErrorKind::NoSpace);
    let outcome = copy(&mut it.user, it.source, it.target).await;
    assert_eq!(outcome, (NtStatus::DISK_FULL, 2 * PIECE as u32));
    it.is_there(2).await;
    it.again().await;
    // Where nothing was copied all is as it was.
    let mut it = Copy::new().await;
    it.volume.fail(Op::Copy, 1, ErrorKind::NoSpace);
    assert_eq!(copy(&mut it.user, it.source, it.target).await, (NtStatus::DISK_FULL, 0));
    assert_eq!(get(&*it.volume, "target").await.len(), 5 * PIECE);
}
