//! FSCTLs: holes, copies, links, previous versions, and what the test suite alone may ask for.

use crate::site::{ALICE, Site, User};
use front_smb::{SnapshotPattern, Symlinks};
use smb_raw::{Reply, requests};
use smb_wire::create::{CreateDisposition, CreateOptions, CreateRequest, CreateResponse};
use smb_wire::error_response::ErrorResponse;
use smb_wire::fscc::FileAttributes;
use smb_wire::fscc::file::FileClass;
use smb_wire::fscc::reparse::{ReparseData, Symlink, tag};
use smb_wire::ioctl::snapshot::SnapshotTime;
use smb_wire::ioctl::{Fsctl, IoctlResponse};
use smb_wire::query_info::{InfoType, QueryInfoResponse};
use smb_wire::{AccessMask, FileId, NtStatus, Request};
use testkit::{MemConfig, MemVolume};

const BLOCK: usize = 64 * 1024;

pub async fn control(user: &mut User, file: FileId, code: Fsctl, input: &[u8]) -> (NtStatus, Vec<u8>) {
    let reply = user.call(&requests::ioctl(file, code, input)).await.unwrap();
    let status = reply.status();
    if status.is_error() {
        return (status, Vec::new());
    }
    (status, IoctlResponse::decode(&reply.message).unwrap().output.to_vec())
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[tokio::test]
async fn holes_of_a_sparse_file_are_told_and_of_another_not() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("f", &[]).await;
    for number in 0..3 {
        let write = requests::write(file, number * BLOCK as u64, &[7; BLOCK]);
        assert_eq!(user.status(&write).await, NtStatus::SUCCESS);
    }
    let block = BLOCK as u64;
    let whole = words(&[0, 3 * block]);
    let hole = words(&[block, 2 * block]);
    assert_eq!(control(&mut user, file, Fsctl::SET_ZERO_DATA, &hole).await.0, NtStatus::SUCCESS);
    let (_, ranges) = control(&mut user, file, Fsctl::QUERY_ALLOCATED_RANGES, &whole).await;
    assert_eq!(ranges, whole);
    assert_eq!(control(&mut user, file, Fsctl::SET_SPARSE, &[1]).await.0, NtStatus::SUCCESS);
    let (_, ranges) = control(&mut user, file, Fsctl::QUERY_ALLOCATED_RANGES, &whole).await;
    assert_eq!(ranges, words(&[0, block, 2 * block, block]));
    let reply = user.call(&requests::read(file, block - 1, 2)).await.unwrap();
    assert_eq!(smb_wire::read::ReadResponse::decode(&reply.message).unwrap().data[..], [7, 0]);
    let (_, regions) = control(&mut user, file, Fsctl::QUERY_FILE_REGIONS, &[]).await;
    assert_eq!(regions[16..32], whole[..]);
    let trim = [&[0, 0, 0, 0, 1, 0, 0, 0][..], &words(&[0, block])].concat();
    assert_eq!(
        control(&mut user, file, Fsctl::FILE_LEVEL_TRIM, &trim).await,
        (NtStatus::SUCCESS, vec![1, 0, 0, 0])
    );
    let (_, ranges) = control(&mut user, file, Fsctl::QUERY_ALLOCATED_RANGES, &whole).await;
    assert_eq!(ranges, words(&[2 * block, block]));
}

/// Windows sends back the attributes that it has read when it changes another, and leaves out the ones that it cannot set.
#[tokio::test]
async fn a_sparse_file_stays_one_until_it_is_told_not_to_be() {
    const HIDDEN: u32 = FileAttributes::HIDDEN.bits();
    const SPARSE: u32 = FileAttributes::SPARSE_FILE.bits();
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("f", b"content").await;
    let hide = async |user: &mut User, attributes: u32| {
        let basic = [&[0; 32][..], &attributes.to_le_bytes(), &[0; 4]].concat();
        user.status(&requests::set_info(file, InfoType::FILE, FileClass::BASIC.0, &basic)).await
    };
    assert_eq!(hide(&mut user, HIDDEN | SPARSE).await, NtStatus::SUCCESS);
    assert_eq!(attributes(&mut user, file).await, HIDDEN, "not so");
    assert_eq!(control(&mut user, file, Fsctl::SET_SPARSE, &[1]).await.0, NtStatus::SUCCESS);
    assert_eq!(hide(&mut user, HIDDEN).await, NtStatus::SUCCESS);
    assert_eq!(attributes(&mut user, file).await, HIDDEN | SPARSE);
    assert_eq!(control(&mut user, file, Fsctl::SET_SPARSE, &[0]).await.0, NtStatus::SUCCESS);
    assert_eq!(attributes(&mut user, file).await, HIDDEN);
    assert_eq!(control(&mut user, file, Fsctl::SET_SPARSE, &[1]).await.0, NtStatus::SUCCESS);
    assert_eq!(user.status(&requests::close(file)).await, NtStatus::SUCCESS);
    let emptied = CreateRequest {
        create_disposition: CreateDisposition::Overwrite,
        file_attributes: FileAttributes::HIDDEN,
        ..requests::create("f")
    };
    let file = user.open(&Request::Create(emptied)).await;
    assert_eq!(attributes(&mut user, file).await & SPARSE, 0, "another file");
    let stream = user.file("f:stream", b"").await;
    assert_eq!(control(&mut user, stream, Fsctl::SET_SPARSE, &[1]).await.0, NtStatus::NOT_SUPPORTED);
    assert_eq!(attributes(&mut user, file).await & SPARSE, 0);
}

