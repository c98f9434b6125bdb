use crate::caching::{Holder, hold, watched};
use crate::tools::{DELETE, READ, Site, WRITE, word};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use testkit::ease::{apply, changes_are_told, cx, mkdir, p, put, within};
use testkit::{FaultVolume, MemConfig, MemVolume, Op};
use vfs::{
    Access, Caching, Disposition, Filter, Lease, LeaseId, Limits, NotifyBatch, Open, OpenRequest,
    ReadonlyTarget, RenameHow, Vfs, VfsConfig, Want,
};
use volume::{Change, DosAttributes, Freshness, OpenHow, SetAttr, Time, Volume};

const BROKEN: [(Caching, bool); 1] = [(Caching::empty(), false)];
const KEEP: RenameHow = RenameHow { replace: false, posix: false, readonly: ReadonlyTarget::Stays };

/// A volume that does not tell of changes: only our own operations are heard.
pub fn deaf() -> Site {
    let mut config = MemConfig::default();
    config.caps.watch = false;
    let mem = MemVolume::with(config);
    Site { vfs: Vfs::new(mem.clone(), VfsConfig::default()), mem }
}

/// Begins to watch; nothing has happened yet.
async fn watch(site: &Site, path: &str, filter: Filter, recursive: bool) -> Arc<Open> {
    let open = site.open(path, READ).await;
    begin(&open, filter, recursive).await;
    open
}

/// Begins to watch a directory.
pub async fn begin(open: &Open, filter: Filter, recursive: bool) {
    let nothing = tokio::select! {
        biased;
        told = open.notify(filter, recursive) => Some(told),
        () = std::future::ready(()) => None,
    };
    assert!(nothing.is_none());
}

pub async fn told(open: &Open) -> Vec<String> {
    match open.notify(Filter::empty(), false).await.unwrap() {
        NotifyBatch::Events(events) => {
            events.into_iter().map(|event| format!("{:?} {}", event.action, event.name)).collect()
        }
        NotifyBatch::Overflow => vec!["overflow".into()],
    }
}

#[tokio::test]
async fn own_operations_are_told_to_those_they_concern() {
    let site = deaf();
    mkdir(&*site.mem, "dir").await;
    mkdir(&*site.mem, "dir/sub").await;
    let names = Filter::FILE_NAME | Filter::DIR_NAME;
    let flat = watch(&site, "dir", names, false).await;
    let deep = watch(&site, "", names | Filter::SIZE, true).await;
    let dirs = watch(&site, "DIR", Filter::DIR_NAME, true).await;
    let file = site.create("dir/sub/file").await;
    file.write(&cx(), 0, Bytes::from_static(b"x")).await.unwrap();
    file.close(&cx()).await.unwrap();
    let file = site.open("dir/sub/file", DELETE).await;
    file.rename(&cx(), &p("dir/sub/new"), KEEP).await.unwrap();
    file.rename(&cx(), &p("dir/moved"), KEEP).await.unwrap();
    file.set_delete_on_close(&cx(), true).await.unwrap();
    file.close(&cx()).await.unwrap();
    site.make_dir("dir/made").await;
    assert_eq!(told(&flat).await, ["Added moved", "Removed moved", "Added made"]);
    assert_eq!(told(&dirs).await, ["Added made"]);
    assert_eq!(
        told(&deep).await,
        [
            "Added dir/sub/file",
            "Modified dir/sub/file",
            "RenamedOldName dir/sub/file",
            "RenamedNewName dir/sub/new",
            "Removed dir/sub/new",
            "Added dir/moved",
            "Removed dir/moved",
            "Added dir/made",
        ]
    );
}

#[tokio::test]
async fn emptying_and_setting_attributes() {
    let site = deaf();
    put(&*site.mem, "file", "x").await;
    let sizes = watch(&site, "", Filter::SIZE, false).await;
    let times = watch(&site, "", Filter::LAST_ACCESS, false).await;
    let opened = site.try_open("file", WRITE, |r| r.disposition = Disposition::Overwrite).await.unwrap();
    let set = volume::SetAttr { atime: Some(volume::Time(5)), ..volume::SetAttr::default() };
    opened.open.set_attr(&cx(), &set).await.unwrap();
    assert_eq!(told(&sizes).await, ["Modified file"]);
    assert_eq!(told(&times).await, ["Modified file"]);
}

