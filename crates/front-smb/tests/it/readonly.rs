//! What is marked READONLY gives way to who says so alone, by a rename, and by a deletion.

use crate::posix::{opened, posix, posix_user};
use crate::site::{ALICE, Site, User};
use smb_raw::requests;
use smb_wire::create::{CreateDisposition, CreateOptions, CreateRequest};
use smb_wire::fscc::FileAttributes;
use smb_wire::fscc::file::FileClass;
use smb_wire::query_info::InfoType;
use smb_wire::{AccessMask, FileId, NtStatus, Request};

const OK: NtStatus = NtStatus::SUCCESS;
const DENIED: NtStatus = NtStatus::ACCESS_DENIED;
const REPLACE: u32 = 0x01;
const POSIX: u32 = 0x02;
const IGNORE_READONLY: u32 = 0x40;
const DELETE: u32 = 0x01;
const ON_CLOSE: u32 = 0x08;
const DELETE_READONLY: u32 = 0x11;

/// FileRenameInformationEx and FileLinkInformationEx (MS-FSCC 2.4.43, 2.4.28).
pub fn name(class: FileClass, file: FileId, flags: u32, to: &str) -> Request {
    let name: Vec<u8> = to.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let head = [&flags.to_le_bytes()[..], &[0; 12], &(name.len() as u32).to_le_bytes()].concat();
    requests::set_info(file, InfoType::FILE, class.0, &[head, name].concat())
}

/// FileDispositionInformationEx (MS-FSCC 2.4.12).
pub async fn dispose(user: &mut User, file: FileId, flags: u32) -> NtStatus {
    user.status(&requests::set_info(file, InfoType::FILE, FileClass::DISPOSITION_EX.0, &flags.to_le_bytes()))
        .await
}

/// Opens what is there, to delete it perhaps.
pub fn existing(name: &str) -> Request {
    let desired_access = AccessMask::DELETE | AccessMask::READ_ATTRIBUTES;
    let create_disposition = CreateDisposition::Open;
    Request::Create(CreateRequest { desired_access, create_disposition, ..requests::create(name) })
}

/// A file with this mark.
async fn protected(user: &mut User, name: &str) {
    let file = user.file(name, b"content").await;
    let basic = [&[0; 32][..], &FileAttributes::READONLY.bits().to_le_bytes(), &[0; 4]].concat();
    let set = requests::set_info(file, InfoType::FILE, FileClass::BASIC.0, &basic);
    assert_eq!(user.status(&set).await, OK);
    assert_eq!(user.status(&requests::close(file)).await, OK);
}

#[tokio::test]
async fn what_is_read_only_is_replaced_by_who_says_so_alone() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    protected(&mut user, "kept").await;
    let new = user.file("new", b"").await;
    for class in [FileClass::RENAME_EX, FileClass::LINK_EX] {
        for flags in [REPLACE, REPLACE | POSIX] {
            assert_eq!(user.status(&name(class, new, flags, "kept")).await, DENIED, "{flags:#x}");
        }
    }
    let flags = REPLACE | POSIX | IGNORE_READONLY;
    assert_eq!(user.status(&name(FileClass::RENAME_EX, new, flags, "kept")).await, OK);

    // POSIX has no such mark.
    protected(&mut user, "kept too").await;
    let mut posix_user = posix_user(&site).await;
    let (new, _) = opened(&mut posix_user, posix("new", 0o644)).await;
    let rename = name(FileClass::RENAME_EX, new, REPLACE, "kept too");
    assert_eq!(posix_user.status(&rename).await, OK);
}

#[tokio::test]
async fn what_is_read_only_is_deleted_by_who_says_so_alone() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    protected(&mut user, "f").await;
    let file = user.open(&existing("f")).await;
    let cannot = NtStatus::CANNOT_DELETE;
    for flags in [DELETE, DELETE | POSIX] {
        assert_eq!(dispose(&mut user, file, flags).await, cannot, "{flags:#x}");
    }
    let plain = requests::set_info(file, InfoType::FILE, FileClass::DISPOSITION.0, &[1]);
    assert_eq!(user.status(&plain).await, cannot);
    assert_eq!(dispose(&mut user, file, DELETE_READONLY).await, OK);
    assert_eq!(user.status(&existing("f")).await, NtStatus::DELETE_PENDING);
    assert_eq!(user.status(&requests::close(file)).await, OK);
    assert_eq!(user.status(&existing("f")).await, NtStatus::OBJECT_NAME_NOT_FOUND);
}

#[tokio::test]
async fn that_a_name_goes_with_an_open_is_taken_back_and_said_again() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let (taken_back, said_again) = (vec![ON_CLOSE], vec![ON_CLOSE, DELETE | ON_CLOSE]);
    for (name, all_flags, gone) in [("a", vec![], true), ("b", taken_back, false), ("c", said_again, true)] {
        let create_options = CreateOptions::DELETE_ON_CLOSE;
        let file =
            user.open(&Request::Create(CreateRequest { create_options, ..requests::create(name) })).await;
        for flags in &all_flags {
            assert_eq!(dispose(&mut user, file, *flags).await, OK);
        }
        // Until it ends it is open to others.
        let other = user.open(&existing(name)).await;
        assert_eq!(user.status(&requests::close(other)).await, OK);
        assert_eq!(user.status(&requests::close(file)).await, OK);
        let there = user.status(&existing(name)).await;
        assert_eq!(there, if gone { NtStatus::OBJECT_NAME_NOT_FOUND } else { OK }, "{all_flags:x?}");
    }
    let other = user.file("other", b"").await;
    assert_eq!(dispose(&mut user, other, DELETE | ON_CLOSE).await, NtStatus::NOT_SUPPORTED);
}

/// As Linux removes files. POSIX has no such mark.
#[tokio::test]
async fn what_is_read_only_is_deleted_by_a_posix_open_with_delete_on_close() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    protected(&mut user, "f").await;
    let mut posix_user = posix_user(&site).await;
    let create = CreateRequest {
        desired_access: AccessMask::DELETE | AccessMask::READ_ATTRIBUTES,
        create_disposition: CreateDisposition::Open,
        create_options: CreateOptions::DELETE_ON_CLOSE,
        ..posix("f", 0o644)
    };
    let file = posix_user.open(&Request::Create(create)).await;
    assert_eq!(posix_user.status(&requests::close(file)).await, OK);
    assert_eq!(user.status(&existing("f")).await, NtStatus::OBJECT_NAME_NOT_FOUND);
}
