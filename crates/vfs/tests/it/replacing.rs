//! What gives way to a link.

use crate::caching::{hold, watched};
use crate::tools::{LOOK, Site, WRITE, word};
use bytes::Bytes;
use std::time::Duration;
use testkit::ease::{apply, cx, get, mkdir, p, put, stat, within};
use testkit::{FaultVolume, MemVolume, Op};
use vfs::{Access, Caching, Replacement, Vfs, VfsConfig};
use volume::{Change, Kind};

const PATIENCE: Duration = Duration::from_secs(10);
const SETS: Access = LOOK.union(Access::WRITE_ATTRIBUTES);

fn link() -> Replacement {
    Replacement::Link("elsewhere".into())
}

#[tokio::test]
async fn who_caches_what_becomes_a_link_is_told() {
    let site = watched().await;
    let file = hold(&site, "file", Caching::all(), |_| {}).await;
    let replaced = file.open.replace(&cx(), link()).await.unwrap();
    assert_eq!(file.told(), [(Caching::empty(), true)]);
    assert_eq!((replaced.kind(), replaced.caching()), (Kind::Symlink, Caching::empty()));
    file.open.close(&cx()).await.unwrap();
    assert_eq!(stat(&*site.mem, "file").await.kind, Kind::Symlink, "its end takes nothing along");
}

#[tokio::test]
async fn who_keeps_it_open_for_a_cache_may_close_it_and_who_has_it_open_keeps_it() {
    for closes in [true, false] {
        let site = watched().await;
        put(&*site.mem, "file", "").await;
        let other = hold(&site, "file", Caching::all(), |_| {}).await;
        let sets = site.open("file", SETS).await;
        let replacing = tokio::spawn(async move { sets.replace(&cx(), link()).await.map(drop) });
        within(PATIENCE, "the other is asked", async {
            while !other.is_told() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        match closes {
            true => drop(other.open.close(&cx()).await.unwrap()),
            false => drop(other.open.acknowledge(Caching::READ).unwrap()),
        }
        let outcome = within(PATIENCE, "it is answered", replacing).await.unwrap();
        assert_eq!(word(outcome), if closes { "Ok" } else { "SharingViolation" });
        match closes {
            true => assert_eq!(stat(&*site.mem, "file").await.kind, Kind::Symlink),
            false => assert_eq!(get(&*site.mem, "file").await, b""),
        }
    }
}

#[tokio::test]
async fn what_takes_the_place_of_an_object_is_on_the_account_of_who_has_it_open() {
    let mem = testkit::MemVolume::new();
    let limits = vfs::Limits { locks_per_account: 1, ..vfs::Limits::default() };
    let config = vfs::VfsConfig { limits, ..vfs::VfsConfig::default() };
    let site = crate::tools::Site { vfs: vfs::Vfs::new(mem.clone(), config), mem };
    put(&*site.mem, "file", "").await;
    let access = crate::tools::WRITE | Access::DELETE;
    let file = site.try_open("file", access, |ask| ask.account = Some("alice".into())).await.unwrap().open;
    let link = file.replace(&cx(), link()).await.unwrap();
    file.close(&cx()).await.unwrap();
    let again = link.replace(&cx(), Replacement::File).await.unwrap();
    link.close(&cx()).await.unwrap();
    let lock = |offset| again.try_lock(vfs::Range { offset, length: 1 }, true);
    assert_eq!(word(lock(0)), "Ok");
    assert_eq!(word(lock(1)), "LimitReached(\"locks of one account\")");
}

#[tokio::test]
async fn what_others_write_by_another_way_is_not_lost_to_a_link_in_its_place() {
    let mem = MemVolume::new();
    mkdir(&*mem, "dir").await;
    put(&*mem, "dir/file", "").await;
    apply(&*mem, Change::Symlink { path: p("way"), target: "dir".into(), maker: None }).await;
    let fault = FaultVolume::new(mem.clone());
    let site = Site { vfs: Vfs::new(fault.clone(), VfsConfig::default()), mem };
    let sets = site.open("dir/file", SETS).await;
    let gate = fault.gate(Op::Apply);
    let replacing = tokio::spawn(async move { sets.replace(&cx(), link()).await.map(drop) });
    gate.arrived(1).await;
    let mem = site.mem.clone();
    let other = tokio::spawn(async move {
        let other = site.try_open("way/file", WRITE, |_| {}).await?.open;
        other.write(&cx(), 0, Bytes::from_static(b"content")).await?;
        other.close(&cx()).await
    });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    gate.release();
    assert_eq!(word(within(PATIENCE, "it is answered", replacing).await.unwrap()), "Ok");
    assert_eq!(stat(&*mem, "dir/file").await.kind, Kind::Symlink);
    assert_eq!(word(other.await.unwrap()), "NotFound", "the link leads nowhere");
}

#[tokio::test]
async fn what_others_write_at_the_origin_keeps_a_file_from_becoming_a_link() {
    let mem = MemVolume::new();
    put(&*mem, "file", "").await;
    let fault = FaultVolume::new(mem.clone());
    let site = Site { vfs: Vfs::new(fault.clone(), VfsConfig::default()), mem };
    let sets = site.open("file", SETS).await;
    let gate = fault.gate(Op::Stat);
    gate.let_pass(2);
    let replacing = tokio::spawn(async move { sets.replace(&cx(), link()).await.map(drop) });
    within(PATIENCE, "it looks before it goes on", gate.arrived(3)).await;
    put(&*site.mem, "file", "content").await;
    gate.release();
    assert!(word(replacing.await.unwrap()).starts_with("InvalidArgument"));
    assert_eq!(get(&*site.mem, "file").await, b"content");
}
