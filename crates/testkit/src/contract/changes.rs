//! Changes of the namespace.

use super::naming::NO_SUCH_PATH;
use crate::ease::{
    apply, cx, exists, fails, fails_with, get, mkdir, names, now, p, put, remove, rename, rmdir, stat,
};
use volume::{
    Applied, Change, Create, DosAttributes, ErrorKind, FileId, Kind, Named, OpenHow, Result, SetAttr, Time,
    Volume,
};

async fn attempt(volume: &dyn Volume, change: Change) -> Result<Applied> {
    volume.apply(&cx(), &change).await
}

fn make(path: &str) -> Change {
    Change::MakeDir { path: p(path), mode: 0o755, dos: DosAttributes::empty(), maker: None }
}

fn removal(path: &str, dir: bool, expect: Option<FileId>) -> Change {
    Change::Remove { path: p(path), dir, expect }
}

fn renaming(from: &str, to: &str, replace: bool) -> Change {
    Change::Rename { from: p(from), to: p(to), replace, expect: None }
}

fn linking(from: &str, to: &str, replace: bool) -> Change {
    Change::Link { from: p(from), to: p(to), replace, expect: None }
}

fn setting(path: &str, set: SetAttr) -> Change {
    Change::SetAttr { path: p(path), set, expect: None }
}

pub(super) async fn make_dir(volume: &dyn Volume) {
    let attr = mkdir(volume, "d").await;
    assert_eq!(attr.kind, Kind::Dir);
    assert_eq!(stat(volume, "d").await.id, attr.id);
    mkdir(volume, "d/e").await;
    assert_eq!(names(volume, "d").await, ["e"]);
    fails(attempt(volume, make("d")).await, ErrorKind::AlreadyExists);
    fails(attempt(volume, make("none/e")).await, ErrorKind::NotFound);
    put(volume, "f", "x").await;
    fails(attempt(volume, make("f")).await, ErrorKind::AlreadyExists);
    fails_with(attempt(volume, make("f/e")).await, NO_SUCH_PATH);
    if volume.caps().dos_attributes {
        let dos = DosAttributes::HIDDEN;
        apply(volume, Change::MakeDir { path: p("hidden"), mode: 0o755, dos, maker: None }).await;
        assert_eq!(stat(volume, "hidden").await.dos, dos);
    }
}

pub(super) async fn remove_files_and_dirs(volume: &dyn Volume) {
    mkdir(volume, "d").await;
    put(volume, "d/f", "x").await;
    fails(attempt(volume, removal("d", true, None)).await, ErrorKind::DirectoryNotEmpty);
    fails(attempt(volume, removal("d", false, None)).await, ErrorKind::IsADirectory);
    fails(attempt(volume, removal("d/f", true, None)).await, ErrorKind::NotADirectory);
    fails(attempt(volume, removal("none", false, None)).await, ErrorKind::NotFound);
    fails(attempt(volume, removal("none", true, None)).await, ErrorKind::NotFound);
    fails_with(attempt(volume, removal("d/f/g", false, None)).await, NO_SUCH_PATH);
    assert_eq!(get(volume, "d/f").await, b"x");
    let gone = attempt(volume, removal("d/f", false, None)).await.unwrap();
    assert_eq!(gone.attr, None);
    rmdir(volume, "d").await;
    assert_eq!(names(volume, "").await, [""; 0]);
}

pub(super) async fn remove_expecting(volume: &dyn Volume) {
    if !volume.caps().stable_ids {
        return;
    }
    let f = put(volume, "f", "1").await;
    let g = put(volume, "g", "2").await;
    fails(attempt(volume, removal("f", false, Some(g.id))).await, ErrorKind::Stale);
    assert!(exists(volume, "f").await);
    attempt(volume, removal("f", false, Some(f.id))).await.unwrap();
    assert!(!exists(volume, "f").await);
    let d = mkdir(volume, "d").await;
    fails(attempt(volume, removal("d", true, Some(g.id))).await, ErrorKind::Stale);
    attempt(volume, removal("d", true, Some(d.id))).await.unwrap();
}

