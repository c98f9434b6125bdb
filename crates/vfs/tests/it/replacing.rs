//! What gives way to a link.

use crate::caching::{hold, watched};
use crate::tools::{LOOK, word};
use std::time::Duration;
use testkit::ease::{cx, get, put, stat, within};
use vfs::{Access, Caching, Replacement};
use volume::Kind;

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
