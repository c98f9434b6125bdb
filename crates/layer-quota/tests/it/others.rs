//! What others change past the layer.

use crate::{Site, config, own, user};
use layer_quota::{QuotaConfig, QuotaVolume};
use origin_local::{LocalConfig, LocalVolume};
use std::time::Duration;
use testkit::MemVolume;
use testkit::ease::{cx, fails, mkdir, p, put, rename, within};
use volume::{ErrorKind, OpenHow, QuotaFlags, Volume};

/// A doubt is followed by a count at once.
fn at_once(dir: &tempfile::TempDir) -> QuotaConfig {
    QuotaConfig { recount_after: Duration::ZERO, ..config(dir) }
}

async fn becomes(site: &Site, used: u64) {
    let right = async {
        while site.used(&user(1)).await != used || site.flags().await != QuotaFlags::TRACK {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(Duration::from_secs(20), "what others made is counted", right).await;
}

/// Over a directory `root` beside the limits, counted; `None` where the kernel does not say who makes changes.
async fn site_that_tells_authors() -> Option<Site> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("root")).unwrap();
    let config_of_local = LocalConfig { sole: true, ..LocalConfig::default() };
    let local = LocalVolume::open(&dir.path().join("root"), config_of_local).unwrap();
    let mut watch = local.watch(&cx()).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(5), watch.authors.wait_for(|told| *told)).await;
    if told.is_err() {
        eprintln!("skipped: nobody tells here who makes changes");
        return None;
    }
    let quotas = QuotaVolume::open(local, config(&dir)).await.unwrap();
    let site = Site { quotas, dir };
    becomes(&site, 0).await;
    Some(site)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_change_is_doubted_and_counted_where_authors_are_told() {
    let Some(site) = site_that_tells_authors().await else { return };
    let alice = user(1);
    put(&*site.quotas, "f", "0123").await;
    own(&*site.quotas, "f", &alice).await;
    assert_eq!((site.used(&alice).await, site.flags().await), (4, QuotaFlags::TRACK));
    // Another process.
    let longer = std::process::Command::new("truncate")
        .args(["-s", "10"])
        .arg(site.dir.path().join("root/f"))
        .status();
    assert!(longer.unwrap().success());
    let doubted = async {
        while !site.flags().await.contains(QuotaFlags::INCOMPLETE) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(Duration::from_secs(20), "a doubt", doubted).await;
    site.quotas.recount();
    becomes(&site, 10).await;
    // What we write is no news.
    let file = site.quotas.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
    file.write_at(&cx(), 10, "ab".into()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((site.used(&alice).await, site.flags().await), (12, QuotaFlags::TRACK));
}

#[tokio::test(start_paused = true)]
async fn where_nobody_tells_all_is_counted_from_time_to_time() {
    let (mem, alice) = (MemVolume::new(), user(1));
    let site = Site::counted(mem.clone()).await;
    put(&*mem.other(), "f", "0123").await;
    own(&*mem.other(), "f", &alice).await;
    tokio::time::sleep(Duration::from_secs(23 * 3600)).await;
    assert_eq!((site.used(&alice).await, site.flags().await), (0, QuotaFlags::TRACK));
    tokio::time::sleep(Duration::from_secs(3600 + 1)).await;
    assert_eq!(site.used(&alice).await, 4);
}

#[tokio::test]
async fn a_handle_that_comes_back_is_held_to_the_limit() {
    let (mem, alice) = (MemVolume::new(), user(1));
    let site = Site::counted(mem.clone()).await;
    put(&*site.quotas, "f", "0123").await;
    own(&*site.quotas, "f", &alice).await;
    site.enforce(10).await;
    let ticket =
        site.quotas.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file.ticket().unwrap();
    let again = Site { quotas: QuotaVolume::open(mem, config(&site.dir)).await.unwrap(), dir: site.dir };
    again.quotas.counted().await;
    let file = again.quotas.reopen(&cx(), &ticket).await.unwrap().file;
    file.write_at(&cx(), 4, "456789".into()).await.unwrap();
    fails(file.write_at(&cx(), 10, "x".into()).await, ErrorKind::QuotaExceeded);
    let flags = QuotaFlags::TRACK | QuotaFlags::ENFORCE;
    assert_eq!((again.used(&alice).await, again.flags().await), (10, flags));
}

#[tokio::test(start_paused = true)]
async fn a_handle_of_a_file_that_has_moved_is_counted_by_the_next_count() {
    let (mem, dir, alice) = (MemVolume::new(), tempfile::tempdir().unwrap(), user(1));
    put(&*mem, "f", "0123").await;
    own(&*mem, "f", &alice).await;
    let quotas = QuotaVolume::open(mem, at_once(&dir)).await.unwrap();
    let site = Site { quotas, dir };
    site.quotas.counted().await;
    let ticket =
        site.quotas.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file.ticket().unwrap();
    rename(&*site.quotas, "f", "moved").await;
    // Nobody knows the name of what is opened so, and so whose it is.
    let file = site.quotas.reopen(&cx(), &ticket).await.unwrap().file;
    file.write_at(&cx(), 4, "4567".into()).await.unwrap();
    becomes(&site, 8).await;
    file.write_at(&cx(), 8, "89".into()).await.unwrap();
    assert_eq!((site.used(&alice).await, site.flags().await), (10, QuotaFlags::TRACK));
    // Of nobody's file everything is known.
    put(&*site.quotas, "g", "").await;
    let ticket =
        site.quotas.open(&cx(), &p("g"), OpenHow::read_write()).await.unwrap().file.ticket().unwrap();
    rename(&*site.quotas, "g", "gone").await;
    let file = site.quotas.reopen(&cx(), &ticket).await.unwrap().file;
    file.write_at(&cx(), 0, "0".into()).await.unwrap();
    assert_eq!(site.flags().await, QuotaFlags::TRACK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_made_in_a_directory_that_was_made_here_is_no_doing_of_others() {
    let Some(site) = site_that_tells_authors().await else { return };
    for number in 0..200 {
        mkdir(&*site.quotas, &format!("d{number}")).await;
        put(&*site.quotas, &format!("d{number}/f"), "x").await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(site.flags().await, QuotaFlags::TRACK);
}
