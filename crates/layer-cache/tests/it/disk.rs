//! The cache on disk: restarts, damage, a full disk, eviction.

use crate::{BLOCK, Site, config, content, open, read, until, wait_for};
use layer_cache::{CacheConfig, CacheVolume};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use testkit::Op;
use testkit::ease::{fails, get, p, put};
use volume::ErrorKind;

fn data_files(root: &Path) -> Vec<PathBuf> {
    let dirs = std::fs::read_dir(root.join("cache/data")).unwrap();
    dirs.flat_map(|dir| std::fs::read_dir(dir.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .collect()
}

async fn stored(site: &Site, bytes: usize) {
    wait_for("all is stored", || {
        let stats = site.cache.stats();
        stats.size >= bytes as u64 && stats.in_flight_bytes == 0
    })
    .await;
}

#[tokio::test]
async fn a_restart_costs_no_bytes_of_unchanged_files() {
    let mut site = Site::new().await;
    let (one, two) = (content(9 * BLOCK + 1, 1), content(3 * BLOCK, 2));
    put(&*site.origin, "one", &one).await;
    put(&*site.origin, "two", &two).await;
    get(&*site.cache, "one").await;
    get(&*site.cache, "two").await;
    stored(&site, 12 * BLOCK).await;
    site.restart().await;
    let changed = content(3 * BLOCK, 3);
    put(&*site.origin.other(), "two", &changed).await;
    assert_eq!(get(&*site.cache, "one").await, one);
    assert_eq!((site.fetched(), site.calls(Op::Read), site.calls(Op::Open)), (0, 0, 0));
    assert_eq!(get(&*site.cache, "two").await, changed);
    assert_eq!(site.fetched(), 3 * BLOCK as u64);
}

#[tokio::test]
async fn a_crash_loses_claims_and_never_shows_wrong_bytes() {
    let mut site = Site::new().await;
    let bytes = content(9 * BLOCK, 1);
    put(&*site.origin, "f", &bytes).await;
    get(&*site.cache, "f").await;
    stored(&site, 9 * BLOCK).await;
    site.reopen().await;
    assert_eq!(get(&*site.cache, "f").await, bytes);
    assert_eq!(site.cache.stats().corrupt_blocks, 0);
}

#[tokio::test]
async fn a_flipped_bit_is_found_counted_and_fetched_again() {
    let site = Site::new().await;
    let bytes = content(9 * BLOCK, 1);
    put(&*site.origin, "f", &bytes).await;
    get(&*site.cache, "f").await;
    stored(&site, 9 * BLOCK).await;
    let before = site.fetched();
    let files = data_files(site.dir.path());
    assert_eq!(files.len(), 1);
    let file = std::fs::OpenOptions::new().write(true).open(&files[0]).unwrap();
    file.write_all_at(&[!bytes[4 * BLOCK + 77]], (4 * BLOCK + 77) as u64).unwrap();
    assert_eq!(get(&*site.cache, "f").await, bytes);
    assert_eq!((site.cache.stats().corrupt_blocks, site.fetched() - before), (1, BLOCK as u64));
}

#[tokio::test]
async fn a_data_file_that_is_gone_is_fetched_again() {
    let mut site = Site::new().await;
    let bytes = content(3 * BLOCK, 1);
    put(&*site.origin, "f", &bytes).await;
    get(&*site.cache, "f").await;
    stored(&site, 3 * BLOCK).await;
    site.cache.shut_down().await.unwrap();
    std::fs::remove_file(&data_files(site.dir.path())[0]).unwrap();
    site.reopen().await;
    assert_eq!(get(&*site.cache, "f").await, bytes);
    assert_eq!(site.fetched(), 3 * BLOCK as u64);
}

#[tokio::test]
async fn files_nobody_knows_are_removed_and_all_is_private() {
    let mut site = Site::new().await;
    put(&*site.origin, "f", content(BLOCK, 1)).await;
    get(&*site.cache, "f").await;
    stored(&site, BLOCK).await;
    site.cache.shut_down().await.unwrap();
    let stray = site.dir.path().join("cache/data/ff");
    std::fs::create_dir_all(&stray).unwrap();
    std::fs::write(stray.join("00000000000000ff"), b"left over").unwrap();
    site.reopen().await;
    assert_eq!(data_files(site.dir.path()).len(), 1);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&site.dir.path().join("cache")), 0o700);
    assert_eq!(mode(&data_files(site.dir.path())[0]), 0o600);
}

