//! What files carry besides their content: named streams (MS-FSA 2.1.5.1) and extended attributes (MS-FSCC 2.4.16).

use crate::site::{ALICE, Site, User};
use bytes::Bytes;
use smb_raw::{Message, requests};
use smb_wire::create::{CreateContext, CreateDisposition, CreateOptions, CreateRequest};
use smb_wire::fscc::ea::{ExtendedAttribute, decode_full_ea_list, encode_full_ea_list, encode_get_ea_list};
use smb_wire::query_info::{InfoType, QueryInfoFlags, QueryInfoRequest, QueryInfoResponse};
use smb_wire::{AccessMask, FileId, NtStatus, Request};
use testkit::ease::{cx, p};
use testkit::{FaultVolume, MemConfig, MemVolume, Op};
use volume::{Change, ErrorKind, Named, Volume};

const BASIC: u8 = 4;
const STANDARD: u8 = 5;
const EA: u8 = 7;
const NAME: u8 = 9;
const RENAME: u8 = 10;
const FULL_EA: u8 = 15;
const ALLOCATION: u8 = 19;
const END_OF_FILE: u8 = 20;
const STREAM: u8 = 22;
const FS_ATTRIBUTE: u8 = 5;

/// No byte lies here or beyond.
const END: u64 = i64::MAX as u64;

impl User {
    async fn ask(&mut self, file: FileId, class: u8) -> Result<Bytes, NtStatus> {
        self.asked(&requests::query_info(file, InfoType::FILE, class)).await
    }

    async fn asked(&mut self, request: &Request) -> Result<Bytes, NtStatus> {
        let reply = self.call(request).await.unwrap();
        match reply.status() {
            NtStatus::SUCCESS | NtStatus::BUFFER_OVERFLOW => {
                Ok(QueryInfoResponse::decode(&reply.message).unwrap().data)
            }
            status => Err(status),
        }
    }

    async fn set(&mut self, file: FileId, class: u8, data: &[u8]) -> NtStatus {
        self.status(&requests::set_info(file, InfoType::FILE, class, data)).await
    }

    /// Names and sizes as FileStreamInformation tells them.
    async fn streams(&mut self, file: FileId) -> Vec<(String, u64)> {
        let list = self.ask(file, STREAM).await.unwrap();
        let (mut at, mut entries) = (0, Vec::new());
        while at < list.len() {
            let word = |from: usize| u32::from_le_bytes(list[from..from + 4].try_into().unwrap()) as usize;
            let size = u64::from_le_bytes(list[at + 8..at + 16].try_into().unwrap());
            entries.push((text(&list[at + 24..at + 24 + word(at + 4)]), size));
            match word(at) {
                0 => break,
                next => at += next,
            }
        }
        entries
    }

    async fn attributes(&mut self, file: FileId) -> Result<Vec<(String, String)>, NtStatus> {
        let list = self.ask(file, FULL_EA).await?;
        Ok(decode_full_ea_list(&list).unwrap().iter().map(words).collect())
    }
}

fn text(utf16: &[u8]) -> String {
    let units: Vec<u16> = utf16.chunks(2).map(|two| u16::from_le_bytes([two[0], two[1]])).collect();
    String::from_utf16(&units).unwrap()
}

fn words(attribute: &ExtendedAttribute) -> (String, String) {
    let word = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    (word(&attribute.name), word(&attribute.value))
}

fn list(attributes: &[(&'static str, &'static str)]) -> Vec<u8> {
    let attribute = |(name, value): &(&'static str, &'static str)| ExtendedAttribute {
        flags: 0,
        name: Bytes::from_static(name.as_bytes()),
        value: Bytes::from_static(value.as_bytes()),
    };
    let attributes: Vec<ExtendedAttribute> = attributes.iter().map(attribute).collect();
    let mut bytes = Vec::new();
    encode_full_ea_list(&attributes, usize::MAX, &mut bytes);
    bytes
}

