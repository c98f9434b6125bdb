//! What clients may cache, and what takes it from them.

use crate::tools::{READ, Site, WRITE, ask, site, word};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use testkit::ease::{changes_are_told, cx, p};
use testkit::{FaultVolume, Op};
use vfs::{
    AckRefused, BREAK_TIMEOUT, Break, Caching, Disposition, Open, OpenRequest, Range, RenameHow, Share, Tried,
};
use volume::{Change, DosAttributes, FileId, SetAttr, Volume};

const NONE: Caching = Caching::empty();
const R: Caching = Caching::READ;
const RWH: Caching = Caching::all();

/// An open that caches, and what it was told.
pub struct Holder {
    pub open: Arc<Open>,
    pub got: Caching,
    told: Arc<Mutex<Vec<Break>>>,
}

impl Holder {
    pub fn is_told(&self) -> bool {
        !self.told.lock().is_empty()
    }

    /// What it keeps, and whether it is to answer.
    pub fn told(&self) -> Vec<(Caching, bool)> {
        let told = std::mem::take(&mut *self.told.lock());
        told.into_iter().map(|what| (what.left, what.acknowledge)).collect()
    }
}

pub async fn hold(site: &Site, path: &str, wanted: Caching, change: impl FnOnce(&mut OpenRequest)) -> Holder {
    let opened = site
        .try_open(path, WRITE, |request| {
            request.caching = wanted;
            request.disposition = Disposition::OpenIf;
            change(request);
        })
        .await
        .unwrap();
    let told: Arc<Mutex<Vec<Break>>> = Arc::default();
    let ear = told.clone();
    opened.open.listen(Arc::new(move |what| ear.lock().push(what)));
    Holder { open: opened.open, got: opened.granted.caching, told }
}

/// A served volume that has begun to tell of changes.
pub async fn watched() -> Site {
    let site = site();
    changes_are_told(|| site.vfs.freshness()).await;
    site
}

/// Whether opening waits for somebody.
async fn waits(site: &Site, request: OpenRequest) -> bool {
    matches!(site.vfs.try_open(&cx(), &request).await, Ok(Tried::Breaking(_)))
}

#[tokio::test]
async fn one_alone_gets_all_and_two_read() {
    let site = watched().await;
    let first = hold(&site, "file", RWH, |_| {}).await;
    assert_eq!(first.got, RWH);
    let look = site.try_open("file", vfs::Access::READ_ATTRIBUTES, |_| {}).await.unwrap();
    assert!(first.told().is_empty(), "who looks at attributes is in nobody's way");
    look.open.close(&cx()).await.unwrap();

    let second = tokio::spawn({
        let (vfs, request) = (site.vfs.clone(), OpenRequest { caching: RWH, ..ask("file", READ) });
        async move { vfs.open(&cx(), request).await.unwrap() }
    });
    while first.told.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(first.told(), [(R, true)]);
    assert!(!second.is_finished());
    assert_eq!(first.open.acknowledge(R), Ok(R));
    assert_eq!(second.await.unwrap().granted.caching, R);
    assert_eq!(first.open.acknowledge(NONE), Err(AckRefused::NotBreaking));
}

