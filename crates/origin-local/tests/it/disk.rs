use crate::mounting::Mount;
use crate::{as_nobody, fresh, fresh_with};
use bytes::Bytes;
use origin_local::{LocalConfig, LocalVolume};
use parking_lot::Mutex;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use testkit::ease::{cx, fails, p};
use testkit::{contract, ease, model};
use volume::{
    Change, Create, DosAttributes, ErrorKind, Kind, ListHow, OpenHow, SetAttr, SyncKind, Time, Volume,
};

async fn contract_in(base: &Path, config: LocalConfig) {
    let dirs = Mutex::new(Vec::new());
    contract::run(|| {
        let dir = tempfile::tempdir_in(base).expect("a temporary directory");
        let volume: Arc<dyn Volume> = LocalVolume::open(dir.path(), config.clone()).expect("a volume");
        dirs.lock().push(dir);
        async { volume }
    })
    .await;
}

#[tokio::test]
async fn contract() {
    contract_in(&std::env::temp_dir(), LocalConfig::default()).await;
}

#[tokio::test]
async fn contract_with_changes_on_the_medium() {
    contract_in(Path::new("/dev/shm"), LocalConfig { sync_changes: true, ..LocalConfig::default() }).await;
}

#[tokio::test]
async fn contract_read_only() {
    contract_in(&std::env::temp_dir(), LocalConfig { read_only: true, ..LocalConfig::default() }).await;
}

/// `/proc/sys` and the like have no extended attributes of users: no volume to write to, but it tells so.
#[tokio::test]
async fn without_extended_attributes_the_caps_say_so() {
    let volume = LocalVolume::open(Path::new("/proc/self"), LocalConfig::default()).expect("a volume");
    assert!(!volume.caps().dos_attributes);
    assert!(ease::names(&*volume, "").await.contains(&"status".to_owned()));
    let dos = SetAttr { dos: Some(DosAttributes::HIDDEN), ..SetAttr::default() };
    let change = Change::SetAttr { path: ease::p("status"), set: dos, expect: None };
    ease::fails(volume.apply(&ease::cx(), &change).await, ErrorKind::Unsupported);
}

#[tokio::test]
async fn model_agrees() {
    for seed in 0..20 {
        let (_dir, volume) = fresh();
        model::run(&*volume, seed, 120).await;
    }
}

#[tokio::test]
async fn model_agrees_across_restarts() {
    let (dir, mut volume) = fresh();
    let mut model = model::Model::new(99);
    for step in 0..150 {
        if step % 20 == 19 {
            model.drop_handles();
            volume = LocalVolume::open(dir.path(), LocalConfig::default()).expect("a volume");
        }
        model.step(&*volume).await;
    }
}

#[tokio::test]
async fn names_that_are_not_utf8() {
    let (dir, volume) = fresh();
    let raw = std::ffi::OsStr::from_bytes(b"caf\xe9\xff");
    std::fs::write(dir.path().join(raw), "latin").unwrap();
    let names = ease::names(&*volume, "").await;
    assert_eq!(names, ["caf\u{efe9}\u{efff}"]);
    assert_eq!(ease::get(&*volume, &names[0]).await, b"latin");
    ease::rename(&*volume, &names[0], "d\u{ef80}").await;
    assert_eq!(std::fs::read(dir.path().join(std::ffi::OsStr::from_bytes(b"d\x80"))).unwrap(), b"latin");
    let how = OpenHow::create(Create::New);
    let spells_utf8 = ease::p("\u{efc3}\u{efa9}");
    ease::fails(volume.open(&ease::cx(), &spells_utf8, how).await, ErrorKind::InvalidName);
}

#[tokio::test]
async fn devices_and_fifos_are_listed_and_never_opened() {
    let (dir, volume) = fresh();
    let fifo = dir.path().join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_bits_truncate(0o600),
        0,
    )
    .unwrap();
    assert!(std::fs::metadata(&fifo).unwrap().file_type().is_fifo());
    assert_eq!(ease::list(&*volume, "").await[0].attr.kind, Kind::Special(volume::Special::Fifo));
    for how in [OpenHow::read(), OpenHow::create(Create::IfMissing)] {
        ease::fails(volume.open(&ease::cx(), &ease::p("fifo"), how).await, ErrorKind::Unsupported);
    }
    ease::remove(&*volume, "fifo").await;
}

