//! Attributes and listings: what they cost, and that they are never old where freshness is promised.

use crate::{Site, content, until};
use std::time::Duration;
use testkit::ease::{apply, cx, exists, fails, mkdir, names, p, put, remove, rename, stat};
use testkit::{MemConfig, Op};
use volume::{Change, ErrorKind, Freshness, ListHow, Notice, SetAttr, Volume};

async fn tree(site: &Site, dirs: usize, files: usize) {
    let origin = &*site.origin;
    for dir in 0..dirs {
        mkdir(origin, &format!("d{dir:03}")).await;
        for file in 0..files {
            put(origin, &format!("d{dir:03}/f{file:02}"), b"x").await;
        }
    }
    site.heard().await;
}

/// Lists all directories from `dir` down, one after another, as `ls -lR` does; returns how many entries.
async fn walk(volume: &dyn Volume) -> usize {
    let (mut count, mut next) = (0, vec![String::new()]);
    while let Some(dir) = next.pop() {
        for entry in testkit::ease::list(volume, &dir).await.into_iter().rev() {
            count += 1;
            if entry.attr.is_dir() {
                next.push(if dir.is_empty() {
                    entry.name.to_string()
                } else {
                    format!("{dir}/{}", entry.name)
                });
            }
        }
    }
    count
}