#[tokio::test]
async fn closing_answers_too_also_when_it_removes_the_name() {
    let site = watched().await;
    let delete = |request: &mut OpenRequest| {
        request.access |= vfs::Access::DELETE;
        request.delete_on_close = true;
    };
    let first = hold(&site, "file", RWH, delete).await;
    let second = tokio::spawn({
        let vfs = site.vfs.clone();
        let request = OpenRequest { disposition: Disposition::OpenIf, ..ask("file", READ) };
        async move { vfs.open(&cx(), request).await.unwrap().action }
    });
    while first.told.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    first.open.close(&cx()).await.unwrap();
    assert_eq!(second.await.unwrap(), vfs::Action::Created);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_is_not_waited_for_longer_than_the_limit() {
    let site = watched().await;
    let first = hold(&site, "file", RWH, |_| {}).await;
    let began = tokio::time::Instant::now();
    let cx = cx().within(BREAK_TIMEOUT * 2);
    site.vfs.open(&cx, ask("file", READ)).await.unwrap();
    assert!(began.elapsed() >= BREAK_TIMEOUT);
    assert_eq!(first.open.acknowledge(R), Err(AckRefused::TooMuch));
}

#[tokio::test]
async fn a_batch_holder_may_close_before_an_open_is_refused_and_an_exclusive_one_is_not_asked() {
    let site = watched().await;
    let alone = |request: &mut OpenRequest| request.share = Share::empty();
    let batch = hold(&site, "batch", RWH, alone).await;
    assert!(waits(&site, ask("batch", READ)).await);
    assert_eq!(batch.told(), [(R, true)]);
    batch.open.acknowledge(R).unwrap();
    assert!(matches!(site.vfs.open(&cx(), ask("batch", READ)).await, Err(vfs::Error::SharingViolation)));

    let exclusive = hold(&site, "exclusive", R | Caching::WRITE, alone).await;
    let refused = site.vfs.open(&cx(), ask("exclusive", READ)).await;
    assert!(matches!(refused, Err(vfs::Error::SharingViolation)) && exclusive.told().is_empty());
}

#[tokio::test]
async fn changing_content_breaks_who_reads_from_a_cache() {
    let site = watched().await;
    let broken = [(NONE, false)];
    for change in ["write", "size", "lock", "empty"] {
        let reader = hold(&site, change, R, |_| {}).await;
        let other = site.open(change, WRITE).await;
        assert!(reader.told().is_empty());
        match change {
            "write" => other.write(&cx(), 0, Bytes::from_static(b"x")).await.unwrap(),
            "size" => drop(other.set_size(&cx(), 3).await.unwrap()),
            "lock" => other.try_lock(Range::new(0, 1), true).unwrap(),
            _ => {
                let emptied = site.try_open(change, WRITE, |r| r.disposition = Disposition::Overwrite).await;
                emptied.unwrap();
            }
        }
        assert_eq!(reader.told(), broken, "{change}");
    }
    let own = hold(&site, "own", RWH, |_| {}).await;
    own.open.write(&cx(), 0, Bytes::from_static(b"x")).await.unwrap();
    assert!(own.told().is_empty(), "who caches alone changes what it wants");
}

/// Who empties a file begins to cache it, whatever is locked there.
#[tokio::test]
async fn who_began_to_cache_while_a_lock_was_waited_for_is_told_when_it_is_there() {
    let site = watched().await;
    let (carol, range) = (site.create("file").await, Range::new(0, 1));
    carol.try_lock(range, true).unwrap();
    let alice = site.open("file", WRITE).await;
    let locks = tokio::spawn({
        let alice = alice.clone();
        async move { alice.lock(range, true).await }
    });
    tokio::task::yield_now().await;
    let bob = hold(&site, "file", R, |request| request.disposition = Disposition::Overwrite).await;
    assert_eq!(bob.got, R);
    assert!(!locks.is_finished() && bob.told().is_empty());
    carol.unlock(range).unwrap();
    locks.await.unwrap().unwrap();
    assert_eq!(bob.told(), [(NONE, false)]);
}

#[tokio::test]
async fn a_name_that_moves_asks_caches_to_close() {
    let site = watched().await;
    site.make_dir("dir").await.close(&cx()).await.unwrap();
    let below = hold(&site, "dir/file", RWH, |_| {}).await;
    let dir = site.open("dir", READ | vfs::Access::DELETE).await;
    let renaming = tokio::spawn(async move { dir.rename(&cx(), &p("other"), RenameHow::default()).await });
    while below.told.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    below.open.close(&cx()).await.unwrap();
    renaming.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_opened_while_a_directory_waits_to_move_stands_against_it_at_the_end() {
    let site = watched().await;
    site.make_dir("dir").await.close(&cx()).await.unwrap();
    let first = hold(&site, "dir/first", RWH, |_| {}).await;
    let second = hold(&site, "dir/second", RWH, |_| {}).await;
    let dir = site.open("dir", READ | vfs::Access::DELETE).await;
    let renaming = tokio::spawn(async move { dir.rename(&cx(), &p("other"), RenameHow::default()).await });
    until("the first is asked", || !first.told.lock().is_empty()).await;
    let late = site.create("dir/late").await;
    first.open.close(&cx()).await.unwrap();
    until("the second is asked", || !second.told.lock().is_empty()).await;
    second.open.close(&cx()).await.unwrap();
    assert_eq!(word(renaming.await.unwrap()), "AccessDenied");
    late.close(&cx()).await.unwrap();
}

#[tokio::test]
async fn a_change_at_the_origin_breaks_all() {
    let site = watched().await;
    let holder = hold(&site, "file", RWH, |_| {}).await;
    let gone = Change::Remove { path: p("file"), dir: false, expect: None::<FileId> };
    site.mem.apply(&cx(), &gone).await.unwrap();
    for _ in 0..1000 {
        if !holder.told.lock().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(holder.told(), [(NONE, true)]);
}

/// Waits for what the origin's notices bring, which nobody tells the end of.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..5000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn a_foreign_change_of_a_file_that_was_written_here_breaks_and_our_own_does_not() {
    let site = watched().await;
    let holder = hold(&site, "file", RWH, |_| {}).await;
    let dir = site.open("", READ).await;
    let noticed = tokio::spawn(async move { dir.notify(vfs::Filter::SIZE, false).await });
    tokio::task::yield_now().await;
    let looked = |times| {
        let counts = site.mem.counts();
        move || counts.of(testkit::Op::Attr) >= times
    };
    for round in 1..4 {
        holder.open.write(&cx(), 0, Bytes::from(vec![1; round])).await.unwrap();
        until("the state after writing is looked at", looked(round as u64)).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(holder.told().is_empty(), "the echo of its own writing");
    }
    assert!(!noticed.is_finished(), "our own writing is told by its close");
    testkit::ease::put(&*site.mem.other(), "file", "theirs").await;
    until("the holder is told", || !holder.told.lock().is_empty()).await;
    assert_eq!(holder.told(), [(NONE, true)]);
    until("the watcher is told", || noticed.is_finished()).await;
}

#[tokio::test]
async fn a_foreign_change_breaks_readers_of_a_file_that_is_being_written_here() {
    let site = watched().await;
    let writer = hold(&site, "file", NONE, |_| {}).await;
    writer.open.write(&cx(), 0, Bytes::from_static(b"ours")).await.unwrap();
    let reader = hold(&site, "file", R, |_| {}).await;
    assert_eq!(reader.got, R);
    testkit::ease::put(&*site.mem.other(), "file", "theirs").await;
    until("the reader is told", || !reader.told.lock().is_empty()).await;
    assert_eq!(reader.told(), [(NONE, false)]);
}

/// A served volume of which calls can be held up, while it tells of changes.
async fn held_up() -> (Arc<FaultVolume>, Site) {
    let mem = testkit::MemVolume::new();
    let faults = FaultVolume::new(mem.clone());
    let site = Site { vfs: vfs::Vfs::new(faults.clone(), vfs::VfsConfig::default()), mem };
    changes_are_told(|| site.vfs.freshness()).await;
    (faults, site)
}

#[tokio::test]
async fn what_others_do_to_a_name_while_we_change_it_breaks() {
    let hidden = SetAttr { dos: Some(DosAttributes::HIDDEN), ..SetAttr::default() };
    for removed in [false, true] {
        let (faults, site) = held_up().await;
        testkit::ease::put(&*site.mem, "file", "before").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let reader = hold(&site, "file", R, |request| request.access = READ).await;
        assert_eq!(reader.got, R);
        let changer = site.open("file", vfs::Access::WRITE_ATTRIBUTES).await;
        let gate = faults.gate(Op::Apply);
        let changing = tokio::spawn(async move { changer.set_attr(&cx(), &hidden).await });
        gate.arrived(1).await;
        let other = site.mem.other();
        match removed {
            true => testkit::ease::remove(&*other, "file").await,
            false => drop(testkit::ease::put(&*other, "file", "theirs").await),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        gate.release();
        assert_eq!(changing.await.unwrap().is_err(), removed);
        until("the reader is told", || !reader.told.lock().is_empty()).await;
        assert_eq!(reader.told(), [(NONE, false)]);
    }
}

#[tokio::test]
async fn who_finds_a_file_by_another_name_while_it_is_emptied_is_told() {
    let (faults, site) = held_up().await;
    testkit::ease::put(&*site.mem, "file", "before").await;
    let (from, to) = (p("file"), p("further"));
    let further = Change::Link { from, to, replace: false, expect: None };
    testkit::ease::apply(&*site.mem, further).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let gate = faults.gate(Op::Open);
    let vfs = site.vfs.clone();
    let emptying = OpenRequest { disposition: Disposition::Overwrite, caching: R, ..ask("file", READ) };
    let emptying = tokio::spawn(async move { vfs.open(&cx(), emptying).await.unwrap() });
    gate.arrived(1).await;
    let looks = |request: &mut OpenRequest| request.access = vfs::Access::READ_ATTRIBUTES;
    let found = hold(&site, "further", R, looks).await;
    assert_eq!(found.got, R);
    // Not by what the origin tells of it, which is ours.
    site.mem.mute(true);
    gate.release();
    let emptied = emptying.await.unwrap();
    assert_eq!(found.told(), [(NONE, false)]);
    assert_eq!(emptied.open.caching(), R, "who empties it knows of that");
}

#[tokio::test]
async fn our_own_change_of_a_name_breaks_no_reader_by_its_echo() {
    let hidden = SetAttr { dos: Some(DosAttributes::HIDDEN), ..SetAttr::default() };
    let site = watched().await;
    testkit::ease::put(&*site.mem, "file", "before").await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let reader = hold(&site, "file", R, |request| request.access = READ).await;
    let changer = site.open("file", vfs::Access::WRITE_ATTRIBUTES).await;
    changer.set_attr(&cx(), &hidden).await.unwrap();
    changer.close(&cx()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(reader.told().is_empty());
}

#[tokio::test]
async fn a_file_that_others_put_in_place_of_another_breaks_who_caches_that() {
    let site = watched().await;
    let holder = hold(&site, "file", RWH, |_| {}).await;
    assert_eq!(holder.got, RWH);
    let other = site.mem.other();
    testkit::ease::put(&*other, "new", "theirs").await;
    testkit::ease::rename(&*other, "new", "file").await;
    until("the holder is told", || !holder.told.lock().is_empty()).await;
    assert_eq!(holder.told(), [(NONE, true)]);
}
