//! Counting what is there, beside the work.

use crate::{Site, UNLIMITED, own, rules, user};
use std::time::Duration;
use testkit::ease::{apply, cx, mkdir, p, put, remove, rename, within};
use testkit::{FaultVolume, MemConfig, MemVolume, Op};
use volume::{Change, ErrorKind, OpenHow, QuotaFlags, SetAttr, Volume};

const COUNTING: QuotaFlags = QuotaFlags::TRACK.union(QuotaFlags::REBUILDING);

#[tokio::test]
async fn what_is_there_is_counted_once() {
    let mem = MemVolume::with(MemConfig { page_entries: 2, ..MemConfig::default() });
    let (alice, bob) = (user(1), user(2));
    mkdir(&*mem, "d").await;
    mkdir(&*mem, "d/e").await;
    for (path, length, owner) in [("a", 1, &alice), ("b", 2, &alice), ("c", 4, &bob), ("d/e/f", 8, &alice)] {
        put(&*mem, path, vec![0; length]).await;
        own(&*mem, path, owner).await;
    }
    put(&*mem, "nobody's", [0; 100]).await;
    apply(&*mem, Change::Link { from: p("a"), to: p("d/e/a"), replace: false, expect: None }).await;
    apply(&*mem, Change::Symlink { path: p("d/l"), target: "e".to_owned(), maker: None }).await;
    own(&*mem, "d", &bob).await;
    let site = Site::over(mem).await;
    assert!(site.flags().await.contains(QuotaFlags::REBUILDING));
    site.quotas.counted().await;
    assert_eq!((site.used(&alice).await, site.used(&bob).await), (11, 4));
    assert_eq!(site.flags().await, QuotaFlags::TRACK);
}

#[tokio::test]
async fn what_moves_while_it_is_counted_is_counted_once() {
    let mem = MemVolume::new();
    let alice = user(1);
    for dir in ["d", "z"] {
        mkdir(&*mem, dir).await;
        put(&*mem, &format!("{dir}/f"), [0; 10]).await;
        own(&*mem, &format!("{dir}/f"), &alice).await;
    }
    let faults = FaultVolume::new(mem);
    // The root is listed, and nothing below.
    let lists = faults.gate(Op::List);
    let site = Site::over(faults.clone()).await;
    lists.arrived(1).await;
    lists.let_pass(1);
    lists.arrived(3).await;
    rename(&*site.quotas, "z", "y").await;
    mkdir(&*site.quotas, "d/e").await;
    rename(&*site.quotas, "y", "d/e/y").await;
    rename(&*site.quotas, "d/f", "f").await;
    assert_eq!((site.flags().await, site.used(&alice).await), (COUNTING, 0));
    lists.release();
    site.quotas.counted().await;
    assert_eq!((site.flags().await, site.used(&alice).await), (QuotaFlags::TRACK, 20));
}

#[tokio::test]
async fn a_count_does_not_end_while_something_is_on_the_move() {
    let mem = MemVolume::new();
    let alice = user(1);
    mkdir(&*mem, "d").await;
    put(&*mem, "d/f", [0; 10]).await;
    own(&*mem, "d/f", &alice).await;
    let faults = FaultVolume::new(mem);
    let site = Site::counted(faults.clone()).await;
    let changes = faults.gate(Op::Apply);
    let quotas = site.quotas.clone();
    let moving = tokio::spawn(async move { rename(&*quotas, "d", "e").await });
    changes.arrived(1).await;
    let looked = faults.counts().of(Op::Named);
    site.quotas.recount();
    while faults.counts().of(Op::Named) == looked {
        tokio::task::yield_now().await;
    }
    // All is looked at by now, for all the walk knows.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(site.flags().await, COUNTING);
    changes.release();
    moving.await.unwrap();
    site.quotas.counted().await;
    assert_eq!((site.flags().await, site.used(&alice).await), (QuotaFlags::TRACK, 10));
}

