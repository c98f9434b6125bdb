//! What others change is told.

use crate::rig::Rig;
use std::sync::Arc;
use testkit::contract;
use testkit::ease::{NOTICE_PATIENCE, cx, fails, notice, p, within};
use volume::{ErrorKind, Freshness, Notice, VPath, Volume, Watch};

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
    let whole = |n: &Notice| matches!(n, Notice::Changed { path, attr: Some(attr) } if *path == p("d/file") && attr.size == 5);
    notice(&mut watch, "the new file with its size", whole).await;
    rig.smbclient().run("rename d\\file d\\moved").expect("smbclient");
    let moved = |n: &Notice| match n {
        Notice::Moved { from, to, attr } => *from == p("d/file") && *to == p("d/moved") && attr.is_some(),
        _ => false,
    };
    notice(&mut watch, "the move", moved).await;
    rig.smbclient().run("del d\\moved").expect("smbclient");
    let gone = |n: &Notice| matches!(n, Notice::Changed { path, attr: None } if *path == p("d/moved"));
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn where_a_watch_would_promise_too_much_there_is_none() {
    let rig = Rig::start();
    let config = origin_smb::SmbConfig { watch: false, ..rig.config() };
    let volume = origin_smb::SmbVolume::connect(config).await.unwrap();
    assert!(!volume.caps().watch);
    fails(volume.watch(&cx()).await, ErrorKind::Unsupported);
}