pub(super) async fn rename_files(volume: &dyn Volume) {
    let before = put(volume, "f", "content").await;
    mkdir(volume, "d").await;
    let applied = attempt(volume, renaming("f", "d/g", false)).await.unwrap();
    assert!(!exists(volume, "f").await);
    assert_eq!(get(volume, "d/g").await, b"content");
    let attr = now(volume, applied.attr, "d/g").await;
    assert_eq!((attr.size, attr.id), (7, stat(volume, "d/g").await.id));
    if volume.caps().stable_ids {
        assert_eq!(attr.id, before.id);
    }
    put(volume, "f", "another").await;
    fails(attempt(volume, renaming("f", "d/g", false)).await, ErrorKind::AlreadyExists);
    assert_eq!(get(volume, "d/g").await, b"content");
    assert_eq!(get(volume, "f").await, b"another");
}

pub(super) async fn rename_replacing(volume: &dyn Volume) {
    put(volume, "old", "old").await;
    put(volume, "new", "new").await;
    rename(volume, "new", "old").await;
    assert_eq!(get(volume, "old").await, b"new");
    assert_eq!(names(volume, "").await, ["old"]);
    rename(volume, "old", "old").await;
    assert_eq!(get(volume, "old").await, b"new", "onto itself");
    fails(attempt(volume, renaming("old", "old", false)).await, ErrorKind::AlreadyExists);
    mkdir(volume, "d").await;
    fails_with(
        attempt(volume, renaming("old", "d", true)).await,
        &[ErrorKind::IsADirectory, ErrorKind::AlreadyExists, ErrorKind::PermissionDenied],
    );
    fails_with(
        attempt(volume, renaming("d", "old", true)).await,
        &[ErrorKind::NotADirectory, ErrorKind::AlreadyExists, ErrorKind::PermissionDenied],
    );
    if volume.caps().hard_links {
        apply(volume, linking("old", "second", false)).await;
        rename(volume, "old", "second").await;
        assert_eq!(names(volume, "").await, ["d", "second"], "onto another name of the same file");
        assert_eq!(stat(volume, "second").await.links, 1);
    }
}

pub(super) async fn rename_dirs(volume: &dyn Volume) {
    mkdir(volume, "a").await;
    mkdir(volume, "a/b").await;
    put(volume, "a/b/f", "deep").await;
    mkdir(volume, "z").await;
    rename(volume, "a", "z/y").await;
    assert_eq!(get(volume, "z/y/b/f").await, b"deep");
    assert!(!exists(volume, "a").await);
    fails(attempt(volume, renaming("z", "z/y/b/z", false)).await, ErrorKind::InvalidArgument);
    mkdir(volume, "full").await;
    put(volume, "full/f", "x").await;
    fails(attempt(volume, renaming("z", "full", false)).await, ErrorKind::AlreadyExists);
    fails_with(
        attempt(volume, renaming("z", "full", true)).await,
        &[ErrorKind::DirectoryNotEmpty, ErrorKind::AlreadyExists, ErrorKind::PermissionDenied],
    );
    assert_eq!(get(volume, "z/y/b/f").await, b"deep");
}

pub(super) async fn rename_expecting(volume: &dyn Volume) {
    if !volume.caps().stable_ids {
        return;
    }
    let f = put(volume, "f", "1").await;
    let g = put(volume, "g", "2").await;
    let order = |expect| Change::Rename { from: p("f"), to: p("h"), replace: true, expect: Some(expect) };
    fails(attempt(volume, order(g.id)).await, ErrorKind::Stale);
    assert_eq!(names(volume, "").await, ["f", "g"]);
    attempt(volume, order(f.id)).await.unwrap();
    assert_eq!(names(volume, "").await, ["g", "h"]);
}

pub(super) async fn rename_errors(volume: &dyn Volume) {
    put(volume, "f", "x").await;
    fails(attempt(volume, renaming("none", "g", true)).await, ErrorKind::NotFound);
    fails(attempt(volume, renaming("f", "none/g", true)).await, ErrorKind::NotFound);
    fails_with(attempt(volume, renaming("f", "f/g", true)).await, NO_SUCH_PATH);
    assert_eq!(get(volume, "f").await, b"x");
}