#[tokio::test]
async fn a_walk_of_a_tree_is_one_request_and_then_none() {
    let site = Site::new().await;
    tree(&site, 100, 20).await;
    assert_eq!(walk(&*site.cache).await, 2100);
    assert_eq!(site.far.counts().total(), 1, "{:?}", site.far.counts());
    assert_eq!(walk(&*site.cache).await, 2100);
    assert_eq!(site.far.counts().total(), 1, "{:?}", site.far.counts());
    assert!(exists(&*site.cache, "d007/f03").await && !exists(&*site.cache, "d007/none").await);
    assert_eq!(site.far.counts().total(), 1, "lookups are answered from complete listings");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_is_run_ahead_of_where_the_origin_sends_nothing_along() {
    let site = Site::with(MemConfig { sends_along: false, ..MemConfig::default() }, |_| {}).await;
    tree(&site, 60, 3).await;
    let gate = site.far.gate(Op::List);
    let cache = site.cache.clone();
    let walker = tokio::spawn(async move { walk(&*cache).await });
    // While it is no walk yet, one request waits at a time; then several do, and none is let pass any more.
    until("several are asked for at a time", || async {
        if gate.waiting() == 1 {
            gate.let_pass(1);
        }
        (gate.waiting() >= 4).then_some(())
    })
    .await;
    gate.release();
    assert_eq!(walker.await.unwrap(), 240);
    assert_eq!(site.calls(Op::List), 61, "each directory once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_list_one_directory_are_one_request() {
    let site = Site::new().await;
    tree(&site, 1, 5).await;
    let gate = site.far.gate(Op::List);
    let listers: Vec<_> = (0..50)
        .map(|_| {
            let cache = site.cache.clone();
            tokio::spawn(async move { names(&*cache, "d000").await.len() })
        })
        .collect();
    gate.arrived(1).await;
    gate.release();
    for lister in listers {
        assert_eq!(lister.await.unwrap(), 5);
    }
    assert_eq!(site.calls(Op::List), 1);
}

#[tokio::test]
async fn long_listings_come_in_pages_and_whole() {
    let site = Site::with(MemConfig { page_entries: 7, ..MemConfig::default() }, |_| {}).await;
    tree(&site, 1, 50).await;
    assert_eq!(names(&*site.cache, "d000").await.len(), 50);
    fails(
        site.cache.list(&cx(), &p("d000"), ListHow { cursor: Some("?".into()), ahead: 0 }).await,
        ErrorKind::InvalidArgument,
    );
}

#[tokio::test]
async fn notices_keep_what_is_known_true() {
    let site = Site::new().await;
    let others = site.origin.other();
    tree(&site, 3, 3).await;
    walk(&*site.cache).await;
    let mut watch = site.cache.watch(&cx()).await.unwrap();
    put(&*others, "d000/new", b"12345").await;
    remove(&*others, "d001/f00").await;
    rename(&*others, "d002", "moved").await;
    testkit::ease::notice(&mut watch, "the rename", |n| matches!(n, Notice::Moved { .. })).await;
    assert_eq!(stat(&*site.cache, "d000/new").await.size, 5);
    assert_eq!(names(&*site.cache, "d001").await, ["f01", "f02"]);
    assert!(!exists(&*site.cache, "d002").await);
    assert_eq!(names(&*site.cache, "moved").await, ["f00", "f01", "f02"]);
    assert_eq!(site.calls(Op::Stat), 0, "{:?}", site.far.counts());
}

#[tokio::test]
async fn after_lost_events_everything_is_asked_again() {
    let site = Site::new().await;
    put(&*site.origin, "f", b"old").await;
    stat(&*site.cache, "f").await;
    let mut watch = site.cache.watch(&cx()).await.unwrap();
    site.origin.mute(true);
    put(&*site.origin.other(), "f", b"newer").await;
    site.origin.mute(false);
    site.origin.lose_events(p(""));
    testkit::ease::notice(&mut watch, "lost events", |n| matches!(n, Notice::Unknown { .. })).await;
    assert_eq!(stat(&*site.cache, "f").await.size, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_was_overtaken_by_a_notice_is_not_believed() {
    let site = Site::new().await;
    put(&*site.origin, "f", b"old").await;
    let mut watch = site.cache.watch(&cx()).await.unwrap();
    // The answer is made before the change and arrives after it.
    let gate = site.far.gate(Op::Stat);
    let cache = site.cache.clone();
    let late = tokio::spawn(async move { stat(&*cache, "f").await });
    gate.arrived(1).await;
    put(&*site.origin.other(), "f", b"newer").await;
    testkit::ease::notice(
        &mut watch,
        "the change",
        |n| matches!(n, Notice::Changed { attr: Some(a), .. } if a.size == 5),
    )
    .await;
    gate.release();
    late.await.unwrap();
    let before = site.calls(Op::Stat);
    assert_eq!(stat(&*site.cache, "f").await.size, 5);
    assert_eq!(site.calls(Op::Stat), before + 1, "it is asked for again");
}

#[tokio::test]
async fn own_changes_are_seen_at_once_and_cost_one_request_each() {
    let site = Site::new().await;
    tree(&site, 2, 3).await;
    walk(&*site.cache).await;
    site.far.counts().reset();
    mkdir(&*site.cache, "d000/sub").await;
    rename(&*site.cache, "d000/f00", "d000/sub/g").await;
    remove(&*site.cache, "d000/f01").await;
    let set = SetAttr { mode: Some(0o600), ..SetAttr::default() };
    apply(&*site.cache, Change::SetAttr { path: p("d001/f00"), set, expect: None }).await;
    assert!(exists(&*site.cache, "d000/sub/g").await && !exists(&*site.cache, "d000/f00").await);
    assert!(!exists(&*site.cache, "d000/f01").await);
    assert_eq!(stat(&*site.cache, "d001/f00").await.mode, 0o600);
    assert_eq!(names(&*site.cache, "d000/sub").await, ["g"]);
    assert_eq!(site.calls(Op::Apply), 4);
    rename(&*site.cache, "d000", "e").await;
    assert_eq!(names(&*site.cache, "e/sub").await, ["g"]);
}

#[tokio::test]
async fn a_polled_origin_is_asked_again_after_its_interval() {
    let site = Site::polled(Duration::from_millis(50)).await;
    put(&*site.origin, "f", b"old").await;
    assert!(!exists(&*site.cache, "g").await);
    stat(&*site.cache, "f").await;
    put(&*site.origin.other(), "f", content(10, 1)).await;
    put(&*site.origin.other(), "g", b"").await;
    until("the change is seen", || async { (stat(&*site.cache, "f").await.size == 10).then_some(()) }).await;
    until("the new name is seen", || async { exists(&*site.cache, "g").await.then_some(()) }).await;
    assert_eq!(site.cache.freshness(), Freshness::Polled { every: Duration::from_millis(50) });
    fails(site.cache.watch(&cx()).await, ErrorKind::Unsupported);
}
