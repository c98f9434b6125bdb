//! The SMB3 POSIX extensions.

use crate::readonly::name;
use crate::site::{ALICE, BOB, Site, User};
use bytes::Bytes;
use smb_raw::{offer, requests};
use smb_wire::create::context::CreateContext;
use smb_wire::create::{CreateDisposition, CreateRequest, CreateResponse, CreateResponseContext};
use smb_wire::fscc::file::FileClass;
use smb_wire::fscc::posix::{POSIX_LEVEL, PosixInformation, PosixMode};
use smb_wire::negotiate::context::POSIX_VERSION;
use smb_wire::negotiate::{Dialect, NegotiateContext, NegotiateRequest};
use smb_wire::query_directory::QueryDirectoryResponse;
use smb_wire::query_info::{InfoType, QueryInfoResponse};
use smb_wire::{FileId, NtStatus, Request};

const OPEN: CreateDisposition = CreateDisposition::Open;

fn offering(version: [u8; 16]) -> NegotiateRequest {
    let mut offer = offer(&[Dialect::SMB_3_1_1]);
    offer.contexts.push(NegotiateContext::Posix(Bytes::copy_from_slice(&version)));
    offer
}

pub async fn posix_user(site: &Site) -> User {
    site.log_in_by(&ALICE, offering(POSIX_VERSION)).await
}

pub fn posix(name: &str, mode: u32) -> CreateRequest {
    CreateRequest { contexts: vec![CreateContext::Posix { mode }], ..requests::create(name) }
}

/// The open and the mode that the answer tells, where it tells one.
pub async fn opened(user: &mut User, request: CreateRequest) -> (FileId, Option<PosixMode>) {
    let reply = user.call(&Request::Create(request)).await.unwrap();
    assert_eq!(reply.status(), NtStatus::SUCCESS);
    let response = CreateResponse::decode(&reply.message).unwrap();
    let mode = response.contexts.iter().find_map(|context| match context {
        CreateResponseContext::Posix { mode, .. } => Some(PosixMode(*mode)),
        _ => None,
    });
    (response.file_id, mode)
}

pub async fn information(user: &mut User, file: FileId) -> PosixInformation {
    let reply = user.call(&requests::query_info(file, InfoType::FILE, POSIX_LEVEL)).await.unwrap();
    assert_eq!(reply.status(), NtStatus::SUCCESS);
    PosixInformation::decode(&QueryInfoResponse::decode(&reply.message).unwrap().data).unwrap().0
}

#[tokio::test]
async fn names_have_their_case_and_files_their_modes() {
    let site = Site::new().await;
    let mut user = posix_user(&site).await;
    let (small, mode) = opened(&mut user, posix("readme: *", 0o640)).await;
    assert_eq!(mode.and_then(PosixMode::to_st_mode), Some(0o100_640));
    let (large, _) = opened(&mut user, posix("README: *", 0o600)).await;
    user.call(&requests::write(large, 0, b"large")).await.unwrap();
    let (small, large) = (information(&mut user, small).await, information(&mut user, large).await);
    assert_ne!(small.inode, large.inode);
    assert_eq!((small.end_of_file, large.end_of_file), (0, 5));
    assert_eq!(small.mode.to_st_mode(), Some(0o100_640));
    assert_eq!(large.mode.to_st_mode(), Some(0o100_600));
}

#[tokio::test]
async fn a_listing_has_names_as_they_are_stored() {
    let site = Site::new().await;
    let mut user = posix_user(&site).await;
    opened(&mut user, posix("a:b", 0o644)).await;
    let (root, _) = opened(&mut user, posix("", 0)).await;
    let Request::QueryDirectory(mut query) = requests::query_directory(root, "*") else { unreachable!() };
    query.information_class = POSIX_LEVEL;
    let reply = user.call(&Request::QueryDirectory(query)).await.unwrap();
    assert_eq!(reply.status(), NtStatus::SUCCESS);
    let page = QueryDirectoryResponse::decode(&reply.message).unwrap().data;
    let stored: Vec<u8> = "a:b".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(page.windows(stored.len()).any(|part| part == stored));
}

