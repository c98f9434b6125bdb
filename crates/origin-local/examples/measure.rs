//! The figures behind the choices of this crate: what runs at once and what goes to a blocking thread, and
//! what an entry of a listing costs. Run it on the file system in question:
//!
//!     cargo run --release -p origin-local --example measure [DIRECTORY]

use bytes::Bytes;
use origin_local::{LocalConfig, LocalVolume};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, XattrFlags};
use std::hint::black_box;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Instant;
use volume::{Create, Cx, Freshness, ListHow, OpenHow, Priority, VPath, Volume};

const FILES: usize = 4000;
const ROUNDS: u32 = 3000;

fn report(what: &str, times: u32, start: Instant) {
    println!("{what:52} {:9.2} us", start.elapsed().as_secs_f64() * 1e6 / f64::from(times));
}

fn main() {
    let base = std::env::args().nth(1).unwrap_or_else(|| std::env::temp_dir().display().to_string());
    let dir = tempfile::tempdir_in(base).expect("a temporary directory");
    entries(dir.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        // On a worker thread, as a front end's calls are.
        let path = dir.path().to_owned();
        tokio::spawn(async move { calls(&path).await }).await.expect("measured");
    });
}

/// What one entry costs by different ways to look at it.
fn entries(dir: &Path) {
    let path = dir.join("entries");
    std::fs::create_dir(&path).expect("mkdir");
    let names: Vec<String> = (0..FILES).map(|n| format!("file {n:06}")).collect();
    names.iter().for_each(|name| std::fs::write(path.join(name), "x").expect("write"));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let fd = rustix::fs::openat(CWD, &path, flags, Mode::empty()).expect("open");
    let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let proc = |name: &str| format!("/proc/self/fd/{}/{name}", fd.as_raw_fd());
    for with in [false, true] {
        let start = Instant::now();
        for name in &names {
            black_box(rustix::fs::statx(&fd, name, AtFlags::SYMLINK_NOFOLLOW, mask).expect("statx"));
        }
        report("statx of a name", FILES as u32, start);
        let start = Instant::now();
        for name in &names {
            let _ = black_box(rustix::fs::lgetxattr(proc(name), "user.farshare.attr", &mut [0_u8; 16]));
        }
        report(&format!("lgetxattr by /proc/self/fd, there: {with}"), FILES as u32, start);
        let start = Instant::now();
        for name in &names {
            let file = rustix::fs::openat(&fd, name, OFlags::RDONLY, Mode::empty()).expect("open");
            let _ = black_box(rustix::fs::fgetxattr(&file, "user.farshare.attr", &mut [0_u8; 16]));
        }
        report(&format!("open, fgetxattr, close, there: {with}"), FILES as u32, start);
        for name in &names {
            let value = [1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            rustix::fs::setxattr(path.join(name), "user.farshare.attr", &value, XattrFlags::empty())
                .expect("setxattr");
        }
    }
}

async fn calls(dir: &Path) {
    let volume = LocalVolume::open(dir, LocalConfig::default()).expect("a volume");
    let cx = Cx::system(Priority::Interactive).within(std::time::Duration::from_secs(600));
    let p = |text: &str| VPath::parse(text).expect("a path");

    let start = Instant::now();
    let page = volume.list(&cx, &p("entries"), ListHow::default()).await.expect("list");
    report("list, for each entry", page.entries.len() as u32, start);

    let start = Instant::now();
    for _ in 0..ROUNDS {
        black_box(tokio::task::spawn_blocking(|| 0).await.expect("hop"));
    }
    report("hand-over to a blocking thread and back", ROUNDS, start);
    let file = p("entries/file 000001");
    let start = Instant::now();
    for _ in 0..ROUNDS {
        black_box(volume.stat(&cx, &file).await.expect("stat"));
    }
    report("stat, cached", ROUNDS, start);
    let start = Instant::now();
    for _ in 0..ROUNDS {
        black_box(volume.open(&cx, &file, OpenHow::read()).await.expect("open").attr);
    }
    report("open for reading, cached", ROUNDS, start);

    let opened = volume.open(&cx, &p("data"), OpenHow::create(Create::New)).await.expect("create");
    let raw = std::fs::File::options().write(true).open(dir.join("data")).expect("open");
    for size in [4 << 10, 64 << 10, 1 << 20, 8 << 20] {
        let (data, rounds) = (Bytes::from(vec![7; size]), ROUNDS.min((256 << 20) / size as u32));
        let start = Instant::now();
        for _ in 0..rounds {
            rustix::io::pwrite(&raw, &data, 0).expect("pwrite");
        }
        report(&format!("pwrite on the spot, {size} bytes"), rounds, start);
        let start = Instant::now();
        for _ in 0..rounds {
            opened.file.write_at(&cx, 0, data.clone()).await.expect("write");
        }
        report(&format!("write_at, {size} bytes"), rounds, start);
        let start = Instant::now();
        for _ in 0..rounds {
            black_box(opened.file.read_at(&cx, 0, size as u32).await.expect("read"));
        }
        report(&format!("read_at, {size} bytes"), rounds, start);
    }
    watch(dir, &volume, &cx).await;
}

async fn watch(dir: &Path, volume: &LocalVolume, cx: &Cx) {
    for number in 0..10_000 {
        let path = dir.join(format!("tree/{}/{number}", number / 100));
        std::fs::create_dir_all(&path).expect("mkdir");
        (0..10).for_each(|n| drop(std::fs::File::create(path.join(n.to_string())).expect("create")));
    }
    let start = Instant::now();
    let mut watch = volume.watch(cx).await.expect("watch");
    watch.freshness.wait_for(|f| *f == Freshness::Notified).await.expect("notified");
    println!("watching 10 100 directories with 100 000 files: {:.3} s", start.elapsed().as_secs_f64());
}