#[tokio::test]
async fn a_directory_is_for_one_process_one_origin_and_known_versions() {
    let site = Site::new().await;
    let again = CacheVolume::open(site.far.clone(), config(&site.dir)).await;
    fails(again, ErrorKind::Busy);
    site.cache.shut_down().await.unwrap();
    let Site { far, cache, dir, .. } = site;
    drop(cache);
    let other = CacheConfig { identity: "other".into(), ..config(&dir) };
    let e = fails(CacheVolume::open(far.clone(), other).await, ErrorKind::InvalidArgument);
    assert!(e.to_string().contains("is the cache of \"mem\", not of \"other\""), "{e}");
    let index = store::rusqlite::Connection::open(dir.path().join("cache/index.sqlite")).unwrap();
    index.pragma_update(None, "user_version", 99).unwrap();
    drop(index);
    let e = fails(CacheVolume::open(far, config(&dir)).await, ErrorKind::Io);
    assert!(e.to_string().contains("schema version 99"), "{e}");
}

#[tokio::test]
async fn eviction_takes_what_was_used_least_and_respects_pins() {
    let mut site = Site::with(Default::default(), |config| config.size = 64 << 20).await;
    let bytes = content(16 * BLOCK, 1);
    for name in ["pinned", "old", "new"] {
        put(&*site.origin, name, &bytes).await;
    }
    site.cache.pin(&p("pinned")).await.unwrap();
    for (n, name) in ["pinned", "old", "new"].iter().enumerate() {
        get(&*site.cache, name).await;
        stored(&site, (n + 1) * 16 * BLOCK).await;
        // Uses are told apart by the second.
        tokio::time::sleep(std::time::Duration::from_millis(1001)).await;
    }
    assert_eq!(site.cache.evict(1).await.unwrap(), BLOCK as u64, "no more than needed");
    assert_eq!(site.cache.evict(15 * BLOCK as u64).await.unwrap(), 15 * BLOCK as u64);
    let before = site.fetched();
    assert_eq!(get(&*site.cache, "new").await, bytes);
    assert_eq!(site.fetched(), before, "the newer one is whole");
    site.cache.evict(u64::MAX).await.unwrap();
    assert_eq!(site.cache.stats().size, 16 * BLOCK as u64, "the pin is left");
    site.restart().await;
    assert_eq!(site.cache.pins(), [p("pinned")], "pins are remembered");
    site.cache.evict(u64::MAX).await.unwrap();
    assert_eq!(get(&*site.cache, "pinned").await, bytes);
    assert_eq!(site.fetched(), 0);
    site.cache.unpin(&p("pinned")).await.unwrap();
    fails(site.cache.unpin(&p("pinned")).await, ErrorKind::NotFound);
    site.cache.evict(u64::MAX).await.unwrap();
    assert_eq!(site.cache.stats().size, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_holds_by_itself_also_under_a_reader() {
    let limit = 4 << 20;
    let site = Site::with(Default::default(), |config| config.size = limit).await;
    let bytes = content(160 * BLOCK, 1);
    put(&*site.origin, "f", &bytes).await;
    until("something had to go", || async {
        assert_eq!(get(&*site.cache, "f").await, bytes);
        (site.cache.stats().evicted_bytes > 0).then_some(())
    })
    .await;
    wait_for("the limit holds", || site.cache.stats().size <= limit).await;
    let stats = site.cache.stats();
    assert_eq!(stats.corrupt_blocks, 0);
}

#[tokio::test]
async fn flush_drops_everything() {
    let site = Site::new().await;
    let bytes = content(4 * BLOCK, 1);
    put(&*site.origin, "f", &bytes).await;
    let file = open(&*site.cache, "f").await;
    read(&*file, 0, 4 * BLOCK).await;
    stored(&site, 4 * BLOCK).await;
    assert_eq!(site.cache.flush().await.unwrap(), 4 * BLOCK as u64);
    assert_eq!(site.cache.stats().size, 0);
    let before = site.fetched();
    assert_eq!(read(&*file, 0, 4 * BLOCK).await, bytes);
    assert_eq!(site.fetched() - before, 4 * BLOCK as u64);
}

/// A small file system of its own, when this process may mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(dir.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(SmallDisk(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "the test's file system stays mounted");
    }
}

