//! Lists whose entries overlap, loop, point outside or never end: negotiate contexts (MS-SMB2 2.2.3.1), create
//! contexts (2.2.13.2), lock elements, security descriptors (MS-DTYP 2.4.6), attribute lists (MS-FSCC 2.4.16).

use crate::site::{ALICE, Site, User};
use smb_raw::{Fault, Guard, Message, offer, requests};
use smb_wire::create::{CreateContext, CreateRequest};
use smb_wire::negotiate::Dialect;
use smb_wire::query_info::InfoType;
use smb_wire::{NtStatus, Request};

/// Bends a body.
type Edit = Box<dyn Fn(&mut [u8])>;

/// Where fields of a CREATE lie, from its body.
const CONTEXTS_OFFSET: usize = 48;
const CONTEXTS_LENGTH: usize = 52;

fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

fn put32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// A CREATE with three contexts, and where they begin in its body.
fn with_contexts() -> (Message, usize) {
    let contexts = vec![
        CreateContext::QueryMaximalAccess(None),
        CreateContext::AllocationSize(4096),
        CreateContext::QueryOnDiskId,
    ];
    let message = Message::of(&Request::Create(CreateRequest { contexts, ..requests::create("file") }));
    let offset = u32::from_le_bytes(message.body[CONTEXTS_OFFSET..CONTEXTS_OFFSET + 4].try_into().unwrap());
    (message, offset as usize - 64)
}

