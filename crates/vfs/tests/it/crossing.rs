//! Moves of directories that cross other work there: neither waits for the other for ever, and none leaves anything
//! behind where it was.

use crate::caching::{hold, watched};
use crate::tools::{DELETE, LOOK, READ, Site, ask, word};
use std::sync::Arc;
use std::time::Duration;
use testkit::ease::{changes_are_told, cx, mkdir, names, p, put, stat, within};
use testkit::{FaultVolume, Gate, MemVolume, Op};
use tokio::task::JoinHandle;
use vfs::{
    Access, Caching, Disposition, Lease, LeaseId, Open, OpenRequest, ReadonlyTarget, RenameHow, Replacement,
    Vfs, VfsConfig, Want,
};
use volume::{DosAttributes, Kind, SetAttr};

const ATTRIBUTES: Access = Access::WRITE_ATTRIBUTES;
const PATIENCE: Duration = Duration::from_secs(5);
const POSIX: RenameHow = RenameHow { replace: false, posix: true, readonly: ReadonlyTarget::Stays };

/// A served volume of which calls can be held on their way.
fn site() -> (Arc<FaultVolume>, Site) {
    let mem = MemVolume::new();
    let fault = FaultVolume::new(mem.clone());
    let vfs = Vfs::new(fault.clone(), VfsConfig::default());
    (fault, Site { vfs, mem })
}

/// Begins some work and holds its first call of `op`; later ones pass.
async fn held<T: Send + 'static>(
    fault: &Arc<FaultVolume>,
    op: Op,
    work: impl Future<Output = T> + Send + 'static,
) -> (Gate, JoinHandle<T>) {
    let gate = fault.gate(op);
    let work = tokio::spawn(work);
    within(PATIENCE, "the volume is asked", gate.arrived(1)).await;
    // Another gate takes its place, and goes.
    drop(fault.gate(op));
    (gate, work)
}

async fn ended<T>(what: &str, work: JoinHandle<T>) -> T {
    within(PATIENCE, what, work).await.unwrap()
}

/// As far as everybody comes by himself.
async fn a_while() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

async fn exactly(site: &Site, path: &str) -> Arc<Open> {
    let change = |request: &mut OpenRequest| request.case_sensitive = true;
    site.try_open(path, DELETE, change).await.unwrap().open
}

fn moving(dir: &Arc<Open>, to: &str, how: RenameHow) -> impl Future<Output = String> + Send + 'static {
    let (dir, to) = (dir.clone(), p(to));
    async move { word(dir.rename(&cx(), &to, how).await) }
}

#[tokio::test]
async fn two_directories_that_move_into_each_other_do_not_wait_for_each_other() {
    let (fault, site) = site();
    for dir in ["a", "b", "a/in", "b/in"] {
        mkdir(&*site.mem, dir).await;
    }
    let (a, b) = (site.open("a", DELETE).await, site.open("b", DELETE).await);
    // Each has entered below the other.
    let gate = fault.gate(Op::Stat);
    let one = tokio::spawn(moving(&a, "b/in/a", POSIX));
    let other = tokio::spawn(moving(&b, "a/in/b", POSIX));
    within(PATIENCE, "both look", gate.arrived(2)).await;
    gate.release();
    let mut answers = [ended("one moves", one).await, ended("the other is answered", other).await];
    answers.sort();
    assert_eq!(answers, ["Ok", "PathNotFound"]);
}

#[tokio::test]
async fn who_moves_a_directory_is_not_in_his_own_way() {
    for how in [RenameHow::default(), POSIX] {
        let (_, site) = site();
        mkdir(&*site.mem, "dir").await;
        mkdir(&*site.mem, "DIR").await;
        let dir = exactly(&site, "dir").await;
        let moved = within(PATIENCE, "it moves", moving(&dir, "DIR/in", how)).await;
        assert_eq!((moved.as_str(), dir.path().unwrap()), ("Ok", p("DIR/in")), "{how:?}");
    }
}

/// Of two moves the lower ends first, so that what it was of is found where it is.
#[tokio::test]
async fn what_moves_itself_is_not_lost_by_a_move_above() {
    for (below, is_dir) in [("x/file", false), ("x/dir", true)] {
        let (fault, site) = site();
        mkdir(&*site.mem, "x").await;
        match is_dir {
            true => drop(mkdir(&*site.mem, below).await),
            false => drop(put(&*site.mem, below, "").await),
        }
        let (x, open) = (site.open("x", DELETE).await, site.open(below, DELETE).await);
        let (gate, lower) = held(&fault, Op::Apply, moving(&open, "elsewhere", POSIX)).await;
        let upper = tokio::spawn(moving(&x, "y", POSIX));
        a_while().await;
        gate.release();
        assert_eq!(ended("the lower moves", lower).await, "Ok", "{below}");
        assert_eq!(ended("the upper moves", upper).await, "Ok", "{below}");
        assert_eq!((open.path().unwrap(), x.path().unwrap()), (p("elsewhere"), p("y")), "{below}");
        assert_eq!(names(&*site.mem, "").await, ["elsewhere", "y"]);
    }
}

