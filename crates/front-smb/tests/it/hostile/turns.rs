//! Requests that are much work for little: others have their turn in between.
//!
//! All run on one thread, so whoever looks sees something half done only where the server gave way.

use crate::site::{ALICE, BOB, Site};
use front_smb::limits;
use smb_raw::requests;
use smb_wire::lock::{LockElement, LockFlags, LockRequest};
use smb_wire::{FileId, NtStatus, Request};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use testkit::MemVolume;
use vfs::{Vfs, VfsConfig};

const ELEMENTS: u64 = 3000;

/// One lock of a byte after the other.
fn many(file_id: FileId, flags: LockFlags) -> Request {
    let locks = (0..ELEMENTS).map(|offset| LockElement { offset, length: 1, flags }).collect();
    Request::Lock(LockRequest { sequence_index: 0, sequence_number: 0, file_id, locks })
}

/// All counts of locks that others see until it ends.
fn watch(vfs: &Vfs, ends: &Arc<AtomicBool>) -> tokio::task::JoinHandle<BTreeSet<usize>> {
    let (vfs, ends) = (vfs.clone(), Arc::clone(ends));
    tokio::spawn(async move {
        let mut seen = BTreeSet::new();
        while !ends.load(Ordering::Relaxed) {
            seen.insert(vfs.opens().locks);
            tokio::task::yield_now().await;
        }
        seen
    })
}

#[tokio::test]
async fn a_lock_of_many_ranges_gives_way_and_is_done_or_not() {
    let vfs = Vfs::new(MemVolume::new(), VfsConfig::default());
    let site = Site::over(vfs.clone(), |_| {}).await;
    let (mut alice, mut bob) = (site.log_in(&ALICE).await, site.log_in(&BOB).await);
    let file = alice.open(&requests::open("file")).await;
    let same = bob.open(&requests::open("file")).await;
    let at_once = LockFlags::EXCLUSIVE | LockFlags::FAIL_IMMEDIATELY;
    let turns = ELEMENTS as usize * limits::LOCK_ELEMENT_STEPS / limits::STEPS_AT_ONCE;
    for (request, status, left) in [
        (many(file, at_once), NtStatus::SUCCESS, ELEMENTS as usize),
        (many(file, LockFlags::UNLOCK), NtStatus::SUCCESS, 0),
        (many(file, at_once), NtStatus::LOCK_NOT_GRANTED, 1),
    ] {
        if status == NtStatus::LOCK_NOT_GRANTED {
            let last = requests::lock(same, ELEMENTS - 1, 1, at_once);
            assert_eq!(bob.status(&last).await, NtStatus::SUCCESS);
        }
        let ends = Arc::default();
        let seen = watch(&vfs, &ends);
        assert_eq!(alice.status(&request).await, status);
        ends.store(true, Ordering::Relaxed);
        let seen = seen.await.unwrap();
        assert!(seen.len() > turns / 4, "{status}: {seen:?}");
        assert_eq!(vfs.opens().locks, left);
    }
}
