//! The cache over a local directory: what others write there just before a change of ours, whose answer and notice tell
//! the version that both have led to.

use crate::{BLOCK, content, open, until};
use bytes::Bytes;
use layer_cache::{CacheConfig, CacheVolume};
use origin_local::{LocalConfig, LocalVolume};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;
use testkit::ease::{apply, changes_are_told, cx, get, p, remove};
use testkit::{FaultVolume, Op};
use volume::{Access, Change, Close, Create, DosAttributes, Fresh, Named, OpenHow, SetAttr, Time, Volume};

/// A cache over a local directory with a file, that is told of changes there.
struct Local {
    dir: tempfile::TempDir,
    _state: tempfile::TempDir,
    far: Arc<FaultVolume>,
    cache: Arc<CacheVolume>,
}

async fn local() -> Local {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(dir.path().join("file"), "before").unwrap();
    let far = FaultVolume::new(LocalVolume::open(dir.path(), LocalConfig::default()).unwrap());
    let config = CacheConfig::new(state.path().join("cache"), "local");
    let cache = CacheVolume::open(far.clone(), config).await.unwrap();
    changes_are_told(|| Some(cache.freshness())).await;
    Local { dir, _state: state, far, cache }
}

/// Long enough for a local volume to tell of what has happened, and for the first look at a file to be no reason any more
/// to take a notice for older.
async fn all_is_told() {
    tokio::time::sleep(Duration::from_millis(2500)).await;
}

fn hidden() -> SetAttr {
    SetAttr { dos: Some(DosAttributes::HIDDEN), ..SetAttr::default() }
}

fn dated() -> SetAttr {
    SetAttr { mtime: Some(Time(1 << 60)), ..SetAttr::default() }
}

/// The changes of ours, by name.
fn change(what: &str) -> Change {
    let (path, expect) = (p("file"), None);
    match what {
        "date" => Change::SetAttr { path, set: dated(), expect },
        "link" => Change::Link { from: path, to: p("second"), replace: false, expect },
        "rename" => Change::Rename { from: path, to: p("renamed"), replace: false, expect },
        "attribute" => {
            let (name, value) = (Named::extended("name"), Some(Bytes::from_static(b"value")));
            Change::SetNamed { path, name, value, expect }
        }
        _ => Change::SetAttr { path, set: hidden(), expect },
    }
}

async fn writer(local: &Local) -> Arc<dyn volume::File> {
    let how = OpenHow { access: Access::READ | Access::WRITE, ..OpenHow::read() };
    local.cache.open(&cx(), &p("file"), how).await.unwrap().file
}