async fn outcome(user: &mut User, message: Message) -> NtStatus {
    let message = message.session(user.session.id).tree(user.tree);
    user.client.exchange(message, user.session.guard()).await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_contexts_that_do_not_follow_each_other_are_refused() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    assert_eq!(outcome(&mut user, with_contexts().0).await, NtStatus::SUCCESS);
    let (whole, at) = with_contexts();
    let mut edits: Vec<Edit> = Vec::new();
    // Next of the first: into its own header, off eight, to the end, far out, backwards.
    for next in [1, 4, 8, 12, 25, 1 << 16, 1 << 31, u32::MAX - 7, u32::MAX] {
        edits.push(Box::new(move |body| put32(body, at, next)));
    }
    // Offsets and lengths of name and data of the first and the second.
    for field in [4, 6, 24 + 4, 24 + 6] {
        for value in [1, 3, 0x7FFF, 0xFFFF] {
            edits.push(Box::new(move |body| put16(body, at + field, value)));
        }
    }
    for value in [1, 8, 16, 17, 0x7FFF, 0xFFFF] {
        edits.push(Box::new(move |body| put16(body, at + 24 + 10, value)));
    }
    for length in [9, 4096, 1 << 31, u32::MAX] {
        edits.push(Box::new(move |body| put32(body, at + 24 + 12, length)));
    }
    // The list as a whole.
    for offset in [1, 63, 64, 64 + 56, 0x7FFF_FFFF, u32::MAX] {
        edits.push(Box::new(move |body| put32(body, CONTEXTS_OFFSET, offset)));
    }
    for length in [1, 15, 1 << 20, u32::MAX] {
        edits.push(Box::new(move |body| put32(body, CONTEXTS_LENGTH, length)));
    }
    for (number, edit) in edits.iter().enumerate() {
        let mut message = whole.clone();
        edit(&mut message.body);
        let status = outcome(&mut user, message).await;
        assert!(status.is_error(), "edit {number}: {status}");
    }
    user.is_well().await;
    assert_eq!(site.server.status().opens, 1, "the one that was not edited");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_contexts_without_end_are_refused() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let contexts = vec![CreateContext::QueryOnDiskId; 2000];
    let many = Message::of(&Request::Create(CreateRequest { contexts, ..requests::create("file") }));
    assert_eq!(outcome(&mut user, many).await, NtStatus::INVALID_PARAMETER);
    user.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn negotiate_contexts_that_point_outside_are_refused() {
    let site = Site::new().await;
    let whole = Message::of(&Request::Negotiate(offer(&[Dialect::SMB_3_1_1])));
    let at = u32::from_le_bytes(whole.body[28..32].try_into().unwrap()) as usize - 64;
    let mut edits: Vec<Edit> = Vec::new();
    for offset in [0, 1, 99, 1 << 16, 1 << 31, u32::MAX - 7, u32::MAX] {
        edits.push(Box::new(move |body| put32(body, 28, offset)));
    }
    for count in [4, 64, 65, 0xFFFF] {
        edits.push(Box::new(move |body| put16(body, 32, count)));
    }
    for dialects in [64, 65, 0xFFFF] {
        edits.push(Box::new(move |body| put16(body, 2, dialects)));
    }
    // Length of the first; counts of hashes and salt in it.
    for (field, values) in [(2, [0, 37, 0xFFFF]), (8, [0, 99, 0xFFFF]), (10, [33, 99, 0xFFFF])] {
        for value in values {
            edits.push(Box::new(move |body| put16(body, at + field, value)));
        }
    }
    // The second is the first again: each kind may be there once.
    edits.push(Box::new(move |body| put16(body, at + 48, 1)));
    for (number, edit) in edits.iter().enumerate() {
        let mut message = whole.clone();
        edit(&mut message.body);
        let mut client = site.connect().await;
        client.send(&[message], Guard::Plain).await.unwrap();
        match client.replies().await {
            Ok(replies) => assert!(replies[0].status().is_error(), "edit {number} was accepted"),
            Err(fault) => assert_eq!(fault, Fault::Gone, "edit {number}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_locks_than_were_sent_are_refused() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("file", b"content").await;
    for count in [0, 2, 3, 0x7FFF, 0xFFFF] {
        let mut message = Message::of(&requests::lock(file, 0, 1, smb_wire::lock::LockFlags::SHARED));
        put16(&mut message.body, 2, count);
        assert_eq!(outcome(&mut user, message).await, NtStatus::INVALID_PARAMETER, "{count}");
    }
}

/// A descriptor whose parts lie outside of it, inside its own header or inside each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_descriptors_with_offsets_outside_are_refused() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("file", b"content").await;
    for field in [4, 8, 12, 16] {
        for offset in [1, 19, 21, 40, 0x7FFF_FFFF, u32::MAX - 3, u32::MAX] {
            let mut descriptor = vec![1, 0, 0x14, 0x80];
            descriptor.resize(40, 0);
            put32(&mut descriptor, field, offset);
            let mut request = Message::of(&requests::set_info(file, InfoType::SECURITY, 0, &descriptor));
            // Owner, group, DACL and SACL at once.
            put32(&mut request.body, 12, 0xF);
            let status = outcome(&mut user, request).await;
            assert!(status.is_error(), "field {field}, offset {offset:#x}: {status}");
        }
    }
    user.is_well().await;
}

/// Lists of extended attributes, at CREATE and by SET_INFO: entries that loop or overlap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attribute_lists_that_do_not_follow_each_other_are_refused() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("file", b"content").await;
    let entry = |next: u32, name: u8, value: u16| {
        let mut list = next.to_le_bytes().to_vec();
        list.extend([0, name]);
        list.extend(value.to_le_bytes());
        list.extend(b"name\0value");
        list.resize(24, 0);
        list
    };
    for list in [
        entry(4, 4, 5),
        entry(7, 4, 5),
        entry(24, 4, 5),
        entry(1 << 31, 4, 5),
        entry(u32::MAX - 3, 4, 5),
        entry(0, 255, 5),
        entry(0, 4, 0xFFFF),
        entry(0, 0, 5),
        vec![0; 3],
    ] {
        let set = requests::set_info(file, InfoType::FILE, 15, &list);
        assert_eq!(user.status(&set).await, NtStatus::EA_LIST_INCONSISTENT, "{list:02x?}");
        let contexts = vec![CreateContext::ExtendedAttributes(list.clone().into())];
        let create = Request::Create(CreateRequest { contexts, ..requests::create("other") });
        assert_eq!(user.status(&create).await, NtStatus::EA_LIST_INCONSISTENT, "{list:02x?}");
    }
    user.is_well().await;
}
