//! Moves on a volume that tells names of other case apart and on one that does not: opens, leases, watchers and what is
//! known of directories follow what moved, and nothing else does.

use crate::caching::{Holder, hold};
use crate::notifying::{begin, told};
use crate::tools::{DELETE, LOOK, READ, Site, ask, word};
use std::sync::Arc;
use std::time::Duration;
use testkit::ease::{apply, changes_are_told, cx, exists, mkdir, p, put, within};
use testkit::{FaultVolume, MemConfig, MemVolume, Op};
use vfs::{
    Caching, Disposition, Filter, Lease, LeaseId, Links, Open, OpenRequest, ReadonlyTarget, RenameHow, Vfs,
    VfsConfig, Want,
};
use volume::{Change, VPath};

const PATIENCE: Duration = Duration::from_secs(5);
const HOW: RenameHow = RenameHow { replace: false, posix: true, readonly: ReadonlyTarget::Stays };

async fn site(case_sensitive: bool) -> Site {
    let mut config = MemConfig::default();
    config.caps.case_sensitive = case_sensitive;
    let mem = MemVolume::with(config);
    let site = Site { vfs: Vfs::new(mem.clone(), VfsConfig::default()), mem };
    changes_are_told(|| site.vfs.freshness()).await;
    site
}

async fn rename(site: &Site, from: &str, to: &str) {
    let open = site.open(from, DELETE).await;
    open.rename(&cx(), &p(to), HOW).await.unwrap();
    open.close(&cx()).await.unwrap();
}

async fn leased_dir(site: &Site, path: &str) -> Holder {
    let holder = hold(site, path, Caching::READ | Caching::HANDLE, |request| {
        (request.access, request.want, request.disposition) = (READ, Want::Dir, Disposition::Open);
        let id = LeaseId { client: 1, key: 1 };
        request.lease = Some(Lease { id, epoch: Some(1), dirs: true });
    })
    .await;
    assert!(holder.got.contains(Caching::READ), "{path}");
    holder
}

#[tokio::test]
async fn opens_below_follow_in_whatever_case_they_were_asked_for() {
    for case_sensitive in [true, false] {
        let site = site(case_sensitive).await;
        mkdir(&*site.mem, "dir").await;
        put(&*site.mem, "dir/file", "x").await;
        put(&*site.mem, "dir/doomed", "x").await;
        let file = site.open("DIR/FILE", READ).await;
        let doomed =
            site.try_open("Dir/doomed", DELETE, |ask| ask.delete_on_close = true).await.unwrap().open;
        for (from, to) in [("dir", "moved"), ("moved", "MOVED"), ("moved", "Moved")] {
            rename(&site, from, to).await;
            let path = file.path().unwrap();
            assert_eq!(path.parent(), Some(p(to)), "case sensitive {case_sensitive}: {from} to {to}, {path}");
        }
        doomed.close(&cx()).await.unwrap();
        assert!(!exists(&*site.mem, "Moved/doomed").await);
        let dir = site.open("Moved", DELETE).await;
        let below_itself = word(dir.rename(&cx(), &p("MOVED/dir"), HOW).await);
        assert_eq!(below_itself, "InvalidArgument(\"a directory is not moved below itself\")");
        // What follows it still is found where it is.
        rename(&site, "Moved/file", "Moved/FILE too").await;
        assert_eq!(file.path().unwrap(), p("Moved/FILE too"));
    }
}

#[tokio::test]
async fn what_has_another_name_that_only_the_volume_tells_apart_stays() {
    let site = site(true).await;
    for dir in ["dir", "DIR"] {
        mkdir(&*site.mem, dir).await;
        put(&*site.mem, &format!("{dir}/file"), dir).await;
    }
    put(&*site.mem, "link", "").await;
    let (from, to) = (p("link"), p("LINK"));
    apply(&*site.mem, Change::Link { from, to, replace: false, expect: None }).await;
    let mut opens = Vec::new();
    for path in ["dir", "DIR", "DIR/file", "link", "LINK"] {
        let exact = |ask: &mut OpenRequest| ask.case_sensitive = true;
        opens.push(site.try_open(path, READ | DELETE, exact).await.unwrap().open);
    }
    assert_eq!(opens[3].file_id(), opens[4].file_id());
    tokio::time::sleep(Duration::from_millis(20)).await;
    begin(&opens[1], Filter::FILE_NAME, false).await;
    // Opens below another directory are not in the way either.
    opens[0].rename(&cx(), &p("moved"), RenameHow::default()).await.unwrap();
    opens[3].rename(&cx(), &p("moved link"), RenameHow::default()).await.unwrap();
    let at: Vec<VPath> = opens.iter().map(|open| open.path().unwrap()).collect();
    assert_eq!(at, ["moved", "DIR", "DIR/file", "moved link", "LINK"].map(p));
    put(&*site.mem.other(), "DIR/new", "").await;
    assert_eq!(within(PATIENCE, "its watcher stays too", told(&opens[1])).await, ["Added new"]);
}

