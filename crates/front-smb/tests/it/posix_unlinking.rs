//! Removing as POSIX has it, while others have the file open: by POSIX clients, and by Windows, which asks for that.

use crate::posix::{opened, posix, posix_user};
use crate::readonly::{dispose, existing};
use crate::site::{ALICE, BOB, Site, User};
use smb_raw::requests;
use smb_wire::create::{CreateDisposition, CreateOptions, CreateRequest};
use smb_wire::fscc::file::FileClass;
use smb_wire::query_info::InfoType;
use smb_wire::{AccessMask, FileId, NtStatus, Request};

const OK: NtStatus = NtStatus::SUCCESS;
const DELETE: u32 = 0x01;
const POSIX: u32 = 0x02;

/// How a file is removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// By Linux.
    OnClose,
    /// By Linux from 6.17 on.
    Marked,
    /// By Windows.
    AskedFor,
}

/// Opens it to remove it so. Nothing has happened to the name yet.
async fn removing(site: &Site, way: Way, name: &str) -> (User, FileId) {
    let desired_access = AccessMask::DELETE | AccessMask::READ_ATTRIBUTES;
    let (options, is_posix) = match way {
        Way::OnClose => (CreateOptions::DELETE_ON_CLOSE, true),
        Way::Marked => (CreateOptions::empty(), true),
        Way::AskedFor => (CreateOptions::empty(), false),
    };
    let mut user = if is_posix { posix_user(site).await } else { site.log_in(&ALICE).await };
    let request = if is_posix { posix(name, 0) } else { requests::create(name) };
    let create = CreateRequest {
        desired_access,
        create_disposition: CreateDisposition::Open,
        create_options: options,
        ..request
    };
    let file = user.open(&Request::Create(create)).await;
    let done = match way {
        Way::OnClose => OK,
        Way::Marked => {
            user.status(&requests::set_info(file, InfoType::FILE, FileClass::DISPOSITION.0, &[1])).await
        }
        Way::AskedFor => dispose(&mut user, file, DELETE | POSIX).await,
    };
    assert_eq!(done, OK, "{way:?}");
    (user, file)
}

#[tokio::test]
async fn a_name_is_free_at_the_close_of_who_removed_it_and_others_go_on() {
    for way in [Way::OnClose, Way::Marked, Way::AskedFor] {
        let site = Site::new().await;
        let mut bob = site.log_in(&BOB).await;
        let old = bob.file("file", b"old").await;
        let (mut remover, removing) = removing(&site, way, "file").await;
        assert_eq!(remover.status(&requests::close(removing)).await, OK);
        assert_eq!(bob.status(&existing("file")).await, NtStatus::OBJECT_NAME_NOT_FOUND, "{way:?}");
        let new = bob.file("file", b"new").await;
        assert_eq!(bob.status(&requests::write(old, 3, b" and open")).await, OK);
        assert_eq!(bob.content(old).await, b"old and open");
        for class in [FileClass::STANDARD, FileClass::ALL, FileClass::BASIC] {
            let query = requests::query_info(old, InfoType::FILE, class.0);
            assert_eq!(bob.status(&query).await, OK, "{way:?} {class:?}");
        }
        assert_eq!(bob.status(&requests::close(old)).await, OK);
        assert_eq!(bob.content(new).await, b"new");
        assert_eq!(bob.status(&requests::close(new)).await, OK);
        assert_eq!(bob.status(&existing("file")).await, OK, "{way:?}");
    }
}

/// `rm -r`.
#[tokio::test]
async fn a_directory_goes_with_a_file_in_it_that_is_open() {
    let site = Site::new().await;
    let mut bob = site.log_in(&BOB).await;
    bob.open(&requests::directory("dir")).await;
    let file = bob.file(r"dir\file", b"content").await;
    let (mut remover, removed) = removing(&site, Way::OnClose, "dir/file").await;
    assert_eq!(remover.status(&requests::close(removed)).await, OK);
    let (mut remover, removed) = removing(&site, Way::OnClose, "dir").await;
    assert_eq!(remover.status(&requests::close(removed)).await, OK);
    assert_eq!(bob.status(&existing("dir")).await, NtStatus::OBJECT_NAME_NOT_FOUND);
    assert_eq!(bob.content(file).await, b"content");
}

/// As everywhere until now.
#[tokio::test]
async fn who_asks_for_nothing_else_waits_for_the_last_open() {
    let site = Site::new().await;
    let mut bob = site.log_in(&BOB).await;
    let old = bob.file("file", b"old").await;
    let mut alice = site.log_in(&ALICE).await;
    let removed = alice.open(&existing("file")).await;
    assert_eq!(dispose(&mut alice, removed, DELETE).await, OK);
    assert_eq!(alice.status(&requests::close(removed)).await, OK);
    assert_eq!(bob.status(&existing("file")).await, NtStatus::DELETE_PENDING);
    // A POSIX client that has only read it takes nothing along.
    assert_eq!(bob.status(&requests::close(old)).await, OK);
    let mut posix_user = posix_user(&site).await;
    let (file, _) = opened(&mut posix_user, posix("file", 0o644)).await;
    assert_eq!(posix_user.status(&requests::close(file)).await, OK);
    assert_eq!(bob.status(&existing("file")).await, OK);
}