#[tokio::test]
async fn changes_at_the_origin_are_told_and_our_own_only_once() {
    let site = watched().await;
    let watcher = watch(&site, "", Filter::FILE_NAME | Filter::DIR_NAME, true).await;
    let file = site.create("ours").await;
    file.rename(&cx(), &p("ours2"), KEEP).await.unwrap();
    file.set_delete_on_close(&cx(), true).await.unwrap();
    file.close(&cx()).await.unwrap();
    let other = site.mem.other();
    put(&*other, "theirs", "x").await;
    testkit::ease::rename(&*other, "theirs", "theirs2").await;
    testkit::ease::remove(&*other, "theirs2").await;
    let mut all = Vec::new();
    while all.last().is_none_or(|last| last != "Removed theirs2") {
        all.extend(told(&watcher).await);
    }
    let expect = [
        "Added ours",
        "RenamedOldName ours",
        "RenamedNewName ours2",
        "Removed ours2",
        "Added theirs",
        "RenamedOldName theirs",
        "RenamedNewName theirs2",
        "Removed theirs2",
    ];
    assert_eq!(all, expect);
}

/// Of a removal and a name made anew at once an origin may tell the end alone.
#[tokio::test]
async fn a_removal_of_ours_that_is_never_told_hides_none_of_others() {
    for taken in [false, true] {
        let site = watched().await;
        let watcher = watch(&site, "", Filter::FILE_NAME, true).await;
        let file = site.create("file").await;
        file.set_delete_on_close(&cx(), true).await.unwrap();
        site.mem.mute(true);
        file.close(&cx()).await.unwrap();
        site.create("file").await.close(&cx()).await.unwrap();
        site.mem.mute(false);
        let other = site.mem.other();
        match taken {
            true => testkit::ease::rename(&*other, "file", "taken").await,
            false => testkit::ease::remove(&*other, "file").await,
        };
        let mut all = Vec::new();
        within(Duration::from_secs(10), "the change of others", async {
            while all.len() < 4 + usize::from(taken) {
                all.extend(told(&watcher).await);
            }
        })
        .await;
        assert_eq!(all[..3], ["Added file", "Removed file", "Added file"]);
        let expect: &[&str] =
            if taken { &["RenamedOldName file", "RenamedNewName taken"] } else { &["Removed file"] };
        assert_eq!(all[3..], *expect);
    }
}

#[tokio::test]
async fn a_removal_of_ours_that_is_unknown_instead_hides_none_of_others() {
    let site = watched().await;
    let watcher = watch(&site, "", Filter::FILE_NAME, true).await;
    let file = site.create("file").await;
    file.set_delete_on_close(&cx(), true).await.unwrap();
    site.mem.mute(true);
    file.close(&cx()).await.unwrap();
    site.mem.mute(false);
    assert_eq!(told(&watcher).await, ["Added file", "Removed file"]);
    site.mem.lose_events(p(""));
    let theirs = async {
        assert_eq!(told(&watcher).await, ["overflow"]);
        let other = site.mem.other();
        put(&*other, "file", "theirs").await;
        testkit::ease::remove(&*other, "file").await;
        let mut all = Vec::new();
        while all.last().is_none_or(|last| last != "Removed file") {
            all.extend(told(&watcher).await);
        }
    };
    within(Duration::from_secs(10), "the removal of others", theirs).await;
}

#[tokio::test]
async fn a_further_name_of_a_file_that_is_written_here_is_told() {
    for replaced in [false, true] {
        let site = watched().await;
        mkdir(&*site.mem, "dir").await;
        if replaced {
            put(&*site.mem, "dir/name", "another").await;
        }
        let writer = hold(&site, "file", Caching::all(), |_| {}).await;
        let old = SetAttr { btime: Some(Time(1)), ..SetAttr::default() };
        writer.open.set_attr(&cx(), &old).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let watcher = watch(&site, "dir", Filter::FILE_NAME, false).await;
        let listing = hold(&site, "dir", Caching::READ, |request| {
            (request.access, request.disposition, request.want) = (READ, Disposition::Open, Want::Dir);
            request.lease = Some(Lease { id: LeaseId { client: 1, key: 1 }, epoch: None, dirs: true });
        })
        .await;
        let reads = |request: &mut OpenRequest| request.access = READ;
        let there = if replaced { Some(hold(&site, "dir/name", Caching::READ, reads).await) } else { None };
        writer.open.write(&cx(), 0, Bytes::from_static(b"ours")).await.unwrap();
        let link = Change::Link { from: p("file"), to: p("dir/name"), replace: replaced, expect: None };
        apply(&*site.mem.other(), link).await;
        let event = within(Duration::from_secs(10), "the new name", told(&watcher)).await;
        assert!(event.contains(&"Added name".to_owned()), "{event:?}");
        assert_eq!(listing.told(), BROKEN);
        assert!(there.is_none_or(|there| there.told() == BROKEN), "another file has its name");
        assert!(writer.told().is_empty(), "who writes it has most likely heard of his own");
    }
}