#[tokio::test]
async fn a_trim_where_there_are_no_holes_changes_nothing() {
    let mut config = MemConfig::default();
    config.caps.holes = false;
    let mem = MemVolume::with(config);
    let site = Site::over(vfs::Vfs::new(mem, vfs::VfsConfig::default()), |_| {}).await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("f", b"content").await;
    let trim = [&[0, 0, 0, 0, 1, 0, 0, 0][..], &words(&[0, 7])].concat();
    let (status, looked_at) = control(&mut user, file, Fsctl::FILE_LEVEL_TRIM, &trim).await;
    assert_eq!((status, looked_at), (NtStatus::SUCCESS, vec![1, 0, 0, 0]));
    assert_eq!(user.content(file).await, b"content");
}

const NONE: [u8; 2] = [0, 0];
const DEFAULT: [u8; 2] = [1, 0];
const LZNT1: [u8; 2] = [2, 0];

async fn query(user: &mut User, file: FileId, kind: InfoType, class: u8) -> Vec<u8> {
    let reply = user.call(&requests::query_info(file, kind, class)).await.unwrap();
    assert_eq!(reply.status(), NtStatus::SUCCESS);
    QueryInfoResponse::decode(&reply.message).unwrap().data.to_vec()
}

/// By the FSCTL and by the attributes, which say the same.
async fn attributes(user: &mut User, file: FileId) -> u32 {
    let basic = query(user, file, InfoType::FILE, FileClass::BASIC.0).await;
    u32::from_le_bytes(basic[32..36].try_into().unwrap())
}

async fn is_compressed(user: &mut User, file: FileId) -> bool {
    let (status, format) = control(user, file, Fsctl::GET_COMPRESSION, &[]).await;
    assert_eq!(status, NtStatus::SUCCESS);
    let compressed = attributes(user, file).await & FileAttributes::COMPRESSED.bits() != 0;
    assert_eq!(format, if compressed { LZNT1 } else { NONE });
    assert_eq!(query(user, file, InfoType::FILE, 28).await[8..10], format[..]);
    compressed
}

async fn compresses(user: &mut User, file: FileId) -> bool {
    let attributes = query(user, file, InfoType::FILE_SYSTEM, 5).await;
    attributes[0] & 0x10 != 0
}

#[tokio::test]
async fn what_is_made_in_a_compressed_directory_is_compressed() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let dir = user.open(&requests::directory("d")).await;
    assert!(compresses(&mut user, dir).await && !is_compressed(&mut user, dir).await);
    assert_eq!(control(&mut user, dir, Fsctl::SET_COMPRESSION, &DEFAULT).await.0, NtStatus::SUCCESS);
    let named = requests::create(r"d\named");
    let plain =
        CreateRequest { create_options: CreateOptions::NO_COMPRESSION, ..requests::create(r"d\plain") };
    let (named, plain) = (user.open(&Request::Create(named)).await, user.open(&Request::Create(plain)).await);
    assert!(is_compressed(&mut user, dir).await && is_compressed(&mut user, named).await);
    assert!(!is_compressed(&mut user, plain).await);
    let stream = user.file(r"d\named:s", b"x").await;
    assert!(!is_compressed(&mut user, stream).await);
    let set = control(&mut user, stream, Fsctl::SET_COMPRESSION, &LZNT1).await.0;
    assert_eq!(set, NtStatus::NOT_SUPPORTED);
    assert_eq!(control(&mut user, named, Fsctl::SET_COMPRESSION, &NONE).await.0, NtStatus::SUCCESS);
    assert!(!is_compressed(&mut user, named).await);
}

