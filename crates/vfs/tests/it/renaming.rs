use crate::tools::{DELETE, LOOK, READ, Site, WRITE, ask, site, word};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use testkit::ease::{apply, cx, exists, get, mkdir, names, p, put, stat, within};
use testkit::{FaultVolume, MemConfig, MemVolume, Op};
use vfs::{Access, Open, ReadonlyTarget, RenameHow, Share, Vfs, VfsConfig};
use volume::{Change, DosAttributes, ErrorKind, Named, SetAttr, Volume};

const REPLACE: RenameHow = RenameHow { replace: true, posix: false, readonly: ReadonlyTarget::Stays };
const POSIX: RenameHow = RenameHow { replace: true, posix: true, readonly: ReadonlyTarget::Stays };
const KEEP: RenameHow = RenameHow { replace: false, posix: false, readonly: ReadonlyTarget::Stays };

async fn rename(site: &Site, from: &str, to: &str, how: RenameHow) -> String {
    let open = site.open(from, DELETE).await;
    let answer = word(open.rename(&cx(), &p(to), how).await);
    open.close(&cx()).await.unwrap();
    answer
}

#[tokio::test]
async fn names_move_and_opens_follow() {
    let site = site();
    mkdir(&*site.mem, "dir").await;
    let file = site.create("file").await;
    file.rename(&cx(), &p("DIR/Moved"), KEEP).await.unwrap();
    assert_eq!(file.path().unwrap(), p("dir/Moved"));
    file.write(&cx(), 0, Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(file.attr(&cx()).await.unwrap().size, 1);
    assert_eq!(get(&*site.mem, "dir/Moved").await, b"x");
    assert_eq!(word(site.try_open("file", LOOK, |_| {}).await), "NotFound");
    assert_eq!(word(site.open("dir/moved", READ).await.rename(&cx(), &p("x"), KEEP).await), "AccessDenied");
}

#[tokio::test]
async fn a_change_of_case_is_a_rename() {
    let site = site();
    put(&*site.mem, "readme", "x").await;
    assert_eq!(rename(&site, "README", "ReadMe", KEEP).await, "Ok");
    assert_eq!(names(&*site.mem, "").await, ["ReadMe"]);
    assert_eq!(rename(&site, "readme", "ReadMe", KEEP).await, "Ok");
    assert_eq!(word(site.try_open("README", LOOK, |_| {}).await), "Ok");
}

#[tokio::test]
async fn what_is_in_the_way() {
    let site = site();
    for name in ["a", "B", "open", "locked"] {
        put(&*site.mem, name, name).await;
    }
    mkdir(&*site.mem, "dir").await;
    let readonly = SetAttr { dos: Some(DosAttributes::READONLY), ..SetAttr::default() };
    let locked = site.open("locked", WRITE).await;
    locked.set_attr(&cx(), &readonly).await.unwrap();
    locked.close(&cx()).await.unwrap();
    let _open = site.open("open", LOOK).await;
    assert_eq!(rename(&site, "a", "b", KEEP).await, "Exists");
    assert_eq!(rename(&site, "a", "open", REPLACE).await, "AccessDenied");
    assert_eq!(rename(&site, "a", "locked", REPLACE).await, "AccessDenied");
    assert_eq!(rename(&site, "a", "dir", REPLACE).await, "AccessDenied");
    assert_eq!(rename(&site, "dir", "a", REPLACE).await, "AccessDenied");
    assert_eq!(rename(&site, "a", "none/a", KEEP).await, "PathNotFound");
    assert_eq!(rename(&site, "", "a", KEEP).await, "Exists");
    assert_eq!(rename(&site, "a", "b", REPLACE).await, "Ok");
    assert_eq!(names(&*site.mem, "").await, ["B", "dir", "locked", "open"]);
    assert_eq!(rename(&site, "B", "open", POSIX).await, "Ok");
    assert_eq!(get(&*site.mem, "open").await, b"a");
    // An open is no mark, and a mark is no open.
    assert_eq!(rename(&site, "open", "locked", POSIX).await, "AccessDenied");
    let ignoring = RenameHow { readonly: ReadonlyTarget::Waived, ..REPLACE };
    let reader = site.open("locked", READ).await;
    assert_eq!(rename(&site, "open", "locked", ignoring).await, "AccessDenied");
    reader.close(&cx()).await.unwrap();
    assert_eq!(rename(&site, "open", "locked", ignoring).await, "Ok");
    assert_eq!(get(&*site.mem, "locked").await, b"a");
}

#[tokio::test]
async fn directories_with_opens_below() {
    let site = site();
    mkdir(&*site.mem, "dir").await;
    mkdir(&*site.mem, "dir/sub").await;
    let below = site.create("dir/sub/file").await;
    assert_eq!(rename(&site, "dir", "new", KEEP).await, "AccessDenied");
    assert_eq!(
        rename(&site, "dir", "dir/sub/x", KEEP).await,
        "InvalidArgument(\"a directory is not moved below itself\")"
    );
    assert_eq!(rename(&site, "dir", "new", POSIX).await, "Ok");
    assert_eq!(below.path().unwrap(), p("new/sub/file"));
    below.set_delete_on_close(&cx(), true).await.unwrap();
    below.close(&cx()).await.unwrap();
    assert!(!exists(&*site.mem, "new/sub/file").await);
    assert_eq!(rename(&site, "new", "dir", KEEP).await, "Ok");
    assert_eq!(names(&*site.mem, "dir").await, ["sub"]);
}

#[tokio::test]
async fn the_directory_it_goes_to_must_share() {
    let site = site();
    mkdir(&*site.mem, "dir").await;
    put(&*site.mem, "dir/a", "").await;
    for (access, share, answer) in [
        (READ, Share::all(), "Ok"),
        (READ | Access::DELETE, Share::all(), "SharingViolation"),
        (READ, Share::READ, "SharingViolation"),
        (LOOK, Share::empty(), "Ok"),
    ] {
        let dir = site.share("dir", access, share).await.unwrap();
        assert_eq!(rename(&site, "dir/a", "dir/b", KEEP).await, answer, "{access:?} {share:?}");
        dir.close(&cx()).await.unwrap();
        if answer == "Ok" {
            assert_eq!(rename(&site, "dir/b", "dir/a", KEEP).await, "Ok");
        }
    }
}

#[tokio::test]
async fn links_are_further_names() {
    let site = site();
    mkdir(&*site.mem, "dir").await;
    put(&*site.mem, "taken", "old").await;
    put(&*site.mem, "file", "x").await;
    let file = site.open("file", WRITE).await;
    file.link(&cx(), &p("dir/Second"), KEEP).await.unwrap();
    assert_eq!(word(file.link(&cx(), &p("TAKEN"), KEEP).await), "Exists");
    file.link(&cx(), &p("taken"), REPLACE).await.unwrap();
    assert_eq!(get(&*site.mem, "taken").await, b"x");
    assert_eq!(site.open("DIR/second", READ).await.file_id(), file.file_id());
    assert_eq!(word(site.open("dir", READ).await.link(&cx(), &p("d2"), KEEP).await), "IsADirectory");
}

async fn told_apart(site: &Site, path: &str) -> Arc<Open> {
    site.try_open(path, DELETE, |ask| ask.case_sensitive = true).await.unwrap().open
}

/// POSIX clients have both, where case tells them apart.
#[tokio::test]
async fn nothing_gives_way_to_a_name_of_other_case_for_who_tells_them_apart() {
    let site = site();
    mkdir(&*site.mem, "Dir").await;
    for name in ["name", "other", "third"] {
        put(&*site.mem, name, name).await;
    }
    let other = told_apart(&site, "other").await;
    other.rename(&cx(), &p("NAME"), REPLACE).await.unwrap();
    assert_eq!(get(&*site.mem, "name").await, b"name");
    assert_eq!(get(&*site.mem, "NAME").await, b"other");
    assert_eq!(word(other.rename(&cx(), &p("dir/x"), REPLACE).await), "PathNotFound");
    // Its own name in another case, beside which another file has that.
    other.rename(&cx(), &p("name"), REPLACE).await.unwrap();
    assert_eq!(names(&*site.mem, "").await, ["Dir", "name", "third"]);
    assert_eq!(get(&*site.mem, "name").await, b"other");
    other.rename(&cx(), &p("nAME"), KEEP).await.unwrap();
    assert_eq!(names(&*site.mem, "").await, ["Dir", "nAME", "third"]);

    let third = told_apart(&site, "third").await;
    third.link(&cx(), &p("Name"), KEEP).await.unwrap();
    assert_eq!(word(third.link(&cx(), &p("Name"), KEEP).await), "Exists");
    third.link(&cx(), &p("NAME"), REPLACE).await.unwrap();
    assert_eq!(names(&*site.mem, "").await, ["Dir", "NAME", "Name", "nAME", "third"]);
    assert_eq!(get(&*site.mem, "nAME").await, b"other");
    // Others find the first that has the name in any case.
    assert_eq!(rename(&site, "third", "NAMe", KEEP).await, "Exists");
}

/// In a directory that does not tell cases apart, of a volume that does: by its other spelling it is found itself.
#[tokio::test]
async fn nothing_gives_way_to_itself_where_case_does_not_count() {
    let mem = MemVolume::with(MemConfig { folds: true, ..MemConfig::default() });
    let site = Site { vfs: Vfs::new(mem.clone(), VfsConfig::default()), mem };
    for dir in ["Empty", "Full"] {
        mkdir(&*site.mem, dir).await;
    }
    put(&*site.mem, "Full/File", "x").await;
    put(&*site.mem, "Linked", "y").await;
    let (from, to) = (p("Linked"), p("Second"));
    apply(&*site.mem, Change::Link { from, to, replace: false, expect: None }).await;
    for (from, to) in [("Empty", "empty"), ("Full/File", "full/file"), ("Full", "full"), ("Linked", "linked")]
    {
        let open = told_apart(&site, from).await;
        assert_eq!(word(open.rename(&cx(), &p(to), POSIX).await), "Ok", "{from}");
        open.close(&cx()).await.unwrap();
    }
    assert_eq!(names(&*site.mem, "").await, ["Second", "empty", "full", "linked"]);
    assert_eq!(names(&*site.mem, "full").await, ["file"]);
    // One that has two names there loses one of them.
    let linked = told_apart(&site, "linked").await;
    linked.rename(&cx(), &p("Second"), POSIX).await.unwrap();
    assert_eq!(names(&*site.mem, "").await, ["Second", "empty", "full"]);
}

#[tokio::test]
async fn an_empty_directory_gives_way_to_a_directory_as_posix_has_it() {
    let site = site();
    for dir in ["dir", "empty", "full"] {
        mkdir(&*site.mem, dir).await;
    }
    put(&*site.mem, "dir/file", "x").await;
    put(&*site.mem, "full/file", "y").await;
    put(&*site.mem, "file", "z").await;
    let looking = site.open("empty", READ).await;
    assert_eq!(rename(&site, "dir", "empty", REPLACE).await, "AccessDenied");
    for (to, answer) in [("full", "DirectoryNotEmpty"), ("file", "AccessDenied"), ("empty", "Ok")] {
        assert_eq!(rename(&site, "dir", to, POSIX).await, answer, "{to}");
    }
    assert_eq!(rename(&site, "file", "full", POSIX).await, "AccessDenied");
    assert_eq!(names(&*site.mem, "").await, ["empty", "file", "full"]);
    assert_eq!(get(&*site.mem, "empty/file").await, b"x");
    assert!(looking.delete_pending());
    assert_eq!(word(looking.attr(&cx()).await), "DeletePending");
    looking.close(&cx()).await.unwrap();
    assert_eq!(get(&*site.mem, "empty/file").await, b"x");
}

/// The mark goes with the name, and is not left with who has it by now.
#[tokio::test]
async fn what_was_to_go_away_and_gave_way_stands_in_nobodys_way() {
    let site = site();
    mkdir(&*site.mem, "dir").await;
    mkdir(&*site.mem, "full").await;
    put(&*site.mem, "dir/file", "old").await;
    put(&*site.mem, "new", "new").await;
    let reader = site.open("dir/file", READ).await;
    let looking = site.make_dir("empty").await;
    for path in ["dir/file", "empty"] {
        let marks = site.open(path, DELETE).await;
        marks.set_delete_on_close(&cx(), true).await.unwrap();
        marks.close(&cx()).await.unwrap();
    }
    assert_eq!(rename(&site, "new", "dir/file", POSIX).await, "Ok");
    assert_eq!(rename(&site, "full", "empty", POSIX).await, "Ok");
    let moved = rename(&site, "dir", "moved", POSIX);
    assert_eq!(within(Duration::from_secs(5), "nobody removes anything below", moved).await, "Ok");
    site.create("empty/file").await.close(&cx()).await.unwrap();
    for open in [reader, looking] {
        assert!(open.delete_pending());
        open.close(&cx()).await.unwrap();
    }
    assert_eq!(get(&*site.mem, "moved/file").await, b"new");
    assert!(exists(&*site.mem, "empty/file").await);
    assert_eq!(site.vfs.opens().files, 0);
}

#[tokio::test]
async fn a_directory_is_there_again_when_it_gave_way_in_vain() {
    let fault = FaultVolume::new(MemVolume::new());
    let vfs = Vfs::new(fault.clone(), VfsConfig::default());
    for dir in ["dir", "empty"] {
        mkdir(&*fault, dir).await;
    }
    let set =
        SetAttr { mode: Some(0o710), uid: Some(7), dos: Some(DosAttributes::HIDDEN), ..SetAttr::default() };
    apply(&*fault, Change::SetAttr { path: p("empty"), set, expect: None }).await;
    let carried = [(Named::Descriptor, "who"), (Named::Extended("user".into()), "what")];
    for (name, value) in carried.clone() {
        let value = Some(value.into());
        apply(&*fault, Change::SetNamed { path: p("empty"), name, value, expect: None }).await;
    }
    let before = stat(&*fault, "empty").await;
    let dir = vfs.open(&cx(), ask("dir", DELETE)).await.unwrap().open;
    // It has gone by then.
    fault.fail(Op::Apply, 2, ErrorKind::CrossDevice);
    assert_eq!(word(dir.rename(&cx(), &p("empty"), POSIX).await), "CrossDevice");
    assert_eq!(names(&*fault, "").await, ["dir", "empty"]);
    let after = stat(&*fault, "empty").await;
    assert_eq!((after.mode, after.uid, after.dos), (before.mode, before.uid, before.dos));
    for (name, value) in carried {
        let there = fault.named(&cx(), &p("empty"), None, &name).await.unwrap();
        assert_eq!(there.as_deref(), Some(value.as_bytes()), "{name:?}");
    }
    vfs.open(&cx(), ask("empty", READ)).await.unwrap().open.close(&cx()).await.unwrap();
    dir.rename(&cx(), &p("empty"), POSIX).await.unwrap();
    assert_eq!(names(&*fault, "").await, ["empty"]);
}

#[tokio::test]
async fn what_gave_way_to_a_link_has_lost_its_name() {
    let site = site();
    put(&*site.mem, "taken", "old").await;
    put(&*site.mem, "file", "new").await;
    let (reader, marks) = (site.open("taken", READ).await, site.open("taken", DELETE).await);
    marks.set_delete_on_close(&cx(), true).await.unwrap();
    site.open("file", WRITE).await.link(&cx(), &p("taken"), POSIX).await.unwrap();
    assert!(reader.delete_pending());
    assert_eq!(reader.read(&cx(), 0, 9).await.unwrap(), "old");
    assert_eq!(word(marks.rename(&cx(), &p("moved"), KEEP).await), "DeletePending");
    for open in [reader, marks] {
        open.close(&cx()).await.unwrap();
    }
    assert_eq!(get(&*site.mem, "taken").await, b"new");
    assert!(!site.open("taken", READ).await.delete_pending());
}
