//! Against a real smbd, started by each test on a port of its own.

mod connecting;
mod outage;
mod rig;
mod speed;
mod watching;

use rig::Rig;
use std::sync::Arc;
use testkit::ease::{cx, fails, get, names, p, put, read_all, stat};
use testkit::{contract, model};
use volume::{Access, Create, DosAttributes, ErrorKind, OpenHow, SetAttr, Volume};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn the_contract_holds() {
    let rig = Rig::start();
    contract::run(|| async { rig.fresh().await as Arc<dyn Volume> }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn the_model_agrees() {
    let rig = Rig::start();
    model::run(&*rig.fresh().await, 11, 400).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn a_share_seen_by_two_volumes_is_one() {
    let rig = Rig::start();
    let (one, other) = (rig.volume().await, rig.volume().await);
    let made = put(&*one, "f", "one").await;
    assert_eq!(stat(&*other, "f").await.id, made.id);
    assert_eq!(stat(&*other, "f").await.version, stat(&*one, "f").await.version);
    put(&*other, "f", "two").await;
    assert_ne!(stat(&*one, "f").await.version, made.version);
    assert_eq!(get(&*one, "f").await, b"two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn names_that_smb_reserves_are_mapped_as_other_clients_map_them() {
    let rig = Rig::start();
    let volume = rig.volume().await;
    let given = ["who?", "a:b", "trailing.", "日本語 🦀", "nai\u{308}ve"];
    for name in given {
        put(&*volume, name, name).await;
    }
    let on_disk = rig.on_disk();
    for stored in ["who\u{F025}", "a\u{F022}b", "trailing\u{F029}", "日本語 🦀", "nai\u{308}ve"] {
        assert!(on_disk.contains(&stored.to_owned()), "{stored:?} in {on_disk:?}");
    }
    let mut wanted = given.map(str::to_owned);
    wanted.sort();
    assert_eq!(names(&*volume, "").await, wanted);
    rig.smbclient().run("mkdir über; put /etc/hostname über/ζ.txt").expect("smbclient");
    assert_eq!(names(&*volume, "über").await, ["ζ.txt"]);
    fails(volume.stat(&cx(), &p("who\u{F025}")).await, ErrorKind::InvalidName);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn a_file_removed_while_open_is_in_nobodys_way() {
    let rig = Rig::start();
    let volume = rig.volume().await;
    testkit::ease::mkdir(&*volume, "d").await;
    put(&*volume, "d/f", "kept").await;
    let handle = volume.open(&cx(), &p("d/f"), OpenHow::read()).await.unwrap().file;
    testkit::ease::remove(&*volume, "d/f").await;
    testkit::ease::rmdir(&*volume, "d").await;
    assert_eq!(names(&*volume, "").await, [""; 0]);
    assert_eq!(read_all(&*handle).await, b"kept");
    handle.close(&cx(), volume::Close::Commit).await.unwrap();
    assert_eq!(rig.on_disk(), [""; 0], "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn a_read_only_mark_survives_a_writer() {
    let rig = Rig::start();
    let volume = rig.volume().await;
    put(&*volume, "f", "1").await;
    let dos = DosAttributes::READONLY;
    let set = SetAttr { dos: Some(dos), ..SetAttr::default() };
    let order = volume::Change::SetAttr { path: p("f"), set, expect: None };
    testkit::ease::apply(&*volume, order).await;
    put(&*volume, "f", "22").await;
    let attr = stat(&*volume, "f").await;
    assert!(attr.size == 2 && attr.dos.contains(dos), "{attr:?}");
    testkit::ease::remove(&*volume, "f").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn attributes_are_set_over_a_handle_that_only_reads() {
    let rig = Rig::start();
    let volume = rig.volume().await;
    put(&*volume, "f", "content").await;
    let handle = volume.open(&cx(), &p("f"), OpenHow::read()).await.unwrap().file;
    let set = SetAttr { mtime: Some(volume::Time::from_parts(1_000_000_000, 0)), ..SetAttr::default() };
    assert_eq!(Some(handle.set_attr(&cx(), &set).await.unwrap().mtime), set.mtime);
    fails(handle.set_attr(&cx(), &SetAttr::size(0)).await, ErrorKind::PermissionDenied);
    let owner = SetAttr { uid: Some(1), ..SetAttr::default() };
    fails(handle.set_attr(&cx(), &owner).await, ErrorKind::Unsupported);
}

/// By the road that a client's CREATE takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn a_sparse_file_is_overwritten() {
    let rig = Rig::with("default\nstore dos attributes = yes\nea support = yes");
    let volume = rig.volume().await;
    put(&*volume, "f", "content").await;
    // As Samba writes it down for FSCTL_SET_SPARSE.
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(rig.path().join("f"), "user.DOSATTRIB", b"0x220\0", flags).unwrap();
    assert!(stat(&*volume, "f").await.dos.contains(DosAttributes::SPARSE));
    let vfs = vfs::Vfs::new(volume, vfs::VfsConfig::default());
    let mut request = vfs::OpenRequest::new(p("f"), vfs::Access::WRITE_DATA, vfs::Owner(1));
    (request.disposition, request.dos) = (vfs::Disposition::OverwriteIf, DosAttributes::HIDDEN);
    let opened = vfs.open(&cx(), request).await.unwrap();
    assert!(opened.attr.size == 0 && opened.attr.dos.contains(DosAttributes::HIDDEN), "{:?}", opened.attr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn an_open_that_nobody_waits_for_is_closed() {
    let rig = Rig::start();
    let volume = rig.volume().await;
    put(&*volume, "f", "x").await;
    for _ in 0..20 {
        let path = p("f");
        let cx = cx();
        let open =
            volume.open(&cx, &path, OpenHow { access: Access::READ, ..OpenHow::create(Create::Never) });
        // Polled once, so that it is under way; then given up.
        tokio::select! {
            biased;
            _ = open => {}
            () = std::future::ready(()) => {}
        }
    }
    rig.until_nothing_is_open();
}
