//! Holes, copies and room on real file systems.

use crate::fresh;
use crate::mounting::{Mount, run};
use bytes::Bytes;
use origin_local::{COPY_MAX_BYTES, LocalConfig, LocalVolume};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;
use testkit::ease::{self, cx, fails, p};
use testkit::{contract, model};
use volume::{Change, Copying, Create, ErrorKind, File, OpenHow, RANGES_MAX, SetAttr, SyncKind, Volume};

async fn open(volume: &LocalVolume, path: &str) -> Arc<dyn File> {
    volume.open(&cx(), &p(path), OpenHow::create(Create::IfMissing)).await.unwrap().file
}

/// Bytes that a file takes on the disk.
fn room(path: PathBuf) -> u64 {
    std::fs::metadata(path).unwrap().blocks() * 512
}

#[tokio::test]
async fn zeroed_room_is_given_back_and_reserved_room_is_taken() {
    let (dir, volume) = fresh();
    if !volume.caps().holes {
        return eprintln!("skipped: no holes in {}", dir.path().display());
    }
    ease::put(&*volume, "f", vec![7; 8 << 20]).await;
    let file = open(&volume, "f").await;
    file.sync(&cx(), SyncKind::Full).await.unwrap();
    let before = room(dir.path().join("f"));
    file.zero(&cx(), 1 << 20, 6 << 20).await.unwrap();
    file.sync(&cx(), SyncKind::Full).await.unwrap();
    let after = room(dir.path().join("f"));
    assert!(before >= 8 << 20 && after <= before - (6 << 20), "{before}, then {after}");
    let attr = file.allocate(&cx(), 20 << 20).await.unwrap();
    assert_eq!((attr.allocated, attr.size), (room(dir.path().join("f")), 8 << 20));
    assert!(attr.allocated >= 20 << 20);
}

#[tokio::test]
async fn more_room_than_there_is() {
    let (_dir, volume) = fresh();
    if !volume.caps().holes {
        return eprintln!("skipped: no holes there");
    }
    let file = open(&volume, "f").await;
    fails(file.allocate(&cx(), u64::MAX).await, ErrorKind::FileTooLarge);
    let free = volume.space(&cx(), &p("")).await.unwrap().free;
    let refused = file.allocate(&cx(), free + (1 << 40)).await;
    ease::fails_with(refused, &[ErrorKind::NoSpace, ErrorKind::FileTooLarge]);
}

#[tokio::test]
async fn many_ranges_come_in_several_answers() {
    let (dir, volume) = fresh();
    let file = open(&volume, "f").await;
    const STEP: u64 = 128 * 1024;
    let count = RANGES_MAX as u64 + 10;
    for number in 0..count {
        file.write_at(&cx(), number * STEP, Bytes::from_static(b"data")).await.unwrap();
    }
    let first = file.ranges(&cx(), 0, u64::MAX).await.unwrap();
    if first.len() < RANGES_MAX {
        return eprintln!("skipped: {} joins ranges", dir.path().display());
    }
    assert_eq!(first.len(), RANGES_MAX);
    let last = first[RANGES_MAX - 1].end;
    let rest = file.ranges(&cx(), last, u64::MAX).await.unwrap();
    assert_eq!((rest.len(), rest[9].end), (10, (count - 1) * STEP + 4));
    assert!(rest[0].start >= last);
}

#[tokio::test]
async fn one_call_copies_so_much_and_the_next_goes_on() {
    let (_dir, volume) = fresh();
    let length = COPY_MAX_BYTES + (1 << 20) + 5;
    let content = testkit::Rng::new(9).bytes(length as usize);
    ease::put(&*volume, "source", &content).await;
    let (source, target) = (open(&volume, "source").await, open(&volume, "target").await);
    let copied = target.copy_from(&cx(), 0, &source, 0, u64::MAX, Copying::Any).await.unwrap();
    assert!(copied > 0 && copied <= COPY_MAX_BYTES, "{copied}");
    let mut done = copied;
    while done < length {
        done += target.copy_from(&cx(), done, &source, done, u64::MAX, Copying::Any).await.unwrap();
    }
    assert!(ease::get(&*volume, "target").await == content);
    let (_other_dir, other) = fresh();
    let foreign = open(&other, "f").await;
    fails(foreign.copy_from(&cx(), 0, &source, 0, 5, Copying::Any).await, ErrorKind::Unsupported);
}

/// A file system in a file.
struct Loop {
    mount: Mount,
    _dir: TempDir,
}

