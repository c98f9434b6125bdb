//! The time of the last write, where it is not to follow the writes.

use crate::tools::{LOOK, Site, WRITE, site};
use bytes::Bytes;
use std::sync::Arc;
use testkit::ease::{cx, put, stat};
use testkit::{FaultVolume, MemVolume, Op};
use vfs::{Open, Vfs, VfsConfig};
use volume::{Copying, SetAttr, SyncKind, Time};

const SET: Time = Time(1_000_000_000);

fn dated(time: Time) -> SetAttr {
    SetAttr { mtime: Some(time), ..SetAttr::default() }
}

async fn write(open: &Open) {
    open.write(&cx(), 0, Bytes::from_static(b"changed")).await.unwrap();
}

async fn at_volume(site: &Site) -> Time {
    stat(&*site.mem, "file").await.mtime
}

/// As a client of that open is to see it.
async fn shown(open: &Open) -> Time {
    let attr = open.attr(&cx()).await.unwrap();
    open.write_time().unwrap_or(attr.mtime)
}

#[tokio::test]
async fn who_sets_the_write_time_does_not_move_it_and_others_do() {
    let site = site();
    let setter = site.create("file").await;
    let (other, onlooker) = (site.open("file", WRITE).await, site.open("file", LOOK).await);
    setter.set_attr(&cx(), &dated(SET)).await.unwrap();
    assert_eq!(onlooker.write_time(), None, "it is the volume's as well");
    write(&setter).await;
    assert_ne!(at_volume(&site).await, SET);
    assert_eq!((shown(&setter).await, shown(&onlooker).await), (SET, SET));
    write(&other).await;
    let theirs = at_volume(&site).await;
    assert_eq!((shown(&setter).await, shown(&onlooker).await), (theirs, theirs));
    write(&setter).await;
    setter.set_size(&cx(), 3).await.unwrap();
    assert_ne!(at_volume(&site).await, theirs);
    assert_eq!((shown(&other).await, shown(&onlooker).await), (theirs, theirs));
    let last = setter.close(&cx()).await.unwrap().unwrap();
    assert_eq!((last.mtime, last.size, at_volume(&site).await), (theirs, 3, theirs));
    assert_eq!(onlooker.write_time(), None);
}

#[tokio::test]
async fn who_empties_a_file_moves_its_write_time() {
    let site = site();
    let setter = site.create("file").await;
    setter.set_attr(&cx(), &dated(SET)).await.unwrap();
    write(&setter).await;
    let empties = |r: &mut vfs::OpenRequest| r.disposition = vfs::Disposition::Overwrite;
    let other = site.try_open("file", WRITE, empties).await.unwrap().open;
    let emptied = at_volume(&site).await;
    assert_eq!((shown(&setter).await, shown(&other).await), (emptied, emptied));
    setter.close(&cx()).await.unwrap();
    assert_eq!(at_volume(&site).await, emptied);
}

#[tokio::test]
async fn whatever_changes_content_leaves_a_kept_write_time_alone() {
    let site = site();
    let source = site.create("source").await;
    write(&source).await;
    site.create("file").await.close(&cx()).await.unwrap();
    for number in 0..6 {
        let open = site.open("file", WRITE).await;
        open.set_attr(&cx(), &dated(SET)).await.unwrap();
        match number {
            0 => write(&open).await,
            1 => drop(open.append(&cx(), Bytes::from_static(b"more")).await.unwrap()),
            2 => drop(open.set_size(&cx(), 20).await.unwrap()),
            3 => open.zero(&cx(), 0, 3).await.unwrap(),
            4 => drop(open.copy_from(&cx(), &source, 0, 0, 7, Copying::Any).await.unwrap()),
            _ => drop(open.set_allocation(&cx(), 1 << 20).await.unwrap()),
        }
        assert_eq!(shown(&open).await, SET, "{number}");
        open.close(&cx()).await.unwrap();
        assert_eq!(at_volume(&site).await, SET, "{number}");
    }
}

#[tokio::test]
async fn a_write_time_is_left_alone_until_it_is_to_move_again() {
    let site = site();
    put(&*site.mem, "file", "content").await;
    let before = at_volume(&site).await;
    let open = site.open("file", WRITE).await;
    open.keep_write_time(true);
    write(&open).await;
    assert_eq!(shown(&open).await, before);
    open.keep_write_time(false);
    assert_eq!(shown(&open).await, before, "nothing was written since");
    open.sync(&cx(), SyncKind::Full).await.unwrap();
    assert_eq!(at_volume(&site).await, before);
    write(&open).await;
    assert_ne!(shown(&open).await, before);
    let last = open.close(&cx()).await.unwrap().unwrap();
    assert_ne!(last.mtime, before);
    assert_eq!(at_volume(&site).await, last.mtime);
}

