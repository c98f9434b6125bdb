//! Moves of directories that cross other work there: neither waits for the other for ever, and none leaves anything
//! behind where it was.

use crate::tools::{DELETE, Site, word};
use std::sync::Arc;
use std::time::Duration;
use testkit::ease::{cx, mkdir, names, p, put, within};
use testkit::{FaultVolume, Gate, MemVolume, Op};
use tokio::task::JoinHandle;
use vfs::{Open, OpenRequest, RenameHow, Vfs, VfsConfig};

const PATIENCE: Duration = Duration::from_secs(5);
const POSIX: RenameHow = RenameHow { replace: false, posix: true };

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
