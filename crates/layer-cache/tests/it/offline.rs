//! The origin out of reach.

use crate::{BLOCK, Site, content, open, read, until, wait_for};
use std::time::{Duration, Instant};
use testkit::Op;
use testkit::ease::{cx, fails_with, get, names, p, put, stat};
use volume::{ErrorKind, Freshness, OpenHow, Volume};

const OUT_OF_REACH: [ErrorKind; 2] = [ErrorKind::Offline, ErrorKind::TimedOut];

async fn is_offline(site: &Site) {
    wait_for("it knows", || matches!(site.cache.freshness(), Freshness::Offline { .. })).await;
}

#[tokio::test]
async fn what_is_cached_is_served_and_what_is_not_fails_in_time() {
    let site = Site::new().await;
    let bytes = content(3 * BLOCK, 1);
    put(&*site.origin, "here", &bytes).await;
    put(&*site.origin, "not-here", &bytes).await;
    assert_eq!(get(&*site.cache, "here").await, bytes);
    let listed = names(&*site.cache, "").await;
    let space = site.cache.space(&cx(), &p("")).await.unwrap();
    wait_for("it is stored", || site.cache.stats().size >= 3 * BLOCK as u64).await;
    site.far.go_offline();
    is_offline(&site).await;
    assert_eq!(get(&*site.cache, "here").await, bytes);
    assert_eq!(names(&*site.cache, "").await, listed);
    assert_eq!(site.cache.space(&cx(), &p("")).await.unwrap(), space);
    assert_eq!(stat(&*site.cache, "not-here").await.size, bytes.len() as u64);
    let began = Instant::now();
    let file = open(&*site.cache, "not-here").await;
    fails_with(file.read_at(&cx(), 0, 10).await, &OUT_OF_REACH);
    fails_with(site.cache.stat(&cx(), &p("never/seen")).await, &OUT_OF_REACH);
    fails_with(site.cache.open(&cx(), &p("here"), OpenHow::read_write()).await, &OUT_OF_REACH);
    assert!(began.elapsed() < Duration::from_secs(5));
    site.far.go_online();
    until("it is read", || async { file.read_at(&cx(), 0, 10).await.ok() }).await;
}

#[tokio::test]
async fn a_read_waits_for_an_origin_that_is_away_for_less_than_the_patience() {
    let site = Site::new().await;
    let bytes = content(3 * BLOCK, 1);
    put(&*site.origin, "f", &bytes).await;
    let file = open(&*site.cache, "f").await;
    site.far.go_offline();
    is_offline(&site).await;
    let (read, ()) = tokio::join!(read(&*file, 0, 3 * BLOCK), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        site.far.go_online();
    });
    assert_eq!(read, bytes);
}

#[tokio::test]
async fn after_a_cut_changes_are_found() {
    let site = Site::new().await;
    put(&*site.origin, "f", b"old").await;
    assert_eq!(get(&*site.cache, "f").await, b"old");
    wait_for("it is stored", || site.cache.stats().size > 0).await;
    site.far.go_offline();
    is_offline(&site).await;
    put(&*site.origin.other(), "f", b"newer").await;
    assert_eq!(get(&*site.cache, "f").await, b"old");
    site.far.go_online();
    wait_for("it is back", || site.cache.freshness() == Freshness::Notified).await;
    assert_eq!(get(&*site.cache, "f").await, b"newer");
}

#[tokio::test]
async fn an_origin_that_stops_answering_is_found_out_by_patience_and_by_asking_again() {
    let site = Site::polled(Duration::ZERO).await;
    put(&*site.origin, "f", b"old").await;
    stat(&*site.cache, "f").await;
    let gate = site.far.gate(Op::Stat);
    let began = Instant::now();
    assert_eq!(stat(&*site.cache, "f").await.size, 3, "what is known after the patience");
    assert!(began.elapsed() < Duration::from_secs(3));
    is_offline(&site).await;
    let began = Instant::now();
    assert_eq!(stat(&*site.cache, "f").await.size, 3);
    assert!(began.elapsed() < Duration::from_millis(100), "at once from now on");
    gate.release();
    wait_for("it is back", || matches!(site.cache.freshness(), Freshness::Polled { .. })).await;
}

#[tokio::test]
async fn a_cache_opens_and_serves_while_its_origin_is_away() {
    let mut site = Site::new().await;
    let bytes = content(2 * BLOCK, 1);
    put(&*site.origin, "f", &bytes).await;
    let file = open(&*site.cache, "f").await;
    assert_eq!(read(&*file, 0, 2 * BLOCK).await, bytes);
    drop(file);
    site.far.go_offline();
    site.restart().await;
    is_offline(&site).await;
    fails_with(site.cache.stat(&cx(), &p("f")).await, &OUT_OF_REACH);
    site.far.go_online();
    until("it is back", || async { site.cache.stat(&cx(), &p("f")).await.ok() }).await;
    wait_for("with notices", || site.cache.freshness() == Freshness::Notified).await;
}