pub(super) async fn hard_links(volume: &dyn Volume) {
    let before = put(volume, "f", "shared").await;
    let made = attempt(volume, linking("f", "g", false)).await;
    if !volume.caps().hard_links {
        fails(made, ErrorKind::Unsupported);
        return;
    }
    let attr = now(volume, made.unwrap().attr, "g").await;
    assert_eq!((attr.id, attr.links), (before.id, 2));
    put(volume, "g", "through g").await;
    assert_eq!(get(volume, "f").await, b"through g");
    fails(attempt(volume, linking("f", "g", false)).await, ErrorKind::AlreadyExists);
    put(volume, "h", "another").await;
    apply(volume, linking("f", "h", true)).await;
    assert_eq!(get(volume, "h").await, b"through g");
    assert_eq!(stat(volume, "f").await.links, 3);
    apply(volume, linking("f", "h", true)).await;
    assert_eq!(names(volume, "").await, ["f", "g", "h"], "over itself");
    remove(volume, "f").await;
    remove(volume, "h").await;
    assert_eq!((get(volume, "g").await, stat(volume, "g").await.links), (b"through g".to_vec(), 1));
}

pub(super) async fn hard_link_errors(volume: &dyn Volume) {
    if !volume.caps().hard_links {
        return;
    }
    mkdir(volume, "d").await;
    put(volume, "f", "x").await;
    fails_with(
        attempt(volume, linking("d", "e", false)).await,
        &[ErrorKind::IsADirectory, ErrorKind::PermissionDenied],
    );
    fails_with(
        attempt(volume, linking("f", "d", true)).await,
        &[ErrorKind::IsADirectory, ErrorKind::AlreadyExists],
    );
    fails(attempt(volume, linking("none", "g", false)).await, ErrorKind::NotFound);
    fails(attempt(volume, linking("f", "none/g", false)).await, ErrorKind::NotFound);
    assert_eq!(names(volume, "").await, ["d", "f"], "nothing is left behind");
    assert_eq!(names(volume, "d").await, [""; 0]);
}

pub(super) async fn symlinks(volume: &dyn Volume) {
    let order =
        |path: &str, target: &str| Change::Symlink { path: p(path), target: target.to_owned(), maker: None };
    let made = attempt(volume, order("l", "no/where")).await;
    if !volume.caps().symlinks {
        fails(made, ErrorKind::Unsupported);
        return;
    }
    assert_eq!(now(volume, made.unwrap().attr, "l").await.kind, Kind::Symlink);
    assert_eq!(volume.read_link(&cx(), &p("l")).await.unwrap(), "no/where");
    assert_eq!(stat(volume, "l").await.kind, Kind::Symlink, "reported as itself");
    fails(attempt(volume, order("l", "x")).await, ErrorKind::AlreadyExists);
    for (target, leads_out) in [("../../outside", true), ("/etc", true), ("ünï côdé", false)] {
        match attempt(volume, order("m", target)).await {
            Ok(_) => {
                assert_eq!(volume.read_link(&cx(), &p("m")).await.unwrap(), target, "kept as given");
                remove(volume, "m").await;
            }
            refused => {
                assert!(leads_out, "{target}");
                fails(refused, ErrorKind::InvalidArgument);
            }
        }
    }
    mkdir(volume, "d").await;
    put(volume, "d/f", "x").await;
    apply(volume, order("to d", "d")).await;
    apply(volume, order("to f", "d/f")).await;
    fails(volume.open(&cx(), &p("to f"), OpenHow::read()).await, ErrorKind::Loop);
    fails(volume.open(&cx(), &p("to f"), OpenHow::create(Create::IfMissing)).await, ErrorKind::Loop);
    fails(volume.open(&cx(), &p("to f"), OpenHow::create(Create::New)).await, ErrorKind::AlreadyExists);
    fails(volume.stat(&cx(), &p("to d/f")).await, ErrorKind::Loop);
    fails_with(
        volume.list(&cx(), &p("to d"), Default::default()).await,
        &[ErrorKind::Loop, ErrorKind::NotADirectory],
    );
    fails(volume.read_link(&cx(), &p("d/f")).await, ErrorKind::InvalidArgument);
    fails(volume.read_link(&cx(), &p("none")).await, ErrorKind::NotFound);
    rename(volume, "to f", "moved").await;
    assert_eq!(volume.read_link(&cx(), &p("moved")).await.unwrap(), "d/f");
    fails(attempt(volume, removal("to d", true, None)).await, ErrorKind::NotADirectory);
    remove(volume, "to d").await;
    assert_eq!(get(volume, "d/f").await, b"x", "only the link is gone");
}

