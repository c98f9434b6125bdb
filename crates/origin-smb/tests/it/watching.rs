//! What others change is told.

use crate::rig::Rig;
use bytes::Bytes;
use origin_smb::{SmbConfig, SmbVolume, Watching};
use std::sync::Arc;
use testkit::contract;
use testkit::ease::{NOTICE_PATIENCE, cx, fails, mkdir, notice, p, put, within};
use volume::{Close, ErrorKind, Freshness, Notice, OpenHow, VPath, Volume, Watch};

async fn promised(watch: &mut Watch) {
    let promise = watch.freshness.wait_for(|f| *f == Freshness::Notified);
    within(NOTICE_PATIENCE, "freshness Notified", promise).await.expect("the watch ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn changes_through_another_volume_are_told() {
    let rig = Rig::start();
    let (one, other) = (rig.volume().await, rig.volume().await);
    contract::tells_of_others(&*one, &*other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn changes_of_smbclient_are_told_with_their_attributes() {
    let rig = Rig::start();
    let volume: Arc<dyn Volume> = rig.volume().await;
    let mut watch = volume.watch(&cx()).await.unwrap();
    promised(&mut watch).await;
    std::fs::write(rig.path().join("source"), "five!").unwrap();
    let put = format!("mkdir d; lcd {}; put source d/file", rig.path().display());
    rig.smbclient().run(&put).expect("smbclient");
    // Samba tells when it is made, which may be before its content is there.
    let made = |n: &Notice| match n {
        Notice::Changed { path, attr: Some(attr), .. } => *path == p("d/file") && attr.is_file(),
        _ => false,
    };
    notice(&mut watch, "the new file", made).await;
    rig.smbclient().run("rename d\\file d\\moved").expect("smbclient");
    let moved = |n: &Notice| match n {
        Notice::Moved { from, to, attr: Some(attr), .. } => {
            *from == p("d/file") && *to == p("d/moved") && attr.size == 5
        }
        _ => false,
    };
    notice(&mut watch, "the move, with its size", moved).await;
    rig.smbclient().run("del d\\moved").expect("smbclient");
    let gone = |n: &Notice| matches!(n, Notice::Changed { path, attr: None, .. } if *path == p("d/moved"));
    notice(&mut watch, "the removal", gone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn after_a_cut_everything_is_unknown_once() {
    let rig = Rig::start();
    let volume: Arc<dyn Volume> = rig.volume().await;
    let mut watch = volume.watch(&cx()).await.unwrap();
    promised(&mut watch).await;
    rig.cut_connections();
    let all = |n: &Notice| *n == Notice::Unknown { below: VPath::root() };
    notice(&mut watch, "all is unknown", all).await;
    promised(&mut watch).await;
    rig.smbclient().run("mkdir again").expect("smbclient");
    let made = |n: &Notice| matches!(n, Notice::Changed { path, .. } if *path == p("again"));
    notice(&mut watch, "a change after the cut", made).await;
}

/// Why notices of Samba are hints: when this fails, Samba has learnt to tell, and the default can be thought
/// over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn samba_tells_nothing_of_content_written_in_place_and_nothing_is_promised() {
    let rig = Rig::start();
    let config = SmbConfig { watch: Watching::Hints, ..rig.config() };
    let volume = SmbVolume::connect(config).await.unwrap();
    let other = rig.volume().await;
    mkdir(&*other, "d").await;
    put(&*other, "d/f", "content").await;
    let mut watch = volume.watch(&cx()).await.unwrap();
    assert_eq!(*watch.freshness.borrow(), Freshness::Direct);
    let file = other.open(&cx(), &p("d/f"), OpenHow::read_write()).await.unwrap().file;
    file.write_at(&cx(), 0, Bytes::from_static(b"CONTENT")).await.unwrap();
    file.close(&cx(), Close::Commit).await.unwrap();
    mkdir(&*other, "later").await;
    let told = notice(&mut watch, "anything", |_| true).await;
    assert!(matches!(&told, Notice::Changed { path, .. } if *path == p("later")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn a_watch_that_is_switched_off_is_not_there() {
    let rig = Rig::start();
    let config = SmbConfig { watch: Watching::Off, ..rig.config() };
    let volume = SmbVolume::connect(config).await.unwrap();
    assert!(!volume.caps().watch);
    fails(volume.watch(&cx()).await, ErrorKind::Unsupported);
}
