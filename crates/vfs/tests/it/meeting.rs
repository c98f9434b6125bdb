//! What others change at the origin just before a change of ours: its notice tells the state that ours has led to.

use crate::caching::{Holder, hold, until, watched};
use crate::tools::{DELETE, READ, Site, WRITE};
use bytes::Bytes;
use origin_local::{LocalConfig, LocalVolume};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use testkit::ease::{changes_are_told, cx, p, put};
use testkit::{FaultVolume, MemVolume, Op};
use vfs::{Access, Caching, Disposition, Lease, LeaseId, Open, OpenRequest, RenameHow, Vfs, VfsConfig};
use volume::{DosAttributes, Named, OpenHow, SetAttr, Time, Volume};

pub const R: Caching = Caching::READ;
pub const RWH: Caching = Caching::all();
const TOLD: [(Caching, bool); 1] = [(Caching::empty(), false)];

/// Changes of ours that leave content as it is.
pub const OURS: [&str; 8] =
    ["close", "close after reading", "hide", "date", "link", "rename", "attribute", "open"];

/// What somebody else has here open when he does `what`.
pub async fn other(site: &Site, what: &str) -> Arc<Open> {
    let access = match what {
        "close" | "date" => WRITE,
        _ => READ | DELETE | Access::WRITE_ATTRIBUTES,
    };
    site.open("file", access).await
}

pub async fn do_it(site: &Site, other: &Open, what: &str) {
    let hidden = SetAttr { dos: Some(DosAttributes::HIDDEN), ..SetAttr::default() };
    let dated = SetAttr { mtime: Some(Time::now()), ..SetAttr::default() };
    match what {
        "close" | "close after reading" => drop(other.close(&cx()).await.unwrap()),
        "hide" => drop(other.set_attr(&cx(), &hidden).await.unwrap()),
        "date" => drop(other.set_attr(&cx(), &dated).await.unwrap()),
        "link" => other.link(&cx(), &p("second"), RenameHow::default()).await.unwrap(),
        "rename" => drop(other.rename(&cx(), &p("renamed"), RenameHow::default()).await.unwrap()),
        "attribute" => {
            let value = Some(Bytes::from_static(b"value"));
            other.set_named(&cx(), &Named::extended("name"), value).await.unwrap();
        }
        _ => {
            // An open sees it first.
            let looking = site.open("file", Access::READ_ATTRIBUTES | Access::WRITE_ATTRIBUTES).await;
            looking.set_attr(&cx(), &hidden).await.unwrap();
        }
    }
}

pub async fn reader(site: &Site) -> Holder {
    let reader = hold(site, "file", R, |request| request.access = READ).await;
    assert_eq!(reader.got, R);
    reader
}

#[tokio::test]
async fn what_others_changed_just_before_a_change_of_ours_is_told() {
    for what in OURS {
        let site = watched().await;
        put(&*site.mem, "file", "before").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let (reader, other) = (reader(&site).await, other(&site, what).await);
        let how = OpenHow { access: volume::Access::WRITE, ..OpenHow::read() };
        let foreign = site.mem.other().open(&cx(), &p("file"), how).await.unwrap().file;
        foreign.write_at(&cx(), 0, Bytes::from_static(b"theirs")).await.unwrap();
        // Nothing has waited: the notice is not yet read.
        do_it(&site, &other, what).await;
        until(what, || reader.is_told()).await;
        assert_eq!(reader.told(), TOLD, "{what}");
    }
}

/// A local directory with a file, served while it tells of changes, of which the calls are counted.
async fn local() -> (tempfile::TempDir, Arc<FaultVolume>, Site) {
    local_with(LocalConfig::default()).await
}

pub async fn local_with(config: LocalConfig) -> (tempfile::TempDir, Arc<FaultVolume>, Site) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "before").unwrap();
    let volume = LocalVolume::open(dir.path(), config).unwrap();
    let counted = FaultVolume::new(volume);
    let site = Site { vfs: Vfs::new(counted.clone(), VfsConfig::default()), mem: MemVolume::new() };
    changes_are_told(|| site.vfs.freshness()).await;
    (dir, counted, site)
}

/// Long enough for a local volume to tell of what has happened.
pub async fn all_is_told() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_local_origin_too() {
    for what in OURS {
        let (dir, _, site) = local().await;
        let (reader, other) = (reader(&site).await, other(&site, what).await);
        let mut foreign = std::fs::OpenOptions::new().write(true).open(dir.path().join("file")).unwrap();
        all_is_told().await;
        assert!(reader.told().is_empty(), "{what}: nobody has changed anything");
        foreign.write_all(b"theirs").unwrap();
        do_it(&site, &other, what).await;
        until(what, || reader.is_told()).await;
        assert_eq!(reader.told(), TOLD, "{what}");
    }
}