#[tokio::test]
async fn a_full_disk_lets_content_pass_through_and_recovers() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("not run: this process may not mount a file system");
        return;
    };
    let directory = disk.0.path().join("cache");
    let site = Site::with(Default::default(), |config| config.directory = directory.clone()).await;
    let (large, small) = (content(48 * BLOCK, 1), content(2 * BLOCK, 2));
    put(&*site.origin, "large", &large).await;
    put(&*site.origin, "small", &small).await;
    let ballast = disk.0.path().join("ballast");
    std::fs::write(&ballast, vec![0; 1 << 20]).unwrap();
    for _ in 0..2 {
        assert_eq!(get(&*site.cache, "large").await, large);
    }
    let full = || site.cache.stats().degraded.is_some_and(|why| why.contains("No space"));
    wait_for("it is found full", full).await;
    std::fs::remove_file(ballast).unwrap();
    site.cache.flush().await.unwrap();
    until("it caches again", || async {
        get(&*site.cache, "small").await;
        site.cache.stats().degraded.is_none().then_some(())
    })
    .await;
    wait_for("it is stored", || site.cache.stats().size >= 2 * BLOCK as u64).await;
    site.cache.shut_down().await.unwrap();
}

#[tokio::test]
async fn what_could_not_be_written_to_the_index_is_written_later() {
    let mut site = Site::new().await;
    let (first, second) = (content(9 * BLOCK, 1), content(9 * BLOCK, 2));
    put(&*site.origin, "f", &first).await;
    get(&*site.cache, "f").await;
    stored(&site, 9 * BLOCK).await;
    let index = store::rusqlite::Connection::open(site.dir.path().join("cache/index.sqlite")).unwrap();
    let rows =
        || index.query_row("SELECT count(*) FROM block_group", [], |row| row.get::<_, i64>(0)).unwrap();
    wait_for("it is in the index", || rows() > 0).await;
    let full = "CREATE TRIGGER full BEFORE INSERT ON content BEGIN SELECT RAISE(ABORT, 'no room'); END";
    index.execute_batch(full).unwrap();
    put(&*site.origin.other(), "f", &second).await;
    site.heard().await;
    assert_eq!(get(&*site.cache, "f").await, second);
    let failing = || site.cache.stats().degraded.is_some_and(|why| why.contains("no room"));
    wait_for("the index cannot be written", failing).await;
    assert!(site.cache.stats().size >= 9 * BLOCK as u64, "it was not stored");
    index.execute_batch("DROP TRIGGER full").unwrap();
    drop(index);
    site.restart().await;
    assert_eq!(get(&*site.cache, "f").await, second);
    assert_eq!(site.fetched(), 0);
}

#[tokio::test]
async fn a_damaged_index_is_moved_aside_and_the_cache_begins_empty() {
    let mut site = Site::new().await;
    let bytes = content(9 * BLOCK, 1);
    put(&*site.origin, "f", &bytes).await;
    let root = site.dir.path().join("cache");
    let damages: [fn(&Path); 2] = [
        |index| std::fs::write(index, vec![0x5a; 20_000]).unwrap(),
        // Only the header is left whole.
        |index| {
            let file = std::fs::File::options().write(true).open(index).unwrap();
            let length = file.metadata().unwrap().len() as usize;
            file.write_all_at(&vec![0xff; length - 100], 100).unwrap();
        },
    ];
    for (damage, number) in damages.into_iter().zip(1..) {
        assert_eq!(get(&*site.cache, "f").await, bytes);
        stored(&site, 9 * BLOCK).await;
        site.cache.pin(&p("f")).await.unwrap();
        site.cache.shut_down().await.unwrap();
        let placeholder = tempfile::tempdir().unwrap();
        let nothing = CacheVolume::open(site.far.clone(), config(&placeholder)).await.unwrap();
        drop(std::mem::replace(&mut site.cache, nothing));
        let lock = std::fs::File::open(root.join("lock")).unwrap();
        wait_for("the index is closed", || lock.try_lock().is_ok()).await;
        drop(lock);
        // What is still in the log would mend the database.
        let index = store::rusqlite::Connection::open(root.join("index.sqlite")).unwrap();
        index.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        index.close().unwrap();
        damage(&root.join("index.sqlite"));
        site.reopen().await;
        assert!(root.join(format!("index.damaged-{number}")).exists());
        assert_eq!(data_files(site.dir.path()), Vec::<PathBuf>::new());
        assert_eq!(site.cache.stats().pins, []);
        assert_eq!(get(&*site.cache, "f").await, bytes);
        assert_eq!(site.fetched(), 9 * BLOCK as u64);
    }
}
