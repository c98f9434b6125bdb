//! Notices and promises across the link.

use crate::pair::{PATIENCE, Pair};
use link::{Class, Message, Mode};
use peer_wire::{Ask, Frame, Request};
use std::sync::atomic::Ordering;
use std::time::Instant;
use testkit::ease::{self, cx, fails, notice, p, put, within};
use testkit::{MemConfig, MemVolume};
use volume::{Caps, ErrorKind, Freshness, Notice, Priority, VPath, Volume, Watch};

async fn until_promise(watch: &mut Watch, what: &str, wanted: impl Fn(&Freshness) -> bool) {
    let told = watch.freshness.wait_for(|freshness| wanted(freshness));
    within(PATIENCE, what, told).await.unwrap();
}

fn offline(freshness: &Freshness) -> bool {
    matches!(freshness, Freshness::Offline { .. })
}

fn all_unknown() -> Notice {
    Notice::Unknown { below: VPath::root() }
}

#[tokio::test]
async fn notices_come_across_in_order() {
    let memory = MemVolume::new();
    let pair = Pair::serving(memory.clone()).await;
    let volume = pair.volume().await;
    let (mut one, mut two) = (volume.watch(&cx()).await.unwrap(), volume.watch(&cx()).await.unwrap());
    assert_eq!(*one.freshness.borrow(), Freshness::Notified);
    let other = memory.other();
    for n in 0..600 {
        ease::mkdir(&*other, &format!("d{n}")).await;
    }
    ease::rename(&*other, "d0", "moved").await;
    for watch in [&mut one, &mut two] {
        for n in 0..600 {
            let due = p(&format!("d{n}"));
            let told = within(PATIENCE, "a notice", watch.notices.recv()).await;
            assert!(
                matches!(&told, Some(Notice::Changed { path, attr: Some(_), .. }) if *path == due),
                "{told:?}"
            );
        }
        let moved =
            |n: &Notice| matches!(n, Notice::Moved { from, to, .. } if *from == p("d0") && *to == p("moved"));
        notice(watch, "the rename", moved).await;
    }
}

#[tokio::test]
async fn a_cut_without_changes_loses_no_trust() {
    let memory = MemVolume::new();
    let pair = Pair::serving(memory.clone()).await;
    let volume = pair.volume().await;
    let mut watch = volume.watch(&cx()).await.unwrap();
    put(&*memory.other(), "before", "x").await;
    notice(
        &mut watch,
        "the first file",
        |n| matches!(n, Notice::Changed { path, .. } if *path == p("before")),
    )
    .await;
    pair.wire.cut();
    until_promise(&mut watch, "offline", offline).await;
    pair.wire.mend();
    until_promise(&mut watch, "notified again", |f| *f == Freshness::Notified).await;
    ease::mkdir(&*memory.other(), "after").await;
    let mut told = Vec::new();
    notice(&mut watch, "the directory", |n| {
        matches!(n, Notice::Changed { path, .. } if *path == p("after"))
            || matches!(n, Notice::Unknown { .. }) && panic!("all unknown after a cut without changes")
    })
    .await;
    while let Ok(more) = watch.notices.try_recv() {
        told.push(more);
    }
    assert!(!told.contains(&all_unknown()), "{told:?}");
}

#[tokio::test]
async fn a_change_during_a_cut_makes_all_unknown() {
    let memory = MemVolume::new();
    let pair = Pair::serving(memory.clone()).await;
    let volume = pair.volume().await;
    let mut watch = volume.watch(&cx()).await.unwrap();
    pair.wire.cut();
    pair.until_down().await;
    until_promise(&mut watch, "offline", offline).await;
    ease::mkdir(&*memory.other(), "unseen").await;
    // The gateway tries to push it before the link is back.
    tokio::time::sleep(4 * front_peer::BATCH_TIME).await;
    pair.wire.mend();
    notice(&mut watch, "all is unknown", |n| *n == all_unknown()).await;
    until_promise(&mut watch, "notified again", |f| *f == Freshness::Notified).await;
    ease::mkdir(&*memory.other(), "seen").await;
    notice(&mut watch, "seen", |n| matches!(n, Notice::Changed { path, .. } if *path == p("seen"))).await;
}