/// As a client unpacks an archive.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_works_alone_on_a_file_keeps_what_he_caches_and_nobody_looks_oftener() {
    let (_dir, counted, site) = local().await;
    let leased = |request: &mut OpenRequest| {
        request.access = WRITE | DELETE;
        request.disposition = Disposition::OpenIf;
        request.lease = Some(Lease { id: LeaseId { client: 7, key: 7 }, epoch: Some(1), dirs: true });
    };
    let kept = hold(&site, "new", RWH, leased).await;
    assert_eq!(kept.got, RWH);
    let works = hold(&site, "new", RWH, leased).await.open;
    counted.counts().reset();
    let dated = SetAttr { mtime: Some(Time(1 << 60)), ..SetAttr::default() };
    let hidden = SetAttr { dos: Some(DosAttributes::HIDDEN), ..SetAttr::default() };
    works.set_attr(&cx(), &dated).await.unwrap();
    works.write(&cx(), 0, Bytes::from_static(b"content")).await.unwrap();
    works.write(&cx(), 7, Bytes::from_static(b"more")).await.unwrap();
    works.set_attr(&cx(), &dated).await.unwrap();
    works.set_attr(&cx(), &hidden).await.unwrap();
    works.rename(&cx(), &p("named"), RenameHow::default()).await.unwrap();
    works.close(&cx()).await.unwrap();
    all_is_told().await;
    assert!(kept.told().is_empty());
    let again = hold(&site, "named", RWH, leased).await;
    assert_eq!(again.got, RWH);
    again.open.close(&cx()).await.unwrap();
    all_is_told().await;
    assert!(kept.told().is_empty());
    let counts = counted.counts();
    let looks = counts.of(Op::Attr);
    assert!(
        looks <= 4,
        "before it sets a time and has not written, before it writes then, and after each write: {looks}"
    );
    assert!(counts.of(Op::Stat) <= 2, "for the rename and the open: {}", counts.of(Op::Stat));
}

/// Emptying is a change of content: what it leads to is no foreign doing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_empties_a_file_keeps_what_he_gets() {
    let (_dir, _counted, site) = local().await;
    let reads = hold(&site, "file", R, |_| {}).await;
    reads.open.write(&cx(), 0, Bytes::from_static(b"content")).await.unwrap();
    site.open("file", READ).await.close(&cx()).await.unwrap();
    let empties = hold(&site, "file", R, |request| request.disposition = Disposition::Overwrite).await;
    assert_eq!(empties.got, R);
    all_is_told().await;
    assert!(empties.told().is_empty());
}

/// Nothing was changed, of the file or of what it carries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_might_have_written_and_has_not_breaks_nothing() {
    let (_dir, _counted, site) = local().await;
    site.stream("file", "s").await.close(&cx()).await.unwrap();
    let caches = |request: &mut OpenRequest| request.caching = RWH;
    let stream = site.try_stream("file", "s", READ, caches).await.unwrap();
    let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
    stream.open.listen(Arc::new(move |what| told.send(what).unwrap()));
    let reader = reader(&site).await;
    site.open("file", WRITE).await.close(&cx()).await.unwrap();
    all_is_told().await;
    assert!(hears.try_recv().is_err() && reader.told().is_empty());
}

/// A change of size is one of content, and the client that makes it goes on caching.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_change_after_we_have_set_the_size_is_told() {
    let (dir, _, site) = local().await;
    let leased = |request: &mut OpenRequest| {
        request.lease = Some(Lease { id: LeaseId { client: 7, key: 7 }, epoch: Some(1), dirs: true });
    };
    let holder = hold(&site, "file", RWH, leased).await;
    assert_eq!(holder.got, RWH);
    holder.open.set_size(&cx(), 6).await.unwrap();
    all_is_told().await;
    let mut foreign = std::fs::OpenOptions::new().write(true).open(dir.path().join("file")).unwrap();
    foreign.write_all(b"theirs").unwrap();
    let hidden = SetAttr { dos: Some(DosAttributes::HIDDEN), ..SetAttr::default() };
    holder.open.set_attr(&cx(), &hidden).await.unwrap();
    all_is_told().await;
    assert_eq!(holder.told(), [(Caching::empty(), true)]);
}

/// As `cp -p` and robocopy do it: the notice of the write tells what setting the time has led to, and is taken for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_written_and_set_the_time_hears_of_others_later() {
    let (dir, _, site) = local().await;
    // Somebody else has it open, too: nobody keeps writes back.
    let _other = site.open("file", READ).await;
    let leased = |request: &mut OpenRequest| {
        request.lease = Some(Lease { id: LeaseId { client: 7, key: 7 }, epoch: Some(1), dirs: true });
    };
    let writer = hold(&site, "file", R | Caching::HANDLE, leased).await;
    assert_eq!(writer.got, R | Caching::HANDLE);
    writer.open.write(&cx(), 0, Bytes::from_static(b"ours")).await.unwrap();
    let dated = SetAttr { mtime: Some(Time(1 << 60)), ..SetAttr::default() };
    writer.open.set_attr(&cx(), &dated).await.unwrap();
    // However long.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(writer.told().is_empty());
    std::fs::write(dir.path().join("file"), "theirs").unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(writer.told(), [(Caching::empty(), true)]);
}

