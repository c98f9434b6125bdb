//! Offsets, lengths and sizes at the end of what a file can have (MS-SMB2 3.3.5.12 to 3.3.5.14, MS-FSCC 2.4).

use crate::site::{ALICE, Site, User};
use smb_raw::{Message, requests};
use smb_wire::ioctl::Fsctl;
use smb_wire::lock::{LockElement, LockFlags, LockRequest};
use smb_wire::query_info::InfoType;
use smb_wire::{FileId, NtStatus, Request};

/// No byte lies here or beyond.
const END: u64 = i64::MAX as u64;

const POSITION: u8 = 14;
const ALLOCATION: u8 = 19;
const END_OF_FILE: u8 = 20;

async fn opened(site: &Site) -> (User, FileId) {
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("file", b"content").await;
    (user, file)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_and_writing_end_where_files_do() {
    let site = Site::new().await;
    let (mut user, file) = opened(&site).await;
    for (offset, length) in [
        (END, 1),
        (END, 7),
        (END - 6, 7),
        (END - 6, 65_536),
        (END + 1, 1),
        (u64::MAX - 6, 7),
        (u64::MAX, 1),
        (u64::MAX, 65_536),
    ] {
        let data = vec![1; length];
        let write = user.status(&requests::write(file, offset, &data)).await;
        let read = user.status(&requests::read(file, offset, length as u32)).await;
        let whole = offset.checked_add(length as u64).is_some_and(|end| end <= END);
        if whole {
            assert!(write.is_error(), "no volume has so much room: {offset:#x}");
            assert_eq!(read, NtStatus::END_OF_FILE, "{offset:#x}, {length}");
        } else {
            let expected = (NtStatus::INVALID_PARAMETER, NtStatus::INVALID_PARAMETER);
            assert_eq!((write, read), expected, "{offset:#x}, {length}");
        }
    }
    assert_eq!(user.content(file).await, b"content");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sizes_and_positions_end_where_files_do() {
    let site = Site::new().await;
    let (mut user, file) = opened(&site).await;
    for class in [POSITION, ALLOCATION, END_OF_FILE] {
        for size in [END + 1, u64::MAX - 1, u64::MAX, 1 << 63] {
            let set = requests::set_info(file, InfoType::FILE, class, &size.to_le_bytes());
            assert_eq!(user.status(&set).await, NtStatus::INVALID_PARAMETER, "class {class}, {size:#x}");
        }
        for length in [0, 1, 7] {
            let set = requests::set_info(file, InfoType::FILE, class, &vec![0; length]);
            let expected = NtStatus::INFO_LENGTH_MISMATCH;
            assert_eq!(user.status(&set).await, expected, "class {class}, {length} bytes");
        }
    }
    assert_eq!(user.content(file).await, b"content");
}

/// A lock may lie anywhere; one that goes round the end is none (MS-FSA 2.1.5.8).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_end_where_numbers_do() {
    let site = Site::new().await;
    let (mut user, file) = opened(&site).await;
    let now = LockFlags::EXCLUSIVE | LockFlags::FAIL_IMMEDIATELY;
    for (offset, length, expected) in [
        (END, 1, NtStatus::SUCCESS),
        (u64::MAX, 1, NtStatus::SUCCESS),
        (u64::MAX - 9, 9, NtStatus::SUCCESS),
        (u64::MAX, 2, NtStatus::INVALID_LOCK_RANGE),
        (1 << 63, u64::MAX, NtStatus::INVALID_LOCK_RANGE),
        (u64::MAX, u64::MAX, NtStatus::INVALID_LOCK_RANGE),
    ] {
        let lock = user.status(&requests::lock(file, offset, length, now)).await;
        assert_eq!(lock, expected, "{offset:#x}, {length}");
        if expected == NtStatus::SUCCESS {
            let unlock = requests::lock(file, offset, length, LockFlags::UNLOCK);
            assert_eq!(user.status(&unlock).await, NtStatus::SUCCESS, "{offset:#x}, {length}");
        }
    }
    // Some right ones before a wrong one: given back.
    let right = LockElement { offset: 0, length: 10, flags: now };
    let wrong = LockElement { offset: u64::MAX, length: 9, flags: now };
    let both =
        LockRequest { sequence_index: 0, sequence_number: 0, file_id: file, locks: vec![right, wrong] };
    assert_eq!(user.status(&Request::Lock(both)).await, NtStatus::INVALID_LOCK_RANGE);
    let mut other = site.log_in(&ALICE).await;
    let same = other.open(&requests::open("file")).await;
    assert_eq!(other.status(&requests::lock(same, 0, 10, now)).await, NtStatus::SUCCESS);
}

/// Ranges of FSCTLs: zeros, allocated ranges, copies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_of_controls_end_where_files_do() {
    let site = Site::new().await;
    let (mut user, file) = opened(&site).await;
    let pair = |one: u64, two: u64| [one.to_le_bytes(), two.to_le_bytes()].concat();
    for (from, to) in [(0, END + 1), (END + 1, u64::MAX), (u64::MAX, u64::MAX), (u64::MAX, 0), (7, 0)] {
        let zero = requests::ioctl(file, Fsctl::SET_ZERO_DATA, &pair(from, to));
        assert_eq!(user.status(&zero).await, NtStatus::INVALID_PARAMETER, "{from:#x} to {to:#x}");
    }
    for (offset, length) in [(0, END + 1), (END + 1, 1), (u64::MAX, 1), (END, END), (u64::MAX, u64::MAX)] {
        let ranges = requests::ioctl(file, Fsctl::QUERY_ALLOCATED_RANGES, &pair(offset, length));
        let status = user.status(&ranges).await;
        assert_eq!(status, NtStatus::INVALID_PARAMETER, "{offset:#x}, {length:#x}");
    }
    let key = user.call(&requests::ioctl(file, Fsctl::SRV_REQUEST_RESUME_KEY, &[])).await.unwrap();
    let key = smb_wire::ioctl::IoctlResponse::decode(&key.message).unwrap().output[..24].to_vec();
    for (source, target, length) in [
        (END, 0, 7u32),
        (0, END, 7),
        (u64::MAX, 0, 7),
        (0, u64::MAX, 7),
        (u64::MAX - 6, u64::MAX - 6, 7),
        (0, 0, u32::MAX),
        (0, 0, 0),
    ] {
        let mut input = key.clone();
        input.extend([1, 0, 0, 0, 0, 0, 0, 0]);
        input.extend(pair(source, target));
        input.extend(length.to_le_bytes());
        input.extend([0; 4]);
        let copy = requests::ioctl(file, Fsctl::SRV_COPYCHUNK, &input);
        assert!(user.status(&copy).await.is_error(), "{source:#x} to {target:#x}, {length:#x}");
    }
    // More chunks than were sent.
    for count in [2u32, 257, u32::MAX] {
        let mut input = key.clone();
        input.extend(count.to_le_bytes());
        input.extend([0; 4]);
        input.extend([0; 24]);
        let copy = requests::ioctl(file, Fsctl::SRV_COPYCHUNK, &input);
        assert!(user.status(&copy).await.is_error(), "{count} chunks");
    }
    assert_eq!(user.content(file).await, b"content");
}