#[tokio::test]
async fn attributes_survive_restart_and_leave_the_mode_alone() {
    let (dir, volume) = fresh();
    ease::put(&*volume, "f", "x").await;
    let mode = std::fs::metadata(dir.path().join("f")).unwrap().mode();
    let set = SetAttr {
        dos: Some(DosAttributes::READONLY | DosAttributes::SYSTEM),
        btime: Some(Time::from_parts(1_000_000_000, 1)),
        ..SetAttr::default()
    };
    ease::apply(&*volume, Change::SetAttr { path: ease::p("f"), set, expect: None }).await;
    let volume = LocalVolume::open(dir.path(), LocalConfig::default()).expect("a volume");
    let attr = ease::list(&*volume, "").await[0].attr;
    assert_eq!((Some(attr.dos), Some(attr.btime)), (set.dos, set.btime));
    assert_eq!(attr, ease::stat(&*volume, "f").await);
    assert_eq!(std::fs::metadata(dir.path().join("f")).unwrap().mode(), mode);
}

#[tokio::test]
async fn times_and_modes_reach_the_file() {
    let (dir, volume) = fresh();
    ease::put(&*volume, "f", "x").await;
    let set =
        SetAttr { mode: Some(0o604), mtime: Some(Time::from_parts(-1, 999_999_999)), ..SetAttr::default() };
    ease::apply(&*volume, Change::SetAttr { path: ease::p("f"), set, expect: None }).await;
    let there = std::fs::metadata(dir.path().join("f")).unwrap();
    assert_eq!((there.mode() & 0o7777, there.mtime(), there.mtime_nsec()), (0o604, -1, 999_999_999));
}

#[tokio::test]
async fn what_the_machine_would_believe_is_not_for_callers_to_say() {
    let (dir, volume) = fresh();
    let how = OpenHow { mode: 0o6755, ..OpenHow::create(Create::New) };
    volume.open(&ease::cx(), &ease::p("f"), how).await.unwrap();
    ease::apply(
        &*volume,
        Change::MakeDir { path: ease::p("d"), mode: 0o7777, dos: DosAttributes::empty(), maker: None },
    )
    .await;
    let special = |name: &str| std::fs::metadata(dir.path().join(name)).unwrap().mode() & 0o7000;
    assert_eq!((special("f"), special("d")), (0, 0));
    let set = |path: &str, set| Change::SetAttr { path: ease::p(path), set, expect: None };
    let mode = SetAttr { mode: Some(0o4711), ..SetAttr::default() };
    ease::apply(&*volume, set("f", mode)).await;
    let all = std::fs::metadata(dir.path().join("f")).unwrap().mode() & 0o7777;
    assert_eq!(all, 0o711);
    let shared = std::os::unix::fs::PermissionsExt::from_mode(0o2775);
    std::fs::set_permissions(dir.path().join("d"), shared).unwrap();
    ease::apply(&*volume, set("d", mode)).await;
    assert_eq!(special("d"), 0o2000, "what the administrator set stays");
    for owner in [SetAttr { uid: Some(0), ..mode }, SetAttr { gid: Some(0), ..mode }] {
        ease::fails(volume.apply(&ease::cx(), &set("f", owner)).await, ErrorKind::Unsupported);
    }
}

#[tokio::test]
async fn a_foreign_format_of_the_attribute_is_not_guessed_at() {
    let (dir, volume) = fresh();
    ease::put(&*volume, "f", "x").await;
    let flags = rustix::fs::XattrFlags::empty();
    for value in [&[9; 40][..], &[9; 16], b""] {
        rustix::fs::setxattr(dir.path().join("f"), "user.farshare.attr", value, flags).unwrap();
        assert_eq!(ease::stat(&*volume, "f").await.dos, DosAttributes::empty());
        assert_eq!(ease::list(&*volume, "").await.len(), 1);
    }
}