/// Who has it open for writing and has written nothing knows nothing of what others have written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_might_have_written_and_has_not_hears_of_others_when_the_time_is_set() {
    let (dir, _, site) = local().await;
    let other = site.open("file", READ | Access::WRITE_ATTRIBUTES).await;
    let leased = |request: &mut OpenRequest| {
        request.lease = Some(Lease { id: LeaseId { client: 7, key: 7 }, epoch: Some(1), dirs: true });
    };
    let reader = hold(&site, "file", R | Caching::HANDLE, leased).await;
    all_is_told().await;
    let mut foreign = std::fs::OpenOptions::new().write(true).open(dir.path().join("file")).unwrap();
    foreign.write_all(b"theirs").unwrap();
    let dated = SetAttr { mtime: Some(Time(1 << 60)), ..SetAttr::default() };
    other.set_attr(&cx(), &dated).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(reader.told(), [(Caching::empty(), true)]);
}

/// Nor does who sets the time himself, a while after he has written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sets_the_time_hears_of_what_others_have_written_before() {
    for written in [false, true] {
        let (dir, _, site) = local().await;
        let leased = |request: &mut OpenRequest| {
            request.lease = Some(Lease { id: LeaseId { client: 7, key: 7 }, epoch: Some(1), dirs: true });
        };
        let holder = hold(&site, "file", RWH, leased).await;
        assert_eq!(holder.got, RWH);
        if written {
            holder.open.write(&cx(), 0, Bytes::from_static(b"ours")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1100)).await;
        }
        all_is_told().await;
        assert!(holder.told().is_empty());
        let mut foreign = std::fs::OpenOptions::new().write(true).open(dir.path().join("file")).unwrap();
        foreign.write_all(b"theirs").unwrap();
        let dated = SetAttr { mtime: Some(Time(1 << 60)), ..SetAttr::default() };
        holder.open.set_attr(&cx(), &dated).await.unwrap();
        all_is_told().await;
        assert_eq!(holder.told(), [(Caching::empty(), true)], "written {written}");
    }
}

/// What others made, and a client opens at once so that it might write, and closes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_others_made_is_told_though_we_open_and_close_it_at_once() {
    let (dir, _, site) = local().await;
    // The names of the directory are known by this.
    assert!(site.try_open("FILE2", READ, |_| {}).await.is_err());
    let watcher = site.open("", READ).await;
    let notify = tokio::spawn({
        let watcher = watcher.clone();
        async move { watcher.notify(vfs::Filter::FILE_NAME, false).await }
    });
    let listing = hold(&site, "", R, |request| {
        (request.access, request.want) = (READ, vfs::Want::Dir);
        request.disposition = Disposition::Open;
        request.lease = Some(Lease { id: LeaseId { client: 1, key: 1 }, epoch: Some(1), dirs: true });
    })
    .await;
    assert_eq!(listing.got, R);
    all_is_told().await;
    std::fs::write(dir.path().join("file2"), "theirs").unwrap();
    site.open("file2", WRITE).await.close(&cx()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let found = site.try_open("FILE2", READ, |_| {}).await.is_ok();
    let told = (!listing.told().is_empty(), notify.is_finished(), found);
    assert_eq!(
        told,
        (true, true, true),
        "who caches the listing, who watches, who spells it in another case"
    );
}

/// The same where something is changed: the notice that tells the name is taken for that of the change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_others_made_is_found_in_any_case_though_we_change_it_at_once() {
    let mut missed = Vec::new();
    for what in ["write", "hide", "date"] {
        let (dir, _, site) = local().await;
        assert!(site.try_open("FILE2", READ, |_| {}).await.is_err());
        std::fs::write(dir.path().join("file2"), "theirs").unwrap();
        let other = site.open("file2", WRITE).await;
        match what {
            "write" => other.write(&cx(), 0, Bytes::from_static(b"x")).await.unwrap(),
            what => do_it(&site, &other, what).await,
        }
        other.close(&cx()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        if site.try_open("FILE2", READ, |_| {}).await.is_err() {
            missed.push(what);
        }
    }
    assert!(missed.is_empty(), "it is not there in another case after {missed:?}");
}

/// The directory's names are read, since somebody asks for one that is not there, between that others make one and are told of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_others_made_is_told_as_such_though_the_names_are_read_before() {
    let (dir, _, site) = local().await;
    let watcher = site.open("", READ).await;
    let notify = tokio::spawn({
        let watcher = watcher.clone();
        async move { watcher.notify(vfs::Filter::FILE_NAME, false).await }
    });
    all_is_told().await;
    std::fs::write(dir.path().join("new"), "theirs").unwrap();
    assert!(site.try_open("desktop.ini", READ, |_| {}).await.is_err());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(notify.is_finished(), "who watches names hears nothing of it");
}
