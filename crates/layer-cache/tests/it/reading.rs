//! Content: what is fetched, how often, and what comes from disk.

use crate::{BLOCK, Site, content, open, read, until, wait_for};
use std::time::Duration;
use testkit::Op;
use testkit::ease::{cx, get, p, put, remove, rename, stat};
use volume::{Close, Fresh, OpenHow, Volume};

#[tokio::test]
async fn a_second_read_asks_the_origin_for_nothing() {
    let site = Site::new().await;
    let bytes = content(5 * BLOCK + 100, 1);
    put(&*site.origin, "f", &bytes).await;
    assert_eq!(get(&*site.cache, "f").await, bytes);
    wait_for("all is stored", || site.cache.stats().size >= 5 * BLOCK as u64).await;
    wait_for("nothing is in flight", || site.cache.stats().in_flight_bytes == 0).await;
    site.far.counts().reset();
    assert_eq!(get(&*site.cache, "f").await, bytes);
    assert_eq!(site.far.counts().total(), 0, "{:?}", site.far.counts());
}

#[tokio::test]
async fn opening_and_looking_at_attributes_fetches_nothing() {
    let site = Site::new().await;
    let attr = put(&*site.origin, "f", content(BLOCK, 1)).await;
    let opened = site.cache.open(&cx(), &p("f"), OpenHow::read()).await.unwrap();
    assert_eq!(opened.file.attr(&cx(), Fresh::Cached).await.unwrap(), attr);
    opened.file.close(&cx(), Close::Commit).await.unwrap();
    assert_eq!((site.calls(Op::Open), site.calls(Op::Read), site.fetched()), (0, 0, 0));
    assert_eq!(site.calls(Op::Stat), 1);
}

#[tokio::test]
async fn the_first_bytes_come_with_the_opening() {
    let site = Site::new().await;
    put(&*site.origin, "f", content(3 * BLOCK, 1)).await;
    let file = open(&*site.cache, "f").await;
    site.far.counts().reset();
    read(&*file, 0, 10).await;
    assert_eq!((site.far.counts().total(), site.calls(Op::Open)), (1, 1), "{:?}", site.far.counts());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_readers_of_one_cold_range_are_one_transfer() {
    let site = Site::new().await;
    let bytes = content(16 * BLOCK, 1);
    put(&*site.origin, "f", &bytes).await;
    let gate = site.far.gate(Op::Open);
    let readers: Vec<_> = (0..100)
        .map(|_| {
            let cache = site.cache.clone();
            tokio::spawn(async move {
                let file = open(&*cache, "f").await;
                read(&*file, 4 * BLOCK, 2 * BLOCK).await
            })
        })
        .collect();
    gate.arrived(1).await;
    until("all are open", || async { (site.cache.stats().open_files == 100).then_some(()) }).await;
    gate.release();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), bytes[4 * BLOCK..6 * BLOCK]);
    }
    assert_eq!((site.calls(Op::Open), site.calls(Op::Read)), (1, 0));
    assert_eq!(site.fetched(), 2 * BLOCK as u64);
}

#[tokio::test]
async fn only_what_is_missing_is_fetched() {
    let site = Site::new().await;
    let bytes = content(64 * BLOCK, 1);
    put(&*site.origin, "f", &bytes).await;
    let file = open(&*site.cache, "f").await;
    for block in [30, 31, 33] {
        read(&*file, block * BLOCK + 5, 10).await;
    }
    wait_for("three blocks are stored", || site.cache.stats().size == 3 * BLOCK as u64).await;
    let before = site.fetched();
    assert_eq!(read(&*file, 30 * BLOCK, 4 * BLOCK).await, bytes[30 * BLOCK..34 * BLOCK]);
    assert_eq!(site.fetched() - before, BLOCK as u64);
}

#[tokio::test]
async fn random_reads_fetch_what_they_read() {
    let site = Site::new().await;
    put(&*site.origin, "f", content(256 * BLOCK, 1)).await;
    let file = open(&*site.cache, "f").await;
    for block in [200, 17, 90, 140, 3, 250, 60] {
        read(&*file, block * BLOCK, 4096).await;
    }
    assert_eq!(site.fetched(), 7 * BLOCK as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_read_front_to_back_is_fetched_ahead_once() {
    let site = Site::new().await;
    let bytes = content(300 * BLOCK, 1);
    put(&*site.origin, "f", &bytes).await;
    let file = open(&*site.cache, "f").await;
    let mut at = 0;
    while at < bytes.len() {
        let part = read(&*file, at, BLOCK).await;
        assert_eq!(part, bytes[at..at + BLOCK]);
        at += BLOCK;
    }
    let stats = site.cache.stats();
    assert_eq!(stats.fetched_bytes, bytes.len() as u64, "each byte once");
    assert!(stats.prefetched_bytes > 250 * BLOCK as u64, "{stats:?}");
    assert_eq!(stats.prefetched_unused_bytes, 0);
    assert!(site.calls(Op::Read) < 80, "large requests: {:?}", site.far.counts());
}

#[tokio::test]
async fn another_version_at_the_origin_is_found_when_opening() {
    for site in [Site::new().await, Site::polled(Duration::ZERO).await] {
        put(&*site.origin, "f", content(BLOCK, 1)).await;
        get(&*site.cache, "f").await;
        let new = content(BLOCK, 2);
        put(&*site.origin.other(), "f", &new).await;
        until("the new content", || async { (get(&*site.cache, "f").await == new).then_some(()) }).await;
        assert_eq!(get(&*site.cache, "f").await, new);
    }
}

#[tokio::test]
async fn an_open_handle_sees_what_others_wrote() {
    for site in [Site::new().await, Site::polled(Duration::ZERO).await] {
        put(&*site.origin, "f", content(10 * BLOCK, 1)).await;
        let file = open(&*site.cache, "f").await;
        read(&*file, 0, BLOCK).await;
        let new = content(10 * BLOCK, 2);
        put(&*site.origin.other(), "f", &new).await;
        until("the new bytes", || async { (read(&*file, 0, BLOCK).await == new[..BLOCK]).then_some(()) })
            .await;
        assert_eq!(read(&*file, 9 * BLOCK, BLOCK).await, new[9 * BLOCK..]);
    }
}

#[tokio::test]
async fn a_polled_file_is_looked_at_once_in_the_interval() {
    let site = Site::polled(Duration::from_secs(60)).await;
    put(&*site.origin, "f", content(BLOCK, 1)).await;
    for _ in 0..5 {
        get(&*site.cache, "f").await;
        stat(&*site.cache, "f").await;
    }
    assert_eq!(site.calls(Op::Stat), 1, "{:?}", site.far.counts());
}

#[tokio::test]
async fn what_was_opened_stays_readable_when_its_name_goes() {
    let site = Site::new().await;
    let bytes = content(20 * BLOCK, 1);
    for name in ["removed", "replaced", "renamed"] {
        put(&*site.origin, name, &bytes).await;
    }
    put(&*site.origin, "new", b"other").await;
    let (removed, replaced, renamed) = (
        open(&*site.cache, "removed").await,
        open(&*site.cache, "replaced").await,
        open(&*site.cache, "renamed").await,
    );
    stat(&*site.cache, "new").await;
    remove(&*site.cache, "removed").await;
    rename(&*site.cache, "new", "replaced").await;
    rename(&*site.cache, "renamed", "elsewhere").await;
    for file in [removed, replaced, renamed] {
        assert_eq!(read(&*file, 3 * BLOCK, BLOCK).await, bytes[3 * BLOCK..4 * BLOCK]);
    }
    assert_eq!(get(&*site.cache, "replaced").await, b"other");
}