#[tokio::test]
async fn compression_is_set_by_the_fsctl_alone() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let asked = CreateRequest { file_attributes: FileAttributes::COMPRESSED, ..requests::create("f") };
    let file = user.open(&Request::Create(asked)).await;
    assert!(!is_compressed(&mut user, file).await);
    let mut basic = vec![0; 40];
    basic[32..36]
        .copy_from_slice(&(FileAttributes::COMPRESSED | FileAttributes::ARCHIVE).bits().to_le_bytes());
    let set = requests::set_info(file, InfoType::FILE, 4, &basic);
    assert_eq!(user.status(&set).await, NtStatus::SUCCESS);
    assert!(!is_compressed(&mut user, file).await);
    assert_eq!(
        control(&mut user, file, Fsctl::SET_COMPRESSION, &[0x42, 0]).await.0,
        NtStatus::INVALID_PARAMETER
    );
    assert_eq!(control(&mut user, file, Fsctl::SET_COMPRESSION, &[2]).await.0, NtStatus::INVALID_PARAMETER);
    let reading = CreateRequest { desired_access: AccessMask::READ_DATA, ..requests::create("f") };
    let reading = user.open(&Request::Create(reading)).await;
    assert_eq!(control(&mut user, reading, Fsctl::SET_COMPRESSION, &LZNT1).await.0, NtStatus::ACCESS_DENIED);
    assert_eq!(control(&mut user, file, Fsctl::SET_COMPRESSION, &LZNT1).await.0, NtStatus::SUCCESS);
    assert!(is_compressed(&mut user, file).await);
}

#[tokio::test]
async fn a_volume_that_compresses_nothing_says_so() {
    let mut config = MemConfig::default();
    config.caps.compression = false;
    let volume = vfs::Vfs::new(MemVolume::with(config), vfs::VfsConfig::default());
    let site = Site::over(volume, |_| {}).await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("f", b"x").await;
    assert!(!compresses(&mut user, file).await && !is_compressed(&mut user, file).await);
    assert_eq!(control(&mut user, file, Fsctl::SET_COMPRESSION, &LZNT1).await.0, NtStatus::NOT_SUPPORTED);
    assert_eq!(control(&mut user, file, Fsctl::SET_COMPRESSION, &NONE).await.0, NtStatus::SUCCESS);
}

#[tokio::test]
async fn what_is_not_served_says_so() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("f", b"x").await;
    for (code, status) in [
        (Fsctl::SRV_READ_HASH, NtStatus::HASH_NOT_SUPPORTED),
        (Fsctl::OFFLOAD_READ, NtStatus::NOT_SUPPORTED),
        (Fsctl::SET_OBJECT_ID, NtStatus::ACCESS_DENIED),
        (Fsctl::DFS_GET_REFERRALS, NtStatus::FS_DRIVER_REQUIRED),
        (Fsctl::GET_REPARSE_POINT, NtStatus::NOT_A_REPARSE_POINT),
        (Fsctl::PIPE_PEEK, NtStatus::INVALID_DEVICE_REQUEST),
        (Fsctl::QUERY_ON_DISK_VOLUME_INFO, NtStatus::INVALID_DEVICE_REQUEST),
        (Fsctl(0x8384_8023), NtStatus::INVALID_DEVICE_REQUEST),
        (Fsctl(0x0009_FFFC), NtStatus::INVALID_DEVICE_REQUEST),
    ] {
        assert_eq!(control(&mut user, file, code, &[]).await.0, status, "{code:?}");
        let nobodys = FileId { persistent: 99, volatile: 99 };
        if code != Fsctl::DFS_GET_REFERRALS {
            assert_eq!(control(&mut user, nobodys, code, &[]).await.0, NtStatus::FILE_CLOSED, "{code:?}");
        }
    }
}

#[tokio::test]
async fn the_suites_fsctls_are_behind_a_switch() {
    let site = Site::with(|config| config.protocol_tests = true).await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("f", b"content").await;
    assert_eq!(control(&mut user, file, Fsctl(0x8384_8013), &[]).await.1[0], 8);
    assert_eq!(control(&mut user, file, Fsctl(0x8384_8023), &[]).await.0, NtStatus::SUCCESS);
    let reply = user.call(&requests::read(file, 0, 7)).await.unwrap();
    assert_eq!(reply.message[64 + 2], 64 + 16 + 8);
    assert_eq!(user.content(file).await, b"content");
}

pub fn itself(name: &str) -> CreateRequest {
    let options = CreateOptions::OPEN_REPARSE_POINT;
    CreateRequest { create_options: options, ..requests::create(name) }
}

