//! Small files one after another.

use crate::{Site, content};
use std::time::Duration;
use testkit::Op;
use testkit::ease::{get, mkdir, names, put};

async fn small_files(site: &Site, count: usize) {
    mkdir(&*site.origin, "d").await;
    for n in 0..count {
        put(&*site.origin, &format!("d/f{n:04}"), content(8192, n as u64)).await;
    }
    site.heard().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn siblings_come_before_they_are_asked_for() {
    let site = Site::new().await;
    small_files(&site, 200).await;
    names(&*site.cache, "d").await;
    site.far.delay(Op::Open, Duration::from_millis(5));
    for n in 0..200 {
        assert_eq!(get(&*site.cache, &format!("d/f{n:04}")).await, content(8192, n as u64));
    }
    assert!(site.cache.stats().prefetched_bytes >= 190 * 8192, "all but the first few were foreseen");
    assert_eq!(site.calls(Op::Open), 200, "each file once");
    assert_eq!(site.calls(Op::Read), 0, "the bytes came along");
    assert_eq!(site.cache.stats().prefetched_unused_bytes, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stops_when_the_client_stops() {
    let site = Site::new().await;
    small_files(&site, 200).await;
    names(&*site.cache, "d").await;
    for n in 0..4 {
        get(&*site.cache, &format!("d/f{n:04}")).await;
    }
    crate::wait_for("the rest has come", || {
        let stats = site.cache.stats();
        stats.in_flight_bytes == 0 && stats.prefetched_unused_bytes == 64 * 8192
    })
    .await;
    assert_eq!(site.calls(Op::Open), 4 + 64);
}

#[tokio::test]
async fn a_single_small_file_brings_nothing_else() {
    let site = Site::new().await;
    small_files(&site, 10).await;
    names(&*site.cache, "d").await;
    for _ in 0..3 {
        get(&*site.cache, "d/f0003").await;
    }
    assert_eq!((site.calls(Op::Open), site.cache.stats().prefetched_bytes), (1, 0));
}