#[tokio::test]
async fn dots_are_no_names() {
    let site = Site::new().await;
    let mut user = posix_user(&site).await;
    for name in ["../up", "a/../b", "./a"] {
        let status = user.status(&Request::Create(posix(name, 0o644))).await;
        assert_eq!(status, NtStatus::OBJECT_PATH_SYNTAX_BAD, "{name}");
    }
}

#[tokio::test]
async fn who_has_not_asked_for_them_does_not_have_them() {
    let site = Site::new().await;
    for offer in [offer(&[Dialect::SMB_3_1_1]), offering([1; 16]), offer(&[Dialect::SMB_3_0_2])] {
        let mut user = site.log_in_by(&ALICE, offer).await;
        let (file, mode) = opened(&mut user, posix("plain", 0o600)).await;
        assert_eq!(mode, None);
        let status = user.status(&requests::query_info(file, InfoType::FILE, POSIX_LEVEL)).await;
        assert_eq!(status, NtStatus::INVALID_INFO_CLASS);
        let upper = CreateRequest { create_disposition: OPEN, ..posix("PLAIN", 0) };
        opened(&mut user, upper).await;
    }
}

/// Linux says always that the target may be replaced: it has looked, and found none of that case.
#[tokio::test]
async fn a_rename_or_link_meets_names_of_its_own_case_alone() {
    const REPLACE: u32 = 1;
    let site = Site::new().await;
    let mut user = posix_user(&site).await;
    let (kept, _) = opened(&mut user, posix("name", 0o644)).await;
    user.call(&requests::write(kept, 0, b"kept")).await.unwrap();
    let (other, _) = opened(&mut user, posix("other", 0o644)).await;
    user.call(&requests::write(other, 0, b"other")).await.unwrap();
    let rename = name(FileClass::RENAME, other, REPLACE, "NAME");
    assert_eq!(user.status(&rename).await, NtStatus::SUCCESS);
    let link = name(FileClass::LINK, kept, 0, "Name");
    assert_eq!(user.status(&link).await, NtStatus::SUCCESS);
    for (name, content) in [("name", "kept"), ("NAME", "other"), ("Name", "kept")] {
        let there = CreateRequest { create_disposition: OPEN, ..posix(name, 0) };
        let (there, _) = opened(&mut user, there).await;
        assert_eq!(user.content(there).await, content.as_bytes(), "{name}");
    }
}

/// Linux does not say that it means that.
#[tokio::test]
async fn a_posix_open_renames_over_what_is_open_and_a_directory_over_an_empty_one() {
    const REPLACE: u32 = 1;
    let site = Site::new().await;
    let mut bob = site.log_in(&BOB).await;
    for dir in ["full", "empty"] {
        bob.open(&requests::directory(dir)).await;
    }
    let (old, below) = (bob.file("old", b"old").await, bob.file(r"full\file", b"below").await);
    let mut user = posix_user(&site).await;
    let (new, _) = opened(&mut user, posix("new", 0o644)).await;
    let over = name(FileClass::RENAME, new, REPLACE, "old");
    assert_eq!(user.status(&over).await, NtStatus::SUCCESS);
    assert_eq!(bob.content(old).await, b"old");
    let (full, _) = opened(&mut user, CreateRequest { create_disposition: OPEN, ..posix("full", 0) }).await;
    for (to, status) in [("old", NtStatus::ACCESS_DENIED), ("empty", NtStatus::SUCCESS)] {
        let rename = name(FileClass::RENAME, full, REPLACE, to);
        assert_eq!(user.status(&rename).await, status, "{to}");
    }
    assert_eq!(bob.content(below).await, b"below");
    let moved = bob.open(&requests::open(r"empty\file")).await;
    assert_eq!(bob.content(moved).await, b"below");
    // Who has no extensions says so, or is refused.
    let again = bob.file("again", b"").await;
    let over = name(FileClass::RENAME, again, REPLACE, "old");
    assert_eq!(bob.status(&over).await, NtStatus::ACCESS_DENIED);
}