#[tokio::test]
async fn a_file_that_is_changed_before_the_count_comes_is_counted_then() {
    let mem = MemVolume::new();
    let (alice, bob) = (user(1), user(2));
    for path in ["a", "b", "c", "d"] {
        put(&*mem, path, [0; 10]).await;
        own(&*mem, path, &alice).await;
    }
    let faults = FaultVolume::new(mem);
    let lists = faults.gate(Op::List);
    let site = Site::over(faults.clone()).await;
    let quotas = &*site.quotas;
    lists.arrived(1).await;
    let file = quotas.open(&cx(), &p("a"), OpenHow::read_write()).await.unwrap().file;
    file.write_at(&cx(), 5, [1; 10].to_vec().into()).await.unwrap();
    apply(quotas, Change::SetAttr { path: p("b"), set: SetAttr::size(3), expect: None }).await;
    own(quotas, "c", &bob).await;
    let held = quotas.open(&cx(), &p("d"), OpenHow::read()).await.unwrap();
    remove(quotas, "d").await;
    assert_eq!((site.used(&alice).await, site.used(&bob).await), (28, 10));
    lists.release();
    quotas.counted().await;
    assert_eq!((site.used(&alice).await, site.used(&bob).await), (28, 10));
    // Without a name, and held: a further count knows of it too.
    quotas.recount();
    quotas.counted().await;
    assert_eq!(site.used(&alice).await, 28);
    drop(held);
    assert_eq!(site.used(&alice).await, 18);
}

#[tokio::test]
async fn while_all_is_counted_anew_the_last_count_holds() {
    let mem = MemVolume::new();
    let alice = user(1);
    put(&*mem, "f", [0; 10]).await;
    own(&*mem, "f", &alice).await;
    let faults = FaultVolume::new(mem.clone());
    let site = Site::counted(faults.clone()).await;
    site.enforce(10).await;
    put(&*mem, "g", [0; 10]).await;
    own(&*mem, "g", &alice).await;
    let lists = faults.gate(Op::List);
    site.quotas.recount();
    lists.arrived(1).await;
    assert_eq!(site.used(&alice).await, 10);
    let file = site.quotas.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
    testkit::ease::fails(file.write_at(&cx(), 10, "x".into()).await, ErrorKind::QuotaExceeded);
    lists.release();
    site.quotas.counted().await;
    assert_eq!(site.used(&alice).await, 20);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_listed_is_tried_again_then_doubted() {
    let mem = MemVolume::new();
    let alice = user(1);
    put(&*mem, "f", [0; 10]).await;
    own(&*mem, "f", &alice).await;
    let faults = FaultVolume::new(mem);
    faults.fail(Op::List, 1, ErrorKind::Io);
    let site = Site::counted(faults.clone()).await;
    assert_eq!((site.flags().await, site.used(&alice).await), (QuotaFlags::TRACK, 10));
    faults.fail_always(Op::Named, ErrorKind::Io);
    site.quotas.recount();
    site.quotas.counted().await;
    assert_eq!(site.flags().await, QuotaFlags::TRACK | QuotaFlags::INCOMPLETE);
    faults.heal(Op::Named);
    // It is done again by itself.
    let right = async {
        while site.flags().await != QuotaFlags::TRACK || site.used(&alice).await != 10 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    within(Duration::from_secs(700), "a further count", right).await;
}

#[tokio::test]
async fn a_count_that_nobody_wants_any_more_ends() {
    let mem = MemVolume::new();
    let alice = user(1);
    put(&*mem, "f", [0; 10]).await;
    own(&*mem, "f", &alice).await;
    let faults = FaultVolume::new(mem);
    let lists = faults.gate(Op::List);
    let site = Site::over(faults.clone()).await;
    lists.arrived(1).await;
    rules(&*site.quotas, QuotaFlags::empty(), UNLIMITED).await;
    assert_eq!(site.flags().await, QuotaFlags::empty());
    rules(&*site.quotas, QuotaFlags::TRACK, UNLIMITED).await;
    assert_eq!(site.flags().await, COUNTING);
    lists.release();
    site.quotas.counted().await;
    assert_eq!((site.flags().await, site.used(&alice).await), (QuotaFlags::TRACK, 10));
}

#[tokio::test]
async fn with_the_volume_its_tasks_end() {
    let faults = FaultVolume::new(MemVolume::new());
    let lists = faults.gate(Op::List);
    let site = Site::over(faults.clone()).await;
    lists.arrived(1).await;
    let held = std::sync::Arc::downgrade(&faults);
    drop((site, lists, faults));
    let gone = async {
        while held.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    };
    within(Duration::from_secs(10), "the end of the tasks", gone).await;
}
