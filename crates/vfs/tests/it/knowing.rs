//! What others change where the origin tells who made a change: nothing of it is taken for ours, whenever it comes.
//! Others are another process, and the volume is served here alone.

use crate::caching::{Holder, hold, until};
use crate::meeting::{OURS, R, RWH, all_is_told, do_it, local_with, other, reader};
use crate::tools::{DELETE, READ, Site, WRITE};
use bytes::Bytes;
use origin_local::LocalConfig;
use std::path::Path;
use std::sync::Arc;
use testkit::ease::cx;
use testkit::{FaultVolume, Op};
use vfs::{Access, Caching, Disposition, Filter, Lease, LeaseId, OpenRequest, Want};
use volume::{SetAttr, Time};

async fn local() -> (tempfile::TempDir, Arc<FaultVolume>, Site) {
    local_with(LocalConfig { sole: true, ..LocalConfig::default() }).await
}

/// Another process does what a line of a shell says.
fn others_do(dir: &Path, what: &str) {
    let done = std::process::Command::new("sh").current_dir(dir).args(["-ec", what]).status().unwrap();
    assert!(done.success(), "{what}");
}

/// In place, and of the same length.
const WRITE_IT: &str = "printf theirs 1<>file";

fn leased(request: &mut OpenRequest) {
    request.lease = Some(Lease { id: LeaseId { client: 7, key: 7 }, epoch: Some(1), dirs: true });
}

fn dated() -> SetAttr {
    SetAttr { mtime: Some(Time(1 << 60)), ..SetAttr::default() }
}

async fn hold_listing(site: &Site) -> Holder {
    let listing = hold(site, "", R, |request| {
        (request.access, request.want) = (READ, Want::Dir);
        request.disposition = Disposition::Open;
        leased(request);
    })
    .await;
    assert_eq!(listing.got, R);
    listing
}

async fn is_broken(holder: &Holder) {
    until("who caches is told", || holder.is_told()).await;
    let told = holder.told();
    assert!(told.iter().all(|(keeps, _)| *keeps == Caching::empty()), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_changed_just_before_a_change_of_ours_is_told() {
    for what in OURS {
        let (dir, _, site) = local().await;
        let (reader, other) = (reader(&site).await, other(&site, what).await);
        all_is_told().await;
        assert!(reader.told().is_empty(), "{what}: nobody has changed anything");
        others_do(dir.path(), WRITE_IT);
        do_it(&site, &other, what).await;
        is_broken(&reader).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_change_after_we_have_set_the_size_is_told() {
    let (dir, _, site) = local().await;
    let holder = hold(&site, "file", RWH, leased).await;
    assert_eq!(holder.got, RWH);
    holder.open.set_size(&cx(), 6).await.unwrap();
    all_is_told().await;
    others_do(dir.path(), WRITE_IT);
    holder.open.set_attr(&cx(), &dated()).await.unwrap();
    is_broken(&holder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_written_and_set_the_time_hears_of_others() {
    let (dir, _, site) = local().await;
    // Somebody else has it open, too: nobody keeps writes back.
    let _other = site.open("file", READ).await;
    let writer = hold(&site, "file", R | Caching::HANDLE, leased).await;
    writer.open.write(&cx(), 0, Bytes::from_static(b"ours")).await.unwrap();
    writer.open.set_attr(&cx(), &dated()).await.unwrap();
    all_is_told().await;
    assert!(writer.told().is_empty());
    others_do(dir.path(), WRITE_IT);
    is_broken(&writer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_himself_hears_of_others_who_write_at_the_same_time() {
    let (dir, _, site) = local().await;
    let writer = hold(&site, "file", RWH, leased).await;
    assert_eq!(writer.got, RWH);
    writer.open.write(&cx(), 0, Bytes::from_static(b"ours")).await.unwrap();
    others_do(dir.path(), WRITE_IT);
    writer.open.write(&cx(), 0, Bytes::from_static(b"ours")).await.unwrap();
    is_broken(&writer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_might_have_written_and_has_not_hears_of_others_when_the_time_is_set() {
    let (dir, _, site) = local().await;
    let other = site.open("file", READ | Access::WRITE_ATTRIBUTES).await;
    let reader = hold(&site, "file", R | Caching::HANDLE, leased).await;
    all_is_told().await;
    others_do(dir.path(), WRITE_IT);
    other.set_attr(&cx(), &dated()).await.unwrap();
    is_broken(&reader).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_others_made_is_told_whatever_we_do_with_it_at_once() {
    for what in ["close", "write", "hide", "date"] {
        let (dir, _, site) = local().await;
        // The names of the directory are known by this.
        assert!(site.try_open("FILE2", READ, |_| {}).await.is_err());
        let watcher = site.open("", READ).await;
        let notify = tokio::spawn(async move { watcher.notify(Filter::FILE_NAME, false).await });
        let listing = hold_listing(&site).await;
        all_is_told().await;
        others_do(dir.path(), "echo theirs >file2");
        let open = site.open("file2", WRITE).await;
        match what {
            "close" => {}
            "write" => open.write(&cx(), 0, Bytes::from_static(b"x")).await.unwrap(),
            what => do_it(&site, &open, what).await,
        }
        open.close(&cx()).await.unwrap();
        is_broken(&listing).await;
        until("who watches is told", || notify.is_finished()).await;
        assert!(site.try_open("FILE2", READ, |_| {}).await.is_ok(), "{what}: it is there in another case");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_others_made_is_told_as_such_though_the_names_are_read_before() {
    let (dir, _, site) = local().await;
    let watcher = site.open("", READ).await;
    let notify = tokio::spawn(async move { watcher.notify(Filter::FILE_NAME, false).await });
    all_is_told().await;
    others_do(dir.path(), "echo theirs >new");
    assert!(site.try_open("desktop.ini", READ, |_| {}).await.is_err());
    until("who watches is told", || notify.is_finished()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_of_ours_hides_none_of_others() {
    let (dir, _, site) = local().await;
    site.create("lock").await.close(&cx()).await.unwrap();
    let removes = site.open("lock", READ | DELETE).await;
    removes.set_delete_on_close(&cx(), true).await.unwrap();
    removes.close(&cx()).await.unwrap();
    others_do(dir.path(), "echo theirs >lock");
    all_is_told().await;
    let listing = hold_listing(&site).await;
    others_do(dir.path(), "rm lock");
    is_broken(&listing).await;
    assert!(site.try_open("LOCK", READ, |_| {}).await.is_err());
}

/// As a client unpacks an archive.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_works_alone_on_a_file_keeps_what_he_caches_and_nobody_looks() {
    let (_dir, counted, site) = local().await;
    let made = |request: &mut OpenRequest| {
        request.access = WRITE | DELETE;
        request.disposition = Disposition::OpenIf;
        leased(request);
    };
    let kept = hold(&site, "new", RWH, made).await;
    assert_eq!(kept.got, RWH);
    counted.counts().reset();
    kept.open.write(&cx(), 0, Bytes::from_static(b"content")).await.unwrap();
    all_is_told().await;
    kept.open.write(&cx(), 7, Bytes::from_static(b"more")).await.unwrap();
    kept.open.set_attr(&cx(), &dated()).await.unwrap();
    all_is_told().await;
    assert!(kept.told().is_empty());
    kept.open.close(&cx()).await.unwrap();
    all_is_told().await;
    assert_eq!([Op::Attr, Op::Stat].map(|op| counted.counts().of(op)), [0, 0]);
}
