//! The promise of order: calls take effect as they are first polled, and nobody waits in between.

use crate::at_once;
use crate::rig::Rig;
use bytes::Bytes;
use testkit::ease::{cx, fails, get, names, p};
use volume::{Applied, Change, Close, Create, DosAttributes, ErrorKind, OpenHow, Result, Volume};

fn rename(from: &str, to: &str) -> Change {
    Change::Rename { from: p(from), to: p(to), replace: true, expect: None }
}

async fn apply(volume: &dyn Volume, change: Change) -> Result<Applied> {
    volume.apply(&cx(), &change).await
}

async fn all(volume: &dyn Volume, changes: Vec<Change>) {
    for (number, done) in
        at_once(changes.into_iter().map(|change| apply(volume, change))).await.into_iter().enumerate()
    {
        done.unwrap_or_else(|why| panic!("change {number}: {why}"));
    }
}

async fn a_chain_of_renames(volume: &dyn Volume) {
    const STEPS: usize = 700;
    let first = volume.open(&cx(), &p("a0"), OpenHow::create(Create::New)).await.unwrap();
    drop(first);
    all(volume, (0..STEPS).map(|step| rename(&format!("a{step}"), &format!("a{}", step + 1))).collect())
        .await;
    assert_eq!(names(volume, "").await, [format!("a{STEPS}")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renames_are_done_one_behind_the_other() {
    let Some(rig) = Rig::start() else { return };
    // The first of them dials.
    a_chain_of_renames(&*rig.fresh()).await;
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_asked_before_the_server_is_reached_keeps_its_order() {
    let Some(rig) = Rig::start() else { return };
    let volume = rig.fresh();
    let make =
        |path: &str| Change::MakeDir { path: p(path), mode: 0o755, dos: DosAttributes::empty(), maker: None };
    let mut changes = Vec::new();
    for step in 0..100 {
        changes.extend([make("d"), make("d/e"), rename("d", &format!("d{step}"))]);
    }
    all(&*volume, changes).await;
    assert_eq!(names(&*volume, "").await.len(), 100);
    assert_eq!(names(&*volume, "d99").await, ["e"]);
    assert_eq!(volume.connection(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_written_closed_and_renamed_without_waiting() {
    const FILES: usize = 200;
    let Some(rig) = Rig::start() else { return };
    let volume = rig.fresh();
    let opened = (0..FILES).map(|number| {
        let (volume, path) = (&volume, p(&format!("temporary {number}")));
        async move { volume.open(&cx(), &path, OpenHow::create(Create::New)).await.unwrap().file }
    });
    let files = at_once(opened).await;
    let (context, content) = (cx(), Bytes::from(vec![7; 300_000]));
    let mut calls: Vec<std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>>> = Vec::new();
    for (number, file) in files.iter().enumerate() {
        // Each replaces the one before.
        let change = rename(&format!("temporary {number}"), "name");
        let (context, content, volume) = (&context, content.slice(..number * 1000), &volume);
        calls.push(Box::pin(async move { file.write_at(context, 0, content).await.unwrap() }));
        calls.push(Box::pin(async move { assert!(file.close(context, Close::Commit).await.is_ok()) }));
        calls.push(Box::pin(async move { assert!(volume.apply(context, &change).await.is_ok()) }));
    }
    at_once(calls).await;
    assert_eq!(names(&*volume, "").await, ["name"]);
    assert_eq!(get(&*volume, "name").await, content[..(FILES - 1) * 1000]);
}

/// A server without OpenSSH's extensions may do requests in any order: it gets one at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_promises_no_order_keeps_it_nevertheless() {
    const STEPS: usize = 100;
    let Some(rig) =
        Rig::start_with("internal-sftp -P posix-rename,hardlink,statvfs,fsync,lsetstat,limits,copy-data")
    else {
        return;
    };
    let volume = rig.fresh();
    let server = volume.connect().await.unwrap();
    assert!(!server.in_order && server.write_max == 32 * 1024, "{server:?}");
    let caps = volume.caps();
    assert!(!caps.atomic_rename && !caps.hard_links && !caps.copies && caps.io_size == 32 * 1024);
    drop(volume.open(&cx(), &p("a0"), OpenHow::create(Create::New)).await.unwrap());
    let onto_nothing = |step| Change::Rename {
        from: p(&format!("a{step}")),
        to: p(&format!("a{}", step + 1)),
        replace: false,
        expect: None,
    };
    all(&*volume, (0..STEPS).map(onto_nothing).collect()).await;
    assert_eq!(names(&*volume, "").await, [format!("a{STEPS}")]);
    fails(apply(&*volume, rename("a100", "b")).await, ErrorKind::Unsupported);
    fails(volume.space(&cx(), &p("")).await, ErrorKind::Unsupported);
}
