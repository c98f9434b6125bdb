//! What others change past the layer.

use crate::{Site, config, own, user};
use layer_quota::{QuotaConfig, QuotaVolume};
use origin_local::{LocalConfig, LocalVolume};
use std::sync::Arc;
use std::time::Duration;
use testkit::MemVolume;
use testkit::ease::{cx, p, put, within};
use volume::{OpenHow, QuotaFlags, Volume};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_change_is_doubted_and_counted_where_authors_are_told() {
    let (root, dir, alice) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), user(1));
    let local = LocalVolume::open(root.path(), LocalConfig { sole: true, ..LocalConfig::default() }).unwrap();
    let mut watch = local.watch(&cx()).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(5), watch.authors.wait_for(|told| *told)).await;
    if told.is_err() {
        return eprintln!("skipped: nobody tells here who makes changes");
    }
    let quotas = QuotaVolume::open(local, config(&dir)).await.unwrap();
    let site = Site { quotas, dir };
    site.quotas.counted().await;
    put(&*site.quotas, "f", "0123").await;
    own(&*site.quotas, "f", &alice).await;
    assert_eq!((site.used(&alice).await, site.flags().await), (4, QuotaFlags::TRACK));
    // Another process.
    let longer =
        std::process::Command::new("truncate").args(["-s", "10"]).arg(root.path().join("f")).status();
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

#[tokio::test(start_paused = true)]
async fn a_handle_that_comes_back_is_counted_by_the_next_count() {
    let (mem, dir, alice) = (MemVolume::new(), tempfile::tempdir().unwrap(), user(1));
    put(&*mem, "f", "0123").await;
    own(&*mem, "f", &alice).await;
    let quotas = QuotaVolume::open(mem, at_once(&dir)).await.unwrap();
    let site = Site { quotas, dir };
    site.quotas.counted().await;
    let file = site.quotas.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
    let ticket = file.ticket().unwrap();
    drop(file);
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
    let file: Arc<dyn volume::File> = site.quotas.reopen(&cx(), &ticket).await.unwrap().file;
    file.write_at(&cx(), 0, "0".into()).await.unwrap();
    assert_eq!(site.flags().await, QuotaFlags::TRACK);
}
