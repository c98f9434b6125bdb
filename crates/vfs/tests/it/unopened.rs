//! Removing and renaming by name, without an open: what nobody else has open at once, all else as by an open.

use crate::notifying::{begin, deaf, told};
use crate::tools::{DELETE, LOOK, READ, Site, WRITE, ask, site, word};
use bytes::Bytes;
use testkit::Op;
use testkit::ease::{cx, exists, get, mkdir, p, put};
use vfs::{DeleteHow, Filter, OpenRequest, ReadonlyTarget, RenameHow, Result, Share, Want};

const UNLINK: DeleteHow = DeleteHow { posix: true, ignore_readonly: true, on_close: false };
const REPLACE: RenameHow = RenameHow { replace: true, posix: true, readonly: ReadonlyTarget::Unknown };
const KEEP: RenameHow = RenameHow { replace: false, ..REPLACE };

/// As a mount asks.
fn by_name(path: &str, want: Want) -> OpenRequest {
    OpenRequest {
        want,
        case_sensitive: true,
        open_link: true,
        ignore_readonly: true,
        posix_deletion: true,
        ..ask(path, DELETE)
    }
}

impl Site {
    async fn remove(&self, path: &str, want: Want) -> Result<()> {
        self.vfs.remove(&cx(), by_name(path, want), UNLINK).await
    }

    async fn rename(&self, from: &str, to: &str, how: RenameHow) -> Result<()> {
        self.vfs.rename(&cx(), by_name(from, Want::Any), &p(to), how).await
    }

    fn asked(&self, op: Op) -> u64 {
        self.mem.counts().of(op)
    }
}

#[tokio::test]
async fn the_volume_is_asked_what_is_there_and_to_change_it_no_more() {
    let site = site();
    put(&*site.mem, "f", "content").await;
    put(&*site.mem, "h", "other").await;
    site.mem.counts().reset();
    site.rename("f", "g", KEEP).await.unwrap();
    assert_eq!((site.asked(Op::Stat), site.asked(Op::Open), site.mem.counts().total()), (2, 0, 3));
    site.rename("g", "h", REPLACE).await.unwrap();
    assert_eq!(get(&*site.mem, "h").await, b"content");
    site.mem.counts().reset();
    site.remove("h", Want::File).await.unwrap();
    assert_eq!((site.asked(Op::Stat), site.asked(Op::Open), site.mem.counts().total()), (1, 0, 2));
    assert!(!exists(&*site.mem, "h").await);
    assert_eq!(site.vfs.opens().opens, 0);
}

#[tokio::test]
async fn others_who_have_it_open_go_on_without_a_name() {
    let site = site();
    for (name, over) in [("removed", false), ("replaced", true)] {
        put(&*site.mem, name, "old").await;
        let other = site.open(name, WRITE | DELETE).await;
        match over {
            false => site.remove(name, Want::File).await.unwrap(),
            true => {
                put(&*site.mem, "new", "new").await;
                site.rename("new", name, REPLACE).await.unwrap();
            }
        }
        assert!(other.delete_pending());
        other.write(&cx(), 3, Bytes::from_static(b" and open")).await.unwrap();
        assert_eq!(other.read(&cx(), 0, 99).await.unwrap(), "old and open");
        other.close(&cx()).await.unwrap();
        assert_eq!(exists(&*site.mem, name).await, over);
    }
    let moved = site.open("replaced", READ | DELETE).await;
    site.rename("replaced", "elsewhere", KEEP).await.unwrap();
    assert_eq!(moved.path().unwrap(), p("elsewhere"));
}

#[tokio::test]
async fn who_lets_nobody_delete_is_heard() {
    let site = site();
    put(&*site.mem, "f", "").await;
    put(&*site.mem, "g", "").await;
    let open = site.share("f", READ, Share::READ | Share::WRITE).await.unwrap();
    assert_eq!(word(site.remove("f", Want::File).await), "SharingViolation");
    assert_eq!(word(site.rename("f", "h", KEEP).await), "SharingViolation");
    open.close(&cx()).await.unwrap();
    site.remove("f", Want::File).await.unwrap();
    // Nothing comes into a directory that goes away.
    mkdir(&*site.mem, "d").await;
    let dir = site.open("d", DELETE).await;
    dir.set_delete_on_close(&cx(), true).await.unwrap();
    assert_eq!(word(site.rename("g", "d/g", KEEP).await), "DeletePending");
}

#[tokio::test]
async fn what_is_wrong_is_told_as_of_an_open() {
    let site = site();
    put(&*site.mem, "f", "f").await;
    put(&*site.mem, "g", "g").await;
    mkdir(&*site.mem, "d").await;
    put(&*site.mem, "d/below", "").await;
    mkdir(&*site.mem, "empty").await;
    assert_eq!(word(site.remove("none", Want::File).await), "NotFound");
    assert_eq!(word(site.remove("f", Want::Dir).await), "NotADirectory");
    assert_eq!(word(site.remove("d", Want::File).await), "IsADirectory");
    assert_eq!(word(site.remove("d", Want::Dir).await), "DirectoryNotEmpty");
    assert_eq!(word(site.remove("", Want::Dir).await), "CannotDelete");
    assert_eq!(word(site.rename("none", "h", KEEP).await), "NotFound");
    assert_eq!(word(site.rename("f", "none/h", KEEP).await), "PathNotFound");
    assert_eq!(word(site.rename("f", "g", KEEP).await), "Exists");
    assert_eq!(
        word(site.rename("d", "d/e", KEEP).await),
        "InvalidArgument(\"a directory is not moved below itself\")"
    );
    site.rename("f", "f", REPLACE).await.unwrap();
    site.rename("d", "empty", REPLACE).await.unwrap();
    assert!(exists(&*site.mem, "empty/below").await);
    site.remove("empty/below", Want::File).await.unwrap();
    site.remove("empty", Want::Dir).await.unwrap();
    assert_eq!(get(&*site.mem, "g").await, b"g");
    assert_eq!(site.vfs.opens().opens, 0);
}

#[tokio::test]
async fn who_watches_is_told() {
    let site = deaf();
    mkdir(&*site.mem, "d").await;
    put(&*site.mem, "d/f", "").await;
    mkdir(&*site.mem, "d/e").await;
    let watcher = site.open("d", READ | LOOK).await;
    begin(&watcher, Filter::all(), false).await;
    site.rename("d/f", "d/g", KEEP).await.unwrap();
    site.remove("d/g", Want::File).await.unwrap();
    site.remove("d/e", Want::Dir).await.unwrap();
    assert_eq!(
        told(&watcher).await,
        ["RenamedOldName f", "RenamedNewName g", "Modified g", "Removed g", "Removed e"]
    );
}
