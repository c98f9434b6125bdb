//! Cut wires and new gateways.

use crate::pair::{PATIENCE, Pair};
use bytes::Bytes;
use testkit::ease::{self, cx, fails, p, put, within};
use testkit::{FaultVolume, MemVolume, Op};
use volume::{Close, Copying, Create, ErrorKind, Fresh, OpenHow, Volume};

#[tokio::test]
async fn a_file_open_for_reading_outlives_the_gateway() {
    let memory = MemVolume::new();
    put(&*memory, "f", "0123456789").await;
    let mut pair = Pair::serving(memory).await;
    let volume = pair.volume().await;
    let file = volume.open(&cx(), &p("f"), OpenHow::read()).await.unwrap().file;
    pair.restart_gateway().await;
    assert_eq!(pair.server.peers().first().map_or(0, |peer| peer.handles), 0);
    let (one, two) = tokio::join!(async { file.read_at(&cx(), 0, 4).await.unwrap() }, async {
        file.read_at(&cx(), 4, 4).await.unwrap()
    });
    assert_eq!((&one[..], &two[..]), (&b"0123"[..], &b"4567"[..]));
    assert_eq!(file.attr(&cx(), Fresh::Now).await.unwrap().size, 10);
    file.close(&cx(), Close::Commit).await.unwrap();
    pair.until_handles(0).await;
}

#[tokio::test]
async fn another_file_under_the_name_is_not_taken_for_it() {
    let memory = MemVolume::new();
    put(&*memory, "f", "mine").await;
    put(&*memory, "gone", "mine").await;
    let mut pair = Pair::serving(memory.clone()).await;
    let volume = pair.volume().await;
    let replaced = volume.open(&cx(), &p("f"), OpenHow::read()).await.unwrap().file;
    let removed = volume.open(&cx(), &p("gone"), OpenHow::read()).await.unwrap().file;
    put(&*memory, "other", "theirs").await;
    ease::rename(&*memory, "other", "f").await;
    ease::remove(&*memory, "gone").await;
    pair.restart_gateway().await;
    fails(replaced.read_at(&cx(), 0, 4).await, ErrorKind::Stale);
    fails(removed.read_at(&cx(), 0, 4).await, ErrorKind::Stale);
}

#[tokio::test]
async fn a_file_open_for_writing_says_that_it_is_lost() {
    let mut pair = Pair::serving(MemVolume::new()).await;
    let volume = pair.volume().await;
    let file = volume.open(&cx(), &p("f"), OpenHow::create(Create::New)).await.unwrap().file;
    file.write_at(&cx(), 0, Bytes::from_static(b"before")).await.unwrap();
    pair.restart_gateway().await;
    let error = fails(file.write_at(&cx(), 0, Bytes::from_static(b"after")).await, ErrorKind::Stale);
    assert!(error.to_string().contains("restarted"), "{error}");
    fails(file.sync(&cx(), volume::SyncKind::Full).await, ErrorKind::Stale);
    fails(file.close(&cx(), Close::Commit).await, ErrorKind::Stale);
    assert_eq!(ease::get(&*volume, "f").await, b"before");
}

#[tokio::test]
async fn a_cut_leaves_handles_open() {
    let memory = MemVolume::new();
    put(&*memory, "f", "0123456789").await;
    let pair = Pair::serving(memory.clone()).await;
    let volume = pair.volume().await;
    let file = volume.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
    pair.wire.cut();
    pair.until_down().await;
    pair.wire.mend();
    pair.until_up().await;
    file.write_at(&cx(), 8, Bytes::from_static(b"xy")).await.unwrap();
    file.close(&cx(), Close::Commit).await.unwrap();
    assert_eq!(ease::get(&*memory, "f").await, b"01234567xy");
}

#[tokio::test]
async fn a_create_is_done_once_whatever_the_wire_does() {
    let memory = FaultVolume::new(MemVolume::new());
    let pair = Pair::serving(memory.clone()).await;
    let volume = pair.volume().await;
    for round in 0..3 {
        let path = p(&format!("new-{round}"));
        let before = memory.counts().of(Op::Open);
        let gate = memory.gate(Op::Open);
        let (asked, name) = (volume.clone(), path.clone());
        let open = tokio::spawn(async move { asked.open(&cx(), &name, OpenHow::create(Create::New)).await });
        gate.arrived(1).await;
        pair.wire.cut();
        pair.until_down().await;
        gate.release();
        pair.wire.mend();
        let opened = within(PATIENCE, "the open is answered", open).await.unwrap().unwrap();
        assert!(opened.created, "round {round}");
        assert_eq!(memory.counts().of(Op::Open) - before, 1, "round {round}");
        opened.file.write_at(&cx(), 0, Bytes::from_static(b"x")).await.unwrap();
        opened.file.close(&cx(), Close::Commit).await.unwrap();
    }
}

#[tokio::test]
async fn a_source_that_the_gateway_lost_is_opened_again_for_a_copy() {
    let memory = MemVolume::new();
    put(&*memory, "source", "0123456789").await;
    let mut pair = Pair::serving(memory).await;
    let volume = pair.volume().await;
    let source = volume.open(&cx(), &p("source"), OpenHow::read()).await.unwrap().file;
    let lost = volume.open(&cx(), &p("lost"), OpenHow::create(Create::New)).await.unwrap().file;
    pair.restart_gateway().await;
    let target = volume.open(&cx(), &p("target"), OpenHow::create(Create::New)).await.unwrap().file;
    let copied = target.copy_from(&cx(), 0, &source, 2, 5, Copying::Any).await.unwrap();
    assert_eq!((copied, ease::get(&*volume, "target").await), (5, b"23456".to_vec()));
    fails(lost.copy_from(&cx(), 0, &source, 0, 5, Copying::Any).await, ErrorKind::Stale);
    fails(target.copy_from(&cx(), 0, &lost, 0, 5, Copying::Any).await, ErrorKind::Stale);
}