pub(super) async fn set_attr_by_name(volume: &dyn Volume) {
    let caps = volume.caps();
    put(volume, "f", "0123456789").await;
    mkdir(volume, "d").await;
    let times = SetAttr {
        mtime: Some(Time::from_parts(1_234_567_890, 500_000_000)),
        atime: Some(Time::from_parts(1_111_111_111, 0)),
        ..SetAttr::default()
    };
    for path in ["f", "d"] {
        if caps.set_times {
            let attr = now(volume, apply(volume, setting(path, times)).await, path).await;
            assert_eq!((Some(attr.mtime), Some(attr.atime)), (times.mtime, times.atime), "{path}");
            assert_eq!(Some(stat(volume, path).await.mtime), times.mtime);
        }
        if caps.set_times && caps.dos_attributes {
            let set = SetAttr { btime: Some(Time::from_parts(1_000_000_000, 0)), ..SetAttr::default() };
            apply(volume, setting(path, set)).await;
            assert_eq!(Some(stat(volume, path).await.btime), set.btime, "{path}");
        }
        if caps.dos_attributes {
            let dos = DosAttributes::READONLY | DosAttributes::ARCHIVE;
            apply(volume, setting(path, SetAttr { dos: Some(dos), ..SetAttr::default() })).await;
            assert_eq!(stat(volume, path).await.dos, dos, "{path}");
        }
    }
    if caps.dos_attributes {
        put(volume, "f", "written").await;
        assert_eq!(get(volume, "f").await, b"written", "READONLY is for those above to enforce");
    }
    if caps.random_write {
        apply(volume, setting("f", SetAttr::size(4))).await;
        assert_eq!(stat(volume, "f").await.size, 4);
    }
}

pub(super) async fn compression(volume: &dyn Volume) {
    let setting =
        |path, compressed| setting(path, SetAttr { compressed: Some(compressed), ..SetAttr::default() });
    let bit = DosAttributes::COMPRESSED;
    mkdir(volume, "d").await;
    put(volume, "d/before", "x").await;
    if !volume.caps().compression {
        fails(attempt(volume, setting("d", true)).await, ErrorKind::Unsupported);
        return;
    }
    let attr = now(volume, apply(volume, setting("d", true)).await, "d").await;
    assert!(attr.dos.contains(bit), "{attr:?}");
    put(volume, "d/after", "x").await;
    mkdir(volume, "d/dir").await;
    for (path, compressed) in [("d", true), ("d/before", false), ("d/after", true), ("d/dir", true)] {
        assert_eq!(stat(volume, path).await.dos.contains(bit), compressed, "{path}");
    }
    apply(volume, setting("d", false)).await;
    put(volume, "d/last", "x").await;
    let file = volume.open(&cx(), &p("d/before"), OpenHow::read_write()).await.unwrap().file;
    let set = SetAttr { compressed: Some(true), ..SetAttr::default() };
    assert!(file.set_attr(&cx(), &set).await.unwrap().dos.contains(bit), "by handle");
    for (path, compressed) in [("d", false), ("d/before", true), ("d/after", true), ("d/last", false)] {
        assert_eq!(stat(volume, path).await.dos.contains(bit), compressed, "{path}");
    }
    if volume.caps().dos_attributes {
        let set = |dos| self::setting("d/after", SetAttr { dos: Some(dos), ..SetAttr::default() });
        apply(volume, set(DosAttributes::HIDDEN)).await;
        assert_eq!(
            stat(volume, "d/after").await.dos,
            DosAttributes::HIDDEN | bit,
            "bits do not take it away"
        );
        apply(volume, self::setting("d/last", SetAttr { dos: Some(bit), ..SetAttr::default() })).await;
        assert_eq!(stat(volume, "d/last").await.dos, DosAttributes::empty(), "nor give it");
    }
}

pub(super) async fn sparseness(volume: &dyn Volume) {
    let setting = |sparse| setting("f", SetAttr { sparse: Some(sparse), ..SetAttr::default() });
    put(volume, "f", "x").await;
    if !(volume.caps().holes && volume.caps().dos_attributes) {
        fails(attempt(volume, setting(true)).await, ErrorKind::Unsupported);
        return;
    }
    let bits = |dos| self::setting("f", SetAttr { dos: Some(dos), ..SetAttr::default() });
    apply(volume, bits(DosAttributes::HIDDEN | DosAttributes::SPARSE)).await;
    assert_eq!(stat(volume, "f").await.dos, DosAttributes::HIDDEN, "bits do not give it");
    let attr = now(volume, apply(volume, setting(true)).await, "f").await;
    assert_eq!(attr.dos, DosAttributes::HIDDEN | DosAttributes::SPARSE);
    apply(volume, bits(DosAttributes::READONLY)).await;
    assert_eq!(stat(volume, "f").await.dos, DosAttributes::READONLY | DosAttributes::SPARSE, "nor take it");
    apply(volume, setting(false)).await;
    assert_eq!(stat(volume, "f").await.dos, DosAttributes::READONLY);
}