/// A link is made by the first name of its file.
#[tokio::test]
async fn a_directory_waits_for_a_link_that_is_made_of_what_is_in_it() {
    let (fault, site) = site();
    mkdir(&*site.mem, "x").await;
    put(&*site.mem, "x/file", "").await;
    let (x, file) = (site.open("x", DELETE).await, site.open("x/file", DELETE).await);
    let linking = {
        let file = file.clone();
        async move { word(file.link(&cx(), &p("link"), RenameHow::default()).await) }
    };
    let (gate, linking) = held(&fault, Op::Apply, linking).await;
    let upper = tokio::spawn(moving(&x, "y", POSIX));
    a_while().await;
    gate.release();
    assert_eq!(ended("the link is made", linking).await, "Ok");
    assert_eq!(ended("the directory moves", upper).await, "Ok");
    assert_eq!(names(&*site.mem, "").await, ["link", "y"]);
}

#[tokio::test]
async fn what_is_being_removed_goes_though_its_directory_moves() {
    for how in [RenameHow::default(), POSIX] {
        for op in [Op::Stat, Op::Apply] {
            let (fault, site) = site();
            mkdir(&*site.mem, "dir").await;
            put(&*site.mem, "dir/file", "").await;
            let dir = site.open("dir", DELETE).await;
            let doomed = site.try_open("dir/file", DELETE, |ask| ask.delete_on_close = true).await.unwrap();
            let (gate, closing) = held(&fault, op, async move { doomed.open.close(&cx()).await }).await;
            let upper = tokio::spawn(moving(&dir, "moved", how));
            a_while().await;
            gate.release();
            ended("it is removed", closing).await.unwrap();
            assert_eq!(ended("the directory moves", upper).await, "Ok", "{op:?} {how:?}");
            assert_eq!(names(&*site.mem, "moved").await, [""; 0], "{op:?} {how:?}");
            assert_eq!(word(site.try_open("moved/file", LOOK, |_| {}).await), "NotFound");
            assert_eq!(site.vfs.opens().files, 1, "the directory");
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_being_removed_goes_though_its_file_moves() {
    for what in ["dir", "dir/file"] {
        let (fault, site) = site();
        mkdir(&*site.mem, "dir").await;
        put(&*site.mem, "dir/file", "").await;
        let moves = site.open(what, DELETE).await;
        let stream = site.stream("dir/file", "s").await;
        stream.set_delete_on_close(&cx(), true).await.unwrap();
        let (gate, closing) = held(&fault, Op::Apply, async move { stream.close(&cx()).await }).await;
        let upper = tokio::spawn(moving(&moves, "moved", POSIX));
        a_while().await;
        gate.release();
        ended("it is removed", closing).await.unwrap();
        assert_eq!(ended("what carried it moves", upper).await, "Ok", "{what}");
        let file = if what == "dir" { "moved/file" } else { "moved" };
        let again = site.try_stream(file, "s", READ, |_| {}).await;
        assert_eq!(word(again), "NotFound", "{what}");
    }
}

#[tokio::test]
async fn what_is_being_removed_goes_though_others_move_its_directory() {
    let (fault, site) = site();
    changes_are_told(|| site.vfs.freshness()).await;
    mkdir(&*site.mem, "dir").await;
    put(&*site.mem, "dir/file", "").await;
    put(&*site.mem, "dir/beside", "").await;
    let beside = site.open("dir/beside", READ).await;
    let doomed = site.try_open("dir/file", DELETE, |ask| ask.delete_on_close = true).await.unwrap();
    let (gate, closing) = held(&fault, Op::Stat, async move { doomed.open.close(&cx()).await }).await;
    testkit::ease::rename(&*site.mem.other(), "dir", "moved").await;
    let told = async {
        while beside.path().unwrap() != p("moved/beside") {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    within(PATIENCE, "the move is told", told).await;
    gate.release();
    ended("it is removed", closing).await.unwrap();
    assert_eq!(names(&*site.mem, "moved").await, ["beside"]);
    assert_eq!(site.vfs.opens().files, 1);
}

#[tokio::test]
async fn attributes_that_are_set_by_name_are_set_though_it_moves() {
    for what in ["dir", "dir/file"] {
        let (fault, site) = site();
        mkdir(&*site.mem, "dir").await;
        put(&*site.mem, "dir/file", "").await;
        let (moves, open) = (site.open(what, DELETE).await, site.open("dir/file", LOOK | ATTRIBUTES).await);
        let setting = async move {
            let hidden = SetAttr { dos: Some(DosAttributes::HIDDEN), ..SetAttr::default() };
            word(open.set_attr(&cx(), &hidden).await)
        };
        let (gate, setting) = held(&fault, Op::Apply, setting).await;
        let upper = tokio::spawn(moving(&moves, "moved", POSIX));
        a_while().await;
        gate.release();
        assert_eq!(ended("they are set", setting).await, "Ok", "{what}");
        assert_eq!(ended("it moves", upper).await, "Ok", "{what}");
        let file = if what == "dir" { "moved/file" } else { "moved" };
        assert!(stat(&*site.mem, file).await.dos.contains(DosAttributes::HIDDEN), "{what}");
    }
}

#[tokio::test]
async fn a_link_takes_the_place_of_a_file_though_its_directory_moves() {
    let (fault, site) = site();
    mkdir(&*site.mem, "dir").await;
    put(&*site.mem, "dir/file", "").await;
    let (dir, file) = (site.open("dir", DELETE).await, site.open("dir/file", DELETE).await);
    let replacing =
        async move { file.replace(&cx(), Replacement::Link("target".into())).await.map(|link| link.path()) };
    let (gate, replacing) = held(&fault, Op::Apply, replacing).await;
    let upper = tokio::spawn(moving(&dir, "moved", POSIX));
    a_while().await;
    gate.release();
    let at = ended("the link is made", replacing).await.unwrap();
    assert_eq!(ended("the directory moves", upper).await, "Ok");
    assert_eq!(stat(&*site.mem, "moved/file").await.kind, Kind::Symlink, "made at {at:?}");
    assert_eq!(names(&*site.mem, "").await, ["moved"]);
}

/// Nothing comes into it unseen between the look and the mark.
#[tokio::test]
async fn a_directory_is_doomed_only_while_it_is_empty() {
    for what in ["make", "rename", "link"] {
        let (fault, site) = site();
        mkdir(&*site.mem, "dir").await;
        put(&*site.mem, "file", "").await;
        let (dir, file) = (site.open("dir", DELETE).await, site.open("file", DELETE).await);
        let vfs = site.vfs.clone();
        let coming = async move {
            let (to, how) = (p("dir/new"), POSIX);
            match what {
                "make" => {
                    let request = OpenRequest { disposition: Disposition::Create, ..ask("dir/new", READ) };
                    word(vfs.open(&cx(), request).await)
                }
                "rename" => word(file.rename(&cx(), &to, how).await),
                _ => word(file.link(&cx(), &to, how).await),
            }
        };
        let op = if what == "make" { Op::Open } else { Op::Apply };
        let (gate, coming) = held(&fault, op, coming).await;
        let dooming = {
            let dir = dir.clone();
            tokio::spawn(async move { word(dir.set_delete_on_close(&cx(), true).await) })
        };
        a_while().await;
        gate.release();
        assert_eq!(ended("it comes", coming).await, "Ok", "{what}");
        assert_eq!(ended("it is looked at", dooming).await, "DirectoryNotEmpty", "{what}");
        assert!(!dir.delete_pending(), "{what}");
    }
}

#[tokio::test]
async fn nothing_comes_into_a_directory_that_is_doomed() {
    let (_, site) = site();
    mkdir(&*site.mem, "dir").await;
    put(&*site.mem, "file", "").await;
    let (dir, file) = (site.open("dir", DELETE).await, site.open("file", DELETE).await);
    dir.set_delete_on_close(&cx(), true).await.unwrap();
    let (to, how) = (p("DIR/new"), RenameHow::default());
    assert_eq!(word(file.rename(&cx(), &to, how).await), "DeletePending");
    assert_eq!(word(file.link(&cx(), &to, how).await), "DeletePending");
    dir.close(&cx()).await.unwrap();
    assert_eq!(names(&*site.mem, "").await, ["file"]);
}

/// Whoever keeps it open for his cache alone may close it first: so long it is not looked at.
#[tokio::test]
async fn a_directory_that_was_waited_for_is_looked_at_again() {
    let site = watched().await;
    mkdir(&*site.mem, "dir").await;
    let cached = hold(&site, "dir", Caching::READ | Caching::HANDLE, |request| {
        (request.access, request.want, request.disposition) = (READ, Want::Dir, Disposition::Open);
        let id = LeaseId { client: 1, key: 1 };
        request.lease = Some(Lease { id, epoch: Some(1), dirs: true });
    })
    .await;
    assert!(cached.got.contains(Caching::HANDLE));
    let dir = site.open("dir", DELETE).await;
    let dooming = tokio::spawn(async move { word(dir.set_delete_on_close(&cx(), true).await) });
    let told = async {
        while !cached.is_told() {
            tokio::task::yield_now().await;
        }
    };
    within(PATIENCE, "it is asked back", told).await;
    put(&*site.mem, "dir/new", "").await;
    cached.open.close(&cx()).await.unwrap();
    assert_eq!(ended("it is looked at again", dooming).await, "DirectoryNotEmpty");
}