async fn is_seen(what: &'static str) {
    let local = local().await;
    assert_eq!(get(&*local.cache, "file").await, b"before");
    let mut foreign = std::fs::OpenOptions::new().write(true).open(local.dir.path().join("file")).unwrap();
    let handle = if what == "handle" { Some(writer(&local).await) } else { None };
    all_is_told().await;
    assert_eq!(get(&*local.cache, "file").await, b"before");
    local.far.counts().reset();
    assert_eq!(get(&*local.cache, "file").await, b"before");
    assert_eq!(local.far.counts().of(Op::Read), 0, "{what}: it is cached");
    foreign.write_all(b"theirs").unwrap();
    match &handle {
        Some(handle) => drop(handle.set_attr(&cx(), &hidden()).await.unwrap()),
        None => drop(apply(&*local.cache, change(what)).await),
    }
    let name = if what == "rename" { "renamed" } else { "file" };
    until(what, || async { (get(&*local.cache, name).await == b"theirs").then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_wrote_just_before_a_change_of_ours_is_seen() {
    let all = ["hide", "date", "link", "rename", "attribute", "handle"];
    let all = all.map(|what| tokio::spawn(is_seen(what)));
    for one in all {
        one.await.unwrap();
    }
}

/// As a client unpacks an archive.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_here_stays_while_its_times_and_names_are_set() {
    let local = local().await;
    let how = OpenHow { access: Access::READ | Access::WRITE, ..OpenHow::create(Create::New) };
    let file = local.cache.open(&cx(), &p("new"), how).await.unwrap().file;
    file.set_attr(&cx(), &dated()).await.unwrap();
    file.write_at(&cx(), 0, Bytes::from(vec![7; 100_000])).await.unwrap();
    file.write_at(&cx(), 100_000, Bytes::from(vec![7; 100_000])).await.unwrap();
    for set in [dated(), hidden(), dated()] {
        file.set_attr(&cx(), &set).await.unwrap();
    }
    let rename = Change::Rename { from: p("new"), to: p("named"), replace: false, expect: None };
    apply(&*local.cache, rename).await;
    file.close(&cx(), Close::Commit).await.unwrap();
    all_is_told().await;
    assert_eq!(get(&*local.cache, "named").await, [7; 200_000]);
    assert_eq!(local.far.counts().of(Op::Read), 0, "all of it is ours");
}

/// What was written here long ago is as much a matter for others as what was fetched: `dated` just before our next write.
async fn is_seen_in_a_block_of_ours(dated_too: bool) {
    let local = local().await;
    let mut bytes = content(10 * BLOCK, 1);
    let path = local.dir.path().join("file");
    std::fs::write(&path, &bytes).unwrap();
    all_is_told().await;
    assert!(get(&*local.cache, "file").await == bytes);
    let (ours, mine) = (writer(&local).await, content(BLOCK, 2));
    ours.write_at(&cx(), 3 * BLOCK as u64, Bytes::from(mine.clone())).await.unwrap();
    bytes[3 * BLOCK..4 * BLOCK].copy_from_slice(&mine);
    // Longer than any echo; it stays open, as a database does.
    tokio::time::sleep(layer_cache::OWN_ECHO + Duration::from_secs(1)).await;
    assert!(get(&*local.cache, "file").await == bytes);
    let foreign = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    ours.write_at(&cx(), 5 * BLOCK as u64, Bytes::from_static(b"ours")).await.unwrap();
    foreign.write_all_at(b"theirs", 3 * BLOCK as u64).unwrap();
    if dated_too {
        ours.set_attr(&cx(), &dated()).await.unwrap();
    }
    bytes[5 * BLOCK..5 * BLOCK + 4].copy_from_slice(b"ours");
    bytes[3 * BLOCK..3 * BLOCK + 6].copy_from_slice(b"theirs");
    ours.close(&cx(), Close::Commit).await.unwrap();
    drop(ours);
    let seen = || async { (get(&*local.cache, "file").await == bytes).then_some(()) };
    until("what others wrote into a block of ours", seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_write_into_a_block_that_was_written_here_long_ago_is_seen() {
    tokio::join!(is_seen_in_a_block_of_ours(false), is_seen_in_a_block_of_ours(true));
}

/// What is open here, and what others write into it. It is `asked` for since, or all is only told.
async fn left_behind(local: &Local, asked: bool) -> Arc<dyn volume::File> {
    assert_eq!(get(&*local.cache, "file").await, b"before");
    let held = open(&*local.cache, "file").await;
    all_is_told().await;
    std::fs::write(local.dir.path().join("file"), "theirs").unwrap();
    all_is_told().await;
    if asked {
        assert_eq!(get(&*local.cache, "file").await, b"theirs");
    }
    held
}

async fn follows(asked: bool) {
    let local = local().await;
    let held = left_behind(&local, asked).await;
    apply(&*local.cache, change("rename")).await;
    assert_eq!(held.attr(&cx(), Fresh::Now).await.unwrap().size, 6);
    assert_eq!(held.read_at(&cx(), 0, 6).await.unwrap(), "theirs");
}

async fn outlives(asked: bool) {
    let local = local().await;
    let held = left_behind(&local, asked).await;
    remove(&*local.cache, "file").await;
    assert_eq!(held.read_at(&cx(), 0, 6).await.unwrap(), "theirs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_follows_its_name_and_outlives_it_after_others_have_changed_the_file() {
    tokio::join!(follows(false), follows(true), outlives(false), outlives(true));
}
