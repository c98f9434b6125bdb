//! A deletion that waits for the last open of a file, when the server is killed meanwhile.

use crate::durable::{GUID, available, create, log_in_for_good, reconnect};
use crate::site::{BOB, Site, User};
use smb_raw::requests;
use smb_wire::create::context::{CreateContext, DurableFlags};
use smb_wire::create::{CreateOptions, CreateRequest};
use smb_wire::fscc::file::FileClass;
use smb_wire::query_info::InfoType;
use smb_wire::{FileId, NtStatus};
use std::path::Path;

const PERSISTENT: DurableFlags = DurableFlags::PERSISTENT;

/// What happens to the file that alice has open for good, by her or by bob, who has it open through the other share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Marked,
    Spared,
    MarkedByBob,
    SparedByBob,
    /// Under another name, by bob.
    Renamed,
    /// An open of bob's that was to take the name with it.
    ClosedByBob,
    /// Bob's share is left with an open that was to take the name with it.
    LeftByBob,
    /// Bob logs off.
    LoggedOffByBob,
}

/// A persistent open that shares everything.
fn persistent(name: &str) -> CreateRequest {
    let context =
        CreateContext::DurableRequestV2 { timeout_ms: 30_000, flags: PERSISTENT, create_guid: GUID };
    CreateRequest { contexts: vec![context], ..requests::create(name) }
}

async fn mark(user: &mut User, id: FileId, delete: bool) {
    let request = requests::set_info(id, InfoType::FILE, FileClass::DISPOSITION.0, &[delete.into()]);
    assert_eq!(user.status(&request).await, NtStatus::SUCCESS);
}

/// Bob by the share whose opens are not written down.
pub async fn bob_by_plain(site: &Site) -> User {
    by_plain(site.log_in(&BOB).await).await
}

pub async fn by_plain(mut user: User) -> User {
    let connected = user.client.call(&user.session, 0, &requests::tree_connect("plain")).await.unwrap();
    User { tree: connected.header.tree_id, ..user }
}

async fn do_step(step: Step, (alice, id): (&mut User, FileId), (bob, bobs): (&mut User, FileId)) {
    match step {
        Step::Marked => mark(alice, id, true).await,
        Step::Spared => mark(alice, id, false).await,
        Step::MarkedByBob => mark(bob, bobs, true).await,
        Step::SparedByBob => mark(bob, bobs, false).await,
        Step::Renamed => {
            let name: Vec<u8> = "other".encode_utf16().flat_map(u16::to_le_bytes).collect();
            let head = [&[0; 16][..], &(name.len() as u32).to_le_bytes(), &name].concat();
            let rename = requests::set_info(bobs, InfoType::FILE, FileClass::RENAME.0, &head);
            assert_eq!(bob.status(&rename).await, NtStatus::SUCCESS);
        }
        Step::ClosedByBob | Step::LeftByBob | Step::LoggedOffByBob => {
            let mut request = requests::create("file");
            request.create_options = CreateOptions::DELETE_ON_CLOSE;
            let doomed = create(bob, request).await.unwrap().file_id;
            let end = match step {
                Step::ClosedByBob => requests::close(doomed),
                Step::LeftByBob => requests::tree_disconnect(),
                _ => requests::logoff(),
            };
            assert_eq!(bob.status(&end).await, NtStatus::SUCCESS);
        }
    }
}

/// Does the steps, kills the server, and looks what becomes of the name once alice, who is back, closes the file.
async fn check(steps: &[Step], goes: bool) {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let before = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&before).await;
    let id = create(&mut alice, persistent("file")).await.unwrap().file_id;
    assert_eq!(alice.status(&requests::write(id, 0, b"content")).await, NtStatus::SUCCESS);
    let mut bob = bob_by_plain(&before).await;
    let bobs = bob.open(&requests::open("file")).await;
    for step in steps {
        do_step(*step, (&mut alice, id), (&mut bob, bobs)).await;
    }
    // As if it were killed: it does nothing any more, and leaves everything as it is.
    std::mem::forget(before);

    let after = available(dir.path(), state.path()).await;
    let name = if steps.contains(&Step::Renamed) { "other" } else { "file" };
    let mut bob = bob_by_plain(&after).await;
    back(&after, id, goes.then_some((&mut bob, name))).await;
    let left = dir.path().join(name).exists();
    assert_eq!(left, !goes, "{steps:?}");
}

/// Alice takes up her open, finds its content, and closes it; meanwhile `kept_out` cannot open the file.
async fn back(site: &Site, id: FileId, kept_out: Option<(&mut User, &str)>) {
    let mut alice = log_in_for_good(site).await;
    let back = create(&mut alice, reconnect(id, GUID, PERSISTENT)).await.unwrap();
    assert_eq!(alice.content(back.file_id).await, b"content");
    if let Some((other, name)) = kept_out {
        assert_eq!(other.status(&requests::open(name)).await, NtStatus::DELETE_PENDING);
    }
    assert_eq!(alice.status(&requests::close(back.file_id)).await, NtStatus::SUCCESS);
}

#[tokio::test]
async fn a_deletion_that_was_told_of_happens_though_the_server_is_killed() {
    use Step::*;
    check(&[Marked], true).await;
    check(&[MarkedByBob], true).await;
    check(&[Marked, Spared, Marked], true).await;
    check(&[ClosedByBob], true).await;
    check(&[LeftByBob], true).await;
    check(&[LoggedOffByBob], true).await;
    check(&[Renamed, Marked], true).await;
}

#[tokio::test]
async fn a_deletion_that_was_taken_back_does_not() {
    use Step::*;
    check(&[], false).await;
    check(&[Renamed], false).await;
    check(&[Marked, Spared], false).await;
    check(&[Marked, SparedByBob], false).await;
    check(&[ClosedByBob, SparedByBob], false).await;
}

async fn stopped_in_order(dir: &Path, state: &Path) -> FileId {
    let before = available(dir, state).await;
    let mut alice = log_in_for_good(&before).await;
    let id = create(&mut alice, persistent("file")).await.unwrap().file_id;
    assert_eq!(alice.status(&requests::write(id, 0, b"content")).await, NtStatus::SUCCESS);
    mark(&mut alice, id, true).await;
    drop(alice);
    assert!(before.server.shutdown().await);
    id
}

#[tokio::test]
async fn an_orderly_stop_leaves_a_name_that_is_to_go_to_who_comes_back() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let id = stopped_in_order(dir.path(), state.path()).await;
    assert!(dir.path().join("file").exists());
    let after = available(dir.path(), state.path()).await;
    back(&after, id, None).await;
    assert!(!dir.path().join("file").exists());
}

#[tokio::test]
async fn who_leaves_the_share_does_not_come_back() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let before = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&before).await;
    let id = create(&mut alice, persistent("file")).await.unwrap().file_id;
    assert_eq!(alice.status(&requests::tree_disconnect()).await, NtStatus::SUCCESS);
    drop(alice);
    assert!(before.server.shutdown().await);
    let after = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&after).await;
    let back = create(&mut alice, reconnect(id, GUID, PERSISTENT)).await;
    assert_eq!(back.unwrap_err(), NtStatus::OBJECT_NAME_NOT_FOUND);
}