pub fn link(target: &str) -> Vec<u8> {
    let link = Symlink { substitute_name: target.into(), print_name: target.into(), relative: true };
    let mut bytes = Vec::new();
    ReparseData::Symlink(link).encode(&mut bytes);
    bytes
}

async fn make_link(user: &mut User, name: &str, target: &str) -> FileId {
    let id = user.open(&Request::Create(itself(name))).await;
    let set = control(user, id, Fsctl::SET_REPARSE_POINT, &link(target)).await;
    assert_eq!(set.0, NtStatus::SUCCESS, "{name}");
    id
}

fn created(reply: &Reply) -> CreateResponse {
    assert_eq!(reply.status(), NtStatus::SUCCESS);
    CreateResponse::decode(&reply.message).unwrap()
}

#[tokio::test]
async fn links_are_made_read_followed_and_taken_away() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    user.file("f", b"content").await;
    let made = make_link(&mut user, "l", "f").await;
    assert_eq!(control(&mut user, made, Fsctl::GET_REPARSE_POINT, &[]).await.1, link("f"));
    assert_eq!(user.status(&requests::close(made)).await, NtStatus::SUCCESS);
    // Followed by the server, unless the link itself is meant.
    let followed = user.open(&requests::open("l")).await;
    assert_eq!(user.content(followed).await, b"content");
    let opened = created(&user.call(&Request::Create(itself("l"))).await.unwrap());
    assert_eq!(opened.file_attributes.bits() & 0x400, 0x400);
    let input = [&tag::SYMLINK.to_le_bytes()[..], &[0; 4]].concat();
    assert_eq!(
        control(&mut user, opened.file_id, Fsctl::DELETE_REPARSE_POINT, &input).await.0,
        NtStatus::SUCCESS
    );
    let gone = control(&mut user, opened.file_id, Fsctl::GET_REPARSE_POINT, &[]).await;
    assert_eq!(gone.0, NtStatus::NOT_A_REPARSE_POINT);
    assert_eq!(user.content(followed).await, b"content");
}

#[tokio::test]
async fn links_that_nobody_would_follow_are_not_made_and_harm_nothing() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let full = user.file("full", b"content").await;
    let refused = control(&mut user, full, Fsctl::SET_REPARSE_POINT, &link("f")).await;
    assert_eq!(refused.0, NtStatus::INVALID_PARAMETER);
    assert_eq!(user.content(full).await, b"content");
    let bears = user.file("bears", b"").await;
    user.file("bears:stream", b"content").await;
    let refused = control(&mut user, bears, Fsctl::SET_REPARSE_POINT, &link("f")).await;
    assert_eq!(refused.0, NtStatus::INVALID_PARAMETER);
    let shared = user.file("shared", b"").await;
    let other = user.open(&requests::open("shared")).await;
    let refused = control(&mut user, shared, Fsctl::SET_REPARSE_POINT, &link("f")).await;
    assert_eq!(refused.0, NtStatus::SHARING_VIOLATION);
    assert_eq!(user.status(&requests::write(other, 0, b"x")).await, NtStatus::SUCCESS);
    let file = user.open(&Request::Create(itself("l"))).await;
    let fifo = [&tag::NFS.to_le_bytes()[..], &[8, 0, 0, 0], b"FIFO\0\0\0\0"].concat();
    for (input, status) in [
        (link("..\\f"), NtStatus::IO_REPARSE_DATA_INVALID),
        (link("a\\..\\f"), NtStatus::IO_REPARSE_DATA_INVALID),
        (link("\\f"), NtStatus::NOT_SUPPORTED),
        (fifo, NtStatus::NOT_SUPPORTED),
        (vec![1, 2, 3], NtStatus::IO_REPARSE_DATA_INVALID),
    ] {
        assert_eq!(control(&mut user, file, Fsctl::SET_REPARSE_POINT, &input).await.0, status, "{input:?}");
    }
    assert_eq!(user.status(&requests::write(file, 0, b"x")).await, NtStatus::SUCCESS);
}

#[tokio::test]
async fn a_client_that_follows_links_by_itself_is_told_of_them() {
    let site = Site::sharing(|share| share.symlinks = Symlinks::Client).await;
    let mut user = site.log_in(&ALICE).await;
    user.open(&requests::directory("d")).await;
    let made = make_link(&mut user, "l", "d").await;
    assert_eq!(user.status(&requests::close(made)).await, NtStatus::SUCCESS);
    let reply = user.call(&requests::open("l\\sub\\f")).await.unwrap();
    assert_eq!(reply.status(), NtStatus::STOPPED_ON_SYMLINK);
    let error = ErrorResponse::decode(&reply.message).unwrap();
    let (met, behind) = Symlink::decode_error(&error.contexts[0].data).unwrap();
    assert_eq!(
        (met.substitute_name.as_str(), met.relative, behind),
        ("d", true, "\\sub\\f".len() as u16 * 2)
    );
    user.open(&Request::Create(itself("l"))).await;
}