#[tokio::test]
async fn leases_and_watchers_go_along_in_whatever_case_they_were_asked_for() {
    for case_sensitive in [true, false] {
        let site = site(case_sensitive).await;
        mkdir(&*site.mem, "dir").await;
        mkdir(&*site.mem, "dir/sub").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let leased = leased_dir(&site, "DIR/Sub").await;
        begin(&leased.open, Filter::FILE_NAME, false).await;
        for (number, (from, to)) in [("dir", "moved"), ("moved", "MOVED")].into_iter().enumerate() {
            rename(&site, from, to).await;
            site.create(&format!("moved/sub/{number}")).await.close(&cx()).await.unwrap();
            let heard = within(PATIENCE, "the watcher goes along", told(&leased.open)).await;
            assert_eq!(heard, [format!("Added {number}")], "case sensitive: {case_sensitive}");
        }
        assert_eq!(leased.told(), [(Caching::empty(), true)], "case sensitive: {case_sensitive}");
    }
}

/// What a listing for one name alone finds.
async fn listed(dir: &Arc<Open>, name: &str) -> Option<String> {
    let mut walk = dir.list(Links::Followed).unwrap();
    walk.only(Some(name));
    walk.next(&cx()).await.unwrap().map(|entry| entry.name.to_string())
}

#[tokio::test]
async fn listings_have_new_names_in_whatever_case_their_directory_was_asked_for() {
    for case_sensitive in [true, false] {
        let site = site(case_sensitive).await;
        mkdir(&*site.mem, "dir").await;
        put(&*site.mem, "dir/name", "").await;
        let (here, there) = (site.open("dir", READ).await, site.open("DIR", READ).await);
        for dir in [&here, &there] {
            assert_eq!(listed(dir, "NAME").await.as_deref(), Some("name"));
        }
        rename(&site, "dir/name", "dir/Name").await;
        for dir in [&here, &there] {
            assert_eq!(
                listed(dir, "NAME").await.as_deref(),
                Some("Name"),
                "case sensitive: {case_sensitive}"
            );
        }
        rename(&site, "Dir/Name", "Dir/other").await;
        for dir in [&here, &there] {
            assert_eq!(listed(dir, "NAME").await, None);
            assert_eq!(listed(dir, "OTHER").await.as_deref(), Some("other"));
        }
    }
}

/// By who looks whether something is there, as scanners and desktops do all the time.
#[tokio::test]
async fn a_directory_moves_though_others_look_into_it_without_pause() {
    let mem = MemVolume::new();
    mkdir(&*mem, "dir").await;
    let fault = FaultVolume::new(mem);
    fault.delay(Op::Stat, Duration::from_millis(5));
    let vfs = Vfs::new(fault.clone(), VfsConfig::default());
    let lookers: Vec<_> = (0..3)
        .map(|nth| {
            let vfs = vfs.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(3 * nth)).await;
                loop {
                    let looks = OpenRequest { case_sensitive: true, ..ask("dir/desktop.ini", READ) };
                    assert!(vfs.open(&cx(), looks).await.is_err());
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let dir = vfs.open(&cx(), ask("dir", DELETE)).await.unwrap().open;
    let moved = tokio::time::timeout(PATIENCE, dir.rename(&cx(), &p("moved"), HOW)).await;
    assert_eq!(word(moved.expect("who comes meanwhile waits")), "Ok");
    let late = async { vfs.open(&cx(), ask("dir/desktop.ini", READ)).await };
    assert_eq!(word(within(PATIENCE, "nobody waits any more", late).await), "PathNotFound");
    lookers.iter().for_each(|looker| looker.abort());
}

/// The volume has moved it, and its answer is on the way.
#[tokio::test(start_paused = true)]
async fn what_is_asked_by_a_name_that_moves_is_answered_when_it_has() {
    for dir in [false, true] {
        let mem = MemVolume::new();
        match dir {
            true => drop(mkdir(&*mem, "old").await),
            false => drop(put(&*mem, "old", "").await),
        }
        let fault = FaultVolume::new(mem);
        let vfs = Vfs::new(fault.clone(), VfsConfig::default());
        let looks = vfs.open(&cx(), ask("old", LOOK)).await.unwrap().open;
        let moves = vfs.open(&cx(), ask("old", DELETE)).await.unwrap().open;
        fault.delay_answer(Op::Apply, Duration::from_millis(100));
        let moving = tokio::spawn(async move { moves.rename(&cx(), &p("new"), HOW).await.map(drop) });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(exists(&*fault, "new").await && !moving.is_finished());
        assert_eq!(word(looks.attr(&cx()).await), "Ok", "a directory: {dir}");
        assert_eq!(word(moving.await.unwrap()), "Ok");
        assert_eq!(looks.path().unwrap(), p("new"));
    }
}