#[tokio::test]
async fn a_directory_of_ours_in_another_state_is_not_new() {
    let mem = MemVolume::new();
    // Without indexes nothing but the age of a name says whether it is new.
    let limits = Limits { index_names: 0, ..Limits::default() };
    let site =
        Site { vfs: Vfs::new(mem.clone(), VfsConfig { limits, ..VfsConfig::default() }), mem: mem.clone() };
    changes_are_told(|| site.vfs.freshness()).await;
    let watcher = watch(&site, "", Filter::DIR_NAME | Filter::ATTRIBUTES, true).await;
    site.make_dir("ours").await.close(&cx()).await.unwrap();
    let dos = Some(DosAttributes::HIDDEN);
    let change =
        |path| Change::SetAttr { path: p(path), set: SetAttr { dos, ..SetAttr::default() }, expect: None };
    apply(&*mem.other(), change("ours")).await;
    mkdir(&*mem.other(), "theirs").await;
    let mut all = Vec::new();
    while all.last().is_none_or(|last| last != "Added theirs") {
        all.extend(told(&watcher).await);
    }
    assert_eq!(all, ["Added ours", "Modified ours", "Added theirs"]);
}

#[tokio::test]
async fn a_move_at_the_origin_takes_opens_along() {
    let site = watched().await;
    mkdir(&*site.mem, "dir").await;
    let file = site.create("dir/file").await;
    testkit::ease::rename(&*site.mem.other(), "dir", "new").await;
    while file.path().unwrap() != p("new/file") {
        tokio::task::yield_now().await;
    }
    file.set_delete_on_close(&cx(), true).await.unwrap();
    file.close(&cx()).await.unwrap();
    assert!(testkit::ease::names(&*site.mem, "new").await.is_empty());
}

#[tokio::test]
async fn too_much_and_lost_events_mean_list_again() {
    let limits = Limits { notify_events: 3, ..Limits::default() };
    let mem = MemVolume::new();
    let vfs = Vfs::new(mem.clone(), VfsConfig { limits, ..VfsConfig::default() });
    let site = Site { vfs, mem };
    changes_are_told(|| site.vfs.freshness()).await;
    let watcher = watch(&site, "", Filter::FILE_NAME, false).await;
    for i in 0..4 {
        site.create(&format!("file {i}")).await;
    }
    assert_eq!(told(&watcher).await, ["overflow"]);
    site.create("after").await;
    assert_eq!(told(&watcher).await, ["Added after"]);
    site.mem.lose_events(p(""));
    assert_eq!(told(&watcher).await, ["overflow"]);
    // What was asked for and did not get there.
    site.create("another").await;
    assert_eq!(told(&watcher).await, ["Added another"]);
    watcher.lose_changes();
    assert_eq!(told(&watcher).await, ["overflow"]);
}

#[tokio::test]
async fn what_watchers_of_an_account_leave_unread_does_not_grow_and_is_no_matter_of_others() {
    let limits = Limits { notify_bytes_per_account: 2_048, ..Limits::default() };
    let mem = MemVolume::new();
    let vfs = Vfs::new(mem.clone(), VfsConfig { limits, ..VfsConfig::default() });
    let site = Site { vfs, mem };
    for dir in ["a", "a/b", "a/b/c"] {
        mkdir(&*site.mem, dir).await;
    }
    let watch = async |path: &str, filter, account: &str| {
        let open = site.try_open(path, READ, |r| r.account = Some(account.into())).await.unwrap().open;
        begin(&open, filter, true).await;
        open
    };
    let mut idle = Vec::new();
    for dir in ["", "a", "a/b", "a/b/c"] {
        idle.push(watch(dir, Filter::FILE_NAME, "one").await);
        idle.push(watch(dir, Filter::FILE_NAME | Filter::SIZE, "one").await);
    }
    let other = watch("a/b/c", Filter::FILE_NAME, "two").await;
    for at in 0..20 {
        let name = format!("{at:0>100}");
        site.create(&format!("a/b/c/{name}")).await;
        assert_eq!(told(&other).await, [format!("Added {name}")]);
    }
    for open in &idle {
        assert_eq!(told(open).await, ["overflow"]);
    }
    // There is room again.
    site.create("a/b/c/last").await;
    assert_eq!(told(&idle[0]).await, ["Added a/b/c/last"]);
    for open in idle.drain(..) {
        open.close(&cx()).await.unwrap();
    }
    let again = watch("a/b/c", Filter::FILE_NAME, "one").await;
    for name in 0..9 {
        site.create(&format!("a/b/c/{name}")).await;
    }
    assert_eq!(told(&again).await.len(), 9, "what is closed keeps nothing");
}

