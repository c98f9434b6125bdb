//! Times that clients set.

use crate::site::{ALICE, BOB, Site, User};
use smb_raw::requests;
use smb_wire::close::CloseResponse;
use smb_wire::fscc::FileAttributes;
use smb_wire::fscc::file::{BasicInformation, FileClass};
use smb_wire::query_info::{InfoType, QueryInfoResponse};
use smb_wire::time::FileTime;
use smb_wire::{FileId, NtStatus};

async fn set(user: &mut User, file: FileId, basic: &BasicInformation) {
    let mut data = Vec::new();
    basic.encode(&mut data);
    let request = requests::set_info(file, InfoType::FILE, FileClass::BASIC.0, &data);
    assert_eq!(user.status(&request).await, NtStatus::SUCCESS);
}

async fn basic(user: &mut User, file: FileId) -> BasicInformation {
    let reply = user.call(&requests::query_info(file, InfoType::FILE, FileClass::BASIC.0)).await.unwrap();
    BasicInformation::decode(&QueryInfoResponse::decode(&reply.message).unwrap().data).unwrap()
}

async fn change_time(user: &mut User, file: FileId) -> FileTime {
    basic(user, file).await.change_time
}

async fn write_time(user: &mut User, file: FileId) -> FileTime {
    basic(user, file).await.last_write_time
}

async fn write(user: &mut User, file: FileId) {
    assert_eq!(user.status(&requests::write(file, 0, b"changed")).await, NtStatus::SUCCESS);
}

/// The write time that the answer to CLOSE tells.
async fn closed(user: &mut User, file: FileId) -> FileTime {
    let reply = user.call(&requests::close(file)).await.unwrap();
    CloseResponse::decode(&reply.message).unwrap().attributes.unwrap().last_write_time
}

/// MS-FSA 2.1.5.15.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_time_that_is_set_is_moved_by_writes_of_others_alone() {
    const SET: FileTime = FileTime(0x01d0_0000_0000_0000);
    let dated = |time| BasicInformation { last_write_time: time, ..BasicInformation::default() };
    let site = Site::new().await;
    let (mut alice, mut bob) = (site.log_in(&ALICE).await, site.log_in(&BOB).await);
    let file = alice.file("file", b"content").await;
    set(&mut alice, file, &dated(SET)).await;
    write(&mut alice, file).await;
    assert_eq!(write_time(&mut alice, file).await, SET);
    let other = bob.open(&requests::open("file")).await;
    assert_eq!(write_time(&mut bob, other).await, SET);
    assert_eq!(closed(&mut alice, file).await, SET);
    assert_eq!(write_time(&mut bob, other).await, SET);
    // Another open of the same client keeps nothing.
    let file = alice.open(&requests::open("file")).await;
    write(&mut alice, file).await;
    let moved = write_time(&mut alice, file).await;
    assert_ne!(moved, SET);
    // Left alone, and let go.
    set(&mut alice, file, &dated(FileTime::FREEZE)).await;
    write(&mut alice, file).await;
    assert_eq!(write_time(&mut bob, other).await, moved);
    set(&mut alice, file, &dated(FileTime::THAW)).await;
    assert_eq!(write_time(&mut alice, file).await, moved);
    write(&mut alice, file).await;
    assert_ne!(closed(&mut alice, file).await, moved);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_time_that_is_set_is_moved_by_others_alone() {
    const SET: FileTime = FileTime(0x01d0_0000_0000_0000);
    let hidden = BasicInformation { file_attributes: FileAttributes::HIDDEN, ..BasicInformation::default() };
    let site = Site::new().await;
    let (mut alice, mut bob) = (site.log_in(&ALICE).await, site.log_in(&BOB).await);
    let file = alice.file("file", b"content").await;
    set(&mut alice, file, &BasicInformation { change_time: SET, ..BasicInformation::default() }).await;
    assert_eq!(change_time(&mut alice, file).await, SET);
    set(&mut alice, file, &hidden).await;
    assert_eq!(change_time(&mut alice, file).await, SET);
    assert_eq!(alice.status(&requests::write(file, 0, b"changed")).await, NtStatus::SUCCESS);
    assert_eq!(alice.status(&requests::close(file)).await, NtStatus::SUCCESS);
    let other = bob.open(&requests::open("file")).await;
    assert_eq!(change_time(&mut bob, other).await, SET);
    set(&mut bob, other, &BasicInformation::default()).await;
    assert_eq!(change_time(&mut bob, other).await, SET, "that asked for nothing");
    set(&mut bob, other, &BasicInformation { file_attributes: FileAttributes::NORMAL, ..hidden }).await;
    assert_ne!(change_time(&mut bob, other).await, SET);
}