pub fn renaming(name: &str, replace: bool) -> Vec<u8> {
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut data = vec![u8::from(replace), 0, 0, 0, 0, 0, 0, 0];
    data.extend(0u64.to_le_bytes());
    data.extend((name.len() as u32).to_le_bytes());
    data.extend(name);
    data.resize(data.len().max(24), 0);
    data
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_listed_named_and_sized() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("file", b"content").await;
    let stream = user.file("file:Zone.Identifier", b"[ZoneTransfer]").await;
    let expect = [("::$DATA".to_owned(), 7), (":Zone.Identifier:$DATA".to_owned(), 14)];
    assert_eq!(user.streams(file).await, expect);
    assert_eq!(user.streams(stream).await, expect, "through the stream too");
    let again = user.open(&requests::open("FILE:zone.identifier:$data")).await;
    assert_eq!(user.content(again).await, b"[ZoneTransfer]");
    assert_eq!(text(&user.ask(again, NAME).await.unwrap()[4..]), r"\file:Zone.Identifier");
    let standard = user.ask(stream, STANDARD).await.unwrap();
    assert_eq!(standard[8..16], 14u64.to_le_bytes());
    let dir = user.open(&requests::directory("dir")).await;
    assert!(user.streams(dir).await.is_empty());
    user.file("dir:s", b"x").await;
    assert_eq!(user.streams(dir).await, [(":s:$DATA".to_owned(), 1)]);
    let attributes = requests::query_info(file, InfoType::FILE_SYSTEM, FS_ATTRIBUTE);
    let flags = user.asked(&attributes).await.unwrap();
    let flags = u32::from_le_bytes(flags[..4].try_into().unwrap());
    assert_eq!(flags & 0x0084_0000, 0x0084_0000, "FILE_NAMED_STREAMS, FILE_SUPPORTS_EXTENDED_ATTRIBUTES");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_streams_in_a_create() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    user.file("file", b"content").await;
    user.open(&requests::directory("dir")).await;
    for (name, status) in [
        ("file::$DATA", NtStatus::SUCCESS),
        ("dir::$INDEX_ALLOCATION", NtStatus::SUCCESS),
        ("dir:$I30:$INDEX_ALLOCATION", NtStatus::SUCCESS),
        ("dir::$DATA", NtStatus::FILE_IS_A_DIRECTORY),
        ("file::$INDEX_ALLOCATION", NtStatus::NOT_A_DIRECTORY),
        ("file:", NtStatus::OBJECT_NAME_INVALID),
        ("file:s:", NtStatus::OBJECT_NAME_INVALID),
        ("file:s:$FOO", NtStatus::OBJECT_NAME_INVALID),
        (r"file:s\x", NtStatus::OBJECT_NAME_INVALID),
        ("none\\file:s", NtStatus::OBJECT_PATH_NOT_FOUND),
    ] {
        assert_eq!(user.status(&requests::open(name)).await, status, "{name}");
    }
    let dir = CreateRequest { create_options: CreateOptions::DIRECTORY_FILE, ..requests::create("file:s") };
    assert_eq!(user.status(&Request::Create(dir)).await, NtStatus::NOT_A_DIRECTORY);
    let open = CreateRequest { create_disposition: CreateDisposition::Open, ..requests::create("file:s") };
    assert_eq!(user.status(&Request::Create(open)).await, NtStatus::OBJECT_NAME_NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_where_files_do_and_before() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let stream = user.file("file:s", b"content").await;
    for (offset, length, write, read) in [
        (END - 7, 7, NtStatus::DISK_FULL, NtStatus::END_OF_FILE),
        (END - 6, 7, NtStatus::INVALID_PARAMETER, NtStatus::INVALID_PARAMETER),
        (END, 1, NtStatus::INVALID_PARAMETER, NtStatus::INVALID_PARAMETER),
        (u64::MAX, 1, NtStatus::INVALID_PARAMETER, NtStatus::INVALID_PARAMETER),
        (1 << 16, 1, NtStatus::DISK_FULL, NtStatus::END_OF_FILE),
    ] {
        let wrote = user.status(&requests::write(stream, offset, &vec![1; length])).await;
        let got = user.status(&requests::read(stream, offset, length as u32)).await;
        assert_eq!((wrote, got), (write, read), "{offset:#x}, {length}");
    }
    for (size, status) in [
        (u64::MAX, NtStatus::INVALID_PARAMETER),
        (END + 1, NtStatus::INVALID_PARAMETER),
        (END, NtStatus::DISK_FULL),
        ((1 << 16) + 1, NtStatus::DISK_FULL),
        (1 << 16, NtStatus::SUCCESS),
        (7, NtStatus::SUCCESS),
    ] {
        assert_eq!(user.set(stream, END_OF_FILE, &size.to_le_bytes()).await, status, "{size:#x}");
    }
    assert_eq!(user.set(stream, ALLOCATION, &(END + 1).to_le_bytes()).await, NtStatus::INVALID_PARAMETER);
    assert_eq!(user.content(stream).await, b"content");
    let file = user.open(&requests::open("file")).await;
    assert_eq!(user.ask(file, STANDARD).await.unwrap()[8..16], 0u64.to_le_bytes());
    assert_eq!(user.status(&requests::flush(stream)).await, NtStatus::SUCCESS);
}

#[tokio::test]
async fn a_flush_of_a_directory_or_of_a_stream_of_it_reaches_the_medium() {
    let volume = FaultVolume::new(MemVolume::new());
    let site = Site::over(vfs::Vfs::new(volume.clone(), vfs::VfsConfig::default()), |_| {}).await;
    let mut user = site.log_in(&ALICE).await;
    let dir = user.open(&requests::directory("dir")).await;
    let stream = user.file("dir:stream", b"content").await;
    for file in [dir, stream] {
        volume.counts().reset();
        assert_eq!(user.status(&requests::flush(file)).await, NtStatus::SUCCESS);
        assert_eq!(volume.counts().of(Op::SyncDir), 1);
        volume.fail(Op::SyncDir, 1, ErrorKind::Io);
        assert_eq!(user.status(&requests::flush(file)).await, NtStatus::IO_DEVICE_ERROR);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_renamed_within_its_file() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let (stream, other) = (user.file("file:one", b"1").await, user.file("file:two", b"2").await);
    assert_eq!(user.status(&requests::close(other)).await, NtStatus::SUCCESS);
    for (to, replace, status) in [
        ("file:three", false, NtStatus::SHARING_VIOLATION),
        ("three", false, NtStatus::SHARING_VIOLATION),
        (":two", false, NtStatus::OBJECT_NAME_COLLISION),
        (":two", true, NtStatus::INVALID_PARAMETER),
        (":", false, NtStatus::INVALID_PARAMETER),
        (":a:$FOO", false, NtStatus::INVALID_PARAMETER),
        (":three:$DATA", false, NtStatus::SUCCESS),
        (":Three", false, NtStatus::SUCCESS),
    ] {
        assert_eq!(user.set(stream, RENAME, &renaming(to, replace)).await, status, "{to}");
    }
    let names: Vec<String> = user.streams(stream).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["::$DATA", ":Three:$DATA", ":two:$DATA"]);
    let file = user.open(&requests::open("file")).await;
    assert_eq!(user.set(file, RENAME, &renaming(":x", false)).await, NtStatus::INVALID_PARAMETER);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attributes_set_through_a_stream_are_the_files() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let stream = user.file("file:s", b"x").await;
    let mut basic = vec![0; 40];
    basic[16..24].copy_from_slice(&0x01D0_0000_0000_0000u64.to_le_bytes());
    basic[32] = 2;
    assert_eq!(user.set(stream, BASIC, &basic).await, NtStatus::SUCCESS);
    let file = user.open(&requests::open("file")).await;
    let told = user.ask(file, BASIC).await.unwrap();
    assert_eq!(told[16..24], basic[16..24]);
    assert_eq!(told[32], 2);
    assert_eq!(user.ask(stream, BASIC).await.unwrap(), told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn extended_attributes_are_given_asked_for_and_taken_away() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let given = |name, eas: Vec<u8>, disposition| {
        Request::Create(CreateRequest {
            contexts: vec![CreateContext::ExtendedAttributes(eas.into())],
            create_disposition: disposition,
            ..requests::create(name)
        })
    };
    let file = given("file", list(&[("EAONE", "1"), ("SecondEA", "two")]), CreateDisposition::OpenIf);
    let file = user.open(&file).await;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(user.attributes(file).await.unwrap(), [pair("EAONE", "1"), pair("SecondEA", "two")]);
    assert_eq!(user.ask(file, EA).await.unwrap(), (4 + 11 + 16u32).to_le_bytes()[..]);
    let again = given("file", list(&[("EAONE", "9")]), CreateDisposition::OpenIf);
    let again = user.open(&again).await;
    assert_eq!(user.attributes(again).await.unwrap().len(), 2, "what is there keeps its own");
    assert_eq!(user.attributes(again).await.unwrap_err(), NtStatus::NO_MORE_EAS);

    let set = list(&[("eaone", "3"), ("secondea", ""), ("none", ""), ("new", "n")]);
    assert_eq!(user.set(file, FULL_EA, &set).await, NtStatus::SUCCESS);
    let fresh = user.open(&requests::open("file")).await;
    assert_eq!(user.attributes(fresh).await.unwrap(), [pair("EAONE", "3"), pair("new", "n")]);
    for (bad, status) in [
        (list(&[("a", "1"), ("b:c", "2")]), NtStatus::INVALID_EA_NAME),
        (vec![1, 2, 3], NtStatus::EA_LIST_INCONSISTENT),
        (list(&[("a", "1"), ("b", "2")])[..14].to_vec(), NtStatus::EA_LIST_INCONSISTENT),
    ] {
        assert_eq!(user.set(file, FULL_EA, &bad).await, status);
        let create = given("unmade", bad, CreateDisposition::Create);
        assert_eq!(user.status(&create).await, status);
    }
    let gone = CreateRequest { create_disposition: CreateDisposition::Open, ..requests::create("unmade") };
    assert_eq!(user.status(&Request::Create(gone)).await, NtStatus::OBJECT_NAME_NOT_FOUND);
    let stream = user.open(&requests::open("file:s")).await;
    assert_eq!(user.attributes(stream).await.unwrap().len(), 2, "a stream has those of its file");
    let none = user.open(&requests::open("bare")).await;
    assert_eq!(user.attributes(none).await.unwrap_err(), NtStatus::NO_EAS_ON_FILE);
    assert_eq!(user.ask(none, EA).await.unwrap(), 0u32.to_le_bytes()[..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn extended_attributes_are_walked_through_and_named() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.open(&requests::open("file")).await;
    assert_eq!(
        user.set(file, FULL_EA, &list(&[("a", "1"), ("b", "2"), ("c", "3")])).await,
        NtStatus::SUCCESS
    );
    let mut ask = async |flags, index, room, names: &[&'static str]| {
        let names: Vec<Bytes> = names.iter().map(|name| Bytes::from_static(name.as_bytes())).collect();
        let mut input = Vec::new();
        encode_get_ea_list(&names, &mut input);
        let request = Request::QueryInfo(QueryInfoRequest {
            info_type: InfoType::FILE,
            information_class: FULL_EA,
            output_buffer_length: room,
            additional_information: index,
            flags,
            file_id: file,
            input: input.into(),
        });
        let list = user.asked(&request).await?;
        Ok::<_, NtStatus>(decode_full_ea_list(&list).unwrap().iter().map(words).collect::<Vec<_>>())
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let (none, single) = (QueryInfoFlags::empty(), QueryInfoFlags::RETURN_SINGLE_ENTRY);
    let (restart, indexed) = (QueryInfoFlags::RESTART_SCAN, QueryInfoFlags::INDEX_SPECIFIED);
    assert_eq!(ask(single, 0, 1000, &[]).await, Ok(vec![pair("a", "1")]));
    assert_eq!(ask(single, 0, 1000, &[]).await, Ok(vec![pair("b", "2")]));
    assert_eq!(ask(none, 0, 1000, &[]).await, Ok(vec![pair("c", "3")]));
    assert_eq!(ask(none, 0, 1000, &[]).await, Err(NtStatus::NO_MORE_EAS));
    assert_eq!(ask(restart, 0, 22, &[]).await, Ok(vec![pair("a", "1")]), "two take 23");
    assert_eq!(ask(none, 0, 1000, &[]).await, Ok(vec![pair("b", "2"), pair("c", "3")]));
    assert_eq!(ask(restart, 0, 10, &[]).await, Err(NtStatus::BUFFER_TOO_SMALL));
    assert_eq!(ask(indexed | single, 3, 1000, &[]).await, Ok(vec![pair("c", "3")]));
    for index in [0, 4, u32::MAX] {
        assert_eq!(ask(indexed, index, 1000, &[]).await, Err(NtStatus::NONEXISTENT_EA_ENTRY), "{index}");
    }
    let named = ask(none, 0, 1000, &["C", "none", "a"]).await;
    assert_eq!(named, Ok(vec![pair("C", "3"), pair("none", ""), pair("a", "1")]));
    assert_eq!(ask(none, 0, 1000, &["a|b"]).await, Err(NtStatus::INVALID_EA_NAME));
}

/// A list has no room for a value of 64 KiB; who walks goes past it and comes to the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_goes_past_what_cannot_be_told() {
    let volume = MemVolume::new();
    let vfs = vfs::Vfs::new(volume.clone(), vfs::VfsConfig::default());
    let site = Site::over(vfs, |_| {}).await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("file", b"").await;
    for (name, length) in [("a", 1), ("b", 64 << 10), ("c", 1), ("d", 64 << 10)] {
        let value = Some(Bytes::from(vec![b'1'; length]));
        let name = Named::Extended(name.into());
        let change = Change::SetNamed { path: p("file"), name, value, expect: None };
        volume.apply(&cx(), &change).await.unwrap();
    }
    let ask = |flags| {
        Request::QueryInfo(QueryInfoRequest {
            info_type: InfoType::FILE,
            information_class: FULL_EA,
            output_buffer_length: 1000,
            additional_information: 0,
            flags,
            file_id: file,
            input: Bytes::new(),
        })
    };
    for wanted in ["a", "c"] {
        let list = user.asked(&ask(QueryInfoFlags::RETURN_SINGLE_ENTRY)).await.unwrap();
        assert_eq!(
            decode_full_ea_list(&list).unwrap().iter().map(words).map(|(name, _)| name).collect::<Vec<_>>(),
            [wanted]
        );
    }
    for flags in [QueryInfoFlags::RETURN_SINGLE_ENTRY, QueryInfoFlags::empty()] {
        assert_eq!(user.asked(&ask(flags)).await.unwrap_err(), NtStatus::NO_MORE_EAS);
    }
    let list = user.asked(&ask(QueryInfoFlags::RESTART_SCAN)).await.unwrap();
    assert_eq!(decode_full_ea_list(&list).unwrap().len(), 2);
    assert_eq!(user.asked(&ask(QueryInfoFlags::empty())).await.unwrap_err(), NtStatus::NO_MORE_EAS);
}

/// A client that names one attribute thousands of times, or has thousands: the server holds no more than it tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_answer_has_no_room_for_is_not_fetched() {
    const ROOM: u32 = 1000;
    let volume = FaultVolume::new(MemVolume::new());
    let site = Site::over(vfs::Vfs::new(volume.clone(), vfs::VfsConfig::default()), |_| {}).await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("file", b"").await;
    for nth in 0..100 {
        let name = Named::Extended(format!("a{nth}").into());
        let change =
            Change::SetNamed { path: p("file"), name, value: Some(vec![1; 100].into()), expect: None };
        volume.apply(&cx(), &change).await.unwrap();
    }
    let ask = |names: usize| {
        let mut input = Vec::new();
        encode_get_ea_list(&vec![Bytes::from_static(b"a0"); names], &mut input);
        Request::QueryInfo(QueryInfoRequest {
            info_type: InfoType::FILE,
            information_class: FULL_EA,
            output_buffer_length: ROOM,
            additional_information: 0,
            flags: QueryInfoFlags::empty(),
            file_id: file,
            input: input.into(),
        })
    };
    for names in [4_000, 0] {
        volume.counts().reset();
        let list = user.asked(&ask(names)).await.unwrap();
        assert_eq!(decode_full_ea_list(&list).unwrap().len(), 8, "of 112 bytes each");
        assert_eq!(volume.counts().of(Op::Named), 9, "one more than there is room for");
    }
    let long = Message::of(&ask(10_000)).session(user.session.id).tree(user.tree).charge(2);
    let refused = user.client.exchange(long, user.session.guard()).await.unwrap();
    assert_eq!(refused.status(), NtStatus::EA_TOO_LARGE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_of_the_open_decide() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    user.file("file", b"").await;
    let access = AccessMask::READ_ATTRIBUTES | AccessMask::WRITE_ATTRIBUTES;
    let looking = CreateRequest { desired_access: access, ..requests::create("file") };
    let looking = user.open(&Request::Create(looking)).await;
    assert_eq!(user.attributes(looking).await.unwrap_err(), NtStatus::ACCESS_DENIED);
    assert_eq!(user.set(looking, FULL_EA, &list(&[("a", "1")])).await, NtStatus::ACCESS_DENIED);
    assert_eq!(user.set(looking, RENAME, &renaming(":x", false)).await, NtStatus::ACCESS_DENIED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_that_keeps_nothing_says_so() {
    let mut config = MemConfig::default();
    (config.caps.named, config.caps.named_max) = (false, 0);
    let vfs = vfs::Vfs::new(MemVolume::with(config), vfs::VfsConfig::default());
    let site = Site::over(vfs, |_| {}).await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("file", b"").await;
    assert_eq!(user.status(&requests::open("file:s")).await, NtStatus::OBJECT_NAME_INVALID);
    assert_eq!(user.set(file, FULL_EA, &list(&[("a", "1")])).await, NtStatus::EAS_NOT_SUPPORTED);
    assert_eq!(user.attributes(file).await.unwrap_err(), NtStatus::NO_EAS_ON_FILE);
    let create = CreateRequest {
        contexts: vec![CreateContext::ExtendedAttributes(list(&[("a", "1")]).into())],
        ..requests::create("new")
    };
    assert_eq!(user.status(&Request::Create(create)).await, NtStatus::EAS_NOT_SUPPORTED);
    let attributes = requests::query_info(file, InfoType::FILE_SYSTEM, FS_ATTRIBUTE);
    let flags = user.asked(&attributes).await.unwrap();
    assert_eq!(u32::from_le_bytes(flags[..4].try_into().unwrap()) & 0x0084_0000, 0);
    assert_eq!(user.streams(file).await, [("::$DATA".to_owned(), 0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listings_tell_how_much_room_extended_attributes_take() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("file", b"").await;
    assert_eq!(user.set(file, FULL_EA, &list(&[("a", "12")])).await, NtStatus::SUCCESS);
    let root = user.open(&requests::directory("")).await;
    let reply = user.call(&requests::query_directory(root, "file")).await.unwrap();
    let response = smb_wire::query_directory::QueryDirectoryResponse::decode(&reply.message).unwrap();
    // FileBothDirectoryInformation (MS-FSCC 2.4.8): EaSize after the length of the name.
    assert_eq!(response.data[64..68], (4 + 5 + 1 + 2u32).to_le_bytes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_have_its_attributes_is_not_made() {
    let volume = FaultVolume::new(MemVolume::new());
    let site = Site::over(vfs::Vfs::new(volume.clone(), vfs::VfsConfig::default()), |_| {}).await;
    let mut user = site.log_in(&ALICE).await;
    let given = |name: &str| {
        let contexts = vec![CreateContext::ExtendedAttributes(list(&[("A", "1")]).into())];
        Request::Create(CreateRequest { contexts, ..requests::create(name) })
    };
    let present = CreateRequest { create_disposition: CreateDisposition::Open, ..requests::create("f") };
    let present = Request::Create(present);
    volume.fail(Op::Apply, 1, ErrorKind::NoSpace);
    assert_eq!(user.status(&given("f")).await, NtStatus::DISK_FULL);
    assert_eq!(user.status(&present).await, NtStatus::OBJECT_NAME_NOT_FOUND);
    let made = user.open(&given("f")).await;
    assert_eq!(user.attributes(made).await, Ok(vec![("A".to_owned(), "1".to_owned())]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_are_kept_from_1901_to_2486_and_others_become_the_nearest() {
    /// 1901-12-13T20:45:52Z.
    const FIRST: u64 = 94_969_899_520_000_000;
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("f", b"x").await;
    for (asked, kept) in [
        // Years 1968, 2286, 2446, and the first day that a FILETIME can name.
        (115_815_744_000_000_000, 115_815_744_000_000_000),
        (216_444_736_000_000_000, 216_444_736_000_000_000),
        (266_768_591_350_000_000, 266_768_591_350_000_000),
        (1, FIRST),
    ] {
        let mut basic = vec![0; 40];
        basic[16..24].copy_from_slice(&u64::to_le_bytes(asked));
        assert_eq!(user.set(file, BASIC, &basic).await, NtStatus::SUCCESS);
        let told = user.ask(file, BASIC).await.unwrap();
        assert_eq!(u64::from_le_bytes(told[16..24].try_into().unwrap()), kept, "{asked}");
    }
}
