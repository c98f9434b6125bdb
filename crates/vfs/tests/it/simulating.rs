//! Clients that cache and watch, and others at the origin, in any order: what they may keep, and what they were told, is
//! what is there. At a local origin, with every other seed behind a cache.
//!
//! A few seeds each time; `SIMULATE=100..200` runs those instead.

mod content;
mod names;

use parking_lot::Mutex;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::Rng;
use testkit::ease::{changes_are_told, cx};
use vfs::{Vfs, VfsConfig};
use volume::Volume;

const SEEDS: Range<u64> = 0..6;
const AT_ONCE: usize = 16;
const ROUNDS: usize = 7;

/// Long enough for the origin to have told all.
const SETTLES: Duration = Duration::from_millis(400);

/// What happened, and when.
#[derive(Clone)]
struct Log(Arc<Mutex<Vec<String>>>, Instant);

impl Log {
    fn new() -> Log {
        Log(Arc::default(), Instant::now())
    }

    fn push(&self, what: impl AsRef<str>) {
        self.0.lock().push(format!("{:5} {}", self.1.elapsed().as_millis(), what.as_ref()));
    }

    /// What is wrong, with all that led to it.
    fn tell(&self, wrong: &str) -> String {
        format!("{wrong} after\n{}", self.0.lock().join("\n"))
    }
}

/// A directory, served.
struct Served {
    dir: tempfile::TempDir,
    _cache: tempfile::TempDir,
    vfs: Arc<Vfs>,
}

async fn serve(far: bool, prepare: impl FnOnce(&Path)) -> Served {
    let (dir, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    prepare(dir.path());
    let mut volume: Arc<dyn Volume> =
        origin_local::LocalVolume::open(dir.path(), origin_local::LocalConfig::default()).unwrap();
    if far {
        let config = layer_cache::CacheConfig::new(cache.path().join("cache"), "local");
        volume = layer_cache::CacheVolume::open(volume, config).await.unwrap();
    }
    let vfs = Arc::new(Vfs::new(volume, VfsConfig::default()));
    changes_are_told(|| vfs.freshness()).await;
    Served { dir, _cache: cache, vfs }
}

/// Some time, or none, between two steps.
async fn pause(rng: &mut Rng, log: &Log) {
    let pause = *rng.pick(&[0, 0, 0, 1, 10, 30, 150]);
    if pause > 0 {
        log.push(format!("{pause} ms"));
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

fn seeds() -> Range<u64> {
    let Ok(asked) = std::env::var("SIMULATE") else { return SEEDS };
    let (first, end) = asked.split_once("..").expect("as 100..200");
    first.parse().unwrap()..end.parse().unwrap()
}

/// Runs one simulation for each seed, of which each says what went wrong.
async fn all_seeds<F>(simulate: impl Fn(u64, bool) -> F)
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let seeds: Vec<u64> = seeds().collect();
    let mut wrong = Vec::new();
    for some in seeds.chunks(AT_ONCE) {
        let running: Vec<_> =
            some.iter().map(|seed| (*seed, tokio::spawn(simulate(*seed, seed % 2 == 1)))).collect();
        for (seed, one) in running {
            let outcome = one.await.unwrap_or_else(|panicked| Err(panicked.to_string()));
            wrong.extend(outcome.err().map(|why| format!("seed {seed}: {why}")));
        }
    }
    assert!(wrong.is_empty(), "{} of {}: {}", wrong.len(), seeds.len(), wrong.join("\n\n"));
}