pub(super) async fn set_attr_errors(volume: &dyn Volume) {
    let attr = put(volume, "f", "x").await;
    let other = put(volume, "g", "x").await;
    mkdir(volume, "d").await;
    let set = SetAttr::size(0);
    fails(attempt(volume, setting("none", set)).await, ErrorKind::NotFound);
    fails_with(
        attempt(volume, setting("d", set)).await,
        &[ErrorKind::IsADirectory, ErrorKind::InvalidArgument],
    );
    if volume.caps().stable_ids {
        let order = |expect| Change::SetAttr { path: p("f"), set, expect: Some(expect) };
        fails(attempt(volume, order(other.id)).await, ErrorKind::Stale);
        assert_eq!(stat(volume, "f").await.size, 1);
        attempt(volume, order(attr.id)).await.unwrap();
        assert_eq!(stat(volume, "f").await.size, 0);
    }
}

pub(super) async fn changes_of_the_root(volume: &dyn Volume) {
    put(volume, "f", "x").await;
    let refused = &[ErrorKind::InvalidArgument, ErrorKind::PermissionDenied, ErrorKind::IsADirectory];
    fails(attempt(volume, make("")).await, ErrorKind::AlreadyExists);
    fails_with(attempt(volume, removal("", true, None)).await, refused);
    fails_with(attempt(volume, renaming("", "g", true)).await, refused);
    fails_with(attempt(volume, renaming("f", "", true)).await, refused);
    assert_eq!(get(volume, "f").await, b"x");
}

pub(super) async fn directories_are_synced(volume: &dyn Volume) {
    let dir = mkdir(volume, "d").await;
    put(volume, "d/f", "x").await;
    let root = stat(volume, "").await;
    match volume.sync_dir(&cx(), &p("d"), None).await {
        Err(error) if error.kind == ErrorKind::Unsupported => return,
        synced => synced.unwrap(),
    }
    for (path, id) in [("d", dir.id), ("", root.id)] {
        volume.sync_dir(&cx(), &p(path), Some(id)).await.unwrap();
    }
    fails(volume.sync_dir(&cx(), &p("d"), Some(root.id)).await, ErrorKind::Stale);
    fails(volume.sync_dir(&cx(), &p("d/f"), None).await, ErrorKind::NotADirectory);
    fails(volume.sync_dir(&cx(), &p("none"), None).await, ErrorKind::NotFound);
    if volume.caps().symlinks {
        apply(volume, Change::Symlink { path: p("l"), target: "d".into(), maker: None }).await;
        fails_with(volume.sync_dir(&cx(), &p("l"), None).await, &[ErrorKind::NotADirectory, ErrorKind::Loop]);
    }
}

pub(super) async fn space_is_plausible(volume: &dyn Volume) {
    mkdir(volume, "d").await;
    for path in ["", "d"] {
        let space = volume.space(&cx(), &p(path)).await.unwrap();
        assert!(space.unit > 0, "{space:?}");
        assert!(space.free <= space.total && space.available <= space.total, "{space:?}");
    }
}

pub(super) async fn read_only_refuses(volume: &dyn Volume) {
    if !volume.caps().read_only {
        return;
    }
    fails(volume.open(&cx(), &p("f"), OpenHow::create(Create::New)).await, ErrorKind::ReadOnly);
    fails(attempt(volume, make("d")).await, ErrorKind::ReadOnly);
    fails(attempt(volume, removal("d", true, None)).await, ErrorKind::ReadOnly);
    fails(attempt(volume, renaming("a", "b", true)).await, ErrorKind::ReadOnly);
    if volume.caps().named {
        let (name, value) = (Named::Descriptor, Some("x".into()));
        let change = Change::SetNamed { path: p(""), name, value, expect: None };
        fails(attempt(volume, change).await, ErrorKind::ReadOnly);
    }
    assert_eq!(stat(volume, "").await.kind, Kind::Dir);
}