#[tokio::test]
async fn watching_ends_with_the_open_and_with_the_directory() {
    let site = deaf();
    mkdir(&*site.mem, "dir").await;
    let (first, second) =
        (watch(&site, "dir", Filter::all(), false).await, watch(&site, "dir", Filter::all(), false).await);
    assert_eq!(site.vfs.opens().watchers, 2);
    let waiting = tokio::spawn({
        let first = first.clone();
        async move { first.notify(Filter::all(), false).await }
    });
    tokio::task::yield_now().await;
    first.close(&cx()).await.unwrap();
    assert_eq!(word(waiting.await.unwrap()), "Closed");
    let deleter = site.try_open("dir", DELETE, |r| r.delete_on_close = true).await.unwrap().open;
    let third = site.open("dir", READ).await;
    deleter.close(&cx()).await.unwrap();
    assert_eq!(word(second.notify(Filter::all(), false).await), "DeletePending");
    assert_eq!(
        word(third.notify(Filter::all(), false).await),
        "DeletePending",
        "it comes too late to be told"
    );
    third.close(&cx()).await.unwrap();
    second.close(&cx()).await.unwrap();
    assert_eq!(site.vfs.opens().watchers, 0);
    let file = site.create("file").await;
    assert_eq!(
        word(file.notify(Filter::all(), false).await),
        "InvalidArgument(\"only directories are watched\")"
    );
}

#[tokio::test]
async fn watchers_go_along_with_their_directory() {
    let site = deaf();
    mkdir(&*site.mem, "dir").await;
    let watcher = watch(&site, "dir", Filter::FILE_NAME, false).await;
    let dir = site.open("dir", DELETE).await;
    dir.rename(&cx(), &p("new"), KEEP).await.unwrap();
    site.create("new/file").await;
    assert_eq!(told(&watcher).await, ["Added file"]);
}