#[tokio::test]
async fn a_lost_push_shows_by_the_next_one() {
    let memory = MemVolume::new();
    let pair = Pair::serving(memory.clone()).await;
    let mut watch = pair.volume().await.watch(&cx()).await.unwrap();
    pair.ear.deaf.store(true, Ordering::Relaxed);
    ease::mkdir(&*memory.other(), "lost").await;
    pair.ear.heard(1).await;
    pair.ear.deaf.store(false, Ordering::Relaxed);
    ease::mkdir(&*memory.other(), "next").await;
    // Not what the next push says, before what was lost is made good.
    assert_eq!(within(PATIENCE, "a notice", watch.notices.recv()).await, Some(all_unknown()));
    until_promise(&mut watch, "notified again", |f| *f == Freshness::Notified).await;
}

#[tokio::test]
async fn a_lost_last_push_shows_by_the_checks() {
    let memory = MemVolume::new();
    let pair = Pair::serving(memory.clone()).await;
    let mut watch = pair.volume().await.watch(&cx()).await.unwrap();
    pair.ear.deaf.store(true, Ordering::Relaxed);
    ease::mkdir(&*memory.other(), "lost").await;
    pair.ear.heard(1).await;
    assert_eq!(within(PATIENCE, "a notice", watch.notices.recv()).await, Some(all_unknown()));
}

#[tokio::test]
async fn a_subscription_that_the_gateway_lost_is_made_anew() {
    let memory = MemVolume::new();
    let pair = Pair::serving(memory.clone()).await;
    let mut watch = pair.volume().await.watch(&cx()).await.unwrap();
    ease::mkdir(&*memory.other(), "heard").await;
    let subscription = pair.ear.heard(1).await[0].subscription;
    let request =
        Request { priority: Priority::Interactive, patience: PATIENCE, ask: Ask::Unwatch { subscription } };
    let Frame { head, body } = request.encode();
    let link = pair.entrypoint.link("dc1");
    let until = Instant::now() + PATIENCE;
    link.call(Class::Interactive, Mode::Repeatable, Message { head, body }, until).await.unwrap();
    notice(&mut watch, "all is unknown", |n| *n == all_unknown()).await;
    until_promise(&mut watch, "notified again", |f| *f == Freshness::Notified).await;
}

#[tokio::test]
async fn a_new_gateway_makes_all_unknown() {
    let memory = MemVolume::new();
    let mut pair = Pair::serving(memory.clone()).await;
    let volume = pair.volume().await;
    let mut watch = volume.watch(&cx()).await.unwrap();
    pair.restart_gateway().await;
    notice(&mut watch, "all is unknown", |n| *n == all_unknown()).await;
    until_promise(&mut watch, "notified again", |f| *f == Freshness::Notified).await;
    ease::mkdir(&*memory.other(), "seen").await;
    notice(&mut watch, "seen", |n| matches!(n, Notice::Changed { path, .. } if *path == p("seen"))).await;
}

#[tokio::test]
async fn a_watch_may_begin_while_the_link_is_down() {
    let memory = MemVolume::new();
    let pair = Pair::serving(memory.clone()).await;
    let volume = pair.volume().await;
    pair.wire.cut();
    pair.until_down().await;
    let mut watch = volume.watch(&cx()).await.unwrap();
    assert!(offline(&watch.freshness.borrow()));
    pair.wire.mend();
    notice(&mut watch, "all is unknown", |n| *n == all_unknown()).await;
    until_promise(&mut watch, "notified", |f| *f == Freshness::Notified).await;
}

#[tokio::test]
async fn what_the_origin_lost_is_passed_on() {
    let memory = MemVolume::new();
    let pair = Pair::serving(memory.clone()).await;
    let volume = pair.volume().await;
    let mut watch = volume.watch(&cx()).await.unwrap();
    memory.lose_events(p("a/b"));
    notice(&mut watch, "lost events", |n| *n == Notice::Unknown { below: p("a/b") }).await;
}

#[tokio::test]
async fn a_dropped_watch_ends_at_the_gateway() {
    let pair = Pair::serving(MemVolume::new()).await;
    let volume = pair.volume().await;
    let watch = volume.watch(&cx()).await.unwrap();
    assert_eq!(pair.server.peers()[0].subscriptions, 1);
    drop(watch);
    let gone = async {
        while pair.server.peers()[0].subscriptions > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    within(PATIENCE, "the subscription ends", gone).await;
}

#[tokio::test]
async fn an_origin_without_watch_says_so() {
    let config = MemConfig::default();
    let config = MemConfig { caps: Caps { watch: false, ..config.caps }, ..config };
    let pair = Pair::serving(MemVolume::with(config)).await;
    let volume = pair.volume().await;
    assert!(!volume.caps().watch);
    fails(volume.watch(&cx()).await, ErrorKind::Unsupported);
}
