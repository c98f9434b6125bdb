//! How fast warm reads are. Not a check: run it by hand, with optimisation.

use crate::{Site, content, open, wait_for};
use std::time::{Duration, Instant};
use testkit::ease::{cx, get, put};

fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // USER_HZ is 100 on every Linux that matters here.
    Duration::from_millis(ticks * 10)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn warm_reads() {
    let size = 256 << 20;
    let site = Site::new().await;
    put(&*site.origin, "f", content(size, 1)).await;
    get(&*site.cache, "f").await;
    wait_for("it is stored", || site.cache.stats().size >= size as u64).await;
    let file = open(&*site.cache, "f").await;
    for length in [64 << 10, 256 << 10, 1 << 20, 4 << 20] {
        let (began, cpu, mut bytes) = (Instant::now(), cpu_time(), 0);
        for _ in 0..8 {
            for at in (0..size).step_by(length) {
                bytes += file.read_at(&cx(), at as u64, length as u32).await.unwrap().len();
            }
        }
        let (wall, cpu) = (began.elapsed().as_secs_f64(), (cpu_time() - cpu).as_secs_f64());
        let giga = bytes as f64 / 1e9;
        println!("{:>5} KiB: {:.2} GB/s, {:.2} GB per CPU-second", length >> 10, giga / wall, giga / cpu);
    }
    assert_eq!(site.cache.stats().corrupt_blocks, 0);
}