#[tokio::test]
async fn a_cursor_is_checked() {
    let (_dir, volume) = fresh();
    let how = ListHow { cursor: Some(Bytes::from_static(b"short")), ahead: 0 };
    ease::fails(volume.list(&ease::cx(), &ease::p(""), how).await, ErrorKind::InvalidArgument);
}

#[tokio::test]
async fn paths_longer_than_the_kernel_takes_at_once() {
    let (_dir, volume) = fresh();
    let mut path = String::new();
    for depth in 0..40 {
        path.push_str(&format!("{}{depth:0>200}", if depth == 0 { "" } else { "/" }));
        ease::mkdir(&*volume, &path).await;
    }
    ease::put(&*volume, &format!("{path}/f"), "deep").await;
    assert_eq!(ease::get(&*volume, &format!("{path}/f")).await, b"deep");
    assert_eq!(ease::names(&*volume, &path).await, ["f"]);
}

#[tokio::test]
async fn reads_from_the_disk_and_from_memory_are_the_same() {
    let (dir, volume) = fresh();
    let content = testkit::Rng::new(3).bytes(5 << 20);
    ease::put(&*volume, "f", &content).await;
    let opened = volume.open(&ease::cx(), &ease::p("f"), OpenHow::read_write()).await.unwrap();
    opened.file.sync(&ease::cx(), SyncKind::Full).await.unwrap();
    let raw = std::fs::File::open(dir.path().join("f")).unwrap();
    rustix::fs::fadvise(&raw, 1 << 20, None, rustix::fs::Advice::DontNeed).unwrap();
    // The first MiB is in memory, the rest may not be: a read across the border.
    let came = opened.file.read_at(&ease::cx(), (1 << 20) - 100_000, 300_000).await.unwrap();
    assert!(came == content[(1 << 20) - 100_000..][..300_000]);
    assert!(ease::read_all(&*opened.file).await == content);
    let all = opened.file.read_at(&ease::cx(), 0, u32::MAX).await.unwrap();
    assert!(all == content, "a read much longer than the file");
}

#[tokio::test]
async fn only_directories_are_served() {
    let (dir, _) = fresh_with(LocalConfig::default());
    std::fs::write(dir.path().join("f"), "").unwrap();
    let config = LocalConfig::default;
    ease::fails(LocalVolume::open(&dir.path().join("f"), config()), ErrorKind::NotADirectory);
    ease::fails(LocalVolume::open(&dir.path().join("none"), config()), ErrorKind::NotFound);
}

#[tokio::test]
#[ignore = "needs root"]
async fn what_cannot_be_finished_when_it_is_made_does_not_stay() {
    let dir = tempfile::tempdir().unwrap();
    // Room for the root and one more, and none for an extended attribute of it.
    let mount = Mount::new(&["-t", "tmpfs", "-o", "nr_inodes=2", "none"], dir.path());
    let volume = LocalVolume::open(mount.at(), LocalConfig::default()).unwrap();
    if !volume.caps().dos_attributes {
        return eprintln!("skipped: tmpfs has no extended attributes of users here");
    }
    let dos = DosAttributes::HIDDEN;
    let how = OpenHow { dos, ..OpenHow::create(Create::New) };
    fails(volume.open(&cx(), &p("f"), how).await, ErrorKind::NoSpace);
    let change = Change::MakeDir { path: p("d"), mode: 0o700, dos, maker: None };
    fails(volume.apply(&cx(), &change).await, ErrorKind::NoSpace);
    assert_eq!(std::fs::read_dir(mount.at()).unwrap().count(), 0);
}

/// A directory that may be read and not passed.
#[test]
fn entries_that_cannot_be_looked_at_are_left_out() {
    as_nobody(|| async {
        let (dir, volume) = fresh();
        let closed = dir.path().join("d");
        std::fs::create_dir(&closed).unwrap();
        std::fs::write(closed.join("f"), "").unwrap();
        assert_eq!(ease::names(&*volume, "d").await, ["f"]);
        let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&closed, mode(0o400)).unwrap();
        assert_eq!(ease::names(&*volume, "d").await, [""; 0]);
        std::fs::set_permissions(&closed, mode(0o700)).unwrap();
    });
}
