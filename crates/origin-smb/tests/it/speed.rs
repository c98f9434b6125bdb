//! Throughput beside smbclient on the same server. The numbers are printed; what fails is losing the data, or,
//! with optimised cryptography (`--release`), being far slower.

use crate::rig::Rig;
use bytes::Bytes;
use futures_util::stream::{StreamExt, TryStreamExt, iter};
use std::time::{Duration, Instant};
use testkit::Rng;
use testkit::ease::{cx, p, stat};
use volume::{Close, Create, OpenHow, SyncKind, Volume};

const SIZE: usize = 64 << 20;
const BLOCK: usize = 1 << 20;
/// Blocks under way at once, as a cache that reads ahead would keep them.
const DEPTH: usize = 8;

fn rate(since: Instant) -> f64 {
    SIZE as f64 / (1 << 20) as f64 / since.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn bulk_data_flows_about_as_fast_as_through_smbclient() {
    let rig = Rig::start();
    let volume = rig.volume().await;
    let content = Bytes::from(Rng::new(5).bytes(SIZE));

    let file = volume.open(&cx(), &p("ours"), OpenHow::create(Create::New)).await.unwrap().file;
    let began = Instant::now();
    let blocks = (0..SIZE).step_by(BLOCK).map(|at| {
        let (file, block) = (&file, content.slice(at..at + BLOCK));
        async move { file.write_at(&cx(), at as u64, block).await }
    });
    iter(blocks).buffer_unordered(DEPTH).try_collect::<()>().await.unwrap();
    let write = rate(began);
    file.sync(&cx(), SyncKind::Data).await.unwrap();

    let began = Instant::now();
    let blocks = (0..SIZE).step_by(BLOCK).map(|at| {
        let file = &file;
        async move { file.read_at(&cx(), at as u64, BLOCK as u32).await }
    });
    let read: Vec<Bytes> = iter(blocks).buffered(DEPTH).try_collect().await.unwrap();
    let read_rate = rate(began);
    assert!(read.concat() == content, "what was written is read");
    file.close(&cx(), Close::Commit).await.unwrap();

    std::fs::write(rig.path().join("source"), &content).unwrap();
    let began = Instant::now();
    let order = format!("lcd {}; put source theirs", rig.path().display());
    rig.smbclient().run(&order).expect("smbclient");
    let their_write = rate(began);
    let began = Instant::now();
    rig.smbclient().run("get theirs /dev/null").expect("smbclient");
    let their_read = rate(began);
    println!(
        "64 MiB over loopback, MiB/s: write {write:.0} (smbclient {their_write:.0}), read {read_rate:.0} \
         (smbclient {their_read:.0})"
    );
    let optimised = !cfg!(debug_assertions);
    assert!(!optimised || (write * 3.0 > their_write && read_rate * 3.0 > their_read));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn a_look_does_not_wait_behind_bulk_data() {
    let rig = Rig::start();
    let volume = rig.volume().await;
    std::fs::write(rig.path().join("big"), vec![3_u8; SIZE]).unwrap();
    let file = volume.open(&cx(), &p("big"), OpenHow::read()).await.unwrap().file;
    let busy = tokio::spawn(async move {
        loop {
            file.read_at(&cx(), 0, SIZE as u32).await.unwrap();
        }
    });
    let mut waits = Vec::new();
    for _ in 0..50 {
        let began = Instant::now();
        stat(&*volume, "big").await;
        waits.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    busy.abort();
    waits.sort();
    println!("stat beside a busy read: median {:?}, worst {:?}", waits[25], waits[49]);
    assert!(waits[25] < Duration::from_millis(100), "{waits:?}");
}
