//! Changes of persistent opens whose client is cut off before they are made, and so before they are written down.

use crate::deletion::bob_by_plain;
use crate::durable::{available, create, kept, log_in_for_good};
use crate::leases::renaming;
use crate::persistent::begin;
use crate::restoring::{name, persistent, records, start};
use crate::site::{BOB, Site};
use smb_raw::requests;
use smb_wire::NtStatus;
use smb_wire::create::{CreateRequest, ShareAccess};
use smb_wire::fscc::file::FileClass;
use smb_wire::query_info::InfoType;
use std::path::Path;
use std::time::Duration;
use store::rusqlite::Connection;
use testkit::{FaultVolume, MemVolume, Op};

const ALL: ShareAccess = ShareAccess::READ.union(ShareAccess::WRITE).union(ShareAccess::DELETE);

/// Waits until something holds, and fails when it does not.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what}");
}

fn paths(records: &Connection) -> Vec<String> {
    let mut rows = records.prepare("SELECT path FROM open ORDER BY path").unwrap();
    rows.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

/// A server over a volume whose calls can be held up.
async fn slow(state: &Path) -> (Site, std::sync::Arc<FaultVolume>) {
    let volume = FaultVolume::new(MemVolume::new());
    (start(&volume, state, Duration::from_secs(10)).await, volume)
}

#[tokio::test]
async fn an_open_that_was_ended_is_forgotten_though_its_client_is_cut_off_meanwhile() {
    for end in [requests::close, |_| requests::tree_disconnect()] {
        let state = tempfile::tempdir().unwrap();
        let (site, volume) = slow(state.path()).await;
        let mut alice = log_in_for_good(&site).await;
        let id = create(&mut alice, persistent(0)).await.unwrap().file_id;
        let gate = volume.gate(Op::Close);
        let end = end(id);
        begin(&mut alice, &end).await;
        gate.arrived(1).await;
        drop(alice);
        site.emptied().await;
        gate.release();
        let records = records(state.path());
        until(&format!("{end:?}"), async || paths(&records).is_empty()).await;
        assert_eq!(site.server.status().kept_opens, 0);
    }
}

#[tokio::test]
async fn a_rename_is_written_down_for_others_though_its_client_is_cut_off_meanwhile() {
    let state = tempfile::tempdir().unwrap();
    let (site, volume) = slow(state.path()).await;
    let mut alice = log_in_for_good(&site).await;
    create(&mut alice, CreateRequest { share_access: ALL, ..persistent(0) }).await.unwrap();
    let mut bob = site.log_in(&BOB).await;
    let bobs = bob.open(&requests::open(&name(0).0)).await;
    let gate = volume.gate(Op::Apply);
    begin(&mut bob, &renaming(bobs, "moved")).await;
    gate.arrived(1).await;
    drop(bob);
    until("bob's connection", async || site.server.status().connections == 1).await;
    gate.release();
    let records = records(state.path());
    until("the new name", async || paths(&records) == ["moved"]).await;
}

#[tokio::test]
async fn a_deletion_that_cannot_be_written_down_is_taken_back_though_its_client_is_cut_off_meanwhile() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let site = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&site).await;
    let id = create(&mut alice, CreateRequest { share_access: ALL, ..persistent(0) }).await.unwrap().file_id;
    let mut bob = bob_by_plain(&site).await;
    let theirs = requests::open(&name(0).0);
    let records = records(state.path());
    records.execute_batch("BEGIN IMMEDIATE").unwrap();
    begin(&mut alice, &requests::set_info(id, InfoType::FILE, FileClass::DISPOSITION.0, &[1])).await;
    until("the deletion", async || bob.status(&theirs).await == NtStatus::DELETE_PENDING).await;
    drop(alice);
    kept(&site, 1).await;
    records.execute_batch("ALTER TABLE open RENAME TO away; COMMIT").unwrap();
    until("the name again", async || bob.status(&theirs).await == NtStatus::SUCCESS).await;
    records.execute_batch("ALTER TABLE away RENAME TO open").unwrap();
}