/// Buffers that point into the header, behind the message or round the end of numbers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buffers_lie_inside_their_message() {
    let site = Site::new().await;
    let (mut user, file) = opened(&site).await;
    let cases: [(Request, usize, usize); 5] = [
        // Where a body says offset (two bytes) and length (four bytes, or two) of its buffer.
        (requests::write(file, 0, b"changed"), 2, 4),
        (requests::set_info(file, InfoType::FILE, POSITION, &[0; 8]), 8, 4),
        (requests::ioctl(file, Fsctl::SET_SPARSE, &[1]), 24, 28),
        (requests::tree_connect("share"), 4, 6),
        (requests::open("file"), 44, 46),
    ];
    for (request, offset_at, length_at) in cases {
        for offset in [1u16, 63, 0x7FFF, 0xFFFF] {
            let mut message = Message::of(&request);
            message.body[offset_at..offset_at + 2].copy_from_slice(&offset.to_le_bytes());
            let message = message.session(user.session.id).tree(user.tree);
            let reply = user.client.exchange(message, user.session.guard()).await.unwrap();
            assert!(reply.status().is_error(), "{:?}, offset {offset}", request.command());
        }
        for length in [0x7FFFu16, 0xFFFF] {
            let mut message = Message::of(&request);
            message.body[length_at..length_at + 2].copy_from_slice(&length.to_le_bytes());
            let message = message.session(user.session.id).tree(user.tree);
            let reply = user.client.exchange(message, user.session.guard()).await.unwrap();
            assert!(reply.status().is_error(), "{:?}, length {length}", request.command());
        }
    }
    assert_eq!(user.content(file).await, b"content");
}

/// The name of a stream leads nowhere else, whatever it looks like.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_streams_have_no_directories() {
    let site = Site::new().await;
    let (mut user, _) = opened(&site).await;
    let long = format!("file:{}", "s".repeat(30_000));
    for name in [
        r"file:..\..\x",
        "file:s/../../x",
        "file::$INDEX",
        "file:::",
        "file:s:",
        ":",
        ":s:$DATA:s",
        "file:\0",
        &long,
    ] {
        assert_eq!(user.status(&requests::open(name)).await, NtStatus::OBJECT_NAME_INVALID, "{name:?}");
    }
}
