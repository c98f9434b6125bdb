//! Losses: what is survived, and what is said.

use crate::rig::Rig;
use bytes::Bytes;
use testkit::ease::{cx, fails, get, names, p, put, read_all, stat};
use volume::{Close, Create, ErrorKind, Fresh, OpenHow, Volume};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn a_restart_of_the_server_is_survived() {
    let mut rig = Rig::start();
    let volume = rig.volume().await;
    put(&*volume, "f", "content").await;
    put(&*volume, "g", "replaced later").await;
    let reader = volume.open(&cx(), &p("f"), OpenHow::read()).await.unwrap().file;
    let other = volume.open(&cx(), &p("g"), OpenHow::read()).await.unwrap().file;
    let writer = volume.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
    let synced = volume.open(&cx(), &p("h"), OpenHow::create(Create::New)).await.unwrap().file;
    writer.write_at(&cx(), 0, Bytes::from_static(b"CONTENT")).await.unwrap();
    synced.write_at(&cx(), 0, Bytes::from_static(b"safe")).await.unwrap();
    synced.sync(&cx(), volume::SyncKind::Full).await.unwrap();

    rig.stop_server();
    std::fs::remove_file(rig.path().join("g")).unwrap();
    std::fs::write(rig.path().join("g"), "another file").unwrap();
    rig.start_server();

    assert_eq!(stat(&*volume, "f").await.size, 7);
    assert_eq!(names(&*volume, "").await, ["f", "g", "h"]);
    assert_eq!(read_all(&*reader).await, b"CONTENT", "opened again unseen");
    fails(other.read_at(&cx(), 0, 5).await, ErrorKind::Stale);
    synced.write_at(&cx(), 4, Bytes::from_static(b" still")).await.unwrap();
    assert_eq!(get(&*volume, "h").await, b"safe still");
    for _ in 0..2 {
        fails(writer.write_at(&cx(), 0, Bytes::from_static(b"x")).await, ErrorKind::Stale);
        fails(writer.sync(&cx(), volume::SyncKind::Full).await, ErrorKind::Stale);
    }
    fails(writer.attr(&cx(), Fresh::Now).await, ErrorKind::Stale);
    fails(writer.close(&cx(), Close::Commit).await, ErrorKind::Stale);
    assert_eq!(get(&*volume, "f").await, b"CONTENT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn connections_that_are_cut_come_back() {
    let rig = Rig::start();
    let volume = rig.volume().await;
    put(&*volume, "f", vec![7_u8; 300_000]).await;
    let reader = volume.open(&cx(), &p("f"), OpenHow::read()).await.unwrap().file;
    for _ in 0..5 {
        rig.cut_connections();
        assert_eq!(reader.read_at(&cx(), 200_000, 200_000).await.unwrap().len(), 100_000);
        assert_eq!(names(&*volume, "").await, ["f"]);
        put(&*volume, "f", vec![7_u8; 300_000]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn writes_under_way_in_a_cut_are_never_silently_lost() {
    let rig = Rig::start();
    let volume = rig.volume().await;
    let file = volume.open(&cx(), &p("f"), OpenHow::create(Create::New)).await.unwrap().file;
    let writing = {
        let file = file.clone();
        tokio::spawn(async move {
            let block = Bytes::from(vec![1_u8; 1 << 20]);
            for number in 0_u64..10_000 {
                let written = file.write_at(&cx(), (number % 64) << 20, block.clone()).await;
                if let Err(why) = written {
                    return why;
                }
            }
            panic!("the cut was not felt");
        })
    };
    while stat(&*volume, "f").await.size < 4 << 20 {
        tokio::task::yield_now().await;
    }
    rig.cut_connections();
    let why = writing.await.unwrap();
    assert!(matches!(why.kind, ErrorKind::Offline | ErrorKind::Stale), "{why}");
    assert_eq!(why.retry, volume::Retry::Never, "{why}");
    fails(file.sync(&cx(), volume::SyncKind::Data).await, ErrorKind::Stale);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn a_server_that_stays_away_is_offline_and_calls_say_so() {
    let mut rig = Rig::start();
    let mut config = rig.config();
    config.limits.outage = std::time::Duration::from_millis(200);
    let volume = origin_smb::SmbVolume::connect(config).await.unwrap();
    put(&*volume, "f", "x").await;
    rig.stop_server();
    let error = fails(volume.stat(&cx(), &p("f")).await, ErrorKind::Offline);
    assert!(error.to_string().contains("nobody answers"), "{error}");
    let before = std::time::Instant::now();
    fails(volume.stat(&cx(), &p("f")).await, ErrorKind::Offline);
    assert!(before.elapsed() < std::time::Duration::from_secs(2), "told at once");
    rig.start_server();
    testkit::ease::within(std::time::Duration::from_secs(20), "the server is back", async {
        while volume.stat(&cx(), &p("f")).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
}
