//! Connections that are lost.

use crate::at_once;
use crate::rig::Rig;
use bytes::Bytes;
use origin_sftp::{SftpConfig, SftpVolume};
use std::time::Duration;
use testkit::ease::{cx, fails, get, p, put};
use volume::{Change, ErrorKind, OpenHow, Retry, Volume};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_offline_and_the_next_call_dials_again() {
    let Some(rig) = Rig::start() else { return };
    let volume = rig.volume();
    put(&volume, "f", "before").await;
    let file = volume.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
    assert_eq!(volume.connection(), 1);
    rig.cut();
    // Whatever is asked until the loss is noticed is lost too.
    let error = loop {
        match file.write_at(&cx(), 0, Bytes::from_static(b"x")).await {
            Ok(()) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert_eq!((error.kind, error.retry), (ErrorKind::Offline, Retry::Later), "{error}");
    put(&volume, "g", "behind").await;
    assert_eq!(volume.connection(), 2);
    assert_eq!(get(&volume, "g").await, b"behind");
    fails(file.read_at(&cx(), 0, 1).await, ErrorKind::Offline);
    // The same descriptor at the server is another file now.
    let other = volume.open(&cx(), &p("g"), OpenHow::read_write()).await.unwrap().file;
    fails(file.write_at(&cx(), 0, Bytes::from_static(b"lost")).await, ErrorKind::Offline);
    drop(file);
    assert_eq!(other.read_at(&cx(), 0, 10).await.unwrap(), "behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redialing_nothing_goes_by_another_connection() {
    let Some(rig) = Rig::start() else { return };
    let volume = SftpVolume::new(SftpConfig { redial: false, ..rig.config() });
    put(&volume, "f", "before").await;
    rig.cut();
    while volume.stat(&cx(), &p("f")).await.is_ok() {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        fails(volume.stat(&cx(), &p("f")).await, ErrorKind::Offline);
    }
    fails(volume.connect().await, ErrorKind::Offline);
    assert_eq!(volume.connection(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_is_under_way_fails_and_nothing_hangs() {
    const CALLS: usize = 5000;
    let Some(rig) = Rig::start() else { return };
    let volume = rig.volume();
    put(&volume, "a", "x").await;
    let change =
        |from: &str, to: &str| Change::Rename { from: p(from), to: p(to), replace: true, expect: None };
    rig.pause();
    let calls = (0..CALLS).map(|step| {
        let change = if step % 2 == 0 { change("a", "b") } else { change("b", "a") };
        let volume = &volume;
        async move { volume.apply(&cx(), &change).await }
    });
    // All of them are polled before the connection is cut.
    let (answers, ()) = tokio::join!(at_once(calls), async { rig.cut() });
    for answer in answers {
        fails(answer, ErrorKind::Offline);
    }
    volume.connect().await.unwrap();
    assert_eq!(volume.connection(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_is_lost() {
    let Some(rig) = Rig::start() else { return };
    let volume = SftpVolume::new(SftpConfig { keep_alive: Duration::from_millis(250), ..rig.config() });
    volume.connect().await.unwrap();
    rig.pause();
    fails(volume.stat(&cx(), &p("")).await, ErrorKind::Offline);
    volume.connect().await.unwrap();
    assert_eq!(volume.connection(), 2);
}