impl Loop {
    /// `None`, with the reason printed, where this machine has no such thing.
    fn of(kind: &str, options: &[&str]) -> Option<Loop> {
        let dir = tempfile::tempdir().unwrap();
        let (image, at) = (dir.path().join("image"), dir.path().join("at"));
        std::fs::File::create(&image).unwrap().set_len(512 << 20).unwrap();
        std::fs::create_dir(&at).unwrap();
        let made = run(Command::new(format!("mkfs.{kind}")).args(options).arg(&image));
        let mounted =
            made.and_then(|()| Mount::by(Command::new("mount").args(["-o", "loop"]).arg(&image), &at));
        match mounted {
            Ok(mount) => Some(Loop { mount, _dir: dir }),
            Err(why) => {
                eprintln!("skipped: no {kind} here: {why}");
                None
            }
        }
    }

    fn at(&self) -> &Path {
        self.mount.at()
    }
}

async fn volumes_keep_their_word(base: &Path) {
    let dirs = parking_lot::Mutex::new(Vec::new());
    let make = || {
        let dir = tempfile::tempdir_in(base).unwrap();
        let volume = LocalVolume::open(dir.path(), LocalConfig::default()).unwrap();
        dirs.lock().push(dir);
        volume
    };
    contract::run(|| {
        let volume: Arc<dyn Volume> = make();
        async { volume }
    })
    .await;
    for seed in 0..5 {
        model::run(&*make(), seed, 120).await;
    }
}

async fn on(kind: &str, options: &[&str]) {
    let Some(mounted) = Loop::of(kind, options) else { return };
    let volume = LocalVolume::open(mounted.at(), LocalConfig::default()).unwrap();
    assert!(volume.caps().clones && volume.caps().holes && volume.caps().named, "{:?}", volume.caps());
    ease::put(&*volume, "source", vec![5; 64 << 20]).await;
    let (source, target) = (open(&volume, "source").await, open(&volume, "target").await);
    source.sync(&cx(), SyncKind::Full).await.unwrap();
    let before = volume.space(&cx(), &p("")).await.unwrap().free;
    let cloned = target.copy_from(&cx(), 0, &source, 0, u64::MAX, Copying::Clone).await.unwrap();
    assert_eq!(cloned, 64 << 20, "in one call, whatever its length");
    target.sync(&cx(), SyncKind::Full).await.unwrap();
    let after = volume.space(&cx(), &p("")).await.unwrap().free;
    assert!(before.saturating_sub(after) < 16 << 20, "the blocks are shared: {before}, then {after}");
    let ragged = target.copy_from(&cx(), 1, &source, 0, 10, Copying::Clone).await;
    fails(ragged, ErrorKind::InvalidArgument);
    drop((source, target, volume));
    volumes_keep_their_word(mounted.at()).await;
}

#[tokio::test]
#[ignore = "needs root, a loop device and mkfs.btrfs"]
async fn blocks_are_shared_on_btrfs() {
    on("btrfs", &[]).await;
}

/// What a file of so many bytes that compress well takes on the disk, KiB.
async fn taken(volume: &LocalVolume, name: &str) -> u64 {
    let before = volume.space(&cx(), &p("")).await.unwrap().free;
    let file = open(volume, name).await;
    file.write_at(&cx(), 0, vec![5; 32 << 20].into()).await.unwrap();
    file.sync(&cx(), SyncKind::Full).await.unwrap();
    before.saturating_sub(volume.space(&cx(), &p("")).await.unwrap().free) >> 10
}

#[tokio::test]
#[ignore = "needs root, a loop device and mkfs.btrfs"]
async fn a_compressed_file_takes_less_room_on_btrfs() {
    let Some(mounted) = Loop::of("btrfs", &[]) else { return };
    let volume = LocalVolume::open(mounted.at(), LocalConfig::default()).unwrap();
    assert!(volume.caps().compression);
    let plain = taken(&volume, "plain").await;
    let set = SetAttr { compressed: Some(true), ..SetAttr::default() };
    ease::apply(&*volume, Change::SetAttr { path: p(""), set, expect: None }).await;
    let compressed = taken(&volume, "compressed").await;
    assert!(plain >= 32 << 10 && compressed < 8 << 10, "{plain} and {compressed} KiB");
}

#[tokio::test]
#[ignore = "needs root, a loop device and mkfs.xfs"]
async fn blocks_are_shared_on_xfs() {
    on("xfs", &["-m", "reflink=1"]).await;
}
