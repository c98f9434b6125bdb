//! What a Mac asks when it mounts, lists and copies.

use crate::site::{ALICE, Site, User};
use front_smb::Share;
use smb_raw::requests;
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
use smb_wire::{AccessMask, FileId, NtStatus, Request};
use std::collections::HashMap;

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
        assert_eq!(file[FINDER_AT + 12..][..4], plain[FINDER_AT + 12..][..4], "both are of this second");
        assert_ne!(file[FINDER_AT + 12..][..4], [0; 4]);
    }
}

/// A copy without chunks; the status, and how much was copied.
async fn copy(user: &mut User, source: FileId, target: FileId) -> (NtStatus, u32) {
    let key = user.call(&requests::ioctl(source, Fsctl::SRV_REQUEST_RESUME_KEY, &[])).await.unwrap();
    let key = IoctlResponse::decode(&key.message).unwrap().output;
    let mut input = Vec::new();
    let source_key = key[..24].try_into().unwrap();
    CopyChunkRequest { source_key, chunks: Vec::new() }.encode(&mut input);
    let reply = user.call(&requests::ioctl(target, Fsctl::SRV_COPYCHUNK, &input)).await.unwrap();
    if reply.status() != NtStatus::SUCCESS {
        return (reply.status(), 0);
    }
    let output = IoctlResponse::decode(&reply.message).unwrap().output;
    (reply.status(), CopyChunkResponse::decode(&output).unwrap().total_bytes_written)
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
