//! Leases on directories: whoever caches a listing hears when it changes, whatever else is or was open under that name.

use crate::caching::{Holder, hold, watched};
use crate::tools::{DELETE, LOOK, READ, Site, word};
use std::time::Duration;
use testkit::ease::{changes_are_told, cx, mkdir, p, put, rmdir};
use testkit::{FaultVolume, MemVolume, Op};
use vfs::{Caching, Disposition, Lease, LeaseId, OpenRequest, RenameHow, Vfs, VfsConfig, Want};

const R: Caching = Caching::READ;
const RH: Caching = R.union(Caching::HANDLE);

/// A lease of a client of its own.
fn leased(number: u128, want: Want) -> impl FnOnce(&mut OpenRequest) {
    move |request| {
        (request.access, request.disposition, request.want) = (READ, Disposition::Open, want);
        let id = LeaseId { client: number, key: number };
        request.lease = Some(Lease { id, epoch: Some(1), dirs: true });
    }
}

/// Makes directories at the origin, and waits until that is old news.
async fn make(site: &Site, dirs: &[&str]) {
    for dir in dirs {
        mkdir(&*site.mem, dir).await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
}

async fn listing(site: &Site, path: &str, number: u128) -> Holder {
    let holder = hold(site, path, RH, leased(number, Want::Dir)).await;
    assert_eq!(holder.got, RH, "{path}");
    holder
}

/// Whether who caches a listing hears of a name that comes there.
async fn hears(site: &Site, holder: &Holder, name: &str) -> bool {
    assert!(holder.told().is_empty(), "before {name}");
    site.create(name).await.close(&cx()).await.unwrap();
    holder.told() == [(Caching::empty(), true)]
}

#[tokio::test]
async fn a_file_whose_name_differs_by_case_takes_no_lease_of_a_directory_along() {
    let site = watched().await;
    put(&*site.mem, "BUILD", "").await;
    make(&site, &["build"]).await;
    let dir = listing(&site, "build", 1).await;
    let file = hold(&site, "BUILD", R, leased(2, Want::File)).await;
    file.open.close(&cx()).await.unwrap();
    assert!(hears(&site, &dir, "build/new").await);
}

#[tokio::test]
async fn a_directory_that_was_replaced_takes_no_lease_of_the_new_one_along() {
    let site = watched().await;
    make(&site, &["dir"]).await;
    let former = listing(&site, "dir", 1).await;
    rmdir(&*site.mem, "dir").await;
    make(&site, &["dir"]).await;
    let dir = listing(&site, "dir", 2).await;
    former.open.close(&cx()).await.unwrap();
    assert!(hears(&site, &dir, "dir/new").await);
}

#[tokio::test]
async fn of_two_directories_whose_names_differ_by_case_both_are_leased() {
    let site = watched().await;
    make(&site, &["dir", "DIR"]).await;
    let (first, second) = (listing(&site, "dir", 1).await, listing(&site, "DIR", 2).await);
    assert!(hears(&site, &first, "dir/new").await);
    assert_eq!(second.told(), [(Caching::empty(), true)], "names here do not tell them apart");
}

/// Its first name has other times by that, and the origin may tell of them before it answers.
#[tokio::test]
async fn a_further_name_elsewhere_takes_no_lease_of_the_first_ones_directory() {
    let mem = MemVolume::new();
    let faults = FaultVolume::new(mem.clone());
    let site = Site { vfs: Vfs::new(faults.clone(), VfsConfig::default()), mem: mem.clone() };
    changes_are_told(|| site.vfs.freshness()).await;
    mkdir(&*mem, "dir").await;
    put(&*mem, "dir/file", "").await;
    make(&site, &["elsewhere"]).await;
    let file = site.open("dir/file", LOOK).await;
    let dir = listing(&site, "dir", 1).await;
    let gate = faults.gate_answers(Op::Apply);
    let links =
        tokio::spawn(async move { file.link(&cx(), &p("elsewhere/link"), RenameHow::default()).await });
    gate.arrived(1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    gate.release();
    links.await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(dir.told(), []);
}

#[tokio::test]
async fn a_lease_moves_with_its_directory() {
    let site = watched().await;
    make(&site, &["dir"]).await;
    let dir = hold(&site, "dir", R, leased(1, Want::Dir)).await;
    let by = site.open("dir", DELETE).await;
    by.rename(&cx(), &p("moved"), RenameHow::default()).await.unwrap();
    assert!(dir.told().is_empty());
    site.create("moved/new").await;
    assert_eq!(dir.told(), [(Caching::empty(), false)]);
}

#[tokio::test]
async fn a_client_is_asked_once_for_a_handle_that_it_may_keep() {
    let site = watched().await;
    make(&site, &["dir"]).await;
    let kept = listing(&site, "dir", 1).await;
    let used = hold(&site, "dir", R, leased(2, Want::Dir)).await;
    assert!(kept.open.ask_for_handle() && !kept.open.ask_for_handle());
    assert_eq!(kept.told(), [(Caching::empty(), true)]);
    let id = LeaseId { client: 1, key: 1 };
    assert_eq!(site.vfs.acknowledge_lease(id, Caching::empty()), Ok(Caching::empty()));
    assert!(!kept.open.ask_for_handle() && !used.open.ask_for_handle());
    assert!(used.told().is_empty());
}

#[tokio::test]
async fn what_is_made_under_the_lease_of_another_file_does_not_stay() {
    let site = watched().await;
    site.create("a").await.close(&cx()).await.unwrap();
    let _held = site.try_open("a", READ, leased(7, Want::File)).await.unwrap();
    for want in [Want::File, Want::Dir] {
        let made = site.try_open("b", READ, |request| {
            leased(7, want)(request);
            request.disposition = Disposition::Create;
        });
        assert_eq!(word(made.await), "InvalidArgument(\"the lease is of another file\")");
        assert_eq!(word(site.try_open("b", LOOK, |_| {}).await), "NotFound", "{want:?}");
    }
}