#[tokio::test]
async fn a_flush_brings_a_kept_write_time_to_the_volume() {
    let site = site();
    let open = site.create("file").await;
    open.set_attr(&cx(), &dated(SET)).await.unwrap();
    write(&open).await;
    assert_ne!(at_volume(&site).await, SET);
    open.sync(&cx(), SyncKind::Full).await.unwrap();
    assert_eq!(at_volume(&site).await, SET);
    write(&open).await;
    // One that nobody closes ends all the same.
    drop(open);
    while at_volume(&site).await != SET {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_kept_write_time_that_cannot_be_set_costs_nothing_else() {
    let mem = MemVolume::new();
    let fault = FaultVolume::new(mem.clone());
    let site = Site { vfs: Vfs::new(fault.clone(), VfsConfig::default()), mem };
    let open = site.create("file").await;
    open.set_attr(&cx(), &dated(SET)).await.unwrap();
    write(&open).await;
    fault.fail(Op::SetAttr, 1, volume::ErrorKind::Io);
    open.close(&cx()).await.unwrap();
    assert_eq!(stat(&*site.mem, "file").await.size, 7);
}

/// A site whose volume does what the test says.
fn faulty() -> (Site, Arc<FaultVolume>) {
    let mem = MemVolume::new();
    let fault = FaultVolume::new(mem.clone());
    (Site { vfs: Vfs::new(fault.clone(), VfsConfig::default()), mem }, fault)
}

#[tokio::test]
async fn a_write_time_that_was_flushed_is_set_once_and_foreign_changes_after_it_stay() {
    let (site, fault) = faulty();
    let open = site.create("file").await;
    open.set_attr(&cx(), &dated(SET)).await.unwrap();
    write(&open).await;
    open.sync(&cx(), SyncKind::Full).await.unwrap();
    fault.counts().reset();
    open.sync(&cx(), SyncKind::Full).await.unwrap();
    assert_eq!(fault.counts().of(Op::SetAttr), 0, "nothing was written since");
    put(&*site.mem, "file", "theirs").await;
    let theirs = at_volume(&site).await;
    assert_eq!(shown(&open).await, theirs);
    open.sync(&cx(), SyncKind::Full).await.unwrap();
    write(&open).await;
    assert_eq!(shown(&open).await, theirs, "that is what is kept now");
    open.close(&cx()).await.unwrap();
    assert_eq!((at_volume(&site).await, fault.counts().of(Op::SetAttr)), (theirs, 1));
}

#[tokio::test]
async fn a_write_that_lands_after_a_flush_leaves_the_kept_time_alone_as_well() {
    let (site, fault) = faulty();
    let (one, other) = (site.create("file").await, site.open("file", WRITE).await);
    one.set_attr(&cx(), &dated(SET)).await.unwrap();
    other.keep_write_time(true);
    write(&one).await;
    let gate = fault.gate(Op::Write);
    let late = tokio::spawn(async move {
        write(&other).await;
        other
    });
    gate.arrived(1).await;
    one.sync(&cx(), SyncKind::Full).await.unwrap();
    assert_eq!(at_volume(&site).await, SET);
    gate.release();
    let other = late.await.unwrap();
    assert_ne!(at_volume(&site).await, SET);
    assert_eq!(shown(&one).await, SET);
    one.close(&cx()).await.unwrap();
    other.close(&cx()).await.unwrap();
    assert_eq!(at_volume(&site).await, SET);
}

#[tokio::test]
async fn who_keeps_the_write_time_writes_though_others_do_all_the_time() {
    let (site, fault) = faulty();
    put(&*site.mem, "file", "content").await;
    let (keeps, other) = (site.open("file", WRITE).await, site.open("file", WRITE).await);
    keeps.keep_write_time(true);
    let gate = fault.gate(Op::Attr);
    let writing = tokio::spawn(async move {
        write(&keeps).await;
        keeps
    });
    gate.arrived(1).await;
    write(&other).await;
    gate.let_pass(1);
    let keeps = writing.await.unwrap();
    assert_eq!(keeps.write_time(), None, "it was moving");
    gate.release();
}
