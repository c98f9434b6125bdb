//! CREATEs that make a file, and cannot give it all that they were asked to.

use crate::persistent::{answer, begin};
use crate::site::{ALICE, BOB, Site};
use smb_raw::requests;
use smb_wire::create::{CreateContext, CreateRequest};
use smb_wire::{NtStatus, Request};
use testkit::{FaultVolume, MemVolume, Op};
use vfs::{Vfs, VfsConfig};
use volume::ErrorKind;

#[tokio::test]
async fn what_others_have_written_to_it_meanwhile_stays() {
    let volume = FaultVolume::new(MemVolume::new());
    let site = Site::over(Vfs::new(volume.clone(), VfsConfig::default()), |_| {}).await;
    let (mut alice, mut bob) = (site.log_in(&ALICE).await, site.log_in(&BOB).await);
    let gate = volume.gate(Op::Allocate);
    volume.fail(Op::Allocate, 1, ErrorKind::NoSpace);
    let contexts = vec![CreateContext::AllocationSize(1 << 40)];
    let asked =
        begin(&mut alice, &Request::Create(CreateRequest { contexts, ..requests::create("file") })).await;
    gate.arrived(1).await;
    let file = bob.file("file", b"content").await;
    assert_eq!(bob.status(&requests::close(file)).await, NtStatus::SUCCESS);
    gate.release();
    let mut reply = answer(&mut alice, asked).await;
    if reply.status() == NtStatus::PENDING {
        reply = answer(&mut alice, asked).await;
    }
    assert_eq!(reply.status(), NtStatus::DISK_FULL);
    let file = bob.open(&requests::open("file")).await;
    assert_eq!(String::from_utf8(bob.content(file).await).unwrap(), "content");
}