#[tokio::test]
async fn a_change_of_others_while_we_change_the_name_is_told() {
    for removed in [false, true] {
        let mem = MemVolume::new();
        let faults = FaultVolume::new(mem.clone());
        let site = Site { vfs: Vfs::new(faults.clone(), VfsConfig::default()), mem: mem.clone() };
        changes_are_told(|| site.vfs.freshness()).await;
        put(&*mem, "file", "before").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let changer = site.open("file", Access::WRITE_ATTRIBUTES).await;
        let watcher = watch(&site, "", Filter::FILE_NAME | Filter::SIZE, false).await;
        let gate = faults.gate(Op::Apply);
        let hidden = SetAttr { dos: Some(DosAttributes::HIDDEN), ..SetAttr::default() };
        let changing = tokio::spawn(async move { changer.set_attr(&cx(), &hidden).await });
        gate.arrived(1).await;
        match removed {
            true => testkit::ease::remove(&*mem.other(), "file").await,
            false => testkit::ease::rename(&*mem.other(), "file", "elsewhere").await,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        gate.release();
        changing.await.unwrap().unwrap_err();
        let told = within(Duration::from_secs(10), "the change of others", told(&watcher)).await;
        let expect: &[&str] = if removed { &["Removed file"] } else { &["overflow"] };
        assert_eq!(told, expect);
    }
}

/// What was learnt while nothing was told may be another by now.
#[tokio::test]
async fn names_learnt_before_changes_are_told_are_looked_up_again() {
    let site = watched().await;
    let other = site.mem.other();
    put(&*other, "First", "x").await;
    site.mem.promise(Freshness::Direct);
    site.open("FIRST", READ).await.close(&cx()).await.unwrap();
    site.mem.mute(true);
    put(&*other, "Second", "x").await;
    site.mem.mute(false);
    site.mem.promise(Freshness::Notified);
    tokio::time::sleep(Duration::from_millis(20)).await;
    site.open("SECOND", READ).await.close(&cx()).await.unwrap();
}

/// As `a_removal_of_ours_that_is_never_told_hides_none_of_others`, where others make the name again.
#[tokio::test]
async fn a_removal_of_ours_that_is_never_told_hides_no_removal_of_what_others_made() {
    let site = watched().await;
    let watcher = watch(&site, "", Filter::FILE_NAME, true).await;
    let file = site.create("file").await;
    file.set_delete_on_close(&cx(), true).await.unwrap();
    site.mem.mute(true);
    file.close(&cx()).await.unwrap();
    site.mem.mute(false);
    let other = site.mem.other();
    put(&*other, "file", "theirs").await;
    let mut all = Vec::new();
    within(Duration::from_secs(10), "the new name", async {
        while all.len() < 3 {
            all.extend(told(&watcher).await);
        }
    })
    .await;
    assert_eq!(all, ["Added file", "Removed file", "Added file"]);
    let listing = hold(&site, "", Caching::READ, |request| {
        (request.access, request.disposition, request.want) = (READ, Disposition::Open, Want::Dir);
        request.lease = Some(Lease { id: LeaseId { client: 1, key: 1 }, epoch: None, dirs: true });
    })
    .await;
    assert_eq!(listing.got, Caching::READ);
    testkit::ease::remove(&*other, "file").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(listing.told(), BROKEN, "who caches the listing shows a name that is gone");
    assert_eq!(within(Duration::from_secs(1), "the removal", told(&watcher)).await, ["Removed file"]);
}

/// At an origin without case a client may spell a name as it likes.
#[tokio::test]
async fn our_own_writing_is_no_news_where_case_does_not_matter() {
    for spelled in ["File", "FILE"] {
        let mut config = MemConfig::default();
        config.caps.case_sensitive = false;
        let mem = MemVolume::with(config);
        let site = Site { vfs: Vfs::new(mem.clone(), VfsConfig::default()), mem };
        changes_are_told(|| site.vfs.freshness()).await;
        put(&*site.mem, "File", "before").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let writer = hold(&site, spelled, Caching::all(), |_| {}).await;
        let watcher = watch(&site, "", Filter::FILE_NAME | Filter::SIZE, false).await;
        let listing = hold(&site, "", Caching::READ, |request| {
            (request.access, request.disposition, request.want) = (READ, Disposition::Open, Want::Dir);
            request.lease = Some(Lease { id: LeaseId { client: 1, key: 1 }, epoch: None, dirs: true });
        })
        .await;
        writer.open.write(&cx(), 0, Bytes::from_static(b"ours")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let heard = tokio::time::timeout(Duration::from_millis(100), told(&watcher)).await;
        assert!(heard.is_err(), "{spelled}: {heard:?}, though its close tells");
        assert!(listing.told().is_empty(), "{spelled}");
    }
}

#[tokio::test]
async fn what_an_open_has_seen_of_others_is_not_told_again_by_its_notice() {
    let site = watched().await;
    put(&*site.mem, "file", "before").await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let _known = site.open("file", READ).await;
    let watcher = watch(&site, "", Filter::SIZE | Filter::DIR_NAME, false).await;
    let how = OpenHow { access: volume::Access::WRITE, ..OpenHow::read() };
    let foreign = site.mem.other().open(&cx(), &p("file"), how).await.unwrap().file;
    foreign.write_at(&cx(), 0, Bytes::from_static(b"theirs")).await.unwrap();
    // Nothing has waited: the notice is not yet read.
    site.open("file", READ).await.close(&cx()).await.unwrap();
    assert_eq!(told(&watcher).await, ["Modified file"]);
    mkdir(&*site.mem.other(), "after").await;
    assert_eq!(within(Duration::from_secs(10), "what came after", told(&watcher)).await, ["Added after"]);
}

#[tokio::test]
async fn a_name_of_several_may_be_new_once() {
    let mem = MemVolume::new();
    let limits = Limits { index_names: 0, ..Limits::default() };
    let site =
        Site { vfs: Vfs::new(mem.clone(), VfsConfig { limits, ..VfsConfig::default() }), mem: mem.clone() };
    changes_are_told(|| site.vfs.freshness()).await;
    mem.mute(true);
    put(&*mem, "file", "content").await;
    apply(&*mem, Change::Link { from: p("file"), to: p("second"), replace: false, expect: None }).await;
    let set = |set: SetAttr| Change::SetAttr { path: p("file"), set, expect: None };
    apply(&*mem, set(SetAttr { btime: Some(Time(1)), ..SetAttr::default() })).await;
    mem.mute(false);
    let watcher = watch(&site, "", Filter::FILE_NAME | Filter::ATTRIBUTES, false).await;
    for (dos, expect) in [
        (DosAttributes::HIDDEN, &["Added file", "Modified file", "Added second", "Modified second"][..]),
        (DosAttributes::SYSTEM, &["Modified file", "Modified second"][..]),
    ] {
        apply(&*mem.other(), set(SetAttr { dos: Some(dos), ..SetAttr::default() })).await;
        assert_eq!(within(Duration::from_secs(10), "the change", told(&watcher)).await, expect);
    }
}

/// `file` in a directory that one client watches for sizes and another has listed, at a volume that can be made to fail.
struct Listed {
    site: Site,
    faults: Arc<FaultVolume>,
    watcher: Arc<Open>,
    listing: Holder,
}

async fn listed() -> Listed {
    let mem = MemVolume::new();
    let faults = FaultVolume::new(mem.clone());
    let site = Site { vfs: Vfs::new(faults.clone(), VfsConfig::default()), mem: mem.clone() };
    changes_are_told(|| site.vfs.freshness()).await;
    put(&*mem, "file", "content").await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let watcher = watch(&site, "", Filter::SIZE, false).await;
    let listing = hold(&site, "", Caching::READ, |request| {
        (request.access, request.disposition, request.want) = (READ, Disposition::Open, Want::Dir);
        request.lease = Some(Lease { id: LeaseId { client: 1, key: 1 }, epoch: None, dirs: true });
    })
    .await;
    Listed { site, faults, watcher, listing }
}

/// Emptied it is, though its client hears of a failure.
#[tokio::test]
async fn what_was_emptied_is_told_though_the_rest_of_the_open_fails() {
    let Listed { site, faults, watcher, listing } = listed().await;
    faults.fail(Op::SetAttr, 1, volume::ErrorKind::TimedOut);
    let emptied = site.try_open("file", WRITE, |r| r.disposition = Disposition::Overwrite).await;
    assert_eq!(word(emptied), "TimedOut");
    assert_eq!(testkit::ease::stat(&*site.mem, "file").await.size, 0);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(listing.told(), BROKEN, "who caches the listing shows a size that it does not have");
    assert_eq!(within(Duration::from_secs(1), "the size", told(&watcher)).await, ["Modified file"]);
}

/// A write through one open, whose end fails.
#[tokio::test]
async fn what_was_written_is_told_though_its_close_fails() {
    let Listed { site, faults, watcher, listing } = listed().await;
    let file = site.open("file", WRITE).await;
    file.write(&cx(), 0, Bytes::from_static(b"longer than before")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    faults.fail(Op::Close, 1, volume::ErrorKind::Io);
    file.close(&cx()).await.unwrap_err();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(listing.told(), BROKEN, "who caches the listing shows a size that it does not have");
    assert_eq!(within(Duration::from_secs(1), "the size", told(&watcher)).await, ["Modified file"]);
}

/// The notice of what others have done to it before comes after that.
#[tokio::test]
async fn a_name_that_we_make_right_after_others_have_taken_it_away_stays() {
    for moved in [false, true] {
        let site = watched().await;
        let other = site.mem.other();
        put(&*other, "Name", "theirs").await;
        // The names of the directory are known by this.
        assert!(site.try_open("none", READ, |_| {}).await.is_err());
        tokio::time::sleep(Duration::from_millis(20)).await;
        let watcher = watch(&site, "", Filter::FILE_NAME, false).await;
        match moved {
            true => testkit::ease::rename(&*other, "Name", "moved").await,
            false => testkit::ease::remove(&*other, "Name").await,
        };
        // Nothing has waited: the notice is not yet read.
        site.create("Name").await.close(&cx()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let expect: &[&str] = if moved { &["Added Name", "Added moved"] } else { &["Added Name"] };
        assert_eq!(told(&watcher).await, expect);
        site.open("NAME", READ).await.close(&cx()).await.unwrap();
    }
}