#[tokio::test]
async fn the_past_is_listed_and_read_and_never_written() {
    let pattern = SnapshotPattern::parse(".snapshots/%Y-%m-%d_%H.%M.%S").unwrap();
    let site = Site::sharing(|share| share.snapshots = Some(pattern)).await;
    let mut user = site.log_in(&ALICE).await;
    let present = user.file("f", b"now").await;
    for dir in
        [".snapshots", ".snapshots\\2026-11-21_07.05.09", ".snapshots\\2026-11-22_00.00.00", ".snapshots\\x"]
    {
        user.open(&requests::directory(dir)).await;
    }
    user.file(".snapshots\\2026-11-21_07.05.09\\f", b"then").await;
    let (_, list) = control(&mut user, present, Fsctl::SRV_ENUMERATE_SNAPSHOTS, &[]).await;
    let text: Vec<u16> = list[12..].as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    let text = String::from_utf16(&text).unwrap();
    assert_eq!(text, "@GMT-2026.11.22-00.00.00\0@GMT-2026.11.21-07.05.09\0\0");
    let past = user.open(&requests::open("@GMT-2026.11.21-07.05.09\\f")).await;
    assert_eq!(user.content(past).await, b"then");
    assert_eq!(user.status(&requests::write(past, 0, b"x")).await, NtStatus::MEDIA_WRITE_PROTECTED);
    let writing = AccessMask::READ_DATA | AccessMask::WRITE_DATA;
    for (desired, told) in [(AccessMask::MAXIMUM_ALLOWED, 0x0012_00A9_u32), (writing, writing.bits())] {
        let name = "@GMT-2026.11.21-07.05.09\\f";
        let open = CreateRequest { desired_access: desired, ..requests::create(name) };
        let open = user.open(&Request::Create(open)).await;
        let reply =
            user.call(&requests::query_info(open, InfoType::FILE, FileClass::ACCESS.0)).await.unwrap();
        assert_eq!(*QueryInfoResponse::decode(&reply.message).unwrap().data, told.to_le_bytes());
        assert_eq!(user.status(&requests::write(open, 0, b"x")).await, NtStatus::MEDIA_WRITE_PROTECTED);
    }
    let new = user.status(&requests::open("@GMT-2026.11.21-07.05.09\\new")).await;
    assert_eq!(new, NtStatus::MEDIA_WRITE_PROTECTED);
    for name in ["@GMT-2026.11.21-07.05.10\\f", "@GMT-2026.11.21-07.05.09\\..\\..\\f"] {
        let reply = user.call(&requests::open(name)).await.unwrap();
        assert!(reply.status().is_error(), "{name}");
    }
    assert!(SnapshotTime::from_name("@GMT-2026.11.21-07.05.09").is_some());
}

#[tokio::test]
async fn the_file_of_quotas_is_there_and_empty() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let reply = user.call(&requests::open("$Extend\\$Quota:$Q:$INDEX_ALLOCATION")).await.unwrap();
    let opened = created(&reply);
    assert_eq!(opened.file_attributes.bits(), 0x36);
    assert_eq!(user.status(&requests::read(opened.file_id, 0, 1)).await, NtStatus::INVALID_DEVICE_REQUEST);
    assert_eq!(user.status(&requests::close(opened.file_id)).await, NtStatus::SUCCESS);
}

#[tokio::test]
async fn a_resilient_open_outlives_its_connection_without_any_cache() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("f", b"content").await;
    let too_long = [&301_000u32.to_le_bytes()[..], &[0; 4]].concat();
    let refused = control(&mut user, file, Fsctl::LMR_REQUEST_RESILIENCY, &too_long).await;
    assert_eq!(refused.0, NtStatus::INVALID_PARAMETER);
    let granted = control(&mut user, file, Fsctl::LMR_REQUEST_RESILIENCY, &[0; 8]).await;
    assert_eq!(granted.0, NtStatus::SUCCESS);
    drop(user);
    assert_eq!(site.emptied().await.kept_opens, 1);
    let mut user = site.log_in(&ALICE).await;
    let back = smb_wire::create::CreateContext::DurableReconnect(file);
    let back = CreateRequest { contexts: vec![back], ..requests::create("f") };
    let back = created(&user.call(&Request::Create(back)).await.unwrap());
    assert_eq!(user.content(back.file_id).await, b"content");
}
